#!/bin/bash
# Three nodes with kubenet in a cloud, whose router knows which node has which pods, and the faults that the scenarios beside this
# one have:
#
#   node1.dns, node1.web -cbr0- node1 --eth0-- nic1 --eth1--+
#   node2.app, node2.web -cbr0- node2 --eth0-- nic2 --eth2--+-- router
#   node3.job, node3.web -cbr0- node3 --eth0-- nic3 --eth3--+   10.240.0.1, and 8.8.8.8
#
# A build.sh that sources this one sets `fault`. See test/oracle/nodes.sh for how to run it.
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/nodes.sh"
fault=${fault:-}

nics=(1 2 3)
node node1 node2 node3
stub router
on router ip addr add 8.8.8.8/32 dev lo
for i in "${nics[@]}"; do
  # A machine in this cloud has its address alone, and reaches everything through the router.
  plug nic$i node$i eth0 42:01:0a:f0:00:0"$((i + 3))"
  on node$i ip link set eth0 mtu 1460
  on node$i ip addr add 10.240.0.$((i + 3))/32 dev eth0
  on node$i ip route add 10.240.0.1 dev eth0 scope link
  on node$i ip route add default via 10.240.0.1 dev eth0
  plug nic$i router eth$i 42:01:0a:f0:00:01
  on router ip addr add 10.240.0.1/32 dev eth$i
  on router ip route add 10.240.0.$((i + 3)) dev eth$i
  # What the route controller of kube-controller-manager told the cloud.
  if [ "$fault" != route-lost ] || [ $i != 3 ]; then on router ip route add 10.244.$i.0/24 via 10.240.0.$((i + 3)); fi
  bridge node$i cbr0 0a:58:0a:f4:0$i:01 10.244.$i.1/24 1460
done
pod node1 dns veth4f1a90c2 cbr0 0a:58:0a:f4:01:02 10.244.1.2/24 10.244.1.1 1460
pod node1 web veth81d3e7b6 cbr0 0a:58:0a:f4:01:07 10.244.1.7/24 10.244.1.1 1460
pod node2 web veth2b60c5f9 cbr0 0a:58:0a:f4:02:03 10.244.2.3/24 10.244.2.1 1460
pod node2 app veth90ee13a4 cbr0 0a:58:0a:f4:02:09 10.244.2.9/24 10.244.2.1 1460
pod node3 web veth6c27d8f0 cbr0 0a:58:0a:f4:03:06 10.244.3.6/24 10.244.3.1 1460
pod node3 job vetha5093b1e cbr0 0a:58:0a:f4:03:08 10.244.3.8/24 10.244.3.1 1460

# kubelet's --hairpin-mode=hairpin-veth
for i in "${nics[@]}"; do
  for port in $(on node$i ls /sys/class/net/cbr0/brif); do on node$i bridge link set dev "$port" hairpin on; done
done

# kube-proxy 1.15 and its chains for one service, whose rules are the report's to the letter.
hostnames_of_the_report() {
  cat <<'RULES'
*nat
:KUBE-MARK-DROP - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-57KPRZ3JQVENLNBR - [0:0]
:KUBE-SEP-WNBA2IHDGP2BOBGZ - [0:0]
:KUBE-SEP-X3P2623AGDH6CDF3 - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NWV5X2332I4OT4T3 - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -m mark --mark 0x4000/0x4000 -j MASQUERADE
-A KUBE-SEP-57KPRZ3JQVENLNBR -s 10.244.3.6/32 -m comment --comment "default/hostnames:" -j MARK --set-xmark 0x00004000/0x00004000
-A KUBE-SEP-57KPRZ3JQVENLNBR -p tcp -m comment --comment "default/hostnames:" -m tcp -j DNAT --to-destination 10.244.3.6:9376
-A KUBE-SEP-WNBA2IHDGP2BOBGZ -s 10.244.1.7/32 -m comment --comment "default/hostnames:" -j MARK --set-xmark 0x00004000/0x00004000
-A KUBE-SEP-WNBA2IHDGP2BOBGZ -p tcp -m comment --comment "default/hostnames:" -m tcp -j DNAT --to-destination 10.244.1.7:9376
-A KUBE-SEP-X3P2623AGDH6CDF3 -s 10.244.2.3/32 -m comment --comment "default/hostnames:" -j MARK --set-xmark 0x00004000/0x00004000
-A KUBE-SEP-X3P2623AGDH6CDF3 -p tcp -m comment --comment "default/hostnames:" -m tcp -j DNAT --to-destination 10.244.2.3:9376
-A KUBE-SERVICES -d 10.0.1.175/32 -p tcp -m comment --comment "default/hostnames: cluster IP" -m tcp --dport 80 -j KUBE-SVC-NWV5X2332I4OT4T3
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-NWV5X2332I4OT4T3 -m comment --comment "default/hostnames:" -m statistic --mode random --probability 0.33332999982 -j KUBE-SEP-WNBA2IHDGP2BOBGZ
-A KUBE-SVC-NWV5X2332I4OT4T3 -m comment --comment "default/hostnames:" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-X3P2623AGDH6CDF3
-A KUBE-SVC-NWV5X2332I4OT4T3 -m comment --comment "default/hostnames:" -j KUBE-SEP-57KPRZ3JQVENLNBR
COMMIT
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
RULES
}
kube_proxy() { # NODE
  case $fault in
    kube-proxy-absent) if [ "$1" = node2 ]; then return; fi ;;
    kube-proxy-iptables)
      hostnames_of_the_report | on "$1" iptables-restore --noflush
      return
      ;;
  esac
  local hostnames='10.244.1.7:9376 10.244.2.3:9376 10.244.3.6:9376'
  case $fault in
    service-no-endpoints) hostnames='' ;;
    wrong-target-port) hostnames='10.244.1.7:8080 10.244.2.3:8080 10.244.3.6:8080' ;;
  esac
  python3 -B "$oracle/kube-proxy.py" 10.244.0.0/16 <<SERVICES | on "$1" iptables-restore --noflush
default/hostnames tcp 10.0.1.175:80 $hostnames
default/kubernetes:https tcp 10.0.0.1:443 10.240.0.4:6443
kube-system/kube-dns:dns udp 10.0.0.10:53 10.244.1.2:53
SERVICES
}
for i in "${nics[@]}"; do
  kube_proxy node$i
  on node$i iptables -t nat -A POSTROUTING ! -d 10.0.0.0/8 -m comment --comment 'kubenet: SNAT for outbound traffic from cluster' \
    -m addrtype ! --dst-type LOCAL -j MASQUERADE
  if [ "$fault" = foreign-rules ] && [ $i = 3 ]; then
    # iptables-services of CentOS as it is installed, its last line; what lets pods through was appended to it.
    on node$i iptables -A FORWARD -j REJECT --reject-with icmp-host-prohibited
  fi
  on node$i iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT
  on node$i iptables -A FORWARD -d 10.244.0.0/16 -j ACCEPT
done

case $fault in
  security-group-pods)
    # The cloud lets only addresses of machines pass to and from a machine.
    nft -f - <<'RULES'
table bridge cloud {
  chain forward {
    type filter hook forward priority 0;
    ip daddr 10.244.0.0/16 drop
  }
}
RULES
    ;;
esac

finish "$@"
