// From text to an address and back: what every line of a capture costs.
import { IPv4, IPv6 } from 'ip-num';
import { ip2long } from 'netmask';
import { formatAddr, isError, parseV4, parseV6, type V4, type V6 } from '../src/net/addr.ts';
import { compare, randomWords } from './compare.ts';

const word = randomWords(2);
const fours = Array.from({ length: 1000 }, () => formatAddr(word() as V4));
const sixes = Array.from({ length: 1000 }, () => formatAddr([0x20010db8, word() % 3 ? word() : 0, word() % 2 ? word() : 0, word()] as V6));

function value(words: V6): bigint {
  return words.reduce((sum, w) => (sum << 32n) | BigInt(w), 0n);
}

function read6(text: string): V6 {
  const addr = parseV6(text);
  if (isError(addr)) throw new Error(addr.error);
  return addr;
}

await compare('parse IPv4', fours.length, {
  ours: () => fours.map((t) => parseV4(t)),
  netmask: () => fours.map((t) => ip2long(t)),
  'ip-num': () => fours.map((t) => Number(IPv4.fromString(t).value)),
});

await compare('parse IPv6', sixes.length, {
  'ours, as one big integer': () => sixes.map((t) => value(read6(t))),
  'ip-num': () => sixes.map((t) => IPv6.fromString(t).value),
});

const words4 = fours.map((t) => parseV4(t) as V4);
await compare('print IPv4', words4.length, {
  ours: () => words4.map((w) => formatAddr(w)),
  'ip-num': () => words4.map((w) => IPv4.fromNumber(w).toString()),
});
