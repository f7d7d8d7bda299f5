// The mutation test: of healthy networks with one fault each, `why` names the thing that was changed.
import { afterAll, describe, expect, it } from 'vitest';
import { BASELINES, judgeScenario, type Judged } from './mutation.ts';

/** One mutant of so many is tried; `npm run mutants` tries them all. */
const STRIDE = 2;
const LEAST = 500;

describe('the cause of one fault in a healthy network', () => {
  const judged: Judged[] = [];

  for (const scenario of BASELINES)
    it(`${scenario}: is found`, async () => {
      const own = await judgeScenario(scenario, STRIDE);
      judged.push(...own);
      expect(own.length).toBeGreaterThan(0);
    }, 300_000);

  it('is among the first three causes of 95 of 100, and the first of 85', () => {
    const within = (n: number): number => judged.filter((j) => j.rank !== undefined && j.rank < n).length / judged.length;
    expect(judged.length).toBeGreaterThanOrEqual(LEAST);
    expect(within(3)).toBeGreaterThanOrEqual(0.95);
    expect(within(1)).toBeGreaterThanOrEqual(0.85);
  });

  afterAll(() => {
    const at = (n: number): number => judged.filter((j) => j.rank !== undefined && j.rank < n).length;
    console.log(`mutants: ${judged.length} change a fate; first cause ${at(1)}, among the first three ${at(3)}`);
  });
});
