// The cause of a fate and the proved cures, in words.
import type { Span } from '../model/finding.ts';
import type { WhyAnswer } from '../model/explanation.ts';
import type { Course, Verdict } from '../model/trace.ts';
import { PLAIN, type Palette } from './palette.ts';
import { advice, decisive, location, packet, verdictOf } from './phrase.ts';

/** What `why` found, as this room needs it. */
export interface Explained {
  readonly expected: { readonly kind: string; readonly to?: string };
  readonly met: boolean;
  readonly courses: readonly Course[];
  /** Faults that have a name, most telling first; `proof` is the place among the cures of the one that undoes it. */
  readonly patterns: readonly {
    readonly code: string;
    readonly message: string;
    readonly at: Span;
    readonly durable?: string;
    readonly proof?: number;
    /** The cure does what somebody's missing rules would, and the fault stays. */
    readonly standsIn?: boolean;
  }[];
  /** What would have to be otherwise, most likely first: what it is, and the place of the cure that proves it. */
  readonly causes: readonly { readonly things: readonly string[]; readonly code?: string; readonly proof: number }[];
  readonly cures: readonly CureSaid[];
  readonly nearest?: CureSaid;
  readonly tried: number;
  readonly budget: number;
}

export interface CureSaid {
  readonly commands: readonly string[];
  /** What it supposes instead of commands. */
  readonly supposes?: string;
  readonly outcome: Course;
  readonly sideEffects: readonly { readonly name: string; readonly before: Verdict; readonly after: Verdict }[];
}

/** Names that are told. */
const MOST_NAMES = 2;
/** Cures that are told. */
const MOST = 5;

export function whyText(e: Explained, palette: Palette = PLAIN): string {
  const out: string[] = [];
  const wanted = `${e.expected.kind}${e.expected.to === undefined ? '' : ` ${e.expected.to}`}`;
  const [first] = e.courses;
  if (!first) return '';
  out.push(palette.strong(packet(first.trace.packet)), '');
  if (e.met) {
    const [shown] = e.patterns;
    out.push(palette.good(verdictOf(first)), `Nothing is wrong${shown ? ' with the way' : ''}: it is ${wanted}, as expected.`);
    // what may be wrong all the same: nobody listens there, two machines have the address
    if (shown) out.push(named(shown, ''), ...(shown.durable === undefined ? [] : ['', `In the long run: ${shown.durable.replace(/\.$/, '')}.`]));
    return `${out.join('\n')}\n`;
  }
  const failing = e.courses.find((c) => c.verdict !== 'yes') ?? first;
  out.push(palette.bad(verdictOf(failing)));
  for (const [i, line] of decisive(failing).entries()) out.push(`${i === 0 ? 'Cause' : '  and'}: ${line}`);
  const proved = e.patterns.filter((p) => p.proof !== undefined);
  for (const p of proved.slice(0, MOST_NAMES))
    out.push(named(p, p.standsIn ? ` (cure ${p.proof! + 1} does what its rules would)` : ` (cure ${p.proof! + 1} undoes it)`));
  // what shows without a proof is told where nothing better is, and as what it is
  for (const p of e.patterns.filter((x) => x.proof === undefined).slice(0, MOST_NAMES - proved.length))
    out.push(named(p, ' (it shows; that it is the cause is not proved)'));
  out.push('');
  if (e.cures.length > 0) {
    out.push(`Proved cures (each was simulated and gives: ${wanted}):`);
    for (const [i, c] of e.cures.slice(0, MOST).entries()) out.push(...cureText(c, `${i + 1}.`), ...lossText(c, failing));
    if (e.cures.length > MOST) out.push(`  ... and ${e.cures.length - MOST} more (-o json lists them all)`);
  } else {
    out.push(`No cure was found: of ${e.tried} changes tried (--budget ${e.budget}) none gives: ${wanted}.`);
    if (!e.nearest) out.push('None of them changes how it ends.');
    else out.push('Nearest:', ...cureText(e.nearest, ' '), `  which ends: ${verdictOf(e.nearest.outcome)}`);
  }
  const durable = e.patterns.find((p) => p.durable !== undefined)?.durable ?? advice(failing);
  if (durable !== undefined) out.push('', `In the long run: ${durable.replace(/\.$/, '')}.`);
  return `${out.join('\n')}\n`;
}

function named(p: Explained['patterns'][number], proof: string): string {
  return `Named ${p.code}${proof}: ${p.message} (${[location(p.at), `netwhy explain ${p.code}`].filter((x) => x !== '').join('; ')})`;
}

/** The same for programs: `netwhy schema why`. */
export function whyJson(e: Explained): WhyAnswer {
  const failing = e.courses.find((c) => c.verdict !== 'yes') ?? e.courses[0];
  const bare = ({ commands, supposes, sideEffects, outcome }: CureSaid): WhyAnswer['cures'][number] => ({
    commands: [...commands],
    ...(supposes !== undefined && { supposes }),
    outcome: verdictOf(outcome),
    sideEffects: sideEffects.map((s) => ({ ...s })),
  });
  return {
    expected: `${e.expected.kind}${e.expected.to === undefined ? '' : ` ${e.expected.to}`}`,
    met: e.met,
    outcome: failing ? verdictOf(failing) : '',
    cause: e.met || !failing ? [] : decisive(failing),
    causes: e.causes.map(({ things, code, proof }) => ({ things: [...things], ...(code !== undefined && { code }), cure: proof })),
    patterns: e.patterns.map(({ code, message, at, proof }) => ({ code, message, at: location(at), proved: proof !== undefined })),
    cures: e.cures.map(bare),
    ...(e.nearest && { nearest: bare(e.nearest) }),
    tried: e.tried,
    budget: e.budget,
  };
}

/** A packet that fared well, and with the cure does not. */
function lossText({ outcome }: CureSaid, before: Course): string[] {
  return before.verdict === 'yes' && outcome.verdict !== 'yes' ? [`     but then: ${verdictOf(outcome)}`] : [];
}

function cureText(c: CureSaid, head: string): string[] {
  const better = c.sideEffects.filter((s) => s.after === 'yes');
  return [
    ...(c.supposes === undefined
      ? c.commands.map((command, i) => `  ${i === 0 ? head : ' '.repeat(head.length)} ${command}`)
      : [`  ${head} no command on a node: suppose that ${c.supposes}`]),
    ...(better.length > 0 ? [`     also cures: ${better.map((s) => `'${s.name}'`).join(', ')}`] : []),
    ...c.sideEffects.filter((s) => s.after !== 'yes').map((s) => `     but '${s.name}' goes from ${s.before} to ${s.after}`),
  ];
}
