// What of nft's language is decided, and what is not: the list that `netwhy matches` prints.
import type { ExprSyntax, StatementSyntax } from './syntax.ts';

/** As of the matches and targets of iptables: decided; undecidable from one packet; kept as words. The last two fork the walk where they matter. */
export type Status = 'evaluated' | 'forks' | 'opaque';

/** Statements or expressions of nft that are treated alike. */
export interface Construct {
  readonly kind: 'statement' | 'expression';
  /** As nft spells them, `ct count`; a statement that sets something ends in `set`. */
  readonly names: readonly string[];
  readonly status: Status;
  /** What they do or look at. */
  readonly summary: string;
  /** Why they are not evaluated. */
  readonly why?: string;
}

function construct(kind: Construct['kind'], names: string, status: Status, summary: string, why?: string): Construct {
  return { kind, names: names.split(', '), status, summary, ...(why !== undefined && { why }) };
}

const does = construct.bind(undefined, 'statement');
const asks = construct.bind(undefined, 'expression');

/** Everything that nft has words for. */
export const constructs: readonly Construct[] = [
  does('accept, drop, return, continue, jump, goto', 'evaluated', 'Verdicts.'),
  does('vmap', 'evaluated', 'The verdict that a map has for a key.'),
  does('reject', 'evaluated', 'Drops the packet and answers with an ICMP error or a TCP reset.'),
  does('snat, dnat, masquerade, redirect', 'evaluated', 'Translate addresses and ports: to what is written down, what a map has, or a prefix.'),
  does('notrack', 'evaluated', 'Keeps conntrack off.'),
  does(
    'meta mark set, meta pkttype set, ct mark set, ct zone set',
    'evaluated',
    'Set the mark, the kind of packet, the mark or zone of the connection.',
  ),
  does(
    'ip saddr set, ip daddr set, ip6 saddr set, ip6 daddr set, sport set, dport set, ttl set, hoplimit set, dscp set, ecn set, tcp flags set',
    'evaluated',
    'Rewrite header fields, `ip ttl set 64`.',
  ),
  does(
    'id set, frag-off set, flowlabel set, checksum set, sequence set, ackseq set, window set, urgptr set, vtag set, tcp option set, reset',
    'evaluated',
    'Rewrite what no question tells of a packet.',
  ),
  does('field set, th sport set, th dport set', 'opaque', 'Rewrite any other header field.', 'they are not modelled'),
  does(
    'meta set, ct set, ct helper set, ct timeout set, meta secmark set',
    'evaluated',
    'Set what decides nothing here: priority, nftrace, label, event, ...',
  ),
  does('ct expectation set', 'opaque', 'Lets a connection come that this one announces.', 'expectations are not modelled'),
  does('add @, update @, delete @, meter', 'evaluated', 'Change a set or map, which the rest of the walk and the reply find changed.'),
  does('counter, last, log', 'evaluated', 'Count, keep the time, write to the kernel log.'),
  does('dup', 'evaluated', 'Sends a copy elsewhere, which is not followed.'),
  does('flow add', 'evaluated', 'Puts the connection into a flowtable; what takes the short way from then on is not followed.'),
  does('limit, quota, ct count', 'forks', 'Match at a rate, up to an amount, by the number of connections.', 'that depends on other packets'),
  does('queue', 'forks', 'Passes the packet to a program, which accepts or drops it.', 'the program is not captured'),
  does('tproxy', 'forks', 'Hands the packet to a local socket.', 'whether one listens is not captured'),
  does('synproxy', 'opaque', 'Answers SYNs in place of the server.', 'the proxy is not modelled'),
  does('fwd', 'opaque', 'Sends the packet by another device.', 'the way from there is not followed'),
  does(
    'xt',
    'opaque',
    'A match or target of iptables that nft cannot show.',
    'where `iptables-nft-save` or `ip6tables-nft-save` is captured too, it is read there',
  ),
  asks(
    'ip, ip6, tcp, udp, udplite, sctp, dccp, th, icmp, icmpv6, igmp, esp, ah, comp, ether, @nh, @th',
    'evaluated',
    'Header fields, or bits of them. Those that the question does not give (ids, checksums, sequence numbers) fork.',
  ),
  asks('ether daddr, vlan, @ll', 'forks', 'The link-layer header.', 'of it only what `--mac` says is part of the packet'),
  asks('gre, @ih', 'opaque', 'What a packet carries.', 'it is not part of the packet'),
  asks('ip option', 'evaluated', 'Options of IPv4, of which a packet has none.'),
  asks('tcp option, sctp chunk, dccp option, exthdr', 'forks', 'Options, chunks, extension headers.', 'they are not part of the packet'),
  asks(
    'meta mark, meta length, meta l4proto, meta nfproto, meta protocol, meta pkttype, meta skuid, meta skgid, meta iif, meta oif, meta iifname, meta oifname, meta ibrname, meta obrname',
    'evaluated',
    'The mark, length, protocols, devices, bridges; the owner of the socket, as the question says.',
  ),
  asks(
    'meta time, meta day, meta hour, meta iiftype, meta oiftype',
    'forks',
    'When the packet comes; the kinds of its devices.',
    'the question does not say',
  ),
  asks('meta random, numgen, jhash, symhash', 'forks', 'Numbers of chance, with their probabilities, or of a hash.', 'they are not known beforehand'),
  asks('meta', 'opaque', 'Any other: cpu, cgroup, priority, device groups, types and kinds, rtclassid, ...', 'they are not modelled'),
  asks(
    'ct state, ct status, ct mark, ct direction, ct zone, ct saddr, ct daddr, ct proto-src, ct proto-dst, ct protocol, ct l3proto',
    'evaluated',
    'The connection and its addresses of both directions.',
  ),
  asks(
    'ct, ct original zone, ct reply zone',
    'forks',
    'Any other: helper, label, expiration, packets, bytes, ...',
    'of a connection to come they are not captured',
  ),
  asks('fib', 'evaluated', 'The type of an address, or the device to it, by the routing tables.'),
  asks('rt, socket, osf, ipsec', 'opaque', 'The route, the socket, the operating system, IPsec.', 'they are not modelled'),
  asks('map, set, @', 'evaluated', 'Values by a key; sets with intervals, concatenations, `*`, timeouts.'),
];

const byName = new Map(constructs.flatMap((c) => c.names.map((name) => [`${c.kind} ${name}`, c] as const)));

/** The entry of the first of these names that has one. */
function entry(kind: Construct['kind'], ...names: readonly string[]): Construct[] {
  const found = names.map((name) => byName.get(`${kind} ${name}`)).find((c) => c !== undefined);
  return found ? [found] : [];
}

/** What a statement is made of; it has no entry for what it does not know. */
export function constructsOf(s: StatementSyntax): Construct[] {
  switch (s.kind) {
    case 'match':
      return [s.left, s.right].flatMap(inExpression);
    case 'connlimit':
      return entry('statement', 'ct count');
    case 'vmap':
      return [...entry('statement', 'vmap'), ...inExpression(s.key), ...inExpression(s.data)];
    case 'assign':
      return [...inAssignment(s.to), ...inExpression(s.value)];
    case 'nat':
      return [...entry('statement', s.type), ...[s.addr, s.port].flatMap((e) => (e ? inExpression(e) : []))];
    case 'element': {
      const { key, data, then = [] } = s.element;
      const name = s.meter === undefined ? `${s.op} @` : 'meter';
      return [...entry('statement', name), ...inExpression(key), ...(data ? inExpression(data) : []), ...then.flatMap(constructsOf)];
    }
    case 'verdict':
      return entry('statement', s.verdict);
    case 'flow':
      return entry('statement', 'flow add');
    case 'object':
      return entry('statement', s.of === 'synproxy' ? s.of : s.of === 'secmark' ? 'meta secmark set' : `${s.of} set`);
    case 'opaque':
      return [];
    default:
      return entry('statement', s.kind);
  }
}

function inAssignment(to: ExprSyntax): Construct[] {
  switch (to.kind) {
    case 'payload':
      return entry('statement', `${to.protocol} ${to.field} set`, `${to.field} set`, 'field set');
    case 'option':
      return entry('statement', 'tcp option set');
    case 'meta':
    case 'ct':
      return entry('statement', `${to.kind} ${to.key} set`, `${to.kind} set`);
    default:
      return entry('statement', 'field set');
  }
}

function inExpression(e: ExprSyntax): Construct[] {
  switch (e.kind) {
    case 'payload':
      return entry('expression', `${e.protocol} ${e.field}`, e.protocol);
    case 'raw':
      return entry('expression', `@${e.base}`);
    case 'option':
      return entry('expression', e.of === 'sctp' ? 'sctp chunk' : `${e.of} option`);
    case 'meta':
      return entry('expression', `meta ${e.key}`, 'meta');
    case 'ct':
      return entry('expression', `ct ${e.direction} ${e.key}`, `ct ${e.key}`, 'ct');
    case 'hash':
      return entry('expression', e.by);
    case 'binary':
      return [e.left, e.right].flatMap(inExpression);
    case 'concat':
    case 'list':
      return e.of.flatMap(inExpression);
    case 'map':
      return [...entry('expression', 'map'), ...inExpression(e.key), ...inExpression(e.data)];
    case 'set':
      return [...entry('expression', 'set'), ...e.elements.flatMap((x) => (x.then ?? []).flatMap(constructsOf))];
    case 'reference':
      return entry('expression', '@');
    case 'exthdr':
    case 'rt':
    case 'socket':
    case 'fib':
    case 'numgen':
    case 'osf':
    case 'ipsec':
      return entry('expression', e.kind);
    default:
      return [];
  }
}
