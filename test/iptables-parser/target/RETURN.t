*filter
:INPUT
-j RETURN ; = ; OK
--jump RETURN ; -j RETURN ; OK
-p udp -j RETURN ; = ; OK
-jRETURN ; -j RETURN ; OK ; NONE
-j RETURN --really ; ; FAIL
! -j RETURN ; ; FAIL
