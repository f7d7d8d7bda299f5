*filter
:INPUT
-m iprange --src-range 10.0.0.1-10.0.0.9 ; = ; OK
-m iprange ! --dst-range 10.0.0.1-10.0.0.9 ; = ; OK
-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.0-10.1.0.255 -j DROP ; = ; OK
-m iprange --dst-range 10.0.0.1 ; -m iprange --dst-range 10.0.0.1-10.0.0.1 ; OK
-m iprange ; ; FAIL
-m iprange --src-range 10.0.0.1-fd00::1 ; ; FAIL
-m iprange --src-range 10.0.0.1-there ; ; FAIL
ip6tables
-m iprange --src-range fd00::1-fd00::ff ; = ; OK
