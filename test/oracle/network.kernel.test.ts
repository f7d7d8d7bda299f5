// The harness itself: what it says of packets whose fate is known beforehand.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeKernel } from './kernel.ts';
import { openNetwork, type NamespacePlan, type Network, type Observation } from './network.ts';

const CHAINS: Readonly<Record<string, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** An iptables-save text of these tables: rules without their `-A`. */
function save(tables: Readonly<Record<string, readonly string[]>>, policies: Readonly<Record<string, string>> = {}): string {
  return Object.entries(tables)
    .map(([table, rules]) => {
      const own = [...new Set(rules.map((r) => r.split(' ')[0] ?? ''))].filter((c) => !CHAINS[table]?.includes(c));
      const chains = [
        ...(CHAINS[table] ?? []).map((c) => `:${c} ${policies[`${table} ${c}`] ?? 'ACCEPT'} [0:0]`),
        ...own.map((c) => `:${c} - [0:0]`),
      ];
      return [`*${table}`, ...chains, ...rules.map((r) => `-A ${r}`), 'COMMIT', ''].join('\n');
    })
    .join('');
}

/** client -eth0/p1- router -p2/eth0- server, and a device `out` of the router that leads nowhere. */
function network(router: Partial<NamespacePlan>): Parameters<Network['build']>[0] {
  const host = (name: string, net: string): NamespacePlan => ({
    name,
    links: [
      { name: 'lo', up: true },
      { name: 'eth0', up: true },
    ],
    addresses: [
      { device: 'eth0', address: `10.0.${net}.2/24` },
      { device: 'eth0', address: `fd00:${net}::2/64` },
    ],
    routes: [`default via 10.0.${net}.1`, `-6 default via fd00:${net}::1`],
  });
  return {
    namespaces: [
      host('client', '1'),
      host('server', '2'),
      {
        name: 'router',
        links: [
          { name: 'lo', up: true },
          { name: 'p1', up: true },
          { name: 'p2', up: true },
          { name: 'out', mac: '02:00:00:00:00:99', up: true },
        ],
        addresses: [
          { device: 'p1', address: '10.0.1.1/24' },
          { device: 'p2', address: '10.0.2.1/24' },
          { device: 'p1', address: 'fd00:1::1/64' },
          { device: 'p2', address: 'fd00:2::1/64' },
          { device: 'out', address: '198.51.100.1/24' },
        ],
        sysctls: [
          ['net/ipv4/ip_forward', '1'],
          ['net/ipv6/conf/all/forwarding', '1'],
        ],
        ...router,
      },
    ],
    veths: [
      [
        { namespace: 'client', device: 'eth0' },
        { namespace: 'router', device: 'p1' },
      ],
    ],
    wires: [
      {
        name: 'lan',
        ends: [
          { namespace: 'router', device: 'p2' },
          { namespace: 'server', device: 'eth0' },
        ],
      },
    ],
  };
}

const path = (o: Observation): string[] => o.requests.map((p) => `${p.namespace} ${p.end}`);
const rules = (o: Observation): string[] => o.requests.flatMap((p) => p.rules.map((r) => `${r.backend} ${r.table} ${r.chain} ${r.number ?? '?'}`));

describeKernel('the kernel harness', () => {
  let net: Network;
  beforeAll(() => {
    net = openNetwork();
  });
  afterAll(() => net.close());

  it.each([
    ['tcp', { listen: { tcp: [80] } }, 'connected'],
    ['udp', { listen: { udp: [80] } }, 'answered'],
    ['icmp', {}, 'sent'],
    ['sctp', {}, 'sent'],
  ])('sees a %s packet through three namespaces and its answer back', async (proto, more, said) => {
    await net.build(network({}));
    const o = await net.send({ namespace: 'client', dst: '10.0.2.2', proto, ...(proto !== 'icmp' && { dport: 80 }), ...more });
    expect(path(o)).toEqual(['client left', 'router left', 'server delivered']);
    expect(o.socket).toBe(said);
    // The server's kernel answers an SCTP INIT that nobody listens for with ICMP, not with SCTP.
    const back = proto === 'sctp' ? o.errors : o.replies;
    expect(back.map((p) => `${p.namespace} ${p.end}`)).toEqual(['server left', 'router left', 'client delivered']);
  });

  it('sees IPv6 as it sees IPv4', async () => {
    await net.build(network({ legacy6: save({ filter: ['FORWARD -p tcp -j ACCEPT'] }) }));
    const o = await net.send({ namespace: 'client', dst: 'fd00:2::2', dport: 80, listen: { tcp: [80] } });
    expect(path(o)).toEqual(['client left', 'router left', 'server delivered']);
    expect(rules(o)).toEqual(['legacy filter FORWARD 1']);
    expect(o.socket).toBe('connected');
  });

  it.each(['legacy', 'nft'] as const)('numbers the rules of %s tables as their dump does, user chains and RETURN included', async (backend) => {
    await net.build(
      network({
        [backend]: save({
          mangle: [
            'PREROUTING -p udp -j ACCEPT',
            'PREROUTING -p tcp -j MARK --set-xmark 0x1/0x1',
            'PREROUTING -j U',
            'U -m mark --mark 0x2/0x2 -j DROP',
            'U -j RETURN',
            'U -j DROP',
            'PREROUTING -p tcp',
          ],
        }),
      }),
    );
    const o = await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 80 });
    expect(rules(o)).toEqual(
      [2, 3].map((n) => `${backend} mangle PREROUTING ${n}`).concat(`${backend} mangle U 2`, `${backend} mangle PREROUTING 4`),
    );
    expect(o.requests[1]?.mark).toBe(1);
    expect(o.requests.at(-1)?.end).toBe('delivered');
  });

  it.each(['legacy', 'nft'] as const)('names the %s rule or policy that dropped a packet', async (backend) => {
    await net.build(
      network({
        [backend]: save({ filter: ['FORWARD -p udp -j ACCEPT', 'FORWARD -p tcp -m tcp --dport 81 -j DROP'] }, { 'filter FORWARD': 'DROP' }),
      }),
    );
    const byRule = await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 81 });
    expect(byRule.requests.at(-1)).toMatchObject({
      namespace: 'router',
      end: 'dropped',
      by: { backend, table: 'filter', chain: 'FORWARD', number: 2 },
    });
    const byPolicy = await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 80 });
    expect(byPolicy.requests.at(-1)).toMatchObject({ namespace: 'router', end: 'dropped', by: { backend, table: 'filter', chain: 'FORWARD' } });
    expect(byPolicy.requests.at(-1)?.by).not.toHaveProperty('number');
  });

  it.each(['legacy', 'nft'] as const)('tells a %s REJECT by its ICMP error, and one with tcp-reset by a reply', async (backend) => {
    await net.build(
      network({
        [backend]: save({
          filter: [
            'FORWARD -p tcp -m tcp --dport 81 -j REJECT --reject-with tcp-reset',
            'FORWARD -p tcp -j REJECT --reject-with icmp-admin-prohibited',
          ],
        }),
      }),
    );
    const prohibited = await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 80 });
    expect(prohibited.requests.at(-1)).toMatchObject({ namespace: 'router', end: 'dropped', by: { number: 2 } });
    expect(prohibited.errors[0]?.entered).toMatchObject({ src: '10.0.1.1', type: 3, code: 13 });
    expect(prohibited.socket).toBe('EHOSTUNREACH');
    const reset = await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 81 });
    expect(reset.replies[0]).toMatchObject({ namespace: 'router', local: true, entered: { src: '10.0.2.2', flags: 20 } });
    expect(reset.socket).toBe('ECONNREFUSED');
  });

  it('keeps the order of legacy and nft tables on one hook: what was registered last runs first', async () => {
    await net.build(network({ legacy: save({ filter: ['FORWARD -p tcp -j ACCEPT'] }), nft: save({ filter: ['FORWARD -p tcp -j ACCEPT'] }) }));
    expect(rules(await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 80 }))).toEqual(['nft filter FORWARD 1', 'legacy filter FORWARD 1']);
  });

  it('shows both translations of a connection, and its answer translated back', async () => {
    await net.build(
      network({
        nft: save({
          nat: ['PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.2.2:6443', 'POSTROUTING -o p2 -j MASQUERADE'],
        }),
      }),
    );
    const o = await net.send({ namespace: 'client', dst: '10.96.0.1', dport: 443, listen: { tcp: [6443] } });
    expect(o.requests.at(-1)?.arrived).toMatchObject({ src: '10.0.2.1', dst: '10.0.2.2', dport: 6443 });
    expect(o.replies.at(-1)?.arrived).toMatchObject({ src: '10.96.0.1', sport: 443, dst: '10.0.1.2' });
    expect(o.socket).toBe('connected');
  });

  it('tells a packet that the kernel refuses without any rule', async () => {
    await net.build(network({ sysctls: [['net/ipv4/ip_forward', '0']] }));
    expect(path(await net.send({ namespace: 'client', dst: '10.0.2.2', dport: 80 }))).toEqual(['client left', 'router gone']);
  });

  it('tells a packet that nobody on the wire takes', async () => {
    await net.build(network({}));
    expect(path(await net.send({ namespace: 'client', dst: '10.0.2.77', dport: 80 }))).toEqual(['client left', 'router left']);
  });

  it('takes packets in from, and lets them out to, a device that leads nowhere', async () => {
    await net.build(network({ routes: ['default via 198.51.100.254 dev out'] }));
    const inward = await net.send({ namespace: 'router', device: 'out', src: '203.0.113.9', dst: '10.0.2.2', dport: 80, listen: { tcp: [80] } });
    expect(path(inward)).toEqual(['router left', 'server delivered']);
    expect(inward.replies.map((p) => `${p.namespace} ${p.oif ?? ''} ${p.end}`)).toEqual(['server eth0 left', 'router out left']);
    expect(path(await net.send({ namespace: 'client', dst: '203.0.113.9', dport: 80 }))).toEqual(['client left', 'router left']);
  });

  it('walks a packet to an own address twice through the namespace', async () => {
    await net.build(network({ nft: save({ raw: ['PREROUTING -p tcp', 'OUTPUT -p tcp'], nat: ['PREROUTING -p tcp', 'OUTPUT -p tcp'] }) }));
    const o = await net.send({ namespace: 'router', dst: '10.0.1.1', dport: 80, listen: { tcp: [80] } });
    expect(o.socket).toBe('connected');
    expect(rules(o)).toEqual(['nft raw OUTPUT 1', 'nft nat OUTPUT 1', 'nft raw PREROUTING 1']);
  });

  it('runs the rules on a frame that a bridge passes on when br_netfilter is told to', async (context) => {
    if (!existsSync('/proc/sys/net/bridge')) context.skip('br_netfilter is not loaded');
    const plan = network({});
    const container = (name: string, last: number): NamespacePlan => ({
      name,
      links: [
        { name: 'lo', up: true },
        { name: 'eth0', up: true },
      ],
      addresses: [{ device: 'eth0', address: `172.17.0.${last}/16` }],
      routes: [],
    });
    const node = (value: string): NamespacePlan => ({
      name: 'node',
      links: [
        { name: 'lo', up: true },
        { name: 'docker0', kind: 'bridge', up: true },
        { name: 'veth1', up: true, master: 'docker0' },
        { name: 'veth2', up: true, master: 'docker0' },
      ],
      addresses: [{ device: 'docker0', address: '172.17.0.1/16' }],
      sysctls: [['net/bridge/bridge-nf-call-iptables', value]],
      nft: save({ filter: ['FORWARD -i docker0 -o docker0 -j ACCEPT'] }),
    });
    for (const [value, expected] of [
      ['1', ['nft filter FORWARD 1']],
      ['0', []],
    ] as const) {
      await net.build({
        ...plan,
        namespaces: [container('c1', 2), container('c2', 3), node(value)],
        veths: ['1', '2'].map((n) => [
          { namespace: `c${n}`, device: 'eth0' },
          { namespace: 'node', device: `veth${n}` },
        ]),
        wires: [],
      });
      const o = await net.send({ namespace: 'c1', dst: '172.17.0.3', dport: 80, listen: { tcp: [80] } });
      expect(o.socket).toBe('connected');
      expect(rules(o)).toEqual(expected);
    }
  });

  it('leaves no name behind, and says what could not be built', async () => {
    await expect(net.build(network({ nft: '*nat\n-A PREROUTING -j NOSUCH\nCOMMIT\n' }))).rejects.toThrow('iptables-nft-restore');
    const { stdout } = await net.run('client', 'ip', 'netns', 'list');
    expect(stdout).not.toContain('client');
  });
});
