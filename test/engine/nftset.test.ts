// The index of an nft set finds what trying every element finds.
import fc, { type Arbitrary } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { covers, LiveNftSet } from '../../src/engine/nftset.ts';
import type { NftElement, NftSet, Value, ValueRange } from '../../src/model/operand.ts';

const at = { file: 'nft.txt', line: 1 };
const number = fc.integer({ min: 0, max: 40 });
const span: Arbitrary<ValueRange> = fc.tuple(number, number).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
const single: Arbitrary<ValueRange> = number.map((n) => [n, n]);
const six: Arbitrary<ValueRange> = number.map((n) => [
  [0, 0, 0, n],
  [0, 0, 0, n + (n % 3)],
]);
const name: Arbitrary<ValueRange> = fc.constantFrom('eth0', 'eth1', 'lo', 'eth*', 'cali*').map((n) => [n, n]);

/** Elements that do not overlap, as the kernel takes them. */
function setOf(parts: readonly Arbitrary<ValueRange>[]): Arbitrary<NftSet> {
  const key = fc.tuple(...parts);
  return fc.tuple(fc.array(key, { maxLength: 12 }), fc.boolean()).map(([keys, any]) => {
    const kept: ValueRange[][] = [];
    for (const k of keys) if (!kept.some((other) => other.every((r, i) => overlaps(r, k[i]!)))) kept.push(k);
    const elements: NftElement[] = kept.map((k, i) => ({ key: k, text: `element ${i}`, at }));
    return { name: 's', at, dynamic: true, elements: any ? [...elements, { text: '*', at }] : elements };
  });
}

function overlaps(a: ValueRange, b: ValueRange): boolean {
  const inside = (r: ValueRange, v: Value): boolean => covers([r], [v]);
  const bare = (v: Value): Value => (typeof v === 'string' ? v.replace('*', '') : v);
  return inside(a, bare(b[0])) || inside(b, bare(a[0])) || inside(a, bare(b[1])) || inside(b, bare(a[1]));
}

const shapes: readonly (readonly [string, readonly Arbitrary<ValueRange>[], readonly Arbitrary<Value>[]])[] = [
  ['numbers', [single], [number]],
  ['intervals', [fc.oneof(single, span)], [number]],
  ['wide intervals', [six], [number.map((n) => [0, 0, 0, n] as const)]],
  ['names', [name], [fc.constantFrom('eth0', 'eth1', 'eth2', 'lo', 'cali1', '')]],
  ['concatenations', [single, single], [number, number]],
  ['concatenations with intervals and names', [fc.oneof(single, span), name, single], [number, fc.constantFrom('eth0', 'lo', 'cali7'), number]],
];

describe('a set of nft', () => {
  it.each(shapes)('of %s finds by its index what trying every element finds', (_what, parts, values) => {
    fc.assert(
      fc.property(setOf(parts), fc.tuple(...values), (set, wanted) => {
        const tried = set.elements.find((e) => e.key && covers(e.key, wanted)) ?? set.elements.find((e) => !e.key);
        expect(new LiveNftSet(set).find(wanted)).toBe(tried);
      }),
      { numRuns: 500 },
    );
  });

  it('knows during a walk what was added and what was deleted, and the capture does not change', () => {
    fc.assert(
      fc.property(setOf([fc.oneof(single, span)]), fc.array(fc.tuple(fc.boolean(), number), { maxLength: 8 }), (set, changes) => {
        const live = new LiveNftSet(set);
        const before = JSON.stringify(set);
        for (const [adds, n] of changes) {
          if (adds) {
            if (!live.find([n])) live.add([n], { key: [[n, n]], text: String(n), at });
            expect(live.find([n])).toBeDefined();
          } else {
            live.remove([n]);
            if (!set.elements.some((e) => !e.key)) expect(live.find([n])).toBeUndefined();
          }
        }
        expect(JSON.stringify(set)).toBe(before);
      }),
    );
  });
});
