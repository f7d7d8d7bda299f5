// The kernel's version, where what it does depends on it.
import type { Truth } from '../model/ruleset.ts';

/** Reports whether a kernel (`uname -r`) is of a version or of a later one. What a distribution took back into an older one is not known from its name. */
export function isSince(release: string | undefined, major: number, minor: number): Truth {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(release ?? '') ?? [];
  return a === undefined ? 'unknown' : Number(a) > major || (Number(a) === major && Number(b) >= minor);
}
