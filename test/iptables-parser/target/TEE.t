-j TEE ; ; FAIL
*mangle
:PREROUTING
-j TEE --gateway 10.0.0.1 ; = ; OK
-j TEE --gateway 10.0.0.1 --oif lo ; = ; OK
-j TEE ; ; FAIL
-j TEE --gateway 0.0.0.0 ; ; FAIL
-j TEE --gateway 1.1.1.1 --oif lo ; = ; OK
ip6tables
-j TEE --gateway fd00::1 ; = ; OK
-j TEE --gateway 2001:db8::1 ; = ; OK
