// One question asked of two worlds: whether it fares otherwise, and where the two walks part.
import type { Compared, Unasked } from '../model/comparison.ts';
import type { World } from '../model/host.ts';
import type { Answer, Outcome, Trace, Translation } from '../model/trace.ts';
import type { WalkOptions } from '../engine/network.ts';
import type { Naming } from './alike.ts';
import { partingOf } from './parting.ts';
import { ask, isMisunderstood, type Request } from './question.ts';
import { trace } from './trace.ts';

/** What is asked of each world: the same, unless their scenarios ask it otherwise. */
export interface Asking {
  readonly name?: string;
  readonly a: Request;
  readonly b: Request;
}

/** Asks a world a question, or says why it is none. */
export function answerTo(world: World, request: Request, options: Pick<WalkOptions, 'all' | 'limit'> = {}): Answer | Unasked {
  const asked = ask(world, request);
  return isMisunderstood(asked) ? asked : trace(world, asked, options);
}

export function isUnasked(x: Answer | Unasked): x is Unasked {
  return 'error' in x;
}

/** Asks both worlds, and compares how the packet fares. */
export function compare(a: World, b: World, asking: Asking, naming: Naming, options: Pick<WalkOptions, 'limit'> = {}): Compared {
  const before = answerTo(a, asking.a, options);
  const after = a === b ? before : answerTo(b, asking.b, options);
  const compared = { ...(asking.name !== undefined && { name: asking.name }), a: before, b: after };
  if (isUnasked(before) || isUnasked(after)) return compared;
  const pair = differing(before, after, naming);
  if (!pair) return { ...compared, changed: false };
  // told anew with every rule that was looked at: what did not match is half of the story
  const [full, others] = [answerTo(a, asking.a, { ...options, all: true }), answerTo(b, asking.b, { ...options, all: true })];
  if (isUnasked(full) || isUnasked(others)) return { ...compared, changed: true };
  const [mine, theirs] = [full.courses[pair[0]], others.courses[pair[1]]];
  const parting = mine && theirs && partingOf({ world: a, trace: mine.trace }, { world: b, trace: theirs.trace }, naming);
  return { ...compared, changed: true, ...(parting && { parting }) };
}

/** Endpoints share chances that listings round: 0.33332999982 and a third are one. */
const ROUNDING = 1e-4;

/** Courses, one of each answer, that show the difference; undefined where packets fare alike. */
function differing(a: Answer, b: Answer, naming: Naming): readonly [number, number] | undefined {
  const [mine, theirs] = [fates(a, naming), fates(b, naming)];
  const other = (n: number, m: number | undefined): boolean => m === undefined || Math.abs(n - m) > ROUNDING;
  const onlyA = [...mine].filter(([key, f]) => other(f.probability, theirs.get(key)?.probability));
  const onlyB = [...theirs].filter(([key, f]) => other(f.probability, mine.get(key)?.probability));
  if (onlyA.length === 0 && onlyB.length === 0) return a.bounded === b.bounded ? undefined : [0, 0];
  // what only one side can come to tells more than what is likelier there
  const pick = (only: typeof onlyA, rest: typeof mine): number => (only.find(([key]) => !rest.has(key)) ?? only[0])?.[1].course ?? 0;
  return [pick(onlyA, theirs), pick(onlyB, mine)];
}

interface Fate {
  readonly probability: number;
  /** The first course that ends like this. */
  readonly course: number;
}

/** How the packet may fare, and how likely that is; what chance chose is not told apart where it ends alike. */
function fates(answer: Answer, naming: Naming): Map<string, Fate> {
  const out = new Map<string, Fate>();
  for (const [course, { trace: t }] of answer.courses.entries()) {
    const key = JSON.stringify([fateOf(t, naming), t.reply && endOf(t.reply.outcome, naming), supposed(t, naming)]);
    const before = out.get(key);
    out.set(key, { probability: (before?.probability ?? 0) + t.probability, course: before?.course ?? course });
  }
  return out;
}

function fateOf(t: Trace, naming: Naming): unknown {
  const steps = (x: Translation | undefined): unknown => x?.steps.map((s) => [naming.node(s.node), s.namespace, s.from, s.to]);
  return [endOf(t.outcome, naming), steps(t.translated.src), steps(t.translated.dst)];
}

function endOf(o: Outcome, naming: Naming): unknown {
  return [o.kind, naming.node(o.node), o.namespace, naming.text(o.device ?? ''), o.nextHop ?? ''];
}

/** What a course supposes that nobody can know, free of the numbers of rules. */
function supposed(t: Trace, naming: Naming): string[] {
  return t.assumptions
    .filter((a) => a.forked && a.probability === undefined)
    .map((a) =>
      naming.text(
        a.what.replace(
          /^(not so: )?(\S+) \d+ (matched|did not match)/,
          (_m, not: string | undefined, chain: string, did: string) => `${not ?? ''}${chain} ${did}`,
        ),
      ),
    )
    .toSorted();
}
