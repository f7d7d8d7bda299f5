// Each rule set of the corpus loaded, listed, read, printed by us and loaded again: the kernel has to list the same. The same by way of
// JSON; and what this kernel and its nft list now is what stands in the corpus.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { readNftJson } from '../../src/nft/json.ts';
import { printRuleset } from '../../src/nft/print.ts';
import type { RulesetSyntax } from '../../src/nft/syntax.ts';
import { readNftText } from '../../src/nft/text.ts';
import { describeKernel } from '../oracle/kernel.ts';
import { readCorpus } from './corpus.ts';

const DEVICES = 'ip link set lo up && ip link add d0 type veth peer name d1';

/** Loads a rule set in a network namespace of its own, and lists it. */
function list(ruleset: string, flags = ''): string {
  const script = `${DEVICES} && nft -f - && nft ${flags} list ruleset`;
  // nft prints `meta hour` and `meta time` as they are here.
  const env = { ...process.env, TZ: 'UTC' };
  return execFileSync('unshare', ['--net', 'sh', '-ec', script], { input: ruleset, encoding: 'utf8', maxBuffer: 1 << 26, env });
}

/** Whether this is the nft that the corpus was recorded with: others have other words for some. */
function isRecorded(): boolean {
  return execFileSync('nft', ['--version'], { encoding: 'utf8' }).startsWith('nftables v1.0.6 ');
}

/** Counters count and timeouts run down between two lists. */
function still(listing: string): string {
  return listing.replace(/packets \d+ bytes \d+/g, 'packets N bytes N').replace(/ expires \w+/g, '');
}

/** The rules and elements of JSON, in tables, chains and sets as text has them: nft 1.0.6 leaves half of those out of its JSON. */
function withRules(text: RulesetSyntax, json: RulesetSyntax): RulesetSyntax {
  const tables = text.tables.map((t, i) => ({
    ...t,
    objects: json.tables[i]!.objects,
    sets: t.sets.map((s, k) => ({ ...s, elements: json.tables[i]!.sets[k]!.elements })),
    chains: t.chains.map((c, k) => ({ ...c, rules: json.tables[i]!.chains[k]!.rules })),
  }));
  return { ...text, tables };
}

describeKernel('the corpus of nft', () => {
  it.each(readCorpus().map((c) => [c.name, c] as const))('%s', (_, c) => {
    const listed = list(c.source);
    const text = still(listed);
    if (isRecorded()) expect(text).toBe(still(c.text));
    const tree = readNftText(listed, 'nft.txt');
    expect(still(list(printRuleset(tree)))).toBe(text);
    if (c.json === undefined) return;
    const json = readNftJson(list(c.source, '-j'), 'nft.json');
    expect(still(list(printRuleset(withRules(tree, json))))).toBe(text);
  });
});
