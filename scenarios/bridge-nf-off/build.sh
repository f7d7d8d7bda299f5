#!/bin/bash
# The network of ../hairpin-on, but net.bridge.bridge-nf-call-iptables is 0.
fault=bridge-nf-off
. "$(dirname "$0")/../hairpin-on/build.sh"
