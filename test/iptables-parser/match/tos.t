*filter
:INPUT
-m tos --tos 0x10/0xff ; = ; OK
-m tos --tos 16 ; -m tos --tos 0x10/0xff ; OK
-m tos --tos Minimize-Delay ; -m tos --tos 0x10/0x3f ; OK
-m tos ! --tos 0x04/0x0f -j DROP ; = ; OK
-m tos --tos 0x100 ; ; FAIL
-m tos ; ; FAIL
