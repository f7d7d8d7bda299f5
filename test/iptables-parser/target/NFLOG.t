*filter
:INPUT
-j NFLOG --nflog-group 3 ; = ; OK
-j NFLOG ; = ; OK
-j NFLOG --nflog-prefix "two words" --nflog-group 1 ; = ; OK
-j NFLOG --nflog-size 128 --nflog-threshold 20 ; = ; OK
-j NFLOG --nflog-group 0 --nflog-threshold 1 ; -j NFLOG --nflog-threshold 1 ; OK
-j NFLOG --nflog-group 70000 ; ; FAIL
-j NFLOG --nflog-prefix ; ; FAIL
