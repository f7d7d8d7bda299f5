// Pages about addresses that are translated, or are not, and about services.
import type { Page } from './pages.ts';

/** By code. */
export const NAT_PAGES: Readonly<Record<string, Page>> = {
  'nat-skipped-by-set-overlap': {
    title: 'a machine counts as a pod, so the source is not masqueraded',
    happens:
      "Pods are masqueraded when they talk to anything but pods, and a set says what pods are. Where that set covers the address of a machine, what goes there keeps the pod's own address, and the machine answers to its default gateway, which has never heard of pods. The internet works, other nodes do not.",
    see: [
      'ipset test cali40all-ipam-pools ADDRESS-OF-THE-MACHINE   # is in set: it counts as a pod',
      'tcpdump -ni UPLINK host ADDRESS-OF-THE-MACHINE           # the SYN leaves with the source of the pod',
    ],
    cure: "Give the pods a network that no machine is in, and make the pods anew. Until then: ipset add cali40all-ipam-pools NETWORK-OF-THE-MACHINES nomatch on each node (the agent takes it away again), or a route on the machine back to the pod's node.",
  },
  'pool-overlaps-network': {
    title: "the pods' network contains a network of the machines",
    happens:
      "An address can mean a pod or a machine, and each rule and route decides for itself. Rules that spare pods from translation spare the machines too; routes for blocks of pods may hide a machine. It often goes unseen until a pod has to reach a node: the API server's address is one.",
    see: [
      'kubectl get ippools -o custom-columns=N:.metadata.name,CIDR:.spec.cidr',
      'ip -4 addr show scope global    # the networks of the nodes: none may lie inside a CIDR',
    ],
    cure: 'Make a new pool beside all other networks, disable the old one, restart the pods, delete the old pool. Do it before anything else grows on it: pods keep their addresses until they are made anew.',
  },
  'bridge-nf-off': {
    title: 'an answer over the bridge is not translated back',
    happens:
      'A pod asks a service whose endpoint is on the same bridge. The request is routed and its destination translated; the answer goes straight from port to port. With net.bridge.bridge-nf-call-iptables = 0 the bridge shows it to nobody, so it arrives from the endpoint, which the pod has not asked ("reply from unexpected source").',
    see: ['sysctl net.bridge.bridge-nf-call-iptables    # 0, or not there: br_netfilter is not loaded', 'lsmod | grep br_netfilter'],
    cure: 'modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 (and bridge-nf-call-ip6tables). For good: a file in /etc/modules-load.d and one in /etc/sysctl.d.',
  },
  'asymmetric-reply': {
    title: 'the answer takes another way than the request',
    happens:
      'A machine on the way of the request has translated it, or keeps its connection; the answer does not come by that machine. It arrives with an address that the client never asked, or is refused by a firewall that has not seen the connection begin (INVALID).',
    see: [
      'ip route get CLIENT           # on the one that answers: by which next hop?',
      'conntrack -L -d ADDRESS       # on the one that translated: [UNREPLIED]',
    ],
    cure: 'Have the source translated where the destination is, so that the answer must come back there; or make the routes of both ways the same; or let the firewall accept what it has not seen begin.',
  },
  'reply-not-translated': {
    title: 'the answer passes the translator and is not translated back',
    happens:
      'The answer goes through the machine that translated the request, but past its connection tracking: a rule says notrack, it is tracked in another zone, or it crosses a bridge that shows it to nobody.',
    see: [
      'conntrack -L -d ADDRESS            # [UNREPLIED] though the answer is on the wire',
      'iptables -t raw -S; nft list ruleset | grep -e notrack -e zone',
    ],
    cure: 'Take away the exception that keeps the answer from connection tracking, or let it hold for both directions.',
  },
  'nat-ended-early': {
    title: "a rule ends address translation before kube-proxy's turn",
    happens:
      'kube-proxy marks what it wants masqueraded and does it in KUBE-POSTROUTING. A rule before it in POSTROUTING accepts the packet, and with that the nat table is done: the mark stays, the source too. Network plugins that exempt their own addresses are known for it.',
    see: [
      'iptables -t nat -S POSTROUTING     # which rules stand before -j KUBE-POSTROUTING?',
      'iptables -t nat -L POSTROUTING -nv # does the counter of one of them rise?',
    ],
    cure: 'Let KUBE-POSTROUTING stand first, or make the earlier rule RETURN within a chain of its own, or spare packets with mark 0x4000/0x4000 from it.',
  },
  'no-cluster-cidr': {
    title: 'kube-proxy does not know which addresses are pods',
    happens:
      "What comes to a service from outside of the pods' network has to be masqueraded, or the endpoint answers past the node. kube-proxy can tell outside from inside only by its cluster CIDR. Without one it writes no such rule, and nodes and clients outside get no answer from endpoints elsewhere.",
    see: [
      "iptables -t nat -S KUBE-SERVICES | grep MARK-MASQ   # no line with '! -s'",
      'kubectl -n kube-system get configmap kube-proxy -o yaml | grep clusterCIDR',
    ],
    cure: "Set clusterCIDR in kube-proxy's configuration (or --cluster-cidr) to the pods' network and restart it; masqueradeAll helps as well, and hides all clients.",
  },
  'double-masquerade': {
    title: 'the packet of the tunnel is masqueraded as well',
    happens:
      'The mark that asks for masquerading stays on the packet when it is put into a tunnel, and the packet around it has it too. It is translated once more; with --random-fully its UDP port and checksum change behind the back of the network card, and the other end drops it: services hang for a minute, pods do not.',
    see: [
      'conntrack -L -p udp --dport 8472    # the tunnel has an entry with a translated source',
      'tcpdump -vni UPLINK udp port 8472   # bad udp cksum',
    ],
    cure: 'Kubernetes 1.18.6 and later take the mark off. Until then: ethtool -K flannel.1 tx-checksum-ip-generic off, or exempt the tunnel from POSTROUTING (-p udp --dport 8472 -j ACCEPT before KUBE-POSTROUTING).',
  },
  'kube-proxy-absent': {
    title: 'no rules of kube-proxy: a service is an address like any other',
    happens:
      "No rule translates the service's address, so the packet goes where the routes send it, to the default gateway, which knows no services. Pods and the internet work, every service fails, DNS among them.",
    see: [
      'iptables-save | grep -c KUBE-; ipvsadm -Ln; nft list table ip kube-proxy   # nothing',
      'kubectl -n kube-system get pods -o wide -l k8s-app=kube-proxy',
      'crictl logs $(crictl ps -a --name kube-proxy -q | head -1)',
    ],
    cure: 'Start kube-proxy on that node; if it runs, its log tells why it writes nothing. Clusters whose network plugin replaces kube-proxy: look at that agent.',
  },
  'no-endpoints': {
    title: 'a service without endpoints, or without that port',
    happens:
      "kube-proxy refuses what is for a service that has no ready pod (ICMP port unreachable, 'connection refused'); an IPVS virtual server without real servers does the same. A port that the service does not have is refused, too, or is sent on to the gateway in iptables mode.",
    see: [
      'kubectl get endpointslices -l kubernetes.io/service-name=NAME',
      'kubectl get service NAME -o yaml       # selector, ports',
      'kubectl get pods -l SELECTOR -o wide   # none, or none Ready',
    ],
    cure: "Correct the selector or the pods' labels, or make the pods ready (their readiness probe says why they are not); or ask a port that the service has.",
  },
  'wrong-target-port': {
    title: 'the packet is delivered to a port that nobody listens on',
    happens:
      "The packet is delivered, and whom it is for refuses it: nothing listens on the service's targetPort, the program was not started (kube-apiserver on 6443), or it listens on 127.0.0.1 only. To the client that looks like a service without endpoints ('connection refused'), but the network has done its part: asking the pod directly on its own port works. Who listens is known where `ss -ltunp` was captured.",
    see: [
      'kubectl get service NAME -o jsonpath={.spec.ports}    # targetPort',
      'nsenter -t PID-IN-THE-POD -n ss -ltn                  # what does listen',
      'conntrack -L -d SERVICE                               # CLOSE: it was reset',
    ],
    cure: "Set the service's targetPort to the port that the container listens on, or name the port in the pod and use the name; the program must not listen on 127.0.0.1 only. Of the API server: start it (crictl ps -a --name kube-apiserver, journalctl -u kubelet).",
  },
  'etp-local-no-endpoint': {
    title: 'externalTrafficPolicy Local, and no endpoint on this node',
    happens:
      'With externalTrafficPolicy: Local a node sends what comes from outside to its own endpoints only, and keeps the source. A node without one drops it (in IPVS mode, where the endpoint of another node is used, the answer goes past the node).',
    see: [
      'kubectl get service NAME -o jsonpath={.spec.externalTrafficPolicy}',
      'kubectl get endpointslices -l kubernetes.io/service-name=NAME -o wide   # on which nodes?',
      'curl http://NODE:HEALTH-CHECK-NODE-PORT/healthz',
    ],
    cure: "Have the load balancer ask healthCheckNodePort and leave such nodes out, run the pod on every node (DaemonSet), or set externalTrafficPolicy: Cluster and do without the client's address.",
  },
};
