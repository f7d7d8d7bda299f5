ip6tables
-m dst --dst-len 8 ; = ; OK
-m dst ! --dst-len 8 ; = ; OK
-m dst --dst-opts 1:2,3,4:0 ; = ; OK
-m dst --dst-len 8 --dst-opts 1 ; = ; OK
-m dst ; = ; OK
-m dst --dst-len ten ; ; FAIL
