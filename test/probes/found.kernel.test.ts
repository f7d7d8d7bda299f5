// What the machine found: each disagreement of netwhy with the kernel on random nodes, made small.
import { BASE, BASE6, describeClaims, FROM_OUTSIDE, FROM_POD, load, save } from './claim.ts';
import type { Shot } from './node.ts';

const states = ['NEW', 'ESTABLISHED', 'INVALID'].map((state) => `-A FORWARD -m conntrack --ctstate ${state}`);

describeClaims('found by random nodes: reverse paths and routes', ({ claim, both }) => {
  const loose = load(BASE, { legacy: save({ mangle: ['-A PREROUTING'] }) }, { sysctls: { 'net.ipv4.conf.all.rp_filter': 2 } });
  claim(
    'rp_filter 2 is strict on a device without an address',
    loose,
    [
      { ...FROM_POD, src: '8.8.8.8', dst: '10.1.0.2' },
      { ...FROM_OUTSIDE, iif: 'eth1' },
    ],
    ['gone', 'out cali1'],
  );
  both(
    'a packet routed again after OUTPUT is root’s to `ip rule uidrange`',
    { mangle: ['-A OUTPUT -j TOS --set-tos 0x10'] },
    [
      { local: true, dst: '8.8.8.8', uid: 1000 },
      { local: true, dst: '8.8.8.8' },
    ],
    ['out eth0 10.9.0.20', 'out eth0 192.168.21.20'],
    { ip: ['route add default via 10.9.0.1 dev eth1 table 100', 'rule add uidrange 1000-1000 lookup 100'] },
  );
  for (const backend of ['legacy6', 'nft6'] as const) {
    claim(
      `addrtype UNREACHABLE on one interface is without a route by that interface (${backend})`,
      load(BASE6, {
        [backend]: save({
          filter: [
            '-A FORWARD -m addrtype --src-type UNREACHABLE --limit-iface-in',
            '-A FORWARD -m addrtype --src-type UNREACHABLE',
            '-A FORWARD -m addrtype --dst-type UNREACHABLE --limit-iface-out',
          ],
        }),
      }),
      [
        { iif: 'eth1', src: 'fd00:8::8', dst: 'fd00:1::1' },
        { iif: 'eth0', src: 'fd00:8::8', dst: 'fd00:1::1' },
      ],
      ['filter FORWARD 1 -> out cali1', /^-> out cali1/],
    );
    claim(
      `addrtype UNREACHABLE on one interface passes over routes that refuse, which are on lo (${backend})`,
      load(
        BASE6,
        {
          [backend]: save({
            mangle: [
              '-A PREROUTING -m addrtype --dst-type UNREACHABLE',
              '-A PREROUTING -m addrtype --dst-type UNREACHABLE --limit-iface-in',
              '-A PREROUTING -m addrtype --src-type UNREACHABLE --limit-iface-in',
            ],
          }),
        },
        { ip: ['blackhole fd00:8::/32', 'unreachable fd00:7::/32', 'prohibit fd00:6::/32', 'throw fd00:5::/32'].map((r) => `-6 route add ${r}`) },
      ),
      ['fd00:8::1', 'fd00:7::1', 'fd00:6::1', 'fd00:5::1', 'fd00:4::1'].flatMap((dst) =>
        ['eth0', 'eth1'].map((iif) => ({ iif, src: 'fd00:21::9', dst })),
      ),
      [
        ...Array.from({ length: 4 }, () => ['mangle PREROUTING 1 -> gone', 'PREROUTING 1, mangle PREROUTING 2, mangle PREROUTING 3 -> gone']).flat(),
        /^-> out eth0/,
        /^mangle PREROUTING 2, mangle PREROUTING 3 -> out eth0/,
      ],
    );
  }
});

describeClaims('found by random nodes: -m rpfilter', ({ same, claim }) => {
  const options = ['', ' --loose', ' --accept-local', ' --loose --accept-local', ' --validmark', ' --invert'];
  const raw = options.map((o) => `-A PREROUTING -m rpfilter${o}`);
  const six = load(
    BASE6,
    { legacy6: save({ raw }) },
    {
      ip: [
        'route add fd00:7::/32 dev cali1 metric 5',
        'route add fd00:7::/32 dev eth1 metric 9',
        'route add blackhole fd00:5::/32',
        'addr add fe80::20/64 dev eth1 nodad',
        'route add fd00:77::/32 dev eth0 table 100',
        'route add fd00:77::/32 dev eth1',
        'rule add to fd00:77::/32 from fd00:1::1 lookup 100',
        'route add fd00:78::/32 dev eth0 table 101',
        'rule add ipproto udp lookup 101',
        'rule add uidrange 0-0 to fd00:79::/32 lookup 102',
        'route add fd00:79::/32 dev cali1 table 102',
      ].map((line) => `-6 ${line}`),
    },
  );
  claim(
    'IPv6 believes its own addresses by any interface, and of routes of one prefix any',
    six,
    [
      { iif: 'eth1', src: 'fd00:21::20', dst: 'fd00:1::1' },
      { iif: 'eth1', src: 'fd00:7::1', dst: 'fd00:1::1' },
      { iif: 'eth0', src: 'fd00:7::1', dst: 'fd00:1::1' },
    ],
    [
      /PREROUTING 3, raw PREROUTING 4, raw PREROUTING 6 -> out/,
      /^raw PREROUTING 1, .*PREROUTING 5 -> out/,
      /^raw PREROUTING 2, raw PREROUTING 4, raw PREROUTING 6/,
    ],
  );
  const to = (dsts: readonly string[], devices: readonly string[], srcs: readonly string[]): Shot[] =>
    srcs.flatMap((src) => devices.flatMap((iif) => dsts.map((dst, i): Shot => ({ iif, src, dst, proto: i === 1 ? 'udp' : 'tcp' }))));
  same(
    'IPv6 asks for the way back with the protocol, for root, and of link-local sources by that interface alone',
    six,
    to(
      ['fd00:1::1', 'fd00:1::2', 'fd00:21::20'],
      ['eth0', 'eth1', 'cali1'],
      [5, 7, 77, 78, 79, 99].map((n) => `fd00:${n}::1`).concat('fd00:21::20', 'fd00:9::20', 'fd00:21::9'),
    ).concat(to(['fd00:21::20'], ['eth0', 'eth1', 'cali1'], ['fe80::9', 'fe80::20', '::'])),
  );
  claim(
    'a packet from a link-local source, or from none, is forwarded to where it came from',
    six,
    ['fe80::9', '::', 'fe80::20'].map((src): Shot => ({ iif: 'cali1', src, dst: 'fd00:1::1' })),
    ['fe80::9', '::', 'fe80::20'].map((src) => `-> out cali1 ${src}:40000 > fd00:1::1:80`),
  );
  same(
    'IPv6 asks for the way back by the input device, which policy rules see as their oif',
    load(
      BASE6,
      { legacy6: save({ raw }) },
      {
        ip: [
          'route add unreachable fd00:66::/32 table 103',
          'rule add oif eth1 lookup 103',
          'route add fd00:66::/32 dev eth1',
          'route add fd00:66::/32 dev eth0 metric 9',
        ].map((line) => `-6 ${line}`),
      },
    ),
    ['eth0', 'eth1', 'cali1'].map((iif): Shot => ({ iif, src: 'fd00:66::1', dst: 'fd00:1::1' })),
  );
  same(
    'IPv4 asks for the way back without ports or protocol, for root',
    load(
      BASE,
      { legacy: save({ raw }) },
      {
        ip: [
          'route add 7.0.0.0/8 dev cali1 metric 5',
          'route add 7.0.0.0/8 dev eth1 metric 9',
          'route add blackhole 5.0.0.0/8',
          'route add 77.0.0.0/8 dev eth0 table 100',
          'route add 77.0.0.0/8 dev eth1',
          'rule add to 77.0.0.0/8 from 10.1.0.1 lookup 100',
          'route add 78.0.0.0/8 dev eth0 table 101',
          'rule add ipproto udp lookup 101',
          'rule add uidrange 0-0 to 79.0.0.0/8 lookup 102',
          'route add 79.0.0.0/8 dev cali2 table 102',
        ],
      },
    ),
    to(
      ['10.1.0.1', '10.1.0.2', '192.168.21.20', '255.255.255.255'],
      ['eth0', 'eth1', 'cali1', 'cali2'],
      [5, 7, 77, 78, 79, 99].map((n) => `${n}.0.0.1`).concat('192.168.21.20', '10.9.0.20', '192.168.21.9', '192.168.21.255', '0.0.0.0'),
    ),
  );
});

describeClaims('found by random nodes: TCP', ({ both }) => {
  const there = { iif: 'eth0', src: '8.8.8.8', dst: '10.1.0.1', sport: 4000, dport: 80 };
  const back = { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', sport: 80, dport: 4000 };
  both(
    'a SYN after the server’s RST belongs to the old connection, after the client’s own it begins anew',
    { filter: states },
    [
      there,
      { ...back, flags: 'SYN,ACK', ack: 1001 },
      { ...back, flags: 'RST,ACK', seq: 1001, ack: 1001 },
      there,
      { ...there, flags: 'RST', seq: 1001 },
      there,
    ],
    [/FORWARD 1 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD [12] /],
  );
  both(
    'the client’s SYN,ACK in a known connection is invalid',
    { filter: states },
    [
      { ...there, flags: 'ACK', seq: 1001, ack: 1001 },
      { ...there, flags: 'SYN,ACK', ack: 1001 },
    ],
    [/FORWARD 1 /, /FORWARD 3 /],
  );
  both(
    'a SYN in a picked up connection is ignored, and makes nothing ASSURED',
    { filter: ['-A FORWARD -m conntrack --ctstatus ASSURED', '-A FORWARD -m conntrack ! --ctstatus ASSURED'] },
    [
      { ...there, flags: 'ACK', seq: 1001, ack: 1001 },
      { ...back, flags: 'SYN,ACK', ack: 1001 },
      there,
      { ...there, flags: 'ACK', seq: 1001, ack: 1001 },
    ],
    [/FORWARD 2 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 1 /],
  );
  both(
    'the ACK that completes a handshake finds the connection ASSURED already',
    { filter: ['-A FORWARD -m conntrack --ctstatus ASSURED', '-A FORWARD -m conntrack ! --ctstatus ASSURED'] },
    [there, { ...back, flags: 'SYN,ACK', ack: 1001 }, { ...there, flags: 'ACK', seq: 1001, ack: 1001 }],
    [/FORWARD 2 /, /FORWARD 2 /, /FORWARD 1 /],
  );
});

describeClaims('found by random nodes: CT', ({ both }) => {
  both(
    'after CT --zone the packet has a template: NOTRACK comes too late, the state is NEW, marks are those of nobody',
    {
      raw: [
        '-A PREROUTING -j CT --zone 2',
        '-A PREROUTING -j CT --notrack',
        '-A PREROUTING -m conntrack --ctstate NEW',
        '-A PREROUTING -m conntrack ! --ctproto 6',
        '-A PREROUTING -j MARK --set-mark 0x11',
        '-A PREROUTING -j CONNMARK --restore-mark',
      ],
      filter: ['-A FORWARD -m conntrack --ctstate NEW', '-A FORWARD -m conntrack --ctstate UNTRACKED'],
    },
    FROM_OUTSIDE,
    'raw PREROUTING 1, raw PREROUTING 2, raw PREROUTING 3, raw PREROUTING 4, raw PREROUTING 5, raw PREROUTING 6, filter FORWARD 1 -> out cali1 8.8.8.8:40000 > 10.1.0.1:80 ttl 63',
  );
  for (const proto of ['gre', 'udplite']) {
    const tunnel: Shot = { iif: 'eth0', src: '8.8.8.8', dst: '10.1.0.1', proto, ...(proto === 'udplite' && { sport: 40000, dport: 80 }) };
    const answer: Shot = { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', proto, ...(proto === 'udplite' && { sport: 80, dport: 40000 }) };
    both(
      `${proto} is ASSURED by the packet after its first answer`,
      { filter: ['-A FORWARD -m conntrack --ctstatus ASSURED', '-A FORWARD -m conntrack ! --ctstatus ASSURED'] },
      [tunnel, answer, tunnel],
      [/FORWARD 2 /, /FORWARD 2 /, /FORWARD 1 /],
    );
  }
});
