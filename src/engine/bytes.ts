// The bytes of a packet as far as a question determines them: what u32 and string look at. Checksums, sequence numbers, TCP options
// and a payload that nobody gave are unknown, and what depends on them is.
import type { Packet } from '../model/packet.ts';
import type { Truth, U32Test } from '../model/ruleset.ts';
import type { Addr } from '../net/addr.ts';
import { ICMP, ICMPV6, TCP, UDP, UDPLITE } from '../net/proto.ts';

/** A number of which some bits are known: those set in `mask`; the others are 0 in `value`. */
interface Bits {
  readonly value: number;
  readonly mask: number;
  /** A number of the header that nobody chooses to spell a text: checksum, sequence number, timestamp. */
  readonly isNoise?: true;
}

const ALL = 0xffffffff;
const UNKNOWN: Bits = { value: 0, mask: 0 };
const byte = (value: number): Bits => ({ value: value & 255, mask: 255 });
const two = (n: number): Bits[] => [byte(n >>> 8), byte(n)];
const four = (n: number): Bits[] => [...two(n >>> 16), ...two(n & 0xffff)];
const NOISE: Bits = { ...UNKNOWN, isNoise: true };
const hidden = (count: number, as: Bits = NOISE): Bits[] => Array.from({ length: Math.max(0, count) }, () => as);
const address = (a: Addr): Bits[] => (typeof a === 'number' ? four(a) : a.flatMap(four));

/** The packet from its IP header on, byte by byte. */
export function bytesOf(p: Packet): readonly Bits[] {
  const start = p.family === 4 ? ipv4(p) : ipv6(p);
  const transport = transportOf(p);
  const payload = payloadOf(p);
  const rest = p.length - start.length - transport.length - (payload?.length ?? 0);
  // what is not accounted for lies before a known payload (TCP options), or is an unknown payload
  return [...start, ...transport, ...hidden(rest, payload ? NOISE : UNKNOWN), ...(payload ?? []).map(byte)].slice(0, Math.max(0, p.length));
}

/** A SYN has none, unless the question gives it one. */
function payloadOf(p: Packet): readonly number[] | undefined {
  return p.payload ?? (p.proto === TCP && (p.flags ?? 0) & 2 ? [] : undefined);
}

function side(p: Packet, which: 'src' | 'dst'): Bits[] {
  return p.undetermined?.[which] ? hidden(p.family === 4 ? 4 : 16) : address(p[which]);
}

// No IP options; the identification is any, and so is the don't-fragment bit.
function ipv4(p: Packet): Bits[] {
  const flags: Bits = { value: 0, mask: 0xbf };
  return [
    byte(0x45),
    byte(p.tos),
    ...two(p.length),
    ...hidden(2),
    flags,
    byte(0),
    byte(p.ttl),
    byte(p.proto),
    ...hidden(2),
    ...side(p, 'src'),
    ...side(p, 'dst'),
  ];
}

// The flow label is any.
function ipv6(p: Packet): Bits[] {
  const label: Bits = { value: (p.tos << 4) & 0xf0, mask: 0xf0 };
  return [byte(0x60 | (p.tos >>> 4)), label, ...hidden(2), ...two(p.length - 40), byte(p.proto), byte(p.ttl), ...side(p, 'src'), ...side(p, 'dst')];
}

function port(p: Packet, which: 'sport' | 'dport'): Bits[] {
  const range = p.undetermined?.[which];
  return range && range[0] !== range[1] ? hidden(2) : two(p[which] ?? 0);
}

function transportOf(p: Packet): Bits[] {
  const header = p.family === 4 ? 20 : 40;
  switch (p.proto) {
    case TCP: {
      // with a given payload, what is left between the two is options, in words of four bytes; the lower half of that byte is reserved
      const payload = payloadOf(p);
      const options = payload && p.length - header - 20 - payload.length;
      const offset: Bits =
        options !== undefined && options >= 0 && options <= 40 && options % 4 === 0 ? { value: (5 + options / 4) << 4, mask: 0xf0 } : UNKNOWN;
      return [...port(p, 'sport'), ...port(p, 'dport'), ...hidden(8), offset, byte(p.flags ?? 0), ...hidden(6)];
    }
    case UDP:
      return [...port(p, 'sport'), ...port(p, 'dport'), ...two(p.length - header), ...hidden(2)];
    case UDPLITE:
      return [...port(p, 'sport'), ...port(p, 'dport'), ...hidden(4)];
    case ICMP:
    case ICMPV6: {
      const id = p.undetermined?.id;
      const known = p.icmp && !p.inner && isEcho(p) && !(id && id[0] !== id[1]);
      return p.icmp ? [byte(p.icmp.type), byte(p.icmp.code), ...hidden(2), ...(known ? two(p.icmp.id) : hidden(2)), ...hidden(2)] : [];
    }
    default:
      return p.sport === undefined ? [] : [...port(p, 'sport'), ...port(p, 'dport')];
  }
}

function isEcho(p: Packet): boolean {
  const types = p.proto === ICMP ? [0, 8] : [128, 129];
  return types.includes(p.icmp!.type);
}

/** Four bytes as one number; undefined where the packet ends before. */
function wordAt(bytes: readonly Bits[], at: number): Bits | undefined {
  if (bytes.length < 4 || at > bytes.length - 4) return undefined;
  let [value, mask] = [0, 0];
  for (let i = 0; i < 4; i++) {
    const b = bytes[at + i]!;
    value = ((value << 8) | (b.value & b.mask)) >>> 0;
    mask = ((mask << 8) | b.mask) >>> 0;
  }
  return { value, mask };
}

/** u32_match_it(), net/netfilter/xt_u32.c: what lies beyond the packet makes a test false. */
export function testU32(tests: readonly U32Test[], bytes: readonly Bits[]): Truth {
  let truth: Truth = true;
  for (const t of tests) {
    const one = testOne(t, bytes);
    if (one === false) return false;
    if (one === 'unknown') truth = one;
  }
  return truth;
}

function testOne(t: U32Test, bytes: readonly Bits[]): Truth {
  let at = 0;
  let seen = wordAt(bytes, t.start);
  if (!seen) return false;
  for (const { op, by } of t.steps) {
    // a shift by the width or more is left to the processor
    if ((op === 'left' || op === 'right') && by > 31) return 'unknown';
    switch (op) {
      case 'and':
        // bits that the operand clears are known to be 0
        seen = { value: (seen.value & by) >>> 0, mask: (seen.mask | ~by) >>> 0 };
        break;
      case 'left':
        seen = { value: (seen.value << by) >>> 0, mask: ((seen.mask << by) | ~(ALL << by)) >>> 0 };
        break;
      case 'right':
        seen = { value: seen.value >>> by, mask: ((seen.mask >>> by) | (by === 0 ? 0 : ALL << (32 - by))) >>> 0 };
        break;
      case 'at': {
        if (seen.mask !== ALL) return 'unknown';
        at += seen.value;
        const next: Bits | undefined = at > ALL ? undefined : wordAt(bytes, at + by);
        if (!next) return false;
        seen = next;
        break;
      }
    }
  }
  const [lo, hi] = [seen.value, (seen.value | ~seen.mask) >>> 0];
  if (t.ranges.some(([a, b]) => a <= lo && hi <= b)) return true;
  return t.ranges.some(([a, b]) => a <= hi && lo <= b) ? 'unknown' : false;
}

/**
 * Whether the pattern is in the packet. string_mt(), net/netfilter/xt_string.c, and skb_find_text(), net/core/skbuff.c: since Linux 6.6
 * the pattern must end before `to`, before that it had to begin no later; where the two differ the answer is unknown.
 */
export function findPattern(
  pred: { readonly pattern: readonly number[]; readonly from: number; readonly to: number; readonly ignoreCase: boolean },
  bytes: readonly Bits[],
): Truth {
  const { pattern, from, to, ignoreCase } = pred;
  let truth: Truth = false;
  for (let at = from; at + pattern.length <= bytes.length && at <= to; at++) {
    let here: Truth = true;
    let noise = 0;
    for (const [i, wanted] of pattern.entries()) {
      const b = bytes[at + i]!;
      if (b.isNoise) noise++;
      if (!mayBe(b, wanted, ignoreCase) || noise > MOST_NOISE) {
        here = false;
        break;
      }
      if (b.mask !== 255) here = 'unknown';
    }
    if (here === true && at + pattern.length > to) here = 'unknown';
    if (here === true) return true;
    if (here === 'unknown') truth = here;
  }
  return truth;
}

/** So many bytes of noise may spell a part of a pattern; that four do, one packet in four thousand million, is not supposed. */
const MOST_NOISE = 3;

/** Whether what is known of a byte allows that it is the wanted one. */
function mayBe(b: Bits, wanted: number, ignoreCase: boolean): boolean {
  if (((b.value ^ wanted) & b.mask) === 0) return true;
  if (!ignoreCase) return false;
  if (b.mask === 255) return upper(b.value) === upper(wanted);
  const big = upper(wanted);
  return [big, big + 32].some((v) => upper(v) === big && ((b.value ^ v) & b.mask) === 0);
}

/** toupper() of the kernel, lib/ctype.c: Latin-1. */
function upper(n: number): number {
  return (n >= 0x61 && n <= 0x7a) || (n >= 0xe0 && n <= 0xff && n !== 0xf7) ? n - 32 : n;
}
