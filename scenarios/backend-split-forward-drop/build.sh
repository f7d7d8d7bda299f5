#!/bin/bash
# The network of ../backend-split, but all programs could write their rules; Docker wrote its own in nf_tables.
fault=forward-drop
. "$(dirname "$0")/../backend-split/build.sh"
