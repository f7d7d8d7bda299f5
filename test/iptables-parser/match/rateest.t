%iptables-legacy -t mangle -A PREROUTING -j RATEEST --rateest-name r --rateest-interval 250ms --rateest-ewmalog 500ms
%iptables-legacy -t mangle -A PREROUTING -j RATEEST --rateest-name q --rateest-interval 250ms --rateest-ewmalog 500ms
-m rateest --rateest r --rateest-lt --rateest-bps 8bit ; = ; OK
-m rateest --rateest r --rateest-gt --rateest-pps 5 ; = ; OK
-m rateest --rateest1 r --rateest-gt --rateest-bps --rateest2 q ; = ; OK
-m rateest --rateest-gt --rateest-pps 5 ; ; FAIL
-m rateest --rateest r ; ; FAIL
