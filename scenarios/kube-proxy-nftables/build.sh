#!/bin/bash
# Two nodes as kind makes them (a veth pair and a host route a pod, no bridge), with kube-proxy 1.33 in nftables mode:
#
#   node1.app -veth..- node1 --eth0--+-- lan --eth0-- office 192.168.50.50
#   node1.web -veth..-               +-- guest 192.168.50.200
#   node2.web -veth..- node2 --eth0--+-- gateway 192.168.50.1
export BACKEND=nft
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/nodes.sh"
. "$oracle/kube-proxy-nft.sh"

declare -A lan=([node1]=192.168.50.11 [node2]=192.168.50.12)
declare -A net=([node1]=10.244.1 [node2]=10.244.2)

node node1 node2
stub office guest gateway
for n in node1 node2; do
  plug lan $n eth0 02:42:c0:a8:32:"${lan[$n]##*.}" "${lan[$n]}/24"
  on $n ip route add default via 192.168.50.1 dev eth0
  for m in node1 node2; do if [ $m != $n ]; then on $n ip route add "${net[$m]}.0/24" via "${lan[$m]}" dev eth0; fi; done
done
plug lan office eth0 02:42:c0:a8:32:50 192.168.50.50/24
plug lan guest eth0 02:42:c0:a8:32:c8 192.168.50.200/24
plug lan gateway eth0 02:42:c0:a8:32:01 192.168.50.1/24
for s in office guest; do on $s ip route add 198.51.100.0/24 via 192.168.50.11 dev eth0; done

attach() { # NODE POD VETH NUMBER: as kindnet's ptp plugin does
  local n=$1 p=$1.$2 gateway=${net[$1]}.1 address=${net[$1]}.$4
  place "$p"
  on "$n" ip link add "$3" address "$(printf 'ce:0f:%02x:%02x:%02x:%02x' $(tr . ' ' <<<"$address"))" type veth \
    peer name eth0 address "$(printf '0a:00:%02x:%02x:%02x:%02x' $(tr . ' ' <<<"$address"))" netns "$p"
  on "$n" ip link set "$3" up
  on "$n" ip addr add "$gateway/32" dev "$3"
  on "$n" ip route add "$address/32" dev "$3" scope host
  on "$p" ip link set eth0 up
  on "$p" ip addr add "$address/24" brd + dev eth0 noprefixroute
  on "$p" ip route add "$gateway" dev eth0 scope link src "$address"
  on "$p" ip route add "${net[$1]}.0/24" via "$gateway" dev eth0 src "$address"
  on "$p" ip route add default via "$gateway" dev eth0
}
attach node1 app veth5a0c7d31 3
attach node1 web veth1b94e6f8 5
attach node2 web vethd2f7308c 7

pods=10.244.0.0/16
for n in node1 node2; do
  {
    base ip ipv4_addr 10.96.0.0/16
    base ip6 ipv6_addr fd00:10:96::/112
    echo "add element ip kube-proxy nodeport-ips { ${lan[$n]} }"
    service ULMVA6XW default/kubernetes/tcp/https tcp 10.96.0.1 443 192.168.50.11:6443
    service GBEZ6T4J default/web/tcp/http tcp 10.96.20.5 80 10.244.1.5:8080 10.244.2.7:8080
    external GBEZ6T4J default/web/tcp/http
    echo 'add element ip kube-proxy service-nodeports { tcp . 30080 : goto external-GBEZ6T4J-default/web/tcp/http }'

    # a load balancer's address for some clients only
    service K5NVWMQ3 default/shop/tcp/http tcp 10.96.20.6 80 10.244.2.7:8080
    external K5NVWMQ3 default/shop/tcp/http
    cat <<'RULES'
add chain ip kube-proxy firewall-K5NVWMQ3-default/shop/tcp/http
add rule ip kube-proxy firewall-K5NVWMQ3-default/shop/tcp/http ip saddr != { 192.168.50.0/26, 10.244.0.0/16 } drop
add element ip kube-proxy service-ips { 198.51.100.10 . tcp . 80 : goto external-K5NVWMQ3-default/shop/tcp/http }
add element ip kube-proxy firewall-ips { 198.51.100.10 . tcp . 80 comment "default/shop:http" : goto firewall-K5NVWMQ3-default/shop/tcp/http }
RULES

    # externalTrafficPolicy Local: what comes from outside meets the node's own pods, or nobody
    service DX4QLUR7 default/local/tcp/http tcp 10.96.20.7 80 10.244.2.7:8080
    cat <<'RULES'
add chain ip kube-proxy external-DX4QLUR7-default/local/tcp/http
add rule ip kube-proxy external-DX4QLUR7-default/local/tcp/http ip saddr 10.244.0.0/16 goto service-DX4QLUR7-default/local/tcp/http comment "short-circuit pod traffic"
add rule ip kube-proxy external-DX4QLUR7-default/local/tcp/http fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"
add rule ip kube-proxy external-DX4QLUR7-default/local/tcp/http fib saddr type local goto service-DX4QLUR7-default/local/tcp/http comment "short-circuit local traffic"
add element ip kube-proxy service-nodeports { tcp . 30082 : goto external-DX4QLUR7-default/local/tcp/http }
RULES
    if [ $n = node2 ]; then
      echo "add rule ip kube-proxy external-DX4QLUR7-default/local/tcp/http numgen random mod 1 vmap { 0 : goto endpoint-$(endpoint default/local/tcp/http 10.244.2.7:8080) }"
    else
      echo 'add element ip kube-proxy no-endpoint-nodeports { tcp . 30082 comment "default/local:http" : drop }'
    fi

    sticky=yes service Z6OWJ2HC default/cart/tcp/http tcp 10.96.20.8 80 10.244.1.5:8080 10.244.2.7:8080

    # no endpoints
    cat <<'RULES'
add element ip kube-proxy cluster-ips { 10.96.20.9 }
add element ip kube-proxy no-endpoint-services { 10.96.20.9 . tcp . 80 comment "default/queue:http" : goto reject-chain }
add element ip kube-proxy no-endpoint-nodeports { tcp . 30090 comment "default/queue:http" : goto reject-chain }
RULES
  } >/run/kube-proxy
  on $n nft -f /run/kube-proxy
done

finish "$@"
