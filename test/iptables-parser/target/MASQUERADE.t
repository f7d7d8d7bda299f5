*nat
:POSTROUTING
-j MASQUERADE ; = ; OK
-j MASQUERADE --random-fully ; = ; OK
-p tcp -j MASQUERADE --to-ports 1024-65535 --random ; = ; OK
-p udp -j MASQUERADE --to-ports 5000 ; = ; OK
-j MASQUERADE --to-ports 1024-65535 ; ; FAIL
-p tcp -j MASQUERADE --to-ports 90000 ; ; FAIL
:PREROUTING
-j MASQUERADE ; ; FAIL
*filter
:INPUT
-j MASQUERADE ; ; FAIL
