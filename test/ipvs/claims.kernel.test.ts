// Where IPVS stands in a packet's way, claim by claim: the guest's kernel shows it, and netwhy says the same.
import { describeGuest, openGuest } from '../oracle/guest.ts';
import { describeClaims, save, type Claims, type Tables } from '../probes/claim.ts';
import type { Load, Shot } from '../probes/node.ts';

/** A node with two pods, and a service whose address is on kube-ipvs0, which is down as kube-proxy leaves it. */
const NODE: Load = {
  devs: [
    { name: 'eth0', addrs: ['192.168.21.20/24'] },
    { name: 'cali1' },
    { name: 'cali2' },
    { name: 'kube-ipvs0', kind: 'dummy', addrs: ['10.96.0.1/32'], up: false },
  ],
  ip: ['route add 10.1.0.1/32 dev cali1', 'route add 10.1.0.2/32 dev cali2', 'route add default via 192.168.21.1'],
};
const VS = '-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 1\n';

const CLIENT: Shot = { iif: 'eth0', src: '8.8.8.8', dst: '10.96.0.1', dport: 443 };
const ACK: Shot = { ...CLIENT, flags: 'ACK', seq: 1001, ack: 1001 };
const REPLY: Shot = { iif: 'cali2', src: '10.1.0.2', dst: '8.8.8.8', sport: 6443, dport: 40000, flags: 'SYN,ACK', ack: 1001 };
const POD: Shot = { ...CLIENT, iif: 'cali1', src: '10.1.0.1' };
const LOCAL: Shot = { local: true, dst: '10.96.0.1', dport: 443 };
/** A connection from its SYN to TIME_WAIT. */
const WHOLE: readonly Shot[] = [
  CLIENT,
  REPLY,
  ACK,
  { ...ACK, flags: 'FIN,ACK' },
  { ...REPLY, flags: 'FIN,ACK', seq: 1001, ack: 1002 },
  { ...ACK, seq: 1002, ack: 1002 },
];

/** One rule in each chain, so that a path tells the hooks; a rule that nobody meets keeps conntrack on. */
const EVERY: Tables = {
  raw: ['-A PREROUTING', '-A OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].map((c) => `-A ${c}`),
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map((c) => `-A ${c}`),
  filter: ['-A INPUT', '-A FORWARD', '-A OUTPUT', ':U -', '-A U -m conntrack --ctstate NEW'],
};
/** kube-proxy's way to have a source translated. */
const KUBE: Tables = {
  nat: [
    '-A PREROUTING -d 10.96.0.1 -j MARK --set-xmark 0x4000/0x4000',
    '-A OUTPUT -d 10.96.0.1 -j MARK --set-xmark 0x4000/0x4000',
    '-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE',
  ],
};
const TRACKED: Tables = { filter: ['-A FORWARD -m conntrack --ctstate NEW'] };

function every(...matches: readonly string[]): Tables {
  return { ...TRACKED, mangle: matches.flatMap((m) => EVERY['mangle']!.map((rule) => `${rule} -m ipvs ${m}`)) };
}

/** Settings of IPVS by their last word. */
function node(tables: Tables, settings: Readonly<Record<string, number>> = {}, ipvs = VS): Load {
  const sysctls = Object.fromEntries(Object.entries(settings).map(([key, value]) => [`net.ipv4.vs.${key}`, value]));
  return { ...NODE, legacy: save(tables), ipvs, sysctls };
}

const ARRIVING = 'raw PREROUTING 1, mangle PREROUTING 1, nat PREROUTING 1, mangle INPUT 1, filter INPUT 1';
const KNOWN = 'raw PREROUTING 1, mangle PREROUTING 1, mangle INPUT 1, filter INPUT 1';
const SENT = 'raw OUTPUT 1, mangle OUTPUT 1, filter OUTPUT 1, mangle POSTROUTING 1';
const BACK =
  'raw PREROUTING 1, mangle PREROUTING 1, mangle FORWARD 1, filter FORWARD 1, mangle POSTROUTING 1 -> out eth0 10.96.0.1:443 > 8.8.8.8:40000 ttl 63';
const TO_SERVER = '-> out cali2 8.8.8.8:40000 > 10.1.0.2:6443 ttl 63';

function inTheHooks({ claim }: Claims): void {
  claim(
    'a request passes INPUT with the virtual address, then OUTPUT and POSTROUTING with the server’s, never FORWARD; its reply passes FORWARD',
    node(EVERY, { conntrack: 1 }),
    [CLIENT, REPLY, ACK],
    [`${ARRIVING}, ${SENT}, nat POSTROUTING 1 ${TO_SERVER}`, BACK, `${KNOWN}, ${SENT} ${TO_SERVER}`],
  );
  claim(
    'INPUT’s rules see the virtual address, OUTPUT’s the server’s; the reply’s FORWARD the server, POSTROUTING the virtual address',
    node({
      mangle: ['INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].flatMap((c) => [
        `-A ${c} -d 10.96.0.1 -p tcp --dport 443`,
        `-A ${c} -d 10.1.0.2 -p tcp --dport 6443`,
        `-A ${c} -s 10.96.0.1 -p tcp --sport 443`,
        `-A ${c} -s 10.1.0.2 -p tcp --sport 6443`,
      ]),
    }),
    [CLIENT, REPLY],
    [/^mangle INPUT 1, mangle OUTPUT 2, mangle POSTROUTING 2 -> out cali2/, /^mangle FORWARD 4, mangle POSTROUTING 3 -> out eth0/],
  );
  claim(
    'without vs.conntrack what IPVS sends is untracked: nat POSTROUTING is never walked, and every packet is the first in nat PREROUTING',
    node(EVERY, { conntrack: 0 }),
    [CLIENT, REPLY, ACK],
    [`${ARRIVING}, ${SENT} ${TO_SERVER}`, BACK, `${ARRIVING}, ${SENT} ${TO_SERVER}`],
  );
  claim(
    'without vs.conntrack KUBE-MARK-MASQ has no effect',
    node(KUBE, { conntrack: 0 }),
    [CLIENT, REPLY],
    [TO_SERVER, /-> out eth0 10.96.0.1:443 /],
  );
  claim('with vs.conntrack it has', node(KUBE, { conntrack: 1 }), CLIENT, '-> out cali2 192.168.21.20:40000 > 10.1.0.2:6443 ttl 63');
  claim(
    'a packet of this host passes OUTPUT up to nat with the virtual address, then all of OUTPUT with the server’s; its source is the virtual address',
    node(EVERY, { conntrack: 1 }),
    LOCAL,
    `raw OUTPUT 1, mangle OUTPUT 1, nat OUTPUT 1, ${SENT}, nat POSTROUTING 1 -> out cali2 10.96.0.1:40000 > 10.1.0.2:6443 ttl 63`,
  );
  claim(
    'likewise without vs.conntrack',
    node(EVERY, { conntrack: 0 }),
    LOCAL,
    `raw OUTPUT 1, mangle OUTPUT 1, nat OUTPUT 1, ${SENT} -> out cali2 10.96.0.1:40000 > 10.1.0.2:6443 ttl 63`,
  );
  claim('unless it is masqueraded', node(KUBE, { conntrack: 1 }), LOCAL, '-> out cali2 192.168.21.20:40000 > 10.1.0.2:6443 ttl 63');
  claim(
    'to a server on this host a packet stays in its hook, and keeps its TTL; nat INPUT is walked',
    node(EVERY, { conntrack: 1 }, VS.replace('10.1.0.2', '192.168.21.20')),
    [CLIENT, POD, LOCAL],
    [
      `${ARRIVING}, nat INPUT 1 -> local 8.8.8.8:40000 > 192.168.21.20:6443 ttl 64`,
      `${ARRIVING}, nat INPUT 1 -> local 10.1.0.1:40000 > 192.168.21.20:6443 ttl 64`,
      `raw OUTPUT 1, mangle OUTPUT 1, nat OUTPUT 1, filter OUTPUT 1, mangle POSTROUTING 1, nat POSTROUTING 1, ${KNOWN} -> local 10.96.0.1:40000 > 192.168.21.20:6443 ttl 64`,
    ],
  );
  claim(
    'with an address that no device has, IPVS is not asked',
    { ...node(EVERY, { conntrack: 1 }), devs: NODE.devs.slice(0, 3) },
    CLIENT,
    'filter FORWARD 1, mangle POSTROUTING 1, nat POSTROUTING 1 -> out eth0 8.8.8.8:40000 > 10.96.0.1:443 ttl 63',
  );
  claim(
    'a service without servers answers port unreachable after INPUT, to this host too',
    node(EVERY, { conntrack: 1 }, '-A -t 10.96.0.1:443 -s rr\n'),
    [CLIENT, LOCAL],
    [
      `${ARRIVING} -> gone [3/3 10.96.0.1 > 8.8.8.8 by eth0]`,
      'raw OUTPUT 1, mangle OUTPUT 1, nat OUTPUT 1 -> gone [3/3 10.96.0.1 > 10.96.0.1 by lo]',
    ],
  );
  claim(
    'likewise when all have weight 0',
    node(EVERY, { conntrack: 1 }, VS.replace('-w 1', '-w 0')),
    CLIENT,
    `${ARRIVING} -> gone [3/3 10.96.0.1 > 8.8.8.8 by eth0]`,
  );
  claim(
    'other ports, ping, and what belongs to no connection are delivered here',
    node(EVERY, { conntrack: 1 }),
    [
      { ...CLIENT, dport: 80 },
      { ...CLIENT, proto: 'udp' },
      { iif: 'eth0', src: '8.8.8.8', dst: '10.96.0.1', proto: 'icmp' },
      { ...ACK, sport: 7 },
    ],
    [
      `${ARRIVING}, nat INPUT 1 -> local 8.8.8.8:40000 > 10.96.0.1:80 ttl 64`,
      `${ARRIVING}, nat INPUT 1 -> local 8.8.8.8:40000 > 10.96.0.1:443 ttl 64`,
      `${ARRIVING}, nat INPUT 1 -> local`,
      `${ARRIVING}, nat INPUT 1 -> local 8.8.8.8:7 > 10.96.0.1:443 ttl 64`,
    ],
  );
}

/** -m ipvs */
function match({ claim }: Claims): void {
  claim(
    '--ipvs is true from OUTPUT on for a request, in POSTROUTING for its reply',
    node(every('--ipvs'), { conntrack: 1 }),
    [CLIENT, REPLY, LOCAL],
    [
      /^mangle OUTPUT 1, mangle POSTROUTING 1 -> out cali2/,
      /^mangle POSTROUTING 1 -> out eth0/,
      /^mangle OUTPUT 1, mangle POSTROUTING 1 -> out cali2/,
    ],
  );
  claim(
    '--vaddr, --vport, --vproto and --vmethod know the request’s connection, and not the reply’s',
    node(every('--vproto 6 --vaddr 10.96.0.1 --vport 443 --vmethod MASQ'), { conntrack: 1 }),
    [CLIENT, REPLY],
    [/^mangle OUTPUT 1, mangle POSTROUTING 1 -> out cali2/, /^-> out eth0/],
  );
  claim(
    '--vdir needs vs.conntrack',
    node(every('--vdir ORIGINAL', '--vdir REPLY'), { conntrack: 1 }),
    [CLIENT, REPLY],
    [/^mangle OUTPUT 1, mangle POSTROUTING 1 -> out cali2/, /^-> out eth0/],
  );
  claim(
    'without vs.conntrack --vdir is false',
    node(every('--vdir ORIGINAL', '--vdir REPLY'), { conntrack: 0 }),
    [CLIENT, REPLY],
    [/^-> out cali2/, /^-> out eth0/],
  );
}

function reuse({ claim }: Claims): void {
  const moved = '-e -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 0\n-a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m -w 1\n';
  const again: Shot = { ...CLIENT, seq: 99_000, edit: moved };
  const NEW_SERVER = '-> out cali1 8.8.8.8:40000 > 10.1.0.1:6443 ttl 63';
  const whole = WHOLE.map((s) => (s.iif === 'eth0' ? TO_SERVER : '-> out eth0 10.96.0.1:443 > 8.8.8.8:40000 ttl 63'));
  claim(
    'conn_reuse_mode 0: the SYN goes to the old server, which takes no new connections',
    node(TRACKED, { conntrack: 1, conn_reuse_mode: 0 }),
    [...WHOLE, again],
    [...whole, TO_SERVER],
  );
  claim(
    'conn_reuse_mode 1: it is scheduled anew, and none is dropped since Linux 5.9',
    node(TRACKED, { conntrack: 1, conn_reuse_mode: 1 }),
    [...WHOLE, again, { ...CLIENT, seq: 99_000 }],
    [...whole, NEW_SERVER, NEW_SERVER],
  );
  claim('likewise without vs.conntrack', node(TRACKED, { conntrack: 0, conn_reuse_mode: 1 }), [...WHOLE, again], [...whole, NEW_SERVER]);
}

function firstPicks({ claim }: Claims): void {
  const two = (scheduler: string): string =>
    `-A -t 10.96.0.1:443 -s ${scheduler}\n-a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m -w 2\n-a -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 1\n`;
  const shots = Array.from({ length: 6 }, (_, i): Shot => ({ ...CLIENT, src: `8.8.8.${8 + (i % 2)}`, sport: 1000 + i }));
  const picks: Readonly<Record<string, string>> = {
    rr: '212121',
    wrr: '211211',
    lc: '212121',
    wlc: '211211',
    sh: '121212',
    mh: '212121',
    'rr -p 100': '212121',
  };
  for (const [scheduler, servers] of Object.entries(picks))
    claim(
      `first picks of ${scheduler}`,
      node({}, {}, two(scheduler)),
      shots,
      [...servers].map((n) => `-> out cali${n} `),
    );
}

function ipip({ claim }: Claims): void {
  const devices = NODE.devs.slice(0, 2);
  const ip = [
    'route add 10.1.0.1/32 dev cali1',
    'route add default via 192.168.21.1',
    'link add ipip0 type ipip local 192.168.21.20',
    'link set ipip0 up',
    'addr add 10.1.0.0/32 dev ipip0',
    'route add 10.1.5.0/24 via 192.168.21.11 dev ipip0 onlink',
  ];
  const legacy = save({
    filter: ['-A FORWARD -o ipip0', '-A OUTPUT -p 4', '-A OUTPUT -o ipip0'],
    nat: ['-A POSTROUTING -o ipip0 -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE'],
    mangle: ['-A POSTROUTING -p 4', '-A POSTROUTING -o ipip0'],
  });
  const carried = 'in protocol 4 192.168.21.20 > 192.168.21.11';
  claim(
    'FORWARD and POSTROUTING see the inner packet, then OUTPUT and POSTROUTING the outer one; this host is masqueraded to the tunnel’s address',
    { devs: devices, ip, legacy },
    [
      { iif: 'cali1', src: '10.1.0.1', dst: '10.1.5.7' },
      { local: true, src: '192.168.21.20', dst: '10.1.5.7', proto: 'udp' },
      { local: true, dst: '10.1.5.7' },
    ],
    [
      `filter FORWARD 1, mangle POSTROUTING 2, filter OUTPUT 1, mangle POSTROUTING 1 -> out eth0 10.1.0.1:40000 > 10.1.5.7:80 ttl 63 ${carried} ttl 63`,
      /^filter OUTPUT 2, mangle POSTROUTING 2, nat POSTROUTING 1, filter OUTPUT 1, mangle POSTROUTING 1 -> out eth0 10.1.0.0:40000 > 10.1.5.7:80 ttl 64 /,
      `filter OUTPUT 2, mangle POSTROUTING 2, filter OUTPUT 1, mangle POSTROUTING 1 -> out eth0 10.1.0.0:40000 > 10.1.5.7:80 ttl 64 ${carried} ttl 64`,
    ],
  );
}

describeClaims(
  'IPVS',
  (c) => {
    inTheHooks(c);
    match(c);
    reuse(c);
    firstPicks(c);
    ipip(c);
  },
  { describe: describeGuest, open: openGuest },
);
