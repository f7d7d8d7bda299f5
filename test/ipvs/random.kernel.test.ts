// Random services, servers, rules and settings on a guest's kernel, which has IPVS: netwhy's courses must hold what it did.
import { expect, it } from 'vitest';
import { describeGuest, openGuest } from '../oracle/guest.ts';
import { explain } from '../probes/oracle.ts';
import { figures, playCases } from './ipvs.ts';

const CASES = Number(process.env['NETWHY_CASES'] ?? 120);
const SEED = Number(process.env['NETWHY_SEED'] ?? 2026);
/** How many disagreements are made small and printed. */
const SHOWN = 2;

/** What has to be among the comparisons, and how often at least. */
const SUBJECTS: Readonly<Record<string, number>> = {
  'from outside': 600,
  'from a pod': 300,
  'from this host': 400,
  IPv6: 300,
  'by masq': 800,
  'by direct': 80,
  'by tunnel': 80,
  'by refused': 200,
  replies: 80,
  'ICMP errors': 20,
  'of a connection': 500,
  'answered port unreachable': 200,
  'to this host': 300,
};

describeGuest('random nodes with IPVS', () => {
  it(`${CASES} of them: the kernel does what netwhy says it may do`, async () => {
    const run = await playCases({ cases: CASES, seed: SEED });
    console.log(`random nodes with IPVS: ${figures(run)}`);
    const told: string[] = [];
    for (const d of run.disagreements.slice(0, SHOWN)) told.push(await explain(d, `case ${d.at} of seed ${SEED}`, undefined, openGuest));
    expect(told.join('\n\n')).toBe('');
    expect(run.disagreements.length).toBe(0);
    expect(run.refused).toEqual([]);
    expect(run.unsure).toBeLessThanOrEqual(run.comparisons / 50);
    // the servers of these take turns, whoever asks
    for (const name of ['rr', 'wrr']) {
      const { hits, expected, variance } = run.shares[name] ?? { hits: 0, expected: 0, variance: 0 };
      expect(Math.abs(hits - expected), `${name}: ${hits}, expected ${expected}`).toBeLessThanOrEqual(4 * Math.sqrt(variance) + 1);
    }
    // what is promised of every run
    if (CASES >= 120) {
      expect(run.comparisons).toBeGreaterThanOrEqual(3000);
      for (const [subject, least] of Object.entries(SUBJECTS)) expect([subject, (run.subjects[subject] ?? 0) >= least]).toEqual([subject, true]);
    }
  }, 900_000);
});
