// The header fields that nft names: where they lie, how wide they are, what must be so for the packet to have them (nft adds that
// condition by itself: a dependency), and which of netwhy's fields they are. src/proto.c of nftables.
import { ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE, DCCP } from '../net/proto.ts';
import type { Field } from '../model/ruleset.ts';
import type { Datatype } from './datatype.ts';

/** IP protocols without a constant of their own. */
const [IGMP, ESP, AH, IPCOMP] = [2, 50, 51, 108] as const;

export interface HeaderField {
  readonly base: 'link' | 'network' | 'transport';
  /** Bits from the beginning of the header. */
  readonly offset: number;
  readonly length: number;
  readonly type: Datatype;
  /** The same as a field of the packet. */
  readonly field?: Field;
}

export interface Header {
  /** A packet without such a header has none of its fields. */
  readonly needs?: { readonly nfproto?: number; readonly proto?: number };
  readonly fields: Readonly<Record<string, HeaderField>>;
}

type Row = readonly [offset: number, length: number, type?: Datatype, field?: Field];

function header(base: HeaderField['base'], needs: Header['needs'], rows: Readonly<Record<string, Row>>): Header {
  const fields = Object.entries(rows).map(([name, [offset, length, type, field]]) => {
    const made: HeaderField = { base, offset, length, type: type ?? 'integer', ...(field !== undefined && { field }) };
    return [name, made] as const;
  });
  return { ...(needs && { needs }), fields: Object.assign(Object.create(null) as Record<string, HeaderField>, Object.fromEntries(fields)) };
}

const PORTS: Readonly<Record<string, Row>> = { sport: [0, 16, 'inet_service', 'sport'], dport: [16, 16, 'inet_service', 'dport'] };
const four = { nfproto: 2 };
const six = { nfproto: 10 };
const transport = (proto: number, rows: Readonly<Record<string, Row>>, family?: { readonly nfproto: number }): Header =>
  header('transport', { proto, ...family }, rows);

export const HEADERS: Readonly<Record<string, Header>> = Object.assign(Object.create(null) as Record<string, Header>, {
  ether: header('link', undefined, {
    daddr: [0, 48, 'ether_addr'],
    saddr: [48, 48, 'ether_addr', 'macsrc'],
    type: [96, 16, 'ether_type', 'ethertype'],
  }),
  vlan: header('link', undefined, { pcp: [112, 3], dei: [115, 1], cfi: [115, 1], id: [116, 12], type: [128, 16, 'ether_type'] }),
  ip: header('network', four, {
    version: [0, 4],
    hdrlength: [4, 4],
    dscp: [8, 6, 'dscp'],
    ecn: [14, 2, 'ecn'],
    length: [16, 16],
    id: [32, 16],
    'frag-off': [48, 16],
    ttl: [64, 8, 'integer', 'ttl'],
    protocol: [72, 8, 'inet_proto', 'nexthdr'],
    checksum: [80, 16],
    saddr: [96, 32, 'ipv4_addr', 'src'],
    daddr: [128, 32, 'ipv4_addr', 'dst'],
  }),
  ip6: header('network', six, {
    version: [0, 4],
    dscp: [4, 6, 'dscp'],
    ecn: [10, 2, 'ecn'],
    flowlabel: [12, 20],
    length: [32, 16],
    nexthdr: [48, 8, 'inet_proto', 'nexthdr'],
    hoplimit: [56, 8, 'integer', 'ttl'],
    saddr: [64, 128, 'ipv6_addr', 'src'],
    daddr: [192, 128, 'ipv6_addr', 'dst'],
  }),
  arp: header(
    'network',
    { nfproto: 3 },
    {
      htype: [0, 16],
      ptype: [16, 16, 'ether_type'],
      hlen: [32, 8],
      plen: [40, 8],
      operation: [48, 16, 'arp_op'],
      'saddr ether': [64, 48, 'ether_addr'],
      'saddr ip': [112, 32, 'ipv4_addr'],
      'daddr ether': [144, 48, 'ether_addr'],
      'daddr ip': [192, 32, 'ipv4_addr'],
    },
  ),
  tcp: transport(TCP, {
    ...PORTS,
    sequence: [32, 32],
    ackseq: [64, 32],
    doff: [96, 4],
    reserved: [100, 4],
    flags: [104, 8, 'tcp_flag', 'flags'],
    window: [112, 16],
    checksum: [128, 16],
    urgptr: [144, 16],
  }),
  udp: transport(UDP, { ...PORTS, length: [32, 16], checksum: [48, 16] }),
  udplite: transport(UDPLITE, { ...PORTS, cscov: [32, 16], csumcov: [32, 16], checksum: [48, 16] }),
  sctp: transport(SCTP, { ...PORTS, vtag: [32, 32], checksum: [64, 32] }),
  dccp: transport(DCCP, { ...PORTS, type: [67, 4, 'dccp_pkttype'] }),
  th: header('transport', undefined, { sport: [0, 16, 'inet_service'], dport: [16, 16, 'inet_service'] }),
  icmp: transport(
    ICMP,
    { type: [0, 8, 'icmp_type'], code: [8, 8, 'icmp_code'], checksum: [16, 16], id: [32, 16], sequence: [48, 16], gateway: [32, 32], mtu: [48, 16] },
    four,
  ),
  icmpv6: transport(
    ICMPV6,
    {
      type: [0, 8, 'icmpv6_type'],
      code: [8, 8, 'icmpv6_code'],
      checksum: [16, 16],
      'parameter-problem': [32, 32],
      'packet-too-big': [32, 32],
      mtu: [32, 32],
      id: [32, 16],
      sequence: [48, 16],
      'max-delay': [32, 16],
      taddr: [64, 128, 'ipv6_addr'],
      daddr: [192, 128, 'ipv6_addr'],
    },
    six,
  ),
  igmp: transport(IGMP, { type: [0, 8, 'igmp_type'], mrt: [8, 8], checksum: [16, 16], group: [32, 32, 'ipv4_addr'] }, four),
  esp: transport(ESP, { spi: [0, 32], sequence: [32, 32] }),
  ah: transport(AH, { nexthdr: [0, 8, 'inet_proto'], hdrlength: [8, 8], reserved: [16, 16], spi: [32, 32], sequence: [64, 32] }),
  comp: transport(IPCOMP, { nexthdr: [0, 8, 'inet_proto'], flags: [8, 8], cpi: [16, 16] }),
});

/** Message types that have the field: `icmp id` is asked of echo messages only (nft adds that condition too). */
export const ICMP_FIELD_TYPES: Readonly<Record<string, readonly number[]>> = {
  'icmp id': [0, 8],
  'icmp sequence': [0, 8],
  'icmp gateway': [5],
  'icmp mtu': [3],
  'icmpv6 id': [128, 129],
  'icmpv6 sequence': [128, 129],
  'icmpv6 parameter-problem': [4],
  'icmpv6 packet-too-big': [2],
  'icmpv6 mtu': [2],
  'icmpv6 max-delay': [130],
  'icmpv6 taddr': [130, 131, 132, 135, 136, 137],
  'icmpv6 daddr': [137],
};
