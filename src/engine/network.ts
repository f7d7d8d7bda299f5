// The packet from namespace to namespace until something happens to it, and the answer all the way back.
import { formatAddr } from '../net/addr.ts';
import { ICMP, ICMPV6, TCP } from '../net/proto.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Outcome, Question, Trace, Translation } from '../model/trace.ts';
import { explore, NOT, type Choices } from './choice.ts';
import { ConntrackTable } from './conntrack.ts';
import { localKey } from './fib.ts';
import { oneWay, type Passed, type Start } from './journey.ts';
import { IpvsTable } from './ipvstable.ts';
import { Learned } from './learned.ts';
import { LiveSets } from './liveset.ts';
import { LiveNftSets } from './nftset.ts';
import type { Walk } from './walk.ts';
import type { Carried } from './tunnel.ts';
import { endpoint } from './nat.ts';
import { place } from './routing.ts';
import type { Watch } from './watch.ts';

export interface WalkOptions {
  /** Tell every rule that did not match as well. */
  readonly all?: boolean;
  /** CT_STATE that the first conntrack lookup is to find. */
  readonly state?: number;
  /** How many courses may be followed (default 256). */
  readonly limit?: number;
  /** Hears which packets would have been decided alike, on all courses. */
  readonly watch?: Watch;
}

/** Walks the question's packet and its answer in every way the captures leave possible. */
export function walkQuestion(world: World, question: Question, options: WalkOptions = {}): { traces: Trace[]; bounded: boolean } {
  const { courses, bounded } = explore((choices) => roundTrip(world, question, choices, options), options.limit ?? 256);
  return { traces: courses, bounded };
}

function roundTrip(world: World, question: Question, choices: Choices, options: WalkOptions): Trace {
  const tables = new Map<Namespace, ConntrackTable>();
  const sets = new Map<Namespace, LiveSets>();
  const balancers = new Map<Namespace, IpvsTable>();
  let prescribed = options.state;
  let visits = 0;
  const walk: Walk = {
    choices,
    all: options.all ?? false,
    watch: options.watch,
    learned: new Learned(),
    connections: (ns) => {
      let table = tables.get(ns);
      if (!table) tables.set(ns, (table = new ConntrackTable(ns)));
      return table;
    },
    sets: (ns) => {
      let live = sets.get(ns);
      if (!live) sets.set(ns, (live = new LiveSets(ns)));
      return live;
    },
    nftSets: new LiveNftSets(),
    ipvs: (n) => {
      let table = balancers.get(n);
      if (!table) balancers.set(n, (table = new IpvsTable(n, choices)));
      return table;
    },
    nextVisit: () => String(visits++),
    takePrescribedState: () => {
      const state = prescribed;
      prescribed = undefined;
      return state;
    },
  };
  const ns = world.namespaces.find((n) => n.node === question.node && n.name === question.namespace);
  if (!ns) throw new RangeError(`the question begins in ${question.node}/${question.namespace}, which is not in the world`);
  const start: Start = {
    ns,
    packet: question.packet,
    local: !question.arrives,
    bound: question.boundSource,
    ...(question.device !== undefined && { device: question.device }),
  };
  // what comes in from outside is not of this host
  if (question.arrives) choices.settle(localKey(place(ns), question.packet.src), false);
  const there = oneWay(world, start, walk);
  const back = answerTo(world, there, choices);
  if (back === 'shared') {
    const why = `${endpoint(there.final, 'src')} is an address that other hosts may have too: the reply is not for ${place(ns)} alone`;
    return finish({ ...there, outcome: { ...there.outcome, kind: 'reply-lost', why } }, undefined, start, choices);
  }
  const reply = back && oneWay(world, back, walk);
  return finish(there, reply, start, choices);
}

/** The packet that the far end answers with, and where it starts; nothing answers a packet that did not arrive. */
function answerTo(world: World, there: Passed, choices: Choices): Start | 'shared' | undefined {
  const { outcome, final, end } = there;
  if (outcome.kind !== 'delivered' && outcome.kind !== 'left') return undefined;
  const packet = answer(final);
  if (!packet) return undefined;
  if (outcome.kind === 'delivered') return { ns: end.ns, packet, local: true, bound: true };
  const direct = there.hops.flatMap((h) => h.steps).findLast((s) => s.step === 'ipvs' && s.server !== undefined);
  if (direct?.step === 'ipvs' && (direct.did === 'direct' || direct.did === 'tunnel')) {
    choices.assume(
      `real server ${direct.server} answers ${endpoint(there.sent, 'src')} itself, and not by way of the balancer (${direct.did})`,
      direct.at,
    );
    return undefined;
  }
  // from outside: the world beyond is supposed to route the answer back to where the packet left
  const last = there.hops.at(-1)!;
  const ns = world.namespaces.find((n) => n.node === last.node && n.name === last.namespace)!;
  const { src: from, undetermined } = there.tunnels.length > 0 ? there.outer : final;
  const src = undetermined?.src?.what ?? formatAddr(from);
  const own = undetermined?.src !== undefined || ns.addresses.some((a) => formatAddr(a.addr) === src);
  const by = outcome.device === undefined ? '' : ` by ${outcome.device}`;
  // what a service address on a dummy device sends out is answered to whoever else has that address
  const isShared = own && ns.addresses.some((a) => formatAddr(a.addr) === src && isDummy(ns, a.device));
  if (isShared) {
    const what = `the network beyond sends answers to ${src}, an address of a dummy device, back to ${place(ns)}`;
    const comes = choices.choose(`shared:${place(ns)}:${src}`, [
      { value: true, what },
      { value: false, what: `${NOT}${what}` },
    ]);
    if (!comes) return 'shared';
  }
  choices.assume(
    own
      ? `the network beyond answers to ${src}${src.startsWith('an address') ? '' : `, an address of ${place(ns)}`}, and the answer comes in${by}`
      : `the network beyond${outcome.device ? ` ${outcome.device}` : ''} routes ${src} back to ${place(ns)}: the reply arrives only if it does`,
  );
  // it comes in where the request went out, and would go out where that came in
  const passed = there.devices && {
    devices: { iif: there.devices.oif, oif: there.devices.iif, physin: there.devices.physout, physout: there.devices.physin },
  };
  const start = { ns, local: false, bound: true, ...passed, ...(outcome.device !== undefined && { device: outcome.device }) };
  if (there.tunnels.length === 0) return { ...start, packet };
  // what left in a tunnel is answered in it
  const tunnels = there.tunnels.map((t, i): Carried => {
    const { mac, from: sender } = t.to;
    const inside = i === 0 ? packet : turned(t.packet);
    return { ...t, packet: inside, to: { ...(sender !== undefined && { mac: sender }), ...(mac !== undefined && { from: mac }) } };
  });
  return { ...start, packet: turned(there.outer), tunnels };
}

/** kube-proxy's device, or one like it. */
function isDummy(ns: Namespace, device: string): boolean {
  return device === 'kube-ipvs0' || ns.links.some((l) => l.name === device && l.kind === 'dummy');
}

/** A tunnel's packet the other way: the port it is for stays, the other is open. */
function turned(outer: Packet): Packet {
  return { ...outer, src: outer.dst, dst: outer.src, ttl: 64, mark: 0 };
}

/** What a willing peer sends back: the same connection seen from the other side. */
function answer(p: Packet): Packet | undefined {
  const { mac: _mac, uid: _uid, gid: _gid, undetermined, inner: _inner, payload, ...rest } = p;
  const swapped: Packet = { ...rest, src: p.dst, dst: p.src, ttl: 64, mark: 0 };
  const loose = undetermined && {
    ...(undetermined.src !== undefined && { dst: undetermined.src }),
    ...(undetermined.dst !== undefined && { src: undetermined.dst }),
    ...(undetermined.sport && { dport: undetermined.sport }),
    ...(undetermined.dport && { sport: undetermined.dport }),
    ...(undetermined.id && { id: undetermined.id }),
  };
  const base: Packet = { ...swapped, ...(loose && { undetermined: loose }) };
  if (p.icmp) {
    const type = p.proto === ICMP ? ECHO[p.icmp.type] : p.proto === ICMPV6 ? ECHO6[p.icmp.type] : undefined;
    return type === undefined ? undefined : { ...base, icmp: { ...p.icmp, type }, ...(payload && { payload }) }; // an echo
  }
  if (p.sport === undefined || p.dport === undefined) return base;
  const ports = { ...base, sport: p.dport, dport: p.sport };
  if (p.proto !== TCP || p.flags === undefined) return ports;
  return { ...ports, flags: p.flags & 2 ? 0x12 : 0x10 };
}

const ECHO: Readonly<Record<number, number>> = { 8: 0, 13: 14, 15: 16, 17: 18 };
const ECHO6: Readonly<Record<number, number>> = { 128: 129, 139: 140 };

function finish(there: Passed, back: Passed | undefined, start: Start, choices: Choices): Trace {
  const traceOf = (c: Passed, outcome: Outcome): Trace => ({
    packet: c.sent,
    hops: c.hops,
    outcome,
    final: c.final,
    translated: translations(c),
    assumptions: choices.assumptions,
    probability: choices.probability,
  });
  if (!back) return traceOf(there, there.outcome);
  const lost = lostReply(there, back, start);
  return { ...traceOf(there, lost ?? there.outcome), reply: traceOf(back, back.outcome) };
}

/** The reply must reach the socket, or the outside station, that asked, from the address it asked. */
function lostReply(there: Passed, back: Passed, start: Start): Outcome | undefined {
  const { outcome, final } = back;
  const lost = (why: string): Outcome => ({ ...outcome, kind: 'reply-lost', why });
  const wanted = start.local ? 'delivered' : 'left';
  const name = start.local ? place(start.ns) : formatAddr(there.sent.src);
  // not lost, but nobody knows
  if (outcome.kind === 'cannot-tell') return { ...outcome, why: `whether the reply arrives: ${outcome.why}` };
  if (outcome.kind !== wanted) {
    if (outcome.kind === 'left') return lost(`the reply ${outcome.why}, out of the captured world, and ${name} is inside it`);
    if (outcome.kind === 'delivered') return lost(`the reply is delivered to ${place(back.end.ns)}, and ${name} asked`);
    return lost(outcome.why);
  }
  if (start.local && back.end.ns !== start.ns) return lost(`the reply is delivered to ${place(back.end.ns)}, and ${name} asked`);
  const asked = endpoint(there.sent, 'dst');
  const from = endpoint(final, 'src');
  if (from !== asked)
    return lost(`the reply comes from ${from}, and ${name} had asked ${asked}: it is not the answer to anything${untranslated(there, back)}`);
  const asker = endpoint(there.sent, 'src');
  const to = endpoint(final, 'dst');
  if (to !== asker) return lost(`the reply goes to ${to}, and the request came from ${asker}`);
  return undefined;
}

/** Where the translation was made that the reply would have needed, and why it was not made back. */
function untranslated(there: Passed, back: Passed): string {
  const made = translations(there).dst?.steps[0];
  if (!made) return '';
  const where = made.namespace ? `${made.node}/${made.namespace}` : made.node;
  const passed = back.hops.filter((h) => h.node === made.node && h.namespace === made.namespace);
  const translated = `${where} translated ${made.from} to ${made.to}`;
  if (passed.length === 0) return `; ${translated}, and the reply does not come by ${where}`;
  const bridged = passed.every((h) => h.steps.some((s) => s.step === 'bridge') && !h.steps.some((s) => s.step === 'conntrack'));
  return bridged
    ? `; ${translated}, and the reply crosses its bridge as a frame that conntrack does not see (bridge-nf-call-iptables is off)`
    : `; ${translated}, and does not translate the reply back`;
}

/** What the packet looked like when it was sent, against how it ended. */
function translations(c: Passed): Trace['translated'] {
  const whole = (manip: 'src' | 'dst'): Translation | undefined => {
    const from = endpoint(c.sent, manip);
    const to = endpoint(c.final, manip);
    if (from === to) return undefined;
    const steps = c.hops.flatMap(({ node, namespace, tunnel, steps: all }) =>
      tunnel !== undefined
        ? []
        : all.flatMap((s) =>
            (s.step === 'nat' || s.step === 'ipvs') && s.manip === manip
              ? [
                  {
                    node,
                    namespace,
                    from: s.from ?? '',
                    to: s.to ?? '',
                    ...(s.at && { at: s.at }),
                    ...(s.why !== undefined && { by: s.step === 'ipvs' ? `IPVS, ${s.why}` : s.why }),
                  },
                ]
              : [],
          ),
    );
    return { from, to, steps };
  };
  const src = whole('src');
  const dst = whole('dst');
  return { ...(src && { src }), ...(dst && { dst }) };
}
