// What a capture shows of machinery that is not modelled yet, just enough to say so where it decides: base chains of nft tables
// that iptables knows nothing of.
import type { ForeignChain } from '../model/host.ts';
import type { Hook } from '../model/ruleset.ts';
import { linesOf } from './source.ts';

const HOOKS: Readonly<Record<string, Hook>> = {
  prerouting: 'PREROUTING',
  input: 'INPUT',
  forward: 'FORWARD',
  output: 'OUTPUT',
  postrouting: 'POSTROUTING',
};
const IPTABLES = /^(?:ip|ip6) (?:raw|mangle|nat|filter|security)$/;

/** Base chains of `nft list ruleset` that have rules or drop. With `all`, also those that iptables-nft made. */
export function readForeignChains(text: string, file: string, all: boolean): ForeignChain[] {
  return /^\ufeff?\s*\{/.test(text) ? fromJson(text, file, all) : fromText(text, file, all);
}

function fromText(text: string, file: string, all: boolean): ForeignChain[] {
  const out: ForeignChain[] = [];
  let table = '';
  let chain: { name: string; hook?: Hook; at: ForeignChain['at']; says: boolean } | undefined;
  for (const line of linesOf(text)) {
    const words = line.text.trim();
    const open = /^table (\S+ \S+) \{/.exec(words);
    const inner = /^chain (\S+) \{/.exec(words);
    if (open) table = open[1]!;
    else if (inner) chain = { name: inner[1]!, at: { file, line: line.number }, says: false };
    else if (words === '}' && chain) {
      if (chain.hook && chain.says && isRelevant(table, all))
        out.push({ name: `${table} ${chain.name}`, family: familyOfTable(table), hook: chain.hook, at: chain.at });
      chain = undefined;
    } else if (chain && words !== '') {
      const hook = /^type \S+ hook (\w+)/.exec(words);
      const known = hook && HOOKS[hook[1]!];
      if (known) chain.hook = known;
      if (/policy drop/.test(words) || !hook) chain.says = true;
    }
  }
  return out;
}

function fromJson(text: string, file: string, all: boolean): ForeignChain[] {
  let items: readonly Record<string, Record<string, unknown> | undefined>[];
  try {
    const parsed = JSON.parse(text) as { nftables?: typeof items };
    items = Array.isArray(parsed.nftables) ? parsed.nftables : [];
  } catch {
    return [];
  }
  const ruled = new Set(items.flatMap(({ rule }) => (rule ? [`${String(rule['family'])} ${String(rule['table'])} ${String(rule['chain'])}`] : [])));
  return items.flatMap(({ chain }) => {
    const hook = chain && HOOKS[String(chain['hook'])];
    if (!chain || !hook) return [];
    const table = `${String(chain['family'])} ${String(chain['table'])}`;
    const name = `${table} ${String(chain['name'])}`;
    return isRelevant(table, all) && (ruled.has(name) || chain['policy'] === 'drop')
      ? [{ name, family: familyOfTable(table), hook, at: { file, line: 1 } }]
      : [];
  });
}

function isRelevant(table: string, all: boolean): boolean {
  return /^(?:ip|ip6|inet) /.test(table) && (all || !IPTABLES.test(table));
}

function familyOfTable(table: string): ForeignChain['family'] {
  return table.startsWith('inet ') ? 'both' : table.startsWith('ip6 ') ? 6 : 4;
}
