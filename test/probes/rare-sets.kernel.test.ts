// The types of set that most kernels are built without: asked of a guest kernel that has them all.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeGuest, openGuest } from '../oracle/guest.ts';
import { judge, report, worldOf } from './compare.ts';
import type { Node } from './node.ts';
import { SET_TYPES } from './settypes.ts';

describeGuest('every type of set that only the guest kernel has', () => {
  let node: Node | undefined;
  beforeAll(() => {
    node = openGuest();
  });
  afterAll(() => node?.close());
  for (const type of SET_TYPES.filter((t) => t.rare)) {
    it(type.title, async () => {
      await node!.load(type.load);
      const world = worldOf(await node!.capture());
      const sightings = await node!.packets(type.shots);
      const differing = type.shots.map((shot, n) => judge(world, shot, sightings[n]!)).filter((c) => !c.taken);
      expect(differing.map((c) => report(type.load, c))).toEqual([]);
      expect(sightings.some((s) => s.path.length > 0)).toBe(true);
    });
  }
});
