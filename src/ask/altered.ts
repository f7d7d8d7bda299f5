// A namespace with some of what it holds replaced.
import type { Namespace } from '../model/host.ts';

/** The namespace with `changes`; what has not been read yet (its rules) is still read only when it is asked for. */
export function altered(ns: Namespace, changes: Partial<Namespace>): Namespace {
  // a spread would ask for everything
  return Object.defineProperties({}, { ...Object.getOwnPropertyDescriptors(ns), ...Object.getOwnPropertyDescriptors(changes) }) as Namespace;
}
