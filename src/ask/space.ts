// A space of packets: who sends them or where they come in, and ranges of everything that is left open.
import {
  add,
  ANY4,
  ANY6,
  equal,
  familyOf,
  formatAddr,
  parseAddr,
  parsePrefix,
  prefixRange,
  isError,
  type Addr,
  type Family,
  type Word,
} from '../net/addr.ts';
import { complement, ranges, union, type Range, type Ranges } from '../net/intervals.ts';
import { formatProtocol, hasPorts, ICMP, ICMPV6, parsePort, parseProtocol, TCP, UDP } from '../net/proto.ts';
import type { World } from '../model/host.ts';
import type { Claims } from '../model/property.ts';
import type { Question } from '../model/trace.ts';
import { kindOfPart, offDiagonal, PARTS, sizeOf, type Box, type Part } from './box.ts';
import { ask, isMisunderstood, type Request } from './question.ts';

/** What a property says of the packets it is for; texts as a scenario has them. */
export interface SpaceText {
  /** A namespace or node that sends them, an address, or blocks of addresses. */
  readonly from?: Blocks | undefined;
  /** NODE/IFACE where they come in from outside. */
  readonly in?: string | undefined;
  readonly to: Blocks;
  readonly proto?: string | number | readonly (string | number)[] | undefined;
  readonly sport?: Ports | undefined;
  readonly dport?: Ports | undefined;
  /** Of TCP (default SYN: a new connection). */
  readonly flags?: string | undefined;
  /** Of ICMP (default an echo request). */
  readonly 'icmp-type'?: string | number | undefined;
}

export type Blocks =
  string | readonly string[] | { readonly any: string | readonly string[]; readonly except?: string | readonly string[] | undefined };
export type Ports = number | string | readonly (number | string)[];

/** Packets that begin alike: one question with parts left open. */
export interface Space {
  readonly boxes: readonly Box[];
  /** The question for a packet of a box. */
  question(box: Box, values: Readonly<Partial<Record<Part, Word>>>): Question;
  readonly family: Family;
  readonly size: bigint;
  /** Their senders' addresses are left open. */
  readonly isOpen: boolean;
}

/** Why a text is no space: which key of it, and what to write instead. */
export interface SpaceError {
  readonly error: string;
  readonly key: keyof SpaceText | keyof Claims;
  readonly hint?: string;
}

export function isSpaceError(x: object): x is SpaceError {
  return 'error' in x;
}

/** Addresses that no wire carries a packet to: `any` block leaves them out. */
const NEVER_SENT: readonly Range[] = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '::/127', 'ff00::/8'].flatMap((text) => {
  const p = parsePrefix(text);
  return isError(p) ? [] : [prefixRange(p)];
});

/** Reads a property's packets against a world. */
export function readSpace(world: World, text: SpaceText): Space | SpaceError {
  const dst = readBlocks(world, text.to, 'to');
  if ('error' in dst) return dst;
  if (dst.length === 0) return { error: 'no address is left of it', key: 'to', hint: 'what is excepted covers all of it' };
  const family = familyOf(dst[0]![0]);
  const sender = senderOf(world, text, family);
  if ('error' in sender) return sender;
  const { src } = sender;
  if (src && (src.length === 0 || familyOf(src[0]![0]) !== family))
    return src.length === 0
      ? { error: 'no address is left of it', key: 'from', hint: 'what is excepted covers all of it' }
      : { error: `the senders are IPv${familyOf(src[0]![0])} and the destinations IPv${family}`, key: 'from', hint: 'both must be of one family' };
  const protos = readProtos(text.proto ?? [TCP, UDP], family);
  if ('error' in protos) return protos;
  const sports = readPorts(text.sport, 'sport');
  if ('error' in sports) return sports;
  const dports = readPorts(text.dport, 'dport');
  if ('error' in dports) return dports;
  const senders: readonly (Range | undefined)[] = src ?? [undefined];
  const boxes = protos.flatMap((proto): Box[] => {
    const bare = dst.flatMap((d) => senders.map((s): Box => ({ proto, dst: d, ...(s && { src: s }) })));
    return hasPorts(proto) ? bare.flatMap((b) => sports.flatMap((sport) => dports.map((dport): Box => ({ ...b, sport, dport })))) : bare;
  });
  const own = boxes.flatMap((b) => offDiagonal(b));
  if (own.length === 0) return { error: 'they are packets to their own sender, which are in no space', key: 'to' };
  if ((text.dport !== undefined || text.sport !== undefined) && !protos.some((p) => hasPorts(p)))
    return { error: `${protos.map((p) => formatProtocol(p)).join(', ')} has no ports`, key: text.dport === undefined ? 'sport' : 'dport' };
  const begins = new Map<number, Question>();
  for (const proto of protos) {
    const begin = beginning(
      world,
      text,
      own.find((b) => b.proto === proto)!,
      sender.from,
    );
    if ('error' in begin) return begin;
    begins.set(proto, begin);
  }
  const isOpen = src !== undefined;
  return {
    boxes: own,
    family,
    size: own.reduce((n, b) => n + sizeOf(b), 0n),
    isOpen,
    question: (box, values) => withValues(begins.get(box.proto)!, box, values, isOpen),
  };
}

/** A packet of a box: of a part that nothing is said of, what a client would have. */
export function representative(box: Box): Readonly<Partial<Record<Part, Word>>> {
  const out: Partial<Record<Part, Word>> = {};
  for (const part of PARTS) {
    const range = box[part];
    if (range) out[part] = usual(range, kindOfPart(part) === 'port' ? (part === 'sport' ? CLIENT_PORTS : SERVER_PORTS) : []);
  }
  // a packet to its own sender is none that somebody asks about
  const { src, dst } = out;
  if (src === undefined || dst === undefined || !equal(src, dst)) return out;
  if (!equal(dst, box.dst![1])) out.dst = add(dst, 1);
  else if (!equal(src, box.src![1])) out.src = add(src, 1);
  return out;
}

const CLIENT_PORTS = [40000];
const SERVER_PORTS = [80, 443];

function usual([lo, hi]: Range, known: readonly number[]): Word {
  const found = known.find((p) => typeof lo === 'number' && typeof hi === 'number' && p >= lo && p <= hi);
  return found ?? lo;
}

function withValues(begin: Question, box: Box, values: Readonly<Partial<Record<Part, Word>>>, isOpen: boolean): Question {
  const packet = {
    ...begin.packet,
    ...(isOpen && values.src !== undefined && { src: values.src as Addr }),
    ...(values.dst !== undefined && { dst: values.dst as Addr }),
    ...(hasPorts(box.proto) && { sport: values.sport as number, dport: values.dport as number }),
  };
  return { ...begin, packet, to: formatAddr(packet.dst) };
}

/** Where the packets begin, by a question for one of them. */
function beginning(world: World, text: SpaceText, box: Box, from: string | undefined): Question | SpaceError {
  const rep = representative(box);
  const port = hasPorts(box.proto) ? `:${String(rep.dport)}` : '';
  const addr = formatAddr(rep.dst!);
  const request: Request = {
    from: from ?? formatAddr(rep.src!),
    to: familyOf(rep.dst!) === 6 && port !== '' ? `[${addr}]${port}` : `${addr}${port}`,
    proto: formatProtocol(box.proto),
    ...(text.in !== undefined && { in: interfaceOf(text.in) }),
    ...(text.flags !== undefined && box.proto === TCP && { flags: text.flags }),
    ...(text['icmp-type'] !== undefined && (box.proto === ICMP || box.proto === ICMPV6) && { icmpType: String(text['icmp-type']) }),
  };
  const asked = ask(world, request);
  if (isMisunderstood(asked)) {
    const key =
      asked.option === 'in'
        ? 'in'
        : asked.option === 'from'
          ? 'from'
          : asked.option === 'proto'
            ? 'proto'
            : asked.option === 'flags'
              ? 'flags'
              : asked.option === 'icmpType'
                ? 'icmp-type'
                : 'to';
    return { error: asked.error, key, ...(asked.hint !== undefined && { hint: asked.hint }) };
  }
  return asked.question;
}

/** NODE/IFACE as the command line has it: NODE:IFACE. */
function interfaceOf(text: string): string {
  if (text.includes(':')) return text;
  const slash = text.lastIndexOf('/');
  return slash < 0 ? text : `${text.slice(0, slash)}:${text.slice(slash + 1)}`;
}

interface Sender {
  /** As `--from` takes it, where one sender is named. */
  readonly from?: string;
  /** The blocks of their addresses, where they are left open. */
  readonly src?: Ranges;
}

function senderOf(world: World, { from, in: arrival }: SpaceText, family: Family): Sender | SpaceError {
  if (from === undefined)
    return arrival === undefined
      ? { error: 'nothing says who sends them', key: 'from', hint: 'write a namespace, a node, or blocks of addresses with `in: NODE/IFACE`' }
      : { src: unicast([prefixRange({ addr: family === 4 ? ANY4 : ANY6, length: 0 })]) };
  if (typeof from === 'string' && !isBlock(from)) {
    const addr = parseAddr(from);
    return isError(addr) || arrival === undefined ? { from } : { src: [[addr, addr]] };
  }
  const src = readBlocks(world, from, 'from');
  if ('error' in src) return src;
  if (arrival === undefined)
    return {
      error: 'several addresses are sent from nowhere',
      key: 'in',
      hint: 'say where they come in: NODE/IFACE; or write a property for each sender',
    };
  const device = readDevice(world, arrival);
  if (device) return device;
  return { src };
}

/** Why no packet comes in there: also of a node that a scenario describes, whose devices are known. */
function readDevice(world: World, arrival: string): SpaceError | undefined {
  const text = interfaceOf(arrival);
  const colon = text.lastIndexOf(':');
  const ns = world.namespaces.find((n) => (n.name === '' ? n.node : `${n.node}/${n.name}`) === text.slice(0, colon));
  const device = text.slice(colon + 1);
  if (!ns?.stub || ns.links.some((l) => l.name === device)) return undefined;
  return { error: `${ns.node} has no interface '${device}' (it has ${ns.links.map((l) => l.name).join(', ')})`, key: 'in' };
}

/** Reports whether a text is ADDR/LENGTH or ADDR-ADDR: several addresses, and no name that happens to have such a sign in it. */
function isBlock(text: string): boolean {
  return /^[\d.:a-f]+(?:\/\d+|-[\d.:a-f]+)$/i.test(text) && !isError(parseAddr(text.split(/[/-]/)[0]!));
}

function unicast(set: Ranges): Ranges {
  return NEVER_SENT.reduce<Ranges>((left, [lo, hi]) => subtract(left, [[lo, hi]]), set);
}

function subtract(set: Ranges, gone: Ranges): Ranges {
  return set.flatMap(([lo, hi]) => complement(intersectOf(gone, lo), lo, hi));
}

/** Ranges of the family of a value. */
function intersectOf(set: Ranges, like: Word): Ranges {
  return set.filter(([lo]) => familyOf(lo) === familyOf(like));
}

function readBlocks(world: World, blocks: Blocks, key: 'from' | 'to'): Ranges | SpaceError {
  const isAny = typeof blocks === 'object' && 'any' in blocks;
  const some = listOf(isAny ? blocks.any : blocks);
  const except = isAny ? listOf(blocks.except ?? []) : [];
  const sets: Ranges[] = [];
  for (const text of [...some, ...except]) {
    const set = readBlock(world, text);
    if (set?.length === 0) return { error: `'${text}' ends before it begins`, key, hint: 'write the lower address first' };
    if (!set)
      return { error: `'${text}' is no address, no block of addresses and no name of the capture`, key, hint: 'ADDR, ADDR/LENGTH, ADDR-ADDR' };
    sets.push(set);
  }
  const families = new Set(sets.flat().map(([lo]) => familyOf(lo)));
  if (families.size > 1) return { error: 'IPv4 and IPv6 addresses in one list', key, hint: 'write a property for each family' };
  const taken = sets.slice(0, some.length).reduce<Ranges>((a, b) => union(a, b), []);
  const left = subtract(taken, ranges(sets.slice(some.length).flat()));
  return isAny ? unicast(left) : left;
}

function listOf<T>(x: T | readonly T[]): readonly T[] {
  return Array.isArray(x) ? (x as readonly T[]) : [x as T];
}

function readBlock(world: World, text: string): Ranges | undefined {
  const dash = /^([^-]+)-([^-]+)$/.exec(text);
  const ends = dash ? [parseAddr(dash[1]!), parseAddr(dash[2]!)] : [];
  if (ends.length === 2 && ends.every((e) => !isError(e))) return ranges([[ends[0] as Addr, ends[1] as Addr]]);
  const prefix = parsePrefix(text);
  if (text.includes('/') && !isError(prefix)) return [prefixRange(prefix)];
  const addr = parseAddr(text);
  if (!isError(addr)) return [[addr, addr]];
  const ns = world.namespaces.find((n) => (n.name === '' ? n.node : `${n.node}/${n.name}`) === text);
  const own = ns?.addresses.find((a) => a.scope === 'global');
  return own ? [[own.addr, own.addr]] : undefined;
}

function readProtos(text: NonNullable<SpaceText['proto']>, family: Family): readonly number[] | SpaceError {
  const out: number[] = [];
  for (const p of listOf<string | number>(text)) {
    const proto = typeof p === 'number' ? p : parseProtocol(p);
    if (proto === undefined || proto > 255)
      return { error: `'${p}' is not a protocol`, key: 'proto', hint: 'tcp, udp, sctp, icmp, or a number from 0 to 255' };
    out.push(proto === ICMP && family === 6 ? ICMPV6 : proto);
  }
  return [...new Set(out)];
}

function readPorts(text: Ports | undefined, key: 'sport' | 'dport'): Ranges | SpaceError {
  if (text === undefined) return [[0, 65535]];
  const out: Range[] = [];
  for (const p of listOf<number | string>(text)) {
    const ends = String(p)
      .split('-')
      .map((x) => parsePort(x.trim()));
    const [lo, hi = lo] = ends;
    if (lo === undefined || hi === undefined || lo > hi || ends.length > 2 || ends.includes(undefined))
      return { error: `'${p}' is no port and no range of ports`, key, hint: 'PORT or PORT-PORT, 0 to 65535' };
    out.push([lo, hi]);
  }
  return ranges(out);
}
