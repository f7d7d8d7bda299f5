// What `nft list ruleset` prints, and its parts (`list table`, `list chain`, `list set`, ...), as a tree.
import { Report } from '../iptables-parser/report.ts';
import { type Reading, beginsBlock, lineAt, skipBlock, truncated, unclosed } from './damage.ts';
import { hookPriority } from './priority.ts';
import { hiddenRule, readRule } from './rule.ts';
import { expandScript, withoutRemarks } from './script.ts';
import { readSetBody } from './setblock.ts';
import type { ChainSyntax, NftFamily, ObjectSyntax, RulesetSyntax, SetSyntax, TableSyntax } from './syntax.ts';
import { readNumber } from './value.ts';
import { Words } from './words.ts';

const FAMILIES: ReadonlySet<string> = new Set(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']);

/** Reads a listing. What is not understood becomes a finding, and reading goes on behind it. */
export function readNftText(text: string, file: string): RulesetSyntax {
  const report = new Report();
  const w = new Words(withoutRemarks(expandScript(text.includes('\r') ? text.replaceAll('\r', '') : text, file, report)));
  const r: Reading = { w, file, report };
  const tables: TableSyntax[] = [];
  for (w.skipLines(); w.kind !== 'end'; w.skipLines()) {
    w.failure = undefined;
    if (w.at('table')) {
      const table = readTable(r);
      if (table !== undefined) tables.push(table);
    } else if (!w.at('#')) outside(r);
    else w.seek(w.endOfLine());
  }
  return { tables, findings: r.report.findings };
}

/** A line that is of no table: nft complains there. */
function outside(r: Reading): void {
  const { w } = r;
  const line = lineAt(w, w.start).trimStart();
  if (/^(?:netlink|nft|internal\S*|\S+:\d+:\d+-\d+): (?:Error|Warning)?|^Error:|^Operation not permitted/.test(line)) {
    r.report.tell({
      severity: 'error',
      code: 'nft-error',
      message: `nft could not list everything: ${line}`,
      at: { file: r.file, line: w.line },
      line,
      hint: 'Capture again as root: nft list ruleset',
    });
    w.seek(w.endOfLine());
  } else skipBlock(r, 'unknown-block', 'no table begins here');
}

/** `{`, and the remark behind it: a handle with -a, the owner of a table. */
function readOpening(w: Words): { handle?: number } {
  w.take('{');
  if (!w.at('#')) return {};
  const remark = w.text.slice(w.start, w.endOfLine());
  w.seek(w.endOfLine());
  const handle = /handle (\d+)/.exec(remark)?.[1];
  return handle === undefined ? {} : { handle: Number(handle) };
}

const CUT_OFF = 'the listing ends within it';

type Draft<T> = { -readonly [K in keyof T]: T[K] };

const OBJECTS: ReadonlySet<string> = new Set(['flowtable', 'counter', 'quota', 'limit', 'synproxy', 'secmark', 'tunnel', 'ct']);

function readTable(r: Reading): TableSyntax | undefined {
  const { w } = r;
  const at = { file: r.file, line: w.line };
  const begin = w.start;
  w.step();
  const family = FAMILIES.has(w.word) && w.peek() !== '{' ? w.next() : 'ip';
  const name = w.next();
  if (name === '' || !w.at('{')) {
    w.seek(begin);
    skipBlock(r, 'unknown-block', 'a table has a family, a name and a {');
    return undefined;
  }
  const sets: SetSyntax[] = [];
  const chains: ChainSyntax[] = [];
  const objects: ObjectSyntax[] = [];
  const table: Draft<TableSyntax> = { family: family as NftFamily, name, ...readOpening(w), flags: [], sets, chains, objects, at };
  for (w.skipLines(); !w.take('}'); w.skipLines()) {
    w.failure = undefined;
    if (w.kind === 'end') {
      truncated(r, `table ${family} ${name}`);
      break;
    }
    if (w.at('table') && beginsBlock(w)) {
      unclosed(r, `table ${family} ${name}`);
      break;
    }
    readPart(r, table, { sets, chains, objects });
  }
  return table;
}

function readPart(r: Reading, table: Draft<TableSyntax>, parts: { sets: SetSyntax[]; chains: ChainSyntax[]; objects: ObjectSyntax[] }): void {
  const { w } = r;
  const { word, start } = w;
  const opens = w.text.slice(start, w.endOfLine()).includes('{');
  if (word === 'flags' && !opens) {
    table.flags = w.text
      .slice(w.end, w.endOfLine())
      .replace(/;.*/, '')
      .trim()
      .split(/\s*,\s*/);
    w.seek(w.endOfLine());
  } else if (word === 'comment' && !opens) {
    w.step();
    table.comment = w.next();
  } else if (word === 'chain' && opens) parts.chains.push(readChain(r, table.family));
  else if ((word === 'set' || word === 'map' || word === 'meter') && opens) {
    const { line } = w;
    w.step();
    const name = w.next();
    const handle = readOpening(w);
    const set = readSetBody(r, { kind: word === 'map' ? 'map' : 'set', name, ...handle, at: { file: r.file, line } });
    if (set !== undefined) parts.sets.push(set);
  } else if (OBJECTS.has(word) && opens) {
    const object = readObject(r);
    if (object !== undefined) parts.objects.push(object);
  } else skipBlock(r, 'unknown-block', 'this part of a table is not known');
}

function readObject(r: Reading): ObjectSyntax | undefined {
  const { w } = r;
  const at = { file: r.file, line: w.line };
  const begin = w.start;
  const word = w.next();
  const kind = word === 'ct' ? `ct ${w.next()}` : word;
  const name = w.next();
  if (name === '' || !w.at('{')) {
    w.seek(begin);
    skipBlock(r, 'unknown-block', 'a name and a { should stand there');
    return undefined;
  }
  const handle = readOpening(w);
  const from = w.start;
  let depth = 1;
  while (w.kind !== 'end') {
    if (w.at('{')) depth++;
    if (w.at('}') && --depth === 0) break;
    w.step();
  }
  w.failure = undefined;
  if (w.kind === 'end') {
    truncated(r, `${kind} ${name}`);
    return undefined;
  }
  const lines = w.text.slice(from, w.start).split('\n');
  const body = lines.map((line) => line.trim().replace(/;$/, '')).filter((line) => line !== '');
  w.step();
  return { kind, name, ...handle, body: body.join('; '), at };
}

function readChain(r: Reading, family: NftFamily): ChainSyntax {
  const { w } = r;
  const at = { file: r.file, line: w.line };
  const indent = indentation(w);
  w.step();
  const name = w.next();
  const rules: ChainSyntax['rules'][number][] = [];
  const chain: Draft<ChainSyntax> = { name, ...readOpening(w), rules, at };
  for (;;) {
    if (w.kind === 'line') {
      // Two tabs and nothing more.
      if (w.text.endsWith('\n\t\t', w.start)) rules.push(hiddenRule(r.file, w.line));
      w.step();
      continue;
    }
    w.failure = undefined;
    if (w.take('}')) return chain;
    if (w.kind === 'end') {
      truncated(r, `chain ${name}`);
      chain.incomplete = CUT_OFF;
      return chain;
    }
    if (beginsBlock(w)) {
      unclosed(r, `chain ${name}`);
      chain.incomplete = CUT_OFF;
      return chain;
    }
    if (w.at(';')) w.step();
    else if (w.at('type')) readBase(r, chain, family);
    else if (w.at('comment') && rules.length === 0) {
      w.step();
      chain.comment = w.next();
    } else if (w.at('#')) w.seek(w.endOfLine());
    else {
      const rule = readRule(r, hiddenBefore(w, indent));
      // A rule that the text ends in may have gone on.
      if (!w.isEnd) rules.push(rule);
      if (w.at(';')) w.step();
    }
  }
}

/** The blanks a line begins with; -1 where there are tabs among them. */
function indentation(w: Words): number {
  return w.text.charCodeAt(w.start - w.gap - 1) === 9 ? -1 : w.gap;
}

/**
 * How many statements were printed as nothing before the first word: nft indents with two tabs. Where somebody made blanks of the
 * tabs, a rule stands twice as far in as its chain.
 */
function hiddenBefore(w: Words, indentOfChain: number): number {
  const indent = indentation(w);
  if (indent < 0) return w.gap;
  return indentOfChain <= 0 ? 0 : Math.max(0, indent - 2 * indentOfChain);
}

/** `type filter hook input device "eth0" priority filter + 10; policy drop;` */
function readBase(r: Reading, chain: Draft<ChainSyntax>, family: NftFamily): void {
  const { w } = r;
  const begin = w.start;
  w.step();
  const type = w.next();
  const hook = w.take('hook') ? w.next() : '';
  const devices: string[] = [];
  let priority: number | undefined;
  let policy: 'accept' | 'drop' = 'accept';
  while (w.kind !== 'line' && w.kind !== 'end' && !w.at('}')) {
    if (w.take('device')) devices.push(w.next());
    else if (w.take('devices')) readDevices(w, devices);
    else if (w.take('priority')) priority = readPriority(w, family);
    else if (w.take('policy')) policy = w.next() === 'drop' ? 'drop' : 'accept';
    else if (w.take('flags')) w.next();
    else if (!w.take(';')) break;
  }
  if (hook === '' || priority === undefined) {
    w.seek(begin);
    chain.unread = { ...(hook !== '' && { hook }) };
    skipBlock(r, 'unknown-hook', 'a chain has a type, a hook and a priority');
    return;
  }
  chain.base = { type, hook, priority, policy, ...((hook === 'ingress' || hook === 'egress') && { devices }) };
}

function readDevices(w: Words, devices: string[]): void {
  w.take('=');
  if (!w.take('{')) return;
  while (w.kind === 'word' || w.kind === 'string' || w.at(',') || w.kind === 'line') {
    if (w.kind === 'word' || w.kind === 'string') devices.push(w.word);
    w.step();
  }
  w.take('}');
}

/** `-100`, `srcnat + 10` */
function readPriority(w: Words, family: NftFamily): number | undefined {
  const word = w.next();
  const number = /^-?\d+$/.test(word) ? Number(word) : hookPriority(word, family);
  const sign = w.at('+') ? 1 : w.at('-') ? -1 : 0;
  if (sign === 0) return number;
  w.step();
  const offset = readNumber(w.next());
  return number === undefined || offset === undefined ? undefined : number + sign * offset;
}
