// What random nft rules are made of. Every table here is a list of entries: a new match or statement is one line more.
import type { Dice } from '../probes/dice.ts';
import { DEVICES, PORTS, PREFIXES, SOURCES, TARGETS } from '../probes/language.ts';

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
export const HOOKS: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting'];
export type ChainKind = 'filter' | 'nat' | 'route';

/** A set or map of a table that rules may look into, by what its key and its values are. */
export interface MadeSet {
  readonly name: string;
  readonly key: KeyKind;
  readonly data?: DataKind;
  readonly dynamic: boolean;
  readonly text: string;
}

/** Where a rule stands. */
export interface Place {
  /** The packets are IPv6. */
  readonly six: boolean;
  /** The table sees both families. */
  readonly inet: boolean;
  /** A packet comes by once. */
  readonly base: boolean;
  /** Absent where chains of several hooks may call it. */
  readonly hook?: Hook;
  readonly kind: ChainKind;
  /** Before conntrack. */
  readonly early: boolean;
  readonly sets: readonly MadeSet[];
  /** Chains that may be called from here. */
  readonly chains: readonly string[];
}

// -- words that differ by family

const ip = (at: Place): string => (at.six ? 'ip6' : 'ip');
/** An IPv4 address, prefix or range in the words of the packets' family. */
export function addrWords(six: boolean, text: string): string {
  if (!six) return text;
  return text.replaceAll(/(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?/g, (_, a: string, b: string, c: string, e: string, n?: string) => {
    const half = (hi: string, lo: string): string => (Number(hi) * 256 + Number(lo)).toString(16);
    return `fd00::${half(a, b)}:${half(c, e)}${n === undefined ? '' : `/${96 + Number(n)}`}`;
  });
}
const addr = (d: Dice, six: boolean): string => addrWords(six, d.pick([...SOURCES, ...TARGETS]));
const RANGES = ['8.8.8.0-8.8.8.7', '8.8.8.8-8.8.9.0', '10.1.0.1-10.1.0.2', '0.0.0.0-10.1.0.1', '10.9.0.7-200.0.0.0'];
const net = (d: Dice, six: boolean): string => addrWords(six, d.pick(d.chance(25) ? RANGES : PREFIXES));
const port = (d: Dice): string => String(d.pick(PORTS));
const ports = (d: Dice): string => (d.chance(35) ? d.pick(['22-80', '1024-40000', '1-1023', '443-8080', '54-79']) : port(d));
const device = (d: Dice): string => `"${d.pick([...DEVICES, 'lo'])}"`;
const globbed = (d: Dice): string => (d.chance(25) ? d.pick(['"eth*"', '"cali*"']) : device(d));
const mark = (d: Dice): string => d.pick(['0', '1', '0x10', '0x11', '0xff', '0x4000']);
const proto = (d: Dice): string => d.pick(['tcp', 'udp', 'sctp', 'gre', 'icmp', 'ipv6-icmp', 'udplite']);

// -- sets

export type KeyKind = 'addr' | 'port' | 'proto.port' | 'addr.port' | 'addr.proto.port' | 'iface' | 'mark' | 'addr.addr';
export type DataKind = 'verdict' | 'mark' | 'addr' | 'addr.port' | 'port';

interface KeyEntry {
  readonly type: (six: boolean) => string;
  /** An expression of that type, and what has to be asked before it. */
  readonly of: (d: Dice, at: Place) => string;
  readonly element: (d: Dice, six: boolean, wide: boolean) => string;
  readonly weight: number;
}

const v = (six: boolean): string => (six ? 'ipv6_addr' : 'ipv4_addr');
const side = (d: Dice): string => d.pick(['saddr', 'daddr']);
const l4 = (d: Dice): string => d.pick(['tcp', 'udp', 'th']);

export const KEYS: Readonly<Record<KeyKind, KeyEntry>> = {
  addr: { weight: 4, type: v, of: (d, at) => `${ip(at)} ${side(d)}`, element: (d, six, wide) => (wide ? net(d, six) : addr(d, six)) },
  port: {
    weight: 3,
    type: () => 'inet_service',
    of: (d) => `${l4(d)} ${d.pick(['dport', 'dport', 'sport'])}`,
    element: (d, _six, wide) => (wide ? ports(d) : port(d)),
  },
  'proto.port': {
    weight: 2,
    type: () => 'inet_proto . inet_service',
    of: (d) => `meta l4proto . th ${d.pick(['dport', 'dport', 'sport'])}`,
    element: (d, _six, wide) => `${proto(d)} . ${wide ? ports(d) : port(d)}`,
  },
  'addr.port': {
    weight: 3,
    type: (six) => `${v(six)} . inet_service`,
    of: (d, at) => `${ip(at)} ${side(d)} . ${l4(d)} ${d.pick(['dport', 'dport', 'sport'])}`,
    element: (d, six, wide) => `${wide ? net(d, six) : addr(d, six)} . ${wide ? ports(d) : port(d)}`,
  },
  'addr.proto.port': {
    weight: 2,
    type: (six) => `${v(six)} . inet_proto . inet_service`,
    of: (d, at) => `${ip(at)} daddr . meta l4proto . th dport`,
    element: (d, six, wide) => `${wide ? net(d, six) : addr(d, six)} . ${proto(d)} . ${wide ? ports(d) : port(d)}`,
  },
  iface: { weight: 2, type: () => 'ifname', of: (d) => d.pick(['iifname', 'oifname']), element: (d, _six, wide) => (wide ? globbed(d) : device(d)) },
  mark: {
    weight: 1,
    type: () => 'mark',
    of: (d, at) => (at.early || d.chance(60) ? 'meta mark' : 'ct mark'),
    element: (d, _six, wide) => (wide && d.chance(30) ? '2-0x10' : mark(d)),
  },
  'addr.addr': {
    weight: 1,
    type: (six) => `${v(six)} . ${v(six)}`,
    of: (d, at) => `${ip(at)} saddr . ${ip(at)} daddr`,
    element: (d, six, wide) => `${wide ? net(d, six) : addr(d, six)} . ${wide ? net(d, six) : addr(d, six)}`,
  },
};

const INNER = ['10.1.0.1', '10.1.0.2', '8.8.8.8', '192.168.21.20', '10.9.0.20'];
const OUTER = ['192.168.21.20', '10.9.0.21', '172.16.0.9', '7.7.7.9'];

const DATA: Readonly<
  Record<DataKind, { readonly type: (six: boolean) => string; readonly value: (d: Dice, six: boolean, chains: readonly string[]) => string }>
> = {
  verdict: {
    type: () => 'verdict',
    value: (d, _six, chains) =>
      chains.length > 0 && d.chance(50) ? `${d.pick(['jump', 'jump', 'goto'])} ${d.pick(chains)}` : d.pick(['accept', 'drop', 'return', 'continue']),
  },
  mark: { type: () => 'mark', value: mark },
  addr: { type: v, value: (d, six) => addrWords(six, d.pick(INNER)) },
  'addr.port': { type: (six) => `${v(six)} . inet_service`, value: (d, six) => `${addrWords(six, d.pick(INNER))} . ${port(d)}` },
  port: { type: () => 'inet_service', value: port },
};

function pickKey(d: Dice): KeyKind {
  const all = Object.entries(KEYS) as [KeyKind, KeyEntry][];
  let roll = d.below(all.reduce((n, [, e]) => n + e.weight, 0));
  return all.find(([, e]) => (roll -= e.weight) < 0)![0];
}

/** The start and end of what an element covers: those of one set may not overlap. */
function makeElements(d: Dice, key: KeyKind, six: boolean, wide: boolean, most: number): string[] {
  const made = d.some(0, most, () => KEYS[key].element(d, six, wide));
  const unique = [...new Set(made)];
  // of intervals, only such as are apart whatever they are: the kernel refuses what overlaps
  return wide ? unique.slice(0, 1) : unique;
}

/** A set or map; `chains` are those that its verdicts may call. */
export function makeSet(d: Dice, name: string, six: boolean, chains: readonly string[]): MadeSet {
  const key = pickKey(d);
  const data = d.chance(40) ? d.pick<DataKind>(['verdict', 'verdict', 'mark', 'addr', 'addr.port', 'port']) : undefined;
  const dynamic = data === undefined && (key === 'addr' || key === 'addr.port') && d.chance(30);
  const wide = !dynamic && d.chance(45);
  const plain = key === 'addr' || key === 'port' || key === 'mark';
  const elements = wide && !plain ? makeElements(d, key, six, true, 3) : wide ? apart(d, key, six) : makeElements(d, key, six, false, 6);
  const all = data === undefined ? elements : elements.map((e) => `${e} : ${DATA[data].value(d, six, chains)}`);
  if (data !== undefined && wide && plain && d.chance(20)) all.push(`* : ${DATA[data].value(d, six, chains)}`);
  const flags = [...(wide ? ['interval'] : []), ...(dynamic ? ['dynamic'] : [])];
  const lines = [
    `type ${KEYS[key].type(six)}${data === undefined ? '' : ` : ${DATA[data].type(six)}`};`,
    ...(flags.length > 0 ? [`flags ${flags.join(',')};`] : []),
    ...(dynamic ? ['size 100;'] : []),
    ...(all.length > 0 ? [`elements = { ${all.join(', ')} };`] : []),
  ];
  return { name, key, ...(data !== undefined && { data }), dynamic, text: `${data === undefined ? 'set' : 'map'} ${name} {\n${lines.join('\n')}\n}` };
}

/** Intervals that do not meet. */
const APART: Readonly<Partial<Record<KeyKind, readonly string[]>>> = {
  addr: [
    '8.8.8.0/29',
    '8.8.8.8',
    '8.8.9.0/24',
    '10.1.0.0/31',
    '10.1.0.2',
    '10.1.0.3-10.2.0.0',
    '192.168.21.0/26',
    '192.168.21.255',
    '10.9.0.0/24',
    '7.7.0.0/17',
    '10.96.0.1-10.96.0.2',
  ],
  port: ['1-21', '22', '53-79', '80', '443', '1024-8079', '8080', '30000-40000'],
  mark: ['0', '1-0x0f', '0x10', '0x12-0xff', '0x4000'],
};

function apart(d: Dice, key: KeyKind, six: boolean): string[] {
  return APART[key]!.filter(() => d.chance(35)).map((e) => addrWords(six, e));
}

// -- matches

interface MatchEntry {
  /** Of one kind there is one in a rule. */
  readonly kind: string;
  readonly weight: number;
  /** Nothing where it cannot stand. */
  readonly text: (d: Dice, at: Place) => string | undefined;
}

const not = (d: Dice): string => (d.chance(25) ? '!= ' : '');
const anonymous = (d: Dice, key: KeyKind, at: Place): string => {
  const wide = d.chance(40);
  const plain = key === 'addr' || key === 'port' || key === 'mark';
  const elements = wide && plain ? apart(d, key, at.six) : makeElements(d, key, at.six, wide && !plain, 4);
  return `{ ${(elements.length > 0 ? elements : [KEYS[key].element(d, at.six, false)]).join(', ')} }`;
};
const FLAGS = [
  'syn',
  'ack',
  'syn,ack',
  '== syn',
  '!= ack',
  '& (syn|ack) == syn',
  '& (fin|syn|rst|ack) != syn',
  '{ syn, ack }',
  '! syn',
  '== 0x0',
  '& rst == 0',
];
const STATES = ['new', 'established', 'established,related', 'related', 'invalid', 'untracked', '{ new, invalid }', '!= new', '!= untracked'];
const tracked = (at: Place): boolean => !at.early;
const incoming = (at: Place): boolean => at.hook === 'prerouting' || at.hook === 'input';

export const MATCHES: readonly MatchEntry[] = [
  { kind: 'saddr', weight: 4, text: (d, at) => `${ip(at)} saddr ${not(d)}${net(d, at.six)}` },
  { kind: 'daddr', weight: 4, text: (d, at) => `${ip(at)} daddr ${not(d)}${net(d, at.six)}` },
  { kind: 'addrs', weight: 2, text: (d, at) => `${ip(at)} ${side(d)} ${not(d)}${anonymous(d, 'addr', at)}` },
  {
    kind: 'l4',
    weight: 5,
    text: (d) =>
      `${d.pick(['tcp', 'udp', 'sctp', 'th', 'udplite'])} ${d.pick(['dport', 'dport', 'sport'])} ${d.pick(['', '', '!= ', '>= ', '< '])}${port(d)}`,
  },
  { kind: 'l4', weight: 2, text: (d) => `${l4(d)} ${d.pick(['dport', 'sport'])} ${not(d)}${ports(d)}` },
  { kind: 'l4', weight: 2, text: (d, at) => `${l4(d)} dport ${not(d)}${anonymous(d, 'port', at)}` },
  { kind: 'l4', weight: 2, text: (d) => `tcp flags ${d.pick(FLAGS)}` },
  {
    kind: 'l4',
    weight: 1,
    text: (d, at) =>
      `${at.six ? 'icmpv6' : 'icmp'} type ${d.pick(['', '', '!= '])}${d.pick(['echo-request', 'echo-reply', '{ echo-request, time-exceeded }'])}`,
  },
  {
    kind: 'l4proto',
    weight: 2,
    text: (d) => `meta l4proto ${not(d)}${d.chance(30) ? `{ ${proto(d)}, tcp }`.replace('{ tcp, tcp }', 'tcp') : proto(d)}`,
  },
  {
    kind: 'concat',
    weight: 3,
    text: (d, at) => {
      const key = d.pick<KeyKind>(['proto.port', 'addr.port', 'addr.proto.port', 'addr.addr']);
      return `${KEYS[key].of(d, at)} ${not(d)}${anonymous(d, key, at)}`;
    },
  },
  {
    kind: 'set',
    weight: 8,
    text: (d, at) => {
      const sets = at.sets.filter((s) => s.data === undefined);
      if (sets.length === 0) return undefined;
      const set = d.pick(sets);
      return `${KEYS[set.key].of(d, at)} ${not(d)}@${set.name}`;
    },
  },
  { kind: 'iif', weight: 2, text: (d) => `iifname ${not(d)}${globbed(d)}` },
  { kind: 'iif', weight: 1, text: (d) => `iif ${not(d)}${device(d)}` },
  { kind: 'oif', weight: 2, text: (d) => `oifname ${not(d)}${d.chance(25) ? `{ ${device(d)}, "cali3" }` : globbed(d)}` },
  { kind: 'oif', weight: 1, text: (d) => `oif ${not(d)}${device(d)}` },
  { kind: 'mark', weight: 2, text: (d) => `meta mark ${d.pick(['', '!= ', '& 0xf0 == ', '& 0x1 != ', '> '])}${mark(d)}` },
  { kind: 'mark', weight: 1, text: (d, at) => `meta mark ${not(d)}${anonymous(d, 'mark', at)}` },
  {
    kind: 'ctmark',
    weight: 2,
    text: (d, at) => (tracked(at) || d.chance(10) ? `ct mark ${d.pick(['', '!= ', '& 0xff == '])}${mark(d)}` : undefined),
  },
  { kind: 'ctstate', weight: 4, text: (d, at) => (tracked(at) || d.chance(20) ? `ct state ${d.pick(STATES)}` : undefined) },
  {
    kind: 'ctstatus',
    weight: 2,
    text: (d) =>
      `ct status ${d.pick(['dnat', 'snat', 'snat,dnat', '& snat == 0', '& (dnat|snat) != 0', 'seen-reply', 'assured', '& confirmed == 0'])}`,
  },
  { kind: 'ctdir', weight: 1, text: (d) => `ct direction ${not(d)}${d.pick(['original', 'reply'])}` },
  { kind: 'cttuple', weight: 2, text: (d, at) => `ct ${d.pick(['original', 'reply'])} ${ip(at)} ${side(d)} ${not(d)}${net(d, at.six)}` },
  {
    kind: 'cttuple',
    weight: 1,
    text: (d) =>
      `meta l4proto ${d.pick(['tcp', 'udp'])} ct ${d.pick(['original', 'reply'])} ${d.pick(['proto-dst', 'proto-src'])} ${not(d)}${port(d)}`,
  },
  { kind: 'ctzone', weight: 1, text: (d) => `ct zone ${not(d)}${d.pick(['0', '1', '2'])}` },
  {
    kind: 'fib',
    weight: 2,
    text: (d) => `fib ${side(d)} type ${not(d)}${d.pick(['local', 'unicast', 'broadcast', 'multicast', '{ local, broadcast }'])}`,
  },
  {
    kind: 'fib',
    weight: 1,
    text: (d, at) => (incoming(at) ? `fib ${side(d)} . iif type ${not(d)}local` : at.hook === 'output' ? 'fib daddr . oif type != local' : undefined),
  },
  {
    kind: 'fib',
    weight: 1,
    text: (d, at) =>
      incoming(at) || at.hook === 'forward'
        ? d.pick([
            'fib saddr . iif oif missing',
            'fib saddr . iif oif exists',
            'fib saddr . mark . iif oif missing',
            'fib daddr oifname "cali1"',
            'fib saddr oif missing',
          ])
        : undefined,
  },
  {
    kind: 'ttl',
    weight: 1,
    text: (d, at) => `${at.six ? 'ip6 hoplimit' : 'ip ttl'} ${d.pick(['', '!= ', '> ', '<= '])}${d.pick(['63', '64', '10'])}`,
  },
  { kind: 'dscp', weight: 1, text: (d, at) => `${ip(at)} dscp ${not(d)}${d.pick(['0x04', 'cs0', 'af11', '{ 0x04, 0x08 }'])}` },
  { kind: 'length', weight: 1, text: (d) => `meta length ${d.pick(['40-60', '40', '< 40', '!= 35', '> 60'])}` },
  { kind: 'pkttype', weight: 1, text: (d) => `meta pkttype ${not(d)}${d.pick(['host', 'broadcast', 'multicast'])}` },
  {
    kind: 'skuid',
    weight: 1,
    text: (d, at) => (at.hook === 'output' || at.hook === 'postrouting' ? `meta skuid ${not(d)}${d.pick(['0', '1000', '1-2000'])}` : undefined),
  },
  { kind: 'nfproto', weight: 1, text: (d, at) => (at.inet ? `meta nfproto ${d.pick(['ipv4', 'ipv6'])}` : undefined) },
  { kind: 'protocol', weight: 1, text: (d) => `meta protocol ${d.pick(['ip', 'ip6', '!= ip6'])}` },
  { kind: 'numgen', weight: 1, text: (d) => d.pick(['numgen random mod 2 0', 'numgen inc mod 2 1', 'numgen inc mod 3 != 0']) },
  { kind: 'raw', weight: 1, text: (d) => d.pick(['@th,16,16 80', '@th,0,16 != 53', '@th,160,8 0', '@nh,0,4 4']) },
  {
    kind: 'open',
    weight: 1,
    // in a chain that is met twice they may hold once
    text: (d, at) =>
      !at.base ? undefined : d.pick(['limit rate 1/second burst 2 packets', 'limit rate over 100/hour', 'quota 400 bytes', 'quota over 100 bytes']),
  },
];

const TOTAL = MATCHES.reduce((n, m) => n + m.weight, 0);

/** One match, with its kind. */
export function makeMatch(d: Dice, at: Place): { readonly kind: string; readonly text: string } | undefined {
  let roll = d.below(TOTAL);
  const entry = MATCHES.find((m) => (roll -= m.weight) < 0)!;
  const text = entry.text(d, at);
  return text === undefined ? undefined : { kind: entry.kind, text };
}

// -- statements

interface StatementEntry {
  readonly weight: number;
  readonly kinds?: readonly ChainKind[];
  readonly hooks?: readonly Hook[];
  /** It ends the rule: nothing stands behind it. */
  readonly last: boolean;
  readonly text: (d: Dice, at: Place) => string | undefined;
}

const DEST: readonly Hook[] = ['prerouting', 'output'];
const inner = (d: Dice, at: Place): string => addrWords(at.six, d.pick(INNER));
const outer = (d: Dice, at: Place): string => addrWords(at.six, d.pick(OUTER));
const to = (at: Place): string => (at.inet ? ` ${ip(at)}` : '');
const bracketed = (at: Place, a: string): string => (at.six ? `[${a}]` : a);
const some = (d: Dice): string => d.pick(['tcp', 'udp']);
const NAT_FLAGS = ['', '', '', ' random', ' fully-random', ' persistent'];
const REJECTS = [
  'net-unreachable',
  'host-unreachable',
  'prot-unreachable',
  'port-unreachable',
  'net-prohibited',
  'host-prohibited',
  'admin-prohibited',
];
const REJECTS6 = ['no-route', 'admin-prohibited', 'addr-unreachable', 'port-unreachable', 'policy-fail', 'reject-route'];

/** Maps of this data, and an expression for their key. */
function mapped(d: Dice, at: Place, data: DataKind): string | undefined {
  const maps = at.sets.filter((s) => s.data === data);
  if (maps.length === 0) return undefined;
  const map = d.pick(maps);
  return `${KEYS[map.key].of(d, at)} map @${map.name}`;
}

const verdict = (d: Dice, at: Place): string => DATA.verdict.value(d, at.six, at.chains);

export const STATEMENTS: readonly StatementEntry[] = [
  { weight: 14, last: true, text: () => 'accept' },
  { weight: 7, last: true, text: () => 'return' },
  { weight: 6, last: true, text: (_d, at) => (at.kind === 'nat' ? 'accept' : 'drop') },
  { weight: 3, last: true, text: () => 'continue' },
  {
    weight: 22,
    last: true,
    text: (d, at) => (at.chains.length > 0 ? `${d.pick(['jump', 'jump', 'jump', 'goto'])} ${d.pick(at.chains)}` : undefined),
  },
  {
    weight: 8,
    last: true,
    text: (d, at) => {
      const maps = at.sets.filter((s) => s.data === 'verdict');
      if (maps.length === 0) return undefined;
      const map = d.pick(maps);
      return `${KEYS[map.key].of(d, at)} vmap @${map.name}`;
    },
  },
  {
    weight: 6,
    last: true,
    text: (d, at) => `${l4(d)} dport vmap { ${[...new Set(d.some(1, 3, () => port(d)))].map((p) => `${p} : ${verdict(d, at)}`).join(', ')} }`,
  },
  { weight: 3, last: true, text: (d, at) => `numgen ${d.pick(['random', 'inc'])} mod 2 vmap { 0 : ${verdict(d, at)}, 1 : ${verdict(d, at)} }` },
  {
    weight: 3,
    last: true,
    text: (d, at) => (at.early ? undefined : `ct state vmap { established : ${verdict(d, at)}, related : accept, new : ${verdict(d, at)} }`),
  },
  {
    weight: 5,
    kinds: ['filter'],
    hooks: ['input', 'forward'],
    last: true,
    text: (d, at) =>
      at.inet
        ? `reject with icmpx type ${d.pick(['port-unreachable', 'host-unreachable', 'no-route', 'admin-prohibited'])}`
        : at.six
          ? `reject with icmpv6 type ${d.pick(REJECTS6)}`
          : `reject with icmp type ${d.pick(REJECTS)}`,
  },
  { weight: 2, kinds: ['filter'], hooks: ['input', 'forward'], last: true, text: () => 'reject' },
  { weight: 2, kinds: ['filter'], hooks: ['input', 'forward'], last: true, text: () => 'meta l4proto tcp reject with tcp reset' },
  // what the kernel answers by itself has no socket: answers to answers are not compared
  {
    weight: 4,
    kinds: ['filter'],
    hooks: ['output'],
    last: true,
    text: (d) => `meta skuid 0-2000 ${d.pick(['reject', 'meta l4proto tcp reject with tcp reset'])}`,
  },
  // translations
  { weight: 25, kinds: ['nat'], hooks: DEST, last: true, text: (d, at) => `dnat${to(at)} to ${inner(d, at)}` },
  {
    weight: 30,
    kinds: ['nat'],
    hooks: DEST,
    last: true,
    text: (d, at) => `meta l4proto ${some(d)} dnat${to(at)} to ${bracketed(at, inner(d, at))}:${port(d)}${d.pick(NAT_FLAGS)}`,
  },
  {
    weight: 8,
    kinds: ['nat'],
    hooks: DEST,
    last: true,
    text: (d, at) => `meta l4proto ${some(d)} dnat${to(at)} to ${bracketed(at, inner(d, at))}:8000-8003`,
  },
  { weight: 5, kinds: ['nat'], hooks: DEST, last: true, text: (d, at) => `dnat${to(at)} to ${addrWords(at.six, '10.1.0.1-10.1.0.2')}` },
  { weight: 20, kinds: ['nat'], hooks: DEST, last: true, text: (d, at) => prefixed(`dnat${to(at)} to `, mapped(d, at, 'addr')) },
  {
    weight: 20,
    kinds: ['nat'],
    hooks: DEST,
    last: true,
    text: (d, at) => prefixed(`meta l4proto { tcp, udp } dnat${to(at)} to `, mapped(d, at, 'addr.port')),
  },
  {
    weight: 12,
    kinds: ['nat'],
    hooks: DEST,
    last: true,
    text: (d, at) =>
      `${some(d)} dport ${port(d)} dnat${to(at)} to numgen random mod 2 map { 0 : ${addrWords(at.six, '10.1.0.1')}, 1 : ${addrWords(at.six, '10.1.0.2')} }`,
  },
  {
    weight: 6,
    kinds: ['nat'],
    hooks: DEST,
    last: true,
    text: (d, at) => `${ip(at)} daddr ${addrWords(at.six, '10.96.0.0/24')} dnat ${ip(at)} prefix to ${addrWords(at.six, '10.1.0.0/24')}`,
  },
  { weight: 8, kinds: ['nat'], hooks: DEST, last: true, text: () => 'redirect' },
  { weight: 8, kinds: ['nat'], hooks: DEST, last: true, text: (d) => `meta l4proto ${some(d)} redirect to :${d.pick([port(d), '8000-8003'])}` },
  {
    weight: 6,
    kinds: ['nat'],
    hooks: DEST,
    last: true,
    text: (d, at) => prefixed('meta l4proto { tcp, udp } redirect to ', mapped(d, at, 'port')?.replace(/^(?:tcp|udp) /, 'th ')),
  },
  { weight: 20, kinds: ['nat'], hooks: ['postrouting'], last: true, text: (d) => `masquerade${d.pick(NAT_FLAGS)}` },
  {
    weight: 6,
    kinds: ['nat'],
    hooks: ['postrouting'],
    last: true,
    text: (d) => `meta l4proto ${some(d)} masquerade to :${d.pick(['2000-2100', '40000'])}`,
  },
  {
    weight: 15,
    kinds: ['nat'],
    hooks: ['postrouting', 'input'],
    last: true,
    text: (d, at) => `snat${to(at)} to ${outer(d, at)}${d.pick(NAT_FLAGS)}`,
  },
  {
    weight: 15,
    kinds: ['nat'],
    hooks: ['postrouting', 'input'],
    last: true,
    text: (d, at) => `meta l4proto ${some(d)} snat${to(at)} to ${bracketed(at, outer(d, at))}:${d.pick([port(d), '2000-2100'])}`,
  },
  {
    weight: 8,
    kinds: ['nat'],
    hooks: ['postrouting', 'input'],
    last: true,
    text: (d, at) =>
      `snat${to(at)} to ${ip(at)} saddr map { ${addrWords(at.six, '10.1.0.1')} : ${outer(d, at)}, ${addrWords(at.six, '10.1.0.2')} : ${outer(d, at)} }`,
  },
  // what goes on
  {
    weight: 12,
    last: false,
    text: (d) =>
      `meta mark set ${d.pick(['1', '0x10', 'meta mark | 0x4000', 'meta mark & 0xff', 'meta mark ^ 0x4001', 'meta mark & 0xffffff0f | 0x10', '0'])}`,
  },
  { weight: 4, last: false, text: (d, at) => prefixed('meta mark set ', mapped(d, at, 'mark')) },
  { weight: 3, last: false, text: (d) => `meta mark set ${l4(d)} dport map { 80 : 1, 53 : 0x10, 22 : 0x11 }` },
  { weight: 4, last: false, text: (_d, at) => (at.early ? undefined : 'meta mark set ct mark') },
  {
    weight: 5,
    last: false,
    text: (d, at) => (at.early ? undefined : `ct mark set ${d.pick(['1', '0x10', 'meta mark', 'ct mark | 0x11', 'ct mark & 0xf0'])}`),
  },
  { weight: 3, hooks: ['prerouting', 'output'], last: false, text: (_d, at) => (at.early ? 'notrack' : undefined) },
  { weight: 3, hooks: ['prerouting', 'output'], last: false, text: (d, at) => (at.early ? `ct zone set ${d.pick(['1', '2'])}` : undefined) },
  { weight: 2, kinds: ['filter', 'route'], last: false, text: (d, at) => `${at.six ? 'ip6 hoplimit' : 'ip ttl'} set ${d.pick(['9', '63', '64'])}` },
  { weight: 2, kinds: ['filter', 'route'], last: false, text: (d, at) => `${ip(at)} dscp set ${d.pick(['0x04', 'cs1', 'cs0'])}` },
  {
    weight: 1,
    kinds: ['filter', 'route'],
    // what the host makes in answer would come by there too
    hooks: ['prerouting'],
    last: false,
    text: (d, at) =>
      at.early ? d.pick([`iifname != "lo" ${ip(at)} daddr set ${inner(d, at)}`, `tcp dport set ${port(d)}`, `udp dport set ${port(d)}`]) : undefined,
  },
  {
    weight: 8,
    last: false,
    text: (d, at) => {
      const sets = at.sets.filter((s) => s.dynamic);
      if (sets.length === 0) return undefined;
      const set = d.pick(sets);
      return `${d.pick(['add', 'add', 'update', 'delete'])} @${set.name} { ${KEYS[set.key].of(d, at)} }`;
    },
  },
  {
    weight: 5,
    last: false,
    text: (d) => d.pick(['counter', 'counter', 'log prefix "a b "', 'limit rate 1000000/second', 'counter packets 5 bytes 400']),
  },
];

function prefixed(head: string, tail: string | undefined): string | undefined {
  return tail === undefined ? undefined : head + tail;
}

/** Statements of a rule, the last of which may be a verdict or translation. */
export function makeStatement(d: Dice, at: Place): { readonly text: string; readonly last: boolean } | undefined {
  const list = STATEMENTS.filter(
    (s) => (!s.kinds || s.kinds.includes(at.kind)) && (!s.hooks || (at.hook !== undefined && s.hooks.includes(at.hook))),
  );
  let roll = d.below(list.reduce((n, s) => n + s.weight, 0));
  const entry = list.find((s) => (roll -= s.weight) < 0)!;
  const text = entry.text(d, at);
  return text === undefined ? undefined : { text, last: entry.last };
}
