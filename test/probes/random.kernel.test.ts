// Random rules, sets and routes, and packets at their boundaries: netwhy's courses must hold what the kernel did.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { judge, line, worldOf, type Comparison } from './compare.ts';
import { Dice, makeLoad, makeShot, shotToSix, toSix } from './generate.ts';
import { openNode, type Load, type Node, type Shot, type Sighting } from './node.ts';

const CASES = Number(process.env['NETWHY_CASES'] ?? 130);
/** How many disagreements are made small and printed. */
const SHOWN = Number(process.env['NETWHY_SHOW'] ?? 3);
const SEED = Number(process.env['NETWHY_SEED'] ?? 2020);
/** Packets without a past, and connections: two packets and what answers them. */
const SINGLE = 10;
const CONNECTIONS = 3;

interface Played {
  readonly load: Load;
  readonly files: Readonly<Record<string, string>>;
  readonly seen: readonly { readonly shot: Shot; readonly sighting: Sighting }[];
}

/** Has the kernel play one case. */
async function play(node: Node, load: Load, single: readonly Shot[], connections: readonly Shot[]): Promise<Played> {
  await node.load(load);
  const files = await node.capture();
  const seen = (await node.packets(single, { fresh: true })).map((sighting, i) => ({ shot: single[i]!, sighting }));
  for (const [i, shot] of connections.entries()) {
    // the last one meets the connection before it
    if (i < CONNECTIONS - 1) await node.forget();
    const twice = await node.packets([shot, shot], { list: true });
    seen.push(...twice.map((sighting) => ({ shot, sighting })));
    const answer = answerTo(shot, twice[0]!);
    if (answer)
      seen.push(
        { shot: answer, sighting: (await node.packets([answer], { list: true }))[0]! },
        { shot, sighting: (await node.packets([shot], { list: true }))[0]! },
      );
  }
  return { load, files, seen };
}

/** What the far end sends back by the device that the packet left by. */
function answerTo(shot: Shot, { fate, device, last }: Sighting): Shot | undefined {
  if (fate !== 'sent' || device === undefined || !last || shot.type !== undefined) return undefined;
  const back = { iif: device, src: last.dst, dst: last.src };
  if (shot.proto === 'icmpv6') return last.id === undefined ? undefined : { ...back, proto: 'icmpv6', type: 129, id: last.id };
  if (shot.proto === 'icmp') return last.id === undefined ? undefined : { ...back, proto: 'icmp', type: 0, id: last.id };
  return {
    ...back,
    ...(shot.proto !== undefined && { proto: shot.proto }),
    sport: last.dport!,
    dport: last.sport!,
    ...(shot.proto === 'tcp' && { flags: 'SYN,ACK', ack: (last.seq! + 1) >>> 0 }),
  };
}

function compareAll({ files, seen }: Played): Comparison[] {
  const world = worldOf(files);
  return seen.map(({ shot, sighting }) =>
    judge(sighting.conntrack === undefined ? world : worldOf({ ...files, 'conntrack.txt': sighting.conntrack }), shot, sighting),
  );
}

/** Leaves out lines of the node while the packet is still disagreed about. */
async function shrink(node: Node, load: Load, shots: readonly Shot[]): Promise<Load> {
  let small = load;
  const differs = async (candidate: Load): Promise<boolean> => {
    try {
      await node.load(candidate);
      const files = await node.capture();
      const seen = await node.packets(shots, { list: true });
      const i = shots.length - 1;
      return judge(worldOf({ ...files, 'conntrack.txt': seen[i]!.conntrack! }), shots[i]!, seen[i]!).taken === undefined;
    } catch {
      return false;
    }
  };
  if (!(await differs(load))) return load;
  for (const key of ['legacy', 'nft', 'legacy6', 'nft6', 'ipset'] as const) {
    for (let again = true; again;) {
      again = false;
      const lines = small[key]?.split('\n') ?? [];
      for (let i = lines.length - 1; i >= 0; i--) {
        if (!/^(?:-A|add) /.test(lines[i]!)) continue;
        const fewer = { ...small, [key]: lines.toSpliced(i, 1).join('\n') };
        if (!(await differs(fewer))) continue;
        lines.splice(i, 1);
        small = fewer;
        again = key !== 'ipset';
      }
    }
  }
  for (const extra of small.ip!.slice(3).toReversed()) {
    const fewer = { ...small, ip: small.ip!.filter((l) => l !== extra) };
    if (await differs(fewer)) small = fewer;
  }
  if (await differs({ ...small, sysctls: {} })) small = { ...small, sysctls: {} };
  return small;
}

/** A folder that `netwhy trace` reads, with the case in it. */
async function keep(node: Node, load: Load, shots: readonly Shot[]): Promise<{ readonly folder: string; readonly text: string }> {
  const small = await shrink(node, load, shots);
  await node.load(small);
  const files = await node.capture();
  const seen = await node.packets(shots, { list: true });
  const i = shots.length - 1;
  const c = judge(worldOf({ ...files, 'conntrack.txt': seen[i]!.conntrack! }), shots[i]!, seen[i]!);
  const folder = mkdtempSync(join(tmpdir(), 'netwhy-probe-'));
  for (const [name, text] of Object.entries({
    ...files,
    'conntrack.txt': seen[i]!.conntrack!,
    '../load.json': JSON.stringify(small, undefined, 1),
  })) {
    const path = join(folder, 'n', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const rules = (['ipset', 'legacy', 'nft', 'legacy6', 'nft6'] as const).flatMap((k) =>
    small[k] === undefined ? [] : [`${k}:`, ...small[k].split('\n').filter((l) => /^(?:-A|add|create|\*|:.*DROP)/.test(l))],
  );
  const text = [
    ...shots.map((s) => `packet  ${JSON.stringify(s)}`),
    `kernel  ${line(c.kernel)}`,
    ...[...new Set(c.courses.map(line))].slice(0, 6).map((x) => `netwhy  ${x}`),
    ...small.ip!.slice(3),
    JSON.stringify(small.sysctls),
    ...rules,
  ].join('\n');
  return { folder, text };
}

/** The first packet of a case that netwhy and the kernel disagree about, with those of its connection before it. */
function disagreement({ seen }: Played, all: readonly Comparison[]): readonly Shot[] | undefined {
  const bad = all.findIndex((c) => !c.taken);
  if (bad < 0) return undefined;
  const from = bad < SINGLE ? bad : seen.findLastIndex((s, k) => k <= bad && k >= SINGLE && s.sighting.conntrack === '');
  return seen.slice(from < 0 ? bad : from, bad + 1).map((s) => s.shot);
}

describeKernel('random nodes', () => {
  // Two, so that the kernel plays one case while netwhy thinks about another.
  const nodes: Node[] = [];
  beforeAll(() => {
    nodes.push(openNode(), openNode());
  });
  afterAll(() => Promise.all(nodes.map((n) => n.close())));

  it(`${CASES} of them: the kernel does what netwhy says it may do`, async () => {
    const refused: string[] = [];
    const differing: { readonly at: number; readonly load: Load; readonly shots: readonly Shot[] }[] = [];
    let packets = 0;
    let courses = 0;
    let at = 0;
    const work = async (node: Node): Promise<void> => {
      for (let i = at++; i < CASES; i = at++) {
        const d = new Dice(SEED * 100_003 + i);
        const four = makeLoad(d);
        const shots4 = d.some(SINGLE + CONNECTIONS, SINGLE + CONNECTIONS, () => makeShot(d, four));
        // of the last two, one is the other from elsewhere: they may be in each other's way
        const [other, last] = shots4.slice(-2);
        if (!last!.local && !other!.local) shots4[shots4.length - 1] = { ...other!, iif: last!.iif!, src: last!.src! };
        // a quarter of them in IPv6
        const load = i % 4 === 3 ? toSix(four) : four;
        const shots = i % 4 === 3 ? shots4.map(shotToSix) : shots4;
        try {
          const played = await play(node, load, shots.slice(0, SINGLE), shots.slice(SINGLE));
          const all = compareAll(played);
          packets += all.length;
          courses += all.reduce((n, c) => n + c.courses.length, 0);
          const bad = disagreement(played, all);
          if (bad) differing.push({ at: i, load, shots: bad });
        } catch (problem) {
          refused.push(`case ${i}: ${String(problem)}`);
        }
      }
    };
    await Promise.all(nodes.map(work));
    const told: string[] = [];
    for (const { at, load, shots } of differing.slice(0, SHOWN)) {
      const { folder, text } = await keep(nodes[0]!, load, shots);
      told.push(`case ${at} of seed ${SEED}, kept in ${folder}\n${text}`);
    }
    console.log(
      `random nodes: ${CASES} nodes, ${packets} packets, ${courses} courses; ${differing.length} nodes disagreed about, ${refused.length} refused`,
    );
    expect(told.join('\n\n')).toBe('');
    expect(differing.length).toBe(0);
    expect(refused).toEqual([]);
  });
});
