-m helper --helper ftp ; = ; OK
-m helper ! --helper ftp-2121 ; = ; OK
-m helper --helper "" ; = ; OK
-m helper ; ; FAIL
-m helper ! --helper sip -j DROP ; = ; OK
ip6tables
-m helper --helper ftp-2121 ; = ; OK
