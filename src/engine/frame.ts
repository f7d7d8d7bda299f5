// A packet in its link-layer frame: whom it is for.
import type { Span } from '../model/finding.ts';
import { isBridge, keyOf, linkOf, type Station } from './wire.ts';

/** Where a frame is addressed to. Both are absent on a device that knows no addresses. */
export interface Destination {
  readonly mac?: string;
  /** The link-layer address that it comes from. */
  readonly from?: string;
  /** The station that answered for the next hop, where it was asked. */
  readonly owner?: Station;
  /** The captured line that gave the link-layer address. */
  readonly at?: Span;
  /** That line in words: `10.100.28.0 is at aa:bb:.. (PERMANENT)`. */
  readonly how?: string;
}

/** Reports whether a station takes the frame as its own. A link-layer address that was not captured is that of the owner alone. */
export function isFor(to: Destination, s: Station): boolean {
  if (to.owner && keyOf(to.owner) === keyOf(s)) return true;
  const own = macOf(s);
  if (to.mac === undefined) return false;
  // a bridge takes frames for its ports too
  return own === to.mac || s.ns.links.some((l) => l.master === s.device && l.mac === to.mac && isBridge(s.ns, s.device));
}

/** The link-layer address of a device, where it was captured and has one. */
export function macOf(s: Station): string | undefined {
  return linkOf(s.ns, s.device)?.mac;
}
