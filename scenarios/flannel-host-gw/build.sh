#!/bin/bash
# The network of ../flannel-vxlan, but flanneld has the backend host-gw: the next hops are the nodes themselves.
fault=host-gw
captured="a b d"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
