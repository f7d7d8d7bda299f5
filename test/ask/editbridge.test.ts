// Edits by bridge on a node with one bridge and one tunnel.
import { describe, expect, it } from 'vitest';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Namespace } from '../../src/model/host.ts';
import { applyEdit, isRefused } from '../../src/ask/edit.ts';

const LINKS = `2: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue
    link/ether 02:00:00:00:00:02 brd ff:ff:ff:ff:ff:ff
    bridge nf_call_iptables 1
3: veth1@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 master cni0
    link/ether 02:00:00:00:00:03 brd ff:ff:ff:ff:ff:ff
    veth
    bridge_slave state forwarding hairpin off learning on flood on isolated off
4: flannel.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450
    link/ether 02:00:00:00:00:04 brd ff:ff:ff:ff:ff:ff
    vxlan id 1 dstport 8472 nolearning
`;
const FDB = '02:00:00:00:00:03 dev veth1 vlan 1 master cni0 permanent\n02:00:00:00:00:03 dev veth1 master cni0 permanent\n';
const NODE = readNamespace(
  [
    { path: 'ip-link.txt', text: LINKS },
    { path: 'bridge-fdb.txt', text: FDB },
  ],
  'node1',
  '',
).namespace;

function attempt(command: string): Namespace | string {
  const edit = { node: 'node1', namespace: '', command, at: { file: '-e', line: 1 } };
  const edited = applyEdit({ namespaces: [NODE], wires: [], findings: [] }, edit);
  return isRefused(edited) ? edited.refused : edited.namespaces[0]!;
}

describe('bridge', () => {
  it('turns the options of a port on, and leaves the others', () => {
    const now = attempt('bridge link set dev veth1 hairpin on') as Namespace;
    expect(now.links[1]!.port).toMatchObject({ hairpin: true, forwarding: true, learning: true, isolated: false, at: { file: '-e' } });
    expect(now.links[0]).toBe(NODE.links[0]);
    expect(attempt('bridge link set dev flannel.1 hairpin on')).toBe('RTNETLINK answers: Operation not supported');
    expect(attempt('bridge link set dev veth1 guard on')).toBe("'guard' of a bridge's port is not modelled");
  });

  it('adds an entry of the tunnel, and refuses a second one', () => {
    const now = attempt('bridge fdb add 02:00:00:00:00:09 dev flannel.1 dst 192.168.21.9') as Namespace;
    expect(now.fdb.at(-1)).toMatchObject({ mac: '02:00:00:00:00:09', device: 'flannel.1', permanent: true });
    expect(attempt('bridge fdb add 02:00:00:00:00:09 dev flannel.1')).toBe('RTNETLINK answers: Invalid argument');
    expect(attempt('bridge fdb add 02:00:00:00:00:03 dev veth1 master')).toBe('RTNETLINK answers: File exists');
    expect(attempt('bridge fdb del 02:00:00:00:00:08 dev veth1 master')).toBe('RTNETLINK answers: No such file or directory');
  });

  it('adds an entry in every VLAN of the port where none is named', () => {
    const now = attempt('bridge fdb replace 02:00:00:00:00:07 dev veth1 master static') as Namespace;
    expect(now.fdb.slice(2).map((e) => e.vlan)).toEqual([undefined, 1]);
  });
});
