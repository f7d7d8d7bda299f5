#!/bin/bash
# The network of ../hairpin-on, but Docker was started last and has set the policy of FORWARD to DROP.
fault=docker-forward-drop
. "$(dirname "$0")/../hairpin-on/build.sh"
