// What one kernel printed of one rule set, in words and in JSON: the same tree.
import { describe, expect, it } from 'vitest';
import { readNftJson } from '../../src/nft/json.ts';
import type { RulesetSyntax } from '../../src/nft/syntax.ts';
import { readNftText } from '../../src/nft/text.ts';
import { asJsonSays, readCorpus, withoutPlaces } from './corpus.ts';

const corpus = readCorpus();
const rulesOf = (r: RulesetSyntax): number => r.tables.reduce((n, t) => n + t.chains.reduce((m, c) => m + c.rules.length, 0), 0);

describe('the corpus', () => {
  it('has hundreds of rules of all families', () => {
    const read = corpus.map((c) => readNftText(c.text, `${c.name}.txt`));
    expect(read.reduce((n, r) => n + rulesOf(r), 0)).toBeGreaterThan(700);
    expect(new Set(read.flatMap((r) => r.tables.map((t) => t.family)))).toEqual(new Set(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']));
  });

  it.each(corpus.map((c) => [c.name, c] as const))('%s is understood in words', (_, c) => {
    expect(readNftText(c.text, `${c.name}.txt`).findings).toEqual([]);
  });

  it.each(corpus.flatMap((c) => (c.json === undefined ? [] : [[c.name, c, c.json] as const])))(
    '%s is the same in words and in JSON',
    (_, c, text) => {
      const json = readNftJson(text, `${c.name}.json`);
      // What it leaves out of its JSON is said, and nothing else is.
      expect(json.findings.filter((f) => f.code !== 'no-device')).toEqual([]);
      expect(json.version).toBe('1.0.6');
      expect(asJsonSays(readNftText(c.text, `${c.name}.txt`), json)).toEqual(withoutPlaces(json.tables));
    },
  );
});
