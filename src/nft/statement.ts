// Statements of nft's text: each begins with a word of its own, or is an expression and what it is compared with or set to.
import { readConcat, readData, readElement, readExpr, readMaps, readRight, readVerdict, unread } from './expression.ts';
import { isFlagsOfCt } from './field.ts';
import { readAddressed, readNat } from './nat.ts';
import { readStateful } from './stateful.ts';
import type { ExprSyntax, Relation, StatementSyntax } from './syntax.ts';
import { asSeconds, readCount, timesOf } from './value.ts';
import type { Words } from './words.ts';

type Reader = (w: Words) => StatementSyntax;

/** Each stands behind its word. */
const STATEMENTS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['snat', (w) => readNat(w, 'snat')],
  ['dnat', (w) => readNat(w, 'dnat')],
  ['masquerade', (w) => readNat(w, 'masquerade')],
  ['redirect', (w) => readNat(w, 'redirect')],
  ['tproxy', (w) => ({ kind: 'tproxy', ...readAddressed(w) })],
  ['reject', readReject],
  ['log', readLog],
  ['queue', readQueue],
  ['reset', (w) => ({ kind: 'reset', option: readExpr(w) })],
  ['notrack', () => ({ kind: 'notrack' })],
  ['synproxy', readSynproxy],
  ['dup', readDup],
  ['fwd', readFwd],
  ['flow', readFlow],
  ['meter', readMeter],
  ['add', (w) => readSetChange(w, 'add')],
  ['update', (w) => readSetChange(w, 'update')],
  ['delete', (w) => readSetChange(w, 'delete')],
  ['set', readOldSetChange],
  ['xt', readXt],
]);

/** One statement of a rule. Where it cannot be read, `failure` of the words says why, and where they stand means nothing. */
export function readStatement(w: Words): StatementSyntax {
  if (w.kind !== 'word') return readExpression(w);
  const { word } = w;
  if (word === 'counter' || word === 'limit' || word === 'quota') {
    if (w.peek() === 'name') return readNamed(w, word);
  }
  if (word === 'ct') {
    const named = readObject(w);
    if (named !== undefined) return named;
  }
  const stateful = readStateful(w);
  if (stateful !== undefined) return stateful;
  const reader = STATEMENTS.get(word);
  if (reader !== undefined) {
    w.step();
    return reader(w);
  }
  const verdict = readVerdict(w);
  // A verdict of a rule is the same thing as one of a map; only `queue` is a statement of its own, and read above.
  return verdict === undefined ? readExpression(w) : (verdict as StatementSyntax);
}

/** Whether statements, or the fields they look at, begin with this word. */
export function isStatement(word: string): boolean {
  return STATEMENTS.has(word) || HEADS.has(word);
}

const HEADS: ReadonlySet<string> = new Set(
  'counter limit quota last ct meta rt fib socket numgen jhash symhash osf ipsec exthdr jump goto'.split(' '),
);

const RELATIONS: ReadonlyMap<string, Relation> = new Map<string, Relation>([
  ['==', '=='],
  ['!=', '!='],
  ['<', '<'],
  ['>', '>'],
  ['<=', '<='],
  ['>=', '>='],
  ['!', '!'],
]);

/** `ip saddr 10.0.0.1`, `tcp dport vmap @m`, `meta mark set 1` */
function readExpression(w: Words): StatementSyntax {
  const left = readConcat(w, 'field');
  if (w.failure !== undefined) return { kind: 'match', op: '==', left, right: left };
  if (left.kind === 'value' || left.kind === 'reference' || left.kind === 'set' || left.kind === 'opaque') {
    w.fail(left.kind === 'value' ? `no statement begins with ${left.value}` : 'no statement begins so');
  } else if (w.take('set')) {
    return readAssign(w, left);
  } else if (w.take('vmap')) {
    return { kind: 'vmap', key: left, data: asSeconds(readData(w), timesOf(left)) };
  }
  return readRelation(w, readMaps(w, left));
}

function readRelation(w: Words, left: ExprSyntax): StatementSyntax {
  const written = w.kind === 'mark' ? RELATIONS.get(w.word) : undefined;
  if (written !== undefined) w.step();
  if (w.isDone) w.fail('nothing to compare with');
  const right = asSeconds(readRight(w), timesOf(left));
  // tcp flags syn / syn,ack: these of those bits.
  if (w.at('/') && w.failure === undefined) {
    w.step();
    const mask = readRight(w);
    return { kind: 'match', op: written ?? '==', left: { kind: 'binary', op: '&', left, right: mask }, right };
  }
  return { kind: 'match', op: relation(written, left, right), left, right };
}

// JSON of libnftables writes `==` before every set, and text only behind `&` (must_print_eq_op(), src/expression.c).
function relation(written: Relation | undefined, left: ExprSyntax, right: ExprSyntax): Relation {
  if (right.kind === 'set' || right.kind === 'reference') return written === undefined || written === '==' ? 'in' : written;
  return written ?? (right.kind === 'list' || isFlags(left) ? 'in' : '==');
}

/** Whether this is a bitmask: with nothing written, any of the bits will do. */
export function isFlags(of: ExprSyntax): boolean {
  return of.kind === 'ct' ? isFlagsOfCt(of.key) : of.kind === 'payload' && of.protocol === 'tcp' && of.field === 'flags';
}

/** What is set may be flags with commas: `ct event set new,destroy`. */
function readAssign(w: Words, to: ExprSyntax): StatementSyntax {
  const isName = w.kind === 'string' && to.kind === 'meta' && to.key === 'secmark';
  const value = w.at('{') ? unread(w, 'a set cannot be assigned') : readExpr(w);
  if (isName) return { kind: 'object', of: 'secmark', name: value };
  if (!w.at(',') || w.failure !== undefined) return { kind: 'assign', to, value };
  const of = [value];
  while (w.failure === undefined && w.take(',')) of.push(readConcat(w, 'constant'));
  return { kind: 'assign', to, value: { kind: 'list', of } };
}

const CT_OBJECTS: ReadonlyMap<string, 'ct helper' | 'ct timeout' | 'ct expectation'> = new Map([
  ['helper', 'ct helper'],
  ['timeout', 'ct timeout'],
  ['expectation', 'ct expectation'],
]);

/** `ct helper set "ftp"`; `ct helper "ftp"` is a match. */
function readObject(w: Words): StatementSyntax | undefined {
  const of = CT_OBJECTS.get(w.peek());
  if (of === undefined) return undefined;
  const { start, line, gap } = w;
  w.step();
  w.step();
  if (w.take('set')) return { kind: 'object', of, name: readExpr(w) };
  w.seek(start, line);
  w.gap = gap;
  return undefined;
}

/** `counter name "x"`, `counter name tcp dport map @m` */
function readNamed(w: Words, kind: 'counter' | 'limit' | 'quota'): StatementSyntax {
  w.step();
  w.step();
  const of = readExpr(w);
  const named = of.kind === 'value' ? { name: String(of.value) } : { by: of };
  if (kind === 'counter') return { kind, ...named };
  return kind === 'quota' ? { kind, over: false, bytes: 0, ...named } : { kind, over: false, rate: 0, unit: 'packets', per: 'second', ...named };
}

function readReject(w: Words): StatementSyntax {
  if (!w.take('with')) return { kind: 'reject' };
  const type = w.next();
  if (type === 'tcp') {
    if (!w.take('reset')) w.fail('reject with tcp reset');
    return { kind: 'reject', type: 'tcp reset' };
  }
  if (type !== 'icmp' && type !== 'icmpv6' && type !== 'icmpx') w.fail(`nothing rejects with ${type}`);
  w.take('type');
  return { kind: 'reject', type: type as 'icmp', code: readConcat(w, 'constant') };
}

/** The words of a log: what may stand there, as nft writes it. */
function readLog(w: Words): StatementSyntax {
  const from = w.start;
  let to = from;
  while (w.kind === 'word') {
    const option = w.word;
    if (option === 'prefix' || option === 'level' || option === 'group' || option === 'snaplen' || option === 'queue-threshold') {
      w.step();
      to = w.end;
      if (w.next() === '') w.fail(`log ${option} what?`);
    } else if (option === 'flags') {
      w.step();
      to = readLogFlags(w);
    } else break;
  }
  return { kind: 'log', words: w.text.slice(from, to) };
}

/** `all`, `skuid`, `ether`, `tcp sequence,options`, `ip options` */
function readLogFlags(w: Words): number {
  let to = w.end;
  const of = w.next();
  if (of === 'tcp' || of === 'ip') {
    do {
      to = w.end;
      w.next();
    } while (w.take(','));
  } else if (of === '') w.fail('log flags of what?');
  return to;
}

/** `queue`, `queue num 1-3 bypass,fanout`, `queue flags bypass to numgen inc mod 4` */
function readQueue(w: Words): StatementSyntax {
  const flags: string[] = [];
  if (w.take('flags')) readFlags(w, flags);
  const to = w.take('num') || w.take('to') ? readExpr(w) : undefined;
  if (w.at('bypass') || w.at('fanout')) readFlags(w, flags);
  return { kind: 'queue', ...(to && { to }), flags };
}

function readFlags(w: Words, flags: string[]): void {
  do flags.push(w.next());
  while (w.take(','));
}

const SYNPROXY: ReadonlySet<string> = new Set(['mss', 'wscale', 'timestamp', 'sack-perm']);

function readSynproxy(w: Words): StatementSyntax {
  if (w.take('name')) return { kind: 'object', of: 'synproxy', name: readExpr(w) };
  const words: string[] = [];
  while (SYNPROXY.has(w.word)) {
    const option = w.next();
    words.push(option);
    if (option === 'mss' || option === 'wscale') words.push(w.next());
  }
  return { kind: 'synproxy', words: words.join(' ') };
}

function readDup(w: Words): StatementSyntax {
  if (!w.take('to')) w.fail('dup to what?');
  const addr = readExpr(w);
  // In netdev it is a device that the copy goes to.
  if (!w.take('device')) return isAddress(addr) ? { kind: 'dup', addr } : { kind: 'dup', device: addr };
  return { kind: 'dup', addr, device: readExpr(w) };
}

/** A device is between quotes, or a name; an address is neither, and begins with a digit or has a colon. */
function isAddress(of: ExprSyntax): boolean {
  return of.kind === 'map' || (of.kind === 'value' && typeof of.value === 'string' && /^\d+\.|:/.test(of.value));
}

function readFwd(w: Words): StatementSyntax {
  const family = w.at('ip') || w.at('ip6') ? (w.next() as 'ip' | 'ip6') : undefined;
  if (!w.take('to')) w.fail('fwd to what?');
  const to = readExpr(w);
  if (!w.take('device')) return { kind: 'fwd', device: to };
  return { kind: 'fwd', ...(family && { family }), addr: to, device: readExpr(w) };
}

/** `flow add @f`, `flow offload @f`; once, `flow table x { ... }` was a meter. */
function readFlow(w: Words): StatementSyntax {
  if (w.take('table')) return readMeter(w);
  if (!w.take('add') && !w.take('offload')) w.fail('flow add or flow offload');
  return { kind: 'flow', name: setName(w) };
}

function setName(w: Words): string {
  const name = w.next();
  if (name.length < 2 || !name.startsWith('@')) w.fail('@ and a name should stand here');
  return name.slice(1);
}

/** `add @s { ip saddr timeout 10s }` */
function readSetChange(w: Words, op: 'add' | 'update' | 'delete'): StatementSyntax {
  const set = setName(w);
  return { kind: 'element', op, set, element: readBraced(w) };
}

function readBraced(w: Words): ReturnType<typeof readElement> {
  if (!w.take('{')) w.fail('{ and a key should stand here');
  const element = readElement(w, 'field');
  if (!w.take('}')) w.fail(`"${w.word}" is not known in an element`);
  return element;
}

/** `set add ip saddr timeout 10s @s`, as versions before 0.9 wrote it. */
function readOldSetChange(w: Words): StatementSyntax {
  const op = w.next();
  if (op !== 'add' && op !== 'update') w.fail(`set ${op} is not known`);
  const element = readElement(w, 'field');
  return { kind: 'element', op: op as 'add', set: setName(w), element };
}

// netlink_gen_meter_stmt(), src/netlink_linearize.c: it is updated where it has a timeout.
function readMeter(w: Words): StatementSyntax {
  const name = w.next();
  const meter = w.take('size') ? readCount(w) : METER_SIZE;
  const element = readBraced(w);
  return { kind: 'element', op: element.timeout === undefined ? 'add' : 'update', set: name.replace(/^@/, ''), element, meter };
}

// meter_stmt_alloc(), src/parser_bison.y
const METER_SIZE = 0xffff;

/** `xt match "foo"`, `xt target MASQUERADE`, `xt watcher log` */
function readXt(w: Words): StatementSyntax {
  const type = w.next();
  if (type !== 'match' && type !== 'target' && type !== 'watcher') w.fail(`xt ${type} is not known`);
  const name = w.next();
  return { kind: 'xt', type: type === 'match' ? 'match' : 'target', ...(name !== '' && { name }) };
}
