iptables
*filter
:INPUT
-j REJECT ; -j REJECT --reject-with icmp-port-unreachable ; OK
-j REJECT --reject-with icmp-host-prohibited ; = ; OK
-j REJECT --reject-with host-prohib ; -j REJECT --reject-with icmp-host-prohibited ; OK
-j REJECT --reject-with port-unreach ; -j REJECT --reject-with icmp-port-unreachable ; OK
-p tcp -j REJECT --reject-with tcp-reset ; = ; OK
-j REJECT --reject-with icmp-admin-prohibited ; = ; OK
-j REJECT --reject-with tcp-reset ; ; FAIL
-j REJECT --reject-with kindness ; ; FAIL
-j REJECT --reject-with icmp6-no-route ; ; FAIL
ip6tables
-j REJECT ; -j REJECT --reject-with icmp6-port-unreachable ; OK
-j REJECT --reject-with adm-prohibited ; -j REJECT --reject-with icmp6-adm-prohibited ; OK
-p tcp -j REJECT --reject-with tcp-reset ; = ; OK
-j REJECT --reject-with icmp-net-unreachable ; ; FAIL
