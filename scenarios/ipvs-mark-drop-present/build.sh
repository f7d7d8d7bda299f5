#!/bin/bash
# The network of ../ipvs-mark-drop-missing, where kubelet and kube-proxy use the same iptables.
fault=none
. "$(dirname "$0")/../ipvs-mark-drop-missing/build.sh"
