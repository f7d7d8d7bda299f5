#!/bin/bash
# As ../kube-proxy-nftables, but all is IPv6, and each node has a firewall of its own, /etc/nftables.conf:
#
#   node1.app -veth..- node1 --eth0--+-- lan --eth0-- office  2001:db8:50::50
#   node1.web -veth..-               |
#   node2.web -veth..- node2 --eth0--+--      --eth0-- gateway 2001:db8:50::1
export BACKEND=nft
six=yes
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/nodes.sh"
. "$oracle/kube-proxy-nft.sh"

declare -A lan=([node1]=2001:db8:50::11 [node2]=2001:db8:50::12)
declare -A net=([node1]=fd00:10:244:1: [node2]=fd00:10:244:2:)

node node1 node2
stub office gateway
for n in node1 node2; do
  plug lan $n eth0 02:42:50:00:00:"${lan[$n]##*:}" "${lan[$n]}/64"
  on $n ip -6 route add default via 2001:db8:50::1 dev eth0
  for m in node1 node2; do if [ $m != $n ]; then on $n ip -6 route add "${net[$m]}:/64" via "${lan[$m]}" dev eth0; fi; done
done
plug lan office eth0 02:42:50:00:00:50 2001:db8:50::50/64
plug lan gateway eth0 02:42:50:00:00:01 2001:db8:50::1/64

attach() { # NODE POD VETH NUMBER: as kindnet's ptp plugin does
  local n=$1 p=$1.$2 gateway=${net[$1]}:1 address=${net[$1]}:$4
  place "$p"
  on "$n" ip link add "$3" address ce:0f:10:24:"0${n#node}:0$4" type veth peer name eth0 address 0a:00:10:24:"0${n#node}:0$4" netns "$p"
  on "$n" ip link set "$3" up
  on "$n" ip addr add "$gateway/128" dev "$3" nodad
  on "$n" ip -6 route add "$address/128" dev "$3"
  on "$p" ip link set eth0 up
  on "$p" ip addr add "$address/64" dev eth0 nodad noprefixroute
  on "$p" ip -6 route add "$gateway" dev eth0
  on "$p" ip -6 route add default via "$gateway" dev eth0
}
attach node1 app veth5a0c7d31 3
attach node1 web veth1b94e6f8 5
attach node2 web vethd2f7308c 7

family=ip6 pods=fd00:10:244::/56
for n in node1 node2; do
  {
    cat <<'RULES'
table inet host {
	set admins {
		type ipv6_addr
		flags interval
		elements = { 2001:db8:50::40-2001:db8:50::5f, fd00:10:244::/56 }
	}
	chain input {
		type filter hook input priority filter - 5; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iifname "lo" accept
		icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
		meta l4proto { icmp, ipv6-icmp } limit rate 100/second accept
		meta nfproto ipv4 counter drop
		tcp dport { 6443, 10250 } accept
		ip6 saddr @admins tcp dport 22 accept
	}
}
RULES
    base ip ipv4_addr 10.96.0.0/16
    base ip6 ipv6_addr fd00:10:96::/112
    echo "add element ip6 kube-proxy nodeport-ips { ${lan[$n]} }"
    service ULMVA6XW default/kubernetes/tcp/https tcp fd00:10:96::1 443 '[2001:db8:50::11]:6443'
    service GBEZ6T4J default/web/tcp/http tcp fd00:10:96::2005 80 "[${net[node1]}:5]:8080" "[${net[node2]}:7]:8080"
    external GBEZ6T4J default/web/tcp/http
    echo 'add element ip6 kube-proxy service-nodeports { tcp . 30080 : goto external-GBEZ6T4J-default/web/tcp/http }'
    service K5NVWMQ3 default/shop/tcp/http tcp fd00:10:96::2006 80 "[${net[node2]}:7]:8080"
    cat <<'RULES'
add element ip6 kube-proxy cluster-ips { fd00:10:96::2009 }
add element ip6 kube-proxy no-endpoint-services { fd00:10:96::2009 . tcp . 80 comment "default/queue:http" : goto reject-chain }
add element ip6 kube-proxy no-endpoint-nodeports { tcp . 30090 comment "default/queue:http" : goto reject-chain }
RULES
  } >/run/rules
  on $n nft -f /run/rules
done

finish "$@"
