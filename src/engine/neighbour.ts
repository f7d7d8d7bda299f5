// Who gets a frame: the neighbour table where it settles that, else whoever answers ARP or neighbour discovery on the segment.
// arp_process(), net/ipv4/arp.c
import { contains, familyOf, formatAddr, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Neighbour, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Choices } from './choice.ts';
import { Fib } from './fib.ts';
import { isFor, macOf } from './frame.ts';
import type { Learned } from './learned.ts';
import { place, routeInput, type Router } from './routing.ts';
import { eitherOf, forwarding, maxOf } from './sysctl.ts';
import type { Watch } from './watch.ts';
import { floodRemotes, linkOf, masterOf, segmentOf, type Passes, type Station } from './wire.ts';

export type Delivery =
  /** A station that answered, or the link-layer address that the table has, or both. */
  | { readonly kind: 'found'; readonly to?: Station; readonly mac?: string; readonly how: string; readonly at?: Span }
  | { readonly kind: 'outside'; readonly how: string; readonly at?: Span }
  | { readonly kind: 'refused'; readonly outcome: 'no-neighbour' | 'not-for-us'; readonly why: string; readonly at?: Span };

/** Finds whom a packet for next hop `addr` out of `from` is addressed to. */
export function resolve(world: World, from: Station, addr: Addr, router: Resolver, learned: Learned, passes: Passes): Delivery {
  const text = formatAddr(addr);
  const entry = from.ns.neighbours.find((n) => n.device === from.device && !n.proxy && formatAddr(n.addr) === text);
  const vxlan = linkOf(from.ns, from.device)?.vxlan !== undefined;
  const segment = segmentOf(world, from, passes);
  const mac = entry?.mac;
  const asker = askerOf(from, addr, router.packet);
  const isSettled = mac !== undefined && entry !== undefined && entry.state !== 'FAILED' && entry.state !== 'INCOMPLETE';
  const met = entry?.state === 'PERMANENT' ? undefined : learned.neighbour(from, addr);
  if (met) {
    const own = macOf(met);
    return { kind: 'found', to: met, ...(own !== undefined && { mac: own }), how: `${place(met.ns)} has asked for it, and told where ${text} is` };
  }
  // who is behind a VXLAN device its fdb tells, frame by frame
  if (vxlan && isSettled) return { kind: 'found', mac, how: `${text} is at ${mac} (${entry.state})`, at: entry.at };
  if (!segment) return vxlan ? silence(from, text, entry) : beyond(from, text, entry);
  if (isSettled) {
    const how = `${text} is at ${mac} (${entry.state})`;
    // the table decides, whoever would answer, and whether or not ARP would reach it
    const all = [...segment.stations, ...segment.cuts.flatMap((c) => c.beyond())];
    const owner = all.find((s) => macOf(s) === mac);
    if (!owner && all.some((s) => isFor({ mac }, s))) return { kind: 'found', mac, how, at: entry.at };
    if (owner) return { kind: 'found', to: owner, mac, how, at: entry.at };
    const nameless = segment.stations.find((s) => macOf(s) === undefined && answers(s, addr, asker, router));
    if (nameless) return { kind: 'found', to: nameless, mac, how, at: entry.at };
    const heard = segment.stations.find((s) => answers(s, addr, asker, router));
    if (!heard && segment.open) return beyond(from, text, entry);
    if (entry.state === 'PERMANENT' || !heard) {
      const owns = heard ? `; ${place(heard.ns)} has ${text}, with ${macOf(heard) ?? 'another address'}` : '';
      // the frame goes out all the same, and bridges on its way show it to their rules
      return { kind: 'found', mac, how: `${how}${owns}`, at: entry.at };
    }
  }
  // br_handle_frame(): what comes back by a port is the bridge's
  const master = masterOf(from);
  if (master) return silence(from, text, entry, `${from.device} is a port of ${master.device}, which gets the answer in its place`);
  const owners = segment.stations.filter((s) => answers(s, addr, asker, router));
  if (owners.length > 0) {
    const to = oneOf(owners, text, router);
    learned.hear(macOf(from));
    learned.hear(macOf(to));
    // the request went through every tunnel on the segment, and whoever learns there knows the way back
    const own = macOf(from);
    if (own !== undefined)
      for (const [near, far] of segment.crossings) {
        const source = tunnelSource(near, far);
        if (source !== undefined && linkOf(far.ns, far.device)?.vxlan?.learning) learned.snoop(far, own, source);
      }
    if (asker !== undefined) for (const s of owners) learned.meet(s, asker, from);
    const mine = macOf(to);
    return { kind: 'found', to, ...(mine !== undefined && { mac: mine }), how: `${place(to.ns)} answers for ${text}` };
  }
  // somebody behind a port that was not captured may have it
  if (segment.open) return beyond(from, text, entry);
  const cut = segment.cuts.find((c) => c.beyond().some((s) => answers(s, addr, asker, router)));
  return silence(from, text, entry, cut?.why, cut?.at);
}

function silence(from: Station, text: string, entry: Neighbour | undefined, because?: string, where?: Span): Delivery {
  const at = where ?? entry?.at;
  return {
    kind: 'refused',
    outcome: 'no-neighbour',
    why: `nobody on the wire behind ${from.device} of ${place(from.ns)} answers for ${text}${because === undefined ? '' : `: ${because}`}`,
    ...(at && { at }),
  };
}

/** Two that answer: the first to be heard is the one. */
function oneOf(owners: readonly [Station, ...Station[]] | Station[], text: string, router: Resolver): Station {
  const hosts = owners.filter((s, i) => owners.findIndex((t) => t.ns === s.ns) === i);
  if (hosts.length === 1) return hosts[0]!;
  const names = hosts.map((s) => place(s.ns));
  const options = hosts.map((s) => ({ value: s, what: `${text} is on ${names.join(' and on ')} at once, and ${place(s.ns)} answers first` }));
  return router.choices.choose(`owner:${text}`, options);
}

/** How resolving asks what nobody can know. */
export interface Resolver extends Router {
  readonly choices: Choices;
  readonly packet: Packet;
  readonly watch?: Watch | undefined;
}

function beyond(from: Station, text: string, entry: Neighbour | undefined): Delivery {
  if (entry && (entry.state === 'FAILED' || entry.state === 'INCOMPLETE')) {
    return {
      kind: 'refused',
      outcome: 'no-neighbour',
      why: `the neighbour table of ${place(from.ns)} says ${text} dev ${from.device} ${entry.state}: nobody answered`,
      at: entry.at,
    };
  }
  return {
    kind: 'outside',
    how: entry?.mac ? `${text} is at ${entry.mac} (${entry.state})` : `${text} is beyond what was captured`,
    ...(entry && { at: entry.at }),
  };
}

/** Who asks, as the ARP request tells it: arp_solicit(), net/ipv4/arp.c. Undefined when nobody knows. */
function askerOf(from: Station, addr: Addr, packet: Packet): Addr | undefined {
  const fib = Fib.of(from.ns, familyOf(addr));
  const announce = maxOf(from.ns, from.device, 'arp_announce').value;
  const { src, undetermined } = packet;
  if (undetermined?.src || familyOf(src) !== familyOf(addr)) return undefined;
  const onlink = (): boolean =>
    from.ns.addresses.some(
      (a) => a.device === from.device && familyOf(a.addr) === 4 && [src, addr].every((x) => contains({ addr: a.addr, length: a.length }, x)),
    );
  if (announce < 2 && fib.isLocal(src) && (announce === 0 || onlink())) return src;
  return fib.selectAddress(from.device, addr, 'link');
}

/** Reports whether the station would answer an ARP request for `addr` that came in by its device. */
function answers(s: Station, addr: Addr, asker: Addr | undefined, router: Resolver): boolean {
  if (linkOf(s.ns, s.device)?.up === false) return false;
  const fib = Fib.of(s.ns, familyOf(addr));
  const isProxied = s.ns.neighbours.some((n) => n.proxy && n.device === s.device && formatAddr(n.addr) === formatAddr(addr));
  if (familyOf(addr) === 6) {
    // an address of the device itself, always
    if (fib.isLocal(addr)) return isOwn(s, addr);
    return isProxied && (forwarding(s.ns, 6, s.device)?.value ?? 1) !== 0;
  }
  // arp_process() routes the request as if it were a packet from the asker: reverse-path checks count
  const silent: Router = {
    decide: (key, what) => router.decide(key, what),
    pick: (...asked) => router.pick(...asked),
    assume: () => {},
    note: () => {},
  };
  const isLocal = fib.isLocal(addr);
  const isForOthers = isProxied || Boolean(eitherOf(s.ns, s.device, 'proxy_arp').value);
  if (isForOthers) router.watch?.asked(s.ns);
  if (asker !== undefined) {
    const request: Packet = { family: 4, src: asker, dst: addr, proto: 0, ttl: 1, length: 28, tos: 0, mark: 0 };
    const way = routeInput(s.ns, request, s.device, silent);
    if (way.kind === 'refused') return false;
  }
  if (isLocal) {
    // arp_ignore(): 1 and more, only addresses of the device itself
    if (maxOf(s.ns, s.device, 'arp_ignore').value > 0 && !isOwn(s, addr)) return false;
    return !eitherOf(s.ns, s.device, 'arp_filter').value || asker === undefined || leads(s, asker, addr, silent) === s.device;
  }
  if (!isForOthers) return false;
  if (!(forwarding(s.ns, 4, s.device)?.value ?? 1)) return false;
  // arp_fwd_proxy(): only for addresses whose route leaves by another device
  const found = fib.lookup({ family: 4, dst: addr, ...(asker !== undefined && { src: asker }), iif: s.device, mark: 0, tos: 0 }, silent);
  return found.kind === 'hit' && found.route.type === 'unicast' && found.hop.device !== s.device;
}

/** The address that a tunnel's packets come from. */
function tunnelSource(near: Station, far: Station): Addr | undefined {
  const local = linkOf(near.ns, near.device)?.vxlan?.local;
  if (local !== undefined) return local;
  const remotes = floodRemotes(near.ns, near.device);
  const remote = remotes.find((r) => far.ns.addresses.some((a) => formatAddr(a.addr) === formatAddr(r)));
  return near.ns.addresses.find(
    (a) => remote !== undefined && familyOf(a.addr) === familyOf(remote) && contains({ addr: a.addr, length: a.length }, remote),
  )?.addr;
}

function isOwn(s: Station, addr: Addr): boolean {
  return s.ns.addresses.some((a) => a.device === s.device && formatAddr(a.addr) === formatAddr(addr));
}

/** The device of the route back to an asker: arp_filter(), net/ipv4/arp.c. */
function leads(s: Station, asker: Addr, addr: Addr, router: Router): string | undefined {
  const found = Fib.of(s.ns, 4).lookup({ family: 4, dst: asker, src: addr, iif: 'lo', mark: 0, tos: 0 }, router);
  return found.kind === 'hit' ? found.hop.device : undefined;
}
