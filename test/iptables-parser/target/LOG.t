*filter
:INPUT
-j LOG ; = ; OK
-j LOG --log-prefix "two words " ; = ; OK
-j LOG --log-prefix x --log-level debug --log-uid ; -j LOG --log-prefix x --log-level 7 --log-uid ; OK
-j LOG --log-level warning ; -j LOG ; OK
-j LOG --log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode ; = ; OK
-j LOG --log-prefix aaaaaaaaaabbbbbbbbbbcccccccccd ; -j LOG --log-prefix aaaaaaaaaabbbbbbbbbbccccccccc ; OK
-j LOG --log-prefix ; ; FAIL
-j LOG --log-level loud ; ; FAIL
-j LOG --log-level 8 ; ; FAIL
