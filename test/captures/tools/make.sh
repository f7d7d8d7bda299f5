#!/bin/sh
# Makes the captures of this folder: one host with every kind of set, route, rule, link and connection that the readers
# know, as the tools print it in text and in JSON.
#   unshare -nmu sh make.sh DIR      as root, on a kernel with all ip_set_* modules (Debian's has them)
# The tools of Debian 12: iproute2 6.1, ipset 7.17, conntrack 1.4.7, iptables 1.8.9.
set -u
out=${1:?usage: unshare -nmu sh make.sh DIR}
mkdir -p "$out" || exit 1
hostname node1
mkdir -p /run/netns
mount -t tmpfs none /run/netns
try() { "$@" || echo "failed: $*" >&2; }
for d in all default; do echo 0 >"/proc/sys/net/ipv6/conf/$d/accept_dad"; done

# Links
try ip netns add pod-a
try ip link set lo up
try ip link add eth0 type veth peer name peer0
try ip link set eth0 address 02:00:00:00:00:01
try ip link set peer0 address 02:00:00:00:00:02
try ip link add calia type veth peer name eth0 netns pod-a
try ip link set calia address ee:ee:ee:ee:ee:ee
try ip -n pod-a link set eth0 address 02:00:00:00:01:01
try ip link add br0 address 02:00:00:00:00:03 type bridge
try ip link set peer0 master br0
try ip link add link eth0 name eth0.100 address 02:00:00:00:00:04 type vlan id 100
try ip link add dummy0 address 02:00:00:00:00:05 type dummy
try ip link add vxlan.calico address 02:00:00:00:00:06 type vxlan id 4096 dstport 4789 dev eth0
try ip link add blue type vrf table 77
try ip link set blue address 02:00:00:00:00:07
try ip link add tun9 type ipip remote 192.0.2.9 local 10.0.0.1
try ip tuntap add tap0 mode tun
try ip link set dummy0 mtu 9000
try ip link set dummy0 master blue
for d in eth0 peer0 calia br0 eth0.100 vxlan.calico blue tun9 dummy0; do try ip link set $d up; done
try ip -n pod-a link set lo up
try ip -n pod-a link set eth0 up

# Addresses
try ip addr add 10.0.0.1/24 brd + dev eth0
try ip addr add 10.0.0.2/24 dev eth0
try ip addr add 10.1.0.1/32 dev eth0 scope link label eth0:1
try ip addr add 172.16.0.1 peer 172.16.0.2/32 dev tun9
try ip addr add 192.168.77.1/24 dev dummy0
try ip addr add 2001:db8::1/64 dev eth0
try ip addr add 2001:db8:1::1 peer 2001:db8:1::2/128 dev br0
try ip -n pod-a addr add 192.168.236.10/32 dev eth0

# Routes
try ip route add default via 10.0.0.254 dev eth0 proto static metric 100
try ip route add 10.2.0.0/16 src 10.0.0.2 nexthop via 10.0.0.11 dev eth0 weight 3 nexthop via 10.0.0.12 dev eth0 weight 1
try ip route add 10.3.0.0/16 via 172.20.0.1 dev eth0 onlink mtu lock 1400 advmss 1200 tos 0x10
try ip route add 10.4.0.0/16 dev eth0 scope link src 10.0.0.1
try ip route add 10.5.0.0/16 via inet6 fe80::1 dev eth0
for t in unreachable blackhole prohibit throw; do try ip route add $t 10.6.$((n = ${n:-0} + 1)).0/24; done
try ip route add blackhole default metric 4278198272
try ip route add 192.168.236.10 dev calia scope link
try ip route add 10.7.0.0/16 encap ip id 5 src 10.0.0.1 dst 192.0.2.7 dev eth0
try ip nexthop add id 5 via 10.0.0.9 dev eth0
try ip route add 10.8.0.0/16 nhid 5
try ip route add default via 10.0.0.253 dev eth0 table 100
try ip route add 10.9.0.0/16 via 10.0.0.253 table 100 mtu 1300
try ip route add throw default table 200
try ip route add multicast 239.0.0.0/8 dev eth0 table local
try ip -6 route add default via fe80::fe dev eth0 metric 512
try ip -6 route add 2001:db8:2::/48 nexthop via fe80::11 dev eth0 weight 2 nexthop via fe80::12 dev eth0
try ip -6 route add unreachable 2001:db8:3::/48
try ip -6 route add blackhole 2001:db8:4::/48
try ip -6 route add 2001:db8:5::/48 via 2001:db8::5 expires 1000 pref high
try ip -6 route add default via fe80::fd dev eth0 table 100
try ip -n pod-a route add 169.254.1.1 dev eth0 scope link
try ip -n pod-a route add default via 169.254.1.1 dev eth0

# Rules
try ip rule add not from 10.0.0.0/8 to 10.9.0.0/24 tos 0x10 fwmark 0x1/0xff iif eth0 oif nosuch ipproto tcp sport 10-20 dport 80 uidrange 0-100 lookup 100 suppress_prefixlength 0 priority 100
try ip rule add fwmark 0x5 goto 200 priority 101
try ip rule add nop priority 200
try ip rule add blackhole from 10.9.9.9 priority 201
try ip rule add l3mdev priority 1000
try ip rule add unreachable to 10.9.9.8 priority 301
try ip rule add prohibit iif nosuch priority 302
try ip rule add tun_id 5 lookup 7 priority 303
try ip rule add goto 5000 priority 304
try ip rule add ipproto udp dport 53 lookup local priority 305
try ip rule add ipproto icmp suppress_ifgroup 5 lookup main priority 306
try ip -6 rule add from 2001:db8::/32 fwmark 0x1 lookup 100 priority 100
try ip -6 rule add iif lo lookup main priority 101

# Neighbours
try ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:fe dev eth0
try ip neigh add 10.0.0.11 lladdr 02:00:00:00:00:0b dev eth0 nud stale router
try ip neigh add 10.0.0.12 dev eth0 nud failed
try ip neigh add 10.0.0.13 lladdr 02:00:00:00:00:0d dev vxlan.calico nud noarp extern_learn
try ip neigh add proxy 10.0.0.77 dev eth0
try ip neigh add fe80::fe lladdr 02:00:00:00:00:fe dev eth0 router nud permanent

for j in text json; do
  case $j in text) o= e=txt ;; json) o=-j e=json ;; esac
  ip $o addr show >"$out/ip-addr.$e"
  ip $o -d addr show >"$out/ip-d-addr.$e"
  ip $o link show >"$out/ip-link.$e"
  ip $o -d link show >"$out/ip-d-link.$e"
  ip $o route show table all >"$out/ip-route.$e"
  ip $o -d route show table all >"$out/ip-d-route.$e"
  ip $o -4 route show >"$out/ip-route-main.$e"
  ip $o -6 route show >"$out/ip6-route-main.$e"
  ip $o route show table 100 >"$out/ip-route-100.$e"
  ip $o rule show >"$out/ip-rule.$e"
  ip $o -d rule show >"$out/ip-d-rule.$e"
  ip $o -6 rule show >"$out/ip6-rule.$e"
  ip $o neigh show >"$out/ip-neigh.$e"
  ip $o neigh show proxy >"$out/ip-neigh-proxy.$e"
  ip -n pod-a $o addr show >"$out/pod-a-ip-addr.$e"
  ip -n pod-a $o route show table all >"$out/pod-a-ip-route.$e"
done
ip -o addr show >"$out/ip-o-addr.txt"
ip -o link show >"$out/ip-o-link.txt"
ip -o route show table all >"$out/ip-o-route.txt"
ip -s addr show >"$out/ip-s-addr.txt"
ip -s neigh show >"$out/ip-s-neigh.txt"
ip route get 10.2.3.4 >"$out/ip-route-get.txt"
bridge fdb show >"$out/bridge-fdb.txt"
bridge link show >"$out/bridge-link.txt"
bridge -j link show >"$out/bridge-link.json"

# Sets
try ipset create h-ip hash:ip counters comment
try ipset add h-ip 10.0.0.1 comment "the first, of 2"
try ipset add h-ip 10.0.1.0/30
try ipset create h-ip-mask hash:ip netmask 24
try ipset add h-ip-mask 10.1.2.3
try ipset create h-ip6 hash:ip family inet6 timeout 600
try ipset add h-ip6 2001:db8::1 timeout 0
try ipset add h-ip6 2001:db8::2
try ipset create h-net hash:net skbinfo
try ipset add h-net 192.168.0.0/16
try ipset add h-net 192.168.21.0/24 nomatch
try ipset add h-net 10.0.0.7-10.0.0.10
try ipset add h-net 172.16.5.5/12 skbmark 0x1/0xff
try ipset create h-net-all hash:net
try ipset add h-net-all 0.0.0.0/1
try ipset add h-net-all 128.0.0.0/1
try ipset create h-net6 hash:net family inet6
try ipset add h-net6 2001:db8::/32
try ipset add h-net6 2001:db8:1::/48 nomatch
try ipset create h-ip-port hash:ip,port
for p in tcp:80 443 udp:10-12 sctp:9999 udplite:7 icmp:echo-request icmp:3/4 gre:0 89:0; do try ipset add h-ip-port 10.0.0.1,$p; done
try ipset create h-ip-port6 hash:ip,port family inet6
try ipset add h-ip-port6 2001:db8::1,icmpv6:128/0
try ipset add h-ip-port6 2001:db8::1,tcp:80
try ipset create h-ip-port-ip hash:ip,port,ip
try ipset add h-ip-port-ip 10.0.0.1,tcp:80,10.0.0.1
try ipset create h-ip-port-net hash:ip,port,net
try ipset add h-ip-port-net 198.51.100.7,tcp:80,203.0.113.0/24
try ipset add h-ip-port-net 198.51.100.7,tcp:80,203.0.113.8/29 nomatch
try ipset create h-net-port hash:net,port
try ipset add h-net-port 10.0.0.0/8,udp:53
try ipset create h-net-net hash:net,net
try ipset add h-net-net 10.0.0.0/8,192.168.0.0/16
try ipset create h-net-port-net hash:net,port,net
try ipset add h-net-port-net 10.0.0.0/8,tcp:22,192.168.0.0/16
try ipset create h-net-iface hash:net,iface
try ipset add h-net-iface 10.0.0.0/8,eth0
try ipset add h-net-iface 0.0.0.0/0,physdev:calia
try ipset create h-mac hash:mac
try ipset add h-mac 02:00:00:00:00:FE
try ipset create h-ip-mac hash:ip,mac
try ipset add h-ip-mac 10.0.0.1,02:00:00:00:00:FE
try ipset create h-ip-mark hash:ip,mark markmask 0xff
try ipset add h-ip-mark 10.0.0.1,0x10
try ipset create b-ip bitmap:ip range 10.0.0.0/24
try ipset add b-ip 10.0.0.5-10.0.0.6
try ipset create b-ip-mask bitmap:ip range 10.0.0.0/16 netmask 24
try ipset add b-ip-mask 10.0.3.0
try ipset create b-ip-mac bitmap:ip,mac range 10.0.0.0/24
try ipset add b-ip-mac 10.0.0.5,02:00:00:00:00:05
try ipset add b-ip-mac 10.0.0.6
try ipset create b-port bitmap:port range 0-65535
try ipset add b-port 30000-30002
try ipset create l-set list:set size 8
try ipset add l-set h-net
try ipset add l-set h-ip
try ipset create empty hash:net
ipset save >"$out/ipset-save.txt"
ipset list >"$out/ipset-list.txt"
ipset list -t >"$out/ipset-list-terse.txt"
ipset version >"$out/ipset-version.txt"

# Settings
sysctl -a 2>/dev/null | grep -E '^net\.ipv[46]\.(ip_forward|conf\.(all|eth0|eth0.100|lo)\.(rp_filter|forwarding|route_localnet) )' >"$out/sysctl.txt"
grep . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0*/rp_filter >"$out/proc-sys.txt"
uname -a >"$out/uname.txt"
iptables -V >"$out/iptables-version.txt"

# Connections
c() { conntrack -I "$@" >/dev/null || echo "failed: conntrack $*" >&2; }
c -p tcp -s 10.0.0.5 -d 10.96.0.1 --sport 40000 --dport 443 -r 192.168.21.11 -q 10.0.0.5 --reply-port-src 6443 --reply-port-dst 40000 --state ESTABLISHED -t 3600 -u ASSURED,SEEN_REPLY -m 5
c -p tcp -s 10.0.0.5 -d 10.0.0.6 --sport 40001 --dport 80 --state SYN_SENT -t 100
c -p udp -s 10.0.0.5 -d 10.0.0.6 --sport 53 --dport 53 -t 100 -u SEEN_REPLY
c -p icmp -s 10.0.0.5 -d 10.0.0.6 --icmp-type 8 --icmp-code 0 --icmp-id 1234 -t 100
c -p sctp -s 10.0.0.5 -d 10.0.0.6 --orig-port-src 9 --orig-port-dst 10 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 -t 100
c -p gre -s 10.0.0.5 -d 10.0.0.6 --srckey 1 --dstkey 2 -t 100
c -p tcp -s 2001:db8::5 -d 2001:db8::6 --sport 40000 --dport 443 --state TIME_WAIT -t 100 -u SEEN_REPLY
c -p icmpv6 -s 2001:db8::5 -d 2001:db8::6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77 -t 100
conntrack -L >"$out/conntrack.txt" 2>&1
conntrack -L -f ipv6 >"$out/conntrack6.txt" 2>&1
conntrack -L -o extended >"$out/conntrack-extended.txt" 2>&1
conntrack -L -o id >"$out/conntrack-id.txt" 2>&1
cat /proc/net/nf_conntrack >"$out/nf_conntrack.txt"

# Rules of iptables, as a save and as lists
iptables-legacy -P FORWARD DROP
iptables-legacy -N own
iptables-legacy -A FORWARD -i calia -j own
iptables-legacy -A own -p tcp --dport 80 -j ACCEPT
iptables-legacy -t nat -A POSTROUTING -s 192.168.0.0/16 -m set ! --match-set h-net dst -j MASQUERADE
iptables-legacy-save -c >"$out/iptables-legacy-save.txt"
iptables-legacy -S >"$out/iptables-S.txt"
iptables-legacy -t nat -S >"$out/iptables-t-nat-S.txt"
ip6tables-legacy-save >"$out/ip6tables-legacy-save.txt"
exit 0
