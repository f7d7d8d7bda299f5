*nat
:PREROUTING
-j REDIRECT ; = ; OK
-p tcp -j REDIRECT --to-ports 8080 ; = ; OK
-p udp -j REDIRECT --to-ports 5000-5009 --random ; = ; OK
-p tcp -j REDIRECT --to-port 8080 ; -p tcp -j REDIRECT --to-ports 8080 ; OK
-j REDIRECT --to-ports 8080 ; ; FAIL
-p tcp -j REDIRECT --to-ports 0x ; ; FAIL
:POSTROUTING
-j REDIRECT ; ; FAIL
