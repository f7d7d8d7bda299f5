#!/bin/bash
# The network of scenarios/ippool-overlaps-host, built in namespaces with the real tools:
#
#   pod-a --calia9589d79281-- worker1 --ens192--+-- lan --+-- gateway --wan0-- internet
#   192.168.236.10            192.168.21.20     |         192.168.21.1   203.0.113.2, 223.5.5.5
#                             master --ens192---+
#                             192.168.21.11
#
# It asks the five questions of the report with real sockets and fails where one comes out otherwise.
# With --capture it then writes what `netwhy capture` collects on each node into the scenario's folder.
# Run as root; everything lives in private namespaces and is gone when the script ends.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ "${NETWHY_INSIDE:-}" != 1 ]; then
  NETWHY_INSIDE=1 exec unshare --mount --net --pid --fork --mount-proc --kill-child "$0" "$@"
fi

declare -A pid
node() { # a node is a process that holds its namespaces; the private /run keeps its named namespaces its own
  # shellcheck disable=SC2016
  unshare --net --uts --mount sh -c 'hostname "$1" && mount -t tmpfs none /run && exec sleep infinity' sh "$1" &
  pid[$1]=$!
  until [ "$(nsenter -t "${pid[$1]}" -u uname -n 2>/dev/null)" = "$1" ] && [ "$(nsenter -t "${pid[$1]}" -m stat -f -c %T /run)" = tmpfs ]; do sleep 0.05; done
  on "$1" ip link set lo up
}
on() { # NODE COMMAND...
  local n=$1
  shift
  nsenter -t "${pid[$n]}" -n -u -m "$@"
}
pod() { on worker1 ip netns exec pod-a "$@"; }
device() { # NODE NAME MAC ADDRESS...: one end of a wire, the other end being a port of the bridge $wire here
  local n=$1 name=$2 mac=$3
  shift 3
  ip link add "p-$n" type veth peer name "$name" netns "${pid[$n]}"
  ip link set "p-$n" master "$wire" up
  on "$n" ip link set "$name" address "$mac" up
  for address; do on "$n" ip addr add "$address" brd + dev "$name"; done
}

for n in worker1 master gateway internet; do node $n; done
sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link set lo up
wire=lan
ip link add lan type bridge
ip link set lan up
# systemd's defaults on Debian and Ubuntu: loose source checks on every device
for n in worker1 master; do on $n sysctl -qw net.ipv4.conf.default.rp_filter=2 net.ipv4.conf.lo.rp_filter=2; done
device worker1 ens192 00:50:56:b3:21:20 192.168.21.20/24
device master ens192 00:50:56:b3:21:11 192.168.21.11/24
device gateway eth0 00:50:56:b3:21:01 192.168.21.1/24
for n in worker1 master; do on $n ip route add default via 192.168.21.1 dev ens192 proto static; done

# The internet: all it knows is the gateway's address, so what it is to answer must have been translated.
ip link add wan type bridge
ip link set wan up
wire=wan
ip link add p-gateway-wan type veth peer name wan0 netns "${pid[gateway]}"
ip link set p-gateway-wan master wan up
on gateway ip link set wan0 address 02:00:cb:00:71:01 up
on gateway ip addr add 203.0.113.1/24 brd + dev wan0
on gateway ip route add 223.5.5.0/24 via 203.0.113.2 dev wan0
device internet eth0 02:00:cb:00:71:02 203.0.113.2/24
on internet ip addr add 223.5.5.5/32 dev lo
on internet ip route add default via 203.0.113.1 dev eth0
on gateway sysctl -qw net.ipv4.ip_forward=1

# The pod, as Calico's CNI plugin leaves it: a /32, a gateway that only proxy ARP answers for.
on worker1 ip netns add pod-a
on worker1 ip link add calia9589d79281 address ee:ee:ee:ee:ee:ee mtu 1480 type veth peer name eth0 address 56:04:9b:c2:d1:0a mtu 1480 netns pod-a
on worker1 sysctl -qw net.ipv4.ip_forward=1
on worker1 sysctl -qw net.ipv4.conf.calia9589d79281.rp_filter=1 net.ipv4.conf.calia9589d79281.proxy_arp=1 \
  net.ipv4.conf.calia9589d79281.route_localnet=1 net.ipv4.conf.calia9589d79281.forwarding=1 net.ipv4.neigh.calia9589d79281.proxy_delay=0
on worker1 ip link set calia9589d79281 up
on worker1 ip route add 192.168.236.10/32 dev calia9589d79281 scope link
# tunl0 of the IPIP mode. A tun device stands for it, the kernels this runs on need not have ipip; no packet of the case enters it.
on worker1 ip tuntap add tunl0 mode tun
on worker1 ip link set tunl0 mtu 1480 up
on worker1 ip addr add 192.168.236.0/32 dev tunl0
on worker1 ip route add blackhole 192.168.236.0/26 proto bird
pod ip link set lo up
pod ip link set eth0 up
pod ip addr add 192.168.236.10/32 dev eth0
pod ip route add 169.254.1.1 dev eth0 scope link
pod ip route add default via 169.254.1.1 dev eth0

# Both pools' sets hold the one pool 192.168.0.0/16. This is the case.
on worker1 ipset restore <<'SETS'
create cali40all-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576
add cali40all-ipam-pools 192.168.0.0/16
create cali40masq-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576
add cali40masq-ipam-pools 192.168.0.0/16
create cali40all-hosts-net hash:net family inet hashsize 1024 maxelem 1048576
add cali40all-hosts-net 192.168.21.11
add cali40all-hosts-net 192.168.21.20
create cali40this-host hash:ip family inet hashsize 1024 maxelem 1048576
add cali40this-host 127.0.0.0
add cali40this-host 127.0.0.1
add cali40this-host 192.168.21.20
add cali40this-host 192.168.236.0
SETS

# kube-proxy in iptables mode and kubelet, as they program every node: three services, of which kube-dns has no endpoint yet
# (its pods cannot reach the API server either).
kube_filter() {
  cat <<'RULES'
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns has no endpoints" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "kube-system/kube-dns:dns-tcp has no endpoints" -m tcp --dport 53 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "kube-system/kube-dns:metrics has no endpoints" -m tcp --dport 9153 -j REJECT --reject-with icmp-port-unreachable
RULES
}
kube_nat() {
  cat <<'RULES'
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-PROXY-CANARY - [0:0]
:KUBE-SEP-7LQVTRXHGVHZHZJ4 - [0:0]
:KUBE-SEP-KTQNKMDYYTGMC5HI - [0:0]
:KUBE-SEP-WQ5DQUMAJCRU5D4P - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
:KUBE-SVC-RK657RLKDNVNU64O - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-SEP-7LQVTRXHGVHZHZJ4 -s 192.168.21.11/32 -m comment --comment "calico-system/calico-typha:calico-typha" -j KUBE-MARK-MASQ
-A KUBE-SEP-7LQVTRXHGVHZHZJ4 -p tcp -m comment --comment "calico-system/calico-typha:calico-typha" -m tcp -j DNAT --to-destination 192.168.21.11:5473
-A KUBE-SEP-KTQNKMDYYTGMC5HI -s 192.168.21.11/32 -m comment --comment "default/kubernetes:https" -j KUBE-MARK-MASQ
-A KUBE-SEP-KTQNKMDYYTGMC5HI -p tcp -m comment --comment "default/kubernetes:https" -m tcp -j DNAT --to-destination 192.168.21.11:6443
-A KUBE-SEP-WQ5DQUMAJCRU5D4P -s 192.168.21.20/32 -m comment --comment "calico-system/calico-typha:calico-typha" -j KUBE-MARK-MASQ
-A KUBE-SEP-WQ5DQUMAJCRU5D4P -p tcp -m comment --comment "calico-system/calico-typha:calico-typha" -m tcp -j DNAT --to-destination 192.168.21.20:5473
-A KUBE-SERVICES -d 10.101.117.12/32 -p tcp -m comment --comment "calico-system/calico-typha:calico-typha cluster IP" -m tcp --dport 5473 -j KUBE-SVC-RK657RLKDNVNU64O
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-NPX46M4PTMTKRN6Y ! -s 192.168.0.0/16 -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-MARK-MASQ
-A KUBE-SVC-NPX46M4PTMTKRN6Y -m comment --comment "default/kubernetes:https -> 192.168.21.11:6443" -j KUBE-SEP-KTQNKMDYYTGMC5HI
-A KUBE-SVC-RK657RLKDNVNU64O ! -s 192.168.0.0/16 -d 10.101.117.12/32 -p tcp -m comment --comment "calico-system/calico-typha:calico-typha cluster IP" -m tcp --dport 5473 -j KUBE-MARK-MASQ
-A KUBE-SVC-RK657RLKDNVNU64O -m comment --comment "calico-system/calico-typha:calico-typha -> 192.168.21.11:5473" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-7LQVTRXHGVHZHZJ4
-A KUBE-SVC-RK657RLKDNVNU64O -m comment --comment "calico-system/calico-typha:calico-typha -> 192.168.21.20:5473" -j KUBE-SEP-WQ5DQUMAJCRU5D4P
RULES
}
kube_mangle() {
  cat <<'RULES'
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-PROXY-CANARY - [0:0]
RULES
}

# Felix (Calico 3.2x) puts its jumps first and its last word, the accept mark, at the end of FORWARD.
on worker1 iptables-nft-restore <<RULES
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:cali-OUTPUT - [0:0]
:cali-PREROUTING - [0:0]
:cali-from-host-endpoint - [0:0]
:cali-rpf-skip - [0:0]
:cali-to-host-endpoint - [0:0]
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
-A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
-A cali-OUTPUT -m comment --comment "cali:njdnLwYeGqBJyMxW" -j MARK --set-xmark 0x0/0xf0000
-A cali-OUTPUT -m comment --comment "cali:rz86uTUcEZAfFsh7" -j cali-to-host-endpoint
-A cali-OUTPUT -m comment --comment "cali:pN0F5zD0b8yf9W1Z" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-PREROUTING -m comment --comment "cali:XFX5xbM8B9qR10JG" -j MARK --set-xmark 0x0/0xf0000
-A cali-PREROUTING -i cali+ -m comment --comment "cali:EWMPb0zVROM-woQp" -j MARK --set-xmark 0x40000/0x40000
-A cali-PREROUTING -m comment --comment "cali:PWuxTAIaFCtsg5Qa" -m mark --mark 0x40000/0x40000 -j cali-rpf-skip
-A cali-PREROUTING -m comment --comment "cali:fSSbGND7dgyemWU7" -m mark --mark 0x40000/0x40000 -m rpfilter --validmark --invert -j DROP
-A cali-PREROUTING -m comment --comment "cali:ImU0-4Rl2WoOI9Ou" -m mark --mark 0x0/0x40000 -j cali-from-host-endpoint
-A cali-PREROUTING -m comment --comment "cali:lV4V2MPoMBf0hl9T" -m mark --mark 0x10000/0x10000 -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
$(kube_mangle)
:cali-POSTROUTING - [0:0]
:cali-PREROUTING - [0:0]
:cali-from-host-endpoint - [0:0]
:cali-to-host-endpoint - [0:0]
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A cali-POSTROUTING -m comment --comment "cali:NX-7roTexQ3fGRfU" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-POSTROUTING -m comment --comment "cali:nnqPh8lh2VOogSzX" -j MARK --set-xmark 0x0/0xf0000
-A cali-POSTROUTING -m comment --comment "cali:nquN8Jw8Tz72pcBW" -m conntrack --ctstate DNAT -j cali-to-host-endpoint
-A cali-POSTROUTING -m comment --comment "cali:jWrgvDQ0xEZHmta3" -m comment --comment "Host endpoint policy accepted packet." -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-PREROUTING -m comment --comment "cali:6BJqBjBC7crtA-7-" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A cali-PREROUTING -m comment --comment "cali:KX7AGNd6rMcDUai6" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-PREROUTING -m comment --comment "cali:wNH7KsA3ILKJBsY9" -j cali-from-host-endpoint
-A cali-PREROUTING -m comment --comment "cali:Cg96MgVuoPm7UMRo" -m comment --comment "Host endpoint policy accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:cali-OUTPUT - [0:0]
:cali-POSTROUTING - [0:0]
:cali-PREROUTING - [0:0]
:cali-fip-dnat - [0:0]
:cali-fip-snat - [0:0]
:cali-nat-outgoing - [0:0]
-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
-A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
$(kube_nat)
-A cali-OUTPUT -m comment --comment "cali:GBTAv2p5CwevEyJm" -j cali-fip-dnat
-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-fip-snat
-A cali-POSTROUTING -m comment --comment "cali:nYKhEzDlr11Jccal" -j cali-nat-outgoing
-A cali-POSTROUTING -o tunl0 -m comment --comment "cali:SXWvdsbh4Mw7wOln" -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE --random-fully
-A cali-PREROUTING -m comment --comment "cali:r6XmIziWUJsdOK6Z" -j cali-fip-dnat
-A cali-nat-outgoing -m comment --comment "cali:flqWnvo8yg4ULQLam" -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:cali-FORWARD - [0:0]
:cali-INPUT - [0:0]
:cali-OUTPUT - [0:0]
:cali-cidr-block - [0:0]
:cali-from-hep-forward - [0:0]
:cali-from-host-endpoint - [0:0]
:cali-from-wl-dispatch - [0:0]
:cali-fw-calia9589d79281 - [0:0]
:cali-pri-_mNJ3CdDBbQS15eQ2zN - [0:0]
:cali-pri-kns.calico-system - [0:0]
:cali-pro-_mNJ3CdDBbQS15eQ2zN - [0:0]
:cali-pro-kns.calico-system - [0:0]
:cali-to-hep-forward - [0:0]
:cali-to-host-endpoint - [0:0]
:cali-to-wl-dispatch - [0:0]
:cali-tw-calia9589d79281 - [0:0]
:cali-wl-to-host - [0:0]
-A INPUT -m comment --comment "cali:Cz_u1IQiXIMmKD4c" -j cali-INPUT
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
$(kube_filter)
-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "Policy explicitly accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
-A FORWARD -m comment --comment "cali:mp77cMpurHhyjLrM" -j MARK --set-xmark 0x10000/0x10000
-A cali-FORWARD -m comment --comment "cali:vjrMJCRpqwy5oRoX" -j MARK --set-xmark 0x0/0xe0000
-A cali-FORWARD -m comment --comment "cali:A_sPAO0mcxbT9mOV" -m mark --mark 0x0/0x10000 -j cali-from-hep-forward
-A cali-FORWARD -i cali+ -m comment --comment "cali:8ZoYfO5HKXWbB3pk" -j cali-from-wl-dispatch
-A cali-FORWARD -o cali+ -m comment --comment "cali:jdEuaPBe14V2hutn" -j cali-to-wl-dispatch
-A cali-FORWARD -m comment --comment "cali:12bc6HljsMKsmfr-" -j cali-to-hep-forward
-A cali-FORWARD -m comment --comment "cali:NOSxoaGx8OIstr1z" -j cali-cidr-block
-A cali-INPUT -p ipencap -m comment --comment "cali:PajejrV4aFdkZojI" -m comment --comment "Allow IPIP packets from Calico hosts" -m set --match-set cali40all-hosts-net src -m addrtype --dst-type LOCAL -j ACCEPT
-A cali-INPUT -p ipencap -m comment --comment "cali:_wjq-Yrma8Ly1Svo" -m comment --comment "Drop IPIP packets from non-Calico hosts" -j DROP
-A cali-INPUT -i cali+ -m comment --comment "cali:8TZGxLWh_Eiz66wc" -g cali-wl-to-host
-A cali-INPUT -m comment --comment "cali:6McIeIDvPdL6PE1T" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-INPUT -m comment --comment "cali:YGPbrUms7NId8xVa" -j MARK --set-xmark 0x0/0xf0000
-A cali-INPUT -m comment --comment "cali:2gmY7Bg2i0i84Wk_" -j cali-from-host-endpoint
-A cali-INPUT -m comment --comment "cali:q-Vz2ZT9iGE331LL" -m comment --comment "Host endpoint policy accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-OUTPUT -m comment --comment "cali:Mq1_rAdXXH3YkrzW" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-OUTPUT -o cali+ -m comment --comment "cali:69FkRTJDvD5Vu6Vl" -j RETURN
-A cali-OUTPUT -p ipencap -m comment --comment "cali:AnEsmO6bDZbQntWW" -m comment --comment "Allow IPIP packets to other Calico hosts" -m set --match-set cali40all-hosts-net dst -m addrtype --src-type LOCAL -j ACCEPT
-A cali-OUTPUT -m comment --comment "cali:9e9Uf3GU5tX--Lxy" -j MARK --set-xmark 0x0/0xf0000
-A cali-OUTPUT -m comment --comment "cali:0f3LDz_VKuHFaA2K" -m conntrack ! --ctstate DNAT -j cali-to-host-endpoint
-A cali-OUTPUT -m comment --comment "cali:OgU2f8BVEAZ_fwkq" -m comment --comment "Host endpoint policy accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
-A cali-from-wl-dispatch -i calia9589d79281 -m comment --comment "cali:0YY2ZqHGpQ3VqOJW" -g cali-fw-calia9589d79281
-A cali-from-wl-dispatch -m comment --comment "cali:zTj6P0TIgYvgz-md" -m comment --comment "Unknown interface" -j DROP
-A cali-fw-calia9589d79281 -m comment --comment "cali:gDaUkEVTGWGSMEMO" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A cali-fw-calia9589d79281 -m comment --comment "cali:LTH7Owa7VvzU7fU8" -m conntrack --ctstate INVALID -j DROP
-A cali-fw-calia9589d79281 -m comment --comment "cali:cF6dUHNhMZOl8tAa" -j MARK --set-xmark 0x0/0x10000
-A cali-fw-calia9589d79281 -p udp -m comment --comment "cali:tNs0zYK5QWVnvkCn" -m comment --comment "Drop VXLAN encapped packets originating in workloads" -m multiport --dports 4789 -j DROP
-A cali-fw-calia9589d79281 -p ipencap -m comment --comment "cali:C0pXxQQhJeSrUzJh" -m comment --comment "Drop IPinIP encapped packets originating in workloads" -j DROP
-A cali-fw-calia9589d79281 -m comment --comment "cali:3xZLZ4lOk3Tl9Vwd" -j cali-pro-kns.calico-system
-A cali-fw-calia9589d79281 -m comment --comment "cali:xG7ZCmgGFvIK3zZF" -m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-fw-calia9589d79281 -m comment --comment "cali:hzf0Uqc_Xcy2GuUJ" -j cali-pro-_mNJ3CdDBbQS15eQ2zN
-A cali-fw-calia9589d79281 -m comment --comment "cali:SWn7F7hqJ5Dz5qGs" -m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-fw-calia9589d79281 -m comment --comment "cali:9vYkKQbBfWgBhSfM" -m comment --comment "Drop if no profiles matched" -j DROP
-A cali-pri-_mNJ3CdDBbQS15eQ2zN -m comment --comment "cali:2LhTiZRAKsBsYPB7" -m comment --comment "Profile ksa.calico-system.calico-kube-controllers ingress"
-A cali-pri-kns.calico-system -m comment --comment "cali:YVYwjvGRGT4Jd6rP" -m comment --comment "Profile kns.calico-system ingress" -j MARK --set-xmark 0x10000/0x10000
-A cali-pri-kns.calico-system -m comment --comment "cali:2vSQe4BWTKcWmq6i" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-pro-_mNJ3CdDBbQS15eQ2zN -m comment --comment "cali:bc1oI3SLBlTMfYy3" -m comment --comment "Profile ksa.calico-system.calico-kube-controllers egress"
-A cali-pro-kns.calico-system -m comment --comment "cali:wqx-vSPgoL1Cm04h" -m comment --comment "Profile kns.calico-system egress" -j MARK --set-xmark 0x10000/0x10000
-A cali-pro-kns.calico-system -m comment --comment "cali:CJ3RX9iVPBpSJ5-Z" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-to-wl-dispatch -o calia9589d79281 -m comment --comment "cali:vhPZpmuhR1cUdlvR" -g cali-tw-calia9589d79281
-A cali-to-wl-dispatch -m comment --comment "cali:7KNphB1nNHw80nIO" -m comment --comment "Unknown interface" -j DROP
-A cali-tw-calia9589d79281 -m comment --comment "cali:Ny3mOY6TpyqJ3vbZ" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A cali-tw-calia9589d79281 -m comment --comment "cali:bkXzYtv3SPQVnEJB" -m conntrack --ctstate INVALID -j DROP
-A cali-tw-calia9589d79281 -m comment --comment "cali:J0QbBXr5zFpHCb0j" -j MARK --set-xmark 0x0/0x10000
-A cali-tw-calia9589d79281 -m comment --comment "cali:hTKgQ2wGGXKKGLz3" -j cali-pri-kns.calico-system
-A cali-tw-calia9589d79281 -m comment --comment "cali:WCYKLyFQyKPrzb9r" -m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-tw-calia9589d79281 -m comment --comment "cali:eEtKZAQGUYnJq7xT" -j cali-pri-_mNJ3CdDBbQS15eQ2zN
-A cali-tw-calia9589d79281 -m comment --comment "cali:6xN3hJVsFY4PtE9k" -m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN
-A cali-tw-calia9589d79281 -m comment --comment "cali:B2GhPTr3IbTrrgs4" -m comment --comment "Drop if no profiles matched" -j DROP
-A cali-wl-to-host -m comment --comment "cali:Ee9Sbo10IpVujdIY" -j cali-from-wl-dispatch
-A cali-wl-to-host -m comment --comment "cali:nSZbcOoG1xPONxb8" -m comment --comment "Configured DefaultEndpointToHostAction" -j ACCEPT
COMMIT
RULES
on master iptables-nft-restore <<RULES
*mangle
$(kube_mangle)
COMMIT
*nat
$(kube_nat)
COMMIT
*filter
$(kube_filter)
COMMIT
RULES
on gateway iptables-nft-restore <<'RULES'
*nat
-A POSTROUTING -o wan0 -j MASQUERADE
COMMIT
RULES

# --- the report's observations, with real sockets
server() { # NODE ADDRESS PORT: answers every connection with the client's address
  on "$1" python3 -c '
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    c, a = s.accept(); c.sendall(a[0].encode()); c.close()' "$2" "$3" &
  until on "$1" ss -Hltn "sport = :$3" | grep -q .; do sleep 0.05; done
}
connect='
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2.5); s.settimeout(2.5); print("seen as", s.recv(99).decode())
except TimeoutError: print("timed out")
except OSError as e: print(e)'
sniff='
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(("ens192", 0)); s.settimeout(4)
print("ready", flush=True)
while True:
    b, a = s.recvfrom(2000)
    if a[2] == 4 and b[12:14] == b"\x08\0" and b[23] == 6 and b[47] & 2: break
print(socket.inet_ntoa(b[26:30]), "->", socket.inet_ntoa(b[30:34]))'
claim() { # WHAT EXPECTED GOT
  if [ "$2" = "$3" ]; then echo "ok    $1: $3"; else
    echo "WRONG $1: $3, not $2" >&2
    exit 1
  fi
}
server master 192.168.21.11 6443
server internet 223.5.5.5 443
claim 'worker1 -> 10.96.0.1:443' 'seen as 192.168.21.20' "$(on worker1 python3 -c "$connect" 10.96.0.1 443)"
claim 'worker1 -> 192.168.21.11:6443' 'seen as 192.168.21.20' "$(on worker1 python3 -c "$connect" 192.168.21.11 6443)"
claim 'pod-a -> 10.96.0.1:443' 'timed out' "$(pod python3 -c "$connect" 10.96.0.1 443)"
exec 3< <(on worker1 python3 -c "$sniff")
read -r _ <&3
claim 'pod-a -> 192.168.21.11:6443' 'timed out' "$(pod python3 -c "$connect" 192.168.21.11 6443)"
claim 'what leaves ens192 then' '192.168.236.10 -> 192.168.21.11' "$(cat <&3)"
claim 'pod-a -> 223.5.5.5:443' 'seen as 203.0.113.1' "$(pod python3 -c "$connect" 223.5.5.5 443)"
claim 'pod-a -> 223.5.5.5:443 leaves worker1 as' 192.168.21.20 "$(on worker1 conntrack -L -d 223.5.5.5 2>/dev/null | sed -n 's/.*src=223.5.5.5 dst=\([0-9.]*\).*/\1/p' | head -n 1)"

[ "${1:-}" = --capture ] || exit 0

# --- what the nodes print, without the connections of the test
scenario=$root/scenarios/ippool-overlaps-host
for n in worker1 master gateway; do
  rm -rf "${scenario:?}/$n"
  on $n conntrack -F 2>/dev/null
  # A process namespace of its own, or it would find the other nodes among the processes of this machine.
  on $n unshare --pid --fork --mount-proc sh "$root/src/cli/capture-script.sh" --dir "$scenario"
done
find "$scenario" -type f -exec chmod 644 {} + -o -type d -exec chmod 755 {} +
