// What is said of a packet's bytes holds whatever the unknown ones are.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, findPattern, testU32 } from '../../src/engine/bytes.ts';
import type { Packet } from '../../src/index.ts';
import type { U32Step, U32Test } from '../../src/model/ruleset.ts';
import type { Addr } from '../../src/net/addr.ts';
import { encodeUtf8 } from '../../src/net/bytes.ts';

const packet = (more: Partial<Packet> = {}): Packet => ({
  family: 4,
  src: 0x0a000001 as Addr,
  dst: 0x0a000107 as Addr,
  proto: 17,
  sport: 40000,
  dport: 53,
  ttl: 64,
  length: 60,
  tos: 0,
  mark: 0,
  ...more,
});

const whole = (...bytes: readonly number[]) => bytes.map((value) => ({ value, mask: 255 }));

/** Some bytes with unknown bits, and what those bits really are. */
const veiled = fc
  .array(fc.record({ real: fc.nat(255), mask: fc.constantFrom(255, 255, 0, 0xf0, 0xbf) }), { minLength: 0, maxLength: 24 })
  .map((list) => ({ seen: list.map(({ real, mask }) => ({ value: real & mask, mask })), real: whole(...list.map((b) => b.real)) }));

const step = fc.record({
  op: fc.constantFrom<U32Step['op']>('and', 'left', 'right', 'at'),
  by: fc.oneof(fc.nat(31), fc.constantFrom(0x3c, 0xff, 0xffff, 0xffffffff)),
});
const tests = fc.array(
  fc.record({
    start: fc.nat(26),
    steps: fc.array(step, { maxLength: 4 }),
    ranges: fc.array(
      fc.tuple(fc.nat(0xffff), fc.nat(0xffffffff)).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]),
      { minLength: 1, maxLength: 2 },
    ),
  }),
  { minLength: 1, maxLength: 3 },
);

describe('u32', () => {
  it('is settled only where every packet that looks so agrees', () => {
    fc.assert(
      fc.property(veiled, tests, ({ seen, real }, list) => {
        const truth = testU32(list, seen);
        if (truth !== 'unknown') expect(testU32(list, real)).toBe(truth);
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, U32Test, boolean | 'unknown']>([
    [
      'the header length',
      {
        start: 0,
        steps: [
          { op: 'right', by: 22 },
          { op: 'and', by: 0x3c },
        ],
        ranges: [[20, 20]],
      },
      true,
    ],
    ['a first fragment or none: the don’t-fragment bit is any', { start: 6, steps: [{ op: 'and', by: 0x1fff0000 }], ranges: [[0, 0]] }, true],
    ['the don’t-fragment bit', { start: 6, steps: [{ op: 'and', by: 0x40000000 }], ranges: [[0, 0]] }, 'unknown'],
    [
      'the destination port behind the header',
      {
        start: 0,
        steps: [
          { op: 'right', by: 22 },
          { op: 'and', by: 0x3c },
          { op: 'at', by: 0 },
          { op: 'and', by: 0xffff },
        ],
        ranges: [[53, 53]],
      },
      true,
    ],
    ['the last four bytes', { start: 56, steps: [], ranges: [[0, 0xffffffff]] }, true],
    ['bytes beyond the end', { start: 57, steps: [], ranges: [[0, 0xffffffff]] }, false],
    ['the payload', { start: 28, steps: [], ranges: [[1, 1]] }, 'unknown'],
  ])('%s', (_, one, truth) => {
    expect(testU32([one], bytesOf(packet()))).toBe(truth);
  });
});

describe('string', () => {
  const search = (text: string, more: object = {}) => ({ pattern: encodeUtf8(text), from: 0, to: 65535, ignoreCase: false, ...more });
  const given = bytesOf(packet({ payload: encodeUtf8('GET /index'), length: 38 }));

  it.each([
    ['a text of the payload', search('GET'), true],
    ['a text that is not in it', search('POST'), false],
    ['letters of another case', search('get'), false],
    ['letters of another case, case ignored', search('get', { ignoreCase: true }), true],
    ['from behind its beginning', search('GET', { from: 29 }), false],
    ['from its beginning', search('GET', { from: 28 }), true],
    ['that ends where the search ends', search('GET', { to: 31 }), true],
    ['that kernels before 6.6 find beyond the end of the search', search('GET', { to: 30 }), 'unknown'],
    ['behind the end of the search', search('GET', { to: 27 }), false],
    ['from beyond the packet', search('x', { from: 100 }), false],
  ] as const)('%s', (_, one, truth) => {
    expect(findPattern(one, given)).toBe(truth);
  });

  it('is not looked for in numbers that nobody chose, beyond three bytes', () => {
    const syn = bytesOf(packet({ proto: 6, flags: 2, dport: 80 }));
    expect(findPattern(search('/admin'), syn)).toBe(false);
    expect(findPattern(search('GE'), syn)).toBe('unknown');
    expect(findPattern(search('/admin'), bytesOf(packet({ proto: 6, flags: 16, dport: 80 })))).toBe('unknown');
  });

  it('is open where the payload is not given, and settled where it is too short', () => {
    expect(findPattern(search('GET'), bytesOf(packet()))).toBe('unknown');
    expect(findPattern(search('GET'), bytesOf(packet({ length: 28 })))).toBe(false);
  });
});
