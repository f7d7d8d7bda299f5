// Connection tracking: what a rule asks of the connection, and what it tells conntrack to do.
import { familyOf, type Masked } from '../net/addr.ts';
import { CT_STATE, CT_STATUS, type Field, type Pred, type Statement } from '../model/ruleset.ts';
import type { ConntrackSettings } from '../model/zone.ts';
import { has, lowerOption, match, option, printOption, target, valueOf, type Option, type Options } from './extension.ts';
import { MARK_SPELLINGS } from './mark.ts';
import { addrIn, any, fieldIn, masked, otherwise, protocolIn, TRACKED } from './predicate.ts';
import { bareAddress, bits, hex, markMask, nothing, number, oneOf, portRange, protocol, range, word, type MarkMask, type Value } from './value.ts';

// Bit n is the state numbered n in CT_STATE; iptables-save prints in this order. SNAT and DNAT are virtual states: bits of the status.
const STATE = { INVALID: 1 << 0, NEW: 1 << 1, RELATED: 1 << 3, ESTABLISHED: 1 << 2, UNTRACKED: 1 << 4 };
const STATE_AND_NAT = { ...STATE, SNAT: 1 << 5, DNAT: 1 << 6 };

const statesOf = (set: number): Pred[] => {
  const numbers = Object.values(CT_STATE).filter((n) => set & (1 << n));
  return numbers.length ? [fieldIn('ctstate', ...numbers.map((n) => [n, n] as const))] : [];
};
/** One status bit set. Without a conntrack entry there is no status, and this is false. */
const statusBit = (bit: number): Pred => masked('ctstatus', bit, bit);

// conntrack_mt(), net/netfilter/xt_conntrack.c: the packet's state and the two NAT bits make one mask. Its `!` is true
// without an entry too, unlike that of the options after it.
const ctstate = option('--ctstate', {
  value: bits('STATE[,STATE...]', STATE_AND_NAT),
  negatable: true,
  invert: otherwise,
  lower: (set) =>
    any(
      ...statesOf(set),
      ...(set & STATE_AND_NAT.SNAT ? [statusBit(CT_STATUS.SNAT)] : []),
      ...(set & STATE_AND_NAT.DNAT ? [statusBit(CT_STATUS.DNAT)] : []),
    ),
});

const addressOption = (name: string, field: Field): Option => option(name, { value: bareAddress, negatable: true, lower: (m) => addrIn(field, m) });
const portOption = (name: string, field: Field): Option => option(name, { value: portRange, negatable: true, lower: (r) => fieldIn(field, r) });

const DIRECTION = { ORIGINAL: 0, REPLY: 1 } as const;

/** --ctstatus NONE asks for no bit and so never holds; inverted, it holds for every packet with an entry. */
const NO_STATUS = masked('ctstatus', 1, 0);

const rest: readonly Option[] = [
  option('--ctproto', { value: protocol, negatable: true, lower: (n) => protocolIn('ctproto', n) }),
  addressOption('--ctorigsrc', 'ctorigsrc'),
  addressOption('--ctorigdst', 'ctorigdst'),
  addressOption('--ctreplsrc', 'ctreplsrc'),
  addressOption('--ctrepldst', 'ctrepldst'),
  portOption('--ctorigsrcport', 'ctorigsrcport'),
  portOption('--ctorigdstport', 'ctorigdstport'),
  portOption('--ctreplsrcport', 'ctreplsrcport'),
  portOption('--ctrepldstport', 'ctrepldstport'),
  option('--ctstatus', {
    value: bits('STATUS[,STATUS...]', { EXPECTED: 1, SEEN_REPLY: 2, ASSURED: 4, CONFIRMED: 8, NONE: 0 }),
    negatable: true,
    lower: (set) => (set === 0 ? NO_STATUS : any(...[1, 2, 4, 8].filter((b) => set & b).map(statusBit))),
  }),
  option('--ctexpire', { value: range('SECONDS[:SECONDS]', 0xffffffff, ':', true), negatable: true, lower: (r) => fieldIn('ctexpire', r) }),
  option('--ctdir', { value: oneOf('ORIGINAL|REPLY', ['ORIGINAL', 'REPLY']), lower: (d) => fieldIn('ctdir', [DIRECTION[d], DIRECTION[d]]) }),
];

/** -m conntrack */
export const conntrack = match({
  name: 'conntrack',
  summary: 'State, status, direction and the original and reply addresses and ports of the connection.',
  options: [ctstate, ...rest],
  check: (o, { family }) => {
    if (Object.keys(o).length === 0) return { error: 'conntrack needs at least one option' };
    const addresses = ['--ctorigsrc', '--ctorigdst', '--ctreplsrc', '--ctrepldst'].map((n) => valueOf<Masked>(o, n));
    return addresses.some((a) => a && familyOf(a.addr) !== family) ? { error: `an address in it is not of IPv${family}` } : undefined;
  },
  // Without an entry, a rule that gives --ctstate is decided by it alone, and one that does not is false.
  lower: (o, context) =>
    [ctstate, ...rest].flatMap((each) => {
      const part = lowerOption(each, o, context);
      if (!part) return [];
      return each === ctstate || !o['--ctstate'] ? [part] : [{ ...any(otherwise(TRACKED), part), text: printOption(each, o[each.name]!) }];
    }),
});

/** -m state */
export const state = match({
  name: 'state',
  summary: 'The connection state: conntrack --ctstate by its older name.',
  options: [
    option('--state', {
      value: bits('STATE[,STATE...]', STATE),
      negatable: true,
      required: true,
      lower: (set) => any(...statesOf(set)),
      invert: otherwise,
    }),
  ],
});

// connmark_mt(), net/netfilter/xt_connmark.c
/** -m connmark */
export const connmark = match({
  name: 'connmark',
  summary: 'The mark of the connection, under a mask.',
  options: [option('--mark', { value: markMask, negatable: true, required: true, lower: (m) => masked('ctmark', m.value, m.mask) })],
});

// ct_event_tbl[] and exp_event_tbl[], extensions/libxt_CT.c: spelled in any case, printed in small letters
const events = (...names: readonly string[]): Value<number> => {
  const upper = bits('EVENT[,EVENT...]', Object.fromEntries(names.map((name, i) => [name, 1 << i])));
  return { ...upper, print: (v) => upper.print(v).toLowerCase() };
};
const ctevents = events('NEW', 'RELATED', 'DESTROY', 'REPLY', 'ASSURED', 'PROTOINFO', 'HELPER', 'MARK', 'NATSEQINFO', 'SECMARK');

type ZoneId = number | 'mark';
const zoneNumber = number('ZONE', 65535);
const zoneId: Value<ZoneId> = { shape: 'ZONE|mark', read: (t) => (t === 'mark' ? t : zoneNumber.read(t)), print: String };
const ZONES = { '--zone': undefined, '--zone-orig': 'original', '--zone-reply': 'reply' } as const;

/** ct_parse_zone_id(), extensions/libxt_CT.c: the last number stands, unless one says `mark`; both sides together are a plain zone. */
function zoneOf(o: Options): { readonly id: ZoneId; readonly option: keyof typeof ZONES } | undefined {
  const given = (Object.keys(o) as (keyof typeof ZONES)[]).filter((name) => name in ZONES);
  const ids = given.map((name) => valueOf<ZoneId>(o, name)!);
  const id = ids.includes('mark') ? 'mark' : ids.at(-1);
  const sides = given.filter((name) => ZONES[name] !== undefined);
  return id === undefined ? undefined : { id, option: sides.length === 1 ? sides[0]! : '--zone' };
}

/** -j CT */
export const CT = target({
  name: 'CT',
  summary: 'Keeps conntrack off (--notrack), or sets the zone, helper, timeout policy or events.',
  tables: ['raw'],
  options: [
    option('--notrack', { value: nothing }),
    option('--helper', { value: word('NAME', 15) }),
    option('--timeout', { value: word('NAME', 31) }),
    option('--ctevents', { value: ctevents }),
    option('--expevents', { value: events('NEW') }),
    option('--zone-orig', { value: zoneId }),
    option('--zone-reply', { value: zoneId }),
    option('--zone', { value: zoneId }),
  ],
  print: (o) => {
    const zone = zoneOf(o);
    const others = CT.options.filter(({ name }) => has(o, name) && !(name in ZONES)).map((each) => printOption(each, o[each.name]!));
    return [...others, ...(zone && zone.id !== 0 ? [`${zone.option} ${zone.id}`] : [])].join(' ');
  },
  lower: (o) => {
    if (has(o, '--notrack')) return [{ kind: 'notrack' }];
    const zone = zoneOf(o);
    const side = zone && ZONES[zone.option];
    const helper = valueOf<string>(o, '--helper');
    const settings: ConntrackSettings = {
      kind: 'ct',
      ...(zone && zone.id !== 0 && { ...(zone.id === 'mark' ? { byMark: true } : { zone: zone.id }), ...(side && { side }) }),
      ...(helper !== undefined && { helper }),
    };
    return [settings];
  },
});

/** -j NOTRACK */
export const NOTRACK = target({ name: 'NOTRACK', summary: 'Keeps conntrack off.', tables: ['raw'], lower: () => [{ kind: 'notrack' }] });

const xmark: Value<MarkMask> = { ...markMask, print: ({ value, mask }) => `${hex(value)}/${hex(mask)}` };
const mask: Value<number> = { ...number('MASK'), print: hex };

// connmark_tg(), net/netfilter/xt_connmark.c
/** -j CONNMARK */
export const CONNMARK = target({
  name: 'CONNMARK',
  summary: 'Sets the mark of the connection, or copies it from or to the packet.',
  options: [
    option('--set-xmark', { value: xmark, spellings: MARK_SPELLINGS }),
    option('--save-mark', { value: nothing }),
    option('--restore-mark', { value: nothing }),
    option('--nfmask', { value: mask }),
    option('--ctmask', { value: mask }),
    option('--mask', { value: mask }),
  ],
  check: (o) =>
    ['--set-xmark', '--save-mark', '--restore-mark'].filter((n) => has(o, n)).length === 1
      ? undefined
      : { error: 'CONNMARK needs exactly one of --set-mark, --set-xmark, --save-mark, --restore-mark (or --and-mark, --or-mark, --xor-mark)' },
  print: (o) => {
    const x = valueOf<MarkMask>(o, '--set-xmark');
    if (x) return `--set-xmark ${xmark.print(x)}`;
    const { nfmask, ctmask } = copyMasks(o);
    return `${has(o, '--save-mark') ? '--save-mark' : '--restore-mark'} --nfmask ${hex(nfmask)} --ctmask ${hex(ctmask)}`;
  },
  lower: (o): readonly Statement[] => {
    const x = valueOf<MarkMask>(o, '--set-xmark');
    if (x) return [{ kind: 'set', field: 'ctmark', clear: x.mask, xor: x.value }];
    const { nfmask, ctmask } = copyMasks(o);
    return has(o, '--save-mark')
      ? [{ kind: 'copy', from: 'mark', to: 'ctmark', fromMask: nfmask, toMask: ctmask }]
      : [{ kind: 'copy', from: 'ctmark', to: 'mark', fromMask: ctmask, toMask: nfmask }];
  },
});

function copyMasks(o: Options): { readonly nfmask: number; readonly ctmask: number } {
  const both = valueOf<number>(o, '--mask') ?? 0xffffffff;
  return { nfmask: valueOf<number>(o, '--nfmask') ?? both, ctmask: valueOf<number>(o, '--ctmask') ?? both };
}
