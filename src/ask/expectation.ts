// What a person expects of a question, and whether an answer gives it.
import { equal } from '../net/addr.ts';
import type { World } from '../model/host.ts';
import { readEnd } from './claim.ts';
import { placeName } from './failure.ts';
import type { Answer, Course, OutcomeKind } from '../model/trace.ts';

/** `delivered`, `reply-delivered`, `dropped`, `masqueraded`, `not-masqueraded`, `dnat-to ADDR[:PORT]`, `via NODE[/NAMESPACE]` */
export type Expectation =
  | { readonly kind: 'delivered' | 'reply-delivered' | 'dropped' | 'masqueraded' | 'not-masqueraded' }
  | { readonly kind: 'dnat-to' | 'via'; readonly to: string };

const PLAIN = ['delivered', 'reply-delivered', 'dropped', 'masqueraded', 'not-masqueraded'] as const;
const WITH = ['dnat-to', 'via'] as const;

/** Reads `--expect`; undefined if it is none. */
export function readExpectation(text: string): Expectation | undefined {
  const [word = '', to, more] = text.trim().split(/[\s=]+/);
  const plain = PLAIN.find((p) => p === word);
  if (plain && to === undefined) return { kind: plain };
  const kind = WITH.find((w) => w === word);
  return kind && to !== undefined && more === undefined ? { kind, to } : undefined;
}

/** What an expectation names that is not there. */
export function wrongExpectation(world: World, wanted: Expectation): string | undefined {
  if (wanted.kind === 'dnat-to' && !readEnd(wanted.to)) return `'${wanted.to}' is no address: ADDR, ADDR:PORT or [IPV6]:PORT`;
  if (wanted.kind !== 'via' || world.namespaces.some((n) => placeName(n) === wanted.to)) return undefined;
  return `there is no '${wanted.to}' in the capture (it has ${world.namespaces.map((n) => placeName(n)).join(', ')})`;
}

export const EXPECTATIONS = 'delivered, reply-delivered, dropped, masqueraded, not-masqueraded, dnat-to ADDR[:PORT], via NODE[/NAMESPACE]';

const REFUSED: ReadonlySet<OutcomeKind> = new Set(['dropped', 'rejected', 'no-route', 'blackhole', 'prohibited', 'martian', 'not-forwarding']);

/** Reports whether every course gives what is expected. */
export function meets(answer: Answer, wanted: Expectation): boolean {
  return !answer.bounded && answer.courses.length > 0 && answer.courses.every((c) => gives(c, wanted));
}

function gives({ trace: t, verdict }: Course, wanted: Expectation): boolean {
  switch (wanted.kind) {
    case 'delivered':
      return t.outcome.kind === 'delivered' || t.outcome.kind === 'left' || t.outcome.kind === 'reply-lost';
    case 'reply-delivered':
      return verdict === 'yes';
    case 'dropped':
      return REFUSED.has(t.outcome.kind);
    case 'masqueraded':
      return t.translated.src !== undefined;
    case 'not-masqueraded':
      return t.translated.src === undefined && verdict !== 'cannot-tell';
    case 'dnat-to': {
      const end = readEnd(wanted.to);
      return (
        end !== undefined && t.translated.dst !== undefined && equal(t.final.dst, end.addr) && (end.port === undefined || t.final.dport === end.port)
      );
    }
    case 'via':
      return t.hops.some((h) => (h.namespace === '' ? h.node : `${h.node}/${h.namespace}`) === wanted.to);
  }
}
