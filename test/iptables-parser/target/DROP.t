*filter
:INPUT
-j DROP ; = ; OK
--jump DROP ; -j DROP ; OK
-p udp -j DROP ; = ; OK
-jDROP ; -j DROP ; OK ; NONE
-j DROP --really ; ; FAIL
! -j DROP ; ; FAIL
