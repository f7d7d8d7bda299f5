#!/bin/bash
# What a real kube-proxy 1.26 in IPVS mode made of node1 (test/captures/kube-proxy-1.26-ipvs), loaded into a namespace as it was
# captured: rules, sets, virtual servers and the addresses of kube-ipvs0. Around it stand the pods that it sends to:
#
#   node1.web .local .sticky .ext .sctp .app  -cni0- node1 --ens192--+-- lan --eth0-- node2, with the pods of the other nodes
#                                                    192.168.21.20   +---eth0---- master, gateway, client
# See test/oracle/nodes.sh for how to run it; it takes IPVS, so it runs in User-Mode Linux.
oracle=$(cd "$(dirname "$0")/../../test/oracle" && pwd)
dump=$oracle/../captures/kube-proxy-1.26-ipvs/node1
. "$oracle/in-uml.sh"
. "$oracle/nodes.sh"

node node1
stub master node2 gateway client
plug lan node1 ens192 00:50:56:b3:21:20 192.168.21.20/24
plug lan master eth0 00:50:56:b3:21:11 192.168.21.11/24
plug lan node2 eth0 00:50:56:b3:21:12 192.168.21.12/24
plug lan gateway eth0 00:50:56:b3:21:01 192.168.21.1/24
plug lan client eth0 00:50:56:b3:21:50 192.168.21.50/24
on node1 ip route add default via 192.168.21.1 dev ens192
for p in 10.244.0.2 10.244.0.3 10.244.2.5 10.244.2.6 10.244.2.7 10.244.2.8 10.244.2.9; do on node2 ip addr add $p/32 dev lo; done
on gateway ip addr add 203.0.113.9/32 dev lo
for net in 10.244.0.0/24 10.244.2.0/24; do on node1 ip route add $net via 192.168.21.12 dev ens192; done
on node2 ip route add 10.244.1.0/24 via 192.168.21.20 dev eth0
on master ip route add 10.244.1.0/24 via 192.168.21.20 dev eth0
for s in gateway client; do
  for vip in 10.96.0.0/16 198.51.100.7 192.0.2.50; do on $s ip route add $vip via 192.168.21.20 dev eth0; done
done

bridge node1 cni0 0a:58:0a:f4:01:01 10.244.1.1/24 1500
n=5
for p in web local sticky ext sctp; do
  pod node1 $p veth000$n cni0 0a:58:0a:f4:01:0$n 10.244.1.$n/24 10.244.1.1 1500
  on node1 bridge link set dev veth000$n hairpin on
  n=$((n + 1))
done
pod node1 app veth0020 cni0 0a:58:0a:f4:01:14 10.244.1.20/24 10.244.1.1 1500

{
  echo 'link add kube-ipvs0 address e2:2b:43:50:d8:63 type dummy'
  sed -nE 's/^ +inet (\S+) scope global kube-ipvs0$/addr add \1 dev kube-ipvs0/p' "$dump/ip-addr.txt"
} | on node1 ip -batch -
on node1 ipset restore <"$dump/ipset-save.txt"
on node1 iptables-restore <"$dump/iptables-legacy-save.txt"
on node1 ipvsadm -R <"$dump/ipvsadm-save.txt"
sed -nE 's/^(net\.ipv4\.vs\.(conntrack|conn_reuse_mode|expire_nodest_conn|expire_quiescent_template|snat_reroute)) = /\1=/p' "$dump/sysctl.txt" |
  xargs ip netns exec node1 sysctl -qw

finish "$@"
