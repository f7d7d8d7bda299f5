// What might bring a frame on: devices, neighbours, bridges, wires, and who has an address.
import { asPrefix, equal, familyOf, formatAddr, formatPrefix } from '../net/addr.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Course, Outcome, Step, Trace } from '../model/trace.ts';
import type { Candidate } from './candidate.ts';
import { isSamePlace, namespaceAt, placeName } from './failure.ts';

/** Devices that are down, or whose MTU is too small, on the way and at the other ends of its wires and pairs. */
export function onDevices(world: World, way: Trace, course: Course): Candidate[] {
  const near = new Set(way.hops.flatMap((h) => namespaceAt(world, h) ?? []));
  for (const n of world.namespaces) if (n.addresses.some((a) => equal(a.addr, way.final.dst) || equal(a.addr, course.trace.packet.src))) near.add(n);
  const beside = world.namespaces.filter((n) => [...near].some((ns) => n.node === ns.node || isWired(world, ns, n)));
  const isTooBig = way.outcome.kind === 'too-big';
  return [...near, ...beside.filter((n) => !near.has(n))].flatMap((ns) =>
    ns.links.flatMap((l) => {
      const on = (command: string): Candidate => ({ edit: `${placeName(ns)}# ip link set ${l.name} ${command}`, width: 1 });
      const isUsed = l.kind === 'veth' || l.kind === 'bridge' || l.kind === 'vxlan' || ns.addresses.some((a) => a.device === l.name);
      if (!l.up) return isUsed && l.kind !== 'dummy' ? [on('up')] : [];
      return isTooBig && l.mtu < way.final.length ? [on(`mtu ${Math.max(way.final.length, ETHERNET)}`)] : [];
    }),
  );
}

function isWired(world: World, a: Namespace, b: Namespace): boolean {
  const isOn =
    (n: Namespace): ((e: { readonly node: string; readonly namespace: string }) => boolean) =>
    (e) =>
      e.node === n.node && e.namespace === n.name;
  return world.wires.some((w) => w.ends.some(isOn(a)) && w.ends.some(isOn(b)));
}

/** Somebody has the wire carry it. */
export function againstWire(world: World, { at }: Outcome): Candidate[] {
  return world.wires.flatMap((w) =>
    (w.deny ?? [])
      .filter((d) => isSamePlace(d.at, at))
      .map((d) => ({ edit: `wire:${w.name}# del ${d.text}`, width: 1, supposes: `the wire ${w.name} carried it (without '${d.text}')` })),
  );
}

/** An address on the wire that nobody has: somebody takes it. */
export function owners(world: World, way: Trace): Candidate[] {
  const { dst } = way.final;
  const last = way.hops.at(-1);
  const asked = last?.steps.findLast((s) => s.step === 'neighbour');
  if (
    !last ||
    asked?.step !== 'neighbour' ||
    asked.addr !== formatAddr(dst) ||
    world.namespaces.some((n) => n.addresses.some((a) => equal(a.addr, dst)))
  )
    return [];
  const wire = world.wires.find((w) => w.ends.some((e) => e.node === last.node && e.namespace === last.namespace && e.device === asked.device));
  const others = (wire?.ends ?? []).filter((e) => e.node !== last.node || e.namespace !== last.namespace);
  return others.map((e) => ({ edit: `${placeName(e)}# ip addr add ${formatPrefix(asPrefix(dst))} dev ${e.device}`, width: 2 }));
}

/** The entry that names a wrong station, or none: the right one, where a captured host has the address. */
export function neighbours(world: World, way: Trace): Candidate[] {
  const hop = way.hops.at(-1);
  const asked = hop?.steps.findLast((s) => s.step === 'neighbour' || s.step === 'leave');
  const wrong = world.namespaces.flatMap((ns) => ns.neighbours.map((n) => ({ ns, n }))).find(({ n }) => isSamePlace(n.at, way.outcome.at));
  const ns = wrong?.ns ?? (hop && namespaceAt(world, hop));
  if (!ns || (!wrong && !asked)) return [];
  const addr = wrong ? formatAddr(wrong.n.addr) : asked!.step === 'neighbour' ? asked!.addr : asked!.step === 'leave' ? asked!.to : '';
  const device = wrong?.n.device ?? (asked as Extract<Step, { step: 'neighbour' | 'leave' }>).device;
  const owner = world.namespaces.flatMap((n) => n.addresses.map((a) => ({ n, a }))).find(({ n, a }) => n !== ns && formatAddr(a.addr) === addr);
  const link = owner?.n.links.find((l) => l.name === owner.a.device);
  if (link?.mac === undefined) return [];
  const station = {
    edit: `${placeName(ns)}# ip neigh replace ${addr} lladdr ${link.mac} dev ${device}`,
    width: 1,
  };
  const known = wrong?.n.mac;
  const trusting = world.namespaces.flatMap((n) => n.neighbours).filter((n) => formatAddr(n.addr) === addr && n.mac === known && known !== undefined);
  // who all others know by another address has changed its own
  const own = { edit: `${placeName(owner!.n)}# ip link set ${link.name} address ${known}`, width: trusting.length > 1 ? 0.9 : 1.5 };
  const changed = trusting.length > 0 ? [own] : [];
  const far = link.vxlan?.local;
  if (far === undefined) return [station, ...changed];
  // behind a VXLAN device the station is known by its tunnel's other end too
  const tunnel = `${placeName(ns)}# bridge fdb replace ${link.mac} dev ${device} dst ${formatAddr(far)} self permanent`;
  return [station, { edit: tunnel, width: 1 }, { ...station, more: [tunnel], width: 0.9 }, ...changed];
}

/** Frames that a bridge passes on without showing them to the rules, or not back where they came from. */
export function onBridges(world: World, way: Trace): Candidate[] {
  return way.hops.flatMap((hop): Candidate[] => {
    const ns = namespaceAt(world, hop);
    const crossed = hop.steps.filter((s) => s.step === 'bridge');
    if (!ns || crossed.length === 0) return [];
    const calls = `net.bridge.bridge-nf-call-${familyOf(way.packet.dst) === 6 ? 'ip6' : 'ip'}tables`;
    const off = ns.sysctls[calls]?.value === '0' ? [{ edit: `${placeName(hop)}# sysctl -w ${calls}=1`, width: 2 }] : [];
    const ports = crossed.flatMap((s) => (s.in === undefined ? [] : [s.in]));
    const flat = ports.filter((p) => ns.links.find((l) => l.name === p)?.port?.hairpin === false);
    return [...off, ...flat.map((p) => ({ edit: `${placeName(hop)}# bridge link set dev ${p} hairpin on`, width: 1 }))];
  });
}

/** ETH_DATA_LEN, include/uapi/linux/if_ether.h */
const ETHERNET = 1500;
