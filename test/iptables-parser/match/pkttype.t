*filter
:INPUT
-m pkttype --pkt-type unicast ; = ; OK
-m pkttype --pkt-type broadcast ; = ; OK
-m pkttype ! --pkt-type multicast -j DROP ; = ; OK
-m pkttype --pkt-type everybody ; ; FAIL
-m pkttype ; ; FAIL
