import { describe, expect, it } from 'vitest';
import { readLinks } from '../../src/capture/links.ts';
import { readNeighbours } from '../../src/capture/neighbours.ts';
import { readRoutes } from '../../src/capture/routes.ts';
import { readRules } from '../../src/capture/rules.ts';
import { formatAddr, formatPrefix } from '../../src/net/addr.ts';
import type { Route } from '../../src/model/host.ts';
import { captured, plain } from './captured.ts';

const routes = readRoutes(captured('tools/ip-route.txt'), 'ip-route.txt');
const route = (to: string, table = 'main', list: readonly Route[] = routes.routes): Route => {
  const found = list.find((r) => formatPrefix(r.to) === to && r.table === table);
  if (!found) throw new Error(`no route ${to} in ${table}`);
  return found;
};
const hops = (r: Route): string[] => r.nextHops.map((h) => `${h.via === undefined ? '' : formatAddr(h.via)} ${h.device ?? ''} ${h.weight}`);

describe('ip route', () => {
  it('reads every route of all tables, with notes only about what is not modelled', () => {
    expect(routes.findings.map((f) => [f.severity, f.code, f.at.line])).toEqual([['note', 'unmodelled-route', 20]]);
    expect(routes.routes.length).toBe(
      captured('tools/ip-route.txt')
        .split('\n')
        .filter((l) => l !== '' && !l.startsWith('\t')).length,
    );
    expect([...new Set(routes.routes.map((r) => r.table))]).toEqual(['77', '100', '200', 'main', 'local']);
  });

  it('reads the types', () => {
    expect(['10.6.1.0/24', '10.6.2.0/24', '10.6.3.0/24', '10.6.4.0/24', '2001:db8:3::/48'].map((to) => route(to).type)).toEqual([
      'unreachable',
      'blackhole',
      'prohibit',
      'throw',
      'unreachable',
    ]);
    expect(route('127.255.255.255', 'local').type).toBe('broadcast');
    expect(route('239.0.0.0/8', 'local').type).toBe('multicast');
    expect(route('10.0.0.1', 'local').type).toBe('local');
    expect(route('10.4.0.0/16').type).toBe('unicast');
  });

  it('reads multipath routes of both families', () => {
    expect(hops(route('10.2.0.0/16'))).toEqual(['10.0.0.11 eth0 3', '10.0.0.12 eth0 1']);
    expect(hops(route('2001:db8:2::/48'))).toEqual(['fe80::11 eth0 2', 'fe80::12 eth0 1']);
    expect(route('10.2.0.0/16').text).toBe(
      '10.2.0.0/16 src 10.0.0.2 nexthop via 10.0.0.11 dev eth0 weight 3 nexthop via 10.0.0.12 dev eth0 weight 1',
    );
  });

  it('reads gateways: onlink, of the other family, by a nexthop object', () => {
    expect(route('10.3.0.0/16')).toMatchObject({ tos: 0x10, mtu: 1400, nextHops: [{ onlink: true, device: 'eth0' }] });
    expect(route('10.5.0.0/16')).toMatchObject({ family: 4 });
    expect(hops(route('10.5.0.0/16'))).toEqual(['fe80::1 eth0 1']);
    expect(hops(route('10.8.0.0/16'))).toEqual(['10.0.0.9 eth0 1']);
  });

  it('supplies what ip leaves out: scope global, protocol boot, the metric 1024 of IPv6', () => {
    expect(routes.routes.find((r) => r.family === 4 && r.table === '100' && r.to.length === 0)).toMatchObject({
      scope: 'global',
      proto: 'boot',
      metric: 0,
    });
    expect(readRoutes('2001:db8::/32 dev eth0', 'f').routes[0]!.metric).toBe(1024);
    expect(route('::/0').metric).toBe(512);
  });

  it('tells the defaults of both families apart', () => {
    expect(routes.routes.filter((r) => r.to.length === 0).map((r) => [r.family, r.table, r.type])).toEqual([
      [4, '100', 'unicast'],
      [4, '200', 'throw'],
      [4, 'main', 'unicast'],
      [4, 'main', 'blackhole'],
      [6, '100', 'unicast'],
      [6, 'main', 'unicast'],
    ]);
    expect(readRoutes('default dev tun0', 'f', { family: 6 }).routes[0]).toMatchObject({ family: 6, to: { addr: [0, 0, 0, 0] } });
  });

  it.each(['ip-route', 'ip-d-route', 'ip-route-main', 'ip6-route-main', 'ip-route-100', 'pod-a-ip-route'])(
    '%s is the same as text and as JSON',
    (name) => {
      const text = readRoutes(captured(`tools/${name}.txt`), 'f');
      const json = readRoutes(captured(`tools/${name}.json`), 'f');
      expect(text.routes.length).toBeGreaterThan(0);
      expect(plain(json.routes)).toEqual(plain(text.routes));
    },
  );

  it('with -d or -o is the same', () => {
    expect(plain(readRoutes(captured('tools/ip-d-route.txt'), 'f').routes)).toEqual(plain(routes.routes));
    expect(plain(readRoutes(captured('tools/ip-o-route.txt'), 'f').routes)).toEqual(plain(routes.routes));
  });

  it('of one table takes the table from the caller', () => {
    expect(readRoutes(captured('tools/ip-route-100.txt'), 'f', { table: '100' }).routes.map((r) => r.table)).toEqual(['100', '100']);
  });

  it('of a numbered table has the name of the kernel for it', () => {
    expect(readRoutes('local 10.0.0.1 dev eth0 table 255\n10.0.0.0/8 dev eth0 table 300\n', 'f').routes.map((r) => r.table)).toEqual([
      'local',
      '300',
    ]);
    expect(readRules('0:\tfrom all lookup 255\n', 'f').rules[0]!.table).toBe('local');
  });

  it('written by hand for a stub is read', () => {
    const [r] = readRoutes('default via 10.0.0.1 dev eth0', 'scenario.yaml').routes;
    expect(r).toMatchObject({
      family: 4,
      type: 'unicast',
      table: 'main',
      text: 'default via 10.0.0.1 dev eth0',
      at: { file: 'scenario.yaml', line: 1 },
    });
  });

  it('the answer of ip route get is no route of a table', () => {
    const read = readRoutes(captured('tools/ip-route-get.txt'), 'f');
    expect(read.routes).toEqual([]);
    expect(read.findings.map((f) => f.code)).toEqual(['not-a-table']);
  });

  it('a route that cannot be read is a finding at its word, and the others are kept', () => {
    const read = readRoutes('10.0.0.0/8 via 10.0.0.300 dev eth0\n10.0.0.0/33 dev eth0\nblackhole 10.9.0.0/16 frobnicated\n', 'f');
    expect(read.routes.map((r) => formatPrefix(r.to))).toEqual(['10.9.0.0/16']);
    expect(read.findings.map((f) => [f.severity, f.at.line, f.at.column])).toEqual([
      ['error', 1, 16],
      ['error', 2, 1],
      ['note', 3, 23],
    ]);
  });

  it('a route for some sources only keeps them', () => {
    const read = readRoutes('default from 2001:db8::/56 via fe80::1 dev eth0', 'f');
    expect(read.findings).toEqual([]);
    expect(read.routes).toMatchObject([{ family: 6, to: { length: 0 }, from: { length: 56 } }]);
  });
});

describe('ip rule', () => {
  const { rules, findings } = readRules(captured('tools/ip-rule.txt'), 'f');
  it('reads every selector', () => {
    expect(findings).toEqual([]);
    expect(rules[1]).toMatchObject({
      priority: 100,
      not: true,
      from: { length: 8 },
      to: { length: 24 },
      tos: 0x10,
      mark: { value: 1, mask: 0xff },
      iif: 'eth0',
      oif: 'nosuch',
      uid: [0, 100],
      proto: 6,
      sport: [10, 20],
      dport: [80, 80],
      action: 'lookup',
      table: '100',
      suppressPrefixLength: 0,
    });
  });

  it('reads every action', () => {
    expect(rules.map((r) => [r.priority, r.action, r.table ?? r.gotoPriority ?? r.l3mdev ?? '', r.opaque ?? ''])).toEqual([
      [0, 'lookup', 'local', ''],
      [100, 'lookup', '100', ''],
      [101, 'goto', 200, ''],
      [200, 'nop', '', ''],
      [201, 'blackhole', '', ''],
      [301, 'unreachable', '', ''],
      [302, 'prohibit', '', ''],
      [303, 'lookup', '7', 'tun_id 5'],
      [304, 'goto', 5000, ''],
      [305, 'lookup', 'local', ''],
      [306, 'lookup', 'main', 'suppress_ifgroup 5'],
      [1000, 'lookup', true, ''],
      [1000, 'lookup', true, ''],
      [32766, 'lookup', 'main', ''],
      [32767, 'lookup', 'default', ''],
    ]);
  });

  it.each(['ip-rule', 'ip-d-rule', 'ip6-rule'])('%s is the same as text and as JSON', (name) => {
    const text = readRules(captured(`tools/${name}.txt`), 'f');
    const json = readRules(captured(`tools/${name}.json`), 'f');
    expect(text.rules.length).toBeGreaterThan(3);
    expect(plain(json.rules)).toEqual(plain(text.rules));
    expect(json.findings).toEqual([]);
  });

  it('takes the family from its addresses, else from the caller', () => {
    expect(new Set(readRules(captured('tools/ip6-rule.txt'), 'f').rules.map((r) => r.family))).toEqual(new Set([6]));
    expect(readRules('0:\tfrom all lookup local\n', 'f', 6).rules[0]!.family).toBe(6);
    expect(rules[0]!.family).toBe(4);
  });

  it('of both families in one file are told apart', () => {
    const both = readRules(captured('tools/ip-rule.txt') + captured('tools/ip6-rule.txt'), 'f').rules;
    expect(both.map((r) => r.family)).toEqual([...rules.map(() => 4), ...readRules(captured('tools/ip6-rule.txt'), 'f').rules.map(() => 6)]);
    const bare = '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n';
    expect(readRules(bare + bare, 'f').rules.map((r) => r.family)).toEqual([4, 4, 6, 6]);
  });

  it('an unknown selector makes the rule undecidable, not absent', () => {
    const read = readRules('10:\tfrom all dscp 4 lookup 5\n', 'f');
    expect(read.rules).toMatchObject([{ opaque: 'dscp 4', table: '5' }]);
    expect(read.findings).toMatchObject([{ severity: 'note', code: 'unknown-selector' }]);
  });
});

describe('ip neigh', () => {
  it('reads states, routers and proxies', () => {
    const { neighbours } = readNeighbours(captured('tools/ip-neigh.txt') + captured('tools/ip-neigh-proxy.txt'), 'f');
    expect(neighbours.map((n) => `${formatAddr(n.addr)} ${n.device} ${n.mac ?? '-'} ${n.state}${n.proxy ? ' proxy' : ''}`).toSorted()).toEqual([
      '10.0.0.11 eth0 02:00:00:00:00:0b STALE',
      '10.0.0.12 eth0 - FAILED',
      '10.0.0.13 vxlan.calico 02:00:00:00:00:0d NOARP',
      '10.0.0.254 eth0 02:00:00:00:00:fe PERMANENT',
      '10.0.0.77 eth0 - NONE proxy',
      'fe80::fe eth0 02:00:00:00:00:fe PERMANENT',
    ]);
  });

  it('is the same as text, as JSON and with statistics', () => {
    const text = plain(readNeighbours(captured('tools/ip-neigh.txt'), 'f'));
    expect(plain(readNeighbours(captured('tools/ip-neigh.json'), 'f'))).toEqual(text);
    expect(plain(readNeighbours(captured('tools/ip-s-neigh.txt'), 'f'))).toEqual(text);
    expect(plain(readNeighbours(captured('tools/ip-neigh-proxy.json'), 'f'))).toEqual(
      plain(readNeighbours(captured('tools/ip-neigh-proxy.txt'), 'f')),
    );
  });
});

describe('ip addr and ip link', () => {
  const detailed = readLinks(captured('tools/ip-d-addr.txt'), 'f');
  it('reads the kind, the peer and the master of every link', () => {
    expect(detailed.findings).toEqual([]);
    expect(detailed.links.map((l) => [l.name, l.kind, l.peerIndex ?? '', l.peerName ?? l.peerNamespace ?? '', l.master ?? ''])).toEqual([
      ['lo', 'loopback', '', '', ''],
      ['tunl0', 'ipip', '', '', ''],
      ['peer0', 'veth', 4, 'eth0', 'br0'],
      ['eth0', 'veth', 3, 'peer0', ''],
      ['calia', 'veth', 3, 'pod-a', ''],
      ['br0', 'bridge', '', '', ''],
      ['eth0.100', 'vlan', 4, 'eth0', ''],
      ['dummy0', 'dummy', '', '', 'blue'],
      ['vxlan.calico', 'vxlan', '', '', ''],
      ['blue', 'vrf', '', '', ''],
      ['tun9', 'ipip', '', '', ''],
      ['tap0', 'tun', '', '', ''],
    ]);
    expect(detailed.links[7]).toMatchObject({ index: 8, up: true, mtu: 9000, mac: '02:00:00:00:00:05', noArp: true });
    expect(detailed.links[10]).not.toHaveProperty('mac');
    expect(detailed.links[11]!.up).toBe(false);
  });

  it('reads addresses: secondary ones, peers, scopes, broadcasts', () => {
    const of = (device: string): unknown[] =>
      detailed.addresses
        .filter((a) => a.device === device)
        .map(
          (a) => `${formatAddr(a.addr)}/${a.length} ${a.peer === undefined ? '' : formatAddr(a.peer)} ${a.scope}${a.secondary ? ' secondary' : ''}`,
        );
    expect(of('eth0')).toEqual([
      '10.1.0.1/32  link',
      '10.0.0.1/24  global',
      '10.0.0.2/24  global secondary',
      '2001:db8::1/64  global',
      'fe80::ff:fe00:1/64  link',
    ]);
    expect(of('tun9')[0]).toBe('172.16.0.1/32 172.16.0.2 global');
    expect(of('br0')[0]).toBe('2001:db8:1::1/128 2001:db8:1::2 global');
    expect(of('lo')).toEqual(['127.0.0.1/8  host', '::1/128  host']);
    expect(detailed.addresses.filter((a) => a.broadcast !== undefined).map((a) => formatAddr(a.broadcast!))).toEqual(['10.0.0.255']);
  });

  it.each(['ip-addr', 'ip-d-addr', 'ip-link', 'ip-d-link', 'pod-a-ip-addr'])('%s is the same as text and as JSON', (name) => {
    const text = readLinks(captured(`tools/${name}.txt`), 'f');
    const json = readLinks(captured(`tools/${name}.json`), 'f');
    expect(text.links.length).toBeGreaterThan(1);
    // ip names the namespace of a peer in text, and numbers it in JSON
    const unnamed = (x: typeof text): unknown => ({ ...x, links: x.links.map(({ peerNamespace: _name, peerNamespaceId: _id, ...rest }) => rest) });
    expect(plain(unnamed(json))).toEqual(plain(unnamed(text)));
    const peers = text.links.filter((l) => l.peerNamespace !== undefined).map((l) => l.name);
    expect(json.links.filter((l) => l.peerNamespaceId !== undefined).map((l) => l.name)).toEqual(expect.arrayContaining(peers));
  });

  it('ip -o and ip -s give the same', () => {
    expect(plain(readLinks(captured('tools/ip-o-link.txt'), 'f'))).toEqual(plain(readLinks(captured('tools/ip-link.txt'), 'f')));
    expect(plain(readLinks(captured('tools/ip-s-addr.txt'), 'f'))).toEqual(plain(readLinks(captured('tools/ip-addr.txt'), 'f')));
    const one = readLinks(captured('tools/ip-o-addr.txt'), 'f');
    expect([one.links, one.findings]).toEqual([[], []]);
    expect(plain(one.addresses)).toEqual(plain(detailed.addresses));
  });

  it('link-netnsid says that the peer is in another namespace', () => {
    const text = '5: calia@if3: <UP> mtu 1500 qdisc noqueue state UP\n    link/ether ee:ee:ee:ee:ee:ee brd ff:ff:ff:ff:ff:ff link-netnsid 2\n';
    expect(readLinks(text, 'f').links[0]).toMatchObject({ peerIndex: 3, peerNamespaceId: 2 });
  });

  it('JSON that is cut off gives the devices that are whole, and says so', () => {
    const whole = captured('tools/ip-addr.json');
    const read = readLinks(whole.slice(0, whole.indexOf('"ifname":"br0"')), 'f');
    expect(read.links.map((l) => l.name)).toEqual(['lo', 'tunl0', 'peer0', 'eth0', 'calia']);
    expect(read.findings.map((f) => f.code)).toEqual(['truncated']);
  });

  it('JSON of another shape is a finding', () => {
    expect(readLinks('[{"ifname": 5, "flags": "UP"}]', 'f').findings).toMatchObject([
      { severity: 'error', code: 'unexpected-json', at: { line: 1 } },
    ]);
  });
});
