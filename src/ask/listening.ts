// Who listens where a packet was delivered, from the sockets that were captured there.
import { equal, familyOf, type Addr } from '../net/addr.ts';
import { TCP, UDP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Listener, World } from '../model/host.ts';
import type { Hop, Trace } from '../model/trace.ts';
import { namespaceAt } from './failure.ts';

/** What the sockets of a namespace say about a packet that came to it. */
export interface Ear {
  /** Where the packet arrived: a lost reply ends elsewhere. */
  readonly place: Hop;
  readonly proto: number;
  readonly takes: boolean;
  /** Sockets on its port that are for other addresses, or for the other family. */
  readonly elsewhere: readonly Listener[];
  /** Those of its protocol that it would find by another port, the nearest port first. */
  readonly others: readonly Listener[];
  /** The listing. */
  readonly at: Span;
}

/** TCP's SYN without ACK; what else arrives belongs to a connection, whose socket no listing of listeners has. */
const [SYN, ACK] = [2, 16];

/** Who hears the packet of a trace; undefined where it did not arrive, is of no new connection, or nobody captured who listens. */
export function earOf(world: World, { outcome, final, hops }: Trace): Ear | undefined {
  const { proto, dst, dport } = final;
  const place = hops.at(-1);
  const isThere = (outcome.kind === 'delivered' || outcome.kind === 'reply-lost') && place?.steps.some((s) => s.step === 'deliver');
  if (!isThere || !place || dport === undefined || (proto !== TCP && proto !== UDP)) return undefined;
  if (final.undetermined?.dport || final.undetermined?.dst || (proto === TCP && ((final.flags ?? SYN) & (SYN | ACK)) !== SYN)) return undefined;
  const ns = namespaceAt(world, place);
  const file = ns?.captured[proto === TCP ? 'tcpListeners' : 'udpListeners']?.[0];
  // answers of a connection find its own socket; and TPROXY chooses a socket by other numbers than the packet's
  const isAnswer = place.steps.some((s) => s.step === 'conntrack' && (s.direction === 'reply' || s.state === 'RELATED'));
  const isDiverted = place.steps.some((s) => s.step === 'rule' && s.truth !== false && /\btproxy\b/i.test(s.text));
  if (file === undefined || isAnswer || isDiverted) return undefined;
  const listeners = (ns?.listeners ?? []).filter((l) => l.proto === proto);
  const others = listeners.filter((l) => l.port !== dport && isFor(l, dst)).toSorted((a, b) => Math.abs(a.port - dport) - Math.abs(b.port - dport));
  return {
    place,
    proto,
    takes: listeners.some((l) => l.port === dport && isFor(l, dst)),
    elsewhere: listeners.filter((l) => l.port === dport && !isFor(l, dst)),
    others: others.filter((l, i) => others.findIndex((o) => o.port === l.port) === i),
    at: { file, line: 1 },
  };
}

function isFor(l: Listener, dst: Addr): boolean {
  return (l.family === undefined || l.family === familyOf(dst)) && (l.addr === undefined || equal(l.addr, dst));
}
