// What a reader has to say about a capture besides the data it found there.
import type { Prefix } from '../net/addr.ts';

/** A place in a captured file. `line` and `column` count from 1; `length` is in characters. */
export interface Span {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
  readonly length?: number;
}

/**
 * error: something in the file could not be used; warning: used, but it probably is not what the author meant;
 * note: worth knowing (a construct that is not modelled, a file that was not recognised).
 */
export type Severity = 'error' | 'warning' | 'note';

/** One oddity of the input. Reading always goes on after it. */
export interface Finding {
  readonly severity: Severity;
  /** A stable lower-case tag: `unknown-match`, `no-such-chain`, `truncated`, ... */
  readonly code: string;
  readonly message: string;
  readonly at: Span;
  /** The captured line itself (cut at 200 characters). */
  readonly line?: string;
  /** What to write, capture or check instead. */
  readonly hint?: string;
  /** The addresses it is about: a question that has to do with one of them gets to see it. */
  readonly about?: readonly Prefix[];
}
