#!/bin/bash
# A master and a worker with one pod, and the two reasons why the API server does not answer:
#
#   worker.curl -cni0- worker --eth0--+-- lan --eth0-- master
#   10.244.1.5         172.17.0.63    |                172.17.0.62
#                                     +---eth0-- gateway 172.17.0.1
#
# Here nobody listens on 6443. A build.sh that sources this one sets `fault`. See test/oracle/nodes.sh for how to run it.
oracle=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../test/oracle" && pwd)
. "$oracle/nodes.sh"
fault=${fault:-}
if [ -z "$fault" ]; then
  listeners() {
    cat <<'SOCKETS'
master sshd tcp/0.0.0.0:22
master kubelet tcp/127.0.0.1:10248 tcp/[::]:10250
master kube-proxy tcp/127.0.0.1:10249 tcp/[::]:10256
master etcd tcp/127.0.0.1:2379 tcp/172.17.0.62:2379 tcp/172.17.0.62:2380
worker sshd tcp/0.0.0.0:22
worker kubelet tcp/127.0.0.1:10248 tcp/[::]:10250
worker kube-proxy tcp/127.0.0.1:10249 tcp/[::]:10256
SOCKETS
  }
fi

node master worker
plug lan master eth0 02:42:ac:11:00:3e 172.17.0.62/16
plug lan worker eth0 02:42:ac:11:00:3f 172.17.0.63/16
stub gateway
plug lan gateway eth0 02:42:ac:11:00:01 172.17.0.1/16
for n in master worker; do on $n ip route add default via 172.17.0.1 dev eth0; done
bridge worker cni0 0a:58:0a:f4:01:01 10.244.1.1/24 1500
pod worker curl veth7d3b9e10 cni0 0a:58:0a:f4:01:05 10.244.1.5/24 10.244.1.1 1500
for n in master worker; do
  python3 -B "$oracle/kube-proxy.py" 10.244.0.0/16 <<<'default/kubernetes:https tcp 10.96.0.1:443 172.17.0.62:6443' | on $n iptables-restore --noflush
done
on worker iptables -t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE
if [ "$fault" = apiserver-firewall ]; then
  # iptables-services of CentOS as it is installed
  on master iptables-restore --noflush <<'RULES'
*filter
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
COMMIT
RULES
fi

finish "$@"
