// Random nodes: rules over several tables and chains, sets, policy routes, and packets aimed at the boundaries they mention.
import { BASE, save, type Tables } from './claim.ts';
import type { Load, Shot } from './node.ts';

/** A reproducible source of choices. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** mulberry32: 0 to n - 1. */
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x100000000) * n);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Between lo and hi of what `make` gives. */
  some<T>(lo: number, hi: number, make: (i: number) => T): T[] {
    return Array.from({ length: lo + this.below(hi - lo + 1) }, (_, i) => make(i));
  }
}

const PREFIXES = [
  '8.8.8.0/24',
  '8.8.8.8/31',
  '8.0.0.0/8',
  '10.1.0.0/16',
  '10.1.0.0/31',
  '10.1.0.2',
  '192.168.21.0/24',
  '192.168.21.20',
  '10.96.0.0/12',
  '0.0.0.0/1',
  '7.7.0.0/17',
  '10.9.0.0/24',
  '192.168.21.255',
  '10.96.0.1',
  '8.8.8.7',
];
const SOURCES = ['8.8.8.8', '8.8.8.7', '8.8.9.0', '7.7.7.7', '7.7.128.0', '192.168.21.1', '10.9.0.7', '10.1.0.1', '10.1.0.2'];
const TARGETS = [
  '10.1.0.1',
  '10.1.0.2',
  '10.1.0.3',
  '192.168.21.20',
  '10.9.0.20',
  '10.96.0.1',
  '10.96.0.2',
  '8.8.8.8',
  '7.7.7.7',
  '10.9.0.7',
  '192.168.21.255',
];
const DEVICES = ['eth0', 'eth1', 'cali1', 'cali2'];
const PORTS = [22, 53, 80, 443, 1024, 8080, 30000, 40000];
const MARKS = ['0x1', '0x10', '0x1/0x1', '0x10/0xf0', '0x0/0xff', '0x4000/0x4000', '0xff'];
const TYPES = ['LOCAL', 'UNICAST', 'BROADCAST', 'LOCAL,BROADCAST'];

type Hook = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
const HOOKS: Readonly<Record<string, readonly Hook[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

interface MadeSet {
  readonly name: string;
  readonly dimensions: number;
  readonly text: string;
}

/** Sets of the types that every kernel here has. */
function makeSet(d: Dice, i: number, before: readonly MadeSet[]): MadeSet {
  const name = `s${i}`;
  const nomatch = (): string => (d.chance(25) ? ' nomatch' : '');
  const addr = (): string => d.pick([...SOURCES, ...TARGETS]);
  const net = (): string => d.pick(PREFIXES.filter((p) => p !== '0.0.0.0/0'));
  const port = (): string =>
    d.chance(15) ? d.pick(['icmp:8/0', 'icmp:0/0', '47:0']) : `${d.pick(['tcp', 'udp'])}:${d.pick([...PORTS, '5000-5003'])}`;
  const made = (dimensions: number, type: string, element: () => string): MadeSet => ({
    name,
    dimensions,
    text: [
      `create ${name} ${type}`,
      ...[...new Map(d.some(0, 7, element).map((e) => [e.replace(/ nomatch$/, ''), e])).values()].map((e) => `add ${name} ${e}`),
      '',
    ].join('\n'),
  });
  switch (d.below(before.length > 1 ? 9 : 8)) {
    case 0:
      return made(1, 'hash:ip', addr);
    case 1:
    case 2:
      return made(1, 'hash:net', () => net() + nomatch());
    case 3:
      return made(2, 'hash:ip,port', () => `${addr()},${port()}`);
    case 4:
      return made(2, 'hash:net,port', () => `${net()},${d.pick(['tcp', 'udp'])}:${d.pick(PORTS)}${nomatch()}`);
    case 5:
      return made(2, 'hash:net,iface', () => `${net()},${d.pick(DEVICES)}${nomatch()}`);
    case 6:
      return made(3, 'hash:ip,port,net', () => `${addr()},tcp:${d.pick(PORTS)},${net()}${nomatch()}`);
    case 7:
      return made(1, 'bitmap:port range 0-65535', () => String(d.pick(PORTS)));
    default: {
      const members = [...new Set(d.some(1, 3, () => d.pick(before).name))].filter(
        (m) => !before.find((b) => b.name === m)!.text.includes('list:set'),
      );
      return { name, dimensions: 2, text: [`create ${name} list:set`, ...members.map((m) => `add ${name} ${m}`), ''].join('\n') };
    }
  }
}

/** Where a rule may stand: one hook, or any of a table's (undefined). */
interface Place {
  readonly table: string;
  readonly hook?: Hook;
  readonly base: boolean;
}

function makeMatch(d: Dice, at: Place, sets: readonly MadeSet[]): string {
  const not = (): string => (d.chance(25) ? '! ' : '');
  const { hook } = at;
  const side = d.pick(['src', 'dst']);
  switch (d.below(18)) {
    case 0:
    case 1:
      return `${not()}-s ${d.pick(PREFIXES)}`;
    case 2:
    case 3:
      return `${not()}-d ${d.pick(PREFIXES)}`;
    case 4:
      return at.base && (hook === 'OUTPUT' || hook === 'POSTROUTING') ? '' : `${not()}-i ${d.pick([...DEVICES, 'eth+', 'cali+', 'lo'])}`;
    case 5:
      return at.base && (hook === 'PREROUTING' || hook === 'INPUT') ? '' : `${not()}-o ${d.pick([...DEVICES, 'eth+', 'cali+', 'lo'])}`;
    case 6:
      return `-m mark ${not()}--mark ${d.pick(MARKS)}`;
    case 7:
      return `-m connmark ${not()}--mark ${d.pick(MARKS)}`;
    case 8:
    case 9:
      return `-m conntrack ${not()}--ctstate ${d.pick(['NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'DNAT', 'SNAT', 'UNTRACKED', 'NEW,INVALID'])}`;
    case 10:
      return `-m conntrack ${not()}${d.pick([`--ctorigdst ${d.pick(PREFIXES)}`, `--ctorigsrc ${d.pick(PREFIXES)}`, `--ctreplsrc ${d.pick(PREFIXES)}`, `--ctrepldst ${d.pick(PREFIXES)}`, `--ctorigdstport ${d.pick(PORTS)}`, '--ctstatus SEEN_REPLY', '--ctstatus ASSURED,CONFIRMED', '--ctproto 6'])}`;
    case 11:
    case 12:
    case 13: {
      if (sets.length === 0) return '';
      const set = d.pick(sets);
      const flags = d.some(1, d.chance(80) ? set.dimensions : 3, () => d.pick(['src', 'dst']));
      while (d.chance(85) && flags.length < set.dimensions) flags.push(d.pick(['src', 'dst']));
      return `-m set ${not()}--match-set ${set.name} ${flags.join(',')}`;
    }
    case 14:
      return `-m addrtype ${not()}--${side}-type ${d.pick(TYPES)}${hook === 'PREROUTING' || hook === 'INPUT' || hook === 'FORWARD' ? (d.chance(20) ? ' --limit-iface-in' : '') : hook !== undefined && d.chance(20) ? ' --limit-iface-out' : ''}`;
    case 15:
      return `-m iprange ${not()}--${side}-range ${d.pick(['8.8.8.0-8.8.8.7', '8.8.8.8-8.8.8.8', '10.1.0.1-10.1.0.2', '0.0.0.0-10.1.0.1', '10.9.0.7-200.0.0.0'])}`;
    case 16:
      return hook === 'OUTPUT' || hook === 'POSTROUTING'
        ? `-m owner ${not()}--uid-owner ${d.pick([0, 1000])}`
        : hook === 'PREROUTING' && at.table !== 'nat'
          ? `-m rpfilter${d.pick(['', ' --loose', ' --invert', ' --accept-local'])}`
          : hook === undefined
            ? ''
            : '-m mac --mac-source 06:00:00:00:00:01';
    default:
      return d.pick([
        '-m ttl --ttl-gt 62',
        '-m ttl --ttl-lt 64',
        '-m length --length 40:60',
        '-m tos --tos 0x10/0x3f',
        '-m comment --comment "a -j DROP in words"',
        '-m pkttype --pkt-type unicast',
        '-m statistic --mode random --probability 0.5',
      ]);
  }
}

function makeProto(d: Dice): string {
  const not = (): string => (d.chance(20) ? '! ' : '');
  const range = (): string => d.pick([String(d.pick(PORTS)), `${d.pick([22, 53])}:${d.pick([80, 443])}`, `1024:`, `:1023`]);
  switch (d.below(8)) {
    case 0:
    case 1:
      return `-p tcp ${not()}--dport ${range()}`;
    case 2:
      return `-p udp ${not()}--dport ${range()}`;
    case 3:
      return `-p ${d.pick(['tcp', 'udp'])} ${not()}--sport ${range()}`;
    case 4:
      return `-p tcp -m multiport ${not()}--${d.pick(['dports', 'sports', 'ports'])} ${d.pick(['22,80', '80:443,8080', '53', '1024:40000'])}`;
    case 5:
      return d.pick(['-p tcp ! --syn', '-p tcp --syn', '-p tcp --tcp-flags SYN,ACK SYN', '-p tcp --tcp-flags ALL ACK']);
    case 6:
      return d.pick(['-p icmp --icmp-type echo-request', '-p icmp ! --icmp-type 8', '-p icmp', '! -p icmp']);
    default:
      return `${not()}-p ${d.pick(['tcp', 'udp'])}`;
  }
}

const GOING_ON = [
  'MARK --set-mark 0x1',
  'MARK --set-mark 0x10/0xf0',
  'MARK --set-xmark 0xff/0x1',
  'MARK --or-mark 0x4000',
  'MARK --and-mark 0xff',
  'MARK --xor-mark 0x4001',
  'CONNMARK --save-mark',
  'CONNMARK --restore-mark',
  'CONNMARK --set-xmark 0x10/0xff',
  'CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xff',
  'CONNMARK --restore-mark --nfmask 0xff --ctmask 0xf0',
  'LOG',
];

/** A target, and what has to stand before it. */
function makeTarget(d: Dice, at: Place, chains: readonly string[]): { readonly needs?: string; readonly text: string } {
  const port = (): string => String(d.pick(PORTS));
  const roll = d.below(100);
  if (at.table === 'nat' && at.hook !== undefined && roll < 45) {
    const tcp = d.chance(60);
    const to = (address: string): string => `${address}${tcp ? `:${port()}` : ''}`;
    const needs = tcp ? { needs: `-p ${d.pick(['tcp', 'udp'])}` } : {};
    if (at.hook === 'PREROUTING' || at.hook === 'OUTPUT') {
      const address = d.pick(['10.1.0.1', '10.1.0.2', '10.1.0.1-10.1.0.2', '8.8.8.8', '192.168.21.20', '10.9.0.20']);
      return d.chance(80)
        ? { ...needs, text: `DNAT --to-destination ${to(address)}` }
        : { ...needs, text: `REDIRECT${tcp ? ` --to-ports ${port()}` : ''}` };
    }
    if (at.hook === 'INPUT') return { ...needs, text: `SNAT --to-source ${to('7.7.7.9')}` };
    return d.chance(50)
      ? { ...needs, text: `MASQUERADE${d.pick(['', '', ' --random-fully', tcp ? ' --to-ports 2000-2100' : ''])}` }
      : { ...needs, text: `SNAT --to-source ${to(d.pick(['192.168.21.20', '10.9.0.21', '172.16.0.1-172.16.0.9']))}` };
  }
  if (roll < 30 && chains.length > 0) return { text: d.pick(chains) };
  if (roll < 45) return { text: 'ACCEPT' };
  if (roll < 55) return { text: 'RETURN' };
  if (roll < 62) return { text: at.table === 'nat' ? 'ACCEPT' : 'DROP' };
  if (roll < 66 && at.table === 'filter') return { text: d.pick(['REJECT', 'REJECT --reject-with icmp-admin-prohibited']) };
  if (roll < 70 && at.table === 'raw') return { text: 'CT --notrack' };
  if (roll < 70 && at.table === 'mangle') return { text: d.pick(['TTL --ttl-set 9', 'TTL --ttl-inc 1', 'TTL --ttl-dec 1', 'TOS --set-tos 0x10']) };
  if (roll < 90) {
    const text = d.pick(GOING_ON);
    // nft and legacy alike: CONNMARK is for connections, raw has none yet
    return { text };
  }
  return { text: '' };
}

function makeRule(d: Dice, chain: string, at: Place, sets: readonly MadeSet[], chains: readonly string[]): string {
  const target = makeTarget(d, at, chains);
  const proto = target.needs ?? (d.chance(45) ? makeProto(d) : '');
  const matches = d.some(0, 2, () => makeMatch(d, at, sets)).filter((m) => m !== '');
  // each match once, so that no option is given twice
  const seen = new Set<string>();
  const once = matches.filter((m) => {
    const kind =
      /^!? ?(-[a-z]( (?:mark|connmark|conntrack|set|addrtype|iprange|owner|ttl|length|tos|comment|statistic|rpfilter|mac|pkttype))?)/.exec(m)?.[1] ??
      m;
    return seen.has(kind) ? false : (seen.add(kind), true);
  });
  const jump = chains.includes(target.text) ? (d.chance(25) ? '-g' : '-j') : '-j';
  return [
    '-A',
    chain,
    ...once.filter((m) => /^(?:! )?-[sdio] /.test(m)),
    proto,
    ...once.filter((m) => !/^(?:! )?-[sdio] /.test(m)),
    target.text ? `${jump} ${target.text}` : '',
  ]
    .filter((x) => x !== '')
    .join(' ');
}

/** One table: base chains, chains of one hook, and chains that any hook may call. */
function makeTable(d: Dice, table: string, sets: readonly MadeSet[]): string[] {
  const lines: string[] = [];
  const shared = table === 'nat' ? [] : d.some(0, 2, (i) => `U${i}`);
  for (const [i, chain] of shared.entries()) {
    lines.push(`:${chain} -`, ...d.some(0, 3, () => makeRule(d, chain, { table, base: false }, sets, shared.slice(i + 1))));
  }
  for (const hook of HOOKS[table]!) {
    if (d.chance(20)) continue;
    const own = d.some(0, 2, (i) => `${hook}-${i}`);
    for (const [i, chain] of own.entries()) {
      lines.push(`:${chain} -`, ...d.some(0, 4, () => makeRule(d, chain, { table, hook, base: false }, sets, [...own.slice(i + 1), ...shared])));
    }
    if (table !== 'nat' && d.chance(8)) lines.push(`:${hook} DROP`);
    lines.push(...d.some(0, 4, () => makeRule(d, hook, { table, hook, base: true }, sets, [...own, ...shared])));
  }
  return lines;
}

/** A random node. */
export function makeLoad(d: Dice): Load {
  const sets: MadeSet[] = [];
  for (let i = d.below(5); i > 0; i--) sets.push(makeSet(d, sets.length, sets));
  const tables: { legacy: Record<string, string[]>; nft: Record<string, string[]> } = { legacy: {}, nft: {} };
  const mixed = d.chance(15);
  const usual = d.pick(['legacy', 'nft'] as const);
  for (const table of Object.keys(HOOKS)) {
    if (d.chance(table === 'filter' || table === 'nat' ? 90 : 45))
      tables[mixed ? d.pick(['legacy', 'nft'] as const) : usual][table] = makeTable(d, table, sets);
  }
  const text = (t: Tables): string | undefined => (Object.keys(t).length > 0 ? save(t) : undefined);
  const [legacy, nft] = [text(tables.legacy), text(tables.nft)];
  const ip = [
    'route add default via 10.9.0.1 dev eth1 table 100',
    'route add 7.7.0.0/16 dev cali2 table 101',
    ...[
      'rule add fwmark 0x1 lookup 100',
      'rule add fwmark 0x10/0xf0 lookup 101',
      'rule add from 10.1.0.2 lookup 100',
      'rule add iif cali1 to 7.0.0.0/8 lookup 101',
      'route add blackhole 10.96.0.0/13',
      'route add unreachable 7.7.128.0/17',
      'addr add 192.168.21.30/24 dev eth0',
      'addr add 10.9.0.30/24 dev eth1',
      'rule add ipproto udp dport 53 lookup 100',
    ].filter(() => d.chance(20)),
  ];
  const sysctls: Record<string, number> = {};
  for (const key of [
    'net.ipv4.conf.eth1.rp_filter',
    'net.ipv4.conf.eth0.route_localnet',
    'net.ipv4.conf.eth0.accept_local',
    'net.ipv4.conf.cali1.rp_filter',
  ])
    if (d.chance(15)) sysctls[key] = 1;
  return {
    ...BASE,
    ip: [...BASE.ip!, ...ip],
    sysctls,
    first: d.pick(['legacy', 'nft']),
    ...(sets.length > 0 && { ipset: sets.map((s) => s.text).join('') }),
    ...(legacy !== undefined && { legacy }),
    ...(nft !== undefined && { nft }),
  };
}

/** Addresses at the edges of every prefix that a node mentions. */
function edgesOf(load: Load): string[] {
  const text = `${load.ipset ?? ''}${load.legacy ?? ''}${load.nft ?? ''}`;
  const edges = new Set<string>();
  for (const m of text.matchAll(/\b(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?\b/g)) {
    const addr = ((Number(m[1]) << 24) | (Number(m[2]) << 16) | (Number(m[3]) << 8) | Number(m[4])) >>> 0;
    const size = 2 ** (32 - Number(m[5] ?? 32));
    for (const n of [addr - 1, addr, addr + size - 1, addr + size]) {
      const first = Math.floor(n / 0x1000000);
      if (first > 0 && first < 224 && first !== 127) edges.add([first, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.'));
    }
  }
  return [...edges];
}

function portsOf(load: Load): number[] {
  const text = `${load.ipset ?? ''}${load.legacy ?? ''}${load.nft ?? ''}`;
  const ports = new Set<number>(PORTS);
  for (const m of text.matchAll(/(?:port|ports|dports|sports|tcp:|udp:|:)[ ]?(\d{2,5})\b/g)) for (const n of [-1, 0, 1]) ports.add(Number(m[1]) + n);
  return [...ports].filter((p) => p > 0 && p < 65536);
}

/** A packet that this node's rules may care about. */
export function makeShot(d: Dice, load: Load): Shot {
  const edges = edgesOf(load);
  const address = (usual: readonly string[]): string => (edges.length > 0 && d.chance(30) ? d.pick(edges) : d.pick(usual));
  const proto = d.pick(['tcp', 'tcp', 'udp', 'udp', 'icmp']);
  const ports = portsOf(load);
  const common = {
    dst: address(TARGETS),
    proto,
    ...(proto !== 'icmp' && { sport: d.chance(60) ? 40000 : d.pick(ports), dport: d.pick(ports) }),
    ...(d.chance(10) && { tos: 0x10 }),
  };
  if (d.chance(30) && !common.dst.endsWith('.255'))
    return {
      local: true,
      ...common,
      ...(proto !== 'icmp' && d.chance(20) && { uid: 1000 }),
      ...(d.chance(20) && { mark: d.pick([1, 0x10, 0x11, 0x4000]) }),
      ...(d.chance(20) && { src: d.pick(['192.168.21.20', '10.9.0.20']) }),
    };
  const iif = d.pick(DEVICES);
  const src = d.chance(60) && iif.startsWith('cali') ? `10.1.0.${iif.slice(4)}` : address(SOURCES);
  return {
    iif,
    src,
    ...common,
    ...(proto === 'tcp' && d.chance(20) && { flags: d.pick(['ACK', 'SYN,ACK', 'RST', 'FIN,ACK']) }),
    ...(proto === 'icmp' && d.chance(20) && { type: d.pick([0, 13]) }),
    ...(d.chance(15) && { ttl: d.pick([1, 2, 63, 255]) }),
  };
}

/** The same node in IPv6: a.b.c.d/n is fd00::a.b.c.d/(96 + n), and what IPv6 calls otherwise is called so. */
export function toSix(load: Load): Load {
  const six = (text: string): string =>
    text
      .replaceAll(/(--to-destination|--to-source) ([\d.]+):(\d+)/g, '$1 [$2]:$3')
      .replaceAll(/(--to-destination|--to-source) ([\d.]+)-([\d.]+):(\d+)/g, '$1 [$2-$3]:$4')
      .replaceAll(/\b(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/g, (_, a: string, n?: string) => `fd00::${a}${n === undefined ? '' : `/${96 + Number(n)}`}`)
      .replaceAll(/^create (\S+) (hash:\S+)$/gm, 'create $1 $2 family inet6')
      .replaceAll(/icmp:([80])\/0/g, (_, t: string) => `icmpv6:${t === '8' ? 128 : 129}/0`)
      .replaceAll(/-p icmp(?=\s|$)/gm, '-p ipv6-icmp')
      .replaceAll(/--icmp-type (?:echo-request|8)/g, '--icmpv6-type 128')
      .replaceAll(/LOCAL,BROADCAST|BROADCAST/g, 'MULTICAST')
      .replaceAll(/-m ttl --ttl-/g, '-m hl --hl-')
      .replaceAll(/TTL --ttl-/g, 'HL --hl-')
      .replaceAll('icmp-admin-prohibited', 'icmp6-adm-prohibited');
  const { legacy, nft, ipset, ...rest } = load;
  return {
    ...rest,
    devs: load.devs.map((d) => ({ ...d, ...(d.addrs && { addrs: d.addrs.map(six) }) })),
    ip: load.ip!.map((l) => `-6 ${six(l)}${l.startsWith('addr') ? ' nodad' : ''}`),
    sysctls: {},
    ...(ipset !== undefined && { ipset: six(ipset) }),
    ...(legacy !== undefined && { legacy6: six(legacy) }),
    ...(nft !== undefined && { nft6: six(nft) }),
  };
}

export function shotToSix(shot: Shot): Shot {
  const { type, ...rest } = shot;
  return {
    ...rest,
    dst: `fd00::${shot.dst}`,
    ...(shot.src !== undefined && { src: `fd00::${shot.src}` }),
    ...(shot.proto === 'icmp' && { proto: 'icmpv6' }),
    ...(type === 0 && { type: 129 }),
  };
}
