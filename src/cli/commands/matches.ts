// `netwhy matches`: every match and target of the language, and what netwhy makes of it.
import { extensions, type Extension } from '../../iptables-parser/index.ts';
import { print } from '../terminal.ts';

/** What an extension asks or does, and, where it is not simply evaluated, why not. */
function whatOf(e: Extension): string {
  return e.status === 'evaluated' || e.why === '' ? e.summary : `${e.summary} ${e.why[0]!.toUpperCase()}${e.why.slice(1)}.`.replace('..', '.');
}

/** The registry as a table. */
export function matchesText(): string {
  const rows = extensions.map((e) => [e.kind, [e.name, ...e.aliases].join(', '), e.families.map((f) => `v${f}`).join(' '), e.status, whatOf(e)]);
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

/** The registry as a Markdown table, as the README holds it. */
export function matchesMarkdown(): string {
  const row = (e: Extension): string => `| \`${e.name}\` | ${e.kind} | ${e.status} | ${whatOf(e)} |`;
  return ['| name | kind | status | what |', '|---|---|---|---|', ...extensions.map(row)].join('\n') + '\n';
}

export async function runMatches(options: { readonly output: 'text' | 'markdown' | 'json' }): Promise<number> {
  if (options.output === 'json') {
    const list = extensions.map((e) => ({
      kind: e.kind,
      name: e.name,
      aliases: e.aliases,
      families: e.families,
      status: e.status,
      why: e.why,
      summary: e.summary,
    }));
    await print(`${JSON.stringify(list, null, 2)}\n`);
  } else await print(options.output === 'markdown' ? matchesMarkdown() : matchesText());
  return 0;
}
