// Whether `why` finds the fault of a mutant again: healthy networks, one thing changed, the first question that no longer works.
// `npm run mutants` measures all of them and tells which were missed.
import { join } from 'node:path';
import { causesOf } from '../../src/ask/cause.ts';
import { patternsOf } from '../../src/ask/pattern.ts';
import { ask, isMisunderstood, requestOf, type Request } from '../../src/ask/question.ts';
import type { Thing } from '../../src/ask/thing.ts';
import { trace } from '../../src/ask/trace.ts';
import { why } from '../../src/ask/why.ts';
import { load } from '../../src/cli/load.ts';
import type { World } from '../../src/model/host.ts';
import { contains, familyOf, isError, parsePrefix } from '../../src/net/addr.ts';
import { mutantsOf, type Fault, type Mutant } from './mutants.ts';

/** Scenarios in which nothing is wrong but what is refused on purpose. */
export const BASELINES = [
  'calico-ipip',
  'calico-nftables',
  'docker-bridge',
  'docker-nftables',
  'firewalld',
  'flannel-host-gw',
  'flannel-vxlan',
  'hairpin-on',
  'ipvs-baseline',
  'ipvs-mark-drop-present',
  'kube-proxy-iptables',
  'kube-proxy-ipvs',
  'kube-proxy-nftables',
  'kube-proxy-nftables-ipv6',
  'kubenet-cloud-routes',
] as const;

/** What became of one mutant that changes a question's fate. */
export interface Judged {
  readonly scenario: string;
  readonly fault: Fault;
  readonly told: string;
  /** The place of the cause that names the changed thing, from 0; undefined where none does. */
  readonly rank?: number;
}

/** Every `stride`th mutant of a scenario, from `start` on, of those that change a fate. */
export async function judgeScenario(scenario: string, stride = 1, start = 0): Promise<Judged[]> {
  const { world, scenario: file } = await load(join(import.meta.dirname, '../../scenarios', scenario));
  const working = (file?.questions ?? []).map(requestOf).filter((r) => verdictIn(world, r) === 'yes');
  const out: Judged[] = [];
  let n = 0;
  for (const m of mutantsOf(world)) {
    if (n++ % stride !== start) continue;
    // what is smaller than every MTU meets none
    const questions = m.fault === 'MTU' ? working.map((r) => ({ ...r, length: '1400' })) : working;
    const broken = questions.find((r) => verdictIn(m.world, r) === 'no');
    if (broken) out.push(judge(scenario, m, broken));
  }
  return out;
}

function verdictIn(world: World, request: Request): string {
  const asked = ask(world, request);
  return isMisunderstood(asked) ? asked.error : trace(world, asked).verdict;
}

function judge(scenario: string, m: Mutant, request: Request): Judged {
  const found = why(m.world, request, { kind: 'reply-delivered' });
  if (isMisunderstood(found)) throw new Error(found.error);
  const { causes } = causesOf(m.world, found, patternsOf(m.world, found.answer));
  const rank = causes.findIndex((c) => c.things.some((t) => isNamedBy(m, t)));
  const first = causes.slice(0, 3).map((c) => c.proof.edits.map((e) => `${e.node}/${e.namespace}# ${e.command}`).join('; '));
  const told = `${m.fault} ${m.node}/${m.namespace} ${m.what} | ${request.from} -> ${request.to} | ${first.join(' | ') || 'no cure'}`;
  return { scenario, fault: m.fault, told, ...(rank >= 0 && { rank }) };
}

/** Reports whether a cause's thing is the one that was changed. */
function isNamedBy(m: Mutant, t: Thing): boolean {
  // a station that changed its address is what the neighbour entries of the others are about
  const isThere = (t.node === m.node && t.namespace === m.namespace) || (m.fault === 'MAC' && t.kind === 'neighbour');
  return isThere && (m.named.includes(t.name) || isWithin(m, t));
}

/** That a host has no way to an address names the missing route that covered it. */
function isWithin(m: Mutant, t: Thing): boolean {
  const [lost, asked] = [parsePrefix(m.named[0] ?? ''), parsePrefix(t.name)];
  if (m.fault !== 'route' || t.kind !== 'route' || isError(lost) || isError(asked)) return false;
  return lost.length <= asked.length && familyOf(lost.addr) === familyOf(asked.addr) && contains(lost, asked.addr);
}

if (process.argv[1] === import.meta.filename) {
  const all: Judged[] = [];
  for (const scenario of process.argv.length > 2 ? process.argv.slice(2) : BASELINES) all.push(...(await judgeScenario(scenario)));
  for (const j of all) if (j.rank !== 0) console.log(`${j.rank === undefined ? 'missed' : `place ${j.rank + 1}`}: ${j.scenario}: ${j.told}`);
  const share = (list: readonly Judged[], n: number): string => `${list.filter((j) => j.rank !== undefined && j.rank < n).length}/${list.length}`;
  for (const fault of new Set(all.map((j) => j.fault))) {
    const list = all.filter((j) => j.fault === fault);
    console.log(`${fault}: first ${share(list, 1)}, among the first three ${share(list, 3)}`);
  }
  console.log(`all: first ${share(all, 1)}, among the first three ${share(all, 3)}`);
}
