// Sets of words as sorted, disjoint, non-adjacent closed intervals. `Ranges` is data (it lives in `Pred`); the
// functions here keep it in that normal form.
import { add, compare, equal, familyOf, type Word } from './addr.ts';

export type Range = readonly [lo: Word, hi: Word];
/** Sorted, disjoint and never touching: two equal sets are equal arrays. */
export type Ranges = readonly Range[];

export const NONE: Ranges = [];

/** Brings any list of intervals into normal form; intervals with lo above hi are empty and vanish. */
export function ranges(list: readonly Range[]): Ranges {
  const sorted = list.filter(([lo, hi]) => compare(lo, hi) <= 0).toSorted((a, b) => compare(a[0], b[0]));
  const out: [Word, Word][] = [];
  for (const [lo, hi] of sorted) {
    const last = out.at(-1);
    if (last && familyOf(last[0]) === familyOf(lo) && (compare(lo, last[1]) <= 0 || touches(last[1], lo))) {
      if (compare(hi, last[1]) > 0) last[1] = hi;
    } else {
      out.push([lo, hi]);
    }
  }
  return out;
}

export function single(w: Word): Ranges {
  return [[w, w]];
}

export function values(list: readonly Word[]): Ranges {
  return ranges(list.map((w) => [w, w] as const));
}

/** Reports whether `w` lies in one of the intervals (binary search). */
export function has(set: Ranges, w: Word): boolean {
  let low = 0;
  let high = set.length - 1;
  while (low <= high) {
    const mid = (low + high) >>> 1;
    const [lo, hi] = set[mid]!;
    if (compare(w, lo) < 0) high = mid - 1;
    else if (compare(w, hi) > 0) low = mid + 1;
    else return true;
  }
  return false;
}

export function union(a: Ranges, b: Ranges): Ranges {
  return ranges([...a, ...b]);
}

export function intersect(a: Ranges, b: Ranges): Ranges {
  const out: Range[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [alo, ahi] = a[i]!;
    const [blo, bhi] = b[j]!;
    const lo = compare(alo, blo) > 0 ? alo : blo;
    const hi = compare(ahi, bhi) < 0 ? ahi : bhi;
    if (compare(lo, hi) <= 0) out.push([lo, hi]);
    if (compare(ahi, bhi) < 0) i++;
    else j++;
  }
  return out;
}

/** What of [`lo`, `hi`] is not in `set`. */
export function complement(set: Ranges, lo: Word, hi: Word): Ranges {
  const out: Range[] = [];
  let next: Word | undefined = compare(lo, hi) <= 0 ? lo : undefined;
  for (const [a, b] of intersect(set, [[lo, hi]])) {
    if (next !== undefined && compare(next, a) < 0) out.push([next, add(a, -1)]);
    next = equal(b, hi) ? undefined : add(b, 1);
  }
  if (next !== undefined) out.push([next, hi]);
  return out;
}

function touches(hi: Word, lo: Word): boolean {
  const next = add(hi, 1);
  return compare(next, hi) > 0 && equal(next, lo);
}
