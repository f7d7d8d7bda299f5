#!/bin/bash
# The network of ../calico-ipip with kube-proxy 1.23 in IPVS mode, after an upgrade of Calico: calico-node on node2 may not list what
# the new version asks for, so Felix never hears that it knows everything and programs nothing. The rules are those of before; the
# pod new, which the CNI plugin has connected since, is in none of them.
ipvs=1.23
more_pods='node2.new cali6b0e5a3f9d1 10.233.96.9'
felixless=node2.new
services='
default/kubernetes:https tcp 10.233.0.1:443 192.168.21.11:6443
kube-system/coredns:dns udp 10.233.0.3:53 10.233.90.3:53
harbor/harbor:http tcp 10.233.18.7:80 nodeport=30080 10.233.92.8:8080
'
beside() {
  cat >"$scenario/node2/calico-node.log" <<'LOG'
2022-06-17 03:41:07.206 [INFO][66] felix/watchercache.go 181: Full resync is required ListRoot="/calico/resources/v3/projectcalico.org/caliconodestatuses"
2022-06-17 03:41:07.212 [INFO][66] felix/watchercache.go 194: Failed to perform list of current data during resync ListRoot="/calico/resources/v3/projectcalico.org/caliconodestatuses" error=connection is unauthorized: caliconodestatuses.crd.projectcalico.org is forbidden: User "system:serviceaccount:kube-system:calico-node" cannot list resource "caliconodestatuses" in API group "crd.projectcalico.org" at the cluster scope
LOG
}
. "$(dirname "$0")/../calico-ipip/build.sh"
