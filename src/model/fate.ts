// How packets end, in short: what `netwhy reach` and `diff --space` group them by.
import type { Span } from './finding.ts';
import type { OutcomeKind, Verdict } from './trace.ts';

/** One end that packets come to. */
export interface Fate {
  readonly verdict: Verdict;
  readonly kind: OutcomeKind;
  /** NODE[/NAMESPACE] */
  readonly place: string;
  /** The captured line that decided, where one did. */
  readonly at?: Span;
  readonly why: string;
  readonly translated: boolean;
  /** What the source became, where it was translated: its port is told where it is not the packet's own. */
  readonly as?: string;
  /** What the destination became, likewise. */
  readonly to?: string;
}
