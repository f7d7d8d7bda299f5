#!/bin/bash
# The network of ../calico-ipip with more pods, and kube-proxy in IPVS mode. A build.sh that sources this one sets what that one
# takes; what it leaves out is kube-proxy 1.26 with a service of every kind.
ipvs=${ipvs:-1.26}
more_pods="node2.web cali91d4e80b2c7 10.233.96.8
node3.dns cali5a0c27f6e13 10.233.92.3
${more_pods:-}"
services=${services:-'
default/kubernetes:https tcp 10.233.0.1:443 192.168.21.11:6443
kube-system/coredns:dns udp 10.233.0.3:53 10.233.90.3:53 10.233.92.3:53
kube-system/coredns:dns-tcp tcp 10.233.0.3:53 10.233.90.3:53 10.233.92.3:53
default/web:http tcp 10.233.18.7:80 nodeport=30080 10.233.92.8:8080 10.233.96.8:8080
default/cart:http tcp 10.233.25.9:80 sticky=10800 10.233.92.8:8080 10.233.96.8:8080
default/front:http tcp 10.233.31.4:80 nodeport=30081 policy=local health=32000 lb=198.51.100.7 ranges=192.168.21.0/24 10.233.92.8:8080 10.233.96.8:8080
default/outer:http tcp 10.233.40.2:8000 external=192.0.2.50 10.233.92.8:8080
'}
if ! declare -F besides >/dev/null; then
  besides() {
    on client ip route add 198.51.100.7 via 192.168.21.12
    on client ip route add 192.0.2.50 via 192.168.21.12
  }
fi
. "$(dirname "${BASH_SOURCE[0]}")/../calico-ipip/build.sh"
