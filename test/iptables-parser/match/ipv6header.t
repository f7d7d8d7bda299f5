ip6tables
-m ipv6header --header frag,dst --soft ; -m ipv6header --header ipv6-opts,ipv6-frag --soft ; OK
-m ipv6header ! --header hop,esp ; -m ipv6header ! --header hop-by-hop,esp ; OK
-m ipv6header --header tcp ; ; FAIL
-m ipv6header --header none,prot,auth,route ; -m ipv6header --header ipv6-route,ah,ipv6-nonxt,protocol ; OK
-m ipv6header --header hop-by-hop,ipv6-opts ; = ; OK
-m ipv6header --soft ; ; FAIL
-m ipv6header --header 60,43,255 ; -m ipv6header --header ipv6-opts,ipv6-route,protocol ; OK
-m ipv6header --header foo ; ; FAIL
-m ipv6header ! --header frag --soft ; -m ipv6header ! --header ipv6-frag --soft ; OK
