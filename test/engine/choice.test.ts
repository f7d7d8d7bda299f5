// Forks by replay: every combination once, nothing twice, never more than asked for.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explore, type Choices, type Option } from '../../src/engine/choice.ts';

/** A walk as a tree: at each fork, what follows each of its branches. A leaf ends the walk. */
interface Tree {
  readonly branches: readonly Tree[];
}

const { tree } = fc.letrec<{ tree: Tree; leaf: Tree }>((tie) => ({
  leaf: fc.constant({ branches: [] }),
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('tree'), { minLength: 1, maxLength: 4 }).map((branches) => ({ branches })),
  ),
}));

function leaves(t: Tree, path = ''): string[] {
  return t.branches.length === 0 ? [path] : t.branches.flatMap((b, i) => leaves(b, t.branches.length === 1 ? path : `${path}${i}`));
}

function options(n: number): Option<number>[] {
  return Array.from({ length: n }, (_, i) => ({ value: i, what: `branch ${i} of ${n}`, probability: 1 / n }));
}

/** The path taken through the tree, in one digit a fork. */
function walk(t: Tree, choices: Choices): string {
  let path = '';
  for (let at = t; at.branches.length > 0;) {
    const taken = choices.choose(undefined, options(at.branches.length));
    if (at.branches.length > 1) path += String(taken);
    at = at.branches[taken]!;
  }
  return path;
}

describe('a walk that forks', () => {
  it('is taken once for every combination of its forks', () => {
    fc.assert(
      fc.property(tree, (t) => {
        const { courses, bounded } = explore((c) => walk(t, c), 100_000);
        expect(courses.toSorted()).toEqual(leaves(t).toSorted());
        expect(bounded).toBe(false);
      }),
    );
  });

  it('is taken no more often than the bound allows, and the bound is reported only where something was left out', () => {
    fc.assert(
      fc.property(tree, fc.integer({ min: 1, max: 20 }), (t, limit) => {
        const { courses, bounded } = explore((c) => walk(t, c), limit);
        const all = leaves(t);
        expect(courses.length).toBe(Math.min(limit, all.length));
        expect(new Set(courses).size).toBe(courses.length);
        expect(bounded).toBe(all.length > limit);
      }),
    );
  });

  it('has courses whose probabilities add up to 1', () => {
    fc.assert(
      fc.property(tree, (t) => {
        const { courses } = explore((c) => (walk(t, c), c.probability), 100_000);
        expect(courses.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
      }),
    );
  });

  it('says with each course what it supposes, fork by fork', () => {
    fc.assert(
      fc.property(tree, (t) => {
        const { courses } = explore((c) => ({ path: walk(t, c), supposed: c.assumptions }), 100_000);
        for (const { path, supposed } of courses) {
          expect(supposed.every((a) => a.forked)).toBe(true);
          expect(supposed.map((a) => /^branch (\d)/.exec(a.what)?.[1]).join('')).toBe(path);
        }
      }),
    );
  });
});

describe('a question asked again', () => {
  it('under the same key has the same answer, and does not fork twice', () => {
    const { courses } = explore((c) => [c.choose('k', options(3)), c.choose('k', options(3)), c.choose('l', options(2))].join(''), 100);
    expect(courses).toEqual(['000', '001', '110', '111', '220', '221']);
  });

  it('without a key is open every time', () => {
    const { courses } = explore((c) => [c.choose(undefined, options(2)), c.choose(undefined, options(2))].join(''), 100);
    expect(courses).toEqual(['00', '01', '10', '11']);
  });

  it('has the answer that was settled in advance, and that is no supposition', () => {
    const { courses } = explore((c) => {
      c.settle('k', 2);
      return { taken: c.choose('k', options(3)), supposed: c.assumptions.length };
    }, 100);
    expect(courses).toEqual([{ taken: 2, supposed: 0 }]);
  });
});

it('what has only one answer is no fork', () => {
  const { courses } = explore((c) => ({ taken: c.choose(undefined, options(1)), supposed: c.assumptions, p: c.probability }), 100);
  expect(courses).toEqual([{ taken: 0, supposed: [], p: 1 }]);
});

it('what is taken for granted is told once and is no fork', () => {
  const { courses } = explore((c) => {
    c.assume('the sun rises');
    c.assume('the sun rises');
    return c.assumptions;
  }, 100);
  expect(courses).toEqual([[{ what: 'the sun rises', forked: false }]]);
});
