// A rule that somebody types for iptables: read as a captured one is, and refused in the words of iptables.
import { readSave } from '../iptables-parser/index.ts';
import { protect } from '../iptables-parser/words.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { Backend, Pred, Rule } from '../model/ruleset.ts';
import type { Family } from '../net/addr.ts';
import type { Refusal } from './edit.ts';
import type { TableDraft } from './editdraft.ts';

/** Which tables a command is about, and how the tool that carries it out speaks. */
export interface Desk {
  readonly ns: Namespace;
  /** `iptables`, `ip6tables-restore`: what the tool calls itself. */
  readonly program: string;
  readonly family: Family;
  readonly backend: Backend;
  /** The table's name. */
  readonly table: string;
  /** The line of a text for iptables-restore; 0 for a command. */
  readonly line: number;
}

/** A refusal as iptables says it. */
export function refuse(desk: Desk, text: string, hint?: string): Refusal {
  const where = desk.line > 0 ? ` line ${desk.line} failed:` : '';
  return { refused: `${desk.program}:${where} ${text}`, ...(hint !== undefined && { hint }) };
}

/** Rules as read; `invalid` is why only the kernel would refuse them. */
export interface Typed {
  readonly rules: readonly Rule[];
  readonly invalid?: string;
}

/** The rules (several where -s or -d has a list) that the words `spec` make in a chain. */
export function readRules(desk: Desk, draft: TableDraft, chain: string, spec: string, words: readonly string[], at: Span): Typed | Refusal {
  // only chains that the words may mean: a table may have 40,000
  // a rule of a chain that is not there is read all the same: what iptables says of its words comes first
  const home = draft.chain(chain) ? chain : '?';
  const named = [...new Set([home, ...words.filter((w) => draft.chain(w))])];
  const head = `*${desk.table}\n${named.map((n) => `:${protect(n)} - [0:0]\n`).join('')}`;
  // of each rule its own file, for the state that is kept for a rule by its place
  const file = `${at.file}:${at.line}:${desk.line}`;
  const read = readSave(`${head}-A ${protect(home)} ${spec}\nCOMMIT\n`, { file, family: desk.family, backend: desk.backend });
  const invalid = read.findings.find(
    (f) => f.code === 'refused' && INVALID.test(f.message) && !(desk.backend === 'nft' && / needs -p /.test(f.message)),
  );
  const wrong = read.findings.find((f) => f.severity !== 'note' && f !== invalid);
  if (wrong) return refuse(desk, told(wrong, desk), wrong.hint);
  const rules = (read.tables[0]?.chains[home]?.rules ?? []).map((r): Rule => ({ ...r, at }));
  const absent = rules.flatMap((r) => setsIn(r.match)).find((s) => desk.ns.captured.sets && !Object.hasOwn(desk.ns.sets, s));
  if (absent !== undefined) return refuse(desk, `Set ${absent} doesn't exist.`);
  return { rules, ...(invalid && { invalid: invalid.message }) };
}

/** What iptables passes on, and the kernel refuses: xt_check_match() and xt_check_target(), net/netfilter/x_tables.c. */
const INVALID = / works in | cannot stand in | needs -p |: \w+ cannot be used in /;

function setsIn(p: Pred): string[] {
  if (p.kind === 'all' || p.kind === 'any') return p.of.flatMap(setsIn);
  return p.kind === 'not' ? setsIn(p.of) : p.kind === 'member' ? [p.set] : [];
}

/** What the reader found wrong, as iptables puts it; what it has no sentence for stays in the reader's words. */
function told(f: Finding, { backend }: Desk): string {
  const word = f.line !== undefined && f.at.column !== undefined ? f.line.slice(f.at.column - 1, f.at.column - 1 + (f.at.length ?? 0)) : '';
  const name = / (?:target|chain) (\S+) is not/.exec(f.message)?.[1] ?? '';
  const wants = /^(-\S+) wants /.exec(f.message);
  if (wants) return `option "${wants[1]}" requires an argument`;
  switch (f.code) {
    case 'unknown-match':
      return `Couldn't load match \`${word}':No such file or directory`;
    case 'unknown-target':
    case 'no-such-chain':
      if (backend === 'nft') return `Chain '${name}' does not exist`;
      return new RegExp(`(?:-g|--goto)[ =]*${escaped(name)}\\b`).test(f.line ?? '')
        ? `goto '${name}' is not a chain`
        : `Couldn't load target \`${name}':No such file or directory`;
    case 'unknown-option':
      return `unknown option "${word}"`;
    case 'refused': {
      const why = f.message.replace('iptables would refuse this rule: ', '');
      const side = /^(-\S+) cannot be used in (\S+)/.exec(why);
      const foreign = /^(\S+?)(?:\/\d+)? is no IPv\d address/.exec(why);
      if (foreign) return `host/network \`${foreign[1]}' not found`;
      if (side) return `Can't use ${side[1]} with ${side[2]}`;
      const needs = /^-[mj] (\S+) needs (--\S+)/.exec(why);
      if (needs) return `${needs[1]}: option "${needs[2]}" must be specified`;
      const proto = /^-m (\S+) needs -p (\S+)/.exec(why);
      if (proto) return `${proto[1]!.toUpperCase()} match requires '-p ${proto[2]}'`;
      return why;
    }
    case 'bad-rule':
      return /'(.*)' belongs to no option/.test(f.message) ? `Bad argument \`${word}'` : f.message;
    case 'bad-value': {
      const at = (f.at.column ?? 1) - 1;
      const start = (f.line ?? '').lastIndexOf(' ', at) + 1;
      const before = (f.line ?? '').slice(0, start).trimEnd();
      const whole = (f.line ?? '').slice(start).split(' ', 1)[0];
      if (/(?:-p|--protocol)[= ]?$/.test(before)) return `unknown protocol "${whole}" specified`;
      if (/(?:-[sd]|--source|--destination|--src|--dst)[= ]?$/.test(before)) return `host/network \`${whole}' not found`;
      return f.message;
    }
    default:
      return f.message;
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
