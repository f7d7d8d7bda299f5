// Pages about rules, and about those who write them.
import type { Page } from './pages.ts';

/** By code. */
export const RULE_PAGES: Readonly<Record<string, Page>> = {
  'forward-policy-drop': {
    title: 'the policy of FORWARD is DROP',
    happens:
      'Docker sets the policy of filter FORWARD to DROP when it starts (since 1.13) and accepts its own bridges only. Pods of another bridge get nothing through the node: names do not resolve, while the node itself reaches everything.',
    see: ['iptables -S FORWARD | head -1     # -P FORWARD DROP', 'iptables -L FORWARD -nv           # the counter of the policy rises'],
    cure: 'iptables -P FORWARD ACCEPT, and see to it that it stays so: "ip-forward-no-drop": true in Docker\'s daemon.json, or a rule of the network plugin that accepts the pods\' network (flannel: --iptables-forward-rules; kube-proxy needs its cluster CIDR for it).',
  },
  'foreign-reject': {
    title: "a rule that is not the cluster's refuses it",
    happens:
      'firewalld, ufw, a distribution\'s default rules or an administrator refuse what they do not know, before or behind the rules of the cluster; the classic is -A FORWARD -j REJECT --reject-with icmp-host-prohibited. Clients see "no route to host", or nothing.',
    see: [
      'iptables -S FORWARD; iptables -S INPUT; nft list ruleset    # rules without KUBE-, cali-, DOCKER',
      'systemctl is-active firewalld ufw nftables iptables',
    ],
    cure: "Switch that firewall off on nodes, or teach it the cluster: the pods' and services' networks, the API server's port (6443), kubelet (10250), the tunnel (UDP 8472 or 4789, IP protocol 4), BGP (179).",
  },
  'restore-refused': {
    title: "kube-proxy's rules were refused as a whole",
    happens:
      'iptables-restore writes a table entirely or not at all. One line that it does not understand, a chain that is not there, a set that is missing, and none of the rules is written: what is on the node is old, or empty. kube-proxy tries again every 30 seconds and logs it.',
    see: [
      "kubectl -n kube-system logs POD | grep -A3 'iptables-restore'",
      'iptables-save | grep -c KUBE-SVC; iptables --version    # on the node and in the container',
    ],
    cure: 'Take away what is refused: one backend of iptables for all programs (before Kubernetes 1.16 kubelet made KUBE-MARK-DROP in its own, and kube-proxy missed it in the other), sets that exist, a newer iptables. Then restart kube-proxy.',
  },
  'backend-split': {
    title: 'rules in both backends of iptables',
    happens:
      'iptables has two backends, legacy and nf_tables. A packet meets the rules of both, each tool shows its own: what one accepts the other may still drop, and a chain that one program made the other does not find. It comes of a host and containers with different iptables.',
    see: [
      'iptables-legacy-save | head; iptables-nft-save | head    # both have rules',
      'iptables --version    # on the host, and in the containers of kube-proxy and the network plugin',
    ],
    cure: 'Let all use one: update-alternatives --set iptables /usr/sbin/iptables-legacy (or -nft) on the host, or images that look which one is in use. Then empty the other: a restart of the node is the surest way.',
  },
  'chain-missing': {
    title: 'a rule jumps to a chain that is not there, or is empty',
    happens:
      'The chain that should have done the work was not written, or was emptied. The jump to it does nothing: a service is not translated, a source not masqueraded.',
    see: ['iptables-save | grep -e "-j KUBE-" -e "^:KUBE-"    # chains, and who jumps to them', 'iptables -t nat -S KUBE-SERVICES | wc -l'],
    cure: 'Find the program that owns the chain (KUBE- kube-proxy and kubelet, cali- Felix, CNI- the plugins, DOCKER dockerd), read its log, restart it. If another program flushes tables (firewalld --reload, iptables-restore without -n), let it stop.',
  },
  'ipset-revision': {
    title: 'ipset is older than the sets of the kernel',
    happens:
      'Each type of set has revisions. A program with a newer ipset makes sets that an older one can neither list nor restore ("kernel and userspace incompatible"). Agents that list before they write give up and start over; membership cannot be told from outside.',
    see: [
      'ipset list -n; ipset list | tail -1    # the error',
      'ipset --version    # on the host and in each container that uses it',
      "kubectl -n calico-system logs POD | grep 'settype'",
    ],
    cure: 'A newer image of the agent that fails (Calico 3.23 and later), and a newer ipset on the host. Going back to the old kernel helps for the time being.',
  },
  'agent-not-authorised': {
    title: 'the API server refuses the agent',
    happens:
      'An agent (Felix, kube-proxy) may not list what it needs to know, most often after an upgrade of its image without that of its ClusterRole. It waits and programs nothing: rules stay as they were, new pods are in none of them and are dropped as unknown.',
    see: ["kubectl -n kube-system logs POD | grep 'cannot list'", 'kubectl auth can-i list RESOURCE --as system:serviceaccount:NAMESPACE:NAME'],
    cure: 'Apply the manifests of the version that runs, ClusterRoles and CRDs included, and restart the agent. Then see that the chains of new pods are there: iptables-save | grep INTERFACE.',
  },
  'ipvs-conn-reuse': {
    title: "IPVS remembers the client's port and drops the SYN",
    happens:
      'IPVS has an entry of an earlier connection with the same addresses and ports: in TIME_WAIT, or to a pod that is gone. Before Linux 5.9, with conn_reuse_mode 1 and vs.conntrack 1, the first SYN is dropped so that the entry can go, and the client waits a second; with expire_nodest_conn the same goes for servers that are gone. It hits clients behind NAT and busy ones, at random.',
    see: ['ipvsadm -Lnc | grep CLIENT:PORT', 'sysctl net.ipv4.vs.conn_reuse_mode net.ipv4.vs.expire_nodest_conn net.ipv4.vs.conntrack; uname -r'],
    cure: 'A kernel of 5.9 or later. Until then: conn_reuse_mode 0 ends the delay, but lets clients be sent to pods that are gone while their entry lives; or kube-proxy in another mode.',
  },
  'order-ambiguous': {
    title: 'nobody can tell which of two chains runs first',
    happens:
      'Chains at one hook run by priority; of those with the same priority the one that was made last runs first, and no listing tells which that is (two backends of iptables are such a case). Where one of them accepts or translates what the other refuses, the outcome hangs on the order in which programs were started.',
    see: ['nft list ruleset | grep "hook"           # the same hook and priority twice', 'nft list hooks    # newer versions: the order as it is'],
    cure: 'Give one of the chains another priority, or let one program make both; with two backends of iptables, leave one.',
  },
};
