// What rules do to sets: the SET target, and the traces that a mere question leaves. set_target_v3() and match_set(),
// net/netfilter/xt_set.c; mtype_add() and mtype_del(), net/netfilter/ipset/ip_set_hash_gen.h
import {
  and,
  bitsOf,
  compare,
  familyOf,
  formatPrefix,
  isError,
  maskLength,
  maskOf,
  not,
  or,
  parseAddr,
  parsePrefix,
  prefixRange,
} from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Packet } from '../model/packet.ts';
import type { IpSet, SetPart, SetQuestion, Statement } from '../model/ruleset.ts';
import { describe, findSame, hasRunOut, isWhole, testSet, valuesOf, whyNever } from './ipset.ts';
import type { LiveSet } from './liveset.ts';
import type { Sight } from './sight.ts';
import type { SetValue } from './setindex.ts';

type SetChange = Extract<Statement, { kind: 'setmember' }>;

interface Changed {
  readonly isDone: boolean;
  readonly did: string;
  /** What had to be taken for granted. */
  readonly assume?: string;
}

/** Adds the packet's values to a set, or deletes them from it, for the rest of the walk. */
export function changeSet(c: SetChange, s: Sight, at: Span): Changed {
  return change(c.set, c, s, at, false);
}

function change(name: string, c: SetChange, s: Sight, at: Span, within: boolean): Changed {
  const refuse = (why: string): Changed => ({ isDone: false, did: `${c.op} ${name}: ${why}` });
  const doubt = (why: string): Changed => ({
    isDone: false,
    did: `${c.op} ${name}`,
    assume: `later rules see ${name} as it was captured, although a rule ${c.op === 'add' ? 'adds to' : 'deletes from'} it on the way (${why})`,
  });
  const live = s.set(name);
  if (!live) return doubt('it was not captured');
  const set = live.captured;
  if (set.type === 'list:set') {
    if (within) return refuse('a list within a list');
    // list_set_kadd(): the first set that takes it
    let last = refuse(`none of its ${live.size} sets takes it`);
    for (const member of live.members()) {
      const part = member.parts[0];
      if (part?.kind !== 'set' || hasRunOut(member)) continue;
      const done = change(part.name, c, s, at, true);
      if (done.isDone || done.assume !== undefined) return done;
      last = done;
    }
    return last;
  }
  const misfit = whyNever(set, c.by, s);
  if (misfit !== undefined) return refuse(misfit);
  const values = valuesOf(set, c.by, s);
  const open = values.indexOf(undefined);
  if (open >= 0) return doubt(`the packet's ${set.dimensions[open]} is not known`);
  if (!isWhole(values)) return refuse(`the packet has no ${set.dimensions[values.indexOf('none')]}`);
  if (!isInRange(set, values)) return refuse('outside its range');
  const lengths = set.dimensions.map((d, i) => (d === 'net' ? longestLength(live, i, values[i]!) : undefined));
  const parts = values.map((v, i) => partOf(set, i, v, lengths[i]));
  const text = parts
    .map((part, i) => (part.kind === 'net' && part.prefix ? formatPrefix(part.prefix) : undefined) ?? describe(set.dimensions[i]!, values[i], s))
    .join();
  const same = findSame(live, values, lengths);
  const old = same && !hasRunOut(same) ? same : undefined;
  if (c.op === 'del') {
    if (!old) return refuse(`${text} is not in it`);
    live.remove(old);
    return { isDone: true, did: `${text} deleted from ${name}` };
  }
  if (old && !c.exist) return refuse(`${text} is in it already`);
  if (!old && live.size >= Number(set.options['maxelem'] ?? Number.POSITIVE_INFINITY)) {
    if (set.options['forceadd'] !== undefined) return doubt('it is full: which member makes room, if any, goes by a hash');
    return refuse(`it is full (${live.size} members)`);
  }
  if (same) live.remove(same);
  const timeout = set.options['timeout'] === undefined ? undefined : (c.timeout ?? Number(set.options['timeout']));
  live.add({
    parts: same && old ? same.parts : parts,
    text: `${text}, added on the way`,
    at,
    ...(timeout !== undefined && { timeout }),
    ...(set.options['counters'] !== undefined && { packets: 1, bytes: s.packet.length }),
  });
  return { isDone: true, did: `${text} added to ${name}` };
}

/** INIT_CIDR(): a packet's address is added, and deleted, with the longest length in use, be it 0. */
function longestLength(live: LiveSet, dimension: number, value: SetValue): number {
  let longest: number | undefined;
  for (const m of live.members()) {
    const part = m.parts[dimension];
    if (part?.kind === 'net' && part.prefix) longest = Math.max(longest ?? 0, part.prefix.length);
  }
  return longest ?? ('addr' in value ? bitsOf(familyOf(value.addr)) : 0);
}

function partOf(set: IpSet, dimension: number, value: SetValue, length: number | undefined): SetPart {
  if ('addr' in value) {
    const family = familyOf(value.addr);
    const prefixBits = maskOf(family, length ?? bitsOf(family));
    const mask = set.mask === undefined ? prefixBits : and(prefixBits, set.mask);
    const addr = and(value.addr, mask);
    const hasHoles = maskLength(mask) === undefined;
    return {
      kind: 'net',
      ranges: [[addr, or(addr, not(mask))]],
      ...(length !== undefined && { prefix: { addr, length } }),
      ...(hasHoles && { masked: { addr, mask } }),
    };
  }
  if ('port' in value) return { kind: 'port', ...(value.proto >= 0 && { proto: value.proto }), lo: value.port, hi: value.port };
  if ('mark' in value) return { kind: 'mark', mark: value.mark };
  return set.dimensions[dimension] === 'mac' ? { kind: 'mac', mac: value.name } : { kind: 'iface', name: value.name, physdev: false };
}

/** bitmap types hold nothing outside of the range they were made for. */
function isInRange(set: IpSet, values: readonly SetValue[]): boolean {
  const range = set.options['range'];
  const value = values[0]!;
  if (range === undefined) return true;
  const [from = '', to = from] = range.split('-');
  if ('port' in value) return value.port >= Number(from) && value.port <= Number(to);
  if (!('addr' in value)) return true;
  const block = range.includes('/') ? parsePrefix(range) : undefined;
  const ends = block ? (isError(block) ? undefined : prefixRange(block)) : ([parseAddr(from), parseAddr(to)] as const);
  if (!ends || isError(ends[0]) || isError(ends[1])) return true;
  return compare(value.addr, ends[0]) >= 0 && compare(value.addr, ends[1]) <= 0;
}

/** What a question does to the sets it asks: it counts, and it completes an address that was kept without its MAC. */
export function leaveTraces(q: SetQuestion, s: Sight): void {
  for (const { live, member, isSpared } of testSet(q, s).hits) {
    const set = live.captured;
    if (set.options['counters'] !== undefined && !isSpared) live.count(member, s.packet.length);
    if (member.parts.length < set.dimensions.length) {
      // ip_set_test(): -EAGAIN, the element must be completed
      const values = valuesOf(set, q.by, s);
      if (!isWhole(values)) continue;
      live.remove(member);
      live.add({ ...member, parts: values.map((v, i) => (i === 0 ? member.parts[0]! : partOf(set, i, v, undefined))) });
    }
  }
}

/** What SET --map-set makes of a packet; undefined where nobody knows whether, or what, the set has for it. */
export function mapPacket(q: Extract<Statement, { kind: 'mapset' }>, s: Sight): { readonly packet: Packet; readonly did: string } | undefined {
  const result = testSet(q, s);
  if (result.truth === 'unknown') return undefined;
  const { packet } = s;
  const rest = q.rest.length > 0 ? `, ${q.rest.join(' and ')} of ${q.set}` : '';
  if (!result.truth) return { packet, did: `nothing from ${q.set}: ${result.saw}` };
  // the innermost set that holds such information first, the list that holds it last (ip_set_get_skbinfo())
  const found = result.hits.findLast(({ live, answers }) => answers && live.captured.options['skbinfo'] !== undefined);
  if (!q.mark || !found) return { packet, did: `${q.mark ? `${q.set} has no mark for it` : `mark as it is`}${rest}` };
  const { value, mask } = found.member.skbmark ?? { value: 0, mask: 0 };
  const mark = ((packet.mark & ~mask) ^ value) >>> 0;
  return { packet: { ...packet, mark }, did: `mark 0x${packet.mark.toString(16)} -> 0x${mark.toString(16)} by ${q.set}${rest}` };
}
