// A router between 10.0.0.0/24 (eth0) and 10.0.1.0/24 (eth1) with any rules, as a world to ask about.
import { ask, isMisunderstood, readBundle, trace, type Answer, type Request, type World } from '../../src/index.ts';

const FILES: Readonly<Record<string, string>> = {
  'ip-addr.txt': `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:00:00:01 brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.254/24 scope global eth0
3: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:00:00:02 brd ff:ff:ff:ff:ff:ff
    inet 10.0.1.254/24 scope global eth1
`,
  'ip-route.txt': `default via 10.0.1.1 dev eth1
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.254
10.0.1.0/24 dev eth1 proto kernel scope link src 10.0.1.254
local 10.0.0.254 dev eth0 table local proto kernel scope host src 10.0.0.254
broadcast 10.0.0.255 dev eth0 table local proto kernel scope link src 10.0.0.254
local 10.0.1.254 dev eth1 table local proto kernel scope host src 10.0.1.254
broadcast 10.0.1.255 dev eth1 table local proto kernel scope link src 10.0.1.254
local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1
`,
  'ip-rule.txt': '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n',
  'ip-neigh.txt': '',
  'ipset-save.txt': '',
  'conntrack.txt': '',
  'sysctl.txt': `net.ipv4.ip_forward = 1
net.ipv4.conf.all.forwarding = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.ipv4.conf.eth0.forwarding = 1
net.ipv4.conf.eth0.rp_filter = 0
net.ipv4.conf.eth1.forwarding = 1
net.ipv4.conf.eth1.rp_filter = 0
net.ipv4.conf.lo.forwarding = 1
`,
};

const BASE: Readonly<Record<string, readonly string[]>> = {
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** The router with these rules (`-A CHAIN ...`), by table, and these sets. */
export function router(tables: Readonly<Partial<Record<'mangle' | 'nat' | 'filter', readonly string[]>>>, sets = ''): World {
  const dump = Object.entries(tables).flatMap(([table, rules]) => [
    `*${table}`,
    ...BASE[table]!.map((chain) => `:${chain} ACCEPT [0:0]`),
    ...rules,
    'COMMIT',
    '',
  ]);
  const files = Object.entries({ ...FILES, 'ipset-save.txt': sets, 'iptables-save.txt': dump.join('\n') }).map(([path, text]) => ({ path, text }));
  const { namespaces, findings } = readBundle(files, { folder: 'router' });
  const refused = findings.filter((f) => f.severity !== 'note');
  if (refused.length > 0) throw new Error(refused.map((f) => `${f.at.file}:${f.at.line}: ${f.message}`).join('\n'));
  return { namespaces, wires: [], findings };
}

export function answer(world: World, request: Request): Answer {
  const asked = ask(world, request);
  if (isMisunderstood(asked)) throw new Error(`--${asked.option}: ${asked.error}`);
  return trace(world, asked);
}
