// What a device is attached to: the other end of a veth pair, the stations of a wire, the ports of a bridge.
import type { Family } from '../net/addr.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Truth } from '../model/ruleset.ts';
import { setting } from './sysctl.ts';

/** One device of one namespace. `port` is the bridge port that a frame for a bridge came in by. */
export interface Station {
  readonly ns: Namespace;
  readonly device: string;
  readonly port?: string;
}

/** The link-layer segment behind a device. */
export interface Segment {
  /** Devices that would see a frame sent there. */
  readonly stations: readonly Station[];
  /** Bridges of captured nodes that the frame crosses from port to port. */
  readonly bridges: readonly Station[];
  /** A port of one of these bridges leads to somebody who was not captured. */
  readonly open: boolean;
}

/** Finds who is at the other end of a device; undefined when nothing captured is. */
export function segmentOf(world: World, from: Station): Segment | undefined {
  const stations: Station[] = [];
  const bridges: Station[] = [];
  let open = false;
  const seen = new Set<string>([key(from)]);
  const reach = (far: Station): void => {
    if (seen.has(key(far))) return;
    seen.add(key(far));
    const master = masterOf(far);
    if (!master) {
      stations.push(far);
      return;
    }
    if (seen.has(key(master))) return;
    bridges.push(master);
    crossBridge(master);
    if (key(master) !== key(from)) stations.push(master);
  };
  const crossBridge = (bridge: Station): void => {
    seen.add(key(bridge));
    for (const port of bridge.ns.links) {
      const station = { ns: bridge.ns, device: port.name };
      if (port.master !== bridge.device || seen.has(key(station))) continue;
      seen.add(key(station));
      const far = farEnds(world, station);
      if (far.length === 0 && port.up) open = true;
      for (const end of far) reach(end);
    }
  };
  if (isBridge(from.ns, from.device)) crossBridge(from);
  for (const far of farEnds(world, from)) reach(far);
  return stations.length > 0 ? { stations, bridges, open } : undefined;
}

/** The device that takes a port's frames: its bridge. */
export function masterOf(station: Station): Station | undefined {
  const link = station.ns.links.find((l) => l.name === station.device);
  if (!link?.master || !bridging(station.ns, link.master)) return undefined;
  return { ns: station.ns, device: link.master, port: station.device };
}

function bridging(ns: Namespace, device: string): boolean {
  const kind = ns.links.find((l) => l.name === device)?.kind;
  return kind === undefined || kind === 'bridge';
}

function farEnds(world: World, from: Station): Station[] {
  const wired: Station[] = [];
  for (const wire of world.wires) {
    if (!wire.ends.some((e) => e.node === from.ns.node && e.namespace === from.ns.name && e.device === from.device)) continue;
    for (const e of wire.ends) {
      const ns = world.namespaces.find((n) => n.node === e.node && n.name === e.namespace);
      if (ns && !(ns === from.ns && e.device === from.device)) wired.push({ ns, device: e.device });
    }
  }
  if (wired.length > 0) return wired;
  const peer = vethPeer(world, from);
  return peer ? [peer] : [];
}

/** The other end of a veth pair: ifindexes that name each other, in two namespaces of one node or in one. */
function vethPeer(world: World, from: Station): Station | undefined {
  const link = from.ns.links.find((l) => l.name === from.device);
  if (!link || (link.kind !== undefined && link.kind !== 'veth') || (link.peerIndex === undefined && link.peerName === undefined)) return undefined;
  const elsewhere = link.peerNamespaceId !== undefined || link.peerNamespace !== undefined;
  const candidates: Station[] = [];
  for (const ns of world.namespaces) {
    if (ns.node !== from.ns.node || (ns === from.ns) === elsewhere) continue;
    for (const other of ns.links) {
      if (other === link || (other.kind !== undefined && other.kind !== 'veth')) continue;
      const mine = link.peerIndex !== undefined ? other.index === link.peerIndex : other.name === link.peerName;
      const theirs = other.peerIndex !== undefined ? other.peerIndex === link.index : other.peerName === link.name;
      if (mine && theirs) candidates.push({ ns, device: other.name });
    }
  }
  return candidates.find((c) => c.ns.name === link.peerNamespace) ?? (candidates.length === 1 ? candidates[0] : undefined);
}

function key(s: Station): string {
  return `${s.ns.node}|${s.ns.name}|${s.device}`;
}

/** Reports whether frames on the bridges of a namespace meet its rules (br_netfilter); 'unknown' when that was not captured. */
export function bridgeCalls(ns: Namespace, family: Family): Truth {
  const call = setting(ns, `net.bridge.bridge-nf-call-${family === 4 ? 'iptables' : 'ip6tables'}`, 0);
  // the setting is there only where the module is
  return call.value !== 0 ? true : ns.captured.sysctls ? false : 'unknown';
}

export function isBridge(ns: Namespace, device: string): boolean {
  return ns.links.some((l) => l.name === device && l.kind === 'bridge') || ns.links.some((l) => l.master === device && bridging(ns, device));
}
