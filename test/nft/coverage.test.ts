// The list of what is decided of nft's language, against what lowering makes of every statement of the corpus.
import { describe, expect, it } from 'vitest';
import { constructs, constructsOf, type Status } from '../../src/nft/coverage.ts';
import { lowerRuleset } from '../../src/nft/lower.ts';
import { printStatement } from '../../src/nft/print.ts';
import type { StatementSyntax, TableSyntax } from '../../src/nft/syntax.ts';
import { readNftText } from '../../src/nft/text.ts';
import { readCorpus } from './corpus.ts';

const RANK: readonly Status[] = ['evaluated', 'forks', 'opaque'];
const worst = (of: readonly Status[]): Status => RANK[Math.max(0, ...of.map((s) => RANK.indexOf(s)))]!;

/** What came out of a statement: every part of what it was lowered to is looked at. */
function statusIn(lowered: unknown): Status {
  if (Array.isArray(lowered)) return worst(lowered.map(statusIn));
  if (typeof lowered !== 'object' || lowered === null) return 'evaluated';
  const part = lowered as { kind?: string; why?: string; claim?: string; gate?: string; text?: string; field?: string; base?: string };
  const own = (): Status => {
    if (part.kind === 'opaque' && part.text === undefined) return 'opaque'; // a statement: preds have a text
    if (part.kind === 'opaque' || part.kind === 'hidden')
      return part.claim === undefined && /not modelled|not known|cannot|does not show/.test(part.why!) ? 'opaque' : 'forks';
    if (part.kind === 'payload' && part.base === 'link') return 'forks';
    return part.kind === 'gate' || part.kind === 'drawn' || part.kind === 'chance' || part.gate !== undefined ? 'forks' : 'evaluated';
  };
  return worst([own(), ...Object.entries(lowered).map(([key, value]) => (key === 'at' ? 'evaluated' : statusIn(value)))]);
}

/** A statement alone in a chain of its table. */
function statusOf(table: TableSyntax, statement: StatementSyntax): Status {
  const chain = { ...table.chains[0]!, rules: [{ statements: [statement], text: '', at: table.at }] };
  const { tables } = lowerRuleset({ tables: [{ ...table, chains: [chain] }], findings: [] }, []);
  return worst(
    tables.map((t) => {
      const { match, then } = t.chains[chain.name]!.rules[0]!;
      return statusIn([match, then]);
    }),
  );
}

/** What the kernel that listed the corpus has no modules for, or nft no words to load. */
const OTHERS = `table inet others {
	chain c {
		queue
		queue flags bypass to 1-3
		flow add @fast
		xt match "recent"
		xt target "MASQUERADE"
		icmp type set echo-reply
		gre protocol ip
		@ih,0,8 1
	}
}
`;

const statements = [...readCorpus(), { name: 'others', text: OTHERS }].flatMap((c) =>
  readNftText(c.text, `${c.name}.txt`)
    .tables.filter((t) => t.family !== 'arp' && t.family !== 'bridge')
    .flatMap((table) => table.chains.flatMap((chain) => chain.rules.flatMap((r) => r.statements.map((s) => ({ table, s }))))),
);

describe('the list of what is decided of nft', () => {
  it('says of every statement of the corpus what lowering makes of it', () => {
    const wrong = statements.flatMap(({ table, s }) => {
      const said = constructsOf(s);
      const [listed, found] = [worst(said.map((c) => c.status)), statusOf(table, s)];
      return listed === found && said.length > 0
        ? []
        : [`${printStatement(s)}: listed as ${said.length > 0 ? listed : 'nothing'}, lowered to ${found}`];
    });
    expect([...new Set(wrong)]).toEqual([]);
  });

  it('names nothing twice, and nothing that the corpus does not have', () => {
    const names = constructs.flatMap((c) => c.names.map((n) => `${c.kind} ${n}`));
    expect(new Set(names).size).toBe(names.length);
    const met = new Set(statements.flatMap(({ s }) => constructsOf(s)));
    expect(constructs.filter((c) => !met.has(c)).map((c) => c.names)).toEqual([]);
  });
});
