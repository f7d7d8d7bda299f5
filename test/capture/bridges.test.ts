// What ip -d link, bridge -d link and bridge fdb say of bridges, their ports and VXLAN devices. Texts of iproute2 6.1.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBridges } from '../../src/capture/bridges.ts';
import { readLinks } from '../../src/capture/links.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import { formatAddr } from '../../src/net/addr.ts';

const LINKS = `2: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether aa:90:66:2d:f8:1f brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535
    bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time 30000 stp_state 0 priority 32768 vlan_filtering 0 nf_call_iptables 1 nf_call_ip6tables 0 nf_call_arptables 0 addrgenmode eui64 numtxqueues 1
3: vx0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master br0 state UNKNOWN mode DEFAULT group default qlen 1000
    link/ether aa:90:66:2d:f8:1f brd ff:ff:ff:ff:ff:ff promiscuity 1  allmulti 1 minmtu 68 maxmtu 65535
    vxlan id 1 local 10.0.0.1 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx
    bridge_slave state forwarding priority 32 cost 100 hairpin off guard off root_block off fastleave off learning on flood on isolated off locked off addrgenmode eui64
5: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP mode DEFAULT group default qlen 1000
    link/ether c2:52:19:14:35:f8 brd ff:ff:ff:ff:ff:ff promiscuity 1  allmulti 1 minmtu 68 maxmtu 65535
    veth
    bridge_slave state forwarding priority 32 cost 2 hairpin on guard off root_block off fastleave off learning on flood off isolated on locked off addrgenmode eui64
6: eth0.100@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 02:00:00:00:00:06 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 0 maxmtu 65535
    vlan protocol 802.1Q id 100 <REORDER_HDR> addrgenmode eui64 numtxqueues 1
7: tunl0@NONE: <NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/ipip 0.0.0.0 brd 0.0.0.0 promiscuity 0  allmulti 0 minmtu 0 maxmtu 0
    ipip any remote any local any ttl inherit nopmtudisc addrgenmode eui64 numtxqueues 1
`;

const FDB = `33:33:00:00:00:01 dev br0 self permanent
aa:90:66:2d:f8:1f dev vx0 master br0 permanent
02:00:00:00:00:09 dev vx0 dst 10.0.0.3 self permanent
00:00:00:00:00:00 dev vx0 dst 10.0.0.2 port 4789 vni 7 self permanent
02:00:00:00:00:0a dev v0 vlan 5 master br0 static
02:00:00:00:00:0b dev v0 master br0
`;

const PORTS = `3: vx0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master br0 state forwarding priority 32 cost 100
    hairpin off guard off root_block off fastleave off learning on flood on isolated off locked off
5: v0@v1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master br0 state blocking priority 32 cost 2
    hairpin on guard off root_block off fastleave off learning off flood on isolated on locked off
`;

describe('ip -d link', () => {
  const { links, findings } = readLinks(LINKS, 'ip-link.txt');
  const link = (name: string) => links.find((l) => l.name === name)!;

  it('tells kinds and what each kind has of its own', () => {
    expect(findings).toEqual([]);
    expect(link('br0')).toMatchObject({ kind: 'bridge', bridge: { vlanFiltering: false, callIptables: true, callIp6tables: false } });
    expect(link('vx0')).toMatchObject({ kind: 'vxlan', master: 'br0', vxlan: { id: 1, port: 8472, learning: false } });
    expect(formatAddr(link('vx0').vxlan!.local!)).toBe('10.0.0.1');
    expect(link('eth0.100')).toMatchObject({ kind: 'vlan', vlan: 100, peerName: 'eth0' });
    expect(link('tunl0')).toMatchObject({ kind: 'ipip', tunnel: {} });
  });

  it("tells what a bridge's port does", () => {
    expect(link('v0').port).toMatchObject({ forwarding: true, hairpin: true, isolated: true, learning: true, flood: false });
    expect(link('vx0').port).toMatchObject({ hairpin: false, isolated: false, flood: true });
  });
});

describe('bridge fdb and bridge link', () => {
  it('tell who is behind which port, and behind which end of a tunnel', () => {
    const { fdb, findings } = readBridges(FDB, 'bridge-fdb.txt');
    expect(findings).toEqual([]);
    expect(fdb.map((e) => [e.mac, e.device, e.bridge, e.remote && formatAddr(e.remote), e.port, e.id, e.vlan, e.permanent, e.at.line])).toEqual([
      ['33:33:00:00:00:01', 'br0', undefined, undefined, undefined, undefined, undefined, true, 1],
      ['aa:90:66:2d:f8:1f', 'vx0', 'br0', undefined, undefined, undefined, undefined, true, 2],
      ['02:00:00:00:00:09', 'vx0', undefined, '10.0.0.3', undefined, undefined, undefined, true, 3],
      ['00:00:00:00:00:00', 'vx0', undefined, '10.0.0.2', 4789, 7, undefined, true, 4],
      ['02:00:00:00:00:0a', 'v0', 'br0', undefined, undefined, undefined, 5, false, 5],
      ['02:00:00:00:00:0b', 'v0', 'br0', undefined, undefined, undefined, undefined, false, 6],
    ]);
  });

  it('JSON says the same', () => {
    const json = '[{"mac":"02:00:00:00:00:09","ifname":"vx0","dst":"10.0.0.3","flags":["self"],"state":"permanent"}]';
    expect(readBridges(json, 'fdb.json').fdb).toMatchObject([{ mac: '02:00:00:00:00:09', device: 'vx0', permanent: true }]);
    const ports =
      '[{"ifindex":5,"ifname":"v0","flags":["UP"],"mtu":1500,"master":"br0","state":"forwarding","cost":2,"hairpin":true,"isolated":false}]';
    expect(readBridges(ports, 'link.json').ports).toMatchObject([{ device: 'v0', bridge: 'br0', port: { hairpin: true, isolated: false } }]);
  });

  it('ports complete links that were captured without -d', () => {
    const bare = LINKS.split('\n')
      .filter((l) => !/^ {4}(?!link)/.test(l))
      .join('\n');
    const { namespace } = readNamespace(
      [
        { path: 'ip-link.txt', text: bare },
        { path: 'bridge-link.txt', text: PORTS },
      ],
      'n',
      '',
    );
    expect(namespace.links.find((l) => l.name === 'v0')?.port).toMatchObject({ hairpin: true, forwarding: false, learning: false });
  });

  it('broken lines cost themselves', () => {
    const { fdb, findings } = readBridges(`02:00:00:00:00:09 dst 10.0.0.3\nwhat is this\n${FDB}02:00:00:00:00:0c dev vx0 dst 10.0.0.300\n`, 'f');
    expect(fdb.length).toBe(6);
    expect(findings.map((f) => f.at.line)).toEqual([1, 2, 9]);
  });

  it('no text makes the reader throw', () => {
    fc.assert(
      fc.property(fc.nat(FDB.length + PORTS.length), fc.nat(255), (at, c) => {
        const text = FDB + PORTS;
        readBridges(text.slice(0, at) + String.fromCharCode(c) + text.slice(at + 1), 'f');
        readBridges(text.slice(0, at), 'f');
      }),
      { numRuns: 500 },
    );
  });
});
