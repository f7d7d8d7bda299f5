#!/bin/bash
# The network of ../apiserver-down, but the master's firewall knows ssh alone.
fault=apiserver-firewall
. "$(dirname "$0")/../apiserver-down/build.sh"
