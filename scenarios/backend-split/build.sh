#!/bin/bash
# The network of ../ipvs-mark-drop-missing, but kube-proxy 1.13 is in iptables mode, so that this machine's kernel can hold it:
#
#   worker.job            -cni0- worker --ens192--+
#   node2.dns, node2.web  -cni0- node2  --ens192--+-- lan --eth0-- gateway
#                                master --ens192--+                192.168.21.1
#
# worker has joined just now. kubelet's iptables there is nf_tables, that of kube-proxy's and flannel's images is legacy.
# On node2 everybody's is legacy. A build.sh that sources this one sets `fault`: with `forward-drop` kube-proxy's restore is
# accepted, but Docker on worker has set the policy of FORWARD to DROP, in nf_tables.
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"
fault=${fault:-mark-drop-missing}

declare -A lan=([master]=192.168.21.11 [node2]=192.168.21.12 [worker]=192.168.21.20)
declare -A net=([node2]=9.1.2 [worker]=9.1.5)

node master node2 worker
stub gateway
for n in master node2 worker; do
  plug lan $n ens192 00:50:56:b3:21:"${lan[$n]##*.}" "${lan[$n]}/24"
  on $n ip route add default via 192.168.21.1 dev ens192 proto static
  for m in "${!net[@]}"; do if [ $m != $n ]; then on $n ip route add "${net[$m]}.0/24" via "${lan[$m]}" dev ens192; fi; done
done
plug lan gateway eth0 00:50:56:b3:21:01 192.168.21.1/24
attach() { # NODE POD VETH NUMBER
  pod $1 $2 $3 cni0 "$(printf '0a:58:%02x:%02x:%02x:%02x' $(tr . ' ' <<<"${net[$1]}") $4)" "${net[$1]}.$4/24" "${net[$1]}.1" 1500
  on $1 bridge link set dev $3 hairpin on
}
for n in node2 worker; do
  bridge $n cni0 "$(printf '0a:58:%02x:%02x:%02x:01' $(tr . ' ' <<<"${net[$n]}"))" "${net[$n]}.1/24" 1500
done
attach node2 dns veth5a1c02e7 3
attach node2 web vethb30f96d4 5
attach worker job veth7e42a8c9 4

flannel() { # NODE: flanneld 0.11 with --ip-masq, and its FORWARD rules
  cat <<RULES
*nat
-A POSTROUTING -s 9.0.0.0/8 -d 9.0.0.0/8 -j RETURN
-A POSTROUTING -s 9.0.0.0/8 ! -d 224.0.0.0/4 -j MASQUERADE
-A POSTROUTING ! -s 9.0.0.0/8 -d ${net[$1]}.0/24 -j RETURN
-A POSTROUTING ! -s 9.0.0.0/8 -d 9.0.0.0/8 -j MASQUERADE
COMMIT
*filter
-A FORWARD -s 9.0.0.0/8 -j ACCEPT
-A FORWARD -d 9.0.0.0/8 -j ACCEPT
COMMIT
RULES
}
kubelet() { # kubelet 1.13's rules, in whichever iptables it finds
  cat <<'RULES'
*nat
:KUBE-MARK-DROP - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -m mark --mark 0x4000/0x4000 -j MASQUERADE
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
RULES
}
# kube-proxy makes these chains and the jumps to them one by one; the rest comes with one restore, table by table.
chains() {
  cat <<'RULES'
*nat
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-SERVICES - [0:0]
-I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-I OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
RULES
}
postrouting='-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
restore() { # what kube-proxy 1.13 hands to iptables-restore for four services: the load balancer of web lets in some clients only
  cat <<'RULES'
*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
-A KUBE-SERVICES -m comment --comment "default/queue:http has no endpoints" -m tcp -p tcp -d 10.96.44.9/32 --dport 80 -j REJECT
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -s 9.0.0.0/8 -m comment --comment "kubernetes forwarding conntrack pod source rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack pod destination rule" -d 9.0.0.0/8 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
:KUBE-SEP-R2JXJBTOKLHKQ5NT - [0:0]
:KUBE-SVC-TCOU7JCQXEZGVUNU - [0:0]
:KUBE-SEP-K4ZDQKWIN6VSMM5G - [0:0]
:KUBE-SVC-BIJGBSD4RZCCZX5R - [0:0]
:KUBE-FW-BIJGBSD4RZCCZX5R - [0:0]
:KUBE-SEP-XH7PTQ2CYWLFN3ED - [0:0]
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -m mark --mark 0x4000/0x4000 -j MASQUERADE
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-SERVICES ! -s 9.0.0.0/8 -m comment --comment "default/kubernetes:https cluster IP" -m tcp -p tcp -d 10.96.0.1/32 --dport 443 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m comment --comment "default/kubernetes:https cluster IP" -m tcp -p tcp -d 10.96.0.1/32 --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
-A KUBE-SVC-NPX46M4PTMTKRN6Y -j KUBE-SEP-R2JXJBTOKLHKQ5NT
-A KUBE-SEP-R2JXJBTOKLHKQ5NT -s 192.168.21.11/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-R2JXJBTOKLHKQ5NT -m tcp -p tcp -j DNAT --to-destination 192.168.21.11:6443
-A KUBE-SERVICES ! -s 9.0.0.0/8 -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp -p udp -d 10.96.0.10/32 --dport 53 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp -p udp -d 10.96.0.10/32 --dport 53 -j KUBE-SVC-TCOU7JCQXEZGVUNU
-A KUBE-SVC-TCOU7JCQXEZGVUNU -j KUBE-SEP-K4ZDQKWIN6VSMM5G
-A KUBE-SEP-K4ZDQKWIN6VSMM5G -s 9.1.2.3/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-K4ZDQKWIN6VSMM5G -m udp -p udp -j DNAT --to-destination 9.1.2.3:53
-A KUBE-SERVICES ! -s 9.0.0.0/8 -m comment --comment "default/web:http cluster IP" -m tcp -p tcp -d 10.96.44.7/32 --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m comment --comment "default/web:http cluster IP" -m tcp -p tcp -d 10.96.44.7/32 --dport 80 -j KUBE-SVC-BIJGBSD4RZCCZX5R
-A KUBE-SERVICES -m comment --comment "default/web:http loadbalancer IP" -m tcp -p tcp -d 198.51.100.7/32 --dport 80 -j KUBE-FW-BIJGBSD4RZCCZX5R
-A KUBE-FW-BIJGBSD4RZCCZX5R -m comment --comment "default/web:http loadbalancer IP" -j KUBE-MARK-MASQ
-A KUBE-FW-BIJGBSD4RZCCZX5R -m comment --comment "default/web:http loadbalancer IP" -s 203.0.113.0/24 -j KUBE-SVC-BIJGBSD4RZCCZX5R
-A KUBE-FW-BIJGBSD4RZCCZX5R -m comment --comment "default/web:http loadbalancer IP" -j KUBE-MARK-DROP
-A KUBE-SVC-BIJGBSD4RZCCZX5R -j KUBE-SEP-XH7PTQ2CYWLFN3ED
-A KUBE-SEP-XH7PTQ2CYWLFN3ED -s 9.1.2.5/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-XH7PTQ2CYWLFN3ED -m tcp -p tcp -j DNAT --to-destination 9.1.2.5:8080
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
RULES
}
kube_proxy() { # NODE
  chains | on $1 iptables-restore --noflush
  if ! eval on $1 iptables -t nat -C POSTROUTING "$postrouting" 2>/dev/null; then eval on $1 iptables -t nat -I POSTROUTING "$postrouting"; fi
  # kube-proxy 1.16 and later make KUBE-MARK-DROP themselves
  restore | if [ $fault = forward-drop ]; then sed 's/^:KUBE-MARK-MASQ .*/:KUBE-MARK-DROP - [0:0]\n&/'; else cat; fi |
    on $1 iptables-restore --noflush --counters
}
docker() { # dockerd 19.03 with nothing published
  cat <<'RULES'
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:FORWARD DROP [0:0]
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
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
RULES
}

flannel node2 | on node2 iptables-restore --noflush
kubelet | on node2 iptables-restore --noflush
kube_proxy node2
flannel worker | on worker iptables-restore --noflush
if [ $fault = forward-drop ]; then docker | on worker iptables-nft-restore --noflush; fi
kubelet | on worker iptables-nft-restore --noflush
complaint=$(kube_proxy worker 2>&1) || true

nft_nodes=worker
beside() {
  local folder=$scenario/worker
  sed -i 's/ 6\.[0-9.]* .* x86_64/ 4.18.0-193.el8.x86_64 #1 SMP x86_64/' "$folder/uname.txt"
  if [ -z "$complaint" ]; then return; fi
  {
    echo "E0521 02:14:41.618305       1 proxier.go:1402] Failed to execute iptables-restore: exit status 2 ($complaint"
    echo ')'
    echo 'I0521 02:14:41.618346       1 proxier.go:1405] Closing local ports after iptables-restore failure'
  } >"$folder/kube-proxy.log"
}
finish "$@"
