// The small vocabulary in which the extensions say what they mean.
import { familyOf, maskLength, not as invert, or, type Addr, type Masked, type Word } from '../net/addr.ts';
import { complement, ranges, type Range } from '../net/intervals.ts';
import type { Field, Pred } from '../model/ruleset.ts';

/** Matches every packet. */
export const ALWAYS: Pred = { kind: 'all', of: [] };

const TOP6: Word = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
const PORT = 65535;
const WORD = 0xffffffff;

// Fields that a packet may lack, with their greatest value. A kernel match on such a field fails without it, inverted
// or not: `! --dport 80` does not match a later fragment, `! --ctorigdst X` not a packet without a conntrack entry.
const PARTIAL: Partial<Readonly<Record<Field, number>>> = {
  sport: PORT,
  dport: PORT,
  icmp: PORT,
  flags: 255,
  macsrc: 0,
  ctstatus: WORD,
  ctmark: WORD,
  ctdir: 1,
  ctproto: 255,
  ctzone: PORT,
  ctexpire: WORD,
  ctorigsrc: WORD,
  ctorigdst: WORD,
  ctreplsrc: WORD,
  ctrepldst: WORD,
  ctorigsrcport: PORT,
  ctorigdstport: PORT,
  ctreplsrcport: PORT,
  ctrepldstport: PORT,
  ipvsaddr: WORD,
  ipvsport: PORT,
  ipvsmethod: WORD,
};

export function fieldIn(field: Field, ...list: readonly Range[]): Pred {
  return { kind: 'in', field, ranges: ranges(list) };
}

export function masked(field: Field, value: Word, mask: Word): Pred {
  return { kind: 'masked', field, value, mask };
}

export function all(...of: readonly Pred[]): Pred {
  return of.length === 1 ? of[0]! : { kind: 'all', of };
}

export function any(...of: readonly Pred[]): Pred {
  return of.length === 1 ? of[0]! : { kind: 'any', of };
}

/** True for a packet that has a conntrack entry. */
export const TRACKED: Pred = fieldIn('ctstatus', [0, WORD]);

/** The plain opposite: true wherever `p` is not. */
export function otherwise(p: Pred): Pred {
  return { kind: 'not', of: p };
}

/** The opposite, in the kernel's sense: a packet that lacks the field a match looks at matches neither. */
export function negate(p: Pred): Pred {
  switch (p.kind) {
    case 'in': {
      const top = topOf(p.field, p.ranges[0]?.[0]);
      if (top === undefined) return { kind: 'not', of: p };
      const bottom: Word = typeof top === 'number' ? 0 : [0, 0, 0, 0];
      return { kind: 'in', field: p.field, ranges: complement(p.ranges, bottom, top) };
    }
    case 'masked': {
      const top = topOf(p.field, p.value);
      if (top === undefined) return { kind: 'not', of: p };
      return all(fieldIn(p.field, [typeof top === 'number' ? 0 : [0, 0, 0, 0], top]), { kind: 'not', of: p });
    }
    case 'any':
      return all(...p.of.map(negate));
    case 'all':
      return any(...p.of.map(negate));
    case 'not':
      return p.of;
    default:
      return { kind: 'not', of: p };
  }
}

function topOf(field: Field, sample: Word | undefined): Word | undefined {
  const top = PARTIAL[field];
  if (field === 'macsrc') return [0, 0, 0xffff, WORD];
  return top === undefined ? undefined : sample !== undefined && familyOf(sample) === 6 ? TOP6 : top;
}

/** An address field under a mask: an interval where the mask is contiguous. */
export function addrIn(field: Field, { addr, mask }: Masked): Pred {
  return maskLength(mask) === undefined ? masked(field, addr, mask) : fieldIn(field, [addr, or<Addr>(addr, invert(mask))]);
}

/** A protocol field; 0 stands for every protocol. */
export function protocolIn(field: 'proto' | 'ctproto', n: number): Pred {
  return fieldIn(field, [n, n]);
}

/** Ports of one side, the other, or either: the one meaning behind tcp, udp, sctp, dccp and multiport. */
export function portsIn(side: 'sport' | 'dport' | 'either', list: readonly Range[]): Pred {
  return side === 'either' ? any(fieldIn('sport', ...list), fieldIn('dport', ...list)) : fieldIn(side, ...list);
}
