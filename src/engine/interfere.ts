// Whether the order of two base chains of equal priority can matter: one changes what the other looks at or changes too, or both may
// end the packet's way and not in the same manner.
import type { Operand } from '../model/operand.ts';
import type { Chain, Field, Pred, Statement, Table } from '../model/ruleset.ts';
import { isNat } from './nat.ts';

/** A base chain in its table. */
export interface BaseChain {
  readonly table: Table;
  readonly chain: Chain;
}

/** What a walk through a chain, and all it leads to, may look at, change, and end in. */
interface Effects {
  readonly reads: Set<string>;
  readonly writes: Set<string>;
  /** `drop` is the same by whomever; other endings tell who was first. */
  readonly ends: Set<'drop' | 'otherwise'>;
}

/** Reports whether it may matter which of two chains runs first. */
export function mayInterfere(a: BaseChain, b: BaseChain): boolean {
  const [x, y] = [effectsOf(a), effectsOf(b)];
  const meets = (writer: Effects, other: Effects): boolean => [...writer.writes].some((w) => other.reads.has(w) || other.writes.has(w));
  if (meets(x, y) || meets(y, x)) return true;
  return x.ends.size > 0 && y.ends.size > 0 && (x.ends.has('otherwise') || y.ends.has('otherwise'));
}

/** Reports whether it may matter that a chain runs before conntrack looks, or before addresses are translated, and not behind it. */
export function mayInterfereWith(engine: 'conntrack' | 'nat', chain: BaseChain): boolean {
  const { reads, writes } = effectsOf(chain);
  if (engine === 'conntrack') return reads.has('ct') || writes.has('ct') || writes.has('header');
  return reads.has('header') || reads.has('ct') || writes.size > 0;
}

const known = new WeakMap<Chain, Effects>();

function effectsOf({ table, chain }: BaseChain): Effects {
  let effects = known.get(chain);
  if (effects) return effects;
  effects = { reads: new Set(), writes: new Set(), ends: new Set(chain.base?.policy === 'drop' ? ['drop'] : []) };
  const seen = new Set<string>([chain.name]);
  const open = [chain];
  for (let c = open.pop(); c; c = open.pop()) {
    for (const r of c.rules) {
      note(r.match, effects);
      for (const s of r.then)
        for (const name of carry(s, table, effects)) {
          const next = Object.hasOwn(table.chains, name) ? table.chains[name] : undefined;
          if (next && !seen.has(name)) open.push(next);
          seen.add(name);
        }
    }
  }
  known.set(chain, effects);
  return effects;
}

/** Notes what a statement does; returns the chains that it leads to. */
function carry(s: Statement, table: Table, to: Effects): readonly string[] {
  switch (s.kind) {
    case 'jump':
    case 'goto':
      return [s.chain];
    case 'verdict':
      if (s.verdict === 'drop') to.ends.add('drop');
      return [];
    case 'vmap': {
      for (const k of s.key) read(k, to);
      const set = typeof s.map === 'string' ? (table.sets && Object.hasOwn(table.sets, s.map) ? table.sets[s.map] : undefined) : s.map;
      const verdicts = (set?.elements ?? []).map((e) => e.verdict);
      if (verdicts.some((v) => v?.kind === 'drop')) to.ends.add('drop');
      return verdicts.flatMap((v) => (v?.kind === 'jump' || v?.kind === 'goto' ? [v.chain] : []));
    }
    case 'if':
      note(s.pred, to);
      return [];
    case 'note':
      return [];
    case 'set':
      to.writes.add(s.field === 'mark' ? 'mark' : 'ct');
      return [];
    case 'copy':
      to.reads.add(s.from === 'mark' ? 'mark' : 'ct');
      to.writes.add(s.to === 'mark' ? 'mark' : 'ct');
      return [];
    case 'assign':
      read(s.value, to);
      to.writes.add(s.to === 'mark' ? 'mark' : s.to.startsWith('ct') ? 'ct' : 'header');
      return [];
    case 'anymark':
      to.writes.add('mark');
      return [];
    case 'notrack':
    case 'ct':
      to.writes.add('ct');
      return [];
    case 'element':
      // a set belongs to its table: only chains of that table see what is done to it, and their order is known
      for (const k of [...s.key, ...(s.data ?? [])]) read(k, to);
      return [];
    case 'setmember':
    case 'mapset':
      to.writes.add(`set ${s.set}`);
      if (s.kind === 'mapset') to.writes.add('mark');
      return [];
    case 'setttl':
    case 'settos':
    case 'setflags':
    case 'tcpmss':
    case 'npt':
      to.writes.add('header');
      return [];
    case 'reject':
    case 'gate':
    case 'opaque':
      to.ends.add('otherwise');
      return [];
    default:
      if (s.kind === 'translate') for (const op of [s.addr, s.port]) if (op) read(op, to);
      if (isNat(s) || s.kind === 'translate') to.writes.add('nat');
      return [];
  }
}

function note(p: Pred, to: Effects): void {
  switch (p.kind) {
    case 'all':
    case 'any':
      for (const x of p.of) note(x, to);
      return;
    case 'not':
      return note(p.of, to);
    case 'in':
    case 'masked':
      to.reads.add(areaOf(p.field));
      return;
    case 'member':
      to.reads.add(`set ${p.set}`).add('header');
      return;
    case 'value':
      return read(p.of, to);
    case 'lookup':
      for (const k of p.key) read(k, to);
      return;
    case 'opaque':
      if (p.changes !== undefined) to.writes.add(`meter ${p.changes}`);
      // nobody knows what it looks at
      to.reads.add('mark').add('header').add('ct');
      return;
    case 'rpfilter':
      to.reads.add('header').add('mark');
      return;
    default:
      to.reads.add('header');
  }
}

function read(op: Operand, to: Effects): void {
  switch (op.kind) {
    case 'field':
      to.reads.add(areaOf(op.field));
      return;
    case 'bits':
      read(op.of, to);
      return read(op.by, to);
    case 'map':
      for (const k of op.key) read(k, to);
      return;
    case 'fib':
      to.reads.add('header');
      if (op.mark) to.reads.add('mark');
      return;
    case 'payload':
      to.reads.add('header');
      return;
    default:
      return;
  }
}

function areaOf(field: Field): string {
  return field === 'mark' ? 'mark' : field.startsWith('ct') ? 'ct' : 'header';
}
