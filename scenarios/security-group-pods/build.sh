#!/bin/bash
# The network of ../kubenet-cloud-routes, but the cloud's security groups let nothing pass to and from a machine but the addresses of machines.
fault=security-group-pods
captured="node2 node3"
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
