// Whether packets of a class fare as a property claims.
import { formatAddr, formatEndpoint, isError, parseAddr, type Addr, type Word } from '../net/addr.ts';
import { parsePort } from '../net/proto.ts';
import type { World } from '../model/host.ts';
import { originOfStep } from '../model/origin.ts';
import type { Claims } from '../model/property.ts';
import type { Answer, Course, Step, Trace } from '../model/trace.ts';
import { placeName } from './failure.ts';
import { supposedBy } from './trace.ts';

/** A claim that does not hold, or of which nobody can tell. */
export interface Broken {
  readonly claim: keyof Claims;
  readonly truth: false | 'unknown';
  /** How it is instead, in a sentence. */
  readonly instead: string;
}

/** The first claim that the answer does not bear out; `other` is the answer to what `same-as` names. */
export function brokenBy(answer: Answer, claims: Claims, other?: Answer): Broken | undefined {
  let doubt: Broken | undefined;
  for (const [claim, wanted] of Object.entries(claims) as [keyof Claims, unknown][]) {
    if (wanted === undefined) continue;
    const found = testClaim(claim, answer, claims, other);
    if (found?.truth === false) return found;
    doubt ??= found;
  }
  return doubt;
}

function testClaim(claim: keyof Claims, answer: Answer, claims: Claims, other: Answer | undefined): Broken | undefined {
  if (claim === 'endpoints') return testEndpoints(answer, claims.endpoints!);
  if (claim === 'same-as') return testSame(answer, other);
  if (claim === 'certain')
    return (answer.verdict !== 'cannot-tell') === claims.certain
      ? undefined
      : { claim, truth: false, instead: answer.unknowns[0] ?? 'what decides is not known' };
  if (answer.courses.length === 0 || answer.bounded) return { claim, truth: 'unknown', instead: 'it may fare in more ways than are followed' };
  // chance may break a claim on no course; what nobody knows may not make the difference
  const worlds = new Map<string, Broken | undefined>();
  for (const course of answer.courses) {
    const key = supposedBy(course.trace).toSorted().join('\n');
    const truth = holds(claim, course, claims);
    const before = worlds.get(key);
    if (before?.truth !== false) worlds.set(key, truth === true ? before : { claim, truth, instead: insteadOf(course) });
  }
  const found = [...worlds.values()];
  if (found.every((b) => b === undefined)) return undefined;
  const broken = found.find((b) => b !== undefined)!;
  return found.every((b) => b?.truth === false) ? broken : { ...broken, truth: 'unknown' };
}

/** How a course ended, in short. */
function insteadOf({ trace: t }: Course): string {
  const end = t.reply && t.outcome.kind === 'reply-lost' ? t.reply.outcome : t.outcome;
  return `${t.outcome.kind} at ${placeName(end)}: ${end.why}`;
}

type Truth = boolean | 'unknown';

const ENDED_BADLY: ReadonlySet<string> = new Set([
  'dropped',
  'no-neighbour',
  'no-route',
  'blackhole',
  'martian',
  'not-forwarding',
  'not-for-us',
  'no-server',
]);

function holds(claim: keyof Claims, course: Course, claims: Claims): Truth {
  const { trace: t } = course;
  const { kind } = t.outcome;
  const arrived = kind === 'delivered' || kind === 'left' || kind === 'reply-lost';
  const open = kind === 'cannot-tell' || t.reply?.outcome.kind === 'cannot-tell';
  const is = (now: boolean, wanted: boolean | undefined): Truth => (kind === 'cannot-tell' ? 'unknown' : now === wanted);
  switch (claim) {
    case 'delivered':
      return is(arrived, claims.delivered);
    case 'reply-delivered':
      return open ? 'unknown' : (kind === 'delivered' || kind === 'left') === claims['reply-delivered'];
    case 'dropped':
      return is(ENDED_BADLY.has(kind), claims.dropped);
    case 'rejected':
      return is(kind === 'rejected' || kind === 'prohibited', claims.rejected);
    case 'masqueraded':
      return kind === 'cannot-tell' ? 'unknown' : isRefusedAtOnce(t) || (t.translated.src !== undefined) === claims.masqueraded;
    case 'snat':
      return kind === 'cannot-tell' ? 'unknown' : isRefusedAtOnce(t) || (t.translated.src !== undefined && sourceOf(t) === claims.snat);
    case 'dnat':
      return kind === 'cannot-tell' && !t.translated.dst ? 'unknown' : goesTo(t, claims.dnat!);
    case 'own-endpoints':
      return ownEndpoint(t) === claims['own-endpoints'];
    case 'passes':
      return listOf(claims.passes!).every((name) => passes(t, name)) || (kind === 'cannot-tell' ? 'unknown' : false);
    case 'avoids':
      return !listOf(claims.avoids!).some((name) => passes(t, name)) && (kind === 'cannot-tell' ? 'unknown' : true);
    case 'loop':
      return is(kind === 'loop' || kind === 'ttl-exceeded', claims.loop);
    case 'endpoints':
    case 'certain':
    case 'same-as':
      return true;
  }
}

function listOf(x: string | readonly string[]): readonly string[] {
  return typeof x === 'string' ? [x] : x;
}

/** The node that it comes from, or comes in at, refuses it: nobody ever sees its source. */
function isRefusedAtOnce(t: Trace): boolean {
  return REFUSED.has(t.outcome.kind) && t.outcome.node === t.hops[0]?.node;
}

const REFUSED: ReadonlySet<string> = new Set(
  'dropped rejected no-route blackhole prohibited martian not-forwarding too-big ttl-exceeded loop no-server'.split(' '),
);

function sourceOf(t: Trace): string {
  return t.final.undetermined?.src?.what ?? formatAddr(t.final.src);
}

function endOf(t: Trace): string {
  return formatEndpoint(t.final.dst, t.final.dport);
}

function goesTo(t: Trace, wanted: string): boolean {
  const to = t.translated.dst?.to;
  return to !== undefined && (to === wanted || to.startsWith(`${wanted}:`) || endOf(t) === wanted);
}

function testEndpoints(answer: Answer, wanted: readonly string[]): Broken | undefined {
  const met = new Set(answer.courses.map(({ trace: t }) => (t.translated.dst ? endOf(t) : 'none')));
  const fits = (end: string, w: string): boolean => end === w || end.startsWith(`${w}:`);
  const strange = [...met].find((end) => !wanted.some((w) => fits(end, w)));
  if (answer.courses.some((c) => c.trace.outcome.kind === 'cannot-tell'))
    return { claim: 'endpoints', truth: 'unknown', instead: 'what decides is not known' };
  const isOpen = answer.unknowns.length > 0 && [...met].some((end) => wanted.some((w) => fits(end, w)));
  if (strange !== undefined && isOpen) return { claim: 'endpoints', truth: 'unknown', instead: answer.unknowns[0]! };
  if (strange !== undefined)
    return { claim: 'endpoints', truth: false, instead: strange === 'none' ? 'it is not translated' : `it goes to ${strange}` };
  const missing = wanted.find((w) => ![...met].some((end) => fits(end, w)));
  return missing === undefined ? undefined : { claim: 'endpoints', truth: false, instead: `it never goes to ${missing}` };
}

const SERVICE = /^Service (\S+)/;

/** The Services that rules which matched name: of the address that was asked, and of the endpoint that it became. */
function ownEndpoint(t: Trace): boolean {
  if (!t.translated.dst) return true;
  const steps = t.hops.flatMap((h) => h.steps).filter((s): s is Extract<Step, { step: 'rule' }> => s.step === 'rule' && s.truth !== false);
  const turned = t.translated.dst.steps.find((s) => s.at)?.at;
  const names = steps.flatMap((s) => SERVICE.exec(originOfStep(s)?.of ?? '')?.[1] ?? []);
  const last = steps.find((s) => s.at.file === turned?.file && s.at.line === turned.line);
  const own = last && SERVICE.exec(originOfStep(last)?.of ?? '')?.[1];
  return own === undefined ? names.length > 0 : names.every((n) => n === own);
}

function passes(t: Trace, name: string): boolean {
  const [node, table, chain, number] = name.split(':');
  return t.hops.some((h) => {
    if (placeName(h) === name) return true;
    return h.steps.some((s) => {
      if (!('chain' in s) || s.step === 'skipped') return false;
      if (s.chain === name) return true;
      return (
        chain !== undefined &&
        placeName(h) === node &&
        s.table === table &&
        s.chain === chain &&
        (number === undefined || (s.step === 'rule' && s.number === Number(number)))
      );
    });
  });
}

/** The same fate: how often it ends how, where the other packet does. */
function testSame(answer: Answer, other: Answer | undefined): Broken | undefined {
  if (!other) return { claim: 'same-as', truth: 'unknown', instead: 'the other packet cannot be sent' };
  const [mine, theirs] = [fateOf(answer), fateOf(other)];
  return mine === theirs ? undefined : { claim: 'same-as', truth: false, instead: `${mine}; from there ${theirs}` };
}

/** How an answer's courses end, in short. */
export function fateOf(answer: Answer): string {
  return [
    ...new Set(answer.courses.map(({ trace: t }) => `${t.outcome.kind} at ${placeName(t.outcome)}${t.translated.src ? ', source translated' : ''}`)),
  ]
    .toSorted()
    .join('; ');
}

/** `ADDR` or `ADDR:PORT`, `[ADDR]:PORT`; undefined where it is neither. */
export function readEnd(text: string): { readonly addr: Addr; readonly port?: number } | undefined {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(text);
  const m = bracketed ?? /^([\d.]+)(?::(\d+))?$/.exec(text) ?? /^([0-9a-f:]+)()$/i.exec(text);
  const addr = m && parseAddr(m[1]!);
  const port = m?.[2] ? parsePort(m[2]) : undefined;
  if (addr === null || isError(addr) || (m![2] && port === undefined)) return undefined;
  return { addr, ...(port !== undefined && { port }) };
}

/** Addresses and ports that claims compare with: a packet's own may be the same by chance, where it is kept. */
export function valuesIn(claims: Claims): Readonly<Record<'addr' | 'port', readonly Word[]>> {
  const ends = [claims.dnat, claims.snat, ...(claims.endpoints ?? [])].flatMap((text) => (text === undefined ? [] : (readEnd(text) ?? [])));
  return { addr: ends.map((e) => e.addr), port: ends.flatMap((e) => e.port ?? []) };
}

/** What a claim says that cannot be: an address that is none, a place that is nowhere. */
export function wrongIn(world: World, claims: Claims): { readonly claim: keyof Claims; readonly error: string; readonly hint: string } | undefined {
  for (const claim of ['dnat', 'snat', 'endpoints'] as const)
    for (const text of listOf(claims[claim] ?? []))
      if (!readEnd(text)) return { claim, error: `'${text}' is no address`, hint: claim === 'snat' ? 'ADDR' : 'ADDR or ADDR:PORT, [IPV6]:PORT' };
  for (const claim of ['passes', 'avoids'] as const)
    for (const name of listOf(claims[claim] ?? []))
      if (!isPlace(world, name))
        return { claim, error: `there is no '${name}' in the capture`, hint: 'a node, NODE/NAMESPACE, a chain, or NODE:TABLE:CHAIN[:NUMBER]' };
  return undefined;
}

function isPlace(world: World, name: string): boolean {
  const [node, table, chain, number] = name.split(':');
  return world.namespaces.some(
    (n) =>
      placeName(n) === name ||
      n.tables.some((t) => Object.hasOwn(t.chains, name)) ||
      (chain !== undefined &&
        placeName(n) === node &&
        n.tables.some(
          (t) =>
            (t.nft ?? t.name) === table &&
            Object.hasOwn(t.chains, chain) &&
            (number === undefined || t.chains[chain]!.rules.some((r) => r.number === Number(number))),
        )),
  );
}
