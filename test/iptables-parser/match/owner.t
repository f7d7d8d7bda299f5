*filter
:OUTPUT
-m owner --uid-owner 1000 ; = ; OK
-m owner --uid-owner root ; -m owner --uid-owner 0 ; OK
-m owner ! --uid-owner 0 -j DROP ; = ; OK
-m owner --uid-owner 0-10 --gid-owner 5 ; = ; OK
-m owner ! --gid-owner 5-9 ; = ; OK
-m owner --socket-exists ; = ; OK
-m owner ! --socket-exists -j DROP ; = ; OK
-m owner ; ; FAIL
-m owner --uid-owner 10-0 ; ; FAIL
:INPUT
-m owner --uid-owner 0 ; ; FAIL
