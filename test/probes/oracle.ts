// `npm run oracle -- --cases N --seed S`: random cases on the kernel and in netwhy for as long as one likes.
// Disagreements are made small and written to --out as scenario folders.
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { kernelMissing } from '../oracle/kernel.ts';
import { line } from './compare.ts';
import { makeNftCase } from '../nft/generate.ts';
import { compareAll, disagreement, makeCase, PACKETS, Player, subjectsOf } from './machine.ts';
import { openNode, type Node, type Shot } from './node.ts';
import { replay, shrink, type Replayed, type Suspect } from './shrink.ts';

/** What the rules are written in. */
const MAKERS = { iptables: makeCase, nft: makeNftCase } as const;
type Language = keyof typeof MAKERS;

/** What a worker has to do: cases `from`, `from + 1`, ... below `to`, whole grounds of them. */
interface Task {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Packets without a past in each. */
  readonly packets?: number;
  readonly language?: Language;
}

/** What the kernel did and netwhy said when they disagreed. */
export interface Disagreement extends Suspect {
  readonly at: number;
  readonly told: readonly string[];
}

/** What came of a task. */
interface Done {
  readonly cases: number;
  readonly comparisons: number;
  /** What they were about, counted. */
  readonly subjects: Readonly<Record<string, number>>;
  readonly ms: number;
  /** Of these, waiting for the kernel and its tools. */
  readonly waited: number;
  readonly disagreements: readonly Disagreement[];
  readonly refused: readonly string[];
}

/** The figures of a run. */
export interface Run extends Done {
  readonly seconds: number;
}

async function work({ seed, from, to, packets, language = 'iptables' }: Task, player: Player): Promise<Done> {
  const since = performance.now();
  const waitedBefore = player.waited;
  let comparisons = 0;
  let subjects: Readonly<Record<string, number>> = {};
  const disagreements: Disagreement[] = [];
  const refused: string[] = [];
  for (let at = from; at < to; at++) {
    const c = MAKERS[language](seed, at, packets);
    try {
      const played = await player.play(c);
      const all = compareAll(played);
      comparisons += all.length;
      subjects = sum(subjects, countOf(subjectsOf(played, all)));
      const suspect = disagreement(played, all);
      const bad = all.find((x) => !x.taken);
      if (suspect && bad) {
        const told = [`kernel  ${line(bad.kernel)}`, ...[...new Set(bad.courses.map(line))].slice(0, 4).map((x) => `netwhy  ${x}`)];
        disagreements.push({ at, load: c.load, ...suspect, told });
      }
    } catch (problem) {
      refused.push(`case ${at}: ${String(problem)}`);
      player.reset();
    }
  }
  return { cases: to - from, comparisons, subjects, ms: performance.now() - since, waited: player.waited - waitedBefore, disagreements, refused };
}

function countOf(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const w of words) counts[w] = (counts[w] ?? 0) + 1;
  return counts;
}

function sum(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const both = { ...a };
  for (const [key, n] of Object.entries(b)) both[key] = (both[key] ?? 0) + n;
  return both;
}

const EXPEDITED = '/sys/kernel/rcu_expedited';

/** nft waits for the kernel's RCU at every commit; on a machine of one's own that may be hurried. */
function hurry(): () => void {
  try {
    const before = readFileSync(EXPEDITED, 'utf8');
    if (before.trim() !== '0') return () => {}; // somebody else's, who puts it back
    writeFileSync(EXPEDITED, '1');
    return () => writeFileSync(EXPEDITED, before);
  } catch {
    return () => {};
  }
}

/** Cases given to a worker at a time. */
const BATCH = 20;

/** Plays cases in several processes. */
export async function playCases(
  how: { readonly cases: number; readonly seed: number; readonly workers?: number; readonly packets?: number; readonly language?: Language },
  progress: (r: Run) => void = () => {},
): Promise<Run> {
  const since = performance.now();
  const relax = hurry();
  const stop = (): void => {
    relax();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  let run: Run = { cases: 0, comparisons: 0, subjects: {}, ms: 0, waited: 0, disagreements: [], refused: [], seconds: 0 };
  let next = 0;
  const task = (): Task | undefined => {
    if (next >= how.cases) return undefined;
    const from = next;
    next = Math.min(how.cases, next + BATCH);
    return {
      seed: how.seed,
      from,
      to: next,
      ...(how.packets !== undefined && { packets: how.packets }),
      ...(how.language && { language: how.language }),
    };
  };
  const one = (child: ChildProcess): Promise<void> =>
    new Promise((resolve, reject) => {
      const give = (): void => {
        const t = task();
        if (t) child.send(t);
        else child.disconnect();
      };
      child.on('message', (done: Done) => {
        run = {
          cases: run.cases + done.cases,
          comparisons: run.comparisons + done.comparisons,
          subjects: sum(run.subjects, done.subjects),
          ms: run.ms + done.ms,
          waited: run.waited + done.waited,
          disagreements: [...run.disagreements, ...done.disagreements],
          refused: [...run.refused, ...done.refused],
          seconds: (performance.now() - since) / 1000,
        };
        progress(run);
        give();
      });
      child.on('error', reject);
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${String(code)}`))));
      give();
    });
  try {
    const count = how.workers ?? Math.min(4, availableParallelism());
    await Promise.all(Array.from({ length: count }, () => one(fork(import.meta.filename, ['--worker'], { execArgv: ['--import', 'tsx'] }))));
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    relax();
  }
  return run;
}

/** One line about a run, and one about its subjects. */
export function figures(r: Run): string {
  const rate = r.comparisons / Math.max(r.seconds, 0.001);
  const told = Object.keys(r.subjects)
    .toSorted()
    .map((key) => `${r.subjects[key]} ${key}`)
    .join(', ');
  const share = (100 * r.waited) / Math.max(r.ms, 1);
  return `${r.cases} rule sets, ${r.comparisons} comparisons in ${r.seconds.toFixed(0)} s, ${rate.toFixed(0)} a second, ${share.toFixed(0)} % of it in the kernel and its tools; ${r.disagreements.length} disagreed about, ${r.refused.length} refused${told === '' ? '' : `\nof these ${told}`}`;
}

/** Makes a disagreement small and tells it; with a folder, writes it there as a scenario. */
export async function explain(suspect: Disagreement, title: string, folder?: string, open: () => Node = openNode): Promise<string> {
  const node = open();
  try {
    const small = await shrink(node, suspect);
    if (!small)
      return [`${title}: it did not happen again alone`, ...suspect.shots.map((s) => `packet  ${JSON.stringify(s)}`), ...suspect.told].join('\n');
    const found = await replay(node, small);
    if (folder !== undefined) writeScenario(folder, title, small, found);
    const { ipset, legacy, legacy6, nft, nft6, ipvs, ruleset, devs: _, ...rest } = small.load;
    const texts = Object.entries({ ipset, ipvs, legacy, nft, legacy6, nft6 }).flatMap(([name, text]) =>
      text === undefined ? [] : [`${name}:`, ...text.split('\n').filter((l) => /^(?:-A|-a|add|create|\*|:\S+ DROP)/.test(l))],
    );
    return [
      `${title}${folder === undefined ? '' : `, written to ${folder}`}`,
      ...(small.prior ? [`before  conntrack -I ${small.prior.join(' ')}`] : []),
      ...small.shots.map((s) => `packet  ${JSON.stringify(s)}`),
      `kernel  ${line(found.comparison.kernel)}`,
      ...[...new Set(found.comparison.courses.map(line))].slice(0, 6).map((x) => `netwhy  ${x}`),
      `setup   ${JSON.stringify(rest)}`,
      ...texts,
      ...(ruleset === undefined ? [] : ['ruleset:', ...ruleset.split('\n').filter((l) => l !== '')]),
    ].join('\n');
  } finally {
    await node.close();
  }
}

/** A folder that `netwhy test` and `netwhy trace` read; load.json and kernel.txt make a claim of test/probes of it. */
function writeScenario(folder: string, title: string, { load, shots }: Suspect, { files, comparison }: Replayed): void {
  const { kernel } = comparison;
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  for (const [name, text] of Object.entries(files)) put(join('n', name), text);
  const outcome = kernel.fate.startsWith('out ') ? 'left' : kernel.fate === 'local' ? 'delivered' : undefined;
  put(
    'scenario.yaml',
    stringify({
      title,
      nodes: { n: { capture: 'n/' } },
      questions: [
        { name: 'the packet that the kernel was asked about', ...questionOf(shots.at(-1)!), ...(outcome !== undefined && { expect: { outcome } }) },
      ],
    }),
  );
  put('load.json', `${JSON.stringify({ load, shots }, undefined, 1)}\n`);
  put('kernel.txt', `${line(kernel)}\n`);
}

function questionOf(shot: Shot): object {
  const six = shot.dst.includes(':');
  const ported = !/icmp|gre/.test(shot.proto ?? 'tcp') && shot.inner === undefined;
  const host = six ? `[${shot.dst}]` : shot.dst;
  return {
    from: shot.iif === undefined ? (shot.src ?? 'local') : shot.src,
    to: ported ? `${host}:${shot.dport ?? 80}` : host,
    proto: shot.proto ?? 'tcp',
    ...(ported && { sport: shot.sport ?? 40000 }),
    ...(shot.iif !== undefined && { in: `n:${shot.iif}` }),
    ...(shot.mark !== undefined && { mark: shot.mark }),
    ...(shot.flags !== undefined && { flags: shot.flags }),
  };
}

async function serve(): Promise<void> {
  const player = new Player(openNode());
  await new Promise<void>((resolve) => {
    process.on('message', (task: Task) => {
      work(task, player).then(
        (done) => process.send!(done),
        (problem: unknown) => {
          console.error(problem);
          process.exit(1);
        },
      );
    });
    process.on('disconnect', resolve);
  });
  await player.node.close();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string' },
      packets: { type: 'string', default: String(PACKETS) },
      show: { type: 'string', default: '10' },
      language: { type: 'string', default: 'iptables' },
      out: { type: 'string' },
    },
  });
  const missing = kernelMissing();
  if (missing !== undefined) throw new Error(`the kernel cannot be asked: ${missing}`);
  const seed = Number(values.seed);
  const language = Object.keys(MAKERS).find((l): l is Language => l === values.language);
  if (language === undefined) throw new Error(`--language is one of ${Object.keys(MAKERS).join(', ')}`);
  let told = 0;
  const progress = (r: Run): void => {
    const now = performance.now();
    if (!process.stderr.isTTY || now - told < 500) return;
    told = now;
    process.stderr.write(`\r\u001B[K${figures(r).split('\n')[0]!}`);
  };
  const run = await playCases(
    {
      cases: Number(values.cases),
      seed,
      packets: Number(values.packets),
      language,
      ...(values.workers !== undefined && { workers: Number(values.workers) }),
    },
    progress,
  );
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
  for (const d of run.disagreements.slice(0, Number(values.show))) {
    const title = `case ${d.at} of seed ${seed}`;
    console.log(`${await explain(d, title, values.out === undefined ? undefined : join(values.out, `seed-${seed}-case-${d.at}`))}\n`);
  }
  for (const r of run.refused.slice(0, Number(values.show))) console.log(r);
  console.log(`seed ${seed}: ${figures(run)}`);
  if (run.disagreements.length + run.refused.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await (process.argv[2] === '--worker' ? serve() : main());
