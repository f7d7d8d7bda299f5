-m bpf --bytecode "1,6 0 0 65535" ; = ; OK
-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0" ; = ; OK
-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0" -j DROP ; = ; OK
-m bpf ; ; FAIL
-m bpf --bytecode "2,6 0 0 0" ; ; FAIL
-m bpf --bytecode "1,6 0 0" ; ; FAIL
-m bpf --bytecode ",6 0 0 0" ; ; FAIL
ip6tables
-m bpf --bytecode "1,6 0 0 0" ; = ; OK
