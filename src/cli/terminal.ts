// The terminal: where output goes, whether it has colour, and the exit codes.
import { COLOURED, PLAIN, type Palette } from '../say/palette.ts';
import type { Verdict } from '../model/trace.ts';

export const EXIT = { yes: 0, no: 1, usage: 2, 'cannot-tell': 3, bug: 70 } as const;

export function exitCode(verdict: Verdict): number {
  return EXIT[verdict];
}

/** Bad usage or unreadable input: told on stderr, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export type ColourWhen = 'auto' | 'always' | 'never';

/** `--color` wins; else NO_COLOR and anything that is no terminal mean no colour. */
export function paletteFor(when: ColourWhen, stream: { readonly isTTY?: boolean }): Palette {
  if (when !== 'auto') return when === 'always' ? COLOURED : PLAIN;
  return stream.isTTY === true && !process.env['NO_COLOR'] ? COLOURED : PLAIN;
}

/** Writes all of it before it resolves, so that a pipe that fills up loses nothing. */
export function print(text: string): Promise<void> {
  return new Promise((done, fail) => process.stdout.write(text, (error) => (error ? fail(error) : done())));
}
