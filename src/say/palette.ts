// How words stand out. The palette is handed in: whether there is colour is the terminal's business.

/** Wraps a text in whatever marks it. Colour never carries meaning alone: every mark has its word. */
export interface Palette {
  good(text: string): string;
  bad(text: string): string;
  doubtful(text: string): string;
  strong(text: string): string;
  faint(text: string): string;
}

const same = (text: string): string => text;

export const PLAIN: Palette = { good: same, bad: same, doubtful: same, strong: same, faint: same };

const sgr =
  (code: number): ((text: string) => string) =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;

export const COLOURED: Palette = { good: sgr(32), bad: sgr(31), doubtful: sgr(33), strong: sgr(1), faint: sgr(2) };
