// What a capture holds and lacks, in words: `netwhy show`.
import type { CaptureKind, Namespace, World } from '../model/host.ts';
import type { Witness } from '../model/witness.ts';
import type { Pred, Rule, Statement, Table } from '../model/ruleset.ts';
import type { Span } from '../model/finding.ts';
import { location, place } from './phrase.ts';

/** How much of each kind of thing one namespace printed. */
export interface Coverage {
  readonly node: string;
  readonly namespace: string;
  readonly kernel?: string;
  readonly tables: readonly {
    readonly backend: string;
    /** Absent of a table of nft for both. */
    readonly family?: 4 | 6;
    readonly name: string;
    /** Of a table of nft's own: `inet firewalld`. */
    readonly nft?: string;
    readonly chains: number;
    readonly rules: number;
    /** Of nft: sets and maps with names, and what they hold. */
    readonly sets?: number;
    readonly elements?: number;
    /** Why elements may be missing, by set. */
    readonly incomplete?: Readonly<Record<string, string>>;
  }[];
  /** Chains of families that are not followed: `bridge filter forward`. */
  readonly unfollowed: readonly string[];
  readonly sets: number;
  readonly members: number;
  readonly links: number;
  readonly addresses: number;
  readonly routes: number;
  readonly routingRules: number;
  readonly neighbours: number;
  readonly sysctls: number;
  readonly connections: number;
  /** Sockets, where they were captured. */
  readonly listeners?: number;
  readonly virtualServers: number;
  readonly realServers: number;
  /** Connections that IPVS holds. */
  readonly balanced: number;
  /** Kinds of things that were not captured. */
  readonly missing: readonly string[];
}

/** A construct that netwhy reads but does not model, and where it stands. */
export interface Unmodelled {
  readonly what: string;
  readonly why: string;
  readonly at: Span;
}

const KINDS: Readonly<Record<CaptureKind, string>> = {
  rules4: 'iptables rules (iptables-save)',
  rules6: 'ip6tables rules (ip6tables-save)',
  sets: 'ipsets (ipset save)',
  links: 'interfaces (ip link)',
  addresses: 'addresses (ip addr)',
  routes4: 'IPv4 routes (ip route show table all)',
  routes6: 'IPv6 routes (ip -6 route show table all)',
  rules: 'policy rules (ip rule)',
  neighbours: 'neighbours (ip neigh)',
  fdb: 'bridge and VXLAN forwarding entries (bridge fdb)',
  sysctls: 'sysctls (sysctl -a)',
  conntrack: 'connections (conntrack -L)',
  tcpListeners: 'sockets of TCP (ss -ltunp)',
  udpListeners: 'sockets of UDP (ss -ltunp)',
  ipvs: 'virtual servers (ipvsadm -Sn)',
  ipvsConnections: 'connections of virtual servers (ipvsadm -Lnc)',
};

export function coverage(ns: Namespace): Coverage {
  return {
    node: ns.node,
    namespace: ns.name,
    ...(ns.kernel !== undefined && { kernel: ns.kernel }),
    tables: tablesOf(ns).map(tableCoverage),
    unfollowed: (ns.foreignChains ?? []).map((c) => c.name),
    sets: Object.keys(ns.sets).length,
    members: Object.values(ns.sets).reduce((n, s) => n + s.members.length, 0),
    links: ns.links.length,
    addresses: ns.addresses.length,
    routes: ns.routes.length,
    routingRules: ns.rules.length,
    neighbours: ns.neighbours.length,
    sysctls: Object.keys(ns.sysctls).length,
    connections: ns.conntrack.length,
    ...(ns.listeners && { listeners: ns.listeners.length }),
    virtualServers: ns.ipvs?.services.length ?? 0,
    realServers: ns.ipvs?.services.reduce((n, s) => n + s.servers.length, 0) ?? 0,
    balanced: ns.ipvs?.connections?.length ?? 0,
    missing: ns.stub ? [] : (Object.keys(KINDS) as CaptureKind[]).filter((k) => isMissed(ns, k)).map((k) => KINDS[k]),
  };
}

/** The tables; one of nft that has both families is two of them. */
function tablesOf({ tables }: Namespace): Table[] {
  return tables.filter((t, i) => t.nft === undefined || tables.findIndex((o) => o.nft === t.nft) === i);
}

function tableCoverage(t: Table): Coverage['tables'][number] {
  const sets = Object.values(t.sets ?? {});
  const incomplete = sets.flatMap((s) => (s.incomplete === undefined ? [] : [[s.name, s.incomplete] as const]));
  const isOfBoth = t.nft !== undefined && !/^ip6? /.test(t.nft);
  return {
    backend: t.backend,
    ...(!isOfBoth && { family: t.family }),
    name: t.name,
    ...(t.nft !== undefined && { nft: t.nft }),
    chains: Object.keys(t.chains).length,
    rules: rulesOf(t).length,
    ...(sets.length > 0 && { sets: sets.length, elements: sets.reduce((n, s) => n + s.elements.length, 0) }),
    ...(incomplete.length > 0 && { incomplete: Object.fromEntries(incomplete) }),
  };
}

/** IPVS is at home on nodes, not in containers, and has connections where it has virtual servers. No answer waits for who listens. */
function isMissed(ns: Namespace, kind: CaptureKind): boolean {
  if (ns.captured[kind] || kind === 'tcpListeners' || kind === 'udpListeners') return false;
  return kind === 'ipvs' ? ns.name === '' : kind !== 'ipvsConnections' || (ns.ipvs?.services.length ?? 0) > 0;
}

/** Every match and target of the world's rules that netwhy keeps as words only. */
export function unmodelled(world: World): Unmodelled[] {
  return world.namespaces.flatMap((ns) =>
    tablesOf(ns).flatMap((t) =>
      rulesOf(t).flatMap((rule) =>
        [...opaquePreds(rule.match), ...rule.then.flatMap(opaqueIn)].map(({ as, why }) => ({ what: as, why, at: rule.at })),
      ),
    ),
  );
}

function rulesOf(t: Table): Rule[] {
  return Object.values(t.chains).flatMap((c) => c.rules);
}

function opaquePreds(p: Pred): { as: string; why: string }[] {
  if (p.kind === 'opaque') return [p];
  if (p.kind === 'not') return opaquePreds(p.of);
  return p.kind === 'all' || p.kind === 'any' ? p.of.flatMap(opaquePreds) : [];
}

function opaqueIn(s: Statement): { as: string; why: string }[] {
  return s.kind === 'opaque' ? [s] : s.kind === 'if' ? opaquePreds(s.pred) : [];
}

/** The coverage of every namespace, then what is not modelled. */
export function coverageText(world: World): string {
  const out: string[] = [];
  for (const ns of world.namespaces) {
    const c = coverage(ns);
    out.push(
      `${place({ node: c.node, namespace: c.namespace })}${c.kernel === undefined ? '' : `  kernel ${c.kernel}`}${ns.stub ? '  (a stub: addresses and routes only)' : ''}`,
    );
    for (const t of c.tables) {
      const title =
        t.nft === undefined ? `${t.family === 6 ? 'ip6tables' : 'iptables '} ${t.backend.padEnd(7)} ${t.name.padEnd(8)}` : `nft ${t.nft.padEnd(22)}`;
      const sets = t.sets === undefined ? '' : `, ${count(t.elements ?? 0, 'element')} in ${count(t.sets, 'set or map', 'sets and maps')}`;
      out.push(`  ${title} ${count(t.rules, 'rule')} in ${count(t.chains, 'chain')}${sets}`);
      for (const [name, why] of Object.entries(t.incomplete ?? {})) out.push(`    ${name} may hold more: ${why}`);
    }
    if (c.unfollowed.length > 0) out.push(`  not followed: ${c.unfollowed.map((name) => `nft ${name}`).join(', ')}`);
    out.push(
      `  ${[count(c.sets, 'ipset'), count(c.members, 'member'), count(c.links, 'interface'), count(c.addresses, 'address', 'addresses'), count(c.routes, 'route'), count(c.routingRules, 'policy rule')].join(', ')}`,
    );
    const listeners = c.listeners === undefined ? [] : [count(c.listeners, 'listening socket')];
    out.push(`  ${[count(c.neighbours, 'neighbour'), count(c.sysctls, 'sysctl'), count(c.connections, 'connection'), ...listeners].join(', ')}`);
    if (c.virtualServers > 0 || c.balanced > 0)
      out.push(
        `  ${[count(c.virtualServers, 'virtual server'), count(c.realServers, 'real server'), count(c.balanced, 'connection')].join(', ')} of IPVS`,
      );
    if (c.missing.length > 0) out.push(`  not captured: ${c.missing.join('; ')}`);
  }
  for (const w of world.wires) out.push(`wire ${w.name}: ${w.ends.map((e) => `${place(e)}/${e.device}`).join(', ')}`);
  const records = world.witness ? Object.entries(tally(world.witness)).filter(([, n]) => n > 0) : [];
  if (records.length > 0) out.push(`records of the cluster: ${records.map(([what, n]) => `${what} ${n}`).join(', ')}`);
  const open = unmodelled(world);
  if (open.length > 0) {
    out.push('', `not decided by the capture alone (${count(open.length, 'place')}); a trace that depends on one says so:`);
    for (const u of open.slice(0, 50)) out.push(`  ${location(u.at)}  ${u.what}: ${u.why}`);
    if (open.length > 50) out.push(`  ... and ${open.length - 50} more (-o json lists them all)`);
  }
  return `${out.join('\n')}\n`;
}

/** How many records of each kind there are. */
export function tally(w: Witness): Record<string, number> {
  return {
    nodes: w.nodes.length,
    pods: w.pods.length,
    services: w.services.length,
    'endpoint lists': w.endpoints.length,
    'IP pools': w.pools.length,
    'flannel leases': w.leases.length,
    'flannel networks': w.networks.length,
    'flannel subnets': w.subnetFiles.length,
  };
}

function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
