// The faults of rules and sets in words: a line each, with the lines that make it so.
import type { Fault, LintReport } from '../model/lintreport.ts';
import { PLAIN, type Palette } from './palette.ts';
import { location } from './phrase.ts';

/** Notes of one kind that are told one by one. */
const MOST = 3;

export interface LintTextOptions {
  readonly palette?: Palette;
  /** Tell every note. */
  readonly all?: boolean;
}

export function lintText(faults: readonly Fault[], { palette = PLAIN, all = false }: LintTextOptions = {}): string {
  const out: string[] = [];
  const told = new Map<string, number>();
  for (const f of faults) {
    const n = (told.get(f.code) ?? 0) + (f.severity === 'note' ? 1 : 0);
    told.set(f.code, n);
    if (f.severity === 'warning' || all || n <= MOST) out.push(...faultText(f, palette));
  }
  for (const [code, n] of all ? [] : told) if (n > MOST) out.push(`... and ${n - MOST} more notes of ${code} (--all tells them)`);
  const { warnings, notes } = countOf(faults);
  if (out.length > 0) out.push('');
  const summary = `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}, ${notes} ${notes === 1 ? 'note' : 'notes'}`;
  out.push(warnings > 0 ? palette.bad(summary) : palette.good(summary));
  return `${out.join('\n')}\n`;
}

function faultText(f: Fault, palette: Palette): readonly string[] {
  const severity = f.severity === 'warning' ? palette.doubtful('warning') : 'note';
  const because = f.because.length > 0 ? ` (${[...new Set(f.because.map((at) => location(at)))].join(', ')})` : '';
  const line = `${location(f.at)}: ${severity}: ${f.message}${because} [${f.code}]`;
  return f.rule === undefined ? [line] : [line, `    ${palette.faint(f.rule)}`];
}

/** The same for programs: `netwhy schema lint`. */
export function lintJson(faults: readonly Fault[]): LintReport {
  return {
    ...countOf(faults),
    faults: faults.map(({ severity, code, node, namespace, message, at, because, rule }) => ({
      severity,
      code,
      node,
      namespace,
      message,
      at: location(at),
      because: because.map((x) => location(x)),
      ...(rule !== undefined && { rule }),
    })),
  };
}

function countOf(faults: readonly Fault[]): { readonly warnings: number; readonly notes: number } {
  const warnings = faults.filter((f) => f.severity === 'warning').length;
  return { warnings, notes: faults.length - warnings };
}
