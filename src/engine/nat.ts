// Address translation: what a binding may choose, and how a packet is rewritten. net/netfilter/nf_nat_core.c
import { and, compare, equal, familyOf, formatEndpoint, not, or, prefixMask, type Addr, type Prefix } from '../net/addr.ts';
import { hasPorts, ICMP, ICMPV6, SCTP, TCP } from '../net/proto.ts';
import type { Packet, Tuple, Undetermined } from '../model/packet.ts';
import { CT_STATUS, type NatRange, type Statement } from '../model/ruleset.ts';
import { invert, sameTuple, type Cause, type ConntrackTable, type Direction, type Entry, type Manip } from './conntrack.ts';

/** A target that asks for a translation. */
export type NatStatement = Extract<Statement, { kind: 'dnat' | 'snat' | 'masquerade' | 'redirect' | 'netmap' }>;

export function isNat(s: Statement): s is NatStatement {
  return s.kind === 'dnat' || s.kind === 'snat' || s.kind === 'masquerade' || s.kind === 'redirect' || s.kind === 'netmap';
}

/** What came of a binding: nothing changed, a translation, or one that was needed only because the tuple was taken. */
export interface Binding {
  readonly changed: boolean;
  readonly clash: boolean;
}

/** nf_nat_setup_info(): decides one manipulation of a connection for good. Without `range` it is a null binding. */
export function bind(table: ConntrackTable, entry: Entry, manip: Manip, range: NatRange | undefined, cause: Cause | undefined): Binding {
  const current = invert(entry.reply);
  const { tuple, anyPort, clash } = uniqueTuple(table, entry, current, manip, range ?? keep(current, manip));
  const changed = !sameSide(tuple, current, manip);
  if (changed || anyPort) {
    entry.reply = invert(tuple);
    entry.status |= manip === 'src' ? CT_STATUS.SNAT : CT_STATUS.DNAT;
    if (cause) entry.cause[manip] = cause;
    if (anyPort) entry.anyPort[manip] = anyPort;
  }
  entry.bound[manip] = true;
  return { changed: changed || anyPort !== undefined, clash };
}

function keep(current: Tuple, manip: Manip): NatRange {
  const addr = current[manip];
  return { addrs: [addr, addr] };
}

function sameSide(a: Tuple, b: Tuple, manip: Manip): boolean {
  return equal(a[manip], b[manip]) && (manip === 'src' ? a.sport === b.sport : a.dport === b.dport);
}

interface Choice {
  readonly tuple: Tuple;
  readonly anyPort?: readonly [number, number];
  /** The port had to move because another connection has the tuple. */
  readonly clash: boolean;
}

/** get_unique_tuple(): the source as it is if it may stay, else the mapping it had before, else an address of the range and a free port. */
function uniqueTuple(table: ConntrackTable, entry: Entry, current: Tuple, manip: Manip, range: NatRange): Choice {
  const free = (t: Tuple): boolean => !table.holder(invert(t), entry);
  if (manip === 'src' && !range.random) {
    if (inRange(current, range)) {
      if (free(current) || isMirrored(table, entry, current)) return { tuple: current, clash: false };
    } else {
      // the first mapping of this source that is in range; where that tuple is taken the search is over
      for (const other of table.sameSource(entry)) {
        const mapped = invert(other.reply);
        const candidate = { ...current, src: mapped.src, sport: mapped.sport };
        if (!inRange(candidate, range)) continue;
        if (free(candidate)) return { tuple: candidate, clash: false };
        break;
      }
    }
  }
  const tuple = range.addrs ? { ...current, [manip]: pickAddress(current, manip, range, entry.zone.id) } : current;
  if (!range.random) {
    if (range.base !== undefined) {
      // shifted below
    } else if (range.ports) {
      const [lo, hi] = range.ports;
      const port = portOf(tuple, manip);
      if (port >= lo && port <= hi && (lo === hi || free(tuple))) return { tuple, clash: false };
    } else if (free(tuple)) {
      return { tuple, clash: false };
    }
  }
  return { ...uniquePort(tuple, manip, range, free), clash: !range.random && !range.ports };
}

/** nf_nat_used_tuple_new(): an untranslated connection of the other way round is no hindrance; it is met when this one is confirmed. */
function isMirrored(table: ConntrackTable, entry: Entry, current: Tuple): boolean {
  // nf_nat_allow_clash(): TCP and SCTP allow none
  if (current.proto === TCP || current.proto === SCTP) return false;
  const other = table.holder(invert(current), entry);
  return (
    other !== undefined &&
    !(other.status & (CT_STATUS.SNAT | CT_STATUS.DNAT)) &&
    sameTuple(other.orig, entry.reply) &&
    sameTuple(other.reply, entry.orig)
  );
}

/** nf_in_range() for the source side. */
function inRange(t: Tuple, range: NatRange): boolean {
  if (range.addrs && (familyOf(range.addrs[0]) !== familyOf(t.src) || compare(t.src, range.addrs[0]) < 0 || compare(t.src, range.addrs[1]) > 0))
    return false;
  return !range.ports || (t.sport >= range.ports[0] && t.sport <= range.ports[1]);
}

function portOf(t: Tuple, manip: Manip): number {
  return manip === 'src' || isIcmp(t.proto) ? t.sport : t.dport;
}

/** nf_nat_l4proto_unique_tuple(): a port of the range, or of the class the old one was in; which one, the kernel rolls. */
function uniquePort(tuple: Tuple, manip: Manip, range: NatRange, free: (t: Tuple) => boolean): { tuple: Tuple; anyPort?: readonly [number, number] } {
  const withPort = (port: number): Tuple => (manip === 'src' || isIcmp(tuple.proto) ? { ...tuple, sport: port } : { ...tuple, dport: port });
  let [lo, hi] = range.ports ?? [0, 65535];
  if (isIcmp(tuple.proto)) {
    if (manip === 'dst' && !range.ports) return { tuple };
  } else if (!hasPorts(tuple.proto)) {
    return { tuple };
  } else if (!range.ports) {
    // a destination port is never changed unless the rule says so
    if (manip === 'dst') return { tuple };
    [lo, hi] = tuple.sport < 512 ? [1, 511] : tuple.sport < 1024 ? [600, 1023] : [1024, 65535];
  }
  if (lo === hi) return { tuple: withPort(lo) };
  const kept = portOf(tuple, manip);
  if (range.base !== undefined) {
    // NF_NAT_RANGE_PROTO_OFFSET: the port keeps its distance from the base, around the range
    for (let tries = 0; tries <= hi - lo; tries++) {
      const shifted = withPort(lo + (((kept - range.base + tries) & 0xffff) % (hi - lo + 1)));
      if (free(shifted) || tries === hi - lo) return { tuple: shifted };
    }
  }
  let port = kept >= lo && kept <= hi ? kept : lo;
  for (let tries = 0; tries <= hi - lo && !free(withPort(port)); tries++) port = port >= hi ? lo : port + 1;
  return { tuple: withPort(port), anyPort: [lo, hi] };
}

/** find_best_ips_proto(): one address of the range by a hash of the source (and, unless --persistent, the destination). */
function pickAddress(t: Tuple, manip: Manip, range: NatRange, zone: number): Addr {
  const [lo, hi] = range.addrs!;
  if (equal(lo, hi)) return lo;
  const dst = [...words(t.dst)];
  const last = dst.length - 1;
  let j = jhash2([...words(t.src).map(swap), ...new Array<number>(3 - last).fill(0)], range.persistent ? 0 : (swap(dst[last]!) ^ zone) >>> 0);
  const out: number[] = [];
  let full = false; // the words after the first that is below its maximum may take any value, as the kernel counts them: 2^32-1 of them
  for (const [i, min] of words(lo).entries()) {
    const max = words(hi)[i]!;
    const [from, size] = full ? [0n, 0xffffffffn] : [BigInt(min), BigInt(max - min) + 1n];
    const picked = Number((from + ((BigInt(j) * size) >> 32n)) & 0xffffffffn);
    out.push(picked);
    if (picked !== max) full = true;
    // for DNAT the tuple's destination is what has just been picked
    if (manip === 'dst') dst[i] = picked;
    if (!range.persistent) j = (j ^ swap(dst[i]!)) >>> 0;
  }
  return (typeof lo === 'number' ? out[0]! : out) as Addr;
}

function words(a: Addr): readonly number[] {
  return typeof a === 'number' ? [a] : a;
}

/** Addresses are hashed as they lie in memory; the machines netwhy reads about are little-endian. */
function swap(w: number): number {
  return (((w & 0xff) << 24) | ((w & 0xff00) << 8) | ((w >>> 8) & 0xff00) | (w >>> 24)) >>> 0;
}

/** jhash2(), include/linux/jhash.h. */
export function jhash2(key: readonly number[], initval: number): number {
  const rol = (x: number, n: number): number => ((x << n) | (x >>> (32 - n))) >>> 0;
  let a = (0xdeadbeef + (key.length << 2) + initval) >>> 0;
  let b = a;
  let c = a;
  const sub = (x: number, y: number): number => (x - y) >>> 0;
  const sum = (x: number, y: number): number => (x + y) >>> 0;
  let i = 0;
  for (; key.length - i > 3; i += 3) {
    a = sum(a, key[i]!);
    b = sum(b, key[i + 1]!);
    c = sum(c, key[i + 2]!);
    a = (sub(a, c) ^ rol(c, 4)) >>> 0;
    c = sum(c, b);
    b = (sub(b, a) ^ rol(a, 6)) >>> 0;
    a = sum(a, c);
    c = (sub(c, b) ^ rol(b, 8)) >>> 0;
    b = sum(b, a);
    a = (sub(a, c) ^ rol(c, 16)) >>> 0;
    c = sum(c, b);
    b = (sub(b, a) ^ rol(a, 19)) >>> 0;
    a = sum(a, c);
    c = (sub(c, b) ^ rol(b, 4)) >>> 0;
    b = sum(b, a);
  }
  a = sum(a, key[i] ?? 0);
  b = sum(b, key[i + 1] ?? 0);
  c = sum(c, key[i + 2] ?? 0);
  if (key.length - i > 0) {
    c = sub((c ^ b) >>> 0, rol(b, 14));
    a = sub((a ^ c) >>> 0, rol(c, 11));
    b = sub((b ^ a) >>> 0, rol(a, 25));
    c = sub((c ^ b) >>> 0, rol(b, 16));
    a = sub((a ^ c) >>> 0, rol(c, 4));
    b = sub((b ^ a) >>> 0, rol(a, 14));
    c = sub((c ^ b) >>> 0, rol(b, 24));
  }
  return c;
}

/** NETMAP: the host part stays, the network part is the target's. */
export function netmap(addr: Addr, to: Prefix): NatRange {
  const mask = prefixMask(to);
  if (familyOf(mask) !== familyOf(addr)) return { addrs: [addr, addr] };
  const mapped = or(and(addr, not(mask)), to.addr);
  return { addrs: [mapped, mapped] };
}

/** nf_nat_packet(): rewrites one side of the packet as the connection's bindings say; undefined when they say nothing about it. */
export function translate(packet: Packet, entry: Entry, direction: Direction, manip: Manip): Packet | undefined {
  const bit = (manip === 'src') === (direction === 'original') ? CT_STATUS.SNAT : CT_STATUS.DNAT;
  if (!(entry.status & bit)) return undefined;
  const target = invert(direction === 'original' ? entry.reply : entry.orig);
  const { undetermined, ...rest } = packet;
  const loose = looseAfter(undetermined ?? {}, packet, entry, direction, manip, manip === 'src' ? target.sport : target.dport);
  const base: Packet = { ...rest, ...(Object.keys(loose).length > 0 && { undetermined: loose }) };
  if (packet.icmp) return { ...base, [manip]: target[manip], icmp: { ...packet.icmp, id: target.sport } };
  if (packet.sport === undefined) return { ...base, [manip]: target[manip] };
  return manip === 'src' ? { ...base, src: target.src, sport: target.sport } : { ...base, dst: target.dst, dport: target.dport };
}

/** What stays, or becomes, undetermined when one side is rewritten: a fresh pick, the old one where the port is kept, or what the sender's was. */
function looseAfter(before: Undetermined, packet: Packet, entry: Entry, direction: Direction, manip: Manip, port: number): Undetermined {
  const portField = packet.icmp ? 'id' : manip === 'src' ? 'sport' : 'dport';
  const { [manip]: _addr, [portField]: oldPort, ...others } = before;
  const origin = manip === 'src' ? 'dst' : 'src'; // the side of the first packet that this side of an answer goes back to
  const original = direction === 'original';
  const addr = original ? entry.anyAddr[manip] : entry.loose[origin];
  const kept = port === (packet.icmp ? packet.icmp.id : packet[manip === 'src' ? 'sport' : 'dport']);
  const atOrigin = packet.icmp ? entry.loose.id : entry.loose[origin === 'src' ? 'sport' : 'dport'];
  const picked = original ? (entry.anyPort[manip] ?? (kept ? oldPort : undefined)) : atOrigin;
  return { ...others, ...(addr !== undefined && { [manip]: addr }), ...(picked && { [portField]: picked }) };
}

/** An ICMP error about a translated connection: the quoted packet is put back, and so is the outer address that names its sender. */
export function translateError(packet: Packet, entry: Entry, direction: Direction, manip: Manip): Packet | undefined {
  const bit = (manip === 'src') === (direction === 'original') ? CT_STATUS.SNAT : CT_STATUS.DNAT;
  if (!packet.inner || !(entry.status & bit)) return undefined;
  const target = invert(direction === 'original' ? entry.reply : entry.orig);
  const other = manip === 'src' ? 'dst' : 'src';
  const port = manip === 'src' ? target.sport : target.dport;
  const quoted = packet.inner.icmp
    ? { icmp: { ...packet.inner.icmp, id: target.sport } }
    : packet.inner.sport === undefined
      ? {}
      : { [other === 'src' ? 'sport' : 'dport']: port };
  const inner = { ...packet.inner, [other]: target[manip], ...quoted };
  return { ...packet, [manip]: target[manip], inner };
}

/** One end of a packet in words: `192.168.21.20:40000`, a range for a port the kernel picks. */
export function endpoint(p: Packet, side: Manip): string {
  const port = side === 'src' ? 'sport' : 'dport';
  return formatEndpoint(p.undetermined?.[side]?.what ?? p[side], p.undetermined?.[port] ?? p[port]);
}

function isIcmp(proto: number): boolean {
  return proto === ICMP || proto === ICMPV6;
}

/** ::1 or 127.0.0.1. */
export function loopbackOf(p: Packet): Addr {
  return p.family === 4 ? (0x7f000001 as Addr) : [0, 0, 0, 1];
}

/** The address that stands for none. */
export function unspecified(p: Packet): Addr {
  return p.family === 4 ? (0 as Addr) : [0, 0, 0, 0];
}
