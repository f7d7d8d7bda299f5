#!/bin/sh
# Makes the listings of sockets of this folder, in a network namespace of its own (root):
#   unshare --net --mount --pid --fork --mount-proc --kill-child sh test/captures/tools/make-ss.sh
# Debian 12: ss of iproute2 6.1.0, netstat of net-tools 2.10, busybox 1.35.
set -eu
folder=$(cd "$(dirname "$0")" && pwd)
ip link set lo up
ip link add eth0 up type veth peer name veth1
ip link set veth1 up
ip addr add 10.0.0.5/24 dev eth0
ip -6 addr add fe80::1/64 dev eth0 nodad
listen() { python3 -B "$folder/../../oracle/listen.py" "$@"; }
listen kube-apiserver 'tcp/[::]:6443'
listen kubelet tcp/127.0.0.1:10248 'tcp/[::]:10250'
listen systemd-resolve udp/127.0.0.53%lo:53 tcp/127.0.0.53%lo:53
listen sshd tcp/0.0.0.0:22 'tcp/[::]only:22'
listen dhclient 'udp/[fe80::1]%eth0:546' udp/0.0.0.0%eth0:68
listen java 'tcp/[::ffff:10.0.0.5]:8080'
for options in ltun Hltunp Hltn ltn lun ltu ltunpi; do ss -$options | sed 's/ *$//' >"$folder/ss-$options.txt"; done
PROC_ROOT=/proc ss -ltunp | sed 's/ *$//' >"$folder/ss-proc.txt"
netstat -ltnup 2>/dev/null | sed 's/ *$//' >"$folder/netstat-ltnup.txt"
busybox netstat -ltnu | sed 's/ *$//' >"$folder/netstat-busybox.txt"
