#!/bin/bash
# The network of ../calico-ipip with kube-proxy 1.23 in IPVS mode. node2 was started with a newer kernel: there Calico cannot list
# the sets that kube-proxy made, and Felix gives up before it has programmed anything. Nor can the ipset of the host list them.
kernel=5.18.1-1.el7.elrepo.x86_64
ipvs=1.23
felixless=node2
services='
default/kubernetes:https tcp 10.233.0.1:443 192.168.21.11:6443
kube-system/coredns:dns udp 10.233.0.3:53 10.233.90.3:53
harbor/harbor:http tcp 10.233.18.7:80 nodeport=30080 10.233.92.8:8080
'
beside() {
  local complaint='ipset v7.1: kernel and userspace incompatible: settype hash:ip,port with revision 6 not supported by userspace.'
  sed -i "s/ 6\.1\.[0-9]* .* x86_64/ $kernel #1 SMP x86_64/" "$scenario/node2/uname.txt"
  rm "$scenario/node2/ipset-save.txt"
  echo "$complaint" >"$scenario/node2/ipset-list.txt"
  {
    echo '2022-06-17 02:20:11.574 [INFO][71] felix/ipsets.go 119: Queueing IP set for creation family="inet" setID="all-ipam-pools" setType="hash:net"'
    echo "2022-06-17 02:20:11.881 [ERROR][71] felix/ipsets.go 599: Bad return code from 'ipset list'. error=exit status 1 family=\"inet\" stderr=\"$complaint\n\""
    echo '2022-06-17 02:20:11.881 [WARNING][71] felix/ipsets.go 320: Failed to resync with dataplane error=exit status 1 family="inet"'
    echo '2022-06-17 02:20:14.305 [PANIC][71] felix/ipsets.go 309: Failed to update IP sets after multiple retries. family="inet"'
  } >"$scenario/node2/calico-node.log"
}
. "$(dirname "$0")/../calico-ipip/build.sh"
