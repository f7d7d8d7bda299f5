// Protocols, ports, ICMP types and TCP flags, by name and by number. Names are those of /etc/protocols and of
// `iptables -p icmp -h`; the tables hold what iptables itself prints or what people write by hand.

/** A table without a prototype: `constructor` is no protocol, though every plain object knows the word. */
function table<T>(entries: Record<string, T>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null) as Record<string, T>, entries);
}

const PROTOCOLS = table({
  ip: 0,
  icmp: 1,
  igmp: 2,
  ggp: 3,
  ipencap: 4,
  st: 5,
  tcp: 6,
  egp: 8,
  igp: 9,
  pup: 12,
  udp: 17,
  hmp: 20,
  'xns-idp': 22,
  rdp: 27,
  'iso-tp4': 29,
  dccp: 33,
  xtp: 36,
  ddp: 37,
  'idpr-cmtp': 38,
  ipv6: 41,
  'ipv6-route': 43,
  'ipv6-frag': 44,
  idrp: 45,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  skip: 57,
  'ipv6-icmp': 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  rspf: 73,
  vmtp: 81,
  eigrp: 88,
  ospf: 89,
  'ax.25': 93,
  ipip: 94,
  etherip: 97,
  encap: 98,
  pim: 103,
  ipcomp: 108,
  vrrp: 112,
  l2tp: 115,
  isis: 124,
  sctp: 132,
  fc: 133,
  'mobility-header': 135,
  udplite: 136,
  'mpls-in-ip': 137,
  manet: 138,
  hip: 139,
  shim6: 140,
  wesp: 141,
  rohc: 142,
  ethernet: 143,
});
const ALIASES = table<number>({ icmpv6: 58, icmp6: 58, all: 0, hopopt: 0, mh: 135, ipv4: 4, 'ipv6-mh': 135 });
const PROTOCOL_NAMES = new Map(Object.entries(PROTOCOLS).map(([name, n]) => [n, name]));

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const DCCP = 33;
export const ICMPV6 = 58;
/** IPv6 without anything behind its header. */
export const NO_NEXT_HEADER = 59;
/** IPv6 extension headers, behind which another header follows: hop-by-hop, routing, fragment, AH, destination. */
export const EXTENSION_HEADERS: readonly number[] = [0, 43, 44, 51, 60];

/** ip6_packet_match(), net/ipv6/netfilter/ip6_tables.c: protocol and ports are those of the last header, which such a packet does not tell. */
export function isExtended({ family, proto }: { readonly family: 4 | 6; readonly proto: number }): boolean {
  return family === 6 && EXTENSION_HEADERS.includes(proto);
}
export const SCTP = 132;
export const UDPLITE = 136;

/** A protocol number, 0 to 255, from its number or name (case ignored); undefined if it is neither. */
export function parseProtocol(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= 255 ? Number(text) : undefined;
  const name = text.toLowerCase();
  return PROTOCOLS[name] ?? ALIASES[name];
}

/** The usual name, or the number in decimal. */
export function formatProtocol(n: number): string {
  return PROTOCOL_NAMES.get(n) ?? String(n);
}

/** Reports whether the protocol's header begins with a source and a destination port. */
export function hasPorts(proto: number): boolean {
  return proto === TCP || proto === UDP || proto === SCTP || proto === DCCP || proto === UDPLITE;
}

// The few service names that old dumps and hand-written rules use; iptables-save -n and modern saves print numbers.
const SERVICES = table<number>({
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  tftp: 69,
  http: 80,
  www: 80,
  kerberos: 88,
  pop3: 110,
  sunrpc: 111,
  ntp: 123,
  'netbios-ns': 137,
  'netbios-dgm': 138,
  'netbios-ssn': 139,
  imap2: 143,
  imap: 143,
  snmp: 161,
  bgp: 179,
  ldap: 389,
  https: 443,
  'microsoft-ds': 445,
  submission: 587,
  ldaps: 636,
  imaps: 993,
  pop3s: 995,
  openvpn: 1194,
  mysql: 3306,
  postgresql: 5432,
  'http-alt': 8080,
  mdns: 5353,
});

/** A port from a number (decimal, or 0x.. as iptables accepts) or a well-known service name. */
export function parsePort(text: string): number | undefined {
  if (/^(\d{1,5}|0x[0-9a-fA-F]{1,4})$/.test(text)) return Number(text) <= 65535 ? Number(text) : undefined;
  return SERVICES[text.toLowerCase()];
}

export const TCP_FLAGS = table<number>({ FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 });

/** `SYN,ACK`, `ALL`, `NONE`, or single letters as tcpdump writes them (`SA`); undefined if anything else is in it. */
export function parseTcpFlags(text: string): number | undefined {
  const up = text.toUpperCase();
  if (up === 'ALL') return 0x3f;
  if (up === 'NONE') return 0;
  let bits = 0;
  for (const name of up.split(',')) {
    const bit = TCP_FLAGS[name];
    if (bit === undefined) return /^[FSRPAUEW]+$/.test(up) ? [...up].reduce((b, c) => b | (1 << 'FSRPAUEW'.indexOf(c)), 0) : undefined;
    bits |= bit;
  }
  return bits;
}

/** In the order of their bits, as iptables prints them: FIN,SYN,RST,PSH,ACK,URG,ECE,CWR; `NONE` for no bit. */
export function formatTcpFlags(bits: number): string {
  const names = Object.entries(TCP_FLAGS)
    .filter(([, bit]) => bits & bit)
    .map(([name]) => name);
  return names.length ? names.join(',') : 'NONE';
}

/** An ICMP type with the codes meant: [type, first code, last code]. */
export type IcmpType = readonly [type: number, lo: number, hi: number];

const one = (type: number, code: number): IcmpType => [type, code, code];
const any = (type: number): IcmpType => [type, 0, 255];

/** Names of ICMP (IPv4) types, as iptables knows them (`iptables -p icmp -h`). */
export const ICMP_TYPES = table<IcmpType>({
  any: any(255),
  'echo-reply': any(0),
  pong: any(0),
  'destination-unreachable': any(3),
  'network-unreachable': one(3, 0),
  'host-unreachable': one(3, 1),
  'protocol-unreachable': one(3, 2),
  'port-unreachable': one(3, 3),
  'fragmentation-needed': one(3, 4),
  'source-route-failed': one(3, 5),
  'network-unknown': one(3, 6),
  'host-unknown': one(3, 7),
  'network-prohibited': one(3, 9),
  'host-prohibited': one(3, 10),
  'TOS-network-unreachable': one(3, 11),
  'TOS-host-unreachable': one(3, 12),
  'communication-prohibited': one(3, 13),
  'host-precedence-violation': one(3, 14),
  'precedence-cutoff': one(3, 15),
  'source-quench': any(4),
  redirect: any(5),
  'network-redirect': one(5, 0),
  'host-redirect': one(5, 1),
  'TOS-network-redirect': one(5, 2),
  'TOS-host-redirect': one(5, 3),
  'echo-request': any(8),
  ping: any(8),
  'router-advertisement': any(9),
  'router-solicitation': any(10),
  'time-exceeded': any(11),
  'ttl-exceeded': any(11),
  'ttl-zero-during-transit': one(11, 0),
  'ttl-zero-during-reassembly': one(11, 1),
  'parameter-problem': any(12),
  'ip-header-bad': one(12, 0),
  'required-option-missing': one(12, 1),
  'timestamp-request': any(13),
  'timestamp-reply': any(14),
  'address-mask-request': any(17),
  'address-mask-reply': any(18),
});

/** Names of ICMPv6 types, as ip6tables knows them. */
export const ICMPV6_TYPES = table<IcmpType>({
  'destination-unreachable': any(1),
  'no-route': one(1, 0),
  'communication-prohibited': one(1, 1),
  'beyond-scope': one(1, 2),
  'address-unreachable': one(1, 3),
  'port-unreachable': one(1, 4),
  'failed-policy': one(1, 5),
  'reject-route': one(1, 6),
  'packet-too-big': any(2),
  'time-exceeded': any(3),
  'ttl-exceeded': any(3),
  'ttl-zero-during-transit': one(3, 0),
  'ttl-zero-during-reassembly': one(3, 1),
  'parameter-problem': any(4),
  'bad-header': one(4, 0),
  'unknown-header-type': one(4, 1),
  'unknown-option': one(4, 2),
  'echo-request': any(128),
  ping: any(128),
  'echo-reply': any(129),
  pong: any(129),
  'mld-listener-query': any(130),
  'mld-listener-report': any(131),
  'mld-listener-done': any(132),
  'mld-listener-reduction': any(132),
  'router-solicitation': any(133),
  'router-advertisement': any(134),
  'neighbour-solicitation': any(135),
  'neighbor-solicitation': any(135),
  'neighbour-advertisement': any(136),
  'neighbor-advertisement': any(136),
  redirect: any(137),
});
