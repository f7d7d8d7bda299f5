-m cpu --cpu 0 ; = ; OK
-m cpu ! --cpu 3 ; = ; OK
-m cpu --cpu x ; ; FAIL
-m cpu ; ; FAIL
-m cpu --cpu 0x2 ; -m cpu --cpu 2 ; OK
ip6tables
:FORWARD
-m cpu --cpu 1 ; = ; OK
