*mangle
:PREROUTING
-j RATEEST --rateest-name r --rateest-interval 250ms --rateest-ewmalog 500ms ; -j RATEEST --rateest-name r --rateest-interval 250.0ms --rateest-ewmalog 500.0ms ; OK
-j RATEEST --rateest-name r0 --rateest-interval 1s --rateest-ewmalog 2s ; -j RATEEST --rateest-name r0 --rateest-interval 1.0s --rateest-ewmalog 2.0s ; OK
-j RATEEST --rateest-name r ; ; FAIL
-j RATEEST --rateest-name r1 --rateest-interval 250ms --rateest-ewma 500ms ; -j RATEEST --rateest-name r1 --rateest-interval 250.0ms --rateest-ewmalog 500.0ms ; OK
-j RATEEST --rateest-name r1 ; ; FAIL
-j RATEEST --rateest-interval 250ms --rateest-ewma 500ms ; ; FAIL
-j RATEEST --rateest-name r2 --rateest-interval 1s --rateest-ewma 2s ; -j RATEEST --rateest-name r2 --rateest-interval 1.0s --rateest-ewmalog 2.0s ; OK
