#!/bin/bash
# The network of ../vip-on-no-node, but m1 and m2 do not hear each other's VRRP and both hold the address.
holders="m1 m2"
. "$(dirname "$0")/../vip-on-no-node/build.sh"
