// Route tables and policy rules of one namespace: fib_lookup() and fib_rules_lookup(), net/ipv4/fib_*.c and net/core/fib_rules.c.
import {
  and,
  asPrefix,
  bitsOf,
  compare,
  contains,
  equal,
  familyOf,
  formatAddr,
  isLimitedBroadcast,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isZeronet,
  maskOf,
  or,
  not,
  type Addr,
  type Family,
} from '../net/addr.ts';
import { Lpm } from '../net/lpm.ts';
import type { Span } from '../model/finding.ts';
import type { InterfaceAddress, Namespace, NextHop, Route, RoutingRule } from '../model/host.ts';
import { ADDR_TYPE } from '../model/ruleset.ts';
import { setting } from './sysctl.ts';

/** What a route is asked for: struct flowi4 / flowi6. */
export interface Flow {
  readonly family: Family;
  readonly dst: Addr;
  readonly src?: Addr;
  /** `lo` for packets of this host itself; undefined when not known. */
  readonly iif: string | undefined;
  readonly oif?: string;
  /** IPv6: of the routes of one prefix, one by this device is preferred. */
  readonly near?: string;
  readonly mark: number;
  readonly tos: number;
  readonly proto?: number;
  readonly sport?: number;
  readonly dport?: number;
  readonly uid?: number;
}

export type FibResult =
  | { readonly kind: 'hit'; readonly route: Route; readonly hop: NextHop; readonly rule: RoutingRule }
  | {
      readonly kind: 'error';
      readonly error: 'blackhole' | 'unreachable' | 'prohibit';
      readonly at: Span;
      readonly text: string;
      readonly rule?: RoutingRule;
    }
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown'; readonly why: string };

/** Settles what the tables leave open: a selector that cannot be decided, one of several next hops. */
export interface Arbiter {
  decide(key: string, what: string): boolean;
  pick(key: string, hops: readonly NextHop[], route: Route): NextHop;
}

const TABLE_NAMES: Readonly<Record<string, string>> = { '255': 'local', '254': 'main', '253': 'default' };
const REFUSING: ReadonlySet<Route['type']> = new Set(['throw', 'blackhole', 'unreachable', 'prohibit']);
const NOWHERE: Span = { file: '', line: 0 };

/** The forwarding information base of one namespace and family. Built once, shared by all walks. */
export class Fib {
  private readonly ns: Namespace;
  private readonly family: Family;
  private readonly tables = new Map<string, Lpm<Route[]>>();
  private readonly policy: readonly RoutingRule[];
  /** Whether addresses of this host, and routes beyond its own subnets, are known at all. */
  readonly knowsLocal: boolean;
  readonly knowsRoutes: boolean;
  /** There are policy rules besides the standard ones, or local routes that no address made (fib_has_custom_rules, ..._local_routes). */
  readonly isCustom: boolean;

  /** fib_dscp_masked_match(): in IPv4 the three upper bits do not count. */
  private readonly tosMask: number;

  private constructor(ns: Namespace, family: Family) {
    this.ns = ns;
    this.family = family;
    this.tosMask = family === 4 ? 0x1c : 0xfc;
    const routes = ns.routes.filter((r) => r.family === family);
    const captured = ns.captured[family === 4 ? 'routes4' : 'routes6'] !== undefined;
    const addressed = ns.captured.addresses !== undefined;
    const hasLocalTable = routes.some((r) => tableName(r.table) === 'local');
    this.knowsLocal = hasLocalTable || addressed;
    this.knowsRoutes = captured || ns.stub === true;
    for (const route of routes) this.insert(route);
    for (const a of ns.addresses) {
      if (familyOf(a.addr) !== family) continue;
      if (!hasLocalTable) for (const r of localRoutes(a)) this.insert(r);
      if (!captured) this.insert(connectedRoute(a));
    }
    const rules = ns.rules.filter((r) => r.family === family);
    this.isCustom = rules.some((r) => !isStandard(r)) || routes.some((r) => r.type === 'local' && r.proto !== undefined && r.proto !== 'kernel');
    this.policy = rules.length > 0 ? rules.toSorted((a, b) => a.priority - b.priority) : standardRules(family);
  }

  private static readonly cache = new WeakMap<Namespace, Map<Family, Fib>>();

  static of(ns: Namespace, family: Family): Fib {
    let byFamily = Fib.cache.get(ns);
    if (!byFamily) Fib.cache.set(ns, (byFamily = new Map()));
    let fib = byFamily.get(family);
    if (!fib) byFamily.set(family, (fib = new Fib(ns, family)));
    return fib;
  }

  /** fib_rules_lookup(): the rules in order of priority, until a table has a route. */
  lookup(flow: Flow, arbiter: Arbiter): FibResult {
    for (let i = 0; i < this.policy.length; i++) {
      const rule = this.policy[i]!;
      if (!this.selects(rule, flow, arbiter)) continue;
      switch (rule.action) {
        case 'nop':
          continue;
        case 'goto': {
          // a target that is not there is unresolved: the rule is passed over
          const target = this.policy.findIndex((r) => r.priority === rule.gotoPriority);
          if (target > i) i = target - 1;
          continue;
        }
        case 'blackhole':
        case 'unreachable':
        case 'prohibit':
          return { kind: 'error', error: rule.action, at: rule.at, text: rule.text, rule };
        case 'lookup': {
          const found = this.search(tableName(rule.table ?? 'main'), flow, rule, arbiter);
          if (found) return found;
        }
      }
    }
    if (!this.knowsRoutes) return { kind: 'unknown', why: `routes of ${this.name()} were not captured` };
    return { kind: 'none' };
  }

  /** fib_table_lookup(): longest prefix, then tos, then metric; undefined sends the lookup on to the next rule. */
  private search(table: string, flow: Flow, rule: RoutingRule, arbiter: Arbiter): FibResult | undefined {
    if (table === 'local' && !this.knowsLocal) {
      const addr = formatAddr(flow.dst);
      if (arbiter.decide(localKey(this.name(), flow.dst), `${addr} is an address of ${this.name()} itself`))
        return { kind: 'hit', route: supposedLocal(flow.dst), hop: { device: 'lo', weight: 1 }, rule };
      return undefined;
    }
    const lpm = this.tables.get(table);
    if (!lpm) return undefined;
    for (const { value } of lpm.covering(flow.dst)) {
      for (const route of flow.near === undefined ? value : nearFirst(value, flow.near)) {
        if (route.tos !== 0 && route.tos !== (flow.tos & this.tosMask)) continue;
        if (route.from && !(flow.src !== undefined && contains(route.from, flow.src))) continue;
        // rt6_check_dev(): IPv6 keeps the routes that refuse on lo, where a lookup for one device passes them over
        if (this.family === 6 && flow.oif !== undefined && flow.oif !== 'lo' && REFUSING.has(route.type)) continue;
        switch (route.type) {
          case 'throw':
            return undefined;
          case 'blackhole':
          case 'unreachable':
          case 'prohibit':
            return { kind: 'error', error: route.type, at: route.at, text: route.text, rule };
          default: {
            const hops = route.nextHops.filter((h) => !h.dead && (flow.oif === undefined || h.device === flow.oif) && !this.ignoresLink(h));
            if (hops.length === 0) continue;
            if (rule.suppressPrefixLength !== undefined && route.to.length <= rule.suppressPrefixLength) return undefined;
            const hop = hops.length === 1 ? hops[0]! : arbiter.pick(`hop:${route.text}:${formatAddr(flow.dst)}`, hops, route);
            return { kind: 'hit', route, hop, rule };
          }
        }
      }
    }
    return undefined;
  }

  private ignoresLink(hop: NextHop): boolean {
    if (!hop.linkdown || hop.device === undefined) return false;
    const on = (device: string): boolean => setting(this.ns, `net.ipv${this.family}.conf.${device}.ignore_routes_with_linkdown`, 0).value !== 0;
    return on('all') || on(hop.device);
  }

  /** fib_rule_match() and fib4_rule_match(): all selectors, the whole turned round by `not`. */
  private selects(rule: RoutingRule, flow: Flow, arbiter: Arbiter): boolean {
    return this.matches(rule, flow, arbiter) !== rule.not;
  }

  private matches(rule: RoutingRule, flow: Flow, arbiter: Arbiter): boolean {
    if (rule.iif !== undefined && !this.sameDevice('iif', rule.iif, flow.iif, arbiter)) return false;
    if (rule.oif !== undefined && rule.oif !== (flow.oif ?? flow.near)) return false;
    if (rule.mark && ((rule.mark.value ^ flow.mark) & rule.mark.mask) >>> 0 !== 0) return false;
    if (rule.uid) {
      // sock_net_uid(): what no socket of this host sends has the uid of the namespace's root
      const uid = flow.iif === 'lo' ? flow.uid : 0;
      if (uid === undefined) return arbiter.decide(`uid:${rule.uid.join('-')}`, `the sender's uid is in ${rule.uid.join('-')} (${rule.text})`);
      if (uid < rule.uid[0] || uid > rule.uid[1]) return false;
    }
    // a source not yet chosen is 0.0.0.0, which only a zero-length prefix covers
    if (rule.from && rule.from.length > 0 && !(flow.src !== undefined && contains(rule.from, flow.src))) return false;
    if (rule.to && !contains(rule.to, flow.dst)) return false;
    if (rule.tos !== undefined && rule.tos !== (flow.tos & this.tosMask)) return false;
    if (rule.proto !== undefined && rule.proto !== flow.proto) return false;
    if (rule.sport && !inPorts(rule.sport, flow.sport)) return false;
    if (rule.dport && !inPorts(rule.dport, flow.dport)) return false;
    if (rule.l3mdev) return false;
    if (rule.opaque !== undefined)
      return arbiter.decide(`rule:${rule.text}`, `the policy rule '${rule.text}' applies (${rule.opaque} is not modelled)`);
    return true;
  }

  private sameDevice(field: string, wanted: string, seen: string | undefined, arbiter: Arbiter): boolean {
    return seen === undefined ? arbiter.decide(`${field}:${wanted}`, `the packet came in by ${wanted}`) : seen === wanted;
  }

  /** inet_addr_type() / inet_dev_addr_type(): what the local table says of an address; undefined when addresses were not captured. */
  addressType(addr: Addr, device?: string): { readonly type: number; readonly at?: Span } | undefined {
    if (addr === 0) return { type: ADDR_TYPE.BROADCAST };
    if (isLimitedBroadcast(addr)) return { type: ADDR_TYPE.BROADCAST };
    if (this.family === 6) return this.addressTypes6(addr, device);
    if (isMulticast(addr)) return { type: ADDR_TYPE.MULTICAST };
    if (!this.knowsLocal) return isLoopback(addr) ? { type: ADDR_TYPE.LOCAL } : undefined;
    for (const { value } of this.tables.get('local')?.covering(addr) ?? []) {
      const route = value.find((r) => r.type === 'local' || r.type === 'broadcast' || r.type === 'anycast' || r.type === 'unicast');
      if (!route) continue;
      if (device !== undefined && !route.nextHops.some((h) => h.device === device)) continue;
      const type =
        route.type === 'local'
          ? ADDR_TYPE.LOCAL
          : route.type === 'broadcast'
            ? ADDR_TYPE.BROADCAST
            : route.type === 'anycast'
              ? ADDR_TYPE.ANYCAST
              : ADDR_TYPE.UNICAST;
      return { type, ...(route.at !== NOWHERE && { at: route.at }) };
    }
    return { type: ADDR_TYPE.UNICAST };
  }

  /**
   * match_lookup_rt6(), net/netfilter/xt_addrtype.c: the class of the address by itself, and by the tables whether it is local,
   * anycast or without a route. With a device that is ip6_route_output()'s strict lookup: only routes by that device count.
   */
  private addressTypes6(addr: Addr, device: string | undefined): { readonly type: number; readonly at?: Span } | undefined {
    const itself = isMulticast(addr) ? ADDR_TYPE.MULTICAST : isZeronet(addr) ? ADDR_TYPE.UNSPEC : ADDR_TYPE.UNICAST;
    if (!this.knowsLocal) return isLoopback(addr) ? { type: itself | ADDR_TYPE.LOCAL } : undefined;
    const route = [...(this.tables.get('local')?.covering(addr) ?? [])]
      .flatMap(({ value }) => value)
      .find((r) => (r.type === 'local' || r.type === 'anycast') && (device === undefined || r.nextHops.some((h) => h.device === device)));
    if (route)
      return { type: itself | (route.type === 'local' ? ADDR_TYPE.LOCAL : ADDR_TYPE.ANYCAST), ...(route.at !== NOWHERE && { at: route.at }) };
    const there = this.lookup(
      { family: 6, dst: addr, iif: 'lo', mark: 0, tos: 0, ...(device !== undefined && { oif: device }) },
      { decide: () => false, pick: (_key, hops) => hops[0]! },
    );
    return { type: itself | (there.kind === 'none' || there.kind === 'error' ? ADDR_TYPE.UNREACHABLE : 0) };
  }

  isLocal(addr: Addr): boolean {
    return ((this.addressType(addr)?.type ?? 0) & ADDR_TYPE.LOCAL) !== 0;
  }

  /** fib_info_update_nhc_saddr(), ip6_route_get_saddr(): the source that packets of this host get on this route. */
  sourceFor(route: Route, hop: NextHop, dst: Addr): Addr | undefined {
    if (route.src !== undefined) return route.src;
    // IPv6 chooses among its addresses even towards what is local by a route alone
    if (route.type === 'local' && (this.family === 4 || this.ns.captured.addresses === undefined)) return dst;
    const towards = hop.via !== undefined && familyOf(hop.via) === this.family ? hop.via : undefined;
    return this.selectAddress(hop.device, this.family === 6 ? dst : towards, route.scope === 'link' || route.scope === 'host' ? 'link' : 'global');
  }

  /** inet_select_addr(), net/ipv4/devinet.c; ipv6_dev_get_saddr() for IPv6. */
  selectAddress(device: string | undefined, towards: Addr | undefined, scope: 'global' | 'link'): Addr | undefined {
    const own = this.ns.addresses.filter((a) => familyOf(a.addr) === this.family);
    if (this.family === 6) return bestSource(own, device, towards);
    const usable = (a: InterfaceAddress): boolean =>
      !a.secondary && (a.scope === 'global' || a.scope === 'site' || (a.scope === 'link' && scope === 'link'));
    const here = own.filter((a) => a.device === device && usable(a));
    const near =
      towards === undefined ? undefined : here.find((a) => contains({ addr: and(a.peer ?? a.addr, maskOf(4, a.length)), length: a.length }, towards));
    const first = near ?? here[0] ?? own.find((a) => a.device !== device && !a.secondary && a.scope === 'global');
    return first?.addr;
  }

  /** Addresses of this host, for the messages. */
  private name(): string {
    return this.ns.name ? `${this.ns.node}/${this.ns.name}` : this.ns.node;
  }

  private insert(route: Route): void {
    const table = tableName(route.table);
    let lpm = this.tables.get(table);
    if (!lpm) this.tables.set(table, (lpm = new Lpm()));
    const list = lpm.get(route.to);
    if (!list) return lpm.set(route.to, [route]);
    // of one destination the routes for fewer sources come first (fib6_node_lookup())
    const narrow = (r: Route): number => r.from?.length ?? 0;
    const at = list.findIndex(
      (r) => narrow(r) < narrow(route) || (narrow(r) === narrow(route) && (r.tos < route.tos || (r.tos === route.tos && r.metric > route.metric))),
    );
    list.splice(at < 0 ? list.length : at, 0, route);
  }
}

/** The key under which a walk remembers whether an address is the host's own. */
export function localKey(host: string, addr: Addr): string {
  return `local:${host}:${formatAddr(addr)}`;
}

export function tableName(table: string): string {
  return TABLE_NAMES[table] ?? table;
}

/** rt6_device_match(): whatever their metrics, among routes for the same sources. */
function nearFirst(routes: readonly Route[], device: string): readonly Route[] {
  const rank = (r: Route): number => 2 * (r.from?.length ?? 0) + (r.nextHops.some((h) => h.device === device && !h.dead) ? 1 : 0);
  return routes.toSorted((a, b) => rank(b) - rank(a));
}

function inPorts([lo, hi]: readonly [number, number], port: number | undefined): boolean {
  return port !== undefined && port >= lo && port <= hi;
}

function isStandard(r: RoutingRule): boolean {
  const plain = !r.not && !r.from?.length && !r.to && r.iif === undefined && r.oif === undefined && !r.mark && r.action === 'lookup';
  const table = tableName(r.table ?? '');
  return (
    plain && ((r.priority === 0 && table === 'local') || (r.priority === 32766 && table === 'main') || (r.priority === 32767 && table === 'default'))
  );
}

function standardRules(family: Family): RoutingRule[] {
  const tables: [number, string][] =
    family === 4
      ? [
          [0, 'local'],
          [32766, 'main'],
          [32767, 'default'],
        ]
      : [
          [0, 'local'],
          [32766, 'main'],
        ];
  return tables.map(([priority, table]) => ({
    family,
    priority,
    not: false,
    action: 'lookup',
    table,
    text: `${priority}: from all lookup ${table}`,
    at: NOWHERE,
  }));
}

/** fib_add_ifaddr(): what the kernel puts into the local table for an address. */
function localRoutes(a: InterfaceAddress): Route[] {
  const family = familyOf(a.addr);
  const base = { family, table: 'local', nextHops: [{ device: a.device, weight: 1 }], metric: 0, tos: 0, proto: 'kernel', at: a.at };
  const routes: Route[] = [
    { ...base, type: 'local', to: asPrefix(a.addr), src: a.addr, scope: 'host', text: `local ${formatAddr(a.addr)} dev ${a.device}` },
  ];
  const mask = maskOf(family, a.length);
  if (isLoopback(a.addr) && family === 4 && a.length < 32)
    routes.push({
      ...base,
      type: 'local',
      to: { addr: and(a.addr, mask), length: a.length },
      src: a.addr,
      scope: 'host',
      text: `local ${formatAddr(and(a.addr, mask))}/${a.length} dev ${a.device}`,
    });
  if (family === 4 && a.length < 31) {
    const last = a.broadcast ?? or(and(a.addr, mask), not(mask));
    routes.push({
      ...base,
      type: 'broadcast',
      to: asPrefix(last),
      src: a.addr,
      scope: 'link',
      text: `broadcast ${formatAddr(last)} dev ${a.device}`,
    });
  }
  return routes;
}

function connectedRoute(a: InterfaceAddress): Route {
  const family = familyOf(a.addr);
  const to = { addr: and(a.peer ?? a.addr, maskOf(family, a.length)), length: a.length };
  const text = `${formatAddr(to.addr)}/${to.length} dev ${a.device}`;
  return {
    family,
    type: 'unicast',
    table: 'main',
    to,
    nextHops: [{ device: a.device, weight: 1 }],
    src: a.addr,
    scope: 'link',
    metric: family === 4 ? 0 : 256,
    tos: 0,
    proto: 'kernel',
    text,
    at: a.at,
  };
}

function supposedLocal(dst: Addr): Route {
  return {
    family: familyOf(dst),
    type: 'local',
    table: 'local',
    to: asPrefix(dst),
    nextHops: [{ device: 'lo', weight: 1 }],
    metric: 0,
    tos: 0,
    scope: 'host',
    text: `local ${formatAddr(dst)} (supposed)`,
    at: NOWHERE,
  };
}

/** ipv6_get_saddr_eval(): the rules of RFC 6724 that decide in practice: same address, scope, outgoing interface, longest common prefix. */
function bestSource(own: readonly InterfaceAddress[], device: string | undefined, towards: Addr | undefined): Addr | undefined {
  const wanted = towards === undefined ? SCOPE.global : scopeOf(towards);
  const candidates = own.filter((a) => wanted !== SCOPE.link || isLoopback(towards!) || a.device === device);
  const score = (a: InterfaceAddress): readonly number[] => {
    const scope = scopeOf(a.addr);
    return [
      towards !== undefined && equal(a.addr, towards) ? 1 : 0,
      // rule 2: wide enough, and then no wider than needed
      scope >= wanted ? SCOPE.global + 1 - scope : scope - SCOPE.global,
      a.device === device ? 1 : 0,
      // rule 8: no further than the address's own prefix; of equals the first listed, which is the newest
      towards === undefined ? 0 : Math.min(commonBits(a.addr, towards), a.length),
    ];
  };
  return candidates.toSorted((a, b) => {
    const [x, y] = [score(a), score(b)];
    const i = x.findIndex((v, k) => v !== y[k]);
    return i < 0 ? 0 : y[i]! - x[i]!;
  })[0]?.addr;
}

// ipv6_addr_scope(), as far as it matters here; ::1 counts as link-local (__ipv6_addr_type())
const SCOPE = { link: 2, global: 14 } as const;

function scopeOf(addr: Addr): number {
  return isLinkLocal(addr) || isLoopback(addr) ? SCOPE.link : SCOPE.global;
}

function commonBits(a: Addr, b: Addr): number {
  if (familyOf(a) !== familyOf(b)) return 0;
  let n = 0;
  while (n < bitsOf(familyOf(a)) && compare(and(a, maskOf(familyOf(a), n + 1)), and(b, maskOf(familyOf(a), n + 1))) === 0) n++;
  return n;
}
