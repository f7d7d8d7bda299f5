#!/bin/bash
# The network of ../flannel-vxlan, but d's docker0 kept the network 10.100.41.0/24 while flanneld has leased 10.100.28.0/24.
fault=docker0-outside-subnet
captured="a b d"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
