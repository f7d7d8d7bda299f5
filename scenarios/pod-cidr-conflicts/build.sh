#!/bin/bash
# The network of ../hairpin-on, but the node has a second device in the office network 10.244.1.0/24, the CIDR that its pods were given.
fault=pod-cidr-conflicts
. "$(dirname "$0")/../hairpin-on/build.sh"
