iptables
*mangle
:PREROUTING
-j TTL --ttl-set 64 ; = ; OK
-j TTL --ttl-inc 1 ; = ; OK
-j TTL --ttl-dec 1 ; = ; OK
-j TTL ; ; FAIL
-j TTL --ttl-set 256 ; ; FAIL
-j TTL --ttl-inc 0 ; ; FAIL
*filter
:INPUT
-j TTL --ttl-set 64 ; ; FAIL
