*mangle
:PREROUTING
-j MARK --set-xmark 0x4000/0x4000 ; = ; OK
-j MARK --set-mark 1 ; -j MARK --set-xmark 0x1/0xffffffff ; OK
-j MARK --set-mark 4/3 ; -j MARK --set-xmark 0x4/0x7 ; OK
-j MARK --and-mark 0xff ; -j MARK --set-xmark 0x0/0xffffff00 ; OK
-j MARK --or-mark 0x4000 ; -j MARK --set-xmark 0x4000/0x4000 ; OK
-j MARK --xor-mark 0x4000 ; -j MARK --set-xmark 0x4000/0x0 ; OK
-j MARK ; ; FAIL
-j MARK --set-mark x ; ; FAIL
-j MARK --or-mark 1/1 ; ; FAIL
-j MARK --set-mark 1 --set-mark 2 ; ; FAIL
