import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, compare, familyOf, type Addr, type V6, type Word } from '../../src/net/addr.ts';
import { NONE, complement, has, intersect, ranges, single, union, values, type Range, type Ranges } from '../../src/net/intervals.ts';
import { addr, v6 } from '../arbitrary/addr.ts';

// The naive model: a set of the numbers 0 to 15, as sixteen booleans.
const UNIVERSE = Array.from({ length: 16 }, (_, i) => i);

/** The same small numbers, as they are, at the top of 32 bits, and as the lowest and the highest word of IPv6. */
const scales: readonly [string, (n: number) => Word][] = [
  ['small words', (n) => n],
  ['words at the top of 32 bits', (n) => 0xfffffff0 + n],
  ['IPv6 words that carry', (n) => add([0, 0, 0xffffffff, 0xfffffff8] as V6, n)],
  ['the last IPv6 words', (n) => add([0xffffffff, 0xffffffff, 0xffffffff, 0xfffffff0] as V6, n)],
];

const smallList: Arbitrary<readonly (readonly [number, number])[]> = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 15 })),
  { maxLength: 6 },
);

const members = (list: readonly (readonly [number, number])[]): Set<number> =>
  new Set(UNIVERSE.filter((n) => list.some(([lo, hi]) => lo <= n && n <= hi)));

function expectNormal(set: Ranges): void {
  for (const [i, [lo, hi]] of set.entries()) {
    expect(compare(lo, hi)).toBeLessThanOrEqual(0);
    const before = set[i - 1];
    if (!before) continue;
    expect(compare(before[1], lo)).toBeLessThan(0);
    if (familyOf(before[1]) === familyOf(lo)) expect(compare(add(before[1], 1), lo)).toBeLessThan(0);
  }
}

describe.each(scales)('%s', (_name, scale) => {
  const build = (list: readonly (readonly [number, number])[]): Ranges => ranges(list.map(([lo, hi]): Range => [scale(lo), scale(hi)]));
  const held = (set: Ranges): Set<number> => new Set(UNIVERSE.filter((n) => has(set, scale(n))));

  it('any list of intervals comes into normal form and holds what its intervals hold', () => {
    fc.assert(
      fc.property(smallList, (list) => {
        const set = build(list);
        expectNormal(set);
        expect(held(set)).toEqual(members(list));
      }),
    );
  });

  it('equal sets are equal arrays, however they were spelled', () => {
    fc.assert(
      fc.property(smallList, (list) => {
        expect(values([...members(list)].map(scale))).toEqual(build(list));
        expect(build(list.toReversed())).toEqual(build(list));
      }),
    );
  });

  it('union, intersection and complement are those of the naive model', () => {
    fc.assert(
      fc.property(smallList, smallList, (a, b) => {
        const [x, y] = [members(a), members(b)];
        const answers: readonly [Ranges, (n: number) => boolean][] = [
          [union(build(a), build(b)), (n) => x.has(n) || y.has(n)],
          [intersect(build(a), build(b)), (n) => x.has(n) && y.has(n)],
          [complement(build(a), scale(0), scale(15)), (n) => !x.has(n)],
        ];
        for (const [set, expected] of answers) {
          expectNormal(set);
          expect(held(set)).toEqual(new Set(UNIVERSE.filter(expected)));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('a complement stays within its bounds', () => {
    fc.assert(
      fc.property(smallList, fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 15 }), (list, lo, hi) => {
        const x = members(list);
        const set = complement(build(list), scale(lo), scale(hi));
        expectNormal(set);
        expect(held(set)).toEqual(new Set(UNIVERSE.filter((n) => lo <= n && n <= hi && !x.has(n))));
      }),
    );
  });
});

describe('random IPv6 words', () => {
  const range6: Arbitrary<Range> = fc.tuple(v6, v6).map(([a, b]): Range => (compare(a, b) <= 0 ? [a, b] : [b, a]));
  const set6 = fc.array(range6, { maxLength: 5 }).map((list) => ranges(list));
  const LAST: V6 = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];

  it('has, union, intersect and complement agree about every address, ends included', () => {
    fc.assert(
      fc.property(set6, set6, fc.array(v6, { maxLength: 5 }), (a, b, others) => {
        const probes: Word[] = [...[...a, ...b].flatMap(([lo, hi]) => [lo, hi, add(lo, -1), add(hi, 1)]), ...others];
        const outside = complement(a, [0, 0, 0, 0], LAST);
        for (const w of probes) {
          const inA = a.some(([lo, hi]) => compare(lo, w) <= 0 && compare(w, hi) <= 0);
          expect(has(a, w)).toBe(inA);
          expect(has(union(a, b), w)).toBe(inA || has(b, w));
          expect(has(intersect(a, b), w)).toBe(inA && has(b, w));
          expect(has(outside, w)).toBe(!inA);
        }
        expect(complement(outside, [0, 0, 0, 0], LAST)).toEqual(a);
      }),
    );
  });
});

describe('both families in one set', () => {
  it('IPv4 and IPv6 intervals stay apart and each answers for its own family', () => {
    fc.assert(
      fc.property(fc.array(addr, { maxLength: 8 }), addr, (list, w) => {
        const set = values(list);
        expectNormal(set);
        const listed = (a: Addr): boolean => list.some((b) => compare(a, b) === 0);
        expect(has(set, w)).toBe(listed(w));
        for (const a of list) expect(has(set, a)).toBe(true);
      }),
    );
    expect(values([0xffffffff, [0, 0, 0, 0]])).toHaveLength(2);
  });

  it('one word is a set of one, and the empty set has no members', () => {
    fc.assert(
      fc.property(addr, addr, (a, b) => {
        expect(has(single(a), b)).toBe(compare(a, b) === 0);
        expect(has(NONE, a)).toBe(false);
      }),
    );
  });

  it('the whole of a space has an empty complement, and an empty space has none either', () => {
    expect(complement([[0, 65535]], 0, 65535)).toEqual(NONE);
    expect(complement(NONE, 0, 0xffffffff)).toEqual([[0, 0xffffffff]]);
    expect(complement(NONE, 5, 3)).toEqual(NONE);
  });
});
