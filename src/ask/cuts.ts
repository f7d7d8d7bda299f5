// Where what a namespace does with a packet may change, besides its rules and sets, which tell by themselves: routes, addresses,
// neighbours, connections, virtual servers. Between two such places no address or port makes a difference.
import {
  add,
  compare,
  equal,
  familyOf,
  formatAddr,
  isError,
  networkOf,
  parsePrefix,
  prefixRange,
  type Addr,
  type Prefix,
  type Word,
} from '../net/addr.ts';
import type { Range } from '../net/intervals.ts';
import type { Namespace, Wire, World } from '../model/host.ts';
import type { Tuple } from '../model/packet.ts';
import { wholeOf } from '../engine/watch.ts';

/** Sorted values of one family or of ports, each the first of something else. */
class Starts {
  private readonly values: Word[];

  constructor(ranges: readonly Range[]) {
    const all = ranges.flatMap(([lo, hi]) => {
      const next = add(hi, 1);
      return compare(next, hi) > 0 ? [lo, next] : [lo];
    });
    this.values = all.toSorted(compare).filter((v, i, list) => i === 0 || !equal(v, list[i - 1]!));
  }

  /** The values around one that nothing begins between. */
  around(value: Word, [least, most]: Range): Range {
    let [low, high] = [0, this.values.length];
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (compare(this.values[mid]!, value) <= 0) low = mid + 1;
      else high = mid;
    }
    const [before, after] = [this.values[low - 1], this.values[low]];
    return [before ?? least, after === undefined ? most : add(after, -1)];
  }
}

interface ByFamily {
  readonly 4: Starts;
  readonly 6: Starts;
}

/** Addresses that the kernel knows by themselves, and those that RFC 6724 does. */
const KNOWN_BLOCKS = (
  '0.0.0.0/32 0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/4 224.0.0.0/24 240.0.0.0/4 255.255.255.255/32 ::/128 ::1/128 ::/96 ' +
  '::ffff:0:0/96 2001::/32 2002::/16 3ffe::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 ff02::/16'
)
  .split(' ')
  .flatMap((text) => {
    const prefix = parsePrefix(text);
    return isError(prefix) ? [] : [prefixRange(prefix)];
  });

const OF_NAMESPACE = new WeakMap<Namespace, ByFamily>();
const OF_WORLD = new WeakMap<World, ByFamily>();

function byFamily(ranges: readonly Range[]): ByFamily {
  const of = (family: 4 | 6): Starts => new Starts(ranges.filter(([lo]) => familyOf(lo) === family));
  return { 4: of(4), 6: of(6) };
}

function startsOf(ns: Namespace): ByFamily {
  let known = OF_NAMESPACE.get(ns);
  if (!known) OF_NAMESPACE.set(ns, (known = byFamily(rangesOf(ns))));
  return known;
}

function point(a: Addr | undefined): Range[] {
  return a === undefined ? [] : [[a, a]];
}

function block(p: Prefix | undefined): Range[] {
  return p ? [prefixRange(p)] : [];
}

function rangesOf(ns: Namespace): Range[] {
  const tuples = ns.conntrack.flatMap((c) => [c.orig, c.reply]);
  return [
    ...KNOWN_BLOCKS,
    ...ns.routes.flatMap((r) => [...block(r.to), ...block(r.from), ...point(r.src), ...r.nextHops.flatMap((h) => point(h.via))]),
    ...ns.rules.flatMap((r) => [...block(r.from), ...block(r.to)]),
    ...ns.addresses.flatMap((a) => {
      const [lo, hi] = prefixRange(networkOf(a));
      return [...point(a.addr), ...point(a.peer), ...point(a.broadcast), ...point(lo), ...point(hi)];
    }),
    ...ns.neighbours.flatMap((n) => point(n.addr)),
    ...tuples.flatMap((t) => [...point(t.src), ...point(t.dst)]),
    ...ns.fdb.flatMap((e) => point(e.remote)),
    ...(ns.ipvs?.services ?? []).flatMap((s) => [...point(s.addr), ...s.servers.flatMap((r) => point(r.addr))]),
    ...(ns.ipvs?.connections ?? []).flatMap((c) => [...point(c.client.addr), ...point(c.virtual.addr), ...point(c.server.addr)]),
  ];
}

/** Addresses that somebody in the world has, or that a wire knows: who answers for them is another host. */
function startsOfWorld(world: World): ByFamily {
  let known = OF_WORLD.get(world);
  if (known) return known;
  const ranges = [
    ...world.namespaces.flatMap((n) => [
      ...n.addresses.flatMap((a) => point(a.addr)),
      ...n.neighbours.flatMap((x) => point(x.addr)),
      // a host answers for all that it has a local route for
      ...n.routes.filter((r) => r.type === 'local').flatMap((r) => block(r.to)),
    ]),
    ...world.wires.flatMap((w) => (w.deny ?? []).flatMap((d) => [...block(d.from), ...block(d.to)])),
  ];
  OF_WORLD.set(world, (known = byFamily(ranges)));
  return known;
}

/** The addresses around one that fare alike in these namespaces, as far as rules and sets do not tell them apart. */
export function addressesAlike(world: World, visited: Iterable<Namespace>, addr: Addr): Range {
  const family = familyOf(addr);
  let [lo, hi] = wholeOf('addr', addr);
  for (const starts of [startsOfWorld(world), ...[...visited].map((ns) => startsOf(ns))]) {
    const [from, to] = starts[family].around(addr, [lo, hi]);
    if (compare(from, lo) > 0) lo = from;
    if (compare(to, hi) < 0) hi = to;
  }
  return [lo, hi];
}

/** The ports around one that fare alike, for packets that show these addresses on their way. */
export function portsAlike(world: World, visited: Iterable<Namespace>, port: number, seen: readonly Addr[]): Range {
  const shown = new Set(seen.map((a) => formatAddr(a)));
  const has = (a: Addr): boolean => shown.has(formatAddr(a));
  const ranges: Range[] = [];
  for (const ns of visited) {
    for (const r of ns.rules) ranges.push(...(r.sport ? [r.sport] : []), ...(r.dport ? [r.dport] : []));
    for (const { orig, reply } of ns.conntrack) for (const t of [orig, reply]) if (has(t.src) || has(t.dst)) ranges.push(...portsOf(t));
    for (const s of ns.ipvs?.services ?? [])
      if (s.addr === undefined || has(s.addr))
        ranges.push([s.port ?? 0, s.port ?? 0], [20, 20], [21, 21], [0, 1023], ...s.servers.map((r): Range => [r.port, r.port]));
    for (const c of ns.ipvs?.connections ?? [])
      if (has(c.client.addr) || has(c.virtual.addr) || has(c.server.addr))
        for (const e of [c.client, c.virtual, c.server]) ranges.push([e.port, e.port]);
  }
  for (const w of world.wires) for (const d of w.deny ?? []) ranges.push(...denied(d));
  return new Starts(ranges).around(port, [0, 65535]);
}

function portsOf(t: Tuple): Range[] {
  return [
    [t.sport, t.sport],
    [t.dport, t.dport],
  ];
}

function denied(d: NonNullable<Wire['deny']>[number]): Range[] {
  return [...(d.sport ? [d.sport] : []), ...(d.dport ? [d.dport] : [])];
}
