#!/bin/bash
# The network of ../calico-ipip, but the cloud knows TCP, UDP and ICMP only.
fault=security-group-ipip
. "$(dirname "$0")/../calico-ipip/build.sh"
