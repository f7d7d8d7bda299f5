// What the routing tables say of an address, as nft asks: nft_fib4_eval(), net/ipv4/netfilter/nft_fib_ipv4.c; nft_fib6_eval(), net/ipv6/netfilter/nft_fib_ipv6.c
import { formatAddr, isLimitedBroadcast, isLinkLocal, isMulticast, isZeronet, type Addr } from '../net/addr.ts';
import type { Namespace } from '../model/host.ts';
import type { Operand } from '../model/operand.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE, type Hook } from '../model/ruleset.ts';
import { Fib, type Flow } from './fib.ts';
import { isSince } from './kernel.ts';
import type { Reading } from './operand.ts';
import { place, type Router } from './routing.ts';

interface Where {
  readonly ns: Namespace;
  readonly packet: Packet;
  readonly hook: Hook;
  readonly iif: string | undefined;
  readonly oif: string | undefined;
  readonly router: Router;
}

/** What a refusing route is to `fib ... type`. */
const REFUSED = { blackhole: ADDR_TYPE.BLACKHOLE, unreachable: ADDR_TYPE.UNREACHABLE, prohibit: ADDR_TYPE.PROHIBIT } as const;

export function readFib(asked: Operand & { kind: 'fib' }, w: Where): Reading {
  const { packet } = w;
  const unknown = packet.undetermined?.[asked.side];
  const device = asked.limit && w[asked.limit];
  const open = (why: string): Reading => ({ kind: 'open', why, key: `fib:${place(w.ns)}:${asked.text}:${formatAddr(packet[asked.side])}` });
  if (unknown) return open(`${unknown.what} was not captured`);
  if (asked.limit && device === undefined) return open('the interface is not known');
  return asked.result === 'type' ? typeOf(packet[asked.side], device === '' ? undefined : device, w, open) : deviceTo(asked, device, w, open);
}

function typeOf(addr: Addr, device: string | undefined, { ns, packet, router }: Where, open: (why: string) => Reading): Reading {
  const fib = Fib.of(ns, packet.family);
  const found = fib.addressType(addr, device);
  if (!found) return open(`what kind of address ${formatAddr(addr)} is was not captured`);
  const at = found.at && { at: found.at };
  if (packet.family === 4) return { kind: 'known', value: Math.log2(found.type), ...at };
  if (found.type & ADDR_TYPE.LOCAL) return { kind: 'known', value: Math.log2(ADDR_TYPE.LOCAL), ...at };
  if (found.type & ADDR_TYPE.ANYCAST) return { kind: 'known', value: Math.log2(ADDR_TYPE.ANYCAST), ...at };
  if (isMulticast(addr)) return { kind: 'known', value: Math.log2(ADDR_TYPE.MULTICAST) };
  const flow: Flow = { family: 6, dst: addr, iif: 'lo', mark: 0, tos: 0, ...(device !== undefined && { oif: device }) };
  const there = fib.lookup(flow, router);
  if (there.kind === 'unknown') return open(there.why);
  if (there.kind === 'error') return { kind: 'known', value: Math.log2(REFUSED[there.error]), at: there.at };
  return { kind: 'known', value: Math.log2(there.kind === 'none' ? ADDR_TYPE.UNREACHABLE : ADDR_TYPE.UNICAST) };
}

/** The device by which the tables send to the address, '' for none; with a device, that one or none. */
function deviceTo(asked: Operand & { kind: 'fib' }, device: string | undefined, w: Where, open: (why: string) => Reading): Reading {
  const { ns, packet, hook, iif, router } = w;
  const six = packet.family === 6;
  // nft_fib_can_skip(); in INPUT since Linux 6.16
  if (iif === 'lo' && (hook === 'PREROUTING' || hook === 'INGRESS' || (hook === 'INPUT' && isSince(ns.kernel, 6, 16) !== false)))
    return { kind: 'known', value: 'lo' };
  if (!six && isZeronet(packet.src) && (isLimitedBroadcast(packet.dst) || isLocalMulticast(packet.dst)))
    return iif === undefined ? open('the input interface is not known') : { kind: 'known', value: iif };
  const [dst, src] = asked.side === 'dst' ? [packet.dst, packet.src] : [packet.src, packet.dst];
  const flow: Flow = {
    family: packet.family,
    dst,
    ...(!isMulticast(src) && !isLimitedBroadcast(src) && !isZeronet(src) && { src }),
    // the way back of a forwarded packet begins where it leaves
    iif: hook === 'FORWARD' && asked.side === 'src' && asked.limit === 'iif' && w.oif !== undefined && w.oif !== '' ? w.oif : 'lo',
    mark: asked.mark ? packet.mark : 0,
    tos: packet.tos,
    uid: 0,
    ...(six && { proto: packet.proto }),
    ...(six && isLinkLocal(dst) && { oif: device ?? iif ?? '' }),
  };
  const result = Fib.of(ns, packet.family).lookup(flow, router);
  if (result.kind === 'unknown') return open(result.why);
  if (result.kind !== 'hit') return { kind: 'known', value: '' };
  const { route, hop } = result;
  if (route.type === 'local' || (six && route.type === 'anycast')) return { kind: 'known', value: '' };
  const at = route.at.line > 0 ? { at: route.at } : {};
  if (asked.limit === undefined || device === undefined)
    return hop.device === undefined ? open('the route names no device') : { kind: 'known', value: hop.device, ...at };
  const uses = six ? hop.device === device : route.nextHops.some((h) => h.device === device);
  return { kind: 'known', value: uses ? device : '', ...at };
}

/** ipv4_is_local_multicast() */
function isLocalMulticast(addr: Addr): boolean {
  return typeof addr === 'number' && addr >>> 8 === 0xe00000;
}
