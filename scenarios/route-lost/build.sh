#!/bin/bash
# The network of ../kubenet-cloud-routes, but the cloud has no route to node3's pods.
fault=route-lost
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
