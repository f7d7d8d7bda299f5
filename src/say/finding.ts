// What is wrong with an input, with the place, the line and a caret under the fault.
import type { Finding } from '../model/finding.ts';
import type { Palette } from './palette.ts';

/** `file:line:column: error: message`, the line itself, a caret, and what to write instead. */
export function findingText(f: Finding, palette: Palette): string {
  const place = f.at.file === '' ? '' : `${f.at.file}:${f.at.line}${f.at.column === undefined ? '' : `:${f.at.column}`}: `;
  const severity = f.severity === 'error' ? palette.bad('error') : f.severity === 'warning' ? palette.doubtful('warning') : 'note';
  const out = [`${place}${severity}: ${f.message}`];
  if (f.line !== undefined) {
    out.push(`    ${f.line}`);
    if (f.at.column !== undefined && f.at.column <= f.line.length + 1)
      out.push(`    ${' '.repeat(f.at.column - 1)}${'^'.repeat(Math.max(1, Math.min(f.at.length ?? 1, f.line.length - f.at.column + 1)))}`);
  }
  if (f.hint !== undefined) out.push(`    ${f.hint}`);
  return out.join('\n');
}
