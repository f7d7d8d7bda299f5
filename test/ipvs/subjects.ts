// What comparisons were about, and whether chance treats servers as netwhy says.
import type { Trace } from '../../src/model/trace.ts';
import type { Comparison } from '../probes/compare.ts';
import type { Played } from './machine.ts';

type IpvsStep = Extract<Trace['hops'][number]['steps'][number], { step: 'ipvs' }>;

function ipvsSteps(t: Trace): IpvsStep[] {
  return t.hops.flatMap((h) => h.steps).filter((s): s is IpvsStep => s.step === 'ipvs');
}

/** Counted, so that a run shows what it has looked at. */
export function subjectsOf({ seen }: Played, all: readonly Comparison[]): string[] {
  return all.flatMap(({ taken, kernel }, i) => {
    const { shot, begins } = seen[i]!;
    if (!taken) return [];
    const steps = ipvsSteps(taken);
    const first = steps.find((s) => s.did !== 'passed');
    if (!first) return ['not for IPVS'];
    const where = shot.local ? 'from this host' : shot.iif?.startsWith('cali') ? 'from a pod' : 'from outside';
    return [
      where,
      `IPv${taken.final.family}`,
      first.manip === 'src' ? 'replies' : `by ${first.did}`,
      ...(shot.inner ? ['ICMP errors'] : []),
      ...(begins ? [] : ['of a connection']),
      ...(kernel.fate === 'local' ? ['to this host'] : []),
      ...(kernel.answers.some((a) => a.startsWith('3/3') || a.startsWith('1/4')) ? ['answered port unreachable'] : []),
    ];
  });
}

/** Of so many packets, how many took the way that is named first, how many should have, and by how much that may be off (squared). */
export interface Share {
  readonly of: number;
  readonly hits: number;
  readonly expected: number;
  readonly variance: number;
}

/** Whether the kernel picked the first of the servers among which the scheduler picks by chance, as far as netwhy can tell. */
export function shareOf({ taken, traces }: Comparison): Readonly<Record<string, Share>> {
  if (!taken || traces.length < 2) return {};
  const pick = (t: Trace): string | undefined => t.assumptions.find((a) => a.forked && a.probability !== undefined && / picks /.test(a.what))?.what;
  const mine = pick(taken);
  const scheduler = mine === undefined ? undefined : /^(\w+) picks/.exec(mine)?.[1];
  const first = pick(traces[0]!);
  if (scheduler === undefined || first === undefined) return {};
  const p = traces[0]!.assumptions.find((a) => a.what === first)!.probability!;
  return { [scheduler]: { of: 1, hits: mine === first ? 1 : 0, expected: p, variance: p * (1 - p) } };
}

export function addShares(sum: Readonly<Record<string, Share>>, more: readonly Readonly<Record<string, Share>>[]): Readonly<Record<string, Share>> {
  const all = { ...sum };
  for (const [name, b] of more.flatMap((m) => Object.entries(m))) {
    const a = all[name] ?? { of: 0, hits: 0, expected: 0, variance: 0 };
    all[name] = { of: a.of + b.of, hits: a.hits + b.hits, expected: a.expected + b.expected, variance: a.variance + b.variance };
  }
  return all;
}
