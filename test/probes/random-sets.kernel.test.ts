// Random sets of every type that this kernel has, random questions, and packets that meet them.
import fc from 'fast-check';
import { afterAll, beforeAll, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { BASE, BASE6, FROM_OUTSIDE, FROM_OUTSIDE6, load, save } from './claim.ts';
import { agree } from './compare.ts';
import { openNode, type Load, type Node, type Shot } from './node.ts';

// Few values of each kind, so that elements and packets meet.
const byte = fc.constantFrom(1, 2, 8, 127, 128);
const hosts = {
  4: fc.tuple(fc.constantFrom(8, 9), byte, byte, byte).map((b) => b.join('.')),
  6: fc.tuple(byte, byte).map(([a, b]) => `fd00:8:${a}::${b}`),
};
const lengths = { 4: fc.constantFrom(1, 7, 8, 15, 16, 24, 31, 32), 6: fc.constantFrom(16, 32, 47, 48, 127, 128) };
const COMMON = ['hash:ip', 'hash:net', 'hash:ip,port', 'hash:ip,port,ip', 'hash:ip,port,net', 'hash:net,port', 'hash:net,iface'];
const BITMAPS = ['bitmap:ip range 8.1.1.0-8.1.8.255', 'bitmap:port range 1-100', 'bitmap:ip,mac range 8.1.1.0-8.1.8.255'];
const TYPES = {
  4: [...COMMON, ...BITMAPS, 'hash:ip netmask 24', 'hash:ip bitmask 255.0.255.0'],
  6: [...COMMON, 'hash:ip netmask 40'],
} as const;

interface Case {
  readonly load: Load;
  readonly shots: readonly Shot[];
}

const aCase = (family: 4 | 6, changes: boolean): fc.Arbitrary<Case> =>
  fc.constantFrom(...TYPES[family]).chain((type) => {
    const dimensions = type.split(' ')[0]!.split(':')[1]!.split(',');
    const isBitmap = type.startsWith('bitmap');
    const word: Readonly<Record<string, fc.Arbitrary<string>>> = {
      ip: isBitmap ? fc.tuple(fc.constantFrom(1, 2, 8), byte).map(([c, d]) => `8.1.${c}.${d}`) : hosts[family],
      net: fc.tuple(hosts[family], lengths[family]).map((n) => n.join('/')),
      port: isBitmap
        ? fc.constantFrom('80', '81')
        : fc.constantFrom('tcp:80', 'tcp:81', 'udp:80', family === 4 ? 'icmp:8/0' : 'icmpv6:128/0', '47:0'),
      iface: fc.constantFrom('eth0', 'eth1', 'cali1'),
      mac: fc.constantFrom('06:00:00:00:00:01', '06:00:00:00:00:02'),
    };
    const isNet = dimensions.includes('net');
    const element = fc.tuple(
      fc.tuple(...dimensions.map((d) => word[d]!)).map((w) => w.join()),
      fc.constantFrom('', ...(isNet ? [' nomatch'] : []), ...(dimensions.includes('iface') ? [' wildcard'] : [])),
      fc.nat(9).map((n) => ` packets ${n} bytes ${n * 40}`),
    );
    const by = fc
      .array(fc.constantFrom('src', 'dst'), { minLength: Math.max(1, dimensions.length - 1), maxLength: dimensions.length + 1 })
      .map((d) => d.join());
    const test = fc.constantFrom(
      '',
      '',
      ' ! --update-counters',
      ' --return-nomatch',
      ' ! --update-counters --packets-gt 4',
      ' ! --update-counters --bytes-lt 200',
    );
    const question = fc
      .tuple(fc.constantFrom('', '! '), fc.constantFrom('s', 's', 'l'), by, test)
      .map(([not, set, d, t]) => `${not}--match-set ${set} ${d}${t}`);
    const change = fc
      .tuple(fc.constantFrom('--add-set s', '--del-set s', '--add-set l'), by, fc.constantFrom('', ' --exist'))
      .map(([w, d, e]) => `${w} ${d}${w.startsWith('--add') ? e : ''}`);
    const base = family === 4 ? FROM_OUTSIDE : FROM_OUTSIDE6;
    const shot = fc
      .record({
        src: fc.oneof(hosts[family], word['ip']!),
        proto: fc.constantFrom('tcp', 'tcp', 'udp', family === 4 ? 'icmp' : 'icmpv6'),
        dport: fc.constantFrom(80, 81),
        iif: fc.constantFrom('eth0', 'eth1'),
        mac: word['mac']!,
      })
      .map((s): Shot => ({ ...base, ...s }));
    return fc
      .record({
        elements: fc.uniqueArray(element, { maxLength: 12, selector: ([e]) => e }),
        questions: fc.array(question, { minLength: 1, maxLength: 8 }),
        changing: changes ? fc.array(change, { minLength: 1, maxLength: 3 }) : fc.constant<string[]>([]),
        shots: fc.array(shot, { minLength: 1, maxLength: changes ? 1 : 10 }),
      })
      .map(({ elements, questions, changing, shots }): Case => {
        const lines = [
          `create s ${family === 6 ? type.replace(/^\S+/, '$& family inet6') : type} counters`,
          ...elements.map((e) => `add -exist s ${e.join('')}`),
          'create l list:set',
          'add l s',
          '',
        ];
        // every question counts, and the next packet would find that: where counters are asked for, one packet is all that can be asked
        const asksCounters = questions.some((q) => / --(packets|bytes)-/.test(q));
        const rules = questions.map((q) => `-A FORWARD -m set ${q}`);
        const tables = { raw: changing.map((c) => `-A PREROUTING -j SET ${c}`), filter: rules };
        return {
          load: load(family === 4 ? BASE : BASE6, { ipset: lines.join('\n'), [family === 4 ? 'legacy' : 'legacy6']: save(tables) }),
          shots: asksCounters ? shots.slice(0, 1) : shots,
        };
      });
  });

describeKernel('random sets', () => {
  let node: Node;
  beforeAll(() => {
    node = openNode();
  });
  afterAll(async () => {
    await node?.close();
  });

  for (const family of [4, 6] as const) {
    it(`of IPv${family}: netwhy finds what the kernel finds`, async () => {
      await fc.assert(
        fc.asyncProperty(aCase(family, false), async ({ load, shots }) => {
          await agree(node, load, shots, { fresh: true });
        }),
        { numRuns: 60, endOnFailure: true },
      );
    });
    it(`of IPv${family}, changed on the way`, async () => {
      await fc.assert(
        fc.asyncProperty(aCase(family, true), async ({ load, shots }) => {
          await agree(node, load, shots, { fresh: true });
        }),
        { numRuns: 60, endOnFailure: true },
      );
    });
  }
});
