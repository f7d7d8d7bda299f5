// Routing decisions about one packet: who gets it (input), which way it goes (output), and whether its source is believed.
// ip_route_input_slow(), ip_route_output_key_hash_rcu(), net/ipv4/route.c; fib_validate_source(), net/ipv4/fib_frontend.c.
import { equal, formatAddr, isLimitedBroadcast, isLinkLocal, isLoopback, isMulticast, isZeronet, type Addr } from '../net/addr.ts';
import { TCP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE } from '../model/ruleset.ts';
import type { OutcomeKind, Step } from '../model/trace.ts';
import { Fib, type Arbiter, type FibResult, type Flow } from './fib.ts';
import { eitherOf, forwarding, maxOf } from './sysctl.ts';

export interface Refusal {
  readonly kind: 'refused';
  readonly outcome: OutcomeKind;
  readonly why: string;
  readonly at?: Span;
}

export interface Way {
  readonly kind: 'local' | 'forward';
  /** Output device; undefined when routes were not captured. */
  readonly device: string | undefined;
  /** Next hop; absent when the destination is on the link. */
  readonly via?: Addr;
  /** Source address that a packet of this host gets. */
  readonly src?: Addr;
  readonly mtu?: number;
  readonly text: string;
  readonly at?: Span;
  readonly rule?: { readonly text: string; readonly at: Span };
}

export type Routed = Way | Refusal;

/** How routing asks what it cannot decide, and notes what it took for granted. */
export interface Router extends Arbiter {
  assume(what: string, at?: Span): void;
  note(step: Step): void;
}

export function place(ns: Namespace): string {
  return ns.name ? `${ns.node}/${ns.name}` : ns.node;
}

function flowOf(p: Packet, extra: Partial<Flow> & { iif: string | undefined }): Flow {
  return {
    family: p.family,
    dst: p.dst,
    src: p.src,
    mark: p.mark,
    tos: p.tos,
    proto: p.proto,
    ...(p.sport !== undefined && { sport: p.sport }),
    ...(p.dport !== undefined && { dport: p.dport }),
    ...(p.uid !== undefined && { uid: p.uid }),
    ...extra,
  };
}

/** A device in a VRF has tables and rules of its own, which are not modelled. */
function inVrf(ns: Namespace, device: string | undefined): Refusal | undefined {
  const link = ns.links.find((l) => l.name === device);
  const vrf = link?.master === undefined ? undefined : ns.links.find((l) => l.name === link.master && l.kind === 'vrf');
  if (!link || !vrf) return undefined;
  return {
    kind: 'refused',
    outcome: 'cannot-tell',
    why: `${link.name} of ${place(ns)} is in the VRF ${vrf.name}: its routing is not modelled yet`,
    at: link.at,
  };
}

/** Decides what becomes of a packet that came in by `iif`. */
export function routeInput(ns: Namespace, p: Packet, iif: string | undefined, router: Router): Routed {
  const unknown = p.undetermined?.dst;
  if (unknown?.owner === place(ns)) return { kind: 'local', device: 'lo', text: `${unknown.what}, which is this host's own` };
  if (unknown) return { kind: 'refused', outcome: 'cannot-tell', why: `${place(ns)} cannot route to ${unknown.what}: it was not captured` };
  const refusal = martianAddress(ns, p, iif) ?? inVrf(ns, iif);
  if (refusal) return refusal;
  if (p.family === 4 && (isLimitedBroadcast(p.dst) || (isZeronet(p.src) && isZeronet(p.dst))))
    return (isZeronet(p.src) ? undefined : validateSource(ns, p, iif, undefined, router)) ?? { kind: 'local', device: iif, text: 'broadcast' };
  if (isMulticast(p.dst))
    return { kind: 'refused', outcome: 'cannot-tell', why: `${formatAddr(p.dst)} is a multicast group; memberships are not modelled` };
  const fib = Fib.of(ns, p.family);
  const result = fib.lookup(flowOf(p, { iif }), router);
  const forward = forwarding(ns, p.family, iif);
  const local = result.kind === 'hit' && (result.route.type === 'local' || result.route.type === 'broadcast' || result.route.type === 'anycast');
  if (!local) {
    if (forward && forward.value === 0) {
      const set = forward.at ? `${forward.key} = 0` : `${forward.key} is not in the capture (the kernel's default is 0)`;
      return {
        kind: 'refused',
        outcome: 'not-forwarding',
        why: `${formatAddr(p.dst)} is not an address of ${place(ns)}, and ${place(ns)} does not forward: ${set}`,
        ...(forward.at && { at: forward.at }),
      };
    }
    if (!forward)
      router.assume(`${place(ns)} forwards packets (net.ipv${p.family}.${p.family === 4 ? 'ip_forward' : 'conf.all.forwarding'} was not captured)`);
  }
  if (result.kind !== 'hit') return unrouted(ns, p, result, router);
  const refused = inVrf(ns, result.hop.device) ?? validateSource(ns, p, iif, result.route.type === 'unicast' ? result.hop.device : undefined, router);
  if (refused) return refused;
  if (result.route.type === 'multicast' || result.route.type === 'nat')
    return { kind: 'refused', outcome: 'cannot-tell', why: `routes of type ${result.route.type} are not modelled`, at: result.route.at };
  return way(result, local ? 'local' : 'forward');
}

/** Which way a packet of this host goes, and with which source. `bound` is false when the socket left the source open. */
export function routeOutput(ns: Namespace, p: Packet, bound: boolean, router: Router, again = false): Routed {
  const unknown = p.undetermined?.dst;
  if (unknown)
    return unknown.owner === place(ns)
      ? { kind: 'local', device: 'lo', text: unknown.what }
      : { kind: 'forward', device: undefined, text: `to ${unknown.what}` };
  const fib = Fib.of(ns, p.family);
  if (bound && !again && !p.undetermined?.src) {
    if (isMulticast(p.src) || isLimitedBroadcast(p.src))
      return { kind: 'refused', outcome: 'no-route', why: `${formatAddr(p.src)} cannot be a source address` };
    const type = fib.addressType(p.src);
    if (type && (type.type & ADDR_TYPE.LOCAL) === 0)
      return {
        kind: 'refused',
        outcome: 'no-route',
        why: `${formatAddr(p.src)} is not an address of ${place(ns)}: a socket there cannot send from it`,
      };
  }
  // ip_route_me_harder() leaves flowi4_uid at root's; ip6_route_me_harder() asks the socket
  const { src, ...rest } = flowOf(p, { iif: 'lo', ...(again && p.family === 4 && { uid: 0 }) });
  const result = fib.lookup(bound && src !== undefined ? { ...rest, src } : rest, router);
  if (result.kind !== 'hit') return unrouted(ns, p, result, router);
  if (result.route.type === 'broadcast' && p.proto === TCP)
    return {
      kind: 'refused',
      outcome: 'no-route',
      why: `${formatAddr(p.dst)} is a broadcast address: TCP cannot connect to it`,
      ...(result.route.at.line > 0 && { at: result.route.at }),
    };
  const chosen = bound ? p.src : fib.sourceFor(result.route, result.hop, p.dst);
  const onLoopback = result.route.type === 'local' || result.hop.device === 'lo' || result.hop.device === undefined;
  if (bound && p.family === 4 && !p.undetermined?.src && isLoopback(p.src) && !onLoopback) {
    // __mkroute_output()
    const local = eitherOf(ns, result.hop.device, 'route_localnet');
    const why = `${formatAddr(p.src)} belongs to lo alone: nothing leaves by ${result.hop.device} with that source while ${local.key} is 0`;
    if (!local.value) return { kind: 'refused', outcome: 'martian', why, ...(local.at && { at: local.at }) };
  }
  const local = result.route.type === 'local' || result.route.type === 'anycast';
  return { ...way(result, local ? 'local' : 'forward'), ...(local && { device: 'lo' }), ...(chosen !== undefined && { src: chosen }) };
}

function way(result: FibResult & { kind: 'hit' }, kind: Way['kind']): Way {
  const { route, hop, rule } = result;
  const usual = rule.table === 'local' || rule.table === 'main' || rule.at.line === 0;
  return {
    kind,
    device: hop.device,
    ...(hop.via !== undefined && { via: hop.via }),
    ...(route.mtu !== undefined && { mtu: route.mtu }),
    text: route.text,
    ...(route.at.line > 0 && { at: route.at }),
    ...(!usual && { rule: { text: rule.text, at: rule.at } }),
  };
}

function unrouted(ns: Namespace, p: Packet, result: Exclude<FibResult, { kind: 'hit' }>, router: Router): Routed {
  const dst = formatAddr(p.dst);
  switch (result.kind) {
    case 'unknown':
      router.assume(`${place(ns)} has a route to wherever it sends (${result.why})`);
      return { kind: 'forward', device: undefined, text: `to ${dst}: routes were not captured` };
    case 'none':
      return { kind: 'refused', outcome: 'no-route', why: `${place(ns)} has no route to ${dst}` };
    case 'error': {
      const outcome = result.error === 'blackhole' ? 'blackhole' : result.error === 'prohibit' ? 'prohibited' : 'no-route';
      return { kind: 'refused', outcome, why: `${place(ns)} has '${result.text}' for ${dst}`, at: result.at };
    }
  }
}

/** ip6_rcv_core(): what an IPv6 host drops before any hook sees it. */
export function martianBeforeHooks(ns: Namespace, p: Packet, iif: string | undefined): Refusal | undefined {
  if (p.family !== 6 || iif === 'lo') return undefined;
  const wrong = isMulticast(p.src) || isLoopback(p.src) ? p.src : isLoopback(p.dst) ? p.dst : undefined;
  if (!wrong) return undefined;
  const why = isMulticast(wrong) ? 'a group cannot be a source' : '::1 belongs to lo alone';
  return { kind: 'refused', outcome: 'martian', why: `${formatAddr(wrong)} came in by ${iif ?? 'an interface'} of ${place(ns)}: ${why}` };
}

/** ip6_forward(): sources that are never forwarded. */
export function unforwardable(ns: Namespace, p: Packet): Refusal | undefined {
  if (p.family !== 6 || !(isZeronet(p.src) || isLinkLocal(p.src))) return undefined;
  const why = `${formatAddr(p.src)} is ${isZeronet(p.src) ? 'no address' : 'link-local'}, and ${place(ns)} forwards no packet from such a source`;
  return { kind: 'refused', outcome: 'martian', why };
}

/** The checks on the addresses themselves, before any lookup. */
function martianAddress(ns: Namespace, p: Packet, iif: string | undefined): Refusal | undefined {
  const refuse = (why: string, at?: Span): Refusal => ({ kind: 'refused', outcome: 'martian', why, ...(at && { at }) });
  if (p.undetermined?.src) return undefined;
  const src = formatAddr(p.src);
  if (isMulticast(p.src) || isLimitedBroadcast(p.src)) return refuse(`${src} cannot be a source: martian`);
  if (iif === 'lo') return undefined;
  if (p.family === 6) return undefined; // martianBeforeHooks()
  if (isLimitedBroadcast(p.dst) || (isZeronet(p.src) && isZeronet(p.dst))) return undefined;
  if (isZeronet(p.src)) return refuse(`${src} cannot be a source: martian`);
  if (isZeronet(p.dst)) return refuse(`${formatAddr(p.dst)} cannot be a destination: martian`);
  if (isLoopback(p.src) || isLoopback(p.dst)) {
    const local = eitherOf(ns, iif ?? 'all', 'route_localnet');
    if (!local.value) {
      const which = isLoopback(p.dst) ? `to ${formatAddr(p.dst)}` : `from ${src}`;
      return refuse(
        `a packet ${which} came in by ${iif ?? 'an interface'} and ${local.key} is 0${local.at ? '' : ' (by default; not in the capture)'}: martian`,
        local.at,
      );
    }
  }
  return undefined;
}

/** fib_validate_source(): strict (1) wants the route back on the same device, loose (2) any route, 0 only that the source is not our own. */
function validateSource(ns: Namespace, p: Packet, iif: string | undefined, out: string | undefined, router: Router): Refusal | undefined {
  if (p.family === 6 || iif === undefined || p.undetermined?.src) return undefined;
  const fib = Fib.of(ns, 4);
  const filter = maxOf(ns, iif, 'rp_filter');
  const mode = filter.value;
  const refuse = (why: string, at: Span | undefined): Refusal => ({ kind: 'refused', outcome: 'martian', why, ...(at && { at }) });
  // without a filter only the host's own addresses are refused, unless redirects or policy routing ask for the whole check
  const brief = mode === 0 && (out !== iif || !eitherOf(ns, iif, 'send_redirects', 1).value);
  const acceptsLocal = eitherOf(ns, iif, 'accept_local').value !== 0;
  if (brief && (acceptsLocal || !fib.isCustom)) {
    // inet_lookup_ifaddr_rcu(): an address itself, not what is local because lo has its network
    const isOwn = ns.captured.addresses ? ns.addresses.some((a) => equal(a.addr, p.src)) : fib.isLocal(p.src);
    if (!acceptsLocal && isOwn)
      return refuse(`${formatAddr(p.src)} is an address of ${place(ns)} itself, and came in by ${iif}: martian source`, fib.addressType(p.src)?.at);
    if (!filter.at && fib.knowsRoutes) {
      const strict = reversePath(ns, p, iif, out, router, 1);
      if (!strict.ok) router.assume(`${filter.key} is 0, the kernel's default: it was not captured, and strict mode would drop this (${strict.saw})`);
    }
    return undefined;
  }
  const check = reversePath(ns, p, iif, out, router, mode);
  if (mode !== 0 || !check.ok)
    router.note({ step: 'route', purpose: 'source', result: check.ok ? 'believed' : 'martian', text: check.saw, ...(check.at && { at: check.at }) });
  if (check.ok) return undefined;
  if (check.isOwn) return refuse(`${formatAddr(p.src)} is an address of ${place(ns)} itself, and came in by ${iif}: martian source`, check.at);
  if (mode === 0) return refuse(`${check.saw} on ${place(ns)}, so a packet from it that comes in by ${iif} is a martian`, check.at);
  return refuse(`${filter.key} = ${mode} on ${iif} of ${place(ns)}: ${check.saw}, so the source ${formatAddr(p.src)} is not believed`, filter.at);
}

/** __fib_validate_source() for rp_filter `mode`: the packet turned round, as if it came in by the device it leaves by. */
function reversePath(
  ns: Namespace,
  p: Packet,
  iif: string,
  out: string | undefined,
  router: Router,
  mode: number,
): { ok: boolean; saw: string; at?: Span; isOwn?: boolean } {
  const mark = eitherOf(ns, iif, 'src_valid_mark').value ? p.mark : 0;
  // fib4_rules_early_flow_dissect(): the ports take part, swapped like the addresses
  const ports = { ...(p.dport !== undefined && { sport: p.dport }), ...(p.sport !== undefined && { dport: p.sport }) };
  const back: Flow = { family: p.family, dst: p.src, src: p.dst, iif: out ?? 'lo', mark, tos: p.tos, proto: p.proto, ...ports };
  const result = Fib.of(ns, p.family).lookup(back, router);
  const src = formatAddr(p.src);
  if (result.kind === 'unknown') {
    router.assume(`the way back to ${src} passes the reverse-path check on ${iif} (${result.why})`);
    return { ok: true, saw: `the way back to ${src} is not known` };
  }
  if (result.kind !== 'hit') return { ok: mode === 0, saw: `there is no route back to ${src}` };
  const { route } = result;
  const at = route.at.line > 0 ? { at: route.at } : {};
  if (route.type !== 'unicast' && !(route.type === 'local' && eitherOf(ns, iif, 'accept_local').value))
    return { ok: false, saw: `the way back to ${src} is '${route.text}'`, ...at, isOwn: route.type === 'local' };
  if (route.nextHops.some((h) => h.device === iif)) return { ok: true, saw: `the way back to ${src} is ${iif}`, ...at };
  // `no_addr` goes to last_resort: a device without an address is held to the strict rule in loose mode too
  const bare = ns.captured.addresses !== undefined && !ns.addresses.some((a) => a.device === iif && typeof a.addr === 'number');
  if (mode === 0 || (mode !== 1 && !bare)) return { ok: true, saw: `there is a route back to ${src}: '${route.text}'`, ...at };
  return { ok: false, saw: `the way back to ${src} is ${result.hop.device ?? '?'} ('${route.text}'), not ${iif}`, ...at };
}

/** xt_rpfilter: rpfilter_mt(), net/ipv4/netfilter/ipt_rpfilter.c. */
export function rpfilterMatch(
  ns: Namespace,
  p: Packet,
  iif: string | undefined,
  options: { readonly loose: boolean; readonly validMark: boolean; readonly acceptLocal: boolean },
  router: Router,
): { ok: boolean | 'unknown'; saw: string; at?: Span } {
  if (iif === undefined) return { ok: 'unknown', saw: 'the input interface is not known' };
  const six = p.family === 6;
  if (iif === 'lo') return { ok: true, saw: 'loopback passes' };
  if (isZeronet(p.src) && (six || isMulticast(p.dst) || isLimitedBroadcast(p.dst))) return { ok: true, saw: 'a packet from nobody passes' };
  const back: Flow = {
    family: p.family,
    dst: p.src,
    ...(!isMulticast(p.dst) && !isLimitedBroadcast(p.dst) && !isZeronet(p.dst) && { src: p.dst }),
    iif: 'lo',
    mark: options.validMark ? p.mark : 0,
    tos: p.tos,
    uid: 0,
    ...(six && { proto: p.proto }),
    ...(six && isLinkLocal(p.src) ? { oif: iif } : six && !options.loose && { near: iif }),
  };
  const result = Fib.of(ns, p.family).lookup(back, router);
  const src = formatAddr(p.src);
  if (result.kind === 'unknown') return { ok: 'unknown', saw: `the way back to ${src}: ${result.why}` };
  if (result.kind !== 'hit') return { ok: false, saw: `there is no route back to ${src}` };
  const { route } = result;
  const at = route.at.line > 0 ? { at: route.at } : {};
  if (route.type !== 'unicast' && !(route.type === 'local' && options.acceptLocal))
    return { ok: false, saw: `the way back to ${src} is '${route.text}'`, ...at };
  // IPv6 believes its own addresses by whatever interface
  if (six && route.type === 'local') return { ok: true, saw: `${src} is an address of ${place(ns)} itself`, ...at };
  const same = route.nextHops.some((h) => h.device === iif);
  return { ok: same || options.loose, saw: `the way back to ${src} is ${result.hop.device ?? '?'}`, ...at };
}

/** The MTU that a forwarded packet must fit into: ip_dst_mtu_maybe_forward(), and with `ofDevice` ip6_dst_mtu_maybe_forward(). */
export function mtuOf(ns: Namespace, way: Way, ofDevice = false): { mtu: number; at?: Span } | undefined {
  if (way.mtu !== undefined && (!ofDevice || way.text.includes(' mtu lock '))) return { mtu: way.mtu, ...(way.at && { at: way.at }) };
  const link = ns.links.find((l) => l.name === way.device);
  return link && { mtu: link.mtu, at: link.at };
}

/** tcpmss_mangle_packet(), net/netfilter/xt_TCPMSS.c: the lesser MTU of the ways there and back, less both headers. */
export function clampedMss(ns: Namespace, family: 4 | 6, out: Way | undefined, iif: string | undefined): number | undefined {
  const there = out && mtuOf(ns, out)?.mtu;
  const back = ns.links.find((l) => l.name === iif)?.mtu;
  const least = Math.min(there ?? Infinity, back ?? Infinity);
  return Number.isFinite(least) ? least - (family === 4 ? 40 : 60) : undefined;
}
