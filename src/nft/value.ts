// The constants of nft's text: numbers, times, ranges and prefixes that are one word.
import type { ExprSyntax } from './syntax.ts';
import type { Words } from './words.ts';

const DASH = 45;
const ZERO = 48;
const NINE = 57;

/** A number, decimal or hexadecimal; a word where it is none, or too long to be one. */
export function readNumber(word: string): number | undefined {
  const c = word.charCodeAt(0);
  if (!(c >= ZERO && c <= NINE)) return undefined;
  const hex = c === ZERO && (word.charCodeAt(1) | 32) === 120;
  if (hex ? word.length > 15 || word.length === 2 : word.length > 15) return undefined;
  for (let i = hex ? 2 : 1; i < word.length; i++) {
    const d = word.charCodeAt(i);
    const letter = d | 32;
    if (!(d >= ZERO && d <= NINE) && !(hex && letter >= 97 && letter <= 102)) return undefined;
  }
  return Number(word);
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** `1d2h3m4s500ms` in seconds. A bare number is seconds. */
export function readTime(word: string): number | undefined {
  const bare = readNumber(word);
  if (bare !== undefined) return bare;
  if (!/^(?:\d+(?:ms|[smhdw]))+$/.test(word)) return undefined;
  let milliseconds = 0;
  for (const [, n, unit] of word.matchAll(/(\d+)(ms|[smhdw])/g)) milliseconds += Math.round(Number(n) * SECONDS[unit!]! * 1000);
  return milliseconds / 1000;
}

/** Seconds as nft writes them: `1d2h3m4s500ms`. */
export function printTime(seconds: number): string {
  let left = Math.round(seconds * 1000);
  let text = '';
  for (const [unit, ms] of Object.entries({ d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 })) {
    const n = Math.floor(left / ms);
    left -= n * ms;
    if (n > 0) text += `${n}${unit}`;
  }
  return text || '0s';
}

/** Times like `1h30m` in a key, or in a set of keys, as the seconds they are in JSON. `isTime` is told of each component; dates stay. */
export function asSeconds(e: ExprSyntax, isTime: readonly boolean[]): ExprSyntax {
  if (!isTime.includes(true)) return e;
  switch (e.kind) {
    case 'value':
      return { kind: 'value', value: readTime(String(e.value)) ?? e.value };
    case 'range':
      return { ...e, from: asSeconds(e.from, isTime), to: asSeconds(e.to, isTime) };
    case 'concat':
      return { ...e, of: e.of.map((x, i) => asSeconds(x, isTime.slice(i, i + 1))) };
    case 'set':
      return { ...e, elements: e.elements.map((x) => ({ ...x, key: asSeconds(x.key, isTime) })) };
    default:
      return e;
  }
}

/** Which components of a key are times: those of `ct expiration`. */
export function timesOf(key: ExprSyntax): readonly boolean[] {
  return (key.kind === 'concat' ? key.of : [key]).map((x) => x.kind === 'ct' && x.key === 'expiration');
}

export function value(word: string): ExprSyntax {
  return { kind: 'value', value: readNumber(word) ?? word };
}

/** `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `1-5`, `echo-request`, `10.0.0.1`: a word that is not between quotes. */
export function readConstant(word: string): ExprSyntax {
  const slash = word.indexOf('/');
  if (slash > 0) {
    const length = readNumber(word.slice(slash + 1));
    if (length !== undefined) return { kind: 'prefix', addr: value(word.slice(0, slash)), length };
  }
  const dash = rangeDash(word);
  if (dash > 0) return { kind: 'range', from: value(word.slice(0, dash)), to: value(word.slice(dash + 1)) };
  return value(word);
}

/** The `-` of a range. Both ends are numbers or addresses (range_expr_print(), src/expression.c); `echo-request` is a name. */
function rangeDash(word: string): number {
  const dash = word.indexOf('-', 1);
  return dash > 0 && dash + 1 < word.length && isNumeric(word, 0, dash) && isNumeric(word, dash + 1, word.length) ? dash : -1;
}

function isNumeric(word: string, from: number, to: number): boolean {
  const c = word.charCodeAt(from);
  if (c >= ZERO && c <= NINE) return true;
  const colon = word.indexOf(':', from);
  return c !== DASH && colon >= 0 && colon < to;
}

/** A number that must be one. */
export function readCount(w: Words): number {
  const n = w.kind === 'word' ? readNumber(w.word) : undefined;
  if (n === undefined) w.fail(`a number should stand where "${w.word}" does`);
  else w.step();
  return n ?? 0;
}

/** `10s` */
export function readSeconds(w: Words): number {
  const seconds = w.kind === 'word' ? readTime(w.word) : undefined;
  if (seconds === undefined) w.fail(`a time like 1h30m should stand where "${w.word}" does`);
  else w.step();
  return seconds ?? 0;
}
