#!/bin/bash
# The network of ../flannel-vxlan, but etcd's record of d's subnet, and so the entries of a, b and c, name the MAC of a machine that is gone.
fault=stale-vtep-mac
captured="a b c d"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
