// What nft's words mean, by the type of what they are compared with: nft(8), DATA TYPES; src/datatype.c, src/meta.c, src/ct.c of nftables.
import { isError, parseAddr, type Word } from '../net/addr.ts';
import { parseProtocol, parsePort } from '../net/proto.ts';
import { parseTime } from '../net/time.ts';
import type { Value } from '../model/operand.ts';
import { ADDR_TYPE, CT_STATE_BIT, CT_STATUS, PKT_TYPE } from '../model/ruleset.ts';

export type Datatype =
  | 'integer'
  | 'boolean'
  | 'string'
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'ether_addr'
  | 'ether_type'
  | 'inet_proto'
  | 'inet_service'
  | 'mark'
  | 'ct_state'
  | 'ct_status'
  | 'ct_dir'
  | 'ct_label'
  | 'tcp_flag'
  | 'icmp_type'
  | 'icmp_code'
  | 'icmpv6_type'
  | 'icmpv6_code'
  | 'icmpx_code'
  | 'pkt_type'
  | 'iface_index'
  | 'ifname'
  | 'iface_type'
  | 'nf_proto'
  | 'dscp'
  | 'ecn'
  | 'uid'
  | 'gid'
  | 'fib_addrtype'
  | 'time'
  | 'day'
  | 'hour'
  | 'igmp_type'
  | 'arp_op'
  | 'dccp_pkttype'
  | 'verdict';

/** A table without a prototype. */
function names(entries: Record<string, number>): Readonly<Record<string, number>> {
  return Object.assign(Object.create(null) as Record<string, number>, entries);
}

/** Names of the model as nft writes them: `seen-reply`. */
function spelled(entries: Readonly<Record<string, number>>, more: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  return names({ ...Object.fromEntries(Object.entries(entries).map(([name, n]) => [name.toLowerCase().replaceAll('_', '-'), n])), ...more });
}

const NAMES: Readonly<Partial<Record<Datatype, Readonly<Record<string, number>>>>> = {
  boolean: names({ exists: 1, missing: 0, true: 1, false: 0 }),
  ct_state: spelled(CT_STATE_BIT),
  ct_status: spelled(CT_STATUS, { dying: 512 }),
  ct_dir: names({ original: 0, reply: 1 }),
  tcp_flag: names({ fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 }),
  icmp_type: names({
    'echo-reply': 0,
    'destination-unreachable': 3,
    'source-quench': 4,
    redirect: 5,
    'echo-request': 8,
    'router-advertisement': 9,
    'router-solicitation': 10,
    'time-exceeded': 11,
    'parameter-problem': 12,
    'timestamp-request': 13,
    'timestamp-reply': 14,
    'info-request': 15,
    'info-reply': 16,
    'address-mask-request': 17,
    'address-mask-reply': 18,
  }),
  icmp_code: names({
    'net-unreachable': 0,
    'host-unreachable': 1,
    'prot-unreachable': 2,
    'port-unreachable': 3,
    'frag-needed': 4,
    'net-prohibited': 9,
    'host-prohibited': 10,
    'admin-prohibited': 13,
  }),
  icmpv6_type: names({
    'destination-unreachable': 1,
    'packet-too-big': 2,
    'time-exceeded': 3,
    'parameter-problem': 4,
    'echo-request': 128,
    'echo-reply': 129,
    'mld-listener-query': 130,
    'mld-listener-report': 131,
    'mld-listener-done': 132,
    'mld-listener-reduction': 132,
    'nd-router-solicit': 133,
    'nd-router-advert': 134,
    'nd-neighbor-solicit': 135,
    'nd-neighbor-advert': 136,
    'nd-redirect': 137,
    'router-renumbering': 138,
    'ind-neighbor-solicit': 141,
    'ind-neighbor-advert': 142,
    'mld2-listener-report': 143,
  }),
  icmpv6_code: names({ 'no-route': 0, 'admin-prohibited': 1, 'addr-unreachable': 3, 'port-unreachable': 4, 'policy-fail': 5, 'reject-route': 6 }),
  icmpx_code: names({ 'no-route': 0, 'port-unreachable': 1, 'host-unreachable': 2, 'admin-prohibited': 3 }),
  pkt_type: spelled(PKT_TYPE, { host: PKT_TYPE.unicast, other: 3 }),
  iface_type: names({ ether: 1, ppp: 512, ipip: 768, ipip6: 769, loopback: 772, sit: 776, ipgre: 778 }),
  nf_proto: names({ ipv4: 2, ipv6: 10 }),
  ether_type: names({ ip: 0x0800, arp: 0x0806, ip6: 0x86dd, '8021q': 0x8100, '8021ad': 0x88a8, vlan: 0x8100 }),
  dscp: names({
    cs0: 0,
    cs1: 8,
    cs2: 16,
    cs3: 24,
    cs4: 32,
    cs5: 40,
    cs6: 48,
    cs7: 56,
    df: 0,
    be: 0,
    lephb: 1,
    af11: 10,
    af12: 12,
    af13: 14,
    af21: 18,
    af22: 20,
    af23: 22,
    af31: 26,
    af32: 28,
    af33: 30,
    af41: 34,
    af42: 36,
    af43: 38,
    va: 44,
    ef: 46,
  }),
  ecn: names({ 'not-ect': 0, ect1: 1, ect0: 2, ce: 3 }),
  // the model has them as bits
  fib_addrtype: spelled(Object.fromEntries(Object.entries(ADDR_TYPE).map(([name, bit]) => [name, Math.log2(bit)]))),
  day: names({ sunday: 0, monday: 1, tuesday: 2, wednesday: 3, thursday: 4, friday: 5, saturday: 6 }),
  igmp_type: names({
    'membership-query': 0x11,
    'membership-report-v1': 0x12,
    'membership-report-v2': 0x16,
    'membership-report-v3': 0x22,
    'leave-group': 0x17,
  }),
  arp_op: names({ request: 1, reply: 2, rrequest: 3, rreply: 4, inrequest: 8, inreply: 9, nak: 10 }),
  dccp_pkttype: names({ request: 0, response: 1, data: 2, ack: 3, dataack: 4, closereq: 5, close: 6, reset: 7, sync: 8, syncack: 9 }),
  uid: names({ root: 0 }),
  gid: names({ root: 0 }),
};

/** Types of which a word stands for a bit, and several words for any of their bits. */
export function isFlags(type: Datatype): boolean {
  return type === 'tcp_flag' || type === 'ct_state' || type === 'ct_status' || type === 'ct_label';
}

/** The value of a word of a type; undefined where it has none. */
export function valueOf(type: Datatype, word: number | string): Value | undefined {
  if (type === 'ifname' || type === 'iface_index' || type === 'string') return String(word);
  if (typeof word === 'number') return word;
  const named = NAMES[type]?.[type === 'day' ? word.toLowerCase() : word];
  if (named !== undefined) return named;
  switch (type) {
    case 'ipv4_addr':
    case 'ipv6_addr': {
      const addr = parseAddr(word);
      return isError(addr) || (typeof addr === 'number') !== (type === 'ipv4_addr') ? undefined : addr;
    }
    case 'ether_addr':
      return etherAddress(word);
    case 'inet_proto':
      return parseProtocol(word);
    case 'inet_service':
      return parsePort(word);
    case 'time':
      return parseTime(word.replace(' ', 'T'));
    case 'hour': {
      const m = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(word);
      return m ? Number(m[1]) * 3600 + Number(m[2]) * 60 + Number(m[3] ?? 0) : undefined;
    }
    default:
      return /^(?:0x[\da-f]+|\d+)$/i.test(word) ? Number(word) : undefined;
  }
}

/** A link-layer address as netwhy keeps it: its 48 bits at the end of four words. */
function etherAddress(word: string): Word | undefined {
  if (!/^(?:[\da-f]{1,2}:){5}[\da-f]{1,2}$/i.test(word)) return undefined;
  const b = word.split(':').map((x) => parseInt(x, 16));
  return [0, 0, (b[0]! << 8) | b[1]!, ((b[2]! << 24) | (b[3]! << 16) | (b[4]! << 8) | b[5]!) >>> 0];
}

/** How wide a type is, in bits; 0 for names. */
export function widthOf(type: Datatype): number {
  switch (type) {
    case 'ipv6_addr':
      return 128;
    case 'ether_addr':
      return 48;
    case 'inet_service':
    case 'ether_type':
    case 'iface_type':
    case 'arp_op':
      return 16;
    case 'inet_proto':
    case 'tcp_flag':
    case 'icmp_type':
    case 'icmp_code':
    case 'icmpv6_type':
    case 'icmpv6_code':
    case 'icmpx_code':
    case 'nf_proto':
    case 'pkt_type':
    case 'ct_dir':
    case 'boolean':
    case 'igmp_type':
    case 'day':
      return 8;
    case 'dscp':
      return 6;
    case 'dccp_pkttype':
      return 4;
    case 'ecn':
      return 2;
    case 'ifname':
    case 'string':
    case 'verdict':
    case 'iface_index':
      return 0;
    default:
      return 32;
  }
}
