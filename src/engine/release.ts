// Behaviour that changed from one kernel to the next, as the walk decides it.
import type { Namespace } from '../model/host.ts';
import { isSince } from './kernel.ts';
import { place, type Router } from './routing.ts';

/** Versions that are asked for, oldest first. */
const ERAS: readonly (readonly [major: number, minor: number])[] = [
  [4, 1],
  [5, 9],
  [5, 16],
];

/** Reports whether a namespace's kernel is at least `major`.`minor`; where `uname` was not captured the walk forks. */
export function runsSince(ns: Namespace, major: number, minor: number, router: Router): boolean {
  const known = isSince(ns.kernel, major, minor);
  if (known !== 'unknown') return known;
  // a kernel that is not of an older version is of no newer one
  const before = ERAS.findLast(([a, b]) => a < major || (a === major && b < minor));
  if (before && !runsSince(ns, before[0], before[1], router)) return false;
  return router.decide(`kernel:${place(ns)}:${major}.${minor}`, `the kernel of ${place(ns)} is ${major}.${minor} or later (uname was not captured)`);
}
