// The nft rules of one namespace: of `nft list ruleset` in words or in JSON, beside what iptables-nft saved of its own tables.
import type { Finding, Span } from '../model/finding.ts';
import type { ForeignChain } from '../model/host.ts';
import type { Rule, Table } from '../model/ruleset.ts';
import { readNftJson } from '../nft/json.ts';
import { lowerRuleset } from '../nft/lower.ts';
import type { ChainSyntax, NftFamily, RuleSyntax, RulesetSyntax, TableSyntax } from '../nft/syntax.ts';
import { readNftText } from '../nft/text.ts';
import { isJson } from './json.ts';
import type { CaptureFile } from './namespace.ts';
import { later } from './later.ts';

/** The tables of a namespace, those of iptables-save among them. */
export interface NftTables {
  readonly tables: readonly Table[];
  readonly foreignChains: readonly ForeignChain[];
}

/**
 * Puts the listings of nft beside the tables that iptables saved. A table of iptables-nft is in both: its words are iptables' where the
 * two agree in chains and rules, else nft's, and only what nft cannot show is taken from the other. Text goes before JSON. What there is to
 * say is added to `findings`, of the elements of sets when they are asked for. Of `unreadable` listings nobody knows anything.
 */
export function readNft(
  files: readonly CaptureFile[],
  saved: readonly Table[],
  findings: Finding[],
  unreadable: readonly { readonly at: Span }[] = [],
): NftTables {
  const listed: TableSyntax[] = [];
  const lost: { readonly at: Span }[] = [...unreadable];
  for (const file of files) {
    const read = isJson(file.text) ? readNftJson(file.text, file.path) : readNftText(file.text, file.path);
    const fresh = read.tables.filter((t) => !listed.some((l) => l.family === t.family && l.name === t.name));
    if (read.tables.length === 0) lost.push(...read.findings.filter((f) => LOST.has(f.code)).slice(0, 1));
    // a second listing of what is known says nothing new, its oddities least of all
    if (fresh.length > 0 || listed.length === 0) findings.push(...read.findings);
    listed.push(...fresh);
  }
  const named = later(() => files.filter((f) => isJson(f.text)).flatMap((f) => readNftJson(f.text, f.path).tables));
  const twinOf = (family: NftFamily, name: string): Table | undefined =>
    saved.find(
      (t) => t.name === name && t.backend !== 'legacy' && !t.nft && t.family === (family === 'ip6' ? 6 : 4) && (family === 'ip' || family === 'ip6'),
    );
  const own = listed.filter((t) => {
    const twin = twinOf(t.family, t.name);
    return !twin || !isSame(t, twin);
  });
  const ruleset: RulesetSyntax = { tables: own.map((t) => withNames(t, named)), findings: [] };
  const lowered = lowerRuleset(ruleset, findings, (family, table, chain, number) => savedRule(twinOf(family, table), chain, number));
  const replaced = new Set(own.map((t) => twinOf(t.family, t.name)));
  return {
    tables: [...saved.filter((t) => !replaced.has(t)), ...lowered.tables],
    foreignChains: [
      ...lowered.unfollowed.map((c) => ({
        name: `${c.family} ${c.table} ${c.chain}`,
        why: FRAMES.has(c.family) ? `chains of the ${c.family} family are not followed` : 'its type, hook and priority are not understood',
        family: c.family,
        hook: c.hook,
        at: c.at,
      })),
      // where another listing can be read, it has what this one lost
      ...(listed.length === 0 ? lost : []).map(lostWith),
    ],
  };
}

const FRAMES: ReadonlySet<string> = new Set(['bridge', 'arp']);

/** What a listing complains of where it shows no table because it could not be captured. */
const LOST: ReadonlySet<string> = new Set(['truncated', 'bad-json', 'nft-error']);

/** What a listing that cannot be read may hold. */
function lostWith({ at }: { readonly at: Span }): ForeignChain {
  return { name: `rules of ${at.file}`, why: 'they cannot be read', family: 'inet', hook: '', at };
}

/** Whether a listing shows the chains of a saved table, with as many rules in each. */
function isSame(listed: TableSyntax, saved: Table): boolean {
  return listed.chains.every((c) => {
    const twin = Object.hasOwn(saved.chains, c.name) ? saved.chains[c.name] : undefined;
    return twin ? twin.rules.length === c.rules.length : c.rules.length === 0;
  });
}

function savedRule(saved: Table | undefined, chain: string, number: number): Rule | undefined {
  return saved && Object.hasOwn(saved.chains, chain) ? saved.chains[chain]!.rules[number - 1] : undefined;
}

/** What iptables put into rules, by the names that only JSON tells. */
export function withNames(listed: TableSyntax, json: () => readonly TableSyntax[]): TableSyntax {
  const isHidden = (r: RuleSyntax): boolean => r.statements.some((s) => s.kind === 'xt' && s.name === undefined);
  if (!listed.chains.some((c) => c.rules.some(isHidden))) return listed;
  const twin = json().find((t) => t.family === listed.family && t.name === listed.name);
  const chains = listed.chains.map((c): ChainSyntax => {
    const same = twin?.chains.find((t) => t.name === c.name)?.rules;
    if (same?.length !== c.rules.length) return c;
    return {
      ...c,
      rules: c.rules.map((r, i) => {
        const xt = same[i]!.statements.filter((s) => s.kind === 'xt');
        return isHidden(r) && xt.length === r.statements.filter((s) => s.kind === 'xt').length
          ? { ...r, statements: r.statements.map((s) => (s.kind === 'xt' ? xt.shift()! : s)) }
          : r;
      }),
    };
  });
  return { ...listed, chains };
}
