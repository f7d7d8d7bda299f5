// The packet's mark, and the small header fields that rules rewrite.
import type { Statement } from '../model/ruleset.ts';
import { match, option, target, valueOf } from './extension.ts';
import { masked } from './predicate.ts';
import { hex, isBad, markMask, number, parseNumber, type MarkMask, type Value } from './value.ts';

// mark_mt(), net/netfilter/xt_mark.c
/** -m mark */
export const mark = match({
  name: 'mark',
  summary: "The packet's mark (fwmark), under a mask.",
  options: [option('--mark', { value: markMask, negatable: true, required: true, lower: (m) => masked('mark', m.value, m.mask) })],
});

/** Another way to write value and mask of --set-xmark. */
function spelled(shape: string, meaning: (m: MarkMask) => MarkMask): Value<MarkMask> {
  return {
    shape,
    read: (t = '') => {
      const m = markMask.read(t);
      if (isBad(m)) return m;
      return !shape.includes('/') && t.includes('/') ? { error: `'${t}': a mask does not belong here`, column: t.indexOf('/') } : meaning(m);
    },
    print: (m) => markMask.print(m),
  };
}

/** --set-mark clears its mask and ORs, --set-xmark clears its mask and XORs; the others are cases of the latter. */
export const MARK_SPELLINGS: Readonly<Record<string, Value<MarkMask>>> = {
  '--set-mark': spelled('VALUE[/MASK]', ({ value, mask }) => ({ value, mask: (value | mask) >>> 0 })),
  '--and-mark': spelled('VALUE', ({ value }) => ({ value: 0, mask: ~value >>> 0 })),
  '--or-mark': spelled('VALUE', ({ value }) => ({ value, mask: value })),
  '--xor-mark': spelled('VALUE', ({ value }) => ({ value, mask: 0 })),
};

// mark_tg(), net/netfilter/xt_mark.c
/** -j MARK */
export const MARK = target({
  name: 'MARK',
  summary: "Sets bits of the packet's mark, by and, or, xor or under a mask.",
  options: [
    option('--set-xmark', {
      value: { ...markMask, print: ({ value, mask }) => `${hex(value)}/${hex(mask)}` },
      required: true,
      spellings: MARK_SPELLINGS,
    }),
  ],
  lower: (o) => {
    const { value, mask } = valueOf<MarkMask>(o, '--set-xmark')!;
    return [{ kind: 'set', field: 'mark', clear: mask, xor: value }];
  },
});

const ttlTarget = (name: 'TTL' | 'HL', flag: string, family: 4 | 6) =>
  target({
    name,
    families: [family],
    tables: ['mangle'],
    summary: family === 4 ? 'Rewrites the time to live.' : 'Rewrites the hop limit.',
    options: [
      option(`--${flag}-set`, { value: number('VALUE', 255) }),
      option(`--${flag}-dec`, { value: number('VALUE', 255, 1) }),
      option(`--${flag}-inc`, { value: number('VALUE', 255, 1) }),
    ],
    check: (o) => (Object.keys(o).length === 1 ? undefined : { error: `${name} needs exactly one of --${flag}-set, --${flag}-dec, --${flag}-inc` }),
    lower: (o) =>
      (['set', 'dec', 'inc'] as const).flatMap((op): Statement[] => {
        const value = valueOf<number>(o, `--${flag}-${op}`);
        return value === undefined ? [] : [{ kind: 'setttl', op, value }];
      }),
  });

/** -j TTL */
export const TTL = ttlTarget('TTL', 'ttl', 4);
/** -j HL */
export const HL = ttlTarget('HL', 'hl', 6);

const TOS_NAMES: Readonly<Record<string, number>> = {
  'minimize-delay': 0x10,
  'maximize-throughput': 0x08,
  'maximize-reliability': 0x04,
  'minimize-cost': 0x02,
  'normal-service': 0x00,
};

/** Value and mask of a byte; `fallback` is the mask of a bare number. A name leaves the ECN and precedence bits alone. */
function tos(shape: string, fallback: number, meaning: (m: MarkMask) => MarkMask): Value<MarkMask> {
  return {
    shape,
    read: (t = '') => {
      const named = Object.hasOwn(TOS_NAMES, t.toLowerCase()) ? TOS_NAMES[t.toLowerCase()] : undefined;
      if (named !== undefined) return meaning({ value: named, mask: 0x3f });
      const [v = '', m] = t.split('/');
      const value = parseNumber(v, 255);
      const mask = m === undefined ? fallback : parseNumber(m, 255);
      return value === undefined || mask === undefined ? { error: `'${t}' is not a TOS value (0 to 255, or a name)` } : meaning({ value, mask });
    },
    print: ({ value, mask }) => `${byte(value)}/${byte(mask)}`,
  };
}

function byte(n: number): string {
  return `0x${n.toString(16).padStart(2, '0')}`;
}

/** -m tos */
export const tosMatch = match({
  name: 'tos',
  summary: 'The type of service or traffic class, under a mask.',
  options: [
    option('--tos', { value: tos('VALUE[/MASK]', 0xff, (m) => m), negatable: true, required: true, lower: (m) => masked('tos', m.value, m.mask) }),
  ],
});

// tos_tg(), net/netfilter/xt_DSCP.c
/** -j TOS */
export const TOS = target({
  name: 'TOS',
  tables: ['mangle'],
  summary: 'Rewrites bits of the type of service or traffic class.',
  options: [
    option('--set-tos', {
      value: tos('VALUE[/MASK]', 0xff, (m) => m),
      required: true,
      spellings: {
        '--and-tos': tos('VALUE', 0xff, ({ value }) => ({ value: 0, mask: ~value & 0xff })),
        '--or-tos': tos('VALUE', 0xff, ({ value }) => ({ value, mask: value })),
        '--xor-tos': tos('VALUE', 0xff, ({ value }) => ({ value, mask: 0 })),
      },
    }),
  ],
  lower: (o) => {
    const { value, mask } = valueOf<MarkMask>(o, '--set-tos')!;
    return [{ kind: 'settos', clear: mask, xor: value }];
  },
});

const CLASSES: Readonly<Record<string, number>> = { BE: 0, EF: 0x2e };

// The class selectors CS0 to CS7 and the assured-forwarding classes AFxy are arithmetic; the table holds the rest.
function dscpClass(t: string): number | undefined {
  const up = t.toUpperCase();
  const cs = /^CS([0-7])$/.exec(up);
  const af = /^AF([1-4])([1-3])$/.exec(up);
  return cs ? Number(cs[1]) * 8 : af ? Number(af[1]) * 8 + Number(af[2]) * 2 : Object.hasOwn(CLASSES, up) ? CLASSES[up] : undefined;
}

const dscpValue: Value<number> = { ...number('VALUE', 63), print: byte };
const className: Value<number> = {
  shape: 'CLASS',
  read: (t = '') => dscpClass(t) ?? { error: `'${t}' is no DSCP class (BE, EF, CS0-CS7, AF11-AF43)` },
  print: byte,
};

// dscp_mt(), net/netfilter/xt_dscp.c: the upper six bits.
/** -m dscp */
export const dscp = match({
  name: 'dscp',
  summary: 'The differentiated services code point.',
  options: [
    option('--dscp', {
      value: dscpValue,
      spellings: { '--dscp-class': className },
      negatable: true,
      required: true,
      lower: (n) => masked('tos', n << 2, 0xfc),
    }),
  ],
});

/** -j DSCP */
export const DSCP = target({
  name: 'DSCP',
  tables: ['mangle'],
  summary: 'Rewrites the differentiated services code point.',
  options: [option('--set-dscp', { value: dscpValue, spellings: { '--set-dscp-class': className }, required: true })],
  lower: (o) => [{ kind: 'settos', clear: 0xfc, xor: valueOf<number>(o, '--set-dscp')! << 2 }],
});
