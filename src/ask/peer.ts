// Commands that make a node what the other captured nodes are: where one of several nodes alike lacks a rule, a member, a route that the
// others have, or is set otherwise than they are, that is what to try first.
import { contains, equal, familyOf, formatAddr, formatEndpoint, formatPrefix } from '../net/addr.ts';
import { TCP, UDP } from '../net/proto.ts';
import type { Namespace, World } from '../model/host.ts';
import type { VirtualServer } from '../model/ipvs.ts';
import type { Chain, Table } from '../model/ruleset.ts';
import type { Course, Hop } from '../model/trace.ts';
import { serverName } from './thing.ts';

/** A command, and which of its kind it is. */
export interface PeerCommand {
  readonly edit: string;
  /** Commands that belong to it. */
  readonly more?: readonly string[];
}

/** Members that a set may lack: beyond it holds something else. */
const MOST_MEMBERS = 8;
/** Commands of one node that are worth trying. */
const MOST = 24;

/** What nodes on the way have otherwise than the other nodes. */
export function fromPeers(world: World, course: Course): readonly PeerCommand[] {
  const { trace: t } = course;
  const out = new Map<string, PeerCommand>();
  const visited = new Set<Namespace>();
  for (const hop of [...t.hops, ...(t.reply?.hops ?? [])]) {
    const ns = world.namespaces.find((n) => n.node === hop.node && n.name === hop.namespace);
    if (!ns || ns.stub || visited.has(ns)) continue;
    visited.add(ns);
    const hops = [...t.hops, ...(t.reply?.hops ?? [])].filter((h) => h.node === hop.node && h.namespace === hop.namespace);
    const alike = world.namespaces.filter((n) => n !== ns && (n.name === '') === (ns.name === '') && !n.stub);
    const found = alike.flatMap((peer) => (ns.name === '' ? differences(ns, peer, hops) : ways(ns, peer)));
    for (const c of found.slice(0, MOST)) if (!out.has(c.edit)) out.set(c.edit, c);
  }
  return [...out.values()];
}

function differences(ns: Namespace, peer: Namespace, hops: readonly Hop[]): PeerCommand[] {
  const commands = [
    ...settings(ns, peer),
    ...tables(ns, peer, hops),
    ...members(ns, peer),
    ...routes(ns, peer),
    ...stations(ns, peer),
    ...servers(ns, peer),
    ...devices(ns, peer),
  ];
  return commands.map((command) => ({ edit: `${ns.node}# ${command}` }));
}

const SETTINGS =
  /^net\.(?:ipv4\.ip_forward|ipv6\.conf\.(?:all|default)\.forwarding|bridge\.|ipv4\.vs\.|ipv4\.conf\..*\.(?:rp_filter|route_localnet))/;

function settings(ns: Namespace, peer: Namespace): string[] {
  return Object.entries(peer.sysctls).flatMap(([key, { value }]) => {
    const own = ns.sysctls[key];
    // what is on elsewhere may be wanted here; that something is off elsewhere is no reason to switch it off
    const lets = key.endsWith('.rp_filter') ? value !== '1' : value === '1';
    return own && own.value !== value && lets && SETTINGS.test(key) ? [`sysctl -w ${key}=${value}`] : [];
  });
}

function tables(ns: Namespace, peer: Namespace, hops: readonly Hop[]): string[] {
  const walked = new Set(hops.flatMap((h) => h.steps.flatMap((s) => ('chain' in s ? [`${s.family} ${s.table} ${s.chain}`] : []))));
  return peer.tables.flatMap((theirs) => {
    const own = ns.tables.find((t) => t.family === theirs.family && t.name === theirs.name && t.backend === theirs.backend && t.nft === theirs.nft);
    if (!own) return [];
    const label = own.nft ?? own.name;
    const sets = theirs.nft === undefined ? [] : elements(own, theirs, theirs.nft);
    return [
      ...Object.values(theirs.chains).flatMap((c) => {
        const mine = Object.hasOwn(own.chains, c.name) ? own.chains[c.name]! : undefined;
        return mine && walked.has(`${own.family} ${label} ${c.name}`) ? chain(own, mine, c) : [];
      }),
      ...sets,
    ];
  });
}

function chain(table: Table, own: Chain, theirs: Chain): string[] {
  const tool = `ip${table.family === 6 ? '6' : ''}tables${table.backend === 'unknown' ? '' : `-${table.backend}`} -t ${table.name}`;
  const isNft = table.nft !== undefined;
  const has = new Set(own.rules.map((r) => r.text));
  const policy =
    own.base?.policy === 'drop' && theirs.base?.policy === 'accept'
      ? [isNft ? `nft add chain ${table.nft} ${own.name} '{ policy accept; }'` : `${tool} -P ${own.name} ACCEPT`]
      : [];
  const rules = theirs.rules.flatMap((r, i) => {
    const leads = r.then.flatMap((s) => (s.kind === 'jump' || s.kind === 'goto' ? [s.chain] : []));
    if (has.has(r.text) || leads.some((c) => !Object.hasOwn(table.chains, c))) return [];
    const before = theirs.rules.slice(0, i).findLast((x) => has.has(x.text));
    const place = before === undefined ? 0 : own.rules.findIndex((x) => x.text === before.text) + 1;
    if (!isNft) return [`${tool} -I ${own.name} ${place + 1} ${r.text.replace(/^-A \S+ ?/, '')}`];
    return [`nft ${place === 0 ? 'insert' : 'add'} rule ${table.nft} ${own.name} ${r.text}`];
  });
  return [...policy, ...rules];
}

function elements(own: Table, theirs: Table, label: string): string[] {
  return Object.values(theirs.sets ?? {}).flatMap((s) => {
    const mine = own.sets && Object.hasOwn(own.sets, s.name) ? own.sets[s.name] : undefined;
    if (!mine || s.name === '') return [];
    const has = new Set(mine.elements.map((e) => e.text));
    const missing = s.elements.filter((e) => !has.has(e.text));
    return missing.length > MOST_MEMBERS ? [] : missing.map((e) => `nft add element ${label} ${s.name} '{ ${e.text} }'`);
  });
}

function members(ns: Namespace, peer: Namespace): string[] {
  return Object.values(peer.sets).flatMap((s) => {
    const own = Object.hasOwn(ns.sets, s.name) ? ns.sets[s.name] : undefined;
    if (own?.type !== s.type) return [];
    const has = new Set(own.members.map((m) => m.text));
    const missing = s.members.filter((m) => !has.has(m.text));
    return missing.length > MOST_MEMBERS ? [] : missing.map((m) => `ipset add ${s.name} ${m.text}`);
  });
}

/** Routes by a next hop that this node could ask, too. */
function routes(ns: Namespace, peer: Namespace): string[] {
  return peer.routes.flatMap((r) => {
    const [hop, ...more] = r.nextHops;
    if (r.table !== 'main' || r.type !== 'unicast' || hop?.via === undefined || more.length > 0) return [];
    const { via } = hop;
    const isOwn = ns.addresses.some((a) => equal(a.addr, via) || (r.to.length > 0 && contains(r.to, a.addr)));
    if (isOwn || ns.routes.some((x) => x.table === 'main' && equal(x.to.addr, r.to.addr) && x.to.length === r.to.length)) return [];
    const tail = `${hop.device === undefined ? '' : ` dev ${hop.device}`}${hop.onlink ? ' onlink' : ''}`;
    return [`ip ${familyOf(via) === 6 ? '-6 ' : ''}route add ${r.to.length === 0 ? 'default' : formatPrefix(r.to)} via ${formatAddr(via)}${tail}`];
  });
}

/** Routes of another container that this one could have. */
function ways(ns: Namespace, peer: Namespace): PeerCommand[] {
  const to = (n: Namespace, family: 4 | 6): Set<string> =>
    new Set(n.routes.filter((r) => r.family === family && r.table === 'main').map((r) => formatPrefix(r.to)));
  const missing = peer.routes.filter(
    (r) =>
      r.table === 'main' &&
      r.type === 'unicast' &&
      r.src === undefined &&
      !to(ns, r.family).has(formatPrefix(r.to)) &&
      !peer.addresses.some((a) => contains(r.to, a.addr) && r.to.length > 0),
  );
  return missing.map((r) => ({ edit: `${ns.node}/${ns.name}# ip ${r.family === 6 ? '-6 ' : ''}route add ${r.text}` }));
}

/** Stations of a tunnel that the node does not know, or knows otherwise. */
function stations(ns: Namespace, peer: Namespace): string[] {
  const tunnels = new Set(ns.links.filter((l) => l.kind === 'vxlan').map((l) => l.name));
  const own = new Set(ns.links.flatMap((l) => l.mac ?? []));
  const neighbours = peer.neighbours.flatMap((n) => {
    const known = ns.neighbours.find((x) => equal(x.addr, n.addr) && x.device === n.device);
    if (!tunnels.has(n.device) || n.mac === undefined || own.has(n.mac) || known?.mac === n.mac) return [];
    return [`ip neigh replace ${formatAddr(n.addr)} lladdr ${n.mac} dev ${n.device} nud permanent`];
  });
  const entries = peer.fdb.flatMap((e) => {
    const known = ns.fdb.find((x) => x.mac === e.mac && x.device === e.device && x.remote !== undefined);
    if (!tunnels.has(e.device) || e.remote === undefined || own.has(e.mac) || (known?.remote && equal(known.remote, e.remote))) return [];
    return [`bridge fdb replace ${e.mac} dev ${e.device} dst ${formatAddr(e.remote)} self permanent`];
  });
  return [...neighbours, ...entries];
}

function servers(ns: Namespace, peer: Namespace): string[] {
  if (!ns.ipvs) return [];
  return (peer.ipvs?.services ?? []).flatMap((s) => {
    if (s.addr === undefined || s.port === undefined) return [];
    const own = ns.ipvs!.services.find((x) => x.proto === s.proto && serverName(x) === serverName(s));
    const option = s.proto === UDP ? '-u' : s.proto === TCP ? '-t' : '--sctp-service';
    const missing = s.servers.filter((r) => !own?.servers.some((x) => equal(x.addr, r.addr) && x.port === r.port && x.weight > 0));
    const add = own ? [] : [`ipvsadm -A ${option} ${serverName(s)} -s ${s.scheduler}`];
    return [...add, ...(own ? missing.map((r) => withServer(option, s, formatEndpoint(r.addr, r.port), own)) : [])];
  });
}

function withServer(option: string, s: VirtualServer, server: string, own: VirtualServer): string {
  const isThere = own.servers.some((x) => formatEndpoint(x.addr, x.port) === server);
  return `ipvsadm ${isThere ? '-e' : '-a'} ${option} ${serverName(s)} -r ${server} -m -w 1`;
}

/** Devices of one name on all nodes, made alike. */
function devices(ns: Namespace, peer: Namespace): string[] {
  return peer.links.flatMap((l) => {
    const own = ns.links.find((x) => x.name === l.name && x.kind === l.kind);
    if (!own) return [];
    return [...(l.up && !own.up ? [`ip link set ${own.name} up`] : []), ...(l.mtu > own.mtu ? [`ip link set ${own.name} mtu ${l.mtu}`] : [])];
  });
}
