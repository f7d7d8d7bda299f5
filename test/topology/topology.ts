// `npm run topology -- --cases N --seed S`: random networks on the kernel and in netwhy for as long as one likes.
// Disagreements are made small and written to --out as scenario folders.
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { kernelMissing } from '../oracle/kernel.ts';
import { openGround, type Captures, type Ground, type Shot } from './ground.ts';
import { write } from './judge.ts';
import { makeCase, PACKETS, play, shrink, tell, type Disagreement, type Played } from './machine.ts';

interface Task {
  readonly seed: number;
  readonly at: number;
  readonly packets: number;
}

/** A disagreement, and the number of its network. */
interface Found extends Disagreement {
  readonly at: number;
}

/** What came of one network. */
type Done = (Played & { readonly at: number }) | { readonly at: number; readonly refused: string };

/** The figures of a run. */
export interface Run extends Omit<Played, 'disagreements'> {
  readonly networks: number;
  readonly seconds: number;
  readonly disagreements: readonly Found[];
  readonly refused: readonly string[];
}

function add(run: Run, done: Done, seconds: number): Run {
  if ('refused' in done) return { ...run, networks: run.networks + 1, seconds, refused: [...run.refused, `network ${done.at}: ${done.refused}`] };
  const { yes, arp, no } = done.agreed;
  return {
    networks: run.networks + 1,
    seconds,
    compared: run.compared + done.compared,
    agreed: {
      yes: run.agreed.yes + yes,
      arp: run.agreed.arp + arp,
      no: run.agreed.no + no,
      'cannot-tell': run.agreed['cannot-tell'] + done.agreed['cannot-tell'],
    },
    arrived: run.arrived + done.arrived,
    answered: run.answered + done.answered,
    flooded: run.flooded + done.flooded,
    unsteady: run.unsteady + done.unsteady,
    disagreements: [...run.disagreements, ...done.disagreements.map((d) => ({ ...d, at: done.at }))],
    refused: run.refused,
  };
}

/** Plays networks `from` and on in several processes until there were so many packets, or networks. */
export async function playNetworks(
  how: { readonly seed: number; readonly cases: number; readonly packets?: number; readonly workers?: number },
  progress: (r: Run) => void = () => {},
): Promise<Run> {
  const since = performance.now();
  const agreed = { yes: 0, arp: 0, no: 0, 'cannot-tell': 0 };
  let run: Run = {
    networks: 0,
    seconds: 0,
    compared: 0,
    agreed,
    arrived: 0,
    answered: 0,
    flooded: 0,
    unsteady: 0,
    disagreements: [],
    refused: [],
  };
  let next = 0;
  const one = (child: ChildProcess): Promise<void> =>
    new Promise((resolve, reject) => {
      const give = (): void => {
        if (next < how.cases) child.send({ seed: how.seed, at: next++, packets: how.packets ?? PACKETS } satisfies Task);
        else child.disconnect();
      };
      child.on('message', (done: Done) => {
        run = add(run, done, (performance.now() - since) / 1000);
        progress(run);
        give();
      });
      child.on('error', reject);
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${String(code)}`))));
      give();
    });
  const count = how.workers ?? Math.min(4, availableParallelism());
  await Promise.all(Array.from({ length: count }, () => one(fork(import.meta.filename, ['--worker'], { execArgv: ['--import', 'tsx'] }))));
  return run;
}

/** One line about a run. */
export function figures(r: Run): string {
  const share = ((100 * r.agreed['cannot-tell']) / Math.max(r.compared, 1)).toFixed(2);
  return [
    `${r.networks} networks, ${r.compared} packets with ${r.arrived} answers in ${r.seconds.toFixed(0)} s, ${(r.compared / Math.max(r.seconds, 0.001)).toFixed(0)} a second`,
    `${r.answered} answers came back`,
    `cannot-tell ${share} %`,
    `${r.flooded} with copies, ${r.agreed.arp} stopped as ARP inside a tunnel, ${r.unsteady} otherwise when asked again`,
    `${r.disagreements.length} disagreed about, ${r.refused.length} refused`,
  ].join('; ');
}

/** Makes a disagreement small and tells it; with a folder, writes it there as a scenario. */
export async function explain(found: Disagreement, title: string, folder?: string): Promise<string> {
  const ground = openGround();
  try {
    const small = await shrink(ground, found);
    if (folder !== undefined) writeScenario(folder, title, small, small.captures);
    return `${title}${folder === undefined ? '' : `, written to ${folder}`}\n${tell(small)}`;
  } finally {
    await ground.close();
  }
}

function writeScenario(folder: string, title: string, found: Disagreement, captures: Captures): void {
  const { scenario, files } = write(found.plan, captures, title);
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  for (const { path, text } of files) put(path, text);
  put('scenario.yaml', stringify({ ...scenario, questions: [{ name: 'the packet that the kernel was asked about', ...questionOf(found.shot) }] }));
  put('kernel.txt', `${found.comparison.kernel}\n`);
}

function questionOf(s: Shot): object {
  return {
    from: s.device === undefined ? s.ns : s.src,
    to: s.dport === undefined ? s.dst : `${s.dst}:${s.dport}`,
    proto: s.proto,
    ...(s.sport !== undefined && { sport: s.sport }),
    ...(s.device !== undefined && { in: `${s.ns}:${s.device}` }),
    ...(s.mark !== 0 && { mark: s.mark }),
    ...(s.ttl !== 64 && { ttl: s.ttl }),
    ...(s.length !== undefined && { length: s.length }),
  };
}

async function serve(): Promise<void> {
  let ground: Ground = openGround();
  const work = async ({ seed, at, packets }: Task): Promise<Done> => {
    try {
      return { at, ...(await play(ground, makeCase(seed, at, packets))) };
    } catch (problem) {
      await ground.close();
      ground = openGround();
      return { at, refused: String(problem) };
    }
  };
  await new Promise<void>((resolve) => {
    process.on('message', (task: Task) => void work(task).then((done) => process.send!(done)));
    process.on('disconnect', resolve);
  });
  await ground.close();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string' },
      packets: { type: 'string', default: String(PACKETS) },
      show: { type: 'string', default: '5' },
      out: { type: 'string' },
    },
  });
  const missing = kernelMissing();
  if (missing !== undefined) throw new Error(`the kernel cannot be asked: ${missing}`);
  const seed = Number(values.seed);
  const run = await playNetworks({
    cases: Number(values.cases),
    seed,
    packets: Number(values.packets),
    ...(values.workers !== undefined && { workers: Number(values.workers) }),
  });
  console.log(`seed ${seed}: ${figures(run)}`);
  for (const d of run.disagreements.slice(0, Number(values.show))) {
    const title = `network ${d.at} of seed ${seed}`;
    console.log(`\n${await explain(d, title, values.out === undefined ? undefined : join(values.out, `seed-${seed}-network-${d.at}`))}`);
  }
  for (const r of run.refused.slice(0, Number(values.show))) console.log(r);
  if (run.disagreements.length + run.refused.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await (process.argv[2] === '--worker' ? serve() : main());
