// Deciding a predicate. `evaluate` is the only place that says whether a packet satisfies one; `explain` runs the same
// function loudly and keeps what it saw.
import { and, compare, equal, formatAddr, formatMasked, formatRange, type Addr, type Word } from '../net/addr.ts';
import { has, intersect, type Ranges } from '../net/intervals.ts';
import { isExtended } from '../net/proto.ts';
import { formatTime } from '../net/time.ts';
import type { Span } from '../model/finding.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE, type Pred, type Truth } from '../model/ruleset.ts';
import type { Reason } from '../model/trace.ts';
import { bytesOf, findPattern, testU32 } from './bytes.ts';
import { isWithin } from './clock.ts';
import { ABSENT, HIDDEN, ipvsSays, NO_IPVS, read, sayField, typeName, undetermined } from './field.ts';
import { testSet } from './ipset.ts';
import { hasValue } from './nftset.ts';
import { lookUp, readOperand, sayMissing, sayValue, watchValue } from './operand.ts';
import { kindOf, watchMasked, watchRanges } from './watch.ts';
import type { DeviceField, Say, Sight, SupposedName } from './sight.ts';

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
      if (say) sayField(pred.field, value, s, say);
      if (value === ABSENT) return false;
      const range = undetermined(pred.field, s);
      if (value === HIDDEN) return s.supposed.get(pred) ?? 'unknown';
      if (range) return s.supposed.get(pred) ?? within(pred.ranges, range);
      const kind = s.watch && kindOf(pred.field);
      if (kind) watchRanges(s.watch, kind, value, pred.ranges);
      return has(pred.ranges, value);
    }
    case 'masked': {
      const value = read(pred.field, s);
      if (say) sayField(pred.field, value, s, say);
      if (value === ABSENT) return false;
      if (value === HIDDEN) return s.supposed.get(pred) ?? 'unknown';
      const kind = s.watch && kindOf(pred.field);
      if (kind) watchMasked(s.watch, kind, value, pred.mask);
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
      if (say) sayField('macsrc', mac, s, say);
      if (mac === ABSENT) return false;
      s.watch?.inexact(`'${pred.text ?? pred.kind}' reads the source address`);
      if (typeof mac !== 'object' || typeof src !== 'object') return s.supposed.get(pred) ?? 'unknown';
      return holdsMac(src, mac);
    }
    case 'search':
    case 'u32': {
      s.watch?.inexact(`'${pred.text ?? pred.kind}' reads bytes of the packet`);
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
    case 'value': {
      const reading = readOperand(pred.of, s);
      if (reading.kind === 'none') return (say?.(`the packet has no ${pred.of.text}`), false);
      if (reading.kind === 'open') return (say?.(reading.why), s.supposed.get(pred) ?? 'unknown');
      say?.(sayValue(pred.of, reading.value), reading.at);
      watchValue(pred.of, reading.value, pred.among, s);
      return pred.among.some((range) => hasValue(range, reading.value)) !== (pred.not ?? false);
    }
    case 'lookup': {
      const found = lookUp(pred.set, pred.key, s);
      if (found.kind === 'none') return (say?.(`the packet has no ${pred.key.map((k) => k.text).join(' . ')}`), false);
      if (found.kind === 'open') return (say?.(found.why), s.supposed.get(pred) ?? 'unknown');
      if (say) {
        const said = found.values.map((v, i) => sayValue(pred.key[i]!, v)).join(' . ');
        if (found.kind === 'found') say(`${said} is in it: ${found.element.text}`, found.element.at);
        else say(sayMissing(pred.key, found.values, s.elements(pred.set)));
      }
      // a statement of the element may end the rule
      if (found.kind === 'found' && found.element.gate !== undefined && !pred.not) return s.supposed.get(pred) ?? 'unknown';
      return (found.kind === 'found') !== (pred.not ?? false);
    }
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
  /** The leaf asks for the contrary of the claim. */
  readonly inverted?: boolean;
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
    case 'value': {
      const reading = readOperand(pred.of, s);
      const [why, key] = reading.kind === 'open' ? [reading.why, reading.key] : ['not known', undefined];
      const text = positive(pred, pred.of.text);
      return { leaf: pred, ...inverts(pred), ...(key !== undefined && { key: `${key}:${text}` }), claim: `'${text}' holds (${why})` };
    }
    case 'lookup': {
      const found = lookUp(pred.set, pred.key, s);
      const text = positive(pred, pred.key.map((k) => k.text).join(' . '));
      if (found.kind === 'found') return { leaf: pred, claim: found.element.gate ?? text };
      return {
        leaf: pred,
        ...inverts(pred),
        key: `${s.visit}:${text}`,
        claim: `'${text}' holds (${found.kind === 'open' ? found.why : 'not known'})`,
      };
    }
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

/** The words of a comparison without its `!=`: it and its contrary are one claim. */
function positive(pred: Pred & { kind: 'value' | 'lookup' }, otherwise: string): string {
  const text = pred.text ?? otherwise;
  return pred.not ? text.replace(' != ', ' ') : text;
}

function inverts({ not }: { readonly not?: true }): { readonly inverted?: true } {
  return not ? { inverted: true } : {};
}

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
export function impliedName(glob: string, supposed: readonly SupposedName[]): Truth {
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

function within(set: Ranges, [lo, hi]: readonly [number, number]): Truth {
  const common = intersect(set, [[lo, hi]]);
  const only = common.length === 1 ? common[0] : undefined;
  return common.length === 0 ? false : only && compare(only[0], lo) === 0 && compare(only[1], hi) === 0 ? true : 'unknown';
}
