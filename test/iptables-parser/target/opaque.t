# Targets that are known and not modelled: their words come back as they went in.
*mangle
:PREROUTING
-p tcp -j ECN --ecn-tcp-remove ; = ; OK
-j CONNSECMARK --save ; = ; OK
-j HMARK --hmark-tuple src,dst --hmark-mod 10 --hmark-rnd 0x5 ; = ; OK ; NONE
-j IDLETIMER --timeout 5 --label x ; = ; OK
-j LED --led-trigger-id x ; = ; OK ; NONE
-j SECMARK --selctx x ; = ; OK ; NONE
-j NFQUEUE --queue-num 5 --queue-bypass ; = ; OK
-j RATEEST --rateest-name r --rateest-interval 250.0ms --rateest-ewmalog 500.0ms ; = ; OK ; NONE
-p tcp -j TCPOPTSTRIP --strip-options 8 ; = ; OK
-j TEE --gateway 10.0.0.1 ; = ; OK
-p tcp -j TPROXY --on-port 5000 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1 ; = ; OK
-j ULOG --ulog-nlgroup 2 ; = ; OK ; NONE
*filter
:INPUT
-j QUEUE ; = ; OK ; NONE
-p tcp -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460 ; = ; OK
-d 10.0.0.9/32 -i eth0 -j CLUSTERIP --new --hashmode sourceip --clustermac 01:00:5E:00:00:20 --total-nodes 2 --local-node 1 ; = ; OK ; NONE
ip6tables
*mangle
:PREROUTING
-s fd00::/64 -j DNPT --src-pfx fd00::/64 --dst-pfx fd01::/64 ; = ; OK
-s fd00::/64 -j SNPT --src-pfx fd00::/64 --dst-pfx fd01::/64 ; = ; OK ; NONE
