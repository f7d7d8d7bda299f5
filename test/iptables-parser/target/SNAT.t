iptables
*nat
:POSTROUTING
-j SNAT --to-source 10.0.0.1 ; = ; OK
-j SNAT --to-source 10.0.0.1-10.0.0.9 --random --persistent ; = ; OK
-p tcp -j SNAT --to-source 10.0.0.1:1024-65535 --random-fully ; = ; OK
-p udp -j SNAT --to-source :1024-2048 ; = ; OK
-j SNAT ; ; FAIL
-j SNAT --to-source 10.0.0.1:80 ; ; FAIL
-p tcp -j SNAT --to-source 10.0.0.1:80-70 ; ; FAIL
:PREROUTING
-j SNAT --to-source 10.0.0.1 ; ; FAIL
ip6tables
:POSTROUTING
-p tcp -j SNAT --to-source [fd00::1]:80 ; = ; OK
-j SNAT --to-source fd00::1-fd00::5 ; = ; OK
