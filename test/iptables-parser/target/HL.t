ip6tables
*mangle
:PREROUTING
-j HL --hl-set 64 ; = ; OK
-j HL --hl-inc 1 ; = ; OK
-j HL --hl-dec 1 ; = ; OK
-j HL ; ; FAIL
-j HL --hl-set 256 ; ; FAIL
