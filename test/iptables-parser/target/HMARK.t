:FORWARD
-j HMARK --hmark-tuple src --hmark-mod 10 --hmark-rnd 5 ; -j HMARK --hmark-src-prefix 32 --hmark-rnd 0x00000005 --hmark-mod 10 ; OK
*mangle
-j HMARK --hmark-tuple src,dst,sport,dport --hmark-mod 10 --hmark-rnd 5 ; -j HMARK --hmark-src-prefix 32 --hmark-dst-prefix 32 --hmark-sport-mask 0xffff --hmark-dport-mask 0xffff --hmark-rnd 0x00000005 --hmark-mod 10 ; OK
-j HMARK --hmark-src-prefix 24 --hmark-rnd 0x00000004 --hmark-mod 42 --hmark-offset 10000 ; = ; OK
-j HMARK --hmark-tuple src --hmark-rnd 5 ; ; FAIL
:PREROUTING
-j HMARK --hmark-tuple src,dst --hmark-mod 10 --hmark-rnd 5 ; -j HMARK --hmark-src-prefix 32 --hmark-dst-prefix 32 --hmark-rnd 0x00000005 --hmark-mod 10 ; OK
-j HMARK --hmark-src-prefix 24 --hmark-sport-mask 0xff --hmark-mod 10 --hmark-rnd 0x5 --hmark-offset 3 --hmark-proto-mask 0xff ; -j HMARK --hmark-src-prefix 24 --hmark-sport-mask 0x00ff --hmark-proto-mask 0xff --hmark-rnd 0x00000005 --hmark-mod 10 --hmark-offset 3 ; OK
-j HMARK --hmark-mod 10 ; ; FAIL
ip6tables
:FORWARD
-j HMARK --hmark-tuple ct,src,dst --hmark-mod 10 --hmark-rnd 1 ; -j HMARK --hmark-src-prefix 128 --hmark-dst-prefix 128 --hmark-rnd 0x00000001 --hmark-mod 10 --hmark-tuple ct ; OK
