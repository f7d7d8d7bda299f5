#!/bin/bash
# Three masters with an API server (6443) and haproxy (8443) each, and a worker, on one LAN. keepalived is to give one
# master the address 192.168.1.100, at which everybody asks for the API server; `holders` says which masters have it.
. "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle/nodes.sh"
holders=${holders:-}

node m1 m2 m3 worker
plug lan m1 ens3 52:54:00:a8:01:01 192.168.1.101/24
plug lan m2 ens3 52:54:00:a8:01:02 192.168.1.102/24
plug lan m3 ens3 52:54:00:a8:01:03 192.168.1.103/24
plug lan worker ens3 52:54:00:a8:01:0b 192.168.1.111/24
for n in $holders; do on "$n" ip addr add 192.168.1.100/32 dev ens3; done
if [ "$holders" = 'm1 m2' ]; then
  # Both announced themselves. The worker heard m2 last, m3 heard m1 last.
  on worker ip neigh replace 192.168.1.100 lladdr 52:54:00:a8:01:02 dev ens3 nud stale
  # m1 has spoken to m2 under its own address; m2 would not answer an ARP request that comes from an address of its own.
  on m1 ip neigh replace 192.168.1.102 lladdr 52:54:00:a8:01:02 dev ens3 nud stale
  on m3 ip neigh replace 192.168.1.100 lladdr 52:54:00:a8:01:01 dev ens3 nud stale
fi

finish "$@"
