-m cgroup --cgroup 1 ; = ; OK
-m cgroup ! --cgroup 1 ; = ; OK
-m cgroup --path a/b ; -m cgroup --path "a/b" ; OK ; NONE
-m cgroup ! --path "a b" ; = ; OK ; NONE
-m cgroup ; ; FAIL
:OUTPUT
-m cgroup --cgroup 1 --path a ; ; FAIL
:FORWARD
-m cgroup --cgroup 1 ; ; FAIL
:PREROUTING
*raw
-m cgroup --cgroup 1 ; ; FAIL
:POSTROUTING
*mangle
-m cgroup --cgroup 1 ; = ; OK
*filter
:INPUT
ip6tables
-m cgroup ! --cgroup 7 ; = ; OK
