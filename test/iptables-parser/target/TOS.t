*mangle
:PREROUTING
-j TOS --set-tos 0x10/0x3f ; = ; OK
-j TOS --set-tos 4 ; -j TOS --set-tos 0x04/0xff ; OK
-j TOS --set-tos Minimize-Delay ; -j TOS --set-tos 0x10/0x3f ; OK
-j TOS --and-tos 0x0f ; -j TOS --set-tos 0x00/0xf0 ; OK
-j TOS --or-tos 0x08 ; -j TOS --set-tos 0x08/0x08 ; OK
-j TOS --set-tos 256 ; ; FAIL
-j TOS ; ; FAIL
