// Which way: policy rules, route types, source addresses, reverse-path checks, martians, TTL.
import { BASE, describeClaims, FROM_OUTSIDE, FROM_POD, load, save } from './claim.ts';
import type { Load, Shot } from './node.ts';

const CHECKS = save({ mangle: ['-A PREROUTING', '-A FORWARD', '-A INPUT', '-A OUTPUT', '-A POSTROUTING'] });
const UDP: Shot = { local: true, proto: 'udp', dst: '8.8.8.8', dport: 53 };
/** The base node with lines of `ip -batch`. */
const node = (ip: readonly string[], sysctls: Load['sysctls'] = {}, rules?: Parameters<typeof save>[0]): Load =>
  load(BASE, { legacy: rules ? save(rules) : CHECKS }, { ip, sysctls });
const OTHER = 'route add default via 10.9.0.1 dev eth1 table 100';

describeClaims('policy rules', ({ claim }) => {
  claim(
    'select by input device, source, uid, protocol and port',
    node([
      'rule add iif cali1 lookup 100',
      'rule add from 10.1.0.2 lookup 101',
      'rule add uidrange 1000-1000 lookup 100',
      'rule add ipproto udp dport 5353 lookup 100',
      OTHER,
      'route add unreachable default table 101',
    ]),
    [FROM_POD, { ...FROM_POD, iif: 'cali2', src: '10.1.0.2' }, { ...UDP, uid: 1000 }, UDP, { ...UDP, dport: 5353 }, { ...UDP, dport: 5354 }],
    ['out eth1', '-> gone', 'out eth1', 'out eth0', 'out eth1', 'out eth0'],
  );
  claim(
    'not negates the whole selector',
    node([OTHER, 'rule add not fwmark 0x5 to 7.7.7.7 lookup 100']),
    [
      { local: true, dst: '7.7.7.7' },
      { local: true, dst: '7.7.7.7', mark: 5 },
      { local: true, dst: '9.9.9.9', mark: 5 },
    ],
    ['out eth1', 'out eth0', 'out eth1'],
  );
  claim(
    'of equal preference: the one added later goes first',
    node(['rule add to 7.0.0.0/8 lookup 100', 'rule add to 7.7.0.0/16 lookup 101', OTHER, 'route add default dev cali2 table 101']),
    [
      { ...UDP, dst: '7.7.1.1' },
      { ...UDP, dst: '7.8.1.1' },
    ],
    ['out cali2', 'out eth1'],
  );
  claim(
    'a table without a route for the destination is passed over',
    node(['rule add pref 100 lookup 100', 'route add 7.0.0.0/8 dev cali2 table 100']),
    [{ ...UDP, dst: '7.7.1.1' }, UDP],
    ['out cali2', 'out eth0'],
  );
  claim(
    'suppress_prefixlength 0 passes over the default route',
    node(['rule add pref 100 lookup main suppress_prefixlength 0', 'rule add pref 101 lookup 100', OTHER]),
    [UDP, { ...UDP, dst: '10.1.0.1' }],
    ['out eth1', 'out cali1'],
  );
  claim(
    'suppress_prefixlength 24 passes over /24 and keeps /25',
    node([
      'rule add pref 100 lookup main suppress_prefixlength 24',
      'rule add pref 101 lookup 100',
      OTHER,
      'route add 7.7.7.0/24 dev cali2',
      'route add 7.7.8.0/25 dev cali2',
    ]),
    [
      { ...UDP, dst: '7.7.7.7' },
      { ...UDP, dst: '7.7.8.7' },
    ],
    ['out eth1', 'out cali2'],
  );
  claim(
    'goto jumps over what is between',
    node(['rule add pref 100 to 7.0.0.0/8 goto 200', 'rule add pref 150 lookup 100', 'rule add pref 200 to 7.7.0.0/16 blackhole', OTHER]),
    [{ ...UDP, dst: '7.7.7.7' }, { ...UDP, dst: '7.8.7.7' }, UDP],
    ['gone', 'out eth0', 'out eth1'],
  );
  claim(
    'goto to a rule that does not exist is passed over',
    node(['rule add pref 100 goto 30000', 'rule add pref 150 lookup 100', OTHER]),
    [UDP],
    ['out eth1'],
  );
  claim('nop does nothing', node(['rule add pref 100 nop', 'rule add pref 150 lookup 100', OTHER]), [UDP], ['out eth1']);
  claim(
    'blackhole, unreachable and prohibit end the search, with different errors',
    node(['rule add to 1.0.0.0/8 blackhole', 'rule add to 2.0.0.0/8 unreachable', 'rule add to 3.0.0.0/8 prohibit']),
    [
      ...['1.1.1.1', '2.2.2.2', '3.3.3.3'].map((dst): Shot => ({ ...UDP, dst })),
      ...['1.1.1.1', '2.2.2.2', '3.3.3.3'].map((dst): Shot => ({ ...FROM_OUTSIDE, dst })),
    ],
    ['(EINVAL)', '(ENETUNREACH)', '(EACCES)', 'mangle PREROUTING 1 -> gone', 'mangle PREROUTING 1 -> gone', 'mangle PREROUTING 1 -> gone'],
  );
  claim(
    'fwmark compares under its mask',
    node(['rule add fwmark 0x10/0xf0 lookup 100', OTHER]),
    [0, 0x10, 0x1f, 0x110, 0x20, 0x30].map((mark): Shot => ({ ...UDP, mark })),
    ['eth0', 'eth1', 'eth1', 'eth1', 'eth0', 'eth0'],
  );
  claim(
    'a mark of PREROUTING steers forwarded packets',
    node(['rule add fwmark 1 lookup 100', OTHER], {}, { mangle: ['-A PREROUTING -s 10.1.0.1 -j MARK --set-mark 1'] }),
    [FROM_POD, { ...FROM_POD, iif: 'cali2', src: '10.1.0.2' }],
    ['out eth1', 'out eth0'],
  );
  claim(
    'from an address that the socket has not chosen yet does not select',
    node(['rule add from 192.168.21.20 lookup 100', OTHER]),
    [UDP, { ...UDP, src: '192.168.21.20' }, { ...UDP, src: '10.9.0.20' }, { ...FROM_POD, src: '192.168.21.30', iif: 'eth0' }],
    ['out eth0', 'out eth1', 'out eth0', 'out eth0'],
  );
  claim('iif lo selects what is sent here', node(['rule add iif lo lookup 100', OTHER]), [UDP, FROM_POD], ['out eth1', 'out eth0']);
  claim(
    'oif selects nothing that is not bound to a device',
    node(['rule add oif eth1 lookup 100', OTHER]),
    [UDP, FROM_POD],
    ['out eth0', 'out eth0'],
  );
  claim(
    'tos selects',
    node(['rule add tos 0x10 lookup 100', OTHER]),
    [{ ...UDP, tos: 0x10 }, UDP, { ...FROM_POD, tos: 0x10 }, { ...FROM_POD, tos: 0x08 }],
    ['out eth1', 'out eth0', 'out eth1', 'out eth0'],
  );
  claim(
    'sport and port ranges select',
    node([
      'rule add ipproto tcp sport 1000-2000 lookup 100',
      'rule add ipproto tcp dport 90 lookup 101',
      OTHER,
      'route add default dev cali2 table 101',
    ]),
    [
      { ...FROM_POD, sport: 999 },
      { ...FROM_POD, sport: 1000 },
      { ...FROM_POD, sport: 2000 },
      { ...FROM_POD, sport: 2001 },
      { ...FROM_POD, dport: 90 },
      { ...FROM_POD, dport: 90, proto: 'udp' },
    ],
    ['eth0', 'eth1', 'eth1', 'eth0', 'cali2', 'eth0'],
  );
  claim(
    'a local address is found before any rule of higher preference',
    node(['rule add pref 1 lookup 100', OTHER]),
    [{ ...FROM_OUTSIDE, dst: '10.9.0.20' }],
    ['-> local'],
  );
  claim(
    'rules may come before the local table',
    node(['rule del pref 0', 'rule add pref 10 lookup local', 'rule add pref 5 to 10.9.0.20 lookup 100', OTHER]),
    [
      { ...FROM_OUTSIDE, dst: '10.9.0.20' },
      { ...FROM_OUTSIDE, dst: '192.168.21.20' },
    ],
    ['out eth1', '-> local'],
  );
});

describeClaims('routes', ({ claim, both }) => {
  const types = [
    'route add blackhole 1.0.0.0/8',
    'route add unreachable 2.0.0.0/8',
    'route add prohibit 3.0.0.0/8',
    'route add throw 4.0.0.0/8',
    'route del default',
  ];
  const where = ['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4', '8.8.8.8'];
  claim(
    'of every type that refuses never reach FORWARD',
    node(types),
    where.map((dst, i): Shot => ({ iif: 'eth0', src: `192.168.21.${i + 1}`, dst, proto: 'udp' })),
    where.map(() => /^mangle PREROUTING 1 -> gone/),
  );
  claim(
    'refuse a local sender each with its error, before any rule',
    node(types),
    where.map((dst): Shot => ({ ...UDP, dst })),
    ['-> gone (EINVAL)', '-> gone (EHOSTUNREACH)', '-> gone (EACCES)', '-> gone (ENETUNREACH)', '-> gone (ENETUNREACH)'],
  );
  claim(
    'the longest prefix wins, then the lowest metric',
    node([
      'route add 7.0.0.0/8 dev cali1',
      'route add 7.7.0.0/16 dev cali2 metric 5',
      'route add 7.7.0.0/16 dev eth1 metric 4',
      'route add 7.7.7.7 dev cali1',
    ]),
    ['7.6.0.1', '7.7.0.0', '7.7.7.6', '7.7.7.7', '7.7.255.255', '7.8.0.0'].map((dst): Shot => ({ ...FROM_OUTSIDE, dst })),
    ['cali1', 'eth1', 'eth1', 'cali1', 'eth1', 'cali1'],
  );
  claim(
    'a route for a tos is for that tos only',
    node(['route add 7.0.0.0/8 dev cali1', 'route add 7.0.0.0/8 tos 0x10 dev cali2']),
    [
      { ...FROM_OUTSIDE, dst: '7.7.7.7' },
      { ...FROM_OUTSIDE, dst: '7.7.7.7', tos: 0x10 },
      { ...FROM_OUTSIDE, dst: '7.7.7.7', tos: 0x08 },
    ],
    ['cali1', 'cali2', 'cali1'],
  );
  claim(
    'throw goes on with the next rule',
    node(['rule add pref 100 lookup 100', 'route add throw 7.7.0.0/16 table 100', OTHER]),
    [{ ...UDP, dst: '7.7.7.7' }, UDP],
    ['out eth0', 'out eth1'],
  );
  claim(
    'multipath: either next hop is possible',
    node(['route replace default nexthop via 192.168.21.1 weight 1 nexthop via 10.9.0.1 weight 3']),
    Array.from({ length: 12 }, (_, i): Shot => ({ ...FROM_POD, dst: `8.8.${i}.8`, sport: 1000 + i })),
    Array.from({ length: 12 }, () => /out eth[01]/),
  );
  claim(
    'a route by way of a device that is down does not exist',
    node(['link set cali2 down', 'route add 7.0.0.0/8 dev cali1']),
    [
      { ...FROM_OUTSIDE, dst: '10.1.0.2' },
      { ...FROM_OUTSIDE, dst: '7.7.7.7' },
    ],
    ['out eth0', 'out cali1'],
  );
  claim(
    'local routes of a prefix deliver all its addresses',
    node(['route add local 7.7.0.0/16 dev lo']),
    [
      { ...FROM_OUTSIDE, dst: '7.7.1.2' },
      { ...FROM_OUTSIDE, dst: '7.8.1.2' },
      { ...UDP, dst: '7.7.3.4' },
    ],
    ['-> local', 'out eth0', '-> local'],
  );
  claim(
    'a broadcast address is delivered',
    node([]),
    [
      { ...FROM_OUTSIDE, dst: '192.168.21.255', proto: 'udp' },
      { ...FROM_OUTSIDE, dst: '10.9.0.255', proto: 'udp' },
      { ...FROM_OUTSIDE, dst: '255.255.255.255', proto: 'udp' },
    ],
    [/-> (local|gone)/, /-> (local|gone)/, '-> local'],
  );
  both(
    'a blackhole for a service address is harmless for forwarded packets, and not for local ones',
    { nat: ['-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.1.0.1', '-A OUTPUT -d 10.96.0.1 -j DNAT --to-destination 10.1.0.1'] },
    [
      { ...FROM_OUTSIDE, dst: '10.96.0.1' },
      { ...UDP, dst: '10.96.0.1' },
    ],
    ['nat PREROUTING 1 -> out cali1', '-> gone (EINVAL)'],
    { ip: ['route add blackhole 10.96.0.0/12'] },
  );
  both(
    'a local packet to a service address needs a route to it before any rule',
    { nat: ['-A OUTPUT -d 10.96.0.1 -j DNAT --to-destination 10.1.0.1'] },
    { ...UDP, dst: '10.96.0.1' },
    /^-> gone \(ENETUNREACH\)/,
    { ip: ['route del default'] },
  );
});

describeClaims('source addresses', ({ claim, both }) => {
  claim(
    'are the src of the route',
    node(['addr add 192.168.21.77/24 dev eth0', 'route replace default via 192.168.21.1 src 192.168.21.77']),
    UDP,
    'out eth0 192.168.21.77:',
  );
  claim(
    "are on the next hop's subnet where the route has none",
    node(['addr add 172.16.0.5/24 dev eth0', 'route add 7.0.0.0/8 via 172.16.0.1']),
    { ...UDP, dst: '7.7.7.7' },
    '172.16.0.5:',
  );
  claim('are those of another device where the egress device has none', node([]), { ...UDP, dst: '10.1.0.1' }, 'out cali1 192.168.21.20:');
  claim(
    'are the first of the device, and of lo only if nothing else is there',
    node(['addr add 5.5.5.5/32 dev lo']),
    [{ ...UDP, dst: '10.1.0.1' }, UDP],
    ['out cali1', 'out eth0 192.168.21.20'],
  );
  claim(
    'of a packet to oneself are the address itself',
    node([]),
    [
      { ...UDP, dst: '10.9.0.20' },
      { ...UDP, dst: '127.0.0.1' },
      { ...UDP, dst: '127.3.4.5' },
    ],
    ['local 10.9.0.20:40000 > 10.9.0.20', 'local 127.0.0.1:40000 > 127.0.0.1', /local 127.\d.\d.\d:40000 > 127.3.4.5/],
  );
  claim('that are nobody here cannot be bound', node([]), { ...UDP, src: '4.4.4.4' }, '(EADDRNOTAVAIL)');
  claim(
    'of scope link serve links only',
    node(['addr flush dev eth1', 'addr add 10.9.0.20/24 dev eth1 scope link', 'route add 7.0.0.0/8 via 10.9.0.1', 'route add 6.0.0.0/8 dev eth1']),
    [
      { ...UDP, dst: '7.7.7.7' },
      { ...UDP, dst: '6.6.6.6' },
      { ...UDP, dst: '10.9.0.7' },
    ],
    [/out eth1/, /out eth1/, /out eth1/],
  );
  both(
    'stay when DNAT in OUTPUT sends the packet elsewhere; filter still sees the old device',
    { nat: ['-A OUTPUT -d 10.9.0.99 -j DNAT --to-destination 10.1.0.1'], filter: ['-A OUTPUT -o cali1', '-A OUTPUT -o eth1'] },
    { ...UDP, dst: '10.9.0.99' },
    'nat OUTPUT 1, filter OUTPUT 2 -> out cali1 10.9.0.20:40000 > 10.1.0.1',
  );
  for (const [table, device] of [
    ['mangle', 'eth1'],
    ['raw', 'eth0'],
    ['nat', 'eth0'],
    ['filter', 'eth0'],
  ] as const) {
    both(
      `a mark set in ${table} OUTPUT ${device === 'eth1' ? 're-routes and keeps the source' : 'does not re-route'}`,
      { [table]: ['-A OUTPUT -p udp -j MARK --set-mark 1'], security: ['-A OUTPUT -m conntrack --ctstate NEW'] },
      UDP,
      `out ${device} 192.168.21.20:40000 > 8.8.8.8:53 ttl 64 mark 0x1`,
      { ip: ['rule add fwmark 1 lookup 100', OTHER] },
    );
  }
  both(
    'the device that OUTPUT sees stays the first one after a re-route by mark',
    {
      mangle: ['-A OUTPUT -p udp -j MARK --set-mark 1', '-A POSTROUTING -o eth1'],
      filter: ['-A OUTPUT -o eth1', '-A OUTPUT -o eth0'],
      security: ['-A OUTPUT -o eth1', '-A OUTPUT -o eth0'],
    },
    UDP,
    'mangle OUTPUT 1, filter OUTPUT 2, security OUTPUT 2, mangle POSTROUTING 1 -> out eth1',
    { ip: ['rule add fwmark 1 lookup 100', OTHER] },
  );
  both(
    'a mark of mangle OUTPUT into a table without a route drops the packet',
    { mangle: ['-A OUTPUT -p udp -j MARK --set-mark 1'] },
    UDP,
    '-> gone',
    { ip: ['rule add fwmark 1 blackhole'] },
  );
  both('a changed tos in mangle OUTPUT re-routes too', { mangle: ['-A OUTPUT -p udp -j TOS --set-tos 0x10'] }, UDP, 'out eth1', {
    ip: ['rule add tos 0x10 lookup 100', OTHER],
  });
});

describeClaims('what is not believed', ({ claim, both, same }) => {
  const strange: Shot = { ...FROM_OUTSIDE, iif: 'eth1' };
  for (const [all, own, fate] of [
    [0, 0, 'out cali1'],
    [1, 0, 'gone'],
    [0, 1, 'gone'],
    [2, 1, 'out cali1'],
    [1, 2, 'out cali1'],
    [0, 2, 'out cali1'],
    [1, 1, 'gone'],
  ] as const) {
    claim(
      `rp_filter is the larger of all and the device's: ${all} and ${own}`,
      node([], { 'net.ipv4.conf.all.rp_filter': all, 'net.ipv4.conf.eth1.rp_filter': own }),
      strange,
      fate === 'gone' ? /^mangle PREROUTING 1 -> gone/ : 'out cali1',
    );
  }
  claim(
    'rp_filter 2 still wants some route',
    node(['route del default'], { 'net.ipv4.conf.eth1.rp_filter': 2 }),
    [strange, { ...strange, src: '192.168.21.9' }],
    ['gone', 'out cali1'],
  );
  claim(
    'rp_filter 1 counts a multipath route that has the device',
    node(['route replace default nexthop via 192.168.21.1 nexthop via 10.9.0.1'], { 'net.ipv4.conf.eth1.rp_filter': 1 }),
    strange,
    'out cali1',
  );
  claim(
    'rp_filter looks at a mark only with src_valid_mark',
    load(
      BASE,
      { legacy: save({ mangle: ['-A PREROUTING -i eth1 -j MARK --set-mark 1'] }) },
      { ip: ['rule add fwmark 1 lookup 100', OTHER], sysctls: { 'net.ipv4.conf.eth1.rp_filter': 1 } },
    ),
    { ...strange, dst: '192.168.21.9' },
    'gone',
  );
  claim(
    'with src_valid_mark it does',
    load(
      BASE,
      { legacy: save({ mangle: ['-A PREROUTING -i eth1 -j MARK --set-mark 1'] }) },
      { ip: ['rule add fwmark 1 lookup 100', OTHER], sysctls: { 'net.ipv4.conf.eth1.rp_filter': 1, 'net.ipv4.conf.eth1.src_valid_mark': 1 } },
    ),
    { ...strange, dst: '192.168.21.9' },
    'out eth1',
  );
  both(
    'rp_filter comes after all of PREROUTING, nat included',
    { raw: ['-A PREROUTING'], mangle: ['-A PREROUTING', '-A FORWARD'], nat: ['-A PREROUTING -s 8.8.8.8 -j DNAT --to-destination 10.1.0.1'] },
    { ...strange, dst: '1.1.1.1' },
    'raw PREROUTING 1, mangle PREROUTING 1, nat PREROUTING 1 -> gone',
    { sysctls: { 'net.ipv4.conf.eth1.rp_filter': 1 } },
  );
  claim(
    'rp_filter of packets to this host',
    node([], { 'net.ipv4.conf.eth1.rp_filter': 1 }),
    [
      { ...strange, dst: '10.9.0.20' },
      { ...strange, src: '10.9.0.5', dst: '192.168.21.20' },
    ],
    ['gone', 'local'],
  );
  const sources = [
    '192.168.21.20',
    '10.9.0.20',
    '127.0.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
    '192.168.21.255',
    '192.168.21.0',
    '0.1.2.3',
  ];
  claim(
    'martian sources are dropped after PREROUTING even with rp_filter=0',
    node([]),
    sources.map((src): Shot => ({ ...FROM_OUTSIDE, src, proto: 'udp' })),
    [/-> gone/, /-> gone/, /-> gone/, /-> gone/, /-> gone/, /-> gone/, /./, /./, /./, /./],
  );
  same(
    'martian sources to an own address',
    node([]),
    sources.map((src): Shot => ({ ...FROM_OUTSIDE, src, dst: '192.168.21.20', proto: 'udp' })),
  );
  claim(
    'martian destinations',
    node([]),
    ['0.0.0.0', '255.255.255.255', '192.168.21.255', '127.0.0.1', '240.0.0.1', '0.1.2.3', '192.168.21.0'].map((dst): Shot => ({
      ...FROM_OUTSIDE,
      dst,
      proto: 'udp',
    })),
    ['-> gone', '-> local', '-> local', '-> gone', 'out eth0', /./, /./],
  );
  for (const on of [0, 1]) {
    claim(
      `what has 127.0.0.1 as its source ${on ? 'leaves with' : 'does not leave without'} route_localnet`,
      node([], { 'net.ipv4.conf.eth0.route_localnet': on }),
      { ...UDP, src: '127.0.0.1' },
      on ? 'out eth0 127.0.0.1' : /gone|EINVAL|ENETUNREACH/,
    );
    both(
      `a packet of this host from 127.0.0.1 that is redirected elsewhere ${on ? 'leaves with' : 'does not leave without'} route_localnet`,
      { nat: ['-A OUTPUT -p udp -d 127.0.0.1 -j DNAT --to-destination 10.1.0.1'] },
      { ...UDP, src: '127.0.0.1', dst: '127.0.0.1' },
      on ? 'nat OUTPUT 1 -> out cali1 127.0.0.1:' : /nat OUTPUT 1 -> gone/,
      { sysctls: { 'net.ipv4.conf.cali1.route_localnet': on } },
    );
  }
  for (const on of [0, 1]) {
    both(
      `a DNAT to 127.0.0.1 from outside is ${on ? 'delivered with' : 'dropped silently without'} route_localnet`,
      { nat: ['-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:8080'], filter: ['-A INPUT -d 127.0.0.1'] },
      { ...FROM_OUTSIDE, dst: '192.168.21.20' },
      on ? 'filter INPUT 1 -> local' : 'nat PREROUTING 1 -> gone',
      { sysctls: { 'net.ipv4.conf.eth0.route_localnet': on } },
    );
    claim(
      `an own address as source is ${on ? 'believed with' : 'a martian without'} accept_local`,
      node([], { 'net.ipv4.conf.eth0.accept_local': on }),
      [
        { ...FROM_OUTSIDE, src: '10.9.0.20' },
        { ...FROM_OUTSIDE, src: '10.9.0.20', dst: '192.168.21.20' },
      ],
      on ? ['out cali1', 'local'] : ['gone', 'gone'],
    );
    same(
      `an own address as source, rp_filter=1 and accept_local=${on}`,
      node([], { 'net.ipv4.conf.eth0.accept_local': on, 'net.ipv4.conf.eth0.rp_filter': 1 }),
      [
        { ...FROM_OUTSIDE, src: '10.9.0.20' },
        { ...FROM_OUTSIDE, src: '192.168.21.20', dst: '192.168.21.20' },
      ],
    );
    claim(`ip_forward=${on}`, node([], { 'net.ipv4.ip_forward': on }), FROM_OUTSIDE, on ? 'out cali1' : /^mangle PREROUTING 1 -> gone/);
    claim(
      `forwarding of the input device is what counts: ${on}`,
      node([], { 'net.ipv4.conf.eth0.forwarding': on, 'net.ipv4.conf.cali1.forwarding': 1 - on }),
      [FROM_OUTSIDE, FROM_POD],
      on ? ['out cali1', 'gone'] : ['gone', 'out eth0'],
    );
    same(
      `an own address as source with send_redirects=${on} out of the device it came in by`,
      node([], { 'net.ipv4.conf.eth0.send_redirects': on }),
      [{ ...FROM_OUTSIDE, src: '10.9.0.20', dst: '9.9.9.9' }],
    );
  }
});

describeClaims('sources, checked in full', ({ same }) => {
  const sources = ['10.9.0.20', '192.168.21.255', '192.168.21.0', '7.7.7.7', '6.6.6.6', '5.5.5.5'];
  const shots = ['10.1.0.1', '9.9.9.9', '192.168.21.20'].flatMap((dst) => sources.map((src): Shot => ({ ...FROM_OUTSIDE, src, dst })));
  const odd = ['route add blackhole 7.0.0.0/8', 'route add unreachable 6.0.0.0/8'];
  same('with the standard rules and routes only own addresses are refused', node(odd), shots);
  same('with a policy rule every source that is no unicast route is refused', node([...odd, 'rule add fwmark 9 lookup 100']), shots);
  same('with a local route of a prefix, too', node([...odd, 'route add local 5.5.0.0/16 dev lo']), shots);
  same('with send_redirects, for packets that go out where they came in', node(odd, { 'net.ipv4.conf.eth0.send_redirects': 1 }), shots);
  same('with accept_local=1 and a policy rule', node([...odd, 'rule add fwmark 9 lookup 100'], { 'net.ipv4.conf.eth0.accept_local': 1 }), shots);
  for (const mode of [1, 2]) same(`with rp_filter=${mode}`, node(odd, { 'net.ipv4.conf.eth0.rp_filter': mode }), shots);
});

describeClaims('before and after FORWARD', ({ claim, both }) => {
  claim(
    'a packet with TTL 1 is answered before FORWARD',
    node([]),
    [1, 2, 64].map((ttl): Shot => ({ ...FROM_OUTSIDE, src: '192.168.21.1', ttl })),
    [/^mangle PREROUTING 1 -> gone/, 'mangle FORWARD 1, mangle POSTROUTING 1 -> out cali1 192.168.21.1:40000 > 10.1.0.1:80 ttl 1', 'ttl 63'],
  );
  claim('a packet with TTL 1 to this host is delivered', node([]), { ...FROM_OUTSIDE, dst: '192.168.21.20', ttl: 1 }, '-> local');
  both(
    'TTL targets change it where they stand',
    { mangle: ['-A PREROUTING -p tcp -j TTL --ttl-inc 5', '-A PREROUTING -p udp -j TTL --ttl-set 1', '-A POSTROUTING -p icmp -j TTL --ttl-dec 3'] },
    [
      { ...FROM_OUTSIDE, ttl: 1 },
      { ...FROM_OUTSIDE, proto: 'udp' },
      { ...FROM_OUTSIDE, proto: 'icmp' },
      { ...FROM_OUTSIDE, ttl: 253 },
    ],
    ['ttl 5', 'gone', 'ttl 60', 'ttl 254'],
  );
  both(
    'a packet to an own address runs OUTPUT and POSTROUTING, then PREROUTING and INPUT on lo, and nat only the first time',
    {
      nat: ['-A PREROUTING -p udp', '-A INPUT -p udp', '-A OUTPUT -p udp', '-A POSTROUTING -p udp'],
      mangle: ['-A PREROUTING -i lo', '-A POSTROUTING -o lo'],
      filter: ['-A INPUT -i lo', '-A OUTPUT -o lo'],
      raw: ['-A OUTPUT -m conntrack --ctstate NEW', '-A PREROUTING -m conntrack --ctstate NEW', '-A PREROUTING'],
    },
    [
      { ...UDP, dst: '192.168.21.20' },
      { ...UDP, dst: '127.0.0.1' },
    ],
    [
      'nat OUTPUT 1, filter OUTPUT 1, mangle POSTROUTING 1, nat POSTROUTING 1, raw PREROUTING 1, raw PREROUTING 2, mangle PREROUTING 1, filter INPUT 1 -> local',
      'nat OUTPUT 1, filter OUTPUT 1, mangle POSTROUTING 1, nat POSTROUTING 1',
    ],
  );
  both(
    'a packet to an own address without a conntrack user meets no nat rule',
    { nat: ['-A PREROUTING -p udp', '-A INPUT -p udp', '-A OUTPUT -p udp', '-A POSTROUTING -p udp'] },
    { ...UDP, dst: '192.168.21.20' },
    /^-> local/,
  );
  both(
    'DNAT in PREROUTING does not reach a packet to an own address',
    { nat: ['-A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.1.0.1'] },
    { ...UDP, dst: '192.168.21.20' },
    /^-> local/,
  );
  both(
    'REJECT refuses with an answer, and a local sender with EPERM',
    {
      filter: [
        '-A FORWARD -p udp -j REJECT',
        '-A FORWARD -p tcp -j REJECT --reject-with tcp-reset',
        '-A FORWARD -p icmp -j REJECT',
        '-A OUTPUT -d 9.9.9.9 -j REJECT',
        '-A OUTPUT -d 9.9.9.8 -j DROP',
      ],
    },
    [
      ...['udp', 'tcp', 'icmp'].map((proto): Shot => ({ iif: 'eth0', src: '192.168.21.1', dst: '10.1.0.1', proto })),
      { ...UDP, dst: '9.9.9.9' },
      { ...UDP, dst: '9.9.9.8' },
    ],
    ['FORWARD 1 -> gone', 'FORWARD 2 -> gone', 'FORWARD 3 -> gone', 'OUTPUT 1 -> gone', 'OUTPUT 2 -> gone (EPERM)'],
  );
  claim(
    'a packet too big for the egress device is refused before FORWARD',
    node(['link set cali1 mtu 600', 'link set eth0 mtu 1400']),
    [FROM_OUTSIDE],
    ['out cali1'],
  );
});
