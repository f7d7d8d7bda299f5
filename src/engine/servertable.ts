// The tables in which the schedulers that hash look up a server: sh, dh and mh.
import type { Addr, Family } from '../net/addr.ts';
import type { RealServer } from '../model/ipvs.ts';
import { hsiphash } from './siphash.ts';

/** How sh or dh hash a word to one of 256 buckets. */
export type Hash = (word: number) => number;

/** hash_32(), include/linux/hash.h: since 4.18. */
export const hash32: Hash = (word) => Math.imul(word, 0x61c88647) >>> 24;
/** Before, the low bits of a product: those of the high bytes of an address do not count. */
export const lowBits: Hash = (word) => Math.imul(word, 2654435761) & 255;

/** ip_vs_sh_hashkey(): an IPv6 address is folded to a word. A server of the other family is read as the union of both is. */
export function fold(addr: Addr, family: Family): number {
  if (typeof addr === 'number') return addr;
  return family === 4 ? addr[0] : (addr[0] ^ addr[1] ^ addr[2] ^ addr[3]) >>> 0;
}

/** What a table leads to: a server, which is taken if it is usable, or with a fallback the next of a fixed row that is. */
export interface Found {
  readonly home: RealServer;
  readonly server?: RealServer;
}

type Order = readonly RealServer[];
type IsUsable = (server: RealServer) => boolean;

// ip_vs_sh_reassign(), net/netfilter/ipvs/ip_vs_sh.c: a server fills as many buckets as its weight says, even with weight 0 one
export function inSourceTable(order: Order, hash: number, isUsable: IsUsable, fallback: boolean): Found {
  const at = (bucket: number): RealServer => inTurn(order, bucket, (s) => Math.max(s.weight, 1));
  const home = at(hash);
  if (isUsable(home)) return { home, server: home };
  if (!fallback) return { home };
  // ip_vs_sh_get_fallback(): the offsets begin at the hash, and it is added to them
  for (let offset = 0; offset < 256; offset++) {
    const server = at((2 * hash + offset) & 255);
    if (isUsable(server)) return { home, server };
  }
  return { home };
}

// ip_vs_dh_reassign(), net/netfilter/ipvs/ip_vs_dh.c: a bucket each, whatever the weights
export function inDestinationTable(order: Order, hash: number, isUsable: IsUsable): Found {
  const home = inTurn(order, hash, () => 1);
  return isUsable(home) ? { home, server: home } : { home };
}

/** Whose bucket it is where the servers in turn fill as many as their size. */
function inTurn(order: Order, bucket: number, size: (s: RealServer) => number): RealServer {
  let left = bucket % order.reduce((sum, s) => sum + size(s), 0);
  return order.find((s) => (left -= size(s)) < 0)!;
}

/** CONFIG_IP_VS_MH_TAB_INDEX=12, which distributions leave as it is: a prime of places, and weights of 6 bits. */
export const PLACES = 4093;
const WEIGHT_BITS = 6;
const KEY1 = [2654435761n, 2654435761n] as const;
const KEY2 = [2654446892n, 2654446892n] as const;

// ip_vs_mh_get() and ip_vs_mh_get_fallback(), net/netfilter/ipvs/ip_vs_mh.c
export function inMaglevTable(order: Order, family: Family, word: number, isUsable: IsUsable, fallback: boolean): Found {
  const table = maglevTable(order, family);
  const at = (offset: number): RealServer => order[table[hsiphash((word + offset) >>> 0, KEY1) % PLACES]!]!;
  const home = at(0);
  if (isUsable(home)) return { home, server: home };
  if (!fallback) return { home };
  const first = hsiphash(word, KEY1) % PLACES;
  for (let offset = 0; offset < PLACES; offset++) {
    const server = at((first + offset) % PLACES);
    if (isUsable(server)) return { home, server };
  }
  return { home };
}

const tables = new WeakMap<Order, Uint16Array>();

function maglevTable(order: Order, family: Family): Uint16Array {
  const known = tables.get(order);
  if (known) return known;
  const made = populate(order, family);
  tables.set(order, made);
  return made;
}

// ip_vs_mh_permutate() and ip_vs_mh_populate(): in turn each server takes, as often as its weight says, the next place of its own row that is free
function populate(order: Order, family: Family): Uint16Array {
  const unit = order.reduce((a, s) => gcd(a, s.weight), 0);
  const widest = Math.max(...order.map((s) => s.weight)) / unit;
  const shift = Math.max(0, 32 - Math.clz32(widest) - WEIGHT_BITS);
  const rows = order.map((s) => {
    const word = (fold(s.addr, family) + s.port) >>> 0;
    const turns = s.weight === 0 ? 0 : (s.weight / unit) >>> shift || 1;
    return { place: hsiphash(word, KEY1) % PLACES, skip: (hsiphash(word, KEY2) % (PLACES - 1)) + 1, turns };
  });
  const table = new Uint16Array(PLACES).fill(0xffff);
  for (let taken = 0; ;)
    for (const [i, row] of rows.entries())
      for (let turn = 0; turn < row.turns; turn++) {
        while (table[row.place] !== 0xffff) row.place = (row.place + row.skip) % PLACES;
        table[row.place] = i;
        if (++taken === PLACES) return table;
      }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
