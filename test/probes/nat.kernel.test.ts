// What a translation chooses: addresses of MASQUERADE and REDIRECT, ranges, ports when the tuple is taken.
import { BASE, describeClaims, FROM_OUTSIDE, FROM_POD, load, save } from './claim.ts';
import type { Load, Shot } from './node.ts';

const MASQUERADE = { nat: ['-A POSTROUTING -s 10.1.0.0/24 -j MASQUERADE'] };
const masquerading = (ip: readonly string[], extra: Partial<Load> = {}): Load => load({ ...BASE, ...extra }, { legacy: save(MASQUERADE) }, { ip });
const UDP_LOCAL: Shot = { local: true, proto: 'udp', dst: '8.8.8.8', dport: 53 };

describeClaims('the address of MASQUERADE', ({ claim, both, same }) => {
  claim(
    "is not the route's src",
    masquerading(['addr add 192.168.21.21/24 dev eth0', 'route replace default via 192.168.21.1 src 192.168.21.21']),
    FROM_POD,
    'out eth0 192.168.21.20:',
  );
  claim(
    "is on the next hop's subnet",
    masquerading(['addr add 172.16.0.5/24 dev eth0', 'route replace default via 172.16.0.1 dev eth0']),
    FROM_POD,
    'out eth0 172.16.0.5:',
  );
  claim(
    'is the first of the device where none is near the next hop',
    masquerading([
      'addr flush dev eth0',
      'addr add 192.168.21.20/32 dev eth0',
      'addr add 192.168.21.30/32 dev eth0',
      'route add 192.168.21.1 dev eth0',
      'route add default via 192.168.21.1',
    ]),
    FROM_POD,
    'out eth0 192.168.21.20:',
  );
  claim(
    "is another device's where the egress device has none",
    masquerading(['route add 10.1.0.9/32 dev cali2']),
    { ...FROM_POD, dst: '10.1.0.9' },
    'out cali2 192.168.21.20:',
  );
  claim(
    "is another device's where the egress device has one of scope link",
    masquerading(['addr add 10.1.0.254/32 dev cali2 scope link', 'route add 10.1.0.9/32 dev cali2']),
    { ...FROM_POD, dst: '10.1.0.9' },
    'out cali2 192.168.21.20:',
  );
  claim(
    'is the one whose subnet holds the destination on a link without next hop',
    masquerading(['addr add 10.77.0.1/24 dev eth1']),
    { ...FROM_POD, dst: '10.77.0.9' },
    'out eth1 10.77.0.1:',
  );
  claim(
    'may be one of a device that comes first, not the nearest',
    masquerading(['addr add 172.16.9.9/32 dev lo', 'route add 10.1.0.9/32 dev cali2']),
    { ...FROM_POD, dst: '10.1.0.9' },
    /out cali2 \d/,
  );
  claim(
    'drops the packet where nobody has an address',
    masquerading(['addr flush dev eth1'], {
      devs: [{ name: 'eth0' }, { name: 'eth1' }, { name: 'cali1' }, { name: 'cali2' }],
      ip: ['route add 10.1.0.1/32 dev cali1', 'route add default dev eth0'],
    }),
    FROM_POD,
    'nat POSTROUTING 1 -> gone',
  );
  claim(
    'is the primary address, not a secondary',
    masquerading([
      'addr flush dev eth0',
      'addr add 192.168.21.30/24 dev eth0',
      'addr add 192.168.21.20/24 dev eth0',
      'route add default via 192.168.21.1',
    ]),
    FROM_POD,
    'out eth0 192.168.21.30:',
  );
  claim(
    'is of the outgoing link with a gateway of another family of subnet',
    masquerading(['addr add 172.16.0.5/24 dev eth1', 'route replace default via 192.168.21.1 dev eth1 onlink']),
    FROM_POD,
    'out eth1 10.9.0.20:',
  );
  claim(
    'is chosen near a next hop through the peer of a point-to-point address',
    masquerading(['addr add 172.16.0.5 peer 172.16.5.1/32 dev eth1', 'route add 9.9.9.9 via 172.16.5.1']),
    { ...FROM_POD, dst: '9.9.9.9' },
    /out eth1 (10.9.0.20|172.16.0.5):/,
  );
  both(
    'of a local packet is the primary too, whatever the socket had',
    { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] },
    { ...UDP_LOCAL, src: '10.9.0.20' },
    'nat POSTROUTING 1 -> out eth0 192.168.21.20:',
  );
  both(
    '--to-ports gives ports of the range',
    { nat: ['-A POSTROUTING -p tcp -j MASQUERADE --to-ports 2000-2009'] },
    [
      FROM_POD,
      { ...FROM_POD, sport: 2005 },
      { ...FROM_POD, sport: 2000 },
      { ...FROM_POD, sport: 2009 },
      { ...FROM_POD, sport: 1999 },
      { ...FROM_POD, sport: 2010 },
    ],
    Array.from({ length: 6 }, () => /192.168.21.20:200\d /),
  );
  both(
    '--random and --random-fully move the port',
    { nat: ['-A POSTROUTING -p tcp -j MASQUERADE --random', '-A POSTROUTING -p udp -j MASQUERADE --random-fully'] },
    [FROM_POD, { ...FROM_POD, proto: 'udp' }, { ...FROM_POD, sport: 600 }, { ...FROM_POD, sport: 300, proto: 'udp' }],
    Array.from({ length: 4 }, () => /192.168.21.20:\d+ /),
  );
  same('--random-fully of ICMP moves the identifier', load(BASE, { legacy: save({ nat: ['-A POSTROUTING -j MASQUERADE --random-fully'] }) }), [
    { ...FROM_POD, proto: 'icmp', id: 7 },
  ]);
  same(
    'ports below 512, below 1024 and above stay in their class',
    load(BASE, { legacy: save({ nat: ['-A POSTROUTING -p udp -j MASQUERADE --random-fully'] }) }),
    [1, 100, 511, 512, 513, 600, 1023, 1024, 1025, 40000, 65535].flatMap((sport) =>
      Array.from({ length: 4 }, (): Shot => ({ ...FROM_POD, proto: 'udp', sport })),
    ),
  );
});

describeClaims('ports of a taken tuple', ({ both, claim }) => {
  const pods = (sport: number, dst = '8.8.8.8'): Shot[] => [1, 2].map((i): Shot => ({ iif: `cali${i}`, src: `10.1.0.${i}`, dst, sport }));
  both(
    'stay where they are free and move where not',
    { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] },
    [...pods(5000), { iif: 'cali2', src: '10.1.0.2', dst: '8.8.4.4', sport: 5000 }],
    ['192.168.21.20:5000 ', /192.168.21.20:(?!5000)\d+ /, /192.168.21.20:(?!5000)\d+ /],
  );
  both(
    'move within their class',
    { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] },
    [...pods(600), ...pods(300), ...pods(1000)],
    ['20:600 ', /20:\d{3,4} /, '20:300 ', /20:\d{1,3} /, '20:1000 ', /20:\d{3,4} /],
  );
  both(
    'are taken by a local connection without NAT too',
    { nat: ['-A POSTROUTING -s 10.1.0.0/16 -j MASQUERADE'] },
    [
      { local: true, src: '192.168.21.20', dst: '8.8.8.8', sport: 5000 },
      { ...FROM_POD, sport: 5000 },
    ],
    ['20:5000 ', /20:(?!5000)\d+ /],
  );
  both(
    'move without any SNAT rule where the reply would be ambiguous',
    { nat: ['-A PREROUTING -d 192.168.21.20 -p udp -j DNAT --to-destination 10.1.0.1:53'] },
    [
      { ...FROM_OUTSIDE, proto: 'udp', sport: 7000, dport: 53 },
      { ...FROM_OUTSIDE, dst: '192.168.21.20', proto: 'udp', sport: 7000, dport: 53 },
    ],
    ['8.8.8.8:7000 > 10.1.0.1:53', /8.8.8.8:(?!7000)\d+ > 10.1.0.1:53/],
  );
  both(
    'of another protocol are not taken',
    { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] },
    [pods(5000)[0]!, { ...pods(5000)[1]!, proto: 'udp' }],
    ['20:5000 ', '20:5000 '],
  );
  both(
    'of ICMP are identifiers',
    { nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] },
    [1, 2].map((i): Shot => ({ iif: `cali${i}`, src: `10.1.0.${i}`, dst: '8.8.8.8', proto: 'icmp', id: 9 })),
    ['20:9 ', /20:\d+ /],
  );
  both(
    'of a fixed range of one port leave the clash, and the packet is dropped',
    { nat: ['-A POSTROUTING -p tcp -j SNAT --to-source 192.168.21.20:5000'] },
    pods(600),
    ['20:5000 ', /-> gone/],
  );
  both(
    'of UDP and a fixed range',
    { nat: ['-A POSTROUTING -p udp -j SNAT --to-source 192.168.21.20:5000'] },
    pods(600).map((s) => ({ ...s, proto: 'udp' })),
    ['20:5000 ', /./],
  );
  claim(
    'do not move where the destination differs',
    load(BASE, { legacy: save({ nat: ['-A POSTROUTING -o eth0 -j MASQUERADE'] }) }),
    [pods(5000)[0]!, pods(5000, '8.8.4.4')[1]!, { ...pods(5000)[1]!, dport: 81 }],
    ['20:5000 ', '20:5000 ', '20:5000 '],
  );
  claim(
    'an un-NATed pod on the range of SNAT keeps its source',
    load(BASE, { legacy: save({ nat: ['-A POSTROUTING -p tcp -j SNAT --to-source 10.1.0.1-10.1.0.9'] }) }),
    FROM_POD,
    'out eth0 10.1.0.1:40000',
  );
});

/** One packet from each of many client addresses. */
const clients = (n: number, shot: (src: string, i: number) => Shot): Shot[] =>
  Array.from({ length: n }, (_, i) => shot(`8.${(i * 7) & 255}.${(i * 31 + 5) & 255}.${(i * 13 + 1) & 255}`, i));

describeClaims('ranges of addresses', ({ same, both }) => {
  for (const option of ['', ' --persistent']) {
    same(
      `DNAT${option} picks by a hash of the client`,
      load(
        BASE,
        { legacy: save({ nat: [`-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.10-10.1.0.40${option}`] }) },
        { ip: ['route add 10.1.0.0/24 dev cali1'] },
      ),
      clients(200, (src) => ({ iif: 'eth0', src, dst: '10.96.0.1' })),
    );
    same(
      `DNAT${option} over more than 256 addresses`,
      load(
        BASE,
        { nft: save({ nat: [`-A PREROUTING -p tcp -j DNAT --to-destination 10.1.3.10-10.1.7.40${option}`] }) },
        { ip: ['route add 10.1.0.0/16 dev cali1'] },
      ),
      clients(200, (src) => ({ iif: 'eth0', src, dst: '10.96.0.1' })),
    );
    same(
      `SNAT${option} picks by a hash of both ends`,
      load(BASE, { legacy: save({ nat: [`-A POSTROUTING -p tcp -j SNAT --to-source 172.16.0.10-172.16.0.40${option}`] }) }),
      clients(200, (dst, i) => ({ ...FROM_POD, src: `10.1.0.${(i % 9) + 1}`, dst })),
    );
    same(
      `SNAT${option} over more than 65536 addresses`,
      load(BASE, { nft: save({ nat: [`-A POSTROUTING -p tcp -j SNAT --to-source 172.16.200.10-172.18.3.40${option}`] }) }),
      clients(200, (dst, i) => ({ ...FROM_POD, src: `10.1.0.${(i % 9) + 1}`, dst })),
    );
  }
  both(
    'of two addresses: a client always meets the same one, whatever its port',
    { nat: ['-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1-10.1.0.2'] },
    [1, 2, 3].map((sport): Shot => ({ iif: 'eth0', src: '8.8.8.1', dst: '10.96.0.1', sport })),
    [/out cali/, /out cali/, /out cali/],
  );
  same(
    'with ports: any port of the range is possible',
    load(BASE, { legacy: save({ nat: ['-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1-10.1.0.2:8000-8003'] }) }),
    clients(40, (src) => ({ iif: 'eth0', src, dst: '10.96.0.1' })),
  );
  same(
    'with a base port: ports are shifted',
    load(BASE, { legacy: save({ nat: ['-A PREROUTING -p tcp --dport 5000:5010 -j DNAT --to-destination 10.1.0.1:6000-6010/5000'] }) }),
    [5000, 5001, 5010, 5011].map((dport): Shot => ({ ...FROM_OUTSIDE, dst: '10.96.0.1', dport })),
  );
  both(
    'DNAT to a port only keeps the address',
    { nat: ['-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination :8080'] },
    FROM_OUTSIDE,
    '> 10.1.0.1:8080',
  );
  both(
    'DNAT without a port keeps it',
    { nat: ['-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.1.0.1'] },
    [
      { ...FROM_OUTSIDE, dst: '10.96.0.1', dport: 443 },
      { ...FROM_OUTSIDE, dst: '10.96.0.1', proto: 'icmp' },
      { ...FROM_OUTSIDE, dst: '10.96.0.1', proto: 'gre' },
    ],
    ['> 10.1.0.1:443', 'out cali1 8.8.8.8:1 > 10.1.0.1', 'out cali1 8.8.8.8 > 10.1.0.1'],
  );
  both(
    'DNAT --random picks a port of the range',
    { nat: ['-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1:8000-8009 --random'] },
    FROM_OUTSIDE,
    /> 10.1.0.1:800\d/,
  );
  both(
    'DNAT to a range that holds the port already keeps it',
    { nat: ['-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1:80-90'] },
    { ...FROM_OUTSIDE, dst: '10.96.0.1', dport: 85 },
    /> 10.1.0.1:\d\d /,
  );
  both(
    'SNAT with a port range',
    { nat: ['-A POSTROUTING -p tcp -o eth0 -j SNAT --to-source 192.168.21.77:3000-3009'] },
    [FROM_POD, { ...FROM_POD, sport: 3004, dst: '8.8.4.4' }],
    [/192.168.21.77:300\d /, '192.168.21.77:3004 '],
  );
  both(
    'NETMAP keeps the host part',
    { nat: ['-A PREROUTING -d 10.96.0.0/24 -j NETMAP --to 10.1.0.0/24', '-A POSTROUTING -s 10.1.0.0/24 -j NETMAP --to 172.16.5.0/24'] },
    [{ ...FROM_OUTSIDE, dst: '10.96.0.2' }, FROM_POD],
    ['out cali2 8.8.8.8:40000 > 10.1.0.2:80', 'out eth0 172.16.5.1:40000'],
  );
});

describeClaims('REDIRECT and hairpins', ({ both, claim }) => {
  const redirect = {
    nat: ['-A PREROUTING -p tcp -j REDIRECT --to-ports 15001', '-A OUTPUT -p tcp -j REDIRECT --to-ports 15001', '-A PREROUTING -p udp -j REDIRECT'],
    filter: ['-A INPUT'],
  };
  both(
    "REDIRECT goes to the input device's first address, and drops where it has none",
    redirect,
    [
      { ...FROM_OUTSIDE, dst: '9.9.9.9' },
      { ...FROM_POD, dst: '9.9.9.9' },
      { ...FROM_OUTSIDE, dst: '9.9.9.9', proto: 'udp', dport: 53 },
    ],
    ['filter INPUT 1 -> local 8.8.8.8:40000 > 192.168.21.20:15001', 'nat PREROUTING 1 -> gone', 'INPUT 1 -> local 8.8.8.8:40000 > 192.168.21.20:53'],
  );
  both(
    'REDIRECT in OUTPUT goes to 127.0.0.1 and keeps the source',
    redirect,
    { local: true, dst: '9.9.9.9' },
    /INPUT 1 -> local 192.168.21.20:40000 > 127.0.0.1:15001/,
  );
  both('REDIRECT takes the primary address of the device', redirect, { ...FROM_OUTSIDE, dst: '9.9.9.9' }, '> 192.168.21.20:15001', {
    ip: ['addr add 192.168.21.19/24 dev eth0', 'addr add 172.20.0.1/16 dev eth0'],
  });
  both(
    'a packet out of the device it came in by is forwarded',
    { nat: ['-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 192.168.21.9'] },
    { iif: 'eth0', src: '192.168.21.8', dst: '10.96.0.1', proto: 'udp' },
    'out eth0 192.168.21.8:40000 > 192.168.21.9',
  );
  both(
    'a packet out of the device it came in by is forwarded, redirect or not',
    { nat: ['-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 192.168.21.9'], filter: ['-A OUTPUT -p icmp'] },
    { iif: 'eth0', src: '192.168.21.8', dst: '10.96.0.1', proto: 'udp' },
    /^nat PREROUTING 1 -> out eth0 192.168.21.8:40000 > 192.168.21.9/,
    { sysctls: { 'net.ipv4.conf.eth0.send_redirects': 1 } },
  );
  both(
    'a pod that reaches itself by a service is masqueraded by ctstate DNAT',
    {
      nat: [
        '-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.1.0.1',
        '-A POSTROUTING -m conntrack --ctstate DNAT -s 10.1.0.1 -d 10.1.0.1 -j MASQUERADE',
      ],
    },
    { ...FROM_POD, dst: '10.96.0.1', proto: 'udp' },
    'nat PREROUTING 1, nat POSTROUTING 1 -> out cali1 192.168.21.20:40000 > 10.1.0.1:80',
  );
  both(
    'DNAT to an own address is delivered here',
    { nat: ['-A PREROUTING -p tcp -d 10.96.0.2 -j DNAT --to-destination 10.9.0.20:53'], filter: ['-A INPUT -d 10.9.0.20'] },
    { iif: 'cali2', src: '10.1.0.2', dst: '10.96.0.2' },
    'nat PREROUTING 1, filter INPUT 1 -> local 10.1.0.2:40000 > 10.9.0.20:53',
  );
  both(
    'SNAT in INPUT changes what the socket sees',
    { nat: ['-A INPUT -p tcp -j SNAT --to-source 1.2.3.4'] },
    { ...FROM_OUTSIDE, dst: '192.168.21.20' },
    'nat INPUT 1 -> local 1.2.3.4:40000 > 192.168.21.20:80',
  );
  claim(
    'a node port is masqueraded by the mark that led to it',
    load(BASE, {
      legacy: save({
        nat: [
          '-A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 30080 -j NP',
          '-A NP -j MARK --or-mark 0x4000',
          '-A NP -p tcp -j DNAT --to-destination 10.1.0.2:8080',
          '-A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
          '-A POSTROUTING -j MARK --xor-mark 0x4000',
          '-A POSTROUTING -j MASQUERADE --random-fully',
        ],
      }),
    }),
    [{ ...FROM_OUTSIDE, dst: '192.168.21.20', dport: 30080 }, { ...FROM_OUTSIDE, dst: '10.9.0.20', dport: 30080 }, FROM_OUTSIDE],
    [
      /PREROUTING 1, nat NP 1, nat NP 2, nat POSTROUTING 2, nat POSTROUTING 3 -> out cali2 192.168.21.20:\d+ > 10.1.0.2:8080/,
      /out cali2/,
      /^nat POSTROUTING 1 -> out cali1/,
    ],
  );
});
