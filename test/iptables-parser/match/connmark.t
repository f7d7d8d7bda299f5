*filter
:INPUT
-m connmark --mark 0x10 ; = ; OK
-m connmark --mark 16/0xff ; -m connmark --mark 0x10/0xff ; OK
-m connmark ! --mark 0x1/0x1 -j DROP ; = ; OK
-m connmark --mark 1/0xffffffff ; -m connmark --mark 0x1 ; OK
-m connmark --mark 0x100000000 ; ; FAIL
-m connmark ; ; FAIL
