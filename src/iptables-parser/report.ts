// Findings of one reading: with their lines, and never more of one kind than anybody would read.
import type { Finding, Severity } from '../model/finding.ts';

const MOST = 100;
const CUT = 200;

/** The line under the reader's eyes. */
export interface Line {
  readonly file: string;
  readonly number: number;
  readonly text: string;
}

/** Where on the line: from a column (from 0) and how long. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** Collects findings; of one code it keeps the first hundred and counts the rest. */
export class Report {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<string, number>();
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  add(severity: Severity, code: string, message: string, line: Line, more: { readonly place?: Place; readonly hint?: string } = {}): void {
    const n = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, n);
    if (n > MOST) return;
    const { place, hint } = more;
    this.#kept.push({
      severity,
      code,
      message,
      at: { file: line.file, line: line.number, ...(place && { column: place.start + 1, length: Math.max(1, place.end - place.start) }) },
      ...(line.text !== '' && { line: line.text.slice(0, CUT) }),
      ...(hint !== undefined && { hint }),
    });
  }

  /** All findings, with one more for every code that had too many. */
  findings(): readonly Finding[] {
    const more = [...this.#counts].filter(([, n]) => n > MOST);
    return [
      ...this.#kept,
      ...more.map(([code, n]): Finding => ({
        severity: 'note',
        code,
        message: `${n - MOST} more findings of the kind ${code} are not listed`,
        at: { file: this.#file, line: 1 },
      })),
    ];
  }
}
