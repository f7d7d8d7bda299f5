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
-p tcp -j ECN --ecn-tcp-remove --ecn-ip-ect 2 ; -p tcp -j ECN --ecn-tcp-ece 0 --ecn-tcp-cwr 0 --ecn-ip-ect 2 ; OK
-p tcp -j ECN --ecn-ip-ect 2 --ecn-tcp-remove ; -p tcp -j ECN --ecn-tcp-remove ; OK
-p tcp -j ECN --ecn-tcp-cwr 0 --ecn-tcp-ece 0 ; -p tcp -j ECN --ecn-tcp-remove ; OK
-p tcp -j ECN --ecn-tcp-remove --ecn-tcp-ece 1 ; ; FAIL
-p tcp -j ECN --ecn-tcp-cwr 0 --ecn-tcp-remove ; ; FAIL
-p tcp -j ECN --ecn-ip-ect 1 ; = ; OK
-p tcp -j ECN --ecn-tcp-cwr 0 --ecn-tcp-ece 1 ; -p tcp -j ECN --ecn-tcp-ece 1 --ecn-tcp-cwr 0 ; OK
ip6tables
:INPUT
-p tcp -j ECN --ecn-tcp-remove ; ; FAIL
