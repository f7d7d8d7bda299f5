// How long it takes to prove that every ClusterIP goes to its own endpoints only, and how that grows with the number of services. Beside it,
// in the same run: as many packets of random, walked without narrowing anything, which proves nothing.
// SERVICES=100,1000 for other sizes; the last line is the real capture of 1,000 services.
import * as fc from 'fast-check';
import { checkProperty } from '../src/ask/check.ts';
import { isSpaceError } from '../src/ask/space.ts';
import { trace } from '../src/ask/trace.ts';
import { load } from '../src/cli/load.ts';
import { readBundle, worldOf, type World } from '../src/index.ts';
import type { Property } from '../src/model/property.ts';
import { packets } from '../src/testing/index.ts';

const SIZES = (process.env['SERVICES'] ?? '100,1000,5000').split(',').map(Number);
const ROUNDS = Number(process.env['ROUNDS'] ?? 3);
const ENDPOINTS = 2;

const vip = (i: number): string => `10.96.${i >> 8}.${i & 255}`;
const pod = (i: number, k: number): string => `10.${200 + k}.${i >> 8}.${i & 255}`;
const hash = (text: string): string =>
  [...text]
    .reduce((n, c) => (Math.imul(n, 31) + c.charCodeAt(0)) >>> 0, 7)
    .toString(32)
    .toUpperCase()
    .padStart(16, 'A')
    .slice(0, 16);

/** iptables-save as kube-proxy writes it: two endpoints a service, drawn by lot. */
function dump(services: number): string {
  const numbers = Array.from({ length: services }, (_, i) => i);
  const svc = (i: number): string => `KUBE-SVC-${hash(`svc${i}`)}`;
  const sep = (i: number, k: number): string => `KUBE-SEP-${hash(`sep${i}/${k}`)}`;
  const name = (i: number): string => `ns/svc-${i}:http`;
  const chains = numbers.flatMap((i) => [`:${svc(i)} - [0:0]`, ...Array.from({ length: ENDPOINTS }, (_, k) => `:${sep(i, k)} - [0:0]`)]);
  const entries = numbers.map(
    (i) => `-A KUBE-SERVICES -d ${vip(i)}/32 -p tcp -m comment --comment "${name(i)} cluster IP" -m tcp --dport 80 -j ${svc(i)}`,
  );
  const rest = numbers.flatMap((i) => [
    ...Array.from({ length: ENDPOINTS }, (_, k) =>
      k === ENDPOINTS - 1
        ? `-A ${svc(i)} -m comment --comment "${name(i)} -> ${pod(i, k)}:8080" -j ${sep(i, k)}`
        : `-A ${svc(i)} -m comment --comment "${name(i)} -> ${pod(i, k)}:8080" -m statistic --mode random --probability ${1 / (ENDPOINTS - k)} -j ${sep(i, k)}`,
    ),
    ...Array.from(
      { length: ENDPOINTS },
      (_, k) => `-A ${sep(i, k)} -p tcp -m comment --comment "${name(i)}" -m tcp -j DNAT --to-destination ${pod(i, k)}:8080`,
    ),
  ]);
  return [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ':INPUT ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ':POSTROUTING ACCEPT [0:0]',
    ':KUBE-SERVICES - [0:0]',
    ...chains,
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    ...entries,
    ...rest,
    'COMMIT',
    '',
  ].join('\n');
}

function generated(services: number): World {
  const files = [
    { path: 'iptables-save.txt', text: dump(services) },
    {
      path: 'ip-addr.txt',
      text: '1: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n    inet 192.168.21.20/24 brd 192.168.21.255 scope global eth0\n',
    },
    { path: 'ip-route.txt', text: 'default via 192.168.21.1 dev eth0\n192.168.21.0/24 dev eth0 proto kernel scope link src 192.168.21.20\n' },
    { path: 'sysctl.txt', text: 'net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.rp_filter = 0\nnet.ipv4.conf.eth0.rp_filter = 0\n' },
  ];
  return worldOf(readBundle(files, { folder: 'node1' }));
}

function property(device: string): Property {
  return {
    name: 'every ClusterIP goes to its own endpoints',
    for: { from: '10.244.0.5', in: `node1/${device}`, to: '10.96.0.0/12', proto: ['tcp'] },
    expect: { 'own-endpoints': true },
  };
}

function measure(label: string, world: World, device: string, rounds: number): void {
  const asked = property(device);
  const times: number[] = [];
  let told = '';
  let classes = 0;
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    const found = checkProperty(world, asked);
    times.push((performance.now() - begin) / 1000);
    if (isSpaceError(found)) throw new Error(found.error);
    classes = found.by.kind === 'exact' ? found.by.classes : 0;
    told = found.status;
  }
  const sample = fc.sample(packets(world, asked.for), { numRuns: Math.min(classes, 2000), seed: 1 });
  const begin = performance.now();
  for (const question of sample) trace(world, { question });
  const plain = (performance.now() - begin) / sample.length;
  const sorted = times.toSorted((a, b) => a - b);
  const each = (sorted[sorted.length >> 1]! * 1000) / classes;
  console.log(
    `${label}: ${told}, ${classes} classes in ${sorted[0]!.toFixed(2)} to ${sorted.at(-1)!.toFixed(2)} s, median ${sorted[sorted.length >> 1]!.toFixed(2)} (${rounds} runs), ${each.toFixed(2)} ms a class; a random packet alone ${plain.toFixed(2)} ms`,
  );
}

for (const size of SIZES) measure(`${size} services`, generated(size), 'eth0', size > 2000 ? 1 : ROUNDS);
const capture = new URL('../test/captures/kube-proxy-1.26-iptables-1000-services', import.meta.url).pathname;
measure('kube-proxy-1.26-iptables-1000-services', (await load(capture)).world, 'ens192', 1);
