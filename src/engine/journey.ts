// One packet's way through the world: from namespace to namespace, across wires and bridges, into tunnels and out of them.
import { contains, formatAddr, type Addr } from '../net/addr.ts';
import { has, ranges } from '../net/intervals.ts';
import type { Deny, Link, Namespace, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Hop, Outcome, Step } from '../model/trace.ts';
import { forwardFrame } from './bridge.ts';
import { ConntrackTable } from './conntrack.ts';
import { isFor, macOf, type Destination } from './frame.ts';
import { Learned } from './learned.ts';
import { bridgeRules } from './unseen.ts';
import { Visit, type Passage } from './namespace.ts';
import type { UnknownDevices, Walk } from './walk.ts';
import { resolve, type Delivery } from './neighbour.ts';
import { mtuOf, place, routeOutput, type Way } from './routing.ts';
import { carries, decapsulate, encapsulate, encapsulateTowards, isTaken, type Carried } from './tunnel.ts';
import { attached, behind, bridgeCalls, bridgeKey, isBridge, linkOf, masterOf, wiresOf, type Station } from './wire.ts';

/** Where a packet begins: sent by a socket, or coming in by a device (undefined when nobody knows which). */
export interface Start {
  readonly ns: Namespace;
  readonly packet: Packet;
  readonly local: boolean;
  readonly device?: string;
  readonly bound: boolean;
  /** For an answer from outside: what the request supposed of the devices it passed. */
  readonly devices?: UnknownDevices;
  /** It only asks whether a tunnel's packets arrive. */
  readonly isProbe?: true;
  /** It comes in inside these: `packet` is the outermost. */
  readonly tunnels?: readonly Carried[];
}

/** A way that has come to its end. */
export interface Passed {
  readonly start: Start;
  readonly hops: Hop[];
  readonly outcome: Outcome;
  readonly sent: Packet;
  readonly final: Packet;
  /** Where it ended, and what was supposed of the devices there. */
  readonly end: Station;
  readonly devices?: UnknownDevices;
  /** It ended inside these, `outer` around it. */
  readonly tunnels: readonly Carried[];
  readonly outer: Packet;
}

/** How far rules have dealt with a frame on a bridge: not at all, PREROUTING left it, or sent what was for the host, or for another, elsewhere. */
type Seen = 'unseen' | 'seen' | 'redirected' | 'diverted';

type End = Omit<Outcome, 'node' | 'namespace'>;

/** What happens next to the packet. */
type Next =
  | { readonly do: 'send'; readonly ns: Namespace; readonly bound: boolean; readonly way?: Way; readonly step?: Step }
  | { readonly do: 'receive'; readonly ns: Namespace; readonly device: string | undefined; readonly port?: string; readonly step?: Step }
  | { readonly do: 'bridge'; readonly ns: Namespace; readonly bridge: string; readonly port: string; readonly to: Destination; readonly step?: Step }
  | { readonly do: 'end'; readonly end: End };

/** Visits that one packet may make before it is called a loop: each of its 64 hops may go through a tunnel, which takes four. */
const FARTHEST = 300;

export function oneWay(world: World, start: Start, walk: Walk): Passed {
  return new Journey(world, start, walk).go();
}

class Journey {
  private readonly hops: Hop[] = [];
  private readonly tunnels: Carried[];
  private readonly world: World;
  private readonly start: Start;
  private readonly walk: Walk;
  private packet: Packet;
  private sent: Packet;
  private at: Station;
  private visit: Visit | undefined;

  constructor(world: World, start: Start, walk: Walk) {
    this.world = world;
    this.start = start;
    this.walk = walk;
    this.packet = start.packet;
    this.sent = start.tunnels?.[0]?.packet ?? start.packet;
    this.tunnels = [...(start.tunnels ?? [])];
    this.at = { ns: start.ns, device: start.device ?? '' };
  }

  go(): Passed {
    const { ns, local, bound, device } = this.start;
    let next: Next = local ? { do: 'send', ns, bound } : { do: 'receive', ns, device };
    for (let n = 0; n < FARTHEST; n++) {
      if (next.do === 'end') return this.passed(next.end);
      next = this.step(next, n === 0);
    }
    return this.passed({ kind: 'loop', why: `the packet goes round: ${FARTHEST} hops and no end` });
  }

  private step(next: Exclude<Next, { do: 'end' }>, isFirst: boolean): Next {
    const { ns } = next;
    this.at = {
      ns,
      device: next.do === 'send' ? '' : next.do === 'bridge' ? next.bridge : (next.device ?? ''),
      ...(next.do !== 'send' && next.port !== undefined && { port: next.port }),
    };
    if (next.do === 'bridge') return this.crossBridge(next);
    const visit = isFirst ? new Visit(ns, this.packet, this.walk, this.start.devices) : new Visit(ns, this.packet, this.walk);
    if (next.step) visit.steps.push(next.step);
    this.enter(visit);
    const passage = next.do === 'send' ? visit.send(next.bound, this.tunnels.at(-1), next.way) : visit.receive(next.device, next.port);
    if (isFirst && this.tunnels.length === 0) this.sent = visit.steps.find((s) => s.step === 'enter')?.packet ?? this.packet;
    this.packet = visit.packet;
    return this.after(passage, visit, {});
  }

  private enter(visit: Visit): void {
    const { ns } = this.at;
    const tunnel = this.tunnels.at(-1);
    this.visit = visit;
    this.hops.push({ node: ns.node, namespace: ns.name, steps: visit.steps, ...(tunnel && { tunnel: tunnel.link.name }) });
  }

  private after(passage: Passage, visit: Visit, to: Partial<Destination>): Next {
    switch (passage.kind) {
      case 'refused':
        return ended({ kind: passage.outcome, why: passage.why, ...(passage.at && { at: passage.at }) });
      case 'delivered':
        return this.tunnels.length > 0 ? this.leaveTunnel() : ended({ kind: 'delivered', why: `delivered to ${place(this.at.ns)}` });
      case 'out':
        return this.send(passage, visit);
      case 'bridged':
        return this.onBridge(passage, visit, to);
      case 'wrapped':
        return this.wrap(passage);
    }
  }

  /** From an output device to the next hop. */
  private send(out: Passage & { kind: 'out' }, visit: Visit): Next {
    const { ns } = this.at;
    const hop = out.via ?? this.packet.dst;
    const text = formatAddr(hop);
    const { device } = out;
    if (device === undefined) {
      visit.steps.push({ step: 'leave', device: '?', to: text, packet: this.packet });
      return ended({ kind: 'left', why: `leaves ${place(ns)} towards ${text}; which interface is not known`, nextHop: text });
    }
    const link = linkOf(ns, device);
    if (link && !link.up) return ended({ kind: 'no-route', why: `${device} of ${place(ns)} is down`, at: link.at });
    if (link && link.kind !== undefined && TUNNELS.has(link.kind) && !carries(link)) {
      const why = link.kind === 'vxlan' || link.kind === 'ipip' ? 'its ends were not captured (ip -d link)' : 'which is not modelled';
      visit.steps.push({ step: 'leave', device, to: text, packet: this.packet });
      return ended({ kind: 'cannot-tell', why: `${device} of ${place(ns)} is a tunnel (${link.kind}), ${why}`, at: link.at });
    }
    // who reads from a tun device is a program: a VPN, or something that stands in for a wire
    if (link?.kind === 'tun') {
      visit.choices.assume(`what ${device} (${link.kind}) does with the packet is not modelled: it is taken to reach the other end`, link.at);
      visit.steps.push({ step: 'leave', device, to: text, packet: this.packet });
      return ended({ kind: 'left', why: `leaves ${place(ns)} by the tunnel device ${device} (${link.kind}) towards ${text}`, device, nextHop: text });
    }
    // a point-to-point tunnel has no neighbours
    if (link?.kind === 'ipip' && carries(link)) return this.transmit({ ns, device }, {}, out.via, visit);
    const delivery = resolve(this.world, { ns, device }, hop, visit, this.walk.learned, (near, far) => this.passes(near, far));
    const found = (result: string, at?: Outcome['at']): void => {
      visit.steps.push({ step: 'neighbour', addr: text, device, result, ...(at && { at }) });
    };
    switch (delivery.kind) {
      case 'refused':
        found(delivery.why, delivery.at);
        return unresolved(delivery, out);
      case 'outside':
        if (delivery.at) found(delivery.how, delivery.at);
        return this.leftBy(device, text, visit);
      case 'found': {
        found(delivery.how, delivery.at);
        const from = macOf({ ns, device });
        this.walk.learned.hear(from);
        const to: Destination = {
          how: delivery.how,
          ...(from !== undefined && { from }),
          ...(delivery.mac !== undefined && { mac: delivery.mac }),
          ...(delivery.to && { owner: delivery.to }),
          ...(delivery.at && { at: delivery.at }),
        };
        if (!link?.vxlan) visit.steps.push({ step: 'leave', device, to: text, packet: this.packet });
        return this.transmit({ ns, device }, to, out.via, visit);
      }
    }
  }

  /** Whether ARP gets through a tunnel: its packets are packets like others, with rules and routes of their own. */
  private passes(near: Station, far: Station): boolean {
    if (this.start.isProbe) return true;
    const link = linkOf(near.ns, near.device)!;
    const made = encapsulateTowards(this.world, near.ns, link, far, this.packet);
    if (!made) return false;
    const tables = new Map<Namespace, ConntrackTable>();
    const walk: Walk = {
      ...this.walk,
      learned: new Learned(),
      connections: (ns) => {
        let table = tables.get(ns);
        if (!table) tables.set(ns, (table = new ConntrackTable(ns)));
        return table;
      },
    };
    const { outcome, end } = oneWay(this.world, { ns: near.ns, packet: made.outer, local: true, bound: made.bound, isProbe: true }, walk);
    return outcome.kind === 'left' || outcome.kind === 'cannot-tell' || (outcome.kind === 'delivered' && end.ns === far.ns);
  }

  private leftBy(device: string, to: string, visit: Visit): Next {
    visit.steps.push({ step: 'leave', device, to, packet: this.packet });
    return ended({ kind: 'left', why: `leaves ${place(this.at.ns)} by ${device} towards ${to}`, device, nextHop: to });
  }

  /** Puts the frame on a device: a bridge, a tunnel, or a cable. */
  private transmit(from: Station, to: Destination, via: Addr | undefined, visit: Visit, isBridged = false): Next {
    const { ns, device } = from;
    const link = linkOf(ns, device);
    if (link && carries(link)) return this.enterTunnel(from, to, via, visit, isBridged);
    if (isBridge(ns, device)) return this.forward({ ns, device }, to, visit);
    const ends = attached(this.world, from);
    const next = ends.find((s) => isFor(to, s)) ?? ends.find((s) => leadsTo(this.world, from, s, to)) ?? (ends.length === 1 ? ends[0] : undefined);
    if (!next) return ends.length === 0 ? this.leftBy(device, formatAddr(via ?? this.packet.dst), visit) : this.nobody(from, to);
    const denied = this.denied(from, next);
    if (denied) return denied;
    return this.arriveAt(next, to);
  }

  private nobody(from: Station, to: Destination): Next {
    const why = `no captured station on ${from.device} of ${place(from.ns)} has the link-layer address ${to.mac ?? 'of the next hop'}${to.how ? `: ${to.how}` : ''}`;
    return ended({ kind: 'not-for-us', why, ...(to.at && { at: to.at }) });
  }

  /** A wire between two stations may deny the packet. */
  private denied(from: Station, to: Station): Next | undefined {
    for (const wire of wiresOf(this.world, from)) {
      if (!wire.ends.some((e) => e.node === to.ns.node && e.namespace === to.ns.name)) continue;
      const deny = wire.deny?.find((d) => denies(d, this.packet));
      if (deny) return ended({ kind: 'dropped', why: `the wire ${wire.name} does not carry it: ${deny.text}`, at: deny.at });
    }
    return undefined;
  }

  /** A frame reaches a device: its bridge takes it, or its own host if it is for it. */
  private arriveAt(s: Station, to: Destination): Next {
    // a wire carries neither the mark nor the sender's socket, and the frame gets other addresses
    const { uid: _uid, gid: _gid, mac: _mac, ...bare } = this.packet;
    const { undetermined, ...settled } = bare;
    const { mark: _mark, ...loose } = undetermined ?? {};
    this.packet = { ...settled, mark: 0, ...(Object.keys(loose).length > 0 && { undetermined: loose }) };
    const link = linkOf(s.ns, s.device);
    if (link && !link.up) return ended({ kind: 'dropped', why: `${s.device} of ${place(s.ns)} is down`, at: link.at });
    if (link?.kind === 'veth' && !isForwardable(link, this.packet))
      return ended({
        kind: 'too-big',
        why: `${this.packet.length} bytes do not fit the MTU ${link.mtu} of ${s.device} on ${place(s.ns)}, the other end of the pair: the frame is dropped`,
        at: link.at,
      });
    const master = masterOf(s);
    if (master) return { do: 'bridge', ns: master.ns, bridge: master.device, port: s.device, to };
    const own = macOf(s);
    if (!isFor(to, s) && to.mac !== undefined && own !== undefined) {
      const why = `${place(s.ns)} gets a frame for ${to.mac} on ${s.device}, whose address is ${own}, and does not take it${to.how ? ` (${to.how})` : ''}`;
      return ended({ kind: 'not-for-us', why, ...(to.at ? { at: to.at } : link && { at: link.at }) });
    }
    return { do: 'receive', ns: s.ns, device: s.device };
  }

  /** A frame comes to a bridge by a port: through the rules first, where br_netfilter is on. */
  private crossBridge(next: Next & { do: 'bridge' }): Next {
    const { ns, bridge, port, to } = next;
    const here: Station = { ns, device: bridge, port };
    const decision = forwardFrame(this.world, here, to, this.walk.learned);
    if (decision.kind === 'up') return { do: 'receive', ns, device: bridge, port, ...(next.step && { step: next.step }) };
    const visit = new Visit(ns, this.packet, this.walk);
    if (next.step) visit.steps.push(next.step);
    this.enter(visit);
    const lost = bridgeRules(ns, bridge, visit);
    if (lost) return ended({ kind: lost.outcome, why: lost.why, ...(lost.at && { at: lost.at }) });
    const calls = bridgeCalls(ns, bridge, this.packet.family);
    const rules = ns.tables.some((t) => t.family === this.packet.family);
    const met =
      calls === 'unknown'
        ? rules &&
          visit.decide(
            bridgeKey(ns, bridge, this.packet.family),
            `frames on ${bridge} of ${place(ns)} meet the iptables rules (net.bridge.bridge-nf-call-iptables was not captured)`,
          )
        : calls;
    if (!met) return this.forward(here, to, visit);
    const passage = visit.bridge(bridge, port);
    this.packet = visit.packet;
    return this.after(passage, visit, to);
  }

  /** What PREROUTING left on the bridge: to the station it was for, or to the one it was redirected to. */
  private onBridge(passage: Passage & { kind: 'bridged' }, visit: Visit, to: Partial<Destination>): Next {
    const here: Station = this.at;
    if (passage.to === undefined) return this.forward(here, to, visit, 'seen');
    const delivery = resolve(this.world, { ns: here.ns, device: here.device }, passage.to, visit, this.walk.learned, (near, far) =>
      this.passes(near, far),
    );
    if (delivery.kind === 'outside') return this.leftBy(here.device, formatAddr(passage.to), visit);
    if (delivery.kind === 'refused') return ended({ kind: delivery.outcome, why: delivery.why, ...(delivery.at && { at: delivery.at }) });
    const now: Destination = {
      how: delivery.how,
      ...(delivery.mac !== undefined && { mac: delivery.mac }),
      ...(delivery.to && { owner: delivery.to }),
      ...(delivery.at && { at: delivery.at }),
      ...(to.from !== undefined && { from: to.from }),
    };
    // a frame for another host stays one (PACKET_OTHERHOST), whoever it is redirected to
    return this.forward(here, now, visit, to.mac === undefined && to.owner === undefined ? 'redirected' : 'diverted');
  }

  /** The bridge's own decision, and the rules of FORWARD and POSTROUTING where `isSeen`. */
  private forward(bridge: Station, to: Destination, visit: Visit, how: Seen = 'unseen'): Next {
    const decision = forwardFrame(this.world, bridge, to, this.walk.learned);
    const { ns, device } = bridge;
    const step = (out: string | undefined, result: string, at?: Outcome['at']): void => {
      visit.steps.push({
        step: 'bridge',
        bridge: device,
        result,
        ...(bridge.port !== undefined && { in: bridge.port }),
        ...(out !== undefined && { out }),
        ...(at && { at }),
      });
    };
    switch (decision.kind) {
      case 'flooded': {
        const [first] = decision.ports;
        if (how !== 'unseen' && first !== undefined) {
          const stopped = visit.bridgeOut(device, first);
          this.packet = visit.packet;
          if (stopped) return this.after(stopped, visit, to);
        }
        step(first, decision.why, decision.at);
        if (how === 'redirected' && linkOf(ns, device)?.promiscuous) return this.routeUp(visit, to, true);
        return ended({ kind: decision.outcome, why: decision.why, ...(decision.at && { at: decision.at }) });
      }
      case 'stopped':
        step(undefined, decision.why, decision.at);
        // br_handle_frame_finish(): the host of a promiscuous bridge gets every frame, and takes one that was for it before DNAT
        if (how === 'redirected' && linkOf(ns, device)?.promiscuous) return this.routeUp(visit, to, true);
        return ended({ kind: decision.outcome, why: decision.why, ...(decision.at && { at: decision.at }) });
      case 'up':
        if (how === 'redirected') return this.routeUp(visit, to, false);
        if (how === 'diverted')
          return ended({ kind: 'not-for-us', why: `the frame was not for ${place(ns)}, which does not take it (${to.how ?? ''})` });
        return { do: 'receive', ns, device, ...(bridge.port !== undefined && { port: bridge.port }) };
      case 'outside':
        return this.leftBy(decision.port ?? device, formatAddr(this.packet.dst), visit);
      case 'port': {
        if (how !== 'unseen') {
          const stopped = visit.bridgeOut(device, decision.port);
          this.packet = visit.packet;
          if (stopped) return this.after(stopped, visit, to);
        }
        step(decision.port, decision.how, decision.at);
        const link = linkOf(ns, decision.port);
        // br_nf_dev_queue_xmit() cuts or drops what does not fit; without it br_dev_queue_push_xmit() leaves room for a tag
        if (link && !(how === 'unseen' ? isForwardable(link, this.packet) : this.packet.length <= link.mtu))
          return ended({
            kind: 'too-big',
            why: `${this.packet.length} bytes do not fit the MTU ${link.mtu} of the bridge port ${link.name} on ${place(ns)}: the frame is dropped`,
            at: link.at,
          });
        return this.transmit({ ns, device: decision.port }, to, undefined, visit, how !== 'redirected' && bridge.port !== undefined);
      }
    }
  }

  private routeUp(visit: Visit, to: Destination, promiscuous: boolean): Next {
    const passage = visit.routeBridged(promiscuous);
    this.packet = visit.packet;
    return this.after(passage, visit, to);
  }

  private enterTunnel(from: Station, to: Destination, via: Addr | undefined, visit: Visit, isBridged: boolean): Next {
    const link = linkOf(from.ns, from.device)!;
    const made = encapsulate(this.world, from.ns, link, this.packet, to, via, this.walk.learned);
    if (made.kind === 'refused') return ended({ kind: made.outcome, why: made.why, ...(made.at && { at: made.at }) });
    if (made.kind === 'bypassed') {
      visit.steps.push({ step: 'leave', device: link.name, to: formatAddr(via ?? this.packet.dst), packet: this.packet });
      const step: Step = { step: 'decapsulate', device: made.device, packet: this.packet };
      const master = masterOf({ ns: from.ns, device: made.device });
      if (master) return { do: 'bridge', ns: from.ns, bridge: master.device, port: made.device, to, step };
      return { do: 'receive', ns: from.ns, device: made.device, step };
    }
    if (this.tunnels.some((t) => t.link === link))
      return ended({ kind: 'loop', why: `the outer packet of ${link.name} on ${place(from.ns)} leaves by ${link.name} again`, at: link.at });
    let { outer } = made;
    const way = routeOutput(from.ns, made.outer, made.bound, visit, true);
    const limit = way.kind === 'refused' ? undefined : mtuOf(from.ns, way);
    if (limit && made.outer.length > limit.mtu) {
      // skb_tunnel_check_pmtu(): what a bridge put in is too big, everything else is cut
      if (isBridged && link.vxlan)
        return ended({
          kind: 'too-big',
          why: `${this.packet.length} bytes and the headers of ${link.name} do not fit the MTU ${limit.mtu} of ${way.kind === 'refused' ? '' : (way.device ?? '?')} on ${place(from.ns)}`,
          ...(limit.at && { at: limit.at }),
        });
      if (link.vxlan) outer = { ...outer, length: limit.mtu };
    }
    const step: Step = {
      step: 'encapsulate',
      device: link.name,
      kind: link.kind ?? 'tunnel',
      how: made.how,
      packet: outer,
      ...(made.at && { at: made.at }),
    };
    visit.steps.push({ step: 'leave', device: link.name, to: formatAddr(via ?? this.packet.dst), packet: this.packet });
    this.tunnels.push({ packet: this.packet, to, ns: from.ns, link, input: link.name, balanced: visit.balanced });
    this.packet = outer;
    return { do: 'send', ns: from.ns, bound: made.bound, step };
  }

  /** IPVS sends a packet to its real server inside another one, without a device. */
  private wrap({ packet, outer, way, connection, device }: Passage & { kind: 'wrapped' }): Next {
    const at = connection.real?.at ?? connection.service!.at;
    const kind = connection.real?.tunnel?.type ?? 'ipip';
    this.tunnels.push({ packet, to: {}, ns: this.at.ns, link: { name: 'IPVS', at }, input: device, balanced: true });
    this.packet = outer;
    const how = `real server ${formatAddr(connection.server.addr)}`;
    return { do: 'send', ns: this.at.ns, bound: true, way, step: { step: 'encapsulate', device: 'IPVS', kind, how, packet: outer, at } };
  }

  /** The outer packet was delivered: what it carries goes on. */
  private leaveTunnel(): Next {
    const carried = this.tunnels.pop()!;
    const { ns } = this.at;
    const made = decapsulate(ns, this.packet, carried, this.walk.learned);
    if (made.kind === 'refused') return ended({ kind: made.outcome, why: made.why, ...(made.at && { at: made.at }) });
    this.packet = made.packet;
    const step: Step = { step: 'decapsulate', device: made.device, packet: made.packet };
    const master = masterOf({ ns, device: made.device });
    if (master) return { do: 'bridge', ns, bridge: master.device, port: made.device, to: carried.to, step };
    if (carried.link.vxlan && !isTaken(ns, made.device, carried.to)) {
      const own = linkOf(ns, made.device)?.mac;
      const why = `${place(ns)} gets a frame for ${carried.to.mac} out of ${made.device}, whose address is ${own}, and does not take it${carried.to.how ? ` (${place(carried.ns)}: ${carried.to.how})` : ''}`;
      const at = carried.to.at ?? linkOf(ns, made.device)?.at;
      return ended({ kind: 'not-for-us', why, ...(at && { at }) });
    }
    return { do: 'receive', ns, device: made.device, step };
  }

  private passed(end: End): Passed {
    // a packet that ends inside a tunnel is told as the one it carries
    const inner = this.tunnels[0]?.packet;
    const outer = this.tunnels.at(-1);
    const why =
      outer && end.kind === 'left'
        ? `inside a packet of ${outer.link.name}, to ${formatAddr(this.packet.dst)}, it ${end.why}`
        : outer && end.kind !== 'delivered'
          ? `the packet that carries it through ${outer.link.name} of ${place(outer.ns)} does not arrive: ${end.why}`
          : end.why;
    const { ns } = this.at;
    return {
      start: this.start,
      hops: this.hops,
      outcome: { ...end, why, node: ns.node, namespace: ns.name },
      sent: this.sent,
      final: inner ?? this.packet,
      end: this.at,
      tunnels: this.tunnels,
      outer: this.packet,
      ...(this.visit && { devices: this.visit.devices }),
    };
  }
}

/** Nobody takes the packet at its next hop: the route that sent it there is told, for it may be the wrong one. */
function unresolved(d: Extract<Delivery, { kind: 'refused' }>, { way }: Passage & { kind: 'out' }): Next {
  const at = d.at ?? way.at;
  return ended({ kind: d.outcome, why: `${d.why}${way.at ? ` (where the route '${way.text}' sends it)` : ''}`, ...(at && { at }) });
}

/** is_skb_forwardable(), include/linux/netdevice.h: bridges and veth pairs leave room for a VLAN tag. */
function isForwardable(link: Link, p: Packet): boolean {
  return p.length <= link.mtu + 4;
}

function ended(end: End): Next {
  return { do: 'end', end };
}

/** Whether the station a frame is for is reached by way of this end of a cable. */
function leadsTo(world: World, from: Station, s: Station, to: Destination): boolean {
  const master = masterOf(s);
  if (!master) return false;
  if (isFor(to, { ns: master.ns, device: master.device })) return true;
  const ports = master.ns.links.filter((l) => l.master === master.device && l.name !== s.device);
  return ports.some((p) => {
    const port = { ns: master.ns, device: p.name };
    return macOf(port) === to.mac || (behind(world, port, master)?.stations.some((x) => isFor(to, x) && x.ns !== from.ns) ?? false);
  });
}

function denies(d: Deny, p: Packet): boolean {
  const within = (port: number | undefined, range: readonly [number, number] | undefined): boolean =>
    range === undefined || (port !== undefined && has(ranges([range]), port));
  return (
    (d.proto === undefined || d.proto === p.proto) &&
    (d.from === undefined || contains(d.from, p.src)) &&
    (d.to === undefined || contains(d.to, p.dst)) &&
    within(p.sport, d.sport) &&
    within(p.dport, d.dport)
  );
}

/** Devices that put packets into others, in ways that are not followed unless `carries` says so. */
const TUNNELS = new Set(['vxlan', 'ipip', 'gre', 'gretap', 'sit', 'geneve', 'wireguard', 'ip6tnl', 'ip6gre', 'xfrm', 'vti']);
