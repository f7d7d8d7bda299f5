// The elements that one `ipset add` or `ipset del` is about: single ones, as `ipset save` prints them.
import {
  add,
  and,
  bitsOf,
  compare,
  equal,
  familyOf,
  formatAddr,
  isError,
  maskOf,
  not,
  or,
  parseAddr,
  parsePrefix,
  prefixRange,
} from '../net/addr.ts';
import type { Word } from '../net/addr.ts';
import { formatProtocol, ICMP, ICMPV6 } from '../net/proto.ts';
import type { IpSet, SetMember, SetPart } from '../model/ruleset.ts';
import type { Refusal } from './edit.ts';

/** More than any set that people edit by hand holds. */
const MOST = 1 << 20;
const FULL: Refusal = { refused: 'Hash is full, cannot add more elements' };

/** Each element that `members`, as read from a command, stands for, or why the set takes none of them. */
export function elementsOf(set: IpSet, members: readonly SetMember[]): readonly SetMember[] | Refusal {
  for (const m of members) {
    const why = whyNever(set, m);
    if (why !== undefined) return { refused: why };
  }
  const counts = members.map((m) => m.parts.reduce((n, part) => n * countOf(set, part), 1));
  const count = counts.reduce((a, b) => a + b, 0);
  const maxelem = Number(set.options['maxelem'] ?? Number.POSITIVE_INFINITY);
  if (count > MOST && count > maxelem) return FULL;
  if (count > MOST) return { refused: `that stands for ${count} elements; netwhy carries out up to ${MOST}` };
  return members.flatMap((m) => {
    let all: readonly (readonly SetPart[])[] = [[]];
    for (const part of m.parts) all = all.flatMap((head) => [...singles(set, part)].map((p) => [...head, p]));
    return all.map((parts): SetMember => ({ ...m, parts, text: textOf(set, parts, m.text) }));
  });
}

/** Reports whether an element more is one too many: the same check for `maxelem` as in mtype_add(). */
export function isFull(set: IpSet, count: number): boolean {
  return count >= Number(set.options['maxelem'] ?? Number.POSITIVE_INFINITY);
}

/** What tells elements of a set apart: mtype_data_equal() of its type. bitmap:ip,mac has one an address. */
export function keyOf(set: IpSet, { parts }: SetMember): string {
  if (set.type === 'bitmap:ip,mac') return keyOfPart(parts[0]!);
  let key = '';
  for (const part of parts) key += `${keyOfPart(part)},`;
  return key;
}

function keyOfPart(part: SetPart): string {
  switch (part.kind) {
    case 'net':
      return `${String(part.masked?.addr ?? part.ranges[0]?.[0])}/${part.prefix?.length ?? ''}`;
    case 'port':
      return `${part.proto ?? ''}:${part.lo}-${part.hi}`;
    case 'mac':
      return part.mac;
    case 'mark':
      return String(part.mark);
    case 'iface':
      return `${part.physdev ? 'physdev:' : ''}${part.name}`;
    case 'set':
      return part.name;
  }
}

/** hash_netiface4_data_equal(): what is there as a wildcard is the same as each name that begins so. */
export function isUnderWildcard(stored: SetMember, wanted: SetMember): boolean {
  const [net, iface] = stored.parts;
  const [other, name] = wanted.parts;
  if (iface?.kind !== 'iface' || !iface.wildcard || name?.kind !== 'iface') return false;
  return keyOfPart(net!) === keyOfPart(other!) && iface.physdev === name.physdev && name.name.startsWith(iface.name);
}

// What the *_uadt functions of net/netfilter/ipset/ refuse whatever the set holds.
function whyNever(set: IpSet, { parts }: SetMember): string | undefined {
  const isHash = set.type.startsWith('hash:');
  for (const [i, part] of parts.entries()) {
    const dimension = set.dimensions[i];
    if (part.kind === 'mac' && isHash && part.mac === '00:00:00:00:00:00') return 'Null-valued element, cannot be stored in a hash type of set';
    if (part.kind === 'port' && set.type === 'bitmap:port' && !isInRange(set, part.lo, part.hi)) return 'Element is out of the range of the set';
    if (part.kind !== 'net') continue;
    const [lo, hi] = part.ranges[0]!;
    const isLong = part.prefix === undefined && !equal(lo, and(hi, maskOfElement(set, lo)));
    if (dimension === 'net' && part.prefix?.length === 0 && !/^hash:net,(?:iface|port,net)$/.test(set.type))
      return 'The value of the CIDR parameter of the IP address is invalid';
    if (dimension === 'ip' && isLong && (i > 0 || familyOf(lo) === 6)) return 'Syntax error: plain IP address must be supplied';
    if (set.type === 'hash:ip' && equal(lo, and(lo, not(lo)))) return 'Null-valued element, cannot be stored in a hash type of set';
    // since some 6.x; Linux 6.1 takes it
    if (set.type === 'hash:ip,port' && equal(lo, and(lo, not(lo)))) return 'Kernel error received: Invalid argument';
    if (!isHash && !isInRange(set, lo, hi)) return 'Element is out of the range of the set';
  }
  return undefined;
}

/** Whether a bitmap was made for these values. */
function isInRange(set: IpSet, lo: Word, hi: Word): boolean {
  const ends = rangeOf(set.options['range'] ?? '');
  return ends === undefined || (compare(lo, ends[0]) >= 0 && compare(maskedLast(set, hi), ends[1]) <= 0);
}

function maskedLast(set: IpSet, hi: Word): Word {
  return set.mask === undefined ? hi : and(hi, set.mask);
}

/** Both ends of `range 10.0.0.0/24`, `range 10.0.0.0-10.0.0.255`, `range 1-1024`. */
export function rangeOf(text: string): readonly [Word, Word] | undefined {
  const block = text.includes('/') ? parsePrefix(text) : undefined;
  if (block) return isError(block) ? undefined : prefixRange(block);
  const [from = '', to = from] = text.split('-');
  if (/^\d+$/.test(from) && /^\d+$/.test(to)) return [Number(from), Number(to)];
  const [lo, hi] = [parseAddr(from), parseAddr(to)];
  return isError(lo) || isError(hi) ? undefined : [lo, hi];
}

function maskOfElement(set: IpSet, addr: Word): Word {
  return set.mask ?? maskOf(familyOf(addr), bitsOf(familyOf(addr)));
}

// A range of addresses without a prefix is one of the dimension `ip`, in steps of the set's mask.
function countOf(set: IpSet, part: SetPart): number {
  if (part.kind === 'port') return part.hi - part.lo + 1;
  if (part.kind !== 'net' || part.prefix !== undefined || part.masked !== undefined) return 1;
  const [lo, hi] = part.ranges[0]!;
  const last = and(hi, maskOfElement(set, lo));
  if (equal(lo, last)) return 1;
  return typeof lo === 'number' && typeof last === 'number' ? (last - lo) / stepOf(set, lo) + 1 : Number.POSITIVE_INFINITY;
}

function stepOf(set: IpSet, lo: Word): number {
  const rest = not(maskOfElement(set, lo));
  return typeof rest === 'number' ? rest + 1 : 1;
}

function* singles(set: IpSet, part: SetPart): Generator<SetPart> {
  if (part.kind === 'port') {
    for (let port = part.lo; port <= part.hi; port++) yield { ...part, lo: port, hi: port };
  } else if (part.kind === 'mark') {
    yield { ...part, mark: and(part.mark, Number(set.options['markmask'] ?? 0xffffffff)) };
  } else if (part.kind === 'net' && countOf(set, part) > 1) {
    const [lo, hi] = part.ranges[0]!;
    const rest = not(maskOfElement(set, lo));
    for (let addr = lo; compare(addr, hi) <= 0; addr = add(addr, stepOf(set, lo))) {
      yield { ...part, ranges: [[addr, or(addr, rest)]] };
      if (equal(or(addr, rest), hi)) return; // 255.255.255.255 has no next
    }
  } else yield part;
}

/** As `ipset save` prints it: the element, then what was given with it. */
function textOf(set: IpSet, parts: readonly SetPart[], typed: string): string {
  const rest = /^\S+(.*)$/s.exec(typed)?.[1] ?? '';
  return parts.map((part, i) => wordOf(part, set.dimensions[i] === 'net')).join(',') + rest;
}

function wordOf(part: SetPart, isNet: boolean): string {
  switch (part.kind) {
    case 'net': {
      const addr = part.prefix?.addr ?? part.masked?.addr ?? part.ranges[0]![0];
      const length = part.prefix?.length ?? bitsOf(familyOf(addr));
      return formatAddr(addr) + (isNet && length < bitsOf(familyOf(addr)) ? `/${length}` : '');
    }
    case 'port': {
      if (part.proto === undefined) return String(part.lo);
      const isIcmp = part.proto === ICMP || part.proto === ICMPV6;
      return `${formatProtocol(part.proto)}:${isIcmp ? `${part.lo >> 8}/${part.lo & 255}` : part.lo}`;
    }
    case 'mac':
      return part.mac;
    case 'mark':
      return `0x${part.mark.toString(16).padStart(8, '0')}`;
    case 'iface':
      return `${part.physdev ? 'physdev:' : ''}${part.name}`;
    case 'set':
      return part.name;
  }
}
