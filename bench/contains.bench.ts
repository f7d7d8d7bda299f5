// Is this address in that prefix? Ours, on words, against the two packages that read what people type.
import { IPv4, IPv4CidrRange, IPv4Prefix } from 'ip-num';
import { Netmask } from 'netmask';
import { contains, formatAddr, maskOf, type Masked, type V4 } from '../src/net/addr.ts';
import { compare, randomWords } from './compare.ts';

const word = randomWords(1);
const cases = Array.from({ length: 1000 }, () => {
  const length = word() % 33;
  const mask = maskOf(4, length) as V4;
  const addr = ((word() & mask) >>> 0) as V4;
  // Half of the addresses are inside.
  const probe = ((word() % 2 ? addr | (word() & ~mask) : word()) >>> 0) as V4;
  return { masked: { addr, mask } satisfies Masked, prefix: { addr, length }, probe };
});
const ranges = cases.map(({ prefix, probe }) => ({
  range: new IPv4CidrRange(IPv4.fromNumber(prefix.addr), IPv4Prefix.fromNumber(BigInt(prefix.length))),
  addr: IPv4.fromNumber(probe),
}));
const blocks = cases.map(({ prefix, probe }) => ({ block: new Netmask(`${formatAddr(prefix.addr)}/${prefix.length}`), text: formatAddr(probe) }));

await compare('IPv4 prefix contains address', cases.length, {
  'ours, address and mask': () => cases.filter((c) => contains(c.masked, c.probe)).length,
  'ours, address and length': () => cases.filter((c) => contains(c.prefix, c.probe)).length,
  'netmask, from text': () => blocks.filter((b) => b.block.contains(b.text)).length,
  'ip-num, by value': () => ranges.filter(({ range, addr }) => range.getFirst().value <= addr.value && addr.value <= range.getLast().value).length,
});
