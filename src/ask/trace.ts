// One question, all its courses: walked, merged where they end alike, judged, and freed of near misses that explain nothing.
import { walkQuestion, type WalkOptions } from '../engine/network.ts';
import { missKind } from '../engine/chain.ts';
import { NOT } from '../engine/choice.ts';
import { isNat } from '../engine/nat.ts';
import type { Finding } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { Answer, Assumption, Course, Hop, MissKind, NearMiss, Step, Trace, Verdict } from '../model/trace.ts';
import { contains, formatAddr, type Addr } from '../net/addr.ts';
import { evidenceFor } from './evidence.ts';
import { nameOfAddress } from './name.ts';
import type { Asked } from './question.ts';

/** Walks the question's packet and its reply in every way that the captures leave open. */
export function trace(world: World, asked: Asked, options: Pick<WalkOptions, 'all' | 'limit' | 'watch'> = {}): Answer {
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
    findings: findingsFor(world, courses),
    unknowns: [...new Set(courses.flatMap((c) => c.trace.assumptions.filter((a) => a.probability === undefined).map((a) => claimOf(a))))],
    bounded: walked.bounded,
    verdict: overall(courses, walked.bounded),
    ...namesIn(world, courses),
  };
}

interface Met {
  readonly addr: Addr;
  readonly port: number | undefined;
  readonly proto: number;
}

/** The addresses of packet and reply where they begin and end: in the order in which they are met, those of the request first. */
function addressesOf(courses: readonly Course[]): Met[] {
  return courses.flatMap(({ trace: t }) =>
    [t.packet, t.final, ...(t.reply ? [t.reply.packet, t.reply.final] : [])].flatMap((p) => [
      ...(p.undetermined?.src ? [] : [{ addr: p.src, port: p.sport, proto: p.proto }]),
      ...(p.undetermined?.dst ? [] : [{ addr: p.dst, port: p.dport, proto: p.proto }]),
    ]),
  );
}

function namesIn(world: World, courses: readonly Course[]): Pick<Answer, 'names'> {
  if (!world.witness) return {};
  const names: Record<string, string> = {};
  for (const { addr, port, proto } of addressesOf(courses)) {
    const text = formatAddr(addr);
    const name = names[text] === undefined ? nameOfAddress(world, addr, port, proto) : undefined;
    if (name !== undefined) names[text] = name;
  }
  return Object.keys(names).length === 0 ? {} : { names };
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
    const key = supposedBy(c.trace).toSorted().join('\n');
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
export function supposedBy(t: Trace): string[] {
  return t.assumptions.filter(isSupposed).map((a) => a.what);
}

/** Courses with one fate become one where it does not hang on what they suppose: chances are added, and a claim that may go either way is dropped. */
function merge(traces: readonly Trace[]): Trace[] {
  const byFate = new Map<string, Trace[]>();
  for (const t of traces) {
    const key = JSON.stringify([fateOf(t), t.reply && fateOf(t.reply)]);
    byFate.set(key, [...(byFate.get(key) ?? []), t]);
  }
  return [...byFate.values()].flatMap((group) => {
    let courses = addChances(group);
    for (let pair = oppositePair(courses); pair; pair = oppositePair(courses)) {
      const [a, b, claim] = pair;
      const merged = supposing(
        a,
        union(a.assumptions, b.assumptions).filter((x) => claimOf(x) !== claim || !isSupposed(x)),
        a.probability,
      );
      courses = addChances([...courses.filter((c) => c !== a && c !== b), merged]);
    }
    return courses;
  });
}

/** Of courses that suppose the same, one with the sum of their probabilities. */
function addChances(group: readonly Trace[]): Trace[] {
  const alike = new Map<string, Trace[]>();
  for (const t of group) {
    const key = supposedBy(t).toSorted().join('\n');
    alike.set(key, [...(alike.get(key) ?? []), t]);
  }
  return [...alike.values()].map((same) => {
    const [first] = same as [Trace, ...Trace[]];
    if (same.length === 1) return first;
    const sum = same.reduce((n, t) => n + t.probability, 0);
    const always = first.assumptions.filter((a) => !a.forked || same.every((t) => t.assumptions.some((b) => b.what === a.what)));
    return supposing(first, always, sum);
  });
}

/** Two courses that differ only in supposing a claim and its contrary, equally likely otherwise. */
function oppositePair(courses: readonly Trace[]): [Trace, Trace, string] | undefined {
  for (const a of courses) {
    for (const b of courses) {
      if (a === b || Math.abs(a.probability - b.probability) > 1e-9) continue;
      const [mine, theirs] = [supposedBy(a), supposedBy(b)];
      const only = mine.filter((w) => !theirs.includes(w));
      const other = theirs.filter((w) => !mine.includes(w));
      if (only.length === 1 && other.length === 1 && other[0] === `${NOT}${only[0]}`) return [a, b, only[0]!];
    }
  }
  return undefined;
}

function claimOf(a: Assumption): string {
  return a.what.startsWith(NOT) ? a.what.slice(NOT.length) : a.what;
}

function union(a: readonly Assumption[], b: readonly Assumption[]): Assumption[] {
  return [...a, ...b.filter((x) => !a.some((y) => y.what === x.what))];
}

function supposing(t: Trace, assumptions: readonly Assumption[], probability: number): Trace {
  return { ...t, assumptions, probability, ...(t.reply && { reply: { ...t.reply, assumptions, probability } }) };
}

function fateOf(t: Trace): unknown {
  const { src, dst, sport, dport, undetermined } = t.final;
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
    undetermined,
    t.translated.src?.to,
    t.translated.dst?.to,
    t.outcome.at,
  ];
}

type RuleStep = Extract<Step, { step: 'rule' }>;

/** Near misses that explain this fate: why it was not translated, or not accepted. */
function misses(t: Trace, verdict: Verdict): NearMiss[] {
  if (t.outcome.kind === 'cannot-tell') return [];
  return t.hops.flatMap((hop, i) => {
    const last = i === t.hops.length - 1;
    // the packet that carries this one is nobody's question, unless it is where the story ends
    if (hop.tunnel !== undefined && !last) return [];
    // where the packet did not even get away, its source does not matter
    const toldSource = t.outcome.kind === 'left' || t.outcome.kind === 'delivered' || t.outcome.kind === 'reply-lost';
    const sentHere = hop.steps.find((s) => s.step === 'enter')?.local ?? false;
    const translated = (manip: 'src' | 'dst'): boolean => hop.steps.some((s) => (s.step === 'nat' || s.step === 'ipvs') && s.manip === manip);
    const ended = last && (t.outcome.kind === 'dropped' || t.outcome.kind === 'rejected') ? hop.steps.at(-1) : undefined;
    // who is refused by a rule made for it learns nothing from the rules before it
    const atLarge = ended?.step === 'policy' || (ended?.step === 'rule' && (ended.reason.parts?.length ?? 1) === 0);
    const explains = (s: RuleStep): boolean => {
      const direct = s.then.find((x) => isNat(x) || x.kind === 'verdict');
      if (s.type === 'nat') {
        const source = direct ? direct.kind === 'snat' || direct.kind === 'masquerade' : s.hook === 'POSTROUTING' || s.hook === 'INPUT';
        if (source) return toldSource && !translated('src') && (verdict !== 'yes' || (direct !== undefined && !sentHere));
        // an ACCEPT here translates nothing
        return direct?.kind !== 'verdict' && !translated('dst') && (verdict !== 'yes' || missed(s) === 'port');
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
      .filter((s): s is RuleStep => s.step === 'rule' && s.near === true && explains(s))
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
  const { hook, backend, family, table, type, chain, number } = s;
  return { step: 'skipped', hook, backend, family, table, type, chain, from: number, to: number, count: 1, misses: { [missed(s)]: 1 } };
}

/** What is wrong with the lines that the answer rests on, and what logs say about why; a line is told once. */
function findingsFor(world: World, courses: readonly Course[]): Finding[] {
  const found = relevant(world.findings, courses);
  const isTold = (f: Finding): boolean => found.some((g) => g.at.file === f.at.file && g.at.line === f.at.line);
  return [...found, ...evidenceFor(world, courses).filter((f) => !isTold(f))];
}

const WHOLE_FILE = new Set(['truncated', 'missing-commit', 'duplicate-table', 'table-twice', 'incompatible-table', 'not-understood']);

/** About rules beside those of a file. */
const OTHER_RULES = new Set(['backend-split', 'other-backend']);

/** Findings about lines the answer rests on or addresses it is about, and those that cost a file or its end; of two backends where something is lost on the way. */
function relevant(findings: readonly Finding[], courses: readonly Course[]): Finding[] {
  const lines = new Set<string>();
  const files = new Set<string>();
  const visit = (t: Trace): void => {
    for (const s of t.hops.flatMap((h) => h.steps)) {
      if (!('at' in s) || !s.at) continue;
      lines.add(`${s.at.file}:${s.at.line}`);
      files.add(s.at.file);
    }
    if (t.reply) visit(t.reply);
  };
  for (const c of courses) visit(c.trace);
  const met = addressesOf(courses);
  const works = courses.every((c) => c.verdict === 'yes');
  return findings.filter(
    (f) =>
      f.severity === 'error' ||
      WHOLE_FILE.has(f.code) ||
      (OTHER_RULES.has(f.code) && !works && files.has(f.at.file)) ||
      (f.code !== 'no-target' && !OTHER_RULES.has(f.code) && lines.has(`${f.at.file}:${f.at.line}`)) ||
      f.about?.some((p) => met.some((m) => contains(p, m.addr))) === true,
  );
}
