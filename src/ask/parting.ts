// Where the walks of one question through two worlds part: the first thing that decided otherwise, and what stands in its place on the
// other side. Rules that have no effect, and an ACCEPT in the place of another, part nothing.
import type { Counterpart, Fact, Parting, PartingSide, RuleStep } from '../model/comparison.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Hop, Outcome, Reason, Step, Trace } from '../model/trace.ts';
import { formatAddr } from '../net/addr.ts';
import type { Naming } from './alike.ts';
import { factsAt, factsLike, sameTable } from './structure.ts';

/** A walk through one of the two worlds; of a walk whose every rule is told. */
export interface Walked {
  readonly world: World;
  readonly trace: Trace;
}

/** A step of a round trip, or its end; with a key where it decides. */
interface Stop {
  readonly hop: Hop;
  readonly back: boolean;
  readonly step?: Step;
  readonly end?: Outcome;
  readonly key?: string;
}

/** The first step where two walks part; undefined where they do not. */
export function partingOf(a: Walked, b: Walked, naming: Naming): Parting | undefined {
  const found = partingBy(a, b, naming, false);
  // where a mark decides, whoever set it does
  const hangsOnMark = [found?.a, found?.b].some((side) => side?.instead.some((c) => c.kind === 'missed' && falseField(c.rule.reason)));
  return hangsOnMark ? (partingBy(a, b, naming, true) ?? found) : found;
}

function partingBy(a: Walked, b: Walked, naming: Naming, marks: boolean): Parting | undefined {
  const [mine, theirs] = [stopsOf(a.trace, naming, marks), stopsOf(b.trace, naming, marks)];
  let [i, j] = [nextKey(mine, 0), nextKey(theirs, 0)];
  let [from, to] = [0, 0];
  while (i >= 0 && j >= 0 && mine[i]!.key === theirs[j]!.key) {
    [from, to] = [i, j];
    [i, j] = [nextKey(mine, i + 1), nextKey(theirs, j + 1)];
  }
  if (i < 0 || j < 0) return undefined;
  const sideA = { walked: a, stop: mine[i]!, passage: mine.slice(from, i + 1) };
  const sideB = { walked: b, stop: theirs[j]!, passage: theirs.slice(to, j + 1) };
  const [first, second] = [passing(sideA, sideB), passing(sideB, sideA)];
  return {
    back: sideA.stop.back || sideB.stop.back,
    a: tell(first, second, naming),
    b: tell(second, first, naming),
  };
}

/** Where the other side is refused by a table, what let the packet through it here is where they part. */
function passing(own: Part, other: Part): Part {
  const { step } = other.stop;
  if (!isRefusal(step)) return own;
  const at = own.passage.findLastIndex((s) => isPassed(s.step, step));
  return at < 0 ? own : { ...own, stop: own.passage[at]!, passage: own.passage.slice(0, at + 1) };
}

function nextKey(stops: readonly Stop[], from: number): number {
  return stops.findIndex((s, i) => i >= from && s.key !== undefined);
}

function stopsOf(t: Trace, naming: Naming, marks: boolean): Stop[] {
  const way = (one: Trace, back: boolean): Stop[] =>
    one.hops.flatMap((hop) =>
      hop.steps.map((step): Stop => {
        const key = keyOf(hop, step, naming, marks);
        return { hop, back, step, ...(key !== undefined && { key: naming.text(key) }) };
      }),
    );
  const last = t.reply ?? t;
  const { outcome } = last;
  const hop = last.hops.at(-1) ?? { node: outcome.node, namespace: outcome.namespace, steps: [] };
  const end: Stop = { hop, back: last !== t, end: outcome, key: `end ${outcome.kind}` };
  return [...way(t, false), ...(t.reply ? way(t.reply, true) : []), end];
}

/** What a step decides; undefined where it decides nothing, or nothing that the next ones do not show. */
function keyOf(hop: Hop, s: Step, naming: Naming, marks: boolean): string | undefined {
  const place = `${naming.node(hop.node)}/${hop.namespace}`;
  switch (s.step) {
    case 'enter':
      return s.local ? `sends ${place}` : `in ${place} ${s.device ?? ''}`;
    case 'rule': {
      if (s.truth === false) return undefined;
      const effects = (s.did ?? '')
        .split(', ')
        .filter((d) => d !== '' && !/^(accept|return|continue|jump|goto|which has no rules|dnat|snat|masquerade|redirect|netmap)\b/.test(d))
        .filter((d) => marks || !/^(ct)?mark /.test(d));
      const telling = s.then.some((x) => x.kind !== 'note') ? effects : [];
      return telling.length === 0 ? undefined : `${s.hook} ${s.table} ${telling.join(', ')}`;
    }
    case 'policy':
      return s.verdict === 'drop' ? `${s.hook} ${s.table} drop` : undefined;
    case 'nat':
      return `nat ${s.hook} ${s.manip} ${s.from} ${s.to}`;
    case 'ipvs':
      return `ipvs ${s.hook} ${s.did} ${s.server ?? ''}`;
    case 'conntrack':
      return s.state === 'NEW' || s.direction === 'reply' ? undefined : `conntrack ${s.state}`;
    case 'route':
      // the source address that it gives is as much of it as the way
      return s.purpose === 'source' ? undefined : `route ${s.purpose} ${s.result} ${/ src \S+/.exec(s.text)?.[0] ?? ''}`;
    case 'bridge':
      return `bridge ${s.bridge} ${s.in ?? ''} ${s.out ?? ''}`;
    case 'encapsulate':
      return `into ${s.device} ${formatAddr(s.packet.dst)}`;
    case 'decapsulate':
      return `out of ${s.device}`;
    case 'leave':
      return `out ${s.device} ${s.to}`;
    case 'deliver':
      return `deliver ${place}`;
    case 'neighbour':
    case 'skipped':
    case 'return':
    case 'assume':
      return undefined;
  }
}

interface Part {
  readonly walked: Walked;
  readonly stop: Stop;
  /** From the last stop that both have, to where they part. */
  readonly passage: readonly Stop[];
}

function tell(own: Part, other: Part, naming: Naming): PartingSide {
  const { stop } = own;
  const rule = stop.step?.step === 'nat' ? ruleAt(own, stop.step.at) : undefined;
  return {
    node: stop.hop.node,
    namespace: stop.hop.namespace,
    ...(stop.step && { step: stop.step }),
    ...(stop.end && { end: stop.end }),
    ...(rule && { rule }),
    instead: insteadOf(other, own, naming),
  };
}

function ruleAt(part: Part, at: Fact['at'] | undefined): RuleStep | undefined {
  for (const { step } of part.passage) if (step?.step === 'rule' && at && step.at.file === at.file && step.at.line === at.line) return step;
  return undefined;
}

/** What `own` has in the place of what decided on the other side. */
function insteadOf(other: Part, own: Part, naming: Naming): Counterpart[] {
  const { step } = other.stop;
  const decided = step?.step === 'nat' ? ruleAt(other, step.at) : step?.step === 'rule' ? step : undefined;
  // who was refused before that was never asked
  const { stop } = own;
  const isStopped = stop.end !== undefined || (stop.step?.step === 'bridge' && stop.step.out === undefined) || isRefusal(stop.step);
  const asked = decided && (!isStopped || (isRefusal(stop.step) && stop.step.table === decided.table));
  const at = stop.end?.at ?? (stop.step && 'at' in stop.step ? stop.step.at : undefined);
  // what the step itself says need not be said again
  const facts = factsInstead(other, own, naming).filter((c) => c.kind !== 'fact' || c.fact.at.file !== at?.file || c.fact.at.line !== at.line);
  return [...(asked ? ruleInstead(decided, other, own, naming) : []), ...facts];
}

function isRefusal(s: Step | undefined): s is Extract<Step, { step: 'rule' | 'policy' }> {
  return (s?.step === 'policy' && s.verdict === 'drop') || (s?.step === 'rule' && /\b(drop|reject)\b/.test(s.did ?? ''));
}

/** Whether this is how the table that refused the packet elsewhere let it through. */
function isPassed(s: Step | undefined, refused: Extract<Step, { step: 'rule' | 'policy' }>): boolean {
  if ((s?.step !== 'policy' && s?.step !== 'rule') || s.hook !== refused.hook || s.table !== refused.table) return false;
  return s.step === 'policy' ? s.verdict === 'accept' : s.truth !== false && /\baccept\b/.test(s.did ?? '');
}

function ruleInstead(decided: RuleStep, other: Part, own: Part, naming: Naming): Counterpart[] {
  const [text, chain] = [naming.text(decided.text), naming.text(decided.chain)];
  for (const { step } of own.passage) {
    if (step?.step !== 'rule' || step.hook !== decided.hook || step.table !== decided.table) continue;
    if (naming.text(step.chain) !== chain || naming.text(step.text) !== text) continue;
    return step.truth === false || step.ended ? [{ kind: 'missed', rule: step }] : [];
  }
  const ns = namespaceOf(own, other, naming);
  const theirs = namespaceOf(other, other, naming)?.tables.find((t) => t.family === decided.family && (t.nft ?? t.name) === decided.table);
  if (!ns || !theirs) return [];
  const table = sameTable(ns, theirs, naming);
  if (!table) return [{ kind: 'no-table', table: decided.table }];
  const chains = Object.values(table.chains).filter((c) => naming.text(c.name) === chain);
  if (chains.length === 0) return [{ kind: 'no-chain', table: decided.table, chain: decided.chain }];
  const same = chains.flatMap((c) => c.rules).find((r) => naming.text(r.text) === text);
  if (same) return [{ kind: 'unreached', chain: decided.chain, text: same.text, at: same.at }];
  return [{ kind: 'no-rule', chain: decided.chain, text: decided.text }];
}

/** The namespace of the world of `own` in which `other` decided. */
function namespaceOf(own: Part, other: Part, naming: Naming): Namespace | undefined {
  const { node, namespace } = other.stop.hop;
  return own.walked.world.namespaces.find((n) => n.name === namespace && (n.node === node || naming.node(n.node) === naming.node(node)));
}

/** Routes, settings, neighbours, set members that decided there: what is in their place here, where that is something else. */
function factsInstead(other: Part, own: Part, naming: Naming): Counterpart[] {
  const ns = namespaceOf(own, other, naming);
  const theirs = namespaceOf(other, other, naming);
  if (!ns || !theirs) return [];
  const { step, end } = other.stop;
  const before = other.passage.findLast((s) => s.step?.step === 'neighbour')?.step;
  const spans = [
    ...(step && 'at' in step && step.step !== 'rule' && step.step !== 'policy' && step.step !== 'nat' && step.at ? [step.at] : []),
    ...(step?.step === 'rule' ? spansOf(step.reason) : step?.step === 'nat' ? spansOf(ruleAt(other, step.at)?.reason) : []),
    ...(end?.at ? [end.at] : []),
    ...(end && before?.step === 'neighbour' && before.at ? [before.at] : []),
  ];
  const found = spans.flatMap((at) => (at.file === '' ? [] : factsAt(other.walked.world, theirs, at, naming)));
  const out = new Map<string, Counterpart>();
  for (const fact of found) {
    const same = factsLike(own.walked.world, ns, fact, naming);
    if (same.some((f) => f.value === fact.value)) continue;
    out.set(`${fact.kind} ${fact.slot}`, same[0] ? { kind: 'fact', fact: same[0] } : { kind: 'no-fact', fact });
  }
  return [...out.values()];
}

/** The captured lines that the conditions of a rule were settled by. */
function spansOf(reason: Reason | undefined): Fact['at'][] {
  if (!reason) return [];
  return [...(reason.at ? [reason.at] : []), ...(reason.parts ?? []).flatMap(spansOf)];
}

/** Whether the condition that was false is about a mark. */
function falseField(reason: Reason): boolean {
  if (reason.parts) return reason.parts.some((p) => p.truth === false && falseField(p));
  const { pred } = reason;
  return (pred.kind === 'masked' || pred.kind === 'in') && (pred.field === 'mark' || pred.field === 'ctmark');
}
