// Records against captures: what agrees gives no finding, and each way to disagree gives its own.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as bundle from '../../src/capture/bundle.ts';
import type { CaptureFile } from '../../src/capture/namespace.ts';
import { readScenarioWorld } from '../../src/capture/world.ts';
import { readYaml } from '../../src/capture/yaml.ts';
import type { Finding } from '../../src/model/finding.ts';
import { bundleOf } from './captured.ts';

type Files = Readonly<Record<string, string>>;

const readBundle = (files: readonly CaptureFile[]): bundle.Bundle => bundle.readBundle(files, { readYaml });
const asFiles = (files: Files): CaptureFile[] => Object.entries(files).map(([path, text]) => ({ path, text }));
const disagreements = (files: readonly CaptureFile[]): Finding[] => readBundle(files).findings.filter((f) => f.severity === 'warning');
const codes = (files: readonly CaptureFile[]): string[] => disagreements(files).map((f) => f.code);

/** A file with one text in place of another, which it must hold. */
function changed(files: readonly CaptureFile[], path: string, from: string | RegExp, to: string): CaptureFile[] {
  return files.map((f) => {
    if (f.path !== path) return f;
    const text = f.text.replace(from, to);
    expect(text).not.toBe(f.text);
    return { path, text };
  });
}

// The network of the flannel report: nodes a and d on one LAN, docker's bridges in flannel's subnets.
const MAC = { a: '9e:0a:17:5c:28:00', d: 'd6:f1:3e:91:41:00' };
const node = (lan: string, subnet: string, mac: string, other: { subnet: string; mac: string }): Files => ({
  'ip-addr.txt': `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
2: ens3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:12:34:${lan.slice(-2)} brd ff:ff:ff:ff:ff:ff
    inet ${lan}/24 brd 192.168.1.255 scope global ens3
3: flannel.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UNKNOWN group default
    link/ether ${mac} brd ff:ff:ff:ff:ff:ff
    inet ${subnet}.0/32 scope global flannel.1
4: docker0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP group default
    link/ether 02:42:0c:75:ae:1b brd ff:ff:ff:ff:ff:ff
    inet ${subnet}.1/24 brd ${subnet}.255 scope global docker0
6: veth1a2b3c4@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master docker0 state UP group default
    link/ether 5a:2c:4f:8a:11:0e brd ff:ff:ff:ff:ff:ff link-netnsid 0
`,
  'ip-route.txt': `default via 192.168.1.1 dev ens3
192.168.1.0/24 dev ens3 proto kernel scope link src ${lan}
${other.subnet}.0/24 via ${other.subnet}.0 dev flannel.1 onlink
${subnet}.0/24 dev docker0 proto kernel scope link src ${subnet}.1
`,
  'ip-neigh.txt': `192.168.1.1 dev ens3 lladdr 52:54:00:00:00:01 REACHABLE\n${other.subnet}.0 dev flannel.1 lladdr ${other.mac} PERMANENT\n`,
  'subnet.env': `FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=${subnet}.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n`,
});
const inFolder = (name: string, files: Files): Files => Object.fromEntries(Object.entries(files).map(([path, text]) => [`${name}/${path}`, text]));
const lease = (subnet: string, ip: string, mac: string): string =>
  `/coreos.com/network/subnets/${subnet}.0-24\n{"PublicIP":"${ip}","BackendType":"vxlan","BackendData":{"VtepMAC":"${mac}"}}\n`;
const FLANNEL = asFiles({
  ...inFolder('a', node('192.168.1.40', '10.100.54', MAC.a, { subnet: '10.100.41', mac: MAC.d })),
  ...inFolder('d', node('192.168.1.43', '10.100.41', MAC.d, { subnet: '10.100.54', mac: MAC.a })),
  'etcd.txt':
    '/coreos.com/network/config\n{"Network":"10.100.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan"}}\n' +
    lease('10.100.54', '192.168.1.40', MAC.a) +
    lease('10.100.41', '192.168.1.43', MAC.d),
});

describe('a healthy cluster', () => {
  it.each([
    ['kube-proxy in iptables mode with all its objects', [...bundleOf('kube-proxy-1.26-iptables'), ...bundleOf('kubectl-1.26')]],
    ['kube-proxy in IPVS mode with all its objects', [...bundleOf('kube-proxy-1.26-ipvs'), ...bundleOf('kubectl-1.26')]],
    ['flannel with its leases in etcd', FLANNEL],
  ])('has no contradictions: %s', (_name, files) => {
    const { findings, witness } = readBundle(files);
    expect(witness).toBeDefined();
    expect(findings.filter((f) => f.severity !== 'note')).toEqual([]);
  });

  it('has none with Endpoints instead of slices either', () => {
    const files = bundleOf('kubectl-1.26').filter((f) => f.path !== 'endpointslices.yaml');
    expect(codes([...bundleOf('kube-proxy-1.26-iptables'), ...files])).toEqual([]);
  });

  it('has none where host-gw or a routing daemon spreads the blocks over the LAN', () => {
    const routes =
      '10.100.0.0/16 via 192.168.1.1 dev ens3 proto bird\n10.100.54.0/24 via 192.168.1.40 dev ens3\n10.100.99.0/24 via 192.168.1.99 dev ens3 proto bird\n';
    const files = FLANNEL.map((f) => (f.path === 'd/ip-route.txt' ? { ...f, text: f.text + routes } : f));
    expect(codes(files)).toEqual([]);
  });

  it('has none where docker is left over beside a CNI bridge', () => {
    const bridges = `7: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP group default\n    inet 10.100.41.1/24 scope global cni0\n`;
    const files = changed(FLANNEL, 'd/ip-addr.txt', 'inet 10.100.41.1/24 brd 10.100.41.255', 'inet 172.17.0.1/16 brd 172.17.255.255');
    expect(codes(files)).toEqual(['bridge-outside-subnet']);
    expect(codes(files.map((f) => (f.path === 'd/ip-addr.txt' ? { ...f, text: f.text + bridges } : f)))).toEqual([]);
  });
});

describe('flannel', () => {
  it("a lease with another machine's link-layer address is told at the device, with the lease's place", () => {
    const stale = changed(FLANNEL, 'etcd.txt', MAC.d, '0a:58:0a:64:29:00');
    const found = disagreements(stale);
    expect(found.map((f) => [f.code, f.at])).toEqual([
      ['vtep-mac-differs', { file: 'd/ip-addr.txt', line: 6 }],
      ['vtep-neighbour-differs', { file: 'a/ip-neigh.txt', line: 2 }],
    ]);
    expect(found[0]!.message).toBe(
      'flannel.1 of d has d6:f1:3e:91:41:00, and the lease in etcd for 10.100.41.0/24 says 0a:58:0a:64:29:00 (etcd.txt:6): what other nodes send there is addressed to a device that it does not have',
    );
    expect(found[0]!.about).toHaveLength(1);
  });

  it('a neighbour entry that is older than the lease is told at the entry', () => {
    const found = disagreements(changed(FLANNEL, 'a/ip-neigh.txt', MAC.d, '0a:58:0a:64:29:00'));
    expect(found.map((f) => [f.code, f.at.file, f.at.line])).toEqual([['vtep-neighbour-differs', 'a/ip-neigh.txt', 2]]);
    expect(found[0]!.message).toContain('etcd.txt:6');
  });

  it('a forwarding entry that leads to another node than the lease is told at the entry', () => {
    const fdb = (to: string) => [...FLANNEL, { path: 'a/bridge-fdb.txt', text: `${MAC.d} dev flannel.1 dst ${to} self permanent\n` }];
    expect(codes(fdb('192.168.1.43'))).toEqual([]);
    const [found] = disagreements(fdb('192.168.1.40'));
    expect(found).toMatchObject({ code: 'vtep-fdb-differs', at: { file: 'a/bridge-fdb.txt', line: 1 } });
    expect(found!.message).toContain('etcd.txt:6');
  });

  it('a record without its key is held against the device all the same', () => {
    const alone = FLANNEL.map((f) =>
      f.path === 'etcd.txt' ? { ...f, text: f.text.replace(/^\/.*\n/gm, '').replace(MAC.d, '0a:58:0a:64:29:00') } : f,
    );
    expect(codes(alone)).toEqual(['vtep-mac-differs']);
  });

  it('annotations of a Node are held against the device like a lease', () => {
    const annotated = bundleOf('kubectl-1.26').filter((f) => f.path === 'nodes.yaml');
    const files = FLANNEL.filter((f) => f.path !== 'etcd.txt' && !f.path.endsWith('subnet.env')).map((f) => ({
      ...f,
      text: f.text.replaceAll('192.168.1.43', '192.168.21.21').replaceAll('10.100.41.', '10.244.2.'),
    }));
    const found = disagreements([...files, ...annotated]);
    expect(found.map((f) => f.code)).toEqual(['vtep-mac-differs', 'vtep-neighbour-differs']);
    expect(found[0]!.message).toContain('the annotation of the Node for 10.244.2.0/24 says 4a:19:55:c0:7e:03 (nodes.yaml:95)');
  });

  it('docker that began before flannel has a bridge outside of the subnet', () => {
    const bridge = changed(FLANNEL, 'd/ip-addr.txt', 'inet 10.100.41.1/24 brd 10.100.41.255', 'inet 172.17.0.1/16 brd 172.17.255.255');
    const found = disagreements(bridge);
    expect(found.map((f) => [f.code, f.at])).toEqual([['bridge-outside-subnet', { file: 'd/ip-addr.txt', line: 11 }]]);
    expect(found[0]!.message).toContain('docker0 of d has 172.17.0.1/16, outside of FLANNEL_SUBNET 10.100.41.0/24 (d/subnet.env:2)');
    expect(codes(bridge.filter((f) => !f.path.endsWith('subnet.env')))).toEqual(['bridge-outside-subnet']);
  });

  it('a subnet file that is older than the lease is told', () => {
    const found = disagreements(changed(FLANNEL, 'd/subnet.env', '10.100.41.1', '10.100.77.1'));
    expect(found.map((f) => [f.code, f.at])).toEqual([['subnet-differs', { file: 'd/subnet.env', line: 2 }]]);
  });

  it('options of docker that are older than the subnet are told', () => {
    const docker = { path: 'd/docker', text: 'DOCKER_OPT_BIP="--bip=192.168.27.1/24"\n' };
    const found = disagreements([...FLANNEL, docker]);
    expect(found.map((f) => [f.code, f.at])).toEqual([['subnet-differs', { file: 'd/docker', line: 1 }]]);
  });

  it('two leases of one subnet are told', () => {
    const twice = FLANNEL.map((f) => (f.path === 'etcd.txt' ? { ...f, text: f.text + lease('10.100.41', '192.168.1.99', '0a:00:00:00:00:99') } : f));
    expect(codes(twice)).toEqual(['pod-cidrs-overlap']);
  });

  it('its network where the hosts are is told once, for all hosts', () => {
    const found = disagreements(FLANNEL.map((f) => ({ ...f, text: f.text.replaceAll('192.168.1.', '10.100.200.') })));
    expect(found.map((f) => f.code)).toEqual(['pod-cidr-overlaps-host']);
    expect(found[0]!.message).toMatch(
      /^the network 10\.100\.200\.0\/24 of a \(ens3\) and 1 more is part of flannel's network 10\.100\.0\.0\/16 \(etcd\.txt:2\)/,
    );
  });

  it('its network as a network behind a router is told', () => {
    const found = disagreements(
      FLANNEL.map((f) => (f.path === 'a/ip-route.txt' ? { ...f, text: `${f.text}10.100.0.0/16 via 192.168.1.254 dev ens3\n` } : f)),
    );
    expect(found.map((f) => [f.code, f.at])).toEqual([['pod-cidr-overlaps-host', { file: 'a/ip-route.txt', line: 5 }]]);
  });
});

describe('Kubernetes', () => {
  const proxy = [...bundleOf('kube-proxy-1.26-iptables'), ...bundleOf('kubectl-1.26')];
  const slices = 'endpointslices.yaml';

  it('rules that send a service to an address that is no endpoint are told at the rule', () => {
    const found = disagreements(changed(proxy, slices, '- 10.244.2.6', '- 10.244.2.66'));
    expect(found.map((f) => f.code)).toEqual(['endpoints-differ', 'endpoints-differ']);
    expect(new Set(found.map((f) => f.at.file))).toEqual(new Set(['node1/iptables-nft-save.txt']));
    expect(found[0]!.message).toContain(
      'the rules of node1 send svc default/web:http (10.96.10.1:80) to 10.244.2.6:8080: that is none of its endpoints',
    );
    expect(found[1]!.message).toContain('never send svc default/web:http (10.96.10.1:80) to 10.244.2.66:8080 (endpointslices.yaml:');
  });

  it('an endpoint that is not ready and still in the rules is told', () => {
    const text = '- 10.244.1.9\n    conditions:\n      ready: true\n      serving: true';
    expect(disagreements(changed(proxy, slices, text, text.replaceAll('true', 'false'))).map((f) => f.message)).toEqual([
      expect.stringContaining('to 10.244.1.9:9999: that is not ready'),
    ]);
    // it may finish what it has begun
    expect(
      codes(changed(proxy, slices, `${text}\n      terminating: false`, text.replace('ready: true', 'ready: false') + '\n      terminating: true')),
    ).toEqual([]);
  });

  it('endpoints of a zone, and those of the own node alone, may be missing in the rules', () => {
    const more = changed(proxy, slices, '- 10.244.2.6', '- 10.244.2.6\n    - 10.244.2.66');
    expect(codes(more)).toEqual(['endpoints-differ']);
    const zoned = '    hints:\n      forZones:\n      - name: zone-a\n    nodeName: node2\n';
    expect(codes(changed(more, slices, '    nodeName: node2\n', zoned))).toEqual([]);
    expect(codes(changed(proxy, 'services.json', '"internalTrafficPolicy": "Cluster"', '"internalTrafficPolicy": "Local"'))).toEqual([]);
  });

  it('a service with endpoints and without rules is told', () => {
    const found = disagreements(changed(proxy, 'services.json', /10\.96\.10\.7/g, '10.96.10.8'));
    expect(found.map((f) => f.code)).toEqual(['service-not-programmed']);
    expect(found[0]!.message).toContain(
      'no rule of node1 sends svc default/sctp:s (10.96.10.8:9999) anywhere, and it has an endpoint: 10.244.1.9:9999',
    );
  });

  it("a pod's address on another node is told, by the route or by the namespace", () => {
    const route = {
      path: 'node1/ip-route.txt',
      text: `${proxy.find((f) => f.path === 'node1/ip-route.txt')!.text}10.244.2.5 dev cali0123456789a scope link\n`,
    };
    const files = [...proxy.filter((f) => f.path !== route.path && !f.path.endsWith('route.json')), route];
    expect(disagreements(files).map((f) => [f.code, f.message])).toEqual([
      [
        'pod-elsewhere',
        'node1 delivers 10.244.2.5 to cali0123456789a, and the pod default/web-7d4c9b-9fhtn that has this address is on node2 (pods.json:172)',
      ],
    ]);
    const inside = {
      path: 'node1/namespaces/p/ip-addr.txt',
      text: '2: eth0@if9: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP\n    inet 10.244.2.5/32 scope global eth0\n',
    };
    expect(disagreements([...proxy, inside]).map((f) => [f.code, f.at])).toEqual([
      ['pod-elsewhere', { file: 'node1/namespaces/p/ip-addr.txt', line: 2 }],
    ]);
    expect(disagreements([...proxy, { ...inside, text: inside.text.replace('2.5/', '1.5/') }])).toEqual([]);
  });

  it('blocks of two Nodes that overlap are told', () => {
    const found = disagreements(changed(proxy, 'nodes.yaml', /10\.244\.2\.0\/24/g, '10.244.0.0/23'));
    expect(found.map((f) => f.code)).toEqual(['pod-cidrs-overlap', 'pod-cidrs-overlap']);
    expect(found[0]!.message).toContain('the podCIDR 10.244.0.0/24 of master overlaps 10.244.0.0/23 of node2');
  });

  it('a bridge that is left from another block is told', () => {
    const cni = {
      path: 'node1/ip-addr.txt',
      text: `${proxy.find((f) => f.path === 'node1/ip-addr.txt')!.text}9: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP\n    inet 10.85.0.1/16 scope global cni0\n`,
    };
    const found = disagreements([...proxy.filter((f) => f.path !== cni.path), cni]);
    expect(found.map((f) => f.code)).toEqual(['bridge-outside-subnet']);
    expect(found[0]!.message).toContain("cni0 of node1 has 10.85.0.1/16, outside of the Node's podCIDR 10.244.1.0/24 (nodes.yaml:");
  });

  it('an IP pool that holds the network of the hosts is told', () => {
    const pool = {
      path: 'ippools.yaml',
      text: 'apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata:\n  name: default-ipv4-ippool\nspec:\n  cidr: 192.168.0.0/16\n  natOutgoing: true\n',
    };
    const found = disagreements([...proxy, pool]);
    expect(found.map((f) => [f.code, f.at.file])).toEqual([['ippool-overlaps-host', 'node1/ip-addr.txt']]);
    expect(found[0]!.message).toBe(
      'the network 192.168.21.0/24 of node1 (ens192) is part of the IP pool default-ipv4-ippool 192.168.0.0/16 (ippools.yaml:6): the rules take what goes there for pod traffic, which is not masqueraded',
    );
  });
});

describe('records in a scenario', () => {
  it("are read beside the nodes and in a node's folder", () => {
    const scenario = { title: 't', nodes: { d: { capture: 'd/' }, gateway: { addresses: ['192.168.1.1/24'] } } };
    const { world, files } = readScenarioWorld(scenario, FLANNEL, () => ({ file: 'scenario.yaml', line: 1 }));
    expect(world.witness?.subnetFiles.map((f) => [f.node, f.at.file])).toEqual([
      [undefined, 'a/subnet.env'],
      ['d', 'd/subnet.env'],
    ]);
    expect(world.witness?.leases).toHaveLength(2);
    expect(files.find((f) => f.path === 'etcd.txt')).toMatchObject({ kind: 'flannel', used: true });
    expect(world.findings.filter((f) => f.severity === 'warning')).toEqual([]);
  });
});

it('damaged records beside whole captures are read, and the captures are what they were', () => {
  const whole = [...bundleOf('kube-proxy-1.26-iptables').filter((f) => !f.path.includes('nft.')), ...bundleOf('kubectl-1.26')];
  const records = whole.filter((f) => !f.path.includes('/'));
  const { namespaces } = readBundle(whole);
  fc.assert(
    fc.property(fc.constantFrom(...records), fc.nat(), fc.nat(127), (file, at, code) => {
      const place = at % file.text.length;
      const text = code < 64 ? file.text.slice(0, place) : file.text.slice(0, place) + String.fromCharCode(code) + file.text.slice(place + 1);
      expect(readBundle([...whole.filter((f) => f !== file), { path: file.path, text }]).namespaces).toEqual(namespaces);
    }),
    { numRuns: 30 },
  );
});
