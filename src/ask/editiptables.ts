// Edits by iptables and ip6tables: one command changes one table of one backend.
import { splitWords, type Token } from '../iptables-parser/index.ts';
import type { Namespace } from '../model/host.ts';
import type { Backend, Chain, Hook, Table } from '../model/ruleset.ts';
import { BUILT_IN } from '../iptables-parser/save.ts';
import type { Span } from '../model/finding.ts';
import { isRefused, type Command, type Refusal, type Tool } from './edit.ts';
import { TableDraft } from './editdraft.ts';
import { refuse, type Desk } from './editrule.ts';
import { carryOut, commit, readOrder, type Entered } from './editorder.ts';

/** Carries out iptables, ip6tables, and what iptables-restore reads, of either backend. */
export const editIptables: Tool = (ns, command, tool) => {
  const family = tool.startsWith('ip6') ? 6 : 4;
  const backend = backendOf(ns, tool);
  if (isRefused(backend)) return backend;
  const isRestore = tool.endsWith('-restore');
  const program = `ip${family === 6 ? '6' : ''}tables${isRestore ? '-restore' : ''}`;
  const desk: Desk = { ns, program, family, backend: backend.is, table: 'filter', line: 0 };
  if (!ns.captured[family === 6 ? 'rules6' : 'rules4'])
    return refuse(desk, `the rules of ${ns.node} were not captured`, `capture ${program.replace('-restore', '')}-save`);
  return isRestore ? restore(desk, command) : once(desk, command);
};

/** The backend of a name; of a plain one, what the node's own iptables is, or the only one that has tables here. */
function backendOf(ns: Namespace, tool: string): { readonly is: Backend } | Refusal {
  const tables = ns.tables.filter((t) => t.nft === undefined);
  const said = /-(legacy|nft)\b/.exec(tool)?.[1] as Backend | undefined;
  const has = (b: Backend): boolean => tables.some((t) => t.backend === b);
  // a dump that does not tell is of the backend that is asked for, where no other is
  if (said) return { is: !has(said) && has('unknown') ? 'unknown' : said };
  if (ns.iptables && (has(ns.iptables) || !has('unknown'))) return { is: ns.iptables };
  if (has('legacy') && has('nft'))
    return {
      refused: `${tool}: both backends have tables on ${ns.node}, and nothing tells which one ${tool} changes`,
      hint: `write ${tool.replace('tables', 'tables-legacy')} or ${tool.replace('tables', 'tables-nft')}`,
    };
  return { is: has('legacy') ? 'legacy' : has('nft') || tables.length < ns.tables.length ? 'nft' : 'unknown' };
}

/** `iptables [-t TABLE] COMMAND` */
function once(desk: Desk, { text, at }: Command): Namespace | Refusal {
  const line = text.split('\n', 1)[0]!;
  const words = splitWords(line).words;
  const order = readOrder(desk, line, words.slice(words.findIndex((w) => /tables(?:-legacy|-nft)?$/.test(w.text)) + 1));
  if (isRefused(order)) return order;
  const table = tableOf({ ...desk, table: order.table ?? 'filter' }, at);
  if (isRefused(table)) return table;
  const draft = new TableDraft(table, at);
  const entered: Entered[] = [];
  const own = { ...desk, table: table.name };
  return carryOut(own, draft, order, entered) ?? commit(own, draft, entered) ?? withTable(desk.ns, table, { ...table, ...draft.finish() });
}

/** The table as captured, or as the kernel makes it when it is first named. */
function tableOf(desk: Desk, at: Span): Table | Refusal {
  const { ns, table: name, family, backend } = desk;
  const found = ns.tables.find((t) => t.nft === undefined && t.name === name && t.family === family && t.backend === backend);
  if (found) return found;
  if (!Object.hasOwn(BUILT_IN, name))
    return refuse(
      desk,
      backend === 'nft'
        ? `table '${name}' does not exist`
        : `can't initialize iptables table \`${name}': Table does not exist (do you need to insmod?)`,
    );
  return { backend, family, name, chains: builtIn(name, at) };
}

function builtIn(table: string, at: Span): Record<string, Chain> {
  const chains = BUILT_IN[table]!.map((name): Chain => ({ name, rules: [], at, base: { hook: name as Hook, policy: 'accept' } }));
  return Object.fromEntries(chains.map((c) => [c.name, c]));
}

function withTable(ns: Namespace, before: Table, after: Table): Namespace {
  const tables = ns.tables.includes(before) ? ns.tables.map((t) => (t === before ? after : t)) : [...ns.tables, after];
  return { ...ns, tables };
}

/** `iptables-restore [--noflush] [-T TABLE]`: each table is changed when its COMMIT comes. */
function restore(start: Desk, { words, text, at }: Command): Namespace | Refusal {
  const options = readOptions(words);
  if (isRefused(options)) return refuse(start, options.refused, options.hint);
  let { ns } = start;
  let now: { readonly table: Table; readonly draft: TableDraft; readonly entered: Entered[] } | undefined;
  const lines = text.split('\n').slice(1);
  if (lines.length === 0) return refuse(start, 'there is nothing to restore', 'put the lines of iptables-save behind the command');
  let skips = false;
  for (const [i, raw] of lines.entries()) {
    const line = raw.replace(/\r$/, '').trim();
    const desk: Desk = { ...start, ns, table: now?.table.name ?? '', line: i + 1 };
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('*') && !now && !skips) {
      const name = line.slice(1).trim();
      skips = options.only !== undefined && options.only !== name;
      if (skips) continue;
      const table = tableOf({ ...desk, table: name }, at);
      if (isRefused(table)) return table;
      now = { table, draft: new TableDraft(options.keeps ? table : { ...table, chains: emptied(table, at) }, at), entered: [] };
    } else if (line === 'COMMIT' && (now || skips)) {
      const wrong = now && commit(desk, now.draft, now.entered);
      if (wrong) return wrong;
      if (now) ns = withTable(ns, now.table, { ...now.table, ...now.draft.finish() });
      now = undefined;
      skips = false;
    } else if (skips) continue;
    else if (!now) return refuse(desk, 'no command specified', 'a text for iptables-restore begins with *TABLE');
    else {
      const wrong = line.startsWith(':') ? declare(desk, now.draft, line, at) : obey(desk, now.draft, line, now.entered);
      if (wrong) return wrong;
    }
  }
  return now ? { refused: `${start.program}: COMMIT expected at line ${lines.length + 1}` } : ns;
}

function readOptions(words: readonly string[]): { keeps: boolean; only?: string } | Refusal {
  let keeps = false;
  let only: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '-n' || word === '--noflush') keeps = true;
    else if (word === '-T' || word === '--table') only = words[++i] ?? '';
    else if (word.startsWith('--table=')) only = word.slice(8);
    else if (word === '-t' || word === '--test') return { refused: `${word} only tests` };
    else if (word === '-w' || word === '--wait' || word === '-W') {
      if (/^\d+$/.test(words[i + 1] ?? '')) i++;
    } else if (!/^(?:-[cvwW]|--counters|--verbose|--wait.*|<<.*|<|-)$/.test(word))
      return { refused: `${word} is not read`, hint: 'put the lines of iptables-save behind the command, a line each' };
  }
  return { keeps, ...(only !== undefined && { only }) };
}

/** What a table is when a text without --noflush begins: its own chains, without rules; user chains are gone. */
function emptied(table: Table, at: Span): Record<string, Chain> {
  const bases = Object.values<Chain>(table.chains).filter((c) => c.base);
  // iptables-nft makes the table anew, the legacy one keeps the policies it has
  const policy = (c: Chain): Chain => (table.backend === 'nft' ? { ...c, base: { ...c.base!, policy: 'accept' } } : c);
  return Object.fromEntries(bases.map((c) => [c.name, { ...policy(c), rules: [], at }]));
}

/** `:NAME POLICY [packets:bytes]` */
function declare(desk: Desk, draft: TableDraft, line: string, at: Span): Refusal | undefined {
  const [name, policy] = splitWords(line, 1).words.map((w: Token) => w.text);
  if (name === undefined || policy === undefined) return refuse(desk, 'no policy', 'a chain is declared as `:NAME POLICY [packets:bytes]`');
  const chain = draft.chain(name);
  if (!chain?.base) draft.put({ name, rules: [], at });
  else if (policy === 'ACCEPT' || policy === 'DROP') draft.setPolicy(chain, policy === 'DROP' ? 'drop' : 'accept');
  return undefined;
}

function obey(desk: Desk, draft: TableDraft, line: string, entered: Entered[]): Refusal | undefined {
  const words = splitWords(line).words;
  const counted = words[0]?.text.startsWith('[') ? words.slice(1) : words;
  const order = readOrder(desk, line, counted);
  if (isRefused(order)) return order;
  return carryOut(desk, draft, order, entered);
}
