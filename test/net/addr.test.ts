import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { IPv4, IPv4CidrRange, IPv6, IPv6CidrRange, IPv6Prefix, IPv4Prefix, collapseIPv6Number } from 'ip-num';
import { Netmask, ip2long, long2ip } from 'netmask';
import { describe, expect, it } from 'vitest';
import {
  add,
  and,
  asMasked,
  asPrefix,
  bitsOf,
  compare,
  contains,
  equal,
  familyOf,
  formatAddr,
  formatMasked,
  formatPrefix,
  isError,
  isLimitedBroadcast,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isZeronet,
  maskLength,
  maskOf,
  not,
  or,
  parseAddr,
  parseMasked,
  parsePrefix,
  parseV4,
  parseV6,
  prefixRange,
  type Addr,
  type Masked,
  type Prefix,
  type V6,
  type Word,
} from '../../src/net/addr.ts';
import { addr, masked, prefix, prefixOf, v4, v6 } from '../arbitrary/addr.ts';

function big(w: Word): bigint {
  return typeof w === 'number' ? BigInt(w) : w.reduce((sum, part) => (sum << 32n) | BigInt(part), 0n);
}

function ok<T>(x: T): Exclude<T, { error: string }> {
  if (isError(x)) throw new Error(x.error);
  return x as Exclude<T, { error: string }>;
}

function ipNumRange(p: Prefix): IPv4CidrRange | IPv6CidrRange {
  return typeof p.addr === 'number'
    ? new IPv4CidrRange(IPv4.fromNumber(big(p.addr)), IPv4Prefix.fromNumber(BigInt(p.length)))
    : new IPv6CidrRange(IPv6.fromBigInt(big(p.addr)), IPv6Prefix.fromNumber(BigInt(p.length)));
}

function inIpNumRange(p: Prefix, a: Addr): boolean {
  const range = ipNumRange(p);
  return range.getFirst().value <= big(a) && big(a) <= range.getLast().value;
}

/** Pairs that meet often: a prefix, and an address in or near it. */
const prefixAndAddr = prefix.chain((p) => {
  const other = typeof p.addr === 'number' ? v4 : v6;
  return other.map((a): [Prefix, Addr] => {
    const mask = asMasked(p).mask;
    return [p, big(a) % 2n === 0n ? a : or(p.addr, and(a, not(mask)))];
  });
});

describe('text', () => {
  it('an address that is printed is read back as itself', () => {
    fc.assert(
      fc.property(addr, (a) => {
        expect(parseAddr(formatAddr(a))).toEqual(a);
      }),
    );
  });

  it('an IPv4 address is printed as ip-num and netmask print it', () => {
    fc.assert(
      fc.property(v4, (a) => {
        expect(formatAddr(a)).toBe(IPv4.fromNumber(BigInt(a)).toString());
        expect(formatAddr(a)).toBe(long2ip(a));
      }),
    );
  });

  it('an IPv4 address is read as ip-num and netmask read it', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const a = ok(parseV4(text));
        expect(big(a)).toBe(IPv4.fromString(text).value);
        expect(a).toBe(ip2long(text));
      }),
    );
  });

  it('an IPv6 address of any spelling is read as ip-num reads it', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        expect(big(ok(parseV6(text)))).toBe(IPv6.fromString(text).value);
      }),
    );
  });

  it('an IPv6 address without an embedded IPv4 address is printed as RFC 5952 and a URL have it', () => {
    fc.assert(
      fc.property(v6, (a) => {
        const groups = a.flatMap((w) => [w >>> 16, w & 0xffff]).map((g) => g.toString(16));
        // WHATWG URL never prints dotted quads; inet_ntop does for the mapped and the compatible addresses.
        fc.pre(!formatAddr(a).includes('.'));
        expect(formatAddr(a)).toBe(new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1));
        expect(formatAddr(a)).toBe(collapseIPv6Number(groups.join(':')));
      }),
    );
  });

  it.each([
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:DB8::A', '2001:db8::a'],
    ['1:0:0:0:2:0:0:0', '1::2:0:0:0'],
    ['fe80:0:0:0:0:0:0:0', 'fe80::'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['::ffff:a00:1', '::ffff:10.0.0.1'],
    ['::ffff:0:0', '::ffff:0.0.0.0'],
    ['::10.0.0.1', '::10.0.0.1'],
    ['::ffff', '::ffff'],
    ['::1:0', '::0.1.0.0'],
    ['::1:ffff:10.0.0.1', '::1:ffff:a00:1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ])('%s is printed as inet_ntop prints it: %s', (text, canonical) => {
    expect(formatAddr(ok(parseV6(text)))).toBe(canonical);
  });

  it('what node calls an IPv4 address we read, and nothing else', () => {
    const near = fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.stringMatching(/^[0-9.]{1,16}$/));
    fc.assert(
      fc.property(near, (text) => {
        expect(typeof parseV4(text) === 'number', text).toBe(isIPv4(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('what node calls an IPv6 address we read, and nothing else', () => {
    const near = fc.oneof(
      fc.ipV6(),
      fc.array(fc.constantFrom('::', ':', '0', 'ffff', '1:', '10000', '1.2.3.4', 'a:b:c:d:'), { maxLength: 9 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(near, (text) => {
        expect(!isError(parseV6(text)), text).toBe(isIPv6(text));
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ['', "'' is not an IPv4 address: an empty part", 0],
    ['1.2.3', "'1.2.3' is not an IPv4 address: 3 parts instead of four", 5],
    ['10', "'10' is not an IPv4 address: 1 part instead of four", 2],
    ['1..2.3', "'1..2.3' is not an IPv4 address: an empty part", 2],
    ['1.2.3.4.', "'1.2.3.4.' is not an IPv4 address: an empty part", 8],
    ['1.2.3.4.5', "'1.2.3.4.5' is not an IPv4 address: more than four parts", 8],
    ['1.2.256.4', "'1.2.256.4' is not an IPv4 address: a part is above 255", 4],
    ['010.0.0.1', "'010.0.0.1' is not an IPv4 address: a leading zero (write 10.0.0.1)", 0],
    ['10.0.00.1', "'10.0.00.1' is not an IPv4 address: a leading zero (write 10.0.0.1)", 5],
    ['0x10.0.0.1', "'0x10.0.0.1' is not an IPv4 address: unexpected 'x'", 1],
    ['1.2.3.4 ', "'1.2.3.4 ' is not an IPv4 address: unexpected ' '", 7],
    ['-1.2.3.4', "'-1.2.3.4' is not an IPv4 address: unexpected '-'", 0],
    ['fe80::1%eth0', "'fe80::1%eth0' is not an IPv6 address: a zone does not belong here", 7],
    ['1::2::3', "'1::2::3' is not an IPv6 address: '::' may stand once only", 4],
    [':::', "':::' is not an IPv6 address: '::' may stand once only", 1],
    ['1:2:3', "'1:2:3' is not an IPv6 address: 3 groups instead of eight", 5],
    ['1:2:3:4:5:6:7:8::', "'1:2:3:4:5:6:7:8::' is not an IPv6 address: 8 groups and '::'", 17],
    ['fe80:12345::', "'fe80:12345::' is not an IPv6 address: '12345' is not a group of 1 to 4 hex digits", 5],
    ['::g', "'::g' is not an IPv6 address: 'g' is not a group of 1 to 4 hex digits", 2],
    [':1:2:3:4:5:6:7', "':1:2:3:4:5:6:7' is not an IPv6 address: an empty group", 0],
    ['::ffff:1.2.3', "'::ffff:1.2.3' is not an IPv6 address: its dotted part is no IPv4 address", 7],
    ['1.2.3.4::', "'1.2.3.4::' is not an IPv6 address: '1.2.3.4' is not a group of 1 to 4 hex digits", 0],
  ])('%j is refused, with the place and the reason', (text, error, column) => {
    expect(parseAddr(text)).toEqual({ error, column });
  });
});

describe('prefixes and masks', () => {
  it('a prefix that is printed is read back as itself', () => {
    fc.assert(
      fc.property(prefix, (p) => {
        expect(parsePrefix(formatPrefix(p))).toEqual(p);
      }),
    );
  });

  it('an address under any mask, holes or not, is read back as itself from what iptables-save prints', () => {
    fc.assert(
      fc.property(masked, (m) => {
        expect(parseMasked(formatMasked(m))).toEqual(m);
      }),
    );
  });

  it('host bits are cut off, as ip-num and netmask cut them', () => {
    fc.assert(
      fc.property(addr, fc.integer({ min: 0, max: 128 }), (a, n) => {
        const length = n % (bitsOf(familyOf(a)) + 1);
        const p = ok(parsePrefix(`${formatAddr(a)}/${length}`));
        expect(p.length).toBe(length);
        expect(big(p.addr)).toBe(ipNumRange({ addr: a, length }).getFirst().value);
        expect(formatAddr(p.addr)).toBe(formatAddr(ok(parseAddr(new Netmask(`${formatAddr(a)}/${length}`).base))));
      }),
    );
  });

  it('the ends of a prefix are those of ip-num, and of netmask for IPv4', () => {
    fc.assert(
      fc.property(prefix, (p) => {
        const [first, last] = prefixRange(p);
        const range = ipNumRange(p);
        expect([big(first), big(last)]).toEqual([range.getFirst().value, range.getLast().value]);
      }),
    );
    fc.assert(
      fc.property(prefixOf(v4), (p) => {
        const block = new Netmask(`${formatAddr(p.addr)}/${p.length}`);
        expect(prefixRange(p).map(formatAddr)).toEqual([block.base, block.broadcast ?? block.last]);
        expect(formatAddr(maskOf(4, p.length))).toBe(block.mask);
      }),
    );
  });

  it('a prefix contains an address when ip-num and netmask say so', () => {
    fc.assert(
      fc.property(prefixAndAddr, ([p, a]) => {
        expect(contains(p, a)).toBe(inIpNumRange(p, a));
        expect(contains(asMasked(p), a)).toBe(contains(p, a));
        if (typeof p.addr === 'number') expect(contains(p, a)).toBe(new Netmask(`${formatAddr(p.addr)}/${p.length}`).contains(formatAddr(a)));
      }),
      { numRuns: 1000 },
    );
  });

  it('an address under a mask with holes contains what agrees in every bit of the mask', () => {
    fc.assert(
      fc.property(masked, addr, (m, a) => {
        const same = familyOf(m.addr) === familyOf(a) && (big(a) & big(m.mask)) === big(m.addr);
        expect(contains(m, a)).toBe(same);
        const inside = or(m.addr, and(familyOf(a) === familyOf(m.addr) ? a : m.addr, not(m.mask)));
        expect(contains(m, inside)).toBe(true);
      }),
    );
  });

  it('an IPv4 prefix never contains an IPv6 address, nor the other way round', () => {
    fc.assert(
      fc.property(prefix, addr, (p, a) => {
        fc.pre(familyOf(p.addr) !== familyOf(a));
        expect(contains(p, a)).toBe(false);
      }),
    );
    expect(contains(ok(parsePrefix('0.0.0.0/0')), ok(parseAddr('::')))).toBe(false);
  });

  it('the length of a mask is found exactly when it has no holes', () => {
    for (const family of [4, 6] as const) {
      for (let n = 0; n <= bitsOf(family); n++) expect(maskLength(maskOf(family, n))).toBe(n);
    }
    fc.assert(
      fc.property(addr, (mask) => {
        const bits = big(mask)
          .toString(2)
          .padStart(bitsOf(familyOf(mask)), '0');
        expect(maskLength(mask)).toBe(/^1*0*$/.test(bits) ? bits.replaceAll('0', '').length : undefined);
      }),
    );
  });

  it('a bare address is a prefix of full length and is printed without it', () => {
    expect(parsePrefix('10.0.0.1')).toEqual(asPrefix(ok(parseAddr('10.0.0.1'))));
    expect(formatPrefix(ok(parsePrefix('10.0.0.1/32')))).toBe('10.0.0.1');
    expect(formatMasked(ok(parseMasked('10.0.0.1')))).toBe('10.0.0.1/32');
    expect(formatPrefix(ok(parsePrefix('fd00::1/128')))).toBe('fd00::1');
  });

  it.each([
    ['10.1.2.3/255.255.0.0', '10.1.0.0/16'],
    ['10.1.2.3/0.0.0.0', '0.0.0.0/0'],
    ['10.1.2.3/255.0.255.0', '10.0.2.0/255.0.255.0'],
    ['10.1.2.3/0.0.0.255', '0.0.0.3/0.0.0.255'],
    ['fd00:1:2::3/ffff::', 'fd00::/16'],
    ['fd00::1234/ffff::ffff', 'fd00::1234/ffff::ffff'],
  ])('iptables keeps %s as %s', (text, saved) => {
    expect(formatMasked(ok(parseMasked(text)))).toBe(saved);
  });

  it.each([
    ['10.0.0.0/-1', "'10.0.0.0/-1': '/-1' is not a prefix length (0 to 32, no sign, no leading zero)", 9],
    ['10.0.0.0/', "'10.0.0.0/': '/' is not a prefix length (0 to 32, no sign, no leading zero)", 9],
    ['1.2.3.4/08', "'1.2.3.4/08': '/08' is not a prefix length (0 to 32, no sign, no leading zero)", 8],
    ['1.2.3.4/33', "'1.2.3.4/33': '/33' is longer than the 32 bits of an IPv4 address", 8],
    ['fd00::/129', "'fd00::/129': '/129' is longer than the 128 bits of an IPv6 address", 7],
    ['10.0.0.0/8/8', "'10.0.0.0/8/8': '/8/8' is not a prefix length (0 to 32, no sign, no leading zero)", 9],
    ['10.0.0.0/255.0.255.0', "'10.0.0.0/255.0.255.0' has a mask with holes; a prefix length is needed here", 9],
    ['10.0.0.0/255.256.0.0', "'255.256.0.0' is not an IPv4 address: a part is above 255", 13],
    ['10.0.0.0/ffff::', "'10.0.0.0/ffff::' mixes an IPv4 address with an IPv6 mask", 9],
    ['fd00::/255.0.0.0', "'fd00::/255.0.0.0' mixes an IPv6 address with an IPv4 mask", 7],
    ['10.0.0/8', "'10.0.0' is not an IPv4 address: 3 parts instead of four", 6],
  ])('%s is refused, with the place and the reason', (text, error, column) => {
    expect(parsePrefix(text)).toEqual({ error, column });
  });
});

describe('words', () => {
  const pair: fc.Arbitrary<[Addr, Addr]> = fc.oneof(fc.tuple(v4, v4), fc.tuple(v6, v6));
  const all = (a: Addr): bigint => (1n << BigInt(bitsOf(familyOf(a)))) - 1n;

  it('and, or, not, equal and compare agree with big integers', () => {
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(big(and(a, b))).toBe(big(a) & big(b));
        expect(big(or(a, b))).toBe(big(a) | big(b));
        expect(big(not(a))).toBe(all(a) ^ big(a));
        expect(equal(a, b)).toBe(big(a) === big(b));
        expect(Math.sign(compare(a, b))).toBe(big(a) < big(b) ? -1 : big(a) > big(b) ? 1 : 0);
      }),
    );
  });

  it('add counts on and back, and wraps at both ends', () => {
    fc.assert(
      fc.property(addr, fc.integer({ min: -0xffffffff, max: 0xffffffff }), (a, n) => {
        expect(big(add(a, n))).toBe((big(a) + BigInt(n)) & all(a));
        expect(add(add(a, n), -n)).toEqual(a);
      }),
    );
    const last6: V6 = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
    expect(add(last6, 1)).toEqual([0, 0, 0, 0]);
    expect(add([0, 0, 0, 0] as V6, -1)).toEqual(last6);
    expect(add(ok(parseV4('255.255.255.255')), 1)).toBe(0);
    expect(add(ok(parseV4('0.0.0.0')), -1)).toBe(0xffffffff);
  });

  it('words of different width are never equal, sort IPv4 first, and do not mix', () => {
    fc.assert(
      fc.property(v4, v6, (a, b) => {
        expect(equal(a, b)).toBe(false);
        expect(compare(a, b)).toBeLessThan(0);
        expect(compare(b, a)).toBeGreaterThan(0);
        expect(() => and<Word>(a, b)).toThrow(RangeError);
        expect(() => or<Word>(a, b)).toThrow(RangeError);
      }),
    );
  });
});

describe('special addresses', () => {
  const kinds: readonly [string, (a: Addr) => boolean, readonly string[]][] = [
    ['loopback', isLoopback, ['127.0.0.0/8', '::1/128']],
    ['multicast', isMulticast, ['224.0.0.0/4', 'ff00::/8']],
    ['limited broadcast', isLimitedBroadcast, ['255.255.255.255/32']],
    ['no address at all', isZeronet, ['0.0.0.0/32', '::/128']],
    ['link-local', isLinkLocal, ['169.254.0.0/16', 'fe80::/10']],
  ];
  it.each(kinds)('an address is %s in its blocks and nowhere else', (_name, test, texts) => {
    const blocks = texts.map((t) => ok(parsePrefix(t)));
    const edges = blocks.flatMap((p) => prefixRange(p).flatMap((end) => [end, add(end, 1), add(end, -1)]));
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(...edges), addr), (a) => {
        expect(test(a)).toBe(blocks.some((p: Prefix | Masked) => contains(p, a)));
      }),
    );
  });
});
