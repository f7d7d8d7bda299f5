*filter
:INPUT
-s 10.0.0.1 ; -s 10.0.0.1/32 ; OK
-s 10.1.2.3/8 ; -s 10.0.0.0/8 ; OK
-s 10.0.0.1/255.0.255.0 ; -s 10.0.0.0/255.0.255.0 ; OK
--source 10.0.0.0/255.255.0.0 --destination 10.0.0.1 ; -s 10.0.0.0/16 -d 10.0.0.1/32 ; OK
! -s 10.0.0.0/8 -j ACCEPT ; = ; OK
# the order of old dumps, which iptables 1.8 takes no more
-s ! 10.0.0.0/8 -j ACCEPT ; ! -s 10.0.0.0/8 -j ACCEPT ; OK ; NONE
-p tcp -i eth0 -d 10.0.0.1 -s 10.0.0.2 ; -s 10.0.0.2/32 -d 10.0.0.1/32 -i eth0 -p tcp ; OK
-s 0.0.0.0/0 -j ACCEPT ; -j ACCEPT ; OK
-i eth+ ; = ; OK
-i + -j ACCEPT ; -j ACCEPT ; OK
! -i lo -p udp ; = ; OK
-p 6 ; -p tcp ; OK
-p all -j DROP ; -j DROP ; OK
! -p icmp ; = ; OK
-p 47 ; -p gre ; OK
-p 200 ; = ; OK
-f ; = ; OK
! -f -j DROP ; = ; OK
# as a shell command takes it, and iptables-restore does not
-ptcp -ieth0 ; -i eth0 -p tcp ; OK ; NONE
--protocol=udp ; -p udp ; OK ; NONE
-o eth0 ; ; FAIL
-s 10.0.0.256 ; ; FAIL
-s 10.0.0.1/33 ; ; FAIL
-i sixteencharacter ; ; FAIL
-p nonsuch ; ; FAIL
! -p all ; ; FAIL
:FORWARD
-i eth0 -o eth1 -j ACCEPT ; = ; OK
:OUTPUT
-i eth0 ; ; FAIL
-o lo ; = ; OK
ip6tables
:INPUT
-s fd00::1 ; -s fd00::1/128 ; OK
-s fd00:0:0::/48 -d ::1 ; -s fd00::/48 -d ::1/128 ; OK
-p icmpv6 ; -p ipv6-icmp ; OK
-s ::/0 -p esp ; -p esp ; OK
-s 10.0.0.1 ; ; FAIL
-f ; ; FAIL
