-p tcp -j ECN --ecn-tcp-remove ; ; FAIL
-j ECN --ecn-ip-ect 3 ; ; FAIL
*mangle
-j ECN --ecn-ip-ect 3 ; = ; OK
:POSTROUTING
-p tcp -j ECN --ecn-tcp-ece 1 --ecn-tcp-cwr 0 --ecn-ip-ect 2 ; = ; OK
:PREROUTING
-p tcp -j ECN --ecn-tcp-remove ; = ; OK
-j ECN --ecn-tcp-remove ; ; FAIL
-p tcp -j ECN ; ; FAIL
-p tcp -j ECN --ecn-ip-ect 1 ; = ; OK
-p tcp -j ECN --ecn-tcp-cwr 0 --ecn-tcp-ece 1 ; -p tcp -j ECN --ecn-tcp-ece 1 --ecn-tcp-cwr 0 ; OK
ip6tables
:INPUT
-p tcp -j ECN --ecn-tcp-remove ; ; FAIL
