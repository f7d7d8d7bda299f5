// Targets that act beside the packet (labels, timers, lamps, copies), hand it to a program, or answer in somebody's place.
import { familyOf, formatAddr, isError, parseAddr, type Addr, type Prefix } from '../net/addr.ts';
import { TCP, UDP } from '../net/proto.ts';
import type { Statement } from '../model/ruleset.ts';
import { has, option, target, valueOf, type Context, type Option, type Options, type Status, type TargetExtension } from './extension.ts';
import {
  hex,
  isBad,
  network,
  markMask,
  nothing,
  number,
  oneOf,
  parseNumber,
  range,
  text,
  word,
  type Bad,
  type MarkMask,
  type Span2,
  type Value,
} from './value.ts';

interface Act {
  readonly name: string;
  readonly summary: string;
  readonly options?: readonly Option[];
  readonly families?: readonly (4 | 6)[];
  readonly tables?: readonly string[];
  readonly protocols?: readonly number[];
  readonly check?: (o: Options, context: Context) => Bad | undefined;
  readonly print?: (o: Options, family: 4 | 6) => string;
}

/** A target after which the table goes on, the packet being what it was. */
function aside(a: Act): TargetExtension {
  const made: TargetExtension = target({
    ...a,
    why: 'it does not change the fate of the packet',
    lower: (o, { family }) => [{ kind: 'note', as: `${a.name} ${made.print(o, family)}`.trimEnd() }],
  });
  return made;
}

/** A target whose verdict depends on what is not captured or not modelled. */
function undecided(a: Act & { readonly why: string; readonly status: Status }): TargetExtension {
  const made: TargetExtension = target({
    ...a,
    lower: (o, { family }) => [{ kind: 'opaque', as: `-j ${a.name} ${made.print(o, family)}`.trimEnd(), why: a.why }],
  });
  return made;
}

const flag = (name: string): Option => option(name, { value: nothing });
const onlyOne =
  (names: readonly string[], error: string) =>
  (o: Options): Bad | undefined =>
    names.filter((n) => has(o, n)).length === 1 ? undefined : { error };

const bit = (name: string): Option => option(name, { value: number('0|1', 1) });

// ECN_parse(), extensions/libipt_ECN.c: --ecn-tcp-remove forgets a codepoint that was written before it.
function codepoints(o: Options): { readonly ece?: number; readonly cwr?: number; readonly ect?: number } {
  const [ece, cwr, ect] = ['--ecn-tcp-ece', '--ecn-tcp-cwr', '--ecn-ip-ect'].map((n) => valueOf<number>(o, n));
  if (!has(o, '--ecn-tcp-remove')) return { ...(ece !== undefined && { ece }), ...(cwr !== undefined && { cwr }), ...(ect !== undefined && { ect }) };
  const written = Object.keys(o);
  const kept = ect !== undefined && written.indexOf('--ecn-ip-ect') > written.indexOf('--ecn-tcp-remove');
  return { ece: 0, cwr: 0, ...(kept && { ect }) };
}

// ecn_tg(), net/ipv4/netfilter/ipt_ECN.c
/** -j ECN */
export const ECN = target({
  name: 'ECN',
  families: [4],
  tables: ['mangle'],
  summary: 'Rewrites ECN bits of the TCP or IP header.',
  options: [flag('--ecn-tcp-remove'), bit('--ecn-tcp-ece'), bit('--ecn-tcp-cwr'), option('--ecn-ip-ect', { value: number('CODE', 3) })],
  check: (o, { protocol }) => {
    if (Object.keys(o).length === 0) return { error: 'ECN needs an option' };
    const bitNames = ['--ecn-tcp-ece', '--ecn-tcp-cwr'];
    const beside = has(o, '--ecn-tcp-remove') ? bitNames.find((n) => has(o, n)) : undefined;
    if (beside !== undefined) return { error: `--ecn-tcp-remove and ${beside} exclude each other` };
    const ofTcp = ['--ecn-tcp-remove', ...bitNames].some((n) => has(o, n));
    return ofTcp && protocol !== TCP ? { error: 'ECN needs -p tcp for bits of the TCP header' } : undefined;
  },
  print: (o) => {
    const { ece, cwr, ect } = codepoints(o);
    if (ece === 0 && cwr === 0 && ect === undefined) return '--ecn-tcp-remove';
    return [
      ...(ece === undefined ? [] : [`--ecn-tcp-ece ${ece}`]),
      ...(cwr === undefined ? [] : [`--ecn-tcp-cwr ${cwr}`]),
      ...(ect === undefined ? [] : [`--ecn-ip-ect ${ect}`]),
    ].join(' ');
  },
  lower: (o) => {
    const { ece, cwr, ect } = codepoints(o);
    const clear = (ece === undefined ? 0 : 64) | (cwr === undefined ? 0 : 128);
    const out: Statement[] = [];
    if (ect !== undefined) out.push({ kind: 'settos', clear: 3, xor: ect });
    if (clear) out.push({ kind: 'setflags', clear, xor: (ece ? 64 : 0) | (cwr ? 128 : 0) });
    return out;
  },
});

/** -j CONNSECMARK */
export const CONNSECMARK = aside({
  name: 'CONNSECMARK',
  tables: ['mangle', 'security'],
  summary: 'Copies the security mark from or to the connection.',
  options: [flag('--save'), flag('--restore')],
  check: onlyOne(['--save', '--restore'], 'CONNSECMARK needs --save or --restore'),
});

/** -j SECMARK */
export const SECMARK = aside({
  name: 'SECMARK',
  tables: ['mangle', 'security'],
  summary: 'Sets the security mark.',
  options: [option('--selctx', { value: word('CONTEXT'), required: true })],
});

/** -j IDLETIMER */
export const IDLETIMER = aside({
  name: 'IDLETIMER',
  summary: 'Restarts a timer.',
  options: [
    option('--timeout', { value: number('SECONDS', 0xffffffff, 1), required: true }),
    option('--label', { value: word('LABEL', 27), required: true }),
    flag('--alarm'),
  ],
});

const delay: Value<number> = {
  shape: 'MILLISECONDS|inf',
  read: (t = '') => (t === 'inf' ? -1 : (parseNumber(t) ?? { error: `'${t}' is neither a number of milliseconds nor inf` })),
  print: (n) => (n < 0 ? 'inf' : String(n)),
};

/** -j LED */
export const LED = aside({
  name: 'LED',
  summary: 'Lights a LED.',
  options: [
    option('--led-trigger-id', { value: text('NAME', 26), required: true }),
    option('--led-delay', { value: delay, silent: (n) => n === 0 }),
    flag('--led-always-blink'),
  ],
});

const SECONDS: Readonly<Record<string, number>> = { s: 1e6, sec: 1e6, secs: 1e6, ms: 1e3, msec: 1e3, msecs: 1e3, us: 1, usec: 1, usecs: 1 };

// rateest_print_time(), extensions/libxt_RATEEST.c
const duration: Value<number> = {
  shape: 'TIME',
  read: (t = '') => {
    const m = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(t);
    const factor = m ? (m[2] === '' ? 1 : SECONDS[m[2]!.toLowerCase()]) : undefined;
    return m && factor !== undefined ? Math.round(Number(m[1]) * factor) : { error: `'${t}' is not a time such as 250ms or 1s` };
  },
  print: (us) => (us >= 1e6 ? `${(us / 1e6).toFixed(1)}s` : us >= 1e3 ? `${(us / 1e3).toFixed(1)}ms` : `${us}us`),
};

/** -j RATEEST */
export const RATEEST = aside({
  name: 'RATEEST',
  tables: ['mangle'],
  summary: 'Measures a rate.',
  options: [
    option('--rateest-name', { value: word('NAME', 15), required: true }),
    option('--rateest-interval', { value: duration, required: true }),
    option('--rateest-ewmalog', { value: duration, required: true }),
  ],
});

const TCP_OPTIONS: Readonly<Record<string, number>> = { wscale: 3, mss: 2, 'sack-permitted': 4, sack: 5, timestamp: 8, md5: 19 };

const tcpOptions: Value<readonly number[]> = {
  shape: 'OPTION[,OPTION...]',
  read: (t = '') => {
    const out = new Set<number>();
    for (const part of t.split(',')) {
      const n = Object.hasOwn(TCP_OPTIONS, part) ? TCP_OPTIONS[part] : parseNumber(part, 255);
      if (n === undefined) return { error: `'${part}' is no TCP option (0 to 255, or ${Object.keys(TCP_OPTIONS).join(', ')})` };
      out.add(n);
    }
    return [...out].toSorted((a, b) => a - b);
  },
  print: (list) => list.join(','),
};

/** -j TCPOPTSTRIP */
export const TCPOPTSTRIP = aside({
  name: 'TCPOPTSTRIP',
  tables: ['mangle'],
  protocols: [TCP],
  summary: 'Blanks TCP options.',
  options: [option('--strip-options', { value: tcpOptions })],
});

const gateway: Value<Addr> = { shape: 'ADDR', read: (t = '') => parseAddr(t), print: formatAddr };

/** -j TEE */
export const TEE = aside({
  name: 'TEE',
  summary: 'Sends a copy of the packet elsewhere, which is not followed.',
  options: [option('--gateway', { value: gateway, required: true }), option('--oif', { value: word('DEVICE', 15) })],
  check: (o) => (/^(0\.0\.0\.0|::)$/.test(formatAddr(valueOf<Addr>(o, '--gateway')!)) ? { error: 'the gateway is no address' } : undefined),
});

/** -j ULOG */
export const ULOG = aside({
  name: 'ULOG',
  families: [4],
  summary: 'Passes the packet to a logging program, by an interface that kernels have no more.',
  options: [
    option('--ulog-prefix', { value: text('PREFIX', 31) }),
    option('--ulog-nlgroup', { value: number('GROUP', 32, 1), silent: (n) => n === 1 }),
    option('--ulog-cprange', { value: number('BYTES'), silent: (n) => n === 0 }),
    option('--ulog-qthreshold', { value: number('N', 50, 1), silent: (n) => n === 1 }),
  ],
});

const balance = range('FIRST:LAST', 65535, ':', false);

/** What the program behind a queue says of the packet is the verdict of the table. */
function queue(as: string, claim: string): readonly Statement[] {
  return [
    { kind: 'gate', as, claim },
    { kind: 'verdict', verdict: 'accept' },
  ];
}

// nfqueue_tg_v3(), net/netfilter/xt_NFQUEUE.c
/** -j NFQUEUE */
export const NFQUEUE = target({
  name: 'NFQUEUE',
  status: 'forks',
  why: 'the program that decides is not captured',
  summary: 'Passes the packet to a program, which accepts or drops it; with --queue-bypass it is accepted where no program listens.',
  options: [
    option('--queue-num', { value: number('NUMBER', 65535) }),
    option('--queue-balance', { value: { ...balance, print: ([lo, hi]) => `${lo}:${hi}` } }),
    flag('--queue-bypass'),
    flag('--queue-cpu-fanout'),
  ],
  check: (o) => {
    if (has(o, '--queue-num') && has(o, '--queue-balance')) return { error: '--queue-num and --queue-balance exclude each other' };
    return has(o, '--queue-cpu-fanout') && !has(o, '--queue-balance') ? { error: '--queue-cpu-fanout needs --queue-balance' } : undefined;
  },
  print: (o) => {
    const span = valueOf<Span2>(o, '--queue-balance');
    const more = ['--queue-bypass', '--queue-cpu-fanout'].filter((n) => has(o, n));
    return [span ? `--queue-balance ${span[0]}:${span[1]}` : `--queue-num ${valueOf<number>(o, '--queue-num') ?? 0}`, ...more].join(' ');
  },
  lower: (o, { family }) => {
    const as = NFQUEUE.print(o, family);
    const none = has(o, '--queue-bypass') ? ', or no program listens there' : '';
    return queue(`-j NFQUEUE ${as}`, `the program at ${as.replace(/ --queue-(bypass|cpu-fanout)/g, '')} accepts it${none} (not captured)`);
  },
});

/** -j QUEUE */
export const QUEUE = target({
  name: 'QUEUE',
  status: 'forks',
  why: 'the program that decides is not captured',
  summary: 'Passes the packet to the program at queue 0, which accepts or drops it.',
  lower: () => queue('-j QUEUE', 'the program at queue 0 accepts it (not captured)'),
});

// tproxy_tg4(), net/netfilter/xt_TPROXY.c: the mark is set only where a socket takes it
/** -j TPROXY */
export const TPROXY: TargetExtension = target({
  name: 'TPROXY',
  status: 'forks',
  why: 'whether a socket listens there is not captured',
  tables: ['mangle'],
  protocols: [TCP, UDP],
  summary: 'Hands the packet to a local socket unchanged, or drops it where there is none.',
  options: [
    option('--on-port', { value: number('PORT', 65535), required: true }),
    option('--on-ip', { value: gateway }),
    option('--tproxy-mark', { value: markMask }),
  ],
  check: (_, { chain }) => (['INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].includes(chain) ? { error: 'TPROXY works in PREROUTING only' } : undefined),
  print: (o, family) => {
    const ip = valueOf<Addr>(o, '--on-ip');
    const { value, mask } = valueOf<MarkMask>(o, '--tproxy-mark') ?? { value: 0, mask: 0 };
    return `--on-port ${valueOf<number>(o, '--on-port') ?? 0} --on-ip ${ip === undefined ? (family === 4 ? '0.0.0.0' : '::') : formatAddr(ip)} --tproxy-mark ${hex(value)}/${hex(mask)}`;
  },
  lower: (o, { family }) => {
    const { value, mask } = valueOf<MarkMask>(o, '--tproxy-mark') ?? { value: 0, mask: 0 };
    const as = `-j TPROXY ${TPROXY.print(o, family)}`;
    const port = valueOf<number>(o, '--on-port');
    return [
      { kind: 'gate', as, claim: `a transparent socket listens on ${port === 0 ? 'its port' : `port ${port}`} (not captured)` },
      { kind: 'set', field: 'mark', clear: mask, xor: value },
      { kind: 'verdict', verdict: 'accept' },
    ];
  },
});

/** -j SYNPROXY */
export const SYNPROXY = undecided({
  name: 'SYNPROXY',
  status: 'forks',
  why: 'the proxy answers for the server, which is not modelled',
  tables: ['filter', 'mangle'],
  protocols: [TCP],
  summary: 'Answers SYNs in the place of the server.',
  options: [
    flag('--sack-perm'),
    flag('--timestamp'),
    option('--wscale', { value: number('SHIFT', 255) }),
    option('--mss', { value: number('SIZE', 65535) }),
    flag('--ecn'),
  ],
  check: (_, { chain }) =>
    ['PREROUTING', 'OUTPUT', 'POSTROUTING'].includes(chain) ? { error: 'SYNPROXY works in INPUT and FORWARD only' } : undefined,
});

/** A prefix as NPT takes it: without bits behind its length. */
const bare: Value<Prefix> = {
  ...network,
  read: (t = '') => {
    const prefix = network.read(t);
    const addr = parseAddr(t.replace(/\/.*/, ''));
    return isBad(prefix) || isError(addr) || formatAddr(prefix.addr) === formatAddr(addr)
      ? prefix
      : { error: `'${t}' has bits behind its prefix`, hint: `write ${network.print(prefix)}` };
  },
};

const BUILT_IN: ReadonlySet<string> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

const npt = (name: 'SNPT' | 'DNPT', side: 'src' | 'dst', chains: readonly string[]): TargetExtension =>
  target({
    name,
    families: [6],
    tables: ['mangle'],
    summary: `Translates the prefix of the IPv6 ${side === 'src' ? 'source' : 'destination'} without connection tracking.`,
    options: ['--src-pfx', '--dst-pfx'].map((n) => option(n, { value: bare, required: true })),
    check: (o, { chain }) => {
      if (BUILT_IN.has(chain) && !chains.includes(chain)) return { error: `${name} works in ${chains.join(' and ')} only` };
      const given = ['--src-pfx', '--dst-pfx'].map((n) => valueOf<Prefix>(o, n)!);
      if (given.some((p) => familyOf(p.addr) !== 6)) return { error: `${name} translates IPv6 prefixes` };
      return given.some((p) => p.length > 64) ? { error: 'the prefixes are of 64 bits at most' } : undefined;
    },
    lower: (o) => [{ kind: 'npt', side, from: valueOf<Prefix>(o, '--src-pfx')!, to: valueOf<Prefix>(o, '--dst-pfx')! }],
  });

// ip6t_snpt_tg() and ip6t_dnpt_tg(), net/ipv6/netfilter/ip6t_NPT.c
/** -j SNPT */
export const SNPT = npt('SNPT', 'src', ['INPUT', 'POSTROUTING']);
/** -j DNPT */
export const DNPT = npt('DNPT', 'dst', ['PREROUTING', 'OUTPUT']);

const hexWidth = (shape: string, digits: number): Value<number> => ({
  ...number(shape, 16 ** digits - 1),
  print: (n) => `0x${n.toString(16).padStart(digits, '0')}`,
});
const TUPLE: Readonly<Record<string, readonly string[]>> = {
  src: ['--hmark-src-prefix'],
  dst: ['--hmark-dst-prefix'],
  sport: ['--hmark-sport-mask'],
  dport: ['--hmark-dport-mask'],
  spi: ['--hmark-spi-mask'],
  ct: ['--hmark-ct'],
};

const tuple: Value<readonly string[]> = {
  shape: 'src|dst|sport|dport|spi|ct[,...]',
  read: (t = '') => {
    const list = t.split(',');
    const wrong = list.find((n) => !Object.hasOwn(TUPLE, n));
    return wrong === undefined ? list : { error: `'${wrong}' is none of ${Object.keys(TUPLE).join(', ')}` };
  },
  print: (list) => list.join(','),
};

const HMARK_OPTIONS: readonly Option[] = [
  option('--hmark-src-prefix', { value: number('LENGTH', 128) }),
  option('--hmark-dst-prefix', { value: number('LENGTH', 128) }),
  option('--hmark-sport-mask', { value: hexWidth('MASK', 4) }),
  option('--hmark-dport-mask', { value: hexWidth('MASK', 4) }),
  option('--hmark-spi-mask', { value: hexWidth('MASK', 8) }),
  option('--hmark-sport', { value: hexWidth('PORT', 4) }),
  option('--hmark-dport', { value: hexWidth('PORT', 4) }),
  option('--hmark-spi', { value: hexWidth('SPI', 8) }),
  option('--hmark-proto-mask', { value: hexWidth('MASK', 2) }),
  option('--hmark-rnd', { value: hexWidth('SEED', 8) }),
  option('--hmark-mod', { value: number('N', 0xffffffff, 1), required: true }),
  option('--hmark-offset', { value: number('N'), silent: (n) => n === 0 }),
];

/** What --hmark-tuple stands for. */
function unfolded(o: Options, family: 4 | 6): Options {
  const whole: Readonly<Record<string, unknown>> = {
    src: family === 4 ? 32 : 128,
    dst: family === 4 ? 32 : 128,
    sport: 0xffff,
    dport: 0xffff,
    spi: 0xffffffff,
  };
  const list = valueOf<readonly string[]>(o, '--hmark-tuple') ?? [];
  return { ...Object.fromEntries(list.flatMap((n) => TUPLE[n]!.map((name) => [name, { value: whole[n] ?? true, not: false }]))), ...o };
}

/** -j HMARK */
export const HMARK: TargetExtension = target({
  name: 'HMARK',
  status: 'opaque',
  why: 'the hash is not modelled',
  summary: 'Sets the mark from a hash of addresses and ports.',
  options: [option('--hmark-tuple', { value: tuple }), flag('--hmark-ct'), ...HMARK_OPTIONS],
  check: (o) =>
    !has(o, '--hmark-rnd')
      ? { error: 'HMARK needs --hmark-rnd' }
      : Object.keys(o).some((n) => !['--hmark-rnd', '--hmark-mod', '--hmark-offset'].includes(n))
        ? undefined
        : { error: 'HMARK needs --hmark-tuple, or prefixes and masks' },
  print: (o, family) => {
    const full = unfolded(o, family);
    return HMARK_OPTIONS.flatMap((x) => {
      const g = full[x.name];
      if (!g || x.silent?.(g.value)) return [];
      return [`${x.name} ${x.value.print(g.value)}`];
    })
      .concat(has(full, '--hmark-ct') ? ['--hmark-tuple ct'] : [])
      .join(' ');
  },
  lower: (o, { family }) => [{ kind: 'anymark', as: `-j HMARK ${HMARK.print(o, family)}`, why: HMARK.why }],
});

/** -j CLUSTERIP */
export const CLUSTERIP = undecided({
  name: 'CLUSTERIP',
  status: 'opaque',
  why: 'the hash over the source is not modelled',
  families: [4],
  summary: 'Shares one address among nodes.',
  options: [
    flag('--new'),
    option('--hashmode', {
      value: oneOf('sourceip|sourceip-sourceport|sourceip-sourceport-destport', ['sourceip', 'sourceip-sourceport', 'sourceip-sourceport-destport']),
    }),
    option('--clustermac', { value: { ...word('MAC', 17), print: (t) => t.toUpperCase() } }),
    option('--total-nodes', { value: number('N', 65535, 1) }),
    option('--local-node', { value: number('N', 65535, 1) }),
    option('--hash-init', { value: number('SEED') }),
  ],
  check: (o) =>
    !has(o, '--new') || ['--hashmode', '--clustermac', '--total-nodes', '--local-node'].every((n) => has(o, n))
      ? undefined
      : { error: 'CLUSTERIP --new needs --hashmode, --clustermac, --total-nodes and --local-node' },
});
