// Why a packet does not fare as expected, most likely reason first. A fault with a name is a cause only where a cure that undoes it was
// proved; what cures it without having a name is one too.
import type { Span } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { PatternCode, PatternHit } from './pattern.ts';
import { isSameThing, thingAt, thingOf, type Thing } from './thing.ts';
import type { Cure, Explanation } from './why.ts';

/** Something that is otherwise than it would have to be. */
export interface Cause {
  /** What it is about: what the cure changes, and the lines that show the fault. */
  readonly things: readonly Thing[];
  /** The cure that undoes it, proved by simulation. */
  readonly proof: Cure;
  /** The fault's name and words, where it has any. */
  readonly named?: PatternHit;
  readonly code?: PatternCode;
  readonly at?: Span;
}

/** What is known of why: causes that a cure proves, and faults that show but are not proved to be the cause. */
export interface Causes {
  readonly causes: readonly Cause[];
  readonly notes: readonly PatternHit[];
}

export function causesOf(world: World, { answer, cures }: Pick<Explanation, 'answer' | 'cures'>, hits: readonly PatternHit[]): Causes {
  const decided = answer.courses.flatMap(({ trace: t }) => t.outcome.at ?? []).flatMap((at) => thingAt(world, at) ?? []);
  // what is supposed undoes what decided, whatever stands for it in the model
  const changed = cures.map((cure) => ({
    cure,
    things: [...cure.edits.flatMap((e) => thingOf(e) ?? []), ...(cure.supposes === undefined ? [] : decided)],
  }));
  const causes: Cause[] = [];
  const notes: PatternHit[] = [];
  for (const hit of hits) {
    const shown = [hit.at, ...hit.evidence].flatMap((at) => thingAt(world, at) ?? []);
    const proof = changed.find(({ things }) => things.some((t) => shown.some((s) => isSameThing(s, t))));
    if (proof) causes.push({ things: [...proof.things, ...shown], proof: proof.cure, named: hit, code: hit.code, at: hit.at });
    else notes.push(hit);
  }
  for (const { cure, things } of changed) {
    const isTold = (t: Thing): boolean => causes.some((c) => c.things.some((x) => isSameThing(x, t)));
    if (things.length > 0 && !things.every(isTold)) causes.push({ things, proof: cure });
  }
  return { causes, notes };
}
