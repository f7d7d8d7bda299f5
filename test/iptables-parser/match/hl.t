ip6tables
*filter
:INPUT
-m hl --hl-eq 64 ; = ; OK
-m hl ! --hl-eq 64 -j DROP ; = ; OK
-m hl --hl-lt 5 ; = ; OK
-m hl --hl-gt 5 ; = ; OK
-m hl --hl-eq 256 ; ; FAIL
-m hl ; ; FAIL
