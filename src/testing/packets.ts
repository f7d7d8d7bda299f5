// Random packets of a space, for fast-check: around every edge of what the nodes know, and anywhere; they shrink to what a client would send.
import * as fc from 'fast-check';
import { PARTS, kindOfPart, overlap, type Box, type Part } from '../ask/box.ts';
import { edgesOf, type Edges } from '../ask/edges.ts';
import { isSpaceError, readSpace, representative, type Space, type SpaceText } from '../ask/space.ts';
import type { World } from '../model/host.ts';
import type { Question } from '../model/trace.ts';
import { equal, type V6, type Word } from '../net/addr.ts';
import type { Range } from '../net/intervals.ts';

/** Packets of a space, as questions: `trace(world, { question })` answers one. Throws RangeError where the text is no space. */
export function packets(world: World, space: SpaceText | Space): fc.Arbitrary<Question> {
  const read = 'boxes' in space ? space : readSpace(world, space);
  if (isSpaceError(read)) throw new RangeError(`${read.key}: ${read.error}${read.hint === undefined ? '' : ` (${read.hint})`}`);
  const edges = edgesOf(world);
  const inBox = read.boxes.map((box) =>
    valuesIn(box, edges)
      .filter(({ src, dst }) => src === undefined || dst === undefined || !equal(src, dst))
      .map((values) => read.question(box, values)),
  );
  return fc.oneof({ withCrossShrink: true }, ...(inBox as [fc.Arbitrary<Question>, ...fc.Arbitrary<Question>[]]));
}

function valuesIn(box: Box, edges: Edges): fc.Arbitrary<Partial<Record<Part, Word>>> {
  const usual = representative(box);
  const parts = PARTS.flatMap((part) => {
    const range = box[part];
    return range ? [[part, wordIn(range, usual[part]!, edges[kindOfPart(part) === 'addr' ? 'addr' : 'port'])] as const] : [];
  });
  return fc.record(Object.fromEntries(parts));
}

function wordIn(range: Range, usual: Word, edges: readonly Word[]): fc.Arbitrary<Word> {
  const inside = edges.filter((e) => overlap(range, [e, e]));
  const near = inside.length > 0 ? [{ arbitrary: fc.constantFrom(...inside), weight: 4 }] : [];
  return fc.oneof({ withCrossShrink: true }, { arbitrary: fc.constant(usual), weight: 1 }, ...near, { arbitrary: anywhere(range), weight: 2 });
}

function anywhere([lo, hi]: Range): fc.Arbitrary<Word> {
  if (typeof lo === 'number' && typeof hi === 'number') return fc.integer({ min: lo, max: hi });
  return fc
    .bigInt({ min: bigOf(lo as V6), max: bigOf(hi as V6) })
    .map((n) => [96n, 64n, 32n, 0n].map((by) => Number((n >> by) & 0xffffffffn)) as unknown as V6);
}

function bigOf(w: V6): bigint {
  return w.reduce((n, x) => (n << 32n) | BigInt(x), 0n);
}
