// Membership: every type of set that this kernel has, its boundaries, and what the directions of a rule pick.
import { describeClaims, FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD } from './claim.ts';
import type { Shot } from './node.ts';
import { asking, SET_TYPES } from './settypes.ts';

const from = (...sources: readonly string[]): Shot[] => sources.map((src) => ({ ...FROM_OUTSIDE, src }));
const to = (...ports: readonly number[]): Shot[] => ports.map((dport) => ({ ...FROM_OUTSIDE, dport }));

describeClaims('sets of addresses', ({ claim, same }) => {
  claim(
    'hash:ip holds single addresses',
    asking('create s hash:ip\nadd s 8.8.8.8\nadd s 9.0.0.1', [
      '--match-set s src',
      '! --match-set s src',
      '--match-set s dst',
      '--match-set s src,dst',
    ]),
    from('8.8.8.7', '8.8.8.8', '9.0.0.1'),
    [/^filter FORWARD 2 ->/, /^filter FORWARD 1, filter FORWARD 4 ->/, /^filter FORWARD 1, filter FORWARD 4 ->/],
  );
  claim(
    'hash:ip with a netmask holds networks',
    asking('create s hash:ip netmask 24\nadd s 8.8.8.8\n', ['--match-set s src']),
    from('8.8.7.255', '8.8.8.0', '8.8.8.255', '8.8.9.0'),
    [/^->/, /FORWARD 1/, /FORWARD 1/, /^->/],
  );
  claim(
    'hash:ip with a bitmask compares only its bits',
    asking('create s hash:ip bitmask 255.0.0.255\nadd s 8.0.0.8\n', ['--match-set s src']),
    from('8.7.7.8', '8.8.8.9', '9.8.8.8'),
    [/FORWARD 1/, /^->/, /^->/],
  );
  claim(
    'hash:ip takes ranges when they are added',
    asking('create s hash:ip\nadd s 8.8.8.6-8.8.8.9\nadd s 9.9.9.0/30', ['--match-set s src']),
    from('8.8.8.5', '8.8.8.6', '8.8.8.9', '8.8.8.10', '9.9.9.3', '9.9.9.4'),
    [/^->/, /FORWARD 1/, /FORWARD 1/, /^->/, /FORWARD 1/, /^->/],
  );
  claim(
    'hash:net: the longest prefix decides, and nomatch excludes',
    asking('create n hash:net\nadd n 8.0.0.0/8\nadd n 8.8.8.0/24 nomatch\nadd n 8.8.8.8\nadd n 8.8.8.16/28\n', [
      '--match-set n src',
      '! --match-set n src',
      '--match-set n src --return-nomatch',
      '! --match-set n src --return-nomatch',
    ]),
    from(
      '7.255.255.255',
      '8.0.0.0',
      '8.8.7.255',
      '8.8.8.0',
      '8.8.8.8',
      '8.8.8.9',
      '8.8.8.15',
      '8.8.8.16',
      '8.8.8.31',
      '8.8.8.32',
      '8.8.9.0',
      '8.255.255.255',
      '9.0.0.0',
    ),
    Array.from('0110100110110', (c) => (c === '1' ? /^filter FORWARD 1/ : /^filter FORWARD 2/)).map((x, i) =>
      [0, 12].includes(i) ? /^filter FORWARD 2/ : [3, 5, 6, 9].includes(i) ? /^filter FORWARD 2/ : x,
    ),
  );
  claim(
    '0.0.0.0/1 and 128.0.0.0/1 together are everything',
    asking('create z hash:net\nadd z 0.0.0.0/1\nadd z 128.0.0.0/1', ['--match-set z dst', '--match-set z src']),
    [FROM_OUTSIDE, { ...FROM_OUTSIDE, src: '200.1.1.1' }],
    ['FORWARD 1, filter FORWARD 2', 'FORWARD 1, filter FORWARD 2'],
  );
  claim(
    'bitmap:ip covers its range and what was added',
    asking('create b bitmap:ip range 8.8.8.0/24\nadd b 8.8.8.8\nadd b 8.8.8.10-8.8.8.12', ['--match-set b src', '! --match-set b src']),
    from('8.8.8.7', '8.8.8.8', '8.8.8.10', '8.8.8.12', '8.8.8.13', '8.8.9.8'),
    [/FORWARD 2/, /FORWARD 1/, /FORWARD 1/, /FORWARD 1/, /FORWARD 2/, /FORWARD 2/],
  );
  claim(
    'bitmap:ip with a netmask covers networks',
    asking('create b bitmap:ip range 8.8.0.0/16 netmask 24\nadd b 8.8.8.0', ['--match-set b src']),
    from('8.8.7.255', '8.8.8.0', '8.8.8.255', '8.8.9.0'),
    [/^->/, /FORWARD 1/, /FORWARD 1/, /^->/],
  );
  claim(
    'bitmap:port has ports without a protocol, of TCP and UDP',
    asking('create p bitmap:port range 1-1000\nadd p 80\nadd p 100-102', ['--match-set p dst', '--match-set p src', '! --match-set p dst']),
    [
      ...to(79, 80, 99, 100, 102, 103),
      { ...FROM_OUTSIDE, proto: 'udp', dport: 80 },
      { ...FROM_OUTSIDE, proto: 'sctp', dport: 80 },
      { ...FROM_OUTSIDE, proto: 'icmp' },
      { ...FROM_OUTSIDE, sport: 80, dport: 9 },
      { ...FROM_OUTSIDE, proto: 'gre' },
    ],
    [/FORWARD 3/, /FORWARD 1/, /FORWARD 3/, /FORWARD 1/, /FORWARD 1/, /FORWARD 3/, /FORWARD 1/, /FORWARD/, /FORWARD/, /FORWARD 2/, /FORWARD/],
  );
  claim(
    'an empty set has no members, and its negation matches all',
    asking('create e hash:net', ['--match-set e src', '! --match-set e src']),
    FROM_OUTSIDE,
    /^filter FORWARD 2 ->/,
  );
  claim(
    'a set of IPv6 addresses never matches IPv4, in either sense of the rule',
    asking('create l list:set\ncreate six hash:ip family inet6\nadd six ::1\ncreate four hash:ip\nadd four 8.8.8.8\nadd l six\nadd l four', [
      '--match-set l src',
      '! --match-set l src',
    ]),
    [FROM_OUTSIDE, FROM_POD],
    [/FORWARD 1/, /FORWARD 2/],
  );
  same(
    'hash:net of every length, at each edge',
    asking(
      `create n hash:net\n${[1, 4, 7, 8, 9, 15, 16, 17, 23, 24, 25, 30, 31, 32].map((l) => `add n ${100 + l}.${l * 7}.${l * 5}.${l * 3}/${l}${l % 3 === 0 ? ' nomatch' : ''}`).join('\n')}`,
      ['--match-set n src', '! --match-set n src'],
    ),
    edges([1, 4, 7, 8, 9, 15, 16, 17, 23, 24, 25, 30, 31, 32].map((l) => [((100 + l) << 24) | ((l * 7) << 16) | ((l * 5) << 8) | (l * 3), l])),
  );
  same(
    'hash:net in IPv6',
    asking(
      'create n hash:net family inet6\nadd n fd00:8::/32\nadd n fd00:8:1::/48 nomatch\nadd n fd00:8:1:1::/64\nadd n fd00:9::1',
      ['--match-set n src', '! --match-set n src', '--match-set n dst'],
      '6',
    ),
    [
      'fd00:7:ffff:ffff:ffff:ffff:ffff:ffff',
      'fd00:8::',
      'fd00:8:ffff:ffff:ffff:ffff:ffff:ffff',
      'fd00:8:1::',
      'fd00:8:1:1::',
      'fd00:8:1:1:ffff:ffff:ffff:ffff',
      'fd00:8:1:2::',
      'fd00:8:2::',
      'fd00:9::1',
      'fd00:9::2',
    ].map((src): Shot => ({ ...FROM_OUTSIDE6, src })),
  );
});

/** Both ends of a prefix, and their neighbours, as sources. */
function edges(prefixes: readonly (readonly [number, number])[]): Shot[] {
  return prefixes.flatMap(([addr, length]) => {
    const mask = length === 0 ? 0 : (-1 << (32 - length)) >>> 0;
    const low = (addr & mask) >>> 0;
    const high = (low | (~mask >>> 0)) >>> 0;
    return [low - 1, low, high, high + 1]
      .filter((n) => n > 0x01000000 && n < 0xdfffffff && n >>> 24 !== 127)
      .flatMap((n) => from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join('.')));
  });
}

describeClaims('sets with ports', ({ claim, same }) => {
  claim(
    'hash:ip,port: protocols tell ports apart; ICMP has type and code in both directions; other protocols have 0',
    asking(
      'create ipp hash:ip,port\nadd ipp 10.1.0.1,icmp:8/0\nadd ipp 10.1.0.1,tcp:80\nadd ipp 10.1.0.1,47:0\nadd ipp 10.1.0.1,udp:100-102\nadd ipp 10.1.0.1,sctp:5',
      [
        '--match-set ipp dst,dst',
        '! --match-set ipp dst,dst',
        '--match-set ipp dst,src',
        '--match-set ipp dst',
        '! --match-set ipp dst',
        '--match-set ipp dst,dst,dst',
      ],
    ),
    [
      { ...FROM_OUTSIDE, proto: 'icmp' },
      { ...FROM_OUTSIDE, proto: 'icmp', code: 1 },
      ...to(80, 81),
      { ...FROM_OUTSIDE, sport: 80, dport: 9 },
      { ...FROM_OUTSIDE, proto: 'gre' },
      { ...FROM_OUTSIDE, dst: '10.1.0.2' },
      { ...FROM_OUTSIDE, proto: 'udp', dport: 80 },
      { ...FROM_OUTSIDE, proto: 'udp', dport: 100 },
      { ...FROM_OUTSIDE, proto: 'udp', dport: 103 },
      { ...FROM_OUTSIDE, proto: 'sctp', dport: 5 },
    ],
    [
      /FORWARD 1, filter FORWARD 3, filter FORWARD 5, filter FORWARD 6/,
      /^filter FORWARD 2, filter FORWARD 5 /,
      /^filter FORWARD 1, filter FORWARD 5, filter FORWARD 6/,
      /FORWARD 2/,
      'FORWARD 2, filter FORWARD 3',
      'FORWARD 1, filter FORWARD 3',
      /FORWARD 2/,
      /FORWARD 2/,
      /FORWARD 1/,
      /FORWARD 2/,
      /FORWARD 1/,
    ],
  );
  same(
    'fewer directions than dimensions never match, and more are ignored',
    asking('create a hash:ip,port,ip\nadd a 10.1.0.1,tcp:80,8.8.8.8\ncreate h hash:ip\nadd h 10.1.0.1', [
      '--match-set a dst',
      '! --match-set a dst',
      '--match-set a dst,dst',
      '! --match-set a dst,dst',
      '--match-set a dst,dst,src',
      '--match-set a dst,dst,src,src',
      '--match-set h dst,src',
      '--match-set h dst,src,dst,dst',
      '! --match-set h dst,src',
    ]),
    [...to(80, 81), ...from('8.8.8.9')],
  );
  same(
    'hash:ip,port,ip wants all three',
    asking('create a hash:ip,port,ip\nadd a 10.1.0.1,tcp:80,8.8.8.8\nadd a 10.1.0.1,udp:53,8.8.8.9\nadd a 8.8.8.8,tcp:80,10.1.0.1', [
      '--match-set a dst,dst,src',
      '! --match-set a dst,dst,src',
      '--match-set a src,dst,dst',
      '--match-set a src,src,dst',
    ]),
    [...to(80, 81), ...from('8.8.8.9'), { ...FROM_OUTSIDE, src: '8.8.8.9', proto: 'udp', dport: 53 }, { ...FROM_OUTSIDE, sport: 80 }],
  );
  same(
    'hash:ip,port,net: the longest network decides',
    asking(
      'create a hash:ip,port,net\nadd a 10.1.0.1,tcp:80,8.0.0.0/8\nadd a 10.1.0.1,tcp:80,8.8.8.0/24 nomatch\nadd a 10.1.0.1,tcp:80,8.8.8.8\nadd a 10.1.0.1,tcp:81,0.0.0.0/1',
      ['--match-set a dst,dst,src', '! --match-set a dst,dst,src'],
    ),
    [...from('8.8.8.8', '8.8.8.9', '8.8.9.0', '9.0.0.0', '8.8.7.255'), ...to(81, 82)],
  );
  same(
    'hash:net,port: the longest network decides for its own port only',
    asking(
      'create a hash:net,port\nadd a 8.0.0.0/8,tcp:80\nadd a 8.8.8.0/24,tcp:80 nomatch\nadd a 8.8.8.8,tcp:80\nadd a 8.8.8.0/24,tcp:81\nadd a 8.8.8.0/24,udp:90-92',
      ['--match-set a src,dst', '! --match-set a src,dst'],
    ),
    [
      ...from('8.8.8.8', '8.8.8.9', '8.8.9.0', '9.0.0.0', '8.8.7.255'),
      ...to(81, 82, 90),
      ...[89, 90, 92, 93].map((dport): Shot => ({ ...FROM_OUTSIDE, proto: 'udp', dport })),
    ],
  );
  same(
    'hash:ip,port in IPv6',
    asking(
      'create a hash:ip,port family inet6\nadd a fd00:1::1,tcp:80\nadd a fd00:1::1,icmpv6:128/0',
      ['--match-set a dst,dst', '! --match-set a dst,dst'],
      '6',
    ),
    [FROM_OUTSIDE6, { ...FROM_OUTSIDE6, dport: 81 }, { ...FROM_OUTSIDE6, proto: 'icmpv6' }],
  );
  same(
    'hash:net,port in IPv6',
    asking(
      'create a hash:net,port family inet6\nadd a fd00:8::/32,tcp:80\nadd a fd00:8:1::/48,tcp:80 nomatch',
      ['--match-set a src,dst', '! --match-set a src,dst'],
      '6',
    ),
    [FROM_OUTSIDE6, { ...FROM_OUTSIDE6, src: 'fd00:8:1::1' }, { ...FROM_OUTSIDE6, dport: 81 }],
  );
});

describeClaims('sets with interfaces, marks and sets', ({ claim, same }) => {
  claim(
    'hash:net,iface: src is the input device, dst the output device',
    asking('create ni hash:net,iface\nadd ni 10.1.0.0/24,eth0\nadd ni 10.1.0.0/25,cali1', [
      '--match-set ni dst,src',
      '--match-set ni dst,dst',
      '! --match-set ni dst,dst',
    ]),
    [FROM_OUTSIDE, { ...FROM_OUTSIDE, dst: '10.1.0.2' }, { ...FROM_OUTSIDE, iif: 'eth1' }],
    [/FORWARD/, /FORWARD/, /FORWARD/],
  );
  same(
    'hash:net,iface: the longest network decides, whichever interface it is for',
    asking(
      'create ni hash:net,iface\nadd ni 8.0.0.0/8,eth0\nadd ni 8.8.8.0/24,eth1\nadd ni 8.8.8.8,eth0 nomatch\nadd ni 9.0.0.0/8,et+\nadd ni 9.0.0.0/8,et wildcard\nadd ni 10.0.0.0/8,eth wildcard nomatch\nadd ni 10.0.0.0/8,et+\nadd ni 9.9.9.0/24,eth1 nomatch',
      ['--match-set ni src,src', '! --match-set ni src,src', '--match-set ni src,dst'],
    ),
    ['eth0', 'eth1', 'cali2'].flatMap((iif) => from('8.8.8.8', '8.8.8.9', '8.8.9.0', '9.9.9.9', '9.0.0.0', '10.0.0.1').map((s) => ({ ...s, iif }))),
  );
  same(
    'list:set tries its members in order, with the same directions',
    asking(
      'create n hash:net\nadd n 8.0.0.0/8\nadd n 8.8.8.0/24 nomatch\ncreate p hash:ip,port\nadd p 8.8.8.8,tcp:80\ncreate l list:set\nadd l n\nadd l p\ncreate m list:set\nadd m p',
      ['--match-set l src', '--match-set l src,dst', '! --match-set l src', '! --match-set l src,dst', '--match-set m src', '! --match-set m src'],
    ),
    [...from('8.8.8.8', '8.8.8.9', '8.8.9.0', '9.0.0.0'), ...to(81)],
  );
  same(
    'list:set with a timeout and an empty one',
    asking(
      'create h hash:ip timeout 600\nadd h 8.8.8.8 timeout 300\nadd h 8.8.8.9 timeout 0\ncreate e list:set\ncreate l list:set size 4 timeout 500\nadd l h',
      ['--match-set l src', '--match-set e src', '! --match-set e src', '--match-set h src'],
    ),
    from('8.8.8.8', '8.8.8.9', '8.8.8.10'),
  );
  same(
    'counters, comments and skbinfo do not change membership',
    asking(
      'create h hash:ip counters comment skbinfo\nadd h 8.8.8.8 packets 5 bytes 6 comment "some words, 9.9.9.9" skbmark 0x1/0xf\ncreate n hash:net counters\nadd n 8.8.0.0/16 packets 1 bytes 2',
      ['--match-set h src', '--match-set n src', '--match-set h dst'],
    ),
    from('8.8.8.8', '8.8.8.9', '9.9.9.9'),
  );
});

describeClaims('every type of set that this kernel has', ({ same }) => {
  for (const t of SET_TYPES) if (!t.rare) same(t.title, t.load, t.shots);
});

describeClaims('sets in either backend and hook', ({ both }) => {
  const sets = 'create pods hash:net\nadd pods 10.1.0.0/16\ncreate all hash:net\nadd all 10.1.0.0/16\n';
  both(
    'masquerading what leaves the pools, and nothing else',
    { nat: ['-A POSTROUTING -m set --match-set pods src -m set ! --match-set all dst -j MASQUERADE'] },
    [FROM_POD, { ...FROM_POD, dst: '10.1.0.2' }, { ...FROM_POD, dst: '10.9.0.7' }],
    ['out eth0 192.168.21.20', 'out cali2 10.1.0.1', 'out eth1 10.9.0.20'],
    { ipset: sets },
  );
  both(
    'a pool that covers the network leaks the address of the pod',
    { nat: ['-A POSTROUTING -m set --match-set pods src -m set ! --match-set all dst -j MASQUERADE'] },
    [{ ...FROM_POD, dst: '10.9.0.7' }],
    ['out eth1 10.1.0.1'],
    { ipset: `${sets}add all 10.9.0.0/16\n` },
  );
  both(
    'at PREROUTING there is no output device for hash:net,iface',
    {
      raw: [
        '-A PREROUTING -m set --match-set ni dst,dst',
        '-A PREROUTING -m set ! --match-set ni dst,dst',
        '-A PREROUTING -m set --match-set ni src,src',
        '-A OUTPUT -m set --match-set ni src,src',
        '-A OUTPUT -m set ! --match-set ni src,src',
        '-A OUTPUT -m set --match-set ni dst,dst',
      ],
    },
    [FROM_OUTSIDE, { local: true, dst: '8.8.8.8' }],
    [/PREROUTING 2/, /OUTPUT/],
    { ipset: 'create ni hash:net,iface\nadd ni 10.1.0.0/24,cali1\nadd ni 8.8.8.0/24,eth0\nadd ni 192.168.21.0/24,eth0\n' },
  );
});
