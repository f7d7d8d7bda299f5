*filter
:INPUT
-m statistic --mode random --probability 0.5 ; -m statistic --mode random --probability 0.50000000000 ; OK
-m statistic --mode random --probability 0.33333 ; -m statistic --mode random --probability 0.33332999982 ; OK
-m statistic --mode random --probability 0.33333333349 -j ACCEPT ; = ; OK
-m statistic --mode random ! --probability 1 ; -m statistic --mode random ! --probability 1.00000000000 ; OK
-m statistic --mode nth --every 3 --packet 0 ; = ; OK
-m statistic --mode nth ! --every 5 --packet 2 ; = ; OK
-m statistic --mode random --probability 1.5 ; ; FAIL
-m statistic --mode nth --every 3 ; ; FAIL
-m statistic --mode nth --every 3 --packet 3 ; ; FAIL
-m statistic --mode sometimes ; ; FAIL
-m statistic --probability 0.5 ; ; FAIL
-m statistic --mode random ; ; FAIL
