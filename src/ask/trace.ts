// One question, all its courses: walked, merged where they end alike, judged, and freed of near misses that explain nothing.
import { walkQuestion, type WalkOptions } from '../engine/network.ts';
import { missKind } from '../engine/chain.ts';
import { NOT } from '../engine/choice.ts';
import { isNat } from '../engine/nat.ts';
import type { Finding } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { Answer, Assumption, Course, Hop, MissKind, NearMiss, Step, Trace, Verdict } from '../model/trace.ts';
import { formatAddr } from '../net/addr.ts';
import type { Asked } from './question.ts';

/** Walks the question's packet and its reply in every way that the captures leave open. */
export function trace(world: World, asked: Asked, options: Pick<WalkOptions, 'all' | 'limit'> = {}): Answer {
  const walked = walkQuestion(world, asked.question, { ...options, ...(asked.state !== undefined && { state: asked.state }) });
  const merged = merge(walked.traces);
  const courses = merged.map((t): Course => {
    const verdict = judge(t);
    const nearMisses = [...misses(t, verdict), ...(t.reply ? misses(t.reply, verdict) : [])];
    return { trace: options.all ? t : fold(t, new Set(nearMisses.map((m) => m.at))), verdict, nearMisses };
  });
  return {
    question: { ...asked.question, packet: merged[0]?.packet ?? asked.question.packet },
    courses,
    findings: relevant(world.findings, courses),
    unknowns: [
      ...new Set(
        courses.flatMap((c) =>
          c.trace.assumptions.filter((a) => a.probability === undefined).map((a) => (a.what.startsWith(NOT) ? a.what.slice(NOT.length) : a.what)),
        ),
      ),
    ],
    bounded: walked.bounded,
    verdict: overall(courses, walked.bounded),
  };
}

/** Reports how one course answers "does it work?". */
function judge(t: Trace): Verdict {
  if (t.outcome.kind === 'cannot-tell' || t.reply?.outcome.kind === 'cannot-tell') return 'cannot-tell';
  return t.outcome.kind === 'delivered' || t.outcome.kind === 'left' ? 'yes' : 'no';
}

/** Chance may not fail any connection; what is not known may not make the difference. */
function overall(courses: readonly Course[], bounded: boolean): Verdict {
  const byUnknowns = new Map<string, Verdict>();
  for (const c of courses) {
    const key = supposed(c.trace).toSorted().join('\n');
    const before = byUnknowns.get(key) ?? 'yes';
    byUnknowns.set(key, before === 'no' || c.verdict === 'no' ? 'no' : before === 'cannot-tell' ? before : c.verdict);
  }
  const verdicts = new Set(byUnknowns.values());
  const only = verdicts.size === 1 ? [...verdicts][0]! : 'cannot-tell';
  return bounded && only === 'yes' ? 'cannot-tell' : only;
}

function isSupposed(a: Assumption): boolean {
  return a.forked && a.probability === undefined;
}

/** What a course supposes that nobody can know. */
function supposed(t: Trace): string[] {
  return t.assumptions.filter(isSupposed).map((a) => a.what);
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((w) => b.includes(w));
}

/** Courses with one fate become one: what only some of them suppose does not matter to it. */
function merge(traces: readonly Trace[]): Trace[] {
  const groups = new Map<string, Trace[]>();
  for (const t of traces) {
    const key = JSON.stringify([fateOf(t), t.reply && fateOf(t.reply)]);
    groups.set(key, [...(groups.get(key) ?? []), t]);
  }
  const combinations = [...new Map(traces.map((t) => [supposed(t).toSorted().join('\n'), supposed(t)])).values()];
  return [...groups.values()].map((group) => {
    const [first] = group as [Trace, ...Trace[]];
    if (group.length === 1) return first;
    const common = first.assumptions.filter((a) => group.every((t) => t.assumptions.some((b) => sameAssumption(a, b))));
    const under = combinations.filter((c) => common.every((a) => !isSupposed(a) || c.includes(a.what)));
    const sums = under.map((c) => group.filter((t) => sameWords(supposed(t), c)).reduce((sum, t) => sum + (t.probability ?? 1), 0));
    const even = sums.every((s) => Math.abs(s - sums[0]!) < 1e-9);
    const probability = even ? sums[0] : undefined;
    const { probability: _old, assumptions: _all, ...rest } = first;
    const shared = { assumptions: common, ...(probability !== undefined && { probability }) };
    return { ...rest, ...shared, ...(first.reply && { reply: { ...first.reply, ...shared } }) };
  });
}

function sameAssumption(a: Assumption, b: Assumption): boolean {
  return a.what === b.what && a.forked === b.forked;
}

function fateOf(t: Trace): unknown {
  const { src, dst, sport, dport, mark, undetermined } = t.final;
  const { kind, node, namespace, device, nextHop } = t.outcome;
  return [
    kind,
    node,
    namespace,
    device,
    nextHop,
    formatAddr(src),
    formatAddr(dst),
    sport,
    dport,
    mark,
    undetermined,
    t.translated.src?.to,
    t.translated.dst?.to,
    t.outcome.at,
  ];
}

type RuleStep = Extract<Step, { step: 'rule' }>;

/** Near misses that explain this fate: why it was not translated, or not accepted. */
function misses(t: Trace, verdict: Verdict): NearMiss[] {
  return t.hops.flatMap((hop, i) => {
    const last = i === t.hops.length - 1;
    const sentHere = hop.steps[0]?.step === 'enter' && hop.steps[0].local;
    const translated = (manip: 'src' | 'dst'): boolean => hop.steps.some((s) => s.step === 'nat' && s.manip === manip);
    const ended = last && (t.outcome.kind === 'dropped' || t.outcome.kind === 'rejected') ? hop.steps.at(-1) : undefined;
    // who is refused by a rule made for it learns nothing from the rules before it
    const atLarge = ended?.step === 'policy' || (ended?.step === 'rule' && (ended.reason.parts?.length ?? 1) === 0);
    const explains = (s: RuleStep): boolean => {
      const direct = s.then.find((x) => isNat(x) || x.kind === 'verdict');
      if (s.table === 'nat') {
        const source = direct ? direct.kind === 'snat' || direct.kind === 'masquerade' : s.hook === 'POSTROUTING' || s.hook === 'INPUT';
        if (source) return !translated('src') && (verdict !== 'yes' || (direct !== undefined && !sentHere));
        return !translated('dst') && (verdict !== 'yes' || missed(s) === 'port');
      }
      // an ACCEPT that did not come, in the table that then dropped it
      return (
        direct?.kind === 'verdict' &&
        direct.verdict === 'accept' &&
        atLarge &&
        missed(s) !== 'state' &&
        'table' in ended &&
        ended.table === s.table &&
        ended.hook === s.hook
      );
    };
    return hop.steps
      .filter((s): s is RuleStep => s.step === 'rule' && s.truth === false && explains(s))
      .map((s) => ({ ...s, node: hop.node, namespace: hop.namespace }));
  });
}

/** The kind of the first condition that was false. */
function missed(s: RuleStep): MissKind {
  return missKind((s.reason.parts ?? [s.reason]).find((p) => p.truth === false)?.pred);
}

/** Counts near misses that are not told among the skipped rules around them. */
function fold(t: Trace, told: ReadonlySet<unknown>): Trace {
  const hops = t.hops.map((hop): Hop => {
    const steps: Step[] = [];
    for (const s of hop.steps) {
      const skipped = s.step === 'rule' && s.truth === false && !told.has(s.at) ? asSkipped(s) : s;
      const before = steps.at(-1);
      if (
        skipped.step === 'skipped' &&
        before?.step === 'skipped' &&
        before.chain === skipped.chain &&
        before.table === skipped.table &&
        before.backend === skipped.backend
      ) {
        const misses: Partial<Record<MissKind, number>> = { ...before.misses };
        for (const [kind, n] of Object.entries(skipped.misses) as [MissKind, number][]) misses[kind] = (misses[kind] ?? 0) + n;
        steps[steps.length - 1] = { ...before, to: skipped.to, count: before.count + skipped.count, misses };
      } else steps.push(skipped);
    }
    return { ...hop, steps };
  });
  return { ...t, hops, ...(t.reply && { reply: fold(t.reply, told) }) };
}

function asSkipped(s: RuleStep): Step {
  const { hook, backend, family, table, chain, number } = s;
  return { step: 'skipped', hook, backend, family, table, chain, from: number, to: number, count: 1, misses: { [missed(s)]: 1 } };
}

/** Findings about lines the answer rests on, and those that cost a file or its end. */
function relevant(findings: readonly Finding[], courses: readonly Course[]): Finding[] {
  const lines = new Set<string>();
  const visit = (t: Trace): void => {
    for (const s of t.hops.flatMap((h) => h.steps)) if ('at' in s && s.at) lines.add(`${s.at.file}:${s.at.line}`);
    if (t.reply) visit(t.reply);
  };
  for (const c of courses) visit(c.trace);
  return findings.filter((f) => f.severity === 'error' || f.code === 'truncated' || lines.has(`${f.at.file}:${f.at.line}`));
}
