// Sets and maps of nft as one walk finds them: what was captured, and what rules on the way changed. nft_lookup_eval(), nft_dynset_eval()
import { compare, equal, formatAddr } from '../net/addr.ts';
import type { NftElement, NftSet, SetReference, Value, ValueRange } from '../model/operand.ts';
import type { Range } from '../net/intervals.ts';
import { rangeOf } from './watch.ts';
import type { Table } from '../model/ruleset.ts';

/** Elements by their keys: single values by a hash, intervals in order, the rest one by one. */
class NftIndex {
  private static readonly known = new WeakMap<NftSet, NftIndex>();
  private readonly exact = new Map<string, NftElement>();
  private readonly spans: NftElement[] = [];
  private readonly rest: NftElement[] = [];
  private readonly any: NftElement | undefined;

  static of(set: NftSet): NftIndex {
    let index = NftIndex.known.get(set);
    if (!index) NftIndex.known.set(set, (index = new NftIndex(set.elements)));
    return index;
  }

  private constructor(elements: readonly NftElement[]) {
    for (const e of elements) {
      const { key } = e;
      if (!key) this.any = e;
      else if (key.every(isSingle)) this.exact.set(keyOf(key.map(([v]) => v)), e);
      else if (key.length === 1 && typeof key[0]![0] !== 'string') this.spans.push(e);
      else this.rest.push(e);
    }
    this.spans.sort((a, b) => order(a.key![0]![0], b.key![0]![0]));
  }

  find(values: readonly Value[]): NftElement | undefined {
    return this.exact.get(keyOf(values)) ?? this.span(values) ?? this.rest.find((e) => covers(e.key!, values)) ?? this.any;
  }

  private span(values: readonly Value[]): NftElement | undefined {
    const [value] = values;
    if (this.spans.length === 0 || value === undefined || typeof value === 'string') return undefined;
    let [low, high] = [0, this.spans.length - 1];
    while (low <= high) {
      const mid = (low + high) >>> 1;
      const [lo, hi] = this.spans[mid]!.key![0]!;
      if (order(value, lo) < 0) high = mid - 1;
      else if (order(value, hi) > 0) low = mid + 1;
      else return this.spans[mid];
    }
    return undefined;
  }
}

function isSingle([lo, hi]: ValueRange): boolean {
  return typeof lo === 'string' ? !lo.endsWith('*') : typeof hi !== 'string' && equal(lo, hi);
}

function order(a: Value, b: Value): number {
  return typeof a === 'string' || typeof b === 'string' ? 0 : compare(a, b);
}

/** A key as one string. */
export function keyOf(values: readonly Value[]): string {
  return values.map((v) => (typeof v === 'string' ? `"${v}"` : String(v))).join('|');
}

export function covers(key: readonly ValueRange[], values: readonly Value[]): boolean {
  return key.length === values.length && key.every((range, i) => hasValue(range, values[i]!));
}

/** Reports whether a value lies in an interval, or a name under a glob. */
export function hasValue([lo, hi]: ValueRange, value: Value): boolean {
  if (typeof lo === 'string' || typeof hi === 'string' || typeof value === 'string')
    return typeof lo === 'string' && typeof value === 'string' && (lo.endsWith('*') ? value.startsWith(lo.slice(0, -1)) : lo === value);
  return typeof lo === typeof value && compare(value, lo) >= 0 && compare(value, hi) <= 0;
}

/** One set during one walk. */
export class LiveNftSet {
  private static readonly keys = new WeakMap<NftSet, readonly (readonly (Range | undefined)[])[]>();
  readonly captured: NftSet;
  private readonly added = new Map<string, NftElement>();
  private readonly gone = new Set<string>();

  constructor(captured: NftSet) {
    this.captured = captured;
  }

  find(values: readonly Value[]): NftElement | undefined {
    const added = this.added.get(keyOf(values));
    if (added) return added;
    const found = NftIndex.of(this.captured).find(values);
    return found && this.gone.has(found.text) ? undefined : found;
  }

  /** The keys of its elements as ranges, for what is told of a lookup. */
  rangesOfKeys(): readonly (readonly (Range | undefined)[])[] {
    const isAsCaptured = this.added.size === 0 && this.gone.size === 0;
    const known = isAsCaptured ? LiveNftSet.keys.get(this.captured) : undefined;
    if (known) return known;
    const keys = this.elements.map((e) => (e.key ?? []).map((r) => rangeOf(r)));
    if (isAsCaptured) LiveNftSet.keys.set(this.captured, keys);
    return keys;
  }

  get elements(): readonly NftElement[] {
    const kept = this.gone.size === 0 ? this.captured.elements : this.captured.elements.filter((e) => !this.gone.has(e.text));
    return this.added.size === 0 ? kept : [...kept, ...this.added.values()];
  }

  add(values: readonly Value[], element: NftElement): void {
    this.added.set(keyOf(values), element);
  }

  remove(values: readonly Value[]): boolean {
    const found = this.find(values);
    if (!found) return false;
    if (!this.added.delete(keyOf(values))) this.gone.add(found.text);
    return true;
  }
}

/** The sets of a namespace's nft tables during one walk. */
export class LiveNftSets {
  private readonly live = new Map<NftSet, LiveNftSet>();

  get(table: Table | undefined, reference: SetReference): LiveNftSet | undefined {
    const set = typeof reference !== 'string' ? reference : table?.sets && Object.hasOwn(table.sets, reference) ? table.sets[reference] : undefined;
    if (!set) return undefined;
    let live = this.live.get(set);
    if (!live) this.live.set(set, (live = new LiveNftSet(set)));
    return live;
  }
}

/** A value in words. */
export function formatValue(value: Value): string {
  return typeof value === 'string' ? (value === '' ? 'none' : value) : typeof value === 'number' ? String(value) : formatAddr(value);
}
