// Networks that have addresses in common: pools that keep addresses from being translated, devices of one node, the cluster's records.
import { formatPrefix, networkOf, prefixRange } from '../net/addr.ts';
import { complement, intersect, ranges, type Ranges } from '../net/intervals.ts';
import { hostAddresses } from '../capture/podnetwork.ts';
import { FAULT_CODES, type Fault } from '../model/lintreport.ts';
import type { InterfaceAddress, Namespace, World } from '../model/host.ts';
import type { IpSet, Pred, Rule } from '../model/ruleset.ts';
import { sharedNetwork } from './patternroute.ts';
import { thingAt } from './thing.ts';

/** Networks that are in each other's way. */
export function overlaps(world: World): readonly Fault[] {
  return [...world.namespaces.flatMap((ns) => [...pools(ns), ...subnets(ns)]), ...recorded(world)];
}

/** Sets of addresses for which the source is not translated, and that hold a network of the machines. */
function pools(ns: Namespace): readonly Fault[] {
  if (ns.name !== '') return [];
  const told = new Set<string>();
  const rules = ns.tables.filter((t) => t.name === 'nat').flatMap((t) => Object.values(t.chains).flatMap((c) => c.rules));
  return rules.flatMap((rule) =>
    sparedBy(rule).flatMap((name) => {
      const set = Object.hasOwn(ns.sets, name) ? ns.sets[name] : undefined;
      if (!set || told.has(name)) return [];
      told.add(name);
      const covered = addressesIn(set);
      return hostAddresses(ns).flatMap((a): Fault[] => {
        const network = networkOf(a);
        if (intersect(covered, [prefixRange(network)]).length === 0) return [];
        const member = set.members.find(
          (m) => !m.nomatch && m.parts.some((p) => p.kind === 'net' && intersect(p.ranges, [prefixRange(network)]).length > 0),
        );
        const message =
          `the set ${set.name}${member ? ` has ${member.text}, which` : ''} overlaps ${formatPrefix(network)}, the network of ${a.device}: ` +
          'what goes there keeps its source address, as if it went to a pod';
        return [
          {
            severity: 'warning',
            code: 'pool-overlaps-network',
            node: ns.node,
            namespace: '',
            message,
            at: member?.at ?? set.at,
            because: [a.at, rule.at],
          },
        ];
      });
    }),
  );
}

/** The sets whose destinations a rule that translates sources leaves alone. */
function sparedBy(rule: Rule): readonly string[] {
  if (!rule.then.some((s) => s.kind === 'masquerade' || s.kind === 'snat')) return [];
  const parts: readonly Pred[] = rule.match.kind === 'all' ? rule.match.of : [rule.match];
  return parts.flatMap((p) => (p.kind === 'not' && p.of.kind === 'member' && p.of.by[0] === 'dst' ? [p.of.set] : []));
}

/** The addresses that a set surely has. */
function addressesIn(set: IpSet): Ranges {
  if (set.dimensions.length !== 1) return [];
  const of = (isOut: boolean): Ranges =>
    ranges(
      set.members.flatMap(({ parts: [part], nomatch }) => ((nomatch ?? false) === isOut && part?.kind === 'net' && !part.masked ? part.ranges : [])),
    );
  const out = of(true);
  return of(false).flatMap(([lo, hi]) => complement(out, lo, hi));
}

/** Devices of one namespace whose networks hold each other's addresses. */
function subnets(ns: Namespace): readonly Fault[] {
  const told = new Set<string>();
  return ns.addresses.flatMap((address): Fault[] => {
    const pair = sharedNetwork(ns, address.addr);
    if (!pair) return [];
    const [a, b] = pair;
    const key = [a.device, b.device].toSorted().join(' ');
    if (told.has(key)) return [];
    told.add(key);
    const named = (x: InterfaceAddress): string => `${formatPrefix(networkOf(x))} on ${x.device}`;
    const message = `two networks overlap, ${named(a)} and ${named(b)}: what is for one of them goes to the other`;
    return [{ severity: 'warning', code: 'overlapping-subnets', node: ns.node, namespace: ns.name, message, at: a.at, because: [b.at] }];
  });
}

/** What the cluster's records and the captures contradict each other in, where it is about overlapping blocks. */
function recorded(world: World): readonly Fault[] {
  return world.findings.flatMap((f): Fault[] => {
    const code = FAULT_CODES.find((c) => c === f.code);
    if (!code) return [];
    const place = thingAt(world, f.at);
    return [{ severity: 'warning', code, node: place?.node ?? '', namespace: place?.namespace ?? '', message: f.message, at: f.at, because: [] }];
  });
}
