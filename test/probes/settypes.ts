// Every type of set, in both families: what it holds, what is asked of it, and packets at the edges of that.
import { BASE, BASE6, FROM_OUTSIDE, FROM_OUTSIDE6, load, save } from './claim.ts';
import type { Load, Shot } from './node.ts';

/** One FORWARD rule for each match. */
export function asking(sets: string, matches: readonly string[], family: '' | '6' = ''): Load {
  const rules = matches.map((m) => `-A FORWARD -m set ${m}`);
  return load(family ? BASE6 : BASE, { ipset: `${sets.trim()}\n`, [`legacy${family}`]: save({ filter: rules }) });
}

interface SetType {
  readonly title: string;
  readonly load: Load;
  readonly shots: readonly Shot[];
  /** Most kernels are built without it. */
  readonly rare?: true;
}

/** The directions with which a set of so many dimensions is asked. */
function matchesFor(dimensions: number): string[] {
  const all = Array.from({ length: 2 ** dimensions }, (_, n) => Array.from({ length: dimensions }, (_x, i) => ((n >> i) & 1 ? 'dst' : 'src')).join());
  const long = all[0]!;
  const asked = [...all.flatMap((by) => [`--match-set s ${by}`, `! --match-set s ${by}`]), `--match-set s ${long},dst`];
  const few = dimensions > 1 ? [`--match-set s ${long.slice(4)}`, `! --match-set s ${long.slice(4)}`] : [];
  return [...asked, ...few, `--match-set s ${long} --return-nomatch`, `! --match-set s ${long} --return-nomatch`];
}

function typed(
  type: string,
  family: 4 | 6,
  elements: readonly string[],
  shots: readonly Partial<Shot>[],
  more: Partial<SetType> & { extra?: string[] } = {},
): SetType {
  const dimensions = type.split(' ')[0]!.split(',').length;
  const base = family === 4 ? FROM_OUTSIDE : FROM_OUTSIDE6;
  const { extra = [], ...rest } = more;
  const options = family === 4 ? type : type.replace(/^\S+/, '$& family inet6');
  const sets = [`create s ${options}`, ...elements.map((e) => `add s ${e}`)].join('\n');
  return {
    title: `${type} in IPv${family}`,
    load: asking(sets, [...matchesFor(dimensions), ...extra], family === 4 ? '' : '6'),
    shots: shots.map((s) => ({ ...base, ...s })),
    ...rest,
  };
}

const src = (...list: readonly string[]): Partial<Shot>[] => list.map((s) => ({ src: s }));
const MAC = '06:00:00:00:00:01';
const OTHER_MAC = '06:00:00:00:00:02';
const rare = true;

export const SET_TYPES: readonly SetType[] = [
  typed('hash:ip', 4, ['8.8.8.8', '9.0.0.0/30'], src('8.8.8.7', '8.8.8.8', '8.255.255.255', '9.0.0.0', '9.0.0.3', '9.0.0.4')),
  typed('hash:ip', 6, ['fd00:8::8', 'fd00:8::a'], src('fd00:8::7', 'fd00:8::8', 'fd00:8::9', 'fd00:8::a')),
  typed('hash:ip netmask 20', 4, ['8.8.16.1'], src('8.8.15.255', '8.8.16.0', '8.8.31.255', '8.8.32.0')),
  typed('hash:ip netmask 48', 6, ['fd00:8:1::'], src('fd00:8:0:ffff::', 'fd00:8:1::', 'fd00:8:1:ffff::1', 'fd00:8:2::')),
  typed('hash:ip bitmask 255.0.255.0', 4, ['8.0.8.0'], src('8.9.8.7', '8.9.9.7', '9.9.8.7')),
  typed('hash:ip bitmask ffff:0:ffff::', 6, ['fd00:8:1::'], src('fd00:9:1::7', 'fd00:9:2::7', 'fd01:9:1::7')),
  typed('hash:ip,port bitmask 255.0.0.255', 4, ['8.0.0.8,tcp:80'], [...src('8.1.2.8', '8.1.2.9'), { src: '8.1.2.8', dport: 81 }]),
  typed('hash:ip,port netmask 24', 4, ['8.8.8.0,tcp:80'], [...src('8.8.8.255', '8.8.9.0'), { src: '8.8.8.1', dport: 81 }]),
  typed('hash:ip,port netmask 64', 6, ['fd00:8::,tcp:80'], [...src('fd00:8::1', 'fd00:8:0:1::1'), { dport: 81 }]),
  typed('hash:net', 4, ['8.0.0.0/8', '8.8.8.0/24 nomatch', '8.8.8.8'], src('7.255.255.255', '8.0.0.0', '8.8.8.0', '8.8.8.8', '8.8.9.0', '9.0.0.0')),
  typed(
    'hash:net',
    6,
    ['fd00:8::/32', 'fd00:8:1::/48 nomatch', 'fd00:8:1::8'],
    src('fd00:7:ffff::', 'fd00:8::', 'fd00:8:1::', 'fd00:8:1::8', 'fd00:8:2::', 'fd00:9::'),
  ),
  typed(
    'hash:ip,port',
    4,
    ['8.8.8.8,tcp:80', '8.8.8.8,udp:53', '8.8.8.8,sctp:80', '8.8.8.8,udplite:80', '8.8.8.8,icmp:8/0', '8.8.8.8,47:0'],
    [
      {},
      { dport: 81 },
      { sport: 80, dport: 9 },
      ...['udp', 'sctp', 'udplite', 'icmp', 'gre'].map((proto) => ({ proto })),
      { proto: 'udp', dport: 53 },
    ],
  ),
  typed(
    'hash:ip,port',
    6,
    ['fd00:8::8,tcp:80', 'fd00:8::8,udp:53', 'fd00:8::8,icmpv6:128/0'],
    [{}, { dport: 81 }, { sport: 80, dport: 9 }, { proto: 'udp', dport: 53 }, { proto: 'icmpv6' }, { proto: 'icmpv6', type: 129 }],
  ),
  typed('hash:ip,port,ip', 4, ['8.8.8.8,tcp:80,10.1.0.1'], [{}, { src: '8.8.8.9' }, { dst: '10.1.0.2' }, { dport: 81 }]),
  typed('hash:ip,port,ip', 6, ['fd00:8::8,tcp:80,fd00:1::1'], [{}, { src: 'fd00:8::9' }, { dst: 'fd00:1::2' }, { dport: 81 }]),
  typed(
    'hash:ip,port,net',
    4,
    ['8.8.8.8,tcp:80,10.0.0.0/8', '8.8.8.8,tcp:80,10.1.0.0/31 nomatch', '8.8.8.8,udp:80,10.1.0.1'],
    [{}, { dst: '10.1.0.2' }, { proto: 'udp' }, { src: '8.8.8.9' }],
  ),
  typed(
    'hash:ip,port,net',
    6,
    ['fd00:8::8,tcp:80,fd00::/16', 'fd00:8::8,tcp:80,fd00:1::2/127 nomatch', 'fd00:8::8,udp:80,fd00:1::1'],
    [{}, { dst: 'fd00:1::2' }, { proto: 'udp' }, { src: 'fd00:8::9' }],
  ),
  typed(
    'hash:net,port',
    4,
    ['8.0.0.0/8,tcp:80', '8.8.8.0/24,tcp:80 nomatch', '8.8.8.0/24,udp:80', '10.1.0.0/24,tcp:40000'],
    [{}, { src: '8.8.9.0' }, { proto: 'udp' }, { proto: 'udp', src: '8.8.9.0' }, { dport: 81 }],
  ),
  typed(
    'hash:net,port',
    6,
    ['fd00:8::/32,tcp:80', 'fd00:8::/64,tcp:80 nomatch', 'fd00:8::/64,udp:80', 'fd00:1::/64,tcp:40000'],
    [{}, { src: 'fd00:8:1::' }, { proto: 'udp' }, { proto: 'udp', src: 'fd00:8:1::' }, { dport: 81 }],
  ),
  typed(
    'hash:net,iface',
    4,
    ['8.0.0.0/8,eth0', '8.8.8.0/24,eth1', '9.0.0.0/8,eth wildcard', '10.0.0.0/8,physdev:eth0', '10.1.0.1,cali1 nomatch', '0.0.0.0/0,cali wildcard'],
    [
      ...src('8.8.8.8', '8.8.9.8', '9.9.9.9', '10.0.0.9', '11.0.0.1'),
      { iif: 'eth1' },
      { iif: 'eth1', src: '9.9.9.9' },
      { iif: 'cali2', src: '11.0.0.1' },
    ],
  ),
  typed(
    'hash:net,iface',
    6,
    ['fd00:8::/32,eth0', 'fd00:8::/64,eth1', 'fd00:9::/32,eth wildcard', 'fd00:1::1,cali1 nomatch'],
    [...src('fd00:8::8', 'fd00:8:1::8', 'fd00:9::99', 'fd00:a::1'), { iif: 'eth1' }, { iif: 'eth1', src: 'fd00:9::99' }],
  ),
  typed('bitmap:ip range 8.8.8.0-8.8.8.20', 4, ['8.8.8.8', '8.8.8.18-8.8.8.20'], src('8.8.8.7', '8.8.8.8', '8.8.8.18', '8.8.8.20', '8.8.8.21')),
  typed('bitmap:ip range 8.8.0.0/16 netmask 24', 4, ['8.8.8.0'], src('8.8.7.255', '8.8.8.0', '8.8.8.255', '8.8.9.0', '9.0.0.0')),
  typed(
    'bitmap:ip,mac range 8.8.8.0/24',
    4,
    [`8.8.8.8,${MAC}`, '8.8.8.9,02:00:00:00:00:02'],
    [...src('8.8.8.7', '8.8.8.8', '8.8.8.9', '8.8.9.8'), { mac: OTHER_MAC }, { src: '8.8.8.9', mac: OTHER_MAC }],
  ),
  typed(
    'bitmap:port range 1-1000',
    4,
    ['80', '100-102'],
    [{}, { dport: 99 }, { dport: 102 }, { sport: 80 }, { proto: 'udp' }, { proto: 'sctp' }, { proto: 'icmp' }],
  ),
  typed('hash:ip,mark', 4, ['8.8.8.8,0x0', '10.1.0.1,0x10'], src('8.8.8.8', '8.8.8.9'), { rare }),
  typed('hash:ip,mark', 6, ['fd00:8::8,0x0'], src('fd00:8::8', 'fd00:8::9'), { rare }),
  {
    title: 'hash:ip,mark compares the mark under the markmask',
    load: {
      ...asking('', []),
      ipset: 'create m hash:ip,mark markmask 0xff\nadd m 8.8.8.8,0x11\n',
      legacy: save({
        raw: ['-A PREROUTING -p tcp --dport 81 -j MARK --set-mark 0x111', '-A PREROUTING -p tcp --dport 82 -j MARK --set-mark 0x12'],
        filter: ['-A FORWARD -m set --match-set m src,src', '-A FORWARD -m set ! --match-set m src,src', '-A FORWARD -m set --match-set m src,dst'],
        mangle: ['-A POSTROUTING -j MARK --set-mark 0'],
      }),
    },
    shots: [...[80, 81, 82].map((dport) => ({ ...FROM_OUTSIDE, dport })), { ...FROM_OUTSIDE, src: '8.8.8.9' }],
    rare,
  },
  typed('hash:mac', 4, [MAC, '02:00:00:00:00:02'], [{}, { mac: OTHER_MAC }, { iif: 'eth1' }], { rare }),
  typed('hash:ip,mac', 4, [`8.8.8.8,${MAC}`, '10.1.0.1,02:00:00:00:00:02'], [{}, { mac: OTHER_MAC }, { src: '8.8.8.9' }], { rare }),
  typed('hash:ip,mac', 6, [`fd00:8::8,${MAC}`, 'fd00:1::1,02:00:00:00:00:02'], [{}, { mac: OTHER_MAC }, { src: 'fd00:8::9' }], { rare }),
  typed(
    'hash:net,net',
    4,
    ['8.0.0.0/8,10.1.0.0/16', '8.8.8.0/24,10.1.0.0/24 nomatch', '8.8.8.8,10.1.0.0/24', '8.8.8.0/24,10.1.0.1'],
    ['10.1.0.1', '10.1.0.2'].flatMap((dst) => src('8.8.8.8', '8.8.8.9', '8.8.9.0', '9.0.0.0').map((s) => ({ ...s, dst }))),
    { rare },
  ),
  typed(
    'hash:net,net',
    6,
    ['fd00:8::/32,fd00:1::/32', 'fd00:8::/64,fd00:1::/64 nomatch', 'fd00:8::8,fd00:1::/64', 'fd00:8::/64,fd00:1::1'],
    ['fd00:1::1', 'fd00:1::2'].flatMap((dst) => src('fd00:8::8', 'fd00:8::9', 'fd00:8:1::', 'fd00:9::1').map((s) => ({ ...s, dst }))),
    { rare },
  ),
  typed(
    'hash:net,port,net',
    4,
    ['8.0.0.0/8,tcp:80,10.1.0.0/16', '8.8.8.0/24,tcp:80,10.1.0.0/24 nomatch', '8.8.8.8,tcp:80,10.1.0.0/24', '8.8.8.0/24,tcp:80-81,10.1.0.1'],
    [...['10.1.0.1', '10.1.0.2'].flatMap((dst) => src('8.8.8.8', '8.8.8.9', '8.8.9.0').map((s) => ({ ...s, dst }))), { dport: 81 }, { dport: 82 }],
    { rare },
  ),
  typed(
    'hash:net,port,net',
    6,
    ['fd00:8::/32,tcp:80,fd00:1::/32', 'fd00:8::/64,tcp:80,fd00:1::/64 nomatch', 'fd00:8::8,tcp:80,fd00:1::/64'],
    ['fd00:1::1', 'fd00:1::2'].flatMap((dst) => src('fd00:8::8', 'fd00:8::9', 'fd00:8:1::').map((s) => ({ ...s, dst }))),
    { rare },
  ),
];
