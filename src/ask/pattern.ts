// The closed catalogue of known patterns: a fault that has a name, seen in the model and in the walk. A hit is a claim; whether it is
// the cause is for a simulation to say.
import type { Span } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { Answer } from '../model/trace.ts';
import { failuresOf, type Failure } from './failure.ts';
import { LINK_PATTERNS } from './patternlink.ts';
import { LOG_PATTERNS } from './patternlog.ts';
import { NAT_PATTERNS } from './patternnat.ts';
import { ROUTE_PATTERNS } from './patternroute.ts';
import { RULE_PATTERNS } from './patternrule.ts';
import { SERVICE_PATTERNS } from './patternservice.ts';

/** A fault with a name. */
export interface Pattern {
  readonly code: PatternCode;
  find(world: World, answer: Answer): readonly PatternHit[];
}

/** The fault as it is in these captures. */
export interface PatternHit {
  readonly code: PatternCode;
  /** One or two sentences that name the object. */
  readonly message: string;
  /** The captured line that shows it. */
  readonly at: Span;
  /** Other lines that bear it out. */
  readonly evidence: readonly Span[];
  /** What to change for good. */
  readonly durable?: string;
}

/** A hit before it has its code. */
export type Sight = Omit<PatternHit, 'code'>;

/** How a pattern is told from a failed course. */
export type Look = (f: Failure) => Sight | undefined;

/** All codes, the most telling first: who wrote no rules, before what is missing without them; what somebody set, before what follows from it. */
export const PATTERN_CODES = [
  'order-ambiguous',
  'ipset-revision',
  'no-endpoints',
  'etp-local-no-endpoint',
  'agent-not-authorised',
  'restore-refused',
  'backend-split',
  'chain-missing',
  'kube-proxy-absent',
  'ipvs-conn-reuse',
  'forward-policy-drop',
  'foreign-reject',
  'forwarding-off',
  'hairpin-off',
  'bridge-nf-off',
  'wire-denies',
  'mtu',
  'vip-split',
  'duplicate-address',
  'nat-skipped-by-set-overlap',
  'pool-overlaps-network',
  'overlapping-subnets',
  'bridge-outside-subnet',
  'stale-neighbour',
  'stale-fdb',
  'rp-filter-drop',
  'nat-ended-early',
  'no-cluster-cidr',
  'asymmetric-reply',
  'reply-not-translated',
  'vip-unowned',
  'route-missing',
  'double-masquerade',
  'wrong-target-port',
] as const;

export type PatternCode = (typeof PATTERN_CODES)[number];

/** A pattern that shows in failed courses only. */
function ofFailures(code: PatternCode, look: Look): Pattern {
  return {
    code,
    find: (world, answer) => failuresOf(world, answer).flatMap((f) => hit(code, look(f))),
  };
}

function hit(code: PatternCode, seen: Sight | undefined): PatternHit[] {
  return seen ? [{ code, ...seen }] : [];
}

/** Patterns that show in what is delivered, too. */
export type Watch = (world: World, answer: Answer) => Sight | undefined;

const LOOKS: Readonly<Partial<Record<PatternCode, Look>>> = {
  ...RULE_PATTERNS,
  ...NAT_PATTERNS.failed,
  ...SERVICE_PATTERNS.failed,
  ...ROUTE_PATTERNS,
  ...LINK_PATTERNS.failed,
  ...LOG_PATTERNS,
};
const WATCHES: Readonly<Partial<Record<PatternCode, Watch>>> = { ...NAT_PATTERNS.always, ...LINK_PATTERNS.always, ...SERVICE_PATTERNS.always };

/** The catalogue, in the order of how telling its patterns are. */
export const PATTERNS: readonly Pattern[] = PATTERN_CODES.flatMap((code) => {
  const [look, watch] = [LOOKS[code], WATCHES[code]];
  return [...(look ? [ofFailures(code, look)] : []), ...(watch ? [{ code, find: (w: World, a: Answer) => hit(code, watch(w, a)) }] : [])];
});

/** Every known pattern that shows in an answer, the most telling first; what several courses show is told once. */
export function patternsOf(world: World, answer: Answer): readonly PatternHit[] {
  const seen = new Set<string>();
  return PATTERNS.flatMap((p) => p.find(world, answer)).filter(({ code, message }) => {
    const key = `${code} ${message}`;
    return !seen.has(key) && seen.add(key);
  });
}
