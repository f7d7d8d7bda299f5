#!/bin/sh
# Makes the captures about IPVS of this folder: virtual servers of every kind, connections in many states, and each listing of
# them. Needs a kernel that has IPVS, so it runs in a guest (as root) and prints a tar:
#   test/oracle/uml.sh sh test/captures/tools/make-ipvs.sh </dev/null | tar -xC test/captures/tools
# Debian 12: kernel 6.1 (100 ticks a second), ipvsadm 1.31.
set -u
out=$(mktemp -d)
try() { "$@" >&2 || echo "failed: $*" >&2; }
i() { try ipvsadm "$@"; }

# A client, this director, and one namespace with all real servers.
modprobe -a ip_vs ip_vs_ftp ip_vs_pe_sip sctp nf_conntrack iptable_mangle ip6table_mangle
try ip netns add client
try ip netns add servers
try ip link add c0 type veth peer name eth0 netns client
try ip link add s0 type veth peer name eth0 netns servers
try ip link add vips type dummy
for d in c0 s0 vips; do try ip link set $d up; done
for n in client servers; do
  for d in lo eth0; do try ip -n $n link set $d up; done
done
try ip addr add 10.0.0.1/24 dev c0
try ip addr add 10.1.0.254/24 dev s0
try ip -6 addr add 2001:db8:a::1/64 dev c0 nodad
try ip -6 addr add 2001:db8:b::fe/64 dev s0 nodad
try ip -n client addr add 10.0.0.2/24 dev eth0
try ip -n client -6 addr add 2001:db8:a::2/64 dev eth0 nodad
try ip -n client route add default via 10.0.0.1
try ip -n client -6 route add default via 2001:db8:a::1
for n in 1 2 3; do
  try ip -n servers addr add 10.1.0.$n/24 dev eth0
  try ip -n servers -6 addr add 2001:db8:b::$n/64 dev eth0 nodad
done
try ip -n servers route add default via 10.1.0.254
try ip -n servers -6 route add default via 2001:db8:b::fe
for n in $(seq 1 40); do try ip addr add 10.96.0.$n/32 dev vips; done
for n in 1 2 3; do try ip -6 addr add 2001:db8::$n/128 dev vips nodad; done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.vs.conntrack=1 net.ipv4.vs.sloppy_tcp=1
printf '127.0.0.1 localhost\n10.1.0.3 web3.example\n10.96.0.39 a-name-longer-than-the-column.example\n' >"$out/hosts"
mount --bind "$out/hosts" /etc/hosts
printf 'hosts: files\nservices: files\n' >"$out/nsswitch"
mount --bind "$out/nsswitch" /etc/nsswitch.conf

# Every scheduler and flag
n=4
for s in rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh; do
  i -A -t 10.96.0.$n:80 -s $s
  for r in 192.168.0.2:8080 10.1.0.9:8080 10.1.0.10:8080 172.16.0.1:80 10.1.0.10:80; do i -a -t 10.96.0.$n:80 -r $r -m -w $n; done
  n=$((n + 1))
done
i -A -t 10.96.0.30:1 -s sh -b sh-fallback
i -A -t 10.96.0.30:2 -s sh -b sh-port
i -A -t 10.96.0.30:3 -s sh -b sh-fallback,sh-port
i -A -t 10.96.0.30:4 -s sh -b flag-3
i -A -t 10.96.0.30:5 -s mh -b mh-fallback,mh-port
i -A -t 10.96.0.30:6 -s rr -b flag-1,flag-2,flag-3
i -A -u 10.96.0.30:7 -s rr -o
i -A -u [2001:db8::3]:7 -s rr -o
# Persistence
i -A -t 10.96.0.31:0 -s wrr -p 100
i -a -t 10.96.0.31:0 -r 10.1.0.1 -g
i -A -t 10.96.0.31:1 -s rr -p
i -A -t 10.96.0.31:2 -s rr -p 10800 -M 255.255.240.0
i -A -t [2001:db8::3]:2 -s rr -p 10800
i -A -t [2001:db8::3]:3 -s rr -p 10800 -M 56
i -A -u 10.96.0.31:5060 -s rr -p 360 --pe sip
i -a -u 10.96.0.31:5060 -r 10.1.0.1:5060 -m
# Forwarding methods, weights and thresholds
i -A -t 10.96.0.32:443 -s wlc
i -a -t 10.96.0.32:443 -r 10.1.0.21 -g -w 3
i -a -t 10.96.0.32:443 -r 10.1.0.22 -i -w 0
i -a -t 10.96.0.32:443 -r 10.1.0.23 -i --tun-type gue --tun-port 6080
i -a -t 10.96.0.32:443 -r 10.1.0.24 -i --tun-type gue --tun-port 6081 --tun-csum
i -a -t 10.96.0.32:443 -r 10.1.0.25 -i --tun-type gue --tun-port 6082 --tun-remcsum
i -a -t 10.96.0.32:443 -r 10.1.0.26 -i --tun-type gre
i -a -t 10.96.0.32:443 -r 10.1.0.27 -i --tun-type gre --tun-csum -w 65535
i -a -t 10.96.0.32:443 -r 10.96.0.1:8443 -m -x 500 -y 400
i -a -t 10.96.0.32:443 -r [2001:db8:b::9]:443 -i -x 7
i -A -t [2001:db8::2]:443 -s rr
i -a -t [2001:db8::2]:443 -r [2001:db8:b::9]:443 -g
i -a -t [2001:db8::2]:443 -r 10.1.0.28:443 -i --tun-type gre --tun-csum
i -A --sctp-service 10.96.0.32:9 -s lc
i -A --sctp-service [2001:db8::2]:9 -s lc
# Firewall marks
i -A -f 7 -s sh -p 300 -M 255.255.255.0 -b sh-port
i -a -f 7 -r 10.1.0.1 -g
i -A -f 7 -6 -s mh -p 300 -M 64 -b mh-port
i -A -f 8 -6 -s rr
i -A -f 9 -6 -s rr
i -a -f 9 -6 -r [2001:db8:b::9]:0 -m
i -A -f 4294967295 -s rr -o
i -a -f 4294967295 -r 10.1.0.3:80 -m
# Names, where -n does not forbid them
i -A -t 10.96.0.33:443 -s rr
i -a -t 10.96.0.33:443 -r 10.1.0.3:8080 -m
i -a -t 10.96.0.33:443 -r 10.1.0.1:8080 -m
i -A -t 10.96.0.39:443 -s rr

# Virtual servers that are used. Port 21 brings a connection that waits for its client's port.
i -A -t 10.96.0.1:443 -s rr
i -a -t 10.96.0.1:443 -r 10.1.0.2:6443 -m
i -a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m
i -A -t 10.96.0.1:81 -s rr
i -a -t 10.96.0.1:81 -r 10.1.0.1:81 -m
i -A -t 10.96.0.1:82 -s rr
i -a -t 10.96.0.1:82 -r 10.1.0.1:82 -m
i -A -t 10.96.0.1:21 -s rr
i -a -t 10.96.0.1:21 -r 10.1.0.1:21 -m
i -A -t 10.96.0.2:443 -s rr -p 10800 -M 255.255.255.0
i -a -t 10.96.0.2:443 -r 10.1.0.1:6443 -m
i -A -t 10.96.0.2:81 -s rr -p 600
i -a -t 10.96.0.2:81 -r 10.1.0.2:81 -m
i -A -u 10.96.0.1:53 -s rr
i -a -u 10.96.0.1:53 -r 10.1.0.2:53 -m
i -A --sctp-service 10.96.0.1:9999 -s rr
i -a --sctp-service 10.96.0.1:9999 -r 10.1.0.1:9999 -m
i -A -t [2001:db8::1]:443 -s rr -p 300
i -a -t [2001:db8::1]:443 -r [2001:db8:b::1]:6443 -m
i -A -u [2001:db8::1]:53 -s rr
i -a -u [2001:db8::1]:53 -r [2001:db8:b::2]:53 -m
i -A -f 5 -s rr -p 300
i -a -f 5 -r 10.1.0.1:0 -m
i -A -f 5 -6 -s rr -p 300 -M 64
i -a -f 5 -6 -r [2001:db8:b::1]:0 -m
try iptables-legacy -t mangle -A PREROUTING -d 10.96.0.3 -j MARK --set-mark 5
try ip6tables-legacy -t mangle -A PREROUTING -d 2001:db8::3 -j MARK --set-mark 5
try ip netns exec servers iptables-legacy -A INPUT -p tcp --dport 81 -j DROP

cat >"$out/servers.py" <<'X'
import os, socket, threading, time
SCTP = 132
def tcp(family, host, port, serve, proto=0):
    s = socket.socket(family, socket.SOCK_STREAM, proto)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, port)); s.listen(50)
    while True:
        threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
def echo(c):
    try:
        while True:
            data = c.recv(100)
            if data == b'reset':
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0'); c.close(); return
            if data == b'close': c.close(); return
            if not data: time.sleep(600)  # half closed
            c.send(data)
    except OSError: pass
def passive(c):
    c.send(b'220 ready\r\n'); c.recv(100); c.send(b'227 Entering Passive Mode (10,1,0,1,200,10).\r\n'); time.sleep(600)
def udp(family, host, port):
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((host, port))
    while True:
        data, peer = s.recvfrom(2000); s.sendto(data, peer)
V4, V6 = socket.AF_INET, socket.AF_INET6
for args in ((V4, '', 6443, echo), (V6, '::1', 6442, echo), (V6, '2001:db8:b::1', 6443, echo), (V4, '', 21, passive), (V4, '', 8088, echo), (V6, '2001:db8:b::1', 8088, echo), (V4, '', 9999, echo, SCTP)):
    threading.Thread(target=tcp, args=args, daemon=True).start()
for args in ((V4, '10.1.0.2', 53), (V6, '2001:db8:b::2', 53), (V4, '10.1.0.1', 5060)):
    threading.Thread(target=udp, args=args, daemon=True).start()
time.sleep(600)
X
cat >"$out/client.py" <<'X'
import socket, sys, time
V4, V6, held = socket.AF_INET, socket.AF_INET6, []
def tcp(host, port, *words, sport=0, proto=0, wait=True):
    s = socket.socket(V6 if ':' in host else V4, socket.SOCK_STREAM, proto)
    s.bind(('', sport)); s.settimeout(3); s.setblocking(wait)
    if wait: s.settimeout(3)
    held.append(s)
    try:
        s.connect((host, port))
        for word in words: s.send(word); s.recv(100)
    except BlockingIOError: pass
    except OSError as e: print(host, port, e, file=sys.stderr)
    return s
def udp(host, port, data, sport):
    s = socket.socket(V6 if ':' in host else V4, socket.SOCK_DGRAM); held.append(s)
    s.bind(('', sport)); s.settimeout(3); s.sendto(data, (host, port))
    try: s.recv(2000)
    except OSError as e: print(host, port, e, file=sys.stderr)
tcp('10.96.0.1', 443, b'x', sport=40001)
tcp('10.96.0.1', 443, b'x', sport=40002)
tcp('2001:db8::1', 443, b'x', sport=40003)
tcp('10.96.0.1', 443, b'x', sport=40004).shutdown(socket.SHUT_WR)   # FIN_WAIT
tcp('10.96.0.1', 443, b'close', sport=40005).close()                # TIME_WAIT
tcp('10.96.0.1', 443, b'reset', sport=40006)                        # CLOSE
tcp('10.96.0.1', 443, b'close', sport=40007)                        # the server closes first
tcp('10.96.0.1', 81, sport=40008, wait=False)                       # SYN_RECV
tcp('10.96.0.1', 82, sport=40009)                                   # refused
tcp('10.96.0.1', 21, b'PASV\r\n', b'x', sport=40010, wait=True)
tcp('10.96.0.2', 443, b'x', sport=40011)
tcp('10.96.0.2', 81, sport=40012, wait=False)
tcp('10.96.0.3', 8088, b'x', sport=40013)
tcp('2001:db8::3', 8088, b'x', sport=40014)
tcp('10.96.0.1', 9999, b'x', sport=40015, proto=132)
udp('10.96.0.1', 53, b'x', 40016)
udp('2001:db8::1', 53, b'x', 40017)
udp('10.96.0.31', 5060, b'INVITE sip:a@example SIP/2.0\r\nCall-ID: 4711@client.example\r\nContent-Length: 0\r\n\r\n', 40018)
print('ready', flush=True)
time.sleep(600)
X
ip netns exec servers python3 "$out/servers.py" >&2 &
servers=$!
sleep 1
ip netns exec client python3 "$out/client.py" >"$out/ready" &
client=$!
until [ -s "$out/ready" ]; do sleep 0.2; done

mkdir "$out/x"
cd "$out/x" || exit 1
ipvsadm -Sn >ipvsadm-Sn.txt
ipvsadm -S >ipvsadm-S.txt
ipvsadm -Ln >ipvsadm-Ln.txt
ipvsadm -L >ipvsadm-L.txt
for o in nosort stats rate thresholds persistent-conn tun-info timeout; do ipvsadm -Ln --$o >ipvsadm-Ln-$o.txt; done
ipvsadm -Ln --stats --exact >ipvsadm-Ln-stats-exact.txt
ipvsadm -Ln -t 10.96.0.32:443 >ipvsadm-Ln-t.txt
ipvsadm -Lnc >ipvsadm-Lnc.txt
ipvsadm -Lnc --persistent-conn >ipvsadm-Lnc-persistent-conn.txt
ipvsadm -Lc >ipvsadm-Lc.txt
for f in ip_vs ip_vs_conn ip_vs_conn_sync ip_vs_stats ip_vs_stats_percpu ip_vs_app; do cat /proc/net/$f >proc-net-$f.txt; done
kill "$client" "$servers"
tar -cf - ./*
