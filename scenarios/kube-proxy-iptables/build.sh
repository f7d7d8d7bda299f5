#!/bin/bash
# The network of ../kubenet-cloud-routes, but kube-proxy is the one of the report, with its service hostnames and no other.
fault=kube-proxy-iptables
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
