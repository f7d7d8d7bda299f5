// Faults of rules and sets that no packet is needed to see: each is proved of all packets, and what is not certain is not told.
import type { Fault, FaultCode } from '../model/lintreport.ts';
import type { Namespace, World } from '../model/host.ts';
import { originOfChain, originOfRule } from '../model/origin.ts';
import type { Chain, Rule, Table } from '../model/ruleset.ts';
import { isNat } from '../engine/nat.ts';
import { deadRules, sameActions, type DeadRule } from './deadrule.ts';
import { Effects, isForAll } from './effect.ts';
import { idleSets } from './idleset.ts';
import { overlaps } from './overlap.ts';
import { leadsTo, setsIn, unreached } from './unreached.ts';

/** What is at fault in the rules, sets and networks of a world, whatever packet comes; the warnings first. */
export function lint(world: World): readonly Fault[] {
  const all = [...world.namespaces.flatMap((ns) => [...ns.tables.flatMap((t) => tableFaults(ns, t)), ...idleSets(ns)]), ...overlaps(world)];
  return [...all.filter((f) => f.severity === 'warning'), ...all.filter((f) => f.severity === 'note')];
}

/** The tables that are one in nft: of an inet table there is one for each family. */
function halvesOf(ns: Namespace, table: Table): readonly Table[] {
  return table.nft === undefined ? [table] : ns.tables.filter((t) => t.nft === table.nft);
}

function tableFaults(ns: Namespace, table: Table): readonly Fault[] {
  const halves = halvesOf(ns, table);
  if (halves[0] !== table) return [];
  const dead = deadInAll(ns, halves);
  const isDead = (chain: Chain, rule: Rule): boolean =>
    dead.get(nameOf(chain, rule))?.kind === 'impossible' || dead.get(nameOf(chain, rule))?.kind === 'shadowed';
  const lost = unreached(halves, isDead);
  const isLost = new Set(lost?.map((c) => c.name));
  return [
    // of a chain that nobody gets to, that is fault enough
    ...[...dead.values()].filter((d) => !isLost.has(d.chain.name)).flatMap((d) => ruleFault(ns, table, d) ?? []),
    ...chainFaults(ns, table, lost ?? []),
  ];
}

/** Rules that are dead for packets of both families, where a table has both. */
function deadInAll(ns: Namespace, halves: readonly Table[]): ReadonlyMap<string, DeadRule> {
  const changed = new Set(ns.tables.flatMap((t) => Object.values(t.chains).flatMap((c) => c.rules.flatMap((r) => [...setsIn(r).changed]))));
  // at a device's own hooks there is more than IP, and what is here is made for the packets of IP
  if (halves.some((t) => t.nft?.startsWith('netdev ') === true)) return new Map();
  const [first, ...others] = halves.map((table) => {
    const found = deadRules({ table, sets: ns.sets, changed }, new Effects(table));
    return new Map(found.map((d) => [nameOf(d.chain, d.rule), d]));
  });
  const out = new Map<string, DeadRule>();
  for (const [name, d] of first ?? []) {
    const all = [d, ...others.flatMap((o) => o.get(name) ?? [])];
    if (all.length < halves.length) continue;
    // of one family impossible, of the other too late: the lines that take it are what there is to see
    out.set(name, all.find((x) => x.kind === 'shadowed') ?? all.find((x) => x.kind === 'repeated') ?? d);
  }
  return out;
}

function nameOf(chain: Chain, rule: Rule): string {
  return `${chain.name} ${rule.number}`;
}

/** Who makes a rule, where its shape says so. */
function makerOf(rule: Rule, chain: Chain, table: Table): string | undefined {
  return originOfRule(rule, chain.name, table.nft ?? table.name)?.by;
}

function ruleFault(ns: Namespace, table: Table, d: DeadRule): Fault | undefined {
  const { chain, rule, by, kind } = d;
  const maker = makerOf(rule, chain, table);
  const isOwn = maker !== undefined && by.every((r) => makerOf(r, chain, table) === maker);
  const isSame = kind !== 'impossible' && by.every((r) => sameActions(r, rule));
  // a program that says the same twice means no harm, and nobody can keep it from it
  if (isOwn && isSame) return undefined;
  const isNoAction = rule.then.every((s) => s.kind === 'note');
  const translates = rule.then.some((s) => isNat(s) || s.kind === 'translate');
  const code: FaultCode = kind === 'repeated' ? 'duplicate-rule' : translates ? 'dead-nat' : kind === 'shadowed' ? 'dead-rule' : 'never-matches';
  const where = `${table.nft ?? table.name} ${chain.name} ${rule.number}`;
  const takers = by.map((r) => r.number).join(', ');
  const message =
    kind === 'impossible'
      ? `${where} never matches: its conditions exclude each other${translates ? ', and nothing is translated by it' : ''}`
      : kind === 'repeated'
        ? `${where} repeats ${chain.name} ${takers}`
        : `${where} is never reached: ${chain.name} ${takers} ${by.length > 1 ? 'have' : 'has'} decided about all of its packets${isSame ? ', in the same way' : ''}`;
  return {
    severity: isOwn || isSame || isNoAction ? 'note' : 'warning',
    code,
    node: ns.node,
    namespace: ns.name,
    message,
    at: rule.at,
    because: by.map((r) => r.at),
    rule: rule.text,
  };
}

/** Chains that nobody gets to; those that only such a chain leads to are told with it. */
function chainFaults(ns: Namespace, table: Table, lost: readonly Chain[]): readonly Fault[] {
  const names = new Set(lost.map((c) => c.name));
  const below = new Map(
    lost.map((c) => [c.name, new Set(c.rules.flatMap((r) => leadsTo(r, table) ?? []).filter((n) => names.has(n) && n !== c.name))]),
  );
  const led = new Set([...below.values()].flatMap((s) => [...s]));
  return lost.flatMap((chain): Fault[] => {
    if (led.has(chain.name)) return [];
    const label = table.nft ?? table.name;
    const maker = originOfChain(chain.name, label)?.by;
    const all = closure(chain.name, below);
    const rules = lost.filter((c) => all.has(c.name)).flatMap((c) => c.rules);
    // a canary, a chain that waits for rules
    if (rules.length === 0 && maker !== undefined) return [];
    const decides = (r: Rule): boolean =>
      r.then.some((s) => isNat(s) || s.kind === 'reject' || s.kind === 'translate' || (s.kind === 'verdict' && s.verdict !== 'return'));
    // a program's routine waits for rules that call it, and its chain for one service stays when the service has gone
    const isSpare = maker !== undefined && (rules.every((r) => !decides(r) || isForAll(r.match)) || /-[A-Z0-9]{16}$/.test(chain.name));
    const more = all.size > 1 ? `, nor to ${all.size - 1} ${all.size > 2 ? 'chains' : 'chain'} that only it leads to` : '';
    const what = rules.length === 0 ? 'which has no rules' : `${rules.length} ${rules.length > 1 ? 'rules' : 'rule'}`;
    return [
      {
        severity: rules.some(decides) && !isSpare ? 'warning' : 'note',
        code: 'unreached-chain',
        node: ns.node,
        namespace: ns.name,
        message: `no packet gets to ${label} ${chain.name}${maker === undefined ? '' : ` (${maker})`}${more}: no rule that is reached leads there (${what})`,
        at: chain.at,
        because: [],
      },
    ];
  });
}

function closure(from: string, below: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> {
  const out = new Set([from]);
  for (const name of out) for (const next of below.get(name) ?? []) out.add(next);
  return out;
}
