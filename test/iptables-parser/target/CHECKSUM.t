*mangle
:POSTROUTING
-j CHECKSUM --checksum-fill ; = ; OK
-p udp -m udp --dport 68 -j CHECKSUM --checksum-fill ; = ; OK
-p udp -j CHECKSUM --checksum-fill ; = ; OK
-j CHECKSUM ; ; FAIL
*filter
:INPUT
-j CHECKSUM --checksum-fill ; ; FAIL
