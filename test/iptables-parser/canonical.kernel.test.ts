// The .t tables against the real tools: what iptables-save prints after a rule was loaded into a kernel, both backends.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readCases, type Case, type CaseFile } from './cases.ts';

const TOOLS = ['unshare', 'ipset', 'iptables-legacy-restore', 'iptables-nft-restore', 'ip6tables-legacy-save', 'ip6tables-nft-save'];

/** Why the kernel cannot be asked here; undefined when it can. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const missing = TOOLS.filter((t) => spawnSync('sh', ['-c', `command -v ${t}`]).status !== 0);
  if (missing.length) return `not installed: ${missing.join(', ')}`;
  return spawnSync('unshare', ['-n', 'true']).status === 0 ? undefined : 'no network namespace can be made';
}

type Backend = 'legacy' | 'nft';

/** Runs shell text in a network namespace of its own. */
function inNamespace(script: string): string {
  return execFileSync('unshare', ['-n', 'sh', '-s'], { input: script, encoding: 'utf8', maxBuffer: 1 << 26 });
}

const tool = (c: Case, b: Backend, verb: string): string => `${c.family === 6 ? 'ip6tables' : 'iptables'}-${b}-${verb}`;

/** Loads rules of one table and prints what is saved, or REFUSED and why. */
function load(cases: readonly Case[], b: Backend): string {
  const [c] = cases;
  if (!c) return '';
  const rules = cases.map((x) => `-A ${x.chain} ${x.rule}`).join('\n');
  const input = `*${c.table}\n${rules}\nCOMMIT\n`;
  return `${tool(c, b, 'restore')} 2>/tmp/$$.err <<'RULES' && ${tool(c, b, 'save')} -t ${c.table} | grep -e '^-A' || { echo REFUSED; cat /tmp/$$.err; }\n${input}RULES\nrm -f /tmp/$$.err; echo =====\n`;
}

/** Cases that can be loaded at one stroke: same tool, same table. */
function groups(file: CaseFile, b: Backend, isOk: boolean): readonly (readonly Case[])[] {
  const by = new Map<string, Case[]>();
  for (const c of file.cases) {
    if (c.isOk !== isOk || !c.backends.includes(b)) continue;
    const key = isOk ? `${c.family} ${c.table}` : String(c.line);
    by.set(key, [...(by.get(key) ?? []), c]);
  }
  return [...by.values()];
}

function answers(file: CaseFile, b: Backend, of: readonly (readonly Case[])[]): readonly string[] {
  const script = [...file.setup, ...of.map((g) => load(g, b))].join('\n');
  return inNamespace(script).split('=====\n').slice(0, -1);
}

const CHAINS = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];
const inChainOrder = (cases: readonly Case[]): readonly Case[] => CHAINS.flatMap((chain) => cases.filter((c) => c.chain === chain));

const why = obstacle();
if (why !== undefined && process.env['NETWHY_KERNEL'] === 'required') throw new Error(`the kernel cannot be asked: ${why}`);

describe.skipIf(why !== undefined)(`what the real tools say${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  const files = readCases(fileURLToPath(new URL('.', import.meta.url)));
  describe.each(['legacy', 'nft'] as const)('%s', (b) => {
    const loadable = files.filter((f) => groups(f, b, true).length > 0);
    // Modules that distributions leave out, or accounting objects and security policies that a plain machine does not have.
    test('has every table of lines, but for those that an ordinary kernel cannot load', () => {
      const none = [
        'match/ipvs',
        'match/nfacct',
        'target/CLUSTERIP',
        'target/LED',
        ...(b === 'nft' ? ['target/QUEUE'] : []),
        'target/SECMARK',
        'target/ULOG',
      ];
      expect(files.filter((f) => !loadable.includes(f)).map((f) => f.name)).toEqual(none);
    });

    test.each(loadable.map((f) => [f.name, f] as const))('saves the rules of %s.t as written there', (_, f) => {
      const of = groups(f, b, true);
      const out = answers(f, b, of);
      expect(out.length).toBe(of.length);
      for (const [i, g] of of.entries()) {
        const expected = inChainOrder(g).map((c) => `-A ${c.chain} ${c.saved}`.trimEnd());
        expect(out[i]!.trimEnd().split('\n')).toEqual(expected);
      }
    });

    test.each(files.filter((f) => f.cases.some((c) => !c.isOk)).map((f) => [f.name, f] as const))('refuses what %s.t says it refuses', (_, f) => {
      const of = groups(f, b, false);
      const taken = answers(f, b, of).flatMap((a, i) => (a.startsWith('REFUSED') ? [] : [`${f.name}.t:${of[i]![0]!.line} ${of[i]![0]!.rule}`]));
      expect(taken).toEqual([]);
    });
  });
});
