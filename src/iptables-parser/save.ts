// iptables-save text (and `iptables -S` lines, and the commands people paste) as a tree, and back.
import type { Family } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { Backend, Counters } from '../model/ruleset.ts';
import { findTarget } from './registry.ts';
import { Report, type Line } from './report.ts';
import { readCommand, type Shared } from './rule.ts';
import { parseCounters, printRule, type Command, type RuleSyntax } from './syntax.ts';
import { protect, splitWords, type Token } from './words.ts';

export interface ChainSyntax {
  readonly name: string;
  /** Of a base chain; a user chain has none. */
  readonly policy?: 'ACCEPT' | 'DROP';
  readonly counters?: Counters;
  readonly rules: readonly RuleSyntax[];
  readonly at: Span;
  /** False for a chain that rules are added to and that nothing declares. */
  readonly isDeclared: boolean;
  /** Why rules may be missing at its end. */
  readonly incomplete?: string;
}

export interface TableSyntax {
  /** Empty for lines that stand in no table, as `iptables -S` prints them. */
  readonly name: string;
  readonly chains: readonly ChainSyntax[];
  readonly at: Span;
  /** What printed it: `iptables-nft-save v1.8.9 (nf_tables)`. */
  readonly generator?: string;
  readonly backend?: Backend;
  /** Where the text says ip6tables, or is of commands that begin with iptables or ip6tables. */
  readonly family?: Family;
}

export interface SaveTree {
  readonly tables: readonly TableSyntax[];
  readonly findings: readonly Finding[];
  /** Lines and rules read. */
  readonly lines: number;
  readonly rules: number;
}

interface ChainDraft {
  readonly name: string;
  policy?: 'ACCEPT' | 'DROP';
  counters?: Counters;
  readonly rules: RuleSyntax[];
  readonly at: Span;
  isDeclared: boolean;
}

interface Header {
  readonly generator: string;
  readonly backend: Backend;
  readonly family?: Family;
}

/** The built-in chains of each table, in the order iptables-save prints them. */
export const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};
const TABLE = /^[\w-]{1,31}$/;
/** The longest line that is read; no kernel keeps a longer rule. */
const LONGEST = 4 * 1024 * 1024;
/** `-s A,B -d C,D` is four rules; more than this is refused. */
const MOST_COPIES = 1024;

/** Reads the whole text into a tree; never throws. */
export function parseSave(text: string, file: string): SaveTree {
  const tables: TableSyntax[] = [];
  const report = new Report();
  const { lines, rules } = readTables(text, file, report, (t) => tables.push(t));
  return { tables, findings: report.findings, lines, rules };
}

/** Hands on table after table, so that nobody need hold the trees of all. */
export function readTables(
  text: string,
  file: string,
  report: Report,
  onTable: (table: TableSyntax) => void,
): { readonly lines: number; readonly rules: number } {
  const reader = new SaveReader(file, report, onTable);
  let number = 0;
  for (let start = 0; start < text.length;) {
    let end = text.indexOf('\n', start);
    const isWhole = end >= 0;
    if (!isWhole) end = text.length;
    const last = end > start && text.charCodeAt(end - 1) === 13 ? end - 1 : end;
    number++;
    if (last > start) reader.line({ file, number, text: text.slice(start, Math.min(last, start + LONGEST + 1)) }, isWhole);
    start = end + 1;
  }
  reader.end(number);
  return { lines: number, rules: reader.rules };
}

/** A table while it is read. */
interface TableDraft {
  /** '' until the rules tell. */
  readonly name: string;
  readonly at: Span;
  readonly chains: Map<string, ChainDraft>;
  readonly family: Family | undefined;
  /** Made of lines that stand in no `*table`. */
  readonly isLoose: boolean;
  /** `iptables -S` prints policies, then chains, then rules: a policy after a rule begins another table. */
  sawRule: boolean;
}

/** The tables that are being read: one, or, of lines outside any `*table`, as many as `-t` names. */
class SaveReader {
  rules = 0;
  readonly #file: string;
  readonly #report: Report;
  readonly #onTable: (table: TableSyntax) => void;
  #header: Header | undefined;
  #table: TableDraft | undefined;
  /** Loose tables by family and name, `#table` among them. */
  readonly #loose = new Map<string, TableDraft>();
  readonly #shared: Shared = new Map();

  constructor(file: string, report: Report, onTable: (table: TableSyntax) => void) {
    this.#file = file;
    this.#report = report;
    this.#onTable = onTable;
  }

  line(line: Line, isWhole: boolean): void {
    const { text } = line;
    if (text.length > LONGEST)
      return this.#report.add('error', 'not-understood', `a line of more than ${LONGEST} characters`, { ...line, text: text.slice(0, 80) });
    let from = 0;
    while (from < text.length && (text[from] === ' ' || text[from] === '\t')) from++;
    if (from === text.length) return;
    if (!isWhole && this.#table?.isLoose === false && text !== 'COMMIT' && text[from] !== '#') {
      return this.#report.add('warning', 'truncated', 'the text ends within this line, which is left out', line, {
        hint: 'capture it again, to its last COMMIT',
      });
    }
    switch (text[from]) {
      case '#':
        return this.#comment(line);
      case '*':
        return this.#star(line, text.slice(from + 1).trim());
      case ':':
        return this.#chain(line, from);
      case 'C':
        if (text.startsWith('COMMIT', from) && text.slice(from + 6).trim() === '') return this.#commit(line);
        break;
      case '[':
      case '-':
        return this.#rule(line, from);
      default:
        break;
    }
    const command = /^\s*(?:sudo\s+)?(?:\/\S*\/)?(ip6?tables)(-legacy|-nft)?(?=\s)/.exec(text);
    if (!command) return this.#report.add('error', 'not-understood', 'this line is nothing that iptables-save prints', line);
    // A command without -t is of the table filter.
    if (this.#table?.isLoose !== false) this.#enter(line, 'filter', command[1] === 'ip6tables' ? 6 : 4);
    this.#rule(line, command[0].length);
  }

  end(lines: number): void {
    if (this.#table?.isLoose === false) {
      const last: Line = { file: this.#file, number: Math.max(1, lines), text: '' };
      this.#report.add('warning', 'truncated', `the table ${this.#table.name} ends without COMMIT: what follows is missing`, last, {
        hint: 'capture it again, to its last COMMIT',
      });
    }
    this.#close(true);
  }

  // `# Generated by iptables-nft-save v1.8.9 (nf_tables) on ...` speaks for itself. `xtables-save` was the nft tool of 1.8.2.
  // From 1.8.8 on the nft tool says that it is one; before 1.8 there was legacy only; between, a header may be of either.
  #comment(line: Line): void {
    const m = /^\s*# Generated by ((?:ip(6?)tables(-legacy|-nft)?|xtables)-save v?(\d+)\.(\d+)(?:\.(\d+))?[\w.]*(?: \((nf_tables|legacy)\))?)/.exec(
      line.text,
    );
    if (m) {
      const [, generator = '', six, tool, major, minor, patch, said] = m;
      const version = Number(major) * 10000 + Number(minor) * 100 + Number(patch ?? 0);
      const isNft = said === 'nf_tables' || tool === '-nft' || generator.startsWith('xtables');
      const isLegacy = said === 'legacy' || tool === '-legacy' || version < 10800 || version >= 10808;
      this.#header = { generator, backend: isNft ? 'nft' : isLegacy ? 'legacy' : 'unknown', ...(six === '6' && { family: 6 as const }) };
      return;
    }
    const other = /# Warning: (ip6?tables-legacy) tables present/.exec(line.text);
    if (other) {
      this.#report.add('note', 'other-backend', 'the host has legacy tables beside these', line, { hint: `capture ${other[1]}-save too` });
      return;
    }
    const foreign = /# Table `(.*)' is incompatible/.exec(line.text);
    if (foreign)
      this.#report.add('warning', 'incompatible-table', `the table ${foreign[1]} holds rules that iptables cannot print`, line, {
        hint: 'capture nft list ruleset',
      });
  }

  #star(line: Line, name: string): void {
    if (this.#table?.isLoose === false)
      this.#report.add('warning', 'missing-commit', `the table ${this.#table.name} was not ended with COMMIT`, line);
    this.#close(true);
    if (!TABLE.test(name)) return this.#report.add('error', 'not-understood', `'*${name.slice(0, 40)}' names no table`, line);
    this.#table = { name, at: { file: line.file, line: line.number }, chains: new Map(), family: undefined, isLoose: false, sawRule: false };
  }

  /** The table that a line outside any `*table` belongs to: the one -t names, or the one before, or a new one. */
  #enter(line: Line, name: string, family?: Family): TableDraft {
    const now = this.#table;
    if (now?.isLoose === false) return now;
    if (name !== '' && !TABLE.test(name)) {
      this.#report.add('error', 'not-understood', `'${name.slice(0, 40)}' names no table`, line);
      return this.#enter(line, '', family);
    }
    const of = family ?? now?.family;
    if (now && now.family === of && (name === '' || name === now.name)) return now;
    const key = `${of ?? ''} ${name}`;
    const old = this.#loose.get(key);
    const table = old ?? { name, at: { file: line.file, line: line.number }, chains: new Map(), family: of, isLoose: true, sawRule: false };
    this.#loose.set(key, table);
    this.#table = table;
    return table;
  }

  #commit(line: Line): void {
    if (!this.#table) return this.#report.add('warning', 'not-understood', 'COMMIT without a table', line);
    this.#close();
  }

  // `:NAME POLICY [packets:bytes]`
  #chain(line: Line, from: number): void {
    const table = this.#enter(line, '');
    const [name, policy, counters] = splitWords(line.text, from + 1).words;
    if (!name || !policy) return this.#report.add('error', 'not-understood', 'a chain is declared as `:NAME POLICY [packets:bytes]`', line);
    const c = declare(table, name.text, line);
    if (policy.text !== '-') c.policy = this.#policy(policy, line);
    const n = counters && parseCounters(counters.text);
    if (n) c.counters = n;
  }

  #policy(t: Token, line: Line): 'ACCEPT' | 'DROP' {
    if (t.text === 'ACCEPT' || t.text === 'DROP') return t.text;
    this.#report.add('error', 'bad-value', `'${t.text.slice(0, 40)}' is no policy; taken as ACCEPT`, line, {
      place: t,
      hint: 'a policy is ACCEPT or DROP',
    });
    return 'ACCEPT';
  }

  #rule(line: Line, from: number): void {
    const { words: all, open } = splitWords(line.text, from);
    if (open !== undefined) {
      this.#report.add('error', 'open-quote', 'a quote is opened and not closed', line, {
        place: { start: open, end: line.text.length },
        hint: 'end it with "',
      });
    }
    let words = all;
    const head = words[0]?.text.startsWith('[') ? parseCounters(words[0].text) : undefined;
    if (head) words = words.slice(1);
    if (this.#verb(words, line)) return;
    const command = readCommand({ words, ...(open !== undefined && { open }) }, line, this.#report, this.#shared, head);
    if (!command) return this.#report.add('error', 'not-understood', 'a rule begins with -A CHAIN', line);
    const table = this.#enter(line, command.table ?? '');
    for (const rule of spread(command.rule)) this.#put(table, { ...command, rule }, line);
  }

  /** -P, -N and the like; true when the line was one of them. */
  #verb(words: readonly Token[], line: Line): boolean {
    let i = words.findIndex((w) => !w.quoted && /^(-[PNXFZE]|--policy|--new-chain|--new|--flush|--delete-chain|--zero|--rename-chain)$/.test(w.text));
    if (i < 0 || i > 6 || words.slice(0, i).some((w) => /^(-[AIRD]|--append|--insert|--replace|--delete)$/.test(w.text))) return false;
    const verb = words[i]!.text;
    const flag = words.findIndex((w) => w.text === '-t' || w.text === '--table');
    const named = flag >= 0 ? (words[flag + 1]?.text ?? '') : '';
    const [name, policy] = [words[++i], words[++i]];
    const isPolicy = verb === '-P' || verb === '--policy';
    const now = this.#table;
    if (isPolicy && named === '' && now?.isLoose && now.name === '' && (now.sawRule || (name && now.chains.get(name.text)?.policy !== undefined)))
      this.#close();
    const table = this.#enter(line, named, now?.family);
    if (isPolicy && name && policy) declare(table, name.text, line).policy = this.#policy(policy, line);
    else if ((verb === '-N' || verb === '--new-chain' || verb === '--new') && name) declare(table, name.text, line);
    else this.#report.add('note', 'not-understood', `${verb} changes tables that are not here; the line is left out`, line);
    return true;
  }

  #put(table: TableDraft, { op, number = 1, rule }: Command, line: Line): void {
    let c = table.chains.get(rule.chain);
    if (!c) {
      c = declare(table, rule.chain, line);
      c.isDeclared = false;
    }
    table.sawRule = true;
    if (op === 'append') c.rules.push(rule);
    else if (op === 'insert') c.rules.splice(Math.max(0, number - 1), 0, rule);
    else if (op === 'replace' && c.rules[number - 1]) c.rules[number - 1] = rule;
    else return this.#report.add('note', 'not-understood', 'this changes a rule that is not here; the line is left out', line);
    this.rules++;
  }

  /** Hands on the table, or all the loose ones; `isCut` where its COMMIT is missing, if it is one that ends with one. */
  #close(isCut = false): void {
    for (const t of this.#table?.isLoose === false ? [this.#table] : this.#loose.values()) {
      if (t.isLoose && t.chains.size === 0) continue;
      const family = t.family ?? this.#header?.family;
      this.#onTable({
        name: t.name,
        chains: isCut && !t.isLoose ? cutOff([...t.chains.values()]) : [...t.chains.values()],
        at: t.at,
        ...(this.#header && { generator: this.#header.generator, backend: this.#header.backend }),
        ...(family && { family }),
      });
    }
    this.#table = undefined;
    this.#loose.clear();
  }
}

const CUT_OFF = 'its table ends without COMMIT';

/** iptables-save prints rules chain by chain, in the order in which it declares them: from the last that has any on, some may be missing. */
function cutOff(chains: readonly ChainDraft[]): ChainSyntax[] {
  const last = chains.findLastIndex((c) => c.rules.length > 0);
  return chains.map((c, i) => (i >= last ? { ...c, incomplete: CUT_OFF } : c));
}

function declare(table: TableDraft, name: string, line: Line): ChainDraft {
  const old = table.chains.get(name);
  if (old) {
    old.isDeclared = true;
    return old;
  }
  const c: ChainDraft = { name, rules: [], at: { file: line.file, line: line.number }, isDeclared: true };
  table.chains.set(name, c);
  return c;
}

/** Which table lines without a table belong to: by the targets that only one table has, and by the policies they set. */
export function guessTable(table: TableSyntax): string {
  const names = new Set(table.chains.filter((c) => c.policy !== undefined || !c.isDeclared).map((c) => c.name));
  for (const c of table.chains) {
    for (const r of c.rules) {
      const tables = r.target && !r.target.goto ? findTarget(r.target.name)?.tables : undefined;
      if (tables?.[0] !== undefined) return tables[0];
    }
  }
  if (names.has('FORWARD') && (names.has('PREROUTING') || names.has('POSTROUTING'))) return 'mangle';
  if (names.has('POSTROUTING')) return 'nat';
  return names.has('PREROUTING') ? 'raw' : 'filter';
}

/** `-s A,B` is two rules to the kernel. */
function spread(rule: RuleSyntax): readonly RuleSyntax[] {
  let out: readonly RuleSyntax[] = [rule];
  for (const name of ['-s', '-d']) {
    const g = rule.standard[name];
    const list = g?.value as readonly unknown[] | undefined;
    if (!g || !list || list.length < 2 || g.not || out.length * list.length > MOST_COPIES) continue;
    out = out.flatMap((r) => list.map((one) => ({ ...r, standard: { ...r.standard, [name]: { value: [one], not: false } } })));
  }
  return out;
}

/** The tree as iptables-save prints it (`-c` where there are counters). */
export function printSave(tree: Pick<SaveTree, 'tables'>): string {
  const out: string[] = [];
  for (const t of tree.tables) {
    if (t.generator !== undefined) out.push(`# Generated by ${t.generator}`);
    out.push(`*${t.name === '' ? guessTable(t) : t.name}`);
    for (const c of t.chains)
      if (c.isDeclared) out.push(`:${protect(c.name)} ${c.policy ?? '-'} ${printCounters(c.counters ?? { packets: 0, bytes: 0 })}`);
    for (const c of t.chains) {
      for (const r of c.rules) out.push(`${r.counters ? `${printCounters(r.counters)} ` : ''}${printRule(r, familyIn(t) ?? 4)}`);
    }
    out.push('COMMIT');
  }
  return out.length ? `${out.join('\n')}\n` : '';
}

function printCounters(c: Counters): string {
  return `[${c.packets}:${c.bytes}]`;
}

/** The family a table says it is of, or shows by its addresses. */
export function familyIn(t: TableSyntax): Family | undefined {
  if (t.family) return t.family;
  for (const c of t.chains) {
    for (const r of c.rules) {
      for (const name of ['-s', '-d']) {
        const list = r.standard[name]?.value as readonly { readonly addr: unknown }[] | undefined;
        if (list?.[0]) return typeof list[0].addr === 'number' ? 4 : 6;
      }
      if (r.only) return r.only;
      if (r.matches.some((m) => m.name === 'icmp6' || m.name === 'hl')) return 6;
      if (
        r.target?.name === 'REJECT' &&
        typeof r.target.options['--reject-with']?.value === 'string' &&
        r.target.options['--reject-with'].value.startsWith('icmp6')
      )
        return 6;
    }
  }
  return undefined;
}
