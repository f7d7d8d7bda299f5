// Membership in an ipset, with the member that decided: ip_set_test(), net/netfilter/ipset/ip_set_core.c and the
// *_kadt functions of the set types.
import { and, contains, formatAddr, isMulticast } from '../net/addr.ts';
import { has, type Range } from '../net/intervals.ts';
import { ICMP, ICMPV6, isExtended, SCTP, TCP, UDP, UDPLITE } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { CounterTest, IpSet, SetDimension, SetKey, SetMember, SetPart, SetQuestion, Truth } from '../model/ruleset.ts';
import type { LiveSet } from './liveset.ts';
import type { Sight } from './sight.ts';
import type { SetValue } from './setindex.ts';
import { rangesOf, watchElements, type Watch } from './watch.ts';

/** An element that a question came upon, and whether it answered. A question counts, unless the rule spares the counters. */
export interface SetHit {
  readonly live: LiveSet;
  readonly member: SetMember;
  readonly isSpared: boolean;
  readonly answers: boolean;
}

/** What a question gathers on its way: elements, and why some of them do not answer. */
interface Search {
  readonly q: SetQuestion;
  readonly s: Sight;
  readonly hits: SetHit[];
  readonly failed: string[];
}

export interface SetResult {
  readonly truth: Truth;
  readonly saw: string;
  readonly at?: Span;
  /** What was found on the way, in a list of sets each. */
  readonly hits: readonly SetHit[];
}

/** Reports whether the packet's values, one per direction in `by`, are in the set. */
export function testSet(q: SetQuestion, s: Sight): SetResult {
  return test(q.set, q, s, []);
}

function test(name: string, q: SetQuestion, s: Sight, within: readonly string[]): SetResult {
  const live = s.set(name);
  if (!live) {
    const why = s.setsRefused ? `: ipset refused to list it, ${s.setsRefused.file}:${s.setsRefused.line}` : '';
    return { truth: 'unknown', saw: `the set ${name} was not captured${why}`, hits: [] };
  }
  const set = live.captured;
  if (set.type === 'list:set') return testList(live, q, s, within);
  const misfit = whyNever(set, q.by, s);
  if (misfit !== undefined) return { truth: false, saw: misfit, at: set.at, hits: [] };
  const values = valuesOf(set, q.by, s);
  const open = values.indexOf(undefined);
  if (open >= 0) return { truth: 'unknown', saw: `the packet's ${set.dimensions[open]} is not known`, hits: [] };
  const seen = set.dimensions.map((d, i) => describe(d, values[i], s)).join(',');
  const search: Search = { q, s, hits: [], failed: [] };
  const { hits, failed } = search;
  if (s.watch) watchMembers(set, values, s.watch);
  if (isWhole(values)) {
    const best = find(live, values, search);
    if (best === 'unknown') return { truth: 'unknown', saw: `the counters of ${seen} in ${name} were not captured`, at: set.at, hits };
    if (best) {
      const truth = (best.nomatch === true) === (q.nomatch === true && takesNomatch(set));
      const how = best.nomatch ? (truth ? 'is in it as nomatch' : 'is excluded by') : truth ? 'is in it' : 'is in it, and not as nomatch';
      return { truth, saw: `${seen} ${how}: ${best.text}${timeLeft(best)}`, at: best.at, hits };
    }
  }
  if (set.incomplete) return { truth: 'unknown', saw: `${set.incomplete}; whether ${seen} is in ${name} is not known`, at: set.at, hits };
  return { truth: false, saw: failed[0] ?? `${seen} is in none of its ${live.size} members`, at: set.at, hits };
}

const RANGES = new WeakMap<IpSet, readonly (readonly (Range | undefined)[])[]>();

function watchMembers(set: IpSet, values: readonly (SetValue | 'none' | undefined)[], watch: Watch): void {
  if (set.members.some((m) => m.parts.some((p) => p.kind === 'net' && p.masked !== undefined)))
    watch.inexact(`${set.name} compares some bits of its addresses`);
  let ranges = RANGES.get(set);
  if (!ranges) RANGES.set(set, (ranges = rangesOf(set)));
  const parts = values.map((v) => {
    if (v === undefined || v === 'none') return { kind: undefined, value: undefined };
    return 'addr' in v
      ? ({ kind: 'addr', value: v.addr } as const)
      : 'port' in v
        ? ({ kind: 'port', value: v.port } as const)
        : { kind: undefined, value: undefined };
  });
  watchElements(watch, parts, ranges);
}

/** list_set_ktest(): the member sets are tried in order, each with the same directions and without a look at their counters. */
function testList(live: LiveSet, q: SetQuestion, s: Sight, within: readonly string[]): SetResult {
  const list = live.captured;
  // list_set_uadd(): a list cannot hold a list; a damaged capture can say so
  if (within.length > 0)
    return {
      truth: 'unknown',
      saw: `${list.name} is a list within the list ${within.join(' within ')}, which ipset refuses`,
      at: list.at,
      hits: [],
    };
  const { packets: _packets, bytes: _bytes, ...bare } = q;
  const inner: SetQuestion = q.spares?.includes('subcounters') ? { ...bare, spares: ['counters'] } : bare;
  const search: Search = { q, s, hits: [], failed: [] };
  const { hits, failed } = search;
  let unknown: SetResult | undefined;
  for (const member of live.members()) {
    const part = member.parts[0];
    if (part?.kind !== 'set') continue;
    const result = test(part.name, inner, s, [list.name]);
    hits.push(...result.hits);
    if (result.truth === 'unknown') unknown ??= result;
    if (result.truth !== true) continue;
    const passes = passesTests(live, member, search);
    if (passes === 'unknown') unknown ??= { truth: passes, saw: `the counters of ${part.name} in ${list.name} were not captured`, hits: [] };
    if (passes !== true) continue;
    return { ...result, saw: `${result.saw} (${part.name})`, hits };
  }
  return unknown ?? { truth: false, saw: failed[0] ?? `in none of its ${live.size} sets`, at: list.at, hits };
}

/** ip_set_test(): a set of the other family, or with more dimensions than there are directions, never matches; more directions are ignored. */
export function whyNever(set: IpSet, by: readonly SetKey[], s: Sight): string | undefined {
  const wanted = set.dimensions.length;
  if (by.length < wanted) return `${set.type} needs ${wanted} directions and the rule gives ${by.length}: it never matches`;
  if (set.family !== undefined && set.family !== s.packet.family) return `${set.name} holds IPv${set.family} only`;
  return undefined;
}

/** The packet's values for a set's dimensions: 'none' for what it has not, undefined for what is not known. */
export function valuesOf(set: IpSet, by: readonly SetKey[], s: Sight): readonly (SetValue | 'none' | undefined)[] {
  return set.dimensions.map((d, i) => valueOf(d, by[i]!, set, s));
}

/** Reports whether the packet has all that the set asks for; without, the *_kadt functions give up. */
export function isWhole(values: readonly (SetValue | 'none' | undefined)[]): values is readonly SetValue[] {
  return values.every((v) => v !== 'none' && v !== undefined);
}

function valueOf(dimension: SetDimension, side: SetKey, set: IpSet, s: Sight): SetValue | 'none' | undefined {
  const p = s.packet;
  switch (dimension) {
    case 'ip':
    case 'net':
      return p.undetermined?.[side] ? undefined : { addr: p[side] };
    case 'port': {
      if (isExtended(p)) return undefined;
      // ip_set_get_ip4_port(): ICMP puts type and code there, protocols without ports have 0
      const bare = set.type === 'bitmap:port'; // bitmap_port: TCP and UDP only
      if (p.proto === ICMP || p.proto === ICMPV6) return bare || !p.icmp ? 'none' : { port: p.icmp.type * 256 + p.icmp.code, proto: p.proto };
      if (bare && p.proto !== TCP && p.proto !== UDP) return 'none';
      if (p.proto !== TCP && p.proto !== UDP && p.proto !== SCTP && p.proto !== UDPLITE) return { port: 0, proto: p.proto };
      const field = side === 'src' ? 'sport' : 'dport';
      const port = p[field];
      if (port === undefined) return 'none';
      const range = p.undetermined?.[field];
      if (range && mentionsPorts(set, range)) return undefined;
      return { port, proto: bare ? -1 : p.proto };
    }
    case 'mac': {
      if (s.iif === '' || s.iif === 'lo') return 'none';
      // a routed packet came to the device's own address
      const mac = p.mac?.[side] === NO_MAC ? undefined : p.mac?.[side];
      const seen = mac ?? (side === 'dst' && !isMulticast(p.dst) ? s.ownMac?.() : undefined);
      return seen === undefined ? undefined : { name: seen };
    }
    case 'iface': {
      const device = side === 'src' ? s.iif : s.oif;
      return device === undefined ? undefined : device === '' ? 'none' : { name: device };
    }
    case 'mark':
      return { mark: and(p.mark, Number(set.options['markmask'] ?? 0xffffffff)) };
    case 'set':
      return 'none';
  }
}

const NO_MAC = '00:00:00:00:00:00';

/** Where no member has a port of the range, it does not matter which of them the kernel picks. */
function mentionsPorts(set: IpSet, [lo, hi]: readonly [number, number]): boolean {
  return set.members.some((m) => m.parts.some((part) => part.kind === 'port' && part.lo <= hi && part.hi >= lo));
}

/**
 * mtype_test() and mtype_test_cidrs(): of the members that cover the values, the one with the longest networks that has the
 * counters asked for and has not run out; it decides, `nomatch` or not. In hash:net,iface a network that covers the address
 * for other interfaces only ends the search (`multi`).
 */
function find(live: LiveSet, values: readonly SetValue[], search: Search): SetMember | 'unknown' | undefined {
  const isByInterface = live.captured.dimensions.includes('iface');
  const near = live.candidates(values).filter((m) => (isByInterface ? covers(m.parts[0]!, values[0]!) && !isPhysical(m) : coversAll(m, values)));
  if (near.length > 1) near.sort(byLength);
  let ended = false;
  for (const [i, member] of near.entries()) {
    if (ended && byLength(near[i - 1]!, member) !== 0) break;
    if (!coversAll(member, values)) ended = true;
    else {
      const passes = passesTests(live, member, search);
      if (passes !== false) return passes === true ? member : passes;
      ended = false;
    }
  }
  return undefined;
}

/** The element that an addition or a deletion of these values is about: mtype_data_equal(), with the networks' lengths. */
export function findSame(live: LiveSet, values: readonly SetValue[], lengths: readonly (number | undefined)[]): SetMember | undefined {
  const hasLengths = (m: SetMember): boolean =>
    m.parts.every((part, i) => part.kind !== 'net' || part.prefix === undefined || part.prefix.length === lengths[i]);
  // bitmap:ip,mac has one element an address, whatever its MAC
  const isSame = (m: SetMember): boolean => (isByAddress(live.captured) ? covers(m.parts[0]!, values[0]!) : coversAll(m, values));
  const list = isByAddress(live.captured) ? [...live.members()] : live.candidates(values);
  return list.find((m) => isSame(m) && hasLengths(m) && !isPhysical(m));
}

function isByAddress(set: IpSet): boolean {
  return set.type === 'bitmap:ip,mac';
}

/** hash_netiface4_kadt(): xt_set never asks for the bridge's ports, so `physdev:` elements are out of its sight. */
function isPhysical(m: SetMember): boolean {
  return m.parts.some((part) => part.kind === 'iface' && part.physdev);
}

/** ip_set_match_extensions(): the packet counts before the counters are looked at. */
function passesTests(live: LiveSet, member: SetMember, { q, s, hits, failed }: Search): Truth {
  if (hasRunOut(member)) return (failed.push(`${member.text} had run out when it was captured`), false);
  const isSpared = q.spares?.includes('counters') ?? false;
  const truth = (): Truth => {
    if ((!q.packets && !q.bytes) || live.captured.options['counters'] === undefined) return true;
    const before = live.counters(member);
    if (!before) return 'unknown';
    const now = isSpared ? before : { packets: before.packets + 1, bytes: before.bytes + s.packet.length };
    const field = (['packets', 'bytes'] as const).find((f) => q[f] && !holds(now[f], q[f]));
    if (!field) return true;
    failed.push(`${member.text}: ${now[field]} ${field} by now, not ${WORDS[q[field]!.op]} ${q[field]!.value}`);
    return false;
  };
  const passes = truth();
  hits.push({ live, member, isSpared, answers: passes === true });
  return passes;
}

const WORDS = { eq: 'just', ne: 'other than', lt: 'less than', gt: 'more than' } as const;

function holds(n: number, { op, value }: CounterTest): boolean {
  return op === 'eq' ? n === value : op === 'ne' ? n !== value : op === 'lt' ? n < value : n > value;
}

// IPSET_MAX_TIMEOUT. What has just run out, and no collector has swept yet, is listed by some kernels with a time that
// went below zero and round.
const LONGEST = 2147483;

export function hasRunOut({ timeout }: SetMember): boolean {
  return timeout !== undefined && (timeout < 0 || timeout > LONGEST);
}

function timeLeft({ timeout }: SetMember): string {
  return timeout === undefined ? '' : timeout === 0 ? ' (for good)' : ` (${timeout} s were left when captured)`;
}

/** IPSET_TYPE_NOMATCH of the set types. */
function takesNomatch(set: IpSet): boolean {
  return set.dimensions.includes('net');
}

function coversAll(member: SetMember, values: readonly SetValue[]): boolean {
  return member.parts.every((part, i) => covers(part, values[i]!));
}

function covers(part: SetPart, value: SetValue): boolean {
  switch (part.kind) {
    case 'net':
      return 'addr' in value && has(part.ranges, value.addr) && (part.masked === undefined || contains(part.masked, value.addr));
    case 'port':
      return 'port' in value && value.port >= part.lo && value.port <= part.hi && (part.proto === undefined || part.proto === value.proto);
    case 'mac':
      return 'name' in value && value.name === part.mac;
    case 'iface':
      return 'name' in value && (part.wildcard ? value.name.startsWith(part.name) : value.name === part.name);
    case 'mark':
      return 'mark' in value && value.mark === part.mark;
    case 'set':
      return false;
  }
}

/** Longer networks first, the first dimension before the second. */
function byLength(a: SetMember, b: SetMember): number {
  for (const [i, part] of a.parts.entries()) {
    const other = b.parts[i];
    if (part.kind !== 'net' || other?.kind !== 'net') continue;
    const difference = (other.prefix?.length ?? 0) - (part.prefix?.length ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A value in ipset's words. */
export function describe(dimension: SetDimension, value: SetValue | 'none' | undefined, s: Sight): string {
  if (value === undefined || value === 'none') return `no ${dimension}`;
  if ('addr' in value) return formatAddr(value.addr);
  if ('port' in value) {
    if (s.packet.icmp) return `icmp:${value.port >>> 8}/${value.port & 255}`;
    return `${value.proto === TCP ? 'tcp:' : value.proto === UDP ? 'udp:' : ''}${value.port}`;
  }
  return 'name' in value ? value.name : `0x${value.mark.toString(16)}`;
}
