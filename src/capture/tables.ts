// The iptables rules of one namespace from all the files that hold some: which backend each dump is of, and which of two
// dumps of one table counts.
import type { Family } from '../net/addr.ts';
import type { Finding } from '../model/finding.ts';
import type { ForeignChain } from '../model/host.ts';
import type { Backend, Chain, Rule, Table } from '../model/ruleset.ts';
import { readSave } from '../iptables-parser/index.ts';
import type { Recognised } from './recognise.ts';

/** A file of rules as recognised. */
export interface RulesFile {
  readonly path: string;
  readonly text: string;
  readonly as: Recognised;
}

/** What the files of rules hold. */
export interface Tables {
  readonly tables: readonly Table[];
  readonly findings: readonly Finding[];
  /** The files that tables were taken from, with the families of these. */
  readonly used: ReadonlyMap<string, ReadonlySet<Family>>;
}

/**
 * The tables of `iptables-save` and, for what those lack, of `iptables -S` (which prints one table and does not say which).
 * The backend is what the dump itself says, else the file's name, else `usual`.
 */
export function readTables(files: readonly RulesFile[], usual: Backend): Tables {
  const findings: Finding[] = [];
  const used = new Map<string, Set<Family>>();
  const kept: { readonly table: Table; readonly file: string }[] = [];
  const rank = (f: RulesFile): number => (f.as.kind === 'iptables-save' ? 0 : 2) + (f.as.backend ? 0 : 1);
  for (const file of files.toSorted((a, b) => rank(a) - rank(b))) {
    const read = readSave(file.text, { file: file.path, ...(file.as.family ? { family: file.as.family } : {}) });
    findings.push(...read.findings, ...idleRules(read.tables), ...circles(read.tables));
    for (const found of read.tables) {
      const table: Table = found.backend === 'unknown' ? { ...found, backend: file.as.backend ?? usual } : found;
      const twin = kept.find(
        (k) =>
          k.table.name === table.name && k.table.family === table.family && isSameBackend(k.table.backend, table.backend) && k.file !== file.path,
      );
      if (!twin) {
        kept.push({ table, file: file.path });
        used.set(file.path, (used.get(file.path) ?? new Set()).add(table.family));
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
  return { tables: kept.map((k) => k.table), findings: findings.filter((f) => !isAnswered(f, kept, files)), used };
}

/** iptables-nft says that there are legacy tables, too: nothing to find where they are here. */
function isAnswered(f: Finding, kept: readonly { readonly table: Table }[], files: readonly RulesFile[]): boolean {
  const family = files.find((file) => file.path === f.at.file)?.as.family ?? 4;
  return f.code === 'other-backend' && kept.some(({ table: t }) => t.backend === 'legacy' && t.family === family);
}

/** Rules without -j: legal, and easily taken for rules that do something. */
function idleRules(tables: readonly Table[]): Finding[] {
  const idle = tables.flatMap((t) => Object.values<Chain>(t.chains).flatMap((c) => c.rules.filter((r) => r.then.length === 0)));
  const told = idle.slice(0, 100).map((r): Finding => ({
    severity: 'note',
    code: 'no-target',
    message: 'a rule without -j counts packets and does nothing else',
    at: r.at,
    line: r.text.slice(0, 200),
  }));
  return told;
}

/** Rules that lead back to a chain the packet is in already: no kernel loads such a table (mark_source_chains()). */
function circles(tables: readonly Table[]): Finding[] {
  const out: Finding[] = [];
  for (const t of tables) {
    const state = new Map<string, 'open' | 'done'>();
    for (const start of Object.keys(t.chains)) {
      if (state.has(start)) continue;
      const path = [{ name: start, calls: callsOf(t, start), at: 0 }];
      state.set(start, 'open');
      for (let here = path.at(-1); here; here = path.at(-1)) {
        const call = here.calls[here.at++];
        if (!call) {
          state.set(here.name, 'done');
          path.pop();
          continue;
        }
        const seen = state.get(call.to);
        const message = `this leads back to the chain ${call.to}: iptables refuses the table`;
        if (seen === 'open') out.push({ severity: 'error', code: 'circle', message, at: call.rule.at, line: call.rule.text.slice(0, 200) });
        if (seen !== undefined) continue;
        state.set(call.to, 'open');
        path.push({ name: call.to, calls: callsOf(t, call.to), at: 0 });
      }
    }
  }
  return out;
}

function callsOf(t: Table, name: string): { readonly to: string; readonly rule: Rule }[] {
  const rules = (Object.hasOwn(t.chains, name) ? t.chains[name] : undefined)?.rules ?? [];
  return rules.flatMap((rule) => rule.then.flatMap((s) => (s.kind === 'jump' || s.kind === 'goto' ? [{ to: s.chain, rule }] : [])));
}

function isSameBackend(a: Backend, b: Backend): boolean {
  return a === b || a === 'unknown' || b === 'unknown';
}

function rulesOf(table: Table): string {
  return JSON.stringify(Object.values(table.chains).map((c) => [c.name, c.base?.policy, c.rules.map((r) => r.text)]));
}

/** What dumps of iptables may hold that cannot be read, where no other dump of the family can. */
export function lostSaves(files: readonly RulesFile[], rules: readonly RulesFile[]): ForeignChain[] {
  const familyOf = (f: RulesFile): Family => f.as.family ?? 4;
  const unreadable = files.filter(
    (f) => f.as.named === 'iptables-save' && (f.as.kind === 'binary' || f.as.kind === 'unknown') && !rules.some((x) => familyOf(x) === familyOf(f)),
  );
  return unreadable.map((f) => ({
    name: `${familyOf(f) === 6 ? 'ip6tables' : 'iptables'} rules of ${f.path}`,
    why: 'they cannot be read',
    family: familyOf(f) === 6 ? 'ip6' : 'ip',
    hook: '',
    at: { file: f.path, line: 1 },
  }));
}
