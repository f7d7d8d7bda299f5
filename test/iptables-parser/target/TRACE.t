*raw
:PREROUTING
-j TRACE ; = ; OK
-p tcp -j TRACE ; = ; OK
-p tcp -m tcp --dport 80 -j TRACE ; = ; OK
-j TRACE --loudly ; ; FAIL
! -j TRACE ; ; FAIL
