// Names of pods, services and nodes, in questions and in answers.
import { describe, expect, it } from 'vitest';
import { nameOfAddress } from '../../src/ask/name.ts';
import { ask, isMisunderstood, type Request } from '../../src/ask/question.ts';
import { trace } from '../../src/ask/trace.ts';
import { readBundle } from '../../src/capture/bundle.ts';
import type { CaptureFile } from '../../src/capture/namespace.ts';
import { readYaml } from '../../src/capture/yaml.ts';
import type { World } from '../../src/model/host.ts';
import { formatAddr, parseAddr, type Addr } from '../../src/net/addr.ts';
import { TCP, UDP } from '../../src/net/proto.ts';
import { answerJson } from '../../src/say/json.ts';
import { answerText } from '../../src/say/text.ts';
import { TraceAnswer } from '../../src/model/answer.ts';
import { bundleOf } from '../capture/captured.ts';

const RECORDS = bundleOf('kubectl-1.26');
const NODE1 = bundleOf('kube-proxy-1.26-iptables');

function worldOf(files: readonly CaptureFile[]): World {
  const { namespaces, findings, witness } = readBundle(files, { readYaml });
  return { namespaces, wires: [], findings, ...(witness && { witness }) };
}

const world = worldOf([...NODE1, ...RECORDS]);
const WEB = 'pod/default/web-7d4c9b-q8x2k';
const INSIDE = {
  path: 'node1/namespaces/web/ip-addr.txt',
  text: '2: eth0@if9: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP\n    inet 10.244.1.5/24 scope global eth0\n',
};

function packetOf(request: Request, at = world): string {
  const asked = ask(at, request);
  if (isMisunderstood(asked)) return `--${asked.option}: ${asked.error}; ${asked.hint}`;
  const { packet, node, namespace, arrives, device } = asked.question;
  const place = `${node}${namespace && `/${namespace}`} ${arrives ? `in ${device}` : 'sends'}`;
  return `${packet.proto} ${formatAddr(packet.src)} > ${formatAddr(packet.dst)}:${packet.dport} ${place}`;
}

describe('the name of an address', () => {
  const name = (text: string, port?: number, proto?: number): string | undefined => nameOfAddress(world, parseAddr(text) as Addr, port, proto);

  it("is its pod's, not that of a pod that has finished", () => {
    expect(name('10.244.1.5')).toBe('pod default/web-7d4c9b-q8x2k, on node1');
  });

  it("is its service's, with the name of the port", () => {
    expect(name('10.96.0.1', 443)).toBe('svc default/kubernetes:https');
    expect(name('10.96.0.1', 80)).toBe('svc default/kubernetes');
    expect([name('10.96.0.10', 53, UDP), name('10.96.0.10', 53, TCP)]).toEqual(['svc kube-system/kube-dns:dns', 'svc kube-system/kube-dns:dns-tcp']);
    expect([name('198.51.100.7', 80), name('192.0.2.50')]).toEqual(['svc default/local:http', 'svc default/ext']);
  });

  it("is the node's, also where pods are in its network", () => {
    expect(name('192.168.21.11', 6443)).toBe('node master');
  });

  it('is not there for an address that nobody recorded, or without records', () => {
    expect(name('8.8.8.8')).toBeUndefined();
    expect(nameOfAddress(worldOf(NODE1), parseAddr('10.244.1.5') as Addr)).toBeUndefined();
  });
});

describe('a question', () => {
  it.each<[string, Request, string]>([
    ['a pod is its address, which arrives on its node', { from: WEB, to: '192.168.21.11:6443' }, '6 10.244.1.5 > 192.168.21.11:6443 node1 in ens192'],
    [
      'a pod of a node that was not captured arrives',
      { from: 'pod/default/web-7d4c9b-9fhtn', to: 'svc/default/web:80' },
      '6 10.244.2.5 > 10.96.10.1:80 node1 in ens192',
    ],
    [
      'a pod in the network of its host is the host',
      { from: 'pod/kube-system/kube-proxy-8s4wl', to: `${WEB}:8080` },
      '6 0.0.0.0 > 10.244.1.5:8080 node1 sends',
    ],
    ['a service by the name of its port', { from: 'node/node1', to: 'svc/default/kubernetes:https' }, '6 0.0.0.0 > 10.96.0.1:443 node1 sends'],
    ['a service by the number of its port', { from: 'local', to: 'svc/default/web:80' }, '6 0.0.0.0 > 10.96.10.1:80 node1 sends'],
    ['a service with one port', { from: 'local', to: 'svc/default/sctp' }, '132 0.0.0.0 > 10.96.10.7:9999 node1 sends'],
    ["a service's port of another protocol", { from: 'local', to: 'svc/kube-system/kube-dns:dns' }, '17 0.0.0.0 > 10.96.0.10:53 node1 sends'],
    [
      'a protocol chooses among ports of one number',
      { from: 'local', to: 'svc/kube-system/kube-dns:53', proto: 'tcp' },
      '6 0.0.0.0 > 10.96.0.10:53 node1 sends',
    ],
    [
      'the address of a service without a port',
      { from: 'local', to: 'svc/kube-system/kube-dns', proto: 'icmp' },
      '1 0.0.0.0 > 10.96.0.10:undefined node1 sends',
    ],
    ['a node that was not captured', { from: 'local', to: 'node/master:6443' }, '6 0.0.0.0 > 192.168.21.11:6443 node1 sends'],
    ['a named pod on an interface', { from: WEB, to: 'svc/default/web:80', in: 'node1:ens192' }, '6 10.244.1.5 > 10.96.10.1:80 node1 in ens192'],
  ])('may name %s', (_what, request, expected) => {
    expect(packetOf(request)).toBe(expected);
  });

  it('may name a pod whose namespace was captured: then that is where it is sent', () => {
    const inside = worldOf([...NODE1, ...RECORDS, INSIDE]);
    expect(packetOf({ from: WEB, to: '10.96.0.1:443' }, inside)).toBe('6 0.0.0.0 > 10.96.0.1:443 node1/web sends');
  });

  it('may name a pod whose namespace has its name and no captured address', () => {
    const routes = { path: 'node1/namespaces/default_web-7d4c9b-q8x2k/ip-route.txt', text: 'default via 10.244.1.1 dev eth0\n' };
    expect(packetOf({ from: WEB, to: '10.96.0.1:443' }, worldOf([...NODE1, ...RECORDS, routes]))).toBe(
      '6 0.0.0.0 > 10.96.0.1:443 node1/default_web-7d4c9b-q8x2k sends',
    );
  });

  it('says what was taken', () => {
    const asked = ask(world, { from: WEB, to: 'svc/default/kubernetes:https' });
    expect(isMisunderstood(asked) ? [] : asked.question.notes).toEqual([
      'svc/default/kubernetes:https is 10.96.0.1:443 (services.json:4)',
      `${WEB} is 10.244.1.5 (pods.json:116, on node1)`,
      '10.244.1.5 comes in on ens192, where the route back to it leads (--in NODE:IFACE says otherwise)',
    ]);
  });

  it.each<[Request, string]>([
    [
      { from: 'pod/default/web', to: '1.1.1.1:80' },
      '--from: the capture knows no pod default/web; perhaps pod/default/web-7d4c9b-9fhtn, pod/default/web-7d4c9b-q8x2k, pod/default/web-7d4c9b-wz6lm',
    ],
    [{ from: 'local', to: 'svc/default/kube-dns:53' }, '--to: the capture knows no service default/kube-dns; perhaps svc/kube-system/kube-dns'],
    [{ from: 'local', to: 'svc/default/wep:80' }, '--to: the capture knows no service default/wep; perhaps svc/default/web'],
    [{ from: 'local', to: 'svc/web:80' }, "--to: 'svc/web:80' is not svc/NAMESPACE/NAME; perhaps svc/default/web"],
    [
      { from: 'local', to: 'svc/default/web:30080' },
      "--to: 30080 is a NodePort of the service default/web: it is open at the nodes, not at the service's address; ask for NODE:30080, or its ports: http (80/tcp)",
    ],
    [{ from: 'local', to: 'svc/default/web:https' }, '--to: the service default/web has no port https (services.json:92); its ports: http (80/tcp)'],
    [
      { from: 'local', to: 'svc/default/web:http', proto: 'udp' },
      '--to: the service default/web has no udp port http (services.json:92); its ports: http (80/tcp)',
    ],
    [
      { from: 'local', to: 'svc/kube-system/kube-dns' },
      '--to: the service kube-system/kube-dns has several ports: say which; its ports: dns (53/udp), dns-tcp (53/tcp)',
    ],
    [
      { from: 'local', to: 'svc/default/db:3306' },
      '--to: the service default/db is headless: its name stands for its pods (services.json:403); name a pod: pod/NAMESPACE/NAME:PORT',
    ],
    [{ from: 'svc/default/web', to: '1.1.1.1:80' }, '--from: a service sends nothing: name one of its pods; undefined'],
    [
      { from: 'pod/default/migrate-28593-xk2vn', to: '1.1.1.1:80' },
      "--from: the pod default/migrate-28593-xk2vn has finished: its address may be another pod's by now (pods.json:833); undefined",
    ],
    [
      { from: 'pod/default/waiting-6d5f-7hh2c', to: '1.1.1.1:80' },
      '--from: the pod default/waiting-6d5f-7hh2c has no address (pods.json:882); undefined',
    ],
    [{ from: `${WEB}:80`, to: '1.1.1.1:80' }, `--from: '${WEB}:80' has a port; --sport says which one it sends from; undefined`],
    [{ from: 'node/node7', to: '1.1.1.1:80' }, '--from: the capture knows no node node7; nodes: master, node1, node2'],
    [{ from: WEB, to: '[2001:db8::1]:80' }, `--from: ${WEB} has no IPv6 address (pods.json:116, on node1); both ends must be of one family`],
    [{ from: '2001:db8::1', to: 'svc/default/web:80' }, '--to: svc/default/web:80 has no IPv6 address (services.json:92); undefined'],
    [{ from: 'local', to: `${WEB}:http` }, "--to: 'http' is not a port (0 to 65535); undefined"],
  ])('that cannot be meant is told: %j', (request, expected) => {
    expect(packetOf(request)).toBe(expected);
  });

  it('with a name needs records', () => {
    expect(packetOf({ from: WEB, to: '1.1.1.1:80' }, worldOf(NODE1))).toBe(
      '--from: the capture holds no Kubernetes objects; save `kubectl get nodes,pods,services,endpointslices -A -o json` beside the nodes',
    );
    expect(packetOf({ from: 'node/node1', to: '1.1.1.1:80' }, worldOf(NODE1))).toBe('6 0.0.0.0 > 1.1.1.1:80 node1 sends');
  });
});

describe('an answer', () => {
  const answer = (request: Request, at = world): ReturnType<typeof trace> => {
    const asked = ask(at, request);
    if (isMisunderstood(asked)) throw new Error(asked.error);
    return trace(at, asked);
  };

  it('introduces the addresses by their names, once', () => {
    const text = answerText(answer({ from: WEB, to: 'svc/default/kubernetes:https' }));
    expect(text.split('\n').slice(0, 4)).toEqual([
      'tcp 10.244.1.5:40000 -> 10.96.0.1:443 SYN',
      '  10.244.1.5 = pod default/web-7d4c9b-q8x2k, on node1',
      '  10.96.0.1 = svc default/kubernetes:https',
      '  192.168.21.11 = node master',
    ]);
    expect(text.match(/ = /g)).toHaveLength(3);
    expect(answerText(answer({ from: WEB, to: 'svc/default/kubernetes:https' }), { level: 'minimal' })).not.toContain(' = ');
  });

  it('has the names in its JSON, as the schema says', () => {
    const json = JSON.parse(JSON.stringify(answerJson(answer({ from: 'local', to: 'svc/kube-system/kube-dns:dns' })))) as { names: unknown };
    expect(TraceAnswer.safeParse(json).error).toBeUndefined();
    expect(json.names).toEqual({
      '192.168.21.20': 'node node1',
      '10.96.0.10': 'svc kube-system/kube-dns:dns',
      '10.244.0.2': 'pod kube-system/coredns-787d4945fb-4xq2p, on master',
      '10.244.0.3': 'pod kube-system/coredns-787d4945fb-hk7zs, on master',
    });
    expect(answer({ from: 'local', to: '8.8.8.8:53' }, worldOf(NODE1)).names).toBeUndefined();
  });

  it('tells a contradiction that is about one of its addresses, and no other', () => {
    const files = RECORDS.map((f) => (f.path === 'endpointslices.yaml' ? { ...f, text: f.text.replace('- 10.244.1.9', '- 10.244.1.99') } : f));
    const stale = worldOf([...NODE1, ...files]);
    expect(stale.findings.filter((f) => f.code === 'endpoints-differ')).toHaveLength(2);
    const told = (to: string): string[] => answer({ from: 'local', to }, stale).findings.map((f) => f.code);
    expect(told('svc/default/sctp')).toEqual(['endpoints-differ', 'endpoints-differ']);
    expect(told('svc/default/web:80')).toEqual([]);
  });

  it('is the same with records as without, but for names and notes', () => {
    const fate = (at: World): unknown => {
      const { courses, verdict } = answer({ from: '10.244.1.5', to: '10.96.10.1:80' }, at);
      return { courses, verdict };
    };
    expect(fate(world)).toEqual(fate(worldOf(NODE1)));
  });
});
