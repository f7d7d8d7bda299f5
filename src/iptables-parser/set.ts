// ipset: asking a set, and changing one.
import type { Pred, SetKey, Statement } from '../model/ruleset.ts';
import { has, match, option, printOption, target, unknown, valueOf, type Option } from './extension.ts';
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

/** Whether a counter of the set is asked for, which no listing taken earlier can tell. */
const COUNTERS = ['--packets-eq', '--packets-lt', '--packets-gt', '--bytes-eq', '--bytes-lt', '--bytes-gt'];

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
    const member: Pred = { kind: 'member', set: use.set, by: use.by };
    const parts: Pred[] = [];
    if (has(o, '--return-nomatch')) {
      parts.push(unknown(`-m set ${set.print(o, family)}`, '--return-nomatch answers by the nomatch entries of the set, which is not modelled'));
    } else {
      const keeps = KEEPS.filter((n) => has(o, n)).map((n) => ` ${o[n]!.not ? '! ' : ''}${n}`);
      parts.push({ ...(given.not ? negate(member) : member), text: `${given.not ? '! ' : ''}--match-set ${setUse.print(use)}${keeps.join('')}` });
    }
    for (const n of COUNTERS) {
      const g = o[n];
      if (!g) continue;
      const text = printOption(
        set.options.find((x) => x.name === n)!,
        g,
      );
      parts.push({ ...unknown(`-m set ${text}`, 'the counters of a set element change with every packet'), text });
    }
    return parts;
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
  lower: (o, { family }) => {
    const out: Statement[] = [];
    const add = valueOf<SetUse>(o, '--add-set');
    const del = valueOf<SetUse>(o, '--del-set');
    if (add) out.push({ kind: 'setmember', op: 'add', set: add.set, by: add.by });
    if (del) out.push({ kind: 'setmember', op: 'del', set: del.set, by: del.by });
    if (has(o, '--map-set'))
      out.push({ kind: 'opaque', as: `-j SET ${SET.print(o, family)}`, why: 'mark, priority and queue come from the skbinfo of a set element' });
    return out;
  },
});
