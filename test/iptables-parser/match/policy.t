:FORWARD
-m policy --dir out --pol ipsec ! --reqid 5 ! --spi 7 ! --proto ah ; -m policy --dir out --pol ipsec ! --reqid 5 ! --spi 0x7 ! --proto ah ; OK
:INPUT
-m policy --dir in --pol none ; = ; OK
-m policy --dir in --pol ipsec --strict --reqid 1 --spi 0x1 --proto ipcomp --mode tunnel --tunnel-dst 10.0.0.0/8 --tunnel-src 10.0.0.0/8 --next --reqid 2 ; = ; OK
-m policy --dir in --pol ipsec --proto esp ; = ; OK
-m policy --dir in --pol ipsec --strict --proto esp ! --mode tunnel ; = ; OK
-m policy --dir out --pol none ; ; FAIL
-m policy --pol none ; ; FAIL
-m policy --dir in ; -m policy --dir in --pol ipsec ; OK
-m policy --dir in --pol none --reqid 4 ; -m policy --dir in --pol none ; OK
:OUTPUT
-m policy --dir out --pol ipsec --reqid 5 --mode transport ; = ; OK
ip6tables
:INPUT
-m policy --dir in --pol ipsec --strict --mode tunnel --tunnel-src fd00::/8 --tunnel-dst fd00::1 ; -m policy --dir in --pol ipsec --strict --mode tunnel --tunnel-dst fd00::1 --tunnel-src fd00::/8 ; OK
