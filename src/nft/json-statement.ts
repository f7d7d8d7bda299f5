// Statements as libnftables-json(5) has them, src/json.c of nftables: what has no decoder here becomes `opaque`.
import { fieldsOf, isNumber, isText, only, readElement, readExpr, readSet, wordsOf, type Place } from './json-expression.ts';
import { readStatement as readStatementText } from './statement.ts';
import type { ExprSyntax, NftFamily, Relation, StatementSyntax } from './syntax.ts';
import { Words } from './words.ts';

type Fields = Readonly<Record<string, unknown>>;
type Decode = (json: unknown, place: Place) => StatementSyntax | undefined;

export function readStatement(json: unknown, place: Place): StatementSyntax {
  if (isText(json)) return readWords(json, place);
  const entry = only(json);
  return (entry && DECODERS.get(entry[0])?.(entry[1], place)) ?? opaque(json, entry?.[0], place);
}

function opaque(json: unknown, name: string | undefined, place: Place): StatementSyntax {
  const why = name === undefined ? 'this is no statement' : `the statement '${name}' is not understood`;
  place.unknown('unknown-statement', why, name);
  return { kind: 'opaque', words: JSON.stringify(json) ?? '', why };
}

/** What nft has no JSON for stands there in words, stmt_print_json(), src/json.c: `"update @m { ip saddr : 1 }"`. */
function readWords(text: string, place: Place): StatementSyntax {
  const w = new Words(text);
  const statement = readStatementText(w);
  if (!w.isEnd) w.fail(`"${w.word}" is not expected there`);
  if (w.failure === undefined) return statement;
  place.unknown('unknown-statement', `"${text}" is not understood: ${w.failure}`, text);
  return { kind: 'opaque', words: text, why: w.failure };
}

const RELATIONS: ReadonlySet<unknown> = new Set<Relation>(['in', '==', '!=', '<', '>', '<=', '>=', '!']);

const match: Decode = (json, place) => {
  const f = fieldsOf(json);
  if (!f || !('left' in f) || !('right' in f) || !RELATIONS.has(f['op'])) return undefined;
  const left = readExpr(f['left'], place);
  const right = numerals(left, readSet(f['right'], place, false));
  const op = f['op'] as Relation;
  const isLookup = right.kind === 'set' || right.kind === 'reference';
  return { kind: 'match', op: op === '==' && isLookup ? 'in' : op, left, right };
};

/** Interfaces and realms without a name come as `"5"`. */
function numerals(left: ExprSyntax, right: ExprSyntax): ExprSyntax {
  const isIndex = left.kind === 'meta' && (left.key === 'iif' || left.key === 'oif' || left.key === 'sdif' || left.key === 'rtclassid');
  const isFound = left.kind === 'fib' && left.result === 'oif';
  return isIndex || isFound || (left.kind === 'rt' && left.key === 'classid') ? asNumbers(right) : right;
}

/** Words of digits as the numbers they are, for types whose values have no other words of digits. */
export function asNumbers(e: ExprSyntax): ExprSyntax {
  if (e.kind === 'value' && isText(e.value) && /^\d+$/.test(e.value)) return { kind: 'value', value: Number(e.value) };
  if (e.kind === 'range') return { ...e, from: asNumbers(e.from), to: asNumbers(e.to) };
  if (e.kind === 'set') return { ...e, elements: e.elements.map((x) => ({ ...x, key: asNumbers(x.key) })) };
  return e;
}

function mapOf(json: unknown, place: Place): ExprSyntax | undefined {
  return only(json)?.[0] === 'map' ? readExpr(json, place) : undefined;
}

const counter: Decode = (json, place) => {
  if (json === null) return { kind: 'counter' };
  if (isText(json)) return { kind: 'counter', name: json };
  const by = mapOf(json, place);
  if (by) return { kind: 'counter', by };
  const f = fieldsOf(json);
  return f && 'packets' in f ? { kind: 'counter', packets: Number(f['packets']), bytes: Number(f['bytes']) } : undefined;
};

const UNITS: Readonly<Record<string, number>> = { bytes: 1, kbytes: 2 ** 10, mbytes: 2 ** 20, gbytes: 2 ** 30 };

function bytesOf(amount: unknown, unit: unknown): number | undefined {
  const factor = unit === undefined ? 1 : isText(unit) ? UNITS[unit] : undefined;
  return isNumber(amount) && factor ? amount * factor : undefined;
}

const quota: Decode = (json, place) => {
  if (isText(json)) return { kind: 'quota', over: false, bytes: 0, name: json };
  const by = mapOf(json, place);
  if (by) return { kind: 'quota', over: false, bytes: 0, by };
  const f = fieldsOf(json);
  const bytes = f && bytesOf(f['val'], f['val_unit']);
  const used = f && bytesOf(f['used'], f['used_unit']);
  return bytes === undefined ? undefined : { kind: 'quota', over: f!['inv'] === true, bytes, ...(used && { used }) };
};

const limit: Decode = (json, place) => {
  const named = { kind: 'limit', over: false, rate: 0, unit: 'packets', per: 'second' } as const;
  if (isText(json)) return { ...named, name: json };
  const by = mapOf(json, place);
  if (by) return { ...named, by };
  const f = fieldsOf(json);
  if (!f || !isNumber(f['rate']) || !isText(f['per'])) return undefined;
  const unit = isText(f['rate_unit']) ? f['rate_unit'] : 'packets';
  const burst = isNumber(f['burst']) ? f['burst'] : 0;
  // limit_stmt_print(), src/statement.c: text is silent about a burst of 5 packets, which is what there is without one, and of 0 bytes.
  const isSaid = burst !== 0 && !(unit === 'packets' && burst === 5);
  const burstUnit = unit === 'packets' ? 'packets' : isText(f['burst_unit']) ? f['burst_unit'] : 'bytes';
  return { kind: 'limit', over: f['inv'] === true, rate: f['rate'], unit, per: f['per'], ...(isSaid && { burst, burstUnit }) };
};

const log: Decode = (json) => {
  const f = json === null ? {} : fieldsOf(json);
  if (!f) return undefined;
  const { prefix, group, snaplen, 'queue-threshold': threshold, level, flags } = f;
  return {
    kind: 'log',
    words: [
      isText(prefix) && `prefix "${prefix}"`,
      isNumber(group) && `group ${group}`,
      isNumber(snaplen) && `snaplen ${snaplen}`,
      isNumber(threshold) && `queue-threshold ${threshold}`,
      isText(level) && level !== 'warn' && `level ${level}`,
      ...logFlags(wordsOf(flags)),
    ]
      .filter(Boolean)
      .join(' '),
  };
};

/** `flags tcp sequence,options flags skuid`: log_stmt_print(), src/statement.c. */
function logFlags(flags: readonly string[]): readonly string[] {
  const tcp = flags.filter((f) => f.startsWith('tcp ')).map((f) => f.slice(4));
  return [...(tcp.length > 0 ? [`flags tcp ${tcp.join(',')}`] : []), ...flags.filter((f) => !f.startsWith('tcp ')).map((f) => `flags ${f}`)];
}

function familyOf(f: Fields): { readonly family?: 'ip' | 'ip6' } {
  const { family } = f;
  return family === 'ip' || family === 'ip6' ? { family } : {};
}

function target(f: Fields, place: Place): { readonly addr?: ExprSyntax; readonly port?: ExprSyntax } {
  return {
    ...('addr' in f && { addr: readExpr(f['addr'], place) }),
    ...('port' in f && { port: readExpr(f['port'], place) }),
  };
}

const FORMS = ['prefix', 'interval', 'concat'] as const;

function nat(type: 'snat' | 'dnat' | 'masquerade' | 'redirect'): Decode {
  return (json, place) => {
    const f = json === null ? {} : fieldsOf(json);
    if (!f) return undefined;
    const written = wordsOf(f['type_flags']);
    const form = FORMS.find((x) => written.includes(x));
    const flags = wordsOf(f['flags']).filter((x) => x !== 'netmap');
    return { kind: 'nat', type, ...familyOf(f), ...target(f, place), flags, ...(form && { form }) };
  };
}

const REJECTS = ['tcp reset', 'icmp', 'icmpv6', 'icmpx'] as const;

const reject: Decode = (json, place) => {
  if (json === null) return { kind: 'reject' };
  const f = fieldsOf(json);
  const type = REJECTS.find((t) => t === f?.['type']);
  if (!f || !type) return undefined;
  if (f['expr'] === 'port-unreachable' && type === defaultReject(place.family)) return { kind: 'reject' };
  return { kind: 'reject', type, ...('expr' in f && { code: readExpr(f['expr'], place) }) };
};

/** What `reject` alone stands for: reject_stmt_print(), src/statement.c. */
function defaultReject(family: NftFamily): string {
  return family === 'ip' ? 'icmp' : family === 'ip6' ? 'icmpv6' : 'icmpx';
}

const element: Decode = (json, place) => {
  const f = fieldsOf(json);
  const name = f?.['set'] ?? f?.['map'];
  const op = f?.['op'];
  if (!f || !isText(name) || (op !== 'add' && op !== 'update' && op !== 'delete')) return undefined;
  const then = Array.isArray(f['stmt']) ? f['stmt'].map((s) => readStatement(s, place)) : [];
  const bare = readElement(f['elem'], place, false);
  return {
    kind: 'element',
    op,
    set: name.replace(/^@/, ''),
    element: { ...bare, ...('data' in f && { data: readExpr(f['data'], place) }), ...(then.length > 0 && { then }) },
  };
};

/** `meter x size 16 { ip saddr limit rate 1/second }`: a set of the rule's own, old style. */
const meter: Decode = (json, place) => {
  const f = fieldsOf(json);
  if (!f || !isText(f['name']) || !isNumber(f['size'])) return undefined;
  const element = { ...readElement(f['key'], place, false), then: [readStatement(f['stmt'], place)] };
  // netlink_gen_meter_stmt(), src/netlink_linearize.c: it is updated where it has a timeout.
  return { kind: 'element', op: element.timeout === undefined ? 'add' : 'update', set: f['name'], element, meter: f['size'] };
};

/** In netdev a duplicate goes to a device, which JSON has under `addr`. */
function copy(kind: 'dup' | 'fwd'): Decode {
  return (json, place) => {
    const f = fieldsOf(json);
    if (!f) return undefined;
    const addr = 'addr' in f ? readExpr(f['addr'], place) : undefined;
    const device = 'dev' in f ? readExpr(f['dev'], place) : undefined;
    if (kind === 'dup' && place.family === 'netdev' && addr && !device) return { kind, device: addr };
    return { kind, ...familyOf(f), ...(addr && { addr }), ...(device && { device }) };
  };
}

function object(of: 'ct helper' | 'ct timeout' | 'ct expectation' | 'secmark' | 'synproxy'): Decode {
  return (json, place) => ({ kind: 'object', of, name: readExpr(json, place) });
}

const synproxy: Decode = (json, place) => {
  if (isText(json) || mapOf(json, place)) return object('synproxy')(json, place);
  const f = json === null ? {} : fieldsOf(json);
  if (!f) return undefined;
  const words = [isNumber(f['mss']) && `mss ${f['mss']}`, isNumber(f['wscale']) && `wscale ${f['wscale']}`, ...wordsOf(f['flags'])];
  return { kind: 'synproxy', words: words.filter(Boolean).join(' ') };
};

const queue: Decode = (json, place) => {
  const f = json === null ? {} : fieldsOf(json);
  return f && { kind: 'queue', ...('num' in f && { to: readExpr(f['num'], place) }), flags: wordsOf(f['flags']) };
};

function verdict(name: 'accept' | 'drop' | 'continue' | 'return'): Decode {
  return () => ({ kind: 'verdict', verdict: name });
}

function branch(name: 'jump' | 'goto'): Decode {
  return (json) => {
    const chain = fieldsOf(json)?.['target'];
    return isText(chain) ? { kind: 'verdict', verdict: name, chain } : undefined;
  };
}

const xt: Decode = (json) => {
  const { type, name } = fieldsOf(json) ?? {};
  return type === 'match' || type === 'target' ? { kind: 'xt', type, ...(isText(name) && { name }) } : undefined;
};

const DECODERS: ReadonlyMap<string, Decode> = new Map<string, Decode>([
  ['match', match],
  ['counter', counter],
  ['quota', quota],
  ['limit', limit],
  [
    'ct count',
    (json) => {
      const f = fieldsOf(json);
      return f && isNumber(f['val']) ? { kind: 'connlimit', over: f['inv'] === true, count: f['val'] } : undefined;
    },
  ],
  ['last', (json) => ({ kind: 'last', words: json === null ? '' : `used ${String(fieldsOf(json)?.['used'])}` })],
  ['log', log],
  ['accept', verdict('accept')],
  ['drop', verdict('drop')],
  ['continue', verdict('continue')],
  ['return', verdict('return')],
  ['jump', branch('jump')],
  ['goto', branch('goto')],
  ['queue', queue],
  [
    'vmap',
    (json, place) => {
      const f = fieldsOf(json);
      return f && 'key' in f && 'data' in f ? { kind: 'vmap', key: readExpr(f['key'], place), data: readSet(f['data'], place, true) } : undefined;
    },
  ],
  [
    'mangle',
    (json, place) => {
      const f = fieldsOf(json);
      return f && 'key' in f && 'value' in f ? { kind: 'assign', to: readExpr(f['key'], place), value: readExpr(f['value'], place) } : undefined;
    },
  ],
  ['snat', nat('snat')],
  ['dnat', nat('dnat')],
  ['masquerade', nat('masquerade')],
  ['redirect', nat('redirect')],
  ['reject', reject],
  ['set', element],
  ['map', element],
  ['meter', meter],
  ['reset', (json, place) => ({ kind: 'reset', option: readExpr(json, place) })],
  ['notrack', () => ({ kind: 'notrack' })],
  [
    'tproxy',
    (json, place) => {
      const f = fieldsOf(json);
      return f && { kind: 'tproxy', ...familyOf(f), ...target(f, place) };
    },
  ],
  ['synproxy', synproxy],
  ['dup', copy('dup')],
  ['fwd', copy('fwd')],
  [
    'flow',
    (json) => {
      const f = fieldsOf(json);
      return f && isText(f['flowtable']) && f['op'] === 'add' ? { kind: 'flow', name: f['flowtable'].replace(/^@/, '') } : undefined;
    },
  ],
  ['ct helper', object('ct helper')],
  ['ct timeout', object('ct timeout')],
  ['ct expectation', object('ct expectation')],
  ['secmark', object('secmark')],
  ['xt', xt],
]);
