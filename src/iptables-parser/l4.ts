// Ports, TCP flags, ICMP types: the matches on the header behind IP.
import { DCCP, formatTcpFlags, ICMP, ICMP_TYPES, ICMPV6, ICMPV6_TYPES, parseTcpFlags, SCTP, TCP, UDP, UDPLITE, type IcmpType } from '../net/proto.ts';
import { chunkTypes, dccpTypes } from './chunk.ts';
import { match, option, unknown, type MatchExtension, type Option } from './extension.ts';
import { fieldIn, masked, portsIn } from './predicate.ts';
import { number, parseNumber, portList, portRange, type Value } from './value.ts';

const portOption = (side: 'sport' | 'dport'): Option =>
  option(`--${side}`, {
    value: portRange,
    aliases: [side === 'sport' ? '--source-port' : '--destination-port'],
    negatable: true,
    silent: ([lo, hi]) => lo === 0 && hi === 65535,
    lower: (range) => portsIn(side, [range]),
  });

type Flags = readonly [mask: number, comp: number];

/** The six flags that iptables has names for. */
function flagBits(t: string): number | undefined {
  const bits = parseTcpFlags(t);
  return bits === undefined || bits > 63 ? undefined : bits;
}

const flags: Value<Flags> = {
  shape: 'MASK COMP',
  read: (m = '', c = '') => {
    const [mask, comp] = [m, c].map((t) => flagBits(t));
    if (mask === undefined) return { error: `'${m}' is no list of FIN, SYN, RST, PSH, ACK, URG, nor ALL or NONE` };
    if (comp === undefined) return { error: `'${c}' is no list of FIN, SYN, RST, PSH, ACK, URG, nor ALL or NONE`, word: 1 };
    return [mask, comp];
  },
  print: ([mask, comp]) => `${formatTcpFlags(mask)} ${formatTcpFlags(comp)}`,
};
/** --syn: SYN set of FIN, SYN, RST and ACK. */
const syn: Value<Flags> = { shape: '', read: () => [0x17, 2], print: () => '' };

// tcp_mt(), net/netfilter/xt_tcpudp.c
/** -m tcp */
export const tcp = match({
  name: 'tcp',
  implied: true,
  protocols: [TCP],
  summary: 'TCP ports and flags (not TCP options, which stay unknown).',
  options: [
    portOption('sport'),
    portOption('dport'),
    option('--tcp-option', {
      value: number('NUMBER', 255, 1),
      negatable: true,
      lower: (n) => unknown(`--tcp-option ${n}`, 'TCP options are not part of the packet'),
    }),
    option('--tcp-flags', { value: flags, negatable: true, spellings: { '--syn': syn }, lower: ([mask, comp]) => masked('flags', comp, mask) }),
  ],
});

// udp_mt(), net/netfilter/xt_tcpudp.c
/** -m udp */
export const udp = match({
  name: 'udp',
  implied: true,
  protocols: [UDP],
  summary: 'UDP ports.',
  options: [portOption('sport'), portOption('dport')],
});

// sctp_mt(), net/netfilter/xt_sctp.c
/** -m sctp */
export const sctp = match({
  name: 'sctp',
  implied: true,
  protocols: [SCTP],
  summary: 'SCTP ports (chunk types stay unknown).',
  options: [
    portOption('sport'),
    portOption('dport'),
    option('--chunk-types', {
      value: chunkTypes,
      negatable: true,
      lower: (t) => unknown(`--chunk-types ${chunkTypes.print(t)}`, 'SCTP chunks are not part of the packet'),
    }),
  ],
});

/** An option about what a DCCP packet holds beside its ports. */
function dccpOption<V>(name: string, value: Value<V>): Option {
  return option(name, {
    value,
    negatable: true,
    lower: (v) => unknown(`${name} ${value.print(v)}`, 'DCCP types and options are not part of the packet'),
  });
}

// dccp_mt(), net/netfilter/xt_dccp.c
/** -m dccp */
export const dccp = match({
  name: 'dccp',
  implied: true,
  protocols: [DCCP],
  summary: 'DCCP ports (packet types and options stay unknown).',
  options: [portOption('sport'), portOption('dport'), dccpOption('--dccp-types', dccpTypes), dccpOption('--dccp-option', number('NUMBER', 255, 1))],
});

const listOption = (name: string, alias: string, side: 'sport' | 'dport' | 'either'): Option =>
  option(name, { value: portList, aliases: [alias], negatable: true, lower: (list) => portsIn(side, list) });

// multiport_mt(), net/netfilter/xt_multiport.c
/** -m multiport */
export const multiport = match({
  name: 'multiport',
  protocols: [TCP, UDP, SCTP, DCCP, UDPLITE],
  summary: 'Up to fifteen ports or port ranges.',
  options: [
    listOption('--sports', '--source-ports', 'sport'),
    listOption('--dports', '--destination-ports', 'dport'),
    listOption('--ports', '--port', 'either'),
  ],
  check: (o) => (Object.keys(o).length === 1 ? undefined : { error: 'multiport needs exactly one of --sports, --dports, --ports' }),
});

const icmpType = (names: Readonly<Record<string, IcmpType>>): Value<IcmpType> => ({
  shape: 'TYPE[/CODE]',
  read: (t = '') => {
    const low = t.toLowerCase();
    const found = Object.keys(names).filter((n) => n.toLowerCase() === low);
    const near = found.length ? found : Object.keys(names).filter((n) => n.toLowerCase().startsWith(low));
    const hit = near[0] === undefined || low === '' ? undefined : names[near[0]];
    if (hit && near.every((n) => String(names[n]) === String(hit))) return hit;
    const [type, code, more] = t.split('/');
    const typeNumber = parseNumber(type ?? '', 255);
    const codeNumber = code === undefined ? undefined : parseNumber(code, 255);
    if (typeNumber === undefined) return { error: `'${t}' is no ICMP type`, hint: 'write TYPE or TYPE/CODE in numbers' };
    if (more !== undefined || (code !== undefined && codeNumber === undefined))
      return { error: `'${t}': the code is not a number from 0 to 255`, column: t.indexOf('/') + 1 };
    return codeNumber === undefined ? [typeNumber, 0, 255] : [typeNumber, codeNumber, codeNumber];
  },
  print: ([type, lo, hi]) => `${type}${lo === 0 && hi === 255 ? '' : lo === hi ? `/${lo}` : `/${lo}-${hi}`}`,
});

const icmpRange = ([type, lo, hi]: IcmpType): readonly [number, number] => [type * 256 + lo, type * 256 + hi];
const type4 = icmpType(ICMP_TYPES);

// icmp_match(), net/ipv4/netfilter/ip_tables.c: type 255 stands for any.
/** -m icmp */
export const icmp = match({
  name: 'icmp',
  implied: true,
  families: [4],
  protocols: [ICMP],
  summary: 'ICMP type and code.',
  options: [
    option('--icmp-type', {
      value: { ...type4, print: (t) => (t[0] === 255 ? 'any' : type4.print(t)) },
      negatable: true,
      required: true,
      lower: (t) => fieldIn('icmp', t[0] === 255 ? [0, 65535] : icmpRange(t)),
    }),
  ],
});

/** -m icmp6 */
export const icmp6 = match({
  name: 'icmp6',
  aliases: ['icmpv6', 'ipv6-icmp'],
  implied: true,
  families: [6],
  protocols: [ICMPV6],
  summary: 'ICMPv6 type and code.',
  options: [
    option('--icmpv6-type', {
      value: icmpType(ICMPV6_TYPES),
      aliases: ['--icmp6-type'],
      negatable: true,
      required: true,
      lower: (t) => fieldIn('icmp', icmpRange(t)),
    }),
  ],
});

/** The matches that `-p NAME` brings along, by protocol number. */
export const IMPLIED: Readonly<Record<number, MatchExtension>> = {
  [TCP]: tcp,
  [UDP]: udp,
  [SCTP]: sctp,
  [DCCP]: dccp,
  [ICMP]: icmp,
  [ICMPV6]: icmp6,
};
