// Classes of packets that take the same path for the same reasons: one packet of a class is walked, and every decision on its way narrows
// the box of those that would have been decided alike; what is left over is walked next, until nothing is.
import { compare, equal, familyOf, type Addr, type Word } from '../net/addr.ts';
import type { Range } from '../net/intervals.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Answer, Hop, Trace } from '../model/trace.ts';
import type { ValueKind, Watch } from '../engine/watch.ts';
import { wholeOf } from '../engine/watch.ts';
import { cutAt, kindOfPart, offDiagonal, overlap, PARTS, sizeOf, without, type Box, type Part } from './box.ts';
import { addressesAlike, portsAlike } from './cuts.ts';
import { representative, type Space } from './space.ts';
import { trace } from './trace.ts';

/** Packets that fare alike. */
export interface PacketClass {
  readonly box: Box;
  /** How the packet of it fares that was walked. */
  readonly answer: Answer;
  /** Why others of the box may fare otherwise, where that could not be narrowed. */
  readonly inexact?: string;
}

/** How far the search got. */
export interface Progress {
  /** Packets that are in no class yet. */
  readonly left: bigint;
  readonly classes: number;
  /** Packets to their own sender, which are in no class. */
  readonly toThemselves: bigint;
}

export interface ClassOptions {
  /** Most classes (default 100,000). */
  readonly limit?: number;
  /** Values that somebody asks about: a class has one of them alone, or none. */
  readonly apart?: Readonly<Record<'addr' | 'port', readonly Word[]>>;
}

const LIMIT = 100_000;

/** The classes of a space, one after the other; what it returns is what was left over at its limit. */
export function* classesOf(world: World, space: Space, options: ClassOptions = {}): Generator<PacketClass, Progress> {
  const { apart } = options;
  const cut = apart ? space.boxes.flatMap((b) => cutAt(b, 'addr', apart.addr)).flatMap((b) => cutAt(b, 'port', apart.port)) : space.boxes;
  const queue = [...cut].toReversed();
  let left = space.size;
  let toThemselves = 0n;
  let classes = 0;
  for (let box = queue.pop(); box; box = queue.pop()) {
    const own = offDiagonal(box);
    if (own[0] !== box) {
      const gone = own.reduce((n, b) => n - sizeOf(b), sizeOf(box));
      left -= gone;
      toThemselves += gone;
      queue.push(...own);
      continue;
    }
    if (classes >= (options.limit ?? LIMIT)) return { left, classes, toThemselves };
    const found = classAround(world, space, box);
    classes++;
    left -= sizeOf(found.box);
    queue.push(...without(box, found.box).toReversed());
    yield found;
  }
  return { left, classes, toThemselves };
}

/** The class of a packet of a box, within the box. */
export function classAround(world: World, space: Space, box: Box, values = representative(box)): PacketClass {
  const narrow = new Narrowing(box, values);
  const question = space.question(box, values);
  const answer = trace(world, { question }, { watch: narrow });
  const why = narrow.bySurroundings(world, answer, question.boundSource);
  return { box: narrow.box, answer, ...(why !== undefined && { inexact: why }) };
}

/** A box that shrinks around one packet of it. */
class Narrowing implements Watch {
  box: Box;
  private readonly values: Readonly<Partial<Record<Part, Word>>>;
  private readonly parts: Readonly<Record<ValueKind, readonly Part[]>>;
  /** Whose routes and addresses had a say, in packets' way or not. */
  private readonly namespaces = new Set<Namespace>();
  private why: string | undefined;

  constructor(box: Box, values: Readonly<Partial<Record<Part, Word>>>) {
    this.box = box;
    this.values = values;
    const open = PARTS.filter((part) => box[part] !== undefined && values[part] !== undefined);
    this.parts = { addr: open.filter((p) => kindOfPart(p) === 'addr'), port: open.filter((p) => kindOfPart(p) === 'port'), proto: [] };
  }

  /** A value on the way is the packet's own wherever it is the same: what was rewritten is another one, or is taken for it. */
  cut(kind: ValueKind, value: Word, lo: Word, hi: Word): void {
    for (const part of this.parts[kind]) {
      const own = this.values[part]!;
      // most comparisons of a walk narrow nothing any more: they are seen through without a copy
      if (typeof value === 'number' ? own !== value : typeof own === 'number' || !equal(own, value)) continue;
      const range = this.box[part]!;
      if (compare(lo, range[0]) <= 0 && compare(hi, range[1]) >= 0) continue;
      const next = overlap(range, [lo, hi]);
      if (next) this.box = { ...this.box, [part]: next };
    }
  }

  inexact(why: string): void {
    this.why ??= why;
  }

  asked(ns: Namespace): void {
    this.namespaces.add(ns);
  }

  /** Narrows by what the namespaces on the way know; returns why the box is not exact, if it is not. */
  bySurroundings(world: World, answer: Answer, bound: boolean): string | undefined {
    const traces = answer.courses.flatMap(({ trace: t }) => (t.reply ? [t, t.reply] : [t]));
    const hops = traces.flatMap((t) => t.hops);
    for (const part of ['src', 'dst'] as const) {
      const own = this.values[part];
      if (own !== undefined) this.cutTo('addr', own, addressesAlike(world, this.namespaces, own as Addr));
    }
    const seen = addressesIn(traces);
    for (const part of ['sport', 'dport'] as const) {
      const own = this.values[part];
      if (typeof own === 'number') this.cutTo('port', own, portsAlike(world, this.namespaces, own, seen));
    }
    const { dst } = this.box;
    // which of several addresses a sender, or masquerade, takes hangs on the destination
    if (dst && familyOf(dst[0]) === 6) this.bySourceSelection(bound ? [...this.namespaces].filter((n) => masquerades(n)) : this.namespaces);
    if (answer.bounded) this.why ??= 'it may fare in more ways than are followed';
    for (const hop of hops) this.why ??= whyInexact(world, hop);
    return this.why;
  }

  private cutTo(kind: ValueKind, own: Word, [lo, hi]: Range): void {
    this.cut(kind, own, lo, hi);
  }

  /** Rule 8 of RFC 6724, ipv6_get_saddr_eval(): the longest prefix that source and destination share decides, for senders and masquerade. */
  private bySourceSelection(visited: Iterable<Namespace>): void {
    const { dst } = this.values;
    if (dst === undefined || typeof dst === 'number') return;
    for (const ns of visited)
      for (const { addr } of ns.addresses) {
        if (typeof addr === 'number') continue;
        const [lo, hi] = sharingAsMuch(addr, dst);
        this.cut('addr', dst, lo, hi);
      }
  }
}

const MASQUERADING = new WeakMap<Namespace, boolean>();

/** Reports whether any rule of a namespace masquerades. */
function masquerades(ns: Namespace): boolean {
  let known = MASQUERADING.get(ns);
  if (known === undefined) {
    known = ns.tables.some((t) =>
      Object.values(t.chains).some((c) =>
        c.rules.some((r) => r.then.some((s) => s.kind === 'masquerade' || (s.kind === 'translate' && s.by === 'masquerade'))),
      ),
    );
    MASQUERADING.set(ns, known);
  }
  return known;
}

/** The addresses that share as many leading bits with one as another does. */
function sharingAsMuch(own: Word, addr: Word): Range {
  if (typeof own === 'number' || typeof addr === 'number') return wholeOf('addr', addr);
  let bits = 0;
  for (let i = 0; i < 4; i++) {
    const differ = (own[i]! ^ addr[i]!) >>> 0;
    bits += differ === 0 ? 32 : Math.clz32(differ);
    if (differ !== 0) break;
  }
  if (bits >= 128) return [addr, addr];
  const keep = addr.map((_, i) => {
    const ones = Math.min(32, Math.max(0, bits + 1 - 32 * i));
    return ones === 0 ? 0 : (0xffffffff << (32 - ones)) >>> 0;
  });
  const lo = addr.map((w, i) => (w & keep[i]!) >>> 0) as unknown as Word;
  return [lo, addr.map((w, i) => (w | ~keep[i]!) >>> 0) as unknown as Word];
}

function addressesIn(traces: readonly Trace[]): Addr[] {
  return traces.flatMap((t) => [
    t.packet.src,
    t.packet.dst,
    t.final.src,
    t.final.dst,
    ...t.hops.flatMap((h) => h.steps.flatMap((s) => ('packet' in s ? [s.packet.src, s.packet.dst] : []))),
  ]);
}

const HASHING: ReadonlySet<string> = new Set(['sh', 'dh', 'mh', 'lblc', 'lblcr']);

/** Which virtual server of a hop picks by the packet's values. */
function whyInexact(world: World, hop: Hop): string | undefined {
  for (const s of hop.steps) {
    if (s.step === 'ipvs' && s.did !== 'passed') {
      const ns = world.namespaces.find((n) => n.node === hop.node && n.name === hop.namespace);
      const service = ns?.ipvs?.services.find((x) => x.text === s.text);
      if (!service || service.persistence || HASHING.has(service.scheduler)) return `which server '${s.text}' picks hangs on the client's address`;
    }
  }
  return undefined;
}
