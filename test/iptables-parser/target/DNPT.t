ip6tables
-j DNPT --src-pfx fd00::/48 --dst-pfx fd01:1::/32 ; ; FAIL
*mangle
:OUTPUT
-j DNPT --src-pfx fd01:203::/32 --dst-pfx 2001:db8:1::/56 ; = ; OK
:POSTROUTING
-j DNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48 ; ; FAIL
:PREROUTING
-j DNPT --src-pfx fd00::/64 --dst-pfx fd01::/64 ; = ; OK
-j DNPT --src-pfx fd00::/48 --dst-pfx fd01:1::/32 ; = ; OK
-j DNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48 ; = ; OK
-j DNPT --dst-pfx fd01::/16 ; ; FAIL
*nat
-j DNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48 ; ; FAIL
