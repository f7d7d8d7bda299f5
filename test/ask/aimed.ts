// Random packets aimed at a rule, and whether one of them gets to it: by the concrete decisions alone, as the walk makes them.
import { carryOut } from '../../src/engine/statement.ts';
import { isNat } from '../../src/engine/nat.ts';
import { evaluate } from '../../src/engine/pred.ts';
import { LiveSets } from '../../src/engine/liveset.ts';
import { LiveNftSets } from '../../src/engine/nftset.ts';
import type { Sight } from '../../src/engine/sight.ts';
import { add, compare, familyOf, type Addr, type Word } from '../../src/net/addr.ts';
import type { Range } from '../../src/net/intervals.ts';
import type { Chain, IpSet, Packet, Pred, Rule, Table } from '../../src/index.ts';

/** The values that a packet is made of. */
interface Draft {
  values: Map<string, Word>;
  names: Map<string, string>;
}

/** Draws a number from 0 to `n` - 1. */
export type Dice = (n: number) => number;

export function dice(seed: number): Dice {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** A packet as the rules of a table meet it, with values that the condition and its neighbours name. */
export function aimedAt(rule: Rule, neighbours: readonly Rule[], table: Table, sets: Readonly<Record<string, IpSet>>, roll: Dice): Sight {
  const draft: Draft = { values: new Map(), names: new Map() };
  // now and then a value of a rule before: the corners where conditions meet
  for (const r of neighbours.length > 0 && roll(2) === 0 ? [neighbours[roll(neighbours.length)]!, rule] : [rule])
    hit(r.match, true, draft, sets, roll);
  // what rules on the way may give a packet it need not have when it comes
  if (roll(3) === 0) for (const field of ['mark', 'tos']) draft.values.set(field, roll(4));
  return sightOf(draft, table, sets, roll);
}

function hit(pred: Pred, isSo: boolean, draft: Draft, sets: Readonly<Record<string, IpSet>>, roll: Dice): void {
  switch (pred.kind) {
    case 'all':
      return pred.of.forEach((p) => hit(p, isSo, draft, sets, roll));
    case 'any': {
      const one = pred.of[roll(pred.of.length)];
      return one && hit(one, isSo, draft, sets, roll);
    }
    case 'not':
      return hit(pred.of, !isSo, draft, sets, roll);
    case 'in': {
      const range = pred.ranges[roll(pred.ranges.length || 1)];
      if (isSo && range) draft.values.set(pred.field, within(range, roll));
      return;
    }
    case 'masked': {
      if (typeof pred.value !== 'number' || typeof pred.mask !== 'number') return;
      const old = draft.values.get(pred.field);
      const rest = typeof old === 'number' ? old : roll(0x20000);
      const value = isSo ? pred.value : pred.value ^ (pred.mask & -pred.mask);
      draft.values.set(pred.field, ((rest & ~pred.mask) | value) >>> 0);
      return;
    }
    case 'name':
      if (isSo) draft.names.set(pred.field, pred.glob.replace(/\+$/, String(roll(3))));
      return;
    case 'member': {
      const members = sets[pred.set]?.members ?? [];
      const part = members[roll(members.length || 1)]?.parts[0];
      if (isSo && part?.kind === 'net') draft.values.set(pred.by[0]!, within(part.ranges[roll(part.ranges.length)]!, roll));
      return;
    }
    default:
      return;
  }
}

/** Its ends as often as what lies between. */
function within([lo, hi]: Range, roll: Dice): Word {
  const kind = roll(4);
  if (kind === 0) return lo;
  if (kind === 1) return hi;
  if (typeof lo === 'number' && typeof hi === 'number') return lo + roll(Math.min(hi - lo + 1, 0xffffffff));
  const moved = add(lo, roll(0x7fffffff));
  return compare(moved, hi) > 0 ? hi : moved;
}

function sightOf({ values, names }: Draft, table: Table, sets: Readonly<Record<string, IpSet>>, roll: Dice): Sight {
  const { family } = table;
  const number = (field: string, most: number): number => {
    const v = values.get(field);
    return typeof v === 'number' ? v : roll(most);
  };
  const addr = (field: string): Addr => {
    const v = values.get(field);
    if (v !== undefined && familyOf(v) === family) return v as Addr;
    return (family === 4 ? (0x0a000000 + roll(0x2000000)) >>> 0 : [0xfd000000, roll(4), 0, roll(0x10000)]) as Addr;
  };
  const proto = values.has('proto') ? number('proto', 256) : [6, 17, 1, 132][roll(4)]!;
  const hasPorts = proto === 6 || proto === 17 || proto === 132;
  const icmp = number('icmp', 0x1000);
  const packet: Packet = {
    family,
    src: addr('src'),
    dst: addr('dst'),
    proto,
    ...(hasPorts && { sport: number('sport', 65536), dport: number('dport', 65536) }),
    ...(proto === 6 && { flags: number('flags', 64) }),
    ...((proto === 1 || proto === 58) && { icmp: { type: icmp >>> 8, code: icmp & 255, id: 1 } }),
    ttl: number('ttl', 256),
    length: number('length', 1500),
    tos: number('tos', 256),
    mark: number('mark', 0x20000),
  };
  const live = new LiveSets({ sets } as never);
  const kinds = roll(4);
  const nft = new LiveNftSets();
  return {
    visit: '1',
    packet,
    hook: 'FORWARD',
    iif: names.get('iif') ?? `eth${roll(3)}`,
    oif: names.get('oif') ?? `eth${roll(3)}`,
    physin: '',
    physout: '',
    tracked: { state: number('ctstate', 5) },
    elements: (set) => nft.get(table, set),
    fib: () => ({ kind: 'none' }),
    set: (name) => live.get(name),
    supposedNames: () => [],
    addressType: (side, device) => ({ type: [2, 4, 8, 32][(kinds + (side === 'src' ? 1 : 0) + (device === undefined ? 0 : 2)) % 4]! }),
    reversePath: () => ({ ok: true, saw: '' }),
    supposed: new Map(),
  };
}

/** How a packet leaves a chain, or that it got to the rule that was looked for. */
type Way = { readonly kind: 'ended' | 'returned' | 'met' | 'open'; readonly sight: Sight };

/** Walks a chain as the kernel does. What cannot be decided is taken as not met: then most packets get to the rules behind. */
export function walkTo(table: Table, chain: Chain, wanted: Rule, sight: Sight): Way {
  let s = sight;
  for (const rule of chain.rules) {
    const truth = evaluate(rule.match, s);
    if (rule === wanted) return { kind: truth === false ? 'open' : 'met', sight: s };
    if (truth !== true) continue;
    for (const st of rule.then) {
      if (st.kind === 'verdict') return { kind: st.verdict === 'return' ? 'returned' : 'ended', sight: s };
      if (st.kind === 'reject' || isNat(st)) return { kind: 'ended', sight: s };
      if (st.kind === 'jump' || st.kind === 'goto') {
        const way = walkTo(table, table.chains[st.chain]!, wanted, s);
        if (way.kind === 'ended' || st.kind === 'goto') return way;
        s = way.sight;
      } else if (st.kind === 'set' || st.kind === 'copy' || st.kind === 'settos' || st.kind === 'setttl') {
        const { packet } = carryOut(st, s.packet, undefined);
        if (packet) s = { ...s, packet };
      }
    }
  }
  return { kind: 'returned', sight: s };
}
