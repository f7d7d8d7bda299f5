// The same questions of IPv6, which answers some of them in its own way.
import { BASE6, describeClaims, FROM_OUTSIDE6, FROM_POD6, load, save } from './claim.ts';
import type { Load, Shot } from './node.ts';

const CHECKS = save({ mangle: ['-A PREROUTING', '-A FORWARD', '-A INPUT', '-A OUTPUT', '-A POSTROUTING'] });
const UDP: Shot = { local: true, proto: 'udp', dst: 'fd00:8::8', dport: 53 };
const OTHER = '-6 route add default via fd00:9::1 dev eth1 table 100';
const node = (ip: readonly string[], sysctls: Load['sysctls'] = {}): Load => load(BASE6, { legacy6: CHECKS }, { ip, sysctls });

describeClaims('ip6tables', ({ both6, claim }) => {
  both6(
    'chains, jumps and policies are those of IPv4',
    {
      filter: [
        ':FORWARD DROP',
        ':U2 -',
        '-A FORWARD -j U',
        '-A FORWARD -p udp -j RETURN',
        '-A FORWARD -j ACCEPT',
        '-A U -p tcp --dport 1 -j RETURN',
        '-A U -p tcp --dport 2 -g U2',
        '-A U -p ipv6-icmp -j ACCEPT',
      ],
    },
    [
      { ...FROM_OUTSIDE6, dport: 2 },
      { ...FROM_OUTSIDE6, proto: 'udp' },
      { ...FROM_OUTSIDE6, proto: 'icmpv6' },
    ],
    ['filter FORWARD 1, filter U 2, filter FORWARD 3 -> out', 'FORWARD 2 -> gone', 'FORWARD 1, filter U 3 -> out'],
  );
  both6(
    'DNAT and MASQUERADE, and their replies',
    {
      nat: [
        '-A PREROUTING -d fd00:96::1 -p tcp --dport 443 -j DNAT --to-destination [fd00:1::1]:6443',
        '-A POSTROUTING -s fd00:1::/64 -j MASQUERADE',
      ],
      filter: ['-A FORWARD -p tcp --dport 6443', '-A FORWARD -m conntrack --ctorigdst fd00:96::1'],
    },
    [
      { ...FROM_OUTSIDE6, dst: 'fd00:96::1', dport: 443 },
      FROM_POD6,
      { iif: 'eth0', src: 'fd00:8::8', dst: 'fd00:21::20', sport: 80, dport: 40000, flags: 'SYN,ACK' },
    ],
    [
      'nat PREROUTING 1, filter FORWARD 1, filter FORWARD 2 -> out cali1 fd00:8::8:40000 > fd00:1::1:6443',
      'nat POSTROUTING 1 -> out eth0 fd00:21::20:40000',
      /^-> out cali1 fd00:8::8:80 > fd00:1::1:40000/,
    ],
  );
  both6(
    'prefixes and their negation',
    {
      filter: [
        '-A FORWARD -s fd00:8::/32',
        '-A FORWARD ! -s fd00:8::/32',
        '-A FORWARD -s fd00:8::8',
        '-A FORWARD -s fd00:8::/61',
        '-A FORWARD -d fd00:1::1/ffff::ffff',
        '-A FORWARD -m iprange --src-range fd00:8::7-fd00:8::9',
      ],
    },
    ['fd00:7:ffff:ffff:ffff:ffff:ffff:ffff', 'fd00:8::', 'fd00:8:0:7:ffff::', 'fd00:8:0:8::', 'fd00:8::9', 'fd00:8::a'].map((src): Shot => ({
      ...FROM_OUTSIDE6,
      src,
    })),
    [
      /^filter FORWARD 2, filter FORWARD 5 /,
      'FORWARD 1, filter FORWARD 4',
      'FORWARD 4',
      /^filter FORWARD 1, filter FORWARD 5 /,
      'FORWARD 6',
      /FORWARD 5 /,
    ],
  );
  both6(
    'ICMPv6 types',
    {
      filter: [
        '-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type echo-request',
        '-A FORWARD -p ipv6-icmp -m icmp6 ! --icmpv6-type 128',
        '-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 1/4',
      ],
    },
    [
      { ...FROM_OUTSIDE6, proto: 'icmpv6' },
      { ...FROM_OUTSIDE6, proto: 'icmpv6', type: 129 },
    ],
    ['FORWARD 1', 'FORWARD 2'],
  );
  both6(
    'REDIRECT, hop limits and address types',
    {
      nat: ['-A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 15001', '-A OUTPUT -p tcp --dport 81 -j REDIRECT --to-ports 15001'],
      mangle: [
        '-A PREROUTING -m addrtype --dst-type LOCAL',
        '-A PREROUTING -m addrtype --dst-type UNICAST',
        '-A PREROUTING -m addrtype --dst-type MULTICAST',
        '-A PREROUTING -m hl --hl-eq 64',
        '-A PREROUTING -m addrtype --dst-type LOCAL --limit-iface-in',
      ],
    },
    [
      { ...FROM_OUTSIDE6, dst: 'fd00:21::20' },
      { ...FROM_OUTSIDE6, dst: 'fd00:9::20', ttl: 9 },
      FROM_OUTSIDE6,
      { ...FROM_OUTSIDE6, dport: 81 },
      { local: true, dst: 'fd00:8::8', dport: 81 },
    ],
    [
      'mangle PREROUTING 1, mangle PREROUTING 2, mangle PREROUTING 4, mangle PREROUTING 5 -> local',
      'mangle PREROUTING 1, mangle PREROUTING 2 -> local',
      'mangle PREROUTING 2, mangle PREROUTING 4 -> out',
      /local fd00:8::8:40000 > fd00:21::20:15001/,
      /local fd00:21::20:40000 > ::1:15001/,
    ],
  );
  both6(
    'connection states',
    { filter: ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED'].map((s) => `-A FORWARD -m conntrack --ctstate ${s}`) },
    [
      ...['SYN', 'ACK', 'SYN,ACK', 'RST'].map((flags, i): Shot => ({ ...FROM_OUTSIDE6, flags, sport: 3000 + i })),
      { ...FROM_OUTSIDE6, proto: 'icmpv6', type: 129 },
      { ...FROM_OUTSIDE6, proto: 'icmpv6' },
      { iif: 'cali1', src: 'fd00:1::1', dst: 'fd00:8::8', proto: 'icmpv6', type: 129 },
    ],
    ['FORWARD 1', 'FORWARD 1', 'FORWARD 4', 'FORWARD 4', 'FORWARD 4', 'FORWARD 1', 'FORWARD 2'],
  );
  both6(
    'a mark of mangle OUTPUT re-routes and keeps the source',
    { mangle: ['-A OUTPUT -p udp -j MARK --set-mark 1'] },
    UDP,
    'out eth1 fd00:21::20:40000',
    { ip: ['-6 rule add fwmark 1 lookup 100', OTHER] },
  );
  both6(
    'DNAT in OUTPUT re-routes and keeps the source',
    { nat: ['-A OUTPUT -d fd00:9::99 -j DNAT --to-destination fd00:1::1'] },
    { ...UDP, dst: 'fd00:9::99' },
    'out cali1 fd00:9::20:40000 > fd00:1::1:53',
  );
  both6(
    'DNAT to a range picks by a hash of the client',
    { nat: ['-A PREROUTING -p tcp -j DNAT --to-destination fd00:1::10-fd00:1::40'] },
    Array.from({ length: 40 }, (_, i): Shot => ({ ...FROM_OUTSIDE6, src: `fd00:8::${(i * 77 + 1).toString(16)}`, dst: 'fd00:96::1' })),
    Array.from({ length: 40 }, () => /out cali2/),
    { ip: ['-6 route add fd00:1::/64 dev cali2'] },
  );
  both6(
    'SNAT over a wide range picks by a hash of both ends',
    { nat: ['-A POSTROUTING -p tcp -j SNAT --to-source fd00:aa::10-fd00:aa:0:5::7'] },
    Array.from({ length: 40 }, (_, i): Shot => ({ ...FROM_POD6, dst: `fd00:8::${(i * 77 + 1).toString(16)}` })),
    Array.from({ length: 40 }, () => /out eth0 fd00:aa:/),
  );
  both6(
    'NETMAP keeps the host part',
    { nat: ['-A PREROUTING -d fd00:96::/64 -j NETMAP --to fd00:1::/64'] },
    { ...FROM_OUTSIDE6, dst: 'fd00:96::2' },
    'out cali2 fd00:8::8:40000 > fd00:1::2:80',
  );
  both6(
    'a mac and an owner',
    { filter: ['-A FORWARD -m mac --mac-source 06:00:00:00:00:01', '-A OUTPUT -m owner --uid-owner 1000'] },
    [FROM_OUTSIDE6, { ...UDP, uid: 1000 }, UDP],
    ['FORWARD 1', 'OUTPUT 1', /^-> out/],
  );
  claim(
    'both families have their own tables',
    load(
      BASE6,
      { legacy6: save({ filter: ['-A FORWARD -j DROP'] }) },
      { devs: [{ name: 'eth0', addrs: ['fd00:21::20/64', '192.168.21.20/24'] }, ...BASE6.devs.slice(1)] },
    ),
    [FROM_OUTSIDE6, { iif: 'eth0', src: '192.168.21.9', dst: '192.168.21.10' }],
    ['FORWARD 1 -> gone', 'out eth0'],
  );
});

describeClaims('IPv6 routing', ({ claim, same }) => {
  claim(
    'routes that refuse',
    node([
      '-6 route add blackhole fd01::/16',
      '-6 route add unreachable fd02::/16',
      '-6 route add prohibit fd03::/16',
      '-6 route add throw fd04::/16',
      '-6 route del default',
    ]),
    [
      ...['fd01::1', 'fd02::1', 'fd03::1', 'fd04::1', 'fd08::1'].map((dst): Shot => ({ ...UDP, dst })),
      ...['fd01::1', 'fd02::1', 'fd03::1', 'fd04::1', 'fd08::1'].map((dst): Shot => ({ ...FROM_OUTSIDE6, dst })),
    ],
    [
      '-> gone (EINVAL)',
      '-> gone (EHOSTUNREACH)',
      '-> gone (EACCES)',
      '-> gone',
      '-> gone (ENETUNREACH)',
      ...Array.from({ length: 5 }, () => 'PREROUTING 1 -> gone'),
    ],
  );
  claim(
    'the longest prefix wins, then the lowest metric',
    node(['-6 route add fd07::/16 dev cali1', '-6 route add fd07:7::/32 dev cali2 metric 5', '-6 route add fd07:7::/32 dev eth1 metric 4']),
    ['fd07::1', 'fd07:7::1', 'fd07:8::1'].map((dst): Shot => ({ ...FROM_OUTSIDE6, dst })),
    ['cali1', 'eth1', 'cali1'],
  );
  claim(
    'policy rules',
    node([
      '-6 rule add iif cali1 lookup 100',
      '-6 rule add from fd00:1::2 lookup 101',
      '-6 rule add fwmark 0x10/0xf0 lookup 100',
      OTHER,
      '-6 route add unreachable default table 101',
    ]),
    [FROM_POD6, { ...FROM_POD6, iif: 'cali2', src: 'fd00:1::2' }, UDP, { ...UDP, mark: 0x1f }],
    ['out eth1', 'gone', 'out eth0', 'out eth1'],
  );
  claim(
    'suppress_prefixlength 0 passes over the default route',
    node(['-6 rule add pref 100 lookup main suppress_prefixlength 0', '-6 rule add pref 101 lookup 100', OTHER]),
    [UDP, { ...UDP, dst: 'fd00:1::1' }],
    ['out eth1', 'out cali1'],
  );
  claim(
    'there is no rp_filter',
    node([], { 'net.ipv4.conf.all.rp_filter': 1 }),
    [
      { ...FROM_OUTSIDE6, iif: 'eth1' },
      { ...FROM_OUTSIDE6, src: 'fd00:9::20' },
      { ...FROM_OUTSIDE6, src: 'fd00:21::20', dst: 'fd00:9::20' },
    ],
    ['out cali1', 'out cali1', 'local'],
  );
  same(
    'what never comes from a wire',
    node([]),
    ['::1', 'ff02::7', '::', 'fe80::7', '::ffff:8.8.8.8'].map((src): Shot => ({ ...FROM_OUTSIDE6, src })),
  );
  same(
    'what is never forwarded',
    node([]),
    ['::1', '::', 'fe80::7', 'ff0e::1', '::ffff:8.8.8.8'].map((dst): Shot => ({ ...FROM_OUTSIDE6, dst, proto: 'udp' })),
  );
  claim(
    'a hop limit of 1 is answered before FORWARD',
    node([]),
    [1, 2].map((ttl): Shot => ({ ...FROM_OUTSIDE6, src: 'fd00:21::1', ttl })),
    ['PREROUTING 1 -> gone', 'FORWARD 1, mangle POSTROUTING 1 -> out cali1 fd00:21::1:40000 > fd00:1::1:80 ttl 1'],
  );
  claim(
    'forwarding is asked of all',
    node([], { 'net.ipv6.conf.all.forwarding': 0 }),
    [FROM_OUTSIDE6, { ...FROM_OUTSIDE6, dst: 'fd00:9::20' }],
    ['gone', 'local'],
  );
  claim(
    'an own address of another device is delivered',
    node([]),
    [
      { ...FROM_OUTSIDE6, dst: 'fd00:9::20' },
      { ...UDP, dst: 'fd00:9::20' },
      { ...UDP, dst: '::1' },
    ],
    ['local', 'local fd00:9::20:40000 > fd00:9::20', 'local ::1'],
  );
  claim(
    'a source address is that of the outgoing device, else the one with the longest common prefix',
    node(['addr add fd00:8::20/128 dev eth1 nodad', 'addr add fd00:21:0:0:1::20/64 dev eth0 nodad', '-6 route add fd00:77::/64 dev cali1']),
    [UDP, { ...UDP, dst: 'fd00:9::7' }, { ...UDP, dst: 'fd00:77::1' }, { ...UDP, dst: 'fd00:8::21' }],
    [/out eth0 fd00:21:/, 'out eth1 fd00:9::20', /out cali1/, /out eth0 fd00:21:/],
  );
  claim(
    'towards what is local by a route alone the source is an address of that device, else any other; ::1 where there is none',
    node([
      '-6 route add local fd00:50::/64 dev lo',
      '-6 route add local fd00:51::/64 dev eth1',
      '-6 route add local fd00:52::/64 dev eth1 src fd00:21::20',
      '-6 route add local fd00:53::/64 dev eth0 table 100',
      '-6 rule add to fd00:53::/64 lookup 100',
      '-6 addr add fe80::77/64 dev eth1 nodad',
      '-6 route add local fe80:50::/64 dev eth1',
    ]),
    ['fd00:50::1', 'fd00:51::1', 'fd00:52::1', 'fd00:53::1', 'fe80:50::1'].map((dst): Shot => ({ ...UDP, dst })),
    [
      'local fd00:21::20:40000 > fd00:50::1:53',
      'local fd00:9::20:40000 > fd00:51::1:53',
      'local fd00:21::20:40000 > fd00:52::1:53',
      'local fd00:21::20:40000 > fd00:53::1:53',
      'local fe80::77:40000 > fe80:50::1:53',
    ],
  );
  claim(
    'without any other address the source towards a local route is ::1',
    { devs: [{ name: 'eth0' }], legacy6: CHECKS, ip: ['-6 route add local fd00:50::/64 dev lo'] },
    { ...UDP, dst: 'fd00:50::1' },
    'local ::1:40000 > fd00:50::1:53',
  );
  claim(
    'a source address is the src of the route',
    node(['addr add fd00:21::77/64 dev eth0 nodad', '-6 route replace default via fd00:21::1 dev eth0 src fd00:21::77']),
    UDP,
    'out eth0 fd00:21::77',
  );
});
