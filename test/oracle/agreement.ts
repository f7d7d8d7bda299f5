// Every question of a scenario, asked of the engine and of the kernel: the same rules match, in the same order, in the
// same namespaces, the packet ends in the same place with the same addresses, and its answer does too.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { walkQuestion } from '../../src/engine/network.ts';
import type { World } from '../../src/model/host.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { Chain } from '../../src/model/ruleset.ts';
import type { Expect } from '../../src/model/scenario.ts';
import type { OutcomeKind, Question, Trace } from '../../src/model/trace.ts';
import { formatAddr } from '../../src/net/addr.ts';
import type { Header, Pass } from './network.ts';
import { takesGuest } from './guest-scenario.ts';
import { loadScenario, openScenario, placeName, type Replay, type StandingScenario } from './scenario.ts';

const scenarios = join(import.meta.dirname, '../../scenarios');

/** The folder of a scenario. */
export function folderOf(name: string): string {
  return join(scenarios, name);
}

/** The parts of an expectation that packets show, as the kernel has them: one that it left open is as expected. */
function observed(expected: Expect, { fate, outcome, reply, translated, seen }: Replay): Expect {
  const one = (wanted: OutcomeKind, possible: readonly OutcomeKind[]): OutcomeKind | undefined => (possible.includes(wanted) ? wanted : possible[0]);
  return {
    ...(expected.outcome !== undefined && { outcome: one(expected.outcome, outcome) }),
    ...(expected.reply !== undefined && { reply: one(expected.reply, reply ?? []) }),
    ...(expected.masqueraded !== undefined && { masqueraded: translated.src }),
    ...(expected.dnat !== undefined && { dnat: fate === 'gone' ? expected.dnat : seen.dst }),
  };
}

/** The engine's courses of a question. */
function walk(world: World, question: Question): readonly Trace[] {
  return walkQuestion(world, question, { all: true }).traces;
}

interface Course {
  /** namespace, backend, table, chain and number of each matched rule: the kernel tells those that came to their end (nft_do_chain()). */
  readonly rules: readonly string[];
  readonly path: readonly string[];
  readonly end: string;
  readonly final: string;
}

/** One way of a packet, as far as the engine and the kernel can both tell: the guest's has no nft tables of the family ip. */
function courseOfTrace(trace: Trace, inGuest: boolean): Course {
  const rules = trace.hops.flatMap((hop) =>
    hop.steps.flatMap((s) =>
      s.step === 'rule' && s.truth !== false && s.ended === undefined && !(inGuest && s.backend === 'nft')
        ? [`${placeName(hop)}: ${s.backend} ${s.table.replace(/^\w+ /, '')} ${s.chain} ${s.number}`] // the kernel tells the family elsewhere
        : [],
    ),
  );
  const end = endOfTrace(trace);
  return {
    rules,
    // a frame that a bridge passes on without its rules leaves no trace in the kernel
    path: settle(trace.hops.filter((hop) => hop.steps.some((s) => s.step === 'enter')).map(placeName)),
    end,
    // What the kernel itself threw away may have been translated by then, which nothing shows.
    final: end === 'gone' ? '' : endpoints(addressesOf(trace.final), trace.final.undetermined !== undefined),
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
      // a wire loses what has left, a bridge what no rule has seen
      switch (trace.hops.at(-1)?.steps.at(-1)?.step) {
        case 'leave':
          return 'left';
        case 'bridge':
          return 'gone';
        default:
          return 'dropped';
      }
    case 'rejected':
      return 'dropped';
    default:
      return 'gone';
  }
}

function courseOfPasses(passes: readonly Pass[], random: boolean): Course {
  const last = passes.findLast((p) => !p.outer);
  const header = last && (last.arrived ?? last.left ?? last.seen);
  return {
    rules: passes.flatMap((p) => p.rules.map((r) => `${p.namespace}: ${r.backend} ${r.table} ${r.chain} ${r.number ?? '?'}`)),
    path: settle(passes.map((p) => p.namespace)),
    end: last?.end ?? 'not sent',
    final: header && last.end !== 'gone' ? endpoints(header, random) : '',
  };
}

/** Reports whether chains of two tables have one priority at a hook: the one registered last runs first, which no capture tells, and the engine asks only where it matters. */
function hasTies(world: World): boolean {
  const usual: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50 };
  return world.namespaces.some((ns) => {
    const places = ns.tables.flatMap((t) => {
      const bases = Object.values<Chain>(t.chains).flatMap((c) => (c.base && (c.rules.length > 0 || c.base.policy === 'drop') ? [c.base] : []));
      return [...new Set(bases.map((b) => `${t.family} ${b.hook} ${b.priority ?? usual[t.name] ?? (/^(PRE|OUT)/.test(b.hook) ? -100 : 100)}`))];
    });
    return new Set(places).size < places.length;
  });
}

/** The rules table by table, where nobody knows which of two tables was first. */
function byTable(rules: readonly string[]): string[] {
  const table = (rule: string): string => rule.split(' ', 3).join(' ');
  return rules.toSorted((a, b) => (table(a) < table(b) ? -1 : table(a) > table(b) ? 1 : 0));
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

/** The scenarios of one kernel: the guest's, or this machine's. */
export function scenariosOf(kernel: 'guest' | 'host'): string[] {
  if (!existsSync(scenarios)) return [];
  return readdirSync(scenarios)
    .filter((name) => existsSync(join(scenarios, name, 'scenario.yaml')) && takesGuest(join(scenarios, name)) === (kernel === 'guest'))
    .toSorted();
}

const DROPS = 'ip_vs_in() of 4.6 to 5.8, which Red Hat took back to 3.10, drops a SYN that it schedules anew while vs.conntrack is 1';
const EXPIRES = 'ip_vs_in() before 5.9 drops what belongs to a server that is gone, and only makes the entry expire';
/** Questions of captures from another kernel than the guest's, and what that one does; the guest's does otherwise, and lets the packet through. */
const OTHER_KERNEL: Readonly<Record<string, string>> = {
  'ipvs-conn-reuse: ingress with the port of a connection in TIME_WAIT': DROPS,
  'ipvs-conn-reuse: ingress with the port of a connection to a terminating pod': DROPS,
  'ipvs-conn-reuse: ingress with the port of a connection to a pod that is gone': DROPS,
  'ipvs-conn-reuse: ingress with the port of an open connection to a pod that is gone': EXPIRES,
};

/** The tests of one scenario, on the kernel that `ask` finds. */
export function describeAgreement(
  ask: (claim: string, tests: () => void) => void,
  name: string,
  open: (folder: string) => Promise<StandingScenario> = openScenario,
): void {
  const folder = folderOf(name);
  const { scenario } = loadScenario(folder);
  const inGuest = takesGuest(folder);
  ask(name, () => {
    let standing: StandingScenario;
    let ties = false;
    beforeAll(async () => {
      standing = await open(folder);
      ties = hasTies(standing.world);
    }, 300_000);
    afterAll(() => standing.close());

    for (const question of scenario.questions ?? []) {
      const otherKernel = OTHER_KERNEL[`${name}: ${question.name}`];
      if (otherKernel !== undefined) {
        it(`the guest's kernel does otherwise: ${question.name}`, async () => {
          expect(question.expect?.outcome, otherKernel).toBe('dropped');
          expect((await standing.replay(question)).replied, otherKernel).toBe(true);
        });
        continue;
      }
      it(`the kernel does as the scenario says: ${question.name}`, async () => {
        const { because: _, ...expected } = question.expect ?? {};
        const replay = await standing.replay(question);
        expect(observed(expected, replay), JSON.stringify(replay, undefined, 1)).toEqual(expected);
      });
      it(`the engine and the kernel agree: ${question.name}`, async () => {
        const traces = walk(standing.world, standing.understand(question));
        const { observation } = await standing.replay(question);
        const random = traces.some((t) => t.final.undetermined !== undefined);
        const ordered = (c: Course): Course => (ties ? { ...c, rules: byTable(c.rules) } : c);
        const seen = ordered(courseOfPasses(observation.requests, random));
        // Where the engine followed several courses, the kernel took one of them.
        const courses = traces.map((t) => ordered(courseOfTrace(t, inGuest)));
        // Where sets are unknown the engine supposes, and the rules that follow are supposed as well.
        const supposed = traces.some((t) =>
          [t, t.reply].some((w) => w?.hops.some((h) => h.steps.some((s) => s.step === 'rule' && s.truth === 'unknown'))),
        );
        const as = (course: Course, told: Course): Course => (supposed ? { ...course, rules: told.rules } : course);
        const found = courses.findIndex((c) => JSON.stringify(as(c, seen)) === JSON.stringify(seen));
        expect(found === -1 && courses.length > 1 ? courses : as(courses[Math.max(found, 0)]!, seen)).toEqual(seen);
        const trace = traces[found];
        const answers = observation.replies;
        const unsent = trace?.reply?.outcome.kind === 'no-route' && trace.reply.hops.length === 1; // by a socket that has no route for it
        const refused = trace?.outcome.kind === 'rejected'; // perhaps with a RST, which nobody asks about
        if (trace?.reply === undefined || unsent) expect(answers.filter(() => !refused).map((p) => p.namespace)).toEqual([]);
        else {
          const back = ordered(courseOfPasses(answers, trace.reply.final.undetermined !== undefined));
          expect(as(ordered(courseOfTrace(trace.reply, inGuest)), back)).toEqual(back);
        }
      });
    }
  });
}
