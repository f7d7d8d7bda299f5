// What becomes of all packets of a space, as a table; who reaches which service, as a matrix; what two captures do otherwise.
import type { FatesAnswer } from '../model/reached.ts';
import type { Fate } from '../model/fate.ts';
import type { Verdict } from '../model/trace.ts';
import { box, packets as packetsOf, type BoxSaid } from './blocks.ts';
import { PLAIN, type Palette } from './palette.ts';
import { location } from './phrase.ts';

export interface ReachedSaid {
  readonly fates: readonly Fate[];
  readonly boxes: readonly BoxSaid[];
  readonly packets: bigint;
  readonly inexact?: string;
}

export interface ReachSaid {
  readonly reached: readonly ReachedSaid[];
  readonly classes: number;
  readonly packets: bigint;
  readonly left: bigint;
}

/** Boxes of one fate that are told. */
const MOST_BOXES = 12;

export function reachText({ reached, classes, packets, left }: ReachSaid, palette: Palette = PLAIN): string {
  const out: string[] = [];
  for (const r of reached) {
    for (const [i, f] of r.fates.entries()) out.push(`${i === 0 ? '' : 'or '}${coloured(fate(f), f.verdict, palette)}`);
    if (r.inexact !== undefined) out.push(palette.doubtful(`  not surely all of them: ${r.inexact}`));
    for (const b of r.boxes.slice(0, MOST_BOXES)) out.push(`  ${box(b)}`);
    if (r.boxes.length > MOST_BOXES) out.push(`  ... and ${r.boxes.length - MOST_BOXES} more (-o json has them all)`);
    out.push('');
  }
  out.push(
    palette.strong(
      `${packetsOf(packets)}, ${classes} class${classes === 1 ? '' : 'es'}${left > 0n ? `, ${packetsOf(left)} not looked at (--classes)` : ''}.`,
    ),
  );
  return `${out.join('\n')}\n`;
}

function coloured(text: string, verdict: Verdict, palette: Palette): string {
  return verdict === 'yes' ? palette.good(text) : verdict === 'no' ? palette.bad(text) : palette.doubtful(text);
}

/** `DELIVERED at node1/web, destination 10.244.1.7:9376, source 192.168.21.20` */
export function fate(f: Fate): string {
  const ended = `${f.kind.toUpperCase().replaceAll('-', ' ')} at ${f.place}`;
  const changed = `${f.to === undefined ? '' : `, destination ${f.to}`}${f.translated ? `, source ${f.as ?? 'translated'}` : ''}`;
  // where no line decided, the reason does
  const why = f.at || f.verdict === 'yes' ? '' : `: ${f.why}`;
  return `${ended}${changed}${f.at ? ` (${location(f.at)})` : ''}${why}`;
}

/** The same for programs: `netwhy schema reach`. */
export function reachJson({ reached, classes, packets, left }: ReachSaid): FatesAnswer {
  return {
    classes,
    packets: packets.toString(),
    left: left.toString(),
    reached: reached.map((r) => ({
      fates: r.fates.map(({ at, ...f }) => ({ ...f, ...(at && { at: location(at) }) })),
      packets: r.packets.toString(),
      ...(r.inexact !== undefined && { inexact: r.inexact }),
      boxes: r.boxes.map((b) => box(b)),
    })),
  };
}

export interface MatrixSaid {
  readonly services: readonly { readonly name: string; readonly to: string; readonly proto: string }[];
  readonly rows: readonly { readonly from: string; readonly cells: readonly { readonly verdict: Verdict; readonly how: string }[] }[];
}

const MARK: Readonly<Record<Verdict, string>> = { yes: 'yes', no: 'NO', 'cannot-tell': '?' };

/** A row for each sender, a column for each service. */
export function matrixText({ services, rows }: MatrixSaid, palette: Palette = PLAIN): string {
  if (services.length === 0) return 'The capture names no services.\n';
  const out = services.map((s, i) => `${String(i + 1).padStart(3)}  ${s.proto} ${s.to}${s.name === s.to ? '' : `  ${s.name}`}`);
  const width = Math.max(...rows.map((r) => r.from.length), 4);
  out.push('', `${' '.repeat(width)} ${services.map((_, i) => String(i + 1).padStart(4)).join('')}`);
  for (const r of rows) out.push(`${r.from.padEnd(width)} ${r.cells.map((c) => coloured(MARK[c.verdict].padStart(4), c.verdict, palette)).join('')}`);
  return `${out.join('\n')}\n`;
}

export interface DifferenceSaid {
  readonly differing: readonly {
    readonly a: readonly Fate[];
    readonly b: readonly Fate[];
    readonly boxes: readonly BoxSaid[];
    readonly packets: bigint;
  }[];
  readonly packets: bigint;
  readonly classes: number;
  readonly open: { readonly packets: bigint; readonly why?: string };
}

/** The packets that fare otherwise in B. */
export function differenceText({ differing, packets, classes, open }: DifferenceSaid, palette: Palette = PLAIN): string {
  const out: string[] = [];
  for (const d of differing) {
    for (const b of d.boxes.slice(0, MOST_BOXES)) out.push(palette.strong(box(b)));
    if (d.boxes.length > MOST_BOXES) out.push(`... and ${d.boxes.length - MOST_BOXES} more (-o json has them all)`);
    for (const [label, fates] of [
      ['A', d.a],
      ['B', d.b],
    ] as const)
      for (const [i, f] of fates.entries()) out.push(`  ${i === 0 ? label : 'or'}  ${coloured(fate(f), f.verdict, palette)}`);
    out.push('');
  }
  const n = differing.reduce((sum, d) => sum + d.packets, 0n);
  const looked = packets - open.packets;
  const head =
    n === 0n
      ? `None of ${packetsOf(open.packets > 0n ? looked : packets)} fares otherwise`
      : `${packetsOf(n)} of ${packetsOf(packets)} ${n === 1n ? 'fares' : 'fare'} otherwise`;
  out.push(palette.strong(`${head} (${classes} class${classes === 1 ? '' : 'es'}).`));
  if (open.packets > 0n) out.push(palette.doubtful(`Of ${packetsOf(open.packets)} that is not sure: ${open.why ?? 'they were not looked at'}.`));
  return `${out.join('\n')}\n`;
}

/** The same for programs. */
export function differenceJson({ differing, packets, classes, open }: DifferenceSaid): unknown {
  const bare = (fates: readonly Fate[]): unknown => fates.map(({ at, ...f }) => ({ ...f, ...(at && { at: location(at) }) }));
  return {
    packets: packets.toString(),
    classes,
    open: { packets: open.packets.toString(), ...(open.why !== undefined && { why: open.why }) },
    differing: differing.map((d) => ({ a: bare(d.a), b: bare(d.b), packets: d.packets.toString(), boxes: d.boxes.map((b) => box(b)) })),
  };
}
