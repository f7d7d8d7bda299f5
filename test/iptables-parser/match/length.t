*filter
:INPUT
-m length --length 100 ; = ; OK
-m length --length 100:200 ; = ; OK
-m length ! --length 100: -j DROP ; -m length ! --length 100:65535 -j DROP ; OK
-m length --length :99 ; -m length --length 0:99 ; OK
-m length --length 200:100 ; = ; OK
-m length --length x ; ; FAIL
-m length --length 70000 ; ; FAIL
-m length ; ; FAIL
