iptables
*nat
:PREROUTING
-j NETMAP --to 10.0.0.0/24 ; = ; OK
-j NETMAP --to 10.0.0.1 ; -j NETMAP --to 10.0.0.1/32 ; OK
-d 192.168.0.0/16 -j NETMAP --to 10.1.0.0/16 ; = ; OK
-j NETMAP ; ; FAIL
-j NETMAP --to 10.0.0.0.0/24 ; ; FAIL
ip6tables
-j NETMAP --to fd00::/64 ; = ; OK
-j NETMAP --to fd00::1 ; -j NETMAP --to fd00::1/128 ; OK
