*filter
:INPUT
-m addrtype --dst-type LOCAL ; = ; OK
-m addrtype ! --dst-type LOCAL ; = ; OK
-m addrtype --src-type local,unicast --dst-type BROADCAST ; -m addrtype --src-type UNICAST,LOCAL --dst-type BROADCAST ; OK
-m addrtype --src-type UNICAST --limit-iface-in ; = ; OK
-m addrtype ; ; FAIL
-m addrtype --dst-type NOWHERE ; ; FAIL
-m addrtype --limit-iface-in ; ; FAIL
-m addrtype --dst-type LOCAL --limit-iface-out ; ; FAIL
:FORWARD
-m addrtype --dst-type LOCAL --limit-iface-out ; = ; OK
-m addrtype --dst-type LOCAL --limit-iface-in --limit-iface-out ; ; FAIL
