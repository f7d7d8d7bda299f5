#!/bin/bash
# The network of ../kubenet-cloud-routes, but the targetPort of the service hostnames is 8080, where its pods listen on 9376.
fault=wrong-target-port
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
