#!/bin/sh
# Records what the kernel and nft of this machine make of the rule sets of corpus/: NAME.txt is what `nft list ruleset` prints, NAME.json
# what `nft -j list ruleset` does, each from a network namespace of its own (root). All of them, or those named: test/nft/record.sh set nat
# nft prints `meta hour` and `meta time` as they are here.
export TZ=UTC
cd "$(dirname "$0")/corpus" || exit 1
[ $# -gt 0 ] || set -- $(ls -- *.nft | sed 's/\.nft$//')
failed=0
for name in "$@"; do
  unshare -n sh -e <<LOAD >"$name.err" 2>&1
ip link set lo up
ip link add d0 type veth peer name d1
nft -f "$name.nft"
nft list ruleset >"$name.txt"
grep -q '^# no JSON' "$name.nft" || nft -j list ruleset >"$name.json"
LOAD
  # nft goes on after "Unknown data type in set key", and leaves out what it could not read: any complaint is a failure, but for what
  # stands in the JSON in words.
  if [ $? -ne 0 ] || grep -qv 'have no json callback$' "$name.err"; then
    echo "$name was not recorded:"
    cat "$name.err"
    rm -f "$name.txt" "$name.json"
    failed=1
  fi
  rm -f "$name.err"
done
exit $failed
