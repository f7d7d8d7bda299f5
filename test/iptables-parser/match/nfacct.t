-m nfacct --nfacct-name web ; = ; OK ; NONE
-m nfacct ; ; FAIL
-m nfacct --nfacct-name web -j DROP ; = ; OK ; NONE
-m nfacct ! --nfacct-name web ; ; FAIL
ip6tables
-m nfacct --nfacct-name web6 ; = ; OK ; NONE
