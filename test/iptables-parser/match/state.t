*filter
:INPUT
-m state --state NEW ; = ; OK
-m state --state ESTABLISHED,RELATED -j ACCEPT ; -m state --state RELATED,ESTABLISHED -j ACCEPT ; OK
-m state ! --state INVALID ; = ; OK
-m state --state untracked ; -m state --state UNTRACKED ; OK
-m state --state DNAT ; ; FAIL
-m state ; ; FAIL
