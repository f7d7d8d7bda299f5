*filter
:INPUT
-m conntrack --ctstate NEW ; = ; OK
-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT ; -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT ; OK
-m conntrack --ctstate DNAT,SNAT,UNTRACKED,INVALID ; -m conntrack --ctstate INVALID,UNTRACKED,SNAT,DNAT ; OK
-m conntrack ! --ctstate new ; -m conntrack ! --ctstate NEW ; OK
-m conntrack --ctproto udp ; -m conntrack --ctproto 17 ; OK
-m conntrack --ctorigsrc 10.0.0.0/8 ! --ctorigdst 10.96.0.1 ; = ; OK
-m conntrack --ctreplsrc 10.0.0.1 --ctrepldst 10.0.0.0/24 ; = ; OK
-m conntrack --ctorigsrcport 1:2 --ctorigdstport 80 --ctreplsrcport 3 --ctrepldstport 4:5 ; = ; OK
-m conntrack --ctproto 6 ! --ctorigdstport 80 ; = ; OK
-m conntrack --ctstatus ASSURED,EXPECTED ; -m conntrack --ctstatus EXPECTED,ASSURED ; OK
-m conntrack ! --ctstatus SEEN_REPLY,CONFIRMED ; = ; OK
-m conntrack --ctstatus NONE ; = ; OK
-m conntrack --ctexpire 10:20 ; = ; OK
-m conntrack --ctdir REPLY ; = ; OK
-m conntrack --ctstate NEW --ctdir original ; -m conntrack --ctstate NEW --ctdir ORIGINAL ; OK
-m conntrack ; ; FAIL
-m conntrack --ctstate BROKEN ; ; FAIL
-m conntrack --ctdir SIDEWAYS ; ; FAIL
-m conntrack ! --ctstate ; ; FAIL
ip6tables
-m conntrack --ctorigdst fd00::/64 ! --ctreplsrc fd00::1 ; = ; OK
-m conntrack --ctorigdst 10.0.0.1 ; ; FAIL
