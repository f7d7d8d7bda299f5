-j CONNSECMARK --save ; ; FAIL
*mangle
-j CONNSECMARK --save ; = ; OK
:PREROUTING
-j CONNSECMARK --save ; = ; OK
-j CONNSECMARK --restore ; = ; OK
-j CONNSECMARK ; ; FAIL
-j CONNSECMARK --save --restore ; ; FAIL
ip6tables
*security
:INPUT
-j CONNSECMARK --restore ; = ; OK
