#!/bin/bash
# The network of ../kubenet-cloud-routes, but the targetPort of the service hostnames is 8080, where its pods listen on 9376.
fault=wrong-target-port
listeners() {
  cat <<'SOCKETS'
node1 sshd tcp/0.0.0.0:22
node1 kubelet tcp/127.0.0.1:10248 tcp/[::]:10250
node1 kube-proxy tcp/127.0.0.1:10249 tcp/[::]:10256
node1 kube-apiserver tcp/[::]:6443
node1.dns coredns udp/[::]:53 tcp/[::]:53 tcp/[::]:9153
node1.web serve_hostname tcp/[::]:9376
node2 sshd tcp/0.0.0.0:22
node2 kubelet tcp/127.0.0.1:10248 tcp/[::]:10250
node2 kube-proxy tcp/127.0.0.1:10249 tcp/[::]:10256
node2.web serve_hostname tcp/[::]:9376
node3 sshd tcp/0.0.0.0:22
node3 kubelet tcp/127.0.0.1:10248 tcp/[::]:10250
node3 kube-proxy tcp/127.0.0.1:10249 tcp/[::]:10256
node3.web serve_hostname tcp/[::]:9376
SOCKETS
}
. "$(dirname "$0")/../kubenet-cloud-routes/build.sh"
