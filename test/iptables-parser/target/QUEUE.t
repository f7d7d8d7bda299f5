:FORWARD
-p tcp -j QUEUE ; = ; OK ; LEGACY
:INPUT
-j QUEUE ; = ; OK ; LEGACY
-j QUEUE --queue-num 1 ; ; FAIL
*mangle
:PREROUTING
-j QUEUE ; = ; OK ; LEGACY
ip6tables
*filter
:INPUT
-j QUEUE ; = ; OK ; LEGACY
