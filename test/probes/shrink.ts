// A disagreement made small: rules, sets, members, options, routes, settings and packets are left out while it stays one.
import { filesBefore, judge, worldOf, type Comparison } from './compare.ts';
import { renewal } from './machine.ts';
import type { Load, Node, Shot } from './node.ts';
import { isOwn } from './story.ts';

/** A node, and packets of which the last is disagreed about. */
export interface Suspect {
  readonly load: Load;
  readonly shots: readonly Shot[];
  /** What `conntrack -I` made before them. */
  readonly prior?: readonly string[];
}

/** A suspect as played once more from nothing. */
export interface Replayed {
  readonly files: Readonly<Record<string, string>>;
  readonly comparison: Comparison;
}

/** Plays it on a new node. */
export async function replay(node: Node, { load, shots, prior }: Suspect): Promise<Replayed> {
  await node.load(load);
  const files = await node.capture();
  const seen = await node.packets(shots, { list: true, ...(prior && { insert: prior }), ...renewal(load) });
  const sighting = seen.at(-1)!;
  const now = seen.reduce(filesBefore, files);
  return { files: now, comparison: judge(worldOf(now), shots.at(-1)!, sighting) };
}

async function differs(node: Node, suspect: Suspect): Promise<boolean> {
  // a socket cannot send from what is not the node's own any more
  if (suspect.shots.some((s) => s.local && s.src !== undefined && !isOwn(suspect.load, s.src))) return false;
  try {
    return (await replay(node, suspect)).comparison.taken === undefined;
  } catch {
    return false; // what a tool refuses is no case
  }
}

const TEXTS = ['legacy', 'nft', 'legacy6', 'nft6', 'ipset', 'ipvs'] as const;

/** The smallest found; undefined when it does not happen again. */
export async function shrink(node: Node, suspect: Suspect): Promise<Suspect | undefined> {
  if (!(await differs(node, suspect))) return undefined;
  let small = suspect;
  const attempt = async (load: Load, shots = small.shots): Promise<boolean> => {
    const fewer = { ...small, load, shots };
    const still = await differs(node, fewer);
    if (still) small = fewer;
    return still;
  };
  const { prior: _, ...bare } = small;
  if (small.prior && (await differs(node, bare))) small = bare;
  for (let size = -1; size !== sizeOf(small);) {
    size = sizeOf(small);
    for (let i = small.shots.length - 2; i >= 0; i--) await attempt(small.load, small.shots.toSpliced(i, 1));
    for (const key of TEXTS) await dropLines(key);
    for (const key of ['ip', 'devs'] as const) {
      for (let i = small.load[key]!.length - 1; i >= 0; i--) await attempt({ ...small.load, [key]: small.load[key]!.toSpliced(i, 1) });
    }
    for (const key of Object.keys(small.load.sysctls ?? {}))
      await attempt({ ...small.load, sysctls: Object.fromEntries(Object.entries(small.load.sysctls!).filter(([k]) => k !== key)) });
    await dropOptions();
  }
  return small;

  /** Halves first, then line by line. */
  async function dropLines(key: (typeof TEXTS)[number]): Promise<void> {
    const linesOf = (): string[] => small.load[key]?.split('\n') ?? [];
    for (let step = 1 << Math.floor(Math.log2(Math.max(1, linesOf().length))); step >= 1; step >>= 1) {
      for (let i = linesOf().length; i >= 0; i -= step) {
        const lines = linesOf();
        const rest = lines.filter((l, k) => k < i || k >= i + step || !/^(?:-A|-a|add) /.test(l));
        if (rest.length < lines.length) await attempt({ ...small.load, [key]: rest.join('\n') });
      }
    }
    if (!linesOf().some((l) => /^(?:-A|-a|add) |^:\S+ DROP/.test(l)) && small.load[key] !== undefined) {
      const { [key]: _, ...load } = small.load;
      await attempt(load);
    }
    // what only rules that are gone called
    for (const l of linesOf().filter((x) => /^:\S+ -/.test(x) || x.startsWith('create')))
      await attempt({
        ...small.load,
        [key]: linesOf()
          .filter((x) => x !== l)
          .join('\n'),
      });
  }

  /** Leaves out one `-m ...` or option of a rule or packet at a time. */
  async function dropOptions(): Promise<void> {
    for (const key of TEXTS.slice(0, 4)) {
      const count = small.load[key]?.split('\n').length ?? 0;
      for (let n = 0; n < count; n++) {
        const parts = small.load[key]!.split('\n')[n]!.split(/ (?=(?:! )?-(?:m|[sdiopgj]) )/);
        for (let i = parts.length - 1; i > 0; i--) {
          const now = small.load[key]!.split('\n');
          const fewer = now[n]!.split(/ (?=(?:! )?-(?:m|[sdiopgj]) )/);
          if (now[n]!.startsWith('-A')) await attempt({ ...small.load, [key]: now.with(n, fewer.toSpliced(i, 1).join(' ')).join('\n') });
        }
      }
    }
    for (const [n, shot] of small.shots.entries()) {
      for (const option of ['tos', 'ttl', 'mark', 'uid', 'mac', 'flags', 'edit'] as const) {
        if (shot[option] === undefined) continue;
        const { [option]: _, ...rest } = small.shots[n]!;
        await attempt(small.load, small.shots.with(n, rest));
      }
    }
  }
}

function sizeOf({ load, shots }: Suspect): number {
  return JSON.stringify([load, shots]).length;
}
