*filter
:INPUT
-m mac --mac-source 02:00:00:00:00:01 ; = ; OK
-m mac --mac-source AA:BB:CC:DD:EE:FF ; -m mac --mac-source aa:bb:cc:dd:ee:ff ; OK
-m mac ! --mac-source 02:00:00:00:00:01 -j DROP ; = ; OK
-m mac ; ; FAIL
-m mac --mac-source 02:00:00:00:00 ; ; FAIL
:OUTPUT
-m mac --mac-source 02:00:00:00:00:01 ; ; FAIL
