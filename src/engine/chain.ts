// Walking the rules of one base chain: ipt_do_table(), net/ipv4/netfilter/ip_tables.c.
import type { Packet } from '../model/packet.ts';
import type { Span } from '../model/finding.ts';
import type { AssignedField, Chain, ChainType, Field, Hook, Pred, Rule, Table, Truth } from '../model/ruleset.ts';
import type { MissKind, Reason, Step } from '../model/trace.ts';
import { formatAddr, type Word } from '../net/addr.ts';
import { NOT, type Choices, type Option } from './choice.ts';
import { isNat, type NatStatement } from './nat.ts';
import { mapPrefix } from './npt.ts';
import { evaluate, explain, undecided } from './pred.ts';
import { chainType } from './hooks.ts';
import { settleStatement } from './nftstatement.ts';
import { changeSet, leaveTraces, mapPacket } from './setchange.ts';
import { quiet, type DeviceField, type Sight } from './sight.ts';
import type { Passing } from './statement.ts';
import { watchStatement } from './watch.ts';

export type ChainVerdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop'; readonly why: string; readonly at: Span }
  | { readonly kind: 'reject'; readonly with: string; readonly why: string; readonly at: Span }
  | { readonly kind: 'nat'; readonly statement: NatStatement; readonly rule: Rule; readonly where: string }
  | { readonly kind: 'cannot-tell'; readonly why: string; readonly at: Span };

/** What the walk of a chain needs of the packet's visit. */
export interface Visitor {
  readonly hook: Hook;
  readonly choices: Choices;
  packet: Packet;
  readonly steps: Step[];
  /** Tell every rule, not only those that matter. */
  readonly all: boolean;
  sight(supposed: ReadonlyMap<Pred, boolean>): Sight;
  /** Remembers what was supposed of a device that nobody knows. */
  supposeName(field: DeviceField, glob: string, matches: boolean): void;
  /** Carries out a statement that the table goes on after; returns what it did, in words. */
  apply(statement: Passing): string | undefined;
  /** Writes a header field or a mark; returns what it did, in words. */
  assign(to: AssignedField, value: Word): string | undefined;
  /** Whether anything in this namespace looks at the mark of packets. */
  marksMatter(): boolean;
  /** What kind of chain is walked. */
  type: ChainType;
  /** The table that is walked: whose sets and maps rules ask. */
  table: Table | undefined;
  /** Notes a set's change, for the rest of the walk. */
  assume(what: string, at?: Span): void;
}

/** Runs the packet through a base chain and everything it jumps to. */
export function walkChain(table: Table, base: Chain, v: Visitor): ChainVerdict {
  v.table = table;
  v.type = chainType(table, base);
  const stack: { chain: Chain; next: number }[] = [];
  // the chains that each frame of the stack went through: meeting one again is a circle, which no kernel loads (mark_source_chains())
  const frames: Chain[][] = [[base]];
  const open = new Set<Chain>([base]);
  const leaveFrame = (): void => frames.pop()?.forEach((c) => open.delete(c));
  const skipped = new Skipped(table, v);
  let chain = base;
  let next = 0;
  for (;;) {
    const rule = chain.rules[next];
    if (!rule) {
      skipped.flush();
      if (chain.incomplete !== undefined) {
        const lost = unknownEnd(chain, chain.incomplete, v);
        if (lost) return lost;
      }
      const caller = stack.pop();
      if (!caller) return policy(table, base, v);
      leaveFrame();
      v.steps.push({ step: 'return', ...where(table, chain, v) });
      ({ chain, next } = caller);
      continue;
    }
    next++;
    const supposed = new Map<Pred, boolean>();
    // what only counts or logs may be met or not: nothing hangs on it
    const onlyTells = !v.all && rule.then.every((s) => s.kind === 'note');
    const truth = onlyTells ? glance(rule.match, v.sight(supposed)) : settle(rule.match, rule, chain, v, supposed);
    if (!truth.matched) {
      skipped.add(chain, rule, supposed);
      askedSets(rule, v, supposed);
      continue;
    }
    const sight = v.sight(supposed);
    let step = ruleStep(table, chain, rule, truth.forked ? 'unknown' : true, explain(rule.match, quiet(sight)), v);
    askedSets(rule, v, supposed);
    const did: string[] = [];
    let acted = false;
    let moved = false;
    for (const given of rule.then) {
      if (sight.watch) watchStatement(sight.watch, given, rule.text);
      const statement = settleStatement(given, rule, chain, v, supposed);
      if (statement.kind !== 'ends' && given.kind !== 'if') skipped.flush();
      if ('found' in statement && statement.found)
        step = { ...step, reason: { ...step.reason, parts: [...(step.reason.parts ?? []), statement.found] } };
      switch (statement.kind) {
        case 'ends':
          moved = true;
          if (statement.did !== undefined) did.push(statement.did);
          // a map that has nothing for the packet is a condition like others
          if (!acted && statement.did === undefined) skipped.add(chain, rule, supposed, statement.ends);
          else {
            skipped.flush();
            push(v, { ...step, ended: statement.ends }, did);
          }
          break;
        case 'idle':
          skipped.flush();
          push(v, step, did);
          moved = true;
          break;
        case 'done':
          if (statement.did !== undefined) did.push(statement.did);
          break;
        case 'cannot-tell':
          push(v, step, did);
          return statement;
        case 'verdict': {
          push(v, step, [...did, statement.verdict]);
          if (statement.verdict === 'accept') return { kind: 'accept' };
          if (statement.verdict === 'drop')
            return { kind: 'drop', why: `${called(table)} ${chain.name} ${rule.number} drops it: ${rule.text}`, at: rule.at };
          const caller = stack.pop();
          if (!caller) return policy(table, base, v);
          leaveFrame();
          ({ chain, next } = caller);
          moved = true;
          break;
        }
        case 'jump':
        case 'goto': {
          const target = Object.hasOwn(table.chains, statement.chain) ? table.chains[statement.chain] : undefined;
          push(v, step, [...did, `${statement.kind} ${statement.chain}${target?.rules.length === 0 ? ', which has no rules' : ''}`]);
          moved = true;
          if (!target) {
            const lost = unknownEffect(`${statement.kind} ${statement.chain}`, 'that chain is not in the capture', rule, v);
            if (lost) return lost;
            break;
          }
          if (open.has(target))
            return {
              kind: 'cannot-tell',
              why: `${called(table)} ${chain.name} ${rule.number} leads back to ${target.name}, in a circle`,
              at: rule.at,
            };
          if (statement.kind === 'jump') {
            stack.push({ chain, next });
            frames.push([]);
          }
          frames.at(-1)!.push(target);
          open.add(target);
          chain = target;
          next = 0;
          break;
        }
        case 'reject':
          push(v, step, [...did, `reject with ${statement.with}`]);
          return {
            kind: 'reject',
            with: statement.with,
            why: `${called(table)} ${chain.name} ${rule.number} rejects it with ${statement.with}: ${rule.text}`,
            at: rule.at,
          };
        case 'dnat':
        case 'snat':
        case 'masquerade':
        case 'redirect':
        case 'netmap':
          push(v, step, [...did, statement.kind]);
          return { kind: 'nat', statement, rule, where: `${chain.name} ${rule.number}` };
        case 'gate': {
          const opens = v.choices.choose(undefined, [
            { value: true, what: `${statement.claim} (${chain.name} ${rule.number})`, at: rule.at },
            { value: false, what: `${NOT}${statement.claim} (${chain.name} ${rule.number})`, at: rule.at },
          ]);
          did.push(statement.as);
          if (opens) break;
          push(v, step, [...did, 'drop']);
          return {
            kind: 'drop',
            why: `${called(table)} ${chain.name} ${rule.number} drops it, unless ${statement.claim}: ${rule.text}`,
            at: rule.at,
          };
        }
        case 'npt': {
          const { side, from, to } = statement;
          const old = v.packet[side];
          const { addr, whole } = mapPrefix(old, from, to);
          v.packet = { ...v.packet, [side]: addr };
          if (!whole) {
            push(v, step, [...did, 'drop']);
            const told = `a parameter problem is told to ${formatAddr(v.packet.src)}`;
            const why = `${called(table)} ${chain.name} ${rule.number} drops it: ${formatAddr(old)} has no word that could keep the checksum (${told}): ${rule.text}`;
            return { kind: 'drop', why, at: rule.at };
          }
          did.push(`${side} ${formatAddr(old)} -> ${formatAddr(addr)}`);
          break;
        }
        case 'anymark': {
          if (!v.marksMatter()) {
            v.packet = { ...v.packet, undetermined: { ...v.packet.undetermined, mark: statement.as } };
            did.push(statement.as);
            break;
          }
          push(v, step, [...did, statement.as]);
          return {
            kind: 'cannot-tell',
            why: `'${statement.as}' sets the mark, which rules or routing there look at, and ${statement.why}: ${rule.text}`,
            at: rule.at,
          };
        }
        case 'opaque': {
          push(v, step, [...did, statement.as]);
          moved = true;
          const lost = unknownEffect(statement.as, statement.why, rule, v);
          if (lost) return lost;
          break;
        }
        case 'setmember': {
          const changed = changeSet(statement, v.sight(supposed), rule.at);
          if (changed.assume !== undefined) v.assume(changed.assume, rule.at);
          did.push(changed.did);
          break;
        }
        case 'mapset': {
          const mapped = mapPacket(statement, v.sight(supposed));
          if (mapped) {
            v.packet = mapped.packet;
            did.push(mapped.did);
            break;
          }
          const lost = unknownEffect(`SET --map-set ${statement.set}`, `what ${statement.set} has for the packet was not captured`, rule, v);
          if (lost) {
            push(v, step, [...did, `map-set ${statement.set}`]);
            return lost;
          }
          break;
        }
        default: {
          const done = v.apply(statement);
          if (done !== undefined) did.push(done);
        }
      }
      if (moved) break;
      acted ||= given.kind !== 'if';
    }
    if (!moved) {
      skipped.flush();
      push(v, step, did);
    }
  }
}

type RuleStep = Extract<Step, { step: 'rule' }>;

function push(v: Visitor, step: RuleStep, did: readonly string[]): void {
  v.steps.push(did.length > 0 ? { ...step, did: did.join(', ') } : step);
}

function where(
  table: Table,
  chain: Chain,
  v: Visitor,
): { hook: Hook; backend: Table['backend']; family: Table['family']; table: string; type: ChainType; chain: string } {
  return { hook: v.hook, backend: table.backend, family: table.family, table: called(table), type: v.type, chain: chain.name };
}

function ruleStep(table: Table, chain: Chain, rule: Rule, truth: Truth, reason: Reason, v: Visitor): RuleStep {
  return {
    step: 'rule',
    ...where(table, chain, v),
    number: rule.number,
    text: rule.text,
    ...(rule.comment !== undefined && { comment: rule.comment }),
    at: rule.at,
    truth,
    reason,
    then: rule.then,
  };
}

/** A table as people know it: iptables' by its name, others as nft calls them. */
export function called(table: Table): string {
  return table.nft ?? table.name;
}

function policy(table: Table, base: Chain, v: Visitor): ChainVerdict {
  const verdict = base.base?.policy ?? 'accept';
  v.steps.push({ step: 'policy', ...where(table, base, v), verdict, at: base.at });
  if (verdict === 'accept') return { kind: 'accept' };
  return { kind: 'drop', why: `the policy of ${called(table)} ${base.name} is DROP and no rule accepted it`, at: base.at };
}

function glance(pred: Pred, sight: Sight): { matched: boolean; forked: boolean } {
  const truth = evaluate(pred, sight);
  return { matched: truth !== false, forked: truth === 'unknown' };
}

/** Decides a condition of a rule, forking the walk at every part that cannot be decided. */
export function settle(pred: Pred, rule: Rule, chain: Chain, v: Visitor, supposed: Map<Pred, boolean>): { matched: boolean; forked: boolean } {
  for (;;) {
    const sight = v.sight(supposed);
    const truth = evaluate(pred, sight);
    if (truth !== 'unknown') return { matched: truth, forked: supposed.size > 0 };
    const open = undecided(pred, sight);
    if (!open) throw new Error(`undecidable without a reason: ${rule.text}`);
    const name = `${chain.name} ${rule.number}`;
    const option = (value: boolean): Option<boolean> => {
      const probability = open.probability === undefined ? undefined : value ? open.probability : 1 - open.probability;
      const what =
        open.probability === undefined
          ? `${value ? '' : NOT}${open.claim} (${name})`
          : `${name} ${value ? 'matched' : 'did not match'}: ${open.claim}${rule.comment ? `, ${rule.comment}` : ''}`;
      return { value, what, at: rule.at, ...(probability !== undefined && { probability }) };
    };
    const value = v.choices.choose(open.key, [option(true), option(false)]);
    supposed.set(open.leaf, value !== (open.inverted ?? false));
    if (open.leaf.kind === 'name') v.supposeName(open.leaf.field, open.leaf.glob, value);
  }
}

/** The parts of a rule that were reached leave their traces in the sets and lists they ask; parts behind one that fails do not. */
function askedSets(rule: Rule, v: Visitor, supposed: ReadonlyMap<Pred, boolean>): void {
  const parts = rule.match.kind === 'all' ? rule.match.of : [rule.match];
  if (!parts.some((p) => p.changes !== undefined || setQuestion(p))) return;
  for (const part of parts) {
    const sight = v.sight(supposed);
    const isOver = evaluate(part, sight) === false;
    const asked = setQuestion(part);
    if (asked) leaveTraces(asked, sight);
    if (part.changes !== undefined) v.choices.forget(part.changes);
    if (isOver) return;
  }
}

function setQuestion(part: Pred): (Pred & { kind: 'member' }) | undefined {
  const inner = part.kind === 'not' ? part.of : part;
  return inner.kind === 'member' ? inner : undefined;
}

/** A target nobody knows: either it lets the table go on, or what happens next cannot be told. */
export function unknownEffect(as: string, why: string, rule: Rule, v: Visitor): ChainVerdict | undefined {
  const goesOn = v.choices.choose(`target:${rule.at.file}:${rule.at.line}`, [
    { value: true, what: `'${as}' (${why}) lets the packet pass on to the next rule`, at: rule.at },
    { value: false, what: `'${as}' (${why}) decides about the packet`, at: rule.at },
  ]);
  return goesOn ? undefined : { kind: 'cannot-tell', why: `'${as}' decides, and ${why}: ${rule.text}`, at: rule.at };
}

/** A chain whose end was not captured: either nothing more is there that matters, or nobody can tell. */
function unknownEnd(chain: Chain, why: string, v: Visitor): ChainVerdict | undefined {
  const what = `the chain ${chain.name} has no further rules for the packet (${why})`;
  const goesOn = v.choices.choose(`end:${chain.at.file}:${chain.at.line}`, [
    { value: true, what, at: chain.at },
    { value: false, what: `${NOT}${what}`, at: chain.at },
  ]);
  return goesOn ? undefined : { kind: 'cannot-tell', why: `the chain ${chain.name} was not captured to its end: ${why}`, at: chain.at };
}

/** Rules that did not match, told as a count; those that just missed are told one by one. */
class Skipped {
  private readonly table: Table;
  private readonly v: Visitor;
  private run: { chain: Chain; from: number; to: number; count: number; misses: Partial<Record<MissKind, number>> } | undefined;

  constructor(table: Table, v: Visitor) {
    this.table = table;
    this.v = v;
  }

  /** `ended` is the condition behind the others that was false, where one was. */
  add(chain: Chain, rule: Rule, supposed: ReadonlyMap<Pred, boolean>, ended?: Reason): void {
    const sight = quiet(this.v.sight(supposed));
    const parts = rule.match.kind === 'all' ? rule.match.of : [rule.match];
    const first = parts.findIndex((p) => evaluate(p, sight) === false);
    const near = !ended && isNearMiss(this.v.type, rule, parts, first, sight);
    if (this.v.all || near) {
      this.flush();
      const reason = explain(rule.match, sight);
      const whole: Reason = ended ? { pred: { kind: 'all', of: [] }, truth: false, parts: [...(reason.parts ?? []), ended] } : reason;
      this.v.steps.push({ ...ruleStep(this.table, chain, rule, false, whole, this.v), ...(near && { near }) });
      return;
    }
    const kind = missKind(ended ? ended.pred : parts[first]);
    this.run ??= { chain, from: rule.number, to: rule.number, count: 0, misses: {} };
    this.run.to = rule.number;
    this.run.count++;
    this.run.misses[kind] = (this.run.misses[kind] ?? 0) + 1;
  }

  flush(): void {
    if (!this.run) return;
    const { chain, from, to, count, misses } = this.run;
    this.v.steps.push({ step: 'skipped', ...where(this.table, chain, this.v), from, to, count, misses });
    this.run = undefined;
  }
}

/** Reports whether one single condition kept a rule from translating, accepting or dropping, and that condition says something. */
function isNearMiss(type: ChainType, rule: Rule, parts: readonly Pred[], first: number, sight: Sight): boolean {
  const weight = rule.then.some((s) => (s.kind === 'verdict' && s.verdict !== 'return') || s.kind === 'reject' || isNat(s))
    ? 'direct'
    : rule.then.some((s) => s.kind === 'jump' || s.kind === 'goto') && type === 'nat'
      ? 'indirect'
      : undefined;
  const missed = parts[first];
  if (!weight || !missed || !tells(missed, parts, weight, rule)) return false;
  return parts.every((p, i) => i <= first || evaluate(p, sight) !== false);
}

/** That a rule is for another address, protocol or interface is the ordinary case and tells nothing. */
function tells(missed: Pred, parts: readonly Pred[], weight: 'direct' | 'indirect', rule: Rule): boolean {
  const negated = missed.kind === 'not';
  switch (missKind(missed)) {
    case 'destination':
      return negated;
    case 'source':
      return negated || (weight === 'direct' && rule.then.some(isNat));
    case 'port':
      return parts.some((p) => missKind(p) === 'destination' && p.kind !== 'not');
    case 'protocol':
    case 'interface':
    case 'chance':
    case 'other':
      return negated && missKind(missed) === 'interface' && weight === 'direct';
    case 'mark':
    case 'state':
      return weight === 'direct';
    case 'set':
    case 'address type':
      return weight === 'direct';
  }
}

/** What kind of condition a predicate is, for counting rules that did not match. */
export function missKind(pred: Pred | undefined): MissKind {
  switch (pred?.kind) {
    case undefined:
    case 'opaque':
    case 'bridged':
    case 'rpfilter':
    case 'ipvs':
    case 'eui64':
    case 'search':
    case 'u32':
    case 'time':
      return 'other';
    case 'all':
    case 'any':
      return missKind(pred.of[0]);
    case 'not':
      return missKind(pred.of);
    case 'member':
      return 'set';
    case 'name':
      return 'interface';
    case 'lookup':
      return pred.key.length === 1 && pred.key[0]!.kind === 'field' ? fieldKind(pred.key[0]!.field) : 'set';
    case 'value':
      return pred.of.kind === 'fib' && pred.of.result === 'type' ? 'address type' : pred.of.kind === 'drawn' ? 'chance' : 'other';
    case 'addrtype':
      return 'address type';
    case 'chance':
      return 'chance';
    case 'in':
    case 'masked':
      return fieldKind(pred.field);
  }
}

function fieldKind(field: Field): MissKind {
  switch (field) {
    case 'src':
      return 'source';
    case 'dst':
      return 'destination';
    case 'proto':
    case 'nexthdr':
      return 'protocol';
    case 'sport':
    case 'dport':
      return 'port';
    case 'mark':
    case 'ctmark':
      return 'mark';
    case 'ctstate':
    case 'ctstatus':
    case 'ctdir':
      return 'state';
    default:
      return 'other';
  }
}
