// Why a packet does not fare as expected, most likely reason first. A fault with a name is a cause only where a cure that undoes it was
// proved; what cures it without having a name is one too.
import type { Span } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { PatternCode, PatternHit } from './pattern.ts';
import { isSameThing, thingAt, thingOf, type Thing } from './thing.ts';
import type { Cure, Explanation } from './why.ts';

/** Something that is otherwise than it would have to be. */
export interface Cause {
  /** What it is about: what the cure changes, and the lines that show the fault. */
  readonly things: readonly Thing[];
  /** The cure that undoes it, proved by simulation. */
  readonly proof: Cure;
  /** The fault's name and words, where it has any. */
  readonly named?: PatternHit;
  readonly code?: PatternCode;
  readonly at?: Span;
}

/** What is known of why: causes that a cure proves, and faults that show but are not proved to be the cause. */
export interface Causes {
  readonly causes: readonly Cause[];
  readonly notes: readonly PatternHit[];
}

export function causesOf(world: World, { answer, cures }: Pick<Explanation, 'answer' | 'cures'>, hits: readonly PatternHit[]): Causes {
  const ends = answer.courses.flatMap(({ trace: t }) => [t.outcome, ...(t.reply ? [t.reply.outcome] : [])]);
  const decided = ends.flatMap(({ at }) => (at && thingAt(world, at)) ?? []);
  // what is supposed undoes what decided, whatever stands for it in the model
  const changed = cures.map((cure) => ({
    cure,
    things: [...cure.edits.flatMap((e) => thingOf(e) ?? []), ...(cure.supposes === undefined ? [] : decided)],
  }));
  const causes: Cause[] = [];
  const notes: PatternHit[] = [];
  for (const hit of hits) {
    const shown = [hit.at, ...hit.evidence].flatMap((at) => thingAt(world, at) ?? []);
    const isUndone = (t: Thing): boolean => shown.some((s) => isSameThing(s, t)) || (UNDOING[hit.code]?.(t, nodeOf(world, hit)) ?? false);
    const does = DOING[hit.code];
    const proof = changed.find(({ cure, things }) => things.some(isUndone) && (does === undefined || does(cure)));
    if (proof) causes.push({ things: [...proof.things, ...shown], proof: proof.cure, named: hit, code: hit.code, at: hit.at });
    else notes.push(hit);
  }
  for (const { cure, things } of changed) {
    const isTold = (t: Thing): boolean => causes.some((c) => c.things.some((x) => isSameThing(x, t)));
    if (things.length > 0 && !things.every(isTold)) causes.push({ things, proof: cure });
  }
  return { causes, notes };
}

/** The node that a hit's line was captured on. */
function nodeOf(world: World, { at }: PatternHit): string | undefined {
  return world.namespaces.find((n) => at.file.startsWith(`${n.node}/`))?.node;
}

type Undoing = (changed: Thing, node: string | undefined) => boolean;

const bringsRoute: Undoing = ({ kind }) => kind === 'route';
/** What rules that are not there would have done is done by another one. */
const translatesThere: Undoing = ({ kind, node, name }, own) => kind === 'chain' && node === own && name.startsWith('nat ');

/** What undoes a fault whose line is not itself what has to be changed: what is missing stands in no line. */
const UNDOING: Readonly<Partial<Record<PatternCode, Undoing>>> = {
  'route-missing': bringsRoute,
  'overlapping-subnets': bringsRoute,
  'bridge-outside-subnet': bringsRoute,
  'vip-unowned': ({ kind }) => kind === 'address',
  'kube-proxy-absent': translatesThere,
  'restore-refused': translatesThere,
  'chain-missing': translatesThere,
  'no-cluster-cidr': translatesThere,
  'asymmetric-reply': translatesThere,
  'reply-not-translated': translatesThere,
  'nat-ended-early': translatesThere,
  'etp-local-no-endpoint': translatesThere,
  'ipvs-conn-reuse': ({ kind, node, name }, own) => kind === 'sysctl' && node === own && name.startsWith('net.ipv4.vs.'),
};

const isTranslation = (c: Cure): boolean =>
  c.supposes !== undefined || c.edits.some((e) => /DNAT|MASQUERADE|dnat to|masquerade|^ipvsadm -[aAe]/.test(e.command));

/** What a cure has to do besides: that a packet is let through where a service has nobody behind it does not give it an endpoint. */
const DOING: Readonly<Partial<Record<PatternCode, (c: Cure) => boolean>>> = {
  'no-endpoints': isTranslation,
  'etp-local-no-endpoint': isTranslation,
};

/** Faults of who writes rules: a cure does what its rules would, and the fault stays. */
export const STANDS_IN: ReadonlySet<PatternCode> = new Set<PatternCode>([
  'agent-not-authorised',
  'restore-refused',
  'kube-proxy-absent',
  'chain-missing',
  'ipset-revision',
]);
