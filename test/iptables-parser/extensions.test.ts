import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { extensions, readSave, type Extension } from '../../src/iptables-parser/index.ts';
import type { Finding } from '../../src/model/finding.ts';
import type { Pred, Rule } from '../../src/model/ruleset.ts';
import { readCases, type Case, type CaseFile } from './cases.ts';

const files = readCases(fileURLToPath(new URL('.', import.meta.url)));

function readOne(c: Case, rule = c.rule): { readonly rule: Rule; readonly findings: readonly Finding[] } {
  const hook = c.chain === c.chain.toUpperCase() ? 'ACCEPT' : '-';
  const { tables, findings } = readSave(`*${c.table}\n:${c.chain} ${hook} [0:0]\n-A ${c.chain} ${rule}\nCOMMIT\n`, {
    file: c.file,
    family: c.family,
  });
  return { rule: tables[0]!.chains[c.chain]!.rules[0]!, findings };
}

function leaves(p: Pred): readonly Pred[] {
  return p.kind === 'all' || p.kind === 'any' ? p.of.flatMap(leaves) : p.kind === 'not' ? leaves(p.of) : [p];
}

const OPEN = new Set(['opaque', 'gate', 'anymark']);

/** Whether a packet can decide it: a part that holds for some and not for others outweighs one that nobody can decide. */
function isDecidable(p: Pred): boolean {
  return p.kind === 'all' || p.kind === 'any'
    ? p.of.length === 0 || p.of.some(isDecidable)
    : p.kind === 'not'
      ? isDecidable(p.of)
      : p.kind !== 'opaque' && p.kind !== 'chance';
}

function isSettled(rule: Rule): boolean {
  return rule.match.kind === 'all' && rule.match.of.every(isDecidable) && rule.then.every((s) => !OPEN.has(s.kind));
}

/** Whether something that no packet and no capture decides can change what the rule does. */
function forks(rule: Rule): boolean {
  return leaves(rule.match).some((p) => p.kind === 'opaque' || p.kind === 'chance') || rule.then.some((s) => OPEN.has(s.kind));
}

/** What every extension must keep: each of its lines, its printed form read again, and a meaning for whatever it prints. */
function assertCase(c: Case): void {
  const { rule, findings } = readOne(c);
  if (!c.isOk) {
    expect(findings.length, 'a rule that iptables refuses leaves a finding').toBeGreaterThan(0);
    expect(findings[0]!.at.line).toBe(3);
    return;
  }
  expect(rule.text).toBe(`-A ${c.chain} ${c.saved}`.trimEnd());
  expect(findings).toEqual([]);
  const again = readOne(c, c.saved);
  expect(again.rule.text).toBe(rule.text);
  expect(again.rule.match).toEqual(rule.match);
  expect(again.rule.then).toEqual(rule.then);
  expect(rule.match.kind).toBe('all');
  for (const part of (rule.match as { of: readonly Pred[] }).of) {
    expect(part.text, 'each part of a rule carries the words that spelled it').toBeTruthy();
    expect(rule.text).toContain(part.text);
  }
}

function fileOf(e: Extension): CaseFile | undefined {
  return files.find((f) => f.name === `${e.kind}/${e.name}`);
}

describe.each(files.map((f) => [f.name, f] as const))('%s.t', (_, f) => {
  test.each(f.cases.map((c) => [`${c.line}: ${c.rule} is ${c.isOk ? `saved as ${c.saved}` : 'refused'}`, c] as const))('%s', (_title, c) =>
    assertCase(c),
  );
});

describe('every registered extension', () => {
  test.each(extensions.map((e) => [`-${e.kind === 'match' ? 'm' : 'j'} ${e.name}`, e] as const))(
    '%s has a table of lines, and a status its lines bear out',
    (_, e) => {
      const flag = e.kind === 'match' ? `-m ${e.name}` : `-j ${e.name}`;
      const uses = fileOf(e)?.cases.filter((c) => `${c.saved} ${c.rule} `.includes(`${flag} `)) ?? [];
      const good = uses.filter((c) => c.isOk);
      expect(uses.length).toBeGreaterThanOrEqual(5);
      expect(good.length).toBeGreaterThanOrEqual(e.name === 'CHECKSUM' ? 1 : 2);
      expect(uses.some((c) => !c.isOk)).toBe(true);
      expect(e.summary).toMatch(/\.$/);
      expect(e.why).not.toBe('');
      const rules = good.map((c) => readOne(c).rule);
      expect(e.status === 'evaluated' ? rules.some(isSettled) : rules.some(forks)).toBe(true);
    },
  );

  test('is listed once, in order, and found by its flags', () => {
    const keys = extensions.map((e) => `${e.kind} ${e.name}`);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toEqual(keys.toSorted());
    for (const e of extensions) for (const o of e.options) expect(e.flags.get(o.name)?.option).toBe(o);
  });
});
