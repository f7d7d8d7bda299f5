*filter
:INPUT
-p sctp --dport 9999 ; -p sctp -m sctp --dport 9999 ; OK
-p sctp -m sctp --sport 1:10 --dport 9999 ; = ; OK
-p sctp -m sctp ! --dport 9999 -j DROP ; = ; OK
-p sctp -m sctp --chunk-types all INIT ; = ; OK
-p sctp -m sctp --dport 70000 ; ; FAIL
-m sctp --dport 9999 ; ; FAIL
