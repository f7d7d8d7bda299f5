-j SECMARK --selctx system_u:object_r:x:s0 ; ; FAIL
*mangle
-j SECMARK --selctx system_u:object_r:firewalld_exec_t:s0 ; = ; OK ; NONE
-j SECMARK ; ; FAIL
:PREROUTING
-j SECMARK --selctx system_u:object_r:x ; = ; OK ; NONE
-j SECMARK ; ; FAIL
*security
:INPUT
-j SECMARK --selctx system_u:object_r:x:s0 ; = ; OK ; NONE
ip6tables
*mangle
-j SECMARK --selctx system_u:object_r:x:s0 ; = ; OK ; NONE
