// Sets of packets by what the rules of a chain may ask of them: unions of cubes, and what is left of a cube without another.
import { compare, equal, type Word } from '../net/addr.ts';
import { complement, intersect, type Range, type Ranges } from '../net/intervals.ts';

/** The values that one property has in a cube. */
export type Allowed =
  /** A number; `absent` where packets that do not have it belong to the cube, too. */
  | { readonly kind: 'ranges'; readonly ranges: Ranges; readonly absent: boolean }
  /** Some bits of a number, where `isThere`: value under a mask. Marks and flags, which rules ask bit by bit. */
  | { readonly kind: 'bits'; readonly value: number; readonly mask: number; readonly isThere: boolean; readonly absent: boolean }
  /** A question that is either so or not, and about which nothing else is known. */
  | { readonly kind: 'truth'; readonly value: boolean };

/** The packets that have all of these properties; what is not named may have any value. */
export type Cube = ReadonlyMap<string, Allowed>;

/** All packets. */
export const EVERYTHING: Cube = new Map();

/** Properties that every packet has. */
const PRESENT = new Set(
  'src dst proto nexthdr ttl length tos mark fragment pkttype socket ctstate nfproto ethertype iif oif physin physout addrtype'.split(' '),
);
const TOPS: Readonly<Record<string, number>> = { proto: 255, nexthdr: 255, ttl: 255, pkttype: 7, fragment: 1, addrtype: 11, ctstate: 4, ctdir: 1 };
const WIDTHS: Readonly<Record<string, number>> = { mark: 32, ctmark: 32, ctstatus: 32, flags: 8, tos: 8 };
const TOP: Word = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
const BOTTOM: Word = [0, 0, 0, 0];

/** Reports whether a packet may be without a property. */
export function mayLack(property: string): boolean {
  return !PRESENT.has(stem(property));
}

/** How many bits a property has that is kept bit by bit; undefined for the others. */
export function bitsIn(property: string): number | undefined {
  return WIDTHS[property];
}

/** Least and greatest value of a property of which `like` is one. */
export function span(property: string, like: Word): Range {
  if (typeof like !== 'number') return [BOTTOM, TOP];
  return [0, TOPS[stem(property)] ?? (/port$|^icmp$/.test(property) ? 0xffff : 0xffffffff)];
}

function stem(property: string): string {
  const colon = property.indexOf(':');
  return colon < 0 ? property : property.slice(0, colon);
}

/** The packets that two cubes share; undefined where there are none. */
export function meet(a: Cube, b: Cube): Cube | undefined {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const out = new Map(a);
  for (const [property, allowed] of b) {
    const own = out.get(property);
    const both = own ? common(own, allowed) : allowed;
    if (!both) return undefined;
    out.set(property, both);
  }
  return out;
}

/** Reports whether all packets of a cube belong to another. */
export function isWithin(a: Cube, b: Cube): boolean {
  for (const [property, allowed] of b) {
    const own = a.get(property);
    if (own ? rest(own, allowed).length > 0 : !isAll(property, allowed)) return false;
  }
  return true;
}

/** What of a cube is not in another: disjoint cubes. */
export function minus(a: Cube, b: Cube): readonly Cube[] {
  if (!meet(a, b)) return [a];
  const out: Cube[] = [];
  let left = a;
  for (const [property, allowed] of b) {
    const own = left.get(property) ?? all(property, allowed);
    // of what has no value nobody can say what has one
    if (!own && allowed.kind !== 'truth') return [...out, left];
    for (const piece of rest(own, allowed)) out.push(new Map(left).set(property, piece));
    left = new Map(left).set(property, common(own, allowed)!);
  }
  return out;
}

/** The one value that a cube allows a property; undefined where there are several. */
export function only(cube: Cube, property: string): Word | undefined {
  const allowed = cube.get(property);
  if (allowed?.kind !== 'ranges' || allowed.absent || allowed.ranges.length !== 1) return undefined;
  const [lo, hi] = allowed.ranges[0]!;
  return equal(lo, hi) ? lo : undefined;
}

/** All values of a property. */
function all(property: string, like: Allowed): Allowed | undefined {
  switch (like.kind) {
    case 'ranges': {
      const sample = like.ranges[0]?.[0];
      return sample === undefined ? undefined : { kind: 'ranges', ranges: [span(property, sample)], absent: mayLack(property) };
    }
    case 'bits':
      return { kind: 'bits', value: 0, mask: 0, isThere: true, absent: mayLack(property) };
    case 'truth':
      return undefined;
  }
}

function isAll(property: string, allowed: Allowed): boolean {
  const everything = all(property, allowed);
  return everything !== undefined && rest(everything, allowed).length === 0;
}

function common(a: Allowed | undefined, b: Allowed): Allowed | undefined {
  if (!a) return b;
  if (a.kind === 'ranges' && b.kind === 'ranges') {
    const both = { kind: 'ranges' as const, ranges: intersect(a.ranges, b.ranges), absent: a.absent && b.absent };
    return both.ranges.length > 0 || both.absent ? both : undefined;
  }
  if (a.kind === 'bits' && b.kind === 'bits') {
    const isThere = a.isThere && b.isThere && ((a.value ^ b.value) & a.mask & b.mask) === 0;
    const absent = a.absent && b.absent;
    if (!isThere && !absent) return undefined;
    return isThere
      ? { kind: 'bits', value: (a.value | b.value) >>> 0, mask: (a.mask | b.mask) >>> 0, isThere, absent }
      : { kind: 'bits', value: 0, mask: 0, isThere, absent };
  }
  return a.kind === 'truth' && b.kind === 'truth' && a.value === b.value ? a : undefined;
}

/** What of `a` is not in `b`; of a truth that is open, its contrary. */
function rest(a: Allowed | undefined, b: Allowed): readonly Allowed[] {
  if (!a) return b.kind === 'truth' ? [{ kind: 'truth', value: !b.value }] : [];
  if (!common(a, b)) return [a];
  if (a.kind === 'ranges' && b.kind === 'ranges') {
    const ranges = a.ranges.flatMap(([lo, hi]) => complement(b.ranges, lo, hi));
    const absent = a.absent && !b.absent;
    return ranges.length > 0 || absent ? [{ kind: 'ranges', ranges, absent }] : [];
  }
  if (a.kind === 'bits' && b.kind === 'bits') {
    const isApart = !b.isThere || ((a.value ^ b.value) & a.mask & b.mask) !== 0;
    const out: Allowed[] = a.isThere && isApart ? [{ ...a, absent: false }] : [];
    if (a.isThere && !isApart) {
      let { value, mask } = a;
      for (let i = 31; i >= 0; i--) {
        const bit = (1 << i) >>> 0;
        if ((b.mask & bit) === 0 || (mask & bit) !== 0) continue;
        mask = (mask | bit) >>> 0;
        out.push({ kind: 'bits', value: (value | (~b.value & bit)) >>> 0, mask, isThere: true, absent: false });
        value = (value | (b.value & bit)) >>> 0;
      }
    }
    if (a.absent && !b.absent) out.push({ kind: 'bits', value: 0, mask: 0, isThere: false, absent: true });
    return out;
  }
  return [];
}

/** Reports whether two cubes have the same packets, as far as their properties tell. */
export function isSame(a: Cube, b: Cube): boolean {
  return isWithin(a, b) && isWithin(b, a);
}

/** The values that a cube allows a property, where they are few. */
export function fewValues(cube: Cube, property: string, most: number): readonly number[] | undefined {
  const allowed = cube.get(property);
  if (allowed?.kind !== 'ranges' || allowed.absent) return undefined;
  const out: number[] = [];
  for (const [lo, hi] of allowed.ranges) {
    if (typeof lo !== 'number' || typeof hi !== 'number' || out.length + hi - lo >= most) return undefined;
    for (let n = lo; compare(n, hi) <= 0; n++) out.push(n);
  }
  return out;
}
