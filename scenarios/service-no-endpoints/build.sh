#!/bin/bash
# The network of ../kubenet-cloud-routes, but the selector of the service hostnames selects no pod.
fault=service-no-endpoints
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
