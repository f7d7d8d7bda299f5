#!/bin/bash
# One Kubernetes node with kubenet's bridge, two pods, and the faults that the scenarios beside this one have:
#
#   node.app, 10.244.1.2 -cbr0- node --ens3-- lan --eth0-- gateway --wan0-- internet
#   node.dns, 10.244.1.3 -cbr0-                            192.168.1.1      223.5.5.5
#
# A build.sh that sources this one sets `fault`. See test/oracle/nodes.sh for how to run it.
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"
fault=${fault:-}

node node
stub gateway internet
plug lan node ens3 52:54:00:a8:01:0a 192.168.1.10/24
plug lan gateway eth0 52:54:00:a8:01:fe 192.168.1.1/24
plug wan gateway wan0 02:00:cb:00:71:01 203.0.113.1/24
plug wan internet eth0 02:00:cb:00:71:02 203.0.113.2/24
on node ip route add default via 192.168.1.1 dev ens3 proto static
on gateway ip route add 223.5.5.0/24 via 203.0.113.2 dev wan0
on gateway ip route add 10.244.1.0/24 via 192.168.1.10 dev eth0
on internet ip addr add 223.5.5.5/32 dev lo
on internet ip route add 192.168.1.0/24 via 203.0.113.1 dev eth0
on internet ip route add 10.244.1.0/24 via 203.0.113.1 dev eth0
if [ "$fault" = pod-cidr-conflicts ]; then
  stub office
  plug office node ens4 52:54:00:f4:01:0a 10.244.1.20/24
  plug office office eth0 52:54:00:f4:01:50 10.244.1.80/24
fi
# Docker's own bridge: nobody is plugged in.
bridge node docker0 02:42:6c:1f:0e:91 172.17.0.1/16 1500
bridge node cbr0 0a:58:0a:f4:01:01 10.244.1.1/24 1500
pod node app veth3fb2c81a cbr0 0a:58:0a:f4:01:02 10.244.1.2/24 10.244.1.1 1500
pod node dns vethd90e46b7 cbr0 0a:58:0a:f4:01:03 10.244.1.3/24 10.244.1.1 1500
if [ "$fault" != hairpin-off ]; then
  for port in veth3fb2c81a vethd90e46b7; do on node bridge link set dev $port hairpin on; done
fi

policy=ACCEPT
case $fault in
  docker-forward-drop) policy=DROP ;;
  bridge-nf-off) on node sysctl -qw net.bridge.bridge-nf-call-iptables=0 ;;
  ip-forward-off) on node sysctl -qw net.ipv4.ip_forward=0 ;;
esac
# Docker 18, kubenet and kube-proxy 1.15 with --cluster-cidr=10.244.0.0/16 and two services: kube-dns, and web, whose endpoint is app.
on node iptables-restore <<RULES
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-2QS6MYDLAKVIQTTE - [0:0]
:KUBE-SEP-IWG6NGGFKUU4LCWA - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-BJM46V3U5RZHCFRZ - [0:0]
:KUBE-SVC-TCOU7JCQXEZGVUNU - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING ! -d 10.0.0.0/8 -m comment --comment "kubenet: SNAT for outbound traffic from cluster" -m addrtype ! --dst-type LOCAL -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -m mark --mark 0x4000/0x4000 -j MASQUERADE
-A KUBE-SEP-2QS6MYDLAKVIQTTE -s 10.244.1.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-2QS6MYDLAKVIQTTE -p tcp -m tcp -j DNAT --to-destination 10.244.1.2:8080
-A KUBE-SEP-IWG6NGGFKUU4LCWA -s 10.244.1.3/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-IWG6NGGFKUU4LCWA -p udp -m udp -j DNAT --to-destination 10.244.1.3:53
-A KUBE-SERVICES ! -s 10.244.0.0/16 -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-TCOU7JCQXEZGVUNU
-A KUBE-SERVICES ! -s 10.244.0.0/16 -d 10.96.0.80/32 -p tcp -m comment --comment "default/web: cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.96.0.80/32 -p tcp -m comment --comment "default/web: cluster IP" -m tcp --dport 80 -j KUBE-SVC-BJM46V3U5RZHCFRZ
-A KUBE-SVC-BJM46V3U5RZHCFRZ -j KUBE-SEP-2QS6MYDLAKVIQTTE
-A KUBE-SVC-TCOU7JCQXEZGVUNU -j KUBE-SEP-IWG6NGGFKUU4LCWA
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD $policy [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A OUTPUT -j KUBE-FIREWALL
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -s 10.244.0.0/16 -m comment --comment "kubernetes forwarding conntrack pod source rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-FORWARD -d 10.244.0.0/16 -m comment --comment "kubernetes forwarding conntrack pod destination rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
RULES

finish "$@"
