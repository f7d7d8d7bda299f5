// Translations that might have a packet fare otherwise: of the source, for the answer; of a service's address; by IPVS.
import { equal, familyOf, formatAddr, formatEndpoint } from '../net/addr.ts';
import { formatProtocol, UDP } from '../net/proto.ts';
import type { World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Hook } from '../model/ruleset.ts';
import type { Outcome, Trace } from '../model/trace.ts';
import { nftSpecOf, specOf, toolOf, type Candidate } from './candidate.ts';
import { routesTo } from './cureroute.ts';
import { isSamePlace, namespaceAt, placeName } from './failure.ts';
import { ask, isMisunderstood } from './question.ts';
import { serverName } from './thing.ts';
import { trace } from './trace.ts';

/** A reply that is lost: have the source translated where the request passed, or give whoever lost it a way back. */
export function forReply(world: World, t: Trace): Candidate[] {
  const out: Candidate[] = [];
  const ended = t.reply?.outcome ?? t.outcome;
  for (const [i, hop] of t.hops.entries()) {
    const left = hop.steps.find((s) => s.step === 'leave');
    const last = hop.steps.some((s) => s.step === 'deliver');
    const isBridged = hop.steps.some((s) => s.step === 'bridge' && s.out !== undefined);
    if ((!left && !isBridged) || last || hop.tunnel !== undefined || (i === 0 && hop.namespace !== '') || t.translated.src) continue;
    const p = left?.packet ?? t.final;
    const from = formatAddr(p.src);
    for (const { append, nft } of natChains(world, hop, 'POSTROUTING', p)) {
      const one = nft === undefined ? `${specOf(p)} -j MASQUERADE` : `${nftSpecOf(p)} masquerade`;
      // a service has several endpoints, and each of them wants it
      const all = nft === undefined ? `-s ${from} -j MASQUERADE` : `${p.family === 6 ? 'ip6' : 'ip'} saddr ${from} masquerade`;
      out.push({ edit: `${placeName(hop)}# ${append} ${one}`, width: 0.7 }, { edit: `${placeName(hop)}# ${append} ${all}`, width: 1.5 });
    }
    const balanced = hop.steps.some((s) => s.step === 'ipvs');
    if (balanced && namespaceAt(world, hop)?.sysctls['net.ipv4.vs.conntrack']?.value === '0')
      out.push({ edit: `${placeName(hop)}# sysctl -w net.ipv4.vs.conntrack=1`, width: 0.6 });
  }
  if (t.reply) for (const hop of t.reply.hops) out.push(...routesTo(world, hop, t.final.src, t));
  else out.push(...routesTo(world, ended, t.final.src, t));
  return out;
}

/** A service's address that went astray: translated as other nodes do it. */
export function asElsewhere(world: World, t: Trace): Candidate[] {
  const [from] = t.hops;
  const { dst, dport, proto } = t.packet;
  if (t.translated.dst || dport === undefined || !from || t.outcome.kind === 'delivered' || t.outcome.kind === 'rejected') return [];
  const to = formatEndpoint(dst, dport);
  const ends = world.namespaces.flatMap((n) => {
    if (n.name !== '' || n.stub || n.node === from.node) return [];
    const asked = ask(world, { from: n.node, to, proto: formatProtocol(proto) });
    const answer = isMisunderstood(asked) ? undefined : trace(world, asked);
    return (answer?.courses ?? []).flatMap((c) => c.trace.translated.dst?.to ?? []);
  });
  const hook = from.namespace === '' ? 'OUTPUT' : 'PREROUTING';
  const spec = `-d ${formatAddr(dst)} -p ${formatProtocol(proto)} --dport ${dport}`;
  const [chain] = natChains(world, { node: from.node, namespace: '' }, hook, t.packet).filter((c) => c.nft === undefined);
  if (!chain) return [];
  return [...new Set(ends)].slice(0, 3).map((end) => ({ edit: `${from.node}# ${chain.append} ${spec} -j DNAT --to-destination ${end}`, width: 0.8 }));
}

/** The nat chains of a hook that rules stand in, or the one that iptables would make; how a command appends to each. */
function natChains(
  world: World,
  at: { readonly node: string; readonly namespace: string },
  hook: Hook,
  { family }: Packet,
): readonly { readonly append: string; readonly nft?: string }[] {
  const tables = namespaceAt(world, at)?.tables.filter((t) => t.family === family) ?? [];
  const own = tables.filter((t) => t.nft === undefined && t.name === 'nat');
  const native = tables.flatMap((t) => {
    const chains = t.nft === undefined ? [] : Object.values(t.chains).filter((c) => c.base?.hook === hook && c.base.type === 'nat');
    return chains.map((c) => ({ append: `nft add rule ${t.nft!} ${c.name}`, nft: t.nft! }));
  });
  if (own.length > 0) return [...own.map((t) => ({ append: `${toolOf(t)} -t nat -A ${hook}` })), ...native];
  return native.length > 0 ? native : [{ append: `${family === 6 ? 'ip6tables' : 'iptables'} -t nat -A ${hook}` }];
}

/** Containers that stand for an endpoint that a service does not have. */
const MOST_STANDINS = 3;

/** A service without endpoints: suppose that a container of the capture were one. */
export function withEndpoint(world: World, way: Trace): Candidate[] {
  const { outcome, packet } = way;
  const { dst, dport, proto } = packet;
  const step = way.hops.at(-1)?.steps.at(-1);
  if (dport === undefined || (outcome.kind !== 'no-server' && outcome.kind !== 'rejected')) return [];
  const to = formatEndpoint(dst, dport);
  const pods = world.namespaces.flatMap((n) => {
    const own = n.name === '' ? undefined : n.addresses.find((a) => familyOf(a.addr) === familyOf(dst) && a.scope === 'global');
    return own && !equal(own.addr, packet.src) ? [formatAddr(own.addr)] : [];
  });
  return pods.slice(0, MOST_STANDINS).flatMap((pod) => {
    const end = pod.includes(':') ? `[${pod}]:${dport}` : `${pod}:${dport}`;
    const supposes = `${to} had an endpoint`;
    if (step?.step === 'ipvs') {
      const service = serverNameOf(world, outcome);
      const option = proto === UDP ? '-u' : '-t';
      return service === undefined ? [] : [{ edit: `${placeName(outcome)}# ipvsadm -a ${option} ${service} -r ${end} -m`, width: 3, supposes }];
    }
    const root = { node: outcome.node, namespace: '' };
    const hook = way.hops[0]?.node === outcome.node && way.hops[0]?.namespace === '' ? 'OUTPUT' : 'PREROUTING';
    const spec = `-d ${formatAddr(dst)} -p ${formatProtocol(proto)} --dport ${dport}`;
    return natChains(world, root, hook, packet)
      .slice(0, 1)
      .map((c) => ({
        edit: `${outcome.node}# ${
          c.nft === undefined
            ? `${c.append} ${spec} -j DNAT --to-destination ${end}`
            : `${c.append} ${packet.family === 6 ? 'ip6' : 'ip'} daddr ${formatAddr(dst)} ${formatProtocol(proto)} dport ${dport} dnat to ${end}`
        }`,
        width: 3,
        supposes,
      }));
  });
}

/** The virtual server that had no server. */
function serverNameOf(world: World, outcome: Outcome): string | undefined {
  const service = namespaceAt(world, outcome)?.ipvs?.services.find((s) => isSamePlace(s.at, outcome.at));
  return service && serverName(service);
}

/** What decides what IPVS does with connections whose server is gone, or whose client comes again. */
export function balancing(at: string): Candidate[] {
  return ['expire_nodest_conn=1', 'conn_reuse_mode=0', 'conn_reuse_mode=1', 'conntrack=1'].map((setting) => ({
    edit: `${at}# sysctl -w net.ipv4.vs.${setting}`,
    width: 2,
  }));
}
