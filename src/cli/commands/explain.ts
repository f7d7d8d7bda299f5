// `netwhy explain`: what is known about a named pattern.
import { nearestPages, pagesText, pageText } from '../../say/pages.ts';
import { EXIT, print, UsageError } from '../terminal.ts';

/** Prints the page of a code, or all codes with their titles. */
export async function runExplain(code: string | undefined): Promise<number> {
  if (code === undefined) {
    await print(pagesText());
    return EXIT.yes;
  }
  const text = pageText(code);
  if (text === undefined)
    throw new UsageError(`there is no page '${code}'; the nearest are ${nearestPages(code).join(', ')} (netwhy explain lists them all)`);
  await print(text);
  return EXIT.yes;
}
