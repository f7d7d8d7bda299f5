// Trying to break a property with random packets; what breaks it is made as simple as it can be.
import * as fc from 'fast-check';
import { brokenBy, wrongIn } from '../ask/claim.ts';
import { otherSpace, type PropertyChecked } from '../ask/check.ts';
import { isSpaceError, readSpace, type SpaceError } from '../ask/space.ts';
import { trace } from '../ask/trace.ts';
import type { World } from '../model/host.ts';
import type { Property } from '../model/property.ts';
import { packets } from './packets.ts';

export interface SearchOptions {
  /** How many packets (default 1,000). */
  readonly runs?: number;
  /** Where the random numbers begin (default 1): the same packets each time. */
  readonly seed?: number;
  /** Worlds of the scenarios that `same-as` names. */
  readonly others?: ReadonlyMap<string, World>;
}

/** Asks for random packets of a property's space until one breaks it. */
export function searchProperty(
  world: World,
  property: Property,
  { runs = 1000, seed = 1, others }: SearchOptions = {},
): PropertyChecked | SpaceError {
  const wrong = wrongIn(world, property.expect);
  if (wrong) return { error: wrong.error, key: wrong.claim, hint: wrong.hint };
  const space = readSpace(world, property.for);
  if (isSpaceError(space)) return space;
  const same = property.expect['same-as'];
  const world2 = same?.scenario === undefined ? world : others?.get(same.scenario);
  if (!world2) return { error: `the scenario ${same!.scenario} was not loaded`, key: 'same-as' };
  const other = same && otherSpace(world2, property);
  if (other && isSpaceError(other)) return other;
  let doubt: string | undefined;
  const there = (q: Parameters<typeof trace>[1]['question']) => {
    const { src, dst, sport, dport, proto } = q.packet;
    const values = { src, dst, ...(sport !== undefined && { sport }), ...(dport !== undefined && { dport }) };
    return other && trace(world2, { question: other.question({ proto }, values) });
  };
  const result = fc.check(
    fc.property(packets(world, space), (question) => {
      const broken = brokenBy(trace(world, { question }), property.expect, there(question));
      if (broken?.truth === 'unknown') doubt ??= broken.instead;
      return broken?.truth !== false;
    }),
    { numRuns: runs, seed },
  );
  const by = { kind: 'random', packets: space.size, runs: result.numRuns, seed } as const;
  const [question] = result.counterexample ?? [];
  if (!question) {
    const unproved = doubt === undefined ? {} : { unproved: { why: doubt, packets: space.size } };
    return { kind: 'property', name: property.name, status: doubt === undefined ? 'holds' : 'unknown', by, ...unproved };
  }
  const answer = trace(world, { question });
  const broken = brokenBy(answer, property.expect, there(question));
  return { kind: 'property', name: property.name, status: 'broken', by, counterexample: { broken: broken!, question, answer, boxes: [] } };
}
