// Who gets a frame: the neighbour table where it settles that, else whoever answers ARP or neighbour discovery on the segment.
// arp_process(), net/ipv4/arp.c
import { familyOf, formatAddr, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Neighbour, World } from '../model/host.ts';
import { Fib } from './fib.ts';
import { place, type Router } from './routing.ts';
import { eitherOf, forwarding, maxOf } from './sysctl.ts';
import { segmentOf, type Segment, type Station } from './wire.ts';

export type Delivery =
  | { readonly kind: 'station'; readonly to: Station; readonly how: string; readonly at?: Span; readonly segment: Segment }
  | { readonly kind: 'outside'; readonly how: string; readonly at?: Span }
  | { readonly kind: 'refused'; readonly outcome: 'no-neighbour' | 'not-for-us'; readonly why: string; readonly at?: Span };

/** Finds the station that a packet for next hop `addr` out of `from` reaches. */
export function resolve(world: World, from: Station, addr: Addr, router: Router): Delivery {
  const text = formatAddr(addr);
  const entry = from.ns.neighbours.find((n) => n.device === from.device && !n.proxy && formatAddr(n.addr) === text);
  const segment = segmentOf(world, from);
  if (!segment) return beyond(from, text, entry);
  const mac = entry?.mac;
  if (mac !== undefined && entry && entry.state !== 'FAILED' && entry.state !== 'INCOMPLETE') {
    const owner = segment.stations.find((s) => macOf(s) === mac);
    if (owner) return { kind: 'station', to: owner, how: `${text} is at ${mac} (${entry.state})`, at: entry.at, segment };
    const nameless = segment.stations.find((s) => macOf(s) === undefined && answers(s, addr, router));
    if (nameless) return { kind: 'station', to: nameless, how: `${text} is at ${mac} (${entry.state})`, at: entry.at, segment };
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
  const owner = segment.stations.find((s) => answers(s, addr, router));
  if (owner) return { kind: 'station', to: owner, how: `${place(owner.ns)} answers for ${text}`, segment };
  // somebody behind a port that was not captured may have it
  if (segment.open) return beyond(from, text, entry);
  return {
    kind: 'refused',
    outcome: 'no-neighbour',
    why: `nobody on the wire behind ${from.device} of ${place(from.ns)} answers for ${text}`,
    ...(entry && { at: entry.at }),
  };
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

function macOf(s: Station): string | undefined {
  return s.ns.links.find((l) => l.name === s.device)?.mac;
}

/** Reports whether the station would answer an ARP request for `addr` that came in by its device. */
function answers(s: Station, addr: Addr, router: Router): boolean {
  const fib = Fib.of(s.ns, familyOf(addr));
  if (fib.isLocal(addr)) {
    // arp_ignore 1 and 2: only addresses of the device itself (IPv6 behaves like that always)
    const strict = familyOf(addr) === 6 || maxOf(s.ns, s.device, 'arp_ignore').value > 0;
    return !strict || s.ns.addresses.some((a) => a.device === s.device && formatAddr(a.addr) === formatAddr(addr));
  }
  if (familyOf(addr) !== 4 || !eitherOf(s.ns, s.device, 'proxy_arp').value || !(forwarding(s.ns, 4, s.device)?.value ?? 1)) return false;
  // arp_fwd_proxy(): only for addresses whose route leaves by another device
  const found = fib.lookup({ family: 4, dst: addr, iif: s.device, mark: 0, tos: 0 }, router);
  return found.kind === 'hit' && found.route.type === 'unicast' && found.hop.device !== s.device;
}
