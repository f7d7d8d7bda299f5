// What becomes of all packets of a space: classes that end alike are one fate. And who reaches which service.
import { equal, formatEndpoint, type Addr } from '../net/addr.ts';
import { formatProtocol, TCP } from '../net/proto.ts';
import type { Fate } from '../model/fate.ts';
import type { World } from '../model/host.ts';
import type { Pred } from '../model/ruleset.ts';
import type { Answer, Trace, Verdict } from '../model/trace.ts';
import { mergeBoxes, sizeOf, type Box } from './box.ts';
import { classesOf, type ClassOptions } from './classes.ts';
import { placeName } from './failure.ts';
import { nameOf } from './name.ts';
import { ask, isMisunderstood } from './question.ts';
import type { Space } from './space.ts';
import { trace } from './trace.ts';

/** Packets that come to the same ends. */
export interface Reached {
  /** All courses that they may take: more than one where chance decides, or what is not known. */
  readonly fates: readonly Fate[];
  readonly boxes: readonly Box[];
  readonly packets: bigint;
  /** One of them. */
  readonly answer: Answer;
  /** Some of the boxes could not be narrowed to packets that surely fare alike: why. */
  readonly inexact?: string;
}

export interface Reach {
  readonly reached: readonly Reached[];
  readonly classes: number;
  readonly packets: bigint;
  /** Packets that were not looked at: there are more classes than may be. */
  readonly left: bigint;
}

/** The fates of a space, those of most packets first. */
export function reachOf(world: World, space: Space, options: ClassOptions = {}): Reach {
  const groups = new Map<string, { fates: readonly Fate[]; boxes: Box[]; answer: Answer; inexact?: string }>();
  const classes = classesOf(world, space, options);
  let next = classes.next();
  for (; !next.done; next = classes.next()) {
    const { box, answer, inexact } = next.value;
    const fates = fatesOf(answer);
    const key = JSON.stringify(fates.map(({ why: _why, ...f }) => f));
    const known = groups.get(key);
    if (known) known.boxes.push(box);
    else groups.set(key, { fates, boxes: [box], answer, ...(inexact !== undefined && { inexact }) });
  }
  const reached = [...groups.values()].map(({ boxes, ...rest }) => ({
    ...rest,
    boxes: mergeBoxes(boxes),
    packets: boxes.reduce((n, b) => n + sizeOf(b), 0n),
  }));
  return {
    reached: reached.toSorted((a, b) => (a.packets > b.packets ? -1 : a.packets < b.packets ? 1 : 0)),
    classes: next.value.classes,
    packets: space.size - next.value.toThemselves,
    left: next.value.left,
  };
}

/** The ends of an answer's courses, each once. */
export function fatesOf(answer: Answer): readonly Fate[] {
  const all = answer.courses.map(({ trace: t, verdict }): Fate => {
    const end = t.outcome.kind === 'reply-lost' && t.reply ? t.reply.outcome : t.outcome;
    return {
      verdict,
      kind: t.outcome.kind,
      place: placeName(end),
      ...(decided(t) && end.at && end.at.file !== '' && { at: end.at }),
      why: end.why,
      translated: t.translated.src !== undefined,
      ...(t.translated.src && { as: became(t, 'src') }),
      ...(t.translated.dst && { to: became(t, 'dst') }),
    };
  });
  const seen = new Set<string>();
  return all.filter((f) => {
    const key = JSON.stringify([f.kind, f.place, f.at, f.as, f.to]);
    return !seen.has(key) && seen.add(key);
  });
}

/** An end of a packet that was translated; a port that it kept is each packet's own. */
function became(t: Trace, side: 'src' | 'dst'): string {
  const port = side === 'src' ? 'sport' : 'dport';
  const { undetermined } = t.final;
  const addr = undetermined?.[side]?.what ?? t.final[side];
  const isKept = t.final[port] === t.packet[port] && undetermined?.[port] === undefined;
  return formatEndpoint(addr, isKept ? undefined : (undetermined?.[port] ?? t.final[port]));
}

/** A line of its own decided; where packets only go astray, the line is that of a route they did not take. */
function decided(t: Trace): boolean {
  const { kind } = (t.reply ?? t).outcome;
  return kind === 'dropped' || kind === 'rejected' || kind === 'blackhole' || kind === 'prohibited' || kind === 'cannot-tell';
}

/** A service as it can be asked: by address and port. */
export interface ServiceAsked {
  readonly name: string;
  readonly to: string;
  readonly proto: string;
}

/** Every service that the records, the virtual servers or the rules of kube-proxy name. */
export function servicesOf(world: World): readonly ServiceAsked[] {
  const out = new Map<string, ServiceAsked>();
  const add = (name: string, addr: Addr, port: number, proto: number): void => {
    const to = formatEndpoint(addr, port);
    const key = `${to} ${proto}`;
    if (!out.has(key)) out.set(key, { name, to, proto: formatProtocol(proto) });
  };
  for (const s of world.witness?.services ?? [])
    for (const ip of s.clusterIps) for (const p of s.ports) add(`${s.namespace}/${s.name}`, ip.addr, p.port, p.proto);
  for (const ns of world.namespaces) {
    for (const s of ns.ipvs?.services ?? []) if (s.addr !== undefined && s.port) add(formatEndpoint(s.addr, s.port), s.addr, s.port, s.proto ?? TCP);
    for (const t of ns.tables) {
      const rules = Object.hasOwn(t.chains, 'KUBE-SERVICES') ? t.chains['KUBE-SERVICES']!.rules : [];
      for (const r of rules) {
        const { dst, dport, proto } = askedBy(r.match);
        if (dst !== undefined && dport !== undefined)
          add(/^(\S+)/.exec(r.comment ?? '')?.[1] ?? formatEndpoint(dst, dport), dst, dport, proto ?? TCP);
      }
    }
  }
  return [...out.values()];
}

/** The one address, port and protocol that a condition wants. */
function askedBy(p: Pred): { dst?: Addr; dport?: number; proto?: number } {
  if (p.kind === 'all') return Object.assign({}, ...p.of.map((x) => askedBy(x))) as ReturnType<typeof askedBy>;
  if (p.kind !== 'in' || p.ranges.length !== 1) return {};
  const [lo, hi] = p.ranges[0]!;
  if (!equal(lo, hi)) return {};
  if (p.field === 'dst') return { dst: lo as Addr };
  if (p.field === 'dport') return { dport: lo as number };
  return p.field === 'proto' ? { proto: lo as number } : {};
}

/** Who reaches what: a row for each sender, a verdict for each service. */
export interface Matrix {
  readonly services: readonly ServiceAsked[];
  readonly rows: readonly { readonly from: string; readonly cells: readonly { readonly verdict: Verdict; readonly how: string }[] }[];
}

/** Asks every service from every namespace that was captured. */
export function matrixOf(world: World): Matrix {
  const services = servicesOf(world);
  const rows = world.namespaces
    .filter((n) => !n.stub)
    .map((n) => {
      const from = nameOf(n);
      const cells = services.map(({ to, proto }) => {
        const asked = ask(world, { from, to, proto });
        if (isMisunderstood(asked)) return { verdict: 'cannot-tell' as const, how: asked.error };
        const answer = trace(world, asked);
        return { verdict: answer.verdict, how: [...new Set(answer.courses.map((c) => c.trace.outcome.kind))].join(', ') };
      });
      return { from, cells };
    });
  return { services, rows };
}
