#!/bin/bash
# A router with firewalld 2 (nft): the zone external with masquerading and a forwarded port, the zone internal, a policy from one
# to the other, and a zone by source:
#
#   pc     --eth0--+-- office --ens4-- router --ens3--+-- uplink --eth0-- remote 203.0.113.9
#   server --eth0--+   192.168.10.0/24                +------eth0-------- scanner 203.0.113.66
#   printer -eth0--+
export BACKEND=nft
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"

node router
stub pc server printer remote scanner
plug uplink router ens3 52:54:00:cb:71:02 203.0.113.2/24
plug uplink remote eth0 52:54:00:cb:71:09 203.0.113.9/24
plug uplink scanner eth0 52:54:00:cb:71:42 203.0.113.66/24
plug office router ens4 52:54:00:a8:0a:01 192.168.10.1/24
plug office pc eth0 52:54:00:a8:0a:0f 192.168.10.15/24
plug office server eth0 52:54:00:a8:0a:14 192.168.10.20/24
plug office printer eth0 52:54:00:a8:0a:c8 192.168.10.200/24
for n in pc server printer; do on $n ip route add default via 192.168.10.1 dev eth0; done
on remote ip route add 192.168.10.0/24 via 203.0.113.2 dev eth0

# A zone, or a policy, has five chains in each place where it can say something: RULES are lines of PART RULE.
declare -A hook=([mangle_PRE]=mangle_PREROUTING [nat_PRE]=nat_PREROUTING [nat_POST]=nat_POSTROUTING [filter_IN]=filter_INPUT [filter_FWD]=filter_FORWARD)
zone() { # PLACE ZONE RULES LAST
  local part
  for part in pre log deny allow post; do
    printf 'chain %s_%s_%s {\n%s\n}\n' "$1" "$2" $part "$(sed -n "s/^$part //p" <<<"${3:-}")"
  done
  echo "chain $1_$2 {"
  case $2 in policy_*) ;; *) echo "jump ${hook[$1]}_POLICIES_pre" ;; esac
  for part in pre log deny allow post; do echo "jump $1_$2_$part"; done
  case $2 in policy_*) ;; *) echo "jump ${hook[$1]}_POLICIES_post" ;; esac
  printf '%s\n}\n' "${4:-}"
}
# The base chain of a place, and how it finds the zone: by address first, then by device.
base() { # PLACE TYPE HOOK PRIORITY saddr|daddr iifname|oifname BEFORE AFTER
  local h=${hook[$1]}
  cat <<RULES
chain $h {
	type $2 hook $3 priority $4; policy accept;
	${7:-}
	jump ${h}_ZONES
	${8:-}
}
chain ${h}_ZONES {
	ip $5 192.168.10.192/26 goto $1_printers
	$6 "ens3" goto $1_external
	$6 "ens4" goto $1_internal
	goto $1_external
}
RULES
}
policies() { # HOOK PRE POST
  printf 'chain %s_POLICIES_pre {\n%s\n}\nchain %s_POLICIES_post {\n%s\n}\n' "$1" "${2:-}" "$1" "${3:-}"
}
reject='reject with icmpx admin-prohibited'
to6='ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24, 2002:a00::/24, 2002:7f00::/24, 2002:a9fe::/32, 2002:ac10::/28, 2002:c0a8::/32, 2002:e000::/19 } reject with icmpv6 addr-unreachable'
known='ct state { established, related } accept
	ct status dnat accept
	iifname "lo" accept
	ct state invalid drop'
office='iifname "ens4" oifname "ens3" jump'
{
  cat <<'RULES'
table inet firewalld {
ct helper helper-tftp-udp {
	type "tftp" protocol udp
}
set blocklist {
	type ipv4_addr
	flags interval
	elements = { 198.51.100.0/24, 203.0.113.66 }
}
RULES
  base mangle_PRE filter prerouting 'mangle + 10' saddr iifname
  policies mangle_PREROUTING "$office mangle_PRE_policy_office-out"
  for z in external internal printers policy_office-out; do zone mangle_PRE $z; done

  base nat_PRE nat prerouting 'dstnat + 10' saddr iifname
  policies nat_PREROUTING
  zone nat_PRE external 'allow meta nfproto ipv4 tcp dport 8443 dnat ip to 192.168.10.20:443'
  for z in internal printers; do zone nat_PRE $z; done

  base nat_POST nat postrouting 'srcnat + 10' daddr oifname
  policies nat_POSTROUTING "$office nat_POST_policy_office-out"
  zone nat_POST external 'allow meta nfproto ipv4 oifname != "lo" masquerade'
  for z in internal printers policy_office-out; do zone nat_POST $z; done
  cat <<'RULES'
chain nat_OUTPUT {
	type nat hook output priority -90; policy accept;
	jump nat_OUTPUT_POLICIES_pre
	jump nat_OUTPUT_POLICIES_post
}
RULES
  policies nat_OUTPUT

  cat <<'RULES'
chain filter_PREROUTING {
	type filter hook prerouting priority filter + 10; policy accept;
	icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
	meta nfproto ipv6 fib saddr . mark . iif oif missing drop
}
RULES
  base filter_IN filter input 'filter + 10' saddr iifname "$known" "$reject"
  policies filter_INPUT
  zone filter_IN external 'deny ip saddr @blocklist drop
allow tcp dport 22 accept
allow icmp type echo-request limit rate 20/second burst 5 packets accept' "$reject"
  zone filter_IN internal 'allow tcp dport { 22, 53 } accept
allow udp dport 53 accept
allow ip daddr 224.0.0.251 udp dport 5353 accept
allow ip6 daddr ff02::fb udp dport 5353 accept
allow udp dport 69 ct helper set "helper-tftp-udp"
allow udp dport 69 accept
allow ip saddr 192.168.10.15 tcp dport 9090 accept
post meta l4proto { icmp, ipv6-icmp } accept' "$reject"
  zone filter_IN printers 'deny ip daddr != 192.168.10.0/24 drop' drop

  base filter_FWD filter forward 'filter + 10' saddr iifname "$known
	$to6" "$reject"
  policies filter_FORWARD '' "$office filter_FWD_policy_office-out"
  zone filter_FWD external 'deny ip saddr @blocklist drop
allow oifname "ens3" accept' "$reject"
  zone filter_FWD internal 'allow oifname "ens4" accept
post meta l4proto { icmp, ipv6-icmp } accept' "$reject"
  zone filter_FWD printers 'deny ip daddr != 192.168.10.0/24 drop' drop
  zone filter_FWD policy_office-out 'deny tcp dport 25 reject with tcp reset' accept

  cat <<RULES
chain filter_OUTPUT {
	type filter hook output priority filter + 10; policy accept;
	ct state { established, related } accept
	oifname "lo" accept
	$to6
	jump filter_OUTPUT_POLICIES_pre
	jump filter_OUTPUT_POLICIES_post
}
RULES
  policies filter_OUTPUT
  echo '}'
} | on router nft -f -

finish "$@"
