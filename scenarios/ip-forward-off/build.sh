#!/bin/bash
# The network of ../hairpin-on, but net.ipv4.ip_forward is 0.
fault=ip-forward-off
. "$(dirname "$0")/../hairpin-on/build.sh"
