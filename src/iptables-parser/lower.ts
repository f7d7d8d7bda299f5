// The tree of an iptables-save text, lowered to the model: what each rule asks and does.
import type { Family } from '../net/addr.ts';
import { formatProtocol } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { Backend, Chain, Hook, Pred, Rule, Statement, Table } from '../model/ruleset.ts';
import { standard } from './addr.ts';
import { has, lowerOption, unknown, type Context, type Extension, type Given, type Options } from './extension.ts';
import { findMatch, findTarget } from './registry.ts';
import { Report, type Line } from './report.ts';
import { printRule, type RuleSyntax, type UsedMatch, type UsedTarget } from './syntax.ts';
import { protect } from './words.ts';
import { BUILT_IN, familyIn, guessTable, readTables, type ChainSyntax, type TableSyntax } from './save.ts';

/** Stands for an option that asks nothing, such as `-s 0.0.0.0/0`. */
const NOTHING: Pred = { kind: 'all', of: [] };
const CUT: Statement = { kind: 'opaque', as: '?', why: 'the rule is cut off within a quote, its target is lost' };

/** What the caller knows about the text. */
export interface ReadOptions {
  readonly file: string;
  readonly family?: Family;
  /** Overrules the header of the text. */
  readonly backend?: Backend;
}

export interface ReadResult {
  readonly tables: readonly Table[];
  readonly findings: readonly Finding[];
  readonly lines: number;
  readonly rules: number;
}

const HOOKS: readonly string[] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] satisfies readonly Hook[];

/** Reads iptables-save or `iptables -S` text into tables; never throws. */
export function readSave(text: string, options: ReadOptions): ReadResult {
  const report = new Report();
  const tables: Table[] = [];
  // Only a text that says nothing else tells its family by its addresses.
  const guess: Family = options.family ?? (/ -[sd] (?:! )?[0-9a-fA-F]*:[0-9a-fA-F:]/.test(text) && !/ -[sd] (?:! )?\d+\.\d/.test(text) ? 6 : 4);
  const seen = new Set<string>();
  const { lines, rules } = readTables(text, options.file, report, (syntax) => {
    const table = lowerTable(syntax, options, guess, report);
    const id = `${table.backend}/${table.family}/${table.name}`;
    if (seen.has(id)) {
      report.add('warning', 'duplicate-table', `the table ${table.name} is there twice; the later one counts`, lineAt(syntax.at.line, options.file), {
        hint: 'give each capture its own file',
      });
      tables.splice(
        tables.findIndex((t) => `${t.backend}/${t.family}/${t.name}` === id),
        1,
      );
    }
    seen.add(id);
    tables.push(table);
  });
  return { tables, findings: report.findings, lines, rules };
}

const VERDICTS = {
  accept: [{ kind: 'verdict', verdict: 'accept' }],
  drop: [{ kind: 'verdict', verdict: 'drop' }],
  return: [{ kind: 'verdict', verdict: 'return' }],
} as const;

function sharedVerdict(then: readonly Statement[]): readonly Statement[] {
  const [only] = then;
  return then.length === 1 && only?.kind === 'verdict' ? VERDICTS[only.verdict] : then;
}

function lineAt(number: number, file: string, text = ''): Line {
  return { file, number, text };
}

function lowerTable(syntax: TableSyntax, options: ReadOptions, guess: Family, report: Report): Table {
  const family = syntax.family ?? options.family ?? familyIn(syntax) ?? guess;
  const name = syntax.name === '' ? guessTable(syntax) : syntax.name;
  if (syntax.name === '') {
    report.add('note', 'table-guessed', `these lines do not say their table; taken as ${name}`, lineAt(syntax.at.line, options.file), {
      hint: 'capture iptables-save, or give -t TABLE in each line',
    });
  }
  const names = new Set(syntax.chains.map((c) => c.name));
  const chains: Record<string, Chain> = Object.create(null) as Record<string, Chain>;
  const lowerer = new TableLowerer(name, family, names, report);
  for (const c of syntax.chains) {
    const isBase = HOOKS.includes(c.name) && (c.policy !== undefined || (!c.isDeclared && (BUILT_IN[name]?.includes(c.name) ?? false)));
    if (!c.isDeclared) {
      report.add(
        'warning',
        'undeclared-chain',
        `the chain ${c.name} is not declared${isBase ? '; its policy is taken as ACCEPT' : ''}`,
        lineAt(c.at.line, options.file),
      );
    }
    chains[c.name] = {
      name: c.name,
      rules: lowerer.rules(c),
      at: c.at,
      ...(isBase && { base: { hook: c.name as Hook, policy: c.policy === 'DROP' ? ('drop' as const) : ('accept' as const) } }),
      ...(c.counters && { counters: c.counters }),
      ...(c.incomplete !== undefined && { incomplete: c.incomplete }),
    };
  }
  return { backend: options.backend ?? syntax.backend ?? 'unknown', family, name, chains };
}

/** `text` as a piece of the line it came from, where it is one: a slice costs less than a copy. */
function sliceOf(source: string, text: string): string {
  return source.endsWith(text) ? source.slice(source.length - text.length) : text;
}

/** What the rules of one table have in common while they are lowered. */
class TableLowerer {
  readonly #table: string;
  readonly #family: Family;
  readonly #chains: ReadonlySet<string>;
  readonly #report: Report;
  readonly #parts = new WeakMap<Given, Pred>();

  constructor(table: string, family: Family, chains: ReadonlySet<string>, report: Report) {
    this.#table = table;
    this.#family = family;
    this.#chains = chains;
    this.#report = report;
  }

  rules(chain: ChainSyntax): readonly Rule[] {
    const out: Rule[] = [];
    // The tree is ours alone, and of a text of hundreds of megabytes there is no room for tree and model at once.
    const tree = chain.rules as (RuleSyntax | undefined)[];
    for (const [i, r] of tree.entries()) {
      if (r && (r.only === undefined || r.only === this.#family)) out.push(this.#rule(r, out.length + 1));
      tree[i] = undefined;
    }
    return out;
  }

  #rule(r: RuleSyntax, number: number): Rule {
    const p = r.standard['-p'];
    const protocol = p && !p.not && p.value !== 0 ? (p.value as number) : undefined;
    const context: Context = {
      family: this.#family,
      table: this.#table,
      chain: r.chain,
      ...(protocol !== undefined && { protocol }),
      key: `${r.at.file}:${r.at.line}`,
    };
    const wrong = standard.check?.(r.standard, context);
    if (wrong) this.#refused(wrong.error, r, wrong.hint);
    const of = this.#own(r.standard, context);
    let comment: string | undefined;
    for (const m of r.matches) {
      if (m.name === 'comment' && typeof m.options['--comment']?.value === 'string') comment ??= m.options['--comment'].value;
      else of.push(...this.#match(m, r, context));
    }
    return {
      number,
      match: { kind: 'all', of },
      then: r.isCut ? [CUT] : r.target ? sharedVerdict(this.#target(r.target, r, context)) : [],
      text: sliceOf(r.source, printRule(r, this.#family)),
      at: r.at,
      ...(r.counters && { counters: r.counters }),
      ...(comment !== undefined && { comment }),
    };
  }

  /** What -s, -d, ... ask: one object for all rules that say the same. */
  #own(given: Options, context: Context): Pred[] {
    const of: Pred[] = [];
    for (const o of standard.options) {
      const g = given[o.name];
      if (!g) continue;
      let part = this.#parts.get(g);
      if (part === undefined) {
        part = lowerOption(o, given, context) ?? NOTHING;
        this.#parts.set(g, part);
      }
      if (part !== NOTHING) of.push(part);
    }
    return of;
  }

  #match(m: UsedMatch, r: RuleSyntax, context: Context): readonly Pred[] {
    const extension = findMatch(m.name);
    const as = [...(m.name === '' ? [] : ['-m', protect(m.name)]), ...(m.words ?? [])].join(' ');
    if (!extension || m.why !== undefined) return [{ ...unknown(as, m.why ?? `the match ${m.name} is not known`), text: as }];
    const why = this.#check(extension, m, r, context);
    if (why !== undefined) {
      const text = `-m ${m.name} ${extension.print(m.options, this.#family)}`.trimEnd();
      return [{ ...unknown(text, why), text }];
    }
    return extension.lower(m.options, context);
  }

  #target(t: UsedTarget, r: RuleSyntax, context: Context): readonly Statement[] {
    if (this.#chains.has(t.name) && (t.words ?? []).length === 0 && Object.keys(t.options).length === 0) {
      return [{ kind: t.goto ? 'goto' : 'jump', chain: t.name }];
    }
    const as = [t.goto ? '-g' : '-j', protect(t.name), ...(t.words ?? [])].join(' ');
    const extension = t.goto ? undefined : findTarget(t.name);
    if (!extension) return [this.#nowhere(t, as, r)];
    if (t.why !== undefined) return [{ kind: 'opaque', as, why: t.why }];
    const why = this.#check(extension, t, r, context);
    if (why !== undefined) return [{ kind: 'opaque', as: `-j ${t.name} ${extension.print(t.options, this.#family)}`.trimEnd(), why }];
    return extension.lower(t.options, context);
  }

  /** A jump to a chain that is not there, or a target nobody knows; the name and its words tell which is likelier. */
  #nowhere(t: UsedTarget, as: string, r: RuleSyntax): Statement {
    const isTarget = !t.goto && ((t.words ?? []).length > 0 || /^[A-Z0-9]+$/.test(t.name));
    const why = isTarget ? `the target ${t.name} is not known` : `the chain ${t.name} is not in the table ${this.#table}`;
    this.#report.add('error', isTarget ? 'unknown-target' : 'no-such-chain', why, this.#lineOf(r), {
      hint: isTarget
        ? `what it does stays open (there is no chain ${t.name} either)`
        : 'iptables-restore would refuse the table; capture it again, whole',
    });
    return { kind: 'opaque', as, why };
  }

  /** Why the options of a match or target cannot stand together or here; reported, and undefined when all is well. */
  #check(e: Extension, u: UsedMatch, r: RuleSyntax, context: Context): string | undefined {
    const label = e.kind === 'match' ? `-m ${e.name}` : `-j ${e.name}`;
    const missing = e.options.find((o) => o.required && !has(u.options, o.name));
    if (missing) {
      const why = `${label} needs ${missing.name} ${missing.value.shape}`.trimEnd();
      this.#refused(why, r);
      return why;
    }
    if (!e.families.includes(this.#family)) {
      const why = `${label} is of IPv${e.families.join(' and IPv')} only`;
      this.#refused(why, r);
      return why;
    }
    if (e.tables && !e.tables.includes(this.#table)) {
      const why = `${label} works in ${e.tables.join(' and ')} only, and this is ${this.#table}`;
      this.#refused(why, r);
      return why;
    }
    if (e.protocols && (context.protocol === undefined || !e.protocols.includes(context.protocol))) {
      const why = `${label} needs -p ${e.protocols.map(formatProtocol).join(' or ')}`;
      this.#refused(why, r);
      return why;
    }
    const bad = e.check?.(u.options, context);
    if (bad) this.#refused(bad.error, r, bad.hint);
    return bad?.error;
  }

  #refused(why: string, r: RuleSyntax, hint?: string): void {
    this.#report.add('warning', 'refused', `iptables would refuse this rule: ${why}`, this.#lineOf(r), hint === undefined ? {} : { hint });
  }

  #lineOf(r: RuleSyntax): Line {
    return { file: r.at.file, number: r.at.line, text: r.source };
  }
}
