// Values that a rule computes of a packet, and the sets and maps it looks them up in: nft's expressions and sets. Plain data.
import type { Word } from '../net/addr.ts';
import type { Span } from './finding.ts';
import type { Field } from './ruleset.ts';

/** A number, or the name of a device. */
export type Value = Word | string;

/** A closed interval of values; of names, `lo` alone counts, and a `*` at its end stands for any rest. */
export type ValueRange = readonly [lo: Value, hi: Value];

/** What is computed. Without a value (a packet without ports, a connection that is not tracked) the rule ends there: NFT_BREAK. */
export type Operand = (
  | { readonly kind: 'constant'; readonly value: Value }
  /** `ctstate` as the bit that nft shows, enum nft_ct_keys. */
  | { readonly kind: 'field'; readonly field: Field }
  | { readonly kind: 'device'; readonly field: 'iif' | 'oif' | 'physin' | 'physout' }
  /** Bits of the packet, at most 128, from `offset` bits behind the beginning of a header. */
  | { readonly kind: 'payload'; readonly base: 'link' | 'network' | 'transport'; readonly offset: number; readonly length: number }
  | { readonly kind: 'bits'; readonly op: '&' | '|' | '^' | '<<' | '>>'; readonly of: Operand; readonly by: Operand; readonly width: number }
  /** One component of what a map has for a key. */
  | { readonly kind: 'map'; readonly key: readonly Operand[]; readonly map: SetReference; readonly part: number }
  /** What the routing tables say of an address: RTN_*, or the device to it ('' for none), nft_fib_ipv4.c. */
  | {
      readonly kind: 'fib';
      readonly side: 'src' | 'dst';
      readonly mark: boolean;
      readonly limit?: 'iif' | 'oif';
      readonly result: 'type' | 'device';
    }
  /** A number of `offset`..`offset + mod - 1`: drawn for each packet, or (`hash`) fixed for those that look alike. */
  | { readonly kind: 'drawn'; readonly mod: number; readonly offset: number; readonly by: 'random' | 'inc' | 'hash' }
  /** What no capture tells; equal `as` within one visit have equal values. */
  | { readonly kind: 'hidden'; readonly why: string }
) & { readonly text: string };

/** The name of a set of the rule's table, or a set of the rule's own. */
export type SetReference = string | NftSet;

export type NftVerdict = { readonly kind: 'accept' | 'drop' | 'return' | 'continue' } | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export interface NftElement {
  /** One interval for each component; undefined for `*`, which stands for all that no other covers. */
  readonly key?: readonly ValueRange[];
  /** As captured: `10.0.0.0/8 : jump x`. */
  readonly text: string;
  readonly at: Span;
  readonly verdict?: NftVerdict;
  /** Of a map: one interval for each component of its value. */
  readonly data?: readonly ValueRange[];
  /** Seconds until it goes. */
  readonly expires?: number;
  /** A statement that may end the rule, though the element is met: `limit rate 5/second`. */
  readonly gate?: string;
}

export interface NftSet {
  /** '' for one that stands in a rule. */
  readonly name: string;
  readonly at: Span;
  readonly elements: readonly NftElement[];
  /** What rules add may be there, or gone, by the time of the packet. */
  readonly dynamic: boolean;
  readonly size?: number;
  /** The timeout of elements that have none of their own. */
  readonly timeout?: number;
  /** Of a named one: its kind, types and flags as nft declares them, without its elements: `map x { type ipv4_addr : verdict; }`. */
  readonly declared?: string;
  /** Set when its elements could not all be read: what is not found may be there. */
  readonly incomplete?: string | undefined;
}
