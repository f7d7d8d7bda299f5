// Two worlds compared, as text: what fares otherwise, the two sides of where the walks part below each other, what one has and the other not.

import type { Change, Compared, Counterpart, Edited, PartingSide, Structure, Unasked } from '../model/comparison.ts';
import type { Span } from '../model/finding.ts';
import type { Answer, Step } from '../model/trace.ts';
import { PLAIN, type Palette } from './palette.ts';
import { balanced, conditions, location, packet, place, probability, verdictOf } from './phrase.ts';

/** What the two worlds are called: A and B, before and after. */
export type Labels = readonly [a: string, b: string];

export interface CompareOptions {
  readonly level?: 'text' | 'minimal';
  readonly palette?: Palette;
  readonly labels: Labels;
}

export function isUnasked(x: Answer | Unasked): x is Unasked {
  return 'error' in x;
}

/** The questions, those that fare otherwise first and in full. */
export function comparedText(all: readonly Compared[], options: CompareOptions): string {
  const palette = options.palette ?? PLAIN;
  if (options.level === 'minimal') return all.map((c) => `${oneLine(c)}\n`).join('');
  const told = all.filter((c) => c.changed !== false);
  const alike = all.filter((c) => c.changed === false);
  const seen = new Map<string, string>();
  const out = told.flatMap((c) => [...questionText(c, options.labels, palette, seen), '']);
  for (const c of alike) out.push(oneLine(c));
  if (all.length > 1) {
    const n = all.filter((c) => c.changed === true).length;
    const lost = told.length - n;
    const many = `${all.length} questions`;
    if (alike.length > 0) out.push('');
    out.push(
      palette.strong(
        n === 0
          ? `None of ${many} fares otherwise${lost > 0 ? ', as far as they could be asked' : ''}.`
          : `${n} of ${many} ${n === 1 ? 'fares' : 'fare'} otherwise.`,
      ),
    );
    if (lost > 0) out.push(palette.doubtful(`${lost} could not be asked of both.`));
  }
  return `${out.join('\n').replace(/\n+$/, '')}\n`;
}

/** `changed  a pod to its service: dropped -> delivered` */
function oneLine(c: Compared): string {
  const title = titleOf(c);
  if (c.changed === undefined) return `unasked  ${title}: ${shortly(c.a)} -> ${shortly(c.b)}`;
  return c.changed ? `changed  ${title}: ${shortly(c.a)} -> ${shortly(c.b)}` : `same     ${title}: ${shortly(c.b)}`;
}

function titleOf(c: Compared): string {
  const asked = isUnasked(c.a) ? c.b : c.a;
  return c.name ?? (isUnasked(asked) ? 'the question' : packet(asked.question.packet));
}

/** How it ends, in a word or two for each way. */
function shortly(x: Answer | Unasked): string {
  if (isUnasked(x)) return 'not understood';
  const ends = new Map<string, number>();
  for (const { trace: t } of x.courses) {
    const what = `${t.outcome.kind}${t.translated.src ? ', source translated' : ''}${t.translated.dst ? ` as ${t.translated.dst.to}` : ''}`;
    ends.set(what, (ends.get(what) ?? 0) + t.probability);
  }
  const isChance = x.courses.every((c) => c.trace.assumptions.every((a) => !a.forked || a.probability !== undefined));
  return [...ends].map(([what, p]) => (isChance && p < 1 - 1e-3 ? `${what} (${probability(p)})` : what)).join(' or ');
}

/** One question in full; `seen` has the partings that were told before, and of which question. */
function questionText(c: Compared, [first, second]: Labels, palette: Palette, seen: Map<string, string>): string[] {
  const asked = isUnasked(c.a) ? c.b : c.a;
  const out = [palette.strong(titleOf(c))];
  if (c.name !== undefined && !isUnasked(asked)) out.push(`  ${packet(asked.question.packet)}`);
  const width = Math.max(first.length, second.length);
  for (const [label, x] of [[first, c.a] as const, [second, c.b] as const])
    for (const [i, fate] of fatesText(x, palette).entries()) out.push(`  ${(i === 0 ? label : '').padEnd(width)}  ${fate}`);
  const { parting } = c;
  if (!parting) {
    if (c.changed === true) out.push('  Both go the same ways, with other odds or on other conditions.');
    return out;
  }
  const [where, other] = [place(parting.a), place(parting.b)];
  const hook = hookOf(parting.a.step) ?? hookOf(parting.b.step);
  out.push(
    `  They part${parting.back ? ', the reply on its way back,' : ''} at ${where}${where === other ? '' : ` and ${other}`}${hook === undefined ? '' : `, ${hook}`}:`,
  );
  const rows = [...sideRows(first, parting.a), ...sideRows(second, parting.b)];
  const known = seen.get(JSON.stringify(rows));
  if (known !== undefined) return [...out.slice(0, -1), `  They part where '${known}' does.`];
  seen.set(JSON.stringify(rows), titleOf(c));
  const text = Math.min(100, Math.max(...rows.map((r) => (r.at === '' ? 0 : r.text.length))));
  for (const r of rows) out.push(`  ${r.label.padEnd(width)}  ${r.at === '' ? r.text : `${r.text.padEnd(text)}  ${r.at}`}`);
  return out;
}

function hookOf(s: Step | undefined): string | undefined {
  return s && 'hook' in s ? s.hook : undefined;
}

/** Fates that are told one by one. */
const MOST_FATES = 4;

function fatesText(x: Answer | Unasked, palette: Palette): string[] {
  if (isUnasked(x)) return [palette.doubtful(`cannot be asked here: ${x.error}${x.hint === undefined ? '' : ` (${x.hint})`}`)];
  const fates = new Map<string, string>();
  for (const course of x.courses) {
    const { dst, src } = course.trace.translated;
    const as = [...(dst ? [`to ${dst.to}`] : []), ...(src ? [`from ${src.to}`] : [])].join(', ');
    const text = `${verdictOf(course)}${as && ` (${as})`}`;
    const how = course.verdict === 'yes' ? 'good' : course.verdict === 'no' ? 'bad' : 'doubtful';
    fates.set(text, palette[how](text));
  }
  const told = [...fates.values()];
  return told.length <= MOST_FATES ? told : [...told.slice(0, MOST_FATES), `... and ${told.length - MOST_FATES} more ways`];
}

interface Row {
  readonly label: string;
  readonly text: string;
  readonly at: string;
}

function sideRows(label: string, side: PartingSide): Row[] {
  const told = sideText(side);
  return [
    { label, text: told.text, at: location(told.at) },
    ...told.rests.map((r) => ({ label: '', text: `  ${r.text}`, at: r.at })),
    ...side.instead.map((c) => {
      const { text, at } = insteadText(c);
      return { label: '', text, at: location(at) };
    }),
  ];
}

/** What one side of a parting did, and the captured lines its conditions rest on. */
export function sideText(side: PartingSide): { text: string; at?: Span; rests: { text: string; at: string }[] } {
  const { step, end, rule } = side;
  if (end) return { text: `${end.kind}: ${end.why}`, ...(end.at && { at: end.at }), rests: [] };
  if (!step) return { text: 'nothing', rests: [] };
  const by = rule ?? (step.step === 'rule' ? step : undefined);
  const rests = by
    ? conditions(by.reason)
        .filter((c) => c.truth === 'yes' && c.at !== '')
        .map((c) => ({ text: `'${c.text}' holds: ${c.saw}`, at: c.at }))
    : [];
  const at = rule?.at ?? ('at' in step ? step.at : undefined);
  return { text: `${stepText(step)}${rule ? ` by ${rule.chain} ${rule.number}: ${rule.text}` : ''}`, ...(at && { at }), rests };
}

function stepText(s: Step): string {
  switch (s.step) {
    case 'enter':
      return s.local ? `sends ${packet(s.packet)}` : `comes in by ${s.device ?? 'an interface that is not known'}`;
    case 'rule':
      return `${s.table} ${s.chain} ${s.number} ${s.did ?? 'matches'}: ${s.text}`;
    case 'policy':
      return `${s.table} ${s.chain} policy ${s.verdict.toUpperCase()}`;
    case 'nat':
      return `${s.manip === 'src' ? 'source' : 'destination'} ${s.from} -> ${s.to}`;
    case 'ipvs':
      return balanced(s);
    case 'conntrack':
      return `conntrack ${s.state}${s.why ? `: ${s.why}` : ''}`;
    case 'route':
      return s.rule ? `${s.text} (rule ${s.rule.text}, ${location(s.rule.at)})` : s.text;
    case 'neighbour':
      return s.result;
    case 'bridge':
      return `${s.bridge}: ${s.in ?? 'from the host'} -> ${s.out ?? 'nowhere'}, ${s.result}`;
    case 'encapsulate':
      return `into ${s.device} (${s.kind}): ${s.how}`;
    case 'decapsulate':
      return `out of ${s.device}: ${packet(s.packet)}`;
    case 'leave':
      return `goes out by ${s.device} to ${s.to} as ${packet(s.packet)}`;
    case 'deliver':
      return `delivered: ${packet(s.packet)}`;
    case 'assume':
      return s.what;
    case 'skipped':
    case 'return':
      return `${s.chain} decides nothing`;
  }
}

/** What a side has in the place of what decided on the other. */
export function insteadText(c: Counterpart): { text: string; at?: Span } {
  switch (c.kind) {
    case 'missed': {
      const missed = conditions(c.rule.ended ?? c.rule.reason).find((x) => x.truth === 'NO');
      const why = missed ? `: '${missed.text}' is false${missed.saw && `, ${missed.saw}`}${missed.at && ` (${missed.at})`}` : '';
      return { text: `${c.rule.chain} ${c.rule.number} does not match${why}`, at: c.rule.at };
    }
    case 'unreached':
      return { text: `${c.chain} is not asked, or not as far as: ${c.text}`, at: c.at };
    case 'no-rule':
      return { text: `${c.chain} has no rule ${c.text}` };
    case 'no-chain':
      return { text: `there is no chain ${c.chain} in ${c.table}` };
    case 'no-table':
      return { text: `there is no table ${c.table}` };
    case 'fact':
      return { text: `${c.fact.kind} ${c.fact.text}`, at: c.fact.at };
    case 'no-fact':
      return { text: `there is no ${c.fact.kind} ${c.fact.text}` };
  }
}

/** Things of one kind in one place that are told one by one. */
const MOST_THINGS = 5;

/** `node1: 2 rules added, 1 sysctl changed`, each with its line. */
export function structureText({ changes, uncaptured }: Structure, labels: Labels): string {
  const out: string[] = [];
  const places = new Map<string, Change[]>();
  for (const c of changes) {
    const at = place((c.a ?? c.b)!);
    places.set(at, [...(places.get(at) ?? []), c]);
  }
  for (const [where, list] of places) {
    out.push(`${where}:`);
    const groups = new Map<string, Change[]>();
    for (const c of list) {
      const key = `${c.kind} ${changeWord(c)}`;
      groups.set(key, [...(groups.get(key) ?? []), c]);
    }
    for (const group of groups.values()) {
      const [first] = group as [Change, ...Change[]];
      out.push(`  ${group.length} ${group.length === 1 ? first.kind : plural(first.kind)} ${changeWord(first)}`);
      for (const c of group.slice(0, MOST_THINGS)) out.push(...changeLines(c, labels));
      if (group.length > MOST_THINGS) out.push(`    ... and ${group.length - MOST_THINGS} more (-o json lists them all)`);
    }
  }
  const [a, b] = labels;
  for (const u of uncaptured) {
    const label = u.missing === 'a' ? a : b;
    out.push(
      u.kind === 'node' || u.kind === 'namespace' ? `${place(u)}: not in ${label}` : `${place(u)}: ${plural(u.kind)} were not captured in ${label}`,
    );
  }
  return out.map((line) => `${line}\n`).join('');
}

/** What became of it: added, removed, changed, reordered. */
export function changeWord(c: Change): 'added' | 'removed' | 'changed' | 'reordered' {
  if (c.order) return 'reordered';
  if (c.a && c.b) return 'changed';
  return c.a ? 'removed' : 'added';
}

function plural(kind: string): string {
  return kind.endsWith('s') ? `${kind}es` : kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
}

function changeLines(c: Change, [first, second]: Labels): string[] {
  const line = (f: NonNullable<Change['a']>, label: string): string => `    ${label}${f.text}  ${location(f.at)}`.trimEnd();
  if (c.a && c.b) {
    const width = Math.max(first.length, second.length) + 2;
    return [line(c.a, first.padEnd(width)), line(c.b, second.padEnd(width))];
  }
  return [line((c.a ?? c.b)!, c.a ? '- ' : '+ ')];
}

/** The edits that were made, as typed. */
export function editsText(edits: readonly Edited[]): string {
  return edits.map((e) => `${place({ node: e.node, namespace: e.namespace })}# ${e.command}\n`).join('');
}
