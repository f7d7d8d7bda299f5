// Pages about routes, links and wires.
import type { Page } from './pages.ts';

/** By code. */
export const LINK_PAGES: Readonly<Record<string, Page>> = {
  'forwarding-off': {
    title: 'the node does not forward packets',
    happens:
      'net.ipv4.ip_forward (or net.ipv6.conf.all.forwarding) is 0: what comes in and is not for the node itself is dropped without a word. The node reaches its pods and everybody else; pods reach their own node only.',
    see: [
      'sysctl net.ipv4.ip_forward',
      "sysctl -a 2>/dev/null | grep '\\.forwarding ='    # single interfaces can be off, too",
      'grep -rs ip_forward /etc/sysctl.conf /etc/sysctl.d',
    ],
    cure: 'sysctl -w net.ipv4.ip_forward=1, and a file in /etc/sysctl.d that says so. If it goes off again, a start script, a security baseline or a network manager sets it.',
  },
  'rp-filter-drop': {
    title: 'the source is not believed: rp_filter',
    happens:
      'With rp_filter = 1 a packet is believed only where the route back to its source leaves by the interface that it came in by. Tunnels, several uplinks and policy routing break that, and it is dropped as a martian. The greater of conf.all and conf.INTERFACE counts.',
    see: [
      'sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.INTERFACE.rp_filter',
      'ip route get SOURCE     # by another interface?',
      'nstat -az TcpExtIPReversePathFilter; dmesg | grep martian    # with log_martians=1',
    ],
    cure: 'rp_filter = 2 (any route back will do) on that interface, or 0; Calico wants 0 or 1 unless FELIX_IGNORELOOSERPF is true. Or a route back by that interface.',
  },
  'overlapping-subnets': {
    title: 'two networks have the same addresses',
    happens:
      "The pods' network, or a node's part of it, equals or overlaps another network that the node is in or has a route to. The more specific route, or the first of two, wins: what is for one network goes into the other, and nobody there answers.",
    see: [
      'ip route    # the same or overlapping prefixes on two devices',
      'ip route get ADDRESS',
      'kubectl get nodes -o custom-columns=N:.metadata.name,CIDR:.spec.podCIDR',
    ],
    cure: "Choose a pods' network that is used nowhere else, neither in the office, nor by Docker's bridges, nor by VPNs; each node needs a part of its own. Pods have to be made anew.",
  },
  'bridge-outside-subnet': {
    title: "the pods' bridge is outside the node's subnet",
    happens:
      'flannel gave the node a subnet, and other nodes have routes to it. The bridge has another one: Docker was started before flannel, or without its options. The pods of that node reach the others, and no answer reaches them.',
    see: ['cat /run/flannel/subnet.env; ip -4 addr show docker0    # or cni0', 'ps ax | grep -o -e "--bip=[^ ]*"'],
    cure: 'Docker: restart it behind flannel, with --bip and --mtu of subnet.env (a systemd drop-in with After=flanneld). cni0: ip link delete cni0, and the plugin makes it again with the next pod.',
  },
  'route-missing': {
    title: 'somebody on the way has no route to it',
    happens:
      "A machine has no route to the destination, or only its default route, which leads to a gateway that knows no pods. Routes to the pods of other nodes are made by flannel, by Calico's bird, by a cloud's route table or by hand; one of them did not.",
    see: [
      'ip route get ADDRESS        # on each machine of the way, for the answer too',
      'journalctl -u flanneld; calicoctl node status; the route table of the cloud',
    ],
    cure: 'ip route add POD-NETWORK via NODE, to see whether that is it; then have it made by whoever is in charge of it: its log tells why it is not there.',
  },
  'hairpin-off': {
    title: 'a pod cannot reach itself by its own service',
    happens:
      'The service sends the pod back to itself: the frame has to leave the bridge by the port that it came in by. A bridge does that only where hairpin_mode of the port is on (or where the bridge is promiscuous). Other pods, and other endpoints, work: one in N tries hangs.',
    see: ['bridge -d link show dev VETH | grep -o "hairpin o[nf]*"', 'cat /sys/class/net/BRIDGE/brif/*/hairpin_mode'],
    cure: 'bridge link set dev VETH hairpin on. For good: "hairpinMode": true in the CNI configuration of the bridge plugin (kubenet: kubelet --hairpin-mode=hairpin-veth or promiscuous-bridge).',
  },
  'stale-neighbour': {
    title: 'the neighbour table names a machine that is not there',
    happens:
      'An entry of the neighbour table (ARP) has a link-layer address that nobody has any more, or somebody else. Frames are sent to it and no one takes them. Entries that an agent made, as flannel for its vxlan devices, are PERMANENT and are not asked for anew.',
    see: [
      'ip neigh show ADDRESS',
      'ip link show DEVICE    # on the machine that has the address: another link-layer address?',
      'etcdctl get --prefix /coreos.com/network/subnets    # VtepMAC of flannel',
    ],
    cure: 'ip neigh replace ADDRESS lladdr MAC dev DEVICE, to see whether that is it; then restart the agent on the machine whose address changed, so that it makes it known, and on those that hold the old one.',
  },
  'stale-fdb': {
    title: 'the forwarding table sends frames to the wrong place',
    happens:
      'The forwarding database of a bridge has an address behind the wrong port, or that of a vxlan device has it behind the wrong machine. Frames go there, and nobody takes them.',
    see: ['bridge fdb show dev flannel.1    # MAC dst ADDRESS-OF-THE-NODE', 'bridge fdb show br BRIDGE | grep MAC'],
    cure: 'bridge fdb replace MAC dev flannel.1 dst ADDRESS, or bridge fdb del for a bridge; then restart the agent that wrote the entry.',
  },
  'duplicate-address': {
    title: 'two machines have one address',
    happens:
      'Two machines, or pods, on one network have the same address. Whoever answers first gets what is for both, and connections change hands when a neighbour table does. What one sends as that address the other drops as a martian.',
    see: ['arping -D -I DEVICE ADDRESS      # answers: somebody else has it', 'arping -c 5 -I DEVICE ADDRESS    # from two link-layer addresses?'],
    cure: "Give one of them another address. Cloned machines: a new machine-id, DHCP lease, and host-local's /var/lib/cni; pods: two nodes with one podCIDR.",
  },
  'wire-denies': {
    title: 'the network between the nodes does not carry it',
    happens:
      "A security group, a cloud's check of sources, a switch's access list drops what it does not know: the addresses of pods, IPIP (IP protocol 4), VXLAN (UDP 8472 or 4789), BGP. Nodes reach each other, and their pods do not.",
    see: [
      'tcpdump -ni UPLINK proto 4 or udp port 8472    # leaves here, and does not arrive there',
      'aws ec2 describe-security-groups; openstack port show PORT -c allowed_address_pairs',
    ],
    cure: "Allow it between the nodes: the tunnel's protocol or port, or the pods' network with the check of source and destination off (allowed address pairs). Or use a tunnel that is allowed.",
  },
  mtu: {
    title: 'packets that are too big for the way',
    happens:
      "A tunnel's header has no room: the pods' interfaces have the MTU of the uplink. Small packets pass, so connections are made and pings answered, and the first full one is lost; where ICMP 'fragmentation needed' is dropped, the sender never learns why.",
    see: [
      'ip link show | grep mtu    # pods, tunnel, uplink on both sides',
      'ping -M do -s 1422 ADDRESS    # 1450 bytes; try smaller ones',
      'tracepath -n ADDRESS',
    ],
    cure: "The pods' MTU is the uplink's less the header: IPIP 20, VXLAN 50, WireGuard 60 (80 on IPv6). Set it in the network plugin's configuration and make the pods anew. Let ICMP type 3 code 4 through.",
  },
  'vip-unowned': {
    title: 'nobody has the shared address',
    happens:
      'keepalived (kube-vip, MetalLB) moves an address between nodes, and now none has it: all are BACKUP or FAULT, their check script fails, or the program does not run. The API servers themselves answer on their own addresses.',
    see: [
      'ip -4 addr show | grep ADDRESS    # on each of the nodes: nothing',
      'journalctl -u keepalived | tail    # Entering FAULT STATE, script failed',
      'ip neigh show ADDRESS             # FAILED on the clients',
    ],
    cure: 'Start keepalived, or mend what its check asks (is haproxy running?). Let one node be MASTER, and let VRRP (IP protocol 112) pass between them.',
  },
  'vip-split': {
    title: 'two nodes hold the shared address at once',
    happens:
      'Two nodes do not hear each other, and both are MASTER: each has the address and announces it. Every client talks to the one it heard last, and its connections break when that changes (split brain).',
    see: [
      'ip -4 addr show | grep ADDRESS    # on more than one node',
      'tcpdump -ni UPLINK proto 112      # does each hear the other?',
      'arping -c 5 -I UPLINK ADDRESS     # two link-layer addresses answer',
    ],
    cure: 'Let VRRP pass (IP protocol 112, 224.0.0.18), or name the others with unicast_peer; the same virtual_router_id and password, different priorities. Take the address off one of them.',
  },
};
