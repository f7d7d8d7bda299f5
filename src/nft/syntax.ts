// The nft language as a tree: what `nft list ruleset` says in words and `nft -j list ruleset` in JSON. One tree for both:
// libnftables-json(5), nft(8). Numbers are numbers however they were spelled; all other words stay words (`tcp`, `established`,
// `10.0.0.1`, `eth0` without its quotes), since what they mean hangs on what they are compared with.
import type { Finding, Span } from '../model/finding.ts';

export type NftFamily = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev';

export interface RulesetSyntax {
  readonly tables: readonly TableSyntax[];
  readonly findings: readonly Finding[];
  /** `metainfo` of JSON: the version of nft that printed it. */
  readonly version?: string;
}

export interface TableSyntax {
  readonly family: NftFamily;
  readonly name: string;
  readonly handle?: number;
  /** `dormant`: its chains hang on no hook. `owner`, `persist`. */
  readonly flags: readonly string[];
  readonly comment?: string;
  readonly sets: readonly SetSyntax[];
  readonly chains: readonly ChainSyntax[];
  readonly objects: readonly ObjectSyntax[];
  readonly at: Span;
}

/** A flowtable, or a named counter, quota, limit, ct helper, ... `body` is what stands between its braces, in words. */
export interface ObjectSyntax {
  /** `flowtable`, `counter`, `quota`, `limit`, `ct helper`, `ct timeout`, `ct expectation`, `synproxy`, `secmark`. */
  readonly kind: string;
  readonly name: string;
  readonly handle?: number;
  readonly body: string;
  readonly at: Span;
}

export interface ChainSyntax {
  readonly name: string;
  readonly handle?: number;
  /** Of a base chain, all three. */
  readonly base?: {
    /** `filter`, `nat`, `route` */
    readonly type: string;
    /** `prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`, `egress` */
    readonly hook: string;
    /** A number, names and offsets worked out: `srcnat + 10` is 110. */
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
    /** Of ingress and egress; absent where the listing does not say them. */
    readonly devices?: readonly string[];
  };
  /** It hangs somewhere, in words that are not understood; where the hook was, it is known. */
  readonly unread?: { readonly hook?: string };
  readonly comment?: string;
  readonly rules: readonly RuleSyntax[];
  /** Why rules may be missing at its end. */
  readonly incomplete?: string;
  readonly at: Span;
}

export interface RuleSyntax {
  readonly statements: readonly StatementSyntax[];
  readonly comment?: string;
  readonly handle?: number;
  /** The rule as captured, without its comment and handle; of JSON, as nft would print it. */
  readonly text: string;
  readonly at: Span;
}

/** `type ipv4_addr . inet_service`, or `typeof ip daddr . tcp dport`. */
export type TypeSyntax = { readonly kind: 'type'; readonly names: readonly string[] } | { readonly kind: 'typeof'; readonly of: ExprSyntax };

export interface SetSyntax {
  readonly kind: 'set' | 'map';
  readonly name: string;
  readonly handle?: number;
  readonly key: TypeSyntax;
  /** Of a map: the type of its values; `type` `verdict`, or `counter`, `quota`, ... for a map of objects. */
  readonly data?: TypeSyntax;
  /** `constant`, `interval`, `timeout`, `dynamic` */
  readonly flags: readonly string[];
  readonly autoMerge?: boolean;
  /** `performance`, `memory` */
  readonly policy?: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly gcInterval?: number;
  readonly size?: number;
  readonly comment?: string;
  /** Statements that every element has: `counter`, `limit rate 10/second`. */
  readonly then: readonly StatementSyntax[];
  readonly elements: readonly ElementSyntax[];
  /** Why elements of it may be missing here. */
  readonly incomplete?: string;
  readonly at: Span;
}

/** `10.0.0.0/8 timeout 10s expires 3s comment "x" : jump y` */
export interface ElementSyntax {
  readonly key: ExprSyntax;
  /** Of a map. A verdict is an ExprSyntax too. */
  readonly data?: ExprSyntax;
  /** Seconds. */
  readonly timeout?: number;
  readonly expires?: number;
  readonly comment?: string;
  readonly then?: readonly StatementSyntax[];
  /** Where it stands; absent for elements of a set within a rule. */
  readonly at?: Span;
}

export type BinaryOperator = '&' | '|' | '^' | '<<' | '>>';

export type ExprSyntax =
  | { readonly kind: 'value'; readonly value: number | string }
  /** `*`: of a set, whatever no other element covers. */
  | { readonly kind: 'any' }
  | { readonly kind: 'prefix'; readonly addr: ExprSyntax; readonly length: number }
  | { readonly kind: 'range'; readonly from: ExprSyntax; readonly to: ExprSyntax }
  /** `new,established`: flags without braces. */
  | { readonly kind: 'list'; readonly of: readonly ExprSyntax[] }
  /** `{ ... }` within a rule. */
  | { readonly kind: 'set'; readonly elements: readonly ElementSyntax[] }
  /** `@name` */
  | { readonly kind: 'reference'; readonly name: string }
  /** `ip saddr . tcp dport` */
  | { readonly kind: 'concat'; readonly of: readonly ExprSyntax[] }
  /** `ip saddr`, `tcp dport`, `ether type`, `icmp type`, `vlan id`, `th dport`, ... */
  | { readonly kind: 'payload'; readonly protocol: string; readonly field: string }
  /** `@nh,96,32`: offset and length in bits. */
  | { readonly kind: 'raw'; readonly base: 'll' | 'nh' | 'th' | 'ih'; readonly offset: number; readonly length: number }
  /** `exthdr frag` (with `exists`), `rt type`, `frag more-fragments`, ... of IPv6. */
  | { readonly kind: 'exthdr'; readonly header: string; readonly field?: string; readonly offset?: number }
  /** `tcp option maxseg size`, `ip option lsrr ptr`, `sctp chunk init flags`; without `field` it is asked whether it is there. */
  | { readonly kind: 'option'; readonly of: 'tcp' | 'ip' | 'sctp' | 'dccp'; readonly name: string | number; readonly field?: string }
  | { readonly kind: 'meta'; readonly key: string }
  /** `ct state`, `ct original ip saddr`, `ct reply packets` */
  | { readonly kind: 'ct'; readonly key: string; readonly direction?: 'original' | 'reply'; readonly family?: 'ip' | 'ip6' }
  | { readonly kind: 'rt'; readonly key: string; readonly family?: 'ip' | 'ip6' }
  | { readonly kind: 'socket'; readonly key: string; /** of cgroupv2 */ readonly level?: number }
  | { readonly kind: 'fib'; readonly flags: readonly string[]; readonly result: string }
  | { readonly kind: 'numgen'; readonly mode: 'inc' | 'random'; readonly mod: number; readonly offset: number }
  | {
      readonly kind: 'hash';
      readonly by: 'jhash' | 'symhash';
      readonly of?: ExprSyntax;
      readonly mod: number;
      readonly seed?: number;
      readonly offset: number;
    }
  | { readonly kind: 'osf'; readonly key: string; readonly ttl?: string }
  | { readonly kind: 'ipsec'; readonly key: string; readonly direction: string; readonly family?: 'ip' | 'ip6'; readonly spnum?: number }
  | { readonly kind: 'binary'; readonly op: BinaryOperator; readonly left: ExprSyntax; readonly right: ExprSyntax }
  /** `ip saddr map @m`, `numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }`; `data` is a set or a reference. */
  | { readonly kind: 'map'; readonly key: ExprSyntax; readonly data: ExprSyntax }
  | { readonly kind: 'verdict'; readonly verdict: 'accept' | 'drop' | 'continue' | 'return' | 'queue' }
  | { readonly kind: 'verdict'; readonly verdict: 'jump' | 'goto'; readonly chain: string }
  /** Words that are not understood. */
  | { readonly kind: 'opaque'; readonly words: string; readonly why: string };

/**
 * `in` is what nft says without an operator about flags (tcp flags; ct state, status, label, event), which is: some of these bits; and about
 * a list, a set or a reference, which is: one of these, `==` before it or not. All else without an operator is `==`, and `==` before
 * flags asks for just these bits. JSON: `in` stays; `==` is `in` where a set or a reference stands on the right.
 */
export type Relation = 'in' | '==' | '!=' | '<' | '>' | '<=' | '>=' | '!';

export type StatementSyntax =
  | { readonly kind: 'match'; readonly op: Relation; readonly left: ExprSyntax; readonly right: ExprSyntax }
  /** A named one has no numbers; `by` is what picks it from a map (`counter name tcp dport map @m`). */
  | { readonly kind: 'counter'; readonly packets?: number; readonly bytes?: number; readonly name?: string; readonly by?: ExprSyntax }
  /** Bytes. `over`: matches once they are used up. */
  | {
      readonly kind: 'quota';
      readonly over: boolean;
      readonly bytes: number;
      readonly used?: number;
      readonly name?: string;
      readonly by?: ExprSyntax;
    }
  | {
      readonly kind: 'limit';
      readonly over: boolean;
      readonly rate: number;
      /** `packets`, `bytes`, `kbytes`, `mbytes` */
      readonly unit: string;
      /** `second`, `minute`, `hour`, `day`, `week` */
      readonly per: string;
      readonly burst?: number;
      readonly burstUnit?: string;
      readonly name?: string;
      readonly by?: ExprSyntax;
    }
  /** `ct count over 20` */
  | { readonly kind: 'connlimit'; readonly over: boolean; readonly count: number }
  | { readonly kind: 'last'; readonly words: string }
  /** `log prefix "x" group 1`: the words after `log`. */
  | { readonly kind: 'log'; readonly words: string }
  | { readonly kind: 'verdict'; readonly verdict: 'accept' | 'drop' | 'continue' | 'return' }
  | { readonly kind: 'verdict'; readonly verdict: 'jump' | 'goto'; readonly chain: string }
  | { readonly kind: 'queue'; readonly to?: ExprSyntax; readonly flags: readonly string[] }
  /** `tcp dport vmap { 22 : accept }`; `data` is a set whose elements have verdicts, or a reference. */
  | { readonly kind: 'vmap'; readonly key: ExprSyntax; readonly data: ExprSyntax }
  /** `meta mark set 1`, `ct zone set 1`, `ip ttl set 1`, `tcp option maxseg size set rt mtu`, `ct helper set "x"`; JSON says `mangle`. */
  | { readonly kind: 'assign'; readonly to: ExprSyntax; readonly value: ExprSyntax }
  | {
      readonly kind: 'nat';
      readonly type: 'snat' | 'dnat' | 'masquerade' | 'redirect';
      /** `dnat ip to`: needed in inet. */
      readonly family?: 'ip' | 'ip6';
      readonly addr?: ExprSyntax;
      readonly port?: ExprSyntax;
      /** `random`, `fully-random`, `persistent` */
      readonly flags: readonly string[];
      /** `dnat ip prefix to`: netmap. `snat ip interval to`. `dnat ip addr . port to`: what `addr` gives holds both. */
      readonly form?: 'prefix' | 'interval' | 'concat';
    }
  /** `reject with icmp type host-unreachable`; nothing where it is the default of the family. */
  | { readonly kind: 'reject'; readonly type?: 'tcp reset' | 'icmp' | 'icmpv6' | 'icmpx'; readonly code?: ExprSyntax }
  /** `add @set { ip saddr timeout 10s }`; of a map with `data`. */
  | {
      readonly kind: 'element';
      readonly op: 'add' | 'update' | 'delete';
      readonly set: string;
      readonly element: ElementSyntax;
      /** `meter x size 65535 { ... }`: the set is the rule's own, and has this size. */
      readonly meter?: number;
    }
  /** `reset tcp option sack-perm`: takes the option out of the packet. */
  | { readonly kind: 'reset'; readonly option: ExprSyntax }
  | { readonly kind: 'notrack' }
  | { readonly kind: 'tproxy'; readonly family?: 'ip' | 'ip6'; readonly addr?: ExprSyntax; readonly port?: ExprSyntax }
  /** `synproxy mss 1460 wscale 7 timestamp`: the words after it. */
  | { readonly kind: 'synproxy'; readonly words: string }
  | { readonly kind: 'dup' | 'fwd'; readonly family?: 'ip' | 'ip6'; readonly addr?: ExprSyntax; readonly device?: ExprSyntax }
  /** `flow add @f` */
  | { readonly kind: 'flow'; readonly name: string }
  /** `ct helper set "ftp"`, `ct timeout set "x"`, `ct expectation set "x"`, `meta secmark set "x"`: a named object, maybe from a map. */
  | { readonly kind: 'object'; readonly of: 'ct helper' | 'ct timeout' | 'ct expectation' | 'secmark' | 'synproxy'; readonly name: ExprSyntax }
  /**
   * What iptables-nft could not say in nft's own words. JSON names it (`{"xt":{"type":"match","name":"sctp"}}`); text may show nothing
   * but the blank after it: then `name` is absent, and `type` is `target` for the last thing of a rule behind its counter.
   */
  | { readonly kind: 'xt'; readonly type: 'match' | 'target'; readonly name?: string }
  | { readonly kind: 'opaque'; readonly words: string; readonly why: string };
