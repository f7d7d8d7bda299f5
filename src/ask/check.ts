// Checking a scenario: each question against what is expected of it, each property against all packets that it is about.
import { formatAddr } from '../net/addr.ts';
import type { World } from '../model/host.ts';
import type { Property } from '../model/property.ts';
import type { Expect, ScenarioQuestion } from '../model/scenario.ts';
import type { Answer, Question } from '../model/trace.ts';
import { mergeBoxes, sizeOf, type Box } from './box.ts';
import { brokenBy, valuesIn, wrongIn, type Broken } from './claim.ts';
import { classesOf, type PacketClass } from './classes.ts';
import { differenceOf } from './difference.ts';
import { placeName } from './failure.ts';
import { patternsOf } from './pattern.ts';
import { ask, isMisunderstood, requestOf } from './question.ts';
import type { Fate } from '../model/fate.ts';
import { isSpaceError, readSpace, representative, type Space, type SpaceError } from './space.ts';
import { trace } from './trace.ts';

export type Status = 'holds' | 'broken' | 'unknown';

/** What became of a claim about one packet. */
export interface QuestionChecked {
  readonly kind: 'question';
  readonly name: string;
  readonly status: Status;
  /** What was expected, and how it is instead. */
  readonly broken: readonly { readonly claim: string; readonly wanted: string; readonly got: string }[];
  readonly answer: Answer;
}

/** A packet that a property does not hold for, and all that fare like it. */
export interface Counterexample {
  readonly broken: Broken;
  readonly question: Question;
  readonly answer: Answer;
  /** The packets of the space that break it, as few boxes as describe them; of the exact search. */
  readonly boxes: readonly Box[];
}

/** What became of a claim about a space of packets. */
export interface PropertyChecked {
  readonly kind: 'property';
  readonly name: string;
  readonly status: Status;
  readonly counterexample?: Counterexample;
  /** How it was found out: by classes of packets, or by so many packets of random. */
  readonly by:
    | { readonly kind: 'exact'; readonly packets: bigint; readonly classes: number }
    | { readonly kind: 'random'; readonly packets: bigint; readonly runs: number; readonly seed: number };
  /** Why it is not proved, and of how many packets that is not known. */
  readonly unproved?: { readonly why: string; readonly packets: bigint };
}

export type Checked = QuestionChecked | PropertyChecked;

/** Asks a question of a scenario, and compares; `tell` puts an answer in words. Errors of the question are the caller's: they have a line. */
export function checkQuestion(
  world: World,
  question: ScenarioQuestion,
  tell: (answer: Answer) => string,
): QuestionChecked | { readonly error: string; readonly hint?: string } {
  const asked = ask(world, requestOf(question));
  if (isMisunderstood(asked)) return asked;
  const answer = trace(world, asked);
  const broken = differences(world, answer, question.expect ?? {});
  const { because } = question.expect ?? {};
  if (because !== undefined && !tell(answer).includes(because))
    broken.push({ claim: 'because', wanted: because, got: 'the answer does not have these words' });
  const isOpen = broken.some(({ claim }) => claim === 'outcome' || claim === 'reply') && answer.verdict === 'cannot-tell';
  return { kind: 'question', name: question.name, status: broken.length === 0 ? 'holds' : isOpen ? 'unknown' : 'broken', broken, answer };
}

function differences(world: World, answer: Answer, expect: Expect): { claim: string; wanted: string; got: string }[] {
  const out: { claim: string; wanted: string; got: string }[] = [];
  const each = (claim: string, wanted: string | undefined, got: (c: Answer['courses'][number]) => string): void => {
    if (wanted === undefined) return;
    const strange = answer.courses.map((c) => got(c)).find((g) => g !== wanted);
    if (strange !== undefined || answer.courses.length === 0) out.push({ claim, wanted, got: strange ?? 'nothing' });
  };
  each('outcome', expect.outcome, ({ trace: t }) => t.outcome.kind);
  each('reply', expect.reply, ({ trace: t }) => t.reply?.outcome.kind ?? 'none');
  each('masqueraded', expect.masqueraded?.toString(), ({ trace: t }) => String(t.translated.src !== undefined));
  each('dnat', expect.dnat, ({ trace: t }) => t.translated.dst?.to ?? 'none');
  each('snat', expect.snat, ({ trace: t }) => t.final.undetermined?.src?.what ?? (t.translated.src ? formatAddr(t.final.src) : 'none'));
  each('path', expect.path?.join(' > '), ({ trace: t }) =>
    t.hops
      .map((h) => placeName(h))
      .filter((n, i, all) => n !== all[i - 1])
      .join(' > '),
  );
  if (expect.rule !== undefined) {
    const { rule } = expect;
    const isMet = answer.courses.every(({ trace: t }) =>
      [...t.hops, ...(t.reply?.hops ?? [])].some((h) => h.steps.some((s) => s.step === 'rule' && s.truth !== false && s.text.includes(rule))),
    );
    if (!isMet) out.push({ claim: 'rule', wanted: rule, got: 'no rule that matched has these words' });
  }
  if (expect.code !== undefined) {
    const codes = patternsOf(world, answer).map((p) => p.code as string);
    if (codes[0] !== expect.code) out.push({ claim: 'code', wanted: expect.code, got: codes.join(', ') || 'none' });
  }
  return out;
}

export interface PropertyOptions {
  /** Most classes of the exact search. */
  readonly limit?: number;
  /** Called now and then: packets left. */
  readonly progress?: (left: bigint, classes: number) => void;
  /** What `same-as` refers to. */
  readonly others?: ReadonlyMap<string, World>;
}

/** Finds out whether a property holds for every packet of its space. */
export function checkProperty(world: World, property: Property, options: PropertyOptions = {}): PropertyChecked | SpaceError {
  const wrong = wrongIn(world, property.expect);
  if (wrong) return { error: wrong.error, key: wrong.claim, hint: wrong.hint };
  const space = readSpace(world, property.for);
  if (isSpaceError(space)) return space;
  const same = property.expect['same-as'];
  if (!same) return decide(world, space, property, options);
  const there = same.scenario === undefined ? world : options.others?.get(same.scenario);
  if (!there) return { error: `the scenario ${same.scenario} was not loaded`, key: 'same-as' };
  const other = otherSpace(there, property);
  if (isSpaceError(other)) return { ...other, error: `${other.key}: ${other.error}`, key: 'same-as' };
  if (other.isOpen && !space.isOpen)
    return { error: 'its senders are a block of addresses, and those it is compared with are not', key: 'same-as', hint: 'name one sender' };
  const compared = compareWith({ world, space }, { world: there, space: other }, property, options);
  const { 'same-as': _same, ...rest } = property.expect;
  return compared.status === 'broken' || Object.keys(rest).length === 0 ? compared : decide(world, space, { ...property, expect: rest }, options);
}

/** The space of the packets that `same-as` compares with. */
export function otherSpace(world: World, { for: text, expect }: Property): Space | SpaceError {
  const { scenario: _scenario, ...same } = expect['same-as']!;
  const { in: _in, ...rest } = text;
  return readSpace(world, { ...(same.from === undefined && same.in === undefined ? text : rest), ...same });
}

/** Whether all packets of a space fare as those of another do, which differ from them in where they begin. */
function compareWith(
  a: { world: World; space: Space },
  b: { world: World; space: Space },
  { name }: Property,
  options: PropertyOptions,
): PropertyChecked {
  const { differing, packets, classes, open } = differenceOf(a, b, options);
  const [first] = differing.toSorted((x, y) => (x.packets > y.packets ? -1 : 1));
  const broken: Broken | undefined = first && { claim: 'same-as', truth: false, instead: `${shortly(first.a)}; there ${shortly(first.b)}` };
  return {
    kind: 'property',
    name,
    status: first ? 'broken' : open.packets > 0n ? 'unknown' : 'holds',
    by: { kind: 'exact', packets, classes },
    ...(first && {
      counterexample: {
        broken: broken!,
        question: first.answers.a.question,
        answer: first.answers.a,
        boxes: mergeBoxes(differing.flatMap((d) => d.boxes)),
      },
    }),
    ...(open.packets > 0n && { unproved: { why: open.why ?? 'they were not looked at', packets: open.packets } }),
  };
}

function shortly(fates: readonly Fate[]): string {
  return fates.map((f) => `${f.kind} at ${f.place}${f.translated ? ', source translated' : ''}`).join(' or ');
}

function decide(world: World, space: Space, { name, expect }: Property, options: PropertyOptions): PropertyChecked {
  const classes = classesOf(world, space, { ...options, apart: valuesIn(expect) });
  const failing: { found: PacketClass; broken: Broken }[] = [];
  let open: { why: string; packets: bigint } | undefined;
  const doubt = (why: string, box: Box): void => {
    open = { why: open?.why ?? why, packets: (open?.packets ?? 0n) + sizeOf(box) };
  };
  let done = classes.next();
  let told = space.size;
  for (; !done.done; done = classes.next()) {
    const found = done.value;
    told -= sizeOf(found.box);
    options.progress?.(told, failing.length);
    const broken = brokenBy(found.answer, expect);
    if (broken?.truth === false) failing.push({ found, broken });
    else if (broken) doubt(broken.instead, found.box);
    else if (found.inexact !== undefined) doubt(found.inexact, found.box);
  }
  const { left, classes: count, toThemselves } = done.value;
  if (left > 0n) open = { why: open?.why ?? `it takes more than ${count} classes of packets (--classes)`, packets: (open?.packets ?? 0n) + left };
  const status: Status = failing.length > 0 ? 'broken' : open ? 'unknown' : 'holds';
  const counterexample = failing.length > 0 ? simplest(space, failing) : undefined;
  return {
    kind: 'property',
    name,
    status,
    by: { kind: 'exact', packets: space.size - toThemselves, classes: count },
    ...(counterexample && { counterexample }),
    ...(open && { unproved: open }),
  };
}

/** One packet speaks for all that break a property: one that somebody has the address of, where there is any, of the largest class. */
function simplest(space: Space, failing: readonly { found: PacketClass; broken: Broken }[]): Counterexample {
  const [best] = failing.toSorted((a, b) => {
    const [x, y] = [sizeOf(a.found.box), sizeOf(b.found.box)];
    return Number(isMet(b.found)) - Number(isMet(a.found)) || (x > y ? -1 : x < y ? 1 : 0);
  });
  const { found, broken } = best!;
  return {
    broken,
    question: space.question(found.box, representative(found.box)),
    answer: found.answer,
    boxes: mergeBoxes(failing.map((f) => f.found.box)),
  };
}

function isMet({ answer }: PacketClass): boolean {
  return answer.courses.some(({ trace: t }) => t.outcome.kind === 'delivered' || t.outcome.kind === 'reply-lost');
}
