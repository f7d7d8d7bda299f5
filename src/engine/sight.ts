// What the predicates of a rule may look at, of a packet at one place of its visit.
import { familyOf } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE, CT_STATE, type Hook, type Pred } from '../model/ruleset.ts';
import type { Choices } from './choice.ts';
import type { Connection } from './conntrack.ts';
import { Fib, localKey } from './fib.ts';
import { directed } from './ipvs.ts';
import type { IpvsTable } from './ipvstable.ts';
import type { LiveSets } from './liveset.ts';
import type { DeviceField, Sight, SupposedName, Tracked } from './pred.ts';
import { place, rpfilterMatch, type Router } from './routing.ts';

/** The packet where it is. */
export interface Seen {
  readonly ns: Namespace;
  readonly visit: string;
  readonly packet: Packet;
  readonly hook: Hook;
  readonly iif: string | undefined;
  readonly oif: string | undefined;
  readonly physin: string | undefined;
  readonly physout: string;
  readonly connection: Connection | undefined;
  /** IPVS has dealt with it. */
  readonly balanced: boolean;
  readonly devices: Readonly<Record<DeviceField, SupposedName[]>>;
  readonly choices: Choices;
}

/** What the walk keeps for the namespace. */
interface Kept {
  readonly sets: LiveSets;
  readonly servers: IpvsTable;
  readonly router: Router;
}

/** Everything that a rule may ask about the packet now. */
export function sightOf(of: Seen, { sets, servers, router }: Kept, supposed: ReadonlyMap<Pred, boolean>): Sight {
  const { ns, visit, packet, hook, iif, oif, physin, physout, connection, balanced, devices, choices } = of;
  return {
    visit,
    ownMac: () => ns.links.find((l) => l.name === iif)?.mac,
    packet,
    hook,
    // INPUT knows no output device, OUTPUT no input device; POSTROUTING knows both for forwarded packets (P9)
    iif,
    oif: hook === 'PREROUTING' || hook === 'INPUT' ? '' : oif,
    physin,
    physout,
    tracked: trackedAs(connection),
    ipvs: balanced ? directed(servers, packet) : ns.ipvs ? undefined : 'unknown',
    supposed,
    set: (name) => sets.get(name),
    setsRefused: ns.setsRefused,
    supposedNames: (field) => devices[field],
    addressType: (side, device) => addressType(ns, packet, side, device, choices),
    reversePath: (pred) => rpfilterMatch(ns, packet, iif, pred, router),
  };
}

function addressType(
  ns: Namespace,
  packet: Packet,
  side: 'src' | 'dst',
  device: string | undefined,
  choices: Choices,
): { type: number; at?: Span } | undefined {
  const unknown = packet.undetermined?.[side];
  if (unknown && unknown.owner !== place(ns)) return undefined;
  const addr = packet[side];
  const found = unknown ? undefined : Fib.of(ns, familyOf(addr)).addressType(addr, device);
  if (found) return found;
  const own = unknown ? true : choices.recall(localKey(place(ns), addr));
  return own === false ? { type: ADDR_TYPE.UNICAST } : own === true && device === undefined ? { type: ADDR_TYPE.LOCAL } : undefined;
}

/** Before conntrack has looked, xt_conntrack finds nothing and calls that INVALID: true for every packet in raw. */
function trackedAs(c: Connection | undefined): Tracked {
  if (!c) return { state: CT_STATE.INVALID };
  return 'entry' in c ? c : { state: c.state };
}
