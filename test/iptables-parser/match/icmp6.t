ip6tables
*filter
:INPUT
-p ipv6-icmp -m icmp6 --icmpv6-type 128 ; = ; OK
-p icmpv6 --icmpv6-type echo-request ; -p ipv6-icmp -m icmp6 --icmpv6-type 128 ; OK
-p ipv6-icmp -m icmp6 ! --icmpv6-type 1/4 ; = ; OK
-p icmpv6 -m icmp6 --icmpv6-type router-advertisement ; -p ipv6-icmp -m icmp6 --icmpv6-type 134 ; OK
-p ipv6-icmp -m icmpv6 --icmpv6-type packet-too-big -j ACCEPT ; -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j ACCEPT ; OK
-p ipv6-icmp -m icmp6 --icmpv6-type nonsense ; ; FAIL
-p tcp -m icmp6 --icmpv6-type 128 ; ; FAIL
