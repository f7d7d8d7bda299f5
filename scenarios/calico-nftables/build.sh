#!/bin/bash
# Two nodes whose pods Calico 3.30 connects by routes alone (no overlay), with its nftables data plane, kube-proxy in nftables mode
# and network policies:
#
#   node1.web, node1.client -cali..- node1 --ens192--+-- lan --eth0-- gateway
#   node2.other, node2.job  -cali..- node2 --ens192--+   |            192.168.21.1, 223.5.5.5
#                                                        +---eth0-- office 192.168.21.50
export BACKEND=nft
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/nodes.sh"
. "$oracle/kube-proxy-nft.sh"

declare -A lan=([node1]=192.168.21.11 [node2]=192.168.21.12)
declare -A block=([node1]=10.48.90 [node2]=10.48.96)
declare -A device=([node1.web]=cali3c8d1f57a06 [node1.client]=calib16c5f8a2d4 [node2.other]=cali2e7a90c41b3 [node2.job]=cali7f03b6d9e52)
declare -A address=([node1.web]=10.48.90.8 [node1.client]=10.48.90.3 [node2.other]=10.48.96.5 [node2.job]=10.48.96.7)

node node1 node2
stub gateway office
for n in node1 node2; do
  plug lan $n ens192 00:50:56:b3:21:"${lan[$n]##*.}" "${lan[$n]}/24"
  on $n ip route add default via 192.168.21.1 dev ens192 proto static
done
plug lan gateway eth0 00:50:56:b3:21:01 192.168.21.1/24
on gateway ip addr add 223.5.5.5/32 dev lo
plug lan office eth0 00:50:56:b3:21:50 192.168.21.50/24

# Calico's CNI plugin: a /32, a gateway that only proxy ARP answers for, one host route a pod. BIRD's routes: the own block as a
# blackhole below them, the other node's by its address.
for p in node1.web node1.client node2.other node2.job; do
  n=${p%%.*} c=${device[$p]}
  place $p
  on $n ip -batch - <<LINKS
link add $c address ee:ee:ee:ee:ee:ee type veth peer name eth0 address 4e:0a:e9:$(printf %02x:%02x:%02x $(tr . ' ' <<<"${address[$p]#10.}")) netns $p
link set $c up
route add ${address[$p]}/32 dev $c scope link
LINKS
  on $n sysctl -qw net.ipv4.conf.$c.rp_filter=1 net.ipv4.conf.$c.proxy_arp=1 net.ipv4.conf.$c.route_localnet=1 \
    net.ipv4.conf.$c.forwarding=1 net.ipv4.neigh.$c.proxy_delay=0
  on $p ip -batch - <<LINKS
link set eth0 up
addr add ${address[$p]}/32 dev eth0
route add 169.254.1.1 dev eth0 scope link
route add default via 169.254.1.1 dev eth0
LINKS
done
on node1 ip route add 10.48.96.0/26 via 192.168.21.12 dev ens192 proto bird
on node2 ip route add 10.48.90.0/26 via 192.168.21.11 dev ens192 proto bird
for n in node1 node2; do on $n ip route add blackhole "${block[$n]}.0/26" proto bird; done

accept=0x10000 pass=0x20000 from_pod=0x40000
accepted="meta mark & $accept == $accept"
rule() { # LAYER CHAIN RULE...
  echo "add rule $family calico $1-$2 ${*:3}"
}
chain() { # LAYER CHAIN...
  local c
  for c in "${@:2}"; do echo "add chain $family calico $1-$c"; done
}
hooks() { # LAYER TYPE PRIORITY HOOK...
  local h type
  for h in "${@:4}"; do
    type=$2
    if [ $1-$h = mangle-output ]; then type=route; fi
    echo "add chain $family calico $1-${h^^} { type $type hook $h priority $3; }"
  done
}
# What Felix has on every node, whatever runs there.
static() { # FAMILY: ip or ip6
  family=$1
  local v=${1#ip}
  v=${v:-4}
  echo "add table $1 calico"
  cat <<RULES
add set $1 calico cali${v}0this-host { type ipv${v}_addr; }
add set $1 calico cali${v}0all-ipam-pools { type ipv${v}_addr; flags interval; }
add set $1 calico cali${v}0masq-ipam-pools { type ipv${v}_addr; flags interval; }
add map $1 calico filter-cali-from-wl-dispatch { type ifname : verdict; }
add map $1 calico filter-cali-to-wl-dispatch { type ifname : verdict; }
RULES
  hooks raw filter -300 prerouting output
  hooks mangle filter -150 prerouting input forward output postrouting
  hooks nat nat -100 prerouting output
  hooks nat nat 100 input postrouting
  hooks filter filter 0 input forward output
  chain raw cali-PREROUTING cali-OUTPUT cali-rpf-skip cali-from-host-endpoint cali-to-host-endpoint
  chain mangle cali-PREROUTING cali-POSTROUTING cali-from-host-endpoint cali-to-host-endpoint
  chain nat cali-PREROUTING cali-OUTPUT cali-POSTROUTING cali-fip-dnat cali-fip-snat cali-nat-outgoing
  chain filter cali-INPUT cali-FORWARD cali-OUTPUT cali-wl-to-host cali-from-wl-dispatch cali-to-wl-dispatch \
    cali-from-hep-forward cali-to-hep-forward cali-from-host-endpoint cali-to-host-endpoint cali-cidr-block

  rule raw PREROUTING counter jump raw-cali-PREROUTING
  rule raw OUTPUT counter jump raw-cali-OUTPUT
  rule raw cali-PREROUTING 'counter meta mark set mark & 0xfff0ffff'
  rule raw cali-PREROUTING "iifname \"cali*\" counter meta mark set mark or $from_pod"
  rule raw cali-PREROUTING "meta mark & $from_pod == $from_pod counter jump raw-cali-rpf-skip"
  rule raw cali-PREROUTING "meta mark & $from_pod == $from_pod fib saddr . mark . iif oif 0 counter drop"
  rule raw cali-PREROUTING "meta mark & $from_pod == 0 counter jump raw-cali-from-host-endpoint"
  rule raw cali-PREROUTING "$accepted counter accept"
  rule raw cali-OUTPUT 'counter meta mark set mark & 0xfff0ffff'
  rule raw cali-OUTPUT counter jump raw-cali-to-host-endpoint
  rule raw cali-OUTPUT "$accepted counter accept"

  rule mangle PREROUTING counter jump mangle-cali-PREROUTING
  rule mangle POSTROUTING counter jump mangle-cali-POSTROUTING
  rule mangle cali-PREROUTING ct state established,related counter accept
  rule mangle cali-PREROUTING "$accepted counter accept"
  rule mangle cali-PREROUTING counter jump mangle-cali-from-host-endpoint
  rule mangle cali-PREROUTING "$accepted counter accept comment \"Host endpoint policy accepted packet.\""
  rule mangle cali-POSTROUTING "$accepted counter return"
  rule mangle cali-POSTROUTING 'counter meta mark set mark & 0xfff0ffff'
  rule mangle cali-POSTROUTING ct status dnat counter jump mangle-cali-to-host-endpoint
  rule mangle cali-POSTROUTING "$accepted counter return comment \"Host endpoint policy accepted packet.\""

  rule nat PREROUTING counter jump nat-cali-PREROUTING
  rule nat OUTPUT counter jump nat-cali-OUTPUT
  rule nat POSTROUTING counter jump nat-cali-POSTROUTING
  rule nat cali-PREROUTING counter jump nat-cali-fip-dnat
  rule nat cali-OUTPUT counter jump nat-cali-fip-dnat
  rule nat cali-POSTROUTING counter jump nat-cali-fip-snat
  rule nat cali-POSTROUTING counter jump nat-cali-nat-outgoing
  rule nat cali-nat-outgoing "$1 saddr @cali${v}0masq-ipam-pools $1 daddr != @cali${v}0all-ipam-pools counter masquerade fully-random"

  rule filter INPUT counter jump filter-cali-INPUT
  rule filter FORWARD counter jump filter-cali-FORWARD
  rule filter FORWARD "$accepted counter accept comment \"Policy explicitly accepted packet.\""
  rule filter FORWARD "counter meta mark set mark or $accept"
  rule filter OUTPUT counter jump filter-cali-OUTPUT
  rule filter cali-FORWARD 'counter meta mark set mark & 0xfff1ffff'
  rule filter cali-FORWARD "meta mark & $accept == 0 counter jump filter-cali-from-hep-forward"
  rule filter cali-FORWARD 'iifname "cali*" counter jump filter-cali-from-wl-dispatch'
  rule filter cali-FORWARD 'oifname "cali*" counter jump filter-cali-to-wl-dispatch'
  rule filter cali-FORWARD counter jump filter-cali-to-hep-forward
  rule filter cali-FORWARD counter jump filter-cali-cidr-block
  rule filter cali-INPUT 'iifname "cali*" counter goto filter-cali-wl-to-host'
  rule filter cali-INPUT "$accepted counter accept"
  rule filter cali-INPUT 'counter meta mark set mark & 0xfff0ffff'
  rule filter cali-INPUT counter jump filter-cali-from-host-endpoint
  rule filter cali-INPUT "$accepted counter accept comment \"Host endpoint policy accepted packet.\""
  rule filter cali-OUTPUT "$accepted counter accept"
  rule filter cali-OUTPUT 'oifname "cali*" counter return'
  rule filter cali-OUTPUT 'counter meta mark set mark & 0xfff0ffff'
  rule filter cali-OUTPUT ct status != dnat counter jump filter-cali-to-host-endpoint
  rule filter cali-OUTPUT "$accepted counter accept comment \"Host endpoint policy accepted packet.\""
  rule filter cali-wl-to-host counter jump filter-cali-from-wl-dispatch
  rule filter cali-wl-to-host 'counter accept comment "Configured DefaultEndpointToHostAction"'
  rule filter cali-from-wl-dispatch iifname vmap @filter-cali-from-wl-dispatch
  rule filter cali-from-wl-dispatch 'counter drop comment "Unknown interface"'
  rule filter cali-to-wl-dispatch oifname vmap @filter-cali-to-wl-dispatch
  rule filter cali-to-wl-dispatch 'counter drop comment "Unknown interface"'

  chain filter cali-pri-kns.default cali-pro-kns.default
  for c in pri pro; do
    rule filter cali-$c-kns.default "counter meta mark set mark or $accept comment \"Profile kns.default\""
    rule filter cali-$c-kns.default "$accepted counter return"
  done
}
# One direction of one pod: its policies, or without any its profile.
endpoint_chain() { # tw|fw DEVICE POLICY...
  local c=cali-$1-$2 profile=pri
  if [ $1 = fw ]; then profile=pro; fi
  chain filter $c
  rule filter $c ct state established,related counter accept
  rule filter $c ct state invalid counter drop
  rule filter $c 'counter meta mark set mark & 0xfffcffff'
  if [ $1 = fw ]; then
    rule filter $c 'meta l4proto udp udp dport 4789 counter drop comment "Drop VXLAN encapped packets originating in workloads"'
    rule filter $c 'meta l4proto 4 counter drop comment "Drop IPinIP encapped packets originating in workloads"'
  fi
  if [ $# -gt 2 ]; then
    rule filter $c 'counter meta mark set mark & 0xfffdffff comment "Start of tier default"'
    for policy in "${@:3}"; do
      rule filter $c "meta mark & $pass == 0 counter jump filter-$policy"
      rule filter $c "$accepted counter return comment \"Return if policy accepted\""
    done
    rule filter $c "meta mark & $pass == 0 counter drop comment \"End of tier default. Drop if no policies passed packet\""
  fi
  rule filter $c counter jump filter-cali-$profile-kns.default
  rule filter $c "$accepted counter return comment \"Return if profile accepted\""
  rule filter $c 'counter drop comment "Drop if no profiles matched"'
}
allow() { # CHAIN MATCH COMMENT
  rule filter $1 "$2 counter meta mark set mark or $accept ${3:+comment \"$3\"}"
  rule filter $1 "$accepted counter return"
}

pods=10.48.0.0/16
for n in node1 node2; do
  {
    base ip ipv4_addr 10.96.0.0/16
    base ip6 ipv6_addr fd00:10:96::/112
    echo "add element ip kube-proxy nodeport-ips { ${lan[$n]} }"
    service ULMVA6XW default/kubernetes/tcp/https tcp 10.96.0.1 443 192.168.21.11:6443
    service M3KD5YQA default/web/tcp/http tcp 10.96.30.4 80 10.48.90.8:8080
    external M3KD5YQA default/web/tcp/http
    echo 'add element ip kube-proxy service-nodeports { tcp . 30080 : goto external-M3KD5YQA-default/web/tcp/http }'

    static ip6
    static ip
    cat <<SETS
add element ip calico cali40this-host { 127.0.0.0, 127.0.0.1, ${lan[$n]} }
add element ip calico cali40all-ipam-pools { 10.48.0.0/16 }
add element ip calico cali40masq-ipam-pools { 10.48.0.0/16 }
SETS
    case $n in
      node1)
        # NetworkPolicy web-clients: pods with role=client to 8080 of app=web
        echo 'add set ip calico cali40s-bGnRw4kPz8x0FhL1UqYv_2c { type ipv4_addr; }'
        echo 'add element ip calico cali40s-bGnRw4kPz8x0FhL1UqYv_2c { 10.48.90.3, 10.48.96.7 }'
        policy=cali-pi-default/knp.default.web-clients
        chain filter $policy
        allow $policy 'meta l4proto tcp ip saddr @cali40s-bGnRw4kPz8x0FhL1UqYv_2c tcp dport { 8080, 9443-9445 }' 'Policy default/knp.default.web-clients ingress'
        endpoint_chain tw ${device[node1.web]} $policy
        endpoint_chain fw ${device[node1.web]}
        endpoint_chain tw ${device[node1.client]}
        endpoint_chain fw ${device[node1.client]}
        ;;
      node2)
        # NetworkPolicy job-egress: the named port `http` of app=web, names, and addresses outside but for the metadata server
        echo 'add set ip calico cali40n-Xo7vR2bT9w_kQ4mZs1dPe6A { type ipv4_addr . inet_proto . inet_service; }'
        echo 'add element ip calico cali40n-Xo7vR2bT9w_kQ4mZs1dPe6A { 10.48.90.8 . tcp . 8080 }'
        policy=cali-po-default/knp.default.job-egress
        chain filter $policy
        allow $policy 'meta l4proto tcp ip daddr . meta l4proto . th dport @cali40n-Xo7vR2bT9w_kQ4mZs1dPe6A' 'Policy default/knp.default.job-egress egress'
        allow $policy 'meta l4proto udp udp dport 53'
        # an address block with an exception takes a bit of its own
        rule filter $policy 'counter meta mark set mark & 0xfff3ffff ^ 0x40000'
        rule filter $policy 'ip daddr 169.254.0.0/16 counter meta mark set mark & 0xfffbffff'
        rule filter $policy 'ip daddr 10.0.0.0/8 counter meta mark set mark & 0xfffbffff'
        allow $policy 'meta mark & 0x40000 == 0x40000 ip daddr 0.0.0.0/0 meta l4proto tcp tcp dport 443'
        endpoint_chain tw ${device[node2.job]}
        endpoint_chain fw ${device[node2.job]} $policy
        endpoint_chain tw ${device[node2.other]}
        endpoint_chain fw ${device[node2.other]}
        ;;
    esac
    for p in "${!device[@]}"; do
      if [ ${p%%.*} = $n ]; then
        echo "add element ip calico filter-cali-from-wl-dispatch { \"${device[$p]}\" : goto filter-cali-fw-${device[$p]} }"
        echo "add element ip calico filter-cali-to-wl-dispatch { \"${device[$p]}\" : goto filter-cali-tw-${device[$p]} }"
      fi
    done
  } >/run/rules
  on $n nft -f /run/rules
done

finish "$@"
