// Commands carried out by the real tools, and the same by netwhy on what was captured before each.
import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';
import { applyEdit, isRefused, readEdit } from '../../src/ask/edit.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Namespace, World } from '../../src/model/host.ts';
import type { IpSet } from '../../src/model/ruleset.ts';
import { plain } from '../capture/captured.ts';

/** A command that a kernel carried out, or refused; the captures are texts by their file names. */
export interface Played {
  readonly command: string;
  readonly status: number;
  /** What the tool said to stderr. */
  readonly said: string;
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
}

const CUT = '=-=-=';

/** Runs commands one after the other in a fresh network namespace (or what `inside` makes), with captures between them. */
export function play(
  setup: string,
  commands: readonly string[],
  captures: Readonly<Record<string, string>>,
  inside: readonly string[] = ['unshare', '--net'],
): Played[] {
  const names = Object.keys(captures);
  const capture = names.map((n) => `{ ${captures[n]!}; } 2>/dev/null; echo; echo ${CUT}`).join('\n');
  const quote = (s: string): string => `'${s.replaceAll("'", `'\\''`)}'`;
  const steps = commands.map((c) => `sh -c ${quote(c)} 2>&1 >/dev/null; s=$?; echo; echo ${CUT}; echo $s; echo ${CUT}\n${capture}`);
  const script = ['{ :', setup, '} >/dev/null 2>&1 </dev/null', capture, ...steps].join('\n');
  const [program, ...args] = [...inside, 'sh', '-s'];
  const run = spawnSync(program, args, { input: script, encoding: 'utf8', maxBuffer: 1 << 28 });
  const parts = run.stdout.split(`${CUT}\n`).map((p) => p.replace(/\n$/, ''));
  const take = (from: number): Record<string, string> => Object.fromEntries(names.map((n, i) => [n, parts[from + i]!]));
  const width = names.length + 2;
  if (parts.length < names.length + commands.length * width)
    throw new Error(`the commands were not carried out: ${run.stderr}${run.stdout.slice(-1000)}`);
  return commands.map((command, i) => {
    const at = names.length + i * width;
    return { command, said: parts[at]!.trim(), status: Number(parts[at + 1]), before: take(at - names.length), after: take(at + 2) };
  });
}

export function namespaceOf(files: Readonly<Record<string, string>>): Namespace {
  return readNamespace(
    Object.entries(files).map(([path, text]) => ({ path, text })),
    'n',
    '',
  ).namespace;
}

/** The namespace after a command, or why it is refused. */
export function edited(ns: Namespace, command: string): Namespace | string {
  const world: World = { namespaces: [ns], wires: [], findings: [] };
  const edit = readEdit(`n# ${command}`, { file: '-e', line: 1 }, world);
  if (isRefused(edit)) throw new Error(edit.refused);
  const after = applyEdit(world, edit);
  return isRefused(after) ? after.refused : after.namespaces[0]!;
}

/** Compares the kernel's captures with netwhy's model after each command, and the reasons of refusals where `reason` gives the tool's. */
export function compare(played: readonly Played[], view: (ns: Namespace) => unknown, reason: (said: string) => string | undefined): void {
  for (const p of played) {
    const before = namespaceOf(p.before);
    const after = edited(before, p.command);
    if (p.status !== 0) {
      expect(typeof after === 'string' ? after : `carried out: ${JSON.stringify(view(after))}`, `${p.command}: ${p.said}`).toBe(
        reason(p.said) ?? after,
      );
      expect(typeof after, `${p.command}: ${p.said}`).toBe('string');
    } else expect(typeof after === 'string' ? after : view(after), p.command).toEqual(view(namespaceOf(p.after)));
  }
}

/** The capture of sets. */
export const SETS = { 'ipset-save.txt': 'ipset save' };

/** Sets without what hashing chose; of members only the order of a list's counts. */
export function setsOf(ns: Namespace): unknown {
  return Object.values<IpSet>(ns.sets)
    .map((set) => {
      const { hashsize: _h, bucketsize: _b, initval: _i, ...options } = set.options;
      // a second may have passed
      const members = set.members.map((m) => ({ ...m, ...(m.timeout !== undefined && { timeout: m.timeout === 0 ? 0 : 'some' }) }));
      return plain({
        ...set,
        options,
        members: set.type === 'list:set' ? members : members.toSorted((a, b) => (JSON.stringify(a.parts) < JSON.stringify(b.parts) ? -1 : 1)),
      });
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** What ipset says, where netwhy says the same: not which part of an element it stumbled upon. */
export function ipsetReason(said: string): string | undefined {
  const first = /^ipset v[\d.]+: (.*)/.exec(said)?.[1];
  return first !== undefined && /^Syntax error|Unknown error/.test(first) ? undefined : first;
}
