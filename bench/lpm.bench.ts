// Which route covers this address? One hash table per prefix length against a linear scan and node's own BlockList.
import { BlockList } from 'node:net';
import { and, asMasked, contains, formatAddr, maskOf, type Prefix, type V4 } from '../src/net/addr.ts';
import { Lpm } from '../src/net/lpm.ts';
import { compare, randomWords } from './compare.ts';

const word = randomWords(3);
const lengths = [0, 8, 12, 16, 20, 24, 26, 32];
const probes = Array.from({ length: 200 }, () => word() as V4);

for (const size of [10, 1000]) {
  const lpm = new Lpm<number>();
  const list: { prefix: Prefix; masked: ReturnType<typeof asMasked>; value: number }[] = [];
  const blocks = new BlockList();
  while (list.length < size) {
    const length = lengths[(word() % (lengths.length - 1)) + 1]!;
    // Every third prefix covers a probe.
    const base = (list.length % 3 ? word() : probes[word() % probes.length]!) as V4;
    const prefix = { addr: and(base, maskOf(4, length) as V4), length };
    if (lpm.get(prefix) !== undefined) continue;
    lpm.set(prefix, list.length);
    list.push({ prefix, masked: asMasked(prefix), value: list.length });
    blocks.addSubnet(formatAddr(prefix.addr), length, 'ipv4');
  }
  list.sort((a, b) => b.prefix.length - a.prefix.length);
  const texts = probes.map((p) => formatAddr(p));

  await compare(`longest of ${size} prefixes`, probes.length, {
    ours: () => probes.map((p) => lpm.longest(p)?.value),
    'linear scan, longest first': () => probes.map((p) => list.find((l) => contains(l.masked, p))?.value),
  });
  await compare(`is an address in any of ${size} prefixes`, probes.length, {
    ours: () => probes.map((p) => lpm.longest(p) !== undefined),
    'node:net BlockList': () => texts.map((t) => blocks.check(t, 'ipv4')),
  });
}
