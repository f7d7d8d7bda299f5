*mangle
:PREROUTING
-j CONNMARK --set-xmark 0x1/0xff ; = ; OK
-j CONNMARK --set-mark 4/3 ; -j CONNMARK --set-xmark 0x4/0x7 ; OK
-j CONNMARK --save-mark ; -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff ; OK
-j CONNMARK --restore-mark --mask 0xff ; -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff ; OK
-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff ; = ; OK
-j CONNMARK --or-mark 0x8 ; -j CONNMARK --set-xmark 0x8/0x8 ; OK
-j CONNMARK ; ; FAIL
-j CONNMARK --save-mark --restore-mark ; ; FAIL
-j CONNMARK --save-mark --mask x ; ; FAIL
