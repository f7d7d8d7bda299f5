// Tunnels: the packet that carries a packet, and what the far end makes of it.
// vxlan_xmit() and vxlan_rcv(), drivers/net/vxlan/vxlan_core.c; ip_tunnel_xmit(), net/ipv4/ip_tunnel.c
import { familyOf, formatAddr, type Addr } from '../net/addr.ts';
import { formatProtocol, UDP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Link, Namespace, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Refusal } from './routing.ts';
import { place } from './routing.ts';
import { Fib } from './fib.ts';
import { isFor, type Destination } from './frame.ts';
import type { Learned } from './learned.ts';
import { floodRemotes, linkOf, remoteTowards, type Station } from './wire.ts';

/** A packet inside another one. */
export interface Carried {
  readonly packet: Packet;
  readonly to: Destination;
  /** Where it went in: a device, or IPVS. */
  readonly ns: Namespace;
  readonly link: Pick<Link, 'name' | 'at' | 'vxlan'>;
  /** The device that the outer packet shows as its input in POSTROUTING. */
  readonly input: string;
  /** IPVS has dealt with the inner packet. */
  readonly balanced: boolean;
}

export interface Encapsulated {
  readonly kind: 'encapsulated';
  readonly outer: Packet;
  /** The outer source is the tunnel's own, not chosen by the route. */
  readonly bound: boolean;
  readonly how: string;
  readonly at?: Span;
}

/** The far end is this host: the frame comes straight out of its device there. */
export interface Bypassed {
  readonly kind: 'bypassed';
  readonly device: string;
  readonly how: string;
  readonly at?: Span;
}

const IPIP = 4;
/** The kernel picks the source port of a VXLAN packet by a hash over the inner one: udp_flow_src_port(). */
const FLOW_PORTS = [32768, 60999] as const;
const VXLAN_OVERHEAD = 50;
const IPIP_OVERHEAD = 20;

/** Reports whether a device is a tunnel whose packets are followed. */
export function carries(link: Link): boolean {
  return link.vxlan !== undefined || (link.kind === 'ipip' && link.tunnel !== undefined);
}

/** Puts a packet that leaves by a tunnel device into another one; `via` is the gateway of its route. */
export function encapsulate(
  world: World,
  ns: Namespace,
  link: Link,
  packet: Packet,
  to: Destination,
  via: Addr | undefined,
  learned: Learned,
): Encapsulated | Bypassed | Refusal {
  return link.vxlan ? intoVxlan(world, ns, link, packet, to, learned) : intoIpip(link, packet, via);
}

function intoVxlan(world: World, ns: Namespace, link: Link, packet: Packet, to: Destination, learned: Learned): Encapsulated | Bypassed | Refusal {
  const vxlan = link.vxlan!;
  const entry = ns.fdb.find((e) => e.device === link.name && e.bridge === undefined && e.mac === to.mac && e.remote !== undefined);
  const flood = floodRemotes(ns, link.name);
  const snooped = vxlan.learning && to.mac !== undefined ? learned.remote({ ns, device: link.name }, to.mac) : undefined;
  const remote =
    entry?.remote ?? snooped ?? (flood.length === 1 ? flood[0] : remoteTowards(world, { ns, device: link.name }, flood, (s) => isFor(to, s)));
  if (remote === undefined) {
    const whom = to.mac ?? 'the next hop';
    if (!ns.captured.fdb) return cannotTell(`which VTEP ${link.name} of ${place(ns)} sends ${whom} to was not captured (bridge fdb)`, link.at);
    if (flood.length > 1)
      return {
        kind: 'refused',
        outcome: 'not-for-us',
        why: `${link.name} of ${place(ns)} does not know where ${whom} is and sends to all of ${flood.map(formatAddr).join(', ')}: nobody there takes it`,
        at: to.at ?? link.at,
      };
    return {
      kind: 'refused',
      outcome: 'dropped',
      why: `${link.name} of ${place(ns)} has no fdb entry for ${whom}, and no default remote: it drops the frame`,
      at: to.at ?? link.at,
    };
  }
  const family = familyOf(remote);
  const at = entry ? { at: entry.at } : { at: link.at };
  // encap_bypass_if_local()
  if (Fib.of(ns, family).isLocal(remote)) {
    const end = ns.links.find((l) => l.vxlan?.id === vxlan.id && l.vxlan.port === (entry?.port ?? vxlan.port) && l.up);
    const how = `VTEP ${formatAddr(remote)} is ${place(ns)} itself`;
    if (end) return { kind: 'bypassed', device: end.name, how, ...at };
    return { kind: 'refused', outcome: 'dropped', why: `${how}, and no device there has VXLAN ${vxlan.id}`, ...at };
  }
  const base = outside(packet, family, vxlan.local, remote, UDP, packet.length + VXLAN_OVERHEAD + (family === 6 ? 20 : 0));
  return {
    kind: 'encapsulated',
    outer: { ...base, sport: flowPort(packet), dport: entry?.port ?? vxlan.port, undetermined: { sport: FLOW_PORTS } },
    bound: vxlan.local !== undefined,
    how: entry
      ? `${to.mac} is behind VTEP ${formatAddr(remote)}`
      : snooped !== undefined
        ? `${to.mac} is behind VTEP ${formatAddr(remote)}, as its packets told`
        : `VTEP ${formatAddr(remote)} (default)`,
    ...at,
  };
}

/** The packet that carries ARP from one end of a VXLAN to another; nothing where the one does not send to the other. */
export function encapsulateTowards(
  world: World,
  ns: Namespace,
  link: Link,
  far: Station,
  packet: Packet,
): { outer: Packet; bound: boolean } | undefined {
  const vxlan = link.vxlan!;
  const flood = floodRemotes(ns, link.name);
  // an end that learns knows where the question came from
  const back = [linkOf(far.ns, far.device)?.vxlan?.local, ...far.ns.addresses.map((a) => a.addr)].filter((a) => a !== undefined);
  const known = flood.find((a) => back.some((b) => formatAddr(b) === formatAddr(a)));
  const remote = known ?? (vxlan.learning || ns.fdb.some((e) => e.device === link.name && e.bridge === undefined && e.remote) ? back[0] : undefined);
  if (remote === undefined) return undefined;
  const family = familyOf(remote);
  const outer = outside(packet, family, vxlan.local, remote, UDP, 28 + VXLAN_OVERHEAD + (family === 6 ? 20 : 0));
  return {
    outer: { ...outer, mark: 0, sport: FLOW_PORTS[1], dport: vxlan.port, undetermined: { sport: FLOW_PORTS } },
    bound: vxlan.local !== undefined,
  };
}

/** One of the ports that it may be: the same for a packet of the same flow, and another for another one. */
function flowPort(p: Packet): number {
  const [lo, hi] = FLOW_PORTS;
  const ends = [`${formatAddr(p.src)} ${p.sport ?? ''}`, `${formatAddr(p.dst)} ${p.dport ?? ''}`].toSorted();
  let hash = p.proto;
  for (const c of ends.join(' ')) hash = Math.imul(hash ^ c.codePointAt(0)!, 0x01000193) >>> 0;
  return lo + (hash % (hi - lo + 1));
}

function cannotTell(why: string, at: Span): Refusal {
  return { kind: 'refused', outcome: 'cannot-tell', why, at };
}

/** A tunnel without a remote end sends to the gateway of the packet's route, or to its destination. */
function intoIpip(link: Link, packet: Packet, via: Addr | undefined): Encapsulated | Refusal {
  const remote = link.tunnel?.remote ?? via ?? packet.dst;
  const local = link.tunnel?.local;
  const base = outside(packet, 4, local, remote, IPIP, packet.length + IPIP_OVERHEAD);
  return {
    kind: 'encapsulated',
    outer: { ...base, ttl: packet.ttl },
    bound: local !== undefined,
    how: link.tunnel?.remote !== undefined ? `the tunnel's remote end ${formatAddr(remote)}` : `the route's gateway ${formatAddr(remote)}`,
    at: link.at,
  };
}

/** The mark stays with the packet inside one namespace (skb_scrub_packet()); conntrack and NAT begin anew. */
function outside(packet: Packet, family: 4 | 6, local: Addr | undefined, remote: Addr, proto: number, length: number): Packet {
  const src = local ?? (family === 4 ? (0 as Addr) : ([0, 0, 0, 0] as const));
  const ecn = packet.tos & 3;
  return {
    family,
    src,
    dst: remote,
    proto,
    ttl: 64,
    length,
    tos: ecn === 3 ? 2 : ecn,
    mark: packet.mark,
    ...(packet.at !== undefined && { at: packet.at }),
  };
}

export interface Decapsulated {
  readonly kind: 'decapsulated';
  readonly device: string;
  readonly packet: Packet;
}

/** What the host does with an outer packet that was delivered to it. */
export function decapsulate(ns: Namespace, outer: Packet, carried: Carried, learned: Learned): Decapsulated | Refusal {
  if (!carried.link.vxlan && outer.proto !== IPIP)
    return cannotTell(`how ${place(ns)} unpacks ${formatProtocol(outer.proto)} is not modelled`, carried.link.at);
  const end = carried.link.vxlan ? vxlanEnd(ns, outer, carried.link.vxlan.id) : ipipEnd(ns, outer);
  const what = carried.link.vxlan
    ? `VXLAN ${carried.link.vxlan.id} on UDP port ${outer.dport ?? '?'}`
    : `${formatProtocol(outer.proto)} from ${formatAddr(outer.src)}`;
  if (!end) {
    if (!ns.captured.links) return cannotTell(`whether ${place(ns)} has a device for ${what} was not captured (ip -d link)`, carried.link.at);
    return { kind: 'refused', outcome: 'dropped', why: `${place(ns)} has no device for ${what}: the packet that carries it ends there` };
  }
  if (!end.up) return { kind: 'refused', outcome: 'dropped', why: `${end.name} of ${place(ns)} is down: what ${what} carries is lost`, at: end.at };
  const refused = carried.link.vxlan && snoop(ns, end, outer, carried, learned);
  if (refused) return refused;
  return { kind: 'decapsulated', device: end.name, packet: { ...carried.packet, mark: outer.mark } };
}

/** vxlan_set_mac() and vxlan_snoop(): where the frame inside comes from. */
function snoop(ns: Namespace, end: Link, outer: Packet, carried: Carried, learned: Learned): Refusal | undefined {
  const { from } = carried.to;
  if (from === undefined) return undefined;
  const refuse = (why: string, at: Span): Refusal => ({ kind: 'refused', outcome: 'dropped', why, at });
  if (from === end.mac) return refuse(`the frame comes from ${from}, which is ${end.name}'s own address on ${place(ns)}: it drops it`, end.at);
  if (!end.vxlan?.learning) return undefined;
  const told = ns.fdb.find((e) => e.device === end.name && e.bridge === undefined && e.mac === from && e.remote !== undefined);
  if (told?.permanent && formatAddr(told.remote!) !== formatAddr(outer.src)) {
    const why = `the frame comes from ${from} by way of ${formatAddr(outer.src)}, and the fdb of ${end.name} on ${place(ns)} has it behind ${formatAddr(told.remote!)}: it drops it`;
    return refuse(why, told.at);
  }
  learned.snoop({ ns, device: end.name }, from, outer.src);
  return undefined;
}

function vxlanEnd(ns: Namespace, outer: Packet, id: number): Link | undefined {
  return ns.links.find((l) => l.vxlan?.id === id && l.vxlan.port === outer.dport);
}

/** ip_tunnel_lookup(): the tunnel between these two, of this host, from that one, and at last the one without ends. */
function ipipEnd(ns: Namespace, outer: Packet): Link | undefined {
  const is = (a: Addr | undefined, b: Addr): boolean => a !== undefined && formatAddr(a) === formatAddr(b);
  const tunnels = ns.links.filter((l) => l.kind === 'ipip' && l.tunnel);
  const rank = (l: Link): number => {
    const { local, remote } = l.tunnel!;
    if ((local !== undefined && !is(local, outer.dst)) || (remote !== undefined && !is(remote, outer.src))) return -1;
    return (remote === undefined ? 0 : 2) + (local === undefined ? 0 : 1);
  };
  return tunnels.filter((l) => rank(l) >= 0).toSorted((a, b) => Number(b.up) - Number(a.up) || rank(b) - rank(a))[0];
}

/** Reports whether the far end of a tunnel takes a frame: its link-layer address must be the frame's. */
export function isTaken(ns: Namespace, device: string, to: Destination): boolean {
  const own = linkOf(ns, device)?.mac;
  return own === undefined || to.mac === undefined || own === to.mac;
}
