:FORWARD
-p tcp -j SYNPROXY --wscale 15 ; = ; OK
-p tcp -j SYNPROXY ; = ; OK
:INPUT
-p tcp -j SYNPROXY ; = ; OK
-p tcp -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460 ; = ; OK
-p tcp -j SYNPROXY --ecn ; = ; OK
-j SYNPROXY ; ; FAIL
:OUTPUT
-p tcp -j SYNPROXY ; ; FAIL
*raw
:PREROUTING
-p tcp -j SYNPROXY --mss 1460 ; ; FAIL
