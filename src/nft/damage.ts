// Text that is not whole, or not known: what is said about it, and where reading goes on.
import type { Span } from '../model/finding.ts';
import type { Report } from '../iptables-parser/report.ts';
import type { Words } from './words.ts';

/** What the reader of a text has at hand. */
export interface Reading {
  readonly w: Words;
  readonly file: string;
  readonly report: Report;
}

/** The line a place is of, as findings show it: with a blank for each tab, so that columns stay. */
export function lineAt(w: Words, at: number): string {
  return w.text.slice(lineStart(w, at), w.endOfLine(at)).replaceAll('\t', ' ').trimEnd().slice(0, 200);
}

/** The place of words on a line. */
export function spanAt(r: Reading, line: number, start: number, end = start + 1): Span {
  const { w } = r;
  const length = Math.max(1, Math.min(end, w.endOfLine(start)) - start);
  return { file: r.file, line, column: start - lineStart(w, start) + 1, length };
}

function lineStart(w: Words, at: number): number {
  return w.text.lastIndexOf('\n', at - 1) + 1;
}

/** Steps over what is not known: the rest of its line, and its block where one opens there. */
export function skipBlock(r: Reading, code: string, why: string): void {
  const { w } = r;
  const line = lineAt(w, w.start);
  const at = spanAt(r, w.line, w.start, w.endOfLine());
  r.report.tell({
    severity: 'warning',
    code,
    message: `"${line.trimStart()}" is not read: ${why}`,
    at,
    line,
    hint: 'What stands there is left out.',
  });
  if (w.at('}')) return w.step();
  let depth = 0;
  while (w.kind !== 'end' && !(depth === 0 && (w.kind === 'line' || w.at('}')))) {
    if (w.at('{')) depth++;
    else if (w.at('}')) depth--;
    w.step();
  }
  w.failure = undefined;
  if (depth > 0) truncated(r, 'a block');
}

/** The text ended before the `}`. */
export function truncated(r: Reading, what: string): void {
  const { w } = r;
  if (r.report.findings.some((f) => f.code === 'truncated')) return;
  r.report.tell({
    severity: 'error',
    code: 'truncated',
    message: `the text ends within ${what}: what was behind it is missing`,
    at: { file: r.file, line: w.line },
    line: lineAt(w, w.start),
    hint: 'Capture the whole listing again.',
  });
}

/** Whether a block of a table begins on this line: within a chain, its `}` is missing then. */
export function beginsBlock(w: Words): boolean {
  const { word } = w;
  if (word !== 'table' && word !== 'chain' && word !== 'set' && word !== 'map') return false;
  return /^\w+ [^{}]*\{(?: #.*)?$/.test(w.text.slice(w.start, w.endOfLine()).trimEnd());
}

/** The `}` of this block is missing, since another begins. */
export function unclosed(r: Reading, what: string): void {
  const { w } = r;
  r.report.tell({
    severity: 'error',
    code: 'unclosed-block',
    message: `${what} has no } before the next block begins: lines may be missing there`,
    at: { file: r.file, line: w.line },
    line: lineAt(w, w.start),
    hint: 'Capture the whole listing again.',
  });
}
