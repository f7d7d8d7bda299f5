// What becomes of the sender: each outcome of netwhy means one answer of the kernel, or silence, and one error of the socket.
import { Fib, type FibResult } from '../../src/engine/fib.ts';
import { routeOutput, type Router } from '../../src/engine/routing.ts';
import type { Namespace, World } from '../../src/model/host.ts';
import type { Packet } from '../../src/model/packet.ts';
import { ADDR_TYPE } from '../../src/model/ruleset.ts';
import type { Trace } from '../../src/model/trace.ts';
import { formatAddr, isLinkLocal, type Addr } from '../../src/net/addr.ts';
import { DCCP, ICMP, ICMPV6, TCP } from '../../src/net/proto.ts';
import type { Header, Shot, Sighting } from './node.ts';

/** No answer at all. */
export const SILENCE = 'silence';
const RESET = 'reset';
const RST = 4;

/** REJECT's words, and the type and code that the kernel writes. */
const REJECTS: Readonly<Record<4 | 6, Readonly<Record<string, string>>>> = {
  4: {
    'icmp-net-unreachable': '3/0',
    'icmp-host-unreachable': '3/1',
    'icmp-proto-unreachable': '3/2',
    'icmp-port-unreachable': '3/3',
    'icmp-net-prohibited': '3/9',
    'icmp-host-prohibited': '3/10',
    'icmp-admin-prohibited': '3/13',
    // nft_reject_icmp_code()
    'icmpx-no-route': '3/0',
    'icmpx-port-unreachable': '3/3',
    'icmpx-host-unreachable': '3/1',
    'icmpx-admin-prohibited': '3/13',
  },
  6: {
    'icmp6-no-route': '1/0',
    'icmp6-adm-prohibited': '1/1',
    'icmp6-addr-unreachable': '1/3',
    'icmp6-port-unreachable': '1/4',
    'icmp6-policy-fail': '1/5',
    'icmp6-reject-route': '1/6',
    'icmpx-no-route': '1/0',
    'icmpx-port-unreachable': '1/4',
    'icmpx-host-unreachable': '1/3',
    'icmpx-admin-prohibited': '1/1',
  },
};

/** An answer in short: `3/3 192.168.21.20 > 8.8.8.8 by eth0`, `reset 10.1.0.1:80 > 8.8.8.8:40000 by eth0`, `silence`. */
export function answerOf(s: Sighting): string {
  const [first] = s.answers; // a second one answers the first
  return first ? `${kindOf(first)} ${ends(first)} by ${first.oif ?? '?'}` : SILENCE;
}

function kindOf(h: Header): string {
  return h.proto === TCP && (h.flags ?? 0) & RST ? RESET : h.type === undefined ? `protocol ${h.proto}` : `${h.type}/${h.code ?? 0}`;
}

function ends(h: { readonly src: string; readonly dst: string; readonly sport?: number; readonly dport?: number }): string {
  const side = (addr: string, port: number | undefined): string => (port === undefined ? addr : `${addr}:${port}`);
  return `${side(h.src, h.sport)} > ${side(h.dst, h.dport)}`;
}

/** Reports whether an answer is the one foretold; a port that the kernel picks is `*`. */
export function isAnswer(told: string, seen: string): boolean {
  const [a, b] = [told.split(' '), seen.split(' ')];
  return a.length === b.length && a.every((w, i) => w === b[i] || (w.endsWith(':*') && b[i]!.startsWith(w.slice(0, -1))));
}

/** What the sender hears if the packet takes this course. More than one where the kernel rations its answers. */
export function answersFor(world: World, t: Trace): readonly string[] {
  const [ns] = world.namespaces;
  const { steps, tunnel } = t.hops.at(-1)!;
  const enter = steps.find((s) => s.step === 'enter');
  // the answer to a packet that carries another is about itself
  const p = tunnel === undefined ? t.final : enter!.packet;
  const iif = enter?.device;
  const last = steps.at(-1)!;
  // ip_rt_send_redirect(): how often, and whether at all, is a matter of settings that netwhy tells nothing of
  if (last.step === 'leave' && last.device === iif && p.family === 4) return [SILENCE, icmp(ns!, p, '5/1', iif, false)];
  const kind = claimed(t);
  if (kind === undefined) return [SILENCE];
  const way = steps.findLast((s) => s.step === 'route');
  const taken = way?.result === 'for this host' || way?.result === 'to itself';
  const told = kind === RESET ? reset(ns!, p) : icmp(ns!, p, kind, iif, taken);
  // ip_error(): errors of routes are rationed by the second and sender
  const rationed = p.family === 4 && (t.outcome.kind === 'no-route' || t.outcome.kind === 'prohibited');
  return rationed && told !== SILENCE ? [told, SILENCE] : [told];
}

/** nf_reject_verify_csum(), nf_ip_checksum(): what else is rejected in IPv4 has to sum up without a pseudo header, or gets no answer. */
const SUMS = new Set([1, 6, 17, 47, 50, 51, 132, 136]);

/** ip_vs_leave(), __ip_vs_get_out_rt(): also to a socket of this host. A real server without a route is a failed link. */
const IPVS_ANSWERS: Readonly<Record<4 | 6, Partial<Record<Trace['outcome']['kind'], string>>>> = {
  4: {
    'no-server': '3/3',
    rejected: '3/3',
    'ttl-exceeded': '11/0',
    'too-big': '3/4',
    'no-route': '3/1',
    prohibited: '3/1',
    blackhole: '3/1',
    martian: '3/1',
  },
  6: {
    'no-server': '1/4',
    rejected: '1/4',
    'ttl-exceeded': '3/0',
    'too-big': '2/0',
    'no-route': '1/3',
    prohibited: '1/3',
    blackhole: '1/3',
    martian: '1/3',
  },
};

/** The kind of answer that an outcome stands for; nothing for silence. */
function claimed(t: Trace): string | undefined {
  const { family } = t.final;
  const steps = t.hops.at(-1)!.steps;
  const local = steps.some((s) => s.step === 'enter' && s.local);
  const { outcome } = t;
  if (steps.at(-1)!.step === 'ipvs') return IPVS_ANSWERS[family][outcome.kind];
  switch (outcome.kind) {
    case 'rejected': {
      const rule = steps.findLast((s) => s.step === 'rule');
      if (family === 4 && !SUMS.has(t.final.proto)) return undefined;
      // NAT of this kernel knows nothing of DCCP, so the sum is wrong after it
      if (t.final.proto === DCCP && (t.translated.src || t.translated.dst)) return undefined;
      const how = rule?.then.find((s) => s.kind === 'reject');
      if (!how) throw new Error(`rejected, and no rule says how: ${outcome.why}`);
      const kind = how.with === 'tcp-reset' ? RESET : REJECTS[family][how.with];
      if (kind === undefined) throw new Error(`REJECT --reject-with ${how.with} is no word of IPv${family}`);
      return kind;
    }
    case 'ttl-exceeded':
      return family === 4 ? '11/0' : '3/0';
    case 'too-big':
      return local ? undefined : family === 4 ? '3/4' : '2/0';
    case 'no-route':
      // ip_error(), ip6_pkt_discard(): a socket is told by its error
      return local ? undefined : family === 4 && outcome.why.includes("'unreachable") ? '3/1' : family === 4 ? '3/0' : '1/0';
    case 'prohibited':
      return local ? undefined : family === 4 ? '3/13' : '1/1';
    case 'dropped': {
      // ip6t_snpt_tg(), ip6t_dnpt_tg(): in OUTPUT there is no device yet, and icmp6_send() does nothing without one
      const at = steps.at(-1)!;
      return at.step === 'rule' && at.then.some((s) => s.kind === 'npt') && at.hook !== 'OUTPUT' ? '4/0' : undefined;
    }
    case 'martian':
      // ip6_forward()
      return !local && family === 6 && isLinkLocal(t.final.src) ? '1/2' : undefined;
    default:
      return undefined;
  }
}

const ROUTER: Router = { decide: () => false, pick: (_key, hops) => hops[0]!, assume: () => {}, note: () => {} };

/** nf_send_reset(), nf_send_reset6(): from where the packet was going, by the way back. */
function reset(ns: Namespace, p: Packet): string {
  if (p.proto !== TCP || (p.flags ?? 0) & RST || toMany(ns, p)) return SILENCE;
  const { uid: _, ...rest } = p;
  const back: Packet = { ...rest, src: p.dst, dst: p.src, sport: p.dport!, dport: p.sport!, tos: 0, mark: 0, flags: RST };
  const way = routeOutput(ns, back, true, ROUTER, true);
  const { src, dst, sport, dport } = textOf(back);
  const { undetermined: open } = p;
  return way.kind === 'refused' ? SILENCE : `${RESET} ${src}:${open?.dport ? '*' : sport} > ${dst}:${open?.sport ? '*' : dport} by ${way.device}`;
}

/**
 * __icmp_send(), icmp6_send(): from the address it was for if that is the host's own, else from that of the way back; in IPv6 that of
 * the way it came, where no route prefers a source.
 */
function icmp(ns: Namespace, p: Packet, kind: string, iif: string | undefined, taken: boolean): string {
  if (isError(p) || toMany(ns, p)) return SILENCE;
  const fib = Fib.of(ns, p.family);
  const mine = ADDR_TYPE.LOCAL | (p.family === 6 ? ADDR_TYPE.ANYCAST : 0); // ipv6_chk_acast_addr_src()
  const isMine = ((fib.addressType(p.dst)?.type ?? 0) & mine) !== 0;
  // what a policy's local route took in is answered from where it was sent to, which is no address of the host: that has no route
  if (taken && !isMine && p.family === 4) return SILENCE;
  // IPVS may send on what keeps the host's address: then its route is not a local one
  const own = isMine && (taken || p.family === 6);
  const { sport: _s, dport: _d, flags: _f, uid: _u, icmp: _i, inner: _q, ...rest } = p;
  const back: Packet = {
    ...rest,
    proto: p.family === 4 ? ICMP : ICMPV6,
    ...(own && { src: p.dst }),
    dst: p.src,
    tos: p.family === 4 ? (p.tos & 0x1e) | 0xc0 : 0,
    mark: 0,
    uid: 0,
  };
  const way = routeOutput(ns, back, own, ROUTER, own);
  if (way.kind === 'refused') return SILENCE;
  const there = p.family === 6 ? fib.lookup({ family: 6, dst: p.src, iif: 'lo', mark: 0, tos: 0, proto: ICMPV6, uid: 0 }, ROUTER) : undefined;
  if (there?.kind === 'hit' && isAnycast(there, p.src)) return SILENCE;
  const near = there?.kind === 'hit' && there.route.src === undefined && iif !== undefined ? fib.selectAddress(iif, p.src, 'global') : undefined;
  const src = own ? p.dst : (near ?? way.src);
  return src === undefined ? SILENCE : `${kind} ${formatAddr(src)} > ${formatAddr(p.src)} by ${way.device}`;
}

/** ipv6_anycast_destination(): the first address of a prefix on the link is its routers'. */
function isAnycast({ route, hop }: FibResult & { kind: 'hit' }, addr: Addr): boolean {
  return route.type === 'anycast' || (route.to.length < 127 && hop.via === undefined && formatAddr(route.to.addr) === formatAddr(addr));
}

function textOf(p: Packet): { readonly src: string; readonly dst: string; readonly sport?: number; readonly dport?: number } {
  return { src: formatAddr(p.src), dst: formatAddr(p.dst), ...(p.sport !== undefined && { sport: p.sport, dport: p.dport! }) };
}

/** icmp_pointers[], net/ipv4/icmp.c: what it knows nothing of is an error, too. */
const ICMP_ERRORS = new Set([1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]);

/** Errors are never answered by errors. */
function isError(p: Packet): boolean {
  return p.icmp !== undefined && (p.proto === ICMP ? ICMP_ERRORS.has(p.icmp.type) || p.icmp.type > 18 : p.icmp.type < 128);
}

function toMany(ns: Namespace, p: Packet): boolean {
  const type = Fib.of(ns, p.family).addressType(p.dst)?.type ?? 0;
  return (type & (ADDR_TYPE.BROADCAST | ADDR_TYPE.MULTICAST)) !== 0;
}

/** Reports whether what came out besides the packet answers the packet as its sender knows it, however that was translated since. */
export function comesHome(sent: Packet, s: Sighting): boolean {
  if (s.frames.length === 0) return true;
  const [frame, another] = s.frames;
  const [made] = s.answers;
  if (made && kindOf(made) === '4/0') return true; // NPT's quotes what it has already changed, and may go there
  if (!frame || another || !made || kindOf(frame) !== kindOf(made)) return false;
  const asked = textOf(sent);
  const about = frame.inner ?? { src: frame.dst, dst: frame.src, ...(frame.sport !== undefined && { sport: frame.dport!, dport: frame.sport }) };
  return frame.dst === asked.src && ends(about) === ends(asked);
}

/** Reports whether IPVS took the packet out of its hook and sent it on by itself: OUTPUT again, or a tunnel. */
function isStolen(t: Trace): boolean {
  const steps = t.hops.flatMap((h) => h.steps);
  const at = steps.findIndex((s) => s.step === 'ipvs' && s.manip !== 'src' && s.did !== 'passed' && s.did !== 'refused');
  const next = steps[at + 1];
  return at >= 0 && next !== undefined && ((next.step === 'route' && next.purpose === 'reroute') || next.step === 'encapsulate');
}

/** The error that the sending socket meets at once: ip_local_out() hands back what the hooks and routes of OUTPUT said. */
export function errorFor(t: Trace, shot: Shot): string | undefined {
  if (!shot.local) return undefined;
  const steps = t.hops.at(-1)!.steps;
  const last = steps.at(-1)!;
  // a connection's segment is sent by itself: tcp_connect() looks at the first route only
  const segment = (shot.proto ?? 'tcp') === 'tcp' && !shot.raw;
  if (segment && (last.step !== 'route' || last.purpose !== 'output')) return undefined;
  // what IPVS sends, or cannot send, it steals: the socket is told nothing
  if (isStolen(t)) return undefined;
  if (last.step === 'ipvs')
    return last.hook === 'OUTPUT' &&
      (t.outcome.kind === 'no-server' ||
        t.outcome.kind === 'rejected' ||
        (t.outcome.kind === 'dropped' && !/^real server|^a packet from/.test(t.outcome.why)))
      ? 'EPERM'
      : undefined;
  switch (t.outcome.kind) {
    case 'dropped':
    case 'rejected': {
      const at = steps.findLast((s) => 'hook' in s);
      // nf_queue(): a packet without a program to take it just disappears
      if (at?.step === 'rule' && at.then.some((s) => s.kind === 'gate')) return undefined;
      return at && 'hook' in at && (at.hook === 'OUTPUT' || at.hook === 'POSTROUTING') ? 'EPERM' : undefined;
    }
    case 'no-route':
      if (t.outcome.why.includes('cannot send from it')) return 'EADDRNOTAVAIL';
      return t.outcome.why.includes("'unreachable") ? 'EHOSTUNREACH' : 'ENETUNREACH';
    case 'prohibited':
      return 'EACCES';
    case 'martian':
      return last.step === 'route' && (last.purpose === 'output' || last.purpose === 'reroute') ? 'EINVAL' : undefined;
    case 'blackhole':
      return 'EINVAL';
    default:
      return undefined;
  }
}
