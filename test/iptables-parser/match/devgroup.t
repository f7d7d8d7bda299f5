:FORWARD
-m devgroup --src-group 1 --dst-group 3/0xffffffff ; -m devgroup --src-group 0x1 --dst-group 0x3 ; OK
:INPUT
-m devgroup --src-group 0 ; -m devgroup --src-group default ; OK
-m devgroup ! --src-group 0x1 ; = ; OK
-m devgroup --src-group 1/3 ; -m devgroup --src-group 0x1/0x3 ; OK
-m devgroup --dst-group 3 ; ; FAIL
-m devgroup ; ; FAIL
-m devgroup --src-group foo ; ; FAIL
