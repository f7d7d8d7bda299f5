#!/bin/bash
# The network of ../flannel-vxlan, but the policy of filter FORWARD on d is DROP, which Docker since 1.13 sets.
fault=forward-drop
captured="a b d"
. "$(dirname "$0")/../flannel-vxlan/build.sh"
