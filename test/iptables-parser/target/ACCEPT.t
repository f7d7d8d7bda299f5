*filter
:INPUT
-j ACCEPT ; = ; OK
--jump ACCEPT ; -j ACCEPT ; OK
-p udp -j ACCEPT ; = ; OK
-jACCEPT ; -j ACCEPT ; OK ; NONE
-j ACCEPT --really ; ; FAIL
! -j ACCEPT ; ; FAIL
