// Elements of the sets and maps of nft: which may be added to which, and taken away.
import type { NftElement, NftSet, Value } from '../model/operand.ts';
import { compare } from '../net/addr.ts';
import type { Refusal } from './edit.ts';
import type { TableDraft } from './editdraft.ts';
import { ABSENT, refuseKernel, refuseNft } from './editruleset.ts';

/** Adds a set with its elements, or elements to a set that is there and is declared alike. */
export function addSet(table: TableDraft, set: NftSet, verb: 'add' | 'create'): Refusal | undefined {
  const found = table.sets()[set.name];
  if (!found) table.putSet({ ...set, elements: [] });
  else if (verb === 'create' || found.declared !== set.declared) return refuseKernel('File exists');
  return addElements(table, table.sets()[set.name]!, set.elements, 'add');
}

const has = (set: NftSet, word: string): boolean => new RegExp(`[ ,]${word}[ ,;]`).test(set.declared ?? '');

/** nft_add_set_elem(), and of intervals what nft looks at itself: src/intervals.c of nftables. */
export function addElements(table: TableDraft, set: NftSet, elements: readonly NftElement[], verb: 'add' | 'create'): Refusal | undefined {
  const isInterval = has(set, 'interval');
  const isMap = set.declared?.startsWith('map') === true;
  const all = [...set.elements];
  const byKey = new Map(all.map((e) => [keyOf(e), e]));
  for (const e of elements) {
    if (isMap && !e.verdict && !e.data) return refuseKernel('Invalid argument', 'an element of a map is KEY : VALUE');
    if (e.verdict && 'chain' in e.verdict && !table.chain(e.verdict.chain)) return refuseKernel(ABSENT, `there is no chain ${e.verdict.chain}`);
    const same = byKey.get(keyOf(e));
    if (same && (verb === 'create' || valueOf(same) !== valueOf(e))) return refuseKernel('File exists');
    if (same) continue;
    if (!isInterval && e.key?.some(([lo, hi]) => order(lo, hi) !== 0))
      return refuseNft("You must add 'flags interval' to your set declaration if you want to add prefix elements");
    if (isInterval && !has(set, 'auto-merge') && all.some((other) => overlaps(other, e)))
      return (e.key?.length ?? 1) > 1 ? refuseKernel('File exists') : refuseNft('interval overlaps with an existing one');
    byKey.set(keyOf(e), e);
    all.push(e);
  }
  if (set.size !== undefined && all.length > set.size) return refuseKernel('Too many open files in system', `${set.name} holds ${set.size} elements`);
  table.putSet({ ...set, elements: all });
  return undefined;
}

/** Takes elements out that are there just so. */
export function deleteElements(table: TableDraft, set: NftSet, elements: readonly NftElement[], verb: 'delete' | 'destroy'): Refusal | undefined {
  const left = new Map(set.elements.map((e) => [keyOf(e), e]));
  for (const e of elements) {
    const found = left.get(keyOf(e));
    const isSame = found && ((!e.verdict && !e.data) || valueOf(found) === valueOf(e));
    if (isSame) left.delete(keyOf(e));
    else if (verb === 'delete')
      return has(set, 'auto-merge') && set.elements.some((other) => overlaps(other, e))
        ? refuseNft(`a part of an element cannot be taken out of ${set.name} here`, 'delete the whole element, and add what remains')
        : refuseKernel(ABSENT, `${set.name} has no element ${e.text}`);
  }
  table.putSet({ ...set, elements: [...left.values()] });
  return undefined;
}

function keyOf(e: NftElement): string {
  return JSON.stringify(e.key ?? '*');
}

function valueOf(e: NftElement): string {
  return JSON.stringify([e.verdict, e.data]);
}

function order(a: Value, b: Value): number {
  return typeof a === 'string' || typeof b === 'string' ? (a === b ? 0 : 1) : compare(a, b);
}

function overlaps(a: NftElement, b: NftElement): boolean {
  if (!a.key || !b.key) return false;
  return a.key.every(([lo, hi], i) => {
    const [from, to] = b.key![i] ?? [lo, hi];
    if (typeof lo === 'string' || typeof from === 'string') return lo === from;
    return order(lo, to) <= 0 && order(from, hi) <= 0;
  });
}
