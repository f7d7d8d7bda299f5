// Rules that decide nothing: no packet can meet them, or none that the rules before them let through.
import type { Chain, Pred, Rule, Statement, Table } from '../model/ruleset.ts';
import { looksAt, NO_DEVICE, packetsOf, settledSet, type Ground } from './condition.ts';
import type { Effects } from './effect.ts';
import { fewValues, isSame, isWithin, meet, minus, only, type Cube } from './packetset.ts';

/** A rule that could as well not be there. */
export interface DeadRule {
  readonly chain: Chain;
  readonly rule: Rule;
  /** impossible: no packet meets its condition; shadowed: those that would are gone by then; repeated: an earlier rule has done all of it. */
  readonly kind: 'impossible' | 'shadowed' | 'repeated';
  /** The earlier rules that see to that; none where it is impossible. */
  readonly by: readonly Rule[];
}

/** What an earlier rule has ended for. */
interface Cover {
  readonly cube: Cube;
  readonly rule: Rule;
  readonly looksAt: ReadonlySet<string>;
}

/** Pieces that are kept of what a rule may still see, and steps for a table; beyond them nothing is claimed. */
const MOST_PIECES = 128;
const MOST_STEPS = 3_000_000;
/** So many values of a property are looked up one by one. */
const FEW = 64;

/** The rules of a table that decide nothing. */
export function deadRules(ground: Ground, effects: Effects): readonly DeadRule[] {
  const steps = { left: MOST_STEPS };
  return Object.values(ground.table.chains).flatMap((chain) => [...inChain(chain, ground, effects, steps)]);
}

function* inChain(chain: Chain, ground: Ground, effects: Effects, steps: { left: number }): Generator<DeadRule> {
  const covers = new Covers();
  const repeats = new Repeats(ground, effects);
  const here = worldOf(ground.table, chain);
  for (const rule of chain.rules) {
    const may = within(here, packetsOf(rule.match, ground, 'may'));
    const found = may.length === 0 ? [] : covers.holding(may, steps);
    if (found) {
      const isTwin = found.length === 1 && sameActions(found[0]!, rule) && isTwinOf(found[0]!, may, here, ground);
      yield { chain, rule, kind: may.length === 0 ? 'impossible' : isTwin ? 'repeated' : 'shadowed', by: found };
      continue;
    }
    const before = repeats.see(rule, may);
    if (before) yield { chain, rule, kind: 'repeated', by: [before] };
    const changed = effects.changes(rule);
    covers.forget(changed);
    for (const taken of takenBy(rule, ground, effects))
      for (const cube of within(here, packetsOf(taken, ground, 'surely'))) covers.add({ cube, rule, looksAt: looksAt(taken) });
  }
}

/** The packets that a chain can see at all: of its family, and at a hook without the devices that there are none of. */
function worldOf(table: Table, { base }: Chain): Cube {
  const is = (n: number) => ({ kind: 'ranges' as const, ranges: [[n, n]] as const, absent: false });
  const out = new Map([
    ['nfproto', is(table.family === 4 ? 2 : 10)],
    ['ethertype', is(table.family === 4 ? 0x0800 : 0x86dd)],
  ]) as Map<string, NonNullable<ReturnType<Cube['get']>>>;
  if (base?.hook === 'OUTPUT') out.set('iif', NO_DEVICE);
  if (base?.hook === 'PREROUTING' || base?.hook === 'INPUT') out.set('oif', NO_DEVICE);
  return out;
}

function within(here: Cube, cubes: readonly Cube[]): readonly Cube[] {
  return cubes.flatMap((c) => meet(here, c) ?? []);
}

/** Conditions under which a rule lets no packet on to the next one. */
function takenBy(rule: Rule, ground: Ground, effects: Effects): readonly Pred[] {
  if (effects.ends(rule)) return [rule.match];
  const [first] = rule.then;
  const map = first?.kind === 'vmap' ? settledSet(first.map, ground) : undefined;
  if (first?.kind !== 'vmap' || !map) return [];
  const ending = map.elements.filter((e) => e.key && e.verdict && e.verdict.kind !== 'continue' && e.verdict.kind !== 'jump');
  if (ending.length === 0) return [];
  const named = { ...map, name: '', elements: ending };
  return [{ kind: 'all', of: [rule.match, { kind: 'lookup', key: first.key, set: named }] }];
}

/** Reports whether two rules do the same. */
export function sameActions(a: Rule, b: Rule): boolean {
  return a.then === b.then || JSON.stringify(a.then) === JSON.stringify(b.then);
}

function isTwinOf(before: Rule, may: readonly Cube[], here: Cube, ground: Ground): boolean {
  const surely = within(here, packetsOf(before.match, ground, 'surely'));
  return surely.length === may.length && surely.every((c, i) => isSame(c, may[i]!));
}

/** What earlier rules of a chain have ended for, found by the single addresses and ports that most of them name. */
class Covers {
  #broad: Cover[] = [];
  #single = new Map<string, Cover[]>();
  /** What any of them looks at. */
  #looked = new Set<string>();

  add(cover: Cover): void {
    for (const field of cover.looksAt) this.#looked.add(field);
    const key = BY.flatMap((p) => keyOf(p, only(cover.cube, p)) ?? [])[0];
    if (key === undefined) this.#broad.push(cover);
    else {
      const there = this.#single.get(key);
      if (there) there.push(cover);
      else this.#single.set(key, [cover]);
    }
  }

  /** A packet that comes by after a change is no longer the one that they saw. */
  forget(changed: ReadonlySet<string>): void {
    if (changed.size === 0 || (!changed.has('*') && !this.#looked.has('*') && ![...changed].some((f) => this.#looked.has(f)))) return;
    const isAsSeen = ({ looksAt: fields }: Cover): boolean =>
      fields.size === 0 || (!changed.has('*') && !fields.has('*') && ![...changed].some((f) => fields.has(f)));
    const all = [...this.#broad, ...[...this.#single.values()].flat()].filter(isAsSeen);
    this.#broad = [];
    this.#single = new Map();
    this.#looked = new Set();
    for (const cover of all) this.add(cover);
  }

  /** The rules that together have all packets of the cubes; undefined where some may be left. */
  holding(cubes: readonly Cube[], steps: { left: number }): readonly Rule[] | undefined {
    const by = new Set<Rule>();
    for (const cube of cubes) {
      const found = this.#holdingOne(cube, steps);
      if (!found) return undefined;
      for (const rule of found) by.add(rule);
    }
    return [...by].toSorted((a, b) => a.number - b.number);
  }

  #holdingOne(cube: Cube, steps: { left: number }): readonly Rule[] | undefined {
    const near = this.#near(cube);
    if ((steps.left -= near.length + 1) < 0) return undefined;
    const whole = near.find((c) => isWithin(cube, c.cube));
    if (whole) return [whole.rule];
    let pieces: readonly Cube[] = [cube];
    const by: Rule[] = [];
    for (const { cube: taken, rule } of near) {
      if ((steps.left -= pieces.length) < 0) return undefined;
      if (!pieces.some((p) => meet(p, taken))) continue;
      by.push(rule);
      pieces = pieces.flatMap((p) => minus(p, taken));
      if (pieces.length === 0) return by;
      if (pieces.length > MOST_PIECES) return undefined;
    }
    return undefined;
  }

  #near(cube: Cube): readonly Cover[] {
    if (this.#single.size === 0) return this.#broad;
    const out = [...this.#broad];
    for (const property of BY) {
      const alone = only(cube, property);
      const values = alone === undefined ? (fewValues(cube, property, FEW) ?? []) : [alone];
      for (const value of values) out.push(...(this.#single.get(keyOf(property, value)!) ?? []));
    }
    return out;
  }
}

const BY = ['dst', 'src', 'dport'];

function keyOf(property: string, value: NonNullable<ReturnType<typeof only>> | undefined): string | undefined {
  return value === undefined ? undefined : `${property} ${String(value)}`;
}

/** Rules that let packets go on, and whether an earlier one has done the same to the same packets. */
class Repeats {
  readonly #ground: Ground;
  readonly #effects: Effects;
  readonly #seen = new Map<string, { readonly rule: Rule; readonly cubes: readonly Cube[]; readonly changed: Set<string> }[]>();

  constructor(ground: Ground, effects: Effects) {
    this.#ground = ground;
    this.#effects = effects;
  }

  /** The earlier rule that a rule repeats. */
  see(rule: Rule, may: readonly Cube[]): Rule | undefined {
    const twin = this.#twinOf(rule, may);
    const changed = this.#effects.changes(rule);
    for (const list of changed.size > 0 ? this.#seen.values() : []) for (const s of list) for (const field of changed) s.changed.add(field);
    if (!twin && rule.then.length === 1 && this.#isDoneOnce(rule.then[0]!)) {
      const cubes = packetsOf(rule.match, this.#ground, 'surely');
      const key = JSON.stringify(rule.then);
      const entry = { rule, cubes, changed: new Set<string>() };
      const list = this.#seen.get(key);
      if (list) list.push(entry);
      else this.#seen.set(key, [entry]);
    }
    return twin;
  }

  #twinOf(rule: Rule, may: readonly Cube[]): Rule | undefined {
    if (rule.then.length !== 1 || !this.#isDoneOnce(rule.then[0]!)) return undefined;
    const looked = looksAt(rule.match);
    const before = this.#seen.get(JSON.stringify(rule.then)) ?? [];
    return before.find(({ cubes, changed }) => {
      const isAsSeen =
        changed.size === 0 ||
        (rule.then[0]!.kind === 'set' &&
          !changed.has('*') &&
          !looked.has('*') &&
          !changed.has('mark') &&
          !changed.has('ctmark') &&
          ![...changed].some((f) => looked.has(f)));
      return isAsSeen && cubes.length > 0 && may.every((m) => cubes.some((c) => isWithin(m, c)));
    })?.rule;
  }

  /** Reports whether doing it twice is the same as doing it once. */
  #isDoneOnce(s: Statement): boolean {
    if (s.kind === 'set') return (s.xor & ~s.clear) === 0;
    return s.kind === 'jump' && this.#effects.isIdle(s.chain);
  }
}
