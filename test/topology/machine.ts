// Random networks played on the kernel and asked of netwhy, the same ones from the same seed; disagreements are made small.
import { Dice } from '../probes/dice.ts';
import { makeNetwork, makeShot } from './generate.ts';
import type { Captures, Ground, Place, Plan, Shot, Sighting } from './ground.ts';
import { judge, worldOf, type Comparison } from './judge.ts';

/** Packets sent through each network. */
export const PACKETS = 70;

/** A network and its packets. */
export interface Case {
  readonly plan: Plan;
  readonly shots: readonly Shot[];
}

/** What happened to the packets of one network. */
export interface Played {
  readonly compared: number;
  readonly agreed: Readonly<Record<Comparison['agreed'], number>>;
  /** Packets that arrived, and those whose answer did. */
  readonly arrived: number;
  readonly answered: number;
  /** Their copies went several ways: the rules of these stand between. */
  readonly flooded: number;
  /** They were told otherwise, but not when asked again. */
  readonly unsteady: number;
  readonly disagreements: readonly Disagreement[];
}

export interface Disagreement {
  readonly plan: Plan;
  readonly shot: Shot;
  readonly comparison: Comparison;
}

/** The network with a number: everything about it follows from the seed. */
export function makeCase(seed: number, at: number, packets = PACKETS): Case {
  const d = new Dice(seed * 100_003 + at);
  const network = makeNetwork(d);
  return { plan: network.plan, shots: d.some(packets, packets, () => makeShot(d, network)) };
}

async function ask(ground: Ground, plan: Plan, shots: readonly Shot[]): Promise<{ captures: Captures; seen: Sighting[]; all: Comparison[] }> {
  const captures = await ground.build(plan);
  const seen = await ground.packets(plan, shots);
  const world = worldOf(plan, captures);
  return { captures, seen, all: shots.map((s, i) => judge(world, s, seen[i]!)) };
}

export async function play(ground: Ground, { plan, shots }: Case): Promise<Played> {
  const { seen, all } = await ask(ground, plan, shots);
  const agreed = { yes: 0, arp: 0, no: 0, 'cannot-tell': 0 };
  for (const c of all) agreed[c.agreed]++;
  const disagreements: Disagreement[] = [];
  let unsteady = 0;
  for (const [i, c] of all.entries()) {
    if (c.agreed !== 'no') continue;
    const [again] = (await ask(ground, plan, [shots[i]!])).all;
    if (again!.agreed === 'no') {
      disagreements.push({ plan, shot: shots[i]!, comparison: again! });
      // one of a network tells most
      break;
    }
    unsteady++;
  }
  return {
    compared: all.length,
    agreed,
    arrived: seen.filter((s) => s.request.end.length > 0).length,
    answered: seen.filter((s) => s.reply !== undefined && s.reply.end.length > 0).length,
    flooded: seen.filter((s) => s.request.flooded || s.reply?.flooded).length,
    unsteady,
    disagreements,
  };
}

/** Every way to leave out one thing of a network: a place, a line of a place, a packet's oddity. */
function* smaller(plan: Plan): Generator<Plan> {
  const { places, veths, taps } = plan;
  for (const p of places) {
    yield {
      places: places.filter((x) => x !== p),
      veths: veths.filter(([a, , , b]) => a !== p.name && b !== p.name),
      taps: taps.filter(([ns]) => ns !== p.name),
    };
  }
  const changed = (old: Place, now: Place): Plan => ({ ...plan, places: places.map((p) => (p === old ? now : p)) });
  const without = <T>(list: readonly T[], i: number): T[] => list.filter((_, j) => j !== i);
  for (const p of places) {
    for (const [table, lines] of Object.entries(p.rules ?? {})) {
      const { [table]: _, ...rest } = p.rules!;
      yield changed(p, { ...p, rules: rest });
      for (let i = lines.length - 1; i >= 0; i--) yield changed(p, { ...p, rules: { ...p.rules, [table]: without(lines, i) } });
    }
    for (let i = (p.bridge ?? []).length - 1; i >= 0; i--) yield changed(p, { ...p, bridge: without(p.bridge!, i) });
    for (const key of Object.keys(p.sysctls ?? {})) {
      const { [key]: _, ...rest } = p.sysctls!;
      yield changed(p, { ...p, sysctls: rest });
    }
    for (let i = p.ip.length - 1; i >= 0; i--) yield changed(p, { ...p, ip: without(p.ip, i) });
  }
}

/** Leaves out what the disagreement does not need, within so many attempts. */
export async function shrink(ground: Ground, found: Disagreement, attempts = 400): Promise<Disagreement & { readonly captures: Captures }> {
  let best = found;
  let left = attempts;
  const still = async (plan: Plan): Promise<Comparison | undefined> => {
    try {
      const [c] = (await ask(ground, plan, [found.shot])).all;
      return c!.agreed === 'no' ? c : undefined;
    } catch {
      return undefined; // it does not stand without that
    }
  };
  for (let progress = true; progress && left > 0;) {
    progress = false;
    // after a success the rest of the list is of the old plan: begin where it was
    let skip = 0;
    for (let again = true; again && left > 0;) {
      again = false;
      let at = 0;
      for (const plan of smaller(best.plan)) {
        if (at++ < skip) continue;
        if (left-- <= 0) break;
        const comparison = await still(plan);
        if (!comparison) continue;
        best = { ...best, plan, comparison };
        skip = at - 1;
        again = progress = true;
        break;
      }
    }
  }
  return { ...best, captures: await ground.build(best.plan) };
}

/** A disagreement in words. */
export function tell({ plan, shot, comparison }: Disagreement): string {
  return [
    `packet  ${JSON.stringify(shot)}`,
    `kernel  ${comparison.kernel}`,
    ...[...new Set(comparison.courses)].slice(0, 4).map((c) => `netwhy  ${c}`),
    ...[...new Set(comparison.why)].slice(0, 4).map((w) => `why     ${w}`),
    ...plan.veths.map((v) => `veth    ${v.join(' ')}`),
    ...plan.taps.map((t) => `tap     ${t.join(' ')}`),
    ...plan.places.flatMap((p) => [
      `${p.name}${p.unseen ? ' (a wire)' : ''}:`,
      ...p.ip.map((l) => `    ip ${l}`),
      ...(p.bridge ?? []).map((l) => `    bridge ${l}`),
      ...Object.entries(p.sysctls ?? {}).map(([k, v]) => `    ${k} = ${v}`),
      ...Object.entries(p.rules ?? {}).flatMap(([table, lines]) => lines.map((l) => `    ${table}: ${l}`)),
    ]),
  ].join('\n');
}
