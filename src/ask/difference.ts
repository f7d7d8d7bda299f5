// Which packets of a space fare otherwise in another world: the classes of one, cut by the classes of the other.
import type { World } from '../model/host.ts';
import { mergeBoxes, offDiagonal, overlap, PARTS, sizeOf, without, type Box } from './box.ts';
import { classAround, type ClassOptions } from './classes.ts';
import type { Fate } from '../model/fate.ts';
import { fatesOf } from './reach.ts';
import { representative, type Space } from './space.ts';
import type { Answer } from '../model/trace.ts';

/** Packets that fare in one way here and in another there. */
export interface Differing {
  readonly a: readonly Fate[];
  readonly b: readonly Fate[];
  readonly answers: { readonly a: Answer; readonly b: Answer };
  readonly boxes: readonly Box[];
  readonly packets: bigint;
}

export interface SpaceDifference {
  readonly differing: readonly Differing[];
  readonly packets: bigint;
  readonly classes: number;
  /** Packets that were not looked at, or of which others of their class may fare otherwise. */
  readonly open: { readonly packets: bigint; readonly why?: string };
}

const LIMIT = 100_000;

/** Compares all packets of a space in two worlds. */
export function differenceOf(a: { world: World; space: Space }, b: { world: World; space: Space }, options: ClassOptions = {}): SpaceDifference {
  const queue = [...a.space.boxes].toReversed();
  const groups = new Map<string, { a: readonly Fate[]; b: readonly Fate[]; answers: Differing['answers']; boxes: Box[] }>();
  let classes = 0;
  let packets = a.space.size;
  let open = 0n;
  let why: string | undefined;
  for (let box = queue.pop(); box; box = queue.pop()) {
    const apart = offDiagonal(box);
    if (apart[0] !== box) {
      packets -= apart.reduce((n, x) => n - sizeOf(x), sizeOf(box));
      queue.push(...apart);
      continue;
    }
    if (classes >= (options.limit ?? LIMIT)) {
      open += [box, ...queue].reduce((n, x) => n + sizeOf(x), 0n);
      why ??= `it takes more than ${classes} classes of packets (--classes)`;
      break;
    }
    classes++;
    const values = representative(box);
    const [mine, theirs] = [classAround(a.world, a.space, box, values), classAround(b.world, b.space, box, values)];
    const both = shared(mine.box, theirs.box);
    queue.push(...without(box, both).toReversed());
    const inexact = mine.inexact ?? theirs.inexact;
    if (inexact !== undefined) {
      open += sizeOf(both);
      why ??= inexact;
    }
    const [fa, fb] = [fatesOf(mine.answer), fatesOf(theirs.answer)];
    if (isAlike(fa, fb)) continue;
    const key = JSON.stringify([fa, fb].map((fates) => fates.map(({ why: _why, ...f }) => f)));
    const known = groups.get(key);
    if (known) known.boxes.push(both);
    else groups.set(key, { a: fa, b: fb, answers: { a: mine.answer, b: theirs.answer }, boxes: [both] });
  }
  const differing = [...groups.values()].map((g) => ({ ...g, boxes: mergeBoxes(g.boxes), packets: g.boxes.reduce((n, x) => n + sizeOf(x), 0n) }));
  return { differing, packets, classes, open: { packets: open, ...(why !== undefined && { why }) } };
}

/** The packets of both boxes, which share the packet they were made around. */
function shared(a: Box, b: Box): Box {
  let out = a;
  for (const part of PARTS) {
    const range = a[part] && b[part] && overlap(a[part], b[part]);
    if (range) out = { ...out, [part]: range };
  }
  return out;
}

/** Lines move between captures, and what they do not: ends, places, translations. */
function isAlike(a: readonly Fate[], b: readonly Fate[]): boolean {
  const key = (fates: readonly Fate[]): string =>
    JSON.stringify(fates.map(({ kind, place, as, to }) => JSON.stringify([kind, place, as, to])).toSorted());
  return key(a) === key(b);
}
