// How long from typing `netwhy trace` to the answer? The built bin on the emblem case, against bare node starting and stopping,
// and against the largest capture of the tests. Run `npm run build` first.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = join(root, 'dist/netwhy.js');
if (!existsSync(bin)) throw new Error('there is no dist/netwhy.js: npm run build');
const ROUNDS = 15;

const commands: Readonly<Record<string, { args: readonly string[]; exit: number }>> = {
  'trace, the emblem scenario': {
    args: [bin, 'trace', join(root, 'scenarios/ippool-overlaps-host'), '--from', 'worker1/pod-a', '--to', '192.168.21.11:6443'],
    exit: 1,
  },
  'trace, 1,000 services (23,574 lines)': {
    args: [bin, 'trace', join(root, 'test/captures/kube-proxy-1.26-iptables-1000-services'), '--from', '10.244.1.5', '--to', '10.96.10.1:80'],
    exit: 0,
  },
  'bare node': { args: ['-e', '0'], exit: 0 },
};

const times = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, { args, exit }] of Object.entries(commands)) {
    const start = process.hrtime.bigint();
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
    if (run.status !== exit) throw new Error(`${name}: exit ${run.status}, not ${exit}: ${run.stderr}`);
    times.set(name, [...(times.get(name) ?? []), milliseconds]);
  }
}

console.log(`\nfrom start to answer  (${ROUNDS} rounds, interleaved; milliseconds)`);
for (const [name, list] of times) {
  const sorted = list.toSorted((a, b) => a - b);
  const [least, median, most] = [sorted[0]!, sorted[ROUNDS >> 1]!, sorted.at(-1)!].map((t) => t.toFixed(0).padStart(6));
  console.log(`  ${name.padEnd(40)} min ${least}   median ${median}   max ${most}`);
}
