// What single matches look at: ports, ranges, marks, interfaces, address types, chance.
import { BASE, describeClaims, FROM_OUTSIDE, FROM_POD, load, save } from './claim.ts';
import type { Shot } from './node.ts';

const rule = (match: string): string => `-A FORWARD ${match}`;

describeClaims('marks', ({ both }) => {
  both(
    '--set-mark clears the mask and ORs, --set-xmark clears it and XORs',
    {
      mangle: [
        '-A FORWARD -j MARK --set-mark 0xff',
        '-A FORWARD -j MARK --set-mark 0x1/0x3',
        '-A FORWARD -m mark --mark 0xfd',
        '-A FORWARD -j MARK --set-xmark 0x1/0x0',
        '-A FORWARD -m mark --mark 0xfc',
        '-A FORWARD -j CONNMARK --save-mark',
        '-A FORWARD -j MARK --set-mark 0',
        '-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xf0',
        '-A POSTROUTING -m mark --mark 0xf0',
        '-A PREROUTING -m connmark --mark 0xfc',
        '-A PREROUTING -m connmark ! --mark 0xfc',
      ],
    },
    [FROM_OUTSIDE, FROM_OUTSIDE],
    [
      'mangle PREROUTING 1, mangle PREROUTING 3, mangle FORWARD 1, mangle FORWARD 2, mangle FORWARD 3, mangle FORWARD 4, mangle FORWARD 5, mangle FORWARD 6, mangle FORWARD 7 -> out',
      'mangle PREROUTING 1, mangle PREROUTING 2, mangle FORWARD 1',
    ],
  );
  both(
    '--and-mark, --or-mark and --xor-mark are masks of --set-xmark',
    {
      mangle: [
        '-A FORWARD -j MARK --set-mark 0xf0f0',
        '-A FORWARD -j MARK --and-mark 0xff00',
        '-A FORWARD -m mark --mark 0xf000',
        '-A FORWARD -j MARK --or-mark 0x3',
        '-A FORWARD -m mark --mark 0xf003',
        '-A FORWARD -j MARK --xor-mark 0xffff0001',
      ],
    },
    FROM_OUTSIDE,
    'mangle FORWARD 3, mangle FORWARD 4, mangle FORWARD 5, mangle FORWARD 6 -> out cali1 8.8.8.8:40000 > 10.1.0.1:80 ttl 63 mark 0xffff',
  );
  both(
    '--set-mark with a mask keeps the bits outside',
    { mangle: ['-A FORWARD -j MARK --set-mark 0xffffffff', '-A FORWARD -j MARK --set-mark 0x10/0xf0'] },
    FROM_OUTSIDE,
    'mark 0xffffff1f',
  );
  both(
    'CONNMARK saves and restores under two masks',
    {
      mangle: [
        '-A PREROUTING -j CONNMARK --set-xmark 0xff00/0xffffffff',
        '-A PREROUTING -j MARK --set-mark 0x1234',
        '-A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xf00',
        '-A PREROUTING -j MARK --set-mark 0',
        '-A PREROUTING -j CONNMARK --restore-mark',
        '-A FORWARD -j CONNMARK --and-mark 0xff',
        '-A FORWARD -j CONNMARK --or-mark 0x10000',
        '-A FORWARD -j CONNMARK --xor-mark 0x30000',
        '-A POSTROUTING -j CONNMARK --restore-mark --nfmask 0x0 --ctmask 0xffffffff',
      ],
    },
    [FROM_OUTSIDE, FROM_OUTSIDE],
    [/mark 0x[0-9a-f]+$/, /mark 0x[0-9a-f]+$/],
  );
  both(
    'a mark of the sender is seen from OUTPUT on',
    { raw: ['-A OUTPUT -m mark --mark 0x7'], mangle: ['-A POSTROUTING -m mark --mark 0x5/0x5'] },
    { local: true, dst: '8.8.8.8', mark: 7 },
    'raw OUTPUT 1, mangle POSTROUTING 1 -> out eth0',
  );
});

describeClaims('ports and addresses', ({ both }) => {
  const ports = (at: readonly number[], proto = 'tcp'): Shot[] => at.map((dport) => ({ ...FROM_OUTSIDE, proto, dport }));
  both(
    '--dport takes both ends of a range',
    { filter: [rule('-p tcp --dport 1000:1003'), rule('-p tcp ! --dport 1001:1002'), rule('-p tcp --dport :999'), rule('-p tcp --dport 1003:')] },
    ports([0, 999, 1000, 1001, 1002, 1003, 1004, 65535]),
    [
      'FORWARD 2, filter FORWARD 3',
      'FORWARD 2, filter FORWARD 3',
      /^filter FORWARD 1, filter FORWARD 2 /,
      /^filter FORWARD 1 /,
      /^filter FORWARD 1 /,
      'FORWARD 1, filter FORWARD 2, filter FORWARD 4',
      'FORWARD 2, filter FORWARD 4',
      'FORWARD 2, filter FORWARD 4',
    ],
  );
  both(
    'multiport takes lists and ranges, of either side or both',
    {
      filter: [
        rule('-p tcp -m multiport --dports 22,80:82,443'),
        rule('-p tcp -m multiport ! --dports 22,80:82,443'),
        rule('-p tcp -m multiport --ports 40000,9'),
        rule('-p tcp -m multiport --sports 39999:40001'),
      ],
    },
    ports([22, 79, 80, 82, 83, 443]),
    ['FORWARD 1, filter FORWARD 3, filter FORWARD 4', 'FORWARD 2, filter FORWARD 3', 'FORWARD 1', 'FORWARD 1', 'FORWARD 2', 'FORWARD 1'],
  );
  both(
    'multiport of UDP does not match TCP',
    { filter: [rule('-p udp -m multiport --dports 53,54')] },
    [...ports([53, 54, 55], 'udp'), ...ports([53])],
    ['FORWARD 1', 'FORWARD 1', /^->/, /^->/],
  );
  both(
    'iprange takes both ends',
    {
      filter: [
        rule('-m iprange --src-range 8.8.8.7-8.8.8.9'),
        rule('-m iprange ! --src-range 8.8.8.7-8.8.8.9'),
        rule('-m iprange --dst-range 10.1.0.1-10.1.0.1'),
      ],
    },
    ['8.8.8.6', '8.8.8.7', '8.8.8.9', '8.8.8.10'].map((src): Shot => ({ ...FROM_OUTSIDE, src })),
    [
      /^filter FORWARD 2, filter FORWARD 3/,
      /^filter FORWARD 1, filter FORWARD 3/,
      /^filter FORWARD 1, filter FORWARD 3/,
      /^filter FORWARD 2, filter FORWARD 3/,
    ],
  );
  both(
    'prefixes, masks with holes and their negation',
    { filter: [rule('-s 8.8.8.0/30'), rule('! -s 8.8.8.0/30'), rule('-s 8.0.0.5/255.0.0.255'), rule('-d 10.1.0.1'), rule('! -d 10.1.0.0/16')] },
    ['8.8.8.0', '8.8.8.3', '8.8.8.4', '8.1.2.5'].map((src): Shot => ({ ...FROM_OUTSIDE, src })),
    [
      /^filter FORWARD 1, filter FORWARD 4 /,
      /^filter FORWARD 1, filter FORWARD 4 /,
      /^filter FORWARD 2, filter FORWARD 4 /,
      'filter FORWARD 2, filter FORWARD 3, filter FORWARD 4 ',
    ],
  );
  both(
    'protocols, and their negation',
    { filter: [rule('-p tcp'), rule('! -p tcp'), rule('-p udp'), rule('-p icmp'), rule('-p 47'), rule('-p sctp --dport 80')] },
    ['tcp', 'udp', 'icmp', 'gre', 'sctp'].map((proto): Shot => ({ ...FROM_OUTSIDE, proto, dport: 80 })),
    [
      /^filter FORWARD 1 /,
      'FORWARD 2, filter FORWARD 3 ',
      'FORWARD 2, filter FORWARD 4 ',
      'FORWARD 2, filter FORWARD 5 ',
      'FORWARD 2, filter FORWARD 6 ',
    ],
  );
  both(
    'TCP flags under a mask',
    {
      filter: [
        rule('-p tcp --syn'),
        rule('-p tcp ! --syn'),
        rule('-p tcp --tcp-flags SYN,ACK SYN'),
        rule('-p tcp --tcp-flags ALL ACK'),
        rule('-p tcp --tcp-flags ALL NONE'),
        rule('-p tcp ! --tcp-flags FIN,RST NONE'),
      ],
    },
    ['SYN', 'ACK', 'SYN,ACK', 'FIN,ACK', 'RST', '', 'SYN,PSH'].map((flags, i): Shot => ({ ...FROM_OUTSIDE, flags, sport: 3000 + i })),
    [
      /^filter FORWARD 1, filter FORWARD 3 /,
      /^filter FORWARD 2, filter FORWARD 4 /,
      /^filter FORWARD 2 /,
      /^filter FORWARD 2, filter FORWARD 6 /,
      'FORWARD 6',
      'FORWARD 5',
      'FORWARD 1, filter FORWARD 3',
    ],
  );
  both(
    'ICMP types and codes',
    {
      filter: [
        rule('-p icmp --icmp-type echo-request'),
        rule('-p icmp --icmp-type 8/0'),
        rule('-p icmp ! --icmp-type 8'),
        rule('-p icmp --icmp-type any'),
        rule('-p icmp --icmp-type 8/1'),
      ],
    },
    [
      { ...FROM_OUTSIDE, proto: 'icmp' },
      { ...FROM_OUTSIDE, proto: 'icmp', code: 1 },
      { ...FROM_OUTSIDE, proto: 'icmp', type: 13 },
    ],
    [
      /^filter FORWARD 1, filter FORWARD 2, filter FORWARD 4 /,
      /^filter FORWARD 1, filter FORWARD 4, filter FORWARD 5 /,
      /^filter FORWARD 3, filter FORWARD 4 /,
    ],
  );
  both(
    'interface names, prefixes of them and their negation',
    {
      filter: [
        rule('-i et+'),
        rule('! -i cali+'),
        rule('-o cali'),
        rule('-i +'),
        rule('-o cali1'),
        rule('! -o cali1'),
        rule('-i eth0 -o cali+'),
        '-A INPUT -i eth0',
        '-A OUTPUT -o eth0',
      ],
    },
    [FROM_OUTSIDE, FROM_POD, { ...FROM_OUTSIDE, dst: '192.168.21.20' }, { local: true, dst: '8.8.8.8' }],
    [
      /^filter FORWARD 1, filter FORWARD 2, filter FORWARD 4, filter FORWARD 5, filter FORWARD 7 /,
      /^filter FORWARD 4, filter FORWARD 6 /,
      'INPUT 1 -> local',
      'OUTPUT 1 -> out eth0',
    ],
  );
  both(
    '-i in POSTROUTING is refused in the base chain but matches in a chain it calls',
    { nat: ['-A POSTROUTING -j U', '-A U -i cali1 -j MASQUERADE'] },
    FROM_POD,
    'nat POSTROUTING 1, nat U 1 -> out eth0 192.168.21.20:40000',
  );
  both(
    '-i in a chain called from POSTROUTING does not match a local packet',
    { nat: ['-A POSTROUTING -j U', '-A U -i eth+ -j MASQUERADE', '-A U ! -i eth+'] },
    { local: true, dst: '8.8.8.8' },
    'nat POSTROUTING 1, nat U 2 -> out eth0',
  );
  both(
    '-o in a chain called from INPUT or PREROUTING does not match',
    { mangle: ['-A INPUT -j U', '-A PREROUTING -j U', '-A U -o +', '-A U -o eth0', '-A U ! -o eth0'] },
    { ...FROM_OUTSIDE, dst: '192.168.21.20' },
    /-> local/,
  );
  both(
    'ttl, length, tos and dscp compare numbers',
    {
      filter: [
        rule('-m ttl --ttl-eq 63'),
        rule('-m ttl --ttl-lt 63'),
        rule('-m ttl --ttl-gt 62'),
        rule('-m length --length 40'),
        rule('-m length ! --length 0:39'),
        rule('-m tos --tos 0x10/0x3f'),
        rule('-m dscp --dscp 4'),
        rule('-m dscp ! --dscp 4'),
      ],
    },
    [FROM_OUTSIDE, { ...FROM_OUTSIDE, ttl: 10, tos: 0x10 }, { ...FROM_OUTSIDE, proto: 'udp', tos: 0x11 }],
    [
      'FORWARD 1, filter FORWARD 3, filter FORWARD 4, filter FORWARD 5, filter FORWARD 8 ',
      'FORWARD 2, filter FORWARD 4, filter FORWARD 5, filter FORWARD 6, filter FORWARD 7 ',
      '->',
    ],
  );
  both(
    'the owner of a socket is known in OUTPUT and POSTROUTING, and of a forwarded packet nobody is',
    {
      filter: [
        '-A OUTPUT -m owner --uid-owner 1000',
        '-A OUTPUT -m owner ! --uid-owner 1000',
        '-A OUTPUT -m owner --uid-owner 999-1001',
        '-A OUTPUT -m owner --gid-owner 1000',
        '-A OUTPUT -m owner --socket-exists',
      ],
      mangle: ['-A POSTROUTING -m owner --uid-owner 1000', '-A POSTROUTING -m owner ! --uid-owner 1000', '-A POSTROUTING -m owner ! --socket-exists'],
    },
    [{ local: true, dst: '8.8.8.8', proto: 'udp', uid: 1000 }, { local: true, dst: '8.8.8.8', proto: 'udp' }, FROM_OUTSIDE],
    [
      'OUTPUT 1, filter OUTPUT 3, filter OUTPUT 4, filter OUTPUT 5, mangle POSTROUTING 1',
      'filter OUTPUT 2, filter OUTPUT 5, mangle POSTROUTING 2',
      /mangle POSTROUTING 3/,
    ],
  );
  both(
    'mac looks at the sender of the frame',
    { filter: [rule('-m mac --mac-source 06:00:00:00:00:01'), rule('-m mac ! --mac-source 06:00:00:00:00:01')] },
    [FROM_OUTSIDE, { ...FROM_OUTSIDE, mac: '06:00:00:00:00:02' }],
    [/^filter FORWARD 1 /, /^filter FORWARD 2 /],
  );
  both(
    'pkttype is that of the frame',
    { filter: [rule('-m pkttype --pkt-type unicast'), rule('-m pkttype ! --pkt-type unicast')] },
    FROM_OUTSIDE,
    /^filter FORWARD 1 /,
  );
});

describeClaims('address types', ({ both }) => {
  both(
    'LOCAL is any own address; limited to an interface it has to be on that one',
    {
      nat: [
        '-A POSTROUTING -m addrtype --src-type LOCAL',
        '-A POSTROUTING -m addrtype --src-type LOCAL --limit-iface-out',
        '-A POSTROUTING -m addrtype ! --src-type LOCAL',
        '-A PREROUTING -m addrtype --dst-type LOCAL',
        '-A PREROUTING -m addrtype --dst-type LOCAL --limit-iface-in',
        '-A PREROUTING -m addrtype --dst-type BROADCAST',
        '-A PREROUTING -m addrtype --dst-type UNICAST',
        '-A PREROUTING -m addrtype --dst-type MULTICAST',
        '-A PREROUTING -m addrtype --src-type UNICAST --dst-type LOCAL',
        '-A PREROUTING -m addrtype --dst-type BLACKHOLE',
        '-A PREROUTING -m addrtype --dst-type UNREACHABLE,PROHIBIT',
        '-A OUTPUT -m addrtype ! --dst-type LOCAL',
      ],
      filter: ['-A FORWARD -m conntrack --ctstate NEW'],
    },
    [
      { local: true, proto: 'udp', src: '10.9.0.20', dst: '8.8.8.8' },
      { local: true, proto: 'udp', dst: '8.8.8.8' },
      FROM_POD,
      { ...FROM_OUTSIDE, dst: '10.9.0.20' },
      { ...FROM_OUTSIDE, dst: '192.168.21.20' },
      { ...FROM_OUTSIDE, dst: '192.168.21.255', proto: 'udp' },
      { ...FROM_OUTSIDE, dst: '127.0.0.2', proto: 'udp' },
      { ...FROM_OUTSIDE, dst: '255.255.255.255', proto: 'udp' },
      { ...FROM_OUTSIDE, dst: '1.2.3.4' },
      { ...FROM_OUTSIDE, dst: '2.2.3.4' },
      { ...FROM_OUTSIDE, dst: '3.2.3.4' },
      { ...FROM_OUTSIDE, dst: '192.168.21.0', proto: 'udp' },
    ],
    [
      'nat OUTPUT 1, nat POSTROUTING 1 -> out eth0',
      'nat POSTROUTING 1, nat POSTROUTING 2',
      'nat POSTROUTING 3',
      'nat PREROUTING 1, nat PREROUTING 6',
      'nat PREROUTING 1, nat PREROUTING 2, nat PREROUTING 6',
      'nat PREROUTING 3',
      'nat PREROUTING 1',
      'nat PREROUTING 3',
      'PREROUTING 4 -> gone',
      'PREROUTING 4 -> gone',
      'PREROUTING 4 -> gone',
      '->',
    ],
    { ip: ['route add blackhole 1.0.0.0/8', 'route add unreachable 2.0.0.0/8', 'route add prohibit 3.0.0.0/8'] },
  );
  both(
    'rpfilter looks for the way back to the source',
    {
      raw: [
        '-A PREROUTING -m rpfilter',
        '-A PREROUTING -m rpfilter --invert',
        '-A PREROUTING -m rpfilter --loose',
        '-A PREROUTING -m rpfilter --loose --invert',
        '-A PREROUTING -m rpfilter --accept-local',
      ],
    },
    [
      FROM_OUTSIDE,
      { ...FROM_OUTSIDE, iif: 'eth1' },
      { ...FROM_OUTSIDE, src: '10.1.0.2' },
      { ...FROM_OUTSIDE, src: '7.7.7.7' },
      { ...FROM_OUTSIDE, src: '10.9.0.20' },
      { ...FROM_OUTSIDE, src: '192.168.21.20', iif: 'eth1' },
    ],
    [
      'raw PREROUTING 1, raw PREROUTING 3',
      'raw PREROUTING 2, raw PREROUTING 3',
      'raw PREROUTING 2, raw PREROUTING 3',
      'raw PREROUTING 2, raw PREROUTING 4',
      'raw PREROUTING',
      'raw PREROUTING',
    ],
    { ip: ['route add blackhole 7.0.0.0/8'] },
  );
});

describeClaims('chance', ({ both, same }) => {
  const spread = (n: number): Shot[] => Array.from({ length: n }, (_, i) => ({ ...FROM_OUTSIDE, dst: '10.96.0.1', sport: 1000 + i }));
  both(
    '--every 3 --packet 0 hits the first, fourth and seventh packet that reach the rule',
    {
      nat: [
        '-A PREROUTING -p tcp -m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination 10.1.0.1',
        '-A PREROUTING -p tcp -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.1.0.2',
      ],
    },
    spread(7),
    [1, 2, 0, 1, 2, 0, 1].map((n) => (n === 0 ? /^-> out eth0/ : `nat PREROUTING ${n} -> out cali${n}`)),
  );
  same(
    'each of three endpoints behind rules of 1/3, 1/2 and 1 is possible',
    load(BASE, {
      legacy: save({
        nat: [
          '-A PREROUTING -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.1.0.1',
          '-A PREROUTING -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.1.0.2',
          '-A PREROUTING -j DNAT --to-destination 10.9.0.3',
        ],
      }),
    }),
    spread(30),
  );
  same(
    'a negated chance is possible either way',
    load(BASE, { nft: save({ filter: ['-A FORWARD -m statistic --mode random ! --probability 0.25 -j DROP'] }) }),
    spread(20),
  );
  same(
    'a probability of 0 never matches and one of 1 always does',
    load(BASE, {
      legacy: save({
        filter: [
          '-A FORWARD -m statistic --mode random --probability 0 -j DROP',
          '-A FORWARD -m statistic --mode random --probability 1.0 -j ACCEPT',
        ],
      }),
    }),
    spread(20),
  );
});

describeClaims('a port that the kernel picks', ({ both }) => {
  both(
    'is not known of the connection either: --ctrepldstport may hold or not',
    {
      nat: ['-A POSTROUTING -p tcp -j MASQUERADE --to-ports 2000-2009 --random'],
      mangle: ['-A PREROUTING -p tcp -m conntrack --ctrepldstport 2000:2004', '-A PREROUTING -p tcp -m conntrack ! --ctrepldstport 2000:2009'],
    },
    [FROM_POD, FROM_POD],
    [/nat POSTROUTING 1/, /^(mangle PREROUTING 1)?/],
  );
  both(
    'nor is the identifier of an echo: both tuples have it as their source port',
    {
      nat: ['-A POSTROUTING -p icmp -j MASQUERADE --random'],
      mangle: ['-A PREROUTING -p icmp -m conntrack --ctreplsrcport 0:30000', '-A PREROUTING -p icmp -m conntrack --ctrepldstport 0'],
    },
    [
      { ...FROM_POD, proto: 'icmp' },
      { ...FROM_POD, proto: 'icmp' },
    ],
    [/nat POSTROUTING 1/, /^(mangle PREROUTING 1, )?/],
  );
});
