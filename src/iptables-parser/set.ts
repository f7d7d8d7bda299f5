// ipset: asking a set, and changing one.
import type { CounterTest, Pred, SetKey, SetQuestion, Statement } from '../model/ruleset.ts';
import { has, match, option, target, valueOf, type Option, type Options } from './extension.ts';
import { negate } from './predicate.ts';
import { nothing, number, type Bad, type Value } from './value.ts';

/** A set and which side of the packet fills each of its dimensions. */
interface SetUse {
  readonly set: string;
  readonly by: readonly SetKey[];
}

const setUse: Value<SetUse> = {
  shape: 'NAME src|dst[,src|dst...]',
  read: (name = '', flags = ''): SetUse | Bad => {
    if (name === '') return { error: 'an empty set name' };
    if (name.length > 31)
      return { error: `'${name}' is longer than the 31 characters of a set name`, column: 31, hint: `write ${name.slice(0, 31)}` };
    const by: SetKey[] = [];
    let column = 0;
    for (const f of flags.split(',')) {
      if (f !== 'src' && f !== 'dst') return { error: `'${f}' is neither src nor dst`, word: 1, column };
      by.push(f);
      column += 4;
    }
    return by.length <= 6 ? { set: name, by } : { error: `${by.length} directions; a set has six dimensions at most`, word: 1 };
  },
  print: ({ set, by }) => `${set} ${by.join(',')}`,
};

const counter = (name: string): Option => option(name, { value: number('NUMBER'), negatable: name.endsWith('-eq') });

const KEEPS = ['--update-counters', '--update-subcounters'];

const COUNTERS = ['--packets-eq', '--packets-lt', '--packets-gt', '--bytes-eq', '--bytes-lt', '--bytes-gt'];

function counterTest<N extends 'packets' | 'bytes'>(o: Options, name: N): { readonly [K in N]?: CounterTest } {
  for (const op of ['eq', 'lt', 'gt'] as const) {
    const given = o[`--${name}-${op}`];
    if (given) return { [name]: { op: given.not ? 'ne' : op, value: given.value as number } } as { [K in N]: CounterTest };
  }
  return {};
}

// set_match_v4(), net/netfilter/xt_set.c
/** -m set */
export const set = match({
  name: 'set',
  summary: 'Whether addresses, ports, devices, ... of the packet are in an ipset.',
  options: [
    option('--match-set', { value: setUse, negatable: true, required: true, aliases: ['--set'] }),
    option('--return-nomatch', { value: nothing }),
    ...KEEPS.map((n) => option(n, { value: nothing, negatable: true })),
    ...COUNTERS.map(counter),
  ],
  lower: (o, { family }) => {
    const given = o['--match-set']!;
    const use = given.value as SetUse;
    const spares = KEEPS.filter((n) => o[n]?.not === true).map((n): 'counters' | 'subcounters' =>
      n === '--update-counters' ? 'counters' : 'subcounters',
    );
    const member: Pred & SetQuestion = {
      kind: 'member',
      ...use,
      ...(has(o, '--return-nomatch') && { nomatch: true }),
      ...counterTest(o, 'packets'),
      ...counterTest(o, 'bytes'),
      ...(spares.length > 0 && { spares }),
    };
    return [{ ...(given.not ? negate(member) : member), text: set.print(o, family) }];
  },
});

// set_target_v3(), net/netfilter/xt_set.c: add, then delete.
/** -j SET */
export const SET = target({
  name: 'SET',
  summary: 'Adds the packet to an ipset, or deletes it from one.',
  options: [
    option('--add-set', { value: setUse }),
    option('--del-set', { value: setUse }),
    option('--map-set', { value: setUse }),
    option('--exist', { value: nothing }),
    option('--timeout', { value: number('SECONDS', 2147483) }),
    option('--map-mark', { value: nothing }),
    option('--map-prio', { value: nothing }),
    option('--map-queue', { value: nothing }),
  ],
  check: (o) =>
    ['--add-set', '--del-set', '--map-set'].some((n) => has(o, n)) ? undefined : { error: 'SET needs --add-set, --del-set or --map-set' },
  lower: (o) => {
    const out: Statement[] = [];
    const add = valueOf<SetUse>(o, '--add-set');
    const del = valueOf<SetUse>(o, '--del-set');
    const map = valueOf<SetUse>(o, '--map-set');
    const timeout = valueOf<number>(o, '--timeout');
    if (add) out.push({ kind: 'setmember', op: 'add', ...add, ...(has(o, '--exist') && { exist: true }), ...(timeout !== undefined && { timeout }) });
    if (del) out.push({ kind: 'setmember', op: 'del', ...del });
    const rest = ['--map-prio', '--map-queue'].filter((n) => has(o, n)).map((n) => n.slice(6));
    if (map) out.push({ kind: 'mapset', ...map, mark: has(o, '--map-mark'), rest });
    return out;
  },
});
