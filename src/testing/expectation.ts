// Properties and packets in a test of one's own: what fails says so with the packet's trace.
import type { Checked, PropertyChecked } from '../ask/check.ts';
import { checkProperty } from '../ask/check.ts';
import { ask, isMisunderstood, type Request } from '../ask/question.ts';
import { isSpaceError } from '../ask/space.ts';
import { trace } from '../ask/trace.ts';
import type { World } from '../model/host.ts';
import type { Property } from '../model/property.ts';
import type { Answer } from '../model/trace.ts';
import { answerText } from '../say/text.ts';
import { searchProperty, type SearchOptions } from './search.ts';

/** A property without a name, as a test writes it. */
export type ClaimText = Omit<Property, 'name'> & { readonly name?: string };

export interface ExpectOptions extends SearchOptions {
  /** Only try random packets. */
  readonly random?: boolean;
  /** Most classes that a proof may take. */
  readonly limit?: number;
}

/** Proves a property, or tries to break it; throws an Error with the counterexample's trace where it does not hold, or cannot be proved. */
export function expectProperty(world: World, claim: ClaimText, options: ExpectOptions = {}): PropertyChecked {
  const property: Property = { ...claim, name: claim.name ?? 'the property' };
  const checked = options.random === true ? searchProperty(world, property, options) : checkProperty(world, property, options);
  if (isSpaceError(checked)) throw new RangeError(`${checked.key}: ${checked.error}${checked.hint === undefined ? '' : ` (${checked.hint})`}`);
  if (checked.status !== 'holds') throw new Error(complaint(checked));
  return checked;
}

function complaint(c: PropertyChecked & Checked): string {
  const { counterexample: x, unproved } = c;
  if (x) return `${c.name}: ${x.broken.claim} does not hold: ${x.broken.instead}\n\n${answerText(x.answer)}`;
  return `${c.name}: it is not proved: ${unproved?.why ?? 'nobody can tell'}`;
}

/** What a matcher gives to vitest or jest. */
interface Matched {
  readonly pass: boolean;
  message(): string;
}

function answerIn(world: World, request: Request): Answer {
  const asked = ask(world, request);
  if (isMisunderstood(asked)) throw new RangeError(`${asked.option}: ${asked.error}${asked.hint === undefined ? '' : ` (${asked.hint})`}`);
  return trace(world, asked);
}

function matched(answer: Answer, pass: boolean, wanted: string): Matched {
  return { pass, message: () => `the packet is ${pass ? 'not ' : ''}expected to be ${wanted}:\n\n${answerText(answer)}` };
}

/** Matchers for `expect.extend(matchers)`: `expect(world).toDeliver({ from: 'worker1/pod-a', to: '10.96.0.1:443' })`. */
export const matchers = {
  /** It arrives, and so does the answer, on every course. */
  toDeliver(world: World, request: Request): Matched {
    const answer = answerIn(world, request);
    return matched(answer, answer.verdict === 'yes', 'delivered, and answered');
  },
  /** It does not arrive on any course. */
  toRefuse(world: World, request: Request): Matched {
    const answer = answerIn(world, request);
    const refused = answer.courses.every(
      ({ trace: t }) =>
        t.outcome.kind !== 'delivered' && t.outcome.kind !== 'left' && t.outcome.kind !== 'reply-lost' && t.outcome.kind !== 'cannot-tell',
    );
    return matched(answer, refused, 'refused');
  },
  /** Its source address is translated on every course. */
  toMasquerade(world: World, request: Request): Matched {
    const answer = answerIn(world, request);
    return matched(
      answer,
      answer.courses.every((c) => c.trace.translated.src !== undefined),
      'masqueraded',
    );
  },
  /** A property holds for all its packets. */
  toHold(world: World, claim: ClaimText, options: ExpectOptions = {}): Matched {
    try {
      expectProperty(world, claim, options);
      return { pass: true, message: () => `${claim.name ?? 'the property'} holds, and is expected not to` };
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return { pass: false, message: () => (error instanceof Error ? error.message : String(error)) };
    }
  },
};
