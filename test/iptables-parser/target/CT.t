*raw
:PREROUTING
-j CT --notrack ; = ; OK
-j CT --zone 5 ; = ; OK
-j CT --zone-orig 5 ; = ; OK
-j CT --zone-reply 6 ; = ; OK
-j CT --zone 70000 ; ; FAIL
-j CT --nothing ; ; FAIL
*filter
:INPUT
-j CT --notrack ; ; FAIL
