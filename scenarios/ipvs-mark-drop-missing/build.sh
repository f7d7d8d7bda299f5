#!/bin/bash
# Flannel (host-gw) connects the pods of two nodes, kube-proxy 1.13 in IPVS mode their services; worker has joined just now:
#
#   worker.job            -cni0- worker --ens192--+
#   node2.dns, node2.web  -cni0- node2  --ens192--+-- lan --eth0-- gateway
#                                master --ens192--+                192.168.21.1
#
# kubelet's iptables on worker is nf_tables and made KUBE-MARK-DROP there; kube-proxy's is legacy and does not find it, so its
# restore is refused. A build.sh that sources this one sets `fault`: `none` has the chain, and `martian` also a kube-proxy on the
# master. See test/oracle/nodes.sh for how to run it; it takes IPVS, so it runs in User-Mode Linux.
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/in-uml.sh"
. "$oracle/nodes.sh"
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
for n in "${!net[@]}"; do
  bridge $n cni0 "$(printf '0a:58:%02x:%02x:%02x:01' $(tr . ' ' <<<"${net[$n]}"))" "${net[$n]}.1/24" 1500
  on $n sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
done
attach() { # NODE POD VETH NUMBER
  pod $1 $2 $3 cni0 "$(printf '0a:58:%02x:%02x:%02x:%02x' $(tr . ' ' <<<"${net[$1]}") $4)" "${net[$1]}.$4/24" "${net[$1]}.1" 1500
  on $1 bridge link set dev $3 hairpin on
}
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
# kube-proxy makes its chains and the jumps to them one by one; what is in the chains comes with one restore, or not at all.
chains() {
  cat <<'RULES'
*nat
:KUBE-FIREWALL - [0:0]
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
COMMIT
RULES
}
postrouting='-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
kube_proxy() { # NODE BLOCK
  chains | on $1 iptables-restore --noflush
  if ! eval on $1 iptables -t nat -C POSTROUTING "$postrouting" 2>/dev/null; then eval on $1 iptables -t nat -I POSTROUTING "$postrouting"; fi
  on $1 python3 -B "$oracle/kube-proxy-ipvs.py" 1.13 9.0.0.0/8 $2 "${lan[$1]}" >/run/restore-$1 <<'SERVICES'
default/kubernetes:https tcp 10.96.0.1:443 192.168.21.11:6443
kube-system/kube-dns:dns udp 10.96.0.10:53 9.1.2.3:53
kube-system/kube-dns:dns-tcp tcp 10.96.0.10:53 9.1.2.3:53
default/web:http tcp 10.96.44.7:80 9.1.2.5:8080
SERVICES
  on $1 iptables-restore --noflush --counters </run/restore-$1
}

flannel node2 | on node2 iptables-restore --noflush
kubelet | on node2 iptables-restore --noflush
kube_proxy node2 9.1.2.0/24
flannel worker | on worker iptables-restore --noflush
if [ "$fault" != mark-drop-missing ] && [ "$fault" != martian ]; then kubelet | on worker iptables-restore --noflush; fi
complaint=$(kube_proxy worker 9.1.5.0/24 2>&1) || echo "refused on worker: $complaint" >&2
case $fault in
  martian)
    kubelet | on master iptables-restore --noflush
    kube_proxy master 9.1.1.0/24
    ;;
esac

beside() {
  local folder=$scenario/worker
  sed -i 's/ 6\.1\.[0-9]* .* x86_64/ 4.18.0-193.el8.x86_64 #1 SMP x86_64/' "$folder/uname.txt"
  if [ -n "$complaint" ]; then
    # The node's own iptables is another one than kube-proxy's, and shows other rules.
    mv "$folder/iptables-save.txt" "$folder/iptables-legacy-save.txt"
    echo 'iptables v1.8.4 (nf_tables)' >"$folder/iptables-version.txt"
    {
      kubelet | sed -n '/^\*filter/,$p' | sed 's/^\*filter/&\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]/'
      kubelet | sed '/^\*filter/,$d' | sed 's/^\*nat/&\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]/'
      echo '# Warning: iptables-legacy tables present, use iptables-legacy-save to see them'
    } >"$folder/iptables-save.txt"
    # The same rules as nft lists them, which this kernel cannot be asked for.
    cp "$project/scenarios/backend-split/worker/nft-ruleset.txt" "$folder/"
    {
      echo "E0521 02:14:41.618305       1 proxier.go:1195] Failed to execute iptables-restore: exit status 2 ($complaint)"
      echo 'Rules:'
      cat /run/restore-worker
    } >"$folder/kube-proxy.log"
  fi
}

captured='worker node2 master'
if [ -n "$complaint" ]; then
  # The report's own try: it stays in the table of connections for a minute.
  settle
  on worker python3 -c 'import socket; s = socket.socket(); s.setblocking(False); s.bind(("0.0.0.0", 33890)); s.connect_ex(("10.96.0.1", 443))'
fi
finish "$@"
