#!/bin/bash
# Four Docker hosts whose containers flannel connects by VXLAN, and the faults that the scenarios beside this one have:
#
#   a.web, a.app -docker0- a --ens3--+
#          b.web -docker0- b --ens3--+-- lan --eth0-- gateway --wan0-- internet
#          c.web -docker0- c --ens3--+                192.168.1.1      223.5.5.5
#   d.web, d.app -docker0- d --ens3--+
#
# A build.sh that sources this one sets `fault`. See test/oracle/nodes.sh for how to run it.
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"
fault=${fault:-}

#              LAN address       flannel's lease   the MAC of flannel.1
declare -A lan=([a]=192.168.1.101 [b]=192.168.1.102 [c]=192.168.1.103 [d]=192.168.1.104)
declare -A net=([a]=10.100.54 [b]=10.100.62 [c]=10.100.77 [d]=10.100.41)
declare -A vtep=([a]=8e:12:5b:a3:54:01 [b]=f2:6a:09:c7:62:02 [c]=36:d1:e0:4f:77:03 [d]=ba:7c:33:91:41:04)
declare -A docker0=()
for n in "${!net[@]}"; do docker0[$n]=${net[$n]}; done
# d's Docker was started before flanneld and kept the network it had; flanneld has leased another one since.
if [ "$fault" = docker0-outside-subnet ]; then net[d]=10.100.28; fi

node a b c d
stub gateway internet
for n in a b c d; do plug lan $n ens3 52:54:00:a8:01:"${lan[$n]##*.1}" "${lan[$n]}/24"; done
plug lan gateway eth0 52:54:00:a8:01:fe 192.168.1.1/24
plug wan gateway wan0 02:00:cb:00:71:01 203.0.113.1/24
plug wan internet eth0 02:00:cb:00:71:02 203.0.113.2/24
on gateway ip route add 223.5.5.0/24 via 203.0.113.2 dev wan0
on internet ip addr add 223.5.5.5/32 dev lo
on internet ip route add 192.168.1.0/24 via 203.0.113.1 dev eth0

hex() { printf '02:42:%02x:%02x:%02x:%02x' $(tr . ' ' <<<"$1"); } # a MAC as Docker makes it of an address
for n in a b c d; do
  on $n ip route add default via 192.168.1.1 dev ens3 proto static
  bridge $n docker0 "$(hex "${docker0[$n]}.1")" "${docker0[$n]}.1/24" 1450
  pod $n web "veth5c${n}1e02" docker0 "$(hex "${docker0[$n]}.2")" "${docker0[$n]}.2/24" "${docker0[$n]}.1" 1450
done
for n in a d; do pod $n app "veth91${n}7f03" docker0 "$(hex "${docker0[$n]}.3")" "${docker0[$n]}.3/24" "${docker0[$n]}.1" 1450; done

# flanneld: the device, the lease's first address, and for every other node a route, a neighbour and a forwarding entry.
mac_of() { # NODE: what etcd says of NODE's flannel.1
  # The record of d's lease is of a machine that had this subnet before.
  if [ "$fault" = stale-vtep-mac ] && [ "$1" = d ]; then echo 5e:88:0b:d4:41:f0; else echo "${vtep[$1]}"; fi
}
for n in a b c d; do
  for m in a b c d; do
    if [ $m = $n ]; then continue; fi
    case $fault in
      host-gw) on $n ip route add "${net[$m]}.0/24" via "${lan[$m]}" dev ens3 ;;
      *)
        if ! on $n ip link show flannel.1 >/dev/null 2>&1; then
          on $n ip link add flannel.1 address "${vtep[$n]}" mtu 1450 type vxlan id 1 local "${lan[$n]}" dev ens3 dstport 8472 nolearning
          on $n ip link set flannel.1 up
          on $n ip addr add "${net[$n]}.0/32" dev flannel.1
        fi
        on $n ip neigh replace "${net[$m]}.0" lladdr "$(mac_of $m)" dev flannel.1 nud permanent
        on $n bridge fdb append "$(mac_of $m)" dev flannel.1 dst "${lan[$m]}" self permanent
        if [ "$fault" = route-missing ] && [ $n = d ]; then continue; fi
        on $n ip route add "${net[$m]}.0/24" via "${net[$m]}.0" dev flannel.1 onlink
        ;;
    esac
  done
done

# Docker 18 with --ip-masq=false, flanneld 0.9 with --ip-masq, kube-proxy 1.15 with one service and its one endpoint, d/web.
rules() { # NODE POLICY
  cat <<RULES
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-D4NDKQ3ZVWYJ6H5T - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-XP4WJ6VSLGWALMW5 - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A POSTROUTING -s 10.100.0.0/16 -d 10.100.0.0/16 -j RETURN
-A POSTROUTING -s 10.100.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE
-A POSTROUTING ! -s 10.100.0.0/16 -d ${net[$1]}.0/24 -j RETURN
-A POSTROUTING ! -s 10.100.0.0/16 -d 10.100.0.0/16 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -m mark --mark 0x4000/0x4000 -j MASQUERADE
-A KUBE-SEP-D4NDKQ3ZVWYJ6H5T -s ${docker0[d]}.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-D4NDKQ3ZVWYJ6H5T -p tcp -m tcp -j DNAT --to-destination ${docker0[d]}.2:8080
-A KUBE-SERVICES ! -s 10.100.0.0/16 -d 10.254.32.17/32 -p tcp -m comment --comment "default/web: cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.254.32.17/32 -p tcp -m comment --comment "default/web: cluster IP" -m tcp --dport 80 -j KUBE-SVC-XP4WJ6VSLGWALMW5
-A KUBE-SVC-XP4WJ6VSLGWALMW5 -j KUBE-SEP-D4NDKQ3ZVWYJ6H5T
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD $2 [0:0]
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
-A KUBE-FORWARD -s 10.100.0.0/16 -m comment --comment "kubernetes forwarding conntrack pod source rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-FORWARD -d 10.100.0.0/16 -m comment --comment "kubernetes forwarding conntrack pod destination rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
RULES
}
for n in a b c d; do
  policy=ACCEPT
  if [ "$fault" = forward-drop ] && [ $n = d ]; then policy=DROP; fi
  rules $n $policy | on $n iptables-restore
done

case $fault in
  ip-forward-off) on d sysctl -qw net.ipv4.ip_forward=0 ;;
esac

# What other tools tell of the fault.
beside() {
  local n
  case $fault in
    stale-vtep-mac)
      {
        echo '[root@a ~]# etcdctl get /coreos.com/network/config'
        echo '{"Network":"10.100.0.0/16","Backend":{"Type":"vxlan"}}'
        echo '[root@a ~]# etcdctl ls /coreos.com/network/subnets'
        for n in a b c d; do echo "/coreos.com/network/subnets/${net[$n]}.0-24"; done
        for n in a b c d; do
          echo "[root@a ~]# etcdctl get /coreos.com/network/subnets/${net[$n]}.0-24"
          echo "{\"PublicIP\":\"${lan[$n]}\",\"BackendType\":\"vxlan\",\"BackendData\":{\"VtepMAC\":\"$(mac_of $n)\"}}"
        done
      } >"$scenario/etcd-subnets.txt"
      ;;
    docker0-outside-subnet)
      for n in ${captured:-}; do
        printf 'FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=%s.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n' "${net[$n]}" >"$scenario/$n/run-flannel-subnet.env"
      done
      ;;
  esac
}

finish "$@"
