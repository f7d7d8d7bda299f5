// What a device is attached to: the other end of a veth pair, the stations of a wire, the ports of a bridge, the far ends of a tunnel.
import { formatAddr, type Addr, type Family } from '../net/addr.ts';
import type { Link, Namespace, Wire, World } from '../model/host.ts';
import type { Truth } from '../model/ruleset.ts';
import { setting } from './sysctl.ts';

/** One device of one namespace. `port` is the bridge port that a frame for a bridge came in by. */
export interface Station {
  readonly ns: Namespace;
  readonly device: string;
  readonly port?: string;
}

/** The link-layer segment behind a device: everybody who hears a broadcast sent there. */
export interface Segment {
  readonly stations: readonly Station[];
  /** A port of a bridge on it leads to somebody who was not captured. */
  readonly open: boolean;
}

/** The links and wires of a world, by name. */
class Topology {
  readonly #links = new Map<Namespace, Map<string, Link>>();
  readonly #wires = new Map<string, Wire[]>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #nodes = new Map<string, Namespace[]>();
  readonly #tunnels = new Map<string, Station[]>();

  constructor(world: World) {
    for (const ns of world.namespaces) {
      this.#namespaces.set(`${ns.node}|${ns.name}`, ns);
      this.#nodes.set(ns.node, [...(this.#nodes.get(ns.node) ?? []), ns]);
      for (const l of ns.links) {
        if (!l.vxlan) continue;
        const ends = [...(l.vxlan.local === undefined ? [] : [l.vxlan.local]), ...ns.addresses.map((a) => a.addr)].map(formatAddr);
        for (const end of new Set(ends)) {
          const at = `${l.vxlan.id} ${end}`;
          this.#tunnels.set(at, [...(this.#tunnels.get(at) ?? []), { ns, device: l.name }]);
        }
      }
    }
    for (const wire of world.wires) {
      for (const e of wire.ends) {
        const at = `${e.node}|${e.namespace}|${e.device}`;
        this.#wires.set(at, [...(this.#wires.get(at) ?? []), wire]);
      }
    }
  }

  link(ns: Namespace, device: string): Link | undefined {
    let links = this.#links.get(ns);
    if (!links) this.#links.set(ns, (links = new Map(ns.links.map((l) => [l.name, l]))));
    return links.get(device);
  }

  namespace(node: string, name: string): Namespace | undefined {
    return this.#namespaces.get(`${node}|${name}`);
  }

  onNode(node: string): readonly Namespace[] {
    return this.#nodes.get(node) ?? [];
  }

  wiresAt(s: Station): readonly Wire[] {
    return this.#wires.get(keyOf(s)) ?? [];
  }

  /** The VXLAN devices of a network that listen at an address. */
  tunnelEnds(id: number, addr: Addr): readonly Station[] {
    return this.#tunnels.get(`${id} ${formatAddr(addr)}`) ?? [];
  }
}

const known = new WeakMap<World, Topology>();

function topology(world: World): Topology {
  let t = known.get(world);
  if (!t) known.set(world, (t = new Topology(world)));
  return t;
}

/** Names a device among all devices. */
export function keyOf(s: Station): string {
  return `${s.ns.node}|${s.ns.name}|${s.device}`;
}

export function linkOf(ns: Namespace, device: string): Link | undefined {
  return ns.links.find((l) => l.name === device);
}

/** Everybody who hears a broadcast sent out of a device; undefined when nothing captured is there. */
export function segmentOf(world: World, from: Station): Segment | undefined {
  return explore(world, from, new Set([keyOf(from)]));
}

/** Who is behind a port of a bridge, the bridge itself left out. */
export function behind(world: World, port: Station, bridge: Station): Segment | undefined {
  return explore(world, port, new Set([keyOf(port), keyOf(bridge)]));
}

function explore(world: World, from: Station, seen: Set<string>): Segment | undefined {
  const stations: Station[] = [];
  let open = false;
  const reach = (far: Station): void => {
    if (seen.has(keyOf(far))) return;
    seen.add(keyOf(far));
    const master = masterOf(far);
    if (!master) {
      stations.push(far);
      return;
    }
    if (seen.has(keyOf(master))) return;
    cross(master);
    stations.push({ ns: master.ns, device: master.device });
  };
  const cross = (bridge: Station): void => {
    seen.add(keyOf(bridge));
    for (const port of bridge.ns.links) {
      const station = { ns: bridge.ns, device: port.name };
      if (port.master !== bridge.device || seen.has(keyOf(station))) continue;
      seen.add(keyOf(station));
      const far = floods(world, station);
      if (far.length === 0 && port.up) open = true;
      for (const end of far) reach(end);
    }
  };
  if (isBridge(from.ns, from.device)) cross(from);
  else for (const far of floods(world, from)) reach(far);
  return stations.length > 0 ? { stations, open } : undefined;
}

/** The devices that a frame from one device reaches without crossing a bridge, whoever it is for. */
function floods(world: World, from: Station): readonly Station[] {
  const link = topology(world).link(from.ns, from.device);
  return link?.vxlan ? tunnelPeers(world, from, link.vxlan.id) : attached(world, from);
}

/** Where a VXLAN device sends what is for everybody: its default remote and the all-zeros entries of its fdb. */
export function floodRemotes(ns: Namespace, device: string): readonly Addr[] {
  const vxlan = linkOf(ns, device)?.vxlan;
  const listed = ns.fdb.filter((e) => e.device === device && e.bridge === undefined && e.mac === '00:00:00:00:00:00');
  return [vxlan?.remote, ...listed.map((e) => e.remote)].filter((a) => a !== undefined);
}

function tunnelPeers(world: World, from: Station, id: number): readonly Station[] {
  const t = topology(world);
  return floodRemotes(from.ns, from.device).flatMap((addr) => t.tunnelEnds(id, addr).filter((s) => s.ns !== from.ns));
}

/** The devices at the other end of a device's own cable: wire, veth pair, or those of its lower device. */
export function attached(world: World, from: Station): readonly Station[] {
  const t = topology(world);
  const link = t.link(from.ns, from.device);
  if (link?.kind === 'vlan' && link.vlan !== undefined && link.peerName !== undefined) {
    const tagged = attached(world, { ns: from.ns, device: link.peerName });
    return tagged.flatMap((s) => uppers(s, (l) => l.kind === 'vlan' && l.vlan === link.vlan));
  }
  if (link?.kind === 'macvlan' && link.peerName !== undefined) {
    const siblings = uppers({ ns: from.ns, device: link.peerName }, (l) => l.kind === 'macvlan' && l.name !== link.name);
    return [...siblings, ...attached(world, { ns: from.ns, device: link.peerName })];
  }
  if (link?.kind === 'bond')
    return from.ns.links.filter((l) => l.master === link.name).flatMap((l) => attached(world, { ns: from.ns, device: l.name }));
  const wired = t.wiresAt(from).flatMap((wire) =>
    wire.ends.flatMap((e): Station[] => {
      const ns = t.namespace(e.node, e.namespace);
      return ns && !(ns === from.ns && e.device === from.device) ? [{ ns, device: e.device }] : [];
    }),
  );
  const ends = wired.length > 0 ? wired : vethPeer(t, from);
  // a slave hands what it gets to its bond; a macvlan or vlan device above hears what is for it
  return ends.flatMap((e) => {
    const master = t.link(e.ns, e.device)?.master;
    const bond = master !== undefined && t.link(e.ns, master)?.kind === 'bond' ? master : undefined;
    return [bond === undefined ? e : { ns: e.ns, device: bond }, ...uppers(e, (l) => l.kind === 'macvlan')];
  });
}

function uppers(lower: Station, wanted: (l: Link) => boolean): Station[] {
  return lower.ns.links.filter((l) => l.peerName === lower.device && wanted(l)).map((l) => ({ ns: lower.ns, device: l.name }));
}

/** The wires that a device is an end of. */
export function wiresOf(world: World, s: Station): readonly Wire[] {
  return topology(world).wiresAt(s);
}

/** The device that takes a port's frames: its bridge. */
export function masterOf(station: Station): Station | undefined {
  const link = linkOf(station.ns, station.device);
  if (!link?.master || !bridging(station.ns, link.master)) return undefined;
  return { ns: station.ns, device: link.master, port: station.device };
}

function bridging(ns: Namespace, device: string): boolean {
  const kind = linkOf(ns, device)?.kind;
  return kind === undefined || kind === 'bridge';
}

/** The other end of a veth pair: ifindexes that name each other, in two namespaces of one node or in one. */
function vethPeer(t: Topology, from: Station): Station[] {
  const link = t.link(from.ns, from.device);
  if (!link || (link.kind !== undefined && link.kind !== 'veth') || (link.peerIndex === undefined && link.peerName === undefined)) return [];
  const elsewhere = link.peerNamespaceId !== undefined || link.peerNamespace !== undefined;
  const candidates: Station[] = [];
  for (const ns of t.onNode(from.ns.node)) {
    if ((ns === from.ns) === elsewhere) continue;
    for (const other of ns.links) {
      if (other === link || (other.kind !== undefined && other.kind !== 'veth')) continue;
      const mine = link.peerIndex !== undefined ? other.index === link.peerIndex : other.name === link.peerName;
      const theirs = other.peerIndex !== undefined ? other.peerIndex === link.index : other.peerName === link.name;
      if (mine && theirs) candidates.push({ ns, device: other.name });
    }
  }
  const named = candidates.find((c) => c.ns.name === link.peerNamespace);
  return named ? [named] : candidates.length === 1 ? candidates : [];
}

/** Reports whether frames on a bridge meet the rules of its namespace (br_netfilter); 'unknown' when that was not captured. */
export function bridgeCalls(ns: Namespace, bridge: string, family: Family): Truth {
  const own = linkOf(ns, bridge)?.bridge;
  if (family === 4 ? own?.callIptables : own?.callIp6tables) return true;
  const call = setting(ns, `net.bridge.bridge-nf-call-${family === 4 ? 'iptables' : 'ip6tables'}`, 0);
  // the setting is there only where the module is
  return call.value !== 0 ? true : ns.captured.sysctls ? false : 'unknown';
}

/** The question whether a bridge's frames meet the rules, where that was not captured: one answer for a whole walk. */
export function bridgeKey(ns: Namespace, bridge: string, family: Family): string {
  return `bridge-nf:${ns.node}|${ns.name}|${bridge}:${family}`;
}

export function isBridge(ns: Namespace, device: string): boolean {
  return ns.links.some((l) => l.name === device && l.kind === 'bridge') || ns.links.some((l) => l.master === device && bridging(ns, device));
}
