iptables
*filter
:INPUT
-m ttl --ttl-eq 64 ; = ; OK
-m ttl ! --ttl-eq 64 -j DROP ; = ; OK
-m ttl --ttl-lt 5 ; = ; OK
-m ttl --ttl-gt 5 ; = ; OK
-m ttl --ttl 7 ; -m ttl --ttl-eq 7 ; OK
-m ttl --ttl-eq 256 ; ; FAIL
-m ttl ! --ttl-lt 5 ; ; FAIL
-m ttl ; ; FAIL
