// Random nodes with IPVS: a ground of devices, routes and settings, services and rules on it, and packets for them.
import type { Dice } from '../probes/dice.ts';
import type { Load, Shot } from '../probes/node.ts';
import { makeRules } from './rules.ts';
import { FOUR, makeEdit, makeServices, MARKS, printServices, REALS, SIX, VIPS, type Service, type Tongue } from './services.ts';

/** What several rule sets share: it is dear to build. */
export interface Ground {
  readonly t: Tongue;
  readonly load: Load;
}

const RULES = [
  'rule add fwmark 0x1 lookup 100',
  'rule add fwmark 0x4000/0x4000 lookup 100',
  'rule add from 10.1.0.1 lookup 100',
  'rule add from 10.96.0.1 lookup 100',
  'rule add to 10.1.5.0/24 lookup 100',
  'rule add iif cali2 lookup 100',
] as const;
const ROUTES = [
  'route add 10.1.5.0/24 via 192.168.21.11 dev eth0',
  'route add 10.1.5.8/32 via 10.9.0.1 dev eth1',
  'route add unreachable 10.1.6.0/24',
  'route add blackhole 10.1.6.0/24 metric 5',
  'route add prohibit 10.1.6.1/32',
  'route add 8.8.4.0/24 via 10.9.0.1 dev eth1 src 10.9.0.20',
] as const;

/** Devices, addresses, routes. */
export function makeGround(d: Dice, six: boolean): Ground {
  const t = six ? SIX : FOUR;
  const text = (line: string): string =>
    six
      ? `-6 ${line
          .replaceAll(/(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/g, (_, a: string, n?: string) => `fd00::${a}${n === undefined ? '' : `/${96 + Number(n)}`}`)
          .replace(/ src \S+/, '')}`
      : line;
  const vips = VIPS.slice(0, 3).map((a) => t.net(a, 32));
  const marked = d.chance(50) ? [`${six ? '-6 ' : ''}rule add fwmark ${MARKS[1]} lookup 105`, text('route add local default dev lo table 105')] : [];
  const ip = [
    'route add 10.1.0.1/32 dev cali1',
    'route add 10.1.0.2/32 dev cali2',
    'route add default via 192.168.21.1 dev eth0',
    'route add default via 10.9.0.1 dev eth1 table 100',
    ...(six ? ROUTES.filter((r) => !r.includes('metric')) : ROUTES).filter((r) => d.chance(r.includes('10.1.5.0') ? 85 : 25)),
    ...RULES.filter(() => d.chance(8)),
    ...(d.chance(20) ? ['addr add 192.168.21.30/24 dev eth0'] : []),
  ];
  const sysctls: Record<string, number> = {
    'net.ipv4.ip_forward': d.chance(4) ? 0 : 1,
    'net.ipv4.conf.all.rp_filter': d.pick([0, 0, 0, 0, 1, 2]),
    'net.ipv4.conf.eth0.rp_filter': d.pick([0, 0, 0, 1, 2]),
    'net.ipv4.conf.all.src_valid_mark': d.pick([0, 0, 1]),
    'net.ipv4.conf.eth0.route_localnet': d.pick([0, 0, 0, 1]),
    'net.ipv4.conf.cali1.accept_local': d.pick([0, 0, 0, 1]),
  };
  const load: Load = {
    devs: [
      { name: 'eth0', addrs: [t.net('192.168.21.20', 24)] },
      { name: 'eth1', addrs: [t.net('10.9.0.20', 24)] },
      { name: 'cali1' },
      { name: 'cali2' },
      // IPv6 gives no local routes to the addresses of a device that is down
      { name: 'kube-ipvs0', kind: 'dummy', addrs: vips, ...(!six && d.chance(70) && { up: false as const }) },
    ],
    ip: [...ip.map((l) => `${text(l)}${six && l.startsWith('addr') ? ' nodad' : ''}`), ...marked],
    sysctls: six ? {} : sysctls,
  };
  return { t, load };
}

/** Each setting of IPVS that may decide, with its default first and more often. */
const SETTINGS: readonly (readonly [string, readonly number[]])[] = [
  ['conntrack', [0, 1]],
  ['conn_reuse_mode', [1, 1, 1, 0, 2, 3]],
  ['expire_nodest_conn', [0, 0, 1]],
  ['expire_quiescent_template', [0, 0, 1]],
  ['sloppy_tcp', [0, 0, 0, 1]],
  ['sloppy_sctp', [0, 0, 0, 1]],
  ['schedule_icmp', [0, 0, 1]],
  ['snat_reroute', [1, 1, 0]],
  ['nat_icmp_send', [0, 0, 0, 1]],
  ['ignore_tunneled', [0, 0, 0, 1]],
  ['cache_bypass', [0, 0, 0, 1]],
];

/** A ground with rules, sets, services and settings. */
export interface Scene {
  readonly t: Tongue;
  readonly services: readonly Service[];
  readonly load: Load;
}

/** What stands on a ground for a while. */
export function makeScene(d: Dice, { t, load }: Ground): Scene {
  const services = makeServices(d, t);
  const settings = SETTINGS.map(([key, values]) => [`net.ipv4.vs.${key}`, d.pick(values)] as const);
  return {
    t,
    services,
    load: { ...load, ...makeRules(d, t, services), ipvs: printServices(services, t), sysctls: { ...load.sysctls, ...Object.fromEntries(settings) } },
  };
}

const OUTSIDE = ['8.8.8.8', '8.8.8.9', '8.8.4.4', '9.9.9.9', '192.168.21.9', '192.168.21.11'] as const;
const FLAGS = ['ACK', 'ACK', 'SYN,ACK', 'RST', 'FIN,ACK', 'PSH,ACK', ''] as const;
const OWN = ['192.168.21.20', '10.9.0.20', '10.96.0.1', '10.96.0.10'] as const;

function makeSender(d: Dice, t: Tongue): Pick<Shot, 'iif' | 'local' | 'src'> {
  const at = d.below(100);
  if (at < 45) return { iif: 'eth0', src: t.addr(d.pick(OUTSIDE)) };
  if (at < 60) return { iif: 'cali1', src: t.addr('10.1.0.1') };
  if (at < 70) return { iif: 'cali2', src: t.addr('10.1.0.2') };
  if (at < 74) return { iif: 'eth1', src: t.addr(d.pick(['10.9.0.7', '8.8.8.8'])) };
  return { local: true, ...(d.chance(30) && { src: t.addr(d.pick(OWN)) }) };
}

function makeTarget(d: Dice, { t, services }: Scene): Pick<Shot, 'dst' | 'proto' | 'dport' | 'mark'> {
  const s = d.pick(services);
  const at = d.below(100);
  const proto = s.proto ?? d.pick(['tcp', 'udp', 'sctp']);
  const port = s.port === 0 || s.mark !== undefined ? d.pick([443, 53, 8080, 1234]) : s.port;
  if (at < 80) return { dst: t.addr(s.addr), proto, dport: port };
  if (at < 84) return { dst: t.addr(s.addr), proto: d.pick(['tcp', 'udp']), dport: d.pick([443, 53, 1234]) };
  if (at < 90) return { dst: t.addr(s.addr), proto: t.six ? 'icmpv6' : 'icmp' };
  if (at < 92) return { dst: t.addr(s.addr), proto: 'gre' };
  return { dst: t.addr(d.pick([...VIPS, ...REALS, '8.8.8.8'])), proto, dport: port };
}

/** A packet for this node's services, or beside them. Ports of clients are counted, so that most connections are new. */
export function makeShot(d: Dice, scene: Scene, at: number): Shot {
  const { t } = scene;
  const target = makeTarget(d, scene);
  const sender = makeSender(d, t);
  const ported = target.dport !== undefined;
  const flags = target.proto === 'tcp' && d.chance(20) ? d.pick(FLAGS) : undefined;
  const mark = scene.services.find((s) => s.mark !== undefined)?.mark;
  const base: Shot = {
    ...sender,
    ...target,
    ...(ported && { sport: d.chance(92) ? 2000 + at : d.pick([20, 1023, 40000]) }),
    ...(flags !== undefined && { flags }),
  };
  const marking = mark !== undefined && d.chance(30) ? { mark } : d.chance(8) ? { mark: 0x4000 } : undefined;
  if (sender.local)
    return {
      ...base,
      // a marked socket may be routed to where no source fits
      ...(marking && { ...marking, src: sender.src ?? t.addr('192.168.21.20') }),
      // what makes its own header has to know its source
      ...((flags !== undefined || target.proto === 'sctp' || target.proto === 'gre') && {
        raw: true as const,
        src: sender.src ?? t.addr('192.168.21.20'),
      }),
    };
  if (d.chance(5))
    return {
      iif: sender.iif!,
      src: sender.src!,
      dst: target.dst,
      proto: t.six ? 'icmpv6' : 'icmp',
      type: t.six ? 1 : 3,
      code: t.six ? 4 : d.pick([1, 3]),
      inner: { ...target, src: target.dst, dst: sender.src!, ...(ported ? { sport: target.dport, dport: base.sport! } : { id: 1 }) },
    };
  return { ...base, ...(d.chance(6) && { ttl: d.pick([1, 2]) }) };
}

/** What follows the first packet of a connection. */
export const STEPS = [
  'answer',
  'answer',
  'answer',
  'again',
  'again',
  'ack',
  'ack',
  'answer-ack',
  'fin',
  'answer-fin',
  'reset',
  'answer-reset',
  'error',
  'back-error',
  'next',
  'elsewhere',
  'edit-again',
  'edit-ack',
  'edit-next',
] as const;
export type Step = (typeof STEPS)[number];

/** One connection, packet by packet. */
export interface Story {
  readonly first: Shot;
  readonly steps: readonly Step[];
  /** Changes to the services, one for each step that has one. */
  readonly edits: readonly string[];
  /** Where `elsewhere` goes to. */
  readonly other: Shot;
  /** Of ICMP errors: type and code in IPv4, in IPv6. */
  readonly error: readonly [number, number, number, number];
  readonly byEnd: boolean;
}

/** Half of the stories go through a whole connection, so that its old tuple can be met again. */
const WHOLE: readonly Step[] = ['answer', 'ack', 'fin', 'answer-fin', 'ack'];
const RESET: readonly Step[] = ['answer', 'ack', 'reset'];

export function makeStory(d: Dice, scene: Scene, at: number): Story {
  const plain = (shot: Shot): Shot => {
    if (shot.inner) return plain(makeShot(d, scene, at));
    const { flags: _, ttl: _t, ...rest } = shot;
    return rest;
  };
  const first = plain(makeShot(d, scene, at));
  const other = plain(makeShot(d, scene, at + 500));
  const start = d.pick([WHOLE, RESET, [], []]);
  return {
    first,
    steps: [...start, ...d.some(start.length > 0 ? 1 : 2, start.length > 0 ? 3 : 6, () => d.pick(STEPS))],
    edits: d.some(8, 8, () => makeEdit(d, scene.services, scene.t)),
    other,
    error: d.pick([
      [3, 1, 1, 3],
      [3, 3, 1, 4],
      [3, 4, 2, 0],
      [11, 0, 3, 0],
      [12, 0, 4, 0],
    ]),
    byEnd: d.chance(50),
  };
}
