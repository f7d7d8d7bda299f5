// Every match and target that is known by name.
import * as act from './act.ts';
import * as addr from './addr.ts';
import * as chance from './chance.ts';
import * as ct from './ct.ts';
import type { Extension, MatchExtension, TargetExtension } from './extension.ts';
import * as exthdr from './exthdr.ts';
import * as hidden from './hidden.ts';
import * as ipvs from './ipvs.ts';
import * as l4 from './l4.ts';
import * as mark from './mark.ts';
import * as meter from './meter.ts';
import * as nat from './nat.ts';
import * as note from './note.ts';
import * as packetfield from './packetfield.ts';
import * as payload from './payload.ts';
import * as set from './set.ts';
import * as verdict from './verdict.ts';

function isExtension(x: unknown): x is Extension {
  return typeof x === 'object' && x !== null && 'kind' in x && 'lower' in x && 'name' in x && x.name !== '';
}

/** All extensions, matches first, each kind by name. */
export const extensions: readonly Extension[] = [
  act,
  addr,
  chance,
  ct,
  exthdr,
  hidden,
  ipvs,
  l4,
  mark,
  meter,
  nat,
  note,
  packetfield,
  payload,
  set,
  verdict,
]
  .flatMap((family) => Object.values(family).filter(isExtension))
  .toSorted((a, b) => (a.kind === b.kind ? (a.name < b.name ? -1 : 1) : a.kind < b.kind ? -1 : 1));

const matches = new Map<string, MatchExtension>();
const targets = new Map<string, TargetExtension>();
for (const e of extensions) {
  for (const name of [e.name, ...e.aliases]) {
    if (e.kind === 'match') matches.set(name, e);
    else targets.set(name, e);
  }
}

/** The match called `name` in `-m name`. */
export function findMatch(name: string): MatchExtension | undefined {
  return matches.get(name);
}

/** The target called `name` in `-j name`. */
export function findTarget(name: string): TargetExtension | undefined {
  return targets.get(name);
}
