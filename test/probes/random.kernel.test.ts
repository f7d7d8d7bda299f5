// Random rules, sets, routes and settings, and packets at their boundaries: netwhy's courses must hold what the kernel did.
import { expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { explain, figures, playCases } from './oracle.ts';

const CASES = Number(process.env['NETWHY_CASES'] ?? 2000);
const SEED = Number(process.env['NETWHY_SEED'] ?? 2020);
/** How many disagreements are made small and printed. */
const SHOWN = 3;

/** What has to be among the comparisons, and how often at least. */
const SUBJECTS: Readonly<Record<string, number>> = {
  'answers reset': 100,
  'answers 3/3': 100,
  'answers 3/13': 100,
  'answers 11/0': 100,
  'answers 1/0': 20,
  'answers 1/1': 20,
  'ICMP errors': 1000,
  'ICMP errors translated': 300,
  'socket errors': 1000,
  'ports of a range': 500,
  'captured connections': 3000,
  'with a mark': 300,
  'in a zone': 100,
};

describeKernel('random nodes', () => {
  it(`${CASES} of them: the kernel does what netwhy says it may do`, async () => {
    const run = await playCases({ cases: CASES, seed: SEED });
    console.log(`random nodes: ${figures(run)}`);
    const told: string[] = [];
    for (const d of run.disagreements.slice(0, SHOWN)) told.push(await explain(d, `case ${d.at} of seed ${SEED}`));
    expect(told.join('\n\n')).toBe('');
    expect(run.disagreements.length).toBe(0);
    expect(run.refused).toEqual([]);
    // what is promised of every run
    if (CASES >= 2000) {
      expect(run.comparisons).toBeGreaterThanOrEqual(50_000);
      for (const [subject, least] of Object.entries(SUBJECTS)) expect([subject, (run.subjects[subject] ?? 0) >= least]).toEqual([subject, true]);
    }
  }, 600_000);
});
