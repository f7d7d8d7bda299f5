// Edits by conntrack: connections deleted.
import { contains, equal, familyOf, isError, parsePrefix, type Family } from '../net/addr.ts';
import { ICMP, ICMPV6, parsePort, parseProtocol } from '../net/proto.ts';
import type { ConntrackEntry } from '../model/host.ts';
import type { Tuple } from '../model/packet.ts';
import { CT_STATUS } from '../model/ruleset.ts';
import { altered } from './altered.ts';
import { isRefused, type Refusal, type Tool } from './edit.ts';

type Filter = (entry: ConntrackEntry) => boolean;

export const editConntrack: Tool = (ns, { words: [verb = '', ...words], at }) => {
  const table = words[0] !== undefined && !words[0].startsWith('-') ? words.shift()! : 'conntrack';
  if (table !== 'conntrack') return { refused: `conntrack's table '${table}' is not modelled`, hint: 'conntrack -D and -F of the table conntrack' };
  if (verb === '-F' || verb === '--flush') {
    const [extra] = words;
    if (extra !== undefined) return { refused: `Illegal option \`${extra}' with this command`, hint: 'conntrack -F takes no filter; -D does' };
    // what was not captured is known now
    return altered(ns, { conntrack: [], captured: { ...ns.captured, conntrack: ns.captured.conntrack ?? [at.file] } });
  }
  if (verb !== '-D' && verb !== '--delete') return { refused: `conntrack ${verb} cannot be carried out`, hint: 'conntrack -D with a filter, or -F' };
  const filters = filtersOf(words);
  if (isRefused(filters)) return filters;
  if (!ns.captured.conntrack)
    return { refused: 'the connections were not captured: nobody knows which of them this deletes', hint: 'capture `conntrack -L`' };
  const conntrack = ns.conntrack.filter((e) => !filters.every((f) => f(e)));
  const count = ns.conntrack.length - conntrack.length;
  // what conntrack says when it ends with status 1
  if (count === 0) return { refused: '0 flow entries have been deleted.', hint: 'no connection of the capture is what the filter says' };
  return altered(ns, { conntrack });
};

type End = readonly ['orig' | 'reply', 'src' | 'dst'];
const ADDRESSES = new Map<string, End>([
  ...['-s', '--src', '--orig-src'].map((o) => [o, ['orig', 'src']] as const),
  ...['-d', '--dst', '--orig-dst'].map((o) => [o, ['orig', 'dst']] as const),
  ...['-r', '--reply-src'].map((o) => [o, ['reply', 'src']] as const),
  ...['-q', '--reply-dst'].map((o) => [o, ['reply', 'dst']] as const),
]);
const PORTS = new Map<string, readonly ['orig' | 'reply', 'sport' | 'dport']>([
  ...['--sport', '--orig-port-src'].map((o) => [o, ['orig', 'sport']] as const),
  ...['--dport', '--orig-port-dst'].map((o) => [o, ['orig', 'dport']] as const),
  ['--reply-port-src', ['reply', 'sport']],
  ['--reply-port-dst', ['reply', 'dport']],
]);
const ICMP_FIELDS = new Map<string, (t: Tuple) => number>([
  ['--icmp-type', (t) => t.dport >> 8],
  ['--icmpv6-type', (t) => t.dport >> 8],
  ['--icmp-code', (t) => t.dport & 255],
  ['--icmpv6-code', (t) => t.dport & 255],
  ['--icmp-id', (t) => t.sport],
  ['--icmpv6-id', (t) => t.sport],
]);
const STATUS: Readonly<Record<string, Filter>> = {
  ASSURED: (e) => (e.status & CT_STATUS.ASSURED) !== 0,
  SEEN_REPLY: (e) => (e.status & CT_STATUS.SEEN_REPLY) !== 0,
  SRC_NAT: isSourceNat,
  DST_NAT: isDestinationNat,
};

// nfct_getobjopt(NFCT_GOPT_IS_SNAT) of libnetfilter_conntrack: the addresses, not the ports
function isSourceNat({ orig, reply }: ConntrackEntry): boolean {
  return !equal(orig.src, reply.dst);
}

function isDestinationNat({ orig, reply }: ConntrackEntry): boolean {
  return !equal(orig.dst, reply.src);
}

function filtersOf(given: readonly string[]): readonly Filter[] | Refusal {
  const words = given.flatMap((w) => (/^--[\w-]+=/.test(w) ? [w.slice(0, w.indexOf('=')), w.slice(w.indexOf('=') + 1)] : [w]));
  const filters: Filter[] = [];
  let proto: number | undefined;
  let family: Family | undefined;
  for (let i = 0; i < words.length; i++) {
    const option = words[i]!;
    const isNat = option === '-n' || option === '--src-nat' || option === '-g' || option === '--dst-nat';
    if (isNat && (words[i + 1] === undefined || words[i + 1]!.startsWith('-'))) {
      filters.push(/^(?:-n|--src-nat)$/.test(option) ? isSourceNat : isDestinationNat);
      continue;
    }
    const value = words[++i];
    const unknown: Refusal = { refused: `unknown option \`${option}'`, hint: portsHint(option, proto) };
    if (value === undefined) return option.startsWith('-') ? { refused: `option '${option}' needs a value` } : unknown;
    const end = ADDRESSES.get(option);
    if (end || isNat) {
      const filter = addressFilter(end ?? natEnd(option), value);
      if (isRefused(filter)) return filter;
      if (family !== undefined && family !== filter.family) return { refused: 'mismatched address family' };
      family = filter.family;
      filters.push(filter.test);
      if (isNat) filters.push(/^(?:-n|--src-nat)$/.test(option) ? isSourceNat : isDestinationNat);
      continue;
    }
    const filter = valueFilter(option, value, proto);
    if (filter === undefined) return unknown;
    if (isRefused(filter)) return filter;
    if (option === '-p' || option === '--protonum') proto = parseProtocol(value);
    filters.push(filter);
  }
  return filters;
}

/** A connection's source address becomes the one that replies go to. */
function natEnd(option: string): End {
  return /^(?:-n|--src-nat)$/.test(option) ? ['reply', 'dst'] : ['reply', 'src'];
}

function portsHint(option: string, proto: number | undefined): string {
  if (PORTS.has(option) && proto === undefined) return `write -p tcp or -p udp before ${option}`;
  return '-s -d -r -q -p -f -m -w -u -n -g, and with -p: --sport --dport --reply-port-src --reply-port-dst --state --icmp-type --icmp-code --icmp-id';
}

function addressFilter([way, side]: End, text: string): { readonly family: Family; readonly test: Filter } | Refusal {
  const net = parsePrefix(text);
  if (isError(net)) return { refused: `Invalid IP address \`${text}'` };
  const family = familyOf(net.addr);
  return { family, test: (e) => familyOf(e[way][side]) === family && contains(net, e[way][side]) };
}

function valueFilter(option: string, value: string, proto: number | undefined): Filter | Refusal | undefined {
  const port = PORTS.get(option);
  const isIcmp = proto === ICMP || proto === ICMPV6;
  if (port && proto !== undefined && !isIcmp) {
    const wanted = parsePort(value);
    return wanted === undefined ? { refused: `'${value}' is not a port` } : (e) => e[port[0]][port[1]] === wanted;
  }
  const field = ICMP_FIELDS.get(option);
  if (field && isIcmp) {
    const wanted = numberOf(value);
    return wanted === undefined ? { refused: `'${value}' is not a number` } : (e) => field(e.orig) === wanted;
  }
  switch (option) {
    case '-p':
    case '--protonum':
    case '--proto': {
      const wanted = parseProtocol(value);
      return wanted === undefined ? { refused: `\`${value}' unsupported protocol` } : (e) => e.orig.proto === wanted;
    }
    case '-f':
    case '--family': {
      if (value !== 'ipv4' && value !== 'ipv6') return { refused: `\`${value}' unsupported family` };
      return (e) => familyOf(e.orig.src) === (value === 'ipv4' ? 4 : 6);
    }
    case '-m':
    case '--mark': {
      const [mark, mask = 0xffffffff] = value.split('/').map(numberOf);
      return mark === undefined ? { refused: `'${value}' is not a mark` } : (e) => (e.mark & mask) >>> 0 === mark;
    }
    case '-w':
    case '--zone': {
      const zone = numberOf(value);
      return zone === undefined ? { refused: `'${value}' is not a zone` } : (e) => e.zone === zone;
    }
    case '-u':
    case '--status': {
      const tests = value.split(',').map((w) => (Object.hasOwn(STATUS, w) ? STATUS[w] : undefined));
      const bad = tests.includes(undefined);
      return bad ? { refused: `Bad conntrack status \`${value}'`, hint: Object.keys(STATUS).join(', ') } : (e) => tests.every((t) => t!(e));
    }
    case '--state':
      return proto === undefined ? undefined : (e) => e.state === value;
    default:
      return undefined;
  }
}

function numberOf(text: string): number | undefined {
  return /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : undefined;
}
