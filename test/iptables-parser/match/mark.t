*filter
:INPUT
-m mark --mark 0x4000/0x4000 ; = ; OK
-m mark --mark 1 ; -m mark --mark 0x1 ; OK
-m mark ! --mark 0x1/0x3 -j DROP ; = ; OK
-m mark --mark 010 ; -m mark --mark 0x8 ; OK
-m mark --mark 0/0xff00 ; -m mark --mark 0x0/0xff00 ; OK
-m mark --mark ! 5 ; -m mark ! --mark 0x5 ; OK ; NONE
-m mark --mark x ; ; FAIL
-m mark --mark 1/ ; ; FAIL
-m mark ; ; FAIL
