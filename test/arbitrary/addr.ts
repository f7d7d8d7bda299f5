// Random addresses, prefixes and masks. Words lean towards their ends and towards few bits: that is where carries and
// runs of zeros are.
import fc, { type Arbitrary } from 'fast-check';
import { and, bitsOf, familyOf, maskOf, type Addr, type Masked, type Prefix, type V4, type V6 } from '../../src/net/addr.ts';

const word: Arbitrary<number> = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
  fc.tuple(fc.constantFrom(0, 0, 1, 0xffff), fc.constantFrom(0, 0, 1, 0xffff)).map(([hi, lo]) => hi * 0x10000 + lo),
);

export const v4: Arbitrary<V4> = word.map((w) => w as V4);
export const v6: Arbitrary<V6> = fc.tuple(word, word, word, word);
export const addr: Arbitrary<Addr> = fc.oneof(v4, v6);

function lengthFor(a: Addr): Arbitrary<number> {
  return fc.integer({ min: 0, max: bitsOf(familyOf(a)) });
}

/** A prefix without host bits, of the family of `addrs`. */
export function prefixOf(addrs: Arbitrary<Addr>): Arbitrary<Prefix> {
  return addrs.chain((a) => lengthFor(a).map((length) => ({ addr: and(a, maskOf(familyOf(a), length)), length })));
}

export const prefix: Arbitrary<Prefix> = prefixOf(addr);

/** An address under a mask of its family: contiguous half of the time, any bits otherwise. */
export const masked: Arbitrary<Masked> = fc.oneof(
  prefix.map((p) => ({ addr: p.addr, mask: maskOf(familyOf(p.addr), p.length) })),
  fc.oneof(fc.tuple(v4, v4), fc.tuple(v6, v6)).map(([a, mask]): Masked => ({ addr: and(a, mask), mask })),
);
