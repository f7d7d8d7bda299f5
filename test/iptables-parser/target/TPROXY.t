:FORWARD
-p tcp -j TPROXY --on-port 50080 ; ; FAIL
:INPUT
-p tcp -j TPROXY --on-port 5000 ; ; FAIL
*mangle
:FORWARD
-p tcp -j TPROXY --on-port 50080 ; ; FAIL
:PREROUTING
-p tcp -j TPROXY --on-port 5000 ; -p tcp -j TPROXY --on-port 5000 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0 ; OK
-p udp -j TPROXY --on-port 5000 --on-ip 127.0.0.1 --tproxy-mark 1 ; -p udp -j TPROXY --on-port 5000 --on-ip 127.0.0.1 --tproxy-mark 0x1/0xffffffff ; OK
-p tcp -j TPROXY --on-port 5000 --tproxy-mark 1/0xff ; -p tcp -j TPROXY --on-port 5000 --on-ip 0.0.0.0 --tproxy-mark 0x1/0xff ; OK
-p tcp -j TPROXY ; ; FAIL
-j TPROXY --on-port 5000 ; ; FAIL
-p tcp -j TPROXY --on-port 0 ; -p tcp -j TPROXY --on-port 0 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0 ; OK
-p tcp -j TPROXY --on-port 50080 --on-ip 10.0.0.1 --tproxy-mark 0x1/0x1 ; = ; OK
-p icmp -j TPROXY --on-port 50080 ; ; FAIL
ip6tables
-p tcp -j TPROXY --on-port 5000 --on-ip fd00::1 ; -p tcp -j TPROXY --on-port 5000 --on-ip fd00::1 --tproxy-mark 0x0/0x0 ; OK
-p udp -j TPROXY --on-port 53 ; -p udp -j TPROXY --on-port 53 --on-ip :: --tproxy-mark 0x0/0x0 ; OK
