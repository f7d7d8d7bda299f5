// Matches that measure: rates, quotas, how much a connection carried, how many there are. They depend on packets that came before.
import { bitsOf } from '../net/addr.ts';
import { has, match, option, unknown, valueOf, type Context, type MatchExtension, type Option, type Options } from './extension.ts';
import { all, TRACKED } from './predicate.ts';
import { bits, nothing, number, oneOf, parseNumber, word, type Bad, type Value } from './value.ts';

interface Meter {
  readonly name: string;
  readonly summary: string;
  readonly why: string;
  readonly options: readonly Option[];
  readonly check?: (o: Options, context: Context) => Bad | undefined;
  readonly print?: (o: Options, family: 4 | 6) => string;
  /** What would have to be so. */
  readonly claim: (o: Options) => string;
  /** What one walk finds the same however often it asks; without it each question is a new one, since asking uses the meter up. */
  readonly steady?: (o: Options) => string;
  readonly tracked?: true;
}

/** A match on hidden state: both ways are followed. */
function meter(m: Meter): MatchExtension {
  const made: MatchExtension = match({
    ...m,
    status: 'forks',
    lower: (o, { family }) => {
      const says = made.print(o, family);
      const steady = m.steady?.(o);
      const open = { ...unknown(`-m ${m.name} ${says}`, m.why, steady === undefined ? undefined : `${m.name}:${steady}:${says}`), claim: m.claim(o) };
      return [{ ...(m.tracked ? all(TRACKED, open) : open), text: says }];
    },
  });
  return made;
}

const big = (shape: string): Value<bigint> => ({
  shape,
  read: (t = '') => {
    const n = /^(\d+|0x[\da-f]+)$/i.test(t) && t.length <= 20 ? BigInt(t) : -1n;
    return n >= 0n && n < 1n << 64n ? n : { error: `'${t}' is not a number of 64 bits` };
  },
  print: String,
});

// quota_mt(), net/netfilter/xt_quota.c
/** -m quota */
export const quota = meter({
  name: 'quota',
  summary: 'True until so many bytes have passed.',
  why: 'how much of the quota is used up is not captured',
  options: [option('--quota', { value: big('BYTES'), negatable: true, required: true })],
  claim: (o) => `the quota of ${String(o['--quota']?.value)} bytes is ${o['--quota']?.not ? 'used up' : 'not used up'} (not captured)`,
});

type Amount = readonly [from: bigint, to: bigint | undefined];
const wide = big('N');

const amount: Value<Amount> = {
  shape: 'FROM[:TO]',
  read: (t = '') => {
    const [a = '', b, more] = t.split(':');
    const from = a === '' && b !== undefined ? 0n : wide.read(a);
    const to = b === undefined || b === '' ? undefined : wide.read(b);
    if (typeof from !== 'bigint') return from;
    if (to !== undefined && typeof to !== 'bigint') return to;
    if (more !== undefined) return { error: `'${t}' is not FROM or FROM:TO` };
    return to !== undefined && to < from ? { error: `the range '${t}' ends before it begins` } : [from, to];
  },
  print: ([from, to]) => (to === undefined ? String(from) : `${from}:${to}`),
};

/** connbytes_parse(), extensions/libxt_connbytes.c: the inverted form has its ends exchanged, which does nothing where they are one. */
function isOutside(o: Options): boolean {
  const [from, to] = valueOf<Amount>(o, '--connbytes')!;
  return o['--connbytes']!.not && from !== to;
}

// connbytes_mt(), net/netfilter/xt_connbytes.c: false without an entry
/** -m connbytes */
export const connbytes = meter({
  name: 'connbytes',
  summary: 'How much a connection has transferred.',
  why: 'what the connection has carried so far is not captured',
  tracked: true,
  options: [
    option('--connbytes', { value: amount, negatable: true, required: true }),
    option('--connbytes-mode', { value: oneOf('packets|bytes|avgpkt', ['packets', 'bytes', 'avgpkt']), required: true }),
    option('--connbytes-dir', { value: oneOf('original|reply|both', ['original', 'reply', 'both']), required: true }),
  ],
  print: (o) => {
    const mode = `--connbytes-mode ${valueOf<string>(o, '--connbytes-mode')} --connbytes-dir ${valueOf<string>(o, '--connbytes-dir')}`;
    return `${isOutside(o) ? '! ' : ''}--connbytes ${amount.print(valueOf<Amount>(o, '--connbytes')!)} ${mode}`;
  },
  claim: (o) =>
    `the connection has carried ${isOutside(o) ? 'other than ' : ''}${amount.print(valueOf<Amount>(o, '--connbytes')!)} ${valueOf<string>(o, '--connbytes-mode')} (not captured)`,
  steady: () => 'connection',
});

const prefixLength = (family: 4 | 6, o: Options): number => Math.min(valueOf<number>(o, '--connlimit-mask') ?? bitsOf(family), bitsOf(family));

// connlimit_mt(), net/netfilter/xt_connlimit.c
/** -m connlimit */
export const connlimit = meter({
  name: 'connlimit',
  summary: 'How many connections a client, or a server, has open.',
  why: 'depends on the other connections of the host',
  options: [
    option('--connlimit-upto', { value: number('N'), negatable: true }),
    option('--connlimit-above', { value: number('N'), negatable: true }),
    option('--connlimit-mask', { value: number('LENGTH', 128) }),
    option('--connlimit-saddr', { value: nothing }),
    option('--connlimit-daddr', { value: nothing }),
  ],
  check: (o) =>
    has(o, '--connlimit-upto') === has(o, '--connlimit-above')
      ? { error: 'connlimit needs --connlimit-upto or --connlimit-above' }
      : has(o, '--connlimit-saddr') && has(o, '--connlimit-daddr')
        ? { error: '--connlimit-saddr and --connlimit-daddr exclude each other' }
        : undefined,
  print: (o, family) =>
    `--connlimit-${isAbove(o, 'connlimit') ? 'above' : 'upto'} ${limitOf(o)} --connlimit-mask ${prefixLength(family, o)} --connlimit-${has(o, '--connlimit-daddr') ? 'daddr' : 'saddr'}`,
  claim: (o) =>
    `the ${has(o, '--connlimit-daddr') ? 'server' : 'client'} has ${isAbove(o, 'connlimit') ? 'more than' : 'at most'} ${limitOf(o)} connections open (not captured)`,
});

function limitOf(o: Options): number {
  return valueOf<number>(o, '--connlimit-upto') ?? valueOf<number>(o, '--connlimit-above') ?? 0;
}

/** Whether more than the limit is wanted: --above, or --upto inverted. */
function isAbove(o: Options, name: string): boolean {
  const [above, upto] = [o[`--${name}-above`], o[`--${name}-upto`]];
  return above ? !above.not : (upto?.not ?? false);
}

const UNITS = { day: 86400, hour: 3600, min: 60, sec: 1 } as const;
const LONG = { day: 'day', hour: 'hour', min: 'minute', sec: 'second' } as const;
const TICKS = 1e6;
const BYTES = { '': 1, k: 1024, m: 1048576 } as const;
const COST = 0xffffffff;

/** Packets: the time between two, in microseconds, and the seconds of the unit it was written in. Bytes: what a byte costs. */
type Rate = { readonly kind: 'packets'; readonly ticks: number; readonly unit: number } | { readonly kind: 'bytes'; readonly each: number };

function readBytes(t: string): number | undefined {
  const m = /^(\d+)([km]?)b(?:\/s)?$/i.exec(t);
  const n = m ? Number(m[1]) * BYTES[m[2]!.toLowerCase() as keyof typeof BYTES] : 0;
  return m && n <= COST ? n : undefined;
}

function printBytes(n: number): string {
  return n >= BYTES.m ? `${Math.floor(n / BYTES.m)}mb` : n >= BYTES.k ? `${Math.floor(n / BYTES.k)}kb` : `${n}b`;
}

/** The unit in which iptables-save prints a rate, by its place among UNITS. */
function unitOf(ticks: number): readonly [name: string, seconds: number] {
  const units = Object.entries(UNITS);
  let i = 1;
  for (; i < units.length; i++) {
    const mult = units[i]![1] * TICKS;
    if (ticks > mult || Math.floor(mult / ticks) < mult % ticks) break;
  }
  return units[i - 1]!;
}

// parse_rate(), parse_bytes() and print_rate(), extensions/libxt_hashlimit.c
const rate: Value<Rate> = {
  shape: 'RATE',
  read: (t = '') => {
    const count = readBytes(t);
    if (count !== undefined) return { kind: 'bytes', each: (Math.floor(COST / Math.floor(COST / ((count >>> 4) + 1))) - 1) * 16 };
    const [n = '', unit = 'second', more] = t.split('/');
    const packets = parseNumber(n);
    const found = (Object.keys(UNITS) as (keyof typeof UNITS)[]).find((u) => unit !== '' && LONG[u].startsWith(unit.toLowerCase()));
    if (packets === undefined || packets === 0 || found === undefined || more !== undefined)
      return { error: `'${t}' is not a rate such as 5/minute or 512kb/s` };
    const ticks = Math.floor((TICKS * UNITS[found]) / packets);
    return ticks > 0 ? { kind: 'packets', ticks, unit: UNITS[found] } : { error: `the rate '${t}' is too fast` };
  },
  print: (r) => {
    if (r.kind === 'bytes') return `${printBytes(r.each)}/s`;
    const [name, seconds] = unitOf(r.ticks);
    return `${Math.floor((seconds * TICKS) / r.ticks)}/${name}`;
  },
};

const burst: Value<number> = {
  shape: 'BURST',
  read: (t = '') => readBytes(t) ?? parseNumber(t) ?? { error: `'${t}' is neither a number of packets nor of bytes` },
  print: String,
};

const modes = bits('srcip|srcport|dstip|dstport[,...]', { SRCIP: 1, SRCPORT: 2, DSTIP: 4, DSTPORT: 8 });
const PLAIN = ['--hashlimit-htable-size', '--hashlimit-htable-max', '--hashlimit-htable-gcinterval', '--hashlimit-htable-expire'] as const;

function rateOf(o: Options): Rate {
  return valueOf<Rate>(o, '--hashlimit-upto') ?? valueOf<Rate>(o, '--hashlimit-above') ?? { kind: 'packets', ticks: 1200 * TICKS, unit: 3600 };
}

// hashlimit_mt(), net/netfilter/xt_hashlimit.c
/** -m hashlimit */
export const hashlimit = meter({
  name: 'hashlimit',
  summary: 'True until a rate per client is exceeded, or from then on.',
  why: 'depends on how many packets came before',
  options: [
    option('--hashlimit-upto', { value: rate, negatable: true, aliases: ['--hashlimit'] }),
    option('--hashlimit-above', { value: rate, negatable: true }),
    option('--hashlimit-burst', { value: burst }),
    option('--hashlimit-mode', { value: { ...modes, print: (v) => modes.print(v).toLowerCase() } }),
    option('--hashlimit-name', { value: word('NAME', 254), required: true }),
    ...PLAIN.map((n) => option(n, { value: number('N') })),
    option('--hashlimit-srcmask', { value: number('LENGTH', 128) }),
    option('--hashlimit-dstmask', { value: number('LENGTH', 128) }),
    option('--hashlimit-rate-match', { value: nothing }),
    option('--hashlimit-rate-interval', { value: number('SECONDS') }),
  ],
  check: (o, { family }) => {
    if (has(o, '--hashlimit-upto') === has(o, '--hashlimit-above')) return { error: 'hashlimit needs --hashlimit-upto or --hashlimit-above' };
    if (has(o, '--hashlimit-rate-interval') && !has(o, '--hashlimit-rate-match'))
      return { error: '--hashlimit-rate-interval needs --hashlimit-rate-match' };
    const tooLong = ['--hashlimit-srcmask', '--hashlimit-dstmask'].find((n) => (valueOf<number>(o, n) ?? 0) > bitsOf(family));
    return tooLong === undefined ? undefined : { error: `${tooLong} is at most ${bitsOf(family)}` };
  },
  print: (o, family) => {
    const r = rateOf(o);
    const given = valueOf<number>(o, '--hashlimit-burst');
    const size =
      r.kind === 'packets' ? String(given ?? 5) : given === undefined || r.each === 0 ? undefined : printBytes(Math.ceil(given / r.each) * r.each);
    const usual: Readonly<Record<string, number>> = {
      '--hashlimit-htable-gcinterval': 1000,
      '--hashlimit-htable-expire': (r.kind === 'packets' ? unitOf(r.ticks)[1] : 15) * 1000,
    };
    // Not given, entries expire after the unit in which the rate was written, which need not be that in which it is printed.
    const values: Readonly<Record<string, number | undefined>> = { '--hashlimit-htable-expire': r.kind === 'packets' ? r.unit * 1000 : undefined };
    const plain = PLAIN.flatMap((n) => {
      const v = valueOf<number>(o, n) ?? values[n];
      return v === undefined || v === usual[n] ? [] : [`${n} ${v}`];
    });
    const masks = ['--hashlimit-srcmask', '--hashlimit-dstmask'].flatMap((n) => {
      const v = valueOf<number>(o, n);
      return v === undefined || v === bitsOf(family) ? [] : [`${n} ${v}`];
    });
    const mode = valueOf<number>(o, '--hashlimit-mode');
    const interval = valueOf<number>(o, '--hashlimit-rate-interval');
    return [
      `--hashlimit-${isAbove(o, 'hashlimit') ? 'above' : 'upto'} ${rate.print(r)}`,
      ...(size === undefined ? [] : [`--hashlimit-burst ${size}`]),
      ...(mode === undefined ? [] : [`--hashlimit-mode ${modes.print(mode).toLowerCase()}`]),
      `--hashlimit-name ${valueOf<string>(o, '--hashlimit-name') ?? ''}`,
      ...plain,
      ...masks,
      ...(has(o, '--hashlimit-rate-match') ? ['--hashlimit-rate-match'] : []),
      ...(interval === undefined || interval === 1 ? [] : [`--hashlimit-rate-interval ${interval}`]),
    ].join(' ');
  },
  claim: (o) =>
    `the rate of the hashlimit ${valueOf<string>(o, '--hashlimit-name')} is ${isAbove(o, 'hashlimit') ? 'exceeded' : 'not exceeded'} (not captured)`,
});

// nfacct_mt(), net/netfilter/xt_nfacct.c: true, unless the object has a quota that is not used up.
/** -m nfacct */
export const nfacct = meter({
  name: 'nfacct',
  summary: 'Counts packets in an accounting object; true unless that has a quota which is not used up.',
  why: 'whether the object has a quota is not captured',
  options: [option('--nfacct-name', { value: word('NAME', 31), required: true })],
  claim: (o) => `the accounting object ${valueOf<string>(o, '--nfacct-name')} has no quota, or has used it up (not captured)`,
});

const SCALES: readonly (readonly [name: string, factor: number])[] = [
  ['bit', 1],
  ['Kibit', 1024],
  ['kbit', 1000],
  ['Mibit', 1048576],
  ['mbit', 1e6],
  ['Gibit', 1073741824],
  ['gbit', 1e9],
  ['Tibit', 1099511627776],
  ['tbit', 1e12],
  ['Bps', 8],
  ['KiBps', 8192],
  ['KBps', 8000],
  ['MiBps', 8388608],
  ['MBps', 8e6],
  ['GiBps', 8589934592],
  ['GBps', 8e9],
  ['TiBps', 8796093022208],
  ['TBps', 8e12],
];

// rateest_get_rate() and rateest_print_rate(), extensions/libxt_rateest.c: bytes a second; a bare number counts bits.
const bitRate: Value<number> = {
  shape: 'RATE',
  read: (t = '') => {
    const m = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(t);
    const factor = m ? (m[2] === '' ? 1 : SCALES.find(([name]) => name.toLowerCase() === m[2]!.toLowerCase())?.[1]) : undefined;
    return m && factor !== undefined ? Math.floor((Number(m[1]) * factor) / 8) : { error: `'${t}' is not a rate such as 8bit or 1mbit` };
  },
  print: (bytes) => {
    const rate = bytes * 8;
    if (rate >= 1e6 && Math.trunc(rate / 1e6) >= 10 && rate % 1e6 === 0) return `${rate / 1e6}Mbit`;
    return rate >= 1e6 ? `${Math.round(rate / 1000)}Kbit` : rate >= 1000 && rate % 1000 === 0 ? `${rate / 1000}Kbit` : `${rate}bit`;
  },
};

const switches = (names: readonly string[]): Option[] => names.map((n) => option(n, { value: nothing, negatable: true }));

const wholeNumber = number('N');
/** The value may be missing: with --rateest2 two rates are compared. */
const optionalRate: Value<number | null> = {
  shape: '[RATE]',
  read: (t) => (t === undefined ? null : bitRate.read(t)),
  print: (v) => (v === null ? '' : bitRate.print(v)),
};
const optionalNumber: Value<number | null> = {
  shape: '[N]',
  read: (t) => (t === undefined ? null : wholeNumber.read(t)),
  print: (v) => (v === null ? '' : String(v)),
};
// rateest_mt(), net/netfilter/xt_rateest.c
/** -m rateest */
export const rateest = meter({
  name: 'rateest',
  summary: 'Compares a measured rate with another, or with a number.',
  why: 'the measured rate is not captured',
  options: [
    option('--rateest-delta', { value: nothing }),
    option('--rateest', { value: word('NAME', 15) }),
    option('--rateest1', { value: word('NAME', 15) }),
    ...switches(['--rateest-lt', '--rateest-gt', '--rateest-eq']),
    option('--rateest-bps', { value: optionalRate }),
    option('--rateest-bps1', { value: optionalRate }),
    option('--rateest-bps2', { value: optionalRate }),
    option('--rateest-pps', { value: optionalNumber }),
    option('--rateest-pps1', { value: optionalNumber }),
    option('--rateest-pps2', { value: optionalNumber }),
    option('--rateest2', { value: word('NAME', 15) }),
  ],
  check: (o) =>
    ['--rateest-lt', '--rateest-gt', '--rateest-eq'].some((n) => has(o, n)) && has(o, '--rateest') !== has(o, '--rateest1')
      ? undefined
      : { error: 'rateest needs an estimator and one of --rateest-lt, --rateest-gt, --rateest-eq' },
  claim: (o) => `the rate measured by ${valueOf<string>(o, '--rateest') ?? valueOf<string>(o, '--rateest1')} is so (not captured)`,
  steady: () => 'measured',
});
