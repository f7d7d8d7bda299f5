// What a device is attached to: the other end of a veth pair, the stations of a wire, the ports of a bridge, the far ends of a tunnel.
import { familyOf, formatAddr, type Addr, type Family } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Link, Namespace, Wire, World } from '../model/host.ts';
import type { Truth } from '../model/ruleset.ts';
import { Fib } from './fib.ts';
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
  /** Where a broadcast does not go on. */
  readonly cuts: readonly Cut[];
  /** The tunnels that it goes through: where it goes in, where it comes out. */
  readonly crossings: readonly (readonly [Station, Station])[];
}

/** A place where a broadcast ends, and who would hear it otherwise. */
export interface Cut {
  readonly why: string;
  readonly at: Span;
  beyond(): readonly Station[];
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

/** Reports whether what goes into a tunnel comes out at the other end. */
export type Passes = (near: Station, far: Station) => boolean;

/** Everybody who hears a broadcast sent out of a device; undefined when nothing captured is there. */
export function segmentOf(world: World, from: Station, passes: Passes): Segment | undefined {
  return explore(world, from, new Set([keyOf(from)]), passes);
}

/** Who is behind a port of a bridge, the bridge itself left out. */
export function behind(world: World, port: Station, bridge: Station): Segment | undefined {
  return explore(world, port, new Set([keyOf(port), keyOf(bridge)]));
}

function explore(world: World, from: Station, seen: Set<string>, passes: Passes = () => true): Segment | undefined {
  const t = topology(world);
  const stations: Station[] = [];
  const cuts: Cut[] = [];
  const crossings: [Station, Station][] = [];
  const cut = (why: string, at: Span, next: Station): void => {
    cuts.push({ why, at, beyond: () => explore(world, next, new Set(seen))?.stations ?? [] });
  };
  const through = (near: Station): readonly Station[] => {
    const far = floods(world, near);
    const link = t.link(near.ns, near.device);
    if (!link?.vxlan) return far;
    return far.filter((end) => {
      // a question that is not answered is as good as not asked
      if (passes(near, end) && passes(end, near)) return crossings.push([near, end]);
      const master = masterOf(end) ?? end;
      cut(`${link.name} of ${nameOf(near.ns)} and ${end.device} of ${nameOf(end.ns)} do not reach each other`, link.at, master);
      return false;
    });
  };
  const asker = t.link(from.ns, from.device)?.mac;
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
    const link = t.link(far.ns, far.device);
    if (link && !link.up) return cut(`${far.device} of ${nameOf(far.ns)} is down`, link.at, master);
    const deaf = answerLost(master, far, link, asker);
    if (deaf) return cut(deaf.why, deaf.at, master);
    cross(master, link);
    stations.push({ ns: master.ns, device: master.device });
  };
  const cross = (bridge: Station, inPort: Link | undefined): void => {
    seen.add(keyOf(bridge));
    const own = t.link(bridge.ns, bridge.device);
    if (own && !own.up) return cut(`${bridge.device} of ${nameOf(bridge.ns)} is down`, own.at, bridge);
    for (const port of bridge.ns.links) {
      const station = { ns: bridge.ns, device: port.name };
      if (port.master !== bridge.device || seen.has(keyOf(station))) continue;
      if (!port.up) {
        cut(`the port ${port.name} of ${bridge.device} of ${nameOf(bridge.ns)} is down`, port.at, station);
        continue;
      }
      if (port.port?.isolated && inPort?.port?.isolated) {
        cut(`the ports ${inPort.name} and ${port.name} of ${bridge.device} of ${nameOf(bridge.ns)} are both isolated`, port.port.at, station);
        continue;
      }
      seen.add(keyOf(station));
      const far = through(station);
      if (far.length === 0 && !port.vxlan) open = true;
      for (const end of far) reach(end);
    }
  };
  const begins = isBridge(from.ns, from.device);
  if (begins) cross(from, undefined);
  else for (const far of through(from)) reach(far);
  // the ports of a bridge are known: that there is nobody is an answer
  return stations.length > 0 || cuts.length > 0 || (begins && !open) ? { stations, open, cuts, crossings } : undefined;
}

/** An answer to `mac` has to leave a bridge by the port that the question came in by. */
function answerLost(bridge: Station, port: Station, link: Link | undefined, mac: string | undefined): { why: string; at: Span } | undefined {
  if (!link || mac === undefined) return undefined;
  const where = `${bridge.device} of ${nameOf(bridge.ns)}`;
  const entry = bridge.ns.fdb.find((e) => e.bridge === bridge.device && e.mac === mac && e.vlan === undefined);
  if (entry && (entry.permanent || (entry.device !== port.device && link.port?.learning === false)))
    return {
      why: `the answer to ${mac} goes astray: ${where} has it ${entry.permanent ? 'as its own' : `behind ${entry.device}`} (fdb)`,
      at: entry.at,
    };
  if (entry || !link.port || link.port.flood || link.port.learning) return undefined;
  return { why: `${where} does not learn who is behind ${port.device}, and ${port.device} takes no unknown frames (flood off)`, at: link.port.at };
}

function nameOf(ns: Namespace): string {
  return ns.name ? `${ns.node}/${ns.name}` : ns.node;
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
  const all = [vxlan?.remote, ...listed.map((e) => e.remote)].filter((a) => a !== undefined);
  return all.filter((a, i) => all.findIndex((b) => formatAddr(b) === formatAddr(a)) === i);
}

function tunnelPeers(world: World, from: Station, id: number): readonly Station[] {
  const t = topology(world);
  const link = t.link(from.ns, from.device);
  if (link && !link.up) return [];
  const hears = (s: Station): boolean => {
    const far = t.link(s.ns, s.device);
    return s.ns !== from.ns && far?.up === true && far.vxlan?.port === link?.vxlan?.port;
  };
  // what goes to the host itself comes straight back (encap_bypass_if_local())
  const isOwn = (addr: Addr): boolean => Fib.of(from.ns, familyOf(addr)).isLocal(addr);
  return floodRemotes(from.ns, from.device).flatMap((addr) => (isOwn(addr) ? [] : t.tunnelEnds(id, addr).filter(hears)));
}

/** The far end of a tunnel that leads to a station, of several that a frame is flooded to. */
export function remoteTowards(world: World, from: Station, remotes: readonly Addr[], isWanted: (s: Station) => boolean): Addr | undefined {
  const id = linkOf(from.ns, from.device)?.vxlan?.id;
  if (id === undefined) return undefined;
  return remotes.find((addr) =>
    topology(world)
      .tunnelEnds(id, addr)
      .some((s) => {
        if (s.ns === from.ns) return false;
        const master = masterOf(s);
        if (!master) return isWanted(s);
        if (isWanted({ ns: master.ns, device: master.device })) return true;
        return explore(world, { ns: master.ns, device: master.device }, new Set([keyOf(s)]))?.stations.some(isWanted) ?? false;
      }),
  );
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
