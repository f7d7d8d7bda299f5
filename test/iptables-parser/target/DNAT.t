iptables
*nat
:PREROUTING
-p tcp -j DNAT --to-destination 10.0.0.1:80 ; = ; OK
-j DNAT --to-destination 10.0.0.1 ; = ; OK
-p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9:80-90 --random --persistent ; = ; OK
-p udp -j DNAT --to-destination :53 ; = ; OK
-p tcp -j DNAT --to-destination 10.0.0.1:5000-5009/5000 ; = ; OK
-j DNAT --to-destination 10.0.0.1:80 ; ; FAIL
-j DNAT ; ; FAIL
-p tcp -j DNAT --to-destination 10.0.0.1:90000 ; ; FAIL
-j DNAT --to-destination 10.0.0 ; ; FAIL
:POSTROUTING
-j DNAT --to-destination 10.0.0.1 ; ; FAIL
*filter
:INPUT
-j DNAT --to-destination 10.0.0.1 ; ; FAIL
ip6tables
*nat
:PREROUTING
-p tcp -j DNAT --to-destination [fd00::1]:80 ; = ; OK
-j DNAT --to-destination fd00::1 ; = ; OK
-p tcp -j DNAT --to-destination [fd00::1-fd00::9]:80-90 ; = ; OK
-j DNAT --to-destination 10.0.0.1 ; ; FAIL
