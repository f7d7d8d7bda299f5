// Edits by ip on a small node: what is changed, what stays the same object, what is refused and with which words.
import { describe, expect, it } from 'vitest';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Namespace } from '../../src/model/host.ts';
import { applyEdit, isRefused } from '../../src/ask/edit.ts';

const ADDR = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff
    inet 192.168.21.20/24 brd 192.168.21.255 scope global eth0
3: eth1: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue
    link/ether 02:00:00:00:00:03 brd ff:ff:ff:ff:ff:ff
`;
const ROUTES = `default via 192.168.21.1 dev eth0
192.168.21.0/24 dev eth0 proto kernel scope link src 192.168.21.20
`;
const NODE = readNamespace(
  [
    { path: 'ip-addr.txt', text: ADDR },
    { path: 'ip-route.txt', text: ROUTES },
  ],
  'node1',
  '',
).namespace;

function edit(command: string, ns: Namespace = NODE): Namespace {
  const edited = attempt(command, ns);
  if (isRefused(edited)) throw new Error(edited.refused);
  return edited.namespaces[0]!;
}

function attempt(command: string, ns: Namespace = NODE): ReturnType<typeof applyEdit> {
  return applyEdit({ namespaces: [ns], wires: [], findings: [] }, { node: 'node1', namespace: '', command, at: { file: '-e', line: 1 } });
}

function refusal(command: string, ns?: Namespace): string {
  const edited = attempt(command, ns);
  return isRefused(edited) ? edited.refused : 'carried out';
}

const texts = (ns: Namespace): string[] => ns.routes.map((r) => r.text);

describe('ip route', () => {
  it('finds the device of the gateway, and says where the route was written', () => {
    const route = edit('ip r a 10.0.0.0/8 via 192.168.21.9').routes.at(-1)!;
    expect(route).toMatchObject({ table: 'main', metric: 0, nextHops: [{ device: 'eth0' }], at: { file: '-e', line: 1 } });
    expect(route.text).toBe('10.0.0.0/8 via 192.168.21.9 dev eth0');
  });

  it('leaves alone what it does not touch', () => {
    const now = edit('ip route add blackhole 10.0.0.0/8');
    expect(now.links).toBe(NODE.links);
    expect(now.addresses).toBe(NODE.addresses);
    expect(now.routes[0]).toBe(NODE.routes[0]);
    expect(NODE.routes).toHaveLength(2);
  });

  it('fills up short destinations and takes words cut short', () => {
    expect(texts(edit('ip ro add 10/8 dev eth0 met 7 tab 9')).at(-1)).toBe('10.0.0.0/8 dev eth0 metric 7 table 9 scope link');
  });

  it('refuses as the kernel does', () => {
    expect(refusal('ip route add default via 192.168.21.2')).toBe('RTNETLINK answers: File exists');
    expect(refusal('ip route del 10.0.0.0/8')).toBe('RTNETLINK answers: No such process');
    expect(refusal('ip route add 10.0.0.0/8 via 10.1.1.1')).toBe('Error: Nexthop has invalid gateway.');
    expect(refusal('ip route add 10.0.0.0/8 dev eth1')).toBe('Error: Device for nexthop is not up.');
    expect(refusal('ip route add 10.0.0.0/8 dev eth7')).toBe('Cannot find device "eth7"');
    expect(refusal('ip route show')).toBe('ip route show changes nothing');
  });

  it('does not take away what was not captured', () => {
    const bare = readNamespace([{ path: 'ip-addr.txt', text: ADDR }], 'node1', '').namespace;
    expect(refusal('ip route del default', bare)).toBe('routes of IPv4 of node1 were not captured');
    expect(refusal('ip rule del pref 9', bare)).toBe('policy rules of node1 were not captured');
  });

  it('writes down a local table that was only derived, before it adds to it', () => {
    const local = edit('ip route add local 10.0.0.0/8 dev lo').routes.filter((r) => r.table === 'local');
    expect(local.map((r) => r.text)).toContain('local 192.168.21.20 dev eth0 table local proto kernel scope host src 192.168.21.20');
    expect(local).toHaveLength(6);
  });
});

describe('ip addr, ip link, ip rule', () => {
  it('an address brings its subnet, and takes away what was sent from it', () => {
    const now = edit('ip a a 10.5.0.1/16 dev eth0');
    expect(texts(now)).toContain('10.5.0.0/16 dev eth0 proto kernel scope link src 10.5.0.1');
    expect(texts(edit('ip a d 10.5.0.1/16 dev eth0', now))).toEqual(texts(NODE));
    expect(refusal('ip a a 192.168.21.20/24 dev eth0')).toBe('Error: ipv4: Address already assigned.');
  });

  it('a device that goes down takes its routes along, and brings back those of its addresses', () => {
    const down = edit('ip link set eth0 down');
    expect(down.routes).toEqual([]);
    expect(texts(edit('ip l s dev eth0 up', down))).toEqual([NODE.routes[1]!.text]);
  });

  it('a device that is deleted is gone with all that hung on it', () => {
    const added = edit('ip a a 10.5.0.1/16 dev d0', edit('ip link set d0 up', edit('ip link add d0 type dummy')));
    expect(texts(added)).toContain('10.5.0.0/16 dev d0 proto kernel scope link src 10.5.0.1');
    const gone = edit('ip link del d0', added);
    expect([gone.links.length, gone.addresses.length, texts(gone)]).toEqual([3, 2, texts(NODE)]);
  });

  it('a rule without a priority comes before the second there is', () => {
    expect(edit('ip rule add fwmark 1 table 100').rules.map((r) => r.text)).toEqual([
      '0: from all lookup local',
      '32765: from all fwmark 1 lookup 100',
      '32766: from all lookup main',
      '32767: from all lookup default',
    ]);
  });

  it('says where to write a command for another namespace', () => {
    expect(attempt('ip -n pod1 route add default dev eth0')).toMatchObject({ hint: "write 'node1/pod1# ip route add default dev eth0'" });
  });
});
