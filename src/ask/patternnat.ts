// Patterns of address translation: a source that is not translated though it had to be, a reply that is not translated back.
import { contains, equal, familyOf, formatAddr, formatPrefix, networkOf, type Addr, type Prefix } from '../net/addr.ts';
import { UDP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { InterfaceAddress, Namespace, World } from '../model/host.ts';
import type { Answer, Reason } from '../model/trace.ts';
import { findingsOf, isSamePlace, lineOf, namespaceAt, placeName, rootOf, rulingOf, stepsOf, type Failure, type RuleStep } from './failure.ts';
import type { Sight } from './pattern.ts';

/** Ends of a reply that nobody had a way for. */
const ASTRAY: ReadonlySet<string> = new Set([
  'no-route', 'no-neighbour', 'not-for-us', 'martian', 'not-forwarding', 'blackhole', 'prohibited', 'left', 'reply-lost', 'ttl-exceeded', 'loop',
]); // prettier-ignore

/** A network that machines are in: of an interface that hangs on a wire. */
interface HostNetwork {
  readonly prefix: Prefix;
  readonly node: string;
  readonly device: string;
  readonly at: Span;
}

/** The machines' network that an address is of. */
function hostNetworkOf(world: World, addr: Addr): HostNetwork | undefined {
  for (const ns of world.namespaces)
    for (const a of ns.name === '' ? ns.addresses : []) {
      if (familyOf(a.addr) !== familyOf(addr) || !isOnWire(world, ns, a)) continue;
      const prefix = networkOf(a);
      if (contains(prefix, addr)) return { prefix, node: ns.node, device: a.device, at: a.at };
    }
  return undefined;
}

function isOnWire(world: World, ns: Namespace, a: InterfaceAddress): boolean {
  return world.wires.some((w) => w.ends.some((e) => e.node === ns.node && e.namespace === ns.name && e.device === a.device));
}

/** A rule that would have translated the source but for a set that has the destination. */
interface Skipped {
  readonly rule: RuleStep & { readonly node: string; readonly namespace: string };
  readonly set: string;
  readonly member: Span | undefined;
  readonly network: HostNetwork;
  readonly dst: Addr;
}

function skippedBySet(f: Failure): Skipped | undefined {
  const { trace } = f.course;
  if (trace.translated.src || !ASTRAY.has(f.outcome.kind)) return undefined;
  for (const m of f.course.nearMisses) {
    if (m.type !== 'nat' || !m.then.some((s) => s.kind === 'masquerade' || s.kind === 'snat')) continue;
    const missed = partsOf(m.reason).find((p) => p.truth === false);
    const asked = missed?.pred.kind === 'not' && missed.pred.of.kind === 'member' ? missed.pred.of : undefined;
    if (!missed || asked?.by[0] !== 'dst') continue;
    const dst = trace.hops.find((h) => h.node === m.node && h.namespace === m.namespace)?.steps.findLast((s) => s.step === 'leave')?.packet.dst;
    const network = dst === undefined ? undefined : hostNetworkOf(f.world, dst);
    // what the set is there for, pods, is no fault
    if (dst === undefined || !network) continue;
    return { rule: m, set: asked.set, member: missed.at ?? missed.parts?.find((p) => p.at)?.at, network, dst };
  }
  return undefined;
}

function partsOf(r: Reason): readonly Reason[] {
  return r.pred.kind === 'all' ? (r.parts ?? []) : [r];
}

function natSkipped(f: Failure): Sight | undefined {
  const s = skippedBySet(f);
  if (!s) return undefined;
  const member = memberText(f, s);
  return {
    message:
      `${placeName(s.rule)} does not translate the source, because ${formatAddr(s.dst)} counts as a pod: the set ${s.set}${member === undefined ? '' : `, which has ${member},`} ` +
      `covers it, though it is a machine of ${formatPrefix(s.network.prefix)}. The answer to ${formatAddr(f.course.trace.final.src)} then finds no way back.`,
    at: s.rule.at,
    evidence: [...(s.member ? [s.member] : []), s.network.at],
    durable: poolAdvice(f, s),
  };
}

function memberText(f: Failure, s: Skipped): string | undefined {
  return namespaceAt(f.world, s.rule)?.sets[s.set]?.members.find((m) => isSamePlace(m.at, s.member))?.text;
}

function poolAdvice(f: Failure, s: Skipped): string {
  const pool = poolOver(f.world, s.dst);
  const named = pool ? `IPPool ${pool.name}` : 'the pods’ network (Calico: the IPPool)'.replace('’', "'");
  return `move ${named} to a CIDR that does not contain ${formatPrefix(s.network.prefix)}, and make the pods anew`;
}

function poolOver(world: World, addr: Addr) {
  return world.witness?.pools.find((p) => !p.disabled && contains(p.cidr, addr));
}

function poolOverlaps(f: Failure): Sight | undefined {
  const [found] = findingsOf(f, 'ippool-overlaps-host', 'pod-cidr-overlaps-host');
  const s = skippedBySet(f);
  const pool = s && poolOver(f.world, s.dst);
  if (pool && s)
    return {
      message: `IPPool ${pool.name}: its CIDR ${formatPrefix(pool.cidr)} contains ${formatPrefix(s.network.prefix)}, the network of ${s.network.device} of ${s.network.node}.`,
      at: pool.at,
      evidence: [s.network.at, ...(s.member ? [s.member] : [])],
      durable: poolAdvice(f, s),
    };
  if (s) {
    const member = memberText(f, s);
    return {
      message: `The pods' network${member === undefined ? '' : ` ${member}`} (${s.set}) contains ${formatPrefix(s.network.prefix)}, the network of ${s.network.device} of ${s.network.node}.`,
      at: s.member ?? s.rule.at,
      evidence: [s.network.at, s.rule.at],
      durable: poolAdvice(f, s),
    };
  }
  return found && ASTRAY.has(f.outcome.kind)
    ? { message: `${found.message}.`, at: found.at, evidence: [], durable: found.hint ?? 'give the pods a network that no machine is in' }
    : undefined;
}

/** The request's rewriting of the destination that the reply needs undone. */
function turnedAt(f: Failure) {
  return f.course.trace.translated.dst?.steps[0];
}

/** A reply that comes to the asker, or whoever it takes for the asker, with another source than was asked. */
function isUnanswering(f: Failure): boolean {
  return f.isReply && f.way.outcome.kind === 'delivered';
}

function bridgeNfOff(f: Failure): Sight | undefined {
  const turned = turnedAt(f);
  if (!turned || !isUnanswering(f)) return undefined;
  const bridged = f.way.hops.find((h) => h.node === turned.node)?.steps.find((s) => s.step === 'bridge' && s.in !== undefined && s.out !== undefined);
  const over = f.way.hops.flatMap((h) => h.steps).find((s) => s.step === 'bridge' && s.out !== undefined) ?? bridged;
  const key = `net.bridge.bridge-nf-call-ip${f.way.packet.family === 6 ? '6' : ''}tables`;
  const setting = rootOf(f.world, turned.node)?.sysctls[key];
  if (over?.step !== 'bridge' || (setting && setting.value !== '0')) return undefined;
  return {
    message:
      `The answer goes from port to port of ${over.bridge} on ${turned.node}, and ${setting ? `${key} is 0` : `${key} is not there (br_netfilter is not loaded)`}: ` +
      `no rule and no connection tracking sees it, so ${turned.to} is not translated back to ${turned.from}.`,
    at: setting?.at ?? lineOf(f),
    evidence: turned.at ? [turned.at] : [],
    durable: `modprobe br_netfilter and ${key} = 1 in /etc/sysctl.d, loaded when the node starts`,
  };
}

function replyPasses(f: Failure, node: string): boolean {
  return f.way.hops.some((h) => h.node === node && h.namespace === '');
}

function asymmetricReply(f: Failure): Sight | undefined {
  if (!f.isReply) return undefined;
  const turned = turnedAt(f) ?? f.course.trace.translated.src?.steps[0];
  const isPassedBy = turned !== undefined && !replyPasses(f, turned.node) && isUnanswering(f);
  if (turned && isPassedBy)
    return {
      message: `The answer does not come back by ${placeName(turned)}, which translated ${turned.from} to ${turned.to}: nobody else knows the connection, so nobody translates it back.`,
      at: turned.at ?? lineOf(f),
      evidence: routesOf(f),
      durable: `have ${placeName(turned)} translate the source too (masquerade), so that the answer has to come back by it; or give both ways the same route`,
    };
  const rule = rulingOf(f);
  const tracked = f.hop?.steps.find((s) => s.step === 'conntrack');
  if (
    rule &&
    tracked?.step === 'conntrack' &&
    (tracked.state === 'INVALID' || tracked.state === 'NEW') &&
    !f.course.trace.hops.some((h) => h.node === f.outcome.node)
  )
    return {
      message: `The answer takes another way than the request: it comes through ${placeName(f.outcome)}, which has not seen the connection begin and refuses it as ${tracked.state}.`,
      at: rule.at,
      evidence: routesOf(f),
      durable: 'make the routes of both directions the same, or let that machine accept what it has not seen begin',
    };
  return undefined;
}

/** The routes that the reply took. */
function routesOf(f: Failure): Span[] {
  return f.way.hops.flatMap((h) => h.steps.flatMap((s) => (s.step === 'route' && s.at ? [s.at] : [])));
}

function replyNotTranslated(f: Failure): Sight | undefined {
  const turned = turnedAt(f);
  if (!turned || !isUnanswering(f) || !replyPasses(f, turned.node)) return undefined;
  return {
    message: `The answer comes from ${turned.to}, and ${turned.from} had been asked: it passes ${placeName(turned)}, but not the connection tracking there that would translate it back.`,
    at: turned.at ?? lineOf(f),
    evidence: routesOf(f),
    durable: `see what keeps the answer away from connection tracking on ${placeName(turned)} (a notrack rule, another zone, a way over a bridge)`,
  };
}

/** Bits that kube-proxy (0x4000) gives to what is to be masqueraded. */
const MASQUERADE_MARK = 0x4000;

function natEndedEarly(f: Failure): Sight | undefined {
  const { trace } = f.course;
  if (trace.translated.src || !f.isReply) return undefined;
  for (const hop of trace.hops) {
    const mark = hop.steps.findLast((s) => s.step === 'leave')?.packet.mark;
    const ended = hop.steps.find(
      (s): s is RuleStep =>
        s.step === 'rule' &&
        s.truth === true &&
        s.type === 'nat' &&
        s.hook === 'POSTROUTING' &&
        s.then.some((x) => x.kind === 'verdict' && (x.verdict === 'accept' || (x.verdict === 'return' && s.chain === 'POSTROUTING'))),
    );
    if (!ended || mark === undefined || (mark & MASQUERADE_MARK) === 0) continue;
    const table = namespaceAt(f.world, hop)?.tables.find((t) => t.name === ended.table && t.family === ended.family && t.backend === ended.backend);
    const later = Object.values(table?.chains ?? {})
      .find((c) => c.base?.hook === 'POSTROUTING')
      ?.rules.find(
        (r) => (ended.chain !== 'POSTROUTING' || r.number > ended.number) && r.then.some((x) => x.kind === 'jump' && x.chain === 'KUBE-POSTROUTING'),
      );
    if (!later) continue;
    return {
      message: `${placeName(hop)} marks it to be masqueraded, but ${ended.table} ${ended.chain} ${ended.number} ends address translation before KUBE-POSTROUTING can do it: '${ended.text}'.`,
      at: ended.at,
      evidence: [later.at],
      durable: 'let KUBE-POSTROUTING stand before that rule, or narrow the rule; see who writes it (a CNI plugin, a start script)',
    };
  }
  return undefined;
}

function noClusterCidr(f: Failure): Sight | undefined {
  const { trace } = f.course;
  const turned = turnedAt(f);
  if (!f.isReply || !turned || trace.translated.src || !(ASTRAY.has(f.outcome.kind) || isUnanswering(f))) return undefined;
  const ns = rootOf(f.world, turned.node);
  const rules = (ns?.tables ?? []).filter((t) => t.name === 'nat' && t.family === trace.packet.family).flatMap((t) => Object.entries(t.chains));
  const service = rules.find(([name, c]) => name === 'KUBE-SERVICES' && c.rules.length > 0)?.[1];
  const isMarking = rules.some(
    ([name, c]) =>
      /^KUBE-(?:SERVICES|SVC-)/.test(name) &&
      c.rules.some((r) => r.then.some((s) => (s.kind === 'jump' || s.kind === 'goto') && s.chain === 'KUBE-MARK-MASQ')),
  );
  const isPod =
    ns !== undefined &&
    f.world.namespaces.some((n) => n.node === ns.node && n.name !== '' && n.addresses.some((a) => equal(a.addr, trace.packet.src)));
  if (!service || isMarking || isPod) return undefined;
  return {
    message: `kube-proxy on ${turned.node} was given no cluster CIDR: none of its rules masquerades what comes to a service from outside of the pods' network, so the answer goes past ${turned.node}.`,
    at: service.at,
    evidence: turned.at ? [turned.at] : [],
    durable: "set clusterCIDR in kube-proxy's configuration (--cluster-cidr), or masqueradeAll",
  };
}

/**
 * Delivered all the same, as far as addresses go: what breaks is the checksum that a network card makes of UDP. A masquerade that
 * keeps the port does no harm, nor does one of a tunnel without ports (IPIP).
 */
function doubleMasquerade(_world: World, { courses }: Answer): Sight | undefined {
  for (const { hop, step } of courses.flatMap((c) => stepsOf(c))) {
    if (hop.tunnel === undefined || step.step !== 'rule' || step.truth !== true) continue;
    const outer = hop.steps.find((s) => s.step === 'encapsulate')?.packet;
    if (outer?.proto !== UDP || !step.then.some((s) => s.kind === 'masquerade' && s.random !== undefined)) continue;
    return {
      message: `${placeName(hop)} also masquerades the packet of ${hop.tunnel} that carries it, and gives it another port: the mark of the inner packet is still on it.`,
      at: step.at,
      evidence: [],
      durable:
        'take the mark off before the packet is put into the tunnel (kube-proxy 1.18.6 and later do), or switch off checksum offload of the tunnel device',
    };
  }
  return undefined;
}

/** Patterns of address translation: those of failed courses, and those that show in what is delivered. */
export const NAT_PATTERNS = {
  failed: {
    'nat-skipped-by-set-overlap': natSkipped,
    'pool-overlaps-network': poolOverlaps,
    'bridge-nf-off': bridgeNfOff,
    'asymmetric-reply': asymmetricReply,
    'reply-not-translated': replyNotTranslated,
    'nat-ended-early': natEndedEarly,
    'no-cluster-cidr': noClusterCidr,
  },
  always: { 'double-masquerade': doubleMasquerade },
};
