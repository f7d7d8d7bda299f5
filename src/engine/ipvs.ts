// What IPVS does to a packet at its places in the hooks: a request goes to a real server, a reply gets its virtual address back,
// an ICMP error about either is treated like it. ip_vs_in_hook(), ip_vs_out_hook(), net/netfilter/ipvs/ip_vs_core.c
import { familyOf, formatAddr, formatEndpoint, isLoopback, isMulticast, type Addr } from '../net/addr.ts';
import { formatProtocol, ICMP, ICMPV6, SCTP, TCP, UDP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { ForwardingMethod, IpvsEnd, RealServer, VirtualServer } from '../model/ipvs.ts';
import type { Packet } from '../model/packet.ts';
import { ADDR_TYPE, CT_STATE, type Hook } from '../model/ruleset.ts';
import type { Step } from '../model/trace.ts';
import type { Choices } from './choice.ts';
import type { Connection } from './conntrack.ts';
import { Fib } from './fib.ts';
import { translatesAddresses } from './hooks.ts';
import { chunkOf, reuse } from './ipvsreuse.ts';
import type { Balanced, Ends, IpvsTable } from './ipvstable.ts';
import { endpoint, unspecified } from './nat.ts';
import type { Directed } from './sight.ts';
import { mtuOf, place, routeOutput, type Refusal, type Router, type Way } from './routing.ts';
import { schedule } from './scheduler.ts';
import { setting } from './sysctl.ts';

/** The packet as IPVS meets it. */
export interface Meeting {
  readonly ns: Namespace;
  readonly table: IpvsTable;
  readonly hook: Hook;
  readonly packet: Packet;
  /** The input device; '' for a packet of this host. */
  readonly iif: string | undefined;
  /** The way that routing chose for it. */
  readonly out: Way | undefined;
  /** What conntrack knows of it. */
  readonly connection: Connection | undefined;
  readonly router: Router;
  readonly choices: Choices;
}

/** What IPVS made of a packet. */
export type Handled =
  /** Nothing: it goes on as it was. */
  | { readonly kind: 'passed'; readonly step?: Step; readonly marked?: true }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly step?: Step }
  /** It stays in its hook: the server is this host, or it is a reply. */
  | { readonly kind: 'kept'; readonly packet: Packet; readonly connection: Balanced; readonly step: Step; readonly reroute?: true }
  /** It goes on at OUTPUT, by this way. */
  | { readonly kind: 'sent'; readonly packet: Packet; readonly connection: Balanced; readonly step: Step; readonly way: Way }
  /** It goes on inside this packet. */
  | {
      readonly kind: 'wrapped';
      readonly packet: Packet;
      readonly outer: Packet;
      readonly way: Way;
      readonly connection: Balanced;
      readonly step: Step;
    };

const PASSED: Handled = { kind: 'passed' };
const FTP_DATA = 20;
const FTP = 21;
/** Protocols that IPVS knows besides TCP, UDP and SCTP. */
const ESP = 50;
const AH = 51;
const SYN = 2;
const RST = 4;
/** SCTP chunk types. */
const INIT = 1;
const ABORT = 6;

function isBalanced(proto: number): boolean {
  return proto === TCP || proto === UDP || proto === SCTP;
}

/** ip_vs_in_hook(): a packet from a client. */
export function meetRequest(m: Meeting): Handled {
  const { packet, table } = m;
  if (isError(packet)) return meetErrorFromClient(m);
  if (!isBalanced(packet.proto)) {
    const isKnown = packet.proto === ESP || packet.proto === AH;
    return !isKnown && setting(m.ns, 'net.ipv4.vs.ignore_tunneled', 0).value !== 0 ? { kind: 'passed', marked: true } : PASSED;
  }
  const ends = endsOf(packet);
  const isOpen = packet.undetermined?.src !== undefined || packet.undetermined?.sport !== undefined;
  const known = table.of(ends, isOpen);
  if (isOpen && !known && table.hasClient(ends.client.addr))
    m.choices.assume(`the source of the packet is none that IPVS of ${place(m.ns)} holds a connection of (its port is not known)`);
  const fate = known && reuse(m, known);
  if (known && fate?.do === 'drop') {
    const step: Step = { ...told(m, known, fate.brief), did: 'refused', text: known.text ?? '', cure: fate.cure };
    return { kind: 'refused', refusal: dropped(fate.why, known.at), step };
  }
  if (known && fate?.do === 'keep') return transmit(m, known, fate.why);
  return begin(m, ends, packet, fate?.why);
}

/** tcp_conn_schedule(), udp_conn_schedule(), sctp_conn_schedule(): picks a server for a new connection, or leaves the packet alone. */
function begin(m: Meeting, ends: Ends, p: Packet, because: string | undefined): Handled {
  const { ns, table, packet } = m;
  const isSloppy = (proto: string): boolean => setting(ns, `net.ipv4.vs.sloppy_${proto}`, 0).value !== 0;
  const about = p !== packet; // scheduled by an ICMP error about it
  if (!about && p.proto === TCP && ((p.flags ?? 0) & RST || !((p.flags ?? 0) & SYN || isSloppy('tcp')))) return PASSED;
  if (!about && p.proto === SCTP && (chunkOf(p) === ABORT || !(chunkOf(p) === INIT || isSloppy('sctp')))) return PASSED;
  const service = table.service(p.family, packet.mark, p.proto, ends.virtual);
  if (!service) return missed(m, ends);
  if (ends.client.port === FTP_DATA && !p.undetermined?.sport) return PASSED;
  // a reply of a server on this host
  const back: Ends = { proto: ends.proto, client: ends.virtual, virtual: ends.client };
  if ((m.iif === '' || m.iif === 'lo') && table.of(back)) return PASSED;
  const dport = ends.virtual.port;
  const mayServe = service.persistence !== undefined || service.mark !== undefined || dport === service.port;
  if (!ns.ipvs?.connections) {
    const kept = service.persistence ? ', and no template that keeps its server' : '';
    m.choices.assume(`IPVS of ${place(ns)} holds no connection of ${endText(ends.client)} yet${kept} (ipvsadm -Lnc was not captured)`, service.at);
  }
  if (
    service.isPartial &&
    !m.router.decide(
      `ipvs-read:${service.at.file}:${service.at.line}`,
      `${service.scheduler} of '${service.text}' picks a real server that could be read`,
    )
  )
    return {
      kind: 'refused',
      refusal: {
        kind: 'refused',
        outcome: 'cannot-tell',
        why: `a real server of '${service.text}' on ${place(ns)} could not be read, and may be picked`,
        at: service.at,
      },
    };
  const { real, why } = mayServe ? pick(m, service, ends, p) : { why: 'it is for every port, and only a persistent service can be' };
  if (!real) return leave(m, service, ends, about, why);
  const isOwnPort = service.mark === undefined && dport === service.port;
  const port = service.persistence ? (isOwnPort && real.port !== 0 ? real.port : dport) : real.port || dport;
  const connection: Balanced = {
    ...ends,
    server: { addr: real.addr, port },
    method: real.forwarding,
    real,
    service,
    controlled: service.persistence !== undefined,
    tracked: table.isTracked(),
    onePacket: service.onePacket && p.proto === UDP,
  };
  table.begin(connection);
  return transmit(m, connection, because === undefined ? why : `${because}; ${why}`);
}

/** A server by the client's template, else by the scheduler. */
function pick({ ns, table, choices }: Meeting, service: VirtualServer, ends: Ends, p: Packet): { real?: RealServer; why: string } {
  const template = service.persistence && table.template(service, ends.proto, ends.client.addr, ends.virtual);
  const kept = template && table.serverOf(service, template.server, template.at);
  // ip_vs_check_template()
  const isQuiet = kept?.weight === 0 && setting(ns, 'net.ipv4.vs.expire_quiescent_template', 0).value !== 0;
  if (template && kept && !isQuiet) return { real: kept, why: `the client had this server before (template '${template.text}')` };
  const loose = p.undetermined ?? {};
  const candidates = schedule(service, {
    ...(!loose.src && { client: ends.client.addr }),
    ...(!loose.sport && { clientPort: ends.client.port }),
    // dh hashes the destination of what it sees, also where that is a reply which an error quotes
    ...(!loose.dst && { virtual: p.dst }),
    proto: p.proto,
    ...(ns.kernel !== undefined && { kernel: ns.kernel }),
  });
  const { server, why } = choices.choose(
    undefined,
    candidates.map((c) => ({
      value: c,
      what: c.why,
      ...(c.probability !== undefined && { probability: c.probability }),
      at: c.server?.at ?? service.at,
    })),
  );
  return { ...(server && { real: server }), why };
}

/** ip_vs_leave(): a service that has no server for the packet. */
function leave(m: Meeting, service: VirtualServer, ends: Ends, about: boolean, lack: string): Handled {
  const { ns, packet } = m;
  if (setting(ns, 'net.ipv4.vs.cache_bypass', 0).value !== 0 && service.mark !== undefined && isUnicast(ns, packet) && !about) {
    const bypass = { ...ends, server: ends.virtual, method: 'bypass' as const, service, controlled: false, tracked: false, onePacket: false };
    return transmit(m, bypass, 'it has no server, and net.ipv4.vs.cache_bypass lets the packet pass by');
  }
  if (service.port === FTP && ends.virtual.port !== FTP) return PASSED;
  const answer = about ? 'the ICMP error is dropped' : `it answers ICMP${packet.family === 6 ? 'v6' : ''} port unreachable`;
  const why = `the virtual server '${service.text}' on ${place(ns)} has no server for it (${lack}): ${answer}`;
  return {
    kind: 'refused',
    refusal: { kind: 'refused', outcome: 'no-server', why, at: service.at },
    step: { step: 'ipvs', hook: m.hook, did: 'refused', text: service.text, why: lack, at: service.at },
  };
}

/** No service has this port of an address that has others: worth telling. */
function missed({ table, hook }: Meeting, ends: Ends): Handled {
  const others = table.servicesOf(ends.virtual.addr);
  if (others.length === 0) return PASSED;
  const names = others.map((s) => `${formatProtocol(s.proto ?? 0)} ${s.port}`);
  const why = `no virtual server for ${formatProtocol(ends.proto)} ${endText(ends.virtual)}: of this address there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`;
  return { kind: 'passed', step: { step: 'ipvs', hook, did: 'passed', text: others[0]!.text, why, at: others[0]!.at } };
}

/** ip_vs_addr_is_unicast(): IPv4 asks for the type of the address, IPv6 does not even ask whether it is local. */
function isUnicast(ns: Namespace, { family, dst }: Packet): boolean {
  const type = family === 6 ? undefined : Fib.of(ns, 4).addressType(dst);
  return type ? (type.type & ADDR_TYPE.UNICAST) !== 0 : !isMulticast(dst);
}

/** Sends a packet of a connection to its server: cp->packet_xmit(). */
function transmit(m: Meeting, c: Balanced, why: string): Handled {
  const { ns, packet, out, hook } = m;
  const method = c.method ?? 'masq';
  const to = packetTo(packet, c, method);
  const step = (rewritten: Packet): Step => ({ ...told(m, c, why), ...(method === 'masq' && rewriting(packet, rewritten, 'dst')) });
  if (method === 'local') return { kind: 'kept', packet, connection: c, step: step(packet) };
  const way = routeTo(m, method === 'bypass' ? packet.dst : c.server.addr);
  const refused = (refusal: Refusal): Handled => ({ kind: 'refused', refusal, step: step(to) });
  if (way.kind === 'refused') return refused({ ...way, why: `real server ${endText(c.server)}: ${way.why}`, at: way.at ?? c.real?.at ?? c.at! });
  const wasLocal = out?.kind === 'local';
  // crosses_local_route_boundary()
  const fromLoopback = isLoopback(packet.src) && (packet.family === 4 || m.iif === '' || m.iif === 'lo');
  if (way.kind === 'local') {
    if (method === 'bypass' || (hook === 'FORWARD' && isError(packet)) || (method !== 'masq' && !wasLocal))
      return refused(dropped(`real server ${endText(c.server)} is ${place(ns)} itself, and ${method} does not lead there from here`, c.real?.at));
    const cameIn = m.iif !== '' && m.iif !== 'lo';
    if (method === 'masq' && cameIn && isLoopback(c.server.addr))
      return refused(dropped(`real server ${endText(c.server)} is a loopback address, and the packet came in from outside`, c.real?.at));
    return { kind: 'kept', packet: method === 'masq' ? to : packet, connection: c, step: step(to) };
  }
  if (fromLoopback)
    return refused(dropped(`a packet from ${formatAddr(packet.src)} may not leave ${place(ns)} for ${endText(c.server)}`, c.real?.at));
  if (packet.ttl <= 1) {
    const told = `its TTL reached 0 at ${place(ns)}, which answers ICMP time exceeded`;
    return refused({ kind: 'refused', outcome: 'ttl-exceeded', why: told });
  }
  const limit = mtuOf(ns, way);
  const room = limit && limit.mtu - (method === 'tunnel' ? overhead(c) : 0);
  if (room !== undefined && packet.length > room && !isError(packet)) {
    const told = `${packet.length} bytes do not fit the ${room} that are left on the way to real server ${endText(c.server)}`;
    return refused({ kind: 'refused', outcome: 'too-big', why: told, ...(limit?.at && { at: limit.at }) });
  }
  const sent = { ...to, ttl: packet.ttl - 1 };
  if (method === 'tunnel') {
    const src = way.src ?? unspecified(packet);
    const outer: Packet = {
      family: familyOf(c.server.addr),
      src,
      dst: c.server.addr,
      proto: c.real?.tunnel?.type === 'gre' ? 47 : c.real?.tunnel?.type === 'gue' ? UDP : packet.family === 6 ? 41 : 4,
      ttl: sent.ttl,
      length: packet.length + overhead(c),
      tos: packet.tos,
      mark: packet.mark,
      ...(c.real?.tunnel?.type === 'gue' && { sport: 32768, dport: c.real.tunnel.port ?? 0, undetermined: { sport: [32768, 60999] as const } }),
      ...(packet.at !== undefined && { at: packet.at }),
    };
    return { kind: 'wrapped', packet: sent, outer, way, connection: c, step: step(to) };
  }
  // FLOWI_FLAG_KNOWN_NH: the neighbour is the real server, whatever the packet's destination is
  const direct = method === 'direct' ? { ...way, via: way.via ?? c.server.addr } : way;
  return { kind: 'sent', packet: sent, connection: c, step: step(sent), way: direct };
}

/** __ip_vs_get_out_rt(): by the server's address alone, without source and mark. */
function routeTo({ ns, packet, router }: Meeting, dst: Addr): Way | Refusal {
  const probe: Packet = { family: familyOf(dst), src: unspecified(packet), dst, proto: 0, ttl: 64, length: packet.length, tos: 0, mark: 0 };
  return routeOutput(ns, probe, false, router, true);
}

/** Bytes that a tunnel adds: ip_vs_tunnel_xmit(). */
function overhead(c: Balanced): number {
  const header = familyOf(c.server.addr) === 6 ? 40 : 20;
  const { type, checksum } = c.real?.tunnel ?? {};
  return header + (type === 'gue' ? 12 : type === 'gre' ? (checksum === 'none' ? 4 : 8) : 0);
}

function packetTo(packet: Packet, c: Balanced, method: ForwardingMethod): Packet {
  if (method !== 'masq') return packet;
  const { undetermined: { dst: _dst, dport: _dport, ...loose } = {}, ...rest } = packet;
  const open = Object.keys(loose).length > 0 && { undetermined: loose };
  if (packet.inner) {
    // ip_vs_nat_icmp(): the quoted packet is the server's own
    const inner: Packet = { ...packet.inner, src: c.server.addr, ...(packet.inner.sport !== undefined && { sport: c.server.port }) };
    return { ...rest, ...open, dst: c.server.addr, inner };
  }
  return { ...rest, ...open, dst: c.server.addr, dport: c.server.port };
}

/** ip_vs_out_hook(): a packet from a real server. */
export function meetReply(m: Meeting): Handled {
  const { packet, table } = m;
  if (isError(packet)) return meetErrorFromServer(m);
  if (!isBalanced(packet.proto) || packet.undetermined?.src || packet.undetermined?.dst) return PASSED;
  const { client, virtual } = endsOf(packet);
  const c = table.answering(packet.proto, client, virtual);
  if (!c) return isUnasked(m, client) ? unasked(m, client) : PASSED;
  if (c.method !== undefined && c.method !== 'masq') return { kind: 'kept', packet, connection: c, step: told(m, c, 'the reply of its server') };
  const back: Packet = { ...packet, src: c.virtual.addr, sport: c.virtual.port };
  return replied(m, back, c, `the reply of ${endText(c.server)} gets the address back that was asked`);
}

/** nat_icmp_send: a server that answers without having been asked is told so, unless it breaks the connection off itself. */
function isUnasked({ ns, packet, table }: Meeting, from: IpvsEnd): boolean {
  if (setting(ns, 'net.ipv4.vs.nat_icmp_send', 0).value === 0 || !table.isServer(packet.proto, from)) return false;
  return packet.proto === TCP ? ((packet.flags ?? 0) & RST) === 0 : packet.proto !== SCTP || chunkOf(packet) !== ABORT;
}

function unasked({ ns, hook }: Meeting, from: IpvsEnd): Handled {
  const { at } = setting(ns, 'net.ipv4.vs.nat_icmp_send', 0);
  const why = `${endText(from)} is a real server, and no connection is known that it answers: it gets ICMP port unreachable (net.ipv4.vs.nat_icmp_send is on)`;
  const step: Step = { step: 'ipvs', hook, did: 'refused', text: 'net.ipv4.vs.nat_icmp_send', why, ...(at && { at }) };
  return { kind: 'refused', refusal: { kind: 'refused', outcome: 'rejected', why, ...(at && { at }) }, step };
}

function replied(m: Meeting, back: Packet, c: Balanced, why: string): Handled {
  // ip_vs_route_me_harder(): only of what goes to remote clients
  const away = m.hook !== 'INPUT' && m.out?.kind !== 'local' && setting(m.ns, 'net.ipv4.vs.snat_reroute', 1).value !== 0;
  const step: Step = { ...told(m, c, why), ...rewriting(m.packet, back, 'src') };
  return { kind: 'kept', packet: back, connection: c, step, ...(away && { reroute: true as const }) };
}

/** ip_vs_forward_icmp(): what is forwarded meets IPVS as an ICMP error, or as a reply; a request for an address that is not this host's does not. */
export function meetForwarded(m: Meeting): Handled {
  const { ns, packet, table, hook } = m;
  if (!isBalanced(packet.proto)) return meetErrorFromClient(m);
  const service = packet.mark === 0 ? table.service(packet.family, 0, packet.proto, endsOf(packet).virtual) : undefined;
  if (!service) return PASSED;
  const why = `'${service.text}' on ${place(ns)} does not take it: ${formatAddr(packet.dst)} is no address of ${place(ns)} (kube-ipvs0, a dummy device), so it is forwarded`;
  return { kind: 'passed', step: { step: 'ipvs', hook, did: 'passed', text: service.text, why, at: service.at } };
}

/** ip_vs_in_icmp(): an error about a reply goes to the server that sent it. */
function meetErrorFromClient(m: Meeting): Handled {
  const { ns, packet, table } = m;
  const quoted = packet.inner;
  if (!isError(packet) || !quoted || !isBalanced(quoted.proto)) return PASSED;
  const { client: virtual, virtual: client } = endsOf(quoted);
  const ends = { proto: quoted.proto, client, virtual };
  const known = table.of(ends);
  if (known) {
    if (packet.family === 6 && m.hook === 'OUTPUT' && (known.method ?? 'masq') !== 'masq') return PASSED;
    return transmit(m, known, 'it is about a reply of its server');
  }
  if (setting(ns, 'net.ipv4.vs.schedule_icmp', 0).value === 0) return PASSED;
  return begin(m, ends, quoted, 'net.ipv4.vs.schedule_icmp is on');
}

/**
 * handle_response_icmp() sums ICMPv6 without its pseudo header, which never fits: only what has been verified gets through. Conntrack does
 * that in PREROUTING; in OUTPUT nf_nat_icmpv6_reply_translation() does, for whatever is related to a connection.
 */
function isVerified({ ns, hook, connection }: Meeting): boolean {
  if (!connection || connection.state === CT_STATE.UNTRACKED) return false;
  return hook !== 'OUTPUT' || (connection.state !== CT_STATE.INVALID && translatesAddresses(ns, 6));
}

/** ip_vs_out_icmp(): an error about a request gets the virtual address, and quotes it. */
function meetErrorFromServer(m: Meeting): Handled {
  const { packet, table } = m;
  const quoted = packet.inner;
  if (!quoted || !isBalanced(quoted.proto)) return PASSED;
  const { client, virtual: server } = endsOf(quoted);
  const c = table.answering(quoted.proto, server, client);
  if (!c) return PASSED;
  if (c.method !== undefined && c.method !== 'masq') return { kind: 'kept', packet, connection: c, step: told(m, c, 'it is about a request') };
  if (packet.family === 6 && !isVerified(m))
    return {
      kind: 'refused',
      refusal: dropped('IPVS takes the checksum of an ICMPv6 error for wrong that conntrack has not verified', c.real?.at),
      step: told(m, c, 'an ICMPv6 error about a request'),
    };
  const inner: Packet = { ...quoted, dst: c.virtual.addr, ...(quoted.dport !== undefined && { dport: c.virtual.port }) };
  return replied(m, { ...packet, src: c.virtual.addr, inner }, c, 'the error is about a request, and quotes it as the client sent it');
}

/** The errors that IPVS looks into: unreachable, source quench, time exceeded. */
function isError(p: Packet): boolean {
  const type = p.icmp?.type;
  if (type === undefined) return false;
  return p.proto === ICMP ? type === 3 || type === 4 || type === 11 : p.proto === ICMPV6 && type < 128;
}

/**
 * ip_vs_update_conntrack() and ip_vs_notrack(): what conntrack knows of the packet from now on. `toServer` tells the direction.
 */
export function trackedAfter(connection: Connection | undefined, c: Balanced, toServer: boolean): Connection | undefined {
  // nothing was found: conntrack will look again at OUTPUT
  if (!connection || !('entry' in connection)) return connection?.state === CT_STATE.INVALID ? undefined : connection;
  if (!c.tracked) return { state: CT_STATE.UNTRACKED, why: 'IPVS takes it out of conntrack (net.ipv4.vs.conntrack is 0)' };
  const { entry, direction } = connection;
  if (entry.confirmed || (c.method ?? 'masq') !== 'masq' || c.onePacket || direction !== 'original') return connection;
  const { reply } = entry;
  entry.reply = toServer
    ? { ...reply, src: c.server.addr, ...(isBalanced(reply.proto) && { sport: c.server.port }) }
    : { ...reply, dst: c.virtual.addr, ...(isBalanced(reply.proto) && { dport: c.virtual.port }) };
  return connection;
}

/** ipvs_mt(), net/netfilter/xt_ipvs.c: what the match finds of a packet that IPVS marked, a request on its way to the server. */
export function directed(table: IpvsTable, p: Packet): Directed {
  if (!isBalanced(p.proto)) return {};
  const { client, virtual: server } = endsOf(p);
  const c = table.answering(p.proto, server, client);
  if (!c) return {};
  const { service, virtual } = c;
  const isOwn = service?.mark === undefined && service?.port === virtual.port && virtual.port !== FTP;
  const control = c.controlled && { controlPort: isOwn ? virtual.port : 0 };
  return { connection: { ...virtual, method: c.method ?? 'masq', ...control } };
}

function endsOf(p: Packet): Ends {
  return { proto: p.proto, client: { addr: p.src, port: p.sport ?? 0 }, virtual: { addr: p.dst, port: p.dport ?? 0 } };
}

function dropped(why: string, at: Span | undefined): Refusal {
  return { kind: 'refused', outcome: 'dropped', why, ...(at && { at }) };
}

type IpvsStep = Extract<Step, { step: 'ipvs' }>;

function told(m: Meeting, c: Balanced, why: string): IpvsStep {
  const at = c.at ?? c.real?.at ?? c.service?.at;
  return {
    step: 'ipvs',
    hook: m.hook,
    did: c.method ?? 'masq',
    text: c.service?.text ?? `${formatProtocol(c.proto)} ${endText(c.virtual)}`,
    server: endText(c.server),
    why,
    ...(at && { at }),
  };
}

function rewriting(before: Packet, after: Packet, manip: 'src' | 'dst'): Pick<IpvsStep, 'manip' | 'from' | 'to'> {
  return { manip, from: endpoint(before, manip), to: endpoint(after, manip) };
}

function endText(end: IpvsEnd): string {
  return formatEndpoint(end.addr, end.port);
}
