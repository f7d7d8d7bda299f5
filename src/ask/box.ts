// Sets of packets as boxes: a range of values for each part of a packet that is left open.
import { add, compare, familyOf, type Word } from '../net/addr.ts';
import { ranges, type Range } from '../net/intervals.ts';
import { isPoint, type ValueKind } from '../engine/watch.ts';

/** The parts of a packet that a space may leave open. */
export type Part = 'src' | 'dst' | 'sport' | 'dport';

/** Order in which what is left over is cut off: destinations first, so that all else stays whole. */
export const PARTS: readonly Part[] = ['dst', 'src', 'dport', 'sport'];

/** The product of a range of each open part; what is absent is settled for all packets. */
export type Box = Readonly<Partial<Record<Part, Range>>> & { /** Protocol number. */ readonly proto: number };

export function kindOfPart(part: Part): ValueKind {
  return part === 'src' || part === 'dst' ? 'addr' : 'port';
}

/** How many packets a box has. */
export function sizeOf(box: Box): bigint {
  let size = 1n;
  for (const part of PARTS) {
    const range = box[part];
    if (range) size *= lengthOf(range);
  }
  return size;
}

/** How many values a range has. */
export function lengthOf([lo, hi]: Range): bigint {
  return bigOf(hi) - bigOf(lo) + 1n;
}

function bigOf(w: Word): bigint {
  return typeof w === 'number' ? BigInt(w) : w.reduce((n, x) => (n << 32n) | BigInt(x), 0n);
}

/** The values that two ranges share; undefined where there are none. */
export function overlap([a, b]: Range, [c, d]: Range): Range | undefined {
  if (familyOf(a) !== familyOf(c)) return undefined;
  const lo = compare(a, c) >= 0 ? a : c;
  const hi = compare(b, d) <= 0 ? b : d;
  return compare(lo, hi) <= 0 ? [lo, hi] : undefined;
}

/** What of a box is not in another box within it: disjoint boxes. */
export function without(box: Box, inner: Box): Box[] {
  const out: Box[] = [];
  let rest = box;
  for (const part of PARTS) {
    const [outer, own] = [rest[part], inner[part]];
    if (!outer || !own) continue;
    if (compare(outer[0], own[0]) < 0) out.push({ ...rest, [part]: [outer[0], add(own[0], -1)] });
    if (compare(own[1], outer[1]) < 0) out.push({ ...rest, [part]: [add(own[1], 1), outer[1]] });
    rest = { ...rest, [part]: own };
  }
  return out;
}

/** The packets of a box but those to their own sender, as far as boxes can tell: where one side is a single address of the other. */
export function offDiagonal(box: Box): Box[] {
  const { src, dst } = box;
  if (!src || !dst || !overlap(src, dst)) return [box];
  if (isPoint(dst)) return apartFrom(src, dst[0]).map((r): Box => ({ ...box, src: r }));
  return isPoint(src) ? apartFrom(dst, src[0]).map((r): Box => ({ ...box, dst: r })) : [box];
}

/** What of a range is not one value of it. */
function apartFrom([lo, hi]: Range, value: Word): Range[] {
  return [...(compare(lo, value) < 0 ? [[lo, add(value, -1)] as const] : []), ...(compare(value, hi) < 0 ? [[add(value, 1), hi] as const] : [])];
}

/** A box cut at values of a kind: each part of that kind is one of them, or none. */
export function cutAt(box: Box, kind: ValueKind, values: readonly Word[]): Box[] {
  return PARTS.filter((part) => kindOfPart(part) === kind).reduce<Box[]>(
    (boxes, part) =>
      values.reduce<Box[]>(
        (pieces, value) =>
          pieces.flatMap((b) => {
            const range = b[part];
            if (!range || isPoint(range) || !overlap(range, [value, value])) return [b];
            return [[value, value] as const, ...apartFrom(range, value)].map((r): Box => ({ ...b, [part]: r }));
          }),
        boxes,
      ),
    [box],
  );
}

/** Reports whether a box has a packet with these values. */
export function isIn(box: Box, values: Readonly<Partial<Record<Part, Word>>>): boolean {
  return PARTS.every((part) => {
    const [range, value] = [box[part], values[part]];
    return !range || value === undefined || overlap(range, [value, value]) !== undefined;
  });
}

/** The fewest boxes that this finds for the same packets: those that differ in one part only, and touch there, become one. */
export function mergeBoxes(boxes: readonly Box[]): Box[] {
  let left = [...boxes];
  for (let before = left.length + 1; left.length < before;) {
    before = left.length;
    for (const part of [...PARTS, 'dst'] as const) left = mergeAlong(left, part);
  }
  return left;
}

function mergeAlong(boxes: readonly Box[], part: Part): Box[] {
  const alike = new Map<string, Box[]>();
  for (const box of boxes) {
    const key = JSON.stringify([box.proto, ...PARTS.map((p) => (p === part ? undefined : box[p]))]);
    const known = alike.get(key);
    if (known) known.push(box);
    else alike.set(key, [box]);
  }
  return [...alike.values()].flatMap((group) => {
    const [first] = group as [Box, ...Box[]];
    const own = group.flatMap((b) => (b[part] ? [b[part]] : []));
    return own.length === 0 ? [first] : ranges(own).map((range): Box => ({ ...first, [part]: range }));
  });
}
