// `netwhy matches`: every match and target of iptables, every statement and expression of nft, and what netwhy makes of it.
import { extensions } from '../../iptables-parser/index.ts';
import { constructs } from '../../nft/coverage.ts';
import { print } from '../terminal.ts';

/** What both languages tell of a thing. */
interface Entry {
  readonly kind: string;
  readonly names: readonly string[];
  readonly status: string;
  readonly summary: string;
  readonly why: string;
  readonly families: readonly number[];
}

const entries: readonly Entry[] = [
  ...extensions.map((e) => ({ ...e, names: [e.name, ...e.aliases] })),
  ...constructs.map((c) => ({ ...c, kind: `nft ${c.kind}`, why: c.why ?? '', families: [4, 6] })),
];

/** What it asks or does, and, where it is not simply evaluated, why not. */
function whatOf(e: Pick<Entry, 'status' | 'summary' | 'why'>): string {
  return e.status === 'evaluated' || e.why === '' ? e.summary : `${e.summary} ${e.why[0]!.toUpperCase()}${e.why.slice(1)}.`.replace(/\.\.$/, '.');
}

/** Both languages as a table. */
export function matchesText(): string {
  const rows = entries.flatMap((e) => {
    const [first = '', ...more] = linesOf(e.names);
    return [[e.kind, first, e.families.map((f) => `v${f}`).join(' '), e.status, whatOf(e)], ...more.map((names) => ['', names, '', '', ''])];
  });
  const head = ['KIND', 'NAME', 'FAMILY', 'STATUS', 'WHAT'];
  const widths = head.map((h, i) => (i === head.length - 1 ? 0 : Math.max(h.length, ...rows.map((r) => r[i]!.length))));
  return (
    [head, ...rows]
      .map((r) =>
        r
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd(),
      )
      .join('\n') + '\n'
  );
}

/** Names on lines that are not too wide for a column. */
function linesOf(names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    if (last === undefined) lines.push(name);
    else {
      const fits = last.length + name.length < WIDE;
      lines.splice(-1, 1, ...(fits ? [`${last}, ${name}`] : [`${last},`, name]));
    }
  }
  return lines;
}

const WIDE = 32;

/** The registry as a Markdown table, as the README holds it. */
export function matchesMarkdown(): string {
  return markdown(extensions.map((e) => ({ ...e, names: [e.name] })));
}

/** The constructs of nft likewise. */
export function nftMarkdown(): string {
  return markdown(constructs.map((c) => ({ ...c, why: c.why ?? '' })));
}

function markdown(of: readonly Pick<Entry, 'names' | 'kind' | 'status' | 'summary' | 'why'>[]): string {
  const row = (e: (typeof of)[number]): string => `| ${e.names.map((n) => `\`${n}\``).join(' ')} | ${e.kind} | ${e.status} | ${whatOf(e)} |`;
  return ['| name | kind | status | what |', '|---|---|---|---|', ...of.map(row)].join('\n') + '\n';
}

export async function runMatches(options: { readonly output: 'text' | 'markdown' | 'json' }): Promise<number> {
  if (options.output === 'json') {
    const list = entries.map(({ kind, names: [name, ...aliases], families, status, why, summary }) => ({
      kind,
      name,
      aliases,
      families,
      status,
      why,
      summary,
    }));
    await print(`${JSON.stringify(list, null, 2)}\n`);
  } else await print(options.output === 'markdown' ? `${matchesMarkdown()}\n${nftMarkdown()}` : matchesText());
  return 0;
}
