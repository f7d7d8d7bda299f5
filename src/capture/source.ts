// One captured text: its lines, and what there is to say about them.
import type { Finding, Severity, Span } from '../model/finding.ts';

/** One line of a capture, without its line end and without terminal colours. Lines count from 1. */
export interface Line {
  readonly text: string;
  readonly number: number;
}

const QUOTED = 200;
const ENOUGH = 100;
// eslint-disable-next-line no-control-regex -- terminals colour with ESC [ ... m
const COLOUR = /\u001b\[[0-9;]*[mK]/g;

/** The lines of a text one after the other; CRLF ends a line like LF does. */
export function* linesOf(text: string): Generator<Line> {
  let number = 0;
  for (let start = text.charCodeAt(0) === 0xfeff ? 1 : 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    const stop = end < 0 ? text.length : end;
    const line = text.slice(start, text.charCodeAt(stop - 1) === 13 && stop > start ? stop - 1 : stop);
    yield { text: line.includes('\u001b') ? line.replace(COLOUR, '') : line, number: ++number };
    start = stop + 1;
  }
}

/** Reports whether a line is what a terminal showed around a command's output: a prompt with a command, or a comment. */
export function isPrompt(line: string): boolean {
  return /^(?:\S+@\S+[ :]\S*\s?|\[[^\]]*\]\s?)?[#$](?:\s|$)/.test(line);
}

/** A captured text while it is read: gives its lines and gathers the findings about them. */
export class Source {
  readonly findings: Finding[] = [];
  private readonly counts = new Map<string, number>();
  private readonly text: string;
  private readonly file: string;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
  }

  lines(): Generator<Line> {
    return linesOf(this.text);
  }

  span(line: Line): Span {
    return { file: this.file, line: line.number };
  }

  /** Adds a finding about `line`; `part`, where it occurs in the line, is what the finding points at. The first hundred of a code are kept. */
  report(severity: Severity, code: string, message: string, line: Line, extra: { readonly hint?: string; readonly part?: string } = {}): void {
    const count = (this.counts.get(code) ?? 0) + 1;
    this.counts.set(code, count);
    if (count > ENOUGH + 1) return;
    if (count > ENOUGH) {
      this.findings.push({ severity, code: 'and-more', message: `more findings '${code}' in this file are not listed`, at: this.span(line) });
      return;
    }
    const column = extra.part ? line.text.indexOf(extra.part) : -1;
    const at: Span = column < 0 || !extra.part ? this.span(line) : { ...this.span(line), column: column + 1, length: extra.part.length };
    this.findings.push({ severity, code, message, at, line: line.text.slice(0, QUOTED), ...(extra.hint ? { hint: extra.hint } : {}) });
  }
}
