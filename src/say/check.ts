// What became of a scenario's claims: a line each, and details of what fails; for machines as JSON, JUnit and TAP.
import type { CheckAnswer } from '../model/checked.ts';
import type { Answer } from '../model/trace.ts';
import { blocks, box, packets, type BoxSaid } from './blocks.ts';
import { PLAIN, type Palette } from './palette.ts';
import { packet, verdictOf } from './phrase.ts';
import { answerText } from './text.ts';

/** One claim as this room needs it. */
export interface CheckedSaid {
  readonly kind: 'question' | 'property';
  readonly name: string;
  readonly status: 'holds' | 'broken' | 'unknown';
  /** Of a question: what was expected and what came. */
  readonly broken?: readonly { readonly claim: string; readonly wanted: string; readonly got: string }[];
  readonly answer?: Answer;
  readonly counterexample?: {
    readonly broken: { readonly claim: string; readonly instead: string };
    readonly answer: Answer;
    readonly boxes: readonly BoxSaid[];
    /** Packets of the boxes. */
    readonly packets: bigint;
    /** The command that asks for this packet alone. */
    readonly ask: string;
  };
  readonly by?:
    | { readonly kind: 'exact'; readonly packets: bigint; readonly classes: number }
    | { readonly kind: 'random'; readonly packets: bigint; readonly runs: number; readonly seed: number };
  readonly unproved?: { readonly why: string; readonly packets: bigint };
}

const MARKS = { holds: 'ok  ', broken: 'FAIL', unknown: '?   ' } as const;

/** Boxes of a counterexample that are told. */
const MOST_BOXES = 6;

/** A line a claim, and below what fails how it is instead. */
export function checkedText(all: readonly CheckedSaid[], palette: Palette = PLAIN): string {
  const out = all.flatMap((c) => claimText(c, palette));
  const n = (status: CheckedSaid['status']): number => all.filter((c) => c.status === status).length;
  const [held, broken, open] = [n('holds'), n('broken'), n('unknown')];
  out.push(
    '',
    palette.strong(`${held} of ${all.length} hold${broken > 0 ? `, ${broken} fail` : ''}${open > 0 ? `, of ${open} nobody can tell` : ''}.`),
  );
  return `${out.join('\n')}\n`;
}

function claimText(c: CheckedSaid, palette: Palette): string[] {
  const lines = [`${mark(c.status, palette)} ${oneLine(c.name)}${proof(c)}`];
  for (const b of c.broken ?? []) lines.push(`       ${b.claim}: ${b.wanted} is expected, and it is ${b.got}`);
  if (c.kind === 'question' && c.answer && c.status !== 'holds')
    lines.push(...[...new Set(c.answer.courses.map((x) => verdictOf(x)))].slice(0, 3).map((v) => `       ${v}`));
  const x = c.counterexample;
  if (x) {
    lines.push(`       ${x.broken.claim} does not hold${x.boxes.length === 0 ? '' : ` for ${packets(x.packets)}`}: ${x.broken.instead}`);
    for (const b of x.boxes.slice(0, MOST_BOXES)) lines.push(`         ${box(b)}`);
    if (x.boxes.length > MOST_BOXES) lines.push(`         ... and ${x.boxes.length - MOST_BOXES} more (-o json has them all)`);
    lines.push(`       The simplest of them: ${packet(x.answer.question.packet)}`);
    lines.push(
      ...answerText(x.answer, { level: 'summary' })
        .trimEnd()
        .split('\n')
        .map((line) => `         ${line}`.trimEnd()),
    );
    lines.push(`       ${x.ask}`);
  }
  if (c.unproved && c.status !== 'holds') lines.push(`       not proved for ${packets(c.unproved.packets)}: ${c.unproved.why}`);
  return lines;
}

function mark(status: CheckedSaid['status'], palette: Palette): string {
  const text = MARKS[status];
  return status === 'holds' ? palette.good(text) : status === 'broken' ? palette.bad(text) : palette.doubtful(text);
}

function proof({ by, status }: CheckedSaid): string {
  if (!by) return '';
  const classes = by.kind === 'exact' ? `${by.classes} class${by.classes === 1 ? '' : 'es'}` : `${by.runs} random packets, --seed ${by.seed}`;
  if (status === 'holds')
    return by.kind === 'exact'
      ? `: proved for ${by.packets === 1n ? 'its one packet' : `all ${packets(by.packets)}`}, in ${classes}`
      : `: none of ${classes} breaks it (not proved)`;
  return ` (${packets(by.packets)}, ${classes})`;
}

/** The same for programs: `netwhy schema check`. */
export function checkedJson(all: readonly CheckedSaid[]): CheckAnswer {
  return {
    holds: all.every((c) => c.status === 'holds'),
    claims: all.map((c) => ({
      kind: c.kind,
      name: c.name,
      status: c.status,
      ...(c.broken && { broken: c.broken.map((b) => ({ ...b })) }),
      ...(c.by && { by: { ...c.by, packets: c.by.packets.toString() } }),
      ...(c.unproved && { unproved: { why: c.unproved.why, packets: c.unproved.packets.toString() } }),
      ...(c.counterexample && {
        counterexample: {
          claim: c.counterexample.broken.claim,
          instead: c.counterexample.broken.instead,
          packet: packet(c.counterexample.answer.question.packet),
          ask: c.counterexample.ask,
          packets: c.counterexample.packets.toString(),
          boxes: c.counterexample.boxes.map((b) => ({
            proto: b.proto,
            ...(b.src && { src: blocks(b.src) }),
            ...(b.dst && { dst: blocks(b.dst) }),
            ...(b.sport && { sport: [Number(b.sport[0]), Number(b.sport[1])] as [number, number] }),
            ...(b.dport && { dport: [Number(b.dport[0]), Number(b.dport[1])] as [number, number] }),
          })),
        },
      }),
    })),
  };
}

/** The Test Anything Protocol, version 13. */
export function checkedTap(all: readonly CheckedSaid[]): string {
  const lines = all.flatMap((c, i) => {
    const [, ...details] = claimText(c, PLAIN);
    const ok = c.status === 'holds' ? 'ok' : 'not ok';
    return [`${ok} ${i + 1} - ${oneLine(c.name).replaceAll('#', '\\#')}`, ...details.map((d) => `# ${oneLine(d).trim()}`)];
  });
  return ['TAP version 13', `1..${all.length}`, ...lines, ''].join('\n');
}

/** JUnit's XML, as CI systems read it; what nobody can tell is an error, what does not hold a failure. */
export function checkedJunit(all: readonly CheckedSaid[], suite: string): string {
  const n = (status: CheckedSaid['status']): number => all.filter((c) => c.status === status).length;
  const cases = all.map((c) => {
    const head = `    <testcase classname="${xml(suite)}" name="${xml(c.name)}"`;
    if (c.status === 'holds') return `${head}/>`;
    const [, ...details] = claimText(c, PLAIN);
    const tag = c.status === 'broken' ? 'failure' : 'error';
    return `${head}>\n      <${tag} message="${xml((details[0] ?? '').trim())}">${xml(details.join('\n'))}</${tag}>\n    </testcase>`;
  });
  const counts = `tests="${all.length}" failures="${n('broken')}" errors="${n('unknown')}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${xml(suite)}" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** A name as one line, without what a terminal would obey. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- that is what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ');
}

function xml(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // eslint-disable-next-line no-control-regex -- XML 1.0 has no such characters
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '?')
  );
}
