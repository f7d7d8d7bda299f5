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

/** Collects findings; of one code and file it keeps the first hundred and counts the rest. */
export class Report {
  /** All of them, with one more for every code that had too many. It grows while things are read. */
  readonly findings: Finding[];
  readonly #counts = new Map<string, { n: number }>();

  constructor(findings: Finding[] = []) {
    this.findings = findings;
  }

  add(severity: Severity, code: string, message: string, line: Line, more: { readonly place?: Place; readonly hint?: string } = {}): void {
    const { place, hint } = more;
    this.tell({
      severity,
      code,
      message,
      at: { file: line.file, line: line.number, ...(place && { column: place.start + 1, length: Math.max(1, place.end - place.start) }) },
      ...(line.text !== '' && { line: line.text.slice(0, CUT) }),
      ...(hint !== undefined && { hint }),
    });
  }

  /** Reports whether further findings of this code are only counted. */
  isFull(code: string, file: string): boolean {
    return (this.#counts.get(`${code} ${file}`)?.n ?? 0) >= MOST;
  }

  tell(finding: Finding): void {
    const { code, at } = finding;
    const key = `${code} ${at.file}`;
    const count = this.#counts.get(key) ?? { n: 0 };
    this.#counts.set(key, count);
    count.n++;
    if (count.n <= MOST) this.findings.push(finding);
    else if (count.n === MOST + 1) this.findings.push(theRest(code, at.file, count));
  }
}

/** Speaks of all that are counted by the time it is read. */
function theRest(code: string, file: string, count: { readonly n: number }): Finding {
  return {
    severity: 'note',
    code,
    get message() {
      return `${count.n - MOST} more findings of the kind ${code} are not listed`;
    },
    at: { file, line: 1 },
  };
}
