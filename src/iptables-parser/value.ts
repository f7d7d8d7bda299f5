// What may stand after an option: how each kind of value is read and how iptables-save prints it.
import {
  bitsOf,
  familyOf,
  formatAddr,
  formatMasked,
  isError,
  maskLength,
  parseAddr,
  parseMasked,
  type Addr,
  type Masked,
  type Prefix,
} from '../net/addr.ts';
import { parsePort, parseProtocol } from '../net/proto.ts';
import { quote } from './words.ts';

/** Why a value cannot be read: `word` says which of the option's words, `column` where in it. */
export interface Bad {
  readonly error: string;
  readonly word?: number;
  readonly column?: number;
  readonly hint?: string;
}

/** A kind of value. `shape` names its words, and so tells how many there are: '' for a switch, `MASK COMP` for two. */
export interface Value<V> {
  readonly shape: string;
  readonly read: (...texts: readonly string[]) => V | Bad;
  readonly print: (value: V) => string;
}

export type Span2 = readonly [lo: number, hi: number];
export interface MarkMask {
  readonly value: number;
  readonly mask: number;
}

/** An option without a value: its presence is the value. */
export const nothing: Value<true> = { shape: '', read: () => true, print: () => '' };

/** Any string, cut to what the kernel keeps, printed quoted where iptables-save quotes it. */
export function text(shape: string, max: number): Value<string> {
  return {
    shape,
    read: (t = '') => t.slice(0, max),
    print: quote,
  };
}

/** A bare word, printed as it is. */
export function word(shape: string, max = 255): Value<string> {
  return {
    shape,
    read: (t = '') =>
      t === '' ? { error: `${shape} is empty` } : t.length <= max ? t : { error: `${shape} '${t}' is longer than ${max} characters`, column: max },
    print: (t) => t,
  };
}

// xtables_strtoul() with base 0: 0x.. is hexadecimal and a leading 0 means octal.
/** A number as the xtables options read it; undefined if it is none or above `max`. */
export function parseNumber(t: string, max = 0xffffffff): number | undefined {
  if (t.length > 24) return undefined;
  const n = /^0x[0-9a-f]+$/i.test(t) ? parseInt(t.slice(2), 16) : /^0[0-7]+$/.test(t) ? parseInt(t, 8) : /^\d+$/.test(t) ? Number(t) : -1;
  return n >= 0 && n <= max ? n : undefined;
}

export function number(shape: string, max = 0xffffffff, min = 0): Value<number> {
  return {
    shape,
    read: (t = '') => {
      const n = parseNumber(t, max);
      return n !== undefined && n >= min ? n : { error: `'${t}' is not a number from ${min} to ${max}` };
    },
    print: String,
  };
}

/** `LO` or `LO<sep>HI`; either end may be left out when `open`. A range the wrong way round is refused if `isOrdered`. */
export function range(
  shape: string,
  max: number,
  sep: ':' | '-',
  open: boolean,
  read: (t: string) => number | undefined = (t) => parseNumber(t, max),
  isOrdered = true,
): Value<Span2> {
  return {
    shape,
    read: (t = '') => {
      const at = t.indexOf(sep);
      const [a, b] = at < 0 ? [t, t] : [t.slice(0, at), t.slice(at + 1)];
      const lo = open && at >= 0 && a === '' ? 0 : read(a);
      const hi = open && at >= 0 && b === '' ? max : read(b);
      if (lo === undefined) return { error: `'${a}' is not a number from 0 to ${max}` };
      if (hi === undefined) return { error: `'${b}' is not a number from 0 to ${max}`, column: at + 1 };
      if (lo > hi && isOrdered) return { error: `the range '${t}' ends before it begins`, hint: `write ${hi}${sep}${lo}` };
      return [lo, hi];
    },
    print: ([lo, hi]) => (lo === hi ? String(lo) : `${lo}${sep}${hi}`),
  };
}

/** `PORT` or `PORT:PORT`, ends optional: tcp, udp, sctp. */
export const portRange: Value<Span2> = range('PORT[:PORT]', 65535, ':', true, port);

function port(t: string): number | undefined {
  return parsePort(t) ?? parseNumber(t, 65535);
}

/** One port, by name or number. */
export const portNumber: Value<number> = {
  shape: 'PORT',
  read: (t = '') => port(t) ?? { error: `'${t}' is not a port: 0 to 65535, or the name of a service` },
  print: String,
};

/** By name or number, printed as a number. */
export const protocol: Value<number> = {
  shape: 'PROTOCOL',
  read: (t = '') => parseProtocol(t) ?? parseNumber(t, 255) ?? { error: `'${t}' is not a protocol`, hint: 'write its number, 0 to 255' },
  print: String,
};

/** `PORT,PORT:PORT,...`; a range counts twice towards the fifteen. */
export const portList: Value<readonly Span2[]> = {
  shape: 'PORT[,PORT...]',
  read: (t = '') => {
    const out: Span2[] = [];
    let slots = 0;
    let column = 0;
    for (const part of t.split(',')) {
      const one = portRange.read(part);
      if (isBad(one)) return { error: one.error, column: column + (one.column ?? 0) };
      slots += part.includes(':') ? 2 : 1;
      if (slots > 15) return { error: 'more than 15 ports (a range counts as two)', column, hint: 'split the rule in two' };
      out.push(one);
      column += part.length + 1;
    }
    return out;
  },
  print: (list) => list.map((r) => portRange.print(r)).join(','),
};

/** `VALUE[/MASK]`, printed in hexadecimal, the mask left out when it is all ones. */
export const markMask: Value<MarkMask> = {
  shape: 'VALUE[/MASK]',
  read: (t = '') => {
    const slash = t.indexOf('/');
    const value = parseNumber(slash < 0 ? t : t.slice(0, slash));
    const mask = slash < 0 ? 0xffffffff : parseNumber(t.slice(slash + 1));
    if (value === undefined) return { error: `'${t}' is not a mark (a number up to 0xffffffff)` };
    if (mask === undefined) return { error: `'${t}' has a mask that is no number up to 0xffffffff`, column: slash + 1 };
    return { value, mask };
  },
  print: ({ value, mask }) => (mask === 0xffffffff ? hex(value) : `${hex(value)}/${hex(mask)}`),
};

export function hex(n: number): string {
  return `0x${n.toString(16)}`;
}

/** `ADDR`, `ADDR/LENGTH` or `ADDR/MASK`. */
export const address: Value<Masked> = { shape: 'ADDR[/MASK]', read: (t = '') => parseMasked(t), print: formatMasked };

/** The same, printed without a mask where that is all ones. */
export const bareAddress: Value<Masked> = {
  ...address,
  print: (m) => (maskLength(m.mask) === bitsOf(familyOf(m.addr)) ? formatAddr(m.addr) : formatMasked(m)),
};

/** `ADDR/LENGTH`: a whole network. */
export const network: Value<Prefix> = {
  shape: 'ADDR[/LENGTH]',
  read: (t = '') => {
    const m = parseMasked(t);
    if (isError(m)) return m;
    const length = maskLength(m.mask);
    return length === undefined ? { error: `'${t}' has a mask with holes` } : { addr: m.addr, length };
  },
  print: (p) => `${formatAddr(p.addr)}/${p.length}`,
};

/** `ADDR` or `ADDR-ADDR`. */
export const addressRange: Value<readonly [Addr, Addr]> = {
  shape: 'ADDR[-ADDR]',
  read: (t = '') => {
    const dash = t.indexOf('-');
    const lo = parseAddr(dash < 0 ? t : t.slice(0, dash));
    if (isError(lo)) return lo;
    const hi = dash < 0 ? lo : parseAddr(t.slice(dash + 1));
    if (isError(hi)) return { error: hi.error, column: dash + 1 + hi.column };
    if (typeof lo !== typeof hi) return { error: `'${t}' mixes IPv4 and IPv6`, column: dash + 1 };
    return [lo, hi];
  },
  print: ([lo, hi]) => `${formatAddr(lo)}-${formatAddr(hi)}`,
};

/** A list of names, kept as bits and printed in the table's order. */
export function bits(shape: string, table: Readonly<Record<string, number>>, hidden: Readonly<Record<string, number>> = {}): Value<number> {
  return {
    shape,
    read: (t = '') => {
      let out = 0;
      let column = 0;
      for (const name of t.split(',')) {
        const up = name.toUpperCase();
        const bit = Object.hasOwn(table, up) ? table[up] : Object.hasOwn(hidden, up) ? hidden[up] : undefined;
        if (bit === undefined) return { error: `'${name}' is none of ${Object.keys(table).join(', ')}`, column };
        out |= bit;
        column += name.length + 1;
      }
      return out;
    },
    print: (v) =>
      Object.entries(table)
        .filter(([, bit]) => (bit === 0 ? v === 0 : (v & bit) !== 0))
        .map(([name]) => name)
        .join(','),
  };
}

/** One of some names, case ignored, printed as listed. */
export function oneOf<const N extends string>(shape: string, names: readonly N[]): Value<N> {
  return {
    shape,
    read: (t = '') => names.find((n) => n.toLowerCase() === t.toLowerCase()) ?? { error: `'${t}' is none of ${names.join(', ')}` },
    print: (n) => n,
  };
}

/** Reports whether reading a value failed. */
export function isBad(x: unknown): x is Bad {
  return typeof x === 'object' && x !== null && 'error' in x;
}
