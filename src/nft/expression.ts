// Expressions of nft's text: what is looked at in a packet, what it is compared with, and the sets and maps of a rule.
import { CT_KEYS, EXTHDR, OPTION, PAYLOAD, isBareMetaKey, isMetaKey } from './field.ts';
import { readStateful } from './stateful.ts';
import type { BinaryOperator, ElementSyntax, ExprSyntax, StatementSyntax } from './syntax.ts';
import { asSeconds, readConstant, readCount, readNumber, readSeconds, timesOf, value } from './value.ts';
import type { Words } from './words.ts';

const OPERATORS: ReadonlyMap<string, readonly [op: BinaryOperator, binds: number]> = new Map([
  ['|', ['|', 1]],
  ['or', ['|', 1]],
  ['^', ['^', 2]],
  ['xor', ['^', 2]],
  ['&', ['&', 3]],
  ['and', ['&', 3]],
  ['<<', ['<<', 4]],
  ['>>', ['>>', 4]],
]);

/** Whether a word is looked up in the packet where it can be, or is a constant: in `ip protocol tcp`, `tcp` is one. */
type Mode = 'field' | 'constant';

/** What cannot be read. The reason is kept with the words: who began the statement asks for it. */
export function unread(w: Words, why: string): ExprSyntax {
  w.fail(why);
  return { kind: 'opaque', words: w.word, why };
}

/** An expression with its maps: `ip saddr . tcp dport map @m`. */
export function readExpr(w: Words): ExprSyntax {
  return readMaps(w, readConcat(w, 'field'));
}

/** The maps that follow what is looked up in them. */
export function readMaps(w: Words, of: ExprSyntax): ExprSyntax {
  let key = of;
  while (w.failure === undefined && w.take('map')) key = { kind: 'map', key, data: asSeconds(readData(w), timesOf(key)) };
  return key;
}

/** `ip saddr . tcp dport`, without the map that may follow. */
export function readConcat(w: Words, mode: Mode): ExprSyntax {
  const first = readBinary(w, mode, 1);
  if (!w.at('.')) return first;
  const of = [first];
  while (w.failure === undefined && w.take('.')) of.push(readBinary(w, mode, 1));
  return { kind: 'concat', of };
}

/** What stands behind `map` or `vmap`: `@name` or `{ ... }`. */
export function readData(w: Words): ExprSyntax {
  return w.at('{') ? readSet(w) : w.word.startsWith('@') && w.kind === 'word' ? readReference(w) : unread(w, 'neither { } nor @name');
}

/** What a field is compared with: constants, a list of them, a set, or a reference to one. */
export function readRight(w: Words): ExprSyntax {
  if (w.at('{')) return readSet(w);
  const first = readConcat(w, 'constant');
  if (!w.at(',') || w.failure !== undefined) return first;
  const of = [first];
  while (w.failure === undefined && w.take(',')) of.push(readConcat(w, 'constant'));
  return { kind: 'list', of };
}

function readBinary(w: Words, mode: Mode, binds: number): ExprSyntax {
  let left = readPrimary(w, mode);
  for (;;) {
    const operator = w.kind === 'string' ? undefined : OPERATORS.get(w.word);
    if (operator === undefined || operator[1] < binds || w.failure !== undefined) return left;
    w.step();
    left = { kind: 'binary', op: operator[0], left, right: readOperand(w, mode, operator[1] + 1) };
  }
}

/** The right side of `&` and its like: flags may be written with commas, `tcp flags & syn,ack`. */
function readOperand(w: Words, mode: Mode, binds: number): ExprSyntax {
  const first = readBinary(w, mode, binds);
  if (mode === 'constant' || !w.at(',') || first.kind !== 'value') return first;
  const of = [first];
  while (w.failure === undefined && w.take(',')) of.push(value(w.next()) as typeof first);
  return { kind: 'list', of };
}

function readPrimary(w: Words, mode: Mode): ExprSyntax {
  if (w.kind === 'string') return readString(w);
  if (w.kind === 'mark') {
    if (w.at('(')) {
      w.step();
      const inside = readConcat(w, mode);
      return w.take(')') ? inside : unread(w, 'no ) for this (');
    }
    return w.at('{') ? readSet(w) : unread(w, `no expression begins with ${w.word}`);
  }
  if (w.kind !== 'word') return unread(w, 'something is missing at the end of the line');
  if (w.word.startsWith('@')) return readReference(w);
  const found = mode === 'field' ? readField(w) : undefined;
  return found ?? readWord(w);
}

function readString(w: Words): ExprSyntax {
  const from: ExprSyntax = { kind: 'value', value: w.word };
  w.step();
  // "10:00"-"12:00"
  if (!w.at('-') || w.gap > 0) return from;
  w.step();
  if (w.kind !== 'string') return unread(w, 'a range without its end');
  const to: ExprSyntax = { kind: 'value', value: w.word };
  w.step();
  return { kind: 'range', from, to };
}

function readWord(w: Words): ExprSyntax {
  const { word } = w;
  w.step();
  if (word === '*') return { kind: 'any' };
  if (word === '.' || word === ':' || word === '-' || word === '/') return unread(w, `a value should stand where ${word} does`);
  // So nft prints a constant whose type it does not know.
  if (w.at('[invalid') && w.peek() === 'type]') {
    w.step();
    w.step();
  }
  return readConstant(word);
}

const BASES: ReadonlySet<string> = new Set(['ll', 'nh', 'th', 'ih']);

/** `@name`, or `@nh,96,32`. */
function readReference(w: Words): ExprSyntax {
  const name = w.word.slice(1);
  w.step();
  if (!w.at(',') || w.gap > 0 || !BASES.has(name)) return name === '' ? unread(w, 'a set without a name') : { kind: 'reference', name };
  w.step();
  const offset = readCount(w);
  if (!w.take(',')) return unread(w, 'raw bits are @base,offset,length');
  return { kind: 'raw', base: name as 'll' | 'nh' | 'th' | 'ih', offset, length: readCount(w) };
}

type Reader = (w: Words) => ExprSyntax | undefined;

/** What begins with a word of its own. Each stands behind that word; it gives nothing where the word is only a word. */
const FIELDS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['meta', (w) => readMeta(w)],
  ['ct', (w) => readCt(w)],
  ['rt', (w) => readRt(w)],
  ['fib', (w) => readFib(w)],
  ['socket', (w) => readSocket(w)],
  ['numgen', (w) => readNumgen(w)],
  ['jhash', (w) => readHash(w, 'jhash')],
  ['symhash', (w) => readHash(w, 'symhash')],
  ['osf', (w) => readOsf(w)],
  ['ipsec', (w) => readIpsec(w)],
  ['exthdr', (w) => ({ kind: 'exthdr', header: w.next() })],
]);

/** A field, if one is named here; the cursor moves only then. */
function readField(w: Words): ExprSyntax | undefined {
  const { word } = w;
  const fields = PAYLOAD.get(word);
  if (fields !== undefined) return readPayload(w, word, fields);
  const reader = FIELDS.get(word);
  if (reader !== undefined) {
    if (word === 'meta' ? !isMetaKey(w.peek()) : w.peek() === '') return undefined;
    w.step();
    return reader(w);
  }
  const headers = EXTHDR.get(word);
  if (headers !== undefined) return readHeader(w, word, headers);
  if (!isBareMetaKey(word)) return undefined;
  w.step();
  return { kind: 'meta', key: metaKey(word) };
}

const OPTIONS: ReadonlyMap<string, keyof typeof OPTION> = new Map([
  ['tcp option', 'tcp'],
  ['ip option', 'ip'],
  ['dccp option', 'dccp'],
  ['sctp chunk', 'sctp'],
]);

function readPayload(w: Words, protocol: string, fields: ReadonlySet<string>): ExprSyntax | undefined {
  const field = w.peek();
  const option = OPTIONS.get(`${protocol} ${field}`);
  if (option === undefined && !fields.has(field)) return undefined;
  w.step();
  w.step();
  if (option !== undefined) return readOption(w, option);
  // `arp saddr ip`
  return { kind: 'payload', protocol, field: protocol === 'arp' && field.endsWith('addr') ? `${field} ${w.next()}` : field };
}

function readOption(w: Words, of: keyof typeof OPTION): ExprSyntax {
  const raw = w.word.startsWith('@') ? readNumber(w.word.slice(1)) : undefined;
  const word = w.next();
  if (word === '') return unread(w, `which option of ${of}?`);
  if (raw !== undefined) return { kind: 'option', of, name: raw, field: readRawField(w) };
  const name = readNumber(word) ?? word;
  return OPTION[of].has(w.word) && w.kind === 'word' ? { kind: 'option', of, name, field: w.next() } : { kind: 'option', of, name };
}

/** `tcp option @34,16,8`: bits of an option that has no names for them. */
function readRawField(w: Words): string {
  w.take(',');
  const offset = readCount(w);
  w.take(',');
  return `${offset},${readCount(w)}`;
}

function readHeader(w: Words, header: string, fields: ReadonlySet<string>): ExprSyntax | undefined {
  const field = w.peek();
  const bracket = field.indexOf('[');
  if (!fields.has(bracket < 0 ? field : field.slice(0, bracket))) return undefined;
  w.step();
  w.step();
  return { kind: 'exthdr', header, field };
}

// meta_templates[], src/meta.c: `ibriport` is how old versions wrote it.
function metaKey(word: string): string {
  return word === 'ibriport' ? 'ibrname' : word === 'obriport' ? 'obrname' : word;
}

function readMeta(w: Words): ExprSyntax {
  return { kind: 'meta', key: metaKey(w.next()) };
}

function readCt(w: Words): ExprSyntax {
  const direction = w.at('original') || w.at('reply') ? (w.next() as 'original' | 'reply') : undefined;
  const family = w.at('ip') || w.at('ip6') ? (w.next() as 'ip' | 'ip6') : undefined;
  const key = w.word;
  if (!CT_KEYS.has(key)) return unread(w, `ct ${key} is not known here`);
  w.step();
  return { kind: 'ct', key: key === 'labels' ? 'label' : key, ...(direction && { direction }), ...(family && { family }) };
}

function readRt(w: Words): ExprSyntax | undefined {
  const family = w.at('ip') || w.at('ip6') ? (w.next() as 'ip' | 'ip6') : undefined;
  const key = w.next();
  if (family === undefined && EXTHDR.get('rt')!.has(key)) return { kind: 'exthdr', header: 'rt', field: key };
  return key === '' ? unread(w, 'rt what?') : { kind: 'rt', key, ...(family && { family }) };
}

function readFib(w: Words): ExprSyntax {
  const flags = [w.next()];
  while (w.take('.')) flags.push(w.next());
  const result = w.next();
  return result === '' ? unread(w, 'fib gives an oif, an oifname or a type') : { kind: 'fib', flags, result };
}

function readSocket(w: Words): ExprSyntax {
  const key = w.next();
  return w.take('level') ? { kind: 'socket', key, level: readCount(w) } : { kind: 'socket', key };
}

function readNumgen(w: Words): ExprSyntax {
  const mode = w.next();
  if (mode !== 'inc' && mode !== 'random') return unread(w, 'numgen is inc or random');
  return { kind: 'numgen', mode, mod: readModulus(w), offset: w.take('offset') ? readCount(w) : 0 };
}

function readHash(w: Words, by: 'jhash' | 'symhash'): ExprSyntax {
  const of = by === 'jhash' ? readConcat(w, 'field') : undefined;
  const mod = readModulus(w);
  const seed = w.take('seed') ? readCount(w) : undefined;
  const offset = w.take('offset') ? readCount(w) : 0;
  return { kind: 'hash', by, ...(of && { of }), mod, ...(seed !== undefined && { seed }), offset };
}

function readModulus(w: Words): number {
  if (!w.take('mod')) w.fail('mod and a number should follow');
  return readCount(w);
}

function readOsf(w: Words): ExprSyntax {
  const ttl = w.take('ttl') ? w.next() : undefined;
  return { kind: 'osf', key: w.next(), ...(ttl !== undefined && { ttl }) };
}

function readIpsec(w: Words): ExprSyntax {
  const direction = w.next();
  const spnum = w.take('spnum') ? readCount(w) : undefined;
  const family = w.at('ip') || w.at('ip6') ? (w.next() as 'ip' | 'ip6') : undefined;
  return { kind: 'ipsec', key: w.next(), direction, ...(family && { family }), ...(spnum !== undefined && { spnum }) };
}

/** `{ 10.0.0.1, 10.0.0.0/8 : jump x }` within a rule. */
function readSet(w: Words): ExprSyntax {
  const elements: ElementSyntax[] = [];
  readElements(w, (element) => elements.push(element));
  return { kind: 'set', elements };
}

/** The elements between `{` and `}`, over as many lines as they take. What was read before a failure has been given. */
export function readElements(w: Words, give: (element: ElementSyntax, line: number) => void): void {
  if (!w.take('{')) return w.fail('a { should open the elements');
  w.skipLines();
  while (!w.take('}')) {
    const { line } = w;
    const element = readElement(w, 'constant');
    w.skipLines();
    const more = w.take(',');
    if (!more && !w.at('}')) w.fail(w.kind === 'end' ? 'the text ends within { }' : 'neither , nor } behind an element');
    if (w.failure !== undefined) return;
    give(element, line);
    w.skipLines();
  }
}

type Draft = { -readonly [K in keyof ElementSyntax]: ElementSyntax[K] };

/** `10.0.0.1 timeout 10s expires 3s comment "x" : jump y`; in `add @s { ip saddr timeout 10s }` its key is a field. */
export function readElement(w: Words, mode: Mode): ElementSyntax {
  const element: Draft = { key: mode === 'field' ? readExpr(w) : readConcat(w, mode) };
  const then: StatementSyntax[] = [];
  while (w.kind === 'word' && w.failure === undefined) {
    if (w.take(':')) element.data = readMapped(w, mode);
    else if (w.take('timeout')) element.timeout = w.take('never') ? 0 : readSeconds(w);
    else if (w.take('expires')) element.expires = readSeconds(w);
    else if (w.take('comment')) element.comment = w.next();
    else {
      const statement = readStateful(w);
      if (statement === undefined) break;
      then.push(statement);
    }
  }
  if (then.length > 0) element.then = then;
  return element;
}

function readMapped(w: Words, mode: Mode): ExprSyntax {
  return readVerdict(w) ?? (mode === 'field' ? readExpr(w) : readConcat(w, mode));
}

/** accept, drop, jump x ...: a verdict, if one stands here. */
export function readVerdict(w: Words): Extract<ExprSyntax, { kind: 'verdict' }> | undefined {
  if (w.kind !== 'word') return undefined;
  const { word } = w;
  switch (word) {
    case 'accept':
    case 'drop':
    case 'continue':
    case 'return':
    case 'queue':
      w.step();
      return { kind: 'verdict', verdict: word };
    case 'jump':
    case 'goto': {
      w.step();
      const chain = w.next();
      if (chain === '') w.fail(w.at('{') ? `an anonymous chain behind ${word}` : `${word} where?`);
      return { kind: 'verdict', verdict: word, chain };
    }
    default:
      return undefined;
  }
}
