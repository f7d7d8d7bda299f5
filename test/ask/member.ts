// Packets of a class, and how they fare: what has to be the same for all of them.
import { classAround, type PacketClass } from '../../src/ask/classes.ts';
import { kindOfPart, lengthOf, overlap, PARTS, type Box, type Part } from '../../src/ask/box.ts';
import type { Space } from '../../src/ask/space.ts';
import { trace } from '../../src/ask/trace.ts';
import type { World } from '../../src/model/host.ts';
import type { Answer, Trace } from '../../src/model/trace.ts';
import { add, equal, familyOf, formatAddr, isError, parseAddr, parsePrefix, prefixRange, type Word } from '../../src/net/addr.ts';
import type { Range } from '../../src/net/intervals.ts';
import type { Dice } from '../probes/dice.ts';

export type Values = Readonly<Partial<Record<Part, Word>>>;

/** Path and fate of a packet on all its courses, without the values that it carries. */
export function fareOf(answer: Answer): string[] {
  const told = answer.courses.map(
    ({ trace: t, verdict }) => `${verdict} ${t.probability.toFixed(6)} ${wayOf(t)}${t.reply ? ` | ${wayOf(t.reply)}` : ''}`,
  );
  return [...(answer.bounded ? ['bounded'] : []), ...told].toSorted();
}

function wayOf(t: Trace): string {
  const hops = t.hops.map((h) => {
    const rules = h.steps.flatMap((s) =>
      s.step === 'rule' && s.truth !== false
        ? [`${s.backend} ${s.table} ${s.chain} ${s.number}${s.truth === true ? '' : '?'}${s.ended ? '~' : ''}`]
        : [],
    );
    return `${h.node}/${h.namespace}${h.tunnel === undefined ? '' : ` in ${h.tunnel}`} [${rules.join(', ')}]`;
  });
  const { kind, node, namespace, at, device } = t.outcome;
  const changed = `${t.translated.src ? ' snat' : ''}${t.translated.dst ? ' dnat' : ''}`;
  return `${hops.join(' > ')} => ${kind} at ${node}/${namespace} ${device ?? ''} ${at ? `${at.file}:${at.line}` : ''}${changed}`;
}

/** Values that what is captured mentions, and their neighbours: where boundaries may be. */
export function mentioned(texts: readonly string[]): Word[] {
  const found = new Map<string, Word>();
  const put = (w: Word): void => void found.set(`${typeof w === 'number' ? '' : '6'}${formatAddr(w)}`, w);
  for (const text of texts) {
    for (const [word] of text.matchAll(/(?:\d+\.){3}\d+(?:\/\d+)?|(?<![\w:])(?:[0-9a-f]{1,4}:){1,7}(?::|[0-9a-f:.]+)(?:\/\d+)?/g)) {
      const addr = parseAddr(word);
      const prefix = parsePrefix(word);
      for (const [lo, hi] of [...(isError(addr) ? [] : [[addr, addr] as const]), ...(isError(prefix) ? [] : [prefixRange(prefix)])])
        for (const w of [lo, hi, add(lo, -1), add(hi, 1)]) put(w);
    }
    for (const [word] of text.matchAll(/(?<![\w.:/])\d{2,5}(?![\w./])|(?<=[:,-])\d{2,5}\b/g))
      for (const n of [-1, 0, 1]) if (Number(word) + n < 65536) put(Number(word) + n);
  }
  return [...found.values()];
}

/** A value of a range: an end, next to one, what is mentioned, or any. */
export function valueOf(d: Dice, [lo, hi]: Range, known: readonly Word[]): Word {
  const inside = d.chance(60) ? known.filter((w) => overlap([lo, hi], [w, w])) : [];
  if (inside.length > 0) return d.pick(inside);
  const size = lengthOf([lo, hi]);
  const far = (n: bigint): Word => {
    if (typeof lo === 'number') return lo + Number(n);
    const at = lo.reduce((x, w) => (x << 32n) | BigInt(w), 0n) + n;
    return [96n, 64n, 32n, 0n].map((s) => Number((at >> s) & 0xffffffffn)) as unknown as Word;
  };
  const any = (BigInt(d.below(0x7fffffff)) * 0x80000001n * 0x7fffffffn * BigInt(1 + d.below(0x7fffffff)) + BigInt(d.below(0x7fffffff))) % size;
  return far([0n, size - 1n, size > 1n ? 1n : 0n, any, any, any][d.below(6)]!);
}

/** A packet of a box; undefined where it would go to its own sender, which nobody asks about. */
export function memberOf(d: Dice, box: Box, known: readonly Word[]): Values | undefined {
  const values: Partial<Record<Part, Word>> = {};
  for (const part of PARTS) {
    const range = box[part];
    if (range)
      values[part] = valueOf(
        d,
        range,
        known.filter((w) => (kindOfPart(part) === 'addr' ? familyOf(w) === familyOf(range[0]) : typeof w === 'number')),
      );
  }
  return values.src !== undefined && values.dst !== undefined && equal(values.src, values.dst) ? undefined : values;
}

export function tellBox(box: Box): string {
  const tell = (part: Part): string => {
    const [lo, hi] = box[part]!;
    return kindOfPart(part) === 'addr' ? `${formatAddr(lo)}-${formatAddr(hi)}` : `${String(lo)}-${String(hi)}`;
  };
  return [`proto ${box.proto}`, ...PARTS.filter((p) => box[p]).map((p) => `${p} ${tell(p)}`)].join(', ');
}

export function tellValues(values: Values): string {
  return PARTS.flatMap((p) => (values[p] === undefined ? [] : [`${p} ${kindOfPart(p) === 'addr' ? formatAddr(values[p]) : String(values[p])}`])).join(
    ', ',
  );
}

/** Tries packets of a class; returns the first that fares otherwise, in words. */
export function otherwise(world: World, space: Space, found: PacketClass, members: readonly Values[]): string | undefined {
  const mine = fareOf(found.answer);
  for (const values of members) {
    const theirs = fareOf(trace(world, { question: space.question(found.box, values) }));
    if (theirs.join('\n') === mine.join('\n')) continue;
    const count = (list: readonly string[], x: string): number => list.filter((y) => y === x).length;
    const only = (a: readonly string[], b: readonly string[]): string[] => a.filter((x) => count(a, x) !== count(b, x)).slice(0, 4);
    const { src, dst, sport, dport } = found.answer.question.packet;
    const first = tellValues({ src, dst, ...(sport !== undefined && { sport }), ...(dport !== undefined && { dport }) });
    return [
      tellBox(found.box),
      `  ${first}`,
      ...only(mine, theirs).map((l) => `    ${l}`),
      `  ${tellValues(values)}`,
      ...only(theirs, mine).map((l) => `    ${l}`),
    ].join('\n');
  }
  return undefined;
}

/** The class of a random packet of a space, and packets of it. */
export function someClass(
  d: Dice,
  world: World,
  space: Space,
  known: readonly Word[],
  members: number,
): { readonly found: PacketClass; readonly members: readonly Values[] } | undefined {
  const box = d.pick(space.boxes);
  const values = memberOf(d, box, known);
  if (!values) return undefined;
  const found = classAround(world, space, box, values);
  return { found, members: d.some(members, members, () => memberOf(d, found.box, known)).filter((m) => m !== undefined) };
}
