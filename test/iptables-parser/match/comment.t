*filter
:INPUT
-m comment --comment word ; = ; OK
-m comment --comment "two words" -j ACCEPT ; = ; OK
-m comment --comment "a \"quoted\" word, it\'s \\" ; = ; OK
-m comment --comment "! -s 10.0.0.1 -j DROP" -j ACCEPT ; = ; OK
-m comment --comment "" ; = ; OK
-m comment --comment a/b ; -m comment --comment "a/b" ; OK
-m comment ; ; FAIL
-m comment ! --comment word ; ; FAIL
-m comment --comment ; ; FAIL
