// The tables of nft while a script of nft changes them: all of it is carried out, or nothing.
import type { Finding, Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { NftSet } from '../model/operand.ts';
import type { Chain, Rule, Table } from '../model/ruleset.ts';
import { lowerRuleset } from '../nft/lower.ts';
import { printStatement } from '../nft/print.ts';
import type { RuleSyntax } from '../nft/syntax.ts';
import { readNftText } from '../nft/text.ts';
import { isRefused, type Refusal } from './edit.ts';
import { TableDraft } from './editdraft.ts';
import { Reach, type Fresh } from './editreach.ts';

/** A refusal as nft says it. */
export function refuseNft(why: string, hint?: string): Refusal {
  return { refused: `nft: Error: ${why}`, ...(hint !== undefined && { hint }) };
}

/** A refusal of the kernel, by its word for the error. */
export function refuseKernel(error: string, hint?: string): Refusal {
  return refuseNft(`Could not process rule: ${error}`, hint);
}

export const ABSENT = 'No such file or directory';

/** All tables of nft of one namespace, named as nft does: `inet firewalld`. */
export class RulesetDraft {
  readonly at: Span;
  readonly #ns: Namespace;
  /** Undefined for a table that is gone. */
  readonly #drafts = new Map<string, TableDraft | undefined>();
  readonly #fresh: { readonly table: string; readonly fresh: Fresh }[] = [];

  constructor(ns: Namespace, at: Span) {
    this.#ns = ns;
    this.at = at;
  }

  /** A table, to be changed. */
  table(label: string): TableDraft | undefined {
    if (this.#drafts.has(label)) return this.#drafts.get(label);
    const found = this.#ns.tables.find((t) => labelOf(t) === label);
    const draft = found && new TableDraft(found, this.at);
    if (draft) this.#drafts.set(label, draft);
    return draft;
  }

  /** Makes a table where none is. */
  add(label: string): TableDraft {
    const found = this.table(label);
    if (found) return found;
    const draft = new TableDraft({ chains: {}, sets: {} }, this.at);
    this.#drafts.set(label, draft);
    return draft;
  }

  remove(label: string): void {
    this.#drafts.set(label, undefined);
  }

  labels(): string[] {
    const all = [...this.#ns.tables.flatMap((t) => labelOf(t) ?? []), ...this.#drafts.keys()];
    return [...new Set(all)].filter((l) => !this.#drafts.has(l) || this.#drafts.get(l));
  }

  /** Puts rules into a chain, in place of `count` others. */
  put(label: string, chain: string, place: number, count: number, rules: readonly Rule[]): void {
    this.table(label)?.splice(chain, place, count, rules);
    this.#fresh.push(...rules.map((rule) => ({ table: label, fresh: { chain, rule } })));
  }

  /** The namespace with the tables as they are now, or why the kernel would not take them. */
  commit(): Namespace | Refusal {
    const reaches = new Map<string, Reach>();
    for (const { table, fresh } of this.#fresh) {
      const draft = this.#drafts.get(table);
      if (!draft?.chain(fresh.chain)) continue;
      if (draft.calls(fresh.rule).some((c) => !draft.chain(c))) return refuseKernel(ABSENT);
      const reach = reaches.get(table) ?? new Reach(draft);
      reaches.set(table, reach);
      const wrong = reach.wrongWith(fresh, 'nft');
      if (wrong) return refuseKernel(wrong === 'circle' ? 'Too many links' : 'Operation not supported');
    }
    const left = new Map(this.#drafts);
    const done = new Map([...left].map(([label, draft]) => [label, draft?.finish()]));
    const tables = this.#ns.tables.flatMap((t): Table[] => {
      const label = labelOf(t);
      if (label === undefined || !done.has(label)) return [t];
      left.delete(label);
      const now = done.get(label);
      return now ? [{ ...t, ...now }] : [];
    });
    for (const label of left.keys()) {
      const now = done.get(label);
      // an empty table of that name, as a listing has it: of both families where it is inet
      const empty = lowerRuleset(readNftText(`table ${label} {\n}\n`, this.at.file), []).tables;
      if (now) tables.push(...empty.map((t) => ({ ...t, ...now })));
    }
    return { ...this.#ns, tables };
  }
}

/** How nft calls a table; undefined for one that nft does not have. */
function labelOf(t: Table): string | undefined {
  return t.nft ?? (t.backend === 'legacy' ? undefined : `${t.family === 6 ? 'ip6' : 'ip'} ${t.name}`);
}

/** What stands in a table, read as a listing is. */
export interface Part {
  readonly chains: readonly Chain[];
  readonly sets: readonly NftSet[];
}

/** Reads `body` as if it stood in a table; the sets that it names are those of `draft`. */
export function readPart(label: string, body: string, draft: TableDraft | undefined, at: Span): Part | Refusal {
  const named = new Set(
    [...body.replace(/"[^"]*"/g, '').matchAll(/@([A-Za-z_][\w/.-]*)/g)].map((m) => m[1]!).filter((n) => !/^(?:ll|nh|th|ih)$/.test(n)),
  );
  const own = new Set([...body.matchAll(/\b(?:set|map) (\S+) ?\{/g)].map((m) => m[1]!));
  const known = [...named].filter((n) => !own.has(n)).map((n) => draft?.sets()[n] ?? n);
  const missing = known.find((s) => typeof s === 'string');
  if (missing !== undefined) return refuseNft(ABSENT, `there is no set or map ${missing} in the table ${label}`);
  const declared = known.flatMap((s) => (typeof s === 'string' ? [] : [s.declared ?? '']));
  // on the line that the edit stands in, so that all places tell it
  const text = `${'\n'.repeat(at.line - 1)}table ${label} {${declared.map((d) => ` ${d}`).join('')}\t${body}\n}\n`;
  const syntax = readNftText(text, at.file);
  const findings: Finding[] = [];
  const printed = syntax.tables.map((t) => ({
    ...t,
    chains: t.chains.map((c) => ({ ...c, at, rules: c.rules.map((r) => asListed(r, at)) })),
    sets: t.sets.map((s) => ({ ...s, at, elements: s.elements.map((e) => ({ ...e, at })) })),
  }));
  const [table] = lowerRuleset({ ...syntax, tables: printed }, findings).tables;
  const names = new Set(known.flatMap((s) => (typeof s === 'string' ? [] : [s.name])));
  const sets = Object.values(table?.sets ?? {}).filter((s) => own.has(s.name) || !names.has(s.name));
  // elements are read when they are looked at
  for (const s of sets) void s.elements;
  const wrong = [...syntax.findings, ...findings].find((f) => f.severity !== 'note');
  if (wrong) return refuseNft(wrong.message, wrong.hint);
  return { chains: Object.values(table?.chains ?? {}), sets };
}

/** A rule in the words that nft lists it in, its counter before any packet has come by. */
function asListed(rule: RuleSyntax, at: Span): RuleSyntax {
  const statements = rule.statements.map((s) =>
    s.kind === 'counter' && s.name === undefined && s.by === undefined ? { packets: 0, bytes: 0, ...s } : s,
  );
  return { ...rule, statements, text: statements.map(printStatement).join(' '), at };
}

/** Reads one rule. */
export function readNftRule(label: string, rule: string, draft: TableDraft, at: Span): Rule | Refusal {
  if (rule === '') return refuseNft('syntax error, unexpected newline', 'a rule has to follow');
  const part = readPart(label, `chain x {\t${rule}\n}`, draft, at);
  if (isRefused(part)) return part;
  const read = part.chains[0]?.rules[0];
  return read ?? refuseNft(`'${rule}' is no rule`);
}
