// The connection table of one network namespace, as one walk changes it.
import { equal, formatAddr, type Addr } from '../net/addr.ts';
import { formatTcpFlags, hasPorts, ICMP, ICMPV6, isExtended, NO_NEXT_HEADER, TCP, UDPLITE } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { ConntrackEntry, Namespace } from '../model/host.ts';
import type { Packet, Tuple, Undetermined, UnknownAddress } from '../model/packet.ts';
import { CT_STATE, CT_STATUS } from '../model/ruleset.ts';
import type { Zone } from '../model/zone.ts';
import type { Choices } from './choice.ts';
import { isTcpState, reopens, tcpNext, type TcpState } from './tcpstate.ts';
import { capturedZone, zoneId } from './zone.ts';

/** IP protocol 47. */
const GRE = 47;

export type Manip = 'src' | 'dst';
export type Direction = 'original' | 'reply';

/** Who bound a manipulation: a rule, or an entry that was captured. */
export interface Cause {
  readonly at?: Span;
  readonly by: string;
}

/** struct nf_conn. `reply` is what an answer will look like: NAT changes nothing but this tuple. */
export interface Entry {
  readonly orig: Tuple;
  reply: Tuple;
  status: number;
  mark: number;
  readonly zone: Zone;
  confirmed: boolean;
  /** Manipulations already decided, a null binding included (IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE). */
  readonly bound: { src: boolean; dst: boolean };
  readonly cause: { src?: Cause; dst?: Cause };
  /** Where the kernel picks the translated port at random: the values it can take. */
  readonly anyPort: { src?: readonly [number, number]; dst?: readonly [number, number] };
  /** What was undetermined of the packet that began it: an earlier host may have picked the port. */
  readonly loose: Undetermined;
  /** Where the translated address was not captured: what it is. */
  readonly anyAddr: { src?: UnknownAddress; dst?: UnknownAddress };
  /** The interface that MASQUERADE bound it to, where this walk did. */
  masqueradedBy?: string | undefined;
  /** Of TCP: as captured, and as segments change it. */
  tcp?: TcpState;
  readonly at?: Span;
}

/** What conntrack found for a packet: nothing (invalid, untracked), or an entry seen from one side. */
export type Connection =
  | { readonly state: typeof CT_STATE.INVALID | typeof CT_STATE.UNTRACKED; readonly why: string }
  | { readonly state: number; readonly direction: Direction; readonly entry: Entry; readonly related?: true };

/** The connections of one namespace: the captured ones, and those the walk has confirmed. */
export class ConntrackTable {
  private readonly ns: Namespace;
  private readonly captured: CapturedIndex;
  /** Entries that this walk confirmed, by original source, in order. */
  private readonly confirmed = new Map<string, Entry[]>();
  private readonly entries = new Map<string, Entry>();
  private readonly opened = new Map<ConntrackEntry, Entry>();
  private readonly dead = new Set<Entry>();

  constructor(ns: Namespace) {
    this.ns = ns;
    this.captured = capturedIndex(ns);
  }

  /** __nf_conntrack_find_get(): among the tuples of the original side and of the reply side, each in its own zone. */
  find(tuple: Tuple, zone: Zone): { entry: Entry; direction: Direction } | undefined {
    const [original, reply] = [this.at(key(tuple, zone, 'original')), this.at(key(tuple, zone, 'reply'))];
    if (!original || !reply) return original ? { entry: original, direction: 'original' } : reply && { entry: reply, direction: 'reply' };
    // found in the order of the hash: of one connection the reply side was put in last. Where two share the tuple, one has a zone
    // of its own on its other side, and only that one can have come when the tuple was there already.
    const isReply = zone.side === undefined && (original === reply || !original.zone.side);
    return isReply ? { entry: reply, direction: 'reply' } : { entry: original, direction: 'original' };
  }

  /** A captured connection that a packet with any source port of a range may belong to. */
  among(tuple: Tuple, [lo, hi]: readonly [number, number]): ConntrackEntry | undefined {
    return this.ns.conntrack.find(
      ({ orig: o }) =>
        o.proto === tuple.proto && o.dport === tuple.dport && o.sport >= lo && o.sport <= hi && equal(o.src, tuple.src) && equal(o.dst, tuple.dst),
    );
  }

  /** Another connection that answers to this reply tuple already: nf_conntrack_tuple_taken(). */
  holder(reply: Tuple, by: Entry): Entry | undefined {
    const answering = this.at(key(reply, by.zone, 'reply'));
    // the search is in the hash of the reply side's zone, where only an undivided zone has tuples of the original side
    const begun = by.zone.side ? undefined : this.at(key(reply, by.zone, 'original'));
    return [answering, begun].find((found) => found !== undefined && found !== by);
  }

  /** Entries with the original source of `by` in its zone, those of this walk first: find_appropriate_src(), net/netfilter/nf_nat_core.c. */
  *sameSource(by: Entry): Generator<Entry> {
    const source = sourceKey(by.orig, by.zone);
    for (const entry of (this.confirmed.get(source) ?? []).toReversed()) if (!this.dead.has(entry) && entry.bound.src) yield entry;
    for (const line of this.captured.bySource.get(source) ?? []) {
      const entry = this.open(line);
      if (!this.dead.has(entry)) yield entry;
    }
  }

  /** __nf_conntrack_confirm(): from now on later packets find it. */
  confirm(entry: Entry): void {
    entry.confirmed = true;
    entry.status |= CT_STATUS.CONFIRMED;
    this.entries.set(key(entry.orig, entry.zone, 'original'), entry);
    this.entries.set(key(entry.reply, entry.zone, 'reply'), entry);
    const source = sourceKey(entry.orig, entry.zone);
    const same = this.confirmed.get(source);
    if (same) same.push(entry);
    else this.confirmed.set(source, [entry]);
  }

  kill(entry: Entry): void {
    this.dead.add(entry);
  }

  private at(k: string): Entry | undefined {
    const line = this.captured.byTuple.get(k);
    const entry = this.entries.get(k) ?? (line && this.open(line));
    return entry && !this.dead.has(entry) ? entry : undefined;
  }

  private open(line: ConntrackEntry): Entry {
    let entry = this.opened.get(line);
    if (!entry) this.opened.set(line, (entry = fromCapture(line, isBalanced(this.ns, line))));
    return entry;
  }
}

/** Captured entries by both tuples, and by original source. */
interface CapturedIndex {
  readonly byTuple: ReadonlyMap<string, ConntrackEntry>;
  readonly bySource: ReadonlyMap<string, readonly ConntrackEntry[]>;
}

const indexes = new WeakMap<Namespace, CapturedIndex>();

/** Built once for all walks: a busy node has hundreds of thousands of entries. */
function capturedIndex(ns: Namespace): CapturedIndex {
  let index = indexes.get(ns);
  if (!index) {
    const byTuple = new Map<string, ConntrackEntry>();
    const bySource = new Map<string, ConntrackEntry[]>();
    for (const e of ns.conntrack) {
      const zone = capturedZone(e);
      byTuple.set(key(e.orig, zone, 'original'), e);
      byTuple.set(key(e.reply, zone, 'reply'), e);
      const source = sourceKey(e.orig, zone);
      const same = bySource.get(source);
      if (same) same.push(e);
      else bySource.set(source, [e]);
    }
    indexes.set(ns, (index = { byTuple, bySource }));
  }
  return index;
}

/** hash_by_src() and same_src(): a zone of one side is apart from the undivided one of that number. */
function sourceKey(t: Tuple, zone: Zone): string {
  return `${zone.side ? 0 : zone.id}|${zoneId(zone, 'original')}|${t.proto}|${String(t.src)}|${t.sport}`;
}

/**
 * ip_vs_update_conntrack(): IPVS makes an entry expect the server's reply, and rewrites the packets itself: that is no DNAT. Its own table tells,
 * or, where that was not captured, its virtual server of that address.
 */
function isBalanced({ ipvs, sysctls }: Namespace, { orig, reply }: ConntrackEntry): boolean {
  if (!ipvs) return false;
  const is = (end: { readonly addr: Addr; readonly port: number }, addr: Addr, port: number): boolean => end.port === port && equal(end.addr, addr);
  if (ipvs.connections)
    return ipvs.connections.some(
      (c) =>
        c.proto === orig.proto && is(c.client, orig.src, orig.sport) && is(c.virtual, orig.dst, orig.dport) && is(c.server, reply.src, reply.sport),
    );
  if (sysctls['net.ipv4.vs.conntrack']?.value === '0') return false;
  return ipvs.services.some(
    (s) =>
      (s.mark !== undefined || (s.proto === orig.proto && s.addr !== undefined && equal(s.addr, orig.dst))) &&
      s.servers.some((r) => equal(r.addr, reply.src) && (r.port === 0 || r.port === reply.sport)),
  );
}

function fromCapture(line: ConntrackEntry, byIpvs: boolean): Entry {
  const untranslated = invert(line.orig);
  const dst =
    !byIpvs && (formatAddr(line.reply.src) !== formatAddr(line.orig.dst) || (hasPorts(line.orig.proto) && line.reply.sport !== line.orig.dport));
  const src =
    formatAddr(line.reply.dst) !== formatAddr(line.orig.src) ||
    (hasPorts(line.orig.proto) ? line.reply.dport !== line.orig.sport : line.reply.sport !== untranslated.sport);
  const cause = { at: line.at, by: 'a connection that conntrack already holds' };
  return {
    orig: line.orig,
    reply: line.reply,
    status: line.status | CT_STATUS.CONFIRMED | (src ? CT_STATUS.SNAT : 0) | (dst ? CT_STATUS.DNAT : 0),
    mark: line.mark,
    zone: capturedZone(line),
    confirmed: true,
    bound: { src: true, dst: true },
    cause: { src: cause, dst: cause },
    anyPort: {},
    anyAddr: {},
    loose: {},
    ...(line.state !== undefined && isTcpState(line.state) && { tcp: line.state }),
    at: line.at,
  };
}

/**
 * nf_conntrack_in(), net/netfilter/nf_conntrack_core.c: finds or starts the packet's connection. `loose` is nf_conntrack_tcp_loose;
 * `begins` decides whether a SYN opens a closed connection anew where that is not known.
 */
export function track(table: ConntrackTable, packet: Packet, zone: Zone, loose: boolean, begins: (old: Entry) => boolean): Connection {
  const error = icmpError(packet);
  if (error) {
    const found = packet.inner && table.find(invert(tupleOf(packet.inner)), zone);
    if (!found) return { state: CT_STATE.INVALID, why: 'an ICMP error about no known connection' };
    return { state: CT_STATE.RELATED, direction: found.direction, entry: found.entry, related: true };
  }
  if (packet.proto === ICMPV6 && packet.icmp && ((packet.icmp.type >= 130 && packet.icmp.type <= 136) || packet.icmp.type === 143)) {
    return { state: CT_STATE.UNTRACKED, why: 'neighbour discovery is not tracked' };
  }
  if (packet.proto === TCP && !validFlags(packet.flags ?? 0)) return { state: CT_STATE.INVALID, why: 'an impossible combination of TCP flags' };
  const tuple = tupleOf(packet);
  const found = table.find(tuple, zone);
  const flags = packet.flags ?? 0;
  const anew = found?.entry.tcp !== undefined && reopens(found.entry.tcp, flags, found.direction);
  if (found && (anew === 'unknown' ? begins(found.entry) : anew)) table.kill(found.entry);
  else if (found) {
    const { entry, direction } = found;
    if (entry.tcp) {
      const next = tcpNext(entry.tcp, flags, direction);
      if (next === 'invalid') return { state: CT_STATE.INVALID, why: `its flags do not fit a connection that is ${entry.tcp}` };
      // nf_conntrack_tcp_packet(): a valid ACK in ESTABLISHED, or into it, once both sides have spoken; a SYN there is ignored
      if (entry.status & CT_STATUS.SEEN_REPLY && !(flags & 2) && next === 'ESTABLISHED' && (entry.tcp === 'SYN_RECV' || entry.tcp === 'ESTABLISHED'))
        entry.status |= CT_STATUS.ASSURED;
      entry.tcp = next;
    }
    // nf_conntrack_gre_packet(), nf_conntrack_udplite_packet(): assured by what comes after the first answer
    if ((packet.proto === GRE || packet.proto === UDPLITE) && entry.status & CT_STATUS.SEEN_REPLY) entry.status |= CT_STATUS.ASSURED;
    if (direction === 'reply') entry.status |= CT_STATUS.SEEN_REPLY;
    const state =
      direction === 'reply' || entry.status & CT_STATUS.SEEN_REPLY
        ? CT_STATE.ESTABLISHED
        : entry.status & CT_STATUS.EXPECTED
          ? CT_STATE.RELATED
          : CT_STATE.NEW;
    return { state, direction, entry };
  }
  const why = cannotStart(packet, loose);
  if (why !== undefined) return { state: CT_STATE.INVALID, why };
  const entry = newEntry(tuple, zone, packet.undetermined);
  if (packet.proto === TCP) entry.tcp = tcpNext('NONE', flags, 'original') as TcpState;
  return { state: CT_STATE.NEW, direction: 'original', entry };
}

/** What was found, in the state that the question names. */
export function prescribe(found: Connection, state: number, why: string): Connection {
  if (state === CT_STATE.INVALID || state === CT_STATE.UNTRACKED) return { state, why };
  if (!('entry' in found)) return found;
  if (state !== CT_STATE.NEW) {
    found.entry.status |= 2;
    found.entry.bound.src = true;
    found.entry.bound.dst = true;
  }
  return { ...found, state };
}

export function newEntry(orig: Tuple, zone: Zone, loose: Undetermined = {}): Entry {
  return {
    orig,
    reply: invert(orig),
    status: 0,
    mark: 0,
    zone,
    confirmed: false,
    bound: { src: false, dst: false },
    cause: {},
    anyPort: {},
    anyAddr: {},
    loose,
  };
}

/** tcp_new(), nf_conntrack_icmp_packet(): which packets may begin a connection. */
function cannotStart(packet: Packet, loose: boolean): string | undefined {
  if (packet.proto === TCP) {
    const flags = packet.flags ?? 0;
    const first = tcpNext('NONE', flags, 'original');
    if (first === 'invalid') return `a ${formatTcpFlags(flags)} without a known connection`;
    return first === 'SYN_SENT' || loose ? undefined : 'not a SYN, and net.netfilter.nf_conntrack_tcp_loose is 0';
  }
  if (packet.family === 6 && packet.proto === NO_NEXT_HEADER) return 'nothing follows its IPv6 header';
  if (packet.proto === ICMP && packet.icmp && ![8, 13, 15, 17].includes(packet.icmp.type)) return 'an ICMP answer to no known request';
  if (packet.proto === ICMPV6 && packet.icmp && ![128, 139].includes(packet.icmp.type)) return 'an ICMPv6 answer to no known request';
  return undefined;
}

/**
 * ipv6_get_l4proto(), net/netfilter/nf_conntrack_core.c: conntrack looks at the last header. Behind an extension header that is anything;
 * the state to suppose, or undefined to leave it as found.
 */
export function supposeState(found: Connection, packet: Packet, choices: Choices): number | undefined {
  if (!isExtended(packet) || found.state !== CT_STATE.NEW) return undefined;
  const { ESTABLISHED, RELATED, INVALID, UNTRACKED } = CT_STATE;
  const follows = 'what follows its extension header';
  return choices.choose<number | undefined>(undefined, [
    { value: undefined, what: `${follows} begins a connection` },
    { value: ESTABLISHED, what: `${follows} belongs to a known connection` },
    { value: RELATED, what: `${follows} is related to a known connection` },
    { value: INVALID, what: `${follows} is nothing that conntrack can use` },
    { value: UNTRACKED, what: `${follows} is neighbour or listener discovery` },
  ]);
}

/** tcp_valid_flags[], net/netfilter/nf_conntrack_proto_tcp.c; PSH does not count. */
function validFlags(flags: number): boolean {
  return [2, 2 | 32, 2 | 16, 4, 4 | 16, 1 | 16, 1 | 16 | 32, 16, 16 | 32].includes(flags & ~8 & 0x3f);
}

function icmpError(packet: Packet): boolean {
  const type = packet.icmp?.type;
  if (type === undefined) return false;
  return packet.proto === ICMP ? [3, 4, 5, 11, 12].includes(type) : packet.proto === ICMPV6 && type < 128;
}

export function tupleOf(p: Packet): Tuple {
  if (p.icmp) return { src: p.src, dst: p.dst, proto: p.proto, sport: p.icmp.id, dport: p.icmp.type * 256 + p.icmp.code };
  return { src: p.src, dst: p.dst, proto: p.proto, sport: p.sport ?? 0, dport: p.dport ?? 0 };
}

const ICMP_ANSWER: Readonly<Record<number, number>> = { 8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17 };
const ICMPV6_ANSWER: Readonly<Record<number, number>> = { 128: 129, 129: 128, 139: 140, 140: 139 };

/** What the answer to a packet with this tuple looks like: nf_ct_invert_tuple(). */
export function invert(t: Tuple): Tuple {
  if (t.proto === ICMP || t.proto === ICMPV6) {
    const type = t.dport >>> 8;
    const answer = (t.proto === ICMP ? ICMP_ANSWER : ICMPV6_ANSWER)[type] ?? type;
    return { src: t.dst, dst: t.src, proto: t.proto, sport: t.sport, dport: answer * 256 + (t.dport & 255) };
  }
  return { src: t.dst, dst: t.src, proto: t.proto, sport: t.dport, dport: t.sport };
}

function key(t: Tuple, zone: Zone, side: Direction): string {
  return `${side}|${zoneId(zone, side)}|${t.proto}|${String(t.src)}|${t.sport}|${String(t.dst)}|${t.dport}`;
}

export function sameTuple(a: Tuple, b: Tuple): boolean {
  return a.proto === b.proto && equal(a.src, b.src) && equal(a.dst, b.dst) && a.sport === b.sport && a.dport === b.dport;
}
