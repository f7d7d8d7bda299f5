// A course that failed, as patterns look at it: the way that was lost, and where.
import type { Finding, Span } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Answer, Course, Hop, Outcome, Step, Trace } from '../model/trace.ts';

/** One failed course. */
export interface Failure {
  readonly world: World;
  readonly answer: Answer;
  readonly course: Course;
  /** The request, unless it is the reply that was lost. */
  readonly way: Trace;
  readonly isReply: boolean;
  readonly outcome: Outcome;
  readonly hop: Hop | undefined;
  /** The last step that was told. */
  readonly step: Step | undefined;
  /** Where it ended, if that was captured. */
  readonly ns: Namespace | undefined;
}

export type RuleStep = Extract<Step, { step: 'rule' }>;

/** A place in a walk: a hop, an outcome, a step of a translation. */
interface Place {
  readonly node: string;
  readonly namespace: string;
}

/** The courses of an answer that are no round trip. */
export function failuresOf(world: World, answer: Answer): readonly Failure[] {
  return answer.courses.filter((c) => c.verdict !== 'yes').map((course) => failureOf(world, answer, course));
}

function failureOf(world: World, answer: Answer, course: Course): Failure {
  const { trace } = course;
  const isReply = trace.reply !== undefined;
  const way = trace.reply ?? trace;
  // a reply that arrives and answers nothing is lost all the same
  const outcome = way.outcome.kind === 'delivered' ? trace.outcome : way.outcome;
  const hop = way.hops.at(-1);
  return { world, answer, course, way, isReply, outcome, hop, step: hop?.steps.at(-1), ns: namespaceAt(world, outcome) };
}

/** The captured namespace of a place. */
export function namespaceAt(world: World, at: Place): Namespace | undefined {
  return world.namespaces.find((n) => n.node === at.node && n.name === at.namespace);
}

/** The root namespace of a node. */
export function rootOf(world: World, node: string): Namespace | undefined {
  return world.namespaces.find((n) => n.node === node && n.name === '');
}

/** `node` or `node/namespace` */
export function placeName(at: Place | Namespace): string {
  const name = 'namespace' in at ? at.namespace : at.name;
  return name === '' ? at.node : `${at.node}/${name}`;
}

export function isSamePlace(a: Span | undefined, b: Span | undefined): boolean {
  return a !== undefined && b !== undefined && a.file === b.file && a.line === b.line;
}

/** The request's own steps and the reply's, each with its hop. */
export function stepsOf(course: Course): readonly { readonly hop: Hop; readonly step: Step; readonly isReply: boolean }[] {
  const told = (t: Trace, isReply: boolean) => t.hops.flatMap((hop) => hop.steps.map((step) => ({ hop, step, isReply })));
  return [...told(course.trace, false), ...(course.trace.reply ? told(course.trace.reply, true) : [])];
}

/** The rule that ended the way, where one did. */
export function rulingOf(f: Failure): RuleStep | undefined {
  const isRuled = f.outcome.kind === 'dropped' || f.outcome.kind === 'rejected';
  return isRuled && f.step?.step === 'rule' ? f.step : undefined;
}

/** The captured line that decided, or the last one that had a say. */
export function lineOf(f: Failure): Span {
  const last = [...f.course.trace.hops, ...(f.isReply ? f.way.hops : [])]
    .flatMap((h) => h.steps)
    .findLast((s) => 'at' in s && s.at !== undefined && s.at.line > 0);
  return f.outcome.at ?? (last && 'at' in last ? last.at : undefined) ?? { file: '', line: 0 };
}

/** What the readers found that this answer rests on, of one kind. */
export function findingsOf(f: Failure, ...codes: readonly string[]): readonly Finding[] {
  return f.answer.findings.filter((x) => codes.includes(x.code));
}
