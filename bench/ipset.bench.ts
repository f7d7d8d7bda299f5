// Is this packet in the set? The index against trying every member, on sets of a hundred thousand.
import { readIpset } from '../src/capture/ipset.ts';
import { testSet } from '../src/engine/ipset.ts';
import { LiveSet } from '../src/engine/liveset.ts';
import type { Sight } from '../src/engine/sight.ts';
import { SetIndex, type SetValue } from '../src/engine/setindex.ts';
import type { Packet } from '../src/model/packet.ts';
import type { IpSet, SetKey } from '../src/model/ruleset.ts';
import { formatAddr, type V4 } from '../src/net/addr.ts';
import { LinearSet, sightOf } from '../test/engine/linear.ts';
import { compare, randomWords } from './compare.ts';

const SIZE = 100_000;
const word = randomWords(5);
const elements: Readonly<Record<string, (w: number) => string>> = {
  'hash:ip': (w) => formatAddr(w as V4),
  'hash:net': (w) => `${formatAddr(w as V4)}/${[16, 20, 24, 28, 32][w % 5]}`,
  'hash:ip,port': (w) => `${formatAddr(w as V4)},tcp:${w & 0xfff}`,
  'hash:net,port,net': (w) => `${formatAddr(w as V4)}/${[24, 32][w % 2]},tcp:80,10.0.0.0/${[8, 16, 24][w % 3]}`,
};

for (const [type, element] of Object.entries(elements)) {
  const sources = Array.from({ length: SIZE }, word);
  const text = `create s ${type}\n${sources.map((w) => `add s ${element(w)}\n`).join('')}`;
  const { sets } = readIpset(text, 'bench');
  const by: SetKey[] = ['src', 'dst', 'dst'];
  const dst = 0x0a000001 as V4;
  // every other packet is in the set
  const packets = Array.from({ length: 4 }, (_, i): Packet => {
    const src = (i % 2 ? word() : sources[word() % SIZE]!) as V4;
    return { family: 4, src, dst, proto: 6, sport: 1, dport: type === 'hash:ip,port' ? src & 0xfff : 80, ttl: 64, length: 60, tos: 0, mark: 0 };
  });
  const asker = (make: (set: IpSet) => LiveSet): (() => unknown) => {
    const sights = packets.map((p): Sight => sightOf(p, sets, make));
    return () => sights.map((s) => testSet({ set: 's', by }, s).truth);
  };
  await compare(`membership in a ${type} of ${SIZE}`, packets.length, {
    ours: asker((s) => new LiveSet(s)),
    'every member tried': asker((s) => new LinearSet(s)),
  });
  // once a set: a new object has no index yet
  const values: SetValue[] = [{ addr: dst }, { port: 80, proto: 6 }, { addr: dst }];
  await compare(`making the index of a ${type}`, SIZE, { ours: () => SetIndex.of({ ...sets[0]! }).candidates(values).length });
}
