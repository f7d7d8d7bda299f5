// A rule's condition as a set of packets: those that may meet it, or those that surely do.
import { and, familyOf, maskLength, not as invert, or, equal, type Word } from '../net/addr.ts';
import { complement, ranges, type Range, type Ranges } from '../net/intervals.ts';
import type { Operand, SetReference, Value } from '../model/operand.ts';
import { ADDR_TYPE, type Field, type IpSet, type Pred, type Table } from '../model/ruleset.ts';
import { bitsIn, EVERYTHING, mayLack, meet, span, type Allowed, type Cube } from './packetset.ts';

/** What conditions are read against. */
export interface Ground {
  readonly table: Table;
  readonly sets: Readonly<Record<string, IpSet>>;
  /** Sets that rules change: what was captured of them need not be so when a packet comes. */
  readonly changed: ReadonlySet<string>;
}

/** may: of what is not understood, all packets; surely: none of them. */
export type Certainty = 'may' | 'surely';

/** More cubes than this are not kept apart. */
const MOST = 64;

/** The packets that may meet a condition, or surely do. */
export function packetsOf(pred: Pred, ground: Ground, certainty: Certainty): readonly Cube[] {
  return read(pred, true, ground, certainty);
}

function read(pred: Pred, isSo: boolean, ground: Ground, certainty: Certainty): readonly Cube[] {
  switch (pred.kind) {
    case 'not':
      return read(pred.of, !isSo, ground, certainty);
    case 'all':
    case 'any':
      // what a question's packets never have, or always: other packets may, and may not
      if (pred.of.length === 0 && pred.text !== undefined) return certainty === 'may' ? [EVERYTHING] : [];
      return (pred.kind === 'all') === isSo ? together(pred.of, isSo, ground, certainty) : either(pred.of, isSo, ground, certainty);
    default:
      return leaf(pred, isSo, ground) ?? (certainty === 'may' ? [EVERYTHING] : []);
  }
}

function together(of: readonly Pred[], isSo: boolean, ground: Ground, certainty: Certainty): readonly Cube[] {
  let out: readonly Cube[] = [EVERYTHING];
  for (const part of of) {
    const cubes = read(part, isSo, ground, certainty);
    if (out.length * cubes.length > MOST) {
      // what cannot be kept apart narrows nothing
      if (certainty === 'may') continue;
      return [];
    }
    out = out.flatMap((a) => cubes.flatMap((b) => meet(a, b) ?? []));
  }
  return out;
}

function either(of: readonly Pred[], isSo: boolean, ground: Ground, certainty: Certainty): readonly Cube[] {
  const out = of.flatMap((part) => read(part, isSo, ground, certainty));
  return out.length <= MOST ? out : certainty === 'may' ? [EVERYTHING] : [];
}

type Leaf = Exclude<Pred, { kind: 'all' | 'any' | 'not' }>;

/** The packets of which a single condition is so, or not so; undefined where that is not certain. */
function leaf(pred: Leaf, isSo: boolean, ground: Ground): readonly Cube[] | undefined {
  switch (pred.kind) {
    case 'in':
      return inRanges(pred.field, pred.ranges, isSo);
    case 'masked':
      return underMask(pred, isSo);
    case 'name': {
      const range = namesOf(pred.glob);
      return range && inRanges(pred.field, [range], isSo);
    }
    case 'member':
      return membership(pred, isSo, ground);
    case 'addrtype': {
      // match_type6() asks for several things at once
      if (ground.table.family === 6) return truth(pred, isSo);
      const types = Object.values(ADDR_TYPE).flatMap((bit): Range[] => (pred.types & bit ? [[Math.log2(bit), Math.log2(bit)]] : []));
      return inRanges(`addrtype:${pred.side}:${pred.limit ?? ''}`, ranges(types), isSo);
    }
    case 'chance':
      return pred.probability >= 1 ? (isSo ? [EVERYTHING] : []) : pred.probability <= 0 ? (isSo ? [] : [EVERYTHING]) : undefined;
    case 'value':
      return isSettled(pred.of, ground) ? truth(pred, isSo) : undefined;
    case 'lookup':
      return lookup(pred, isSo, ground);
    case 'rpfilter':
    case 'bridged':
    case 'ipvs':
    case 'eui64':
    case 'search':
    case 'u32':
      return truth(pred, isSo);
    case 'time':
    case 'opaque':
      return undefined;
  }
}

/** What nobody here looks into, but which has one answer for one packet: equal questions are so together. */
function truth(pred: Pred, isSo: boolean): readonly Cube[] {
  const bare = JSON.stringify(pred, (key, value: unknown) => (key === 'text' || key === 'at' ? undefined : value));
  return [new Map([[`?${bare}`, { kind: 'truth', value: isSo }]])];
}

function one(property: string, allowed: Allowed): Cube {
  return new Map([[property, allowed]]);
}

function inRanges(property: string, among: Ranges, isSo: boolean): readonly Cube[] | undefined {
  const sample = among[0]?.[0];
  if (sample === undefined) return isSo ? [] : [EVERYTHING];
  if (among.some(([lo]) => familyOf(lo) !== familyOf(sample))) return undefined;
  const bits = bitsIn(property);
  const [lo, hi] = bits === undefined ? span(property, sample) : [0, 2 ** bits - 1];
  const wanted = isSo ? among : complement(among, lo, hi);
  const absent = !isSo && mayLack(property);
  if (bits === undefined) return wanted.length > 0 || absent ? [one(property, { kind: 'ranges', ranges: wanted, absent })] : [];
  const out = wanted.flatMap((r) =>
    blocks(r, bits).map(({ value, mask }) => one(property, { kind: 'bits', value, mask, isThere: true, absent: false })),
  );
  if (absent) out.push(one(property, { kind: 'bits', value: 0, mask: 0, isThere: false, absent: true }));
  return out;
}

/** A range of numbers as blocks that begin alike, bit by bit. */
function blocks([lo, hi]: Range, width: number): { value: number; mask: number }[] {
  if (typeof lo !== 'number' || typeof hi !== 'number') return [];
  const out: { value: number; mask: number }[] = [];
  for (let at = lo; at <= hi;) {
    let size = 1;
    while (size < 2 ** width && at % (size * 2) === 0 && at + size * 2 - 1 <= hi) size *= 2;
    out.push({ value: at, mask: (2 ** width - size) >>> 0 });
    at += size;
  }
  return out;
}

function underMask(pred: Leaf & { kind: 'masked' }, isSo: boolean): readonly Cube[] | undefined {
  const { field, value, mask } = pred;
  const bits = bitsIn(field);
  if (typeof value === 'number' && typeof mask === 'number' && bits !== undefined) {
    const isPossible = (value & ~mask) === 0;
    if (!isPossible) return isSo ? [] : [EVERYTHING];
    if (isSo) return [one(field, { kind: 'bits', value, mask, isThere: true, absent: false })];
    const out: Cube[] = [];
    let [known, same] = [0, 0];
    for (let i = bits - 1; i >= 0; i--) {
      const bit = (1 << i) >>> 0;
      if ((mask & bit) === 0) continue;
      known = (known | bit) >>> 0;
      out.push(one(field, { kind: 'bits', value: (same | (~value & bit)) >>> 0, mask: known, isThere: true, absent: false }));
      same = (same | (value & bit)) >>> 0;
    }
    if (mayLack(field)) out.push(one(field, { kind: 'bits', value: 0, mask: 0, isThere: false, absent: true }));
    return out;
  }
  const isBlock = typeof value === typeof mask && maskLength(mask as never) !== undefined && equal(and(value, mask), value);
  return isBlock ? inRanges(field, [[value, or(value, invert(mask))]], isSo) : truth(pred, isSo);
}

/** IFNAMSIZ, with the zero at the end. */
const LONGEST = 15;

/** A device's name as a number, letter by letter: names that begin alike lie side by side. */
function namesOf(glob: string): Range | undefined {
  const stem = glob.replace(/\+$/, '');
  const letters = [...stem].map((c) => c.charCodeAt(0));
  if (letters.length > LONGEST || letters.some((c) => c > 255)) return undefined;
  const word = (fill: number): Word => {
    const b = Array.from({ length: 16 }, (_, i) => letters[i] ?? fill);
    const at = (i: number): number => ((b[i]! << 24) | (b[i + 1]! << 16) | (b[i + 2]! << 8) | b[i + 3]!) >>> 0;
    return [at(0), at(4), at(8), at(12)];
  };
  return [word(0), word(glob.endsWith('+') ? 255 : 0)];
}

/** No device. */
export const NO_DEVICE: Allowed = { kind: 'ranges', ranges: [[namesOf('')![0], namesOf('')![0]]], absent: false };

function membership(pred: Leaf & { kind: 'member' }, isSo: boolean, { sets, changed, table }: Ground): readonly Cube[] | undefined {
  if (pred.packets || pred.bytes || changed.has(pred.set)) return undefined;
  const set = Object.hasOwn(sets, pred.set) ? sets[pred.set] : undefined;
  if (!set) return truth(pred, isSo);
  if (set.options['timeout'] !== undefined || set.type === 'list:set') return undefined;
  // ip_set_test(): a set of the other family never matches
  if (set.family !== undefined && set.family !== table.family) return isSo ? [] : [EVERYTHING];
  const addresses = pred.nomatch ? undefined : addressesOf(set);
  return addresses && pred.by[0] ? inRanges(pred.by[0], addresses, isSo) : truth(pred, isSo);
}

/** All addresses of a set that has nothing else, and has some; an empty one will have been made to be filled. */
function addressesOf(set: IpSet): Ranges | undefined {
  if (set.incomplete !== undefined || set.mask !== undefined || set.dimensions.length !== 1 || set.members.length === 0) return undefined;
  const out: Range[] = [];
  for (const { parts, nomatch, timeout } of set.members) {
    const [part] = parts;
    if (part?.kind !== 'net' || part.masked !== undefined || nomatch || timeout !== undefined) return undefined;
    out.push(...part.ranges);
  }
  return ranges(out);
}

function lookup(pred: Leaf & { kind: 'lookup' }, isSo: boolean, ground: Ground): readonly Cube[] | undefined {
  const set = settledSet(pred.set, ground);
  if (!set || !pred.key.every((k) => isSettled(k, ground))) return undefined;
  const [key, more] = pred.key;
  const field = key?.kind === 'field' && key.field !== 'ctstate' ? key.field : undefined;
  const among = field && !more ? set.elements.map((e) => numbers(e.key)) : [undefined];
  if (field === undefined || among.includes(undefined) || among.length === 0) return truth(pred, isSo);
  const wanted = ranges(among as Range[]);
  // a packet without the field is neither among them nor outside
  if (pred.not && mayLack(field)) return truth(pred, isSo);
  return inRanges(field, wanted, isSo !== (pred.not ?? false));
}

/** The one range of an element's key. */
function numbers(key: readonly (readonly [Value, Value])[] | undefined): Range | undefined {
  const [only] = key ?? [];
  if (!only || typeof only[0] === 'string' || typeof only[1] === 'string') return undefined;
  return [only[0], only[1]];
}

/** A set or map of nft that has what was captured, as long as nobody changes it by hand. */
export function settledSet(reference: SetReference, { table, changed }: Ground) {
  const sets = table.sets ?? {};
  const set = typeof reference === 'string' ? (Object.hasOwn(sets, reference) ? sets[reference] : undefined) : reference;
  if (!set || set.dynamic || set.incomplete !== undefined || set.timeout !== undefined || changed.has(set.name)) return undefined;
  return set.elements.some((e) => e.gate !== undefined || e.expires !== undefined) ? undefined : set;
}

/** Reports whether what is computed is the same whenever it is asked of one packet. */
function isSettled(op: Operand, ground: Ground): boolean {
  switch (op.kind) {
    case 'constant':
    case 'device':
    case 'payload':
    case 'fib':
      return true;
    case 'field':
      return op.field !== 'ctexpire';
    case 'bits':
      return isSettled(op.of, ground) && isSettled(op.by, ground);
    case 'map':
      return settledSet(op.map, ground) !== undefined && op.key.every((k) => isSettled(k, ground));
    case 'drawn':
    case 'hidden':
      return false;
  }
}

/** What a condition looks at of what rules can change; `*` stands for anything. */
export function looksAt(pred: Pred): ReadonlySet<string> {
  const out = new Set<string>();
  const add = (op: Operand): void => {
    if (op.kind === 'field') out.add(op.field);
    else if (op.kind === 'bits') [op.of, op.by].forEach(add);
    else if (op.kind !== 'constant' && op.kind !== 'device') out.add('*');
  };
  const visit = (p: Pred): void => {
    switch (p.kind) {
      case 'all':
      case 'any':
        return p.of.forEach(visit);
      case 'not':
        return visit(p.of);
      case 'in':
      case 'masked':
        return void out.add(p.field satisfies Field);
      case 'name':
      case 'chance':
      case 'bridged':
        return;
      case 'member':
        return ['src', 'dst', 'sport', 'dport', 'mark'].forEach((f) => out.add(f));
      case 'addrtype':
        return void out.add(p.side);
      case 'value':
        return add(p.of);
      case 'lookup':
        return p.key.forEach(add);
      default:
        out.add('*');
    }
  };
  visit(pred);
  return out;
}
