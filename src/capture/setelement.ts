// The elements of sets: `10.0.0.1,tcp:80,192.168.0.0/24` into its parts.
import { and, add, bitsOf, compare, equal, familyOf, isError, maskLength, maskOf, or, not, parseAddr, parsePrefix, prefixMask } from '../net/addr.ts';
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

/** The bits that the elements compare: `netmask` and `bitmask` mask what is stored and what the packet has. */
export function maskIn(head: SetHead, family: Family): Addr | Unreadable {
  const text = head.options['netmask'] ?? head.options['bitmask'];
  if (text === undefined) return maskOf(family, bitsOf(family));
  if (/^\d{1,3}$/.test(text)) return maskOf(family, Math.min(Number(text), bitsOf(family)));
  const mask = parseAddr(text);
  if (isError(mask)) return { error: mask.error };
  return familyOf(mask) === family ? mask : { error: `the set's mask '${text}' is not IPv${family}` };
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
  const mask = maskIn(head, familyOf(range[0]));
  if (isUnreadable(mask)) return mask;
  const [lo, hi] = [and(range[0], mask), or(range[1], not(mask))];
  if (maskLength(mask) !== undefined) return [{ kind: 'net', ranges: [[lo, hi]] }];
  if (!equal(and(range[1], mask), lo)) return { error: `'${word}' is a range, in a set whose mask has holes` };
  return [{ kind: 'net', ranges: [[lo, hi]], masked: { addr: lo, mask } }];
}

function readNet(head: SetHead, word: string): readonly SetPart[] | Unreadable {
  const range = readRange(head, word);
  if ('error' in range) return range;
  const bits = maskIn(head, familyOf(range[0]));
  if (isUnreadable(bits)) return bits;
  const isWhole = maskLength(bits) === bitsOf(familyOf(bits));
  const out: SetPart[] = [];
  for (const prefix of prefixesOf(...range)) {
    const mask = and(prefixMask(prefix), bits);
    const addr = and(prefix.addr, mask);
    if (isWhole) out.push({ kind: 'net', ranges: [[addr, lastOf(prefix)]], prefix });
    else out.push({ kind: 'net', ranges: [[addr, or(addr, not(mask))]], prefix: { addr, length: prefix.length }, masked: { addr, mask } });
  }
  return out;
}

export function isUnreadable(x: Addr | Unreadable): x is Unreadable {
  return typeof x === 'object' && 'error' in x;
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
