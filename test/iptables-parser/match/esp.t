-p esp -m esp --espspi 5 ; = ; OK
-p esp -m esp ! --espspi 5:9 ; = ; OK
-p esp -m esp --espspi 0:4294967295 ; -p esp -m esp ; OK
-p esp -m esp ; = ; OK
-m esp --espspi 5 ; ; FAIL
-p esp -m esp --espspi 9:5 ; = ; OK
ip6tables
-p esp -m esp --espspi :7 ; -p esp -m esp --espspi 0:7 ; OK
