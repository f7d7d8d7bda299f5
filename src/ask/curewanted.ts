// Commands for what is expected of a packet that fares well: to have it refused, translated or not, or sent another way.
import { asPrefix, bitsOf, contains, familyOf, formatAddr, formatPrefix, networkOf } from '../net/addr.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Course, Hop } from '../model/trace.ts';
import { specOf, toolOf, type Candidate } from './candidate.ts';
import { forNearMiss } from './curerule.ts';
import type { Expectation } from './expectation.ts';
import { namespaceAt, placeName } from './failure.ts';
import type { Packet } from '../model/packet.ts';

/** What may be tried so that a course gives what is wanted of it, besides what ended it. */
export function wantedOf(world: World, course: Course, wanted: Expectation): Candidate[] {
  const { trace: t } = course;
  const hops = t.hops.flatMap((hop, i) => {
    const ns = namespaceAt(world, hop);
    return ns && !ns.stub && hop.tunnel === undefined ? [{ hop, ns, isFirst: i === 0 }] : [];
  });
  const there = hops.filter(({ ns }) => ns.name === '');
  switch (wanted.kind) {
    case 'dropped':
      return there.flatMap(({ hop, ns }) =>
        filterHooks(hop).map((hook) =>
          on(ns, `${toolIn(ns, 'filter', t.packet)} -t filter -I ${hook} 1 ${specOf(seenBy(hop, t.packet))} -j DROP`, 0.5),
        ),
      );
    case 'masqueraded':
      return [
        ...course.nearMisses.flatMap((m) => forNearMiss(world, m, t)),
        ...there
          .filter(({ hop }) => leaves(hop))
          .map(({ hop, ns }) => on(ns, `${toolIn(ns, 'nat', t.packet)} -t nat -I POSTROUTING 1 ${specOf(seenBy(hop, t.packet))} -j MASQUERADE`, 0.7)),
      ];
    case 'not-masqueraded':
      return there.flatMap(({ hop, ns }) => {
        const source = hop.steps.find((s) => s.step === 'nat' && s.manip === 'src');
        if (!source) return [];
        const p = hop.steps.find((s) => s.step === 'enter')?.packet ?? t.packet;
        return [on(ns, `${toolIn(ns, 'nat', p)} -t nat -I POSTROUTING 1 -s ${formatAddr(p.src)} -d ${formatAddr(t.final.dst)} -j ACCEPT`, 0.7)];
      });
    case 'dnat-to':
      return there
        .slice(0, 1)
        .map(({ ns, hop, isFirst }) =>
          on(
            ns,
            `${toolIn(ns, 'nat', t.packet)} -t nat -I ${isFirst ? 'OUTPUT' : 'PREROUTING'} 1 ${specOf(seenBy(hop, t.packet))} -j DNAT --to-destination ${wanted.to}`,
            0.7,
          ),
        );
    case 'via':
      return there.flatMap(({ ns }) => through(world, ns, wanted.to, t.final));
    default:
      return [];
  }
}

function on(ns: Namespace, command: string, width: number): Candidate {
  return { edit: `${placeName(ns)}# ${command}`, width };
}

/** iptables of the backend that the table is of, on a node. */
function toolIn(ns: Namespace, table: string, p: Packet): string {
  const own = ns.tables.find((t) => t.nft === undefined && t.name === table && t.family === p.family);
  return own ? toolOf(own) : p.family === 6 ? 'ip6tables' : 'iptables';
}

/** The packet as a hop's later hooks see it: what PREROUTING and OUTPUT translate has been. */
function seenBy(hop: Hop, p: Packet): Packet {
  const left = hop.steps.findLast((s) => s.step === 'leave' || s.step === 'deliver');
  const entered = hop.steps.find((s) => s.step === 'enter')?.packet ?? p;
  return left && 'packet' in left ? { ...left.packet, src: entered.src } : entered;
}

function filterHooks(hop: Hop): string[] {
  const entered = hop.steps.find((s) => s.step === 'enter');
  if (entered?.local === true) return ['OUTPUT'];
  return leaves(hop) ? ['FORWARD'] : ['INPUT'];
}

function leaves(hop: Hop): boolean {
  return hop.steps.some((s) => s.step === 'leave');
}

/** A route through a node that is near. */
function through(world: World, ns: Namespace, to: string, p: Packet): Candidate[] {
  const target = world.namespaces.find((n) => placeName(n) === to);
  const near = (target?.addresses ?? []).filter(
    (a) =>
      familyOf(a.addr) === p.family &&
      target !== ns &&
      ns.addresses.some((own) => familyOf(own.addr) === p.family && own.length < bitsOf(p.family) && contains(networkOf(own), a.addr)),
  );
  return near.map((a) => on(ns, `ip route replace ${formatPrefix(asPrefix(p.dst))} via ${formatAddr(a.addr)}`, 1));
}
