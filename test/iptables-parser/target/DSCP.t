*mangle
:PREROUTING
-j DSCP --set-dscp 0x2e ; = ; OK
-j DSCP --set-dscp 4 ; -j DSCP --set-dscp 0x04 ; OK
-j DSCP --set-dscp-class CS3 ; -j DSCP --set-dscp 0x18 ; OK
-j DSCP --set-dscp 64 ; ; FAIL
-j DSCP ; ; FAIL
