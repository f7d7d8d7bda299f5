// What a namespace did not show: it may decide, and then nobody can tell.
import { formatAddr, type Family } from '../net/addr.ts';
import type { ForeignChain, Namespace } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Hook } from '../model/ruleset.ts';
import { place, type Refusal, type Router } from './routing.ts';

/** Rules that nobody captured may do anything; those of a container's namespace are taken to be none, as they mostly are. */
export function missingRules(ns: Namespace, family: Family, router: Router): Refusal | undefined {
  if (ns.stub || ns.captured[family === 4 ? 'rules4' : 'rules6']) return undefined;
  const tool = family === 4 ? 'iptables' : 'ip6tables';
  const claim = `${place(ns)} has no ${tool} rules that matter (none were captured)`;
  if (ns.name !== '') {
    router.assume(claim);
    return undefined;
  }
  if (router.decide(`rules:${place(ns)}:${family}`, claim)) return undefined;
  const why = `the ${tool} rules of ${place(ns)} were not captured: they may drop or translate it`;
  return { kind: 'refused', outcome: 'cannot-tell', why };
}

/** kube-proxy gives its dummy device the addresses of services, and nothing else listens there: who serves them only ipvsadm tells. */
export function missingServers(ns: Namespace, p: Packet): Refusal | undefined {
  if (ns.captured.ipvs || ns.ipvs) return undefined;
  const own = ns.addresses.find((a) => a.device === 'kube-ipvs0' && formatAddr(a.addr) === formatAddr(p.dst));
  if (!own) return undefined;
  const why = `${formatAddr(p.dst)} is a service address on kube-ipvs0 of ${place(ns)}, and its virtual servers were not captured (ipvsadm -Sn)`;
  return { kind: 'refused', outcome: 'cannot-tell', why };
}

/** Chains of nft for bridged frames are named, not followed: they may drop any of them. */
export function bridgeRules(ns: Namespace, bridge: string, router: Router): Refusal | undefined {
  const chains = (ns.foreignChains ?? []).filter((c) => c.family === 'bridge');
  const [first] = chains;
  if (!first) return undefined;
  const names = chains.map((c) => `nft ${c.name}`).join(', ');
  if (router.decide(`bridge:${place(ns)}`, `on ${place(ns)}, frames on ${bridge} pass ${names} (${first.why})`)) return undefined;
  const why = `${names} on ${place(ns)} may drop frames that ${bridge} passes on: ${first.why}`;
  return { kind: 'refused', outcome: 'cannot-tell', why, at: first.at };
}

const FAMILIES: Readonly<Record<string, readonly Family[]>> = { ip: [4], ip6: [6], inet: [4, 6], netdev: [4, 6] };

/** A base chain of which nobody understood where it hangs, or a listing that cannot be read, may do anything at this hook. */
export function unreadChains(ns: Namespace, hook: Hook, family: Family, router: Router): Refusal | undefined {
  for (const c of ns.foreignChains ?? []) {
    if (!FAMILIES[c.family]?.includes(family) || (c.hook !== '' && c.hook.toUpperCase() !== hook)) continue;
    if (router.decide(`unread:${place(ns)}:${c.name}`, `on ${place(ns)}, the packet passes ${called(c)} unchanged (${c.why})`)) continue;
    const why = `${called(c)} on ${place(ns)} may decide: ${c.why}`;
    return { kind: 'refused', outcome: 'cannot-tell', why, at: c.at };
  }
  return undefined;
}

/** A chain of nft or a listing of it, or a dump of iptables, which says so itself. */
function called({ name }: ForeignChain): string {
  return /^ip6?tables /.test(name) ? `the ${name}` : `nft ${name}`;
}
