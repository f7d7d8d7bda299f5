// IPv4 addresses as one unsigned 32-bit number, IPv6 addresses as four. A number is IPv4, a tuple is IPv6:
// the family of an address is in its shape, so no pair of addresses can disagree with a flag beside it.

export type Family = 4 | 6;

declare const v4: unique symbol;
/** An IPv4 address: an unsigned 32-bit number, host order (10.0.0.1 is 0x0a000001). */
export type V4 = number & { readonly [v4]: true };
/** An IPv6 address: four unsigned 32-bit words, most significant first. */
export type V6 = readonly [number, number, number, number];
export type Addr = V4 | V6;

/** Any value a packet field can hold: one unsigned 32-bit word (ports, marks, IPv4), or four (IPv6). */
export type Word = number | V6;

/** The addresses whose first `length` bits are those of `addr`; `addr` has no bits set beyond them. */
export interface Prefix {
  readonly addr: Addr;
  readonly length: number;
}

/** `addr` under any mask, contiguous or not: `-s 10.0.0.1/255.0.255.0` is legal netfilter. */
export interface Masked {
  readonly addr: Addr;
  readonly mask: Addr;
}

/** Why a text is not the address, prefix or mask it was meant to be. `column` counts from 0 within that text. */
export interface AddrError {
  readonly error: string;
  readonly column: number;
}

export const ANY4 = 0 as V4;
export const ANY6: V6 = [0, 0, 0, 0];

export function familyOf(addr: Word): Family {
  return typeof addr === 'number' ? 4 : 6;
}

export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

export function isError(x: unknown): x is AddrError {
  return typeof x === 'object' && x !== null && 'error' in x;
}

/** Strict dotted decimal: four parts, no leading zeros (inet_aton would read 010 as octal 8; iptables never prints it). */
export function parseV4(text: string): V4 | AddrError {
  let word = 0;
  let part = -1;
  let start = 0;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 46;
    if (c === 46) {
      if (part < 0) return { error: `'${text}' is not an IPv4 address: an empty part`, column: i };
      word = word * 256 + part;
      parts++;
      if (parts > 4) return { error: `'${text}' is not an IPv4 address: more than four parts`, column: start };
      part = -1;
      start = i + 1;
    } else if (c >= 48 && c <= 57) {
      if (part === 0) return { error: `'${text}' is not an IPv4 address: a leading zero (write ${dropZeros(text)})`, column: start };
      part = (part < 0 ? 0 : part * 10) + (c - 48);
      if (part > 255) return { error: `'${text}' is not an IPv4 address: a part is above 255`, column: start };
    } else {
      return { error: `'${text}' is not an IPv4 address: unexpected '${text[i]}'`, column: i };
    }
  }
  if (parts !== 4) return { error: `'${text}' is not an IPv4 address: ${parts} part${parts === 1 ? '' : 's'} instead of four`, column: text.length };
  return word as V4;
}

function dropZeros(text: string): string {
  return text.replace(/(^|\.)0+(?=\d)/g, '$1');
}

/** RFC 4291 text, with an embedded dotted quad allowed at the end. Zones (`%eth0`) are refused. */
export function parseV6(text: string): V6 | AddrError {
  const bad = (why: string, column = 0): AddrError => ({ error: `'${text}' is not an IPv6 address: ${why}`, column });
  const zone = text.indexOf('%');
  if (zone >= 0) return bad('a zone does not belong here', zone);
  const gap = text.indexOf('::');
  if (gap >= 0 && text.indexOf('::', gap + 1) >= 0) return bad("'::' may stand once only", text.indexOf('::', gap + 1));
  const side = (s: string, base: number): number[] | AddrError => {
    if (s === '') return [];
    const groups: number[] = [];
    let at = base;
    const parts = s.split(':');
    for (const [i, p] of parts.entries()) {
      if (i === parts.length - 1 && base + s.length === text.length && p.includes('.')) {
        const quad = parseV4(p);
        if (typeof quad !== 'number') return bad('its dotted part is no IPv4 address', at);
        groups.push(quad >>> 16, quad & 0xffff);
      } else {
        if (!/^[0-9a-fA-F]{1,4}$/.test(p)) return bad(p === '' ? 'an empty group' : `'${p}' is not a group of 1 to 4 hex digits`, at);
        groups.push(parseInt(p, 16));
      }
      at += p.length + 1;
    }
    return groups;
  };
  const head = side(gap >= 0 ? text.slice(0, gap) : text, 0);
  if (isError(head)) return head;
  const tail = gap >= 0 ? side(text.slice(gap + 2), gap + 2) : [];
  if (isError(tail)) return tail;
  const missing = 8 - head.length - tail.length;
  if (gap >= 0 ? missing < 1 : missing !== 0)
    return bad(`${head.length + tail.length} groups${gap >= 0 ? " and '::'" : ' instead of eight'}`, text.length);
  const g = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (i: number): number => ((g[i]! << 16) | g[i + 1]!) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

export function parseAddr(text: string): Addr | AddrError {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

/** `ADDR/LENGTH` or a bare address (its full length). Host bits are cut off, as the kernel does. */
export function parsePrefix(text: string): Prefix | AddrError {
  const masked = parseMasked(text);
  if (isError(masked)) return masked;
  const length = maskLength(masked.mask);
  if (length === undefined) return { error: `'${text}' has a mask with holes; a prefix length is needed here`, column: text.indexOf('/') + 1 };
  return { addr: masked.addr, length };
}

/** `ADDR`, `ADDR/LENGTH` or `ADDR/MASK`, the mask contiguous or not. Host bits are cut off. */
export function parseMasked(text: string): Masked | AddrError {
  const slash = text.indexOf('/');
  const addr = parseAddr(slash < 0 ? text : text.slice(0, slash));
  if (isError(addr)) return addr;
  const family = familyOf(addr);
  if (slash < 0) return { addr, mask: maskOf(family, bitsOf(family)) };
  const after = text.slice(slash + 1);
  if (/[.:]/.test(after)) {
    const mask = parseAddr(after);
    if (isError(mask)) return { error: mask.error, column: slash + 1 + mask.column };
    if (familyOf(mask) !== family) return { error: `'${text}' mixes an IPv${family} address with an IPv${familyOf(mask)} mask`, column: slash + 1 };
    return { addr: and(addr, mask), mask };
  }
  const length = parseLength(after, family);
  if (typeof length !== 'number') return { error: `'${text}': ${length.error}`, column: slash + 1 };
  const mask = maskOf(family, length);
  return { addr: and(addr, mask), mask };
}

function parseLength(text: string, family: Family): number | AddrError {
  const top = bitsOf(family);
  if (!/^(0|[1-9]\d{0,3})$/.test(text)) return { error: `'/${text}' is not a prefix length (0 to ${top}, no sign, no leading zero)`, column: 0 };
  const n = Number(text);
  return n <= top ? n : { error: `'/${text}' is longer than the ${top} bits of an IPv${family} address`, column: 0 };
}

export function formatAddr(addr: Word): string {
  return typeof addr === 'number' ? `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}` : formatV6(addr);
}

/** RFC 5952 text, as inet_ntop prints it (the mapped and compatible forms with a dotted quad). */
function formatV6(a: V6): string {
  const g = a.flatMap((w) => [w >>> 16, w & 0xffff]);
  if (a[0] === 0 && a[1] === 0 && (a[2] === 0xffff || (a[2] === 0 && a[3] > 0xffff))) {
    return `::${a[2] === 0 ? '' : 'ffff:'}${formatAddr(a[3])}`;
  }
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && g[i + n] === 0) n++;
    if (n > bestLength) [best, bestLength] = [i, n];
  }
  const hex = (from: number, to: number): string =>
    g
      .slice(from, to)
      .map((x) => x.toString(16))
      .join(':');
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

/** `10.0.0.1:80`, `[fd00::1]:80`, `10.0.0.1:1024-65535`; the address alone without a port. Words may stand for an address. */
export function formatEndpoint(addr: Addr | string, port: number | readonly [number, number] | undefined): string {
  const host = typeof addr === 'string' ? addr : formatAddr(addr);
  if (port === undefined) return host;
  return `${host.includes(':') ? `[${host}]` : host}:${typeof port === 'number' ? port : port.join('-')}`;
}

/** `10.0.0.0/8`; a full-length prefix without its length, as ip and ipset print it. */
export function formatPrefix(p: Prefix): string {
  return p.length === bitsOf(familyOf(p.addr)) ? formatAddr(p.addr) : `${formatAddr(p.addr)}/${p.length}`;
}

/** `10.0.0.0/8` where the two ends are those of a prefix, else `10.0.0.1-10.0.0.9`. */
export function formatRange(lo: Addr, hi: Addr): string {
  const length = familyOf(lo) === familyOf(hi) ? maskLength(not(xor(lo, hi))) : undefined;
  const isBlock = length !== undefined && equal(and(lo, maskOf(familyOf(lo), length)), lo);
  return isBlock ? formatPrefix({ addr: lo, length }) : `${formatAddr(lo)}-${formatAddr(hi)}`;
}

/** As iptables-save prints it: `/32` kept, a mask with holes dotted. */
export function formatMasked(m: Masked): string {
  const length = maskLength(m.mask);
  return `${formatAddr(m.addr)}/${length ?? formatAddr(m.mask)}`;
}

export function maskOf(family: Family, length: number): Addr {
  if (family === 4) return maskWord(length) as V4;
  return [maskWord(length), maskWord(length - 32), maskWord(length - 64), maskWord(length - 96)];
}

function maskWord(length: number): number {
  return length <= 0 ? 0 : length >= 32 ? 0xffffffff : (0xffffffff << (32 - length)) >>> 0;
}

/** The prefix length of a contiguous mask, else undefined. */
export function maskLength(mask: Addr): number | undefined {
  const words = typeof mask === 'number' ? [mask] : mask;
  let length = 0;
  for (const w of words) length += Math.clz32(~w);
  return equal(maskOf(familyOf(mask), length), mask) ? length : undefined;
}

export function prefixMask(p: Prefix): Addr {
  return maskOf(familyOf(p.addr), p.length);
}

export function asMasked(p: Prefix): Masked {
  return { addr: p.addr, mask: prefixMask(p) };
}

export function asPrefix(addr: Addr): Prefix {
  return { addr, length: bitsOf(familyOf(addr)) };
}

/** Bitwise and. Words of different width have nothing in common; the caller compares families first. */
export function and<W extends Word>(a: W, b: W): W;
export function and(a: Word, b: Word): Word {
  if (typeof a === 'number' && typeof b === 'number') return (a & b) >>> 0;
  if (typeof a !== 'number' && typeof b !== 'number') return [(a[0] & b[0]) >>> 0, (a[1] & b[1]) >>> 0, (a[2] & b[2]) >>> 0, (a[3] & b[3]) >>> 0];
  throw new RangeError(`and() of an IPv${familyOf(a)} and an IPv${familyOf(b)} word`);
}

export function or<W extends Word>(a: W, b: W): W;
export function or(a: Word, b: Word): Word {
  if (typeof a === 'number' && typeof b === 'number') return (a | b) >>> 0;
  if (typeof a !== 'number' && typeof b !== 'number') return [(a[0] | b[0]) >>> 0, (a[1] | b[1]) >>> 0, (a[2] | b[2]) >>> 0, (a[3] | b[3]) >>> 0];
  throw new RangeError(`or() of an IPv${familyOf(a)} and an IPv${familyOf(b)} word`);
}

export function not<W extends Word>(a: W): W;
export function not(a: Word): Word {
  return typeof a === 'number' ? ~a >>> 0 : [~a[0] >>> 0, ~a[1] >>> 0, ~a[2] >>> 0, ~a[3] >>> 0];
}

export function xor<W extends Word>(a: W, b: W): W;
export function xor(a: Word, b: Word): Word {
  return and(or(a, b), not(and(a, b)));
}

export function equal(a: Word, b: Word): boolean {
  if (typeof a === 'number' || typeof b === 'number') return a === b;
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3];
}

/** Orders words of one width numerically; a one-word value sorts before a four-word one. */
export function compare(a: Word, b: Word): number {
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1;
  if (typeof b === 'number') return 1;
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}

export function contains(p: Prefix | Masked, addr: Addr): boolean {
  if (familyOf(p.addr) !== familyOf(addr)) return false;
  return equal(and(addr, 'mask' in p ? p.mask : prefixMask(p)), p.addr);
}

/** The block that an address of some length is in: its host bits cleared. */
export function networkOf({ addr, length }: Prefix): Prefix {
  return { addr: and(addr, maskOf(familyOf(addr), length)), length };
}

/** First and last address of a prefix. */
export function prefixRange(p: Prefix): readonly [Addr, Addr] {
  return [p.addr, or(p.addr, not(prefixMask(p)))];
}

/** The word `n` steps after `a`, wrapping within its width (n may be negative, |n| below 2^32). */
export function add<W extends Word>(a: W, n: number): W;
export function add(a: Word, n: number): Word {
  if (typeof a === 'number') return (a + n) >>> 0;
  const out: [number, number, number, number] = [...a];
  let carry = n;
  for (let i = 3; i >= 0 && carry !== 0; i--) {
    const sum = out[i]! + carry;
    out[i] = sum >>> 0;
    carry = Math.floor(sum / 0x100000000);
  }
  return out;
}

export function isLoopback(addr: Addr): boolean {
  return typeof addr === 'number' ? addr >>> 24 === 127 : equal(addr, [0, 0, 0, 1]);
}

export function isMulticast(addr: Addr): boolean {
  return typeof addr === 'number' ? addr >>> 28 === 14 : addr[0] >>> 24 === 0xff;
}

/** 255.255.255.255 (IPv6 has no broadcast). */
export function isLimitedBroadcast(addr: Addr): boolean {
  return addr === 0xffffffff;
}

/** 0.0.0.0 or `::`; since Linux 5.3 the rest of 0.0.0.0/8 is an ordinary network (ipv4_is_zeronet()). */
export function isZeronet(addr: Addr): boolean {
  return typeof addr === 'number' ? addr === 0 : equal(addr, ANY6);
}

export function isLinkLocal(addr: Addr): boolean {
  return typeof addr === 'number' ? addr >>> 16 === 0xa9fe : addr[0] >>> 22 === 0xfe80 >>> 6;
}
