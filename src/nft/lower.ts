// A ruleset of nft lowered to the model: its tables, what each rule asks and does, and what its sets hold.
import { Report } from '../iptables-parser/report.ts';
import type { Finding, Severity, Span } from '../model/finding.ts';
import type { NftElement, NftSet, NftVerdict, ValueRange } from '../model/operand.ts';
import type { Chain, ChainType, Hook, Pred, Rule, Statement, Table } from '../model/ruleset.ts';
import type { Family } from '../net/addr.ts';
import type { Datatype } from './datatype.ts';
import { gateOf, lowerStatement } from './action.ts';
import { rangeOf, typesOf, type Context } from './operand.ts';
import { printDeclaration, printRule } from './print.ts';
import { printElement, printExpression } from './printexpr.ts';
import { lowerMatch } from './relation.ts';
import type { ChainSyntax, ElementSyntax, ExprSyntax, NftFamily, RuleSyntax, RulesetSyntax, SetSyntax, TableSyntax } from './syntax.ts';

/** Rules that iptables-nft shows in its own words, for those that nft cannot show. */
export type Saved = (family: NftFamily, table: string, chain: string, number: number) => Rule | undefined;

/** A base chain that is not followed: of bridges or ARP, or of a hook or priority that is not understood (hook '' where not even that is known). */
export interface Unfollowed {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  readonly hook: string;
  readonly at: Span;
}

export interface LoweredRuleset {
  readonly tables: readonly Table[];
  readonly unfollowed: readonly Unfollowed[];
}

const HOOKS: Readonly<Record<string, Hook>> = {
  ingress: 'INGRESS',
  prerouting: 'PREROUTING',
  input: 'INPUT',
  forward: 'FORWARD',
  output: 'OUTPUT',
  postrouting: 'POSTROUTING',
  egress: 'EGRESS',
};
const FAMILIES: Readonly<Record<NftFamily, readonly Family[]>> = { ip: [4], ip6: [6], inet: [4, 6], netdev: [4, 6], arp: [], bridge: [] };
const IPTABLES = /^(?:raw|mangle|nat|filter|security)$/;

/** Lowers what was read of a listing. What is not understood is told to `findings`: of the elements of a set, when they are asked for. */
export function lowerRuleset(ruleset: RulesetSyntax, findings: Finding[], saved?: Saved): LoweredRuleset {
  const tables: Table[] = [];
  const unfollowed: Unfollowed[] = [];
  const report = new Report(findings);
  for (const syntax of ruleset.tables) {
    const { family, name } = syntax;
    if (FAMILIES[family].length === 0) {
      for (const c of syntax.chains)
        if (c.base && (c.rules.length > 0 || c.base.policy === 'drop'))
          unfollowed.push({ family, table: name, chain: c.name, hook: c.base.hook, at: c.at });
      continue;
    }
    if (!syntax.flags.includes('dormant'))
      for (const c of syntax.chains) {
        const hook = c.unread ? (c.unread.hook ?? '') : c.base && !HOOKS[c.base.hook] ? '' : undefined;
        if (hook !== undefined) unfollowed.push({ family, table: name, chain: c.name, hook: HOOKS[hook] ? hook : '', at: c.at });
      }
    const lowered = new TableLowerer(syntax, report, saved).table();
    const isIptables = isOfIptables(syntax);
    for (const f of FAMILIES[family]) tables.push({ backend: 'nft', family: f, name, ...lowered, ...(!isIptables && { nft: `${family} ${name}` }) });
  }
  return { tables, unfollowed };
}

type Elements = Pick<NftSet, 'elements' | 'incomplete'>;

/** A table that iptables-nft makes and fills. */
function isOfIptables({ family, name }: TableSyntax): boolean {
  return (family === 'ip' || family === 'ip6') && IPTABLES.test(name);
}

/** A table without a prototype. */
function record<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  const out = Object.create(null) as Record<string, T>;
  for (const [name, value] of entries) out[name] = value;
  return out;
}

class TableLowerer {
  readonly #syntax: TableSyntax;
  readonly #told: Report;
  readonly #saved: Saved | undefined;
  readonly #context: Context;
  readonly #isIptables: boolean;
  #rule: { readonly at: Span; readonly text: string } = { at: { file: '', line: 0 }, text: '' };

  constructor(syntax: TableSyntax, told: Report, saved: Saved | undefined) {
    this.#syntax = syntax;
    this.#told = told;
    this.#saved = saved;
    this.#isIptables = isOfIptables(syntax);
    const family = { family: syntax.family };
    this.#context = {
      ...family,
      sets: record(syntax.sets.map((s) => [s.name, { syntax: s, types: typesOf(s.key, family), data: typesOf(s.data, family) }] as const)),
      anonymous: (set, key, data) => ({ name: '', at: this.#rule.at, ...this.#elements(set.elements, key, data, this.#rule.at), dynamic: false }),
      odd: (why) => this.#report('warning', 'not-understood-nft', why, this.#rule.at, this.#rule.text),
    };
  }

  #report(
    severity: Severity,
    code: string,
    message: string,
    at: Span,
    line: string,
    hint = 'the rule is kept; where it could decide, the answer says so',
  ): void {
    this.#told.tell({ severity, code, message, at, line: line.slice(0, 200), hint });
  }

  table(): Pick<Table, 'chains' | 'sets'> {
    const isDormant = this.#syntax.flags.includes('dormant');
    if (isDormant)
      this.#report(
        'note',
        'dormant-table',
        `the table ${this.#syntax.family} ${this.#syntax.name} is dormant: its chains do nothing`,
        this.#syntax.at,
        '',
      );
    return {
      chains: record(this.#syntax.chains.map((c) => [c.name, this.#chain(c, isDormant)] as const)),
      sets: record(this.#syntax.sets.map((s) => [s.name, this.#set(s)] as const)),
    };
  }

  #chain(c: ChainSyntax, isDormant: boolean): Chain {
    const hook = c.base && HOOKS[c.base.hook];
    if (c.base && !hook) this.#report('warning', 'unknown-hook', `the hook ${c.base.hook} is not known`, c.at, c.name);
    return {
      name: c.name,
      rules: c.rules.map((r, i) => this.#lower(r, c.name, i + 1)),
      at: c.at,
      ...(c.incomplete !== undefined && { incomplete: c.incomplete }),
      ...(c.base &&
        hook &&
        !isDormant && {
          base: {
            hook,
            policy: c.base.policy,
            priority: c.base.priority,
            type: c.base.type as ChainType,
            ...(c.base.devices && { devices: c.base.devices }),
          },
        }),
    };
  }

  #lower(r: RuleSyntax, chain: string, number: number): Rule {
    // a comment of iptables is a match that always holds
    if (r.statements.some((s) => s.kind === 'xt' && s.name !== 'comment')) {
      const known = this.#saved?.(this.#syntax.family, this.#syntax.name, chain, number);
      if (known) return known;
    }
    const text = r.text === '' ? printRule(r) : r.text;
    this.#rule = { at: r.at, text };
    const match: Pred[] = [];
    const then: Statement[] = [];
    let acted = false;
    for (const s of r.statements) {
      // a second blank hides something of iptables in its own tables; in others somebody's hand wrote it
      if (s.kind === 'xt' && s.name === undefined && !this.#isIptables) continue;
      const done: readonly Statement[] =
        s.kind === 'match' ? lowerMatch(s, this.#context).map((pred): Statement => ({ kind: 'if', pred })) : lowerStatement(s, this.#context);
      for (const d of done) {
        // a counter or a log changes nothing that a later condition could see
        if (d.kind === 'if' && !d.idle && !acted) match.push(d.pred);
        else {
          then.push(d);
          acted ||= d.kind !== 'note';
        }
      }
    }
    const of = { number, match: { kind: 'all', of: match } as const, then, at: r.at, ...(r.handle !== undefined && { handle: r.handle }) };
    return r.comment === undefined ? { ...of, text } : { ...of, text: `${text} comment "${r.comment}"`, comment: r.comment };
  }

  #set(s: SetSyntax): NftSet {
    const { types, data } = this.#context.sets[s.name]!;
    let lowered: Elements | undefined;
    const lower = (): Elements => (lowered ??= this.#elements(s.elements, types, data, s.at));
    return {
      name: s.name,
      at: s.at,
      get elements() {
        return lower().elements;
      },
      get incomplete() {
        return s.incomplete ?? lower().incomplete;
      },
      dynamic: s.flags.includes('dynamic'),
      ...(s.size !== undefined && { size: s.size }),
      ...(s.timeout !== undefined && { timeout: s.timeout }),
      declared: printDeclaration(s),
    };
  }

  /** An element of which only the verdict is not understood is there, without one. */
  #elements(list: readonly ElementSyntax[], types: readonly Datatype[], data: readonly Datatype[], at: Span): Elements {
    const elements = list.flatMap((e): NftElement[] => {
      const text = printElement(e);
      const key = e.key.kind === 'any' ? undefined : rangesOf(e.key, types);
      const gives = e.data && (e.data.kind === 'verdict' ? verdictOf(e.data) : rangesOf(e.data, data));
      if (key?.includes(undefined) || (Array.isArray(gives) && gives.includes(undefined))) {
        this.#report('warning', 'not-understood-nft', `the element '${text}' is not understood`, e.at ?? at, text, 'what it covers stays unknown');
        return [];
      }
      const gate = gateOf(e);
      return [
        {
          ...(key && { key: key as readonly ValueRange[] }),
          text,
          at: e.at ?? at,
          ...(gives && (Array.isArray(gives) ? { data: gives as readonly ValueRange[] } : { verdict: gives })),
          ...(e.expires !== undefined && { expires: e.expires }),
          ...(gate !== undefined && { gate }),
        },
      ];
    });
    const missing = list.length - elements.length;
    return {
      elements,
      incomplete: missing === 0 ? undefined : `${missing} of ${list.length} elements ${missing === 1 ? 'is' : 'are'} not understood`,
    };
  }
}

function rangesOf(e: ExprSyntax, types: readonly Datatype[]): (ValueRange | undefined)[] {
  const parts = e.kind === 'concat' ? e.of : [e];
  return parts.map((part, i) => rangeOf(part, types[i] ?? guess(part)));
}

/** The type of a word of which nothing says it. */
function guess(e: ExprSyntax): Datatype {
  const word = e.kind === 'prefix' ? printExpression(e.addr) : e.kind === 'range' ? printExpression(e.from) : printExpression(e);
  if (/^\d+\.\d+\.\d+\.\d+$/.test(word)) return 'ipv4_addr';
  return /^(?:[\da-f]{1,2}:){5}[\da-f]{1,2}$/i.test(word) ? 'ether_addr' : word.includes(':') ? 'ipv6_addr' : 'inet_service';
}

function verdictOf(e: ExprSyntax & { kind: 'verdict' }): NftVerdict | undefined {
  if (e.verdict === 'jump' || e.verdict === 'goto') return { kind: e.verdict, chain: e.chain };
  return e.verdict === 'queue' ? undefined : { kind: e.verdict };
}
