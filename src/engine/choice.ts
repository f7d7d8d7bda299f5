// Forks by replay. A walk is a plain deterministic function; where something cannot be decided it asks `Choices`, which
// follows the prescribed branch or takes the first one. `explore` runs the walk again for every branch not yet taken.
import type { Span } from '../model/finding.ts';
import type { Assumption } from '../model/trace.ts';

export interface Option<T> {
  readonly value: T;
  /** What is supposed by taking it, in words that can stand in an answer. */
  readonly what: string;
  /** 0 to 1; absent when nobody can know. */
  readonly probability?: number;
  readonly at?: Span;
}

/** Begins the words of the branch that supposes the contrary. */
export const NOT = 'not so: ';

/** One walk's course through its forks. */
export class Choices {
  private readonly prescribed: readonly number[];
  private readonly settled = new Map<string, unknown>();
  readonly trail: { taken: number; of: number }[] = [];
  readonly assumptions: Assumption[] = [];
  /** Product of the known probabilities of what was taken: the probability given everything else that is supposed. */
  probability = 1;

  constructor(prescribed: readonly number[] = []) {
    this.prescribed = prescribed;
  }

  /** Takes one of the options. With a `key` the same question has the same answer for the rest of the walk. */
  choose<T>(key: string | undefined, options: readonly Option<T>[]): T {
    if (key !== undefined && this.settled.has(key)) return this.settled.get(key) as T;
    const taken = options.length === 1 ? 0 : (this.prescribed[this.trail.length] ?? 0);
    if (options.length > 1) this.trail.push({ taken, of: options.length });
    const option = options[taken];
    if (!option) throw new RangeError(`choice ${taken} of ${options.length}: the walk is not deterministic`);
    if (options.length > 1) {
      const { what, probability, at } = option;
      this.assumptions.push({ what, forked: true, ...(probability !== undefined && { probability }), ...(at && { at }) });
      this.probability *= probability ?? 1;
    }
    if (key !== undefined) this.settled.set(key, option.value);
    return option.value;
  }

  /** What has been answered to a question so far. */
  recall(key: string): unknown {
    return this.settled.get(key);
  }

  /** Answers a question in advance, as something the question itself implies. */
  settle(key: string, value: unknown): void {
    this.settled.set(key, value);
  }

  /** Answers under keys that hold `part` are open again. */
  forget(part: string): void {
    for (const key of this.settled.keys()) if (key.includes(part)) this.settled.delete(key);
  }

  /** Notes, once, something that was taken for granted because it was not captured. */
  assume(what: string, at?: Span): void {
    if (this.assumptions.some((a) => a.what === what)) return;
    this.assumptions.push({ what, forked: false, ...(at && { at }) });
  }
}

/** Runs `walk` once for every combination of choices, depth first, at most `limit` times. */
export function explore<T>(walk: (choices: Choices) => T, limit: number): { courses: T[]; bounded: boolean } {
  const courses: T[] = [];
  let prescribed: number[] | undefined = [];
  while (prescribed) {
    if (courses.length >= limit) return { courses, bounded: true };
    const choices: Choices = new Choices(prescribed);
    courses.push(walk(choices));
    prescribed = nextCourse(choices.trail);
  }
  return { courses, bounded: false };
}

function nextCourse(trail: readonly { taken: number; of: number }[]): number[] | undefined {
  for (let i = trail.length - 1; i >= 0; i--) {
    const { taken, of } = trail[i]!;
    if (taken + 1 < of) return [...trail.slice(0, i).map((t) => t.taken), taken + 1];
  }
  return undefined;
}
