// The words of nft's expressions: proto.c, exthdr.c, tcpopt.c, ipopt.c, sctp_chunk.c, meta.c and ct.c of nftables.

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

/** Headers and their fields. */
export const PAYLOAD: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    ether: 'daddr saddr type',
    vlan: 'pcp dei cfi id type',
    arp: 'htype ptype hlen plen operation saddr daddr',
    ip: 'version hdrlength dscp ecn tos length id frag-off ttl protocol checksum saddr daddr',
    ip6: 'version priority dscp ecn flowlabel length nexthdr hoplimit saddr daddr',
    icmp: 'type code checksum id sequence gateway mtu',
    icmpv6: 'type code checksum parameter-problem packet-too-big mtu id sequence max-delay taddr daddr',
    igmp: 'type mrt checksum group',
    tcp: 'sport dport sequence ackseq doff reserved flags window checksum urgptr',
    udp: 'sport dport length checksum',
    udplite: 'sport dport csumcov checksum',
    sctp: 'sport dport vtag checksum',
    dccp: 'sport dport type',
    th: 'sport dport',
    esp: 'spi sequence',
    ah: 'nexthdr hdrlength reserved spi sequence',
    comp: 'nexthdr flags cpi',
    gre: 'hdrversion version flags protocol',
  }).map(([protocol, fields]) => [protocol, words(fields)]),
);

/** Extension headers of IPv6 and their fields; `addr[1]` is a field too. */
export const EXTHDR: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    hbh: 'nexthdr hdrlength',
    rt: 'nexthdr hdrlength type seg-left',
    rt0: 'addr',
    rt2: 'addr',
    srh: 'last-entry flags tag sid seg-left',
    frag: 'nexthdr reserved frag-off reserved2 more-fragments id',
    dst: 'nexthdr hdrlength',
    mh: 'nexthdr hdrlength type reserved checksum',
  }).map(([header, fields]) => [header, words(fields)]),
);

/** The fields that options and chunks have between them. */
export const OPTION = {
  tcp: words('kind length size count left right tsval tsecr subtype'),
  ip: words('type length value ptr addr'),
  sctp: words(
    'type flags length init-tag a-rwnd num-outbound-streams num-inbound-streams initial-tsn cum-tsn-ack num-gap-ack-blocks num-dup-tsns lowest-tsn seqno new-cum-tsn tsn stream ssn ppid',
  ),
  dccp: words(''),
} as const;

/** Keys of meta that only go with the word `meta`. */
const QUALIFIED = words(
  'length protocol priority random secmark nfproto l4proto ipsec time day hour sdif sdifname broute ibrhwaddr ibrpvid ibrvproto',
);
const UNQUALIFIED = words(
  'mark iif oif iifname oifname iiftype oiftype iifgroup oifgroup iifkind oifkind skuid skgid nftrace rtclassid pkttype cpu cgroup ibrname obrname ibriport obriport',
);

export function isMetaKey(word: string): boolean {
  return UNQUALIFIED.has(word) || QUALIFIED.has(word);
}

/** `iifname "eth0"` for `meta iifname "eth0"`. */
export function isBareMetaKey(word: string): boolean {
  return UNQUALIFIED.has(word);
}

export const CT_KEYS = words(
  'state direction status mark secmark expiration helper l3proto protocol saddr daddr proto-src proto-dst label labels packets bytes avgpkt zone id event',
);

/** Of these a comma makes a list of bits, and a value with no `==` before it asks for any of its bits. */
const FLAGS: ReadonlySet<string> = words('state status label event');

export function isFlagsOfCt(key: string): boolean {
  return FLAGS.has(key);
}
