// The iptables rules of one namespace from all the files that hold some: which backend each dump is of, and which of two
// dumps of one table counts.
import type { Finding } from '../model/finding.ts';
import type { Backend, Chain, Table } from '../model/ruleset.ts';
import { readSave } from '../iptables-parser/index.ts';
import type { Recognised } from './recognise.ts';

/** A file of rules as recognised. */
export interface RulesFile {
  readonly path: string;
  readonly text: string;
  readonly as: Recognised;
}

/** The tables of `iptables-save` and, for what those lack, of `iptables -S` (which prints one table and does not say which); `usual` is the backend of commands that name none. */
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
    const read = readSave(file.text, options);
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
