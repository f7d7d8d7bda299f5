// The .t tables: one rule a line, `rule ; as iptables-save prints it, or = ; OK or FAIL ; backend`, after header lines:
// `*table`, `:CHAIN`, `iptables` or `ip6tables`, `%command` to be run first. FAIL: iptables refuses it. The backend is given
// where the line is true of one only (LEGACY, NFT), or cannot be loaded on an ordinary machine (NONE).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Case {
  readonly file: string;
  readonly line: number;
  readonly family: 4 | 6;
  readonly table: string;
  readonly chain: string;
  readonly rule: string;
  readonly saved: string;
  readonly isOk: boolean;
  readonly backends: readonly ('legacy' | 'nft')[];
}

export interface CaseFile {
  /** `match/tcp` */
  readonly name: string;
  readonly setup: readonly string[];
  readonly cases: readonly Case[];
}

export function readCases(dir: string): readonly CaseFile[] {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.t'));
  return names.toSorted().map((f) => readTable(f.replaceAll('\\', '/').replace(/\.t$/, ''), readFileSync(join(dir, f), 'utf8')));
}

function readTable(name: string, text: string): CaseFile {
  const cases: Case[] = [];
  const setup: string[] = [];
  let [family, table, chain]: [4 | 6, string, string] = [4, 'filter', 'INPUT'];
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line === 'iptables' || line === 'ip6tables') family = line === 'iptables' ? 4 : 6;
    else if (line.startsWith('*')) table = line.slice(1);
    else if (line.startsWith(':')) chain = line.slice(1);
    else if (line.startsWith('%')) setup.push(line.slice(1));
    else {
      const [rule = '', saved = '', result, backend] = line.split(';').map((s) => s.trim());
      if (result !== 'OK' && result !== 'FAIL') throw new Error(`${name}.t:${i + 1}: neither OK nor FAIL`);
      const backends =
        backend === 'LEGACY'
          ? (['legacy'] as const)
          : backend === 'NFT'
            ? (['nft'] as const)
            : backend === 'NONE'
              ? []
              : (['legacy', 'nft'] as const);
      cases.push({
        file: `${name}.t`,
        line: i + 1,
        family,
        table,
        chain,
        rule,
        saved: saved === '=' ? rule : saved,
        isOk: result === 'OK',
        backends,
      });
    }
  }
  return { name, setup, cases };
}
