// Every question of every scenario, asked of the engine and of the kernel: the same rules match, in the same order, in the
// same namespaces, the packet ends in the same place with the same addresses, and its answer does too.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { walkQuestion } from '../../src/engine/network.ts';
import type { World } from '../../src/model/host.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { Question, Trace } from '../../src/model/trace.ts';
import { formatAddr } from '../../src/net/addr.ts';
import { describeKernel } from './kernel.ts';
import type { Header, Pass } from './network.ts';
import { loadScenario, openScenario, placeName, type StandingScenario } from './scenario.ts';

const scenarios = join(import.meta.dirname, '../../scenarios');

/** Scenarios that the kernels of this harness cannot hold, and why. */
const BEYOND: Readonly<Record<string, string>> = {};

/** The engine's courses of a question. */
function walk(world: World, question: Question): readonly Trace[] {
  return walkQuestion(world, question).traces;
}

interface Course {
  /** namespace, backend, table, chain and number of each matched rule. */
  readonly rules: readonly string[];
  readonly path: readonly string[];
  readonly end: string;
  readonly final: string;
}

/** One way of a packet, as far as the engine and the kernel can both tell. */
function courseOfTrace(trace: Trace): Course {
  const rules = trace.hops.flatMap((hop) =>
    hop.steps.flatMap((s) => (s.step === 'rule' && s.truth === true ? [`${placeName(hop)}: ${s.backend} ${s.table} ${s.chain} ${s.number}`] : [])),
  );
  return {
    rules,
    path: settle(trace.hops.map(placeName)),
    end: endOfTrace(trace),
    final: endpoints(addressesOf(trace.final), trace.final.undetermined !== undefined),
  };
}

function endOfTrace(trace: Trace): string {
  switch (trace.outcome.kind) {
    case 'delivered':
    case 'reply-lost':
      return 'delivered';
    case 'left':
    case 'no-neighbour':
    case 'not-for-us':
      return 'left';
    case 'dropped':
    case 'rejected':
      return 'dropped';
    default:
      return 'gone';
  }
}

function courseOfPasses(passes: readonly Pass[], random: boolean): Course {
  const last = passes.at(-1);
  const header = last && (last.arrived ?? last.left ?? last.entered);
  return {
    rules: passes.flatMap((p) => p.rules.map((r) => `${p.namespace}: ${r.backend} ${r.table} ${r.chain} ${r.number ?? '?'}`)),
    path: settle(passes.map((p) => p.namespace)),
    end: last?.end ?? 'not sent',
    final: header ? endpoints(header, random) : '',
  };
}

/** A packet to itself passes its namespace twice on the kernel. */
function settle(path: readonly string[]): string[] {
  return path.filter((place, i) => place !== path[i - 1]);
}

function addressesOf(p: Packet): Pick<Header, 'src' | 'dst' | 'sport' | 'dport'> {
  return {
    src: formatAddr(p.src),
    dst: formatAddr(p.dst),
    ...(p.sport !== undefined && { sport: p.sport }),
    ...(p.dport !== undefined && { dport: p.dport }),
  };
}

/** Ports that the kernel picks at random, and the sender's own, which each run picks anew, are left out. */
function endpoints(h: Pick<Header, 'src' | 'dst' | 'sport' | 'dport'>, random: boolean): string {
  const port = (n: number | undefined): string => (n === undefined || random || n >= 1024 ? '' : `:${n}`);
  return `${h.src}${port(h.sport)} -> ${h.dst}${port(h.dport)}`;
}

for (const name of existsSync(scenarios) ? readdirSync(scenarios).toSorted() : []) {
  const folder = join(scenarios, name);
  if (!existsSync(join(folder, 'scenario.yaml'))) continue;
  const { scenario } = loadScenario(folder);
  if (BEYOND[name] !== undefined) {
    it.skip(`${name}: ${BEYOND[name]}`);
    continue;
  }
  describeKernel(`${name}: the engine and the kernel agree on`, () => {
    let standing: StandingScenario;
    beforeAll(async () => {
      standing = await openScenario(folder);
    });
    afterAll(() => standing.close());

    for (const question of scenario.questions ?? []) {
      it(question.name, async () => {
        const traces = walk(standing.world, standing.understand(question));
        const { observation } = await standing.replay(question);
        const random = traces.some((t) => t.final.undetermined !== undefined);
        const seen = courseOfPasses(observation.requests, random);
        // Where the engine followed several courses, the kernel took one of them.
        const courses = traces.map(courseOfTrace);
        expect(traces.length === 1 ? courses[0] : (courses.find((c) => JSON.stringify(c) === JSON.stringify(seen)) ?? courses)).toEqual(seen);
        const trace = traces[courses.findIndex((c) => JSON.stringify(c) === JSON.stringify(seen))];
        const answers = observation.replies;
        if (trace?.reply === undefined) expect(answers.map((p) => p.namespace)).toEqual([]);
        else expect(courseOfTrace(trace.reply)).toEqual(courseOfPasses(answers, trace.reply.final.undetermined !== undefined));
      });
    }
  });
}
