// Random rule sets of nft, some with iptables beside them, and packets at their boundaries: netwhy's courses must hold what the kernel did.
import { expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { explain, figures, playCases } from '../probes/oracle.ts';

const CASES = Number(process.env['NETWHY_CASES'] ?? 400);
const SEED = Number(process.env['NETWHY_SEED'] ?? 106);
/** How many disagreements are made small and printed. */
const SHOWN = 3;

describeKernel('random rule sets of nft', () => {
  it(`${CASES} of them: the kernel does what netwhy says it may do`, async () => {
    const run = await playCases({ cases: CASES, seed: SEED, language: 'nft' });
    console.log(`random rule sets of nft: ${figures(run)}`);
    const told: string[] = [];
    for (const d of run.disagreements.slice(0, SHOWN)) told.push(await explain(d, `case ${d.at} of seed ${SEED}`));
    expect(told.join('\n\n')).toBe('');
    expect(run.disagreements.length).toBe(0);
    expect(run.refused).toEqual([]);
    // what is promised of every run
    if (CASES >= 400) expect(run.comparisons).toBeGreaterThanOrEqual(10_000);
  }, 600_000);
});
