// Patterns of the link layer: stations, neighbour and forwarding tables, bridges, wires.
import { equal, formatAddr, type Addr } from '../net/addr.ts';
import type { InterfaceAddress, Namespace, World } from '../model/host.ts';
import type { Answer } from '../model/trace.ts';
import { findingsOf, isSamePlace, lineOf, namespaceAt, placeName, type Failure } from './failure.ts';
import type { Sight } from './pattern.ts';

function hairpinOff(f: Failure): Sight | undefined {
  if (f.outcome.kind !== 'dropped' || f.step?.step !== 'bridge') return undefined;
  const { in: port, bridge } = f.step;
  const link = f.ns?.links.find((l) => l.name === port);
  // what the fdb wrongly has behind the port is another fault
  if (!link?.port || link.port.hairpin || !equal(f.way.final.dst, f.course.trace.packet.src)) return undefined;
  return {
    message: `${formatAddr(f.course.trace.packet.src)} asks itself by way of ${formatAddr(f.course.trace.packet.dst)}: the frame has to leave ${bridge} of ${placeName(f.outcome)} by ${link.name}, the port it came in by, and hairpin_mode of that port is off.`,
    at: link.port.at,
    evidence: [],
    durable: 'hairpinMode: true in the configuration of the bridge plugin (kubelet: --hairpin-mode=hairpin-veth), or a promiscuous bridge',
  };
}

/** Who has an address, of those a frame can be for. */
function ownersOf(world: World, addr: Addr): { readonly ns: Namespace; readonly own: InterfaceAddress }[] {
  return world.namespaces.flatMap((ns) => ns.addresses.filter((a) => equal(a.addr, addr)).map((own) => ({ ns, own })));
}

function macsOf(world: World, addr: Addr): readonly string[] {
  return ownersOf(world, addr).flatMap(({ ns, own }) => ns.links.filter((l) => l.name === own.device).flatMap((l) => l.mac ?? []));
}

function staleNeighbour(f: Failure): Sight | undefined {
  if (f.outcome.kind !== 'not-for-us' && f.outcome.kind !== 'no-neighbour') return undefined;
  for (const ns of f.world.namespaces)
    for (const n of ns.neighbours) {
      if (!isSamePlace(n.at, f.outcome.at) || n.proxy) continue;
      const known = macsOf(f.world, n.addr);
      // the entry is right, and what it is sent by is not
      if (n.mac !== undefined && known.includes(n.mac)) return undefined;
      const [lease] = findingsOf(f, 'vtep-mac-differs', 'vtep-neighbour-differs');
      const truth = known.length === 0 ? 'and no captured machine has that address' : `and it is ${known.join(' or ')}`;
      const says = n.mac === undefined ? `${n.state}: nobody answered when it asked` : `at ${n.mac}, ${truth}`;
      return {
        message: `The neighbour table of ${placeName(ns)} has ${formatAddr(n.addr)} on ${n.device} ${says}. What it sends there nobody takes.${lease ? ` ${lease.message}.` : ''}`,
        at: n.at,
        evidence: lease ? [lease.at] : [],
        durable:
          lease?.hint ?? `find who wrote the entry (ip neigh show; PERMANENT ones are an agent's or an administrator's) and have it written anew`,
      };
    }
  return undefined;
}

function staleFdb(f: Failure): Sight | undefined {
  const lost = ['not-for-us', 'no-neighbour', 'no-route', 'dropped', 'reply-lost', 'left'].includes(f.outcome.kind);
  if (!lost) return undefined;
  const [found] = findingsOf(f, 'vtep-fdb-differs');
  const onTheWay = f.way.hops.flatMap((hop) =>
    hop.steps.flatMap((step) => ((step.step === 'encapsulate' || step.step === 'bridge') && step.at ? [{ hop, at: step.at }] : [])),
  );
  for (const { hop, at } of [...onTheWay, ...(f.hop && f.outcome.at ? [{ hop: f.hop, at: f.outcome.at }] : [])]) {
    const ns = namespaceAt(f.world, hop);
    const e = ns?.fdb.find((x) => isSamePlace(x.at, at));
    if (!ns || !e) continue;
    const truth = e.remote === undefined ? undefined : ownersOf(f.world, e.remote).find((o) => !o.ns.links.some((l) => l.mac === e.mac));
    const isSent = e.remote === undefined ? isSamePlace(e.at, f.outcome.at) : truth !== undefined || ownersOf(f.world, e.remote).length === 0;
    if (!isSent) continue;
    return {
      message:
        e.remote === undefined
          ? `The forwarding table of ${e.bridge ?? e.device} on ${placeName(ns)} has ${e.mac} behind ${e.device}, and it is not there.`
          : `The forwarding table of ${e.device} on ${placeName(ns)} sends frames for ${e.mac} to ${formatAddr(e.remote)}, ${truth ? `which is ${placeName(truth.ns)} and has no such address` : 'which no captured machine has'}.`,
      at: e.at,
      evidence: found ? [found.at] : [],
      durable: found?.hint ?? `have the agent that wrote the entry write it anew (bridge fdb show dev ${e.device})`,
    };
  }
  return found && { message: `${found.message}.`, at: found.at, evidence: [], ...(found.hint !== undefined && { durable: found.hint }) };
}

function wireDenies(f: Failure): Sight | undefined {
  for (const wire of f.outcome.kind === 'dropped' ? f.world.wires : []) {
    const deny = wire.deny?.find((d) => isSamePlace(d.at, f.outcome.at));
    if (!deny) continue;
    const tunnel = f.hop?.tunnel;
    return {
      message: `The wire ${wire.name} does not carry ${tunnel === undefined ? 'it' : `the packet of ${tunnel} that it is in`}: ${deny.text}.`,
      at: deny.at,
      evidence: [],
      durable: 'allow it in the security group, the network ACL or the switch; a cloud also checks the source and destination of an instance',
    };
  }
  return undefined;
}

function mtu(f: Failure): Sight | undefined {
  if (f.outcome.kind !== 'too-big') return undefined;
  return {
    message: `A packet of ${f.way.final.length} bytes is too big for the way: ${f.outcome.why}.`,
    at: lineOf(f),
    evidence: [],
    durable:
      "give the pods' interfaces the smallest MTU of the way less the tunnel's header (IPIP 20 bytes, VXLAN 50, WireGuard 60), and let ICMP 'fragmentation needed' through",
  };
}

function vipUnowned(f: Failure): Sight | undefined {
  if (f.outcome.kind !== 'no-neighbour' || f.step?.step !== 'neighbour') return undefined;
  const { addr, device } = f.step;
  // a next hop that is silent is a router's matter
  if (formatAddr(f.way.final.dst) !== addr || ownersOf(f.world, f.way.final.dst).length > 0) return undefined;
  return {
    message: `No captured machine has ${addr}, and nobody on the wire behind ${device} of ${placeName(f.outcome)} answers for it: if it is a shared address (keepalived, kube-vip, MetalLB), no node holds it now.`,
    at: lineOf(f),
    evidence: [],
    durable: 'see the state of keepalived on each of its nodes (journalctl -u keepalived): one has to be MASTER, and its check script has to succeed',
  };
}

/** Devices on which every node may have the same address. */
const SHARED_KINDS: ReadonlySet<string> = new Set(['dummy', 'loopback']);

/** Machines on one wire that have the same address. */
function sharing(world: World, addr: Addr): readonly { readonly ns: Namespace; readonly own: InterfaceAddress }[] {
  const owners = ownersOf(world, addr).filter(({ ns, own }) => !SHARED_KINDS.has(ns.links.find((l) => l.name === own.device)?.kind ?? ''));
  return (
    world.wires
      .map((w) => owners.filter(({ ns, own }) => w.ends.some((e) => e.node === ns.node && e.namespace === ns.name && e.device === own.device)))
      .find((same) => same.length > 1) ?? []
  );
}

/** The first address of the question that two machines have. */
function shared(world: World, answer: Answer): { readonly addr: Addr; readonly owners: ReturnType<typeof sharing> } | undefined {
  for (const { trace } of answer.courses)
    for (const addr of [trace.packet.dst, trace.final.dst, trace.packet.src]) {
      const owners = sharing(world, addr);
      if (owners.length > 1) return { addr, owners };
    }
  return undefined;
}

/** A virtual address is added beside the machine's own, with no network of its own. */
function isVirtual({ own }: { readonly own: InterfaceAddress }): boolean {
  return own.secondary || own.length === 32 || own.length === 128;
}

function sharedAddress(world: World, answer: Answer, virtual: boolean): Sight | undefined {
  const found = shared(world, answer);
  if (!found || found.owners.every(isVirtual) !== virtual) return undefined;
  const [first, ...others] = found.owners;
  const holders = found.owners.map(({ ns, own }) => `${placeName(ns)} (${own.device})`).join(' and ');
  return {
    message: virtual
      ? `${formatAddr(found.addr)} is held by ${holders} at once: each client talks to the one it heard last, and a connection breaks when that changes.`
      : `${formatAddr(found.addr)} is the address of ${holders}: whoever answers first gets what is for the other.`,
    at: first!.own.at,
    evidence: others.map(({ own }) => own.at),
    durable: virtual
      ? 'let the nodes hear each other (VRRP is IP protocol 112; the same virtual_router_id and password) and take the address off one of them'
      : 'give one of them another address',
  };
}

/** Patterns of the link layer: those of failed courses, and those that show where it works, too. */
export const LINK_PATTERNS = {
  failed: {
    'hairpin-off': hairpinOff,
    'stale-neighbour': staleNeighbour,
    'stale-fdb': staleFdb,
    'wire-denies': wireDenies,
    mtu,
    'vip-unowned': vipUnowned,
  },
  always: {
    'vip-split': (world: World, answer: Answer): Sight | undefined => sharedAddress(world, answer, true),
    'duplicate-address': (world: World, answer: Answer): Sight | undefined => sharedAddress(world, answer, false),
  },
};
