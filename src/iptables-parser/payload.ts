// Matches on bytes of the packet, on bits that only some packets have, and on the time.
import { encodeUtf8, isPrintable, parseBytes } from '../net/bytes.ts';
import { TCP } from '../net/proto.ts';
import { formatTime, parseTime } from '../net/time.ts';
import type { Pred, Timetable, U32Step, U32Test } from '../model/ruleset.ts';
import { has, match, option, unknown, valueOf, type Options } from './extension.ts';
import { all, masked, otherwise } from './predicate.ts';
import { bits, nothing, number, oneOf, parseNumber, range, text, type Value } from './value.ts';

const ECE = 64;
const CWR = 128;

// ecn_mt4(), net/netfilter/xt_ecn.c
/** -m ecn */
export const ecn = match({
  name: 'ecn',
  summary: 'The ECN bits of the IP and TCP headers.',
  options: [
    option('--ecn-tcp-ece', { value: nothing, negatable: true, lower: () => masked('flags', ECE, ECE) }),
    option('--ecn-tcp-cwr', { value: nothing, negatable: true, lower: () => masked('flags', CWR, CWR) }),
    option('--ecn-ip-ect', { value: number('CODE', 3), negatable: true, lower: (n) => masked('tos', n, 3) }),
  ],
  check: (o, { protocol }) => {
    if (Object.keys(o).length === 0) return { error: 'ecn needs an option' };
    return (has(o, '--ecn-tcp-ece') || has(o, '--ecn-tcp-cwr')) && protocol !== TCP
      ? { error: 'ecn needs -p tcp for bits of the TCP header' }
      : undefined;
  },
});

// tcpmss_mt(), net/netfilter/xt_tcpmss.c: without the option only the inverted form matches, and only a SYN carries it.
/** -m tcpmss */
export const tcpmss = match({
  name: 'tcpmss',
  status: 'forks',
  why: 'TCP options are not part of the packet; only a SYN has this one',
  protocols: [TCP],
  summary: 'The maximum segment size that a SYN announces.',
  options: [
    option('--mss', {
      value: range('SIZE[:SIZE]', 65535, ':', true),
      negatable: true,
      required: true,
      invert: otherwise,
      lower: (r) =>
        all(masked('flags', 2, 2), unknown(`-m tcpmss --mss ${mss.print(r)}`, 'TCP options are not part of the packet', `tcpmss:${mss.print(r)}`)),
    }),
  ],
});
const mss = range('SIZE[:SIZE]', 65535, ':', true);

const sized = (shape: string, read: (t: string) => readonly number[] | undefined): Value<readonly number[]> => ({
  shape,
  read: (t = '') => {
    const out = read(t);
    return !out || out.length === 0
      ? { error: `'${t}' is no ${shape.toLowerCase()} to look for` }
      : out.length > 128
        ? { error: 'more than 128 bytes' }
        : out;
  },
  print: (list) => text('TEXT', 128).print(String.fromCharCode(...list)),
});

// A pattern that cannot be printed comes back in hexadecimal.
function printPattern(list: readonly number[]): string {
  return isPrintable(list)
    ? `--string "${String.fromCharCode(...list).replace(/["\\]/g, '\\$&')}"`
    : `--hex-string "|${list.map((b) => b.toString(16).padStart(2, '0')).join('')}|"`;
}

// string_mt(), net/netfilter/xt_string.c
/** -m string */
export const string = match({
  name: 'string',
  why: 'decided where the packet has a given payload (--payload), else both ways are followed',
  status: 'evaluated',
  summary: 'A text in the packet.',
  options: [
    option('--string', { value: sized('TEXT', encodeUtf8), negatable: true }),
    option('--hex-string', { value: sized('PATTERN', parseBytes), negatable: true }),
    option('--algo', { value: oneOf('bm|kmp', ['bm', 'kmp']), required: true }),
    option('--from', { value: number('OFFSET', 65535), silent: (n) => n === 0 }),
    option('--to', { value: number('OFFSET', 65535), silent: (n) => n === 65535 }),
    option('--icase', { value: nothing }),
  ],
  check: (o) => {
    if (has(o, '--string') === has(o, '--hex-string')) return { error: 'string needs --string or --hex-string' };
    return (valueOf<number>(o, '--from') ?? 0) > (valueOf<number>(o, '--to') ?? 65535) ? { error: '--from is behind --to' } : undefined;
  },
  print: (o) => {
    const g = o['--string'] ?? o['--hex-string'];
    const [from, to] = [valueOf<number>(o, '--from') ?? 0, valueOf<number>(o, '--to') ?? 65535];
    return [
      `${g?.not ? '! ' : ''}${printPattern((g?.value ?? []) as readonly number[])}`,
      `--algo ${valueOf<string>(o, '--algo')}`,
      ...(from === 0 ? [] : [`--from ${from}`]),
      ...(to === 65535 ? [] : [`--to ${to}`]),
      ...(has(o, '--icase') ? ['--icase'] : []),
    ].join(' ');
  },
  lower: (o) => {
    const g = (o['--string'] ?? o['--hex-string'])!;
    const pred: Pred = {
      kind: 'search',
      pattern: g.value as readonly number[],
      from: valueOf<number>(o, '--from') ?? 0,
      to: valueOf<number>(o, '--to') ?? 65535,
      ignoreCase: has(o, '--icase'),
    };
    return [g.not ? otherwise(pred) : pred];
  },
});

const OPERATORS = { '&': 'and', '<<': 'left', '>>': 'right', '@': 'at' } as const;
const hex = (n: number): string => `0x${n.toString(16)}`;

/** One test: `START [OP NUMBER ...] = RANGE[,RANGE...]`. */
function readTest(t: string): U32Test | string {
  const [location = '', values = '', more] = t.split('=');
  if (more !== undefined || values === '') return `'${t}' does not say what to compare with`;
  const words = location.match(/<<|>>|[&@]|[^&@<>]+/g) ?? [];
  const start = parseNumber(words[0] ?? '');
  if (start === undefined || words.length % 2 === 0 || words.length > 21) return `'${location}' is not a place in the packet`;
  const steps: U32Step[] = [];
  for (let i = 1; i < words.length; i += 2) {
    const by = parseNumber(words[i + 1]!);
    if (!Object.hasOwn(OPERATORS, words[i]!) || by === undefined) return `'${words[i]}${words[i + 1]}' is no operation`;
    steps.push({ op: OPERATORS[words[i] as keyof typeof OPERATORS], by });
  }
  const ranges: (readonly [number, number])[] = [];
  for (const part of values.split(',')) {
    const [lo, hi, extra] = part.split(':').map((n) => parseNumber(n));
    if (lo === undefined || (part.includes(':') && hi === undefined) || extra !== undefined) return `'${part}' is not a value or a range`;
    if ((hi ?? lo) < lo) return `the range '${part}' ends before it begins`;
    ranges.push([lo, hi ?? lo]);
  }
  return ranges.length > 10 ? 'more than 10 values' : { start, steps, ranges };
}

const SIGN = { and: '&', left: '<<', right: '>>', at: '@' } as const;

const u32Tests: Value<readonly U32Test[]> = {
  shape: 'TESTS',
  read: (t = '') => {
    const out: U32Test[] = [];
    for (const part of t.replaceAll(/\s/g, '').split('&&')) {
      const one = readTest(part);
      if (typeof one === 'string') return { error: one };
      out.push(one);
    }
    return out.length <= 10 ? out : { error: 'more than 10 tests' };
  },
  print: (tests) =>
    `"${tests
      .map(
        (x) =>
          `${hex(x.start)}${x.steps.map((s) => `${SIGN[s.op]}${hex(s.by)}`).join('')}=${x.ranges.map(([lo, hi]) => (lo === hi ? hex(lo) : `${hex(lo)}:${hex(hi)}`)).join(',')}`,
      )
      .join('&&')}"`,
};

// u32_match_it(), net/netfilter/xt_u32.c
/** -m u32 */
export const u32 = match({
  name: 'u32',
  why: 'decided from the bits of the headers that are known (and of the payload, with --payload); others fork the walk',
  summary: 'Any bits of the packet.',
  options: [option('--u32', { value: u32Tests, negatable: true, required: true, invert: otherwise, lower: (tests) => ({ kind: 'u32', tests }) })],
});

const DAY = 86400;
const two = (n: number): string => String(n).padStart(2, '0');

const clock: Value<number> = {
  shape: 'HH:MM[:SS]',
  read: (t = '') => {
    const m = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/.exec(t);
    const [h, min, s] = m ? [Number(m[1]), Number(m[2]), Number(m[3] ?? 0)] : [99, 0, 0];
    return h < 24 && min < 60 && s < 60 ? h * 3600 + min * 60 + s : { error: `'${t}' is not a time of day such as 14:30` };
  },
  print: (n) => `${two(Math.floor(n / 3600))}:${two(Math.floor(n / 60) % 60)}:${two(n % 60)}`,
};

const LAST_DATE = 0x7fffffff;

const date: Value<number> = {
  shape: 'YYYY[-MM[-DD[Thh[:mm[:ss]]]]]',
  read: (t = '') => {
    const at = parseTime(t);
    return at !== undefined && at <= LAST_DATE ? at : { error: `'${t}' is not a date from 1970 to 2038 such as 2026-11-21T14:30` };
  },
  print: formatTime,
};

const WEEKDAYS = { MON: 1 << 1, TUE: 1 << 2, WED: 1 << 3, THU: 1 << 4, FRI: 1 << 5, SAT: 1 << 6, SUN: 1 << 7 };
const ALL_WEEKDAYS = 0xfe;
const ALL_MONTHDAYS = 0xfffffffe;
const weekdayBits = bits('DAY[,DAY...]', WEEKDAYS);

const weekdays: Value<number> = {
  shape: 'DAY[,DAY...]',
  read: (t = '') => {
    let set = 0;
    for (const part of t.split(',')) {
      const n = parseNumber(part, 7);
      const named = Object.entries(WEEKDAYS).find(
        ([name]) => part.length >= 2 && name.startsWith(part.toUpperCase().slice(0, 3)) && part.length <= 3,
      )?.[1];
      const day = n === undefined || n === 0 ? named : 1 << n;
      if (day === undefined) return { error: `'${part}' is no day of the week` };
      set |= day;
    }
    return set;
  },
  print: (set) =>
    weekdayBits
      .print(set)
      .split(',')
      .map((d) => d.charAt(0) + d.slice(1).toLowerCase())
      .join(','),
};

const daysOf = (set: number, last: number): number[] => Array.from({ length: last }, (_, i) => i + 1).filter((d) => set & (1 << d));

const monthdays: Value<number> = {
  shape: 'DAY[,DAY...]',
  read: (t = '') => {
    let set = 0;
    for (const part of t.split(',')) {
      const n = parseNumber(part.replace(/(st|nd|rd|th)$/, ''), 31);
      if (n === undefined || n === 0) return { error: `'${part}' is no day of a month` };
      set |= 1 << n;
    }
    return set >>> 0;
  },
  print: (set) => daysOf(set, 31).join(','),
};

// time_mt(), net/netfilter/xt_time.c: in UTC, unless --kerneltz.
/** -m time */
export const time = match({
  name: 'time',
  why: 'decided where the question says when (--at); in the time zone of the kernel (--kerneltz), which is not captured, both ways are followed',
  summary: 'The time of day, the day, the date.',
  options: [
    option('--timestart', { value: clock }),
    option('--timestop', { value: clock }),
    option('--monthdays', { value: monthdays, negatable: true }),
    option('--weekdays', { value: weekdays, negatable: true }),
    option('--datestart', { value: date }),
    option('--datestop', { value: date }),
    option('--kerneltz', { value: nothing }),
    option('--utc', { value: nothing }),
    option('--contiguous', { value: nothing }),
  ],
  check: (o) => {
    const t = timetable(o);
    if (has(o, '--contiguous') && t.hours[0] < t.hours[1]) return { error: '--contiguous needs a --timestop before --timestart' };
    return t.dates[0] > t.dates[1] ? { error: '--datestart is after --datestop' } : undefined;
  },
  print: (o) => {
    const t = timetable(o);
    return [
      ...(t.hours[0] === 0 && t.hours[1] === DAY - 1 ? [] : [`--timestart ${clock.print(t.hours[0])}`, `--timestop ${clock.print(t.hours[1])}`]),
      ...(t.monthdays === ALL_MONTHDAYS ? [] : [`--monthdays ${monthdays.print(t.monthdays)}`]),
      ...(t.weekdays === ALL_WEEKDAYS ? [] : [`--weekdays ${weekdays.print(t.weekdays)}`]),
      ...(t.dates[0] === 0 ? [] : [`--datestart ${date.print(t.dates[0])}`]),
      `--datestop ${date.print(t.dates[1])}`,
      ...(has(o, '--kerneltz') ? ['--kerneltz'] : []),
      ...(has(o, '--contiguous') ? ['--contiguous'] : []),
    ].join(' ');
  },
  lower: (o, { family }) => {
    const t = timetable(o);
    const says = time.print(o, family);
    if (has(o, '--kerneltz')) return [{ ...unknown(`-m time ${says}`, 'the time zone of the kernel is not captured', `time:${says}`), text: says }];
    return [{ kind: 'time', ...t, text: says }];
  },
});

function timetable(o: Options): Timetable {
  const days = (name: string, whole: number): number => {
    const g = o[name];
    return g ? (g.not ? whole & ~(g.value as number) : (g.value as number)) >>> 0 : whole;
  };
  return {
    hours: [valueOf<number>(o, '--timestart') ?? 0, valueOf<number>(o, '--timestop') ?? DAY - 1],
    weekdays: days('--weekdays', ALL_WEEKDAYS),
    monthdays: days('--monthdays', ALL_MONTHDAYS),
    dates: [valueOf<number>(o, '--datestart') ?? 0, valueOf<number>(o, '--datestop') ?? LAST_DATE],
    contiguous: has(o, '--contiguous'),
  };
}
