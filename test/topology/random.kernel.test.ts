// Random networks of several nodes: netwhy's courses must hold what the kernel did with each packet, and with its answer.
import { expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { explain, figures, playNetworks } from './topology.ts';

const CASES = Number(process.env['NETWHY_NETWORKS'] ?? 118);
const SEED = Number(process.env['NETWHY_SEED'] ?? 2026);
/** How many disagreements are made small and printed. */
const SHOWN = 2;

describeKernel('random networks', () => {
  it(`${CASES} of them: the kernel does what netwhy says it may do`, async () => {
    const run = await playNetworks({ cases: CASES, seed: SEED });
    console.log(`random networks: ${figures(run)}`);
    const told: string[] = [];
    for (const d of run.disagreements.slice(0, SHOWN)) told.push(await explain(d, `network ${d.at} of seed ${SEED}`));
    expect(told.join('\n\n')).toBe('');
    expect(run.disagreements.length).toBe(0);
    expect(run.refused).toEqual([]);
    // what is promised of every run
    expect(run.agreed['cannot-tell']).toBeLessThan(run.compared * 0.03);
    if (CASES >= 118) {
      expect(run.compared).toBeGreaterThanOrEqual(8000);
      expect(run.arrived).toBeGreaterThanOrEqual(5000);
    }
  }, 600_000);
});
