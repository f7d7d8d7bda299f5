// Matches whose answer depends on chance, or on packets that came before.
import { bitsOf, formatAddr, maskOf, parseAddr, type Addr } from '../net/addr.ts';
import { has, match, option, unknown, valueOf } from './extension.ts';
import { ALWAYS, negate } from './predicate.ts';
import { nothing, number, oneOf, parseNumber, word, type Value } from './value.ts';

const SCALE = 0x80000000;

/** A probability as the kernel keeps it: of 2^31. */
const probability: Value<number> = {
  shape: 'P',
  read: (t = '') => {
    const p = /^(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(t) ? Number(t) : Number.NaN;
    return p >= 0 && p <= 1 ? Math.round(p * SCALE) : { error: `'${t}' is not a probability from 0 to 1` };
  },
  print: (n) => (n / SCALE).toFixed(11),
};

// statistic_mt(), net/netfilter/xt_statistic.c
/** -m statistic */
export const statistic = match({
  name: 'statistic',
  status: 'forks',
  why: 'both ways are followed, with their odds; the counter of nth is not captured',
  summary: 'True at random, or for every nth packet.',
  options: [
    option('--mode', { value: oneOf('random|nth', ['random', 'nth']), required: true }),
    option('--probability', { value: probability, negatable: true }),
    option('--every', { value: number('N', 0xffffffff, 1), negatable: true }),
    option('--packet', { value: number('P') }),
  ],
  check: (o) => {
    const [mode, every, packet] = [valueOf<string>(o, '--mode'), valueOf<number>(o, '--every'), valueOf<number>(o, '--packet')];
    if (mode === 'random')
      return has(o, '--probability') && every === undefined ? undefined : { error: '--mode random needs --probability, and it alone' };
    if (every === undefined || packet === undefined || has(o, '--probability')) return { error: '--mode nth needs --every and --packet' };
    return packet < every ? undefined : { error: `--packet ${packet} is not below --every ${every}` };
  },
  lower: (o, { family }) => {
    const p = o['--probability'];
    const every = valueOf<number>(o, '--every');
    const as = `-m statistic ${statistic.print(o, family)}`;
    if (p) {
      const odds = (p.value as number) / SCALE;
      return [{ kind: 'chance', probability: p.not ? 1 - odds : odds, as }];
    }
    if (every === undefined) return [unknown(as, 'no probability is given')];
    const odds = 1 / every;
    return [{ kind: 'chance', probability: o['--every']!.not ? 1 - odds : odds, as: `${as} (how far its counter has come is not captured)` }];
  },
});

const UNITS = { day: 86400, hour: 3600, min: 60, sec: 1 } as const;
const TICKS = 10000;

// parse_rate() and print_rate(), extensions/libxt_limit.c: the kernel keeps the time between two packets, in 0.1 ms.
const rate: Value<number> = {
  shape: 'N[/second|minute|hour|day]',
  read: (t = '') => {
    const [n = '', unit = 'second', more] = t.split('/');
    const count = parseNumber(n);
    const found = (Object.keys(UNITS) as (keyof typeof UNITS)[]).find(
      (u) => unit !== '' && { day: 'day', hour: 'hour', min: 'minute', sec: 'second' }[u].startsWith(unit.toLowerCase()),
    );
    if (count === undefined || count === 0 || found === undefined || more !== undefined) return { error: `'${t}' is not a rate such as 5/minute` };
    const ticks = Math.floor((TICKS * UNITS[found]) / count);
    return ticks > 0 ? ticks : { error: `the rate '${t}' is too fast` };
  },
  print: (ticks) => {
    const units = Object.entries(UNITS).map(([name, seconds]) => [name, seconds * TICKS] as const);
    let i = 1;
    for (; i < units.length; i++) {
      const mult = units[i]![1];
      if (ticks > mult || Math.floor(mult / ticks) < mult % ticks) break;
    }
    const [name, mult] = units[i - 1]!;
    return `${Math.floor(mult / ticks)}/${name}`;
  },
};

/** -m limit */
export const limit = match({
  name: 'limit',
  status: 'opaque',
  why: 'depends on how many packets came before',
  summary: 'True until a rate is exceeded.',
  options: [option('--limit', { value: rate }), option('--limit-burst', { value: number('N', 10000), silent: (n) => n === 5 })],
  print: (o) => {
    const burst = valueOf<number>(o, '--limit-burst') ?? 5;
    return `--limit ${rate.print(valueOf<number>(o, '--limit') ?? (3600 * TICKS) / 3)}${burst === 5 ? '' : ` --limit-burst ${burst}`}`;
  },
  // each question uses the rate up: of one rule met twice the answers may differ
  lower: (o, { family }) => [{ ...unknown(`-m limit ${limit.print(o, family)}`, limit.why), text: limit.print(o, family) }],
});

const mask: Value<Addr> = {
  shape: 'MASK',
  read: (t = '') => parseAddr(t),
  print: formatAddr,
};

const ACTIONS = ['--set', '--rcheck', '--update', '--remove'] as const;

// recent_mt(), net/netfilter/xt_recent.c
/** -m recent */
export const recent = match({
  name: 'recent',
  status: 'opaque',
  why: 'the list of recently seen addresses is not captured (--set is always true)',
  summary: 'Remembers source or destination addresses and asks whether one was seen lately.',
  options: [
    ...ACTIONS.map((a) => option(a, { value: nothing, negatable: true })),
    option('--seconds', { value: number('SECONDS', 0xffffffff, 1) }),
    option('--reap', { value: nothing }),
    option('--hitcount', { value: number('HITS', 65535) }),
    option('--rttl', { value: nothing }),
    option('--name', { value: word('NAME', 199) }),
    option('--mask', { value: mask }),
    option('--rsource', { value: nothing }),
    option('--rdest', { value: nothing }),
  ],
  check: (o) =>
    ACTIONS.filter((a) => has(o, a)).length === 1 ? undefined : { error: 'recent needs exactly one of --set, --rcheck, --update, --remove' },
  print: (o, family) => {
    const action = ACTIONS.find((a) => has(o, a)) ?? '--set';
    const seconds = valueOf<number>(o, '--seconds');
    const hits = valueOf<number>(o, '--hitcount');
    return [
      `${o[action]?.not ? '! ' : ''}${action}`,
      ...(seconds === undefined ? [] : [`--seconds ${seconds}`]),
      ...(has(o, '--reap') ? ['--reap'] : []),
      ...(hits === undefined ? [] : [`--hitcount ${hits}`]),
      ...(has(o, '--rttl') ? ['--rttl'] : []),
      `--name ${valueOf<string>(o, '--name') ?? 'DEFAULT'}`,
      `--mask ${formatAddr(valueOf<Addr>(o, '--mask') ?? maskOf(family, bitsOf(family)))}`,
      has(o, '--rdest') ? '--rdest' : '--rsource',
    ].join(' ');
  },
  lower: (o, { family }) => {
    const text = recent.print(o, family);
    const action = ACTIONS.find((a) => has(o, a));
    // Two rules that ask the same list the same question get the same answer, until one changes the list. (--update changes it where it is
    // true, and then is true again.)
    const name = valueOf<string>(o, '--name') ?? 'DEFAULT';
    const changes = `:recent:${name}:`;
    if (action === undefined || action === '--set') return [{ ...(action && o[action]!.not ? negate(ALWAYS) : ALWAYS), text, changes }];
    const claim = `the ${has(o, '--rdest') ? 'destination' : 'source'} was seen lately by the recent list ${name} (not captured)`;
    const p = { ...unknown(`-m recent ${text}`, recent.why, `recent:${name}:${text.replace(/^! /, '')}`), claim };
    return [{ ...(o[action]!.not ? negate(p) : p), text, ...(action === '--remove' && { changes }) }];
  },
});
