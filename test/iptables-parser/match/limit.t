*filter
:INPUT
-m limit --limit 5/min ; = ; OK
-m limit ; -m limit --limit 3/hour ; OK
-m limit --limit 10 --limit-burst 20 ; -m limit --limit 10/sec --limit-burst 20 ; OK
-m limit --limit 7/minute --limit-burst 5 -j ACCEPT ; -m limit --limit 7/min -j ACCEPT ; OK
-m limit --limit 1/day --limit-burst 1 ; = ; OK
-m limit --limit 1/day ; = ; OK ; NFT
-m limit --limit 1000/sec ; = ; OK
-m limit --limit 60/min ; -m limit --limit 1/sec ; OK
-m limit --limit 5/fortnight ; ; FAIL
-m limit ! --limit 5/min ; ; FAIL
-m limit --limit 0/sec ; ; FAIL
-m limit --limit 20000/sec ; ; FAIL
