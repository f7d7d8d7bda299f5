iptables
*filter
:INPUT
-p icmp -m icmp --icmp-type 8 ; = ; OK
-p icmp --icmp-type echo-request ; -p icmp -m icmp --icmp-type 8 ; OK
-p icmp -m icmp --icmp-type ping -j ACCEPT ; -p icmp -m icmp --icmp-type 8 -j ACCEPT ; OK
-p icmp -m icmp ! --icmp-type 3/4 ; = ; OK
-p icmp --icmp-type fragmentation-needed ; -p icmp -m icmp --icmp-type 3/4 ; OK
-p icmp -m icmp --icmp-type any ; = ; OK
-p icmp -m icmp --icmp-type 3 -j ACCEPT ; = ; OK
-p icmp -m icmp --icmp-type nonsense ; ; FAIL
-p icmp -m icmp --icmp-type 300 ; ; FAIL
-p tcp -m icmp --icmp-type 8 ; ; FAIL
