# shellcheck shell=bash
# For a build.sh whose network takes what the kernel of this machine may lack: sourced before nodes.sh, it runs the rest inside
# User-Mode Linux (uml.sh). The scenario's folder can be written from there; so it is with --capture.
if [ "${NETWHY_GUEST:-}" != 1 ]; then
  exec "$(dirname "${BASH_SOURCE[0]}")/uml.sh" env NETWHY_GUEST=1 bash "$(realpath "$0")" "$@"
fi
if [ "${NETWHY_INSIDE:-}" != 1 ]; then
  modprobe -a br_netfilter ipip dummy ip_vs ip_vs_rr sctp xt_set xt_physdev veth bridge xt_addrtype xt_conntrack xt_comment xt_mark xt_multiport xt_statistic nf_log_syslog nfnetlink_log xt_TRACE 2>/dev/null || true
  here=$(dirname "$(realpath "$0")")
  if [ "${1:-}" = --capture ]; then mount -t hostfs none "$here" -o "$here"; fi
fi
