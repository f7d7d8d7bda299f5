import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ICMP_TYPES,
  ICMPV6_TYPES,
  SCTP,
  TCP,
  UDP,
  formatProtocol,
  formatTcpFlags,
  hasPorts,
  parsePort,
  parseProtocol,
  parseTcpFlags,
} from '../../src/net/proto.ts';

describe('protocols', () => {
  it('every number is read back from its usual name and from its digits', () => {
    for (let n = 0; n < 256; n++) {
      expect(parseProtocol(formatProtocol(n))).toBe(n);
      expect(parseProtocol(String(n))).toBe(n);
    }
  });

  it.each([
    ['tcp', 6],
    ['TCP', 6],
    ['all', 0],
    ['icmpv6', 58],
    ['ipv6-icmp', 58],
    ['ipip', 94],
    ['ipencap', 4],
    ['mh', 135],
  ])('%s is protocol %i, as iptables has it', (name, n) => {
    expect(parseProtocol(name)).toBe(n);
  });

  it.each(['256', '999', '-1', '', 'tpc', '6 ', '1e2', 'constructor', '__proto__'])('%j is no protocol', (text) => {
    expect(parseProtocol(text)).toBeUndefined();
  });

  it('tcp, udp, sctp, dccp and udplite have ports, and nothing else has', () => {
    const names = Array.from({ length: 256 }, (_, n) => n)
      .filter(hasPorts)
      .map(formatProtocol);
    expect(names).toEqual(['tcp', 'udp', 'dccp', 'sctp', 'udplite']);
    expect([TCP, UDP, SCTP].every(hasPorts)).toBe(true);
  });
});

describe('ports', () => {
  it('every port is read from its decimal and hexadecimal digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65535 }), (n) => {
        expect(parsePort(String(n))).toBe(n);
        expect(parsePort(`0x${n.toString(16)}`)).toBe(n);
      }),
    );
  });

  it.each([
    ['domain', 53],
    ['https', 443],
    ['HTTP', 80],
    ['bootps', 67],
  ])('%s is port %i', (name, n) => {
    expect(parsePort(name)).toBe(n);
  });

  it.each(['65536', '99999', '-1', '', '0x10000', '80:81', 'constructor', 'no-such-service'])('%j is no port', (text) => {
    expect(parsePort(text)).toBeUndefined();
  });
});

describe('TCP flags', () => {
  it('any flags that are printed are read back as themselves', () => {
    for (let bits = 0; bits < 64; bits++) expect(parseTcpFlags(formatTcpFlags(bits))).toBe(bits);
  });

  it('are printed in the order of iptables', () => {
    expect(formatTcpFlags(0x3f)).toBe('FIN,SYN,RST,PSH,ACK,URG');
    expect(formatTcpFlags(0x12)).toBe('SYN,ACK');
    expect(formatTcpFlags(0)).toBe('NONE');
  });

  it.each([
    ['ALL', 0x3f],
    ['none', 0],
    ['S', 2],
    ['SA', 0x12],
    ['fpu', 0x29],
    ['ACK,SYN', 0x12],
  ])('%s is 0x%x', (text, bits) => {
    expect(parseTcpFlags(text)).toBe(bits);
  });

  it.each(['', 'SYN,', 'SYN,SA', 'XYZ', 'SYN ACK', 'CONSTRUCTOR'])('%j is refused', (text) => {
    expect(parseTcpFlags(text)).toBeUndefined();
  });
});

describe('ICMP types', () => {
  it.each([
    ['icmp', ICMP_TYPES],
    ['icmpv6', ICMPV6_TYPES],
  ])('every %s name is one type with one code or with all codes', (_proto, table) => {
    for (const [name, [type, lo, hi]] of Object.entries(table)) {
      expect(type, name).toBeGreaterThanOrEqual(0);
      expect(type, name).toBeLessThanOrEqual(255);
      expect(lo === hi || (lo === 0 && hi === 255), name).toBe(true);
    }
    expect(table['constructor']).toBeUndefined();
  });

  it('ping is type 8 for IPv4 and 128 for IPv6, port-unreachable 3/3 and 1/4', () => {
    expect([ICMP_TYPES['ping'], ICMPV6_TYPES['ping']]).toEqual([
      [8, 0, 255],
      [128, 0, 255],
    ]);
    expect([ICMP_TYPES['port-unreachable'], ICMPV6_TYPES['port-unreachable']]).toEqual([
      [3, 3, 3],
      [1, 4, 4],
    ]);
  });
});
