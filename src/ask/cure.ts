// Commands that might change a packet's fate: each condition that just failed, each rule, policy, route, setting and neighbour that
// decided, turned into what somebody would type. Whether one helps is for a simulation to say, not for this file.
import { and, asPrefix, bitsOf, contains, familyOf, formatAddr, formatPrefix, maskOf, type Addr, type Prefix } from '../net/addr.ts';
import { formatProtocol, hasPorts } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Pred } from '../model/ruleset.ts';
import type { Course, NearMiss, Outcome, Step, Trace } from '../model/trace.ts';

/** A command for a node, and how much it changes: 0 for one packet's kind, more for more. */
export interface Candidate {
  readonly edit: string;
  readonly width: number;
}

type RuleStep = Extract<Step, { step: 'rule' }>;
type PolicyStep = Extract<Step, { step: 'policy' }>;

/** What may be tried against a course, in no order. */
export function candidates(world: World, course: Course): readonly Candidate[] {
  const out: Candidate[] = [];
  const { trace: t } = course;
  for (const way of t.reply && t.outcome.kind === 'reply-lost' ? [t, t.reply] : [t]) out.push(...againstEnding(world, way), ...onBridges(world, way));
  for (const m of course.nearMisses) out.push(...forNearMiss(world, m, t));
  if (t.reply && t.outcome.kind !== 'reply-lost') out.push(...onBridges(world, t.reply));
  if (t.outcome.kind === 'reply-lost' || t.outcome.kind === 'martian') out.push(...forReply(world, t));
  const seen = new Set<string>();
  return out.filter(({ edit }) => !seen.has(edit) && seen.add(edit));
}

const place = (at: { readonly node: string; readonly namespace: string }): string => (at.namespace === '' ? at.node : `${at.node}/${at.namespace}`);

function namespaceOf(world: World, at: { readonly node: string; readonly namespace: string }): Namespace | undefined {
  return world.namespaces.find((n) => n.node === at.node && n.name === at.namespace);
}

/** `iptables`, by family and backend. */
function toolOf(s: Pick<RuleStep, 'family' | 'backend'>): string {
  return `${s.family === 6 ? 'ip6' : 'ip'}tables${s.backend === 'unknown' ? '' : `-${s.backend}`}`;
}

/** A packet as conditions of a rule: `-s A -d B -p tcp --dport 80`. */
function specOf(p: Packet): string {
  const ports = hasPorts(p.proto) && p.dport !== undefined ? ` --dport ${p.dport}` : '';
  return `-s ${formatAddr(p.src)} -d ${formatAddr(p.dst)} -p ${formatProtocol(p.proto)}${ports}`;
}

/** Against what ended a packet's way. */
function againstEnding(world: World, way: Trace): Candidate[] {
  const { outcome } = way;
  const last = way.hops.at(-1);
  const step = last?.steps.at(-1);
  const at = place(outcome);
  const ns = namespaceOf(world, outcome);
  const on = (command: string, width: number): Candidate => ({ edit: `${at}# ${command}`, width });
  switch (outcome.kind) {
    case 'dropped':
    case 'rejected':
      if (step?.step === 'rule' && !step.table.includes(' ')) return againstRule(at, step, way.final);
      if (step?.step === 'policy' && !step.table.includes(' ')) return againstPolicy(at, step, way.final);
      if (step?.step === 'ipvs') return balancing(at);
      return step?.step === 'rule' || step?.step === 'policy'
        ? againstNft(at, step, way.final)
        : [...againstDrop(outcome, ns, on), ...neighbours(world, way)];
    case 'not-forwarding': {
      const six = familyOf(way.final.dst) === 6;
      return [on(`sysctl -w ${six ? 'net.ipv6.conf.all.forwarding' : 'net.ipv4.ip_forward'}=1`, 2)];
    }
    case 'martian': {
      const device = last?.steps.find((s) => s.step === 'enter')?.device;
      return device === undefined
        ? []
        : [
            on(`sysctl -w net.ipv4.conf.${device}.rp_filter=2`, 2),
            on('sysctl -w net.ipv4.conf.all.rp_filter=2', 3),
            ...routesTo(world, outcome, way.final.src, way),
          ];
    }
    case 'no-route':
      return way.hops.flatMap((hop) => routesTo(world, hop, way.final.dst, way));
    case 'no-server':
      return balancing(at);
    case 'blackhole':
    case 'prohibited': {
      const route = ns?.routes.find((r) => r.at.file === outcome.at?.file && r.at.line === outcome.at.line);
      return route ? [on(`ip route del ${route.text}`, 2)] : [];
    }
    case 'not-for-us':
    case 'no-neighbour':
      return neighbours(world, way);
    default:
      return [];
  }
}

/** A rule that refuses: an exception before it, or without it. */
function againstRule(at: string, s: RuleStep, p: Packet): Candidate[] {
  const tool = `${at}# ${toolOf(s)} -t ${s.table}`;
  return [
    { edit: `${tool} -I ${s.chain} ${s.number} ${specOf(p)} -j ${s.type === 'nat' ? 'RETURN' : 'ACCEPT'}`, width: 0 },
    { edit: `${tool} -D ${s.chain} ${s.number}`, width: 2 },
  ];
}

function againstPolicy(at: string, s: PolicyStep, p: Packet): Candidate[] {
  const tool = `${at}# ${toolOf(s)} -t ${s.table}`;
  return [
    { edit: `${tool} -A ${s.chain} ${specOf(p)} -j ACCEPT`, width: 0 },
    { edit: `${tool} -P ${s.chain} ACCEPT`, width: 3 },
  ];
}

function againstNft(at: string, s: RuleStep | PolicyStep, p: Packet): Candidate[] {
  const family = familyOf(p.dst) === 6 ? 'ip6' : 'ip';
  const port = hasPorts(p.proto) && p.dport !== undefined ? ` ${formatProtocol(p.proto)} dport ${p.dport}` : ` meta l4proto ${p.proto}`;
  const spec = `${family} saddr ${formatAddr(p.src)} ${family} daddr ${formatAddr(p.dst)}${port}`;
  return [{ edit: `${at}# nft insert rule ${s.table} ${s.chain} ${spec} accept`, width: 0 }];
}

function againstDrop(outcome: Outcome, ns: Namespace | undefined, on: (command: string, width: number) => Candidate): Candidate[] {
  const down = ns?.links.find((l) => !l.up && outcome.why.startsWith(`${l.name} of `));
  return down ? [on(`ip link set ${down.name} up`, 1)] : [];
}

/** A rule that just missed: let its set have, or not have, the address; or do the same for this packet in a rule before it. */
function forNearMiss(world: World, m: NearMiss, t: Trace): Candidate[] {
  const at = place(m);
  const out: Candidate[] = [];
  const parts = m.reason.pred.kind === 'all' ? (m.reason.parts ?? []) : [m.reason];
  const missed = parts.find((p) => p.truth === false)?.pred;
  const inner = missed?.kind === 'not' ? missed.of : missed;
  const packet = packetAt(t, m) ?? t.packet;
  if (inner?.kind === 'member') out.push(...forSet(world, m, inner, missed?.kind === 'not', packet));
  const target = / -j (.*)$/.exec(m.text)?.[0];
  if (target !== undefined && !m.table.includes(' '))
    out.push({ edit: `${at}# ${toolOf(m)} -t ${m.table} -I ${m.chain} ${m.number} ${specOf(packet)}${target}`, width: 0.5 });
  return out;
}

function forSet(world: World, m: NearMiss, asked: Pred & { kind: 'member' }, isNegated: boolean, p: Packet): Candidate[] {
  const set = namespaceOf(world, m)?.sets[asked.set];
  if (asked.by.length !== 1 || (set && set.dimensions.length !== 1)) return [];
  const addr = p[asked.by[0]!];
  const on = `${place(m)}# ipset add ${asked.set}`;
  if (!isNegated) return [{ edit: `${on} ${formatAddr(addr)}`, width: 0.2 }];
  if (set && !set.dimensions.includes('net')) return [{ edit: `${place(m)}# ipset del ${asked.set} ${formatAddr(addr)}`, width: 1 }];
  const network = connectedTo(world, addr);
  return [
    ...(network === undefined ? [] : [{ edit: `${on} ${network} nomatch`, width: 0.3 }]),
    { edit: `${on} ${formatAddr(addr)} nomatch`, width: 0.2 },
  ];
}

/** The network of some captured interface that an address is of: what it is a neighbour in. */
function connectedTo(world: World, addr: Addr): string | undefined {
  for (const { addresses } of world.namespaces)
    for (const a of addresses) {
      if (familyOf(a.addr) !== familyOf(addr) || a.scope !== 'global' || a.length >= (familyOf(addr) === 4 ? 31 : 127)) continue;
      const network = { addr: and(a.addr, maskOf(familyOf(a.addr), a.length)), length: a.length };
      if (contains(network, addr)) return formatPrefix(network);
    }
  return undefined;
}

/** The packet as it came to a hop's rules. */
function packetAt(t: Trace, m: NearMiss): Packet | undefined {
  for (const way of [t, ...(t.reply ? [t.reply] : [])]) {
    const i = way.hops.findIndex((h) => h.node === m.node && h.namespace === m.namespace && h.steps.some((s) => s.step === 'rule' && s.at === m.at));
    if (i < 0) continue;
    const left = way.hops[i]!.steps.find((s) => s.step === 'leave');
    return left?.packet ?? way.hops[i]!.steps.find((s) => s.step === 'enter')?.packet;
  }
  return undefined;
}

/** A reply that is lost: have the source translated where the request passed, or give whoever lost it a way back. */
function forReply(world: World, t: Trace): Candidate[] {
  const out: Candidate[] = [];
  const ended = t.reply?.outcome ?? t.outcome;
  for (const [i, hop] of t.hops.entries()) {
    const left = hop.steps.find((s) => s.step === 'leave');
    const last = hop.steps.some((s) => s.step === 'deliver');
    if (!left || last || hop.tunnel !== undefined || (i === 0 && hop.namespace !== '') || t.translated.src) continue;
    const p = left.packet;
    const tool = familyOf(p.src) === 6 ? 'ip6tables' : 'iptables';
    out.push({ edit: `${place(hop)}# ${tool} -t nat -A POSTROUTING ${specOf(p)} -j MASQUERADE`, width: 0.7 });
  }
  if (t.reply) for (const hop of t.reply.hops) out.push(...routesTo(world, hop, t.final.src, t));
  else out.push(...routesTo(world, ended, t.final.src, t));
  return out;
}

/** What decides what IPVS does with connections whose server is gone, or whose client comes again. */
function balancing(at: string): Candidate[] {
  return ['expire_nodest_conn=1', 'conn_reuse_mode=0', 'conn_reuse_mode=1', 'conntrack=1'].map((setting) => ({
    edit: `${at}# sysctl -w net.ipv4.vs.${setting}`,
    width: 2,
  }));
}

/** Routes on a host to an address: by whichever neighbour of it the packet passed, or has the address, or its network. */
function routesTo(world: World, at: { readonly node: string; readonly namespace: string }, to: Addr, way: Trace): Candidate[] {
  const ns = namespaceOf(world, at);
  if (!ns || ns.stub) return [];
  const networks = (n: Namespace): readonly { readonly addr: Addr; readonly network: Prefix }[] =>
    n.addresses
      .filter((a) => familyOf(a.addr) === familyOf(to) && a.length < bitsOf(familyOf(to)))
      .map((a) => ({ addr: a.addr, network: { addr: and(a.addr, maskOf(familyOf(a.addr), a.length)), length: a.length } }));
  const isNear = (a: Addr): boolean => networks(ns).some((own) => formatAddr(own.addr) !== formatAddr(a) && contains(own.network, a));
  const passed = way.hops.map((h) => namespaceOf(world, h)).filter((n) => n !== undefined);
  const having = world.namespaces.filter((n) => networks(n).some(({ network }) => contains(network, to)));
  const hops = [...new Set([...having, ...passed])].filter((n) => n !== ns).flatMap((n) => networks(n).filter(({ addr }) => isNear(addr)));
  const whole = having.flatMap((n) => networks(n)).find(({ network }) => contains(network, to))?.network;
  const vias = [...new Set(hops.map(({ addr }) => formatAddr(addr)))];
  return vias.flatMap((via) => [
    { edit: `${place(at)}# ip route add ${formatPrefix(asPrefix(to))} via ${via}`, width: 1 },
    ...(whole ? [{ edit: `${place(at)}# ip route add ${formatPrefix(whole)} via ${via}`, width: 1.2 }] : []),
  ]);
}

/** The entry that names a wrong station, or none: the right one, where a captured host has the address. */
function neighbours(world: World, way: Trace): Candidate[] {
  const hop = way.hops.at(-1);
  const asked = hop?.steps.findLast((s) => s.step === 'neighbour' || s.step === 'leave');
  const wrong = world.namespaces.flatMap((ns) => ns.neighbours.map((n) => ({ ns, n }))).find(({ n }) => isAt(n.at, way.outcome.at));
  const ns = wrong?.ns ?? (hop && namespaceOf(world, hop));
  if (!ns || (!wrong && !asked)) return [];
  const addr = wrong ? formatAddr(wrong.n.addr) : asked!.step === 'neighbour' ? asked!.addr : asked!.step === 'leave' ? asked!.to : '';
  const device = wrong?.n.device ?? (asked as Extract<Step, { step: 'neighbour' | 'leave' }>).device;
  const owner = world.namespaces.flatMap((n) => n.addresses.map((a) => ({ n, a }))).find(({ n, a }) => n !== ns && formatAddr(a.addr) === addr);
  const link = owner?.n.links.find((l) => l.name === owner.a.device);
  if (link?.mac === undefined) return [];
  const station = {
    edit: `${place({ node: ns.node, namespace: ns.name })}# ip neigh replace ${addr} lladdr ${link.mac} dev ${device}`,
    width: 1,
  };
  const far = link.vxlan?.local;
  if (far === undefined) return [station];
  // behind a VXLAN device the station is known by its tunnel's other end too
  const tunnel = `${place({ node: ns.node, namespace: ns.name })}# bridge fdb replace ${link.mac} dev ${device} dst ${formatAddr(far)} self permanent`;
  return [station, { edit: tunnel, width: 1 }];
}

function isAt(a: Span, b: Span | undefined): boolean {
  return b !== undefined && a.file === b.file && a.line === b.line;
}

/** Frames that a bridge passes on without showing them to the rules, or not back where they came from. */
function onBridges(world: World, way: Trace): Candidate[] {
  return way.hops.flatMap((hop): Candidate[] => {
    const ns = namespaceOf(world, hop);
    const crossed = hop.steps.filter((s) => s.step === 'bridge');
    if (!ns || crossed.length === 0) return [];
    const calls = `net.bridge.bridge-nf-call-${familyOf(way.packet.dst) === 6 ? 'ip6' : 'ip'}tables`;
    const off = ns.sysctls[calls]?.value === '0' ? [{ edit: `${place(hop)}# sysctl -w ${calls}=1`, width: 2 }] : [];
    const ports = crossed.flatMap((s) => (s.in === undefined ? [] : [s.in]));
    const flat = ports.filter((p) => ns.links.find((l) => l.name === p)?.port?.hairpin === false);
    return [...off, ...flat.map((p) => ({ edit: `${place(hop)}# bridge link set dev ${p} hairpin on`, width: 1 }))];
  });
}
