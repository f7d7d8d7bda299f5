-m connlimit --connlimit-upto 5 ; -m connlimit --connlimit-upto 5 --connlimit-mask 32 --connlimit-saddr ; OK
-m connlimit --connlimit-above 5 --connlimit-mask 24 --connlimit-daddr ; = ; OK
-m connlimit ! --connlimit-above 5 ; -m connlimit --connlimit-upto 5 --connlimit-mask 32 --connlimit-saddr ; OK
-m connlimit ! --connlimit-upto 5 ; -m connlimit --connlimit-above 5 --connlimit-mask 32 --connlimit-saddr ; OK
-m connlimit --connlimit-above 5 --connlimit-mask 33 ; -m connlimit --connlimit-above 5 --connlimit-mask 32 --connlimit-saddr ; OK
-m connlimit ; ; FAIL
ip6tables
-m connlimit --connlimit-above 5 --connlimit-mask 64 ; -m connlimit --connlimit-above 5 --connlimit-mask 64 --connlimit-saddr ; OK
-m connlimit --connlimit-above 5 ; -m connlimit --connlimit-above 5 --connlimit-mask 128 --connlimit-saddr ; OK
