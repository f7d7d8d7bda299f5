# shellcheck shell=bash
# What kube-proxy 1.33 writes in nftables mode: input of `nft -f`. `pods` is the cluster CIDR, `family` ip or ip6 where services are of that.
base() { # ip|ip6 TYPE SERVICES: what stands before any service is known
  cat <<RULES
add table $1 kube-proxy { comment "rules for kube-proxy"; }
add set $1 kube-proxy cluster-ips { type $2; comment "Active ClusterIPs"; }
add set $1 kube-proxy nodeport-ips { type $2; comment "IPs that accept NodePort traffic"; }
add map $1 kube-proxy firewall-ips { type $2 . inet_proto . inet_service : verdict; comment "destinations that are subject to LoadBalancerSourceRanges"; }
add map $1 kube-proxy no-endpoint-nodeports { type inet_proto . inet_service : verdict; comment "vmap to drop or reject packets to service nodeports with no endpoints"; }
add map $1 kube-proxy no-endpoint-services { type $2 . inet_proto . inet_service : verdict; comment "vmap to drop or reject packets to services with no endpoints"; }
add map $1 kube-proxy service-ips { type $2 . inet_proto . inet_service : verdict; comment "ClusterIP, ExternalIP and LoadBalancer IP traffic"; }
add map $1 kube-proxy service-nodeports { type inet_proto . inet_service : verdict; comment "NodePort traffic"; }
add chain $1 kube-proxy cluster-ips-check
add chain $1 kube-proxy filter-prerouting-pre-dnat { type filter hook prerouting priority -110; }
add chain $1 kube-proxy filter-output-pre-dnat { type filter hook output priority -110; }
add chain $1 kube-proxy filter-forward { type filter hook forward priority 0; }
add chain $1 kube-proxy filter-input { type filter hook input priority 0; }
add chain $1 kube-proxy filter-output { type filter hook output priority 0; }
add chain $1 kube-proxy firewall-check
add chain $1 kube-proxy mark-for-masquerade
add chain $1 kube-proxy masquerading
add chain $1 kube-proxy nat-output { type nat hook output priority -100; }
add chain $1 kube-proxy nat-postrouting { type nat hook postrouting priority 100; }
add chain $1 kube-proxy nat-prerouting { type nat hook prerouting priority -100; }
add chain $1 kube-proxy nodeport-endpoints-check
add chain $1 kube-proxy reject-chain { comment "helper for @no-endpoint-services / @no-endpoint-nodeports"; }
add chain $1 kube-proxy services
add chain $1 kube-proxy service-endpoints-check
add rule $1 kube-proxy cluster-ips-check $1 daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
add rule $1 kube-proxy cluster-ips-check $1 daddr { $3 } drop comment "Drop traffic to unallocated ClusterIPs"
add rule $1 kube-proxy filter-prerouting-pre-dnat ct state new jump firewall-check
add rule $1 kube-proxy filter-forward ct state new jump service-endpoints-check
add rule $1 kube-proxy filter-forward ct state new jump cluster-ips-check
add rule $1 kube-proxy filter-input ct state new jump nodeport-endpoints-check
add rule $1 kube-proxy filter-input ct state new jump service-endpoints-check
add rule $1 kube-proxy filter-output ct state new jump service-endpoints-check
add rule $1 kube-proxy filter-output-pre-dnat ct state new jump firewall-check
add rule $1 kube-proxy filter-output ct state new jump cluster-ips-check
add rule $1 kube-proxy firewall-check $1 daddr . meta l4proto . th dport vmap @firewall-ips
add rule $1 kube-proxy mark-for-masquerade meta mark set meta mark or 0x4000
add rule $1 kube-proxy masquerading meta mark and 0x4000 == 0 return
add rule $1 kube-proxy masquerading meta mark set meta mark xor 0x4000
add rule $1 kube-proxy masquerading masquerade fully-random
add rule $1 kube-proxy nat-output jump services
add rule $1 kube-proxy nat-postrouting jump masquerading
add rule $1 kube-proxy nat-prerouting jump services
add rule $1 kube-proxy nodeport-endpoints-check $1 daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
add rule $1 kube-proxy reject-chain reject
add rule $1 kube-proxy services $1 daddr . meta l4proto . th dport vmap @service-ips
add rule $1 kube-proxy services $1 daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
add rule $1 kube-proxy service-endpoints-check $1 daddr . meta l4proto . th dport vmap @no-endpoint-services
RULES
}

# The name of an endpoint: a hash, the service port, the address and the port.
endpoint() { # NAME ADDRESS:PORT
  local addr=${2%:*}
  addr=${addr#[}
  printf '%s-%s__%s' "$(md5sum <<<"$1$2" | tr a-f0-9 A-F2-7A-D | cut -c1-8)" "$1" "$(tr : . <<<"${addr%]}")/${2##*:}"
}
# One service port: its chain, that of each endpoint, and what leads there. With `sticky` its session affinity is ClientIP.
service() { # HASH NAMESPACE/NAME/PROTO/PORTNAME PROTO CLUSTER-IP PORT ENDPOINT...
  local ip=${family:-ip} vip=$4 type=ipv4_addr addr
  if [ "$ip" = ip6 ]; then type=ipv6_addr; fi
  local chain=service-$1-$2 name=$2 proto=$3 port=$5 n=0 to='' e it
  shift 5
  for e; do
    it=$(endpoint "$name" "$e") addr=${e%:*}
    addr=${addr#[}
    echo "add chain $ip kube-proxy endpoint-$it"
    echo "add rule $ip kube-proxy endpoint-$it $ip saddr ${addr%]} jump mark-for-masquerade"
    if [ -n "${sticky:-}" ]; then
      echo "add set $ip kube-proxy affinity-$it { type $type; flags dynamic, timeout; timeout 10800s; }"
      echo "add rule $ip kube-proxy endpoint-$it update @affinity-$it { $ip saddr }"
    fi
    echo "add rule $ip kube-proxy endpoint-$it meta l4proto $proto dnat to $e"
    to+="${to:+, }$n : goto endpoint-$it"
    n=$((n + 1))
  done
  echo "add chain $ip kube-proxy $chain"
  echo "add rule $ip kube-proxy $chain $ip daddr $vip $ip saddr != $pods jump mark-for-masquerade"
  if [ -n "${sticky:-}" ]; then
    for e; do
      it=$(endpoint "$name" "$e")
      echo "add rule $ip kube-proxy $chain $ip saddr @affinity-$it goto endpoint-$it"
    done
  fi
  echo "add rule $ip kube-proxy $chain numgen random mod $n vmap { $to }"
  echo "add element $ip kube-proxy cluster-ips { $vip }"
  echo "add element $ip kube-proxy service-ips { $vip . $proto . $port : goto $chain }"
}
external() { # HASH NAMESPACE/NAME/PROTO/PORTNAME: for what comes from outside, with externalTrafficPolicy Cluster
  local ip=${family:-ip}
  echo "add chain $ip kube-proxy external-$1-$2"
  echo "add rule $ip kube-proxy external-$1-$2 jump mark-for-masquerade"
  echo "add rule $ip kube-proxy external-$1-$2 goto service-$1-$2"
}
