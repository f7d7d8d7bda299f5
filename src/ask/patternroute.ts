// Patterns of routes and of what a host does with what is not for it.
import { contains, familyOf, formatAddr, formatPrefix, networkOf, type Addr } from '../net/addr.ts';
import type { InterfaceAddress, Namespace } from '../model/host.ts';
import { findingsOf, isSamePlace, lineOf, namespaceAt, placeName, rootOf, type Failure } from './failure.ts';
import type { Sight } from './pattern.ts';

function forwardingOff(f: Failure): Sight | undefined {
  if (f.outcome.kind !== 'not-forwarding') return undefined;
  const six = familyOf(f.way.final.dst) === 6;
  const key = six ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward';
  const all = f.ns?.sysctls[key];
  return {
    message: `${placeName(f.outcome)} does not forward packets: ${all?.value === '0' ? `${key} is 0` : 'forwarding of the interface is 0'}, and ${formatAddr(f.way.final.dst)} is not its own.`,
    at: f.outcome.at ?? all?.at ?? lineOf(f),
    evidence: all && !isSamePlace(all.at, f.outcome.at) ? [all.at] : [],
    durable: `${key} = 1 in /etc/sysctl.d; see what set it back (a start script, another sysctl file, a security baseline)`,
  };
}

function rpFilterDrop(f: Failure): Sight | undefined {
  const check = f.hop?.steps.findLast((s) => s.step === 'route' && s.purpose === 'source');
  if (f.outcome.kind !== 'martian' || check?.step !== 'route') return undefined;
  const [key, filter] = Object.entries(f.ns?.sysctls ?? {}).find(([name, s]) => name.endsWith('.rp_filter') && isSamePlace(s.at, f.outcome.at)) ?? [];
  if (key === undefined || !filter) return undefined;
  const device = f.hop?.steps.find((s) => s.step === 'enter')?.device ?? 'the interface';
  return {
    message: `${placeName(f.outcome)} does not believe the source ${formatAddr(f.way.final.src)} of what comes in by ${device}: ${check.text}, and ${key} is ${filter.value}.`,
    at: f.outcome.at ?? lineOf(f),
    evidence: check.at ? [check.at] : [],
    durable: `${key} = 2 (loose) or 0 in /etc/sysctl.d, or a route to that source by ${device}`,
  };
}

/** Two networks of one host that both hold the address. */
export function sharedNetwork(ns: Namespace | undefined, addr: Addr): readonly [InterfaceAddress, InterfaceAddress] | undefined {
  const holding = (ns?.addresses ?? []).filter(
    (a) =>
      familyOf(a.addr) === familyOf(addr) && a.length < (familyOf(addr) === 4 ? 31 : 127) && a.scope === 'global' && contains(networkOf(a), addr),
  );
  const [first] = holding;
  const other = holding.find((a) => a.device !== first?.device);
  return first && other && [first, other];
}

function overlappingSubnets(f: Failure): Sight | undefined {
  const lost = ['no-neighbour', 'no-route', 'not-for-us', 'martian', 'reply-lost', 'left'].includes(f.outcome.kind);
  const pair = lost ? (sharedNetwork(f.ns, f.way.final.dst) ?? sharedNetwork(rootOf(f.world, f.outcome.node), f.way.final.dst)) : undefined;
  if (pair) {
    const [a, b] = pair;
    const named = (x: InterfaceAddress): string => `${formatPrefix(networkOf(x))} on ${x.device}`;
    return {
      message: `${f.outcome.node} is in two networks that overlap, ${named(a)} and ${named(b)}: what is for one of them (${formatAddr(f.way.final.dst)}) goes to the other.`,
      at: a.at,
      evidence: [b.at, ...(f.outcome.at ? [f.outcome.at] : [])],
      durable: "give the pods' network other addresses than any network that the machines are in or reach",
    };
  }
  const [found] = lost ? findingsOf(f, 'pod-cidrs-overlap', 'pod-cidr-overlaps-host') : [];
  return (
    found && {
      message: `${found.message}.`,
      at: found.at,
      evidence: [],
      durable: found.hint ?? 'give each node, and each network, addresses of its own',
    }
  );
}

function bridgeOutside(f: Failure): Sight | undefined {
  const [found] = findingsOf(f, 'bridge-outside-subnet', 'subnet-differs');
  const lost = ['no-route', 'no-neighbour', 'not-for-us', 'martian', 'left', 'reply-lost'].includes(f.outcome.kind);
  return found && lost
    ? { message: `${found.message}.`, at: found.at, evidence: [lineOf(f)], ...(found.hint !== undefined && { durable: found.hint }) }
    : undefined;
}

function routeMissing(f: Failure): Sight | undefined {
  if (f.outcome.kind !== 'no-route') return undefined;
  const to = formatAddr(f.way.final.dst);
  // who sent it there knew no better than its default route
  const hops = f.way.hops.filter((h) => h.node !== f.outcome.node || h.namespace !== f.outcome.namespace);
  const before = hops.findLast((h) => namespaceAt(f.world, h)?.stub !== true && h.namespace === '');
  const route = before?.steps.findLast((s) => s.step === 'route' && (s.purpose === 'input' || s.purpose === 'output' || s.purpose === 'reroute'));
  const byDefault = route?.step === 'route' && /^default\b/.test(route.text) ? route : undefined;
  const what = f.isReply ? 'the answer' : 'it';
  const led =
    before && byDefault ? `; ${placeName(before)} has no route of its own to it either, and sends ${what} there by '${byDefault.text}'` : '';
  return {
    message: `${placeName(f.outcome)} has no route to ${to}${led}.`,
    at: f.outcome.at ?? byDefault?.at ?? lineOf(f),
    evidence: f.outcome.at && byDefault?.at ? [byDefault.at] : [],
    durable: `see who is to make the route to ${to} (flannel, Calico's bird, the cloud's route table, an administrator) and why it is not there`,
  };
}

/** Patterns of routes. */
export const ROUTE_PATTERNS = {
  'forwarding-off': forwardingOff,
  'rp-filter-drop': rpFilterDrop,
  'overlapping-subnets': overlappingSubnets,
  'bridge-outside-subnet': bridgeOutside,
  'route-missing': routeMissing,
};
