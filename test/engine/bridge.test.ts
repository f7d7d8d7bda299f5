// A pod on a node's bridge: what br_netfilter shows the node's rules of the port it came by. The kernel's answers were taken
// from a node built of namespaces: with bridge-nf-call-iptables = 1, `-m physdev --physdev-in PORT` matches a packet that the
// bridge hands to routing, in FORWARD and in INPUT alike.
import { expect, it } from 'vitest';
import { ask, isMisunderstood, readBundle, trace, type Answer } from '../../src/index.ts';

const LINKS = ['1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000', '    inet 127.0.0.1/8 scope host lo'];
const NODE = [
  ...LINKS,
  '2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000',
  '    inet 192.0.2.1/24 scope global eth0',
  '3: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000',
  '    link/ether 0a:00:00:00:00:03 brd ff:ff:ff:ff:ff:ff',
  '    inet 10.244.1.1/24 scope global cni0',
  '4: vetha@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master cni0 state UP group default qlen 1000',
  '    link/ether 0a:00:00:00:00:04 brd ff:ff:ff:ff:ff:ff link-netns pod',
  '',
];
const POD = [
  ...LINKS,
  '2: eth0@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000',
  '    link/ether 0a:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0',
  '    inet 10.244.1.5/24 scope global eth0',
  '',
];

function answer(rules: readonly string[], sysctl: string | undefined, to: string, node: readonly string[] = NODE): Answer {
  const texts: Record<string, string> = {
    'n/ip-addr.txt': node.join('\n'),
    'n/ip-route.txt':
      'default via 192.0.2.254 dev eth0\n10.244.1.0/24 dev cni0 scope link src 10.244.1.1\n192.0.2.0/24 dev eth0 scope link src 192.0.2.1\n',
    'n/iptables-save.txt': ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...rules, 'COMMIT', ''].join('\n'),
    'n/pod/ip-addr.txt': POD.join('\n'),
    'n/pod/ip-route.txt': 'default via 10.244.1.1 dev eth0\n10.244.1.0/24 dev eth0 scope link src 10.244.1.5\n',
    'n/pod/iptables-save.txt': '',
    ...(sysctl !== undefined && { 'n/sysctl.txt': `net.ipv4.ip_forward = 1\n${sysctl}` }),
  };
  const { namespaces, findings } = readBundle(Object.entries(texts).map(([path, text]) => ({ path, text })));
  const world = { namespaces, wires: [], findings };
  const asked = ask(world, { from: 'n/pod', to });
  if (isMisunderstood(asked)) throw new Error(asked.error);
  return trace(world, asked);
}

const ON = 'net.bridge.bridge-nf-call-iptables = 1\n';
const FORWARD = ['-A FORWARD -m physdev --physdev-in vetha -j DROP'];
const INPUT = ['-A INPUT -m physdev --physdev-is-in -j DROP'];
const kinds = (a: Answer): string[] => a.courses.map((c) => c.trace.outcome.kind).toSorted((x, y) => x.localeCompare(y));

it('a routed packet shows the bridge port it came in by where br_netfilter is on', () => {
  expect(kinds(answer(FORWARD, ON, '8.8.8.8:53'))).toEqual(['dropped']);
  expect(kinds(answer(INPUT, ON, '10.244.1.1:53'))).toEqual(['dropped']);
});

it('without br_netfilter no packet has a port', () => {
  expect(kinds(answer(FORWARD, '', '8.8.8.8:53'))).toEqual(['left']);
  expect(kinds(answer(INPUT, 'net.bridge.bridge-nf-call-iptables = 0\n', '10.244.1.1:53'))).toEqual(['delivered']);
});

it('where the setting was not captured the answer forks over it', () => {
  expect(kinds(answer(FORWARD, undefined, '8.8.8.8:53'))).toEqual(['dropped', 'left']);
  expect(answer(INPUT, undefined, '10.244.1.1:53').verdict).toBe('cannot-tell');
});

it('a bridge whose ports all lead to captured pods knows who is there; one with another port does not', () => {
  const nic = '5: enp1s0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel master cni0 state UP group default qlen 1000';
  expect(kinds(answer([], '', '10.244.1.77:53'))).toEqual(['no-neighbour']);
  expect(kinds(answer([], '', '10.244.1.77:53', [...NODE.slice(0, -1), nic, '']))).toEqual(['left']);
});
