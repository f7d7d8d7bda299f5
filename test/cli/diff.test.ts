// netwhy diff from the outside: captures that are alike, and those that are not.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DiffAnswer } from '../../src/model/difference.ts';
import { netwhy, root, type Run } from './bin.ts';

const DROP = 'scenarios/docker-forward-drop';

let tmp: string;
/** The scenario with FORWARD open, and with a further table of rules. */
let open: string;
let noted: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-diff-'));
  [open, noted] = [
    copyOf('open', (rules) => rules.replace(':FORWARD DROP', ':FORWARD ACCEPT')),
    copyOf('noted', (rules) => rules.replace(/^-A FORWARD /m, '-A FORWARD -s 198.51.100.7/32 -j LOG\n-A FORWARD ')),
  ];
});
afterAll(() => rmSync(tmp, { recursive: true, force: true }));

function copyOf(name: string, edit: (rules: string) => string): string {
  const copy = join(tmp, name);
  cpSync(join(root, DROP), copy, { recursive: true });
  const file = join(copy, 'node/iptables-save.txt');
  writeFileSync(file, edit(readFileSync(file, 'utf8')));
  return copy;
}

function diff(...args: string[]): Run {
  return netwhy(['diff', ...args]);
}

it('a capture and itself: nothing, exit 0', () => {
  const run = diff(DROP, DROP);
  expect(run).toMatchObject({ code: 0, err: '' });
  expect(run.out).toMatch(/^None of 10 questions fares otherwise\.$/m);
  expect(diff(`${DROP}/node`, `${DROP}/node`)).toMatchObject({ code: 0, out: `A  ${DROP}/node\nB  ${DROP}/node\n\nNo differences.\n` });
});

it('what fares otherwise by the lines of both, and then what is not alike; exit 1', () => {
  const run = diff(DROP, open);
  expect(run).toMatchObject({ code: 1, err: '' });
  expect(run.out).toMatch(
    /^ {2}They part at node, FORWARD:\n {2}A {2}filter FORWARD policy DROP +node\/iptables-save\.txt:3\n {2}B {2}filter FORWARD policy ACCEPT +node\/iptables-save\.txt:3$/m,
  );
  expect(run.out).toMatch(/They part where 'a pod asks kube-dns by its service' does\./);
  expect(run.out).toMatch(/^node:\n {2}1 chain changed\n {4}A {2}filter FORWARD policy DROP/m);
});

it('rules that change no fate are told, and are no difference to the packets that were asked about', () => {
  const run = diff(DROP, noted);
  expect(run).toMatchObject({ code: 0, err: '' });
  expect(run.out).toMatch(/^ {2}1 rule added\n {4}\+ filter -A FORWARD -s 198\.51\.100\.7\/32 -j LOG {2}node\/iptables-save\.txt:\d+$/m);
  // where nothing is asked, they are
  expect(diff(`${DROP}/node`, `${noted}/node`).code).toBe(1);
});

it('one question of the command line', () => {
  const pod = ['--from', 'node/app', '--to', '10.244.1.3:53', '--proto', 'udp'];
  expect(diff(DROP, open, ...pod).code).toBe(1);
  expect(diff(DROP, open, ...pod, '-o', 'minimal').out).toBe('changed  udp 10.244.1.2:40000 -> 10.244.1.3:53: dropped -> delivered\n');
  expect(diff(DROP, noted, ...pod).code).toBe(0);
});

it('a question that only one side understands is told, and nobody can tell', () => {
  const run = diff('scenarios/flannel-vxlan', 'scenarios/flannel-host-gw', '-o', 'minimal');
  expect(run.err).toBe('');
  const alone = diff(DROP, 'scenarios/flannel-vxlan', '--from', 'node/app', '--to', '1.2.3.4');
  expect(alone).toMatchObject({ code: 3, err: '' });
  expect(alone.out).toMatch(/^ {2}B {2}cannot be asked here: /m);
  const neither = diff(DROP, open, '--from', 'nobody', '--to', '1.2.3.4');
  expect(neither).toMatchObject({ code: 2, out: '' });
  expect(neither.err).toMatch(/--from: /);
});

it('data that fit the schema with -o json', () => {
  for (const b of [DROP, open, noted, 'scenarios/ip-forward-off', 'scenarios/flannel-vxlan']) {
    const json: unknown = JSON.parse(diff(DROP, b, '-o', 'json').out);
    expect(DiffAnswer.safeParse(json).error?.issues ?? [], b).toEqual([]);
  }
  expect(JSON.parse(netwhy(['schema', 'diff']).out)).toMatchObject({ $defs: { diff: { title: 'The answer of netwhy diff' } } });
});
