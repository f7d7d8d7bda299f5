// Expressions as nft writes them. Words that name something of the host are between quotes, as nft has them.
import type { BinaryOperator, ElementSyntax, ExprSyntax, StatementSyntax } from './syntax.ts';
import { printTime } from './value.ts';

/** What a constant stands for, part by part where it is a concatenation: it decides about quotes. */
type Like = boolean | readonly Like[];

const NAMES: ReadonlySet<string> = new Set(
  'iif oif iifname oifname iifgroup oifgroup iifkind oifkind ibrname obrname sdif sdifname time day hour'.split(' '),
);

/** Whether what this is compared with is a name between quotes. */
export function isQuoted(of: ExprSyntax): Like {
  switch (of.kind) {
    case 'meta':
      return NAMES.has(of.key);
    case 'ct':
      return of.key === 'helper';
    case 'fib':
      return of.result !== 'type';
    case 'osf':
      return true;
    case 'socket':
      return of.key === 'cgroupv2';
    case 'concat':
      return of.of.map(isQuoted);
    default:
      return false;
  }
}

/** A name as nft takes it: between quotes where it must be. */
export function quote(word: string): string {
  return `"${word}"`;
}

function printValue(value: number | string, quoted: boolean): string {
  if (typeof value === 'number') return String(value);
  return (quoted && value !== 'exists' && value !== 'missing') || !/^[\w./:*@-]+$/.test(value) ? quote(value) : value;
}

const BINDS: Readonly<Record<BinaryOperator, number>> = { '|': 1, '^': 2, '&': 3, '<<': 4, '>>': 4 };

/** An expression of a rule; `like` is what it is compared with, or set to. */
export function printExpression(e: ExprSyntax, like: Like = false): string {
  switch (e.kind) {
    case 'value':
      return printValue(e.value, like === true);
    case 'any':
      return '*';
    case 'prefix':
      return `${printExpression(e.addr)}/${e.length}`;
    case 'range':
      return `${printExpression(e.from, like)}-${printExpression(e.to, like)}`;
    case 'list':
      return e.of.map((x) => printExpression(x, like)).join(',');
    case 'set':
      return e.elements.length === 0 ? '{ }' : `{ ${e.elements.map((x) => printElement(x, like)).join(', ')} }`;
    case 'reference':
      return `@${e.name}`;
    case 'concat':
      return e.of.map((x, i) => printExpression(x, Array.isArray(like) ? (like as readonly Like[])[i] : like)).join(' . ');
    case 'payload':
      return `${e.protocol} ${e.field}`;
    case 'raw':
      return `@${e.base},${e.offset},${e.length}`;
    case 'exthdr':
      return e.field === undefined ? `exthdr ${e.header}` : `${e.header} ${e.field}`;
    case 'option':
      return printOption(e);
    case 'meta':
      return BARE.has(e.key) ? e.key : `meta ${e.key}`;
    case 'ct':
      return join('ct', e.direction, e.family, e.key);
    case 'rt':
      return join('rt', e.family, e.key);
    case 'socket':
      return e.level === undefined ? `socket ${e.key}` : `socket ${e.key} level ${e.level}`;
    case 'fib':
      return `fib ${e.flags.join(' . ')} ${e.result}`;
    case 'numgen':
      return join('numgen', e.mode, 'mod', e.mod, ...offset(e.offset));
    case 'hash':
      return join(e.by, e.of && printExpression(e.of), 'mod', e.mod, ...(e.seed === undefined ? [] : ['seed', e.seed]), ...offset(e.offset));
    case 'osf':
      return e.ttl === undefined ? `osf ${e.key}` : `osf ttl ${e.ttl} ${e.key}`;
    case 'ipsec':
      return join('ipsec', e.direction, ...(e.spnum === undefined ? [] : ['spnum', e.spnum]), e.family, e.key);
    case 'binary':
      return `${operand(e.left, BINDS[e.op])} ${e.op} ${operand(e.right, BINDS[e.op] + 1)}`;
    case 'map':
      return `${printExpression(e.key)} map ${printData(e.data, isQuoted(e.key), like)}`;
    case 'verdict':
      return 'chain' in e ? `${e.verdict} ${e.chain}` : e.verdict;
    case 'opaque':
      return e.words;
  }
}

const BARE: ReadonlySet<string> = new Set(['iif', 'oif', 'iifname', 'oifname', 'iifgroup', 'oifgroup']);

export function join(...parts: readonly (string | number | undefined)[]): string {
  return parts.filter((p) => p !== undefined && p !== '').join(' ');
}

function offset(n: number): readonly (string | number)[] {
  return n === 0 ? [] : ['offset', n];
}

/** One side of `&` and its like, in ( ) where it binds less; flags with commas become `|`. */
function operand(e: ExprSyntax, binds: number): string {
  if (e.kind === 'list') return `(${e.of.map((x) => printExpression(x)).join(' | ')})`;
  const text = printExpression(e);
  return e.kind === 'binary' && BINDS[e.op] < binds ? `(${text})` : text;
}

function printOption(e: Extract<ExprSyntax, { kind: 'option' }>): string {
  const kind = e.of === 'sctp' ? 'sctp chunk' : `${e.of} option`;
  return e.field?.startsWith('@') ? `${kind} @${e.name},${e.field.slice(1)}` : join(kind, e.name, e.field);
}

/** What stands behind `map` or `vmap`. */
export function printData(data: ExprSyntax, key: Like, value: Like): string {
  return data.kind === 'set' ? `{ ${data.elements.map((x) => printElement(x, key, value)).join(', ')} }` : printExpression(data);
}

/** `10.0.0.1 counter timeout 10s comment "x" : jump y`; an element of a named set or of one in a rule. */
export function printElement(e: ElementSyntax, key: Like = false, value: Like = false): string {
  return join(printExpression(e.key, key), ...statements(e), ...options(e), e.data && `: ${printExpression(e.data, value)}`);
}

/** What a rule adds to a set: nft takes its timeout before its statements. */
export function printChange(e: ElementSyntax): string {
  return join(printExpression(e.key), ...options(e), ...statements(e), e.data && `: ${printExpression(e.data)}`);
}

function statements(e: ElementSyntax): readonly string[] {
  return (e.then ?? []).map(printStateful);
}

function options(e: ElementSyntax): readonly string[] {
  return [
    ...(e.timeout === undefined ? [] : [`timeout ${e.timeout === 0 ? 'never' : printTime(e.timeout)}`]),
    ...(e.expires === undefined ? [] : [`expires ${printTime(e.expires)}`]),
    ...(e.comment === undefined ? [] : [`comment ${quote(e.comment)}`]),
  ];
}

/** A statement that an element may have. */
export function printStateful(s: StatementSyntax): string {
  switch (s.kind) {
    case 'counter':
      if (s.name !== undefined) return `counter name ${quote(s.name)}`;
      if (s.by !== undefined) return `counter name ${printExpression(s.by, true)}`;
      return s.packets === undefined ? 'counter' : `counter packets ${s.packets} bytes ${s.bytes ?? 0}`;
    case 'limit':
      return printLimit(s);
    case 'quota':
      if (s.name !== undefined) return `quota name ${quote(s.name)}`;
      return join('quota', s.over ? 'over' : '', s.bytes, 'bytes', ...(s.used === undefined ? [] : ['used', s.used, 'bytes']));
    case 'connlimit':
      return join('ct count', s.over ? 'over' : '', s.count);
    case 'last':
      return join('last', s.words);
    default:
      return '';
  }
}

function printLimit(s: Extract<StatementSyntax, { kind: 'limit' }>): string {
  if (s.name !== undefined) return `limit name ${quote(s.name)}`;
  const rate = s.unit === 'packets' ? `${s.rate}/${s.per}` : `${s.rate} ${s.unit}/${s.per}`;
  const burst = s.burst === undefined ? [] : ['burst', s.burst, s.burstUnit ?? (s.unit === 'packets' ? 'packets' : 'bytes')];
  return join('limit rate', s.over ? 'over' : '', rate, ...burst);
}
