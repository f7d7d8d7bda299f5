// The cause of a fate, and what would change it: commands derived from what decided, each tried on the model, and only those kept that
// give what is expected. A cure of several commands is searched where no single one suffices.
import type { Span } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { Answer, Course } from '../model/trace.ts';
import { keyOf, type Candidate } from './candidate.ts';
import { candidates } from './cure.ts';
import { wantedOf } from './curewanted.ts';
import { applyEdit, isRefused, readEdit, type Edit } from './edit.ts';
import { meets, type Expectation } from './expectation.ts';
import { ask, isMisunderstood, type Misunderstood, type Request } from './question.ts';
import { trace } from './trace.ts';

/** Another question whose fate a cure changes. */
export interface SideEffect {
  readonly name: string;
  readonly before: Course['verdict'];
  readonly after: Course['verdict'];
}

/** Commands that a simulation has shown to give what is expected. */
export interface Cure {
  readonly edits: readonly Edit[];
  /** What it supposes that no command on a node can bring about: `the wire lan carries ...`. */
  readonly supposes?: string;
  readonly answer: Answer;
  readonly sideEffects: readonly SideEffect[];
}

export interface Explanation {
  readonly expected: Expectation;
  readonly answer: Answer;
  /** It is as expected already. */
  readonly met: boolean;
  /** Best first: fewest commands, then the narrowest, then those without side effects. */
  readonly cures: readonly Cure[];
  /** What came nearest, where nothing cures it. */
  readonly nearest?: Cure;
  /** Simulations of `budget` that were made. */
  readonly tried: number;
  readonly budget: number;
}

export interface WhyOptions {
  /** Most simulations. */
  readonly budget?: number;
  /** Questions whose fates a cure should leave alone. */
  readonly others?: readonly { readonly name: string; readonly request: Request }[];
}

/** A world some commands on. */
interface State {
  readonly world: World;
  readonly edits: readonly Edit[];
  readonly width: number;
  readonly supposes?: string;
  readonly answer: Answer;
}

/** Commands that one cure may have. */
const MOST_EDITS = 3;
/** Beginnings of a cure of several commands that are followed. */
const MOST_BEGINNINGS = 12;
const BUDGET = 300;

/** Explains a question's fate against what is expected of it. */
export function why(world: World, request: Request, expected: Expectation, options: WhyOptions = {}): Explanation | Misunderstood {
  const { budget = BUDGET, others = [] } = options;
  const answerIn = (w: World, r = request): Answer | Misunderstood => {
    const asked = ask(w, r);
    return isMisunderstood(asked) ? asked : trace(w, asked);
  };
  const answer = answerIn(world);
  if (isMisunderstood(answer)) return answer;
  if (meets(answer, expected)) return { expected, answer, met: true, cures: [], tried: 0, budget };
  let tried = 0;
  let states: State[] = [{ world, edits: [], width: 0, answer }];
  let nearest: State | undefined;
  const found: State[] = [];
  const seen = new Set<string>();
  for (let depth = 1; depth <= MOST_EDITS && found.length === 0; depth++) {
    const next: State[] = [];
    for (const state of states) {
      for (const c of candidatesOf(state, expected)) {
        if (tried >= budget) continue;
        const made = attempt(state, c);
        if (!made) continue;
        const key = made.edits
          .map((e) => `${e.node}/${e.namespace}#${e.command}`)
          .toSorted((a, b) => (a < b ? -1 : 1))
          .join('\n');
        if (seen.has(key)) continue;
        seen.add(key);
        tried++;
        const after = answerIn(made.world);
        if (isMisunderstood(after)) continue;
        const reached: State = { ...made, answer: after };
        if (meets(after, expected)) {
          // one container that stands for an endpoint is as good as another
          if (made.supposes === undefined || found.every((f) => f.supposes !== made.supposes)) found.push(reached);
        } else if (fateOf(after) !== fateOf(state.answer) && !circles(after)) next.push(reached);
      }
    }
    nearest = [...next, ...(nearest ? [nearest] : [])].toSorted((a, b) => reachOf(b.answer) - reachOf(a.answer))[0];
    states = next.toSorted((a, b) => reachOf(b.answer) - reachOf(a.answer) || a.width - b.width).slice(0, MOST_BEGINNINGS);
  }
  const asCure = (s: State): Cure => ({
    edits: s.edits,
    ...(s.supposes !== undefined && { supposes: s.supposes }),
    answer: s.answer,
    sideEffects: sideEffects(world, s.world, others, answerIn),
  });
  const cures = withoutEmptyEnds(found)
    .toSorted((a, b) => a.width - b.width)
    .map(asCure);
  return {
    expected,
    answer,
    met: false,
    cures: cures.toSorted((a, b) => harm(a, answer) - harm(b, answer)),
    ...(found.length === 0 && nearest && { nearest: asCure(nearest) }),
    tried,
    budget,
  };
}

/** A world some commands on; undefined where one of them would be refused. */
function attempt(state: State, { edit, more = [], width, supposes = state.supposes }: Candidate): Omit<State, 'answer'> | undefined {
  let { world } = state;
  const edits = [...state.edits];
  for (const text of [edit, ...more]) {
    const read = readEdit(text, NOWHERE, world);
    const edited = isRefused(read) ? read : applyEdit(world, read);
    if (isRefused(read) || isRefused(edited)) return undefined;
    edits.push(read);
    world = edited;
  }
  return { world, edits, width: state.width + width, ...(supposes !== undefined && { supposes }) };
}

/** How many questions a cure makes worse, the one that was asked among them. */
function harm(c: Cure, before: Answer): number {
  const isLost = before.verdict === 'yes' && c.answer.verdict !== 'yes';
  return c.sideEffects.filter((s) => s.after !== 'yes').length + (isLost ? 1 : 0);
}

/** Where an endpoint cures it, letting the packet through to where none is does not. */
function withoutEmptyEnds(found: readonly State[]): readonly State[] {
  const isEndpoint = (s: State): boolean => s.answer.courses.every((c) => c.trace.translated.dst !== undefined);
  return found.some((s) => s.supposes !== undefined && isEndpoint(s)) ? found.filter(isEndpoint) : found;
}

/** A proposed command stands in no file. */
const NOWHERE: Span = { file: '', line: 1 };

/** What to try, of the courses that are not as expected. */
function candidatesOf(state: State, expected: Expectation): Candidate[] {
  const failing = state.answer.courses.filter((c) => !meets({ ...state.answer, courses: [c] }, expected));
  const seen = new Map<string, Candidate>();
  for (const c of failing)
    for (const x of [...(c.verdict === 'yes' ? [] : candidates(state.world, c)), ...wantedOf(state.world, c, expected)])
      if (!seen.has(keyOf(x))) seen.set(keyOf(x), x);
  return [...seen.values()].toSorted((a, b) => a.width - b.width);
}

function fateOf(a: Answer): string {
  return a.courses
    .map(({ trace: t, verdict }) =>
      [verdict, t.outcome.kind, t.outcome.node, t.outcome.namespace, t.outcome.at?.line, t.reply?.outcome.kind, t.translated.src?.to].join('|'),
    )
    .join('\n');
}

/** Where a packet goes in circles nothing was gained. */
function circles(a: Answer): boolean {
  return a.courses.some(({ trace: t }) => ENDLESS.has((t.reply ?? t).outcome.kind));
}

const ENDLESS: ReadonlySet<string> = new Set(['ttl-exceeded', 'loop']);

/** How far packet and reply come. */
function reachOf(a: Answer): number {
  return Math.max(0, ...a.courses.map(({ trace: t }) => t.hops.length + (t.reply?.hops.length ?? 0) + (t.reply ? 1 : 0)));
}

function sideEffects(
  before: World,
  after: World,
  others: NonNullable<WhyOptions['others']>,
  answerIn: (w: World, r: Request) => Answer | Misunderstood,
): SideEffect[] {
  return others.flatMap(({ name, request }) => {
    const [was, is] = [answerIn(before, request), answerIn(after, request)];
    if (isMisunderstood(was) || isMisunderstood(is) || was.verdict === is.verdict) return [];
    return [{ name, before: was.verdict, after: is.verdict }];
  });
}
