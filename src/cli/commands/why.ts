// `netwhy why`: the cause of a packet's fate, and commands that would change it, proved by simulation.
import { EXPECTATIONS, readExpectation, wrongExpectation } from '../../ask/expectation.ts';
import { causesOf, STANDS_IN } from '../../ask/cause.ts';
import { placeName } from '../../ask/failure.ts';
import { isMisunderstood, requestOf, type Request } from '../../ask/question.ts';
import { patternsOf, type PatternHit } from '../../ask/pattern.ts';
import type { World } from '../../model/host.ts';
import { why, type Cure, type Explanation } from '../../ask/why.ts';
import { whyJson, whyText, type CureSaid, type Explained } from '../../say/why.ts';
import { load } from '../load.ts';
import { paletteFor, print, UsageError, type ColourWhen } from '../terminal.ts';

export interface WhyCommandOptions extends Request {
  readonly expect: string;
  readonly budget?: string;
  readonly output: 'text' | 'json';
  readonly json?: boolean;
  readonly color: ColourWhen;
}

/** Explains one question; exit code 0 where it is as expected, 1 where not, 3 where nobody can tell. */
export async function runWhy(path: string, options: WhyCommandOptions): Promise<number> {
  const { world, scenario } = await load(path);
  const others = (scenario?.questions ?? [])
    .map((q) => ({ name: q.name, request: requestOf(q) }))
    .filter(({ request }) => request.from !== options.from || request.to !== options.to);
  const expected = readExpectation(options.expect);
  if (!expected) throw new UsageError(`--expect: '${options.expect}' is none of ${EXPECTATIONS}`);
  const wrong = wrongExpectation(world, expected);
  if (wrong !== undefined) throw new UsageError(`--expect: ${wrong}`);
  const budget = options.budget === undefined ? undefined : Number(options.budget);
  if (budget !== undefined && (!Number.isInteger(budget) || budget < 1))
    throw new UsageError(`--budget: '${options.budget}' is not a number of simulations`);
  const found = why(world, options, expected, { others, ...(budget !== undefined && { budget }) });
  if (isMisunderstood(found)) throw new UsageError(`--${found.option}: ${found.error}${found.hint === undefined ? '' : `\n  ${found.hint}`}`);
  const said = asSaid(world, found, patternsOf(world, found.answer));
  if (options.json || options.output === 'json') await print(`${JSON.stringify(whyJson(said), null, 2)}\n`);
  else await print(whyText(said, paletteFor(options.color, process.stdout)));
  return found.met ? 0 : found.answer.verdict === 'cannot-tell' ? 3 : 1;
}

/** Cures of named faults that go before all others. */
const MOST_NAMED = 2;

function asSaid(world: World, e: Explanation, patterns: readonly PatternHit[]): Explained {
  const { expected, met, tried, budget } = e;
  const first = causesOf(world, e, patterns).causes;
  // what undoes a fault that has a name stands where it is seen
  const told = [...new Set(first.flatMap((c) => (c.named ? [c.proof] : [])))].slice(0, MOST_NAMED);
  const cures = [...told, ...e.cures.filter((c) => !told.includes(c))];
  const { causes } = causesOf(world, { ...e, cures }, patterns);
  const proofOf = (p: PatternHit): number | undefined => {
    const cause = causes.find((c) => c.named === p);
    return cause && cures.indexOf(cause.proof);
  };
  return {
    expected,
    met,
    tried,
    budget,
    patterns: patterns.map((p) => {
      const proof = proofOf(p);
      const { code, message, at, durable } = p;
      return { code, message, at, ...(durable !== undefined && { durable }), ...(proof !== undefined && { proof, standsIn: STANDS_IN.has(code) }) };
    }),
    causes: causes.map((c) => ({
      things: c.things.map((t) => `${placeName(t)}: ${t.kind} ${t.name}`),
      ...(c.code !== undefined && { code: c.code }),
      proof: cures.indexOf(c.proof),
    })),
    courses: e.answer.courses,
    cures: cures.map(cure),
    ...(e.nearest && { nearest: cure(e.nearest) }),
  };
}

function cure(c: Cure): CureSaid {
  return {
    commands: c.edits.map((x) => `${placeName(x)}# ${x.command}`),
    ...(c.supposes !== undefined && { supposes: c.supposes }),
    outcome: c.answer.courses.find((x) => x.verdict !== 'yes') ?? c.answer.courses[0]!,
    sideEffects: c.sideEffects,
  };
}
