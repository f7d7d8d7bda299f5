// The pages of `netwhy explain`: for each named pattern what happens, how to see it on the nodes, and what to do.
import { LINK_PAGES } from './pageslink.ts';
import { NAT_PAGES } from './pagesnat.ts';
import { RULE_PAGES } from './pagesrule.ts';

/** What there is to know about a pattern. */
export interface Page {
  readonly title: string;
  readonly happens: string;
  /** Commands for the nodes, with what to look for behind `#`. */
  readonly see: readonly string[];
  readonly cure: string;
}

/** A page for each code. */
export const PAGES: Readonly<Record<string, Page>> = { ...NAT_PAGES, ...RULE_PAGES, ...LINK_PAGES };

const WIDTH = 100;

/** The page of a code as text; undefined where there is none. */
export function pageText(code: string): string | undefined {
  const page = Object.hasOwn(PAGES, code) ? PAGES[code] : undefined;
  if (!page) return undefined;
  const { title, happens, see, cure } = page;
  return `${[`${code}: ${title}`, '', ...wrapped(happens), '', 'See it:', ...see.map((s) => `  ${s}`), '', 'Do:', ...wrapped(cure)].join('\n')}\n`;
}

/** All codes with their titles, in the order of the alphabet. */
export function pagesText(): string {
  const codes = Object.keys(PAGES).toSorted();
  const width = Math.max(...codes.map((c) => c.length));
  return `${codes.map((c) => `${c.padEnd(width)}  ${PAGES[c]!.title}`).join('\n')}\n`;
}

/** The codes that a mistyped one may have meant, the nearest first. */
export function nearestPages(code: string): readonly string[] {
  const words = code.toLowerCase().split(/[^a-z0-9]+/);
  const far = (c: string): number => distance(code.toLowerCase(), c) - 3 * c.split('-').filter((w) => words.includes(w)).length;
  return Object.keys(PAGES)
    .toSorted((a, b) => far(a) - far(b) || (a < b ? -1 : 1))
    .slice(0, 3);
}

/** Levenshtein's distance of two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines;
}
