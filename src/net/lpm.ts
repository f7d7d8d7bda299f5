// Longest-prefix match over IPv4 and IPv6 prefixes: one hash table per prefix length in use, tried longest first.
// Route tables and net sets hold few distinct lengths, so a lookup is a handful of probes.
import { and, bitsOf, familyOf, maskOf, type Addr, type Prefix, type Word } from './addr.ts';

interface Level<T> {
  readonly mask: Addr;
  readonly length: number;
  readonly byKey: Map<number | string, T>;
}

/** A map from prefixes to values, asked for the longest prefix that covers an address. Host bits of a key are cut off. */
export class Lpm<T> {
  private readonly levels: { 4: Level<T>[]; 6: Level<T>[] } = { 4: [], 6: [] };

  get(prefix: Prefix): T | undefined {
    const level = this.level(prefix);
    return level?.byKey.get(key(and(prefix.addr, level.mask)));
  }

  set(prefix: Prefix, value: T): void {
    const levels = this.levels[familyOf(prefix.addr)];
    let level = this.level(prefix);
    if (!level) {
      level = { mask: maskOf(familyOf(prefix.addr), prefix.length), length: prefix.length, byKey: new Map() };
      levels.push(level);
      levels.sort((a, b) => b.length - a.length);
    }
    level.byKey.set(key(and(prefix.addr, level.mask)), value);
  }

  /** Every value whose prefix covers `addr`, the longest prefix first. */
  *covering(addr: Addr): Generator<{ prefix: Prefix; value: T }> {
    for (const level of this.levels[familyOf(addr)]) {
      const base = and(addr, level.mask);
      const value = level.byKey.get(key(base));
      if (value !== undefined) yield { prefix: { addr: base, length: level.length }, value };
    }
  }

  longest(addr: Addr): { prefix: Prefix; value: T } | undefined {
    // covering() without the generator, which costs more than the lookup itself
    for (const level of this.levels[familyOf(addr)]) {
      const base = and(addr, level.mask);
      const value = level.byKey.get(key(base));
      if (value !== undefined) return { prefix: { addr: base, length: level.length }, value };
    }
    return undefined;
  }

  private level(prefix: Prefix): Level<T> | undefined {
    if (prefix.length > bitsOf(familyOf(prefix.addr))) throw new RangeError(`prefix length ${prefix.length}`);
    return this.levels[familyOf(prefix.addr)].find((l) => l.length === prefix.length);
  }
}

function key(w: Word): number | string {
  return typeof w === 'number' ? w : w.join();
}
