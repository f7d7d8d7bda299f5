// Facts of a trace as phrases a tired person understands. Every reading (text, and the sentences in JSON) takes them from here.
import { formatAddr, formatEndpoint } from '../net/addr.ts';
import { formatProtocol, formatTcpFlags } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import { originOfRoute, originOfStep, type Origin } from '../model/origin.ts';
import type { Packet } from '../model/packet.ts';
import type { Course, Hop, MissKind, NearMiss, Outcome, Reason, Step, Trace, Translation } from '../model/trace.ts';

/** One end of a packet: `192.168.21.20:40000`, a range for a port the kernel picks. */
export function endpoint(p: Packet, side: 'src' | 'dst'): string {
  const port = side === 'src' ? 'sport' : 'dport';
  return formatEndpoint(p.undetermined?.[side]?.what ?? p[side], p.undetermined?.[port] ?? p[port]);
}

/** `tcp 10.0.0.1:40000 -> 10.0.0.2:80 SYN` */
export function packet(p: Packet): string {
  const detail = p.flags !== undefined ? ` ${formatTcpFlags(p.flags)}` : p.icmp ? ` ${icmpName(p)}` : '';
  return `${formatProtocol(p.proto)} ${endpoint(p, 'src')} -> ${endpoint(p, 'dst')}${detail}${p.mark ? ` mark 0x${p.mark.toString(16)}` : ''}`;
}

function icmpName(p: Packet): string {
  const { type, code } = p.icmp!;
  if (type === 8 || type === 128) return 'echo request';
  if (type === 0 || type === 129) return 'echo reply';
  return `type ${type} code ${code}`;
}

export function place(at: { readonly node: string; readonly namespace: string }): string {
  return at.namespace ? `${at.node}/${at.namespace}` : at.node;
}

/** `worker1/iptables-save.txt:88`; empty for a place that is in no file. */
export function location(at: Span | undefined): string {
  return at && at.file !== '' ? `${at.file}:${at.line}` : '';
}

/** `kube-proxy, Service default/web:http` */
export function maker({ by, of }: Origin): string {
  return of === undefined ? by : `${by}, ${of}`;
}

/** Where a rule is and who made it: `worker1/iptables-save.txt:88; Calico, IP pools`. */
function source(at: Span, origin: Origin | undefined): string {
  return `${location(at)}${origin ? `; ${maker(origin)}` : ''}`;
}

/** `1/3` where that is what it is, else a percentage. */
export function probability(p: number): string {
  if (p >= 1 - 1e-9) return '1';
  for (let n = 2; n <= 60; n++) {
    const k = Math.round(p * n);
    if (k > 0 && Math.abs(p - k / n) < 5e-9 * n) return `${k}/${n}`;
  }
  return `${(p * 100).toPrecision(3)}%`;
}

const MISS_WORDS: Readonly<Record<MissKind, readonly [string, string]>> = {
  destination: ['other destination', 'other destinations'],
  source: ['other source', 'other sources'],
  port: ['other port', 'other ports'],
  protocol: ['other protocol', 'other protocols'],
  interface: ['other interface', 'other interfaces'],
  mark: ['other mark', 'other marks'],
  state: ['other connection state', 'other connection states'],
  set: ['set', 'sets'],
  'address type': ['other address type', 'other address types'],
  chance: ['not chosen', 'not chosen'],
  other: ['other condition', 'other conditions'],
};

/** `12 other destinations, 5 other ports` */
export function misses(counts: Readonly<Partial<Record<MissKind, number>>>): string {
  return (Object.entries(counts) as [MissKind, number][])
    .toSorted((a, b) => b[1] - a[1])
    .map(([kind, n]) => `${n} ${MISS_WORDS[kind][n === 1 ? 0 : 1]}`)
    .join(', ');
}

/** The conditions of a rule as it spelled them, each with its truth and what was seen. */
export function conditions(reason: Reason): { truth: 'yes' | 'NO' | '?'; text: string; saw: string; at: string }[] {
  const parts = reason.pred.kind === 'all' ? (reason.parts ?? []) : [reason];
  return parts.map((r) => ({
    truth: r.truth === true ? 'yes' : r.truth === false ? 'NO' : '?',
    text: r.pred.text ?? r.pred.kind,
    saw: deepest(r).saw ?? '',
    at: location(deepest(r).at),
  }));
}

/** The leaf that settled a compound condition. */
function deepest(r: Reason): Reason {
  if (r.saw !== undefined || !r.parts) return r;
  const telling = r.parts.find((p) => p.truth === r.truth) ?? r.parts[0];
  return telling ? deepest(telling) : r;
}

/** What a near miss would have done, and the condition that kept it from it. */
export function nearMiss(m: NearMiss): string {
  const missed = conditions(m.reason).find((c) => c.truth === 'NO');
  const rule = `${m.chain} ${m.number} (${source(m.at, originOfStep(m))}) did not ${effect(m)}`;
  if (!missed) return rule;
  return `${rule}: '${missed.text}' is false${missed.saw === '' ? '' : `, ${missed.saw}`}${missed.at ? ` (${missed.at})` : ''}`;
}

function effect(m: NearMiss): string {
  const statement = m.then.find((s) => s.kind !== 'note');
  switch (statement?.kind) {
    case 'masquerade':
      return 'masquerade it';
    case 'snat':
      return 'translate its source';
    case 'dnat':
    case 'redirect':
    case 'netmap':
      return 'translate its destination';
    case 'verdict':
      return statement.verdict === 'accept' ? 'accept it' : statement.verdict === 'drop' ? 'drop it' : 'return';
    case 'jump':
    case 'goto':
      return `send it on to ${statement.chain}`;
    case 'reject':
      return 'reject it';
    default:
      return 'apply';
  }
}

const METHODS: Readonly<Record<string, string>> = {
  masq: 'rewritten (Masq)',
  direct: 'unchanged, by direct routing (Route)',
  tunnel: 'inside another packet (Tunnel)',
  local: 'on this host (Local)',
  bypass: 'past the service',
};

/** What IPVS did: `'TCP 10.96.0.1:443 rr' -> 192.168.21.11:6443, rewritten (Masq): rr picks it`. */
export function balanced(s: Extract<Step, { step: 'ipvs' }>): string {
  if (s.did === 'passed') return s.why;
  if (s.did === 'refused' || s.server === undefined) return `'${s.text}' ${s.why}`;
  if (s.manip === 'src') return `source ${s.from} -> ${s.to}: ${s.why}`;
  return `'${s.text}' -> ${s.server}, ${METHODS[s.did]}: ${s.why}`;
}

/** Nodes and namespaces a packet crosses: `worker1/pod-a > worker1 > master`. */
export function path(hops: readonly Hop[]): string {
  const names = hops.map(place);
  return names.filter((n, i) => n !== names[i - 1]).join(' > ');
}

/** The first sentence of a course: how it ended. */
export function verdictOf(c: Course): string {
  const { outcome, reply } = c.trace;
  if (outcome.kind === 'reply-lost') {
    // the classic: a source nobody translated, so the far end answers to an address it has no way to
    const untranslated = reply && !c.trace.translated.src && reply.outcome.kind === 'no-route';
    const from = place(reply?.hops[0] ?? outcome);
    return `REPLY LOST at ${place(outcome)}: ${untranslated ? `${ownAddress(c.trace)}nobody translated the source of the request, so ${from} answered to ${formatAddr(reply.packet.dst)} itself, and ` : ''}${outcome.why}`;
  }
  const head = `${outcome.kind.toUpperCase().replaceAll('-', ' ')}${outcome.kind === 'delivered' ? ` to ${place(outcome)}` : ` at ${place(outcome)}`}`;
  if (outcome.kind === 'delivered') return `${head}${reply ? ', and the reply arrives' : ''}`;
  if (outcome.kind === 'left') {
    const as = endpoint(c.trace.final, 'src');
    return `LEFT ${place(outcome)} by ${outcome.device ?? 'an unknown interface'} towards ${outcome.nextHop ?? '?'} as ${as} -> ${endpoint(c.trace.final, 'dst')}${c.trace.translated.src ? '' : `, source not translated`}`;
  }
  return `${head}: ${outcome.why}`;
}

/** A host asks an address of its own, as those of kube-ipvs0 are, from that address. */
function ownAddress(t: Trace): string {
  const [sends, route] = t.hops[0]?.steps ?? [];
  if (sends?.step !== 'enter' || !sends.local || route?.step !== 'route' || formatAddr(sends.packet.src) !== formatAddr(sends.packet.dst)) return '';
  return `${formatAddr(sends.packet.src)} is an address of ${place(t.hops[0]!)} itself, so it asks from that address (${location(route.at)}); `;
}

/** What was translated on the way there, one phrase for each rewriting. */
export function translations(t: Trace): string[] {
  const { src, dst } = t.translated;
  const told = (side: string, x: Translation | undefined): string[] =>
    (x?.steps ?? []).map(
      (s) =>
        `${place(s)}: ${side} ${s.from} -> ${s.to}${s.by === undefined ? '' : ` by ${s.by}`}${s.at ? ` (${source(s.at, originAt(t, s.at))})` : ''}`,
    );
  return [...told('destination', dst), ...told('source', src)];
}

/** How a jump says that there is nothing where it leads. */
const EMPTY = ', which has no rules';

/** The lines on which a failed course rests, most telling first. */
export function decisive(c: Course): string[] {
  const lines = c.nearMisses.map(nearMiss);
  if (c.verdict === 'yes') return lines;
  for (const s of c.trace.hops.flatMap((h) => h.steps))
    if (s.step === 'ipvs' && s.did === 'passed') lines.unshift(`${s.why}${s.at ? ` (${location(s.at)})` : ''}`);
  for (const { step } of emptyChains(c.trace))
    lines.push(`${step.chain} ${step.number} leads nowhere: ${step.did.slice(5)} (${source(step.at, originOfStep(step))})`);
  const ended = c.trace.reply ?? c.trace;
  const { at } = ended.outcome;
  if (at && at.file !== '') {
    const origin = originAt(ended, at);
    const by = origin ? ` (${maker(origin)})` : '';
    const said = ruleText(ended, at) ?? ended.outcome.why;
    lines.push(`${ended === c.trace ? '' : 'reply: '}${ended.outcome.why.includes(location(at)) ? `${said}${by}` : `${location(at)}${by}: ${said}`}`);
  }
  // what the deciding rule saw in other captured lines: a set's member, a route
  const ruling = ended.hops.flatMap((h) => h.steps).find((s) => s.step === 'rule' && s.at.file === at?.file && s.at.line === at.line);
  if (ruling?.step === 'rule')
    for (const c of conditions(ruling.reason)) if (c.truth === 'yes' && c.at !== '') lines.push(`'${c.text}' holds: ${c.saw} (${c.at})`);
  return [...new Set(lines)];
}

/** Jumps of a hook's nat chain into chains without rules, as they are left where a program could not write its own. */
function emptyChains(t: Trace): { readonly node: string; readonly step: Extract<Step, { step: 'rule' }> & { readonly did: string } }[] {
  return t.hops.flatMap(({ node, steps }) =>
    steps.flatMap((step) =>
      step.step === 'rule' && step.type === 'nat' && step.chain === step.hook && step.did?.endsWith(EMPTY)
        ? [{ node, step: { ...step, did: step.did } }]
        : [],
    ),
  );
}

function ruleText(t: Trace, at: Span): string | undefined {
  const step = t.hops
    .flatMap((h) => h.steps)
    .find(
      (s): s is Extract<Step, { step: 'rule' | 'ipvs' }> =>
        (s.step === 'rule' || s.step === 'ipvs') && s.at?.file === at.file && s.at.line === at.line,
    );
  return step?.text;
}

/** Who made the rule or the route of a captured line. */
function originAt(t: Trace, at: Span): Origin | undefined {
  for (const s of t.hops.flatMap((h) => h.steps))
    if ((s.step === 'rule' || s.step === 'route') && s.at?.file === at.file && s.at.line === at.line)
      return s.step === 'rule' ? originOfStep(s) : originOfRoute(s);
  return undefined;
}

/** What to look at or change, for an ending that is no success. */
export function advice(c: Course): string | undefined {
  const { outcome } = c.trace;
  const ended = c.trace.reply && outcome.kind === 'reply-lost' ? c.trace.reply.outcome : outcome;
  if (outcome.kind === 'reply-lost') {
    const asker = formatAddr(c.trace.final.src);
    const from = place(c.trace.reply?.hops[0] ?? outcome);
    const translated = c.trace.translated.src !== undefined;
    const empty = emptyChains(c.trace).find((e) => e.step.did.includes(' KUBE-SERVICES,'));
    if (!translated && empty)
      return `find out why kube-proxy on ${empty.node} has no rules in KUBE-SERVICES (its log; a refused iptables-restore?): they would have had the source translated`;
    // the reply must come back to whoever translated the destination
    const turned = c.trace.translated.dst?.steps[0];
    const isPassedBy = turned && !(c.trace.reply?.hops.some((h) => place(h) === place(turned)) ?? true);
    const miss = c.nearMisses.find(
      (m) => m.then.some((s) => s.kind === 'masquerade' || s.kind === 'snat') && (!isPassedBy || place(m) === place(turned)),
    );
    const isRefused = ended.kind === 'dropped' || ended.kind === 'rejected';
    if (!translated && isPassedBy && !miss)
      return `have the source translated on ${place(turned)}, which translated the destination: then the reply comes back by it`;
    if (!translated && miss && !isRefused)
      return `${remedy(miss)}, so that ${place(miss)} translates the source; or give ${placeThatLost(c)} a route to ${asker} through ${place(miss)}`;
    if (!translated && ended.kind === 'no-route')
      return `give ${place(ended)} a route to ${asker}, or have its source translated before it reaches ${from}`;
  }
  const sender = c.trace.hops[0];
  if (outcome.kind === 'martian' && !c.trace.translated.src && sender && place(sender) !== place(outcome) && outcome.why.includes('is an address of'))
    return `have the source translated before it leaves ${place(sender)}: ${place(outcome)} takes ${formatAddr(c.trace.final.src)} for its own`;
  const last = (c.trace.reply && ended !== outcome ? c.trace.reply : c.trace).hops.at(-1)?.steps.at(-1);
  if (last?.step === 'ipvs' && last.cure !== undefined) return last.cure;
  return ADVICE[ended.kind]?.(ended);
}

/** What would have to be otherwise for a near miss to match. */
function remedy(m: NearMiss): string {
  const parts = m.reason.pred.kind === 'all' ? (m.reason.parts ?? []) : [m.reason];
  const missed = parts.find((p) => p.truth === false)?.pred;
  const inner = missed?.kind === 'not' ? missed.of : missed;
  if (inner?.kind !== 'member') return `let ${m.chain} ${m.number} match this packet`;
  return missed?.kind === 'not'
    ? `take the address out of ${inner.set} (move the range that covers it, or add a nomatch member)`
    : `add the address to ${inner.set}`;
}

function placeThatLost(c: Course): string {
  return place(c.trace.reply?.outcome ?? c.trace.outcome);
}

const ADVICE: Readonly<Partial<Record<Outcome['kind'], (o: Outcome) => string>>> = {
  dropped: (o) => `accept it before the rule or policy at ${location(o.at) || place(o)}`,
  rejected: (o) => `look at what made the rule at ${location(o.at) || place(o)}: it refuses on purpose`,
  'no-route': (o) => `add a route on ${place(o)}, or correct the destination`,
  blackhole: (o) => `remove or outrank the blackhole route at ${location(o.at) || place(o)}`,
  prohibited: (o) => `remove or outrank the prohibit route at ${location(o.at) || place(o)}`,
  'no-neighbour': (o) => `check that the next hop is up and on that wire: ip neigh, arping from ${place(o)}`,
  'not-for-us': (o) => `correct the neighbour entry at ${location(o.at) || place(o)}`,
  martian: (o) => `check the address, or the reverse-path and local-address settings of ${place(o)}`,
  'not-forwarding': (o) => `sysctl -w net.ipv4.ip_forward=1 on ${place(o)} if it is meant to forward`,
  'no-server': (o) =>
    `give the virtual server at ${location(o.at)} a real server with a weight above 0 (kubectl get endpointslices: are its pods ready?)`,
  'too-big': (o) => `raise the MTU or lower the packet size on the way through ${place(o)}`,
  'ttl-exceeded': (o) => `look for a loop, or send with a larger TTL than reaches ${place(o)}`,
  'cannot-tell': (o) =>
    o.at ? `decide it by reading the line at ${location(o.at)}: netwhy does not model it` : `capture what is missing on ${place(o)} (netwhy capture)`,
  loop: (o) => `correct the routes that send it back to ${place(o)}`,
};
