// A question as a person writes it, completed into a packet and the place where it begins.
import { familyOf, formatAddr, isError, isLoopback, parseAddr, type Addr, type Family } from '../net/addr.ts';
import { parseBytes } from '../net/bytes.ts';
import {
  DCCP,
  formatProtocol,
  hasPorts,
  ICMP,
  ICMPV6,
  ICMP_TYPES,
  ICMPV6_TYPES,
  parsePort,
  parseProtocol,
  parseTcpFlags,
  SCTP,
  TCP,
  UDP,
  UDPLITE,
} from '../net/proto.ts';
import { parseTime } from '../net/time.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import { CT_STATE } from '../model/ruleset.ts';
import type { ScenarioQuestion } from '../model/scenario.ts';
import type { Question } from '../model/trace.ts';
import { Fib } from '../engine/fib.ts';
import { addressOf, nameNote, nameOf, readName, type Named } from './name.ts';

/** What was asked, as text. */
export interface Request {
  readonly from: string;
  readonly to: string;
  readonly proto?: string;
  readonly sport?: string;
  /** NODE:IFACE */
  readonly in?: string;
  readonly mark?: string;
  readonly flags?: string;
  readonly ttl?: string;
  readonly length?: string;
  readonly tos?: string;
  readonly icmpType?: string;
  /** The packet an ICMP error quotes: `tcp 10.0.0.1:40000 > 8.8.8.8:80`. */
  readonly about?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly mac?: string;
  readonly ctState?: string;
  /** Text, with bytes in hexadecimal between bars. */
  readonly payload?: string;
  /** YYYY-MM-DD[Thh:mm[:ss]], UTC. */
  readonly at?: string;
}

/** A scenario's question as a request: its keys are the options of the command line. */
export function requestOf(question: ScenarioQuestion): Request {
  const { name: _name, expect: _expect, from, to, ...rest } = question;
  const options = Object.entries(rest).map(([key, value]) => [key.replace(/-(\w)/g, (_, c: string) => c.toUpperCase()), String(value)] as const);
  return { ...Object.fromEntries(options), from, to };
}

/** Why a request is no question, and what to write instead. `option` is the part of the request at fault. */
export interface Misunderstood {
  readonly error: string;
  readonly option: keyof Request;
  readonly hint?: string;
}

export function isMisunderstood(x: object): x is Misunderstood {
  return 'error' in x;
}

/** A question, and the connection state it prescribes for the first conntrack lookup. */
export interface Asked {
  readonly question: Question;
  readonly state?: number;
}

/** The source port of a client that does not say: an ephemeral one. */
const CLIENT_PORT = 40000;

/** Completes a request against a world, saying in `notes` what it filled in. */
export function ask(world: World, request: Request): Asked | Misunderstood {
  const notes: string[] = [];
  const to = readTarget(world, request, notes);
  if (isMisunderstood(to)) return to;
  const packet = readPacket(request, to, notes);
  if (isMisunderstood(packet)) return packet;
  const begin = readOrigin(world, request, packet, notes);
  if (isMisunderstood(begin)) return begin;
  const origin = world.namespaces.find((n) => n.node === begin.node && n.name === begin.namespace);
  const routes = packet.family === 4 ? 'routes4' : 'routes6';
  if (origin && !origin.stub && !origin.captured.addresses && !origin.captured[routes])
    notes.push(`addresses and routes of ${nameOf(origin)} were not captured: with ip addr and ip route show table all there would be fewer ifs`);
  const state = request.ctState === undefined ? undefined : CT_STATE[request.ctState.toUpperCase() as keyof typeof CT_STATE];
  if (request.ctState !== undefined && state === undefined)
    return { error: `'${request.ctState}' is not a connection state`, option: 'ctState', hint: 'NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED' };
  return { question: { from: request.from, to: request.to, ...begin, notes }, ...(state !== undefined && { state }) };
}

interface Target {
  readonly addr: Addr;
  readonly port?: number;
  /** The protocol of a service's port. */
  readonly proto?: number;
}

function readTarget(world: World, request: Request, notes: string[]): Target | Misunderstood {
  const text = request.to;
  const named = readName(world, text, 'to', request.proto);
  if (named && 'error' in named) return { ...named, option: 'to' };
  if (named) return namedTarget(world, request, named, notes);
  const wrong = (error: string): Misunderstood => ({
    error,
    option: 'to',
    hint: 'write ADDR:PORT, [IPV6]:PORT, ADDR, or a node or namespace of the capture instead of the address',
  });
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  const colons = text.split(':').length - 1;
  const [host, portText] = bracketed ? [bracketed[1]!, bracketed[2]] : colons === 1 ? (text.split(':') as [string, string]) : [text, undefined];
  const port = portText === undefined ? undefined : parsePort(portText);
  if (portText !== undefined && port === undefined) return wrong(`'${portText}' is not a port (0 to 65535)`);
  let addr = parseAddr(host);
  if (isError(addr)) {
    const ns = world.namespaces.find((n) => nameOf(n) === host);
    if (!ns)
      return wrong(/^[\d.:a-f/]+$/i.test(host) ? addr.error : `'${host}' is neither an address nor a captured node or namespace (${known(world)})`);
    const own = ns.addresses.find((a) => a.scope === 'global' && !isLoopback(a.addr));
    if (!own) return wrong(`${host} has no captured address to send to`);
    addr = own.addr;
    notes.push(`${host} is ${formatAddr(addr)} (${own.device})`);
  }
  return { addr, ...(port !== undefined && { port }) };
}

/** A named target's address: of the family that the sender has, where that is told. */
function namedTarget(world: World, request: Request, named: Named, notes: string[]): Target | Misunderstood {
  const sender = readName(world, request.from, 'from');
  const from = parseAddr(request.from);
  const families = sender ? ('addrs' in sender ? sender.addrs : []).map(familyOf) : isError(from) ? [] : [familyOf(from)];
  const addr = families.length === 0 ? named.addrs[0] : named.addrs.find((a) => families.includes(familyOf(a)));
  if (addr === undefined) return { error: `${request.to} has no IPv${families[0]} address (${named.told})`, option: 'to' };
  notes.push(nameNote(request.to, named, addr));
  const { port, proto } = named;
  return { addr, ...(port !== undefined && { port }), ...(proto !== undefined && { proto }) };
}

function readPacket(request: Request, to: Target, notes: string[]): Packet | Misunderstood {
  const family = familyOf(to.addr);
  const number = (option: keyof Request, hi: number, byDefault: number): number | Misunderstood => {
    const text = request[option];
    if (text === undefined) return byDefault;
    const n = /^(\d+|0x[0-9a-fA-F]+)$/.test(text) ? Number(text) : NaN;
    return n <= hi ? n : { error: `'${text}' is not a number from 0 to ${hi}`, option };
  };
  const proto = readProtocol(request, to, family, notes);
  if (typeof proto !== 'number') return proto;
  const payload = request.payload === undefined ? undefined : parseBytes(request.payload);
  if (request.payload !== undefined && !payload)
    return { error: `'${request.payload}' are no bytes`, option: 'payload', hint: "text, with bytes in hexadecimal between bars: 'GET /|0d0a|'" };
  const least = (family === 4 ? 20 : 40) + (LAYER4[proto] ?? 0) + (payload?.length ?? 0);
  const at = request.at === undefined ? undefined : readTime(request.at);
  if (at !== undefined && typeof at !== 'number') return at;
  const values = {
    ttl: number('ttl', 255, 64),
    tos: number('tos', 255, 0),
    mark: number('mark', 0xffffffff, 0),
    length: number('length', 65535, payload ? least : family === 4 ? 60 : 80),
  };
  for (const v of Object.values(values)) if (typeof v !== 'number') return v;
  const misfit = payload && lengthMisfit(values.length as number, least, proto);
  if (misfit !== undefined) return misfit;
  const ids = { uid: number('uid', 0xffffffff, -1), gid: number('gid', 0xffffffff, -1) };
  for (const v of Object.values(ids)) if (typeof v !== 'number') return v;
  const base = {
    family,
    src: family === 4 ? (0 as Addr) : ([0, 0, 0, 0] as const),
    dst: to.addr,
    proto,
    ...(values as Record<keyof typeof values, number>),
  };
  const owner = { ...(request.uid !== undefined && { uid: ids.uid as number }), ...(request.gid !== undefined && { gid: ids.gid as number }) };
  const mac = request.mac === undefined ? undefined : readMac(request.mac);
  if (mac !== undefined && isMisunderstood(mac)) return mac;
  const common = { ...base, ...owner, ...(mac && { mac }), ...(payload && { payload }), ...(at !== undefined && { at }) };
  if (proto === ICMP || proto === ICMPV6) {
    const types = proto === ICMP ? ICMP_TYPES : ICMPV6_TYPES;
    const text = request.icmpType ?? 'echo-request';
    const given = /^(\d{1,3})(?:\/(\d{1,3}))?$/.exec(text);
    const type = given ? Number(given[1]) : types[text]?.[0];
    if (type === undefined || type > 255)
      return { error: `'${text}' is not an ICMP type`, option: 'icmpType', hint: 'a name such as echo-request, TYPE or TYPE/CODE' };
    const icmp = { type, code: given ? Number(given[2] ?? 0) : (types[text]?.[1] ?? 0), id: 1 };
    const inner = request.about === undefined ? undefined : readQuoted(request.about, family);
    if (inner && isMisunderstood(inner)) return inner;
    return { ...common, icmp, ...(inner && { inner }) };
  }
  if (!hasPorts(proto)) return common;
  const sport = number('sport', 65535, CLIENT_PORT);
  if (typeof sport !== 'number') return sport;
  if (to.port === undefined)
    return { error: `${formatProtocol(proto)} needs a port: '${request.to}' has none`, option: 'to', hint: `write ${request.to}:PORT` };
  const ports = { ...common, sport, dport: to.port };
  if (proto !== TCP) return ports;
  const flags = parseTcpFlags(request.flags ?? 'SYN');
  if (flags === undefined) return { error: `'${request.flags}' are not TCP flags`, option: 'flags', hint: 'for example SYN or SYN,ACK' };
  return { ...ports, flags };
}

/** Bytes of the layer-4 header, without TCP options. */
const LAYER4: Readonly<Record<number, number>> = { [TCP]: 20, [UDP]: 8, [UDPLITE]: 8, [ICMP]: 8, [ICMPV6]: 8, [SCTP]: 12, [DCCP]: 12 };

/** Why a packet of that length cannot hold its headers and its payload: only TCP has room between the two, for options. */
function lengthMisfit(length: number, least: number, proto: number): Misunderstood | undefined {
  const options = length - least;
  if (options === 0 || (proto === TCP && options > 0 && options <= 40 && options % 4 === 0)) return undefined;
  return { error: `headers and payload have ${least} bytes, not ${length}`, option: 'length', hint: 'leave out --length: it follows from --payload' };
}

/** Seconds since 1970. */
function readTime(text: string): number | Misunderstood {
  return parseTime(text) ?? { error: `'${text}' is not a time`, option: 'at', hint: 'YYYY-MM-DDThh:mm[:ss] in UTC: 2026-11-21T14:30' };
}

/** The beginning of an earlier packet, as an ICMP error carries it. */
function readQuoted(text: string, family: Family): Packet | Misunderstood {
  const wrong = (error: string): Misunderstood => ({
    error,
    option: 'about',
    hint: "write the packet it answers: 'tcp 10.0.0.1:40000 > 8.8.8.8:80'",
  });
  const [name = '', from = '', arrow, to = ''] = text.trim().split(/\s+/);
  const proto = parseProtocol(name);
  if (proto === undefined || (arrow !== '>' && arrow !== '->')) return wrong(`'${text}' is not PROTO SOURCE > DESTINATION`);
  const [src, dst] = [readEnd(from), readEnd(to)];
  if (!src || !dst || familyOf(src.addr) !== family || familyOf(dst.addr) !== family) return wrong(`'${text}' needs two IPv${family} addresses`);
  const base = { family, src: src.addr, dst: dst.addr, proto, ttl: 64, tos: 0, mark: 0, length: family === 4 ? 60 : 80 };
  if (proto === ICMP || proto === ICMPV6) return { ...base, icmp: { type: proto === ICMP ? 8 : 128, code: 0, id: 1 } };
  if (!hasPorts(proto)) return base;
  if (src.port === undefined || dst.port === undefined) return wrong(`${formatProtocol(proto)} needs both ports`);
  return { ...base, sport: src.port, dport: dst.port, ...(proto === TCP && { flags: 2 }) };
}

function readEnd(text: string): Target | undefined {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(text);
  const parts = bracketed ?? /^([\d.]+)(?::(\d+))?$/.exec(text) ?? /^([0-9a-fA-F:.]+)()$/.exec(text);
  const addr = parts && parseAddr(parts[1]!);
  const port = parts?.[2] ? parsePort(parts[2]) : undefined;
  if (addr === null || isError(addr)) return undefined;
  return { addr, ...(port !== undefined && { port }) };
}

function readProtocol(request: Request, to: Target, family: Family, notes: string[]): number | Misunderstood {
  if (request.proto === undefined) {
    if (to.proto !== undefined) return to.proto;
    if (to.port !== undefined) return TCP;
    notes.push('no port given: an ICMP echo request (ping)');
    return family === 4 ? ICMP : ICMPV6;
  }
  const proto = parseProtocol(request.proto);
  if (proto === undefined)
    return { error: `'${request.proto}' is not a protocol`, option: 'proto', hint: 'tcp, udp, sctp, icmp, or a number from 0 to 255' };
  return proto === ICMP && family === 6 ? ICMPV6 : proto;
}

function readMac(text: string): { src: string; dst: string } | Misunderstood {
  const src = text.toLowerCase();
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(src)
    ? { src, dst: '00:00:00:00:00:00' }
    : { error: `'${text}' is not a link-layer address`, option: 'mac', hint: 'aa:bb:cc:dd:ee:ff' };
}

type Origin = Pick<Question, 'packet' | 'node' | 'namespace' | 'arrives' | 'device' | 'boundSource'>;

/** Where the packet begins: sent by a captured namespace, or coming in from outside. */
function readOrigin(world: World, request: Request, packet: Packet, notes: string[]): Origin | Misunderstood {
  const wrong = (error: string, hint = `an address, or one of: ${known(world)}`): Misunderstood => ({ error, option: 'from', hint });
  const sent = (ns: Namespace, src?: Addr): Origin => ({
    packet: src === undefined ? packet : { ...packet, src },
    node: ns.node,
    namespace: ns.name,
    arrives: false,
    boundSource: src !== undefined,
  });
  const roots = world.namespaces.filter((n) => n.name === '' && !n.stub);
  const record = readName(world, request.from, 'from');
  if (record && 'error' in record) return { ...record, option: 'from' };
  if (record?.namespace && request.in === undefined) {
    notes.push(`${request.from} is ${nameOf(record.namespace)} (${record.told})`);
    return sent(record.namespace);
  }
  const own = record && addressOf(record, packet.family);
  if (record && own === undefined)
    return wrong(`${request.from} has no IPv${packet.family} address (${record.told})`, 'both ends must be of one family');
  if (record && own !== undefined) notes.push(nameNote(request.from, record, own));
  const from = own === undefined ? request.from : formatAddr(own);
  if (from === 'local') {
    if (roots.length !== 1) return wrong(`'local' needs a capture of one node, and this one has ${roots.length}`);
    return request.in === undefined ? sent(roots[0]!) : wrong('what comes in by --in has an address: give it with --from');
  }
  const named = world.namespaces.find((n) => nameOf(n) === from);
  if (named) return request.in === undefined ? sent(named) : wrong(`${from} sends it itself: leave out --in, or give an address with --from`);
  const addr = parseAddr(from);
  if (isError(addr))
    return wrong(/^[\d.]+$/.test(from) || from.includes(':') ? addr.error : `'${from}' is neither an address nor a captured node or namespace`);
  if (familyOf(addr) !== packet.family)
    return wrong(`${from} is IPv${familyOf(addr)} and the destination is IPv${packet.family}`, 'both ends must be of one family');
  if (request.in !== undefined) return readArrival(world, request.in, { ...packet, src: addr });
  const owners = world.namespaces.filter((n) => n.addresses.some((a) => formatAddr(a.addr) === formatAddr(addr)));
  const owner = owners[0];
  if (owner) {
    if (owners.length > 1) notes.push(`${from} is an address of ${owners.map(nameOf).join(' and ')}: taken as sent by ${nameOf(owner)}`);
    else notes.push(`${from} is an address of ${nameOf(owner)}`);
    return sent(owner, addr);
  }
  const host = record?.host;
  if (host && !host.stub) return arrivesByRoute(host, { ...packet, src: addr }, notes);
  if (roots.length !== 1)
    return {
      error: `nobody in the capture has ${from}: say where it comes in`,
      option: 'in',
      hint: `--in NODE:IFACE, nodes: ${roots.map((n) => n.node).join(', ')}`,
    };
  return arrivesByRoute(roots[0]!, { ...packet, src: addr }, notes);
}

/** An address that nobody owns comes in on the interface that the route back to it uses. */
function arrivesByRoute(ns: Namespace, packet: Packet, notes: string[]): Origin {
  const src = formatAddr(packet.src);
  const back = Fib.of(ns, packet.family).lookup(
    { family: packet.family, dst: packet.src, iif: 'lo', mark: 0, tos: 0 },
    { decide: () => false, pick: (_key, hops) => hops[0]! },
  );
  const device = back.kind === 'hit' && back.route.type === 'unicast' ? back.hop.device : undefined;
  notes.push(
    device === undefined
      ? `${src} comes in from outside, by an interface that the capture does not tell (--in NODE:IFACE says which)`
      : `${src} comes in on ${device}, where the route back to it leads (--in NODE:IFACE says otherwise)`,
  );
  return { packet, node: ns.node, namespace: ns.name, arrives: true, boundSource: true, ...(device !== undefined && { device }) };
}

function readArrival(world: World, text: string, packet: Packet): Origin | Misunderstood {
  const colon = text.lastIndexOf(':');
  const roots = world.namespaces.filter((n) => n.name === '' && !n.stub);
  const name = colon < 0 ? undefined : text.slice(0, colon);
  const device = text.slice(colon + 1);
  const wrong = (error: string): Misunderstood => ({ error, option: 'in', hint: `NODE:IFACE; nodes and namespaces: ${known(world)}` });
  const ns = name === undefined || name === 'local' ? (roots.length === 1 ? roots[0] : undefined) : world.namespaces.find((n) => nameOf(n) === name);
  if (!ns) return wrong(name === undefined ? `'${text}' names no node` : `there is no node or namespace '${name}'`);
  if (ns.captured.links && !ns.links.some((l) => l.name === device))
    return wrong(`${nameOf(ns)} has no interface '${device}' (it has ${ns.links.map((l) => l.name).join(', ')})`);
  return { packet, node: ns.node, namespace: ns.name, arrives: true, boundSource: true, device };
}

function known(world: World): string {
  const names = world.namespaces.map(nameOf);
  return names.length > 12 ? `${names.slice(0, 12).join(', ')}, ... (${names.length})` : names.join(', ');
}
