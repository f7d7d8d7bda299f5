:FORWARD
-p tcp --dport 80 -j NFQUEUE --queue-num 3 --queue-bypass ; -p tcp -m tcp --dport 80 -j NFQUEUE --queue-num 3 --queue-bypass ; OK
-j NFQUEUE --queue-balance 0:3 --queue-bypass --queue-cpu-fanout ; = ; OK
:INPUT
-j NFQUEUE ; -j NFQUEUE --queue-num 0 ; OK
-j NFQUEUE --queue-num 5 ; = ; OK
-j NFQUEUE --queue-num 5 --queue-bypass ; = ; OK
-j NFQUEUE --queue-balance 0:3 ; = ; OK
-j NFQUEUE --queue-balance 0:6 --queue-bypass --queue-cpu-fanout ; = ; OK
-j NFQUEUE --queue-balance 3:1 ; ; FAIL
-j NFQUEUE --queue-num 65536 ; ; FAIL
-j NFQUEUE --queue-balance 1:3 --queue-num 4 ; ; FAIL
-j NFQUEUE --queue-bypass ; -j NFQUEUE --queue-num 0 --queue-bypass ; OK
-j NFQUEUE --queue-num 4 --queue-cpu-fanout ; ; FAIL
*raw
:PREROUTING
-j NFQUEUE ; -j NFQUEUE --queue-num 0 ; OK
