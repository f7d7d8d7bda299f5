#!/bin/bash
# The network of ../calico-ipip with kube-proxy 1.23 in IPVS mode and an ingress controller behind NodePort 30443. Connections of
# the client are in the table of node2 still, each with a server in another condition. A build.sh that sources this one keeps
# the kernel's version in the captures: with `kernel` empty.
kernel=${kernel-3.10.0-1160.21.1.el7.x86_64}
ipvs=1.23
more_pods="node2.ingress cali0f3b7d52e84 10.233.96.20
node3.ingress cali8c41e9a60f2 10.233.92.20"
services='
default/kubernetes:https tcp 10.233.0.1:443 192.168.21.11:6443
kube-system/coredns:dns udp 10.233.0.3:53 10.233.90.3:53
harbor/harbor:http tcp 10.233.18.7:80 10.233.92.8:8080
ingress-nginx/controller:https tcp 10.233.45.21:443 nodeport=30443 10.233.96.20:443 10.233.92.20:443
'
converse() { # NODE PORT SERVER [open]: a connection of the client to the node's NodePort, while no other server has a weight
  local n=$1 s port=${lan[$1]}:30443
  shift
  for s in 10.233.96.20 10.233.92.20; do on $n ipvsadm -e -t $port -r $s:443 -m -w 0; done
  case $2 in
    10.233.96.20) on $n ipvsadm -e -t $port -r $2:443 -m -w 1 ;;
    10.233.92.20) on $n ipvsadm -e -t $port -r $2:443 -m -w 1 ;;
    # A pod that is no more: another one on its node lends it a place for as long as it talks.
    *)
      on $n ipvsadm -a -t $port -r $2:443 -m -w 1
      on node3.ingress ip addr add $2/32 dev eth0
      on node3 ip route add $2/32 dev cali8c41e9a60f2 scope link
      ;;
  esac
  python3 -B "$oracle/converse.py" client $1 $port "$([[ $2 = 10.233.96.* ]] && echo node2.ingress || echo node3.ingress)" $2:443 ${3:-}
  case $2 in
    10.233.96.20 | 10.233.92.20) ;;
    *)
      on node3 ip route del $2/32
      on node3.ingress ip addr del $2/32 dev eth0
      on $n ipvsadm -e -t $port -r $2:443 -m -w 0
      ;;
  esac
  for s in 10.233.96.20 10.233.92.20; do on $n ipvsadm -e -t $port -r $s:443 -m -w 1; done
}
besides() {
  settle
  converse node2 51001 10.233.96.20       # in TIME_WAIT
  converse node2 51002 10.233.92.21       # ... of a server that is terminating
  converse node2 51003 10.233.92.22       # ... and of one that is gone
  converse node2 51004 10.233.92.23 open  # gone before it could say so
  converse node2 51005 10.233.92.20 open  # a client that began anew
  # Kernels before 5.9 keep what the servers that are gone leave behind.
  if [ -n "$kernel" ]; then on node2 sysctl -qw net.ipv4.vs.expire_nodest_conn=0; fi
  on node2 ipvsadm -d -t 192.168.21.12:30443 -r 10.233.92.22:443
  on node2 ipvsadm -d -t 192.168.21.12:30443 -r 10.233.92.23:443
  sleep 1
  on node2 sysctl -qw net.ipv4.vs.expire_nodest_conn=1
  # As kube-proxy sets it where the kernel is 4.1 to 5.8.
  if [ -z "$kernel" ]; then
    on node3 sysctl -qw net.ipv4.vs.conn_reuse_mode=0
    converse node3 51011 10.233.96.20
  fi
}
beside() {
  if [ -z "$kernel" ]; then return; fi
  local n
  for n in node1 node2 node3; do
    sed -i "s/ 6\.1\.[0-9]* .* x86_64/ $kernel #1 SMP x86_64/" "$scenario/$n/uname.txt"
    echo "E0617 01:12:33.102938       1 proxier.go:386] \"can't set sysctl net/ipv4/vs/conn_reuse_mode, kernel version must be at least 4.1\"" \
      >"$scenario/$n/kube-proxy.log"
  done
}
captured='node2 node1 node3'
. "$(dirname "${BASH_SOURCE[0]}")/../calico-ipip/build.sh"
