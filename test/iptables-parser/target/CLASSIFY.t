*mangle
:POSTROUTING
-j CLASSIFY --set-class 1:2 ; -j CLASSIFY --set-class 0001:0002 ; OK
-j CLASSIFY --set-class 0001:ffff ; = ; OK
-p tcp -j CLASSIFY --set-class 0000:000a ; = ; OK
-j CLASSIFY ; ; FAIL
-j CLASSIFY --set-class 1 ; ; FAIL
