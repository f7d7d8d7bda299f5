ip6tables
-m rt --rt-type 0 ; = ; OK
-m rt ! --rt-type 0 --rt-segsleft 1:23 --rt-len 42 --rt-0-res ; ; FAIL
-m rt --rt-type 0 --rt-0-addrs fd00::1,fd00::2 --rt-0-not-strict ; = ; OK
-m rt --rt-type 0 --rt-0-addrs fd00::1 ; = ; OK
-m rt --rt-0-addrs fd00::1 ; ; FAIL
-m rt ; = ; OK
-m rt ! --rt-segsleft 5 ! --rt-len 3 ; = ; OK
-m rt --rt-type 0 --rt-segsleft 0:4294967295 ; -m rt --rt-type 0 ; OK
