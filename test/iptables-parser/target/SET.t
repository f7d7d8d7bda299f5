%ipset create seen hash:ip timeout 60
%ipset create pairs hash:ip,port
*filter
:INPUT
-j SET --add-set seen src ; = ; OK
-j SET --del-set pairs src,dst ; = ; OK
-j SET --add-set seen src --exist --timeout 10 ; = ; OK
-j SET --add-set seen src --exist ; = ; OK
-j SET ; ; FAIL
-j SET --add-set seen sideways ; ; FAIL
-j SET --add-set seen ; ; FAIL
