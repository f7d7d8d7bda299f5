# shellcheck shell=bash
# What the build.sh of a scenario is made of: nodes, pods and wires as network namespaces. A build.sh sources this file,
# builds its network with the functions here and ends with `finish "$@"`. Run as root it is
#
#   build.sh              builds the network and throws it away
#   build.sh COMMAND...   ... and runs COMMAND in between, for a look around: ip netns exec a ip route
#   build.sh --capture    ... and writes what `netwhy capture` collects on each node into the scenario's folder
#
# A node is the named namespace NODE, its pod POD the named namespace NODE.POD. All is private to the script and gone when it ends.
# With --capture a build.sh's own function `beside` puts more files there, `captured` names the nodes (all, if it does not), and
# `listeners` prints who listens meanwhile, a line a program: NODE[.POD] PROGRAM PROTO/ADDR:PORT...
# With NETWHY_INSIDE=1 the caller has made the private place itself (network.py does) and keeps what was built.
set -euo pipefail
scenario=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$scenario/../.." && pwd)

if [ "${NETWHY_INSIDE:-}" != 1 ]; then
  NETWHY_INSIDE=1 exec unshare --mount --net --pid --fork --mount-proc --kill-child bash "$0" "$@"
fi
# The lock of iptables-legacy and the named namespaces are ours alone.
mount -t tmpfs none /run
mkdir -p /run/netns /run/bin
# The rules go where iptables goes, whatever this machine's default is. BACKEND=nft in a build.sh says otherwise, and
# `nft_nodes` names the nodes on which iptables as captured is that of nf_tables, whatever made the rules.
mkdir -p /run/nft
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -s "$(command -v "xtables-${BACKEND:-legacy}-multi")" /run/bin/$tool
  ln -s "$(command -v xtables-nft-multi)" /run/nft/$tool
done
PATH=/run/bin:$PATH

on() { # NODE COMMAND...
  local n=$1
  shift
  ip netns exec "$n" "$@"
}
nodes=()
stubs=()
place() { # NAME: an empty namespace, without IPv6 unless `six` says that it is about that
  ip netns add "$1"
  if [ -n "${six:-}" ]; then
    on "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
      net.ipv6.conf.default.router_solicitations=0
  else
    on "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  fi
  on "$1" ip link set lo up
}
node() { # NAME...: hosts, with the loose source checks that systemd sets and what kubelet and Docker ask of the kernel
  local n
  for n; do
    place "$n"
    nodes+=("$n")
    on "$n" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=2 net.ipv4.conf.lo.rp_filter=2 \
      net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
    if [ -n "${six:-}" ]; then on "$n" sysctl -qw net.ipv6.conf.all.forwarding=1; fi
  done
}
stub() { # NAME...: hosts that are not captured; scenario.yaml tells their addresses and routes
  local n
  for n; do
    place "$n"
    stubs+=("$n")
    on "$n" sysctl -qw net.ipv4.ip_forward=1
  done
}
plugs=0
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
ip link set lo up
plug() { # WIRE NODE DEVICE MAC ADDRESS...: a device of a node; the other end is a port of the bridge WIRE, which is no namespace's
  local wire=$1 n=$2 name=$3 mac=$4
  shift 4
  [ -e "/sys/class/net/$wire" ] || ip link show "$wire" >/dev/null 2>&1 || ip link add "$wire" up type bridge
  plugs=$((plugs + 1))
  # An ifindex of its own: a veth whose ends have the same one gets its carrier late.
  ip link add "plug$plugs" index $((1000 + plugs)) type veth peer name "$name" netns "$n"
  ip link set "plug$plugs" master "$wire" up
  on "$n" ip link set "$name" address "$mac" up
  for address; do
    case $address in
      *:*) on "$n" ip addr add "$address" dev "$name" nodad ;;
      *) on "$n" ip addr add "$address" brd + dev "$name" ;;
    esac
  done
}
bridge() { # NODE NAME MAC ADDRESS MTU: what the pods of a node are plugged into
  on "$1" ip link add "$2" address "$3" mtu "$5" type bridge
  on "$1" ip link set "$2" up
  on "$1" ip addr add "$4" brd + dev "$2"
}
pod() { # NODE POD VETH BRIDGE MAC ADDRESS GATEWAY MTU: a container and its veth pair
  local n=$1 p=$1.$2
  place "$p"
  on "$n" ip link add "$3" address "$(printf 'b6:%s' "${5#*:}")" mtu "$8" type veth peer name eth0 address "$5" mtu "$8" netns "$p"
  on "$n" ip link set "$3" master "$4" up
  on "$p" ip link set eth0 up
  on "$p" ip addr add "$6" brd + dev eth0
  on "$p" ip route add default via "$7" dev eth0
}

# Waits until every device that is up has a carrier and every port of a bridge forwards.
settle() {
  local n
  for n in "" "${nodes[@]}" "${stubs[@]}"; do
    for _ in $(seq 100); do
      if ! { if [ -n "$n" ]; then on "$n" ip -o -d link show up; else ip -o -d link show up; fi; } |
        grep -e 'NO-CARRIER' -e 'bridge_slave state [^f]' | grep -qv -e ' bridge forward_delay' -e ' tun '; then
        break
      fi
      sleep 0.02
    done
  done
}
# One packet to its gateway makes the pod known to its bridge.
speak() {
  local p gateway
  for p in /run/netns/*.*; do
    [ -e "$p" ] || continue
    p=${p##*/}
    gateway=$(on "$p" ip route show default | awk '{ print $3; exit }')
    [ -z "$gateway" ] || on "$p" bash -c "echo >/dev/udp/$gateway/9" 2>/dev/null || true
  done
}

# What decides about packets; the other 900 settings of a namespace are left out.
settings='^net\.(ipv4\.(vs\.(conntrack|conn_reuse_mode|expire_nodest_conn|expire_quiescent_template|snat_reroute|sloppy_(tcp|sctp)|schedule_icmp|cache_bypass|nat_icmp_send|drop_(entry|packet)|secure_tcp|backup_only|ignore_tunneled)|ip_forward|ip_default_ttl|ip_nonlocal_bind|fwmark_reflect|icmp_echo_ignore_all|fib_multipath_hash_policy|conf\..+\.(forwarding|rp_filter|accept_local|route_localnet|proxy_arp|arp_ignore|arp_announce|arp_filter|src_valid_mark|send_redirects))|bridge\..*|netfilter\.nf_conntrack_(tcp_loose|tcp_be_liberal|max)) '

if [ -n "${six:-}" ]; then settings="$settings|^net\.ipv6\.conf\..+\.(forwarding|disable_ipv6|proxy_ndp) "; fi

capture() { # NODE: `netwhy capture` on the node as if it were alone on its machine
  local n=$1 folder=$scenario/$1 path=$PATH
  if [[ " ${nft_nodes:-} " = *" $n "* ]]; then path=/run/nft:$PATH; fi
  rm -rf "${folder:?}"
  mkdir -p /run/beside/"$n"
  : >/run/listeners
  if declare -F listeners >/dev/null; then listeners >/run/listeners; fi
  # shellcheck disable=SC2016
  PATH=$path on "$n" unshare --mount --uts --pid --fork --mount-proc bash -c '
    hostname "$1"
    for pod in /run/netns/"$1".*; do
      [ -e "$pod" ] || continue
      touch /run/beside/"$1"/"${pod##*/"$1".}"
      mount --bind "$pod" /run/beside/"$1"/"${pod##*/"$1".}"
    done
    mount --rbind /run/beside/"$1" /run/netns
    # One after the other, so that PIDs are the same the next time. They end with this bash, which is their init.
    while read -r place program sockets; do
      case $place in
        "$1") python3 -B "$4" "$program" $sockets ;;
        "$1".*) nsenter --net=/run/netns/"${place#*.}" python3 -B "$4" "$program" $sockets ;;
      esac
    done <"$5"
    sh "$2" --dir "$3"' bash "$n" "$project/src/cli/capture-script.sh" "$scenario" "$project/test/oracle/listen.py" /run/listeners >/dev/null
  # Only the building made connections.
  find "$folder" -name conntrack.txt -exec truncate -s 0 {} +
  # Without what IPv6 would decide, what differs from run to run, and what nothing reads.
  if [ -z "${six:-}" ]; then find "$folder" -name 'ip6*' -delete; fi
  find "$folder" \( -name namespaces.txt -o -name tool-missing.txt \) -delete
  # Nothing runs in these networks unless a build.sh says so, and that would read as if nobody listened.
  if ! declare -F listeners >/dev/null; then find "$folder" -name ss.txt -delete; fi
  # A pod has no bridge of its own, no sets and no virtual servers.
  find "$folder" -path '*/namespaces/*' \( -name "bridge-*" -o -name ipset-save.txt -o -name nft-ruleset.txt -o -name '*ip_vs*' -o -name 'ipvs*' \) -delete
  find "$folder" -path '*/namespaces/*' -name sysctl.txt -exec sed -i '/^net\.ipv4\.vs\./d' {} +
  find "$folder" -name sysctl.txt -exec sed -i -E "/$settings/!d" {} +
  find "$folder" -name ip-link.txt -exec sed -i -E 's/(_timer) +[0-9.]+/\1    0.00/g; s/[[:space:]]+$//' {} +
  find "$folder" -name 'ip*-neigh.txt' -exec sed -i -E 's/(REACHABLE|DELAY|PROBE|STALE) *$/STALE/; /FAILED|INCOMPLETE/d' {} +
  # Sockets stand in the order of a hash, below their header.
  find "$folder" -name ss.txt -exec sh -c 'for f; do { head -n 1 "$f" && tail -n +2 "$f" | sort; } | sed "s/ *$//" >/run/sorted && cat /run/sorted >"$f"; done' sh {} +
  find "$folder" \( -name 'ip*-neigh.txt' -o -name bridge-fdb.txt \) -exec sh -c 'for f; do sort -o "$f" "$f"; done' sh {} +
  find "$folder" -name '*-save.txt' -exec sed -i -E '/^# (Generated|Completed)/d; s/ \[[0-9]+:[0-9]+\]$/ [0:0]/' {} +
  find "$folder" -name nft-ruleset.txt -exec sed -i -E 's/counter packets [0-9]+ bytes [0-9]+/counter packets 0 bytes 0/' {} +
  find "$folder" -name uname.txt -exec sed -i -E 's/ ([0-9.]+)-[^ ]+ #1 .* x86_64/ \1 #1 SMP x86_64/' {} +
  for f in "$folder"/proc-net-ip_vs.txt; do
    # Services stand in the order of a hash; the servers of each in the order in which they are picked.
    if [ -e "$f" ]; then { head -n 3 "$f" && tail -n +4 "$f" | sed -e ':a' -e 'N' -e '$!ba' -e 's/\n  ->/\x01  ->/g' | sort | tr '\001' '\n'; } >/run/sorted && cat /run/sorted >"$f"; fi
  done
  for f in "$folder"/ipvsadm-connections.txt; do
    if [ -e "$f" ]; then { head -n 2 "$f" && tail -n +3 "$f" | sed -E 's/ [0-9]+:[0-9]+ ( +TIME_WAIT)/ 01:50 \1/; s/ [0-9]+:[0-9]+ ( +ESTABLISHED)/ 14:50 \1/; s/ [0-9]+:[0-9]+ ( +SYN_RECV)/ 00:50 \1/' | sort; } >/run/sorted && cat /run/sorted >"$f"; fi
  done
  find "$folder" -type f -exec chmod 644 {} + -o -type d -exec chmod 755 {} +
}

finish() {
  settle
  speak
  case ${1:-} in
    '') ;;
    --capture)
      for n in ${captured:-"${nodes[@]}"}; do capture "$n"; done
      if declare -F beside >/dev/null; then beside; fi
      ;;
    *) "$@" ;;
  esac
}
