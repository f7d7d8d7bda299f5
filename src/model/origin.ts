// Who made a rule, a chain, a set, a route: told only where its own shape says so. What says nothing has no origin.
import type { IpSet, Pred, Rule, Statement, Table } from './ruleset.ts';
import { PROGRAMS, type Maker, type Program, type Saying } from './program.ts';
import type { Route } from './host.ts';
import type { Step } from './trace.ts';

/** A maker, and which of its things this is: `Service default/web:http`, `IP pools`, `bridge docker0`. */
export interface Origin {
  readonly by: Maker;
  readonly of?: string;
}

const BUILT_IN = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

/** What made a rule of a chain, by its comment, where it leads, or its form in a chain of its maker. `table` as `filter` or `inet firewalld`. */
export function originOfRule(rule: Pick<Rule, 'text' | 'comment' | 'then' | 'match'>, chain: string, table: string): Origin | undefined {
  const saying: Saying = {
    chain,
    text: rule.text.startsWith(`-A ${chain} `) ? rule.text.slice(chain.length + 4) : rule.text,
    ...(rule.comment !== undefined && { comment: rule.comment }),
    targets: rule.then.flatMap(targetsOf),
    sets: setsOf(rule.match),
  };
  const maker = PROGRAMS.find((p) => isMadeBy(p, saying, table));
  return maker && originBy(maker, saying);
}

/** What made the rule of a step. */
export function originOfStep(step: Extract<Step, { step: 'rule' }>): Origin | undefined {
  return originOfRule({ ...step, match: step.reason.pred }, step.chain, step.table);
}

/** What made a chain, by its name, or its table's where one program writes all of that. */
export function originOfChain(chain: string, table: string): Origin | undefined {
  const maker = PROGRAMS.find((p) => p.table?.test(table) === true || (!isOfNft(table) && p.chain?.test(chain) === true));
  return maker && originBy(maker, { chain, text: '', targets: [], sets: [] });
}

/** What made a set, by its name: an ipset, or with `table` a set of nft. */
export function originOfSet(set: Pick<IpSet, 'name'>, table?: Table['nft']): Origin | undefined {
  const maker = PROGRAMS.find((p) => (table === undefined ? p.set?.test(set.name) : p.table?.test(table)) === true);
  return maker && originBy(maker, { chain: '', text: '', targets: [], sets: [set.name] });
}

function originBy(maker: Program, saying: Saying): Origin {
  const of = maker.of?.(saying);
  return { by: maker.by, ...(of !== undefined && { of }) };
}

/** A name says something in iptables' tables alone: in a table of their own people call chains as they like. */
function isOfNft(table: string): boolean {
  return table.includes(' ');
}

function isMadeBy(p: Program, s: Saying, table: string): boolean {
  if (s.comment !== undefined && p.comment?.test(s.comment) === true) return true;
  if (isOfNft(table)) return p.table?.test(table) === true && p.mute?.(s) !== true;
  if (p.rule?.test(s.text) === true && BUILT_IN.has(s.chain)) return true;
  const isOwn = p.chain?.test(s.chain) === true;
  // the way into its chains leads from a hook; a chain of somebody else that leads there is theirs
  if ((isOwn || BUILT_IN.has(s.chain)) && s.targets.some((t) => p.chain?.test(t) === true)) return true;
  if (!isOwn) return false;
  if (s.targets.some((t) => p.lent?.test(t) === true) || s.sets.some((n) => p.set?.test(n) === true)) return true;
  return (p.own ?? []).some(([chain, rule]) => chain.test(s.chain) && rule.test(s.text));
}

function targetsOf(s: Statement): string[] {
  return s.kind === 'jump' || s.kind === 'goto' ? [s.chain] : [];
}

function setsOf(p: Pred): string[] {
  switch (p.kind) {
    case 'all':
    case 'any':
      return p.of.flatMap(setsOf);
    case 'not':
      return setsOf(p.of);
    case 'member':
      return [p.set];
    case 'lookup':
      return typeof p.set === 'string' ? [p.set] : [];
    default:
      return [];
  }
}

/**
 * Whose protocol number is whose: /etc/iproute2/rt_protos. `static` is the administrator's, also by way of the node's network configuration
 * (rtnetlink(7)); `boot`, which ip does not print, is anybody's.
 */
const PROTOCOLS: Readonly<Record<string, Maker>> = {
  static: 'administrator',
  ra: 'router advertisement',
  zebra: 'zebra',
  bird: 'BIRD',
  dhcp: 'DHCP client',
  keepalived: 'keepalived',
  babel: 'Babel',
  bgp: 'BGP',
  isis: 'IS-IS',
  ospf: 'OSPF',
  rip: 'RIP',
  eigrp: 'EIGRP',
};

/** The numbers of the same, where ip has no names for them. */
const NUMBERS: Readonly<Record<string, string>> = {
  '2': 'kernel',
  '4': 'static',
  '9': 'ra',
  '11': 'zebra',
  '12': 'bird',
  '16': 'dhcp',
  '18': 'keepalived',
  '42': 'babel',
  '186': 'bgp',
  '187': 'isis',
  '188': 'ospf',
  '189': 'rip',
  '192': 'eigrp',
};

/** What made a route, by its protocol or a device that only one program makes; `text` may quote the route. */
export function originOfRoute({ text }: Pick<Route, 'text'>): Origin | undefined {
  const word = (key: string): string | undefined => new RegExp(`(?:^|\\s)${key} ([^\\s']+)`).exec(text)?.[1];
  const device = word('dev') ?? '';
  const said = word('proto') ?? '';
  const protocol = NUMBERS[said] ?? said;
  // Cilium calls its own routes the kernel's
  if (device === 'cilium_host') return { by: 'Cilium' };
  if (protocol === 'kernel') {
    if (!isOfKernel(text)) return undefined;
    return { by: 'kernel', ...(device === 'kube-ipvs0' && { of: 'an address that kube-proxy gave kube-ipvs0' }) };
  }
  // a route into a tunnel of IPIP is what Calico's BIRD alone can make (krt_tunnel)
  if (protocol === 'bird' && (device === 'tunl0' || isOfCalico(device))) return { by: 'Calico', of: 'BIRD' };
  const named = PROTOCOLS[protocol];
  if (named !== undefined) return { by: named };
  if (/^flannel(\.\d+|-v6\.\d+|-wg(-v6)?|\.ipip)$/.test(device)) return { by: 'flannel' };
  if (device === 'vxlan.calico' || device === 'vxlan-v6.calico') return { by: 'Calico' };
  return isOfCalico(device) && !text.includes(' via ') ? { by: 'Calico', of: `endpoint ${device}` } : undefined;
}

/** Of an address (fib_add_ifaddr(), net/ipv4/fib_frontend.c): without a next hop, and in IPv4 with a preferred source. */
function isOfKernel(text: string): boolean {
  return !/ via |\bnexthop /.test(text) && (text.includes(' src ') || text.includes(':') || /^(local|broadcast|anycast|multicast) /.test(text));
}

/** Calico names the host's end of a workload by a hash. */
function isOfCalico(device: string): boolean {
  return /^cali[0-9a-f]{11}$/.test(device);
}
