// Routes that might bring a packet on: through whoever has the network, through a tunnel, to a container, by default.
import { asPrefix, bitsOf, contains, equal, familyOf, formatAddr, formatPrefix, networkOf, type Addr, type Prefix } from '../net/addr.ts';
import type { Namespace, Route, World } from '../model/host.ts';
import type { Trace } from '../model/trace.ts';
import type { Candidate } from './candidate.ts';
import { namespaceAt, placeName } from './failure.ts';

/** Routes on a host to an address: by whichever neighbour of it the packet passed, or has the address, or its network. */
export function routesTo(world: World, at: { readonly node: string; readonly namespace: string }, to: Addr, way: Trace): Candidate[] {
  const ns = namespaceAt(world, at);
  if (!ns) return [];
  const networks = (n: Namespace): readonly { readonly addr: Addr; readonly network: Prefix }[] =>
    n.addresses
      .filter((a) => familyOf(a.addr) === familyOf(to) && a.length < bitsOf(familyOf(to)))
      .map((a) => ({ addr: a.addr, network: networkOf(a) }));
  const passed = way.hops.map((h) => namespaceAt(world, h)).filter((n) => n !== undefined);
  const owners = new Set(world.namespaces.filter((n) => n.addresses.some((a) => equal(a.addr, to))).map((n) => n.node));
  const having = world.namespaces.filter((n) => networks(n).some(({ network }) => contains(network, to)) || (n.name === '' && owners.has(n.node)));
  const hops = [...new Set([...having, ...passed])]
    .filter((n) => n !== ns)
    .flatMap((n) => n.addresses.filter(({ addr }) => familyOf(addr) === familyOf(to) && isNear(ns, addr)));
  const whole = having.flatMap((n) => networks(n)).find(({ network }) => contains(network, to))?.network ?? blockOf(having, to);
  const vias = [...new Set(hops.map(({ addr }) => formatAddr(addr)))];
  return [...directly(world, ns, to), ...byTunnel(world, ns, to), ...byDefault(world, ns, to)].concat(
    vias.flatMap((via) => [
      { edit: `${placeName(at)}# ip route add ${formatPrefix(asPrefix(to))} via ${via}`, width: 1 },
      ...(whole ? [{ edit: `${placeName(at)}# ip route add ${formatPrefix(whole)} via ${via}`, width: 1.2 }] : []),
    ]),
  );
}

/** The block of addresses that the node of a container gives out: Calico writes a blackhole route for it. */
function blockOf(having: readonly Namespace[], to: Addr): Prefix | undefined {
  return having.flatMap((n) => n.routes).find((r) => r.type === 'blackhole' && r.family === familyOf(to) && contains(r.to, to))?.to;
}

/** Routes without a next hop: to a network of the host's own, to a container of its own. */
function directly(world: World, ns: Namespace, to: Addr): Candidate[] {
  const at = placeName(ns);
  const own = ns.addresses.flatMap((a): Candidate[] => {
    const network = networkOf(a);
    const isListed = ns.routes.some(
      (r) => r.to.length === a.length && equal(r.to.addr, network.addr) && r.nextHops.some((h) => h.device === a.device),
    );
    if (familyOf(a.addr) !== familyOf(to) || a.length === bitsOf(familyOf(to)) || !contains(network, to)) return [];
    // another network of the same addresses took the way
    if (isListed) return [{ edit: `${at}# ip route add ${formatPrefix(asPrefix(to))} dev ${a.device} src ${formatAddr(a.addr)}`, width: 1.1 }];
    return [{ edit: `${at}# ip route add ${formatPrefix(network)} dev ${a.device} src ${formatAddr(a.addr)}`, width: 0.9 }];
  });
  const owner = world.namespaces.find((n) => n.node === ns.node && n !== ns && n.addresses.some((a) => equal(a.addr, to)));
  const device = owner?.addresses.find((a) => equal(a.addr, to))?.device;
  const end = owner?.links.find((l) => l.name === device)?.peerIndex;
  const veth = ns.links.find((l) => l.index === end && l.kind === 'veth' && l.master === undefined);
  return [...own, ...(veth ? [{ edit: `${at}# ip route add ${formatPrefix(asPrefix(to))} dev ${veth.name}`, width: 0.9 }] : [])];
}

/** Reports whether a host takes an address for a neighbour's: it is in a network of its own, or has a route without a next hop. */
function isNear(ns: Namespace, a: Addr): boolean {
  const isOwn = ns.addresses.some((own) => equal(own.addr, a));
  const inNetwork = ns.addresses.some((own) => familyOf(own.addr) === familyOf(a) && contains(networkOf(own), a));
  const isOnLink = (r: Route): boolean =>
    r.type === 'unicast' && r.to.length === bitsOf(familyOf(a)) && equal(r.to.addr, a) && r.nextHops.every((h) => h.via === undefined);
  return !isOwn && (inNetwork || ns.routes.some(isOnLink));
}

/** Routes through the tunnel device that both this host and the node of an address have. */
function byTunnel(world: World, ns: Namespace, to: Addr): Candidate[] {
  const node = world.namespaces.find((n) => n.addresses.some((a) => equal(a.addr, to)))?.node;
  const far = world.namespaces.find((n) => n.node === node && n.name === '' && n !== ns);
  if (!far || ns.name !== '') return [];
  const whole = far.addresses
    .map((a) => networkOf(a))
    .find((network) => network.length < bitsOf(familyOf(to)) && familyOf(network.addr) === familyOf(to) && contains(network, to));
  return ns.links.flatMap((l) => {
    if (l.kind !== 'vxlan' && l.kind !== 'ipip') return [];
    const ends = far.addresses.filter(
      (a) => familyOf(a.addr) === familyOf(to) && a.scope === 'global' && (l.kind === 'ipip' ? a.device !== l.name : a.device === l.name),
    );
    return ends.map((a) => ({
      edit: `${ns.node}# ip route add ${formatPrefix(whole ?? asPrefix(to))} via ${formatAddr(a.addr)} dev ${l.name} onlink`,
      width: 0.9,
    }));
  });
}

/** A default route, by any host near that forwards. */
function byDefault(world: World, ns: Namespace, to: Addr): Candidate[] {
  const six = familyOf(to) === 6;
  if (ns.stub || ns.routes.some((r) => r.table === 'main' && r.family === familyOf(to) && r.to.length === 0)) return [];
  const gateways = world.namespaces.filter((n) => n !== ns && n.sysctls[six ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward']?.value === '1');
  return gateways.flatMap((n) =>
    n.addresses
      .filter((a) => familyOf(a.addr) === familyOf(to) && a.scope === 'global' && isNear(ns, a.addr))
      .map((a) => ({
        edit: `${placeName(ns)}# ip ${six ? '-6 ' : ''}route add default via ${formatAddr(a.addr)}`,
        // a container that goes nowhere else has none; of hosts the way out is rather a router than another of them
        width: ns.name !== '' ? 0.95 : n.stub ? 1.4 : 1.45,
      })),
  );
}
