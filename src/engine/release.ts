// Which kernel a namespace runs on, where its behaviour changed from one to the next.
import type { Namespace } from '../model/host.ts';
import { place, type Router } from './routing.ts';

/** Reports whether the kernel is at least `major`.`minor`; where `uname` was not captured the walk forks. */
export function isSince(ns: Namespace, major: number, minor: number, router: Router): boolean {
  const m = /^(\d+)\.(\d+)/.exec(ns.kernel ?? '');
  if (m) return Number(m[1]) > major || (Number(m[1]) === major && Number(m[2]) >= minor);
  return router.decide(`kernel:${place(ns)}:${major}.${minor}`, `the kernel of ${place(ns)} is ${major}.${minor} or later (uname was not captured)`);
}
