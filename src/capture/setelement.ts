// The elements of sets: `10.0.0.1,tcp:80,192.168.0.0/24` into its parts.
import { and, add, bitsOf, compare, equal, familyOf, isError, maskLength, maskOf, or, not, parseAddr, parsePrefix } from '../net/addr.ts';
import type { Addr, Family, Prefix } from '../net/addr.ts';
import { ICMP, ICMPV6, ICMPV6_TYPES, ICMP_TYPES, parsePort, parseProtocol, TCP } from '../net/proto.ts';
import type { SetDimension, SetPart } from '../model/ruleset.ts';
import type { SetHead } from './ipset.ts';

interface Unreadable {
  readonly error: string;
}
type Parts = readonly SetPart[];

/** The parts of an element by the dimensions of its set; several lists where a range stands for several prefixes. */
export function readElement(head: SetHead, element: string): readonly Parts[] | Unreadable {
  const words = element.split(',');
  // bitmap:ip,mac keeps addresses whose MAC is not known yet: such an element has one part.
  const least = head.type === 'bitmap:ip,mac' ? 1 : head.dimensions.length;
  if (words.length < least || words.length > head.dimensions.length) {
    return { error: `'${element}' has ${words.length} part${words.length === 1 ? '' : 's'}, ${head.type} has ${head.dimensions.length}` };
  }
  let all: readonly Parts[] = [[]];
  for (const [i, word] of words.entries()) {
    const choices = readPart(head, head.dimensions[i]!, word);
    if ('error' in choices) return choices;
    all = choices.length === 1 ? all.map((parts) => [...parts, choices[0]!]) : all.flatMap((parts) => choices.map((c) => [...parts, c]));
  }
  return all;
}

function readPart(head: SetHead, dimension: SetDimension, word: string): readonly SetPart[] | Unreadable {
  switch (dimension) {
    case 'ip':
      return readIp(head, word);
    case 'net':
      return readNet(head, word);
    case 'port':
      return one(readPort(head, word));
    case 'mac': {
      const mac = word.toLowerCase();
      return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) ? [{ kind: 'mac', mac }] : { error: `'${word}' is not a MAC address` };
    }
    case 'mark': {
      const mark = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(word) ? Number(word) : Number.NaN;
      return mark <= 0xffffffff ? [{ kind: 'mark', mark }] : { error: `'${word}' is not a mark` };
    }
    case 'iface': {
      const physdev = word.startsWith('physdev:');
      const name = physdev ? word.slice(8) : word;
      return /^[^\s/]{1,15}$/.test(name) ? [{ kind: 'iface', name, physdev }] : { error: `'${name}' is not an interface name` };
    }
    case 'set':
      return word === '' || word.length > 31 ? { error: `'${word}' is not a set's name` } : [{ kind: 'set', name: word }];
  }
}

function one(part: SetPart | Unreadable): readonly SetPart[] | Unreadable {
  return 'error' in part ? part : [part];
}

// `netmask` and `bitmask` store the masked address and mask the packet's: the element covers the whole block.
function maskLengthOf(head: SetHead, family: Family): number | Unreadable {
  const text = head.options['netmask'] ?? head.options['bitmask'];
  if (text === undefined) return bitsOf(family);
  if (/^\d{1,3}$/.test(text)) return Math.min(Number(text), bitsOf(family));
  const mask = parseAddr(text);
  const length = isError(mask) ? undefined : maskLength(mask);
  return length ?? { error: `the set's mask '${text}' has holes, which is not modelled` };
}

function readRange(head: SetHead, word: string): readonly [Addr, Addr] | Unreadable {
  const dash = word.indexOf('-');
  let lo: Addr;
  let hi: Addr;
  if (dash < 0) {
    const prefix = parsePrefix(word);
    if (isError(prefix)) return { error: prefix.error };
    [lo, hi] = [prefix.addr, lastOf(prefix)];
  } else {
    const from = parseAddr(word.slice(0, dash));
    const to = parseAddr(word.slice(dash + 1));
    if (isError(from)) return { error: from.error };
    if (isError(to)) return { error: to.error };
    if (familyOf(from) !== familyOf(to)) return { error: `'${word}' mixes IPv4 and IPv6` };
    [lo, hi] = compare(from, to) <= 0 ? [from, to] : [to, from]; // as ipset does
  }
  const family = familyOf(lo);
  if (head.family !== undefined && family !== head.family) return { error: `'${word}' is IPv${family}, the set holds IPv${head.family}` };
  return [lo, hi];
}

function readIp(head: SetHead, word: string): readonly SetPart[] | Unreadable {
  const range = readRange(head, word);
  if ('error' in range) return range;
  const length = maskLengthOf(head, familyOf(range[0]));
  if (typeof length !== 'number') return length;
  const mask = maskOf(familyOf(range[0]), length);
  return [{ kind: 'net', ranges: [[and(range[0], mask), or(range[1], not(mask))]] }];
}

function readNet(head: SetHead, word: string): readonly SetPart[] | Unreadable {
  const range = readRange(head, word);
  if ('error' in range) return range;
  const out: SetPart[] = [];
  for (const prefix of prefixesOf(...range)) out.push({ kind: 'net', ranges: [[prefix.addr, lastOf(prefix)]], prefix });
  return out;
}

function lastOf(p: Prefix): Addr {
  return or(p.addr, not(maskOf(familyOf(p.addr), p.length)));
}

// The fewest prefixes that make up a range, as the kernel's ip_set_range_to_cidr() cuts it.
function* prefixesOf(lo: Addr, hi: Addr): Generator<Prefix> {
  const family = familyOf(lo);
  for (let from = lo; ;) {
    let length = bitsOf(family) as number;
    while (length > 0) {
      const wider = maskOf(family, length - 1);
      if (!equal(and(from, wider), from) || compare(or(from, not(wider)), hi) > 0) break;
      length--;
    }
    const prefix = { addr: from, length };
    yield prefix;
    const last = lastOf(prefix);
    if (compare(last, hi) >= 0) return;
    from = add(last, 1);
  }
}

function readPort(head: SetHead, word: string): SetPart | Unreadable {
  const colon = word.indexOf(':');
  const text = word.slice(colon + 1);
  const proto = colon < 0 ? TCP : parseProtocol(word.slice(0, colon));
  if (proto === undefined) return { error: `'${word.slice(0, colon)}' is not a protocol` };
  const span = (lo: number, hi: number): SetPart => ({
    kind: 'port',
    ...(head.type === 'bitmap:port' ? {} : { proto }),
    lo: Math.min(lo, hi),
    hi: Math.max(lo, hi),
  });
  if (proto === ICMP || proto === ICMPV6) {
    const numbers = /^(\d{1,3})\/(\d{1,3})$/.exec(text);
    const names = proto === ICMP ? ICMP_TYPES : ICMPV6_TYPES;
    const named = Object.hasOwn(names, text) ? names[text] : undefined;
    if (!numbers && !named) return { error: `'${text}' is not an ICMP type/code` };
    const [type, code] = numbers ? [Number(numbers[1]), Number(numbers[2])] : [named![0], named![1]];
    return type > 255 || code > 255 ? { error: `'${text}' is not an ICMP type/code` } : span(type * 256 + code, type * 256 + code);
  }
  const whole = parsePort(text); // a service's name may hold a dash
  if (whole !== undefined) return span(whole, whole);
  const dash = text.indexOf('-', 1);
  const lo = dash < 0 ? undefined : parsePort(text.slice(0, dash));
  const hi = dash < 0 ? undefined : parsePort(text.slice(dash + 1));
  return lo === undefined || hi === undefined ? { error: `'${text}' is not a port` } : span(lo, hi);
}
