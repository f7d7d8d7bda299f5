ip6tables
-m frag --fragid 5 ; = ; OK
-m frag ! --fragid 5:9 --fragfirst ; = ; OK
-m frag --fraglen 8 --fragmore ; = ; OK
-m frag --fragres --fraglast ; = ; OK
-m frag ! --fraglen 8 ; = ; OK
-m frag --fragid 5 --fraglen 7 --fragres --fragfirst --fragmore ; = ; OK
-m frag --fragmore --fraglast ; ; FAIL
-m frag ; = ; OK
-m frag --fraglast ; = ; OK
