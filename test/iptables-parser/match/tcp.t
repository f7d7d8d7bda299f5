*filter
:INPUT
-p tcp --dport 80 ; -p tcp -m tcp --dport 80 ; OK
-p tcp -m tcp --dport 80 -j ACCEPT ; = ; OK
-p tcp -m tcp --sport 1024: --dport :80 ; -p tcp -m tcp --sport 1024:65535 --dport 0:80 ; OK
-p tcp -m tcp ! --dport 80:90 ; = ; OK
-p tcp --dport ! 80 ; -p tcp -m tcp ! --dport 80 ; OK ; NONE
-p tcp -m tcp --sport 0:65535 ; -p tcp -m tcp ; OK
-p tcp --dport http ; -p tcp -m tcp --dport 80 ; OK
-p tcp --dport=80 ; -p tcp -m tcp --dport 80 ; OK
-p tcp --syn ; -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN ; OK
-p tcp ! --syn ; -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN ; OK
-p tcp -m tcp --tcp-flags ALL NONE ; -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE ; OK
-p tcp -m tcp --tcp-flags SYN,RST SYN,RST -j DROP ; = ; OK
-p tcp -m tcp --tcp-option 8 ; = ; OK
-p tcp -m tcp --dport 80 -m tcp --sport 90 ; = ; OK ; LEGACY
-p tcp -m tcp --dport 80000 ; ; FAIL
-p tcp -m tcp --dport 90:80 ; ; FAIL
-p tcp -m tcp --dport ; ; FAIL
-p tcp -m tcp --tcp-flags SYN ; ; FAIL
-p tcp -m tcp --tcp-flags SYN,XXX SYN ; ; FAIL
-p udp -m tcp --dport 80 ; ; FAIL
! -p tcp -m tcp --dport 80 ; ; FAIL ; LEGACY
-m tcp --dport 80 ; ; FAIL
--dport 80 ; ; FAIL
