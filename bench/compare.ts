// One question, several ways to answer it: the answers are compared first, then the ways are timed in turn.
import { isDeepStrictEqual } from 'node:util';
import { do_not_optimize, measure } from 'mitata';

export type Contenders = Readonly<Record<string, () => unknown>>;

/** Numbers below 2^32 from a seed (mulberry32): every run asks about the same input. */
export function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/**
 * Times `contenders`, each of which works through the same `items` items and returns its answer. The first is ours.
 * They take turns for `rounds` rounds, so that a slow minute of the machine hits all of them; the best median counts,
 * and the spread says how far the other rounds were from it.
 */
export async function compare(question: string, items: number, contenders: Contenders, rounds = 5): Promise<void> {
  const [first, ...others] = Object.entries(contenders);
  if (!first) throw new RangeError('nothing to compare');
  const answer = first[1]();
  for (const [name, run] of others) {
    if (!isDeepStrictEqual(run(), answer)) throw new Error(`${question}: ${name} and ${first[0]} do not agree`);
  }
  const medians = new Map<string, number[]>();
  const samples = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of [first, ...others]) {
      const stats = await measure(() => do_not_optimize(run()), { min_cpu_time: 1e8 });
      medians.set(name, [...(medians.get(name) ?? []), stats.p50 / items]);
      samples.set(name, (samples.get(name) ?? 0) + stats.samples.length);
    }
  }
  const ours = Math.min(...medians.get(first[0])!);
  console.log(`\n${question}  (${items} items, ${rounds} rounds)`);
  for (const [name, times] of medians) {
    const best = Math.min(...times);
    const spread = Math.round((Math.max(...times) / best - 1) * 100);
    const columns = [
      name.padEnd(28),
      `${best.toFixed(1)} ns`.padStart(12),
      `x${(best / ours).toFixed(1)}`.padStart(9),
      `spread ${spread}%`.padStart(13),
    ];
    console.log(`  ${columns.join('')}${`${samples.get(name)} samples`.padStart(16)}`);
  }
}
