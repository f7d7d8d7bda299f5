// `npm run ipvs -- --cases N --seed S`: random nodes with IPVS on a guest's kernel and in netwhy for as long as one likes.
// Disagreements are made small and written to --out as scenario folders.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { guestMissing, openGuest } from '../oracle/guest.ts';
import { line, type Comparison } from '../probes/compare.ts';
import { explain, type Disagreement } from '../probes/oracle.ts';
import { compareAll, isUnsure, makeCase, Player, SCENES_PER_GROUND, suspectOf, type Played } from './machine.ts';
import { addShares, shareOf, subjectsOf, type Share } from './subjects.ts';

/** The figures of a run. */
export interface Run {
  readonly cases: number;
  readonly comparisons: number;
  /** Where netwhy cannot tell, and is right as far as it goes. */
  readonly unsure: number;
  readonly seconds: number;
  readonly disagreements: readonly Disagreement[];
  readonly refused: readonly string[];
  /** What the comparisons were about, counted. */
  readonly subjects: Readonly<Record<string, number>>;
  /** How often the kernel picked the servers that netwhy gave a chance, by scheduler. */
  readonly shares: Readonly<Record<string, Share>>;
}

/** Which cases, and how many guests play them. */
export interface Task {
  readonly cases: number;
  readonly seed: number;
  readonly from?: number;
  readonly guests?: number;
}

/** Plays cases in several guests. */
export async function playCases({ cases, seed, from = 0, guests = 2 }: Task, progress: (r: Run) => void = () => {}): Promise<Run> {
  const since = performance.now();
  const end = from + cases;
  let next = Math.floor(from / SCENES_PER_GROUND);
  let run: Run = { cases: 0, comparisons: 0, unsure: 0, seconds: 0, disagreements: [], refused: [], subjects: {}, shares: {} };
  const note = (at: number, played: Played, all: readonly Comparison[]): void => {
    const bad = all.findIndex((c) => !c.taken && !isUnsure(c));
    const subjects = { ...run.subjects };
    for (const w of subjectsOf(played, all)) subjects[w] = (subjects[w] ?? 0) + 1;
    run = {
      ...run,
      cases: run.cases + 1,
      comparisons: run.comparisons + all.length,
      unsure: run.unsure + all.filter((c) => !c.taken && isUnsure(c)).length,
      subjects,
      shares: addShares(run.shares, all.map(shareOf)),
      disagreements: bad < 0 ? run.disagreements : [...run.disagreements, { at, ...suspectOf(played, bad), told: tell(all[bad]!) }],
    };
  };
  const work = async (): Promise<void> => {
    const player = new Player(openGuest());
    try {
      for (let group = next++; group * SCENES_PER_GROUND < end; group = next++) {
        for (let at = Math.max(group * SCENES_PER_GROUND, from); at < Math.min(end, (group + 1) * SCENES_PER_GROUND); at++) {
          try {
            const played = await player.play(makeCase(seed, at));
            note(at, played, compareAll(played));
          } catch (problem) {
            run = { ...run, refused: [...run.refused, `case ${at}: ${String(problem)}`] };
            player.reset();
          }
          run = { ...run, seconds: (performance.now() - since) / 1000 };
          progress(run);
        }
      }
    } finally {
      await player.node.close();
    }
  };
  await Promise.all(Array.from({ length: guests }, work));
  return run;
}

function tell(c: Comparison): string[] {
  return [`kernel  ${line(c.kernel)}`, ...[...new Set(c.courses.map(line))].slice(0, 4).map((x) => `netwhy  ${x}`)];
}

/** One line about a run. */
export function figures(r: Run): string {
  const share = ((100 * r.unsure) / Math.max(r.comparisons, 1)).toFixed(1);
  return `${r.cases} rule sets, ${r.comparisons} comparisons in ${r.seconds.toFixed(0)} s; ${r.disagreements.length} disagreed about, ${r.unsure} not told (${share} %), ${r.refused.length} refused`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '400' },
      from: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      guests: { type: 'string', default: '2' },
      show: { type: 'string', default: '10' },
      out: { type: 'string' },
    },
  });
  const missing = guestMissing();
  if (missing !== undefined) throw new Error(`the guest kernel cannot be asked: ${missing}`);
  const seed = Number(values.seed);
  const told = (r: Run): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${figures(r)}`);
  };
  const run = await playCases({ cases: Number(values.cases), seed, from: Number(values.from), guests: Number(values.guests) }, told);
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
  for (const d of run.disagreements.slice(0, Number(values.show))) {
    const folder = values.out === undefined ? undefined : join(values.out, `ipvs-seed-${seed}-case-${d.at}`);
    console.log(`${await explain(d, `case ${d.at} of seed ${seed}`, folder, openGuest)}\n`);
  }
  for (const r of run.refused.slice(0, Number(values.show))) console.log(r);
  for (const [name, s] of Object.entries(run.shares))
    console.log(`${name}: ${s.hits} of ${s.of} went where ${s.expected.toFixed(1)} should (${s.variance.toFixed(1)})`);
  const subjects = Object.entries(run.subjects).toSorted(([a], [b]) => (a < b ? -1 : 1));
  console.log(`of these ${subjects.map(([key, n]) => `${n} ${key}`).join(', ')}`);
  console.log(`seed ${seed}: ${figures(run)}`);
  if (run.disagreements.length + run.refused.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await main();
