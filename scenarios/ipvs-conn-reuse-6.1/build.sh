#!/bin/bash
# The network of ../ipvs-conn-reuse with the kernel that it is built on.
kernel=
. "$(dirname "$0")/../ipvs-conn-reuse/build.sh"
