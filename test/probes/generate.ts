// Random nodes: a ground of addresses, routes and settings, rules and sets on it, and packets aimed at the boundaries they mention.
import { BASE, save, type Tables } from './claim.ts';
import type { Dice } from './dice.ts';
import { DEVICES, HOOKS, makeMatch, makeSet, makeTarget, PORTS, PROTOCOLS, SOURCES, TARGETS, type MadeSet, type Place } from './language.ts';
import type { Load, Ruleset, Shot } from './node.ts';

function makeRule(d: Dice, chain: string, at: Place, chains: readonly string[]): string {
  const target = makeTarget(d, at, chains);
  const proto = target.needs ?? (d.chance(45) ? d.pick(PROTOCOLS)(d, () => (d.chance(20) ? '! ' : '')) : '');
  // each match once, so that no option is given twice
  const matches = new Map(d.some(0, 2, () => makeMatch(d, at)).flatMap((m) => (m ? [[m.kind, m.text] as const] : [])));
  const texts = [...matches.values()];
  const early = (m: string): boolean => /^(?:! )?-[sdio] /.test(m);
  const jump = chains.includes(target.text) && d.chance(25) ? '-g' : '-j';
  return ['-A', chain, ...texts.filter(early), proto, ...texts.filter((m) => !early(m)), target.text ? `${jump} ${target.text}` : '']
    .filter((x) => x !== '')
    .join(' ');
}

/** One table: base chains, chains of one hook, and chains that any hook may call. */
function makeTable(d: Dice, table: string, sets: readonly MadeSet[], six: boolean): string[] {
  const lines: string[] = [];
  const at = { table, sets, six };
  const shared = table === 'nat' ? [] : d.some(0, 2, (i) => `U${i}`);
  for (const [i, chain] of shared.entries()) {
    lines.push(`:${chain} -`, ...d.some(0, 3, () => makeRule(d, chain, { ...at, base: false }, shared.slice(i + 1))));
  }
  for (const hook of HOOKS[table]!) {
    if (d.chance(20)) continue;
    const own = d.some(0, 2, (i) => `${hook}-${i}`);
    for (const [i, chain] of own.entries()) {
      lines.push(`:${chain} -`, ...d.some(0, 4, () => makeRule(d, chain, { ...at, hook, base: false }, [...own.slice(i + 1), ...shared])));
    }
    if (table !== 'nat' && d.chance(8)) lines.push(`:${hook} DROP`);
    lines.push(...d.some(0, 4, () => makeRule(d, hook, { ...at, hook, base: true }, [...own, ...shared])));
  }
  return lines;
}

/** What rules stand on: it is dear to build, so several rule sets share one. */
export interface Ground {
  readonly load: Load;
  readonly backend: 'legacy' | 'nft';
  /** A table may be of either backend. */
  readonly mixed: boolean;
  readonly six: boolean;
}

const ROUTES = [
  'route add blackhole 10.96.0.0/13',
  'route add unreachable 7.7.128.0/17',
  'route add prohibit 10.96.0.2/32',
  'route add throw 7.7.7.0/24 table 101',
  'route add 8.8.8.0/24 via 10.9.0.1 dev eth1 src 10.9.0.20',
  'route add 8.8.8.0/25 via 10.9.0.1 dev eth1 metric 50',
  'route add 8.8.8.8/32 via 192.168.21.9 dev eth0 table 102',
  'route add 10.1.0.0/24 dev cali2',
  'route add local 10.96.0.1/32 dev lo',
  'route add 7.7.7.0/24 dev cali2 mtu 1300',
  'link set cali2 mtu 1400',
];
const ADDRESSES = [
  'addr add 192.168.21.30/24 dev eth0',
  'addr add 10.9.0.30/24 dev eth1',
  'addr add 172.16.0.5/16 dev cali1',
  'addr add 10.96.0.2/32 dev lo',
];
const RULES = [
  'rule add fwmark 0x1 lookup 100',
  'rule add fwmark 0x10/0xf0 lookup 101',
  'rule add from 10.1.0.2 lookup 100',
  'rule add iif cali1 to 7.0.0.0/8 lookup 101',
  'rule add ipproto udp dport 53 lookup 100',
  'rule add ipproto tcp sport 1024-40000 lookup 102',
  'rule add not fwmark 0x4000/0x4000 to 8.8.0.0/16 lookup 102',
  'rule add to 7.7.128.0/17 prohibit',
  'rule add uidrange 1000-1000 lookup 100',
  'rule add tos 0x10 lookup 101',
  'rule add oif eth1 lookup 102',
  'rule add iif lo lookup 102',
  'rule add priority 32000 lookup main suppress_prefixlength 0',
];
const SETTINGS: readonly (readonly [string, number])[] = [
  ['net.ipv4.conf.eth1.rp_filter', 1],
  ['net.ipv4.conf.eth0.route_localnet', 1],
  ['net.ipv4.conf.eth0.accept_local', 1],
  ['net.ipv4.conf.cali1.rp_filter', 1],
  ['net.ipv4.conf.all.rp_filter', 2],
  ['net.ipv4.conf.all.src_valid_mark', 1],
  ['net.ipv4.conf.cali2.forwarding', 0],
  ['net.ipv4.conf.eth0.rp_filter', 2],
  ['net.netfilter.nf_conntrack_tcp_loose', 0],
];

/** Addresses, routes, policy rules and settings. */
export function makeGround(d: Dice, six: boolean): Ground {
  const ip = [
    'route add default via 10.9.0.1 dev eth1 table 100',
    'route add 7.7.0.0/16 dev cali2 table 101',
    'route add 7.0.0.0/8 via 192.168.21.7 dev eth0 table 102',
    ...[...ADDRESSES, ...ROUTES, ...RULES].filter(() => d.chance(17)),
  ];
  const sysctls: Record<string, number> = {};
  for (const [key, value] of SETTINGS) if (d.chance(12)) sysctls[key] = value;
  if (d.chance(4)) sysctls['net.ipv4.ip_forward'] = 0;
  const load: Load = { ...BASE, ip: [...BASE.ip!, ...ip], sysctls, first: d.pick(['legacy', 'nft']) };
  return { load, backend: d.pick(['legacy', 'nft'] as const), mixed: d.chance(12), six };
}

/** Rules and sets; `before` are rules that a table begins with. */
export function makeRuleset(d: Dice, { backend, mixed, six }: Ground, before: Readonly<Record<string, readonly string[]>> = {}): Ruleset {
  const sets: MadeSet[] = [];
  for (let i = d.below(5); i > 0; i--) sets.push(makeSet(d, sets.length, sets, six));
  const tables: { legacy: Record<string, string[]>; nft: Record<string, string[]> } = { legacy: {}, nft: {} };
  for (const table of Object.keys(HOOKS)) {
    if (d.chance(table === 'filter' || table === 'nat' ? 90 : 45))
      tables[mixed ? d.pick(['legacy', 'nft'] as const) : backend][table] = makeTable(d, table, sets, six);
  }
  for (const [table, rules] of Object.entries(before)) {
    const holder = [tables.legacy, tables.nft].find((t) => t[table]) ?? tables[backend];
    holder[table] = [...rules, ...(holder[table] ?? [])];
  }
  const text = (t: Tables): string | undefined => (Object.keys(t).length > 0 ? save(t) : undefined);
  const [legacy, nft] = [text(tables.legacy), text(tables.nft)];
  return {
    ...(sets.length > 0 && { ipset: sets.map((s) => s.text).join('') }),
    ...(legacy !== undefined && { legacy }),
    ...(nft !== undefined && { nft }),
  };
}

/** Addresses at the edges of every prefix that a node mentions. */
function edgesOf(load: Load): string[] {
  const text = `${load.ipset ?? ''}${load.legacy ?? ''}${load.nft ?? ''}${load.ruleset ?? ''}`;
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
  const text = `${load.ipset ?? ''}${load.legacy ?? ''}${load.nft ?? ''}${load.ruleset ?? ''}`;
  const ports = new Set<number>(PORTS);
  for (const m of text.matchAll(/(?:port|ports|dports|sports|tcp:|udp:|:)[ ]?(\d{2,5})\b/g)) for (const n of [-1, 0, 1]) ports.add(Number(m[1]) + n);
  return [...ports].filter((p) => p > 0 && p < 65536);
}

/** UDP-Lite, DCCP, ESP, AH. */
const RARE = ['udplite', 'udplite', 'dccp', 'esp', 'ah'];
const PORTED = ['tcp', 'udp', 'sctp', 'udplite', 'dccp'];
const FLAGS = ['ACK', 'ACK', 'SYN,ACK', 'RST', 'FIN,ACK', 'PSH,ACK', 'RST,ACK', 'SYN,FIN', 'SYN,RST', 'FIN', ''];
const ALL_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];
/** ICMP types, errors that quote nothing among them, and what stands in for each in IPv6. */
const MESSAGES = [0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 30, 40];
const MESSAGES6: Readonly<Record<number, number>> = {
  0: 129,
  3: 1,
  4: 2,
  5: 137,
  8: 128,
  9: 134,
  10: 133,
  11: 3,
  12: 4,
  13: 130,
  14: 131,
  15: 139,
  16: 140,
  17: 132,
  18: 143,
  30: 136,
  40: 200,
};

/** A packet that this node's rules may care about. */
export function makeShot(d: Dice, load: Load): Shot {
  const edges = edgesOf(load);
  const address = (usual: readonly string[]): string => (edges.length > 0 && d.chance(30) ? d.pick(edges) : d.pick(usual));
  const proto = d.pick(['tcp', 'tcp', 'tcp', 'tcp', 'udp', 'udp', 'udp', 'udp', 'icmp', 'icmp', d.pick(['sctp', 'gre']), d.pick(RARE)]);
  const ports = portsOf(load);
  const hasPorts = PORTED.includes(proto);
  const common = {
    dst: address(TARGETS),
    proto,
    ...(hasPorts && { sport: d.chance(60) ? 40000 : d.pick(ports), dport: d.pick(ports) }),
    ...(d.chance(15) && { tos: d.pick([0x10, 0x20, 0x28]) }),
  };
  if (d.chance(30) && !common.dst.endsWith('.255'))
    return {
      local: true,
      ...common,
      ...((proto === 'tcp' || proto === 'udp') && d.chance(20) && { uid: 1000 }),
      ...(proto === 'icmp' && d.chance(20) && { type: d.pick(MESSAGES), code: d.below(2) }),
      ...(d.chance(20) && { mark: d.pick([1, 0x10, 0x11, 0x4000]) }),
      // what sums its own header has to know its source
      ...((d.chance(20) || proto === 'udplite' || proto === 'dccp') && { src: d.pick(['192.168.21.20', '10.9.0.20']) }),
    };
  const iif = d.pick(DEVICES);
  const wanted = d.chance(60) && iif.startsWith('cali') ? `10.1.0.${iif.slice(4)}` : address(SOURCES);
  // an answer to a broadcast address comes back here, and hides what became of the packet
  const src = /^(?:10\.9\.0|192\.168\.21|172\.16\.255)\.255$/.test(wanted) ? '8.8.8.8' : wanted;
  return {
    iif,
    src,
    ...common,
    ...(proto === 'tcp' && d.chance(30) && { flags: d.chance(60) ? d.pick(FLAGS) : ALL_FLAGS.filter(() => d.chance(40)).join() }),
    ...(proto === 'icmp' && d.chance(40) && { type: d.pick(MESSAGES), code: d.below(2) }),
    ...(proto === 'udp' && d.chance(10) && { pad: d.pick([1240, 1340, 1440]) }),
    ...(d.chance(6) && { mac: '06:00:00:00:00:02' }),
    ...(d.chance(15) && { ttl: d.pick([1, 2, 9, 10, 62, 63, 65, 255]) }),
  };
}

const REJECTS6: Readonly<Record<string, string>> = {
  'icmp-net-unreachable': 'icmp6-no-route',
  'icmp-host-unreachable': 'icmp6-addr-unreachable',
  'icmp-proto-unreachable': 'icmp6-reject-route',
  'icmp-port-unreachable': 'icmp6-port-unreachable',
  'icmp-net-prohibited': 'icmp6-policy-fail',
  'icmp-host-prohibited': 'icmp6-adm-prohibited',
  'icmp-admin-prohibited': 'icmp6-adm-prohibited',
};

/** The same node in IPv6: a.b.c.d/n is fd00::a.b.c.d/(96 + n), and what IPv6 calls otherwise is called so. */
export function toSix(load: Load): Load {
  const six = (text: string): string =>
    text
      .replaceAll(/(--to-destination|--to-source) ([\d.]+):(\d+)/g, '$1 [$2]:$3')
      .replaceAll(/(--to-destination|--to-source) ([\d.]+)-([\d.]+):(\d+)/g, '$1 [$2-$3]:$4')
      .replaceAll(/\b(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/g, (_, a: string, n?: string) => `fd00::${a}${n === undefined ? '' : `/${96 + Number(n)}`}`)
      .replaceAll(/^create (\S+) (hash:\S+)/gm, 'create $1 $2 family inet6')
      .replaceAll(' netmask 24', ' netmask 120')
      .replaceAll('--icmp-type echo-reply', '--icmpv6-type 129')
      .replaceAll(/icmp:([80])\/0/g, (_, t: string) => `icmpv6:${t === '8' ? 128 : 129}/0`)
      .replaceAll(/-p icmp(?=\s|$)/gm, '-p ipv6-icmp')
      .replaceAll(/--icmp-type (?:echo-request|8)/g, '--icmpv6-type 128')
      .replaceAll(/LOCAL,BROADCAST|BROADCAST/g, 'MULTICAST')
      .replaceAll('-type BLACKHOLE', '-type UNREACHABLE')
      .replaceAll(/^rule add tos 0x10 /g, 'rule add dsfield 0x10 ')
      .replaceAll(/-m ttl (! )?--ttl-/g, (_, not: string | undefined) => `-m hl ${not ?? ''}--hl-`)
      .replaceAll(/TTL --ttl-/g, 'HL --hl-')
      .replaceAll(/icmp-(?:net|host|proto|port|admin)-(?:unreachable|prohibited)/g, (words) => REJECTS6[words]!);
  const { legacy, nft, ipset, ...rest } = load;
  return {
    ...rest,
    devs: load.devs.map((d) => ({ ...d, ...(d.addrs && { addrs: d.addrs.map(six) }) })),
    // the source towards a local route that no address made is the kernel's riddle in IPv6
    ip: load.ip!.filter((l) => !l.startsWith('route add local')).map((l) => `-6 ${six(l)}${l.startsWith('addr') ? ' nodad' : ''}`),
    sysctls: Object.fromEntries(Object.entries(load.sysctls ?? {}).filter(([key]) => !key.startsWith('net.ipv4.'))),
    ...(ipset !== undefined && { ipset: six(ipset) }),
    ...(legacy !== undefined && { legacy6: six(legacy) }),
    ...(nft !== undefined && { nft6: six(nft) }),
  };
}

export function shotToSix(shot: Shot): Shot {
  const { type, proto, ...rest } = shot;
  return {
    ...rest,
    dst: `fd00::${shot.dst}`,
    ...(shot.src !== undefined && { src: `fd00::${shot.src}` }),
    // AH is an extension header there, and no protocol
    ...(proto !== undefined && { proto: proto === 'icmp' ? 'icmpv6' : proto === 'ah' ? 'esp' : proto }),
    ...(type !== undefined && { type: MESSAGES6[type]! }),
  };
}
