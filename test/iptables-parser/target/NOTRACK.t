*raw
:PREROUTING
-j NOTRACK ; = ; OK
-p udp -j NOTRACK ; = ; OK
-i eth0 -p tcp -m tcp --dport 80 -j NOTRACK ; = ; OK
-j NOTRACK --now ; ; FAIL
*filter
:INPUT
-j NOTRACK ; ; FAIL
