// Rules of iptables-nft are captured twice: by iptables-save in its own words, and by nft list ruleset in nft's.
// Whoever brings one of the two gets the same answers.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, isMisunderstood, requestOf, trace, type World } from '../src/index.ts';
import { readScenarioWorld } from '../src/capture/world.ts';
import { loadScenario } from './oracle/scenario.ts';

const scenarios = ['backend-split', 'backend-split-forward-drop'];

describe.each(scenarios)('%s', (name) => {
  const { scenario, files } = loadScenario(join(import.meta.dirname, '../scenarios', name));
  const without = (path: string): World =>
    readScenarioWorld(
      scenario,
      files.filter((f) => f.path !== path),
      () => ({ file: 'scenario.yaml', line: 1 }),
    ).world;
  const words = without('worker/nft-ruleset.txt');
  const listing = without('worker/iptables-save.txt');

  it.each((scenario.questions ?? []).map((q) => [q.name, q] as const))('%s', (_, q) => {
    const fates = [words, listing].map((world) => {
      const asked = ask(world, requestOf(q));
      if (isMisunderstood(asked)) throw new Error(asked.error);
      const { verdict, courses } = trace(world, asked);
      return { verdict, courses: courses.map(({ trace: t }) => [t.outcome.kind, t.outcome.node, t.translated, t.final, t.reply?.outcome.kind]) };
    });
    expect(fates[1]).toEqual(fates[0]);
  });

  it('tells in both that two backends hold rules', () => {
    for (const world of [words, listing]) {
      for (const ns of world.namespaces) expect(ns.tables).toBeDefined();
      expect(world.findings.filter((f) => f.code === 'backend-split').map((f) => f.at)).toEqual([
        { file: 'worker/iptables-legacy-save.txt', line: 8 },
      ]);
    }
  });
});
