-j IDLETIMER --timeout 5 --label x ; = ; OK
-j IDLETIMER --timeout 5 --label x2 --alarm ; = ; OK
-j IDLETIMER --timeout 5 ; ; FAIL
-j IDLETIMER --label y ; ; FAIL
-j IDLETIMER --timeout 5 --label "" ; ; FAIL
-j IDLETIMER --timeout 42 --label foo ; = ; OK
-j IDLETIMER --timeout 0 --label foo ; ; FAIL
ip6tables
-j IDLETIMER --timeout 7 --label foo6 ; = ; OK
