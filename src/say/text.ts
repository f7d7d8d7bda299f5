// An answer as text, in three levels: detailed (what every hook did), summary (a line a hop), minimal (the fate alone).
import type { Packet } from '../model/packet.ts';
import type { Answer, Course, Hop, Trace } from '../model/trace.ts';
import { PLAIN, type Palette } from './palette.ts';
import { advice, balanced, conditions, decisive, location, packet, path, place, probability, translations, verdictOf, endpoint } from './phrase.ts';
import { tableBlock, tableRows, type Row } from './tablerow.ts';

export type Level = 'detailed' | 'summary' | 'minimal';

export interface TextOptions {
  readonly level?: Level;
  /** Every matching rule in full, jumps and rules without effect included. */
  readonly wide?: boolean;
  readonly palette?: Palette;
}

/** The answer to one question, ending in a newline. */
export function answerText(answer: Answer, options: TextOptions = {}): string {
  const level = options.level ?? 'detailed';
  const palette = options.palette ?? PLAIN;
  const out: string[] = [palette.strong(packet(answer.question.packet))];
  if (level !== 'minimal') {
    out.push(...namesText(answer));
    for (const note of answer.question.notes) out.push(`  ${note}`);
  }
  const fates = groupByFate(answer.courses);
  for (const [i, fate] of fates.entries()) {
    if (level !== 'minimal') out.push('');
    if (fates.length > 1) out.push(palette.strong(`outcome ${i + 1} of ${fates.length}${likelihood(fate)}`));
    out.push(...fateText(fate, level, options.wide ?? false, palette));
  }
  if (level !== 'minimal') {
    if (answer.bounded)
      out.push('', palette.doubtful(`There are more courses than the ${answer.courses.length} followed here: the rest was not looked at.`));
    for (const f of answer.findings) out.push(`${f.severity}: ${location(f.at)}: ${f.message}${f.hint ? ` (${f.hint})` : ''}`);
    if (fates.length > 1 || answer.verdict === 'cannot-tell') out.push('', overall(answer, palette));
  } else out.push(answer.verdict);
  return `${out.join('\n')}\n`;
}

/** Names that are told one by one, where the packet is introduced. */
const MOST_NAMES = 8;

function namesText({ names = {} }: Answer): string[] {
  const lines = Object.entries(names).map(([addr, name]) => `  ${addr} = ${name}`);
  return lines.length <= MOST_NAMES
    ? lines
    : [...lines.slice(0, MOST_NAMES), `  ... and ${lines.length - MOST_NAMES} more names (-o json lists them all)`];
}

function overall(answer: Answer, palette: Palette): string {
  switch (answer.verdict) {
    case 'yes':
      return palette.good('It works in every outcome.');
    case 'no':
      return palette.bad(answer.courses.some((c) => c.verdict === 'yes') ? 'It works only sometimes.' : 'It does not work.');
    case 'cannot-tell':
      return palette.doubtful(`CANNOT TELL: ${dependsOn(answer)}`);
  }
}

/** What the fate hangs on: the suppositions of the courses, or the line that nobody could read. */
function dependsOn(answer: Answer): string {
  const open = answer.courses.flatMap((c) =>
    c.trace.assumptions.filter((a) => a.forked && a.probability === undefined).map((a) => a.what.replace(/^not so: /, '')),
  );
  if (open.length > 0) return `it depends on whether ${[...new Set(open)].join(', and whether ')}`;
  return answer.courses.find((c) => c.verdict === 'cannot-tell')?.trace.outcome.why || 'what was not captured';
}

/** Courses whose fate reads the same are told once, with the ways in which they differ. */
function groupByFate(courses: readonly Course[]): Course[][] {
  const groups = new Map<string, Course[]>();
  for (const c of courses) {
    const { outcome, reply, translated } = c.trace;
    const key = [
      outcome.kind,
      place(outcome),
      outcome.device,
      location(outcome.at),
      reply?.outcome.kind,
      location(reply?.outcome.at),
      translated.src !== undefined,
      translated.dst !== undefined,
    ].join('|');
    groups.set(key, [...(groups.get(key) ?? []), c]);
  }
  return [...groups.values()];
}

function likelihood(fate: readonly Course[]): string {
  // sums make sense only where nothing else is supposed
  if (fate.some((c) => c.trace.assumptions.some((a) => a.forked && a.probability === undefined))) return '';
  const sum = fate.reduce((n, c) => n + c.trace.probability, 0);
  return sum >= 1 - 1e-9 ? '' : ` (probability ${probability(sum)})`;
}

/** Ways to one fate that are told one by one. */
const MOST_WAYS = 6;

function fateText(fate: readonly Course[], level: Level, wide: boolean, palette: Palette): string[] {
  const [first] = fate as [Course, ...Course[]];
  const out: string[] = [];
  if (level === 'minimal') return minimal(fate);
  out.push(...(level === 'detailed' ? detailed(first.trace, wide) : summary(first.trace)), '');
  if (fate.length > 1) {
    out.push(`${fate.length} ways to end like this, told for the first:`);
    for (const c of fate.slice(0, MOST_WAYS)) out.push(...variant(c, fate));
    if (fate.length > MOST_WAYS) out.push(`  ... and ${fate.length - MOST_WAYS} more (-o json lists them all)`);
  }
  const verdict = verdictOf(first);
  out.push(first.verdict === 'yes' ? palette.good(verdict) : first.verdict === 'no' ? palette.bad(verdict) : palette.doubtful(verdict));
  for (const t of fate.length > 1 ? [] : translations(first.trace)) out.push(`Translated: ${t}`);
  for (const line of decisive(first)) out.push(`${first.verdict === 'yes' ? 'Not translated' : 'Decisive'}: ${line}`);
  const common = first.trace.assumptions.filter((a) => fate.every((c) => c.trace.assumptions.some((b) => b.what === a.what)));
  for (const a of common)
    if (a.probability === undefined)
      out.push(`${a.forked ? 'If' : 'Taken for granted'}: ${a.what}${a.at ? ` (${location(a.at)})` : ''}`.replace('If: not so: ', 'If not: '));
  const todo = first.verdict === 'yes' ? undefined : advice(first);
  if (todo !== undefined) out.push(`What to do: ${todo}.`);
  return out;
}

function variant(c: Course, fate: readonly Course[]): string[] {
  const chance = c.trace.probability > 1 - 1e-9 ? '' : `${probability(c.trace.probability)}  `;
  const to = c.trace.translated.dst ? `to ${c.trace.translated.dst.to}` : `as ${packet(c.trace.final)}`;
  const why = c.trace.assumptions.filter((a) => a.probability !== undefined).at(-1);
  const own = c.trace.assumptions.filter(
    (a) => a.probability === undefined && !fate.every((d) => d.trace.assumptions.some((b) => b.what === a.what)),
  );
  return [
    `  ${chance}${to}${why ? `  (${why.what})` : ''}`,
    ...own.map((a) => `       ${a.forked ? `if ${a.what}`.replace('if not so: ', 'if not: ') : `taken for granted: ${a.what}`}`),
  ];
}

function minimal(fate: readonly Course[]): string[] {
  const told = fate.map((c) => wayText(c).join('\n'));
  const ways = [...new Set(told)];
  const more = ways.length > MOST_WAYS ? [`... and ${ways.length - MOST_WAYS} more ways`] : [];
  return [...ways.slice(0, MOST_WAYS).flatMap((way) => way.split('\n')), ...more];
}

function wayText(c: Course): string[] {
  const { trace } = c;
  const chance = trace.probability > 1 - 1e-9 ? '' : ` probability ${probability(trace.probability)}`;
  const lines = [`${path(trace.hops)}: ${trace.reply ? requestEnd(trace) : trace.outcome.kind}${exit(trace)}${chance}`];
  const { src, dst } = trace.translated;
  for (const s of dst?.steps ?? []) lines.push(`  ${place(s)} dst ${s.from} -> ${s.to}`);
  for (const s of src?.steps ?? []) lines.push(`  ${place(s)} src ${s.from} -> ${s.to}`);
  if (!src && c.nearMisses.length > 0)
    lines.push(...c.nearMisses.map((m) => `  near miss ${m.chain} ${m.number}: ${conditions(m.reason).find((x) => x.truth === 'NO')?.text ?? ''}`));
  if (trace.reply) lines.push(`reply ${path(trace.reply.hops)}: ${trace.reply.outcome.kind}`);
  if (trace.outcome.kind === 'reply-lost') lines.push(`reply-lost at ${place(trace.outcome)}`);
  return lines;
}

/** Which way a packet left, where it did. */
function exit(t: Trace): string {
  const { kind, device, nextHop } = t.outcome;
  return kind === 'left' ? ` by ${device ?? '?'} to ${nextHop ?? '?'}` : '';
}

/** How the request itself ended, where the round trip ended otherwise. */
function requestEnd(t: Trace): string {
  return t.hops.at(-1)?.steps.some((s) => s.step === 'deliver')
    ? 'delivered'
    : t.hops.at(-1)?.steps.some((s) => s.step === 'leave')
      ? 'left'
      : t.outcome.kind;
}

function summary(t: Trace): string[] {
  const line = (hop: Hop, n: number): string => {
    const doings = hop.steps.flatMap((s): string[] => {
      if ((s.step === 'nat' || s.step === 'ipvs') && s.manip) return [`${s.manip} ${s.from} -> ${s.to}`];
      if (s.step === 'leave') return [`out ${s.device} to ${s.to}`];
      if (s.step === 'deliver') return ['delivered'];
      if (s.step === 'bridge') return [`${s.bridge}: ${s.in ?? 'host'} to ${s.out ?? 'nowhere'}`];
      if (s.step === 'encapsulate') return [`into ${s.device}`];
      if (s.step === 'decapsulate') return [`out of ${s.device}`];
      if (s.step === 'enter') return s.local ? ['sends'] : [`in ${s.device ?? '?'}`];
      return s.step === 'rule' && s.truth !== false && /^(drop|reject)/.test(s.did ?? '') ? [`${s.chain} ${s.number} ${s.did}`] : [];
    });
    return `${n} ${place(hop)}: ${doings.join(', ')}`;
  };
  const there = t.hops.map((h, i) => line(h, i + 1));
  const back = t.reply?.hops.map((h, i) => line(h, t.hops.length + i + 1)) ?? [];
  return [...there, ...(t.reply ? [`reply ${packet(t.reply.packet)}`, ...back] : [])];
}

function detailed(t: Trace, wide: boolean): string[] {
  const rows: (Row | string)[] = [];
  let n = 1;
  for (const hop of t.hops) rows.push(...hopRows(hop, n++, wide));
  if (t.reply) {
    rows.push(`reply ${packet(t.reply.packet)}`);
    for (const hop of t.reply.hops) rows.push(...hopRows(hop, n++, wide));
  }
  const width = (pick: (r: Row) => string, most: number): number =>
    Math.min(most, Math.max(...rows.map((r) => (typeof r === 'string' ? 0 : pick(r).length))));
  const [a, b, c] = [width((r) => r.where, 24), width((r) => r.what, 28), width((r) => r.text, 84)];
  return rows.map((r) =>
    typeof r === 'string' ? r : `${r.where.padEnd(a)}  ${r.what.padEnd(b)}  ${r.text.padEnd(r.at ? c : 0)}${r.at ? `  ${r.at}` : ''}`.trimEnd(),
  );
}

/** The rows of one hop: its name, then hook by hook what happened there. */
function hopRows(hop: Hop, n: number, wide: boolean): Row[] {
  const rows: Row[] = [];
  let hook = '';
  const add = (what: string, text: string, at = '', under = ''): void => {
    const head = rows.length === 0 ? `${n} ${place(hop)}` : under !== '' && under !== hook ? `  ${under}` : '';
    if (under !== '') hook = under;
    rows.push({ where: head, what, text, at });
  };
  for (let i = 0; i < hop.steps.length; i++) {
    const s = hop.steps[i]!;
    switch (s.step) {
      case 'enter':
        if (s.local) add('sends', packet(s.packet));
        else add('in', s.device ?? 'an interface that is not known');
        break;
      case 'rule':
      case 'skipped':
      case 'return':
      case 'policy': {
        const block = tableBlock(hop.steps, i);
        for (const r of tableRows(block, wide)) add(r.what, r.text, r.at, s.hook);
        i += block.length - 1;
        break;
      }
      case 'conntrack':
        if (wide || s.state !== 'NEW')
          add('conntrack', `${s.state}${s.direction === 'reply' ? ', reply direction' : ''}${s.why ? `: ${s.why}` : ''}`, location(s.at), s.hook);
        break;
      case 'nat':
        add(
          'nat',
          `${s.manip === 'src' ? 'source' : 'destination'} ${s.from} -> ${s.to}${s.because === 'rule' ? '' : `: ${s.because === 'connection' && !s.at ? 'the connection is translated' : s.because === 'connection' ? `as ${s.why ?? 'the connection'} decided` : (s.why ?? '')}`}`,
          location(s.at),
          s.hook,
        );
        break;
      case 'ipvs':
        add('ipvs', balanced(s), location(s.at), s.hook);
        break;
      case 'route':
        add(
          'route',
          `${s.purpose === 'source' ? 'reverse path: ' : s.purpose === 'reroute' ? 'again: ' : ''}${s.text}${s.rule ? ` (rule ${s.rule.text}, ${location(s.rule.at)})` : ''}`,
          location(s.at),
        );
        break;
      case 'neighbour':
        // what somebody wrote into the table is worth telling; what was just asked for is not
        if (wide || hop.steps[i + 1]?.step !== 'leave' || s.result.endsWith('(PERMANENT)')) add('neighbour', s.result, location(s.at));
        break;
      case 'leave':
        add('out', `${s.device} to ${s.to}${changed(hop, s.packet)}`);
        break;
      case 'bridge':
        add('bridge', `${s.bridge}: ${s.in ?? 'from the host'} -> ${s.out ?? 'nowhere'}, ${s.result}`, location(s.at));
        break;
      case 'encapsulate':
        add('into', `${s.device} (${s.kind}): ${s.how}`, location(s.at));
        break;
      case 'decapsulate':
        add('out of', `${s.device}: ${packet(s.packet)}`);
        break;
      case 'deliver':
        add('delivered', packet(s.packet));
        break;
      case 'assume':
        add('assumed', s.what);
        break;
    }
  }
  return rows;
}

/** How a packet that leaves differs from what came in. */
function changed(hop: Hop, out: Packet): string {
  const first = hop.steps.find((s) => s.step === 'enter');
  if (!first) return '';
  const [was, is] = [endpoint(first.packet, 'src'), endpoint(out, 'src')];
  const from = was !== is ? `, now from ${is}` : first.local ? '' : `, still from ${is}`;
  return `${from}${endpoint(first.packet, 'dst') === endpoint(out, 'dst') ? '' : `, now to ${endpoint(out, 'dst')}`}`;
}
