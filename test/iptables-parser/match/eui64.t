ip6tables
:FORWARD
-m eui64 ; = ; OK
:INPUT
-m eui64 ; = ; OK
-m eui64 --foo ; ; FAIL
-m eui64 -j DROP ; = ; OK
-s fe80::/10 -m eui64 -j ACCEPT ; = ; OK
:OUTPUT
-m eui64 ; ; FAIL
*mangle
:PREROUTING
-m eui64 ; = ; OK
