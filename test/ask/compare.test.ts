// Two worlds asked the same: what fares otherwise, and where the walks part.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namingOf } from '../../src/ask/alike.ts';
import { compare, isUnasked } from '../../src/ask/compare.ts';
import { compareStructure } from '../../src/ask/structure.ts';
import { load } from '../../src/cli/load.ts';
import { requestOf } from '../../src/index.ts';
import type { Compared, Structure } from '../../src/model/comparison.ts';
import { insteadText, sideText } from '../../src/say/compare.ts';

const scenarios = join(import.meta.dirname, '../../scenarios');
const names = readdirSync(scenarios, { withFileTypes: true })
  .filter((f) => f.isDirectory())
  .map((f) => f.name);

let tmp: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-compare-'));
});
afterAll(() => rmSync(tmp, { recursive: true, force: true }));

/** A scenario with its captures changed: in one file, or (without a name) in all. */
function changed(name: string, edits: readonly (readonly [file: string, (text: string) => string])[]): string {
  const copy = mkdtempSync(join(tmp, `${name}-`));
  cpSync(join(scenarios, name), copy, { recursive: true });
  for (const [file, edit] of edits) {
    const files =
      file === '' ? readdirSync(copy, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.txt') || f.endsWith('.yaml')) : [file];
    for (const f of files) {
      const text = readFileSync(join(copy, f), 'utf8');
      if (file !== '') expect(edit(text), f).not.toBe(text);
      writeFileSync(join(copy, f), edit(text));
    }
  }
  return copy;
}

async function compared(a: string, b: string): Promise<{ questions: Compared[]; structure: Structure }> {
  const [first, second] = [await load(a), await load(b)];
  const naming = namingOf(first.world, second.world);
  const questions = (first.scenario?.questions ?? []).map((q) =>
    compare(first.world, second.world, { name: q.name, a: requestOf(q), b: requestOf(q) }, naming),
  );
  return { questions, structure: compareStructure(first.world, second.world, naming) };
}

function partingOf(questions: readonly Compared[], name: string): { a: string; b: string; lines: string[] } {
  const parting = questions.find((q) => q.name === name)?.parting;
  if (!parting) throw new Error(`${name}: the walks do not part`);
  const lines = [parting.a, parting.b].map((side) => {
    const { text, at, rests } = sideText(side);
    return [
      `${text} ${at?.file}:${at?.line}`,
      ...rests.map((r) => `${r.text} ${r.at}`),
      ...side.instead.map((c) => `${insteadText(c).text} ${insteadText(c).at?.file ?? ''}`),
    ].join('\n');
  });
  return { a: lines[0]!, b: lines[1]!, lines };
}

describe.each(names)('%s', (name) => {
  it('is like itself', async () => {
    const { questions, structure } = await compared(join(scenarios, name), join(scenarios, name));
    expect(questions.length).toBeGreaterThan(0);
    for (const q of questions) expect(q.changed, q.name).toBe(false);
    expect(structure).toEqual({ changes: [], uncaptured: [] });
  });
});

/** Another hash: its letters of base32, or its hexadecimal digits, turned into others. */
function turned(hash: string): string {
  if (/[A-Z]/.test(hash)) return hash.replace(/[A-Z]/g, (c) => (c === 'Z' ? 'A' : String.fromCodePoint(c.codePointAt(0)! + 1)));
  return hash.replace(/[0-9a-f]/g, (c) => ((Number.parseInt(c, 16) + 5) % 16).toString(16));
}

describe('names that differ from node to node', () => {
  const others: readonly (readonly [what: string, pattern: RegExp, scenario: string])[] = [
    ["the hashes of kube-proxy's chains", /(?<=KUBE-(?:SVC|SEP)-)[A-Z2-7]{16}/g, 'kube-proxy-iptables'],
    ["the hashes of Calico's devices", /(?<=\bcali)[0-9a-f]{11}\b/g, 'calico-ipip'],
    ['the hashes of veth devices', /(?<=\bveth)[0-9a-f]{8}\b/g, 'kubenet-cloud-routes'],
  ];
  it.each(others)('%s are no differences', async (_what, pattern, name) => {
    let n = 0;
    const other = changed(name, [['', (text) => text.replace(pattern, (hash) => (n++, turned(hash)))]]);
    expect(n).toBeGreaterThan(0);
    const { questions, structure } = await compared(join(scenarios, name), other);
    expect(questions.filter((q) => q.changed !== false).map((q) => q.name)).toEqual([]);
    expect(structure).toEqual({ changes: [], uncaptured: [] });
  });

  it('MAC addresses are none where all of the network has others', async () => {
    const mac = /(?<=\b(?:link\/ether |lladdr ))((?:[0-9a-f]{2}:){5})([0-9a-f]{2})\b|^((?:[0-9a-f]{2}:){5})([0-9a-f]{2})(?= dev )/gm;
    const other = changed('flannel-vxlan', [
      [
        '',
        (text) =>
          text.replace(mac, (all: string) => `${all.slice(0, 15)}${((Number.parseInt(all.slice(15), 16) + 1) % 256).toString(16).padStart(2, '0')}`),
      ],
    ]);
    const { questions, structure } = await compared(join(scenarios, 'flannel-vxlan'), other);
    expect(questions.filter((q) => q.changed !== false).map((q) => q.name)).toEqual([]);
    expect(structure).toEqual({ changes: [], uncaptured: [] });
  });

  it('counters, and the order of the members of a set, are none', async () => {
    const other = changed('ippool-overlaps-host', [
      ['worker1/iptables-save.txt', (text) => text.replace(/^:(\S+) (\S+) \[\d+:\d+\]$/gm, ':$1 $2 [7:77]')],
      [
        'worker1/ipset-save.txt',
        (text) =>
          [
            ...text
              .trim()
              .split('\n')
              .filter((l) => l.startsWith('create')),
            ...text
              .trim()
              .split('\n')
              .filter((l) => l.startsWith('add'))
              .toReversed(),
            '',
          ].join('\n'),
      ],
    ]);
    const { questions, structure } = await compared(join(scenarios, 'ippool-overlaps-host'), other);
    expect(questions.filter((q) => q.changed !== false).map((q) => q.name)).toEqual([]);
    expect(structure.changes).toEqual([]);
  });
});

describe('where the walks part', () => {
  it('at the set member that keeps a pod from being masqueraded', async () => {
    const cured = changed('ippool-overlaps-host', [
      ['worker1/ipset-save.txt', (text) => `${text.trimEnd()}\nadd cali40all-ipam-pools 192.168.21.0/24 nomatch\n`],
    ]);
    const { questions, structure } = await compared(join(scenarios, 'ippool-overlaps-host'), cured);
    const { a, b } = partingOf(questions, 'the pod to the API server');
    expect(a).toMatch(
      /cali-nat-outgoing 1 does not match: '-m set ! --match-set cali40all-ipam-pools dst' is false, 192\.168\.21\.11 is in it: 192\.168\.0\.0\/16/,
    );
    expect(b).toMatch(/^source 192\.168\.236\.10:40000 -> 192\.168\.21\.20:\S+ by cali-nat-outgoing 1/);
    expect(structure.changes.map((c) => [c.kind, c.a?.text, c.b?.text])).toEqual([
      ['member', undefined, 'cali40all-ipam-pools 192.168.21.0/24 nomatch'],
    ]);
  });

  it('at the policy of FORWARD, or the rule that stands before it', async () => {
    const file = 'node/iptables-save.txt';
    const byPolicy = changed('docker-forward-drop', [[file, (text) => text.replace(':FORWARD DROP', ':FORWARD ACCEPT')]]);
    const policy = partingOf((await compared(join(scenarios, 'docker-forward-drop'), byPolicy)).questions, 'a pod asks the kube-dns pod');
    expect(policy.lines).toEqual(['filter FORWARD policy DROP node/iptables-save.txt:3', 'filter FORWARD policy ACCEPT node/iptables-save.txt:3']);
    const byRule = changed('docker-forward-drop', [
      [file, (text) => text.replace(/^-A FORWARD /m, '-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n-A FORWARD ')],
    ]);
    const { questions } = await compared(join(scenarios, 'docker-forward-drop'), byRule);
    const rule = partingOf(questions, 'a pod asks the kube-dns pod');
    expect(rule.a).toMatch(/^filter FORWARD policy DROP node\/iptables-save\.txt:3\nFORWARD has no rule -A FORWARD -s 10\.244\.0\.0\/16 -j ACCEPT/);
    expect(rule.b).toMatch(/^filter FORWARD 1 accept: -A FORWARD -s 10\.244\.0\.0\/16 -j ACCEPT/);
    // and back, from the side of the rule
    const back = partingOf((await compared(byRule, join(scenarios, 'docker-forward-drop'))).questions, 'a pod asks the kube-dns pod');
    expect(back.lines).toEqual([rule.b, rule.a]);
  });

  it('at forwarding, which is off', async () => {
    const on = changed('ip-forward-off', [
      [
        'node/sysctl.txt',
        (text) => text.replace('net.ipv4.ip_forward = 0', 'net.ipv4.ip_forward = 1').replace(/(conf\.\w+\.forwarding) = 0/g, '$1 = 1'),
      ],
    ]);
    const { questions } = await compared(join(scenarios, 'ip-forward-off'), on);
    expect(questions.filter((q) => q.changed).map((q) => q.name)).toEqual([
      'a pod to the internet',
      'from outside to a pod',
      'a pod asks kube-dns by its service',
      'a pod to its own service',
    ]);
    const { a, b } = partingOf(questions, 'a pod to the internet');
    expect(a).toMatch(/node does not forward: net\.ipv4\.conf\.cbr0\.forwarding = 0 node\/sysctl\.txt:\d+$/);
    expect(b).toMatch(/^default via 192\.168\.1\.1 dev ens3.*\nsysctl net\.ipv4\.conf\.cbr0\.forwarding = 1 node\/sysctl\.txt$/);
  });

  it('at a route that only one has', async () => {
    const whole = 'flannel-host-gw';
    const lost = changed(whole, [['a/ip-route.txt', (text) => text.replace(/^10\.\S+ via .*\n/m, '')]]);
    const { questions, structure } = await compared(join(scenarios, whole), lost);
    const told = questions.filter((q) => q.changed).map((q) => partingOf(questions, q.name!).lines.join('\n'));
    expect(told.length).toBeGreaterThan(0);
    expect(told.some((t) => /there is no route 10\.\S+ via/.test(t))).toBe(true);
    expect(structure.changes.map((c) => c.kind)).toContain('route');
  });
});

it('a question that only one side understands is neither changed nor the same', async () => {
  const [off, other] = [await load(join(scenarios, 'ip-forward-off')), await load(join(scenarios, 'flannel-vxlan'))];
  const request = { from: 'node/app', to: '1.2.3.4' };
  const c = compare(off.world, other.world, { a: request, b: request }, namingOf(off.world, other.world));
  expect([isUnasked(c.a), isUnasked(c.b), c.changed]).toEqual([false, true, undefined]);
});
