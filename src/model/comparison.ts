// What two worlds, or one before and after edits, have different: the fates of questions, where walks part, the captured things themselves.
import type { Span } from './finding.ts';
import type { Answer, Outcome, Step } from './trace.ts';

export type FactKind =
  | 'chain'
  | 'rule'
  | 'set'
  | 'member'
  | 'route'
  | 'routing rule'
  | 'address'
  | 'link'
  | 'neighbour'
  | 'fdb entry'
  | 'sysctl'
  | 'virtual server'
  | 'real server';

/** One captured thing. */
export interface Fact {
  readonly node: string;
  readonly namespace: string;
  readonly kind: FactKind;
  /** What it is the value of, free of names that differ from node to node: `net.ipv4.ip_forward`, `filter FORWARD`. */
  readonly slot: string;
  /** Its value, likewise; a fact that is all slot has ''. */
  readonly value: string;
  /** As captured. */
  readonly text: string;
  readonly at: Span;
  /** It comes and goes by itself: that it is there, or is not, is no difference. */
  readonly passing?: true;
}

/** A thing that is in one of two worlds only, or in both and not alike. */
export interface Change {
  readonly kind: FactKind;
  readonly a?: Fact;
  readonly b?: Fact;
  /** What is different of a chain whose rules are the same. */
  readonly order?: true;
}

/** What one of two namespaces did not print. */
export interface Uncaptured {
  readonly node: string;
  readonly namespace: string;
  readonly kind: FactKind | 'node' | 'namespace';
  readonly missing: 'a' | 'b';
}

/** The structural differences of two worlds. */
export interface Structure {
  readonly changes: readonly Change[];
  readonly uncaptured: readonly Uncaptured[];
}

export type RuleStep = Extract<Step, { step: 'rule' }>;

/** What stands on one side in the place of what decided on the other. */
export type Counterpart =
  /** The same rule, which did not match here, or ended early. */
  | { readonly kind: 'missed'; readonly rule: RuleStep }
  /** The same rule, which the packet did not come to. */
  | { readonly kind: 'unreached'; readonly chain: string; readonly text: string; readonly at: Span }
  | { readonly kind: 'no-rule'; readonly chain: string; readonly text: string }
  | { readonly kind: 'no-chain'; readonly table: string; readonly chain: string }
  | { readonly kind: 'no-table'; readonly table: string }
  /** The same thing with another value. */
  | { readonly kind: 'fact'; readonly fact: Fact }
  | { readonly kind: 'no-fact'; readonly fact: Fact };

/** One side of a parting: what the walk did there, as a step or as its end, and what it has instead of the other side's reasons. */
export interface PartingSide {
  readonly node: string;
  readonly namespace: string;
  readonly step?: Step;
  readonly end?: Outcome;
  /** The rule behind a translation. */
  readonly rule?: RuleStep;
  readonly instead: readonly Counterpart[];
}

/** The first step where two walks part. */
export interface Parting {
  /** On the way of the reply. */
  readonly back: boolean;
  readonly a: PartingSide;
  readonly b: PartingSide;
}

/** Why a question could not be asked of a world. */
export interface Unasked {
  readonly error: string;
  readonly option?: string;
  readonly hint?: string;
}

/** One question asked of two worlds. */
export interface Compared {
  /** As the scenario calls it. */
  readonly name?: string;
  readonly a: Answer | Unasked;
  readonly b: Answer | Unasked;
  /** It fares otherwise; undefined where one side did not understand it. */
  readonly changed?: boolean;
  readonly parting?: Parting;
}

/** An edit that was carried out: `NODE[/NAMESPACE]# COMMAND`. */
export interface Edited {
  readonly node: string;
  readonly namespace: string;
  readonly command: string;
  readonly at: Span;
}
