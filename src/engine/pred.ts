// Deciding a predicate. `evaluate` is the only place that says whether a packet satisfies one; `explain` runs the same
// function loudly and keeps what it saw.
import { and, compare, equal, formatAddr, formatEndpoint, formatMasked, formatRange, type Addr, type Word } from '../net/addr.ts';
import { has, intersect, type Ranges } from '../net/intervals.ts';
import { formatProtocol, formatTcpFlags, ICMP, ICMPV6, isExtended } from '../net/proto.ts';
import { formatTime } from '../net/time.ts';
import type { Span } from '../model/finding.ts';
import type { ForwardingMethod } from '../model/ipvs.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE, CT_STATE, CT_STATUS, IPVS_METHOD, PKT_TYPE, type Field, type Hook, type Pred, type Truth } from '../model/ruleset.ts';
import type { Reason } from '../model/trace.ts';
import { bytesOf, findPattern, testU32 } from './bytes.ts';
import { isWithin } from './clock.ts';
import type { Entry } from './conntrack.ts';
import { testSet } from './ipset.ts';
import type { LiveSet } from './liveset.ts';

/** What conntrack knows of the packet at this hook (struct nf_conn as the matches see it). */
export interface Tracked {
  readonly state: number;
  readonly direction?: 'original' | 'reply';
  readonly entry?: Pick<Entry, 'orig' | 'reply' | 'status' | 'mark'> & Partial<Pick<Entry, 'anyPort' | 'anyAddr' | 'loose'>>;
}

/** What IPVS has to do with a packet that it marked (struct ip_vs_conn as xt_ipvs sees it). */
export interface Directed {
  /** Absent where it finds none for the packet. */
  readonly connection?: {
    readonly addr: Addr;
    readonly port: number;
    readonly method: ForwardingMethod;
    /** The virtual port of the connection that controls it, where one does. */
    readonly controlPort?: number;
  };
}

/** Everything a predicate may look at: struct xt_action_param, plus the namespace behind it. */
export interface Sight {
  /** Tells this visit of this packet from others: what is supposed of its devices holds for it alone. */
  readonly visit: string;
  readonly packet: Packet;
  readonly hook: Hook;
  /** Input and output device; '' for none, undefined for one that is not known. */
  readonly iif: string | undefined;
  readonly oif: string | undefined;
  readonly physin: string | undefined;
  /** The link-layer address of the input device, to which the frame came. */
  ownMac?(): string | undefined;
  readonly physout: string;
  readonly tracked: Tracked;
  /** Undefined where IPVS did not send the packet here; unknown where nothing about IPVS was captured. */
  readonly ipvs?: Directed | 'unknown' | undefined;
  set(name: string): LiveSet | undefined;
  /** Where ipset says that it could not list the sets. */
  readonly setsRefused?: Span | undefined;
  /** Names of devices that an unknown one has been supposed to match, or not to. */
  supposedNames(field: DeviceField): readonly SupposedName[];
  /** ADDR_TYPE bit of a side's address by the FIB, on any device or on one; undefined when not captured. */
  addressType(side: 'src' | 'dst', device: string | undefined): { readonly type: number; readonly at?: Span } | undefined;
  /** The reverse-path question of xt_rpfilter. */
  reversePath(pred: Pred & { kind: 'rpfilter' }): { readonly ok: Truth; readonly saw: string; readonly at?: Span };
  /** Truths already supposed for undecidable predicates of this evaluation. */
  readonly supposed: ReadonlyMap<Pred, boolean>;
}

/** What was supposed of a device that nobody knows: that its name matches a glob, or does not. */
export interface SupposedName {
  readonly glob: string;
  readonly matches: boolean;
}

export type DeviceField = (Pred & { kind: 'name' })['field'];

type Say = (saw: string, at?: Span) => void;

/** Value of a field: `ABSENT` when the packet has no such thing (nothing is true of it), `HIDDEN` when unknown. */
const ABSENT = Symbol('absent');
const HIDDEN = Symbol('hidden');
type Value = Word | typeof ABSENT | typeof HIDDEN;

/** Decides `pred`. `say` hears the value seen, for leaves. */
export function evaluate(pred: Pred, s: Sight, say?: Say): Truth {
  switch (pred.kind) {
    case 'all':
      return every(pred.of, s, false);
    case 'any':
      return every(pred.of, s, true);
    case 'not': {
      const truth = evaluate(pred.of, s, say);
      return truth === 'unknown' ? truth : !truth;
    }
    case 'in': {
      const value = read(pred.field, s);
      if (say) sayValue(pred.field, value, s, say);
      if (value === ABSENT) return false;
      const range = undetermined(pred.field, s);
      if (value === HIDDEN) return s.supposed.get(pred) ?? 'unknown';
      if (range) return s.supposed.get(pred) ?? within(pred.ranges, range);
      return has(pred.ranges, value);
    }
    case 'masked': {
      const value = read(pred.field, s);
      if (say) sayValue(pred.field, value, s, say);
      if (value === ABSENT) return false;
      if (value === HIDDEN) return s.supposed.get(pred) ?? 'unknown';
      return typeof value === typeof pred.mask && equal(and(value, pred.mask), pred.value);
    }
    case 'name':
      return matchName(pred, s, say);
    case 'member': {
      const result = testSet(pred, s);
      say?.(result.saw, result.at);
      return result.truth === 'unknown' ? (s.supposed.get(pred) ?? 'unknown') : result.truth;
    }
    case 'addrtype': {
      const device = pred.limit && s[pred.limit];
      const found = s.addressType(pred.side, device);
      const name = sideName(s.packet, pred.side);
      if (!found) return (say?.(`whether ${name} is ${typeName(pred.types)} was not captured`), s.supposed.get(pred) ?? 'unknown');
      say?.(`${name} is ${typeName(found.type)}${device ? ` on ${device}` : ''}`, found.at);
      return hasType(found.type, pred.types, s.packet.family);
    }
    case 'rpfilter': {
      const found = s.reversePath(pred);
      say?.(found.saw, found.at);
      return s.supposed.get(pred) ?? found.ok;
    }
    case 'ipvs':
      say?.(ipvsSays(pred.of === 'packet' ? undefined : 'ipvsaddr', s.ipvs));
      if (s.ipvs === 'unknown') return s.supposed.get(pred) ?? 'unknown';
      return pred.of === 'packet' ? s.ipvs !== undefined : s.ipvs?.connection !== undefined;
    case 'bridged': {
      // a packet that is routed, not bridged, has no output port (--physdev-is-out, --physdev-is-bridged)
      const inside: Truth = s.physin === undefined ? 'unknown' : s.physin !== '';
      const outside = s.physout !== '';
      say?.(
        inside === 'unknown'
          ? 'whether it came in by a bridge port is not known'
          : inside || outside
            ? 'the packet came by a bridge port'
            : 'the packet is not bridged',
      );
      const truth: Truth = pred.port === 'in' ? inside : pred.port === 'out' ? outside : outside ? inside : false;
      return truth === 'unknown' ? (s.supposed.get(pred) ?? truth) : truth;
    }
    case 'eui64': {
      const mac = read('macsrc', s);
      const src = read('src', s);
      if (say) sayValue('macsrc', mac, s, say);
      if (mac === ABSENT) return false;
      if (typeof mac !== 'object' || typeof src !== 'object') return s.supposed.get(pred) ?? 'unknown';
      return holdsMac(src, mac);
    }
    case 'search':
    case 'u32': {
      const bytes = bytesOf(s.packet);
      const truth = pred.kind === 'u32' ? testU32(pred.tests, bytes) : findPattern(pred, bytes);
      say?.(s.packet.payload ? `a packet of ${bytes.length} bytes` : `a packet of ${bytes.length} bytes, of which the headers are known`);
      return truth === 'unknown' ? (s.supposed.get(pred) ?? truth) : truth;
    }
    case 'time': {
      const { at } = s.packet;
      say?.(at === undefined ? 'when the packet comes is not given' : `it comes at ${formatTime(at)} UTC`);
      return at === undefined ? (s.supposed.get(pred) ?? 'unknown') : isWithin(pred, at);
    }
    case 'chance':
      say?.(pred.as);
      return s.supposed.get(pred) ?? (pred.probability >= 1 ? true : pred.probability <= 0 ? false : 'unknown');
    case 'opaque':
      say?.(pred.why);
      return s.supposed.get(pred) ?? 'unknown';
  }
}

/** eui64_mt6(), net/ipv6/netfilter/ip6t_eui64.c: ff:fe in the middle of the link-layer address, the universal bit turned. */
function holdsMac(src: Word, mac: Word): boolean {
  const [, , high, low] = mac as readonly number[];
  const id = [(((high! << 16) | ((low! >>> 24) << 8) | 0xff) ^ 0x02000000) >>> 0, (0xfe000000 | (low! & 0xffffff)) >>> 0];
  const [, , a, b] = src as readonly number[];
  return a === id[0] && b === id[1];
}

/** match_type() and match_type6(), net/netfilter/xt_addrtype.c: IPv6 wants each class of address that is asked for, and one of the kinds of route. */
function hasType(seen: number, asked: number, family: 4 | 6): boolean {
  if (family === 4) return (seen & asked) !== 0;
  const classes = asked & (ADDR_TYPE.UNSPEC | ADDR_TYPE.UNICAST | ADDR_TYPE.MULTICAST);
  const kinds = asked & (ADDR_TYPE.LOCAL | ADDR_TYPE.ANYCAST | ADDR_TYPE.UNREACHABLE);
  return (seen & classes) === classes && (kinds === 0 || (seen & kinds) !== 0);
}

/** Three-valued conjunction (`stop` false) or disjunction (`stop` true): a settled part outweighs an unknown one. */
function every(parts: readonly Pred[], s: Sight, stop: boolean): Truth {
  let truth: Truth = !stop;
  for (const part of parts) {
    const t = evaluate(part, s);
    if (t === stop) return stop;
    if (t === 'unknown') truth = t;
  }
  return truth;
}

/** The decision with everything that was seen on the way. */
export function explain(pred: Pred, s: Sight): Reason {
  if (pred.kind === 'all' || pred.kind === 'any') return { pred, truth: evaluate(pred, s), parts: pred.of.map((p) => explain(p, s)) };
  if (pred.kind === 'not') {
    const inner = explain(pred.of, s);
    return { ...inner, pred, truth: evaluate(pred, s) };
  }
  let saw: string | undefined;
  let at: Span | undefined;
  const truth = evaluate(pred, s, (w, a) => ([saw, at] = [w, a]));
  return { pred, truth, ...(saw !== undefined && { saw }), ...(at && { at }) };
}

/** A leaf that cannot be decided, as a claim that holds or does not, and a key under which the same claim would be asked again. */
export interface Open {
  readonly leaf: Pred;
  readonly claim: string;
  readonly key?: string;
  readonly probability?: number;
}

/** The first leaf that keeps `pred` from being decided. */
export function undecided(pred: Pred, s: Sight): Open | undefined {
  switch (pred.kind) {
    case 'all':
    case 'any':
      for (const part of pred.of) {
        const found = evaluate(part, s) === 'unknown' ? undecided(part, s) : undefined;
        if (found) return found;
      }
      return undefined;
    case 'not':
      return undecided(pred.of, s);
    case 'chance':
      return { leaf: pred, probability: pred.probability, claim: pred.as };
    case 'opaque':
      return {
        leaf: pred,
        ...(pred.key !== undefined && { key: `${s.visit}:${pred.key}` }),
        claim: pred.claim ?? `'${pred.as}' holds (${pred.why})`,
      };
    case 'in':
    case 'masked': {
      const range = undetermined(pred.field, s);
      if (pred.field === 'src' || pred.field === 'dst') {
        const block =
          pred.kind === 'masked'
            ? formatMasked({ addr: pred.value as Addr, mask: pred.mask as Addr })
            : pred.ranges.map(([lo, hi]) => formatRange(lo as Addr, hi as Addr)).join(', ');
        const claim = `${sideName(s.packet, pred.field)} is in ${block}`;
        return { leaf: pred, key: `${s.visit}:${claim}`, claim: `${claim} (not captured)` };
      }
      const text = pred.text ?? pred.field;
      const why = pred.field.startsWith('ipvs')
        ? NO_IPVS
        : range
          ? `the kernel picks the port from ${range[0]}-${range[1]}`
          : isExtended(s.packet)
            ? 'what follows its extension header is not part of the packet'
            : 'not given in the question';
      return { leaf: pred, key: `${s.visit}:${text}`, claim: `'${text}' holds (${why})` };
    }
    case 'name':
      // what was supposed of the device is remembered with the device
      return { leaf: pred, claim: `the ${DEVICES[pred.field]} is ${pred.glob}` };
    case 'member': {
      const seen = pred.by.map((side) => sideName(s.packet, side));
      // without its type nobody knows which values a set asks for
      const values = s.set(pred.set) || seen.length === 1 ? seen.join() : `${[...new Set(seen)].join()} (by ${pred.by.join()})`;
      const more = pred.packets || pred.bytes ? ' with such counters' : pred.nomatch ? ' as nomatch' : '';
      const key = `${s.visit}:set:${pred.set}:${values}:${pred.nomatch ?? false}`;
      // a question about counters counts the packet: asked again it may be answered otherwise
      const counts = pred.packets !== undefined || pred.bytes !== undefined;
      return {
        leaf: pred,
        ...(!counts && { key }),
        claim: `${values} is in ${pred.set}${more} (${testSet(pred, s).saw})`,
      };
    }
    case 'addrtype': {
      const device = pred.limit && s[pred.limit];
      const claim = `${sideName(s.packet, pred.side)} is ${typeName(pred.types)}${pred.limit ? ` on ${device ?? 'that interface'}` : ''}`;
      return { leaf: pred, key: `${s.visit}:${claim}`, claim: `${claim} (not captured)` };
    }
    case 'eui64':
      return { leaf: pred, key: `${s.visit}:eui64`, claim: 'the source address holds the link-layer source address (not given: --mac)' };
    case 'search':
    case 'u32': {
      const why = s.packet.payload ? 'it hangs on bytes that are not known' : 'the payload is not given: --payload';
      return { leaf: pred, key: `${s.visit}:${pred.text ?? JSON.stringify(pred)}`, claim: `'${pred.text ?? pred.kind}' holds (${why})` };
    }
    case 'time':
      return { leaf: pred, key: `time:${pred.text ?? JSON.stringify(pred)}`, claim: `it is such a time: '${pred.text ?? ''}' (not given: --at)` };
    case 'rpfilter':
      return { leaf: pred, key: `${s.visit}:rpfilter`, claim: `the reverse-path check passes (${s.reversePath(pred).saw})` };
    case 'ipvs': {
      const claim = pred.of === 'packet' ? 'IPVS sent the packet here' : 'IPVS has a connection for the packet';
      return { leaf: pred, key: `${s.visit}:${s.hook}:${claim}`, claim: `${claim} (${NO_IPVS})` };
    }
    case 'bridged':
      return { leaf: pred, key: `${s.visit}:bridged`, claim: 'the packet came in by a bridge port that br_netfilter shows (not captured)' };
  }
}

const DEVICES: Readonly<Record<DeviceField, string>> = {
  iif: 'input interface',
  oif: 'output interface',
  physin: 'input bridge port',
  physout: 'output bridge port',
};

function sideName(p: Packet, side: 'src' | 'dst'): string {
  return p.undetermined?.[side]?.what ?? formatAddr(p[side]);
}

function matchName(pred: Pred & { kind: 'name' }, s: Sight, say?: Say): Truth {
  const name = s[pred.field];
  if (name === undefined) {
    say?.(`the ${DEVICES[pred.field]} is not known`);
    return s.supposed.get(pred) ?? impliedName(pred.glob, s.supposedNames(pred.field));
  }
  say?.(name === '' ? 'none' : name);
  return globHas(pred.glob, name);
}

/** ifname_compare_aligned(): a name without the wildcard is compared to its end; `+` alone takes even no device. */
function globHas(glob: string, name: string): boolean {
  return glob.endsWith('+') ? name.startsWith(glob.slice(0, -1)) : name === glob;
}

/** What follows for `glob` from what an unknown device was already supposed to be, or not to be. */
function impliedName(glob: string, supposed: readonly SupposedName[]): Truth {
  const stem = glob.replace(/\+$/, '');
  for (const { glob: other, matches } of supposed) {
    const otherStem = other.replace(/\+$/, '');
    const covers = globHas(glob, otherStem) && (glob.endsWith('+') || !other.endsWith('+')); // all that `other` takes, `glob` takes
    const covered = globHas(other, stem) && (other.endsWith('+') || !glob.endsWith('+'));
    if (matches && covers) return true;
    if (matches && !covers && !covered) return false;
    if (!matches && covered) return false;
  }
  return 'unknown';
}

const NO_IPVS = 'nothing about IPVS was captured';

function ipvsSays(field: Field | undefined, ipvs: Sight['ipvs']): string {
  if (ipvs === 'unknown') return NO_IPVS;
  if (!ipvs) return 'IPVS did not send it here';
  if (!field) return 'IPVS sent it here';
  if (!ipvs.connection) return 'IPVS has no connection for it';
  const { addr, port, method, controlPort } = ipvs.connection;
  if (field === 'ipvsmethod') return `its forwarding method is ${method}`;
  if (field !== 'ipvsportctl') return `its virtual server is ${formatEndpoint(addr, port)}`;
  return controlPort === undefined ? 'no other connection controls it' : `the connection that controls it is one to port ${controlPort}`;
}

function readIpvs(field: Field, ipvs: Sight['ipvs']): Value {
  if (ipvs === 'unknown') return HIDDEN;
  if (!ipvs?.connection) return ABSENT;
  const { addr, port, method, controlPort } = ipvs.connection;
  return field === 'ipvsaddr' ? addr : field === 'ipvsport' ? port : field === 'ipvsmethod' ? IPVS_METHOD[method] : (controlPort ?? ABSENT);
}

function within(set: Ranges, [lo, hi]: readonly [number, number]): Truth {
  const common = intersect(set, [[lo, hi]]);
  const only = common.length === 1 ? common[0] : undefined;
  return common.length === 0 ? false : only && compare(only[0], lo) === 0 && compare(only[1], hi) === 0 ? true : 'unknown';
}

/** The ports that a field may show, where the kernel picks one: of the packet, or of the side of its connection that was translated. */
function undetermined(field: Field, s: Sight): readonly [number, number] | undefined {
  const { entry } = s.tracked;
  switch (field) {
    case 'sport':
    case 'dport':
      return s.packet.undetermined?.[field];
    // both tuples of an ICMP connection have the identifier as their source port, and type and code as the other
    case 'ctorigsrcport':
      return isIcmp(entry) ? entry?.loose?.id : entry?.loose?.sport;
    case 'ctorigdstport':
      return entry?.loose?.dport;
    case 'ctrepldstport':
      return isIcmp(entry) ? undefined : (entry?.anyPort?.src ?? (entry?.reply.dport === entry?.orig.sport ? entry?.loose?.sport : undefined));
    case 'ctreplsrcport':
      if (isIcmp(entry)) return entry?.anyPort?.src ?? entry?.anyPort?.dst ?? entry?.loose?.id;
      return entry?.anyPort?.dst ?? (entry?.reply.sport === entry?.orig.dport ? entry?.loose?.dport : undefined);
    default:
      return undefined;
  }
}

function isIcmp(entry: Tracked['entry']): boolean {
  return entry?.orig.proto === ICMP || entry?.orig.proto === ICMPV6;
}

/** Reports whether a side of a connection has an address that was not captured. */
function isAddressHidden(field: Field, entry: NonNullable<Tracked['entry']>): boolean {
  const { anyAddr, loose, orig, reply } = entry;
  switch (field) {
    case 'ctorigsrc':
      return loose?.src !== undefined;
    case 'ctorigdst':
      return loose?.dst !== undefined;
    case 'ctrepldst':
      return anyAddr?.src !== undefined || (loose?.src !== undefined && equal(reply.dst, orig.src));
    case 'ctreplsrc':
      return anyAddr?.dst !== undefined || (loose?.dst !== undefined && equal(reply.src, orig.dst));
    default:
      return false;
  }
}

function read(field: Field, s: Sight): Value {
  const p = s.packet;
  switch (field) {
    case 'src':
    case 'dst':
      return p.undetermined?.[field] === undefined ? p[field] : HIDDEN;
    case 'proto':
      return isExtended(p) ? HIDDEN : p.proto;
    case 'nexthdr':
      return p.proto;
    case 'ttl':
    case 'length':
    case 'tos':
    case 'mark':
      return p[field];
    case 'sport':
    case 'dport':
    case 'flags':
      return p[field] ?? (isExtended(p) ? HIDDEN : ABSENT);
    case 'icmp':
      if (isExtended(p)) return HIDDEN;
      return p.icmp && (p.proto === ICMP || p.proto === ICMPV6) ? p.icmp.type * 256 + p.icmp.code : ABSENT;
    case 'fragment':
      return isExtended(p) ? HIDDEN : 0;
    case 'pkttype':
      return p.mac?.dst === 'ff:ff:ff:ff:ff:ff'
        ? PKT_TYPE.broadcast
        : p.mac && parseInt(p.mac.dst.slice(0, 2), 16) & 1
          ? PKT_TYPE.multicast
          : PKT_TYPE.unicast;
    case 'macsrc':
      return p.mac ? macWord(p.mac.src) : s.iif === '' ? ABSENT : HIDDEN;
    case 'socket':
      return s.iif === '' ? 1 : 0;
    case 'uid':
    case 'gid':
      // xt_owner: a packet without a socket (forwarded) has no owner
      return s.iif !== '' ? ABSENT : (p[field] ?? HIDDEN);
    case 'ctstate':
      return s.tracked.state;
    case 'ctdir':
      return s.tracked.direction === undefined ? ABSENT : s.tracked.direction === 'original' ? 0 : 1;
    case 'ctexpire':
      return s.tracked.entry ? HIDDEN : ABSENT;
    case 'ctstatus':
    case 'ctmark':
      return s.tracked.entry?.[field === 'ctstatus' ? 'status' : 'mark'] ?? ABSENT;
    case 'ctproto':
      return s.tracked.entry?.orig.proto ?? ABSENT;
    case 'ctorigsrc':
    case 'ctorigdst':
    case 'ctreplsrc':
    case 'ctrepldst':
    case 'ctorigsrcport':
    case 'ctorigdstport':
    case 'ctreplsrcport':
    case 'ctrepldstport':
      return !s.tracked.entry ? ABSENT : isAddressHidden(field, s.tracked.entry) ? HIDDEN : readTuple(field, s.tracked.entry);
    case 'ipvsaddr':
    case 'ipvsport':
    case 'ipvsmethod':
    case 'ipvsportctl':
      return readIpvs(field, s.ipvs);
  }
}

function readTuple(field: string, entry: NonNullable<Tracked['entry']>): Word {
  const tuple = field.startsWith('ctorig') ? entry.orig : entry.reply;
  if (field.endsWith('port')) return field.includes('src') ? tuple.sport : tuple.dport;
  return field.endsWith('src') ? tuple.src : tuple.dst;
}

export function macWord(mac: string): Word {
  const hex = mac.replaceAll(':', '');
  return [0, 0, parseInt(hex.slice(0, 4), 16), parseInt(hex.slice(4), 16)];
}

const STATE_NAMES = Object.fromEntries(Object.entries(CT_STATE).map(([name, n]) => [n, name]));

function sayValue(field: Field, value: Value, s: Sight, say: Say): void {
  if (field.startsWith('ipvs')) return say(ipvsSays(field, s.ipvs));
  if (value === ABSENT) return say(`the packet has no ${field.replace(/^ct/, 'conntrack ')}`);
  if (value === HIDDEN) return say(`${field} is not known`);
  if (typeof value !== 'number') return say(formatAddr(value));
  switch (field) {
    case 'src':
    case 'dst':
    case 'ctorigsrc':
    case 'ctorigdst':
    case 'ctreplsrc':
    case 'ctrepldst':
      return say(formatAddr(value));
    case 'proto':
    case 'nexthdr':
    case 'ctproto':
      return say(formatProtocol(value));
    case 'mark':
    case 'ctmark':
      return say(formatMark(value));
    case 'flags':
      return say(formatTcpFlags(value));
    case 'icmp':
      return say(`type ${value >>> 8} code ${value & 255}`);
    case 'ctstate':
      return say(STATE_NAMES[value] ?? String(value));
    case 'ctstatus':
      return say(statusNames(value));
    case 'ctdir':
      return say(s.tracked.direction ?? 'none');
    case 'sport':
    case 'dport':
    case 'ctorigsrcport':
    case 'ctorigdstport':
    case 'ctreplsrcport':
    case 'ctrepldstport': {
      const range = undetermined(field, s);
      return say(range ? `${range[0]}-${range[1]}, picked by the kernel` : String(value));
    }
    default:
      return say(String(value));
  }
}

export function formatMark(mark: number): string {
  return mark === 0 ? '0' : `0x${mark.toString(16)}`;
}

function statusNames(bits: number): string {
  const names = Object.entries(CT_STATUS).filter(([, bit]) => bits & bit);
  return names.map(([name]) => name).join(',') || 'no status';
}

export function typeName(bits: number): string {
  return Object.entries(ADDR_TYPE)
    .filter(([, bit]) => bits & bit)
    .map(([name]) => name)
    .join(',');
}
