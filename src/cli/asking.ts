// What a verb asks: the question of the command line, or those of scenarios.
import type { Asking } from '../ask/compare.ts';
import { requestOf, type Misunderstood, type Request } from '../ask/question.ts';
import type { Loaded } from './load.ts';
import { UsageError } from './terminal.ts';

/** A question of the command line, where there is one, and the limit of its courses. */
export interface AskOptions extends Partial<Request> {
  readonly limit?: string;
}

/** The question of the command line, or the questions of both scenarios by their names; those of one are asked of both. */
export function askings(a: Loaded, b: Loaded, options: AskOptions): Asking[] {
  const { from, to } = options;
  if (from !== undefined && to !== undefined) {
    const request = { ...options, from, to };
    return [{ a: request, b: request }];
  }
  if (from !== undefined || to !== undefined) throw new UsageError(`--${from === undefined ? 'from' : 'to'} is missing: a question has both`);
  const mine = new Map((a.scenario?.questions ?? []).map((q) => [q.name, requestOf(q)]));
  const theirs = new Map((b.scenario?.questions ?? []).map((q) => [q.name, requestOf(q)]));
  return [...new Set([...mine.keys(), ...theirs.keys()])].map((name) => {
    const [first, second] = [mine.get(name), theirs.get(name)];
    return { name, a: (first ?? second)!, b: (second ?? first)! };
  });
}

/** A question that the capture does not understand. */
export function misunderstood({ option, error, hint }: Pick<Misunderstood, 'error' | 'hint'> & { readonly option?: string }): UsageError {
  const kebab = option?.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  return new UsageError(`${kebab === undefined ? '' : `--${kebab}: `}${error}${hint === undefined ? '' : `\n  ${hint}`}`);
}

export function limitOf({ limit }: AskOptions): { readonly limit?: number } {
  if (limit === undefined) return {};
  const n = Number(limit);
  if (!Number.isInteger(n) || n < 1) throw new UsageError(`--limit: '${limit}' is not a number of courses (1 or more)`);
  return { limit: n };
}
