// Stateless prefix translation: net/ipv6/netfilter/ip6t_NPT.c, RFC 6296.
import { prefixMask, type Addr, type Prefix } from '../net/addr.ts';

/** ip6t_npt_map_pfx(): the address with `to` in the place of `from` and one 16-bit word adjusted, so that its sum stays; `whole` where one can be. */
export function mapPrefix(addr: Addr, from: Prefix, to: Prefix): { readonly addr: Addr; readonly whole: boolean } {
  if (typeof addr === 'number' || typeof to.addr === 'number' || typeof from.addr === 'number') return { addr, whole: true };
  const length = Math.max(from.length, to.length);
  const mask = prefixMask({ addr, length }) as readonly number[];
  const network = to.addr;
  const halves = halvesOf(addr.map((w, i) => ((w & ~mask[i]!) | (network[i]! & mask[i]!)) >>> 0));
  const at = length <= 48 ? 3 : halves.findIndex((h, i) => i > 3 && h !== 0xffff);
  if (at < 0) return { addr: addrOf(halves), whole: false };
  const sum = fold(halves[at]! + adjustment(from.addr, to.addr));
  halves[at] = sum === 0xffff ? 0 : sum;
  return { addr: addrOf(halves), whole: true };
}

function addrOf(halves: readonly number[]): Addr {
  return [0, 2, 4, 6].map((i) => ((halves[i]! << 16) | halves[i + 1]!) >>> 0) as unknown as Addr;
}

/** ip6t_npt_checkentry(): what the change of prefix takes from the sum, in ones' complement. */
function adjustment(from: readonly number[], to: readonly number[]): number {
  const sum = (words: readonly number[]): number => fold(halvesOf(words).reduce((a, b) => a + b, 0));
  return fold(sum(from) + (~sum(to) & 0xffff));
}

function halvesOf(words: readonly number[]): number[] {
  return words.flatMap((w) => [w >>> 16, w & 0xffff]);
}

/** The ones' complement sum in 16 bits. */
function fold(n: number): number {
  let out = n;
  while (out > 0xffff) out = (out & 0xffff) + Math.floor(out / 0x10000);
  return out;
}
