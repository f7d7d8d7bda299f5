// What kubectl prints: objects with their lines, JSON and YAML alike, and what is broken costs only itself.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as kubernetes from '../../src/capture/kubernetes.ts';
import { recognise } from '../../src/capture/recognise.ts';
import { readYaml } from '../../src/capture/yaml.ts';
import { formatAddr, formatPrefix } from '../../src/net/addr.ts';
import { bundleOf, captured, plain } from './captured.ts';

const readKubernetes = (text: string, file: string): kubernetes.KubernetesReading => kubernetes.readKubernetes(text, file, readYaml);
const read = (name: string): kubernetes.KubernetesReading => readKubernetes(captured(`kubectl-1.26/${name}`), name);
const lineAt = (name: string, line: number): string => captured(`kubectl-1.26/${name}`).split('\n')[line - 1]!;

describe('the objects of a cluster', () => {
  it('are nodes with their addresses and blocks', () => {
    const { nodes, findings } = read('nodes.yaml');
    expect(findings).toEqual([]);
    expect(nodes.map((n) => [n.name, n.addresses.map((a) => formatAddr(a.addr)), n.podCidrs.map((c) => formatPrefix(c.prefix))])).toEqual([
      ['master', ['192.168.21.11'], ['10.244.0.0/24']],
      ['node1', ['192.168.21.20'], ['10.244.1.0/24']],
      ['node2', ['192.168.21.21'], ['10.244.2.0/24']],
    ]);
    expect(lineAt('nodes.yaml', nodes[1]!.podCidrs[0]!.at.line)).toContain('podCIDR: 10.244.1.0/24');
  });

  it('are the leases that flannel keeps in annotations', () => {
    const { leases } = read('nodes.yaml');
    expect(leases[1]).toMatchObject({ from: 'annotations', node: 'node1', backend: 'vxlan', vni: 1, vtepMac: 'd2:f4:86:6d:10:02' });
    expect(lineAt('nodes.yaml', leases[1]!.at.line)).toContain('d2:f4:86:6d:10:02');
  });

  it('are pods: with addresses, in the network of the host, finished, and waiting', () => {
    const { pods } = read('pods.json');
    const pod = (name: string): unknown => plain(pods.find((p) => p.name.startsWith(name))!);
    expect(pod('web-7d4c9b-q8x2k')).toEqual({
      namespace: 'default',
      name: 'web-7d4c9b-q8x2k',
      addresses: [{ addr: 0x0af40105 }],
      node: 'node1',
      hostNetwork: false,
      finished: false,
    });
    expect(pod('kube-proxy-8s4wl')).toMatchObject({ hostNetwork: true });
    expect(pod('migrate')).toMatchObject({ finished: true });
    expect(pod('waiting')).toEqual({ namespace: 'default', name: 'waiting-6d5f-7hh2c', addresses: [], hostNetwork: false, finished: false });
  });

  it('are services with all their addresses and ports', () => {
    const { services } = read('services.json');
    const service = (name: string): unknown => plain(services.find((s) => s.name === name)!);
    expect(service('local')).toEqual({
      namespace: 'default',
      name: 'local',
      type: 'LoadBalancer',
      clusterIps: [{ addr: 0x0a600a02 }],
      externalIps: [],
      loadBalancerIps: [{ addr: 0xc6336407 }],
      ports: [{ name: 'http', proto: 6, port: 80, nodePort: 30081, targetPort: 8080 }],
      nodeLocal: false,
    });
    expect(service('db')).toMatchObject({ clusterIps: [] });
    expect(service('kube-dns')).toMatchObject({ ports: [{ proto: 17 }, { proto: 6 }] });
    expect(service('ext')).toMatchObject({ externalIps: [{ addr: 0xc0000232 }] });
  });

  it('are endpoints, the same from slices as from Endpoints', () => {
    const those = (name: string): unknown[] =>
      read(name)
        .endpoints.filter((e) => e.endpoints.length > 0)
        .map(({ kind: _kind, ...rest }) => plain(rest));
    expect(those('endpointslices.yaml')).toEqual(those('endpoints.json'));
    expect(those('endpoints.json')).toHaveLength(8);
  });

  it('stand on the lines that are told', () => {
    for (const name of ['pods.json', 'services.json']) {
      const { pods, services } = read(name);
      for (const object of [...pods, ...services]) {
        expect(lineAt(name, object.at.line).trim()).toBe('{');
        const addresses = 'addresses' in object ? object.addresses : object.clusterIps;
        for (const a of addresses) expect(lineAt(name, a.at.line)).toContain(`"${formatAddr(a.addr)}"`);
      }
    }
    for (const e of read('endpointslices.yaml').endpoints) {
      expect(lineAt('endpointslices.yaml', e.at.line)).toMatch(/^- /);
      for (const a of e.endpoints) expect(lineAt('endpointslices.yaml', a.at.line)).toContain(formatAddr(a.addr));
    }
  });
});

describe('a dump', () => {
  const pool = (name: string, cidr: string): string =>
    `apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata:\n  name: ${name}\nspec:\n  blockSize: 26\n  cidr: ${cidr}\n  ipipMode: Always\n  natOutgoing: true\n  nodeSelector: all()\n  vxlanMode: Never\n`;

  it('may be one object, or several documents', () => {
    const { pools, findings } = readKubernetes(`# two pools\n---\n${pool('a', '192.168.0.0/16')}---\n${pool('b', 'fd00:1::/64')}`, 'pools.yaml');
    expect(findings).toEqual([]);
    expect(pools.map((p) => [p.name, formatPrefix(p.cidr), p.natOutgoing, p.ipipMode, p.vxlanMode, p.disabled, p.at.line])).toEqual([
      ['a', '192.168.0.0/16', true, 'Always', 'Never', false, 9],
      ['b', 'fd00:1::/64', true, 'Always', 'Never', false, 21],
    ]);
  });

  it('may be a list as the API itself gives it, whose items have no kind', () => {
    const list = { kind: 'IPPoolList', apiVersion: 'projectcalico.org/v3', items: [{ metadata: { name: 'p' }, spec: { cidr: '10.0.0.0/8' } }] };
    expect(readKubernetes(JSON.stringify(list), 'f').pools).toMatchObject([{ name: 'p', natOutgoing: false, ipipMode: 'Never' }]);
    const yaml = 'apiVersion: v1\nkind: PodList\nitems:\n- metadata:\n    name: a\n  spec: {}\n- metadata:\n    name: b\n';
    expect(readKubernetes(yaml, 'f').pods.map((p) => [p.name, p.at.line])).toEqual([
      ['a', 4],
      ['b', 7],
    ]);
    expect(readKubernetes('{"kind":"PodList","items":[{"metadata":{"name":"a"}},{"metadata":{"na', 'f').pods).toHaveLength(1);
  });

  it('may be a stream of objects, or an array', () => {
    const object = (name: string): string => `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"${name}"}}`;
    expect(readKubernetes(`${object('a')}\n${object('b')}\n`, 'f').pods.map((p) => [p.name, p.at.line])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect(readKubernetes(`[\n${object('a')},\n${object('b')}]`, 'f').pods).toHaveLength(2);
  });

  it('may hold objects of other kinds, which are counted and left unread', () => {
    const secret = 'apiVersion: v1\nkind: Secret\ndata: {password: [}\n';
    const { pools, findings } = readKubernetes(`${pool('a', '10.0.0.0/8')}---\n${secret}---\n${secret}`, 'f');
    expect(pools).toHaveLength(1);
    expect(findings.map((f) => [f.code, f.message])).toEqual([['ignored-kinds', 'objects that say nothing here: 2 Secret']]);
  });

  it('may hold a broken object, which costs only itself', () => {
    const { pools, findings } = readKubernetes(
      `${pool('a', '10.0.0.0/8')}---\n${pool('b', '[1')}---\n${pool('c', '10.0.0.0/99')}---\n${pool('d', '[]')}---\n${pool('e', '11.0.0.0/8')}`,
      'f',
    );
    expect(pools.map((p) => p.name)).toEqual(['a', 'e']);
    expect(findings.map((f) => [f.code, f.at.line])).toEqual([
      ['bad-yaml', 20],
      ['unreadable-address', 31],
      ['unexpected-object', 37],
    ]);
    const json = readKubernetes(
      '{"items":[{"kind":"Pod","metadata":{"name":1}},{"kind":"Pod","metadata":{"name":"x"}},{"kind":]}],"kind":"List"}',
      'f',
    );
    expect(json.pods.map((p) => p.name)).toEqual(['x']);
    expect(json.findings.map((f) => f.code)).toEqual(['bad-json', 'unexpected-object']);
  });

  it('keeps the configuration of flannel where kube-flannel has it', () => {
    const map = `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kube-flannel-cfg\ndata:\n  net-conf.json: |\n    {\n      "Network": "10.244.0.0/16",\n      "Backend": {\n        "Type": "vxlan"\n      }\n    }\n`;
    expect(plain(readKubernetes(map, 'f').networks)).toEqual([{ network: { addr: 0x0af40000, length: 16 }, backend: 'vxlan' }]);
  });
});

it('a table of kubectl is told to be one', () => {
  const table =
    '$ kubectl get pods -A -o wide\nNAMESPACE     NAME      READY   STATUS    RESTARTS   AGE   IP\nkube-system   coredns   1/1     Running   0          3d    10.244.0.2\n';
  expect(recognise('1.txt', table).kind).toBe('kubernetes');
  expect(readKubernetes(table, 'f').findings).toMatchObject([{ code: 'lossy-listing', at: { file: 'f', line: 2 } }]);
});

it('YAML needs its reader', () => {
  expect(kubernetes.readKubernetes('apiVersion: v1\nkind: Node\n', 'f')).toMatchObject({
    nodes: [],
    findings: [{ code: 'no-yaml', at: { file: 'f', line: 1 } }],
  });
});

describe('any damage to a dump', () => {
  const files = bundleOf('kubectl-1.26');

  it('is read, and every finding has its place', () => {
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.nat(), fc.nat(), fc.nat(127), (file, at, from, code) => {
        const cut = file.text.slice(0, at % (file.text.length + 1));
        const place = from % Math.max(cut.length, 1);
        const text = code < 64 ? cut : cut.slice(0, place) + String.fromCharCode(code) + cut.slice(place + 1);
        const lines = text.split('\n').length;
        for (const f of readKubernetes(text, 'f').findings) expect(f.at.line).toSatisfy((l: number) => l >= 1 && l <= lines);
      }),
      { numRuns: 300 },
    );
  });

  it('says so when the end is missing', () => {
    for (const { path, text } of files) {
      const { findings } = readKubernetes(text.slice(0, text.length * 0.6), path);
      expect(findings.map((f) => f.code)).toContain('truncated');
    }
  });
});
