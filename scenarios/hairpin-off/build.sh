#!/bin/bash
# The network of ../hairpin-on, but kubelet runs with --hairpin-mode=none, and the ports of cbr0 have hairpin_mode 0.
fault=hairpin-off
. "$(dirname "$0")/../hairpin-on/build.sh"
