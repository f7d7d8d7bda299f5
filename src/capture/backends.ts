// Two backends in one namespace: a packet meets the rules of both at every hook, and each tool shows those of one.
import type { Family } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { NftElement } from '../model/operand.ts';
import type { Backend, Chain, Rule, Statement, Table } from '../model/ruleset.ts';
import { where } from './cluster.ts';

/** One side of a split: the tables that have a say, and a line that shows it. */
interface Side {
  readonly tables: readonly Table[];
  readonly at: Span;
  readonly line?: string;
}

/** Where both backends hold rules of one family, a finding that tells what each decides. `own` is the backend of the node's own iptables. */
export function backendSplits(tables: readonly Table[], own: Backend): Finding[] {
  return ([4, 6] as const).flatMap((family) => {
    const [legacy, nft] = [sideOf(tables, 'legacy', family), sideOf(tables, 'nft', family)];
    return legacy && nft ? [split(family, legacy, nft, own)] : [];
  });
}

function split(family: Family, legacy: Side, nft: Side, own: Backend): Finding {
  const iptables = family === 4 ? 'iptables' : 'ip6tables';
  // what is found first is what the node's own tool hides
  const hidden = own === 'legacy' ? nft : legacy;
  const message =
    `both backends hold rules of IPv${family} here, and packets meet both: ` +
    `legacy (${where(legacy.at)}) has ${told(legacy)}; nft (${where(nft.at)}) has ${told(nft)}`;
  const isForeign = nft.tables.every((t) => t.nft !== undefined);
  const showsNft = isForeign ? 'nft list ruleset' : `${iptables}-nft and nft list ruleset`;
  const shown =
    own === 'nft' && !isForeign
      ? `this node's ${iptables}, and nft list ruleset, show only those of nft, ${iptables}-legacy those of legacy`
      : own === 'legacy'
        ? `this node's ${iptables} shows only those of legacy, ${showsNft} those of nft`
        : `${iptables}-legacy shows only those of legacy, ${showsNft} those of nft`;
  const hint = `${shown}; what one accepts the other may still refuse: let all programs of the node use one backend`;
  return { severity: 'warning', code: 'backend-split', message, at: hidden.at, ...(hidden.line !== undefined && { line: hidden.line }), hint };
}

function sideOf(all: readonly Table[], backend: Backend, family: Family): Side | undefined {
  const tables = all.filter((t) => t.backend === backend && t.family === family && basesOf(t).length > 0);
  const bases = tables.flatMap((t) => basesOf(t));
  // a policy says more than a rule that jumps
  const dropping = bases.find((c) => c.base?.policy === 'drop');
  const rule = bases.find((c) => c.rules.length > 0)?.rules[0];
  const at = dropping?.at ?? rule?.at;
  return at && { tables, at, ...(!dropping && rule && { line: rule.text.slice(0, 200) }) };
}

/** The base chains of a table that have a say: more than an empty chain that accepts. */
function basesOf(table: Table): Chain[] {
  return Object.values<Chain>(table.chains).filter((c) => c.base !== undefined && (c.rules.length > 0 || c.base.policy === 'drop'));
}

/** `filter at INPUT and FORWARD (policy DROP) to accept or drop, nat at POSTROUTING to masquerade` */
function told(side: Side): string {
  const tables = side.tables.map((t) => {
    const hooks = basesOf(t).map((c) => `${c.base!.hook}${c.base!.policy === 'drop' ? ' (policy DROP)' : ''}`);
    return `${t.nft === undefined ? t.name : `table ${t.nft}`} at ${listed([...new Set(hooks)], 'and')} ${decisions(t)}`;
  });
  return tables.join(', ');
}

/** What a packet may meet in a table, and the chains on the way that hold nothing. */
function decisions(table: Table): string {
  const met = reached(table);
  const words = new Set(
    met.flatMap((c) => [...(c.base?.policy === 'drop' ? ['drop'] : []), ...c.rules.flatMap((r) => r.then.flatMap((s) => wordFor(s, table)))]),
  );
  const does = words.size === 0 ? 'to decide nothing' : `to ${listed([...words].toSorted(), 'or')}`;
  // firewalld and its like always have many
  const empty = table.nft === undefined ? met.filter((c) => !c.base && c.rules.length === 0).map((c) => c.name) : [];
  const some = empty.length > MOST ? [...empty.slice(0, MOST), `${empty.length - MOST} more`] : empty;
  return `${does}${empty.length === 0 ? '' : ` (${listed(some, 'and')} ${empty.length === 1 ? 'is' : 'are'} empty)`}`;
}

/** Of many, this many are told by name. */
const MOST = 3;

function wordFor(s: Statement, table: Table): string[] {
  switch (s.kind) {
    case 'verdict':
      return s.verdict === 'return' ? [] : [s.verdict];
    case 'reject':
    case 'dnat':
    case 'snat':
    case 'masquerade':
    case 'redirect':
    case 'notrack':
      return [s.kind];
    case 'netmap':
      return ['translate'];
    case 'translate':
      return [s.by];
    case 'set':
    case 'anymark':
      return ['mark'];
    case 'assign':
      return s.to === 'mark' || s.to === 'ctmark' ? ['mark'] : ['change'];
    case 'vmap':
      return elementsOf(s, table).flatMap(({ verdict: v }) => (v?.kind === 'accept' || v?.kind === 'drop' ? [v.kind] : []));
    default:
      return [];
  }
}

/** The chains that base chains lead to, and these themselves. */
function reached(table: Table): Chain[] {
  const open = basesOf(table);
  const met = new Set(open);
  for (let c = open.pop(); c; c = open.pop()) {
    for (const name of c.rules.flatMap((r) => leads(r, table))) {
      const next = Object.hasOwn(table.chains, name) ? table.chains[name] : undefined;
      if (!next || met.has(next)) continue;
      met.add(next);
      open.push(next);
    }
  }
  return [...met];
}

function leads(rule: Rule, table: Table): string[] {
  return rule.then.flatMap((s) => {
    if (s.kind === 'jump' || s.kind === 'goto') return [s.chain];
    if (s.kind !== 'vmap') return [];
    return elementsOf(s, table).flatMap(({ verdict: v }) => (v?.kind === 'jump' || v?.kind === 'goto' ? [v.chain] : []));
  });
}

function elementsOf({ map }: Extract<Statement, { kind: 'vmap' }>, table: Table): readonly NftElement[] {
  const set = typeof map === 'string' ? (table.sets && Object.hasOwn(table.sets, map) ? table.sets[map] : undefined) : map;
  return set?.elements ?? [];
}

function listed(words: readonly string[], last: 'and' | 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}
