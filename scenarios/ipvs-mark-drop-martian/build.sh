#!/bin/bash
# The network of ../ipvs-mark-drop-missing, with kube-proxy on the master as well.
fault=martian
. "$(dirname "$0")/../ipvs-mark-drop-missing/build.sh"
