// The corpus: rule sets of our own (NAME.nft), and what a kernel's nft printed of them (NAME.txt, NAME.json; record.sh).
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RulesetSyntax, SetSyntax, TableSyntax } from '../../src/nft/syntax.ts';

const folder = fileURLToPath(new URL('corpus/', import.meta.url));

export interface Corpus {
  readonly name: string;
  /** The rule set as written. */
  readonly source: string;
  readonly text: string;
  /** Absent where nft 1.0.6 cannot print it. */
  readonly json?: string;
}

export function readCorpus(): readonly Corpus[] {
  const names = readdirSync(folder).filter((f) => f.endsWith('.nft'));
  return names.map((f) => {
    const base = `${folder}${f.slice(0, -'.nft'.length)}`;
    const json = existsSync(`${base}.json`) ? readFileSync(`${base}.json`, 'utf8') : undefined;
    return {
      name: f.slice(0, -'.nft'.length),
      source: readFileSync(folder + f, 'utf8'),
      text: readFileSync(`${base}.txt`, 'utf8'),
      ...(json !== undefined && { json }),
    };
  });
}

/** What text and JSON cannot have in common: places, handles, the text of a rule, and how long an element has left. */
const PASSING: ReadonlySet<string> = new Set(['at', 'handle', 'text', 'expires']);

export function withoutPlaces(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(withoutPlaces);
  if (typeof tree !== 'object' || tree === null) return tree;
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([key]) => !PASSING.has(key))
      .map(([key, value]) => [key, withoutPlaces(value)]),
  );
}

/**
 * A tree without what the JSON of nft 1.0.6 leaves out (src/json.c of that version): comments of tables and chains, devices, `dynamic`,
 * `auto-merge`, and `typeof`, for which it has the name of the type.
 */
export function asJsonSays({ tables }: RulesetSyntax, json: RulesetSyntax): unknown {
  return withoutPlaces(tables.map((t, i) => tableOf(t, json.tables[i])));
}

function tableOf(t: TableSyntax, json: TableSyntax | undefined): unknown {
  return {
    ...t,
    comment: undefined,
    sets: t.sets.map((s, i) => setOf(s, json?.sets[i])),
    chains: t.chains.map((c) => ({ ...c, comment: undefined, ...(c.base && { base: { ...c.base, devices: undefined } }) })),
  };
}

function setOf(s: SetSyntax, json: SetSyntax | undefined): unknown {
  return {
    ...s,
    autoMerge: undefined,
    flags: s.flags.filter((f) => f !== 'dynamic'),
    key: s.key.kind === 'typeof' ? json?.key : s.key,
    ...(s.data && { data: s.data.kind === 'typeof' ? json?.data : s.data }),
  };
}
