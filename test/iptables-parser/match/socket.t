:FORWARD
-m socket ; ; FAIL
:OUTPUT
-m socket ; ; FAIL
*mangle
:INPUT
-m socket --nowildcard ; = ; OK
:PREROUTING
-m socket ; = ; OK
-m socket --transparent ; = ; OK
-m socket --transparent --nowildcard --restore-skmark ; = ; OK
-m socket -j MARK --set-mark 1 ; -m socket -j MARK --set-xmark 0x1/0xffffffff ; OK
ip6tables
-m socket --transparent --nowildcard --restore-skmark ; = ; OK
