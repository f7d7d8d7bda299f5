#!/bin/bash
# One Docker host with two containers, of which web's port 80 is published as 8080 (dockerd --userland-proxy=false):
#
#   host.web, 172.17.0.2 -docker0- host --ens3--+-- lan --eth0-- gateway --wan0-- internet
#   host.app, 172.17.0.3 -docker0-              |                192.168.1.1      223.5.5.5
#                              client --eth0----+
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"

node host
stub gateway internet client
plug lan host ens3 52:54:00:a8:01:0a 192.168.1.10/24
plug lan client eth0 52:54:00:a8:01:32 192.168.1.50/24
plug lan gateway eth0 52:54:00:a8:01:fe 192.168.1.1/24
plug wan gateway wan0 02:00:cb:00:71:01 203.0.113.1/24
plug wan internet eth0 02:00:cb:00:71:02 203.0.113.2/24
on host ip route add default via 192.168.1.1 dev ens3 proto static
on gateway ip route add 223.5.5.0/24 via 203.0.113.2 dev wan0
on internet ip addr add 223.5.5.5/32 dev lo
on internet ip route add 192.168.1.0/24 via 203.0.113.1 dev eth0
bridge host docker0 02:42:6c:1f:0e:91 172.17.0.1/16 1500
pod host web veth7c1d0a5 docker0 02:42:ac:11:00:02 172.17.0.2/16 172.17.0.1 1500
pod host app veth2b9e6f3 docker0 02:42:ac:11:00:03 172.17.0.3/16 172.17.0.1 1500
for port in veth7c1d0a5 veth2b9e6f3; do on host bridge link set dev $port hairpin on; done
on host sysctl -qw net.ipv4.conf.docker0.route_localnet=1

on host iptables-restore <<'RULES'
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
RULES

finish "$@"
