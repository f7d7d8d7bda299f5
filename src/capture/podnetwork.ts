// The pods' blocks of addresses: each node's own apart from the others', its bridge inside it, and none of them a network
// that the hosts are in themselves.
import { compare, contains, familyOf, formatAddr, formatPrefix, isLinkLocal, isLoopback, networkOf, type Prefix } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { InterfaceAddress, Link, Namespace, Route } from '../model/host.ts';
import { contradiction, where, type Cluster } from './cluster.ts';

/** A block with who has it and where that is written. */
interface Claim {
  readonly prefix: Prefix;
  readonly owner: string;
  readonly what: string;
  readonly at: Span;
}

function overlap(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? contains(a, b.addr) : contains(b, a.addr);
}

/** The subnets that the records give to a captured node, the one closest to the node first. */
function subnetsOf(cluster: Cluster, ns: Namespace): Claim[] {
  const { subnetFiles, leases } = cluster.witness;
  const files = subnetFiles.flatMap((f) =>
    f.node === ns.node && f.subnet ? [{ prefix: f.subnet.prefix, owner: ns.node, what: 'FLANNEL_SUBNET', at: f.subnet.at }] : [],
  );
  const own = leases.filter((l) => l.from === 'etcd' && l.subnet !== undefined && cluster.root(l.publicIp) === ns);
  const lease = own.map((l) => ({ prefix: l.subnet!, owner: ns.node, what: "the node's lease", at: l.at }));
  const cidrs = (cluster.record(ns.node)?.podCidrs ?? []).map((c) => ({ prefix: c.prefix, owner: ns.node, what: "the Node's podCIDR", at: c.at }));
  return [...files, ...lease, ...cidrs];
}

/** The bridge that the node's pods are on: a CNI plugin's, or docker's where flannel gives docker its subnet and pods are on it. */
function podBridge(cluster: Cluster, ns: Namespace): Link | undefined {
  const cni = ns.links.find((l) => l.name === 'cni0' || l.name === 'cbr0');
  if (cni) return cni;
  const docker = ns.links.find((l) => l.name === 'docker0');
  const { subnetFiles, leases } = cluster.witness;
  const flannel = subnetFiles.some((f) => f.node === ns.node) || leases.some((l) => l.from === 'etcd' && cluster.root(l.publicIp) === ns);
  return docker && flannel && ns.links.some((l) => l.master === 'docker0') ? docker : undefined;
}

/** Bridges outside the subnet of their node, and subnets on which the records themselves differ. */
export function bridgeSubnets(cluster: Cluster): Finding[] {
  const found: Finding[] = [];
  for (const ns of cluster.roots) {
    const claims = subnetsOf(cluster, ns);
    const bridge = podBridge(cluster, ns);
    for (const a of bridge ? ns.addresses.filter((x) => x.device === bridge.name && !isLinkLocal(x.addr)) : []) {
      const family = claims.filter((c) => familyOf(c.prefix.addr) === familyOf(a.addr));
      if (family.length === 0 || family.some((c) => contains(c.prefix, a.addr) && c.prefix.length <= a.length)) continue;
      const [claim] = family as [Claim, ...Claim[]];
      const text = `${formatAddr(a.addr)}/${a.length}`;
      const message = `${a.device} of ${ns.node} has ${text}, outside of ${claim.what} ${formatPrefix(claim.prefix)} (${where(claim.at)}): no other node has a way to its pods`;
      const hint =
        a.device === 'docker0'
          ? 'docker began before flannel, or without its options: restart docker after flanneld'
          : `delete ${a.device} and let the network plugin make it again`;
      found.push(contradiction('bridge-outside-subnet', message, a.at, { hint, about: [networkOf(a), claim.prefix] }));
    }
    const file = cluster.witness.subnetFiles.find((f) => f.node === ns.node && f.subnet !== undefined)?.subnet;
    const others = claims.filter((c) => c.what !== 'FLANNEL_SUBNET' && familyOf(c.prefix.addr) === 4);
    if (file && others.length > 0 && !others.some((c) => overlap(c.prefix, file.prefix))) {
      const message = `FLANNEL_SUBNET of ${ns.node} is in ${formatPrefix(file.prefix)}, and ${others[0]!.what} is ${formatPrefix(others[0]!.prefix)} (${where(others[0]!.at)})`;
      found.push(contradiction('subnet-differs', message, file.at, { about: [file.prefix, others[0]!.prefix] }));
    }
  }
  // the options that docker was given, against the subnet they were made of
  for (const f of cluster.witness.subnetFiles) {
    const subnet = cluster.witness.subnetFiles.find((g) => g.node === f.node && g.subnet !== undefined)?.subnet;
    if (!f.bip || !subnet || overlap(f.bip.prefix, subnet.prefix)) continue;
    const message = `docker is given the bridge address ${formatAddr(f.bip.gateway)}, outside of FLANNEL_SUBNET ${formatPrefix(subnet.prefix)} (${where(subnet.at)})`;
    const hint = 'restart flanneld and then docker: the options are older than the subnet';
    found.push(contradiction('subnet-differs', message, f.bip.at, { hint, about: [f.bip.prefix, subnet.prefix] }));
  }
  return found;
}

/** Blocks of two nodes that have addresses in common. */
export function nodeOverlaps(cluster: Cluster): Finding[] {
  const { nodes, leases, subnetFiles } = cluster.witness;
  const lists: Claim[][] = [
    nodes.flatMap((n) => n.podCidrs.map((c) => ({ prefix: c.prefix, owner: n.name, what: 'the podCIDR', at: c.at }))),
    leases.flatMap((l) => (l.from === 'etcd' && l.subnet ? [{ prefix: l.subnet, owner: formatAddr(l.publicIp), what: 'the lease', at: l.at }] : [])),
    subnetFiles.flatMap((f) => (f.subnet && f.node !== undefined ? [{ ...f.subnet, owner: f.node, what: 'FLANNEL_SUBNET' }] : [])),
  ];
  return lists.flatMap((list) => {
    const open: Claim[] = [];
    const found: Finding[] = [];
    for (const claim of list.toSorted((a, b) => compare(a.prefix.addr, b.prefix.addr) || a.prefix.length - b.prefix.length)) {
      while (open.length > 0 && !contains(open.at(-1)!.prefix, claim.prefix.addr)) open.pop();
      const other = open.findLast((c) => c.owner !== claim.owner);
      open.push(claim);
      if (!other) continue;
      const message = `${claim.what} ${formatPrefix(claim.prefix)} of ${claim.owner} overlaps ${formatPrefix(other.prefix)} of ${other.owner} (${where(other.at)}): their pods may have the same addresses`;
      found.push(contradiction('pod-cidrs-overlap', message, claim.at, { about: [claim.prefix] }));
    }
    return found;
  });
}

/** Devices of the pod network itself and of what machines have beside it: their addresses are nobody's host network. */
const OWN_DEVICE =
  /^(?:lo$|cali|tunl|vxlan|flannel|cni|cbr|docker|br-[0-9a-f]{12}$|veth|lxc|cilium|kube-|nodelocaldns|dummy|weave|virbr|wg|wireguard|geneve|gre|sit|ip6tnl|ovn|ovs|br-int|azv|eni[0-9a-f]{11}$|podman|nerdctl|crio|lxdbr)/;
const OWN_KINDS = new Set(['vxlan', 'ipip', 'dummy', 'wireguard', 'gre', 'geneve', 'loopback', 'sit', 'ip6tnl']);

/** A network that hosts are in, or that they have a route to. */
interface HostNetwork {
  readonly prefix: Prefix;
  readonly what: string;
  readonly node: string;
  readonly at: Span;
}

function isOwn(ns: Namespace, device: string): boolean {
  const kind = ns.links.find((l) => l.name === device)?.kind;
  return OWN_DEVICE.test(device) || (kind !== undefined && OWN_KINDS.has(kind));
}

/** The addresses that a node has as a machine, not for its pods. */
export function hostAddresses(ns: Namespace): readonly InterfaceAddress[] {
  return ns.addresses.filter((a) => a.scope === 'global' && !isLoopback(a.addr) && !isOwn(ns, a.device));
}

function hostNetworks(cluster: Cluster): HostNetwork[] {
  const captured = cluster.roots.flatMap((ns) =>
    hostAddresses(ns).map((a) => ({ prefix: networkOf(a), what: 'the network', node: `${ns.node} (${a.device})`, at: a.at })),
  );
  const recorded = cluster.witness.nodes.flatMap((n) =>
    n.addresses
      .filter((a) => !captured.some((c) => contains(c.prefix, a.addr)))
      .map((a) => ({
        prefix: { addr: a.addr, length: familyOf(a.addr) === 4 ? 32 : 128 },
        what: 'the address',
        node: `the Node ${n.name}`,
        at: a.at,
      })),
  );
  return [...captured, ...recorded];
}

// Written by a daemon that spreads the pods' own blocks.
const SPREAD = new Set(['bird', 'bgp', 'zebra', 'babel', 'ospf', 'isis', 'kernel', '80', '12', '186']);

/** A route through a router that is no node, and the node that has it. */
interface ForeignRoute {
  readonly route: Route;
  readonly node: string;
}

function foreignRoutes(cluster: Cluster): { routes: ForeignRoute[]; known: number } {
  const nodes = cluster.witness.nodes.flatMap((n) => n.addresses.map((a) => formatAddr(a.addr)));
  const known = new Set([...nodes, ...cluster.witness.leases.map((l) => formatAddr(l.publicIp))]);
  const routes = cluster.roots.flatMap((ns) => {
    const own = new Set(ns.links.filter((l) => isOwn(ns, l.name)).map((l) => l.name));
    const isForeign = (r: Route): boolean => {
      const [hop] = r.nextHops;
      if (r.type !== 'unicast' || r.to.length === 0 || hop?.via === undefined || SPREAD.has(r.proto ?? '')) return false;
      if (hop.device !== undefined && (own.has(hop.device) || OWN_DEVICE.test(hop.device))) return false;
      return cluster.owners(hop.via).length === 0 && !known.has(formatAddr(hop.via));
    };
    return ns.routes.filter(isForeign).map((route) => ({ route, node: ns.node }));
  });
  return { routes, known: known.size };
}

/** Those of the routes whose network the pods' block would hide, or that hide it. */
function hiding(block: Prefix, { routes, known }: ReturnType<typeof foreignRoutes>, subnets: readonly Prefix[]): HostNetwork[] {
  return routes.flatMap(({ route: r, node }) => {
    if (r.to.length < block.length || !contains(block, r.to.addr)) return [];
    // the block of a node that nobody told about looks just the same as a foreign part of the pods' network
    const isForeign = r.to.length === block.length || (known > 1 && !subnets.some((s) => overlap(s, r.to)));
    return isForeign ? [{ prefix: r.to, what: `the route '${r.text}' to`, node, at: r.at }] : [];
  });
}

/** Pods' blocks that hold a network of the hosts, or lie in one. */
export function hostOverlaps(cluster: Cluster): Finding[] {
  const { witness } = cluster;
  const pools = witness.pools.map((p) => ({ prefix: p.cidr, owner: '', what: `the IP pool ${p.name}`, at: p.at }));
  const networks = [
    ...witness.networks.map((n) => ({ prefix: n.network, owner: '', what: "flannel's network", at: n.at })),
    ...witness.subnetFiles.flatMap((f) => (f.network ? [{ ...f.network, owner: '', what: 'FLANNEL_NETWORK' }] : [])),
    ...witness.nodes.flatMap((n) => n.podCidrs.map((c) => ({ prefix: c.prefix, owner: '', what: `the podCIDR of ${n.name}`, at: c.at }))),
    ...witness.leases.flatMap((l) => (l.subnet ? [{ prefix: l.subnet, owner: '', what: `the lease of ${formatAddr(l.publicIp)}`, at: l.at }] : [])),
  ];
  const subnets = [...witness.nodes.flatMap((n) => n.podCidrs.map((c) => c.prefix)), ...witness.leases.flatMap((l) => l.subnet ?? [])];
  const hosts = hostNetworks(cluster);
  const foreign = foreignRoutes(cluster);
  return [...overlapping(pools, 'ippool-overlaps-host'), ...overlapping(networks, 'pod-cidr-overlaps-host')];

  function overlapping(blocks: readonly Claim[], code: string): Finding[] {
    const told = new Map<string, { block: Claim; host: HostNetwork; more: Set<string> }>();
    // the widest block first: what is said of it need not be said of its parts
    for (const block of blocks.toSorted((a, b) => a.prefix.length - b.prefix.length)) {
      for (const host of [...hosts.filter((h) => overlap(block.prefix, h.prefix)), ...hiding(block.prefix, foreign, subnets)]) {
        const key = formatPrefix(host.prefix);
        const before = told.get(key);
        if (!before) told.set(key, { block, host, more: new Set() });
        else if (before.block === block && host.node !== before.host.node) before.more.add(host.node);
      }
    }
    return [...told.values()].map(({ block, host, more }) => {
      const holds = block.prefix.length <= host.prefix.length;
      const also = more.size === 0 ? '' : ` and ${more.size} more`;
      const message =
        `${host.what} ${formatPrefix(host.prefix)} of ${host.node}${also} ${holds ? 'is part of' : 'holds'} ${block.what} ${formatPrefix(block.prefix)} (${where(block.at)}): ` +
        (code === 'ippool-overlaps-host'
          ? 'the rules take what goes there for pod traffic, which is not masqueraded'
          : 'what is meant for one of them goes to the other');
      const hint = 'move the pods to a block that no host is in';
      return contradiction(code, message, host.at, { hint, about: [holds ? host.prefix : block.prefix] });
    });
  }
}
