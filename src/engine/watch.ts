// Which packets would have been decided alike: every comparison of a packet's value tells how far that value could move without another
// outcome. What cannot be told as an interval is said to be inexact.
import { add, and, compare, equal, familyOf, type Word } from '../net/addr.ts';
import type { Range, Ranges } from '../net/intervals.ts';
import type { Namespace } from '../model/host.ts';
import type { ValueRange } from '../model/operand.ts';
import type { Packet } from '../model/packet.ts';
import type { AssignedField, Field, IpSet, NatRange, SetPart, Statement } from '../model/ruleset.ts';

/** What kind of value it is: only values of one kind can be the same value of the packet. */
export type ValueKind = 'addr' | 'port' | 'proto';

/** Hears of every decision of a walk that hangs on an address, a port or a protocol. */
export interface Watch {
  /** All values from `lo` to `hi`, of which `value` is one, are decided alike. */
  cut(kind: ValueKind, value: Word, lo: Word, hi: Word): void;
  /** A decision hung on the packet in a way that is no interval of one value. */
  inexact(why: string): void;
  /** Routes and addresses of a namespace were asked for. */
  asked(ns: Namespace): void;
}

/** The kind of a field; undefined for what is the same for all packets of a question, or follows from other decisions. */
export function kindOf(field: Field): ValueKind | undefined {
  switch (field) {
    case 'src':
    case 'dst':
    case 'ctorigsrc':
    case 'ctorigdst':
    case 'ctreplsrc':
    case 'ctrepldst':
    case 'ipvsaddr':
      return 'addr';
    case 'sport':
    case 'dport':
    case 'ctorigsrcport':
    case 'ctorigdstport':
    case 'ctreplsrcport':
    case 'ctrepldstport':
    case 'ipvsport':
    case 'ipvsportctl':
      return 'port';
    case 'proto':
    case 'nexthdr':
    case 'ctproto':
      return 'proto';
    default:
      return undefined;
  }
}

/** The least and the greatest value of a kind, as wide as `like`. */
export function wholeOf(kind: ValueKind, like: Word): Range {
  if (kind === 'port') return [0, 65535];
  if (kind === 'proto') return [0, 255];
  return familyOf(like) === 4
    ? [0, 0xffffffff]
    : [
        [0, 0, 0, 0],
        [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      ];
}

/** Tells that a value was compared with ranges: it may move within the one that holds it, or between two. */
export function watchRanges(watch: Watch, kind: ValueKind, value: Word, ranges: Ranges): void {
  const [lo, hi] = between(ranges, value, wholeOf(kind, value));
  watch.cut(kind, value, lo, hi);
}

/** The range of a sorted list that has the value, or the gap that it is in. */
function between(ranges: Ranges, value: Word, [least, most]: Range): Range {
  let [low, high] = [0, ranges.length - 1];
  while (low <= high) {
    const mid = (low + high) >>> 1;
    const [lo, hi] = ranges[mid]!;
    if (familyOf(lo) !== familyOf(value)) return [least, most];
    if (compare(value, lo) < 0) high = mid - 1;
    else if (compare(value, hi) > 0) low = mid + 1;
    else return ranges[mid]!;
  }
  const [before, after] = [ranges[low - 1], ranges[low]];
  return [before ? add(before[1], 1) : least, after ? add(after[0], -1) : most];
}

/** Tells that the bits of a mask were compared: the value may move where the mask has only zeros behind. */
export function watchMasked(watch: Watch, kind: ValueKind, value: Word, mask: Word): void {
  const [lo, hi] = blockOf(value, mask);
  watch.cut(kind, value, lo, hi);
}

/** Source ports that nf_nat_l4proto_unique_tuple() keeps apart when it looks for another one. */
const PORT_CLASSES: Ranges = [
  [0, 511],
  [512, 1023],
];

/** Tells that a side is rewritten: what lies in the range already stays as it is, and a packet may come to be its own sender's. */
export function watchTranslation(watch: Watch, packet: Packet, manip: 'src' | 'dst', range: NatRange, by: string): void {
  const { addrs, ports, base } = range;
  // find_best_ips_proto() picks by a hash of source and destination, NF_NAT_RANGE_PROTO_OFFSET by the distance from the base
  if (base !== undefined || (addrs && !isPoint(addrs))) watch.inexact(computes(by));
  if (addrs) for (const own of [packet.src, packet.dst]) watchRanges(watch, 'addr', own, [addrs]);
  for (const own of [packet.sport, packet.dport]) if (ports && own !== undefined) watchRanges(watch, 'port', own, [ports]);
  if (manip === 'src' && packet.sport !== undefined) watchRanges(watch, 'port', packet.sport, PORT_CLASSES);
}

function computes(by: string): string {
  return `'${by}' computes the new address from the old one`;
}

/** Tells that a header field gets a value: what has it already stays as it is. */
export function watchAssignment(watch: Watch, packet: Packet, to: AssignedField, value: Word): void {
  if (to === 'src' || to === 'dst') for (const own of [packet.src, packet.dst]) watchRanges(watch, 'addr', own, [[value, value]]);
  if (to === 'sport' || to === 'dport')
    for (const own of [packet.sport, packet.dport]) if (own !== undefined) watchRanges(watch, 'port', own, [[value, value]]);
}

/** Tells of what computes with the packet's values instead of comparing them. */
export function watchStatement(watch: Watch, s: Statement, text: string): void {
  switch (s.kind) {
    case 'translate':
      if (s.prefix) watch.inexact(computes(text));
      break;
    case 'netmap':
    case 'npt':
      watch.inexact(computes(text));
      break;
    case 'setmember':
    case 'element':
    case 'mapset':
      watch.inexact(`'${text}' changes a set by the packet's own values`);
      break;
    default:
  }
}

/** The values that differ from one in nothing but the zeros at the mask's end. */
function blockOf(value: Word, mask: Word): Range {
  if (typeof value === 'number') {
    const zeros = typeof mask === 'number' ? trailingZeros(mask) : 0;
    const size = 2 ** zeros;
    const lo = Math.floor(value / size) * size;
    return [lo, lo + size - 1];
  }
  if (typeof mask === 'number') return [value, value];
  let free = 0;
  for (let i = 3; i >= 0; i--) {
    const zeros = trailingZeros(mask[i]!);
    free += zeros;
    if (zeros < 32) break;
  }
  const keep = value.map((_, i) => wordMask(128 - free - 32 * i)) as unknown as typeof value;
  const lo = and(value, keep);
  return [lo, lo.map((w, i) => (w | ~keep[i]!) >>> 0) as unknown as typeof value];
}

function wordMask(ones: number): number {
  return ones <= 0 ? 0 : ones >= 32 ? 0xffffffff : (0xffffffff << (32 - ones)) >>> 0;
}

function trailingZeros(word: number): number {
  return word === 0 ? 32 : 31 - Math.clz32(word & -word);
}

/** One component of a key, as it was looked for. */
export interface KeyPart {
  readonly kind: ValueKind | undefined;
  readonly value: Word | undefined;
}

/**
 * Tells that a key of several components was looked for among elements: the first component may move between the ends of all elements'
 * first ranges; the second between those of the elements that the first is in; and so on.
 */
export function watchElements(watch: Watch, key: readonly KeyPart[], elements: readonly (readonly (Range | undefined)[])[]): void {
  let left = elements;
  for (const [i, { kind, value }] of key.entries()) {
    if (kind === undefined || value === undefined) continue;
    let [lo, hi] = wholeOf(kind, value);
    const inside: (readonly (Range | undefined)[])[] = [];
    for (const e of left) {
      const range = e[i];
      if (!range || familyOf(range[0]) !== familyOf(value)) {
        if (!range) inside.push(e);
        continue;
      }
      const [from, to] = range;
      if (compare(value, from) < 0) hi = least(hi, add(from, -1));
      else if (compare(value, to) > 0) lo = most(lo, add(to, 1));
      else {
        [lo, hi] = [most(lo, from), least(hi, to)];
        inside.push(e);
      }
    }
    watch.cut(kind, value, lo, hi);
    left = inside;
  }
}

function least(a: Word, b: Word): Word {
  return compare(a, b) <= 0 ? a : b;
}

function most(a: Word, b: Word): Word {
  return compare(a, b) >= 0 ? a : b;
}

/** The ranges of an ipset's members, part by part; a part that is no number takes every value. */
export function rangesOf(set: IpSet): readonly (readonly (Range | undefined)[])[] {
  return set.members.flatMap((m) => product(m.parts.map((p) => rangesOfPart(p))));
}

function rangesOfPart(part: SetPart): readonly (Range | undefined)[] {
  if (part.kind === 'net') return part.ranges;
  return part.kind === 'port' ? [[part.lo, part.hi]] : [undefined];
}

function product(parts: readonly (readonly (Range | undefined)[])[]): (Range | undefined)[][] {
  return parts.reduce<(Range | undefined)[][]>((rows, part) => rows.flatMap((row) => part.map((p) => [...row, p])), [[]]);
}

/** A component's range in an element of nft; undefined for a name. */
export function rangeOf([lo, hi]: ValueRange): Range | undefined {
  return typeof lo === 'string' || typeof hi === 'string' ? undefined : [lo, hi];
}

/** Reports whether a range is one value. */
export function isPoint([lo, hi]: Range): boolean {
  return equal(lo, hi);
}
