// Who gets a frame: the neighbour table where it settles that, else whoever answers ARP or neighbour discovery on the segment.
// arp_process(), net/ipv4/arp.c
import { familyOf, formatAddr, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Neighbour, World } from '../model/host.ts';
import type { Choices } from './choice.ts';
import { Fib } from './fib.ts';
import { macOf } from './frame.ts';
import { place, type Router } from './routing.ts';
import { eitherOf, forwarding, maxOf } from './sysctl.ts';
import { linkOf, segmentOf, type Station } from './wire.ts';

export type Delivery =
  /** A station that answered, or the link-layer address that the table has, or both. */
  | { readonly kind: 'found'; readonly to?: Station; readonly mac?: string; readonly how: string; readonly at?: Span }
  | { readonly kind: 'outside'; readonly how: string; readonly at?: Span }
  | { readonly kind: 'refused'; readonly outcome: 'no-neighbour' | 'not-for-us'; readonly why: string; readonly at?: Span };

/** Finds whom a packet for next hop `addr` out of `from` is addressed to. */
export function resolve(world: World, from: Station, addr: Addr, router: Resolver): Delivery {
  const text = formatAddr(addr);
  const entry = from.ns.neighbours.find((n) => n.device === from.device && !n.proxy && formatAddr(n.addr) === text);
  const vxlan = linkOf(from.ns, from.device)?.vxlan !== undefined;
  const segment = segmentOf(world, from);
  const mac = entry?.mac;
  const isSettled = mac !== undefined && entry !== undefined && entry.state !== 'FAILED' && entry.state !== 'INCOMPLETE';
  // who is behind a VXLAN device its fdb tells, frame by frame
  if (vxlan && isSettled) return { kind: 'found', mac, how: `${text} is at ${mac} (${entry.state})`, at: entry.at };
  if (!segment) return vxlan ? silence(from, text, entry) : beyond(from, text, entry);
  if (isSettled) {
    const how = `${text} is at ${mac} (${entry.state})`;
    const owner = segment.stations.find((s) => macOf(s) === mac);
    if (owner) return { kind: 'found', to: owner, mac, how, at: entry.at };
    const nameless = segment.stations.find((s) => macOf(s) === undefined && answers(s, addr, router));
    if (nameless) return { kind: 'found', to: nameless, mac, how, at: entry.at };
    const heard = segment.stations.find((s) => answers(s, addr, router));
    if (!heard && segment.open) return beyond(from, text, entry);
    if (entry.state === 'PERMANENT' || !heard) {
      const owns = heard ? `; ${place(heard.ns)} has ${text}, with ${macOf(heard) ?? 'another address'}` : '';
      return {
        kind: 'refused',
        outcome: 'not-for-us',
        why: `${place(from.ns)} sends to ${mac} (${entry.state}) for ${text}, and no captured station on ${from.device} has that link-layer address${owns}`,
        at: entry.at,
      };
    }
  }
  const owners = segment.stations.filter((s) => answers(s, addr, router));
  if (owners.length > 0) {
    const to = oneOf(owners, text, router);
    const own = macOf(to);
    return { kind: 'found', to, ...(own !== undefined && { mac: own }), how: `${place(to.ns)} answers for ${text}` };
  }
  // somebody behind a port that was not captured may have it
  return segment.open ? beyond(from, text, entry) : silence(from, text, entry);
}

function silence(from: Station, text: string, entry: Neighbour | undefined): Delivery {
  return {
    kind: 'refused',
    outcome: 'no-neighbour',
    why: `nobody on the wire behind ${from.device} of ${place(from.ns)} answers for ${text}`,
    ...(entry && { at: entry.at }),
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

/** Reports whether the station would answer an ARP request for `addr` that came in by its device. */
function answers(s: Station, addr: Addr, router: Router): boolean {
  const fib = Fib.of(s.ns, familyOf(addr));
  if (fib.isLocal(addr)) {
    // arp_ignore 1 and 2: only addresses of the device itself (IPv6 behaves like that always)
    const strict = familyOf(addr) === 6 || maxOf(s.ns, s.device, 'arp_ignore').value > 0;
    return !strict || s.ns.addresses.some((a) => a.device === s.device && formatAddr(a.addr) === formatAddr(addr));
  }
  const isProxied = s.ns.neighbours.some((n) => n.proxy && n.device === s.device && formatAddr(n.addr) === formatAddr(addr));
  if (isProxied && (forwarding(s.ns, familyOf(addr), s.device)?.value ?? 1)) return true;
  if (familyOf(addr) !== 4 || !eitherOf(s.ns, s.device, 'proxy_arp').value || !(forwarding(s.ns, 4, s.device)?.value ?? 1)) return false;
  // arp_fwd_proxy(): only for addresses whose route leaves by another device
  const found = fib.lookup({ family: 4, dst: addr, iif: s.device, mark: 0, tos: 0 }, router);
  return found.kind === 'hit' && found.route.type === 'unicast' && found.hop.device !== s.device;
}
