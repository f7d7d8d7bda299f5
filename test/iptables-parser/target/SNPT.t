ip6tables
-j SNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48 ; ; FAIL
*mangle
-j SNPT --src-pfx fd01:203:405:1::/64 --dst-pfx 2001:db8:1:2::/64 ; = ; OK
:POSTROUTING
-j SNPT --src-pfx fd00::/64 --dst-pfx fd01::/64 ; = ; OK
-j SNPT --src-pfx fd00::/64 ; ; FAIL
-j SNPT --src-pfx fd00::/65 --dst-pfx fd01::/65 ; ; FAIL
-j SNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48 ; = ; OK
-j SNPT --src-pfx fd01::/16 ; ; FAIL
-j SNPT --src-pfx fd01:203:405::1/48 --dst-pfx 2001:db8:1::/48 ; ; FAIL
-j SNPT --src-pfx fd01:203:405::/65 --dst-pfx 2001:db8:1::/48 ; ; FAIL
:PREROUTING
-s fd00::/64 -j SNPT --src-pfx fd00::/64 --dst-pfx fd01::/64 ; ; FAIL
-j SNPT --src-pfx fd01:203:405::/48 --dst-pfx 2001:db8:1::/48 ; ; FAIL
