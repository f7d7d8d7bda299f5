// What the predicates of a rule may look at, of a packet at one place of its visit.
import { familyOf, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { ForwardingMethod } from '../model/ipvs.ts';
import type { Operand, SetReference } from '../model/operand.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE, CT_STATE, type Hook, type Pred, type Table, type Truth } from '../model/ruleset.ts';
import type { Choices } from './choice.ts';
import type { Connection, Entry } from './conntrack.ts';
import { Fib, localKey } from './fib.ts';
import { directed } from './ipvs.ts';
import type { IpvsTable } from './ipvstable.ts';
import type { LiveSet, LiveSets } from './liveset.ts';
import type { LiveNftSet, LiveNftSets } from './nftset.ts';
import { readFib } from './nftfib.ts';
import type { Reading } from './operand.ts';
import type { Watch } from './watch.ts';
import { place, rpfilterMatch, type Router } from './routing.ts';

/** What conntrack knows of the packet at this hook (struct nf_conn as the matches see it). */
export interface Tracked {
  readonly state: number;
  readonly direction?: 'original' | 'reply';
  readonly entry?: Pick<Entry, 'orig' | 'reply' | 'status' | 'mark'> & Partial<Pick<Entry, 'anyPort' | 'anyAddr' | 'loose' | 'zone'>>;
}

/** What IPVS has to do with a packet that it marked (struct ip_vs_conn as xt_ipvs sees it). */
export interface Directed {
  /** Absent where it finds none for the packet. */
  readonly connection?: {
    readonly addr: Addr;
    readonly port: number;
    readonly method: ForwardingMethod;
    /** The virtual port of the connection that controls it, where one does. */
    readonly controlPort?: number;
  };
}

/** Everything a predicate may look at: struct xt_action_param, plus the namespace behind it. */
export interface Sight {
  /** Tells this visit of this packet from others: what is supposed of its devices holds for it alone. */
  readonly visit: string;
  readonly packet: Packet;
  readonly hook: Hook;
  /** Input and output device; '' for none, undefined for one that is not known. */
  readonly iif: string | undefined;
  readonly oif: string | undefined;
  readonly physin: string | undefined;
  /** The link-layer address of the input device, to which the frame came. */
  ownMac?(): string | undefined;
  readonly physout: string;
  readonly tracked: Tracked;
  /** Undefined where IPVS did not send the packet here; unknown where nothing about IPVS was captured. */
  readonly ipvs?: Directed | 'unknown' | undefined;
  set(name: string): LiveSet | undefined;
  /** A set of the nft table whose rules are walked. */
  elements(set: SetReference): LiveNftSet | undefined;
  /** What the routing tables say of an address, for nft. */
  fib(asked: Operand & { kind: 'fib' }): Reading;
  /** Where ipset says that it could not list the sets. */
  readonly setsRefused?: Span | undefined;
  /** Names of devices that an unknown one has been supposed to match, or not to. */
  supposedNames(field: DeviceField): readonly SupposedName[];
  /** ADDR_TYPE bit of a side's address by the FIB, on any device or on one; undefined when not captured. */
  addressType(side: 'src' | 'dst', device: string | undefined): { readonly type: number; readonly at?: Span } | undefined;
  /** The reverse-path question of xt_rpfilter. */
  reversePath(pred: Pred & { kind: 'rpfilter' }): { readonly ok: Truth; readonly saw: string; readonly at?: Span };
  /** Hears which packets would have been decided alike; absent where something is only looked at again to be told. */
  readonly watch?: Watch | undefined;
  /** Truths already supposed for undecidable predicates of this evaluation. */
  readonly supposed: ReadonlyMap<Pred, boolean>;
}

/** The same, for a second look that decides nothing. */
export function quiet(s: Sight): Sight {
  return s.watch ? { ...s, watch: undefined } : s;
}

/** What was supposed of a device that nobody knows: that its name matches a glob, or does not. */
export interface SupposedName {
  readonly glob: string;
  readonly matches: boolean;
}

export type DeviceField = (Pred & { kind: 'name' })['field'];

/** Hears the value seen, and the captured line it is from. */
export type Say = (saw: string, at?: Span) => void;

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
  /** The table whose rules are walked. */
  readonly table: Table | undefined;
  readonly devices: Readonly<Record<DeviceField, SupposedName[]>>;
  readonly choices: Choices;
}

/** What the walk keeps for the namespace. */
interface Kept {
  readonly sets: LiveSets;
  readonly nftSets: LiveNftSets;
  readonly servers: IpvsTable;
  readonly router: Router;
  readonly watch: Watch | undefined;
}

/** Everything that a rule may ask about the packet now. */
export function sightOf(of: Seen, { sets, nftSets, servers, router, watch }: Kept, supposed: ReadonlyMap<Pred, boolean>): Sight {
  const { ns, visit, packet, hook, iif, oif, physin, physout, connection, balanced, devices, choices, table } = of;
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
    tracked: trackedAs(connection, table),
    ipvs: balanced ? directed(servers, packet) : ns.ipvs ? undefined : 'unknown',
    supposed,
    set: (name) => sets.get(name),
    elements: (set) => nftSets.get(table, set),
    fib: (asked) => readFib(asked, { ns, packet, hook, iif, oif, router }),
    setsRefused: ns.setsRefused,
    supposedNames: (field) => devices[field],
    addressType: (side, device) => addressType(ns, packet, side, device, choices),
    reversePath: (pred) => rpfilterMatch(ns, packet, iif, pred, router),
    watch,
  };
}

/** What a first look supposes. */
export const NOTHING_SUPPOSED: ReadonlyMap<Pred, boolean> = new Map();

/** Reports whether two looks in one visit see the same. */
export function isSameSeen(a: Seen, b: Seen): boolean {
  return (
    a.packet === b.packet &&
    a.hook === b.hook &&
    a.table === b.table &&
    a.connection === b.connection &&
    a.iif === b.iif &&
    a.oif === b.oif &&
    a.physin === b.physin &&
    a.physout === b.physout
  );
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
function trackedAs(c: Connection | undefined, table: Table | undefined): Tracked {
  if (!c) return { state: CT_STATE.INVALID };
  // nft_ct_get_eval(): a template has a state and nothing else
  if (table?.nft !== undefined && 'entry' in c && c.entry.orig.proto === 0) return { state: c.state };
  return 'entry' in c ? c : { state: c.state };
}
