// Routes that the kernel makes and unmakes by itself, because of addresses and of devices that come and go.
// fib_add_ifaddr(), fib_del_ifaddr(), fib_sync_down_dev(), net/ipv4; addrconf.c and fib6_ifdown(), net/ipv6.
import {
  and,
  bitsOf,
  equal,
  familyOf,
  formatAddr,
  formatPrefix,
  isLimitedBroadcast,
  isLoopback,
  isZeronet,
  maskOf,
  not,
  or,
  type Family,
  type V4,
} from '../net/addr.ts';
import { readRoutes } from '../capture/routes.ts';
import type { Span } from '../model/finding.ts';
import type { InterfaceAddress, Link, Namespace, NextHop, Route } from '../model/host.ts';
import { setting } from '../engine/sysctl.ts';
import { altered } from './altered.ts';

const isLoopbackDevice = (device: string): boolean => device === 'lo';

/** Reports whether the capture lists the routes of the local table; where it does not, the engine derives them from the addresses. */
export function listsLocal(ns: Namespace, family: Family): boolean {
  return ns.routes.some((r) => r.family === family && r.table === 'local');
}

/** The namespace with other addresses on a device, and what the kernel does to routes and neighbours because of it. */
export function withAddresses(ns: Namespace, device: string, addresses: readonly InterfaceAddress[], at: Span): Namespace {
  const before = routesMade(ns, device, at);
  const gone = ns.addresses.filter((a) => a.device === device && !addresses.includes(a));
  let now = altered(ns, { addresses });
  const after = routesMade(now, device, at);
  const [was, is] = [new Set(before.map(routeKey)), new Set(after.map(routeKey))];
  const there = new Set(ns.routes.map(routeKey));
  let routes: readonly Route[] = [
    ...ns.routes.filter((r) => !(was.has(routeKey(r)) && !is.has(routeKey(r)))),
    ...after.filter((r) => !was.has(routeKey(r)) && !there.has(routeKey(r))),
  ];
  for (const { addr } of gone) {
    if (addresses.some((a) => equal(a.addr, addr))) continue;
    // fib_sync_down_addr(), fib6_remove_prefsrc()
    const isMeant = (r: Route): boolean => r.src !== undefined && familyOf(r.src) === familyOf(addr) && equal(r.src, addr);
    routes = familyOf(addr) === 4 ? routes.filter((r) => !isMeant(r)) : routes.map((r) => (isMeant(r) ? withoutSource(r) : r));
  }
  now = altered(now, { routes });
  // inetdev_destroy() through fib_inetaddr_event(): a device without addresses routes nothing
  const left = (family: Family): boolean => addresses.some((a) => a.device === device && familyOf(a.addr) === family);
  if (gone.some((a) => familyOf(a.addr) === 4) && !left(4)) {
    now = altered(now, {
      routes: withoutDevice(now.routes, 4, device, true),
      neighbours: now.neighbours.filter((n) => n.device !== device || familyOf(n.addr) === 6 || n.proxy === true),
    });
  }
  return now;
}

/** The namespace with a device that is up or down: what goes with it, and what comes back. */
export function withDeviceState(ns: Namespace, link: Link, up: boolean, at: Span): Namespace {
  const links = ns.links.map((l) => (l === link ? { ...l, up } : l));
  if (!up)
    return withoutIpv6(
      altered(ns, {
        links,
        neighbours: ns.neighbours.filter((n) => n.device !== link.name || n.proxy === true),
        routes: withoutDevice(ns.routes, 4, link.name, false),
      }),
      link.name,
    );
  const own = ownAddress(ns, link, at);
  const now = altered(ns, { links, addresses: own ? [...ns.addresses, own] : ns.addresses });
  const there = new Set(ns.routes.map(routeKey));
  const routes = ns.routes.map((r) =>
    r.nextHops.some((h) => h.dead && h.device === link.name) ? { ...r, nextHops: r.nextHops.map((h) => revived(h, link.name)) } : r,
  );
  const made = routesMade(now, link.name, at).filter((r) => !there.has(routeKey(r)));
  return altered(now, { routes: [...routes, ...made] });
}

/** addrconf_ifdown(): IPv6 forgets a device that goes down, or whose frames are too small. */
function withoutIpv6(ns: Namespace, device: string): Namespace {
  return altered(ns, {
    addresses: ns.addresses.filter((a) => a.device !== device || familyOf(a.addr) === 4),
    routes: withoutDevice(ns.routes, 6, device, false),
    neighbours: ns.neighbours.filter((n) => n.device !== device || familyOf(n.addr) === 4),
  });
}

/** The namespace after a device's MTU changed: IPv6 ends below 1280, and begins anew above. */
export function withIpv6Of(ns: Namespace, before: Link, at: Span): Namespace {
  const link = ns.links.find((l) => l.name === before.name)!;
  if (link.mtu < 1280) return withoutIpv6(ns, link.name);
  return before.mtu < 1280 && link.up ? withDeviceState(ns, link, true, at) : ns;
}

/** The namespace without a device and all that hangs on it. */
export function withoutLink(ns: Namespace, link: Link): Namespace {
  const { name } = link;
  const gone = new Set([
    name,
    ...ns.links.filter((l) => l.peerName === name && (l.kind === 'veth' || l.kind === 'vlan' || l.kind === 'macvlan')).map((l) => l.name),
  ]);
  let routes: readonly Route[] = ns.routes;
  for (const device of gone) {
    routes = withoutDevice(routes, 4, device, true);
    // fib6_ifdown() on NETDEV_UNREGISTER: the whole of a multipath route
    routes = routes.filter((r) => r.family === 4 || !r.nextHops.some((h) => h.device === device));
  }
  const free = ({ master: _master, port: _port, ...rest }: Link): Link => rest;
  return altered(ns, {
    links: ns.links.filter((l) => !gone.has(l.name)).map((l) => (l.master !== undefined && gone.has(l.master) ? free(l) : l)),
    addresses: ns.addresses.filter((a) => !gone.has(a.device)),
    neighbours: ns.neighbours.filter((n) => !gone.has(n.device)),
    fdb: ns.fdb.filter((e) => !gone.has(e.device) && !(e.bridge !== undefined && gone.has(e.bridge))),
    routes,
  });
}

/** fib_sync_down_dev(), fib6_ifdown(): routes by the device alone go; of several next hops those by it are dead. */
function withoutDevice(routes: readonly Route[], family: Family, device: string, force: boolean): Route[] {
  return routes.flatMap((r) => {
    // what is local stays while its address does (RT_SCOPE_NOWHERE)
    const stays = !force && family === 4 && r.scope === 'host' && r.nextHops.every((h) => h.via === undefined);
    if (r.family !== family || stays || !r.nextHops.some((h) => h.device === device && !h.dead)) return [r];
    if (r.nextHops.every((h) => h.dead || h.device === device)) return [];
    return [{ ...r, nextHops: r.nextHops.map((h) => (h.device === device ? { ...h, dead: true, linkdown: true } : h)) }];
  });
}

function revived(h: NextHop, device: string): NextHop {
  if (h.device !== device) return h;
  const { dead: _dead, linkdown: _linkdown, ...rest } = h;
  return rest;
}

function withoutSource({ src: _src, ...rest }: Route): Route {
  return rest;
}

/** What makes two routes the same, whatever their words and the state of their links. */
export function routeKey(r: Route): string {
  const hops = r.nextHops.map((h) => `${h.via === undefined ? '' : formatAddr(h.via)}%${h.device ?? ''}*${h.weight}`).join(' ');
  return [
    r.family,
    r.type,
    r.table,
    formatPrefix(r.to),
    r.from ? formatPrefix(r.from) : '',
    r.tos,
    r.metric,
    r.src === undefined ? '' : formatAddr(r.src),
    hops,
  ].join('|');
}

/** Every route that the kernel has because of the device's addresses, where the capture lists such routes. */
function routesMade(ns: Namespace, device: string, at: Span): Route[] {
  const isUp = ns.links.find((l) => l.name === device)?.up ?? true;
  const own = ns.addresses.filter((a) => a.device === device);
  const routes = new Map<string, Route>();
  for (const a of own) {
    const family = familyOf(a.addr);
    const lines = family === 4 ? madeBy4(a, own, isUp) : madeBy6(ns, a, isUp);
    for (const route of readRoutes(lines.join('\n'), at.file, { family }).routes) {
      const isListed = route.table === 'local' ? listsLocal(ns, family) : ns.captured[family === 4 ? 'routes4' : 'routes6'] !== undefined;
      if (isListed && !routes.has(routeKey(route))) routes.set(routeKey(route), { ...route, at });
    }
  }
  const group = `multicast ff00::/8 dev ${device} table local proto kernel metric 256`;
  if (isUp && !isLoopbackDevice(device) && hasIpv6(ns, device) && listsLocal(ns, 6)) {
    const isListed = ns.routes.some((r) => r.type === 'multicast' && r.family === 6);
    if (isListed) for (const route of readRoutes(group, at.file, { family: 6 }).routes) routes.set(routeKey(route), { ...route, at });
  }
  return [...routes.values()];
}

/** Every route of the local table, for a capture that lists none. */
export function localTable(ns: Namespace, family: Family, at: Span): Route[] {
  const lines = ns.addresses
    .filter((a) => familyOf(a.addr) === family)
    .flatMap((a) =>
      family === 4
        ? madeBy4(
            a,
            ns.addresses.filter((b) => b.device === a.device),
            true,
          )
        : madeBy6(ns, a, true),
    );
  const routes = readRoutes(lines.join('\n'), at.file, { family }).routes.filter((r) => r.table === 'local');
  return [...new Map(routes.map((r) => [routeKey(r), { ...r, at }])).values()];
}

/** fib_add_ifaddr(), net/ipv4/fib_frontend.c. */
function madeBy4(a: InterfaceAddress, own: readonly InterfaceAddress[], isUp: boolean): string[] {
  const mask = maskOf(4, a.length);
  const prefix = and(a.peer ?? a.addr, mask) as V4;
  const sameNet = (b: InterfaceAddress): boolean => familyOf(b.addr) === 4 && b.length === a.length && equal(and(b.peer ?? b.addr, mask), prefix);
  const first = a.secondary ? own.find((b) => !b.secondary && sameNet(b)) : a;
  if (!first) return [];
  const tail = (scope: string): string => `proto kernel scope ${scope} src ${formatAddr(first.addr)}`;
  const lines = [`local ${formatAddr(a.addr)} dev ${a.device} table local ${tail('host')}`];
  if (!isUp) return lines;
  const broadcast = (addr: string): string => `broadcast ${addr} dev ${a.device} table local ${tail('link')}`;
  if (a.broadcast !== undefined && !isZeronet(a.broadcast) && !isLimitedBroadcast(a.broadcast)) lines.push(broadcast(formatAddr(a.broadcast)));
  if (a.secondary || isZeronet(prefix) || (equal(prefix, a.addr) && a.length === 32)) return lines;
  const net = `${formatAddr(prefix)}/${a.length} dev ${a.device}`;
  lines.push(isLoopbackDevice(a.device) ? `local ${net} table local ${tail('host')}` : `${net} ${tail('link')}`);
  if (a.length < 31) lines.push(broadcast(formatAddr(or(prefix, not(mask)))));
  return lines;
}

/** inet6_addr_add() and __ipv6_ifa_notify(), net/ipv6/addrconf.c. */
function madeBy6(ns: Namespace, a: InterfaceAddress, isUp: boolean): string[] {
  const on = `dev ${a.device}`;
  const lines = [`local ${formatAddr(a.addr)} ${on} table local proto kernel metric 0`];
  const net = and(a.addr, maskOf(6, a.length));
  if (isLoopback(a.addr) || !isUp) return lines;
  lines.push(`${formatAddr(net)}/${a.length} ${on} proto kernel metric 256`);
  if (a.peer !== undefined) lines.push(`${formatAddr(and(a.peer, maskOf(6, a.length)))}/${a.length} ${on} proto kernel metric 256`);
  const forwards =
    setting(ns, `net.ipv6.conf.${a.device.replaceAll('.', '/')}.forwarding`, setting(ns, 'net.ipv6.conf.all.forwarding', 0).value).value !== 0;
  if (forwards && a.length < bitsOf(6) - 1) lines.push(`anycast ${formatAddr(net)} ${on} table local proto kernel metric 0`);
  return lines;
}

function hasIpv6(ns: Namespace, device: string): boolean {
  const off = (name: string): boolean => setting(ns, `net.ipv6.conf.${name.replaceAll('.', '/')}.disable_ipv6`, 0).value !== 0;
  return !off('all') && !off(device) && (ns.links.find((l) => l.name === device)?.mtu ?? 1280) >= 1280;
}

/** addrconf_dev_config(): what a device gives itself when it comes up, ::1 or an address of its MAC. */
function ownAddress(ns: Namespace, link: Link, at: Span): InterfaceAddress | undefined {
  const peer = link.kind === 'veth' ? ns.links.find((l) => l.name === link.peerName) : undefined;
  if (!ns.captured.addresses || !hasIpv6(ns, link.name) || peer?.up === false) return undefined;
  const base = { device: link.name, secondary: false, at };
  const isThere = (scope: InterfaceAddress['scope']): boolean =>
    ns.addresses.some((a) => a.device === link.name && familyOf(a.addr) === 6 && a.scope === scope);
  if (link.kind === 'loopback' || isLoopbackDevice(link.name))
    return isThere('host') ? undefined : { ...base, addr: [0, 0, 0, 1], length: 128, scope: 'host' };
  const mode = setting(ns, `net.ipv6.conf.${link.name.replaceAll('.', '/')}.addr_gen_mode`, 0).value;
  const octets = link.mac?.split(':').map((x) => Number.parseInt(x, 16));
  if (mode !== 0 || octets?.length !== 6 || isThere('link')) return undefined;
  const [a, b, c, d, e, f] = octets as [number, number, number, number, number, number];
  // addrconf_ifid_eui48()
  const words = [(((a ^ 2) << 24) | (b << 16) | (c << 8) | 0xff) >>> 0, ((0xfe << 24) | (d << 16) | (e << 8) | f) >>> 0] as const;
  return { ...base, addr: [0xfe800000, 0, ...words], length: 64, scope: 'link' };
}
