ip6tables
-m hbh --hbh-len 8 ; = ; OK
-m hbh ! --hbh-len 8 ; = ; OK
-m hbh --hbh-opts 1:2,3,4:0 ; = ; OK
-m hbh ; = ; OK
-m hbh ! --hbh-len 8 --hbh-opts 1:12 ; = ; OK
-m hbh --hbh-len ten ; ; FAIL
