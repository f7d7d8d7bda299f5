#!/bin/bash
# A command inside a User-Mode Linux guest: Debian's kernel as a process on this machine's own file system, read-only, for
# what the kernel outside lacks.  usage: uml.sh COMMAND [ARG...] < INPUT    needs the packages user-mode-linux and kmod
# Output and exit status are the command's; its files stand in a scratch folder until it has ended, the one place it may write.
set -e
dir=$(mktemp -d "${TMPDIR:-/tmp}/uml.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/mod/lib" "$dir/x"
ln -s /usr/lib/uml/modules "$dir/mod/lib/modules"
cat >"$dir/x/in"
{
  printf 'cd %q\nexport PATH=%q HOME=/root TMPDIR=/run\n' "$PWD" "$PATH"
  printf '%q ' "$@"
} >"$dir/x/command"
cat >"$dir/init" <<X
#!/bin/bash
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run; mount -t tmpfs tmp /dev/shm
mount -t devtmpfs dev /dev 2>/dev/null || :
mkdir -p /run/x /dev/net; mount -t hostfs none /run/x -o '$dir/x'
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
# the kernel asks this one for the modules it misses
printf '#!/bin/sh\nexec /sbin/modprobe -q -d %s "\$@"\n' '$dir/mod' >/run/modprobe; chmod +x /run/modprobe; echo /run/modprobe >/proc/sys/kernel/modprobe
export MODPROBE_OPTIONS='-d $dir/mod'
modprobe -a tun nf_conntrack_netlink iptable_raw iptable_mangle iptable_nat iptable_filter ip6table_raw ip6table_mangle ip6table_nat ip6table_filter ip_set xt_set 2>>/run/x/err
ip link set lo up
. /run/x/command </run/x/in >/run/x/out 2>>/run/x/err
echo \$? >/run/x/status
sync; halt -f
X
chmod +x "$dir/init"
timeout "${UML_LIMIT:-120}" linux.uml mem=512M rootfstype=hostfs ro init="$dir/init" con=null con0=null,fd:1 quiet umid="$(basename "$dir")" \
  >"$dir/console" 2>&1 </dev/null || :
if [ -e "$dir/x/out" ]; then cat "$dir/x/out"; else cat "$dir/console" >&2; fi
if [ -e "$dir/x/err" ]; then cat "$dir/x/err" >&2; fi
exit "$(cat "$dir/x/status" 2>/dev/null || echo 125)"
