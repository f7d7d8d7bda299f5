-p tcp -j TCPOPTSTRIP --strip-options 8 ; ; FAIL
-p tcp -j TCPOPTSTRIP --strip-options mss ; ; FAIL
*mangle
-p tcp -j TCPOPTSTRIP --strip-options mss,timestamp,200 ; -p tcp -j TCPOPTSTRIP --strip-options 2,8,200 ; OK
-p udp -j TCPOPTSTRIP --strip-options mss ; ; FAIL
:PREROUTING
-p tcp -j TCPOPTSTRIP --strip-options 8 ; = ; OK
-p tcp -j TCPOPTSTRIP --strip-options wscale,mss,sack-permitted,sack,timestamp,md5 ; -p tcp -j TCPOPTSTRIP --strip-options 2,3,4,5,8,19 ; OK
-p tcp -j TCPOPTSTRIP ; = ; OK
-j TCPOPTSTRIP --strip-options 8 ; ; FAIL
-p tcp -j TCPOPTSTRIP --strip-options 256 ; ; FAIL
-p tcp -j TCPOPTSTRIP --strip-options 2,3,4 ; = ; OK
ip6tables
:FORWARD
-p tcp -j TCPOPTSTRIP --strip-options sack ; -p tcp -j TCPOPTSTRIP --strip-options 5 ; OK
