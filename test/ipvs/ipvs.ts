// `npm run ipvs -- --cases N --seed S`: random nodes with IPVS on a guest's kernel and in netwhy for as long as one likes.
import { parseArgs } from 'node:util';
import { guestMissing, openGuest } from '../oracle/guest.ts';
import { line, report, type Comparison } from '../probes/compare.ts';
import { compareAll, isUnsure, makeCase, Player, SCENES_PER_GROUND, sharesOf, type Share } from './machine.ts';

/** What the kernel did and netwhy said when they disagreed. */
export interface Disagreement {
  readonly at: number;
  readonly told: string;
  readonly text: string;
}

/** The figures of a run. */
export interface Run {
  readonly cases: number;
  readonly comparisons: number;
  /** Where netwhy cannot tell, and is right as far as it goes. */
  readonly unsure: number;
  readonly seconds: number;
  readonly disagreements: readonly Disagreement[];
  readonly refused: readonly string[];
  readonly shares: Readonly<Record<string, Share>>;
  /** Why it could not tell, counted. */
  readonly reasons: Readonly<Record<string, number>>;
}

/** Plays cases in several guests. */
export async function playCases(how: {
  readonly cases: number;
  readonly seed: number;
  readonly from?: number;
  readonly guests?: number;
}): Promise<Run> {
  const since = performance.now();
  let next = Math.floor((how.from ?? 0) / SCENES_PER_GROUND);
  const end = (how.from ?? 0) + how.cases;
  let [cases, comparisons, unsure] = [0, 0, 0];
  const disagreements: Disagreement[] = [];
  const refused: string[] = [];
  const shares: Record<string, Share> = {};
  const reasons: Record<string, number> = {};
  const note = (at: number, all: readonly Comparison[], text: (c: Comparison) => string): void => {
    comparisons += all.length;
    for (const c of all) {
      if (c.taken) for (const [name, share] of Object.entries(sharesOf(c))) shares[name] = sum(shares[name], share);
      else if (isUnsure(c)) {
        unsure++;
        for (const t of c.traces) if (t.outcome.kind === 'cannot-tell') reasons[t.outcome.why] = (reasons[t.outcome.why] ?? 0) + 1;
      } else disagreements.push({ at, told: brief(c), text: text(c) });
    }
  };
  const work = async (): Promise<void> => {
    const player = new Player(openGuest());
    for (let group = next++; group * SCENES_PER_GROUND < end; group = next++) {
      for (let at = Math.max(group * SCENES_PER_GROUND, how.from ?? 0); at < Math.min(end, (group + 1) * SCENES_PER_GROUND); at++) {
        try {
          const c = makeCase(how.seed, at);
          const played = await player.play(c);
          cases++;
          note(at, compareAll(played), (x) => report(c.scene.load, x));
        } catch (problem) {
          refused.push(`case ${at}: ${problem instanceof Error ? (problem.stack ?? problem.message) : String(problem)}`);
          player.reset();
        }
      }
    }
    await player.node.close();
  };
  await Promise.all(Array.from({ length: how.guests ?? 2 }, work));
  return { cases, comparisons, unsure, seconds: (performance.now() - since) / 1000, disagreements, refused, shares, reasons };
}

function sum(a: Share | undefined, b: Share): Share {
  return {
    of: (a?.of ?? 0) + b.of,
    hits: (a?.hits ?? 0) + b.hits,
    expected: (a?.expected ?? 0) + b.expected,
    variance: (a?.variance ?? 0) + b.variance,
  };
}

function brief(c: Comparison): string {
  return [
    `packet  ${JSON.stringify(c.shot)}`,
    `kernel  ${line(c.kernel)}`,
    ...[...new Set(c.courses.map(line))].slice(0, 5).map((x) => `netwhy  ${x}`),
  ].join('\n');
}

/** One line about a run. */
export function figures(r: Run): string {
  const share = (100 * r.unsure) / Math.max(r.comparisons, 1);
  return `${r.cases} rule sets, ${r.comparisons} comparisons in ${r.seconds.toFixed(0)} s; ${r.disagreements.length} disagreed about, ${r.unsure} not told (${share.toFixed(1)} %), ${r.refused.length} refused`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '160' },
      from: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      guests: { type: 'string', default: '2' },
      show: { type: 'string', default: '10' },
      whole: { type: 'boolean', default: false },
    },
  });
  const missing = guestMissing();
  if (missing !== undefined) throw new Error(`the guest kernel cannot be asked: ${missing}`);
  const seed = Number(values.seed);
  const run = await playCases({ cases: Number(values.cases), seed, from: Number(values.from), guests: Number(values.guests) });
  for (const d of run.disagreements.slice(0, Number(values.show))) console.log(`case ${d.at} of seed ${seed}\n${values.whole ? d.text : d.told}\n`);
  for (const r of run.refused.slice(0, Number(values.show))) console.log(r);
  for (const [why, n] of Object.entries(run.reasons)
    .toSorted((a, b) => b[1] - a[1])
    .slice(0, 10))
    console.log(`${n} not told: ${why}`);
  for (const [name, s] of Object.entries(run.shares)) console.log(`${name}: ${s.hits} of ${s.of}, ${s.expected.toFixed(1)} expected`);
  console.log(`seed ${seed}: ${figures(run)}`);
  if (run.disagreements.length + run.refused.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await main();
