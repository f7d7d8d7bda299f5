*filter
:INPUT
-j AUDIT --type accept ; = ; OK
-j AUDIT --type drop ; = ; OK
-p tcp -j AUDIT --type reject ; = ; OK
-j AUDIT ; ; FAIL
-j AUDIT --type maybe ; ; FAIL
