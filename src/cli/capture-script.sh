#!/bin/sh
# netwhy capture: collects what this node prints about its network, for `netwhy trace`.
#
#   sh capture.sh > node.tar          an uncompressed tar on stdout
#   sh capture.sh --dir DIR           a folder instead
#   ssh NODE sh -s < capture.sh > node.tar
#
# It only reads: nothing is configured, no kernel module is loaded, no network is used, and nothing stays
# behind but the output. Tools that are missing are skipped and listed in tool-missing.txt.
# The namespace it runs in counts as the node's root namespace; named ones, containers' and those of any
# other process follow in namespaces/NAME/.
set -u
umask 077
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin
export PATH

# A table of connections may hold a million entries; this many lines are kept.
most_lines=50000

usage() {
  echo "usage: sh capture.sh > node.tar, or: sh capture.sh --dir DIR" >&2
  exit 2
}

dir=
while [ $# -gt 0 ]; do
  case $1 in
    --dir)
      [ $# -ge 2 ] || usage
      dir=$2
      shift 2
      ;;
    --dir=*)
      dir=${1#--dir=}
      shift
      ;;
    *) usage ;;
  esac
done

have() { command -v "$1" >/dev/null 2>&1; }

if [ -z "$dir" ]; then
  if [ -t 1 ]; then
    echo "netwhy capture: stdout is a terminal; redirect it (> node.tar) or give --dir DIR" >&2
    exit 2
  fi
  if ! have tar; then
    echo "netwhy capture: this node has no tar; give --dir DIR and copy the folder" >&2
    exit 2
  fi
fi

tmp=$(mktemp -d 2>/dev/null) || tmp=
if [ -z "$tmp" ]; then
  tmp=${TMPDIR:-/tmp}/netwhy-capture.$$
  mkdir "$tmp" || exit 1
fi
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

sudo=
if [ "$(id -u)" != 0 ] && have sudo && sudo -n true 2>/dev/null; then
  sudo='sudo -n'
fi

# What a file name may hold, whatever a host, namespace or container is called.
plain() { printf '%s' "$1" | tr -c 'A-Za-z0-9._-' '_'; }

host=$(plain "$(uname -n)")
if [ -n "$dir" ]; then
  node=$dir/$host
else
  node=$tmp/out/$host
fi
mkdir -p "$node" || exit 1
node=$(cd "$node" && pwd) || exit 1
: >"$node/tool-missing.txt"

out=$node # where the files of the namespace in hand go
where=    # how tool-missing.txt calls it: '' or namespaces/NAME/
netns=    # the namespace to enter, as a path; '' for the one we are in

missing() { # FILE COMMAND REASON...
  file=$1
  shift
  command=$1
  shift
  printf '%s%s: %s: %s\n' "$where" "$file" "$command" "$(printf '%s' "$*" | tr '\n' ' ')" >>"$node/tool-missing.txt"
}

# Some tools wait for a daemon or a lock that never comes.
limit=
if have timeout && timeout 1 true 2>/dev/null; then limit='timeout 60'; fi

# Runs a command in the namespace in hand. It keeps the mount namespace, so /proc and the tools stay the node's.
run() {
  if [ -z "$netns" ]; then
    # shellcheck disable=SC2086
    $sudo $limit "$@"
  elif have nsenter; then
    # shellcheck disable=SC2086
    $sudo $limit nsenter --net="$netns" "$@"
  else
    # shellcheck disable=SC2086
    $sudo $limit ip netns exec "${netns##*/}" "$@"
  fi
}

# keep FILE COMMAND...: FILE gets what COMMAND prints. A file that came out empty is kept: there is nothing to list.
keep() {
  kept=$1
  shift
  if ! have "$1"; then
    missing "$kept" "$*" "not found"
    return 1
  fi
  run "$@" >"$out/$kept" 2>"$tmp/stderr"
  code=$?
  # iptables-nft says here that there are legacy tables, too.
  case $kept in *tables*) sed -n '/^# Warning: /p' "$tmp/stderr" >>"$out/$kept" ;; esac
  [ "$code" -ne 0 ] || return 0
  missing "$kept" "$*" "exit code $code: $(head -c 500 "$tmp/stderr")"
  [ -s "$out/$kept" ] || rm -f "$out/$kept"
  return 1
}

# loaded NAME SYMBOL: whether this part of the kernel is there already. Asking it through its own tool could load it;
# where it is not loaded it holds nothing, and an empty file says so. Where the kernel will not tell, it is taken to be there.
loaded() {
  [ -d "/sys/module/$1" ] && return 0
  [ -r /proc/kallsyms ] || return 0
  grep -q "[[:space:]]$2\([[:space:]]\|\$\)" /proc/kallsyms
}

loaded nf_tables nf_tables_newtable && nft_loaded=1 || nft_loaded=
loaded ip_tables ipt_do_table && legacy_loaded=1 || legacy_loaded=
loaded ip_set ip_set_create && ipset_loaded=1 || ipset_loaded=
loaded nf_conntrack_netlink ctnetlink_dump_table && ctnetlink_loaded=1 || ctnetlink_loaded=

# Only the rules and policies of a dump: no dates, no counters.
rules_of() { sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]//' -e 's/[[:space:]]*$//' "$1"; }
holds_rules() { grep -q -e '^-A' -e '^\[.*\] -A' -e '^:[A-Z]* DROP' "$1"; }

# iptables_of ip|ip6: the dump of the default backend, and those of the two backends where they hold other rules.
iptables_of() {
  main=$out/$1tables-save.txt
  if have "$1tables"; then
    version=$("$1tables" -V 2>&1)
  else
    version=
  fi
  case $version in
    *nf_tables*) [ -n "$nft_loaded" ] && may=1 || may= ;;
    *) may=1 ;; # iptables-legacy-save asks /proc which tables there are before anything else
  esac
  if [ -n "$may" ]; then
    keep "$1tables-save.txt" "$1tables-save"
  else
    : >"$main"
  fi
  for backend in legacy nft; do
    case $backend in
      legacy) [ -n "$legacy_loaded" ] || continue ;;
      nft) [ -n "$nft_loaded" ] || continue ;;
    esac
    have "$1tables-$backend-save" || continue
    keep "$1tables-$backend-save.txt" "$1tables-$backend-save" || continue
    other=$out/$1tables-$backend-save.txt
    if ! holds_rules "$other"; then
      rm -f "$other"
    elif [ -f "$main" ]; then
      rules_of "$main" >"$tmp/main"
      rules_of "$other" >"$tmp/other"
      if cmp -s "$tmp/main" "$tmp/other"; then rm -f "$other"; fi
    fi
  done
}

# The net.* sysctls that decide about packets, as `sysctl -a` prints them.
sysctls() {
  if have sysctl; then
    # Some values are write-only; sysctl complains and goes on.
    run sysctl -a 2>/dev/null | grep -E '^net\.(ipv4|ipv6|netfilter|bridge)\.' >"$out/sysctl.txt"
    [ -s "$out/sysctl.txt" ] && return
  fi
  # In a file's name a dot and a slash change places: eth0.100 is net.ipv4.conf.eth0/100.rp_filter.
  # shellcheck disable=SC2016
  run sh -c 'cd /proc/sys && find net/ipv4 net/ipv6 net/netfilter net/bridge -type f 2>/dev/null | sort | while read -r f; do
      v=$(cat "$f" 2>/dev/null) && printf "%s = %s\n" "$(printf %s "$f" | tr ./ /.)" "$v"; done' >"$out/sysctl.txt" 2>"$tmp/stderr"
  if [ ! -s "$out/sysctl.txt" ]; then
    missing sysctl.txt "sysctl -a" "neither sysctl nor /proc/sys could be read"
    rm -f "$out/sysctl.txt"
  fi
}

# keep_lines FILE COMMAND...: FILE gets the first lines of what COMMAND printed into $tmp/lines.
keep_lines() {
  kept=$1
  shift
  head -n "$most_lines" "$tmp/lines" >"$out/$kept"
  lines=$(($(wc -l <"$tmp/lines")))
  if [ "$lines" -gt "$most_lines" ]; then missing "$kept" "$*" "cut after $most_lines of $lines lines"; fi
  rm -f "$tmp/lines"
}

conntracks() {
  if ! run test -e /proc/sys/net/netfilter/nf_conntrack_count; then
    : >"$out/conntrack.txt"
    return
  fi
  if have conntrack && [ -n "$ctnetlink_loaded" ] && run conntrack -L 2>"$tmp/stderr" >"$tmp/lines"; then
    :
  elif run cat /proc/net/nf_conntrack 2>"$tmp/stderr" >"$tmp/lines"; then
    :
  else
    missing conntrack.txt "conntrack -L" "$(head -c 500 "$tmp/stderr")"
    return
  fi
  keep_lines conntrack.txt conntrack -L
}

ipvs() {
  # ipvsadm itself loads ip_vs where it is not there.
  if ! run test -e /proc/net/ip_vs; then
    : >"$out/ipvsadm-save.txt"
    return
  fi
  keep ipvsadm-save.txt ipvsadm -Sn && keep ipvsadm-list.txt ipvsadm -Ln && keep ipvsadm-thresholds.txt ipvsadm -Ln --thresholds
  # ipvsadm sorts the servers; this is the order in which they are picked.
  keep proc-net-ip_vs.txt cat /proc/net/ip_vs
  if have ipvsadm && run ipvsadm -Lnc 2>"$tmp/stderr" >"$tmp/lines"; then
    keep_lines ipvsadm-connections.txt ipvsadm -Lnc
  elif run cat /proc/net/ip_vs_conn 2>"$tmp/stderr" >"$tmp/lines"; then
    keep_lines proc-net-ip_vs_conn.txt cat /proc/net/ip_vs_conn
  else
    missing ipvsadm-connections.txt "ipvsadm -Lnc" "$(head -c 500 "$tmp/stderr")"
  fi
}

# ss would load the modules through which it asks where they are not there; told a place of /proc, it reads that instead.
loaded tcp_diag tcp_diag_dump && loaded udp_diag udp_diag_dump && proc= || proc='env PROC_ROOT=/proc'

# Who listens. Its header tells a namespace where nobody does from an ss that failed.
listeners() {
  if have ss; then
    # shellcheck disable=SC2086
    keep ss.txt $proc ss -ltunp
  elif have netstat; then
    keep netstat.txt netstat -ltnu
  fi
}

# Everything of one network namespace.
collect() {
  iptables_of ip
  iptables_of ip6
  if [ -n "$nft_loaded" ]; then
    keep nft-ruleset.txt nft list ruleset
  else
    : >"$out/nft-ruleset.txt"
  fi
  if [ -n "$ipset_loaded" ]; then
    keep ipset-save.txt ipset save || keep ipset-list.txt ipset list
  else
    : >"$out/ipset-save.txt"
  fi
  ipvs
  keep ip-addr.txt ip addr show
  keep ip-link.txt ip -d link show || keep ip-link.txt ip link show
  keep ip-route.txt ip route show table all
  keep ip6-route.txt ip -6 route show table all
  keep ip-rule.txt ip rule show
  keep ip6-rule.txt ip -6 rule show
  keep ip-neigh.txt ip neigh show
  keep ip6-neigh.txt ip -6 neigh show
  keep bridge-fdb.txt bridge fdb show
  keep bridge-link.txt bridge -d link show || keep bridge-link.txt bridge link show
  sysctls
  conntracks
  listeners
}

# inode PATH: the number by which namespaces are told apart. PATH is /proc/PID/ns/net or a mount of it.
# shellcheck disable=SC2012
inode() { $sudo ls -Li "$1" 2>/dev/null | awk '{ print $1; exit }'; }

# name_pid PID NAME: containers' names for the namespaces they live in; the first one that is known stays.
name_pid() {
  case $1 in '' | 0 | *[!0-9]*) return ;; esac
  number=$(inode "/proc/$1/ns/net")
  [ -n "$number" ] && printf '%s %s\n' "$number" "$(plain "$2")" >>"$tmp/names"
}

# Pods and containers as their runtimes know them, pods first: a pod's containers share one namespace.
name_containers() {
  : >"$tmp/names"
  if have crictl; then
    # shellcheck disable=SC2086
    for sandbox in $($sudo $limit crictl pods --state ready -q 2>"$tmp/stderr"); do
      $sudo $limit crictl inspectp -o go-template --template '{{.info.pid}} {{.status.metadata.namespace}}_{{.status.metadata.name}}' "$sandbox" 2>>"$tmp/stderr"
      echo
    done >"$tmp/pods"
    if [ -s "$tmp/stderr" ]; then missing namespaces "crictl pods" "$(head -c 500 "$tmp/stderr")"; fi
    while read -r pid name; do name_pid "$pid" "$name"; done <"$tmp/pods"
  fi
  for runtime in docker podman; do
    have "$runtime" || continue
    # shellcheck disable=SC2086
    for container in $($sudo $limit "$runtime" ps -q 2>"$tmp/stderr"); do
      $sudo $limit "$runtime" inspect -f '{{.State.Pid}} {{.Name}}' "$container" 2>>"$tmp/stderr"
    done >"$tmp/containers"
    # A client without its daemon has no containers.
    if [ -s "$tmp/stderr" ] && ! grep -qi 'cannot connect' "$tmp/stderr"; then missing namespaces "$runtime ps" "$(head -c 500 "$tmp/stderr")"; fi
    while read -r pid name; do
      name=${name#/}
      case $name in
        k8s_*) # dockershim: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT
          name=$(printf '%s' "$name" | awk -F_ '{ print $4 "_" $3 }')
          ;;
      esac
      name_pid "$pid" "$name"
    done <"$tmp/containers"
  done
}

name_of() { awk -v number="$1" '$1 == number { print $2; exit }' "$tmp/names"; }

# visit PATH INODE NAME HOW: collects a namespace other than our own, once.
visit() {
  grep -qx "$2" "$tmp/seen" && return
  echo "$2" >>"$tmp/seen"
  name=$3
  while [ -e "$node/namespaces/$name" ]; do name=$name-$2; done
  netns=$1
  where=namespaces/$name/
  out=$node/namespaces/$name
  mkdir -p "$out" || return
  if ! run true 2>"$tmp/stderr"; then
    missing '*' "nsenter --net=$1" "$(head -c 500 "$tmp/stderr")"
  else
    printf '%s inode %s, %s\n' "$name" "$2" "$4" >>"$node/namespaces.txt"
    collect
  fi
  rmdir "$out" 2>/dev/null
}

if [ "$(id -u)" != 0 ] && [ -z "$sudo" ]; then
  missing '*' "id -u" "not root and no sudo without a password: rules, sets and other namespaces cannot be read"
fi

keep uname.txt uname -a
keep iptables-version.txt iptables -V
collect
# What flannel leaves for docker and the network plugins to read.
for file in subnet.env docker; do
  if [ -e "/run/flannel/$file" ]; then keep "flannel-${file%.env}.txt" cat "/run/flannel/$file"; fi
done
# Which namespace a link-netnsid means, where ip has a name for it.
if have ip && ip netns list-id >/dev/null 2>&1; then
  keep ip-netns.txt ip netns list-id
  grep -q name "$node/ip-netns.txt" || rm -f "$node/ip-netns.txt"
fi

inode /proc/self/ns/net >"$tmp/seen"
if [ ! -s "$tmp/seen" ]; then
  missing namespaces "ls -Li /proc/self/ns/net" "namespaces cannot be told apart; only this one was captured"
else
  name_containers
  mkdir -p "$node/namespaces"
  for path in /var/run/netns/*; do
    [ -e "$path" ] || continue
    number=$(inode "$path")
    [ -n "$number" ] || continue
    name=$(name_of "$number")
    [ -n "$name" ] || name=$(plain "${path##*/}")
    visit "$path" "$number" "$name" "named ${path##*/}"
  done
  # Every process, one `ls` for all; the lowest PID of a namespace stands for it.
  # shellcheck disable=SC2016
  $sudo sh -c 'ls -Lid /proc/[0-9]*/ns/net 2>/dev/null' | sed 's,^ *\([0-9]*\) /proc/\([0-9]*\)/.*,\1 \2,' | sort -k2n | awk '!seen[$1]++' >"$tmp/processes"
  while read -r number pid; do
    name=$(name_of "$number")
    [ -n "$name" ] || name=pid-$pid
    visit "/proc/$pid/ns/net" "$number" "$name" "process $pid" </dev/null
  done <"$tmp/processes"
  rmdir "$node/namespaces" 2>/dev/null
fi

[ -s "$node/tool-missing.txt" ] || rm -f "$node/tool-missing.txt"
if [ -z "$dir" ]; then
  tar -C "$tmp/out" -cf - "$host"
else
  echo "$node"
fi
