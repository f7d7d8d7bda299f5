*filter
:INPUT
-p dccp -m dccp --sport 1 --dport 100:200 ; = ; OK
-p dccp --dport 5 ; -p dccp -m dccp --dport 5 ; OK
-p dccp -m dccp --dccp-types REQUEST,RESPONSE ; = ; OK
-p dccp -m dccp ! --sport 1 ; = ; OK
-p tcp -m dccp --dport 5 ; ; FAIL
-m dccp --dport 5 ; ; FAIL
