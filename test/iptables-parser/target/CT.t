*raw
:PREROUTING
-j CT --notrack ; = ; OK
-j CT --zone 5 ; = ; OK
-j CT --zone-orig 5 ; = ; OK
-j CT --zone-reply 6 ; = ; OK
-j CT --zone mark ; = ; OK
-j CT --zone-orig mark ; = ; OK
-j CT --zone-reply mark ; = ; OK
-j CT --zone 0 ; -j CT ; OK
-j CT --zone-orig 3 --zone-reply 4 ; -j CT --zone 4 ; OK
-j CT --zone-orig 3 --zone 4 ; -j CT --zone-orig 4 ; OK
-j CT --zone mark --zone-orig 5 ; -j CT --zone-orig mark ; OK
-p tcp -j CT --ctevents destroy,new --expevents new --zone-orig 3 --helper ftp ; -p tcp -j CT --helper ftp --ctevents new,destroy --expevents new --zone-orig 3 ; OK
-j CT --ctevents foo ; ; FAIL
-j CT --zone 70000 ; ; FAIL
-j CT --nothing ; ; FAIL
*filter
:INPUT
-j CT --notrack ; ; FAIL
