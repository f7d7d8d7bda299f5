*raw
:PREROUTING
-m rpfilter ; = ; OK
-m rpfilter --loose --validmark --accept-local --invert ; = ; OK
-m rpfilter --invert -j DROP ; = ; OK
-m rpfilter --accept-local --loose ; -m rpfilter --loose --accept-local ; OK
*mangle
-m rpfilter --validmark ; = ; OK
:INPUT
-m rpfilter ; ; FAIL
*filter
-m rpfilter ; ; FAIL
