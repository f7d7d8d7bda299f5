// How long until a cluster of many nodes can be asked, and how long does an answer across it take? Each node has captures of its own:
// a flannel network (bridge, VXLAN, routes, neighbours, fdb to every other node), pods, and a kube-proxy's rules of a thousand services.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ask, isMisunderstood, readScenarioWorld, trace, type Scenario } from '../src/index.ts';
import type { CaptureFile } from '../src/capture/namespace.ts';

const NODES = Number(process.env['NODES'] ?? 200);
const ROUNDS = 5;
const capture = join(import.meta.dirname, '../test/captures/kube-proxy-1.26-iptables-1000-services/iptables-save.txt.gz');
const rules = gunzipSync(readFileSync(capture)).toString('latin1');

const lan = (n: number): string => `172.16.${n >> 8}.${n & 255}`;
const pods = (n: number): string => `10.${128 + (n >> 8)}.${n & 255}`;
const mac = (kind: number, n: number): string =>
  `02:0${kind}:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`;
const up = '<BROADCAST,MULTICAST,UP,LOWER_UP> mtu';

/** What node `n` of the cluster printed. */
function node(n: number): CaptureFile[] {
  const others = Array.from({ length: NODES }, (_, i) => i + 1).filter((i) => i !== n);
  const links = [
    `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default\n    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n    inet 127.0.0.1/8 scope host lo`,
    `2: eth0: ${up} 1500 qdisc fq_codel state UP group default\n    link/ether ${mac(1, n)} brd ff:ff:ff:ff:ff:ff\n    inet ${lan(n)}/16 scope global eth0`,
    `3: flannel.1: ${up} 1450 qdisc noqueue state UNKNOWN group default\n    link/ether ${mac(2, n)} brd ff:ff:ff:ff:ff:ff\n    vxlan id 1 local ${lan(n)} dev eth0 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300\n    inet ${pods(n)}.0/32 scope global flannel.1`,
    `4: cni0: ${up} 1450 qdisc noqueue state UP group default\n    link/ether ${mac(3, n)} brd ff:ff:ff:ff:ff:ff\n    bridge forward_delay 1500 vlan_filtering 0 nf_call_iptables 0\n    inet ${pods(n)}.1/24 scope global cni0`,
    `5: veth1@if2: ${up} 1450 qdisc noqueue master cni0 state UP group default\n    link/ether ${mac(4, n)} brd ff:ff:ff:ff:ff:ff link-netns web\n    veth\n    bridge_slave state forwarding priority 32 hairpin on isolated off learning on flood on`,
  ];
  const routes = [
    `default via 172.16.255.254 dev eth0`,
    `172.16.0.0/16 dev eth0 proto kernel scope link src ${lan(n)}`,
    `${pods(n)}.0/24 dev cni0 proto kernel scope link src ${pods(n)}.1`,
    ...others.map((i) => `${pods(i)}.0/24 via ${pods(i)}.0 dev flannel.1 onlink`),
  ];
  const inside = [
    links[0],
    `2: eth0@if5: ${up} 1450 qdisc noqueue state UP group default\n    link/ether ${mac(5, n)} brd ff:ff:ff:ff:ff:ff link-netnsid 0\n    veth\n    inet ${pods(n)}.2/24 scope global eth0`,
  ];
  const file = (path: string, text: readonly (string | undefined)[]): CaptureFile => ({ path: `n${n}/${path}`, text: `${text.join('\n')}\n` });
  return [
    file('ip-addr.txt', links),
    file('ip-route.txt', routes),
    file(
      'ip-neigh.txt',
      others.map((i) => `${pods(i)}.0 dev flannel.1 lladdr ${mac(2, i)} PERMANENT`),
    ),
    file(
      'bridge-fdb.txt',
      others.map((i) => `${mac(2, i)} dev flannel.1 dst ${lan(i)} self permanent`),
    ),
    file('sysctl.txt', ['net.ipv4.ip_forward = 1', 'net.bridge.bridge-nf-call-iptables = 1']),
    // a text of its own, as if read from that node's file
    { path: `n${n}/iptables-save.txt`, text: Buffer.from(rules, 'latin1').toString('latin1') },
    file('web/ip-addr.txt', inside),
    file('web/ip-route.txt', [`default via ${pods(n)}.1 dev eth0`, `${pods(n)}.0/24 dev eth0 proto kernel scope link src ${pods(n)}.2`]),
    file('web/iptables-save.txt', ['']),
  ];
}

const numbers = Array.from({ length: NODES }, (_, i) => i + 1);
const files = numbers.flatMap(node);
const scenario: Scenario = {
  title: 'a cluster',
  nodes: Object.fromEntries(numbers.map((n) => [`n${n}`, { capture: `n${n}/`, namespaces: { web: `n${n}/web/` } }])),
  wires: { lan: numbers.map((n) => `n${n}/eth0`) },
};
const bytes = files.reduce((sum, f) => sum + f.text.length, 0);

const before = process.memoryUsage().rss;
const begun = performance.now();
const { world } = readScenarioWorld(scenario, files, () => ({ file: 'scenario.yaml', line: 1 }));
const loaded = performance.now() - begun;

const question = ask(world, { from: 'n1/web', to: `${pods(NODES)}.2:8080` });
if (isMisunderstood(question)) throw new Error(question.error);
const times: number[] = [];
for (let i = 0; i < ROUNDS + 1; i++) {
  const start = performance.now();
  const answer = trace(world, question);
  times.push(performance.now() - start);
  const end = answer.courses[0]?.trace;
  if (answer.verdict !== 'yes' || end?.outcome.node !== `n${NODES}`) throw new Error(`not delivered: ${end?.outcome.kind} ${end?.outcome.why}`);
}
const [first, ...later] = times as [number, ...number[]];
const sorted = later.toSorted((a, b) => a - b);
const one = rules.length;
console.log(
  `\na cluster of ${NODES} nodes, ${files.length} files, ${(bytes / 1e6).toFixed(0)} MB of text (${(one / 1e6).toFixed(1)} MB of rules on each node)`,
);
console.log(
  `  load                       ${loaded.toFixed(0).padStart(8)} ms, ${((process.memoryUsage().rss - before) / 1e6).toFixed(0)} MB more, ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB in all`,
);
console.log(`  first answer               ${first.toFixed(0).padStart(8)} ms (reads the rules of the nodes it meets)`);
console.log(
  `  pod to pod, there and back ${sorted[ROUNDS >> 1]!.toFixed(1).padStart(8)} ms median of ${ROUNDS} (${sorted[0]!.toFixed(1)} to ${sorted.at(-1)!.toFixed(1)})`,
);

// what loading would take if each node's rules were read at once
const eager = performance.now();
const sample = world.namespaces.filter((ns) => ns.name === '').slice(1, 11);
const chains = sample.reduce((sum, ns) => sum + ns.tables.length, 0);
const each = (performance.now() - eager) / sample.length;
console.log(
  `  against reading all rules  ${(each * NODES).toFixed(0).padStart(8)} ms (${each.toFixed(0)} ms a node, of ${sample.length} nodes, ${chains} tables)`,
);
