import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  and,
  asMasked,
  contains,
  familyOf,
  formatPrefix,
  isError,
  not,
  or,
  parseAddr,
  parsePrefix,
  type Addr,
  type Prefix,
} from '../../src/net/addr.ts';
import { Lpm } from '../../src/net/lpm.ts';
import { addr, prefix } from '../arbitrary/addr.ts';

/** Prefixes that nest: random ones and parts of them. */
const prefixes = fc.array(prefix, { minLength: 1, maxLength: 12 }).chain((roots) =>
  fc.array(fc.tuple(fc.nat(roots.length - 1), fc.nat(128)), { maxLength: 12 }).map((cuts) => [
    ...roots,
    ...cuts.map(([i, n]): Prefix => {
      const root = roots[i]!;
      const length = n % (root.length + 1);
      return { addr: and(root.addr, asMasked({ addr: root.addr, length }).mask), length };
    }),
  ]),
);

function scan(list: readonly Prefix[], a: Addr): Prefix[] {
  const unique = new Map(list.filter((p) => contains(p, a)).map((p) => [formatPrefix(p), p]));
  return [...unique.values()].toSorted((x, y) => y.length - x.length);
}

function read(text: string): Prefix {
  const p = parsePrefix(text);
  if (isError(p)) throw new Error(p.error);
  return p;
}

describe('longest-prefix match', () => {
  it('finds the prefixes that a linear scan finds, the longest first', () => {
    fc.assert(
      fc.property(prefixes, fc.array(addr, { maxLength: 4 }), (list, others) => {
        const lpm = new Lpm<string>();
        for (const p of list) lpm.set(p, formatPrefix(p));
        const probes = [...list.flatMap((p) => [p.addr, or(p.addr, not(asMasked(p).mask)), add(p.addr, -1)]), ...others];
        for (const a of probes) {
          const expected = scan(list, a);
          expect([...lpm.covering(a)]).toEqual(expected.map((p) => ({ prefix: p, value: formatPrefix(p) })));
          expect(lpm.longest(a)?.prefix).toEqual(expected[0]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives back what was stored under a prefix, and the later value where two were', () => {
    fc.assert(
      fc.property(prefixes, (list) => {
        const lpm = new Lpm<number>();
        const plain = new Map<string, number>();
        for (const [i, p] of list.entries()) {
          lpm.set(p, i);
          plain.set(`${familyOf(p.addr)} ${formatPrefix(p)}`, i);
        }
        for (const p of list) expect(lpm.get(p)).toBe(plain.get(`${familyOf(p.addr)} ${formatPrefix(p)}`));
      }),
    );
  });

  it('a default route answers for its own family only', () => {
    const lpm = new Lpm<string>();
    lpm.set(read('0.0.0.0/0'), 'v4');
    const a = parseAddr('2001:db8::1');
    if (isError(a)) throw new Error(a.error);
    expect(lpm.longest(a)).toBeUndefined();
    lpm.set(read('::/0'), 'v6');
    expect(lpm.longest(a)?.value).toBe('v6');
  });

  it("an interface's address with its subnet length stands for the subnet", () => {
    const lpm = new Lpm<string>();
    const a = parseAddr('192.168.21.11');
    if (isError(a)) throw new Error(a.error);
    lpm.set({ addr: a, length: 24 }, 'ens192');
    expect(lpm.longest(add(a, 40))).toEqual({ prefix: read('192.168.21.0/24'), value: 'ens192' });
    expect(lpm.get(read('192.168.21.0/24'))).toBe('ens192');
  });

  it('a length that the family does not have is a bug of the caller', () => {
    expect(() => new Lpm<number>().set({ addr: read('10.0.0.0/8').addr, length: 33 }, 1)).toThrow(RangeError);
  });
});
