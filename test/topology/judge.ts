// What netwhy says of a network that stands on the kernel, next to what the kernel did.
import { walkQuestion } from '../../src/engine/network.ts';
import { readScenarioWorld } from '../../src/capture/world.ts';
import type { World } from '../../src/model/host.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import type { Question, Trace } from '../../src/model/trace.ts';
import { formatAddr, isError, parseAddr } from '../../src/net/addr.ts';
import { ICMP, parseTcpFlags, TCP, UDP } from '../../src/net/proto.ts';
import type { Captures, Plan, Shot, Sighting, Way } from './ground.ts';

/** The file that a world is read from, and its captures by path. */
export interface Written {
  readonly scenario: Scenario;
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** A network as a scenario: each node with its pods, and the wires that no capture shows. */
export function write(plan: Plan, captures: Captures, title = 'a random network'): Written {
  const nodes: Record<string, { capture: string; namespaces: Record<string, string> }> = {};
  for (const { name } of plan.places.filter((p) => p.unseen === undefined)) {
    const [node = '', pod] = name.split('/');
    const about = (nodes[node] ??= { capture: node, namespaces: {} });
    if (pod !== undefined) about.namespaces[pod] = `${node}/namespaces/${pod}`;
  }
  const wires = Object.fromEntries(
    plan.places
      .filter((p) => p.unseen)
      .map((hub) => [
        hub.name,
        plan.veths.flatMap(([a, x, , b, y]) =>
          a === hub.name && b !== hub.name ? [`${b}/${y}`] : b === hub.name && a !== hub.name ? [`${a}/${x}`] : [],
        ),
      ]),
  );
  const folder = (name: string): string => name.replace('/', '/namespaces/');
  const files = Object.entries(captures).flatMap(([name, texts]) =>
    Object.entries(texts).map(([file, text]) => ({ path: `${folder(name)}/${file}`, text })),
  );
  return { scenario: { title, nodes, wires }, files };
}

export function worldOf(plan: Plan, captures: Captures): World {
  const { scenario, files } = write(plan, captures);
  const { world } = readScenarioWorld(scenario, files, () => ({ file: 'scenario.yaml', line: 1 }));
  const bad = world.findings.filter((f) => f.severity !== 'note' && f.code !== 'no-such-interface');
  if (bad.length > 0) throw new Error(`the captures are not read: ${bad.map((f) => f.message).join('; ')}`);
  return world;
}

function addr(text: string): ReturnType<typeof parseAddr> & (number | readonly number[]) {
  const a = parseAddr(text);
  if (isError(a)) throw new Error(text);
  return a;
}

const NUMBERS = { tcp: TCP, udp: UDP, icmp: ICMP } as const;

export function questionOf(s: Shot): Question {
  const [node = '', namespace = ''] = s.ns.split('/');
  const proto = NUMBERS[s.proto];
  const flags = s.proto === 'tcp' ? parseTcpFlags(s.flags ?? 'SYN') : undefined;
  const packet: Packet = {
    family: 4,
    src: addr(s.src) as Packet['src'],
    dst: addr(s.dst) as Packet['dst'],
    proto,
    ttl: s.ttl,
    length: s.length ?? 40,
    tos: s.tos,
    mark: s.mark,
    ...(s.proto === 'icmp' ? { icmp: { type: 8, code: 0, id: 77 } } : { sport: s.sport!, dport: s.dport! }),
    ...(typeof flags === 'number' && { flags }),
  };
  return {
    from: s.ns,
    to: s.dst,
    packet,
    node,
    namespace,
    arrives: s.device !== undefined,
    ...(s.device !== undefined && { device: s.device }),
    boundSource: true,
    notes: [],
  };
}

/** One way of a packet, as far as both can tell. */
export interface Course {
  readonly rules: readonly string[];
  readonly end: string;
  readonly final: string;
  readonly reply?: Course;
}

function placeName(at: { readonly node: string; readonly namespace: string }): string {
  return at.namespace === '' ? at.node : `${at.node}/${at.namespace}`;
}

function endpoints(h: { src: string; dst: string; sport?: number; dport?: number; ttl: number }, loose: Packet['undetermined']): string {
  const port = (n: number | undefined, open: unknown): string => (n === undefined || open !== undefined ? '' : `:${n}`);
  return `${h.src}${port(h.sport, loose?.sport)} > ${h.dst}${port(h.dport, loose?.dport)} ttl ${h.ttl}`;
}

export function courseOfTrace(t: Trace): Course {
  const rules = t.hops.flatMap((hop) =>
    hop.steps.flatMap((s) => (s.step === 'rule' && s.truth === true ? [`${placeName(hop)} ${s.table} ${s.chain} ${s.number}`] : [])),
  );
  const hop = t.hops.at(-1);
  const last = hop?.steps.at(-1);
  const ended =
    t.outcome.kind === 'cannot-tell'
      ? `cannot-tell: ${t.outcome.why}`
      : (t.reply !== undefined || t.outcome.kind === 'delivered' || t.outcome.kind === 'left') && hop
        ? last?.step === 'leave'
          ? `left ${placeName(hop)} ${last.device}`
          : `delivered ${placeName(hop)}`
        : 'lost';
  const f = t.final;
  const final =
    ended === 'lost' || ended.startsWith('cannot')
      ? ''
      : endpoints(
          {
            src: formatAddr(f.src),
            dst: formatAddr(f.dst),
            ttl: f.ttl,
            ...(f.sport !== undefined && { sport: f.sport }),
            ...(f.dport !== undefined && { dport: f.dport }),
          },
          f.undetermined,
        );
  return { rules, end: ended, final, ...(t.reply && { reply: courseOfTrace(t.reply) }) };
}

function courseOfWay(w: Way, loose: Packet['undetermined']): Course {
  return {
    rules: w.walks.flatMap((walk) => walk.rules.map(([table, chain, number]) => `${walk.ns} ${table} ${chain} ${number}`)),
    end: w.end.length === 0 ? 'lost' : w.end.length === 1 ? `delivered ${w.end[0]}` : `left ${w.end.join(' ')}`,
    final: w.final ? endpoints(w.final, loose) : '',
  };
}

/** Both sides of one packet. */
export interface Comparison {
  readonly agreed: 'yes' | 'arp' | 'no' | 'cannot-tell';
  readonly kernel: string;
  readonly courses: readonly string[];
  readonly why: readonly string[];
}

export function judge(world: World, shot: Shot, seen: Sighting): Comparison {
  const { traces } = walkQuestion(world, questionOf(shot));
  let kernel = '';
  let told: 'no' | 'cannot-tell' = 'no';
  const courses: string[] = [];
  for (const t of traces) {
    const course = courseOfTrace(t);
    const there = courseOfWay(seen.request, t.final.undetermined);
    const whole = { ...there, ...(seen.reply && { reply: courseOfWay(seen.reply, t.reply?.final.undetermined) }) };
    kernel = `${line(whole)}${[seen.request, seen.reply].map((w) => (w?.error === undefined ? '' : ` ${w.error}`)).join('')}${seen.request.flooded || seen.reply?.flooded ? ' FLOODED' : ''}`;
    courses.push(line(course));
    if (same(course, there, seen.request) && same(course.reply, whole.reply, seen.reply)) return { agreed: 'yes', kernel, courses, why: [] };
    // another of its copies than the one that was answered
    const copies = (seen.request.flooded ?? []).map((c) => ({
      ...there,
      ...courseOfWay({ ...c, walks: [] }, t.final.undetermined),
      rules: there.rules,
    }));
    if (copies.slice(1).some((c) => same(course, c, seen.request))) return { agreed: 'yes', kernel, courses, why: [] };
    // it says that nobody gets the frame; what its copies meet on their ways is not followed
    const stray = t.outcome.kind !== 'delivered' && (seen.request.flooded !== undefined || flooding(t));
    if (stray && course.end === 'lost' && !t.reply && within(course.rules, there.rules)) return { agreed: 'yes', kernel, courses, why: [] };
    if (t.reply && flooding(t.reply) && same(course, there, seen.request) && within(course.reply!.rules, whole.reply?.rules ?? []))
      return { agreed: 'yes', kernel, courses, why: [] };
    if (arpInTunnel(t, whole)) return { agreed: 'arp', kernel, courses, why: [] };
    if (unsure(course, whole)) told = 'cannot-tell';
  }
  return {
    agreed: told,
    kernel,
    courses,
    why: traces.map((t) => `${t.outcome.kind}: ${t.outcome.why}${t.reply ? ` | ${t.reply.outcome.kind}: ${t.reply.outcome.why}` : ''}`),
  };
}

/** Rules and routes for a tunnel's own packets stop ARP inside it too; netwhy follows only the packet, and finds it stopped, or its answer. */
function arpInTunnel(t: Trace, kernel: Course): boolean {
  const tunnelled = t.hops.at(-1)?.tunnel !== undefined || t.outcome.why.startsWith('inside a packet');
  if (!tunnelled && (t.outcome.kind === 'delivered' || t.outcome.kind === 'left')) return false;
  const ways: [Trace, Course][] = [[t, kernel], ...(t.reply && kernel.reply ? [[t.reply, kernel.reply] as [Trace, Course]] : [])];
  return ways.some(([trace, seen]) => {
    if (seen.end !== 'lost') return false;
    const at = trace.hops.findIndex((h) => h.tunnel !== undefined);
    // it waits for ARP at the place before the tunnel, or at one that has a bridge in between
    return trace.hops
      .slice(0, at + 1)
      .some((_, i) => i > 0 && courseOfTrace({ ...trace, hops: trace.hops.slice(0, i) }).rules.join() === seen.rules.join());
  });
}

/** The rules of copies that a bridge or a tunnel made come in between. */
function same(a: Course | undefined, kernel: Course | undefined, way: Way | undefined): boolean {
  if (!a || !kernel) return a === kernel;
  // a raw socket refuses what does not fit before any hook; TCP would not have made the segment
  if (way?.error === 'EMSGSIZE') return true;
  if (a.end !== kernel.end || a.final !== kernel.final) return false;
  return way?.flooded ? within(a.rules, kernel.rules) : a.rules.join() === kernel.rules.join();
}

function within(some: readonly string[], all: readonly string[]): boolean {
  let at = 0;
  return some.every((r) => (at = all.indexOf(r, at) + 1) > 0);
}

/** Its last step is a bridge that sends it where it is of no use. */
function flooding(t: Trace): boolean {
  const last = t.hops.at(-1)?.steps.at(-1);
  return last?.step === 'bridge' && last.out !== undefined;
}

/** It ends where netwhy says that it cannot tell, and until there they agree. */
function unsure(c: Course, kernel: Course): boolean {
  const begins = c.rules.every((r, i) => kernel.rules[i] === r);
  if (c.end.startsWith('cannot-tell')) return begins;
  if (!c.reply || !kernel.reply || c.end !== kernel.end || c.final !== kernel.final || c.rules.join() !== kernel.rules.join()) return false;
  return unsure(c.reply, kernel.reply);
}

export function line(c: Course): string {
  return `${c.rules.join(', ')} => ${c.end} ${c.final}${c.reply ? ` || ${line(c.reply)}` : ''}`;
}
