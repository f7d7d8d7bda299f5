#!/bin/bash
# The network of ../flannel-vxlan, but d does not forward.
fault=ip-forward-off
captured="a b d"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
