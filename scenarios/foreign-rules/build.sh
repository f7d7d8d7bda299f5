#!/bin/bash
# The network of ../kubenet-cloud-routes, but node3 has a rule in FORWARD that is not Kubernetes' and refuses everything.
fault=foreign-rules
captured="node2 node3"
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
