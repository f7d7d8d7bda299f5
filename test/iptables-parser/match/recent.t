*filter
:INPUT
-m recent --set ; -m recent --set --name DEFAULT --mask 255.255.255.255 --rsource ; OK
-m recent --name ssh --set --rdest ; -m recent --set --name ssh --mask 255.255.255.255 --rdest ; OK
-m recent --update --seconds 60 --hitcount 4 --name ssh --mask 255.255.255.255 --rsource -j DROP ; = ; OK
-m recent ! --rcheck --seconds 60 --reap --rttl --name ssh --mask 255.255.255.0 --rsource ; = ; OK
-m recent --remove --name x --mask 255.255.255.255 --rsource ; = ; OK
-m recent --name ssh ; ; FAIL
-m recent --set --update ; ; FAIL
-m recent --rcheck --seconds 0 ; ; FAIL
ip6tables
-m recent --set ; -m recent --set --name DEFAULT --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource ; OK
