%ipset create addrs hash:ip
%ipset create nets hash:net counters
%ipset create pairs hash:ip,port
*filter
:INPUT
-m set --match-set addrs src ; = ; OK
-m set ! --match-set nets dst -j DROP ; = ; OK
-m set --match-set pairs dst,dst ; = ; OK
-m set --match-set addrs src -m set ! --match-set nets dst ; = ; OK
-m set --match-set nets src --return-nomatch ; = ; OK
-m set --match-set nets src ! --update-counters --packets-gt 5 ; = ; OK
-m set --match-set nets src ! --update-counters --bytes-eq 5 ; = ; OK
-m set --match-set addrs sideways ; ; FAIL
-m set --match-set addrs ; ; FAIL
-m set --match-set abcdefghijklmnopqrstuvwxyz1234567 src ; ; FAIL
-m set --match-set pairs src,src,src,src,src,src,src ; ; FAIL
-m set ; ; FAIL
