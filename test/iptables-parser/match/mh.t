ip6tables
-p mh -m mh --mh-type 3 ; -p mobility-header -m mh --mh-type 3 ; OK
-p mh -m mh --mh-type binding-update:binding-ack ; -p mobility-header -m mh --mh-type 5:6 ; OK
-p mh -m mh ! --mh-type cot ; -p mobility-header -m mh ! --mh-type 4 ; OK
-p mh -m mh --mh-type 0:255 ; -p mobility-header -m mh ; OK
-p mh -m mh ; -p mobility-header -m mh ; OK
-m mh --mh-type 3 ; ; FAIL
-p mh -m mh --mh-type 3:1 ; ; FAIL
