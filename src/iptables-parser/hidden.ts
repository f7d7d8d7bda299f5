// Matches on what a host knows beside the packet and nobody captures: CPUs, control groups, sockets, labels, policies, programs.
import { ICMP, ICMPV6, TCP } from '../net/proto.ts';
import { CT_STATE, CT_STATUS, type Pred } from '../model/ruleset.ts';
import {
  has,
  match,
  option,
  printOption,
  unknown,
  valueOf,
  type Context,
  type MatchExtension,
  type Option,
  type Options,
  type Status,
} from './extension.ts';
import { all, any, fieldIn, masked, negate, otherwise } from './predicate.ts';
import { bareAddress, hex, markMask, nothing, number, oneOf, parseNumber, text, word, type Bad, type MarkMask, type Value } from './value.ts';

interface Hidden {
  readonly name: string;
  readonly summary: string;
  readonly why: string;
  readonly options: readonly Option[];
  readonly status?: Status;
  readonly families?: readonly (4 | 6)[];
  readonly tables?: readonly string[];
  readonly protocols?: readonly number[];
  readonly check?: (o: Options, context: Context) => Bad | undefined;
  readonly print?: (o: Options, family: 4 | 6) => string;
  /** What it wants besides, whether inverted or not. */
  readonly also?: (context: Context) => Pred | undefined;
}

/** A match whose options ask what was not captured: each forks on its own, and equal ones agree. */
function hidden(h: Hidden): MatchExtension {
  const made: MatchExtension = match({
    ...h,
    status: h.status ?? 'forks',
    lower: (o, context) => {
      const also = h.also?.(context);
      const part = (says: string, not: boolean, shown: string): Pred => {
        const open = unknown(`-m ${h.name} ${says}`.trimEnd(), h.why, `${h.name}:${says}`);
        const p = not ? negate(open) : open;
        return { ...(also ? all(also, p) : p), text: shown };
      };
      if (h.print) return [part(made.print(o, context.family), false, made.print(o, context.family))];
      const given = h.options.filter((x) => o[x.name]);
      if (given.length === 0) return [part('', false, '')];
      return given.map((x) => part(printOption(x, { ...o[x.name]!, not: false }), o[x.name]!.not, printOption(x, o[x.name]!)));
    },
  });
  return made;
}

const flag = (name: string): Option => option(name, { value: nothing });

// cpu_mt(), net/netfilter/xt_cpu.c
/** -m cpu */
export const cpu = hidden({
  name: 'cpu',
  summary: 'The CPU that handles the packet.',
  why: 'any CPU may handle it',
  options: [option('--cpu', { value: number('NUMBER'), negatable: true, required: true })],
});

// cgroup_mt_v2(), net/netfilter/xt_cgroup.c: false without a socket, inverted or not. In INPUT an early look-up may have found one.
/** -m cgroup */
export const cgroup = hidden({
  name: 'cgroup',
  summary: 'The control group of the socket.',
  why: 'control groups are not captured',
  options: [option('--path', { value: text('PATH', 511), negatable: true }), option('--cgroup', { value: number('CLASS'), negatable: true })],
  check: (o, { chain }) =>
    Object.keys(o).length !== 1
      ? { error: 'cgroup needs --path or --cgroup' }
      : chain === 'PREROUTING' || chain === 'FORWARD'
        ? { error: `cgroup cannot be used in ${chain}` }
        : undefined,
  also: ({ chain }) => (chain === 'OUTPUT' || chain === 'POSTROUTING' ? fieldIn('socket', [1, 1]) : undefined),
});

/** A number that may have a name: of the files where the tools look names up, the one line that everybody has. */
const named = (zero: string): Value<MarkMask> => ({
  ...markMask,
  read: (t = '') => (t === zero ? { value: 0, mask: 0xffffffff } : markMask.read(t)),
  print: (m) => (m.mask === 0xffffffff && m.value === 0 ? zero : markMask.print(m)),
});

/** /etc/iproute2/group */
const group = named('default');

// devgroup_mt(), net/netfilter/xt_devgroup.c
/** -m devgroup */
export const devgroup = hidden({
  name: 'devgroup',
  summary: 'The group of a device.',
  why: 'device groups are not read',
  options: [option('--src-group', { value: group, negatable: true }), option('--dst-group', { value: group, negatable: true })],
  check: (o, { chain }) =>
    Object.keys(o).length === 0
      ? { error: 'devgroup needs --src-group or --dst-group' }
      : has(o, '--src-group') && (chain === 'OUTPUT' || chain === 'POSTROUTING')
        ? { error: `--src-group cannot be used in ${chain}` }
        : has(o, '--dst-group') && (chain === 'INPUT' || chain === 'PREROUTING')
          ? { error: `--dst-group cannot be used in ${chain}` }
          : undefined,
});

/** /etc/iproute2/rt_realms */
const realmName = named('cosmos');

// realm_mt(), net/netfilter/xt_realm.c
/** -m realm */
export const realm = hidden({
  name: 'realm',
  families: [4],
  summary: 'The realm of the route.',
  why: 'realms of routes are not read',
  options: [option('--realm', { value: realmName, negatable: true, required: true })],
  check: (_, { chain }) => (chain === 'PREROUTING' ? { error: 'realm cannot be used in PREROUTING' } : undefined),
});

// socket_mt4_v1_v2_v3(), net/netfilter/xt_socket.c
/** -m socket */
export const socket = hidden({
  name: 'socket',
  summary: 'Whether a socket of this host is open for the packet.',
  why: 'sockets are not captured',
  options: [flag('--transparent'), flag('--nowildcard'), flag('--restore-skmark')],
  print: (o) => ['--transparent', '--nowildcard', '--restore-skmark'].filter((n) => has(o, n)).join(' '),
  check: (_, { chain }) =>
    ['FORWARD', 'OUTPUT', 'POSTROUTING'].includes(chain) ? { error: 'socket works in PREROUTING and INPUT only' } : undefined,
});

const label: Value<string> = {
  shape: 'LABEL',
  read: (t = '') => {
    const n = parseNumber(t);
    if (n !== undefined) return n < 128 ? String(n) : { error: `'${t}' is not a label: 0 to 127` };
    return t === '' ? { error: 'an empty label' } : t;
  },
  print: (t) => `"${t}"`,
};

// connlabel_mt(), net/netfilter/xt_connlabel.c
/** -m connlabel */
export const connlabel = hidden({
  name: 'connlabel',
  summary: 'The labels of a connection.',
  why: 'labels are not captured',
  options: [option('--label', { value: label, negatable: true, required: true }), flag('--set')],
  print: (o) => `${o['--label']?.not ? '! ' : ''}--label "${valueOf<string>(o, '--label')}"${has(o, '--set') ? ' --set' : ''}`,
});

// helper_mt(), net/netfilter/xt_helper.c: only an expected connection has a master, whose helper it asks.
/** -m helper */
export const helper = match({
  name: 'helper',
  summary: 'The conntrack helper that expected this connection.',
  why: 'a connection that no helper expected matches only the inverted form; which helper expected one is not captured',
  options: [
    option('--helper', {
      value: { ...word('NAME', 29), read: (t = '') => t.slice(0, 29), print: (t) => (t === '' ? '""' : t) },
      negatable: true,
      required: true,
      invert: otherwise,
      lower: (name) =>
        all(
          any(
            masked('ctstatus', CT_STATUS.EXPECTED, CT_STATUS.EXPECTED),
            all(fieldIn('ctstate', [CT_STATE.RELATED, CT_STATE.RELATED]), otherwise(fieldIn('proto', [ICMP, ICMP], [ICMPV6, ICMPV6]))),
          ),
          unknown(`-m helper --helper ${name}`, 'which helper expected the connection is not captured', `helper:${name}`),
        ),
    }),
  ],
});

const nodes = number('NODES', 32, 1);
const wordHex = (n: number): string => `0x${n.toString(16).padStart(8, '0')}`;

// xt_cluster_mt(), net/netfilter/xt_cluster.c
/** -m cluster */
export const cluster = hidden({
  name: 'cluster',
  summary: 'Which node of a cluster is responsible for the packet.',
  why: 'the hash over the source is not modelled',
  options: [
    option('--cluster-local-nodemask', { value: number('MASK'), negatable: true }),
    option('--cluster-local-node', { value: number('NODE', 32, 1), negatable: true }),
    option('--cluster-total-nodes', { value: nodes, required: true }),
    option('--cluster-hash-seed', { value: number('SEED'), required: true }),
  ],
  check: (o) => {
    if (has(o, '--cluster-local-node') === has(o, '--cluster-local-nodemask'))
      return { error: 'cluster needs --cluster-local-node or --cluster-local-nodemask' };
    const total = valueOf<number>(o, '--cluster-total-nodes')!;
    if ((valueOf<number>(o, '--cluster-local-node') ?? 0) > total) return { error: '--cluster-local-node is at most --cluster-total-nodes' };
    return (valueOf<number>(o, '--cluster-local-nodemask') ?? 0) >= 2 ** total
      ? { error: '--cluster-local-nodemask has more nodes than there are' }
      : undefined;
  },
  print: (o) => {
    const node = valueOf<number>(o, '--cluster-local-node');
    const mask = node === undefined ? (valueOf<number>(o, '--cluster-local-nodemask') ?? 0) : (1 << (node - 1)) >>> 0;
    const not = (o['--cluster-local-node'] ?? o['--cluster-local-nodemask'])?.not;
    return `${not ? '! ' : ''}--cluster-local-nodemask ${wordHex(mask)} --cluster-total-nodes ${valueOf<number>(o, '--cluster-total-nodes')} --cluster-hash-seed ${wordHex(valueOf<number>(o, '--cluster-hash-seed') ?? 0)}`;
  },
});

const program: Value<string> = {
  shape: 'PROGRAM',
  read: (t = '') => {
    const [count = '', ...lines] = t.replace(/,$/, '').split(',');
    const n = parseNumber(count, 64);
    if (n === undefined || n !== lines.length || n === 0)
      return { error: `'${t}' is not a program of up to 64 instructions: its length, then each of them` };
    const wrong = lines.find((l) => !/^\d+ \d+ \d+ \d+$/.test(l.trim()));
    return wrong === undefined ? [n, ...lines.map((l) => l.trim())].join(',') : { error: `'${wrong}' is not an instruction of four numbers` };
  },
  print: (t) => `"${t}"`,
};

// bpf_mt_v1(), net/netfilter/xt_bpf.c
/** -m bpf */
export const bpf = hidden({
  name: 'bpf',
  status: 'opaque',
  summary: 'A BPF program.',
  why: 'the program is not run',
  options: [option('--bytecode', { value: program }), option('--object-pinned', { value: word('PATH', 511) })],
  check: (o) => (Object.keys(o).length === 1 ? undefined : { error: 'bpf needs --bytecode or --object-pinned' }),
});

// xt_osf_match_packet(), net/netfilter/xt_osf.c: false for anything but a SYN
/** -m osf */
export const osf = hidden({
  name: 'osf',
  status: 'opaque',
  families: [4],
  protocols: [TCP],
  summary: 'The operating system of the sender, guessed from its SYN.',
  why: 'the guess needs TCP options and a list of fingerprints',
  options: [
    option('--genre', { value: word('GENRE', 31), negatable: true, required: true }),
    option('--ttl', { value: number('LEVEL', 2) }),
    option('--log', { value: number('LEVEL', 2) }),
  ],
  print: (o) =>
    `${o['--genre']?.not ? '! ' : ''}--genre ${valueOf<string>(o, '--genre')}${['--ttl', '--log'].flatMap((n) => (has(o, n) ? [` ${n} ${valueOf<number>(o, n)}`] : [])).join('')}`,
  also: () => masked('flags', 2, 2),
});

const ELEMENT: readonly Option[] = [
  option('--reqid', { value: number('ID'), negatable: true }),
  option('--spi', { value: { ...number('SPI'), print: hex }, negatable: true }),
  option('--proto', { value: oneOf('ah|esp|ipcomp', ['ah', 'esp', 'ipcomp']), negatable: true }),
  option('--mode', { value: oneOf('transport|tunnel', ['transport', 'tunnel']), negatable: true }),
  option('--tunnel-dst', { value: bareAddress, negatable: true }),
  option('--tunnel-src', { value: bareAddress, negatable: true }),
];

// policy_mt(), net/netfilter/xt_policy.c
/** -m policy */
export const policy = hidden({
  name: 'policy',
  summary: 'The IPsec policy of the packet.',
  why: 'IPsec policies are not captured',
  options: [
    option('--dir', { value: oneOf('in|out', ['in', 'out']), required: true }),
    option('--pol', { value: oneOf('none|ipsec', ['none', 'ipsec']) }),
    flag('--strict'),
    option('--next', { value: nothing, begins: true }),
    ...ELEMENT,
  ],
  check: (o, { chain }) => {
    const inward = valueOf<string>(o, '--dir') === 'in';
    if (inward && (chain === 'OUTPUT' || chain === 'POSTROUTING')) return { error: `--dir in cannot be used in ${chain}` };
    if (!inward && (chain === 'INPUT' || chain === 'PREROUTING')) return { error: `--dir out cannot be used in ${chain}` };
    return undefined;
  },
  print: (o) => {
    const none = valueOf<string>(o, '--pol') === 'none';
    const head = [`--dir ${valueOf<string>(o, '--dir')} --pol ${none ? 'none' : 'ipsec'}`];
    if (none) return head.join(' ');
    const parts = [...head, ...(has(o, '--strict') ? ['--strict'] : [])];
    for (let n = 0; n === 0 || has(o, `--next#${n}`); n++) {
      if (n > 0) parts.push('--next');
      for (const x of ELEMENT) {
        const given = o[n === 0 ? x.name : `${x.name}#${n}`];
        if (given) parts.push(printOption(x, given));
      }
    }
    return parts.join(' ');
  },
});
