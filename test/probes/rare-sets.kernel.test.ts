// The types of set that most kernels are built without: asked of a guest kernel that has them all.
import { beforeAll, expect, it } from 'vitest';
import { askGuest, describeGuest } from '../oracle/guest.ts';
import { judge, report, worldOf } from './compare.ts';
import type { Sighting } from './node.ts';
import { SET_TYPES } from './settypes.ts';

describeGuest('every type of set that only the guest kernel has', () => {
  const rare = SET_TYPES.filter((t) => t.rare);
  let answers: readonly unknown[] = [];
  beforeAll(async () => {
    answers = await askGuest(rare.flatMap((t) => [{ op: 'load', ...t.load }, { op: 'capture' }, { op: 'packets', packets: t.shots }]));
  });
  for (const [i, type] of rare.entries()) {
    it(type.title, () => {
      const world = worldOf(answers[i * 3 + 1] as Readonly<Record<string, string>>);
      const sightings = answers[i * 3 + 2] as readonly Sighting[];
      const differing = type.shots.map((shot, n) => judge(world, shot, sightings[n]!)).filter((c) => !c.taken);
      expect(differing.map((c) => report(type.load, c))).toEqual([]);
      expect(sightings.some((s) => s.path.length > 0)).toBe(true);
    });
  }
});
