// netwhy whatif from the outside: edits from the command line, a file, a scenario; what is told, and what is refused.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WhatifAnswer } from '../../src/model/difference.ts';
import { netwhy, root, type Run } from './bin.ts';

const OFF = 'scenarios/ip-forward-off';
const ON = ['-e', 'node# sysctl -w net.ipv4.ip_forward=1'];
const POD = ['--from', 'node/app', '--to', '223.5.5.5:443'];

let tmp: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-whatif-'));
});
afterAll(() => rmSync(tmp, { recursive: true, force: true }));

function whatif(...args: string[]): Run {
  return netwhy(['whatif', ...args]);
}

/** Refused: nothing on stdout, the reason on stderr, no stack trace. */
function expectRefused(run: Run, ...words: RegExp[]): void {
  expect(run.err).not.toMatch(/\n {4}at |bug in netwhy/);
  expect(run).toMatchObject({ code: 2, out: '' });
  for (const w of words) expect(run.err).toMatch(w);
}

describe('what is told', () => {
  it('the questions whose fate changes, and where the two walks part', () => {
    const run = whatif(OFF, ...ON);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^node# sysctl -w net\.ipv4\.ip_forward=1\n\na pod to the internet\n/);
    expect(run.out).toMatch(/^ {2}before {2}NOT FORWARDING at node: .*\n {2}after {3}DELIVERED to internet, and the reply arrives/m);
    expect(run.out).toMatch(
      /^ {2}They part at node:\n {2}before {2}.*forwarding = 0 +node\/sysctl\.txt:\d+\n {2}after .*\n {10}sysctl .*forwarding = 1 +-e:1$/m,
    );
    expect(run.out).toMatch(/^same {5}a pod to its node: delivered$/m);
    expect(run.out).toMatch(/^4 of 9 questions fare otherwise\.$/m);
  });

  it('one question of the command line, with the exit code of the verdict after', () => {
    expect(whatif(OFF, ...POD, ...ON)).toMatchObject({ code: 0, err: '' });
    const run = whatif(OFF, ...POD, '-e', 'node# sysctl -w net.ipv4.conf.all.rp_filter=1');
    expect(run).toMatchObject({ code: 1, err: '' });
    expect(run.out).toMatch(/^same /m);
  });

  it('a line a question with -o minimal', () => {
    const lines = whatif(OFF, ...ON, '-o', 'minimal')
      .out.trimEnd()
      .split('\n');
    expect(lines).toHaveLength(9);
    expect(lines[0]).toBe('changed  a pod to the internet: not-forwarding -> delivered, source translated');
    expect(lines.at(-1)).toBe('same     the node to the internet: delivered');
  });

  it('data that fit the schema with -o json', () => {
    for (const args of [ON, [...POD, ...ON], ['-e', 'node# sysctl -w net.ipv4.ip_forward=0']]) {
      const json: unknown = JSON.parse(whatif(OFF, ...args, '-o', 'json').out);
      expect(WhatifAnswer.safeParse(json).error?.issues ?? []).toEqual([]);
    }
    expect(JSON.parse(netwhy(['schema', 'whatif']).out)).toMatchObject({ $defs: { whatif: { title: 'The answer of netwhy whatif' } } });
  });

  it('a rule that did not match for a member of a set, and matches with another', () => {
    const run = whatif(
      'scenarios/ippool-overlaps-host',
      '-e',
      'worker1# ipset add cali40all-ipam-pools 192.168.21.0/24 nomatch',
      '--from',
      'worker1/pod-a',
      '--to',
      '192.168.21.11:6443',
    );
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(
      /cali-nat-outgoing 1 does not match: '-m set ! --match-set cali40all-ipam-pools dst' is false, .*\(worker1\/ipset-save\.txt:2\)/,
    );
    expect(run.out).toMatch(/^ {2}after {3}source 192\.168\.236\.10:40000 -> \S+ by cali-nat-outgoing 1/m);
  });
});

describe('where edits come from', () => {
  it('a file, an edit a line', () => {
    const file = join(tmp, 'edits.txt');
    writeFileSync(file, 'node# sysctl -w net.ipv4.ip_forward=0\n\nnode# sysctl -w net.ipv4.ip_forward=1\n');
    const run = whatif(OFF, '--edits', file);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain(`${file}:3`);
    // those of the command line come after
    expect(whatif(OFF, '--edits', file, '-e', 'node# sysctl -w net.ipv4.ip_forward=0').code).toBe(1);
  });

  it('the scenario, where none is given', () => {
    const copy = join(tmp, 'with-edits');
    cpSync(join(root, OFF), copy, { recursive: true });
    const yaml = readFileSync(join(copy, 'scenario.yaml'), 'utf8');
    writeFileSync(join(copy, 'scenario.yaml'), `${yaml}edits:\n  - 'node# sysctl -w net.ipv4.ip_forward=1'\n`);
    const run = whatif(copy);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain(`scenario.yaml:${yaml.split('\n').length + 1}`);
    expect(whatif(copy, '-e', 'node# sysctl -w net.ipv4.ip_forward=0').code).toBe(1);
  });
});

describe('what is refused', () => {
  it('no edit, no question, half a question', () => {
    expectRefused(whatif(OFF), /there is no edit: write -e 'NODE# COMMAND'/);
    expectRefused(whatif(`${OFF}/node`, ...ON), /--from and --to are missing/);
    expectRefused(whatif(OFF, ...ON, '--from', 'node'), /--to is missing/);
    expectRefused(whatif(OFF, ...ON, '--from', 'nobody', '--to', '1.2.3.4'), /--from: /);
    expectRefused(whatif(OFF, '--edits', join(tmp, 'nothing')), /--edits: .*nothing/);
  });

  it("an edit, with its place and the tool's words", () => {
    expectRefused(
      whatif(OFF, ...ON, '-e', 'nowhere# sysctl -w a=1'),
      /-e:2: nowhere# sysctl -w a=1\n {2}there is no nowhere in the capture\n {2}one of node/,
    );
    expectRefused(whatif(OFF, '-e', 'node# reboot'), /-e:1: node# reboot\n {2}'reboot' is no command that netwhy can carry out\n {2}iptables, /);
    expectRefused(whatif(OFF, '-e', 'node# ipset add no-such-set 10.0.0.1'), /-e:1: node# ipset add no-such-set 10\.0\.0\.1\n {2}\S/);
  });
});
