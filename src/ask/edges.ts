// The values at which something in a world changes its mind: ends of the ranges that rules and sets name, of routes, of addresses. Random
// packets are drawn around them.
import { add, compare, equal, familyOf, networkOf, prefixRange, type Word } from '../net/addr.ts';
import type { Range } from '../net/intervals.ts';
import type { Operand, NftSet } from '../model/operand.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Pred, Statement } from '../model/ruleset.ts';
import { kindOf, type ValueKind } from '../engine/watch.ts';

/** Values by their kind, sorted, none twice. */
export interface Edges {
  readonly addr: readonly Word[];
  readonly port: readonly Word[];
}

/** Every edge of a world, with the values beside it. */
export function edgesOf(world: World): Edges {
  const found: Record<'addr' | 'port', Range[]> = { addr: [], port: [] };
  const note = (kind: ValueKind | undefined, range: Range): void => {
    if (kind === 'addr' || kind === 'port') found[kind].push(range);
  };
  for (const ns of world.namespaces) fromNamespace(ns, note);
  for (const w of world.wires)
    for (const d of w.deny ?? []) {
      for (const p of [d.from, d.to]) if (p) note('addr', prefixRange(p));
      for (const p of [d.sport, d.dport]) if (p) note('port', p);
    }
  return { addr: around(found.addr), port: around(found.port) };
}

type Note = (kind: ValueKind | undefined, range: Range) => void;

function fromNamespace(ns: Namespace, note: Note): void {
  for (const r of ns.routes) note('addr', prefixRange(r.to));
  for (const a of ns.addresses) {
    note('addr', [a.addr, a.addr]);
    note('addr', prefixRange(networkOf(a)));
  }
  for (const s of Object.values(ns.sets))
    for (const m of s.members)
      for (const p of m.parts) {
        if (p.kind === 'net') for (const range of p.ranges) note('addr', range);
        if (p.kind === 'port') note('port', [p.lo, p.hi]);
      }
  for (const s of ns.ipvs?.services ?? []) {
    if (s.addr !== undefined) note('addr', [s.addr, s.addr]);
    if (s.port !== undefined) note('port', [s.port, s.port]);
  }
  for (const c of ns.conntrack)
    for (const t of [c.orig, c.reply]) {
      for (const a of [t.src, t.dst]) note('addr', [a, a]);
      for (const p of [t.sport, t.dport]) note('port', [p, p]);
    }
  for (const t of ns.tables) {
    for (const s of Object.values(t.sets ?? {})) fromSet(s, note);
    for (const c of Object.values(t.chains))
      for (const r of c.rules) {
        fromPred(r.match, note);
        for (const s of r.then) fromStatement(s, note);
      }
  }
}

/** Which component is which, an element does not say: an address is as wide as one, and what fits a port may be one. */
function fromSet(set: NftSet, note: Note): void {
  for (const e of set.elements)
    for (const [lo, hi] of e.key ?? []) {
      if (typeof lo === 'string' || typeof hi === 'string') continue;
      note(typeof hi === 'number' && hi <= 65535 ? 'port' : 'addr', [lo, hi]);
    }
}

function fromPred(p: Pred, note: Note): void {
  switch (p.kind) {
    case 'all':
    case 'any':
      for (const x of p.of) fromPred(x, note);
      break;
    case 'not':
      fromPred(p.of, note);
      break;
    case 'in':
      for (const range of p.ranges) note(kindOf(p.field), range);
      break;
    case 'value':
      for (const [lo, hi] of p.among) if (typeof lo !== 'string' && typeof hi !== 'string') note(kindOfOperand(p.of), [lo, hi]);
      break;
    case 'lookup':
      if (typeof p.set !== 'string') fromSet(p.set, note);
      break;
    default:
      break;
  }
}

function fromStatement(s: Statement, note: Note): void {
  if (s.kind === 'if') fromPred(s.pred, note);
  if (s.kind === 'vmap' && typeof s.map !== 'string') fromSet(s.map, note);
}

function kindOfOperand(op: Operand): ValueKind | undefined {
  return op.kind === 'field' ? kindOf(op.field) : undefined;
}

function around(ranges: readonly Range[]): Word[] {
  const all = ranges.flatMap(([lo, hi]) => [add(lo, -1), lo, add(lo, 1), hi, add(hi, 1)]);
  return all
    .toSorted((a, b) => familyOf(a) - familyOf(b) || compare(a, b))
    .filter((v, i, list) => i === 0 || familyOf(v) !== familyOf(list[i - 1]!) || !equal(v, list[i - 1]!));
}
