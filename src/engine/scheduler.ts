// Which real server gets a new connection: the schedulers of IPVS. Those that hash, and fo, are computed; what the others pick
// hangs on what nobody captures (whose turn it is, the load at the moment), so they give every server that it may be.
import { formatEndpoint, type Addr } from '../net/addr.ts';
import { SCTP, TCP, UDP } from '../net/proto.ts';
import type { RealServer, VirtualServer } from '../model/ipvs.ts';
import type { Truth } from '../model/ruleset.ts';
import { isSince } from './kernel.ts';
import { fold, hash32, inDestinationTable, inMaglevTable, inSourceTable, lowBits, PLACES, type Found, type Hash } from './servertable.ts';

/** A connection's first packet, as a scheduler sees it. What is not known of it is absent. */
export interface NewConnection {
  readonly client?: Addr;
  readonly clientPort?: number;
  readonly virtual?: Addr;
  readonly proto: number;
  /** `uname -r`. */
  readonly kernel?: string;
}

/** One thing that a scheduler may do. */
export interface Candidate {
  /** Absent: it finds none, and the packet fares as if the service had no server. */
  readonly server?: RealServer;
  /** 0 to 1; absent when nobody can know. */
  readonly probability?: number;
  /** In words that can stand in an answer. */
  readonly why: string;
}

type Candidates = readonly [Candidate, ...Candidate[]];

/** What a service's scheduler does with a new connection: what is likeliest, or what the captured counts lead to, first. One candidate alone is certain. */
export function schedule(service: VirtualServer, from: NewConnection): Candidates {
  const { scheduler, servers } = service;
  if (servers.length === 0) return [{ why: 'the virtual server has no real server' }];
  const usable = servers.filter((s) => s.weight > 0 && (isOverloaded(s) !== true || scheduler === 'lblc'));
  if (usable.length === 0) return [{ why: `no real server takes new connections: ${servers.map(reluctance).join(', ')}` }];
  const table = tableOf(service, from);
  if (table) return look(service, from, table);
  return share(service, usable);
}

/** IP_VS_DEST_F_OVERLOAD: ip_vs_bind_dest() sets it from the upper threshold on, ip_vs_unbind_dest() takes it back below the lower one, or three quarters of the upper. */
export function isOverloaded(server: RealServer): Truth {
  const { upper, lower, active, inactive } = server;
  if (upper === 0) return false;
  if (active === undefined || inactive === undefined) return 'unknown';
  const total = active + inactive;
  if (total >= upper) return true;
  return (lower > 0 ? total < lower : total * 4 < upper * 3) ? false : 'unknown';
}

function reluctance(server: RealServer): string {
  return `${nameOf(server)} ${server.weight === 0 ? 'has weight 0' : 'is overloaded'}`;
}

function nameOf(server: RealServer): string {
  return formatEndpoint(server.addr, server.port === 0 ? undefined : server.port);
}

// ---- schedulers that look up a place

type Order = readonly RealServer[];
type IsUsable = (server: RealServer) => boolean;

/** How a scheduler finds its server once everything is known, and what by. */
interface Table {
  readonly by: string;
  /** Absent where the packet's part in it is not known. */
  readonly find?: (order: Order, isUsable: IsUsable, hash: Hash) => Found;
  /** How large a part of the table is a server's, fallbacks aside. */
  readonly size: (server: RealServer) => number;
  /** It hashes with the function that 4.18 replaced. */
  readonly isRehashed: boolean;
  /** It looks further where the place is that of a server that takes no connections. */
  readonly fallback: boolean;
  /** Of the order it matters only which of equals comes first. */
  readonly isList: boolean;
}

function tableOf(service: VirtualServer, from: NewConnection): Table | undefined {
  const { family, scheduler, schedulerFlags } = service;
  const fallback = schedulerFlags?.includes(1) ?? false;
  const withPort = schedulerFlags?.includes(2) ?? false;
  const hashesPort = withPort && [TCP, UDP, SCTP].includes(from.proto);
  const port = schedulerFlags === undefined ? undefined : hashesPort ? from.clientPort : 0;
  const client = from.client !== undefined && port !== undefined ? (fold(from.client, family) + port) >>> 0 : undefined;
  const by = `by the client's address${withPort ? ' and port' : schedulerFlags === undefined ? ', and perhaps its port (no listing shows its flags)' : ''}`;
  switch (scheduler) {
    case 'sh': {
      const isWeighted = isSince(from.kernel, 3, 3) !== false;
      const find: Table['find'] = (order, isUsable, hash) =>
        isWeighted ? inSourceTable(order, hash(client!), isUsable, fallback) : inDestinationTable(order, hash(client!), isUsable);
      const size = (s: RealServer): number => (isWeighted ? Math.max(s.weight, 1) : 1);
      return { by, ...(client !== undefined && { find }), size, isRehashed: true, fallback, isList: false };
    }
    case 'dh': {
      const virtual = from.virtual === undefined ? undefined : fold(from.virtual, family);
      const find: Table['find'] = (order, isUsable, hash) => inDestinationTable(order, hash(virtual!), isUsable);
      return { by: 'by the virtual address', ...(virtual !== undefined && { find }), size: one, isRehashed: true, fallback: false, isList: false };
    }
    case 'mh': {
      const find: Table['find'] = (order, isUsable) => inMaglevTable(order, family, client!, isUsable, fallback);
      return { by: `${by} in a table of ${PLACES}`, ...(client !== undefined && { find }), size: weight, isRehashed: false, fallback, isList: false };
    }
    case 'fo':
      return { ...LIST, by: 'for its weight', find: heaviest };
    // ip_vs_bind_dest(): a UDP connection is inactive for ever, and these three count active ones only
    case 'sed':
    case 'ovf':
      return isIdle(service) ? { ...LIST, by: 'for its weight, as UDP connections never count as active', find: heaviest } : undefined;
    case 'nq':
      return isIdle(service) ? { ...LIST, by: 'as its first, as UDP connections never count as active', find: foremost } : undefined;
    default:
      return undefined;
  }
}

const one = (): number => 1;
const weight = (s: RealServer): number => s.weight;

function isIdle(service: VirtualServer): boolean {
  return service.proto === UDP && service.servers.every((s) => !s.active);
}

const LIST = { size: one, isRehashed: false, fallback: true, isList: true } as const;

// ip_vs_fo_schedule(), net/netfilter/ipvs/ip_vs_fo.c: the first of the greatest weight
function heaviest(order: Order, isUsable: IsUsable): Found {
  const most = Math.max(...order.filter(isUsable).map(weight));
  return foremost(order, (s) => isUsable(s) && s.weight === most);
}

function foremost(order: Order, isUsable: IsUsable): Found {
  const server = order.find(isUsable);
  return server ? { home: server, server } : { home: order[0]! };
}

/** The orders of more servers, and the cases of more that may be overloaded, are too many to try. */
const TRIED = 5;

/** Looks the place up in every way that what is not known may be; what comes out is certain where all agree. */
function look(service: VirtualServer, from: NewConnection, table: Table): Candidates {
  const { servers, scheduler } = service;
  const { find } = table;
  const isOrdered = service.inKernelOrder || servers.length === 1;
  const since = isSince(from.kernel, 4, 18);
  const hashes = [...(since === false && table.isRehashed ? [] : [hash32]), ...(since === true || !table.isRehashed ? [] : [lowBits])];
  const unsure = servers.filter((s) => s.weight > 0 && isOverloaded(s) === 'unknown');
  // a server that had a weight keeps its places in the table of mh
  const quiet = scheduler === 'mh' ? servers.filter((s) => s.weight === 0) : [];
  const doubts = [
    ...(isOrdered ? [] : ['the order of the servers in the kernel, which /proc/net/ip_vs shows']),
    ...(hashes.length > 1 ? ["the kernel's version, which uname -r shows"] : []),
    ...unsure.map((s) => `whether ${nameOf(s)} is overloaded`),
    ...quiet.map((s) => `the weight that ${nameOf(s)} had before`),
    ...(find ? [] : [`${table.by.slice(3)}, which is not known`]),
  ];

  const tally = new Tally();
  const isTried = find !== undefined && (isOrdered || table.isList || servers.length <= TRIED) && unsure.length <= TRIED;
  if (isTried)
    for (const order of isOrdered ? [servers] : table.isList ? servers.map((s) => [s, ...servers]) : ordersOf(service))
      for (const hash of hashes)
        for (const spared of subsetsOf(unsure)) {
          const found = find(order, (s) => s.weight > 0 && (isOverloaded(s) === false || spared.includes(s)), hash);
          // of equals in a list each comes first once
          if (isOrdered || !table.isList || !found.server || found.server === order[0]) tally.count(found, 1);
        }
  // what every order, or every weight of before, may lead to
  const mayRefuse = (s: RealServer): boolean => s.weight === 0 || isOverloaded(s) !== false;
  if (!isTried || quiet.length > 0)
    for (const s of servers) {
      if (s.weight > 0 && isOverloaded(s) !== true) tally.count({ home: s, server: s }, isTried ? 0 : table.size(s));
      if (mayRefuse(s) && !table.fallback) tally.count({ home: s }, isTried ? 0 : table.size(s));
    }

  // of the ways, is none likelier than another?
  const isFair = hashes.length === 1 && unsure.length === 0 && quiet.length === 0 && (isTried || !table.fallback || !servers.some(mayRefuse));
  const hangs = tally.found.size > 1 ? `; that hangs on ${doubts.join(', and on ')}` : '';
  const candidates = [...tally.found.values()].map(({ server, homes, times }): Candidate => {
    const refusing = homes.filter((h) => h !== server).map(reluctance);
    const why = server
      ? `${scheduler} picks ${nameOf(server)} ${table.by}${refusing.length > 0 ? `, as ${refusing.join(' and ')}` : ''}`
      : `${scheduler} picks none ${table.by}, as ${refusing.join(' or ')}`;
    const probability = tally.found.size === 1 ? 1 : isFair ? times / tally.total : undefined;
    return { ...(server && { server }), ...(probability !== undefined && { probability }), why: why + hangs };
  });
  return likeliest(candidates.toSorted((a, b) => (b.probability ?? 0) - (a.probability ?? 0)));
}

function likeliest(candidates: readonly Candidate[]): Candidates {
  const [first, ...rest] = candidates;
  return [first!, ...rest];
}

/** What came out how often. Servers that refuse are one outcome. */
class Tally {
  readonly found = new Map<RealServer | undefined, { readonly server?: RealServer; readonly homes: RealServer[]; times: number }>();
  total = 0;

  count({ server, home }: Found, times: number): void {
    const outcome = this.found.get(server) ?? { ...(server && { server }), homes: [], times: 0 };
    if (!outcome.homes.includes(home)) outcome.homes.push(home);
    outcome.times += times;
    this.total += times;
    this.found.set(server, outcome);
  }
}

const orders = new WeakMap<VirtualServer, readonly Order[]>();

/** Every order that the servers may stand in, that of the listing first. */
function ordersOf(service: VirtualServer): readonly Order[] {
  const known = orders.get(service);
  if (known) return known;
  const made = permutationsOf(service.servers);
  orders.set(service, made);
  return made;
}

function permutationsOf<T>(all: readonly T[]): T[][] {
  return all.length === 0 ? [[]] : all.flatMap((first, i) => permutationsOf(all.toSpliced(i, 1)).map((rest) => [first, ...rest]));
}

/** The whole first. */
function subsetsOf<T>(all: readonly T[]): T[][] {
  return all.reduce<T[][]>((sets, item) => [...sets.map((set) => [...set, item]), ...sets], [[]]);
}

// ---- schedulers that take turns, or go by the load

/** How a scheduler spreads connections: in which shares, and by which load, the least of which is picked. */
interface Spread {
  readonly by: string;
  /** Absent where the weights make no shares. */
  readonly share?: (s: RealServer) => number;
  /** Undefined where the counts were not captured. */
  readonly load?: (s: RealServer) => number | undefined;
}

/** ip_vs_dest_conn_overhead(), include/net/ip_vs.h: an active connection counts like 256 others. */
function overhead({ active, inactive }: RealServer): number | undefined {
  return active === undefined || inactive === undefined ? undefined : active * 256 + inactive;
}

function overheadByWeight(s: RealServer): number | undefined {
  const connections = overhead(s);
  return connections === undefined ? undefined : connections / s.weight;
}

/** ip_vs_sed_schedule(): the connection to come counts too. */
function delay({ active, weight: rate }: RealServer): number | undefined {
  return active === undefined ? undefined : (active + 1) / rate;
}

/** ip_vs_ovf_schedule(): the heavier, the better, but none with more active connections than weight. */
function overflow(s: RealServer): number | undefined {
  return s.active === undefined ? undefined : s.active > s.weight ? Infinity : -s.weight;
}

const SPREADS: ReadonlyMap<string, Spread> = new Map([
  ['rr', { by: 'the servers take turns', share: one }],
  ['wrr', { by: 'the servers take turns by their weight', share: weight }],
  ['lc', { by: 'the one with the fewest connections', share: one, load: overhead }],
  ['wlc', { by: 'the one with the fewest connections for its weight', share: weight, load: overheadByWeight }],
  ['sed', { by: 'the one with the fewest active connections for its weight', share: weight, load: delay }],
  // ip_vs_nq_schedule(): the first that is idle
  ['nq', { by: 'one without active connections, or with the fewest for its weight', share: weight, load: (s) => (s.active === 0 ? 0 : delay(s)) }],
  ['ovf', { by: 'the heaviest that has no more active connections than weight', load: overflow }],
  // ip_vs_lblc_schedule(): what is in the cache was put there as wlc would
  ['lblc', { by: 'the one that its cache has for the virtual address', share: weight }],
  ['lblcr', { by: 'one of those that its cache has for the virtual address', share: weight }],
  // ip_vs_twos_schedule()
  ['twos', { by: 'the one with fewer connections of two that it draws by weight', share: weight }],
]);

/**
 * The shares are those of many connections; as nobody knows whose turn it is, they are the chances of one. Schedulers that go by load
 * make such shares in the long run, where connections last as long everywhere. Which server is next by the counts of the
 * capture stands first, but the counts change by the second.
 */
function share({ scheduler, servers, inKernelOrder }: VirtualServer, usable: readonly RealServer[]): Candidates {
  const spread: Spread = SPREADS.get(scheduler) ?? { by: 'how it picks is not known' };
  const loads = usable.map((s) => spread.load?.(s)).filter((l) => l !== undefined);
  const least = loads.length === usable.length ? Math.min(...loads) : undefined;
  const idlest = least === undefined || least === Infinity ? [] : usable.filter((s) => spread.load!(s) === least);
  const nexts = inKernelOrder ? idlest.slice(0, 1) : idlest;
  const isSure = usable.every((s) => isOverloaded(s) === false);
  const total = spread.share && isSure ? usable.reduce((sum, s) => sum + spread.share!(s), 0) : undefined;
  const mayFail = scheduler === 'ovf' || usable.every((s) => isOverloaded(s) !== false);
  const isOnly = usable.length === 1 && !mayFail;
  const candidates = usable.map((server): Candidate => {
    const by = isOnly ? (servers.length === 1 ? 'it has no other' : 'no other takes new connections') : spread.by;
    const next = isOnly || least === undefined ? '' : nexts.includes(server) ? ', as this was at the capture' : ', if the load is another by now';
    const doubt = isOverloaded(server) === 'unknown' ? '; whether it is overloaded was not captured' : '';
    const probability = isOnly ? 1 : total !== undefined ? spread.share!(server) / total : undefined;
    return { server, ...(probability !== undefined && { probability }), why: `${scheduler} picks ${nameOf(server)}: ${by}${next}${doubt}` };
  });
  const none: Candidate = {
    why: `${scheduler} picks none: ${scheduler === 'ovf' ? 'all have more active connections than weight' : 'all are overloaded'}`,
  };
  const sorted = candidates.toSorted((a, b) => Number(nexts.includes(b.server!)) - Number(nexts.includes(a.server!)));
  return likeliest(!mayFail ? sorted : least === Infinity ? [none, ...sorted] : [...sorted, none]);
}
