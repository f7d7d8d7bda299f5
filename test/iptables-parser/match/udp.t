*filter
:INPUT
-p udp --dport 53 ; -p udp -m udp --dport 53 ; OK
-p udp -m udp --sport 53 --dport 1024:65535 ; = ; OK
-p udp -m udp ! --sport 53 -j DROP ; = ; OK
-p udp --source-port 53 ; -p udp -m udp --sport 53 ; OK
-p udp -m udp --dport 53,54 ; ; FAIL
-p tcp -m udp --dport 53 ; ; FAIL
-p udp --syn ; ; FAIL
