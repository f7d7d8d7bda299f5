// Expressions as libnftables-json(5) has them, src/json.c of nftables: what has no decoder here becomes `opaque`.
import type { BinaryOperator, ElementSyntax, ExprSyntax, NftFamily, StatementSyntax } from './syntax.ts';

/** Where an expression or a statement stands, and who hears of what is not understood, with a word that it holds. */
export interface Place {
  readonly family: NftFamily;
  readonly unknown: (code: 'unknown-statement' | 'unknown-expression', what: string, word?: string) => void;
  /** Statements of elements: given here, since each of the two files needs the other. */
  readonly statement: (json: unknown, place: Place) => StatementSyntax;
}

type Fields = Readonly<Record<string, unknown>>;
type Decode = (json: unknown, place: Place) => ExprSyntax | undefined;

/** An object of JSON; none of its keys is promised. */
export function fieldsOf(json: unknown): Fields | undefined {
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Fields) : undefined;
}

/** `"x"` and `["x", "y"]`: a list of one loses its brackets. */
export function wordsOf(json: unknown): readonly string[] {
  return listOf(json).filter((w) => typeof w === 'string');
}

function listOf(json: unknown): readonly unknown[] {
  return Array.isArray(json) ? json : json === undefined || json === null ? [] : [json];
}

/** The only key of an object, and what it holds. */
export function only(json: unknown): readonly [key: string, value: unknown] | undefined {
  const fields = fieldsOf(json);
  const keys = fields && Object.keys(fields);
  return keys?.length === 1 ? [keys[0]!, fields![keys[0]!]] : undefined;
}

export const isText = (json: unknown): json is string => typeof json === 'string';
export const isNumber = (json: unknown): json is number => typeof json === 'number';

export function readExpr(json: unknown, place: Place): ExprSyntax {
  if (isNumber(json)) return readNumber(json);
  if (isText(json)) return readWord(json);
  if (typeof json === 'boolean') return { kind: 'value', value: json ? 'exists' : 'missing' };
  if (Array.isArray(json)) return { kind: 'list', of: json.map((e) => readExpr(e, place)) };
  const entry = only(json);
  return (entry && DECODERS.get(entry[0])?.(entry[1], place)) ?? opaque(json, entry?.[0], place);
}

/** `@name` is a set. `0x50 [invalid type]` is what nft 1.0.6 says where it lost the type of a port of ct. */
function readWord(word: string): ExprSyntax {
  if (word.startsWith('@')) return { kind: 'reference', name: word.slice(1) };
  const lost = /^(0x[\da-f]{1,13}) \[invalid type\]$/.exec(word);
  return { kind: 'value', value: lost ? Number(lost[1]) : word };
}

/** jansson prints 64 bits with a sign: what is negative here is above 2^63. */
function readNumber(n: number): ExprSyntax {
  return { kind: 'value', value: n < 0 ? wideNumber(String(n)) : n };
}

/** A number that a double cannot hold is a word: `0xffffffffffffffff`. */
export function wideNumber(digits: string): string {
  return `0x${BigInt.asUintN(64, BigInt(digits)).toString(16)}`;
}

function opaque(json: unknown, name: string | undefined, place: Place): ExprSyntax {
  const why = name === undefined ? 'this is no expression' : `the expression '${name}' is not understood`;
  place.unknown('unknown-expression', why, name);
  return { kind: 'opaque', words: JSON.stringify(json) ?? '', why };
}

/** The right side of a match, where elements have no data, or what a map looks things up in, where they have. */
export function readSet(json: unknown, place: Place, isMap: boolean): ExprSyntax {
  const entry = only(json);
  if (entry?.[0] !== 'set') return readExpr(json, place);
  return { kind: 'set', elements: listOf(entry[1]).map((e) => readElement(e, place, isMap)) };
}

/** An element of a set or map: alone, or as `{"elem": ...}` with all that it has besides its key. */
export function readElement(json: unknown, place: Place, isMap: boolean): ElementSyntax {
  if (isMap && Array.isArray(json) && json.length === 2) {
    return { ...readElement(json[0], place, false), data: readExpr(json[1], place) };
  }
  const entry = only(json);
  const fields = entry?.[0] === 'elem' ? fieldsOf(entry[1]) : undefined;
  if (!fields) return { key: readKey(json, place) };
  const { val, timeout, expires, comment, ...rest } = fields;
  const then = Object.entries(rest).map(([name, value]) => place.statement({ [name]: value }, place));
  return {
    key: readKey(val, place),
    ...(isNumber(timeout) && { timeout }),
    ...(isNumber(expires) && { expires }),
    ...(isText(comment) && { comment }),
    ...(then.length > 0 && { then }),
  };
}

function readKey(json: unknown, place: Place): ExprSyntax {
  return json === '*' ? { kind: 'any' } : readExpr(json, place);
}

function pair(json: unknown, place: Place): readonly [ExprSyntax, ExprSyntax] | undefined {
  return Array.isArray(json) && json.length === 2 ? [readExpr(json[0], place), readExpr(json[1], place)] : undefined;
}

/** Newer versions print `a | b | c` as one list. */
function binary(op: BinaryOperator): Decode {
  return (json, place) => {
    if (!Array.isArray(json) || json.length < 2) return undefined;
    return json.map((e) => readExpr(e, place)).reduce((left, right) => ({ kind: 'binary', op, left, right }));
  };
}

function keyed(build: (key: string, fields: Fields, place: Place) => ExprSyntax | undefined): Decode {
  return (json, place) => {
    const fields = fieldsOf(json);
    return fields && isText(fields['key']) ? build(fields['key'], fields, place) : undefined;
  };
}

function familyOf(json: unknown): 'ip' | 'ip6' | undefined {
  return json === 'ip' || json === 'ip6' ? json : undefined;
}

const payload: Decode = (json) => {
  const f = fieldsOf(json);
  if (!f || 'tunnel' in f) return undefined;
  const { protocol, field, base, offset, len } = f;
  if (isText(protocol) && isText(field)) return { kind: 'payload', protocol, field };
  const isBase = base === 'll' || base === 'nh' || base === 'th' || base === 'ih';
  return isBase && isNumber(offset) && isNumber(len) ? { kind: 'raw', base, offset, length: len } : undefined;
};

const exthdr: Decode = (json) => {
  const f = fieldsOf(json);
  if (!f || !isText(f['name'])) return undefined;
  return {
    kind: 'exthdr',
    header: f['name'],
    ...(isText(f['field']) && { field: f['field'] }),
    ...(isNumber(f['offset']) && { offset: f['offset'] }),
  };
};

function option(of: 'tcp' | 'ip' | 'sctp' | 'dccp'): Decode {
  return (json) => {
    const f = fieldsOf(json);
    if (!f) return undefined;
    const { name, field, base, offset, len, type } = f;
    if (isText(name)) return { kind: 'option', of, name, ...(isText(field) && { field }) };
    if (of === 'dccp' && isNumber(type)) return { kind: 'option', of, name: type };
    if (!isNumber(base) || !isNumber(offset) || !isNumber(len)) return undefined;
    // Whether the option is there is asked of its first byte: exthdr_expr_json() has nothing else for `tcp option 42 exists`.
    return { kind: 'option', of, name: base, ...(!(offset === 0 && len === 8) && { field: `${offset},${len}` }) };
  };
}

/** `ct original saddr` has the family of its table where it does not say one. */
const ct = keyed((key, { dir, family }, place) => {
  const [first, second] = key.split(' ');
  const isTuple = key === 'saddr' || key === 'daddr';
  const of = familyOf(second === undefined ? (family ?? (isTuple ? place.family : undefined)) : first);
  return {
    kind: 'ct',
    key: second ?? key,
    ...((dir === 'original' || dir === 'reply') && { direction: dir }),
    ...(of && { family: of }),
  };
});

function hash(by: 'jhash' | 'symhash'): Decode {
  return (json, place) => {
    const f = fieldsOf(json);
    if (!f || !isNumber(f['mod'])) return undefined;
    const { mod, offset, seed, expr } = f;
    return {
      kind: 'hash',
      by,
      ...(expr !== undefined && { of: readExpr(expr, place) }),
      mod,
      ...(isNumber(seed) && { seed }),
      offset: isNumber(offset) ? offset : 0,
    };
  };
}

function verdict(name: 'accept' | 'drop' | 'continue' | 'return' | 'queue'): Decode {
  return () => ({ kind: 'verdict', verdict: name });
}

function branch(name: 'jump' | 'goto'): Decode {
  return (json) => {
    const target = fieldsOf(json)?.['target'];
    return isText(target) ? { kind: 'verdict', verdict: name, chain: target } : undefined;
  };
}

const DECODERS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ['concat', (json, place) => (Array.isArray(json) ? { kind: 'concat', of: json.map((e) => readExpr(e, place)) } : undefined)],
  ['set', (json, place) => readSet({ set: json }, place, false)],
  [
    'map',
    (json, place) => {
      const f = fieldsOf(json);
      return f && 'key' in f && 'data' in f ? { kind: 'map', key: readExpr(f['key'], place), data: readSet(f['data'], place, true) } : undefined;
    },
  ],
  [
    'prefix',
    (json, place) => {
      const f = fieldsOf(json);
      return f && isNumber(f['len']) ? { kind: 'prefix', addr: readExpr(f['addr'], place), length: f['len'] } : undefined;
    },
  ],
  [
    'range',
    (json, place) => {
      const ends = pair(json, place);
      return ends && { kind: 'range', from: ends[0], to: ends[1] };
    },
  ],
  ['payload', payload],
  ['exthdr', exthdr],
  ['tcp option', option('tcp')],
  ['ip option', option('ip')],
  ['sctp chunk', option('sctp')],
  ['dccp option', option('dccp')],
  ['meta', keyed((key) => ({ kind: 'meta', key }))],
  ['ct', ct],
  [
    'rt',
    keyed((key, { family }) => {
      const of = familyOf(family);
      return { kind: 'rt', key, ...(of && { family: of }) };
    }),
  ],
  ['socket', keyed((key, { level }) => ({ kind: 'socket', key, ...(isNumber(level) && { level }) }))],
  [
    'fib',
    (json) => {
      const f = fieldsOf(json);
      return f && isText(f['result']) ? { kind: 'fib', flags: wordsOf(f['flags']), result: f['result'] } : undefined;
    },
  ],
  [
    'numgen',
    (json) => {
      const { mode, mod, offset } = fieldsOf(json) ?? {};
      if ((mode !== 'inc' && mode !== 'random') || !isNumber(mod)) return undefined;
      return { kind: 'numgen', mode, mod, offset: isNumber(offset) ? offset : 0 };
    },
  ],
  ['jhash', hash('jhash')],
  ['symhash', hash('symhash')],
  ['osf', keyed((key, { ttl }) => ({ kind: 'osf', key, ...(isText(ttl) && { ttl }) }))],
  [
    'ipsec',
    keyed((key, { dir, family, spnum }) => {
      if (!isText(dir)) return undefined;
      const of = familyOf(family);
      return { kind: 'ipsec', key, direction: dir, ...(of && { family: of }), ...(isNumber(spnum) && spnum > 0 && { spnum }) };
    }),
  ],
  ['&', binary('&')],
  ['|', binary('|')],
  ['^', binary('^')],
  ['<<', binary('<<')],
  ['>>', binary('>>')],
  ['accept', verdict('accept')],
  ['drop', verdict('drop')],
  ['continue', verdict('continue')],
  ['return', verdict('return')],
  ['queue', verdict('queue')],
  ['jump', branch('jump')],
  ['goto', branch('goto')],
]);
