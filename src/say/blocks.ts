// Boxes of packets in words: addresses as blocks where they are blocks, ports as ranges, and how many packets that is.
import { add, bitsOf, compare, equal, familyOf, formatPrefix, formatRange, maskOf, or, not, and, type Addr, type Word } from '../net/addr.ts';
import type { Range } from '../net/intervals.ts';
import { formatProtocol } from '../net/proto.ts';

/** A box as this room sees it. */
export interface BoxSaid {
  readonly proto: number;
  readonly src?: Range;
  readonly dst?: Range;
  readonly sport?: Range;
  readonly dport?: Range;
}

/** Blocks beyond which a range is told by its ends. */
const MOST_BLOCKS = 3;

/** `192.168.0.0/16`, or its ends where it would take many blocks. */
export function blocks(range: Range): string {
  const [lo, hi] = range as readonly [Addr, Addr];
  const out: string[] = [];
  for (let at: Word = lo; out.length <= MOST_BLOCKS;) {
    const family = familyOf(at);
    let length = bitsOf(family) as number;
    while (length > 0 && fits(at as Addr, length - 1, hi)) length--;
    out.push(formatPrefix({ addr: at as Addr, length }));
    const last: Word = or(at as Addr, not(maskOf(family, length)));
    if (compare(last, hi) >= 0) return out.join(', ');
    at = add(last, 1);
  }
  return formatRange(lo, hi);
}

function fits(at: Addr, length: number, hi: Addr): boolean {
  const mask = maskOf(familyOf(at), length);
  return equal(and(at, mask), at) && compare(or(at, not(mask)), hi) <= 0;
}

/** `tcp 10.0.0.1 -> 192.168.0.0/16 port 80`, what is open in full left out. */
export function box({ proto, src, dst, sport, dport }: BoxSaid): string {
  const from = src ? `${blocks(src)} ` : '';
  return [
    `${formatProtocol(proto)} ${from}-> ${dst ? blocks(dst) : 'anywhere'}`,
    ...(dport && !isAll(dport) ? [`port ${ports(dport)}`] : []),
    ...(sport && !isAll(sport) ? [`from port ${ports(sport)}`] : []),
  ].join(' ');
}

function isAll([lo, hi]: Range): boolean {
  return lo === 0 && hi === 65535;
}

function ports([lo, hi]: Range): string {
  return lo === hi ? String(lo) : `${String(lo)}-${String(hi)}`;
}

/** `65,280`, or about what power of two where it is many. */
export function count(n: bigint): string {
  if (n < 10_000_000n) return n.toLocaleString('en-US');
  const bits = n.toString(2).length - 1;
  return n === 1n << BigInt(bits) ? `2^${bits}` : `about 2^${Math.log2(Number(n)).toFixed(1)}`;
}

/** `1 packet`, `65,280 packets` */
export function packets(n: bigint): string {
  return `${count(n)} packet${n === 1n ? '' : 's'}`;
}
