// Which chains of a table a packet may get to, and which sets its rules ask.
import type { NftVerdict, Operand, SetReference } from '../model/operand.ts';
import type { Chain, Pred, Rule, Statement, Table } from '../model/ruleset.ts';
import { BUILT_IN } from '../iptables-parser/save.ts';

/** The chains that no base chain leads to by rules that packets get to; undefined where a part of the table is not known. */
export function unreached(halves: readonly Table[], isDead: (chain: Chain, rule: Rule) => boolean): readonly Chain[] | undefined {
  const reached = new Set<string>();
  for (const table of halves) {
    const chains = Object.values(table.chains);
    const bases = chains.filter((c) => c.base);
    const isWhole = table.nft !== undefined || hasBuiltIn(table);
    if (bases.length === 0 || !isWhole || chains.some((c) => c.incomplete !== undefined)) return undefined;
    const queue = [...bases];
    for (const c of bases) reached.add(c.name);
    const seen = new Set(queue);
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      for (const rule of chain.rules) {
        if (isDead(chain, rule)) continue;
        const names = leadsTo(rule, table);
        if (!names) return undefined;
        for (const name of names) {
          const next = Object.hasOwn(table.chains, name) ? table.chains[name] : undefined;
          if (!next || seen.has(next)) continue;
          seen.add(next);
          reached.add(name);
          queue.push(next);
        }
      }
    }
  }
  return Object.values(halves[0]!.chains).filter((c) => !reached.has(c.name));
}

/** Reports whether the chains are listed that a table always has (nat without INPUT: before Linux 2.6.36). */
function hasBuiltIn({ name, chains }: Table): boolean {
  const all = BUILT_IN[name];
  return all !== undefined && all.every((chain) => (name === 'nat' && chain === 'INPUT') || Object.hasOwn(chains, chain));
}

/** The chains that a rule may send packets to; undefined where nobody knows. */
export function leadsTo(rule: Rule, table: Table): readonly string[] | undefined {
  const out: string[] = [];
  for (const s of rule.then) {
    if (s.kind === 'jump' || s.kind === 'goto') out.push(s.chain);
    else if (s.kind === 'vmap') {
      const map = typeof s.map === 'string' ? table.sets?.[s.map] : s.map;
      if (!map || map.dynamic || map.incomplete !== undefined) return undefined;
      for (const { verdict } of map.elements) if (verdict) out.push(...targetOf(verdict));
    } else if (s.kind === 'opaque') {
      // what is not understood may lead to any chain that it names
      const words = new Set(`${s.as} ${rule.text}`.split(/[^\w.-]+/));
      out.push(...Object.keys(table.chains).filter((name) => words.has(name)));
      if (/quote/.test(s.why)) return undefined;
    }
  }
  return out;
}

function targetOf(v: NftVerdict): string[] {
  return v.kind === 'jump' || v.kind === 'goto' ? [v.chain] : [];
}

/** The sets that a rule asks or changes, by their names. */
export function setsIn(rule: Rule): { readonly asked: ReadonlySet<string>; readonly changed: ReadonlySet<string> } {
  const asked = new Set<string>();
  const changed = new Set<string>();
  const named = (s: SetReference): void => void (typeof s === 'string' && asked.add(s));
  const operand = (op: Operand): void => {
    if (op.kind === 'bits') [op.of, op.by].forEach(operand);
    if (op.kind !== 'map') return;
    named(op.map);
    op.key.forEach(operand);
  };
  const pred = (p: Pred): void => {
    switch (p.kind) {
      case 'all':
      case 'any':
        return p.of.forEach(pred);
      case 'not':
        return pred(p.of);
      case 'member':
        return void asked.add(p.set);
      case 'value':
        return operand(p.of);
      case 'lookup':
        named(p.set);
        return p.key.forEach(operand);
      default:
        return;
    }
  };
  const statement = (s: Statement): void => {
    switch (s.kind) {
      case 'if':
        return pred(s.pred);
      case 'vmap':
        named(s.map);
        return s.key.forEach(operand);
      case 'assign':
        return operand(s.value);
      case 'translate':
        return [s.addr, s.port].forEach((o) => o && operand(o));
      case 'setmember':
      case 'element':
        return void changed.add(s.set);
      case 'mapset':
        return void asked.add(s.set);
      default:
        return;
    }
  };
  pred(rule.match);
  rule.then.forEach(statement);
  return { asked, changed };
}
