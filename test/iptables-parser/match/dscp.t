*filter
:INPUT
-m dscp --dscp 0x2e ; = ; OK
-m dscp --dscp-class EF ; -m dscp --dscp 0x2e ; OK
-m dscp --dscp-class af21 ; -m dscp --dscp 0x12 ; OK
-m dscp ! --dscp 0 ; -m dscp ! --dscp 0x00 ; OK
-m dscp --dscp 64 ; ; FAIL
-m dscp ; ; FAIL
