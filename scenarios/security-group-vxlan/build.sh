#!/bin/bash
# The network of ../flannel-vxlan, but the switch lets no VXLAN through.
if [ "${NETWHY_INSIDE:-}" = 1 ]; then
  nft 'add table bridge cloud; add chain bridge cloud forward { type filter hook forward priority 0; }; add rule bridge cloud forward udp dport 8472 drop'
fi
captured="a b"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
