// A rule as it is spelled: its options, matches and target as data, and printed as iptables-save prints them.
import type { Family } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Counters } from '../model/ruleset.ts';
import { standard } from './addr.ts';
import type { Extension, Options } from './extension.ts';
import { findMatch, findTarget } from './registry.ts';
import { protect } from './words.ts';

/** A match as a rule uses it. `words` and `why` are there where its options could not be read. */
export interface UsedMatch {
  /** Empty for words that belong to no match. */
  readonly name: string;
  readonly options: Options;
  readonly words?: readonly string[];
  readonly why?: string;
}

export interface UsedTarget {
  readonly name: string;
  readonly goto: boolean;
  readonly options: Options;
  readonly words?: readonly string[];
  readonly why?: string;
}

export interface RuleSyntax {
  readonly chain: string;
  /** -s -d -i -o -p -f */
  readonly standard: Options;
  readonly matches: readonly UsedMatch[];
  readonly target?: UsedTarget;
  readonly counters?: Counters;
  /** -4 or -6: a rule for one family in a file for both. */
  readonly only?: Family;
  /** Set when the line ends within a quote: what the rule does is lost. */
  readonly isCut?: true;
  readonly at: Span;
  /** The line, cut short, for findings. */
  readonly source: string;
}

/** What to do with a rule: `-A`, `-I` before `number`, `-R` in its place, `-D`. */
export interface Command {
  readonly op: 'append' | 'insert' | 'replace' | 'delete';
  readonly number?: number;
  readonly table?: string;
  readonly rule: RuleSyntax;
}

/** `[packets:bytes]` */
export function parseCounters(text: string): Counters | undefined {
  const m = /^\[(\d{1,20}):(\d{1,20})\]$/.exec(text);
  return m ? { packets: Number(m[1]), bytes: Number(m[2]) } : undefined;
}

/** The rule as iptables-save prints it, without counters. */
export function printRule(rule: RuleSyntax, family: Family): string {
  const out = [`-A ${protect(rule.chain)}`];
  const own = standard.print(rule.standard, family);
  if (own !== '') out.push(own);
  for (const m of rule.matches) out.push(printUse(m, m.name === '' ? '' : `-m ${protect(m.name)}`, findMatch(m.name), family));
  const t = rule.target;
  if (t) out.push(printUse(t, `${t.goto ? '-g' : '-j'} ${protect(t.name)}`, t.goto ? undefined : findTarget(t.name), family));
  return out.join(' ');
}

function printUse(u: UsedMatch, head: string, extension: Extension | undefined, family: Family): string {
  const tail = u.words ? u.words.join(' ') : (extension?.print(u.options, family) ?? '');
  return head === '' || tail === '' ? head + tail : `${head} ${tail}`;
}
