// Where nft's text translates to: `dnat ip to 10.0.0.1:80`, `redirect to :8080`, `snat to ip saddr map @m`.
import { readExpr } from './expression.ts';
import type { ExprSyntax, StatementSyntax } from './syntax.ts';
import { readConstant, value } from './value.ts';
import type { Words } from './words.ts';

interface Addressed {
  readonly family?: 'ip' | 'ip6';
  readonly addr?: ExprSyntax;
  readonly port?: ExprSyntax;
}

type Nat = Extract<StatementSyntax, { kind: 'nat' }>;

/** `snat`, `dnat`, `masquerade`, `redirect`, behind that word. */
export function readNat(w: Words, type: Nat['type']): Nat {
  const family = readFamily(w);
  let form: Nat['form'];
  if (w.take('prefix')) form = 'prefix';
  else if (w.take('interval')) form = 'interval';
  else if (w.take('addr')) {
    if (!w.take('.') || !w.take('port')) w.fail('addr . port');
    form = 'concat';
  }
  const to = w.take('to') ? readTarget(w) : {};
  return { kind: 'nat', type, ...(family && { family }), ...to, flags: readFlags(w), ...(form && { form }) };
}

/** `tproxy ip to 10.0.0.1:80`, behind its word. */
export function readAddressed(w: Words): Addressed {
  const family = readFamily(w);
  if (!w.take('to')) w.fail('to and an address or a port should follow');
  return { ...(family && { family }), ...readTarget(w) };
}

function readFamily(w: Words): 'ip' | 'ip6' | undefined {
  const next = w.at('ip') || w.at('ip6') ? w.peek() : '';
  return next === 'to' || next === 'prefix' || next === 'interval' || next === 'addr' ? (w.next() as 'ip' | 'ip6') : undefined;
}

const FLAGS: ReadonlySet<string> = new Set(['random', 'fully-random', 'persistent']);

function readFlags(w: Words): string[] {
  const flags: string[] = [];
  while (FLAGS.has(w.word) && w.kind === 'word') {
    flags.push(w.next());
    if (w.at(',')) w.step();
  }
  return flags;
}

function readTarget(w: Words): Addressed {
  const addr = w.kind === 'word' && w.word.startsWith(':') ? undefined : readAddress(w);
  // What is left of the word, or a word that touches: `10.0.0.1:80`, `@m:80`, `map { ... }:80`.
  if (w.kind !== 'word' || !w.word.startsWith(':') || (addr !== undefined && w.gap > 0)) return addr === undefined ? {} : { addr };
  w.seek(w.start + 1);
  const port = readExpr(w);
  return { ...(addr && { addr }), port };
}

/** An address or a range of them, up to the `:` of its port; or a map. */
function readAddress(w: Words): ExprSyntax {
  const { word } = w;
  if (w.kind !== 'word') return readExpr(w);
  if (word.startsWith('[')) return readBracketed(w);
  const colon = word.indexOf(':');
  // With a second colon it is an address of IPv6, which has a port only in brackets.
  if (colon < 0 || word.includes(':', colon + 1)) return readExpr(w);
  w.seek(w.start + colon);
  return readConstant(word.slice(0, colon));
}

/** `[fd00::1]:80`, `[fd00::1]-[fd00::9]:80` */
function readBracketed(w: Words): ExprSyntax {
  const { word } = w;
  const close = word.indexOf(']');
  if (close < 0) w.fail('no ] for this [');
  const from = value(word.slice(1, close));
  if (!word.startsWith('-[', close + 1)) {
    w.seek(w.start + close + 1);
    return from.kind === 'value' ? readConstant(String(from.value)) : from;
  }
  const last = word.indexOf(']', close + 1);
  if (last < 0) w.fail('no ] for this [');
  w.seek(w.start + last + 1);
  return { kind: 'range', from, to: value(word.slice(close + 3, last)) };
}
