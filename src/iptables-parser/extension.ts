// The contract of a match or target extension: how it is spelled, how iptables-save prints it, what it means.
import type { Family } from '../net/addr.ts';
import type { Pred, Statement } from '../model/ruleset.ts';
import { fieldIn, negate } from './predicate.ts';
import type { Bad, Value } from './value.ts';

/** An option that a rule gives: its value, and whether a `!` stood before it. */
export interface Given {
  readonly value: unknown;
  readonly not: boolean;
}
/** The options given, by their canonical name (`--dport`). */
export type Options = Readonly<Record<string, Given>>;

/** Where a rule stands: what decides how its options read and what they mean. */
export interface Context {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  /** The protocol the rule is bound to by `-p` (without `!`), where it is. */
  readonly protocol?: number;
  /** Unlike for any other rule of the capture: the key of state that belongs to this rule alone. */
  readonly key: string;
}

/** evaluated: decided from packet and captures; forks: one packet and a capture cannot decide it, both ways are followed; opaque: not modelled, told with the reason. */
export type Status = 'evaluated' | 'forks' | 'opaque';

/** One option: its spellings, its value, and what it means on its own. Built by `option`, in print order within an extension. */
export interface Option {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly negatable: boolean;
  readonly value: Value<unknown>;
  /** Other flags that spell the same value in their own way: `--and-mark` of `--set-xmark`. */
  readonly spellings: Readonly<Record<string, Value<unknown>>>;
  readonly required: boolean;
  /** Begins a further element, to which the options after it belong: they are kept as `NAME#1`, `NAME#2`, ... */
  readonly begins: boolean;
  readonly lower: ((value: unknown, context: Context) => Pred) | undefined;
  /** What `!` makes of it: `negate`, except where the kernel's match is true without the thing it looks at. */
  readonly invert: (pred: Pred) => Pred;
  /** Reports whether iptables-save leaves this value out, it being the default. */
  readonly silent: ((value: unknown) => boolean) | undefined;
}

/** One way to write an option: how its value reads when written so, and how many words that takes. */
export interface Flag {
  readonly option: Option;
  readonly value: Value<unknown>;
  readonly words: number;
  /** The last word may be missing: its shape is in brackets. */
  readonly isOptional: boolean;
}

interface Spelling<V> {
  readonly value: Value<V>;
  readonly aliases?: readonly string[];
  readonly negatable?: boolean;
  readonly required?: boolean;
  readonly begins?: boolean;
  readonly spellings?: Readonly<Record<string, Value<V>>>;
  readonly lower?: (value: V, context: Context) => Pred;
  readonly invert?: (pred: Pred) => Pred;
  readonly silent?: (value: V) => boolean;
}

/** Declares an option; its value's type stays between its reader, its printer and its meaning. */
export function option<V>(name: string, s: Spelling<V>): Option {
  return {
    name,
    aliases: s.aliases ?? [],
    negatable: s.negatable ?? false,
    required: s.required ?? false,
    begins: s.begins ?? false,
    value: s.value as Value<unknown>,
    spellings: (s.spellings ?? {}) as Readonly<Record<string, Value<unknown>>>,
    lower: s.lower as Option['lower'],
    invert: s.invert ?? negate,
    silent: s.silent as Option['silent'],
  };
}

interface Common {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly families: readonly Family[];
  readonly status: Status;
  /** Why it is evaluated, forks, or cannot be decided: one line. */
  readonly why: string;
  /** What it looks at or does: a sentence. */
  readonly summary: string;
  readonly options: readonly Option[];
  /** Every flag it understands. */
  readonly flags: ReadonlyMap<string, Flag>;
  /** Protocols that `-p` must name for it, where it needs one. */
  readonly protocols?: readonly number[];
  /** Tables it may stand in, where it is restricted. */
  readonly tables?: readonly string[];
  /** What iptables or the kernel refuses although each option reads well. */
  readonly check: ((options: Options, context: Context) => Bad | undefined) | undefined;
  /** The options as iptables-save prints them. */
  readonly print: (options: Options, family: Family) => string;
}

export interface MatchExtension extends Common {
  readonly kind: 'match';
  /** Set for a match that `-p NAME` brings along, so that `--dport` works without `-m tcp`. */
  readonly implied: boolean;
  /** The parts of its meaning, in the order in which the kernel tries them, each with its own text. */
  readonly lower: (options: Options, context: Context) => readonly Pred[];
}

export interface TargetExtension extends Common {
  readonly kind: 'target';
  readonly lower: (options: Options, context: Context) => readonly Statement[];
}

export type Extension = MatchExtension | TargetExtension;

interface Declaration {
  readonly name: string;
  readonly summary: string;
  readonly aliases?: readonly string[];
  readonly families?: readonly Family[];
  readonly status?: Status;
  readonly why?: string;
  readonly options?: readonly Option[];
  readonly protocols?: readonly number[];
  readonly tables?: readonly string[];
  readonly check?: (options: Options, context: Context) => Bad | undefined;
  readonly print?: (options: Options, family: Family) => string;
}

// A match on a header behind IP fails on a later fragment, which has none, even if it gives no option.
const UNFRAGMENTED = fieldIn('fragment', [0, 0]);

/** Declares a match. Without `lower`, each option is a part by itself. */
export function match(
  d: Declaration & { readonly implied?: boolean; readonly lower?: (options: Options, context: Context) => readonly Pred[] },
): MatchExtension {
  const common = complete(d);
  const lead = d.implied || d.name === '' ? '' : `-m ${d.name}`;
  const lower = d.lower ?? ((options, context) => lowerEach(common.options, options, context));
  return {
    ...common,
    kind: 'match',
    implied: d.implied ?? false,
    // `-m NAME` goes before the first part; a part without a text of its own is the whole match.
    lower: (options, context) => {
      const parts = lower(options, context);
      const of = parts.length === 0 && common.protocols ? [{ ...UNFRAGMENTED, text: lead === '' ? `-m ${d.name}` : '' }] : parts;
      return of.map((p, i) => ({ ...p, text: `${i === 0 ? lead : ''} ${p.text ?? common.print(options, context.family)}`.trim() }));
    },
  };
}

/** Declares a target. */
export function target(d: Declaration & { readonly lower: (options: Options, context: Context) => readonly Statement[] }): TargetExtension {
  return { ...complete(d), kind: 'target', lower: d.lower };
}

function complete(d: Declaration): Common {
  const options = d.options ?? [];
  return {
    name: d.name,
    aliases: d.aliases ?? [],
    families: d.families ?? [4, 6],
    status: d.status ?? 'evaluated',
    why: d.why ?? 'decided from the packet and the captures',
    summary: d.summary,
    options,
    flags: flagsOf(options),
    ...(d.protocols && { protocols: d.protocols }),
    ...(d.tables && { tables: d.tables }),
    check: d.check,
    print: d.print ?? ((given) => printEach(options, given)),
  };
}

function flagsOf(options: readonly Option[]): ReadonlyMap<string, Flag> {
  const flags = new Map<string, Flag>();
  for (const o of options) {
    const entries: (readonly [string, Value<unknown>])[] = [o.name, ...o.aliases].map((f) => [f, o.value]);
    for (const [flag, value] of [...entries, ...Object.entries(o.spellings)]) {
      flags.set(flag, {
        option: o,
        value,
        words: value.shape === '' ? 0 : value.shape.split(' ').length,
        isOptional: /^\[[^\]]*\]$/.test(value.shape),
      });
    }
  }
  return flags;
}

function lowerEach(options: readonly Option[], given: Options, context: Context): readonly Pred[] {
  const parts: Pred[] = [];
  for (const o of options) {
    const part = lowerOption(o, given, context);
    if (part) parts.push(part);
  }
  return parts;
}

/** What one option of a rule means, negation and text included; undefined where it is not given, means nothing alone, or is left out as the default. */
export function lowerOption(o: Option, given: Options, context: Context): Pred | undefined {
  const g = given[o.name];
  if (!g || !o.lower) return undefined;
  if (!g.not && o.silent?.(g.value)) return undefined;
  const pred = o.lower(g.value, context);
  return { ...(g.not ? o.invert(pred) : pred), text: printOption(o, g) };
}

export function printOption(o: Option, g: Given): string {
  const value = o.value.print(g.value);
  return `${g.not ? '! ' : ''}${o.name}${value === '' ? '' : ` ${value}`}`;
}

function printEach(options: readonly Option[], given: Options): string {
  const out: string[] = [];
  for (const o of options) {
    const g = given[o.name];
    if (g && !(o.silent && !g.not && o.silent(g.value))) out.push(printOption(o, g));
  }
  return out.join(' ');
}

/** The value of an option in the type its declaration gave it; undefined when it is not given. */
export function valueOf<V>(options: Options, name: string): V | undefined {
  return options[name]?.value as V | undefined;
}

/** Reports whether an option is given at all. */
export function has(options: Options, name: string): boolean {
  return options[name] !== undefined;
}

/** A match that is true or false by something no capture holds. */
export function unknown(as: string, why: string, key?: string): Pred {
  return { kind: 'opaque', as, why, ...(key !== undefined && { key }) };
}
