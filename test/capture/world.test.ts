// A scenario's nodes, wires and what is wrong with them.
import { describe, expect, it } from 'vitest';
import { ask, isMisunderstood, readScenarioWorld, trace, type Answer, type Request, type Scenario } from '../../src/index.ts';

const addr = (name: string, mac: string, cidr: string): string =>
  [
    '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000',
    '    inet 127.0.0.1/8 scope host lo',
    `2: ${name}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000`,
    `    link/ether ${mac} brd ff:ff:ff:ff:ff:ff`,
    `    inet ${cidr} scope global ${name}`,
    '',
  ].join('\n');

const host = (n: number, own = `10.0.0.${n}/24`): { path: string; text: string }[] => [
  { path: `h${n}/ip-addr.txt`, text: addr('eth0', `02:00:00:00:00:0${n}`, own) },
  { path: `h${n}/iptables-save.txt`, text: '' },
  { path: `h${n}/ip-route.txt`, text: `10.0.0.0/24 dev eth0 proto kernel scope link src ${own.split('/')[0]!}\n` },
];

const LAN: Scenario = { title: 't', nodes: { h1: { capture: 'h1' }, h2: { capture: 'h2' } }, wires: { lan: ['h1/eth0', 'h2/eth0'] } };

function read(scenario: Scenario, files: readonly { path: string; text: string }[]) {
  return readScenarioWorld(scenario, files, (path) => ({ file: `scenario.yaml ${path.join('.')}`, line: 1 })).world;
}

function answer(scenario: Scenario, files: readonly { path: string; text: string }[], request: Partial<Request> = {}): Answer {
  const world = read(scenario, files);
  const asked = ask(world, { from: 'h1', to: '10.0.0.2:80', ...request });
  if (isMisunderstood(asked)) throw new Error(asked.error);
  return trace(world, asked);
}

const kinds = (a: Answer): string[] => a.courses.map((c) => c.trace.outcome.kind);

describe('a wire', () => {
  it('that names a link or a node that is not there says which end', () => {
    const files = [...host(1), ...host(2)];
    const found = (end: string) => read({ ...LAN, wires: { lan: ['h1/eth0', end] } }, files).findings.filter((f) => f.severity === 'error');
    expect(found('h2/eth7')).toMatchObject([
      { code: 'no-such-interface', message: "wire end 'h2/eth7': h2 has no interface eth7", at: { file: 'scenario.yaml wires.lan.1' } },
    ]);
    expect(found('h3/eth0')).toMatchObject([{ code: 'no-such-interface', message: "wire end 'h3/eth0': there is no h3 among the nodes" }]);
  });

  it('carries what it does not deny', () => {
    const files = [...host(1), ...host(2)];
    const denying = (...deny: NonNullable<Extract<NonNullable<Scenario['wires']>[string], { links: string[] }>['deny']>): Scenario => ({
      ...LAN,
      wires: { lan: { links: ['h1/eth0', 'h2/eth0'], deny } },
    });
    expect(kinds(answer(denying(), files))).toEqual(['delivered']);
    expect(kinds(answer(denying({ to: '10.0.0.0/24', dport: '80-90' }), files))).toEqual(['dropped']);
    expect(kinds(answer(denying({ dport: 81 }, { proto: 'udp' }, { from: '10.0.0.2' }), files))).toEqual(['reply-lost']);
    const denied = answer(denying({ proto: 'tcp' }), files).courses[0]!.trace.outcome;
    expect(denied).toMatchObject({
      kind: 'dropped',
      why: 'the wire lan does not carry it: deny proto tcp',
      at: { file: 'scenario.yaml wires.lan.deny.0' },
    });
  });

  it('that denies what cannot be read denies nothing, and says so', () => {
    for (const deny of [{ proto: 'tpc' }, { to: '10.0.0.0/33' }, { from: 'here' }, { dport: '90-80' }, { sport: '1-99999' }]) {
      const scenario: Scenario = { ...LAN, wires: { lan: { links: ['h1/eth0', 'h2/eth0'], deny: [deny] } } };
      const world = read(scenario, [...host(1), ...host(2)]);
      expect(world.findings.filter((f) => f.severity === 'error')).toMatchObject([{ code: 'bad-denial' }]);
      expect(world.wires[0]!.deny).toBeUndefined();
    }
  });
});

describe('a node', () => {
  it('without captures is an error', () => {
    const { findings } = read(LAN, host(1));
    expect(findings.filter((f) => f.severity === 'error').map((f) => f.code)).toContain('no-captures');
  });

  it('that shares an address with another on one wire is told, and either may answer', () => {
    const files = [...host(1), ...host(2), ...host(3, '10.0.0.2/24')];
    const scenario: Scenario = { ...LAN, nodes: { ...LAN.nodes, h3: { capture: 'h3' } }, wires: { lan: ['h1/eth0', 'h2/eth0', 'h3/eth0'] } };
    expect(read(scenario, files).findings.filter((f) => f.code === 'shared-address')).toMatchObject([{ at: { file: 'h3/ip-addr.txt', line: 5 } }]);
    const both = answer(scenario, files);
    expect(both.courses.map((c) => c.trace.outcome.node).toSorted()).toEqual(['h2', 'h3']);
    expect(both.courses.flatMap((c) => c.trace.assumptions.map((a) => a.what)).join('; ')).toContain('10.0.0.2 is on h2 and on h3 at once');
  });

  it('with a neighbour table in a foreign format loses the table alone', () => {
    const arp =
      'Address                  HWtype  HWaddress           Flags Mask            Iface\n10.0.0.2                 ether   02:00:00:00:00:99   C                     eth0\n';
    const files = [...host(1), ...host(2), { path: 'h1/arp-neigh.txt', text: arp }];
    const world = read(LAN, files);
    expect(world.findings.filter((f) => f.severity === 'error').map((f) => f.code)).toContain('unreadable-neighbour');
    expect(kinds(answer(LAN, files))).toEqual(['delivered']);
  });
});
