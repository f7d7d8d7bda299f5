#!/bin/bash
# The network of ../kubenet-cloud-routes, but kube-proxy never ran on node2.
fault=kube-proxy-absent
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
