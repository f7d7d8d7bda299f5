// netwhy check, reach and diff --space from the outside: what is told, in which forms, with which exit codes, and what is refused.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckAnswer } from '../../src/model/checked.ts';
import { ReachAnswer } from '../../src/model/reached.ts';
import { netwhy, root, type Run } from './bin.ts';

const BROKEN = 'scenarios/ippool-overlaps-host';
const HEALTHY = 'scenarios/calico-ipip';

let tmp: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-check-'));
});
afterAll(() => rmSync(tmp, { recursive: true, force: true }));

/** A copy of the healthy scenario with other properties. */
function scenarioWith(properties: string): string {
  const folder = join(tmp, String(Math.abs(hash(properties))));
  cpSync(join(root, HEALTHY), folder, { recursive: true });
  const text = readFileSync(join(root, HEALTHY, 'scenario.yaml'), 'utf8').replace(/properties:[\s\S]*$/, '');
  writeFileSync(join(folder, 'scenario.yaml'), `${text}properties:\n${properties}`);
  return folder;
}

function hash(text: string): number {
  let n = 0;
  for (const c of text) n = (n * 31 + c.charCodeAt(0)) | 0;
  return n;
}

function expectRefused(run: Run, ...words: RegExp[]): void {
  expect(run.err).not.toMatch(/\n {4}at |bug in netwhy/);
  expect(run).toMatchObject({ code: 2, out: '' });
  for (const w of words) expect(run.err).toMatch(w);
}

describe('check', () => {
  it('tells a line a claim where all hold, and exits with 0', () => {
    const run = netwhy(['check', HEALTHY]);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^ok {3}a pod to a pod on another node$/m);
    expect(run.out).toMatch(/^ok {3}pods leave the cluster with the node's address: proved for all about 2\^\d+\.\d packets, in \d+ classes$/m);
    expect(run.out).toMatch(/^17 of 17 hold\.$/m);
  });

  it('tells the packets that break a claim, the simplest with its trace, and exits with 1', () => {
    const run = netwhy(['check', BROKEN, '--only', 'pods leave']);
    expect(run).toMatchObject({ code: 1, err: '' });
    expect(run.out).toMatch(/^FAIL pods leave/);
    expect(run.out).toMatch(/^ {9}tcp -> 192\.168\.0\.0-192\.168\.235\.255$/m);
    expect(run.out).toMatch(/REPLY LOST at gateway: nobody translated the source/);
    const command = /^ {7}netwhy (trace .*)$/m.exec(run.out)?.[1];
    expect(netwhy(command!.split(' '))).toMatchObject({ code: 1, err: '' });
  });

  it('says what is not proved, and exits with 3', () => {
    const run = netwhy(['check', HEALTHY, '--only', 'pods leave', '--classes', '3', '--exact']);
    expect(run).toMatchObject({ code: 3, err: '' });
    expect(run.out).toMatch(/^\? {4}pods leave[\s\S]*not proved for about 2\^\d+\.\d packets: it takes more than 3 classes/);
  });

  it('breaks by random packets what is too long to be proved, the same for the same seed', () => {
    const run = netwhy(['check', BROKEN, '--only', 'pods leave', '--classes', '1']);
    expect(run).toMatchObject({ code: 1, err: '' });
    expect(run.out).toMatch(/random packets, --seed 1\)/);
    const seeded = ['check', BROKEN, '--only', 'pods leave', '--random', '--seed', '9'];
    expect(netwhy(seeded)).toEqual(netwhy(seeded));
  });

  it('prints data that fit the schema, TAP, and JUnit', () => {
    const json = CheckAnswer.parse(JSON.parse(netwhy(['check', BROKEN, '-o', 'json']).out));
    expect(json).toMatchObject({ holds: false });
    expect(json.claims).toHaveLength(6);
    expect(json.claims.at(-1)).toMatchObject({ status: 'broken', counterexample: { claim: 'masqueraded' } });
    const tap = netwhy(['check', BROKEN, '-o', 'tap']).out.split('\n');
    expect(tap.slice(0, 3)).toEqual(['TAP version 13', '1..6', "ok 1 - the node to the API server's service"]);
    expect(tap).toContain("not ok 6 - pods leave the cluster with the node's address");
    const junit = netwhy(['check', BROKEN, '-o', 'junit']).out;
    expect(junit).toMatch(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites tests="6" failures="1" errors="0">/);
    expect(junit.match(/<testcase /g)).toHaveLength(6);
    expect(junit).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/);
  });

  it.each<[string, string, RegExp[]]>([
    [
      'a claim with a typo',
      '  - { name: x, for: { from: node2/app, to: 10.0.0.1 }, expect: { deliverd: true } }\n',
      [/scenario\.yaml:\d+:\d+: .*deliverd/, /\^/],
    ],
    [
      'an unknown namespace',
      '  - name: x\n    for: { from: node2/nobody, to: 10.0.0.1 }\n    expect: { delivered: true }\n',
      [/scenario\.yaml:\d+:18: properties\.0\.for\.from: 'node2\/nobody'/, /\n {4} {17}\^\n/],
    ],
    [
      'an empty space',
      '  - name: x\n    for: { from: node2/app, to: { any: 10.0.0.0/24, except: 10.0.0.0/8 } }\n    expect: { delivered: true }\n',
      [/properties\.0\.for\.to: no address is left/, /covers all of it/],
    ],
    [
      'a block that is none',
      '  - name: x\n    for: { from: node2/app, to: 10.0.0.0/40 }\n    expect: { delivered: true }\n',
      [/properties\.0\.for\.to: '10\.0\.0\.0\/40'/],
    ],
  ])('refuses %s, with its line and column', (_what, properties, words) => {
    expectRefused(netwhy(['check', scenarioWith(properties)]), ...words);
  });

  it('refuses a scenario to compare with that is not there, with the line that names it', () => {
    const folder = scenarioWith('  - name: x\n    for: { from: node2/app, to: 10.233.92.8 }\n    expect: { same-as: { scenario: ../nope } }\n');
    expectRefused(netwhy(['check', folder]), /scenario\.yaml:\d+:\d+: properties\.0\.expect\.same-as\.scenario: .*no such file/, /\^/);
  });

  it('refuses what is no scenario, and names that no claim has', () => {
    expectRefused(netwhy(['check', `${HEALTHY}/node1`]), /there is no scenario\.yaml/);
    expectRefused(netwhy(['check', HEALTHY, '--only', 'nothing like it']), /no claim's name has/);
    expectRefused(netwhy(['check', HEALTHY, '--runs', 'many']), /--runs: 'many'/);
  });
});

describe('reach', () => {
  it('tells what becomes of a space, and the same as data', () => {
    const args = ['reach', BROKEN, '--from', 'worker1/pod-a', '--to', 'any', '--except', '192.168.236.0/24', '--proto', 'tcp'];
    const run = netwhy(args);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^REPLY LOST at gateway: gateway has no route to 192\.168\.236\.10\n(?: {2}.*\n)*? {2}tcp -> 192\.168\.21\.11$/m);
    const data = ReachAnswer.parse(JSON.parse(netwhy([...args, '-j']).out));
    if (!('reached' in data)) throw new Error('a matrix');
    expect(data.reached.reduce((n, r) => n + BigInt(r.packets), 0n)).toBe(BigInt(data.packets));
  });

  it('tells who reaches which service', () => {
    const run = netwhy(['reach', 'scenarios/kube-proxy-iptables', '--matrix']);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^node2\/app +yes$/m);
    expect(ReachAnswer.parse(JSON.parse(netwhy(['reach', 'scenarios/kube-proxy-iptables', '--matrix', '-j']).out))).toMatchObject({
      services: [{ to: '10.0.1.175:80' }],
    });
  });

  it('refuses what is no space', () => {
    expectRefused(netwhy(['reach', HEALTHY, '--from', 'node2/app']), /--to is missing/);
    expectRefused(netwhy(['reach', HEALTHY, '--space', '{ from: node2/app, two: 10.0.0.1 }']), /--space: /);
    expectRefused(netwhy(['reach', HEALTHY, '--from', 'node2/app', '--to', '10.0.0.1', '--classes', '0']), /--classes: '0'/);
  });
});

describe('diff --space', () => {
  it('tells the packets that fare otherwise, and exits with 1; with 0 where none does', () => {
    const space = '{ from: a/web, to: 10.100.41.0/24, proto: tcp }';
    const run = netwhy(['diff', 'scenarios/flannel-vxlan', 'scenarios/flannel-forward-drop', '--space', space]);
    expect(run).toMatchObject({ code: 1, err: '' });
    expect(run.out).toMatch(/^tcp -> 10\.100\.41\.2\n {2}A {2}DELIVERED at d\/web\n {2}B {2}DROPPED at d \(d\/iptables-save\.txt:3\)$/m);
    expect(netwhy(['diff', HEALTHY, HEALTHY, '--space', '{ from: node2/app, to: 10.233.92.0/24 }'])).toMatchObject({ code: 0, err: '' });
  });
});
