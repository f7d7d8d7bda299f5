// The iptables rules of one namespace from all the files that hold some: which backend each dump is of, and which of two
// dumps of one table counts.
import type { Finding } from '../model/finding.ts';
import type { Backend, Chain, Rule, Table } from '../model/ruleset.ts';
import { readSave } from '../iptables-parser/index.ts';
import type { Recognised } from './recognise.ts';
import { baseName } from './recognise.ts';
import { linesOf } from './source.ts';

/** A file of rules as recognised. */
export interface RulesFile {
  readonly path: string;
  readonly text: string;
  readonly as: Recognised;
}

/** The tables of `iptables-save` and, for what those lack, of `iptables -S`; `usual` is the backend of commands that name none. */
export function readTables(
  files: readonly RulesFile[],
  usual: Backend,
): { readonly tables: Table[]; readonly findings: Finding[]; readonly used: ReadonlySet<string> } {
  const findings: Finding[] = [];
  const used = new Set<string>();
  const kept: { readonly table: Table; readonly file: string }[] = [];
  const rank = (f: RulesFile): number => (f.as.kind === 'iptables-save' ? 0 : 2) + (f.as.backend ? 0 : 1);
  for (const file of files.toSorted((a, b) => rank(a) - rank(b))) {
    const options = { file: file.path, family: file.as.family ?? 4, backend: file.as.backend ?? usual } as const;
    const read = file.as.kind === 'iptables-save' ? readSave(file.text, options) : readList(file, options);
    findings.push(...read.findings);
    for (const table of read.tables) {
      const twin = kept.find(
        (k) =>
          k.table.name === table.name && k.table.family === table.family && isSameBackend(k.table.backend, table.backend) && k.file !== file.path,
      );
      if (!twin) {
        kept.push({ table, file: file.path });
        used.add(file.path);
      } else if (file.as.kind === 'iptables-save' && rulesOf(twin.table) !== rulesOf(table)) {
        findings.push({
          severity: 'warning',
          code: 'table-twice',
          message: `table ${table.name} is in ${twin.file} too, with other rules; ${twin.file} counts`,
          at: Object.values<Chain>(table.chains)[0]?.at ?? { file: file.path, line: 1 },
          hint: 'keep the dump that belongs to the question',
        });
      }
    }
  }
  return { tables: kept.map((k) => k.table), findings, used };
}

function isSameBackend(a: Backend, b: Backend): boolean {
  return a === b || a === 'unknown' || b === 'unknown';
}

function rulesOf(table: Table): string {
  return JSON.stringify(Object.values(table.chains).map((c) => [c.name, c.base?.policy, c.rules.map((r) => r.text)]));
}

// `iptables -S` is the body of one table's dump with other words for policies and chains. Which table it was is in the
// chains that have a policy, unless the file's name says so.
function readList(file: RulesFile, options: { file: string; family: 4 | 6; backend: Backend }): { tables: Table[]; findings: Finding[] } {
  const hooks = new Set<string>();
  const body: string[] = [];
  for (const { text } of linesOf(file.text)) {
    const policy = /^-P (\S+) (\S+)(?: -c (\d+) (\d+))?/.exec(text);
    const chain = /^-N (\S+)/.exec(text);
    if (policy) hooks.add(policy[1]!);
    body.push(policy ? `:${policy[1]} ${policy[2]} [${policy[3] ?? 0}:${policy[4] ?? 0}]` : chain ? `:${chain[1]} - [0:0]` : text);
  }
  const named = /(?:^|[^a-z])(filter|nat|mangle|raw|security)(?:$|[^a-z])/.exec(baseName(file.path).toLowerCase())?.[1];
  const name = named ?? tableOf(hooks);
  const read = readSave(`*${name}\n${body.join('\n')}\nCOMMIT\n`, options);
  const note: Finding = {
    severity: 'note',
    code: 'one-table',
    message: `iptables -S prints one table; this one is taken to be ${name}`,
    at: { file: file.path, line: 1 },
    hint: 'capture iptables-save, which prints all tables',
  };
  return { tables: read.tables.map(lineUp), findings: [note, ...read.findings.map((f) => ({ ...f, at: up(f.at) }))] };
}

function tableOf(hooks: ReadonlySet<string>): string {
  if (hooks.has('PREROUTING')) return hooks.has('FORWARD') ? 'mangle' : hooks.has('POSTROUTING') ? 'nat' : 'raw';
  return hooks.has('POSTROUTING') && !hooks.has('FORWARD') ? 'nat' : 'filter';
}

// The table's header was put before the first line.
function up<S extends { readonly line: number }>(at: S): S {
  return { ...at, line: Math.max(1, at.line - 1) };
}

function lineUp(table: Table): Table {
  const rule = (r: Rule): Rule => ({ ...r, at: up(r.at) });
  const chains = Object.entries(table.chains).map(([name, c]): [string, Chain] => [name, { ...c, at: up(c.at), rules: c.rules.map(rule) }]);
  return { ...table, chains: Object.fromEntries(chains) };
}
