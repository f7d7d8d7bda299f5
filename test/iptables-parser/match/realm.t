-m realm --realm 5 ; -m realm --realm 0x5 ; OK
-m realm ! --realm 0x5/0xff ; = ; OK
-m realm --realm 1/15 ; -m realm --realm 0x1/0xf ; OK
-m realm ; ; FAIL
-m realm --realm 0 ; -m realm --realm cosmos ; OK
-m realm ! --realm cosmos ; = ; OK
-m realm --realm 0/1 ; -m realm --realm 0x0/0x1 ; OK
-m realm --realm 0xffffffff/0xffffffff ; -m realm --realm 0xffffffff ; OK
ip6tables
-m realm --realm 5 ; ; FAIL
