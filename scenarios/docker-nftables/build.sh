#!/bin/bash
# A Docker 29 host with firewall-backend nftables (and --userland-proxy=false) and a firewall of its own, /etc/nftables.conf:
#
#   host.web, 172.18.0.2 -br-5d1e0c7a93f4- host --ens3--+-- lan --eth0-- gateway --wan0-- internet
#   host.db,  172.18.0.3 -br-5d1e0c7a93f4-              |                192.168.1.1      223.5.5.5
#   host.app, 172.17.0.2 -docker0-         client --eth0+
#
# web publishes port 80 as 8080, and 9000 as 9000 of 127.0.0.1 only.
export BACKEND=nft
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"

node host
stub gateway internet client
plug lan host ens3 52:54:00:a8:01:0a 192.168.1.10/24
plug lan client eth0 52:54:00:a8:01:32 192.168.1.50/24
on client ip route add 172.18.0.0/16 via 192.168.1.10 dev eth0
plug lan gateway eth0 52:54:00:a8:01:fe 192.168.1.1/24
plug wan gateway wan0 02:00:cb:00:71:01 203.0.113.1/24
plug wan internet eth0 02:00:cb:00:71:02 203.0.113.2/24
on host ip route add default via 192.168.1.1 dev ens3 proto static
on gateway ip route add 223.5.5.0/24 via 203.0.113.2 dev wan0
on internet ip addr add 223.5.5.5/32 dev lo
on internet ip route add 192.168.1.0/24 via 203.0.113.1 dev eth0
bridge host docker0 02:42:6c:1f:0e:91 172.17.0.1/16 1500
bridge host br-5d1e0c7a93f4 02:42:a3:77:20:5b 172.18.0.1/16 1500
pod host app veth2b9e6f3 docker0 02:42:ac:11:00:02 172.17.0.2/16 172.17.0.1 1500
pod host web veth7c1d0a5 br-5d1e0c7a93f4 02:42:ac:12:00:02 172.18.0.2/16 172.18.0.1 1500
pod host db vethe40f8d6 br-5d1e0c7a93f4 02:42:ac:12:00:03 172.18.0.3/16 172.18.0.1 1500
for port in veth2b9e6f3 veth7c1d0a5 vethe40f8d6; do on host bridge link set dev $port hairpin on; done
for dev in docker0 br-5d1e0c7a93f4; do on host sysctl -qw net.ipv4.conf.$dev.route_localnet=1; done

# /etc/nftables.conf
on host nft -f - <<'RULES'
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state vmap { established : accept, related : accept, invalid : drop }
		iif "lo" accept
		ip protocol icmp icmp type { echo-request, destination-unreachable, time-exceeded } accept
		ip6 nexthdr icmpv6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, echo-request } accept
		ip saddr 192.168.1.0/24 tcp dport { 22, 9100-9109 } ct state new accept
		ip saddr 172.16.0.0/12 udp dport 53 accept
		meta pkttype { broadcast, multicast } drop
		limit rate 5/minute burst 10 packets log prefix "input: " level info
		counter comment "what the policy drops"
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
	}
	chain output {
		type filter hook output priority filter; policy accept;
	}
}
RULES
# dockerd
docker() { # ip|ip6: what it writes where no network is
  cat <<RULES
table $1 docker-bridges {
	map filter-forward-in-jumps { type ifname : verdict; }
	map filter-forward-out-jumps { type ifname : verdict; }
	map nat-postrouting-in-jumps { type ifname : verdict; }
	map nat-postrouting-out-jumps { type ifname : verdict; }
	chain filter-FORWARD {
		type filter hook forward priority filter; policy accept;
		oifname vmap @filter-forward-in-jumps
		iifname vmap @filter-forward-out-jumps
	}
	chain nat-OUTPUT {
		type nat hook output priority -100; policy accept;
		fib daddr type local counter jump nat-prerouting-and-output
	}
	chain nat-POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		iifname vmap @nat-postrouting-out-jumps
		oifname vmap @nat-postrouting-in-jumps
	}
	chain nat-PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local counter jump nat-prerouting-and-output
	}
	chain nat-prerouting-and-output {
	}
	chain raw-PREROUTING {
		type filter hook prerouting priority raw; policy accept;
	}
}
RULES
}
network() { # BRIDGE SUBNET ACCEPT...: ACCEPT are rules for what comes in
  cat <<RULES
table ip docker-bridges {
	chain filter-forward-in__$1 {
		ct state established,related counter accept
		iifname "$1" counter accept comment "ICC"
		${3:-}
		counter drop comment "UNPUBLISHED PORT DROP"
	}
	chain filter-forward-out__$1 {
		ct state established,related counter accept
		counter accept comment "OUTGOING"
	}
	chain nat-postrouting-in__$1 {
		fib saddr type local counter masquerade comment "MASQUERADE FROM HOST"
	}
	chain nat-postrouting-out__$1 {
		oifname != "$1" ip saddr $2 counter masquerade comment "MASQUERADE"
	}
}
add element ip docker-bridges filter-forward-in-jumps { "$1" : jump filter-forward-in__$1 }
add element ip docker-bridges filter-forward-out-jumps { "$1" : jump filter-forward-out__$1 }
add element ip docker-bridges nat-postrouting-in-jumps { "$1" : jump nat-postrouting-in__$1 }
add element ip docker-bridges nat-postrouting-out-jumps { "$1" : jump nat-postrouting-out__$1 }
RULES
}
{
  docker ip6 | sed '/fib daddr/s/fib/ip6 daddr != ::1 fib/'
  docker ip
  network docker0 172.17.0.0/16
  network br-5d1e0c7a93f4 172.18.0.0/16 'ip daddr 172.18.0.2 tcp dport 80 counter accept
		ip daddr 172.18.0.2 tcp dport 9000 counter accept'
  cat <<'RULES'
table ip docker-bridges {
	chain nat-prerouting-and-output {
		tcp dport 8080 counter dnat to 172.18.0.2:80 comment "DNAT"
		ip daddr 127.0.0.1 tcp dport 9000 counter dnat to 172.18.0.2:9000 comment "DNAT"
	}
	chain nat-postrouting-in__br-5d1e0c7a93f4 {
		ip saddr 172.18.0.2 ip daddr 172.18.0.2 tcp dport 80 counter masquerade comment "MASQ TO OWN PORT"
		ip saddr 172.18.0.2 ip daddr 172.18.0.2 tcp dport 9000 counter masquerade comment "MASQ TO OWN PORT"
	}
	chain raw-PREROUTING {
		ip daddr 172.17.0.2 iifname != "docker0" counter drop comment "DROP DIRECT ACCESS"
		ip daddr 172.18.0.2 iifname != "br-5d1e0c7a93f4" counter drop comment "DROP DIRECT ACCESS"
		ip daddr 172.18.0.3 iifname != "br-5d1e0c7a93f4" counter drop comment "DROP DIRECT ACCESS"
		iifname != "lo" ip daddr 127.0.0.1 tcp dport 9000 counter drop comment "DROP REMOTE LOOPBACK"
	}
}
RULES
} | on host nft -f -

finish "$@"
