// Random networks: nodes on shared wires, pods behind bridges or routed pairs, tunnels between nodes, services, and small faults anywhere.
import type { Dice } from '../probes/dice.ts';
import type { Place, Plan, Shot, Veth } from './ground.ts';

/** A place while it is being made. */
interface Draft {
  readonly name: string;
  readonly unseen?: true;
  readonly first: Record<string, number>;
  readonly ip: string[];
  readonly bridge: string[];
  readonly sysctls: Record<string, number>;
  rules?: Record<string, string[]>;
  /** Addresses that it has. */
  readonly own: string[];
  readonly devices: string[];
  /** Bridges, and ports with their bridge. */
  readonly bridges: string[];
  readonly ports: string[];
}

/** A network, and what packets may be aimed at. */
export interface Network {
  readonly plan: Plan;
  readonly senders: readonly { readonly ns: string; readonly addresses: readonly string[] }[];
  readonly targets: readonly string[];
}

const SERVICES = ['10.96.0.1', '10.96.0.2'];
const PORTS = [80, 8080, 53];

/** Makes a network, and remembers addresses and devices. */
class Making {
  readonly drafts: Draft[] = [];
  readonly veths: Veth[] = [];
  readonly taps: [string, string, string][] = [];
  readonly macs: string[] = [];
  index = 1000;
  readonly d: Dice;

  constructor(d: Dice) {
    this.d = d;
  }

  place(name: string, unseen = false): Draft {
    const p: Draft = {
      name,
      ...(unseen && { unseen: true }),
      first: {},
      ip: ['link set lo up'],
      bridge: [],
      sysctls: {},
      own: [],
      devices: [],
      bridges: [],
      ports: [],
    };
    this.drafts.push(p);
    return p;
  }

  mac(): string {
    const n = this.macs.length + 1;
    const mac = `02:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
    this.macs.push(mac);
    return mac;
  }

  /** Both ends are up unless the dice say otherwise. */
  veth(a: Draft, x: string, b: Draft, y: string): { mac: string; far: string } {
    this.veths.push([a.name, x, ++this.index, b.name, y, ++this.index]);
    const [mac, far] = [this.mac(), this.mac()];
    const mtu = (p: Draft): string => (!p.unseen && this.d.chance(4) ? ` mtu ${this.d.pick([1400, 1450])}` : '');
    a.ip.push(`link set ${x} address ${mac}${mtu(a)} ${this.d.chance(99) || a.unseen ? 'up' : 'down'}`);
    b.ip.push(`link set ${y} address ${far}${mtu(b)} ${this.d.chance(99) || b.unseen ? 'up' : 'down'}`);
    a.devices.push(x);
    b.devices.push(y);
    return { mac, far };
  }

  bridge(p: Draft, name: string): string {
    const mac = this.mac();
    const d = this.d;
    const options = [d.chance(6) ? 'nf_call_iptables 1' : ''].filter((x) => x !== '').join(' ');
    p.ip.push(
      `link add ${name} index ${++this.index + 1000} address ${mac} type bridge ${options}`.trim(),
      `link set ${name}${d.chance(8) ? ' promisc on' : ''} up`,
    );
    p.devices.push(name);
    p.bridges.push(name);
    return mac;
  }

  port(p: Draft, device: string, bridge: string): void {
    const d = this.d;
    p.ip.push(`link set ${device} master ${bridge}`);
    p.ports.push(device);
    const options = [
      d.chance(25) && device !== 'vx1' ? 'hairpin on' : '',
      d.chance(10) ? 'isolated on' : '',
      d.chance(6) ? 'learning off' : '',
      d.chance(6) ? 'flood off' : '',
    ].filter((x) => x !== '');
    if (options.length > 0) p.bridge.push(`link set dev ${device} ${options.join(' ')}`);
  }

  address(p: Draft, addr: string, device: string): void {
    p.ip.push(`addr add ${addr} dev ${device}`);
    p.own.push(addr.replace(/\/.*/, ''));
  }
}

function makePods(m: Making, node: Draft, n: number, style: 'bridge' | 'routed' | 'wide', service: string[]): string[] {
  const { d } = m;
  const pods: string[] = [];
  const net = style === 'wide' ? '10.50.0' : `10.244.${n}`;
  const gateway = style === 'wide' ? `10.50.0.${n}` : `${net}.1`;
  if (style !== 'routed') {
    m.bridge(node, 'brc');
    m.address(node, `${gateway}/24`, 'brc');
    if (d.chance(30)) node.sysctls['net.bridge.bridge-nf-call-iptables'] = d.below(2);
  }
  for (let i = 1; i <= (style === 'wide' ? 1 + d.below(2) : d.below(3)); i++) {
    const pod = m.place(`${node.name}/p${i}`);
    const veth = `v${i}`;
    const addr = style === 'wide' ? `10.50.0.${n}${i}` : `${net}.${10 + i}`;
    m.veth(pod, 'eth0', node, veth);
    if (style === 'routed') {
      m.address(pod, `${addr}/32`, 'eth0');
      pod.ip.push('route add 169.254.1.1 dev eth0 scope link', 'route add default via 169.254.1.1 dev eth0');
      node.ip.push(`route add ${addr} dev ${veth} scope link`);
      if (d.chance(95)) node.sysctls[`net.ipv4.conf.${veth}.proxy_arp`] = 1;
    } else {
      m.address(pod, `${addr}/24`, 'eth0');
      pod.ip.push(`route add default via ${gateway}`);
      m.port(node, veth, 'brc');
    }
    pods.push(addr);
    service.push(addr);
  }
  return pods;
}

/** A network with everything about it from the dice. */
export function makeNetwork(d: Dice): Network {
  const m = new Making(d);
  const count = 1 + d.below(3) + (d.chance(30) ? 1 : 0);
  const nodes = Array.from({ length: count }, (_, i) => m.place(`n${i + 1}`));
  const lans = count > 1 ? 1 + d.below(2) : 1;
  const hubs = Array.from({ length: lans }, (_, i) => {
    const hub = m.place(`w${i}`, true);
    hub.ip.push('link add brw type bridge', 'link set brw up');
    return hub;
  });
  const join = (p: Draft, lan: number, host: number): string => {
    const hub = hubs[lan]!;
    const port = `p${hub.devices.length}`;
    const { mac } = m.veth(p, `eth${lan}`, hub, port);
    hub.ip.push(`link set ${port} master brw`);
    m.address(p, `10.${lan}.0.${host}/24`, `eth${lan}`);
    return mac;
  };
  const underlay = new Map<Draft, string>();
  for (const [i, n] of nodes.entries()) {
    underlay.set(n, join(n, 0, i + 1));
    if (lans > 1 && (i < 2 || d.chance(70))) join(n, 1, i + 1);
    n.sysctls['net.ipv4.ip_forward'] = d.chance(95) ? 1 : 0;
  }
  const pool: string[] = [];
  const between = d.pick(['gateway', 'gateway', 'vxlan', 'vxlan', 'wide', 'none'] as const);
  const pods = new Map<Draft, string[]>();
  for (const [i, n] of nodes.entries()) {
    const style = between === 'wide' ? 'wide' : d.pick(['bridge', 'bridge', 'routed'] as const);
    pods.set(n, makePods(m, n, i + 1, style, pool));
  }
  const vni = 1 + d.below(2) * 41;
  const port = d.pick([8472, 4789]);
  const tunnels = new Map<Draft, string>();
  if (between === 'vxlan' || between === 'wide') {
    for (const [i, n] of nodes.entries()) {
      const mac = m.mac();
      const learning = between === 'wide' ? !d.chance(15) : d.chance(10);
      const id = d.chance(3) ? vni + 1 : vni;
      const local = d.chance(85) ? `local 10.0.0.${i + 1} ` : '';
      const wide = between === 'wide' && count === 2 && d.chance(40) ? `remote 10.0.0.${2 - i} ` : '';
      n.ip.push(
        `link add vx1 index ${++m.index + 1000} address ${mac}${d.chance(80) ? ' mtu 1450' : ''} type vxlan id ${id} ${local}${wide}dev eth0 dstport ${d.chance(3) ? 4790 : port} ${learning ? 'learning' : 'nolearning'}`,
        `link set vx1 ${d.chance(97) ? 'up' : 'down'}`,
      );
      n.devices.push('vx1');
      tunnels.set(n, mac);
    }
  }
  for (const [i, n] of nodes.entries()) {
    if (between === 'vxlan') m.address(n, `10.244.${i + 1}.0/32`, 'vx1');
    if (between === 'wide') m.port(n, 'vx1', 'brc');
    for (const [j, other] of nodes.entries()) {
      if (i === j || d.chance(3)) continue;
      if (between === 'gateway')
        n.ip.push(`route add 10.244.${j + 1}.0/24 via 10.${lans > 1 && d.chance(15) ? 1 : 0}.0.${j + 1}${d.chance(10) ? ' dev eth0 onlink' : ''}`);
      if (between === 'vxlan') {
        n.ip.push(`route add 10.244.${j + 1}.0/24 via 10.244.${j + 1}.0 dev vx1 onlink`);
        const mac = d.chance(4) ? '02:ff:00:00:00:01' : tunnels.get(other)!;
        if (d.chance(96)) n.ip.push(`neigh add 10.244.${j + 1}.0 lladdr ${mac} dev vx1 nud permanent`);
        if (d.chance(96)) n.bridge.push(`fdb append ${tunnels.get(other)!} dev vx1 dst 10.0.0.${d.chance(4) ? another(d, n) : j + 1} self permanent`);
      }
      if (between === 'wide' && !n.ip.some((l) => l.includes(' remote ')))
        n.bridge.push(`fdb append 00:00:00:00:00:00 dev vx1 dst 10.0.0.${j + 1} self permanent`);
      if (between === 'none' && lans > 1 && d.chance(30)) n.ip.push(`route add 10.244.${j + 1}.0/24 via 10.1.0.${j + 1}`);
    }
  }
  outside(m, nodes, hubs, join);
  const senders = m.drafts.filter((p) => !p.unseen);
  for (const p of senders) {
    faults(d, p, m, senders);
    p.rules = rulesOf(d, p, m, pool);
  }
  const targets = [...senders.flatMap((p) => p.own), ...pool, ...SERVICES, ...SERVICES, '203.0.113.9', '10.0.0.77', '10.244.1.99', '10.9.9.9'];
  return {
    plan: {
      places: m.drafts.map(({ own: _o, devices: _d, bridges: _b, ports: _p, ...p }): Place => p),
      veths: m.veths,
      taps: m.taps,
    },
    senders: senders.map((p) => ({ ns: p.name, addresses: p.own })),
    targets,
  };
}

/** Ways out of what was captured, and a host that is no node. */
function outside(m: Making, nodes: readonly Draft[], hubs: readonly Draft[], join: (p: Draft, lan: number, host: number) => string): void {
  const { d } = m;
  for (const [i, n] of nodes.entries()) {
    if (i === 0 || d.chance(20)) {
      const mac = m.mac();
      m.taps.push([n.name, 'out', mac]);
      n.devices.push('out');
      n.ip.push(`link set out address ${mac} arp off up`);
      m.address(n, `198.51.100.${i + 1}/24`, 'out');
      n.ip.push('route add default via 198.51.100.254 dev out');
    } else if (d.chance(85)) n.ip.push('route add default via 10.0.0.1 dev eth0');
  }
  // a wire with one end alone says nothing about who is at the other
  const lonely = hubs.findIndex((h) => h.devices.length < 2);
  if (lonely >= 0 || d.chance(35)) {
    const host = m.place('h1');
    const lan = Math.max(lonely, 0);
    join(host, lan, 100);
    host.ip.push(`route add default via 10.${lan}.0.1 dev eth${lan}`);
    if (d.chance(30)) host.ip.push(`route add 10.244.0.0/16 via 10.${lan}.0.${1 + d.below(nodes.length)} dev eth${lan}`);
  }
}

/** Settings, routes, rules and neighbours that are not as they should be, or that are as they may be. */
function faults(d: Dice, p: Draft, m: Making, all: readonly Draft[]): void {
  const device = (): string => d.pick(p.devices);
  if (p.devices.length === 0) return;
  const isPod = p.name.includes('/');
  const seldom = isPod ? 3 : 8;
  const other = (): string => d.pick(d.pick(all).own.concat('10.0.0.77'));
  if (d.chance(seldom)) p.sysctls[`net.ipv4.conf.${d.pick(['all', device()])}.rp_filter`] = 1 + d.below(2);
  if (d.chance(seldom)) p.sysctls[`net.ipv4.conf.${device()}.proxy_arp`] = 1;
  if (d.chance(seldom)) p.sysctls[`net.ipv4.conf.${d.pick(['all', device()])}.arp_ignore`] = 1;
  if (d.chance(3)) p.sysctls[`net.ipv4.conf.${device()}.forwarding`] = d.below(2);
  if (d.chance(3)) p.sysctls[`net.ipv4.conf.${device()}.accept_local`] = 1;
  if (d.chance(3)) p.sysctls['net.ipv4.conf.all.src_valid_mark'] = 1;
  if (d.chance(3)) p.sysctls[`net.ipv4.conf.${device()}.send_redirects`] = 1;
  if (d.chance(seldom)) p.ip.push(`neigh replace ${other()} lladdr ${d.pick(m.macs)} dev ${device()} nud permanent`);
  if (d.chance(seldom)) p.ip.push(`neigh add proxy ${other()} dev ${device()}`);
  if (d.chance(seldom)) p.ip.push(`route replace ${other()} dev ${device()}`);
  if (d.chance(seldom))
    p.ip.push(`route replace ${d.pick(['10.9.9.0/24', '203.0.113.0/24', '10.244.0.0/16'])} via ${other()} dev ${device()} onlink`);
  if (d.chance(4))
    p.ip.push(`route replace ${d.pick(['blackhole', 'unreachable', 'prohibit'])} ${d.pick(['10.244.2.0/25', '203.0.113.0/24', '10.244.1.11'])}`);
  if (d.chance(5) && p.devices.includes('eth1'))
    p.ip.push(`route replace 10.244.0.0/16 nexthop via 10.0.0.${another(d, p)} dev eth0 nexthop via 10.1.0.${another(d, p)} dev eth1 weight 2`);
  if (d.chance(5)) {
    // a network on lo is local as a whole: not here
    const on = d.pick(['lo', device()]);
    m.address(
      p,
      d.pick([`10.0.0.77/${on === 'lo' ? 32 : 24}`, `10.0.0.3/${on === 'lo' ? 32 : 24}`, '10.96.0.1/32', '10.244.1.11/32', '10.9.9.9/32']),
      on,
    );
  }
  if (d.chance(seldom)) {
    const via = `10.0.0.${1 + d.below(4)}`;
    p.ip.push(`rule add ${d.pick(['fwmark 0x1', 'fwmark 0x1', `from ${other()}`, `iif ${device()}`, `to ${other()}`])} lookup 100`);
    p.ip.push(
      d.chance(70)
        ? `route add default via ${via} dev ${p.devices.find((x) => x.startsWith('eth')) ?? device()} onlink table 100`
        : `route add ${other()} dev ${device()} table 100`,
    );
  }
  if (d.chance(4)) p.ip.push(`link set ${device()} mtu ${d.pick([1300, 1400, 1450])}`);
}

/** The number of another node than this one: a gateway that is the host itself is sent to with the device's own address. */
function another(d: Dice, p: Draft): number {
  const own = Number(/^n(\d)$/.exec(p.name)?.[1] ?? 9);
  return d.pick([1, 2, 3].filter((n) => n !== own));
}

function rulesOf(d: Dice, p: Draft, m: Making, pool: readonly string[]): Record<string, string[]> {
  const isPod = p.name.includes('/');
  const tables: Record<string, string[]> = {};
  // one rule without effect at every hook tells that the packet passed it
  for (const [table, chains] of Object.entries({ mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] }))
    tables[table] = chains.map((c) => `-A ${c}`);
  // conntrack is on everywhere, as the harness has it
  tables['filter'] = [':CT -', '-A CT -m conntrack --ctstate NEW'];
  // ARP has to pass a tunnel that learns, and what rules do to that is another story
  if (p.ip.some((l) => l.startsWith('link set vx1 master')))
    for (const chain of ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'])
      for (const table of ['mangle', 'nat', 'filter'])
        if (table !== 'filter' || !/ROUTING/.test(chain))
          (tables[table] ??= []).push(`-A ${chain} -p udp -m multiport --dports 4789,4790,8472 -j ACCEPT`);
  const add = (table: string, rule: string): void => void (tables[table] ??= []).push(rule);
  const addr = (): string => d.pick([...pool, ...p.own, '10.0.0.0/24', '10.244.0.0/16', '203.0.113.9', ...SERVICES]);
  const match = (chain: string): string => {
    const kinds = [`-p ${d.pick(['tcp', 'udp', 'icmp'])}`, `-s ${addr()}`, `-d ${addr()}`, `-m mark --mark 0x${1 + d.below(2)}/0x3`];
    const port = p.ports.length > 0 ? d.pick(p.ports) : 'v1';
    if (/PREROUTING|INPUT|FORWARD/.test(chain)) kinds.push(`-i ${d.pick(p.devices)}`, `-m physdev --physdev-in ${port}`);
    if (/OUTPUT|FORWARD|POSTROUTING/.test(chain)) kinds.push(`-o ${d.pick(p.devices)}`);
    if (/FORWARD|POSTROUTING/.test(chain)) kinds.push('-m physdev --physdev-is-bridged', `-m physdev --physdev-is-bridged --physdev-out ${port}`);
    kinds.push('-m conntrack --ctstate ESTABLISHED', '-m conntrack --ctstate DNAT', '-m addrtype --dst-type LOCAL');
    const chosen = d.some(0, 2, () => d.pick(kinds));
    return [...new Set(chosen)].filter((x, i, l) => l.findIndex((y) => y.slice(0, 9) === x.slice(0, 9)) === i).join(' ');
  };
  const count = isPod ? (d.chance(15) ? 1 : 0) : d.below(4);
  for (let i = 0; i < count; i++) {
    const chain = d.pick(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);
    const drop = d.chance(12) ? ' -j DROP' : d.chance(35) ? ` -j MARK --set-xmark 0x${1 + d.below(2)}/0x3` : '';
    add('mangle', `-A ${chain} ${match(chain)}${drop}`);
  }
  const filters = isPod ? (d.chance(10) ? 1 : 0) : d.below(4);
  for (let i = 0; i < filters; i++) {
    const chain = d.pick(['INPUT', 'FORWARD', 'FORWARD', 'OUTPUT']);
    add('filter', `-A ${chain} ${match(chain)}${d.pick(['', '', ' -j ACCEPT', ' -j DROP'])}`);
  }
  if (!isPod && d.chance(5)) (tables['filter'] ??= []).unshift(':FORWARD DROP', '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT');
  if (!isPod && d.chance(75)) nat(d, p, pool, add, match);
  return tables;
}

function nat(d: Dice, p: Draft, pool: readonly string[], add: (table: string, rule: string) => void, match: (chain: string) => string): void {
  const backend = (): string => (pool.length > 0 ? d.pick(pool) : '10.0.0.2');
  for (const vip of SERVICES) {
    if (!d.chance(70)) continue;
    const to = `${backend()}:${d.pick([80, 8080])}`;
    for (const chain of ['PREROUTING', 'OUTPUT']) {
      if (!d.chance(92)) continue;
      if (d.chance(50)) add('nat', `-A ${chain} -d ${vip}/32 -p tcp -j MARK --set-xmark 0x2/0x2`);
      add('nat', `-A ${chain} -d ${vip}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination ${to}`);
      if (d.chance(20)) add('nat', `-A ${chain} -d ${vip}/32 -p udp -j DNAT --to-destination ${backend()}`);
    }
  }
  if (d.chance(15))
    add('nat', `-A PREROUTING ${match('PREROUTING')} -p udp -j DNAT --to-destination ${backend()}`.replace(/(-p \w+) (.*)-p udp/, '-p udp $2'));
  if (d.chance(5)) add('nat', '-A PREROUTING -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80');
  if (d.chance(60)) add('nat', '-A POSTROUTING -m mark --mark 0x2/0x2 -j MASQUERADE');
  if (d.chance(30)) add('nat', '-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE');
  if (d.chance(20)) add('nat', `-A POSTROUTING -o ${d.pick(p.devices)} -j MASQUERADE`);
  if (d.chance(5)) add('nat', `-A POSTROUTING ${match('POSTROUTING')} -j SNAT --to-source ${d.pick(p.own)}`);
}

/** A packet somewhere in the network. */
export function makeShot(d: Dice, { plan, senders, targets }: Network): Shot {
  const proto = d.pick(['tcp', 'tcp', 'tcp', 'udp', 'icmp'] as const);
  const ports = proto === 'icmp' ? {} : { sport: 40000 + d.below(9999), dport: d.pick(PORTS) };
  const common = { proto, ...ports, ttl: d.chance(96) ? 64 : 1 + d.below(3), tos: 0 };
  const dst = d.pick(targets);
  const length = proto === 'tcp' && d.chance(8) ? { length: d.pick([1300, 1301, 1400, 1401, 1450, 1451, 1500]) } : {};
  if (plan.taps.length > 0 && d.chance(10)) {
    const [ns, device] = d.pick(plan.taps);
    return { ns, device, src: d.pick(['203.0.113.9', '203.0.113.10', '198.51.100.77', '10.9.9.9']), dst, mark: 0, ...common, ...length };
  }
  const pods = senders.filter((s) => s.ns.includes('/'));
  const from = pods.length > 0 && d.chance(60) ? d.pick(pods) : d.pick(senders.filter((s) => s.addresses.length > 0));
  return { ns: from.ns, src: d.pick(from.addresses), dst, mark: d.chance(10) ? 1 + d.below(2) : 0, ...common, ...length };
}
