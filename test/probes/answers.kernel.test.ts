// What the sender of a refused packet hears: the kernel's answer, its kind, its addresses and its way out.
import { BASE, BASE6, describeClaims, FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD, load, save, type Tables } from './claim.ts';
import type { Shot } from './node.ts';

const LOCAL: Shot = { local: true, dst: '8.8.8.8', proto: 'udp', dport: 53 };
const LOCAL6: Shot = { ...LOCAL, dst: 'fd00:8::8' };

describeClaims('REJECT answers', ({ both, both6 }) => {
  const kinds: readonly (readonly [string, string])[] = [
    ['icmp-net-unreachable', '3/0'],
    ['icmp-host-unreachable', '3/1'],
    ['icmp-proto-unreachable', '3/2'],
    ['icmp-port-unreachable', '3/3'],
    ['icmp-net-prohibited', '3/9'],
    ['icmp-host-prohibited', '3/10'],
    ['icmp-admin-prohibited', '3/13'],
  ];
  for (const [words, kind] of kinds) {
    both(
      `with ${words}`,
      { filter: [`-A FORWARD -j REJECT --reject-with ${words}`] },
      FROM_OUTSIDE,
      `-> gone [${kind} 192.168.21.20 > 8.8.8.8 by eth0]`,
    );
  }
  const kinds6: readonly (readonly [string, string])[] = [
    ['icmp6-no-route', '1/0'],
    ['icmp6-adm-prohibited', '1/1'],
    ['icmp6-addr-unreachable', '1/3'],
    ['icmp6-port-unreachable', '1/4'],
    ['icmp6-policy-fail', '1/5'],
    ['icmp6-reject-route', '1/6'],
  ];
  for (const [words, kind] of kinds6) {
    both6(
      `with ${words}`,
      { filter: [`-A FORWARD -j REJECT --reject-with ${words}`] },
      FROM_OUTSIDE6,
      `-> gone [${kind} fd00:21::20 > fd00:8::8 by eth0]`,
    );
  }
  const resets: Tables = { filter: ['FORWARD', 'INPUT', 'OUTPUT'].map((chain) => `-A ${chain} -p tcp -j REJECT --reject-with tcp-reset`) };
  both(
    'with tcp-reset: from where the packet was going, but for a reset, which nobody answers',
    resets,
    [FROM_OUTSIDE, { ...FROM_OUTSIDE, dst: '10.9.0.20' }, { ...FROM_OUTSIDE, flags: 'RST' }, { local: true, dst: '8.8.8.8' }],
    [
      '-> gone [reset 10.1.0.1:80 > 8.8.8.8:40000 by eth0]',
      '-> gone [reset 10.9.0.20:80 > 8.8.8.8:40000 by eth0]',
      /-> gone$/,
      '-> gone [reset 8.8.8.8:80 > 192.168.21.20:40000 by lo]',
    ],
  );
  both6(
    'with tcp-reset',
    resets,
    [FROM_OUTSIDE6, { ...FROM_OUTSIDE6, flags: 'RST' }],
    ['-> gone [reset fd00:1::1:80 > fd00:8::8:40000 by eth0]', /-> gone$/],
  );
  both(
    'an ICMP error is never answered, a broadcast neither',
    { filter: ['-A FORWARD -j REJECT', '-A INPUT -j REJECT'] },
    [
      { ...FROM_OUTSIDE, proto: 'icmp', type: 3, code: 1, inner: { src: '10.1.0.1', dst: '8.8.8.8', proto: 'udp' } },
      { ...FROM_OUTSIDE, dst: '192.168.21.255', proto: 'udp' },
    ],
    [/-> gone$/, /-> gone$/],
  );
  both(
    'the host’s own address answers where it was asked, a device’s where it was passing',
    { filter: ['-A INPUT -j REJECT', '-A FORWARD -j REJECT'], nat: ['-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.9.0.20'] },
    [
      { ...FROM_OUTSIDE, dst: '10.9.0.20' },
      { ...FROM_OUTSIDE, dst: '10.96.0.1' },
      { ...FROM_POD, dst: '10.1.0.2' },
    ],
    ['[3/3 10.9.0.20 > 8.8.8.8 by eth0]', '[3/3 10.9.0.20 > 8.8.8.8 by eth0]', '[3/3 192.168.21.20 > 10.1.0.1 by cali1]'],
  );
  both(
    'a socket is told EPERM, and gets the answer by lo; a connection attempt waits for it',
    { filter: ['-A OUTPUT -j REJECT'] },
    [LOCAL, { ...LOCAL, proto: 'tcp' }, { ...LOCAL, proto: 'icmp' }],
    [
      '-> gone (EPERM) [3/3 192.168.21.20 > 192.168.21.20 by lo]',
      '-> gone [3/3 192.168.21.20 > 192.168.21.20 by lo]',
      '-> gone (EPERM) [3/3 192.168.21.20 > 192.168.21.20 by lo]',
    ],
  );
  both(
    'DROP is silence, and EPERM for a socket',
    { filter: [':FORWARD DROP', ':OUTPUT DROP'] },
    [FROM_OUTSIDE, LOCAL],
    [/-> gone$/, '-> gone (EPERM)'],
  );
});

describeClaims('answers of routing', ({ claim }) => {
  const rules = { legacy: save({ mangle: ['-A PREROUTING'] }) };
  const routes = { ip: ['route add unreachable 7.0.0.0/8', 'route add prohibit 6.0.0.0/8', 'route add blackhole 5.0.0.0/8', 'route del default'] };
  const back = { ...FROM_OUTSIDE, iif: 'eth1', src: '10.9.0.7' };
  claim(
    'no route, unreachable, prohibit, blackhole: each its own',
    load(BASE, rules, routes),
    ['4.4.4.4', '7.7.7.7', '6.6.6.6', '5.5.5.5'].map((dst) => ({ ...back, dst })),
    [
      '-> gone [3/0 10.9.0.20 > 10.9.0.7 by eth1]',
      '-> gone [3/1 10.9.0.20 > 10.9.0.7 by eth1]',
      '-> gone [3/13 10.9.0.20 > 10.9.0.7 by eth1]',
      /-> gone$/,
    ],
  );
  claim(
    'and each its own error of the socket',
    load(BASE, rules, routes),
    ['4.4.4.4', '7.7.7.7', '6.6.6.6', '5.5.5.5'].map((dst) => ({ ...LOCAL, dst })),
    ['(ENETUNREACH)', '(EHOSTUNREACH)', '(EACCES)', '(EINVAL)'],
  );
  const routes6 = {
    ip: [
      '-6 route add unreachable fd00:7::/32',
      '-6 route add prohibit fd00:6::/32',
      '-6 route add blackhole fd00:5::/32',
      '-6 route del default via fd00:21::1 dev eth0',
    ],
  };
  const rules6 = { legacy6: save({ mangle: ['-A PREROUTING'] }) };
  const there = ['fd00:4::4', 'fd00:7::7', 'fd00:6::6', 'fd00:5::5'];
  claim(
    'in IPv6 an unreachable route is told as none',
    load(BASE6, rules6, routes6),
    there.map((dst) => ({ iif: 'eth1', src: 'fd00:9::7', dst })),
    [
      '-> gone [1/0 fd00:9::20 > fd00:9::7 by eth1]',
      '-> gone [1/0 fd00:9::20 > fd00:9::7 by eth1]',
      '-> gone [1/1 fd00:9::20 > fd00:9::7 by eth1]',
      /-> gone$/,
    ],
  );
  claim(
    'and each its own error of the socket (IPv6)',
    load(BASE6, rules6, routes6),
    there.map((dst) => ({ ...LOCAL6, dst })),
    ['(ENETUNREACH)', '(EHOSTUNREACH)', '(EACCES)', '(EINVAL)'],
  );
  claim(
    'TTL 1 is answered from the address of the way back, in IPv6 from that of the way it came',
    load(BASE, rules),
    { ...FROM_POD, src: '10.9.0.7', ttl: 1 },
    '-> gone [11/0 10.9.0.20 > 10.9.0.7 by eth1]',
  );
  claim('TTL 1 (IPv6)', load(BASE6, rules6), { ...FROM_OUTSIDE6, src: 'fd00:9::7', ttl: 1 }, '-> gone [3/0 fd00:21::20 > fd00:9::7 by eth1]');
  claim(
    'martians, failed reverse paths and packets that are not forwarded hear nothing',
    load(BASE, rules, { sysctls: { 'net.ipv4.conf.eth1.rp_filter': 1, 'net.ipv4.conf.cali1.forwarding': 0 } }),
    [
      { ...FROM_OUTSIDE, src: '10.9.0.20' },
      { ...FROM_OUTSIDE, iif: 'eth1' },
      { ...FROM_POD, dst: '10.1.0.2' },
    ],
    [/-> gone$/, /-> gone$/, /-> gone$/],
  );
  claim(
    'what does not fit and may not be cut is told so before FORWARD',
    load(BASE, rules, { ip: ['link set cali1 mtu 1400', 'route add 7.7.7.7 dev cali2 mtu 1300'] }),
    [
      { ...FROM_OUTSIDE, proto: 'udp', pad: 1372 },
      { ...FROM_OUTSIDE, proto: 'udp', pad: 1373 },
      { ...FROM_OUTSIDE, proto: 'udp', dst: '7.7.7.7', pad: 1273 },
    ],
    ['-> out cali1', '-> gone [3/4 192.168.21.20 > 8.8.8.8 by eth0]', '-> gone [3/4 192.168.21.20 > 8.8.8.8 by eth0]'],
  );
  claim(
    'in IPv6 the device counts before FORWARD, and the MTU of a route after POSTROUTING, unless it is locked',
    load(
      BASE6,
      { nft6: save({ filter: ['-A FORWARD'], mangle: ['-A POSTROUTING'] }) },
      { ip: ['link set cali1 mtu 1400', '-6 route add fd00:7::7 dev cali2 mtu 1300', '-6 route add fd00:7::8 dev cali2 mtu lock 1300'] },
    ),
    [
      { ...FROM_OUTSIDE6, proto: 'udp', pad: 1352 },
      { ...FROM_OUTSIDE6, proto: 'udp', pad: 1353 },
      { ...FROM_OUTSIDE6, proto: 'udp', dst: 'fd00:7::7', pad: 1253 },
      { ...FROM_OUTSIDE6, proto: 'udp', dst: 'fd00:7::8', pad: 1253 },
    ],
    [
      '-> out cali1',
      /^-> gone \[2\/0 fd00:21::20 > fd00:8::8 by eth0\]/,
      /^filter FORWARD 1, mangle POSTROUTING 1 -> gone \[2\/0 fd00:21::20 > fd00:8::8 by eth0\]/,
      /^-> gone \[2\/0 fd00:21::20 > fd00:8::8 by eth0\]/,
    ],
  );
  claim(
    'a tos selector of IPv4 looks at four bits',
    load(BASE, rules, { ip: ['route add 7.0.0.0/8 dev cali2 table 101', 'route add tos 0x10 6.0.0.0/8 dev cali2', 'rule add tos 0x10 lookup 101'] }),
    [0x10, 0x30, 0xd0, 0x18].flatMap((tos) => ['7.7.7.7', '6.6.6.6'].map((dst): Shot => ({ ...FROM_OUTSIDE, dst, tos }))),
    ['out cali2', 'out cali2', 'out cali2', 'out cali2', 'out cali2', 'out cali2', 'out eth0', 'out eth0'],
  );
});

describeClaims('protocols', ({ both, both6 }) => {
  both6(
    'an ICMPv6 redirect that belongs to no connection is INVALID, other neighbour discovery is not tracked',
    { filter: ['-A FORWARD -m conntrack --ctstate INVALID', '-A FORWARD -m conntrack --ctstate UNTRACKED'] },
    [133, 134, 135, 136, 137, 143].map((type) => ({ ...FROM_OUTSIDE6, proto: 'icmpv6', type })),
    [/FORWARD 2 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 1 /, /FORWARD 2 /],
  );
  both(
    'REJECT answers protocols with a known sum, or none, and DCCP not at all',
    { filter: ['-A FORWARD -j REJECT'] },
    ['esp', 'ah', 'gre', 'sctp', 'udplite', 'dccp'].map((proto) => ({ ...FROM_OUTSIDE, proto })),
    [...Array.from({ length: 5 }, () => '-> gone [3/3 192.168.21.20 > 8.8.8.8 by eth0]'), /-> gone$/],
  );
});

describeClaims('ICMP errors about translated connections', ({ both, both6 }) => {
  const masquerade: Tables = { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] };
  const inner: Shot = { iif: 'eth0', src: '192.168.21.20', dst: '8.8.8.8', sport: 40000, dport: 80 };
  const about = { iif: 'eth0', src: '198.51.100.9', dst: '192.168.21.20', proto: 'icmp', inner };
  both(
    'go to whom they concern, with what was sent; but for redirects, which NAT drops',
    masquerade,
    [
      FROM_POD,
      { ...about, type: 3, code: 4 },
      { ...about, type: 11, code: 0 },
      { ...about, type: 4, code: 0 },
      { ...about, type: 12, code: 0 },
      { ...about, type: 5, code: 1 },
    ],
    [
      'out eth0 192.168.21.20:40000',
      ...Array.from({ length: 4 }, () => '-> out cali1 198.51.100.9 > 10.1.0.1 ttl 63 about 10.1.0.1:40000 > 8.8.8.8:80'),
      /-> gone$/,
    ],
  );
  both(
    'a redirect about a connection that is not translated passes',
    { nat: ['-A POSTROUTING -o eth1 -j MASQUERADE'] },
    [FROM_POD, { ...about, dst: '10.1.0.1', type: 5, code: 1, inner: { ...inner, src: '10.1.0.1' } }],
    ['out eth0 10.1.0.1:40000', '-> out cali1 198.51.100.9 > 10.1.0.1'],
  );
  both(
    'about a ping',
    masquerade,
    [
      { ...FROM_POD, proto: 'icmp', id: 7 },
      { ...about, type: 11, code: 0, inner: { iif: 'eth0', src: '192.168.21.20', dst: '8.8.8.8', proto: 'icmp', id: 7 } },
    ],
    ['out eth0 192.168.21.20:7', '-> out cali1 198.51.100.9 > 10.1.0.1 ttl 63 about 10.1.0.1:7 > 8.8.8.8'],
  );
  both(
    'one that the host itself sends is routed again when its destination is put back',
    { nat: ['-A POSTROUTING -o lo -j SNAT --to-source 7.7.7.9'] },
    [
      { local: true, proto: 'udp', dst: '10.9.0.20', src: '10.9.0.20' },
      {
        local: true,
        raw: true,
        src: '10.9.0.20',
        dst: '7.7.7.9',
        proto: 'icmp',
        type: 3,
        code: 3,
        inner: { iif: 'lo', src: '7.7.7.9', dst: '10.9.0.20', proto: 'udp' },
      },
    ],
    ['-> local 7.7.7.9:40000', '-> local 10.9.0.20 > 10.9.0.20'],
  );
  both6(
    'in IPv6',
    masquerade,
    [
      { ...FROM_OUTSIDE6, iif: 'cali1', src: 'fd00:1::1', dst: 'fd00:8::8' },
      {
        ...FROM_OUTSIDE6,
        src: 'fd00:99::9',
        dst: 'fd00:21::20',
        proto: 'icmpv6',
        type: 2,
        code: 0,
        inner: { iif: 'eth0', src: 'fd00:21::20', dst: 'fd00:8::8', sport: 40000, dport: 80 },
      },
    ],
    ['out eth0 fd00:21::20:40000', '-> out cali1 fd00:99::9 > fd00:1::1 ttl 63 about fd00:1::1:40000 > fd00:8::8:80'],
  );
});

describeClaims('connections that were there before', ({ both }) => {
  const wait: Shot = { ...FROM_POD, proto: 'udp' };
  both(
    'one that was masqueraded and now leaves by another interface is dropped, as far as netwhy can tell',
    { nat: ['-A PREROUTING -j MARK --set-mark 1', '-A POSTROUTING -j MASQUERADE'] },
    [wait, wait],
    ['out eth1 10.9.0.20:40000', /-> gone$/],
    { ip: ['route add default via 10.9.0.1 dev eth1 table 100', 'rule add fwmark 1 lookup 100'] },
  );
  both(
    'rivals for one tuple: the second is moved, within its class of ports',
    { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] },
    [40000, 1023, 511].flatMap((sport) => [
      { ...wait, sport },
      { ...wait, iif: 'cali2', src: '10.1.0.2', sport },
    ]),
    [
      '192.168.21.20:40000',
      /192\.168\.21\.20:\d{4,5} /,
      '192.168.21.20:1023',
      /192\.168\.21\.20:\d{3,4} /,
      '192.168.21.20:511',
      /192\.168\.21\.20:\d{1,3} /,
    ],
  );
  const there: Shot = { ...FROM_POD, dst: '10.1.0.3', dport: 1024 };
  const mirrored: Shot = { iif: 'eth0', src: '10.1.0.3', dst: '10.1.0.1', sport: 1024, dport: 40000 };
  for (const [proto, expected] of [
    ['tcp', /-> out cali1 10\.1\.0\.3:(?!1024 )\d+ /],
    ['sctp', /-> out cali1 10\.1\.0\.3:(?!1024 )\d+ /],
    ['udp', /-> gone$/],
  ] as const) {
    both(
      `a mirrored connection whose answers are in another zone is in the way: of TCP the port is moved, of UDP it is met too late (${proto})`,
      { raw: ['-A PREROUTING -i cali1 -j CT --zone-reply 2'], nat: ['-A POSTROUTING'] },
      [
        { ...there, proto },
        { ...mirrored, proto },
      ],
      ['-> out eth0 10.1.0.1:40000', expected],
    );
  }
});
