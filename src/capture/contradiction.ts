// Where a cluster's records and the captures of its nodes say different things. A healthy cluster gives nothing here.
import { and, asPrefix, contains, familyOf, formatAddr, formatPrefix, maskOf, type Addr, type Prefix } from '../net/addr.ts';
import type { Finding } from '../model/finding.ts';
import type { Link, Namespace, Route } from '../model/host.ts';
import type { LeaseRecord, PodRecord, Witness } from '../model/witness.ts';
import { Cluster, contradiction, where } from './cluster.ts';
import { programmedEndpoints } from './endpoints.ts';
import { bridgeSubnets, hostOverlaps, nodeOverlaps } from './podnetwork.ts';

/** Everything that the records say otherwise than the captures, or than each other. */
export function contradictions(namespaces: readonly Namespace[], witness: Witness): Finding[] {
  const cluster = new Cluster(namespaces, witness);
  return [
    ...vtepDevices(cluster),
    ...vtepNeighbours(cluster),
    ...vtepEntries(cluster),
    ...bridgeSubnets(cluster),
    ...nodeOverlaps(cluster),
    ...hostOverlaps(cluster),
    ...programmedEndpoints(cluster),
    ...misplacedPods(cluster),
  ];
}

const NAMED: Readonly<Record<LeaseRecord['from'], string>> = { etcd: 'the lease in etcd', annotations: 'the annotation of the Node' };

/** flannel.1, or flannel.VNI; there is one unless several networks run side by side. */
function vtep(ns: Namespace, lease: LeaseRecord): Link | undefined {
  const devices = ns.links.filter((l) => /^flannel\.\d+$/.test(l.name));
  return devices.find((l) => l.name === `flannel.${lease.vni ?? 1}`) ?? (devices.length === 1 && lease.vni === undefined ? devices[0] : undefined);
}

/** The pods' addresses that a lease is about: its own subnet, or the one around the device's address. */
function subnetOf(lease: LeaseRecord, ns: Namespace, device: string, witness: Witness): Prefix | undefined {
  if (lease.subnet) return lease.subnet;
  const own = ns.addresses.find((a) => a.device === device && familyOf(a.addr) === 4);
  const length = witness.networks.find((n) => n.subnetLength !== undefined)?.subnetLength ?? 24;
  return own && { addr: and(own.addr, maskOf(4, length)), length };
}

/** The link-layer address that the cluster knows of a node's vxlan device, against the one it has. */
function vtepDevices(cluster: Cluster): Finding[] {
  const { leases } = cluster.witness;
  return leases.flatMap((lease) => {
    const ns = lease.vtepMac === undefined ? undefined : cluster.root(lease.publicIp);
    const device = ns && vtep(ns, lease);
    if (!ns || device?.mac === undefined || device.mac === lease.vtepMac) return [];
    const other = cluster.roots.find((r) => r.links.some((l) => l.mac === lease.vtepMac));
    const subnet = subnetOf(lease, ns, device.name, cluster.witness);
    const message =
      `${device.name} of ${ns.node} has ${device.mac}, and ${NAMED[lease.from]}${subnet ? ` for ${formatPrefix(subnet)}` : ''} says ${lease.vtepMac} (${where(lease.at)})` +
      `: what other nodes send there is addressed to ${other ? `a device of ${other.node}` : 'a device that it does not have'}`;
    const hint = 'restart flanneld on that node, so that it makes its address known, and on those that still hold the old one';
    return [contradiction('vtep-mac-differs', message, device.at, { hint, ...(subnet && { about: [subnet] }) })];
  });
}

/** What a node's neighbour table has for another node's vxlan device, against the lease. */
function vtepNeighbours(cluster: Cluster): Finding[] {
  const leases = cluster.witness.leases.filter((l) => l.vtepMac !== undefined && l.subnet !== undefined);
  if (leases.length === 0) return [];
  const byFirst = new Map<string, LeaseRecord[]>();
  for (const l of leases) byFirst.set(formatAddr(l.subnet!.addr), [...(byFirst.get(formatAddr(l.subnet!.addr)) ?? []), l]);
  // the device has the first address of its subnet; before flannel 0.8 the table held the pods' own addresses
  const leasesFor = (addr: Addr): readonly LeaseRecord[] => byFirst.get(formatAddr(addr)) ?? leases.filter((l) => contains(l.subnet!, addr));
  return cluster.roots.flatMap((ns) =>
    ns.neighbours.flatMap((n) => {
      if (n.mac === undefined || !/^flannel\.\d+$/.test(n.device)) return [];
      const about = leasesFor(n.addr).filter((l) => cluster.root(l.publicIp) !== ns);
      // the records may themselves disagree; one that bears the entry out is enough
      if (about.length === 0 || about.some((l) => l.vtepMac === n.mac)) return [];
      const [lease] = about as [LeaseRecord, ...LeaseRecord[]];
      const message =
        `${ns.node} sends what is for ${formatAddr(n.addr)} to ${n.mac}, and ${NAMED[lease.from]} for ${formatPrefix(lease.subnet!)} ` +
        `says ${lease.vtepMac} (${where(lease.at)})`;
      const hint = `restart flanneld on ${ns.node}: its neighbour table is older than the lease`;
      return [contradiction('vtep-neighbour-differs', message, n.at, { hint, about: [lease.subnet!] })];
    }),
  );
}

/** The end of the tunnel that a forwarding entry names, against the node that the lease gives the same link-layer address. */
function vtepEntries(cluster: Cluster): Finding[] {
  const leases = cluster.witness.leases.filter((l) => l.vtepMac !== undefined);
  return cluster.roots.flatMap((ns) =>
    ns.fdb.flatMap((e) => {
      if (e.remote === undefined || e.bridge !== undefined || !/^flannel\.\d+$/.test(e.device)) return [];
      const about = leases.filter((l) => l.vtepMac === e.mac);
      if (about.length === 0 || about.some((l) => formatAddr(l.publicIp) === formatAddr(e.remote!))) return [];
      const [lease] = about as [LeaseRecord, ...LeaseRecord[]];
      const message =
        `${ns.node} sends frames for ${e.mac} to ${formatAddr(e.remote)}, and ${NAMED[lease.from]} with that address is of ` +
        `${formatAddr(lease.publicIp)} (${where(lease.at)})`;
      const hint = `restart flanneld on ${ns.node}: its forwarding table is older than the lease`;
      return [contradiction('vtep-fdb-differs', message, e.at, { hint, ...(lease.subnet && { about: [lease.subnet] }) })];
    }),
  );
}

/** Devices that lead to one pod each: a host route to one of them tells where the pod lives. */
const POD_DEVICE = /^(?:cali|veth|lxc|azv|eni|gke|nic)/;

/** A pod's address on another node than the one the Pod object names. */
function misplacedPods(cluster: Cluster): Finding[] {
  const pods = new Map<string, PodRecord>();
  for (const pod of cluster.witness.pods)
    if (!pod.finished && !pod.hostNetwork && pod.node !== undefined) for (const a of pod.addresses) pods.set(formatAddr(a.addr), pod);
  if (pods.size === 0) return [];
  const found: Finding[] = [];
  const told = new Set<string>();
  const see = (ns: Namespace, addr: Addr, at: Finding['at'], how: string): void => {
    const pod = pods.get(formatAddr(addr));
    if (!pod || isOn(cluster, ns, pod.node!) || told.has(`${ns.node} ${formatAddr(addr)}`)) return;
    told.add(`${ns.node} ${formatAddr(addr)}`);
    const message = `${how}, and the pod ${pod.namespace}/${pod.name} that has this address is on ${pod.node} (${where(pod.at)})`;
    found.push(contradiction('pod-elsewhere', message, at, { about: [asPrefix(addr)] }));
  };
  for (const ns of cluster.roots)
    for (const r of ns.routes) {
      const device = podRoute(r);
      if (device !== undefined) see(ns, r.to.addr, r.at, `${ns.node} delivers ${formatAddr(r.to.addr)} to ${device}`);
    }
  const root = new Map(cluster.roots.map((r) => [r.node, r]));
  for (const key of pods.keys())
    for (const pod of pods.get(key)!.addresses)
      for (const ns of cluster.owners(pod.addr)) {
        const host = root.get(ns.node);
        const own = ns.addresses.find((a) => formatAddr(a.addr) === formatAddr(pod.addr));
        if (host && own) see(host, pod.addr, own.at, `${ns.name ? `${ns.node}/${ns.name}` : ns.node} has ${formatAddr(pod.addr)} on ${own.device}`);
      }
  return found;
}

function podRoute(r: Route): string | undefined {
  const [hop] = r.nextHops;
  const isHost = r.type === 'unicast' && r.to.length === (r.family === 4 ? 32 : 128) && r.nextHops.length === 1;
  return isHost && hop?.via === undefined && hop?.device !== undefined && POD_DEVICE.test(hop.device) ? hop.device : undefined;
}

/** Reports whether a captured node may be the one that a Pod names; where names do not settle it, it may. */
function isOn(cluster: Cluster, ns: Namespace, name: string): boolean {
  const named = cluster.captured(name);
  if (named) return named === ns;
  const record = cluster.record(ns.node);
  return record === undefined || record.name === name;
}
