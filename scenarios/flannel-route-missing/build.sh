#!/bin/bash
# The network of ../flannel-vxlan, but d has lost flannel's routes to the other nodes' pods.
fault=route-missing
captured="a b d"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
