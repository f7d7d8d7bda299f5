#!/bin/bash
# Three nodes whose pods Calico connects by IPIP (Always), and the faults that the scenarios beside this one have:
#
#   node1.dns           -calib1..- node1 --ens192--+
#   node2.app, node2.db -cali..2-- node2 --ens192--+-- lan --eth0-- gateway
#   node3.web           -cali3c..- node3 --ens192--+   |            192.168.21.1, 223.5.5.5
#                                                      +---eth0---- client
#                                                                   192.168.21.50
# A build.sh that sources this one sets `fault`, or another kube-proxy: `ipvs` is its version in IPVS mode, `services` what it is
# told. `more_pods` are lines of NODE.POD DEVICE ADDRESS, `felixless` names nodes without Felix' rules and pods that it does not
# know; the function `besides` adds to the network that stands. See test/oracle/nodes.sh for how to run it; it takes ipip, so it
# runs in User-Mode Linux.
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/in-uml.sh"
. "$oracle/nodes.sh"
. "$oracle/felix.sh"
fault=${fault:-}
services=${services:-'
default/kubernetes:https tcp 10.233.0.1:443 192.168.21.11:6443
default/web:http tcp 10.233.18.7:80 nodeport=30080 10.233.92.8:8080
kube-system/coredns:dns udp 10.233.0.3:53 10.233.90.3:53
'}

declare -A lan=([node1]=192.168.21.11 [node2]=192.168.21.12 [node3]=192.168.21.13)
declare -A block=([node1]=10.233.90 [node2]=10.233.96 [node3]=10.233.92)
declare -A device=([node1.dns]=calib16c5f8a2d4 [node2.app]=cali2e7a90c41b3 [node2.db]=cali7f03b6d9e52 [node3.web]=cali3c8d1f57a06)
declare -A address=([node1.dns]=10.233.90.3 [node2.app]=10.233.96.5 [node2.db]=10.233.96.7 [node3.web]=10.233.92.8)
while read -r p c a; do if [ -n "$p" ]; then device[$p]=$c address[$p]=$a; fi; done <<<"${more_pods:-}"

node node1 node2 node3
stub gateway client
for n in node1 node2 node3; do
  plug lan $n ens192 00:50:56:b3:21:"${lan[$n]##*.}" "${lan[$n]}/24"
  on $n ip route add default via 192.168.21.1 dev ens192 proto static
done
plug lan gateway eth0 00:50:56:b3:21:01 192.168.21.1/24
on gateway ip addr add 223.5.5.5/32 dev lo
plug lan client eth0 00:50:56:b3:21:50 192.168.21.50/24

# Calico's CNI plugin: a /32, a gateway that only proxy ARP answers for, one host route a pod.
for p in "${!device[@]}"; do
  n=${p%%.*} c=${device[$p]}
  place $p
  on $n ip -batch - <<LINKS
link add $c address ee:ee:ee:ee:ee:ee mtu 1480 type veth peer name eth0 address 4e:0a:e9:$(printf %02x:%02x:%02x $(tr . ' ' <<<"${address[$p]#10.}")) mtu 1480 netns $p
link set $c up
route add ${address[$p]}/32 dev $c scope link
LINKS
  on $n sysctl -qw net.ipv4.conf.$c.rp_filter=1 net.ipv4.conf.$c.proxy_arp=1 net.ipv4.conf.$c.route_localnet=1 \
    net.ipv4.conf.$c.forwarding=1 net.ipv4.neigh.$c.proxy_delay=0
  on $p ip -batch - <<LINKS
link set eth0 up
addr add ${address[$p]}/32 dev eth0
route add 169.254.1.1 dev eth0 scope link
route add default via 169.254.1.1 dev eth0
LINKS
done

# Felix's tunl0, and BIRD's routes: the other nodes' blocks through it, the own one a blackhole below the pods' routes.
for n in node1 node2 node3; do
  {
    printf '%s\n' 'link set tunl0 mtu 1480 up' "addr add ${block[$n]}.0/32 dev tunl0" "route add blackhole ${block[$n]}.0/26 proto bird"
    for m in node1 node2 node3; do
      if [ $m != $n ]; then echo "route add ${block[$m]}.0/26 via ${lan[$m]} dev tunl0 proto bird onlink"; fi
    done
  } | on $n ip -batch -
  if [ -n "${ipvs:-}" ]; then
    on $n python3 -B "$oracle/kube-proxy-ipvs.py" $ipvs 10.233.64.0/18 "${block[$n]}.0/26" "${lan[$n]},${block[$n]}.0" <<<"$services"
  else
    python3 -B "$oracle/kube-proxy.py" 10.233.64.0/18 <<<"$services"
  fi | on $n iptables-restore --noflush
  if [[ " ${felixless:-} " = *" $n "* ]]; then continue; fi
  on $n ipset restore <<SETS
create cali40all-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576
add cali40all-ipam-pools 10.233.64.0/18
create cali40masq-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576
add cali40masq-ipam-pools 10.233.64.0/18
create cali40all-hosts-net hash:net family inet hashsize 1024 maxelem 1048576
add cali40all-hosts-net 192.168.21.11
add cali40all-hosts-net 192.168.21.12
add cali40all-hosts-net 192.168.21.13
create cali40this-host hash:ip family inet hashsize 1024 maxelem 1048576
add cali40this-host 127.0.0.0
add cali40this-host 127.0.0.1
add cali40this-host ${lan[$n]}
add cali40this-host ${block[$n]}.0
SETS
  mine=()
  for p in "${!device[@]}"; do if [ "${p%%.*}" = $n ] && [[ " ${felixless:-} " != *" $p "* ]]; then mine+=("${device[$p]}"); fi; done
  felix $(printf '%s\n' "${mine[@]}" | sort) | on $n iptables-restore --noflush
done

case $fault in
  security-group-ipip)
    modprobe nf_tables
    nft 'add table bridge cloud; add chain bridge cloud forward { type filter hook forward priority 0; }; add rule bridge cloud forward ip protocol 4 drop'
    ;;
esac
if declare -F besides >/dev/null; then besides; fi

finish "$@"
