// Membership in an ipset, with the member that decided: ip_set_test(), net/netfilter/ipset/ip_set_core.c and the
// *_kadt functions of the set types.
import { and, formatAddr, type Addr } from '../net/addr.ts';
import { has } from '../net/intervals.ts';
import { hasPorts, ICMP, ICMPV6, TCP, UDP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { IpSet, SetDimension, SetKey, SetMember, SetPart, Truth } from '../model/ruleset.ts';
import type { Sight } from './pred.ts';

export interface SetResult {
  readonly truth: Truth;
  readonly saw: string;
  readonly at?: Span;
}

/** Reports whether the packet's values, one per direction in `by`, are in the set. */
export function testSet(name: string, by: readonly SetKey[], s: Sight, within: readonly string[] = []): SetResult {
  const set = s.set(name);
  if (!set) return { truth: 'unknown', saw: `the set ${name} was not captured` };
  if (set.type === 'list:set') return testList(set, by, s, within);
  const dimensions = set.dimensions;
  // ip_set_test(): fewer directions than dimensions never match; more are ignored
  if (by.length < dimensions.length) {
    return { truth: false, saw: `${set.type} needs ${dimensions.length} directions and the rule gives ${by.length}: it never matches`, at: set.at };
  }
  if (set.family !== undefined && set.family !== s.packet.family) return { truth: false, saw: `${name} holds IPv${set.family} only`, at: set.at };
  const values = dimensions.map((d, i) => valueOf(d, by[i]!, set, s));
  if (values.includes(undefined)) return { truth: 'unknown', saw: `the packet's ${dimensions[values.indexOf(undefined)]} is not known` };
  const seen = dimensions.map((d, i) => describe(d, values[i], s)).join(',');
  const best = bestMember(set, values as Value[]);
  if (best && !best.nomatch) return { truth: true, saw: `${seen} is in it: ${best.text}`, at: best.at };
  if (best) return { truth: false, saw: `${seen} is excluded by: ${best.text}`, at: best.at };
  if (set.incomplete) return { truth: 'unknown', saw: `${set.incomplete}; whether ${seen} is in ${name} is not known`, at: set.at };
  return { truth: false, saw: `${seen} is in none of its ${set.members.length} members`, at: set.at };
}

/** list_set_ktest(): the member sets are tried in order, each with the same directions. */
function testList(list: IpSet, by: readonly SetKey[], s: Sight, within: readonly string[]): SetResult {
  // list_set_uadd(): a list cannot hold a list; a damaged capture can say so
  if (within.length > 0)
    return { truth: 'unknown', saw: `${list.name} is a list within the list ${within.join(' within ')}, which ipset refuses`, at: list.at };
  let unknown: SetResult | undefined;
  for (const member of list.members) {
    const part = member.parts[0];
    if (part?.kind !== 'set') continue;
    const result = testSet(part.name, by, s, [list.name]);
    if (result.truth === true) return { ...result, saw: `${result.saw} (${part.name})` };
    if (result.truth === 'unknown') unknown ??= result;
  }
  return unknown ?? { truth: false, saw: `in none of its ${list.members.length} sets`, at: list.at };
}

type Value =
  { readonly addr: Addr } | { readonly port: number; readonly proto: number } | { readonly name: string } | { readonly mark: number } | 'none';

/** The packet's value for one dimension; 'none' when it has no such thing, undefined when it is not known. */
function valueOf(dimension: SetDimension, side: SetKey, set: IpSet, s: Sight): Value | undefined {
  const p = s.packet;
  switch (dimension) {
    case 'ip':
    case 'net': {
      const addr = side === 'src' ? p.src : p.dst;
      return { addr };
    }
    case 'port':
      // ip_set_get_ip4_port(): ICMP puts type and code there, other protocols have 0
      if (p.proto === ICMP || p.proto === ICMPV6)
        return set.type === 'bitmap:port' || !p.icmp ? 'none' : { port: p.icmp.type * 256 + p.icmp.code, proto: p.proto };
      if (set.type === 'bitmap:port' && p.proto !== TCP && p.proto !== UDP) return 'none';
      if (hasPorts(p.proto) && p.sport === undefined) return 'none';
      return { port: (side === 'src' ? p.sport : p.dport) ?? 0, proto: p.proto };
    case 'mac':
      if (s.iif === '') return 'none';
      return p.mac && { name: side === 'src' ? p.mac.src : p.mac.dst };
    case 'iface': {
      const device = side === 'src' ? s.iif : s.oif;
      return device === undefined ? undefined : { name: device };
    }
    case 'mark':
      return { mark: and(p.mark, Number(set.options['markmask'] ?? 0xffffffff)) };
    case 'set':
      return 'none';
  }
}

/** Of the members that cover the values, the one with the longest prefixes: it decides, `nomatch` or not. */
function bestMember(set: IpSet, values: readonly Value[]): SetMember | undefined {
  let best: SetMember | undefined;
  const longest = set.type === 'hash:net,iface' ? longestNet(set, values[0]!) : undefined;
  for (const member of set.members) {
    if (longest !== undefined && netLength(member) !== longest) continue;
    if (member.parts.every((part, i) => covers(part, values[i]!)) && (!best || longer(member, best))) best = member;
  }
  return best;
}

/** hash_netiface4_data_equal(): the first network that covers the address ends the search, whatever its interface. */
function longestNet(set: IpSet, value: Value): number | undefined {
  const lengths = set.members.filter((m) => covers(m.parts[0]!, value)).map(netLength);
  return lengths.length > 0 ? Math.max(...lengths) : undefined;
}

function netLength(member: SetMember): number {
  const part = member.parts[0];
  return part?.kind === 'net' ? (part.prefix?.length ?? 0) : 0;
}

function covers(part: SetPart, value: Value): boolean {
  if (value === 'none') return false;
  switch (part.kind) {
    case 'net':
      return 'addr' in value && has(part.ranges, value.addr);
    case 'port':
      return 'port' in value && value.port >= part.lo && value.port <= part.hi && (part.proto === undefined || part.proto === value.proto);
    case 'mac':
      return 'name' in value && value.name === part.mac;
    case 'iface':
      return 'name' in value && value.name === part.name;
    case 'mark':
      return 'mark' in value && value.mark === part.mark;
    case 'set':
      return false;
  }
}

function longer(a: SetMember, b: SetMember): boolean {
  for (const [i, part] of a.parts.entries()) {
    const other = b.parts[i];
    if (part.kind !== 'net' || other?.kind !== 'net') continue;
    const difference = (part.prefix?.length ?? 0) - (other.prefix?.length ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

function describe(dimension: SetDimension, value: Value | undefined, s: Sight): string {
  if (value === undefined || value === 'none') return `no ${dimension}`;
  if ('addr' in value) return formatAddr(value.addr);
  if ('port' in value) {
    if (s.packet.icmp) return `icmp:${value.port >>> 8}/${value.port & 255}`;
    return `${value.proto === TCP ? 'tcp:' : value.proto === UDP ? 'udp:' : ''}${value.port}`;
  }
  return 'name' in value ? value.name : `0x${value.mark.toString(16)}`;
}
