// Matches on headers between IP and the transport: IPsec's, and the extension headers of IPv6. A packet has the header that its
// protocol number names; what that header says is not part of the packet, nor what follows an extension header.
import { formatAddr, isError, parseAddr, type Addr, type Prefix } from '../net/addr.ts';
import { EXTENSION_HEADERS, NO_NEXT_HEADER } from '../net/proto.ts';
import type { Pred } from '../model/ruleset.ts';
import {
  has,
  match,
  option,
  printOption,
  unknown,
  valueOf,
  type Context,
  type Given,
  type MatchExtension,
  type Option,
  type Options,
} from './extension.ts';
import { all, any, fieldIn, negate } from './predicate.ts';
import { isBad, network, nothing, number, parseNumber, range, type Bad, type Span2, type Value } from './value.ts';

const HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const ESP = 50;
const AH = 51;
const DESTINATION = 60;
const IPCOMP = 108;
const MOBILITY = 135;

interface Header {
  readonly name: string;
  readonly protocol: number;
  readonly summary: string;
  readonly options: readonly Option[];
  readonly families?: readonly (4 | 6)[];
  /** Set where `-p` must name the protocol. */
  readonly bound?: true;
  readonly implied?: boolean;
  readonly check?: (o: Options) => Bad | undefined;
  /** The options as the tool completes them: what is not given may still be asked. */
  readonly complete?: (o: Options) => Options;
}

const protocolIs = (n: number): Pred => fieldIn('proto', [n, n]);
const FOLLOWS = 'what follows its extension header is not part of the packet';

/**
 * ipv6_find_hdr(), net/ipv6/exthdrs_core.c: the header comes first, or may follow another. A fragment header is gone where conntrack has
 * put the packet together (nf_ct_frag6_gather()).
 */
function among({ name, protocol }: Header): Pred {
  const others = EXTENSION_HEADERS.filter((n) => n !== protocol || n === FRAGMENT).map((n) => [n, n] as const);
  if (protocol === FRAGMENT) return all(fieldIn('nexthdr', ...others), unknown(`-m ${name}`, FOLLOWS, `header:${protocol}`));
  return any(fieldIn('nexthdr', [protocol, protocol]), all(fieldIn('nexthdr', ...others), unknown(`-m ${name}`, FOLLOWS, `header:${protocol}`)));
}

/** A match on one header: false without it, decided by its presence where no option is given, else open. */
function header(h: Header): MatchExtension {
  const complete = h.complete ?? ((o: Options): Options => o);
  const lower = (options: Options, { family }: Context): readonly Pred[] => {
    const present = family === 4 || !EXTENSION_HEADERS.includes(h.protocol) ? protocolIs(h.protocol) : among(h);
    const given = complete(options);
    const asked = h.options.filter((o) => {
      const g = given[o.name];
      return g !== undefined && (g.not || !o.silent?.(g.value));
    });
    if (asked.length === 0) return h.bound ? [] : [{ ...present, text: '' }];
    return asked.map((o) => {
      const g = given[o.name]!;
      const says = printOption(o, { ...g, not: false });
      const open = unknown(`-m ${h.name} ${says}`, `what its ${h.name} header says is not part of the packet`, `${h.name}:${says}`);
      return { ...all(present, g.not ? negate(open) : open), text: printOption(o, g) };
    });
  };
  return match({
    name: h.name,
    summary: h.summary,
    why: 'false without that header; what the header says is not part of the packet',
    families: h.families ?? [4, 6],
    options: h.options,
    implied: h.implied ?? false,
    ...(h.bound && { protocols: [h.protocol] }),
    ...(h.check && { check: h.check }),
    print: (o) => {
      const given = complete(o);
      return h.options
        .flatMap((x) => (given[x.name] && !(x.silent?.(given[x.name]!.value) && !given[x.name]!.not) ? [printOption(x, given[x.name]!)] : []))
        .join(' ');
    },
    lower,
  });
}

const TOP = 0xffffffff;
const spi = range('SPI[:SPI]', TOP, ':', true, undefined, false);
const isWhole = ([lo, hi]: Span2): boolean => lo === 0 && hi === TOP;
const flag = (name: string): Option => option(name, { value: nothing });
const size = (name: string): Option => option(name, { value: number('LENGTH'), negatable: true, silent: (n) => n === 0 });

const spiOption = (name: string): Option => option(name, { value: spi, negatable: true, silent: isWhole });

const ahSpi = spiOption('--ahspi');

// ah_mt(), net/ipv4/netfilter/ipt_ah.c, and ah_mt6(), net/ipv6/netfilter/ip6t_ah.c; IPv4 wants -p ah, IPv6 alone has --ahlen and --ahres.
/** -m ah */
export const ah: MatchExtension = {
  ...header({
    name: 'ah',
    protocol: AH,
    summary: 'The SPI of an AH header.',
    options: [ahSpi, size('--ahlen'), flag('--ahres')],
  }),
  check: (o, { family, protocol }) => {
    if (family === 6) return undefined;
    if (protocol !== AH) return { error: 'ah needs -p ah' };
    return has(o, '--ahlen') || has(o, '--ahres') ? { error: '--ahlen and --ahres are of IPv6 only' } : undefined;
  },
};

// esp_mt(), net/netfilter/xt_esp.c
/** -m esp */
export const esp = header({ name: 'esp', protocol: ESP, bound: true, summary: 'The SPI of an ESP header.', options: [spiOption('--espspi')] });

// comp_mt(), net/netfilter/xt_ipcomp.c: without --ipcompspi the range is 0 to 0.
/** -m ipcomp */
export const ipcomp = header({
  name: 'ipcomp',
  protocol: IPCOMP,
  bound: true,
  summary: 'The SPI of an IPComp header.',
  options: [spiOption('--ipcompspi'), flag('--compres')],
  complete: (o) => ({ '--ipcompspi': { value: [0, 0], not: false }, ...o }),
});

// frag_mt6(), net/ipv6/netfilter/ip6t_frag.c
/** -m frag */
export const frag = header({
  name: 'frag',
  protocol: FRAGMENT,
  families: [6],
  summary: 'The IPv6 fragment header.',
  options: [
    option('--fragid', { value: range('ID[:ID]', TOP, ':', true, undefined, false), negatable: true, silent: isWhole }),
    size('--fraglen'),
    flag('--fragres'),
    flag('--fragfirst'),
    flag('--fragmore'),
    flag('--fraglast'),
  ],
  check: (o) => (has(o, '--fragmore') && has(o, '--fraglast') ? { error: '--fragmore and --fraglast exclude each other' } : undefined),
});

interface Tlv {
  readonly type: number;
  readonly length?: number;
}

const tlvs: Value<readonly Tlv[]> = {
  shape: 'TYPE[:LENGTH],...',
  read: (t = '') => {
    const out: Tlv[] = [];
    for (const part of t.split(',')) {
      const [type, length, more] = part.split(':').map((n) => parseNumber(n, 255) ?? -1);
      if (type === undefined || type < 0 || length === -1 || more !== undefined)
        return { error: `'${part}' is not TYPE or TYPE:LENGTH, each up to 255` };
      out.push({ type, ...(length !== undefined && { length }) });
    }
    return out.length <= 16 ? out : { error: 'more than 16 options' };
  },
  print: (list) => list.map((o) => (o.length === undefined ? String(o.type) : `${o.type}:${o.length}`)).join(','),
};

const optionsHeader = (name: 'hbh' | 'dst', protocol: number, summary: string): MatchExtension =>
  header({
    name,
    protocol,
    families: [6],
    summary,
    options: [option(`--${name}-len`, { value: number('LENGTH'), negatable: true }), option(`--${name}-opts`, { value: tlvs })],
  });

// hbh_mt6(), net/ipv6/netfilter/ip6t_hbh.c, serves both.
/** -m hbh */
export const hbh = optionsHeader('hbh', HOP, 'The IPv6 hop-by-hop options.');
/** -m dst */
export const dst = optionsHeader('dst', DESTINATION, 'The IPv6 destination options.');

const hops: Value<readonly Addr[]> = {
  shape: 'ADDR[,ADDR...]',
  read: (t = '') => {
    const out: Addr[] = [];
    for (const part of t.split(',')) {
      const a = parseAddr(part);
      if (isError(a)) return a;
      out.push(a);
    }
    return out.length <= 16 ? out : { error: 'more than 16 addresses' };
  },
  print: (list) => list.map(formatAddr).join(','),
};

// rt_mt6(), net/ipv6/netfilter/ip6t_rt.c
/** -m rt */
export const rt = header({
  name: 'rt',
  protocol: ROUTING,
  families: [6],
  summary: 'The IPv6 routing header.',
  options: [
    option('--rt-type', { value: number('TYPE'), negatable: true }),
    option('--rt-segsleft', { value: range('N[:N]', TOP, ':', true, undefined, false), negatable: true, silent: isWhole }),
    option('--rt-len', { value: number('LENGTH'), negatable: true }),
    flag('--rt-0-res'),
    option('--rt-0-addrs', { value: hops }),
    flag('--rt-0-not-strict'),
  ],
  check: (o) => {
    const type = o['--rt-type'];
    const special = ['--rt-0-res', '--rt-0-addrs', '--rt-0-not-strict'].find((n) => has(o, n));
    if (special !== undefined && (type === undefined || type.not || type.value !== 0)) return { error: `${special} needs --rt-type 0` };
    return has(o, '--rt-0-not-strict') && !has(o, '--rt-0-addrs') ? { error: '--rt-0-not-strict needs --rt-0-addrs' } : undefined;
  },
});

/** The forms of one number, of which the kernel keeps one: `--srh-hdr-len-gt 8 --srh-hdr-len-lt 9` asks both of 9. */
const FORMS = ['hdr-len', 'segs-left', 'last-entry'].map((what) => ['eq', 'gt', 'lt'].map((form) => `--srh-${what}-${form}`));

function lastOfEach(o: Options): Options {
  const out: Record<string, Given> = { ...o };
  for (const forms of FORMS) {
    const last = Object.keys(o).findLast((n) => forms.includes(n));
    for (const n of forms) if (last !== undefined && out[n]) out[n] = { ...out[n], value: o[last]!.value };
  }
  return out;
}

/** A segment under a mask, printed with all its bits. */
const segment: Value<Prefix> = {
  ...network,
  read: (t = '') => {
    const prefix = network.read(t);
    const addr = parseAddr(t.replace(/\/.*/, ''));
    return isBad(prefix) || isError(addr) ? prefix : { addr, length: prefix.length };
  },
};

const byteOption = (name: string): Option => option(name, { value: number('N', 255), negatable: true });

// srh1_mt6(), net/ipv6/netfilter/ip6t_srh.c
/** -m srh */
export const srh = header({
  name: 'srh',
  protocol: ROUTING,
  families: [6],
  summary: 'The IPv6 segment routing header.',
  options: [
    byteOption('--srh-next-hdr'),
    ...FORMS.flat().map(byteOption),
    option('--srh-tag', { value: number('TAG', 65535), negatable: true }),
    ...['--srh-psid', '--srh-nsid', '--srh-lsid'].map((n) => option(n, { value: segment, negatable: true })),
  ],
  complete: lastOfEach,
});

const MH_TYPES = ['brr', 'hoti', 'coti', 'hot', 'cot', 'bu', 'ba', 'be'];
const MH_NAMES = [
  'binding-refresh-request',
  'home-test-init',
  'careof-test-init',
  'home-test',
  'careof-test',
  'binding-update',
  'binding-ack',
  'binding-error',
];

function mobilityType(t: string): number | undefined {
  const low = t.toLowerCase();
  const named = Math.max(MH_TYPES.indexOf(low), MH_NAMES.indexOf(low));
  return named >= 0 ? named : parseNumber(t, 255);
}

// mh_mt6(), net/ipv6/netfilter/ip6t_mh.c
/** -m mh */
export const mh = header({
  name: 'mh',
  protocol: MOBILITY,
  families: [6],
  bound: true,
  implied: true,
  summary: 'The type of a mobility header.',
  options: [
    option('--mh-type', {
      value: range('TYPE[:TYPE]', 255, ':', true, mobilityType),
      negatable: true,
      silent: ([lo, hi]) => lo === 0 && hi === 255,
    }),
  ],
});

// In the order of their names in iptables-save, with their protocol; `protocol` stands for whatever ends the chain of headers.
const HEADERS: readonly (readonly [name: string, aliases: readonly string[], protocol: number | undefined])[] = [
  ['hop-by-hop', ['hop'], HOP],
  ['ipv6-opts', ['dst'], DESTINATION],
  ['ipv6-route', ['route'], ROUTING],
  ['ipv6-frag', ['frag'], FRAGMENT],
  ['ah', ['auth'], AH],
  ['esp', [], ESP],
  ['ipv6-nonxt', ['none'], NO_NEXT_HEADER],
  ['protocol', ['prot'], undefined],
];

/** The place in HEADERS of what a packet of this protocol has. */
function headerOf(protocol: number): number {
  const at = HEADERS.findIndex(([, , p]) => p === protocol);
  return at < 0 ? HEADERS.length - 1 : at;
}

const headers: Value<number> = {
  shape: 'HEADER[,HEADER...]',
  read: (t = '') => {
    let set = 0;
    for (const part of t.split(',')) {
      const low = part.toLowerCase();
      const n = parseNumber(part, 255);
      const at = HEADERS.findIndex(([name, aliases, p]) => name === low || aliases.includes(low) || (n !== undefined && (p ?? 255) === n));
      if (at < 0) return { error: `'${part}' is none of ${HEADERS.map(([name]) => name).join(', ')}` };
      set |= 1 << at;
    }
    return set;
  },
  print: (set) =>
    HEADERS.filter((_, i) => set & (1 << i))
      .map(([name]) => name)
      .join(','),
};

// ipv6header_mt6(), net/ipv6/netfilter/ip6t_ipv6header.c: exactly these headers; with --soft all of them, inverted none of them.
/** -m ipv6header */
export const ipv6header = match({
  name: 'ipv6header',
  families: [6],
  why: 'a packet has the one header that its protocol names; what follows an extension header is not part of the packet',
  summary: 'Which IPv6 extension headers there are.',
  options: [option('--header', { value: headers, negatable: true, required: true }), flag('--soft')],
  lower: (o, { family }) => {
    const set = valueOf<number>(o, '--header')!;
    const not = o['--header']!.not;
    const says = ipv6header.print(o, family);
    const holds = (protocol: number): boolean => {
      const own = 1 << headerOf(protocol);
      return has(o, '--soft') ? (not ? (own & set) === 0 : own === set) : (own === set) !== not;
    };
    const plain = Array.from({ length: 256 }, (_, p) => p).filter((p) => !EXTENSION_HEADERS.includes(p) && holds(p));
    const open = unknown(`-m ipv6header ${says}`, FOLLOWS, `ipv6header:${says}`);
    const decided = plain.length ? [fieldIn('nexthdr', ...plain.map((p) => [p, p] as const))] : [];
    return [{ ...any(...decided, all(fieldIn('nexthdr', ...EXTENSION_HEADERS.map((p) => [p, p] as const)), open)), text: says }];
  },
});

// eui64_mt6(), net/ipv6/netfilter/ip6t_eui64.c
/** -m eui64 */
export const eui64 = match({
  name: 'eui64',
  families: [6],
  summary: 'Whether the IPv6 source address follows from the link-layer address.',
  check: (_, { chain }) => (chain === 'OUTPUT' || chain === 'POSTROUTING' ? { error: `eui64 cannot be used in ${chain}` } : undefined),
  lower: () => [{ kind: 'eui64', text: '' }],
});
