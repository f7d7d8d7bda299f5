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
    await dropBlocks();
    for (const key of TEXTS) await dropLines(key);
    for (const key of ['ip', 'devs'] as const) {
      for (let i = small.load[key]!.length - 1; i >= 0; i--) await attempt({ ...small.load, [key]: small.load[key]!.toSpliced(i, 1) });
    }
    for (const key of Object.keys(small.load.sysctls ?? {}))
      await attempt({ ...small.load, sysctls: Object.fromEntries(Object.entries(small.load.sysctls!).filter(([k]) => k !== key)) });
    await dropOptions();
    await dropWords();
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

  /** Leaves out tables, chains, sets and rules of nft, whole ones first. */
  async function dropBlocks(): Promise<void> {
    if (small.load.ruleset === undefined) return;
    for (const depth of [0, 1, 2]) {
      for (let n = blocksOf(small.load.ruleset).length - 1; n >= 0; n--) {
        const lines = small.load.ruleset.split('\n');
        const block = blocksOf(small.load.ruleset)[n];
        if (block?.depth === depth) await attempt({ ...small.load, ruleset: lines.toSpliced(block.from, block.to - block.from).join('\n') });
      }
    }
  }

  /** Leaves out words of the rules that are left, more of them first: whatever nft still takes. */
  async function dropWords(): Promise<void> {
    const rules = (): Block[] => blocksOf(small.load.ruleset ?? '').filter((b) => b.depth === 2 && b.to === b.from + 1);
    if (rules().length > MOST_RULES) return;
    for (let n = rules().length - 1; n >= 0; n--) {
      for (let size = 8; size > 0; size--) {
        for (let at = 0; ; at++) {
          const { from } = rules()[n]!;
          const lines = small.load.ruleset!.split('\n');
          const words = lines[from]!.split(' ');
          if (lines[from]!.startsWith('type ') || at + size >= words.length + (at > 0 ? 1 : 0)) break;
          await attempt({ ...small.load, ruleset: lines.with(from, words.toSpliced(at, size).join(' ')).join('\n') });
        }
      }
    }
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

/** How many rules may be left for their words to be tried. */
const MOST_RULES = 6;

/** Lines of nft that stand or fall together: a table (depth 0), a chain or set within (1), a rule or setting (2). */
interface Block {
  readonly depth: number;
  readonly from: number;
  readonly to: number;
}

function blocksOf(ruleset: string): Block[] {
  const blocks: Block[] = [];
  const open: number[] = [];
  for (const [n, line] of ruleset.split('\n').entries()) {
    if (/^(?:table|chain|set|map) .*\{$/.test(line)) open.push(n);
    else if (line === '}') blocks.push({ depth: open.length - 1, from: open.pop()!, to: n + 1 });
    else if (line !== '') blocks.push({ depth: 2, from: n, to: n + 1 });
  }
  return blocks;
}

function sizeOf({ load, shots }: Suspect): number {
  return JSON.stringify([load, shots]).length;
}
