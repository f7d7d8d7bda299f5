*filter
:FORWARD
-m physdev --physdev-is-bridged ; = ; OK
-m physdev ! --physdev-is-bridged ; = ; OK
-m physdev --physdev-in veth1 --physdev-out veth+ ; = ; OK
-m physdev --physdev-in veth1 --physdev-is-in ; -m physdev --physdev-is-in --physdev-in veth1 ; OK
-m physdev ! --physdev-in veth1 -j DROP ; = ; OK
-m physdev --physdev-is-out --physdev-is-bridged ; = ; OK
-m physdev ; ; FAIL
-m physdev --physdev-in sixteencharacter ; ; FAIL
