-j ULOG --ulog-nlgroup 2 ; = ; OK ; NONE
-j ULOG ; = ; OK ; NONE
-j ULOG --ulog-nlgroup 33 ; ; FAIL
-j ULOG --ulog-nlgroup 32 --ulog-prefix foo ; -j ULOG --ulog-prefix foo --ulog-nlgroup 32 ; OK ; NONE
-j ULOG --ulog-qthreshold 51 ; ; FAIL
ip6tables
-j ULOG ; ; FAIL
