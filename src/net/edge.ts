// Blocks that people type and blocks that people read. The hot path is addr.ts; here, at the edge, netmask is a second
// reader of what was typed and ip-num does the arithmetic of large IPv6 blocks. Both load when they are first asked.
import { formatAddr, isError, parseAddr, parsePrefix, type AddrError, type Prefix } from './addr.ts';

/** A block as a report shows it. */
export interface Block {
  readonly first: string;
  readonly last: string;
  /** How many addresses it holds: 2^64 and more for IPv6. */
  readonly size: bigint;
}

/**
 * `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `fd00::/64` or a bare address, as somebody typed it; host bits are cut off.
 * Our own guard reads first, because netmask 2.1.1 takes `1.2.3`, `010.0.0.1`, `/-1` and `/08`, each with a meaning
 * that hardly anybody intends. What both take must mean the same, else it is refused as ambiguous.
 */
export async function readCidr(text: string): Promise<Prefix | AddrError> {
  const prefix = parsePrefix(text);
  if (isError(prefix)) return prefix;
  const { Netmask } = await import('netmask');
  let second: Prefix | AddrError;
  try {
    const { base, bitmask } = new Netmask(text);
    second = parsePrefix(`${base}/${bitmask}`);
  } catch {
    second = { error: 'refused', column: 0 };
  }
  if (!isError(second) && spell(second) === spell(prefix)) return prefix;
  return { error: `'${text}' does not mean the same to every tool; write ${spell(prefix)}`, column: 0 };
}

/** The first and last address of a block, and how many there are. */
export async function describeBlock(prefix: Prefix): Promise<Block> {
  if (typeof prefix.addr === 'number') {
    const { Netmask } = await import('netmask');
    // netmask's own `first` and `last` are the usable hosts; blocks of one or two addresses have no broadcast.
    const { base, broadcast, last, size } = new Netmask(spell(prefix));
    return { first: base, last: broadcast ?? last, size: BigInt(size) };
  }
  const { IPv6, IPv6CidrRange, IPv6Prefix } = await import('ip-num');
  // By value: IPv6CidrRange.fromCidr() of ip-num 1.6.2 refuses text with a dotted quad.
  const value = prefix.addr.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
  const range = new IPv6CidrRange(IPv6.fromBigInt(value), IPv6Prefix.fromNumber(BigInt(prefix.length)));
  return { first: canonical(range.getFirst().toString()), last: canonical(range.getLast().toString()), size: range.getSize() };
}

function spell(prefix: Prefix): string {
  return `${formatAddr(prefix.addr)}/${prefix.length}`;
}

/** ip-num writes all eight groups; every address netwhy shows is spelled as inet_ntop spells it. */
function canonical(text: string): string {
  const addr = parseAddr(text);
  return isError(addr) ? text : formatAddr(addr);
}
