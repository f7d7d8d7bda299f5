// Rules, chains, tables and sets: what iptables, ip6tables and nft programs come down to. Plain data.
import type { Addr, Family, Masked, Prefix, Word } from '../net/addr.ts';
import type { Ranges } from '../net/intervals.ts';
import type { Span } from './finding.ts';
import type { ForwardingMethod } from './ipvs.ts';
import type { NftSet, Operand, SetReference, ValueRange } from './operand.ts';

/** INGRESS and EGRESS: of a device, before and behind the others; nft only. */
export type Hook = 'INGRESS' | 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING' | 'EGRESS';
export type Truth = true | false | 'unknown';

/** Numbers a decision can look at. Connection fields are empty for a packet without a conntrack entry. */
export type Field =
  | 'src'
  | 'dst'
  | 'proto'
  | 'nexthdr'
  | 'sport'
  | 'dport'
  | 'flags'
  | 'icmp'
  | 'ttl'
  | 'length'
  | 'tos'
  | 'mark'
  | 'fragment'
  | 'pkttype'
  | 'macsrc'
  | 'uid'
  | 'socket'
  | 'gid'
  | 'ctstate'
  | 'ctstatus'
  | 'ctmark'
  | 'ctdir'
  | 'ctproto'
  | 'ctexpire'
  | 'ctorigsrc'
  | 'ctorigdst'
  | 'ctreplsrc'
  | 'ctrepldst'
  | 'ctorigsrcport'
  | 'ctorigdstport'
  | 'ctreplsrcport'
  | 'ctrepldstport'
  | 'ipvsaddr'
  | 'ipvsport'
  | 'ipvsmethod'
  | 'ipvsportctl'
  | 'nfproto'
  | 'ethertype'
  | 'ctzone';
// nfproto: NFPROTO_IPV4 2 or NFPROTO_IPV6 10.   ethertype: 0x0800 or 0x86dd.   proto: of IPv6, the last header, as ipv6_find_hdr() finds it; nexthdr: the first.   icmp: type * 256 + code.   macsrc: the 48-bit address as [0, 0, high 16 bits, low 32 bits].   fragment: 1 for a later fragment, else 0.   socket: 1 for a packet that a socket of this host sent, else 0.   ipvs...: of the IPVS connection: its virtual end, its forwarding method, the virtual port of the connection that controls it.

/** Values of the field `ctstate`. */
export const CT_STATE = { INVALID: 0, NEW: 1, ESTABLISHED: 2, RELATED: 3, UNTRACKED: 4 } as const;
/** The same as nft shows them: NF_CT_STATE_BIT(), include/uapi/linux/netfilter/nf_conntrack_common.h. */
export const CT_STATE_BIT: Readonly<Record<keyof typeof CT_STATE, number>> = { INVALID: 1, ESTABLISHED: 2, RELATED: 4, NEW: 8, UNTRACKED: 64 };
/** Bits of the field `ctstatus`: enum ip_conntrack_status, include/uapi/linux/netfilter/nf_conntrack_common.h. */
export const CT_STATUS = { EXPECTED: 1, SEEN_REPLY: 2, ASSURED: 4, CONFIRMED: 8, SNAT: 16, DNAT: 32 } as const;
/** Values of the field `pkttype`: include/uapi/linux/if_packet.h. */
export const PKT_TYPE = { unicast: 0, broadcast: 1, multicast: 2 } as const;
/** Values of the field `ipvsmethod`: IP_VS_CONN_F_FWD_MASK, include/uapi/linux/ip_vs.h. */
export const IPVS_METHOD: Readonly<Record<ForwardingMethod, number>> = { masq: 0, local: 1, tunnel: 2, direct: 3, bypass: 4 };
/** Address types of a `fib` predicate, as bits: RTN_* of include/uapi/linux/rtnetlink.h, `1 << type`. */
export const ADDR_TYPE = {
  UNSPEC: 1 << 0,
  UNICAST: 1 << 1,
  LOCAL: 1 << 2,
  BROADCAST: 1 << 3,
  ANYCAST: 1 << 4,
  MULTICAST: 1 << 5,
  BLACKHOLE: 1 << 6,
  UNREACHABLE: 1 << 7,
  PROHIBIT: 1 << 8,
  THROW: 1 << 9,
  NAT: 1 << 10,
  XRESOLVE: 1 << 11,
} as const;

/** Which packet value fills a dimension of a set: the first letter is the side, ip/port/mac/iface/mark follow from the set's type. */
export type SetKey = 'src' | 'dst';

/** What a rule wants of a counter of the element that covers the packet. */
export interface CounterTest {
  readonly op: 'eq' | 'ne' | 'lt' | 'gt';
  readonly value: number;
}

/** What `-m set` asks of a set. */
export interface SetQuestion {
  readonly set: string;
  readonly by: readonly SetKey[];
  /** --return-nomatch: the elements marked `nomatch` answer, and no others. */
  readonly nomatch?: true;
  readonly packets?: CounterTest;
  readonly bytes?: CounterTest;
  /** Whose counters the question leaves as they are: `! --update-counters`, `! --update-subcounters`. */
  readonly spares?: readonly ('counters' | 'subcounters')[];
}

/** What u32 does to the number it has read: combine it with another, or add it to the place and read anew `by` bytes behind that. */
export interface U32Step {
  readonly op: 'and' | 'left' | 'right' | 'at';
  readonly by: number;
}

/** Four bytes of the packet from `start`, the IP header's first being 0, computed with, and the values wanted. */
export interface U32Test {
  readonly start: number;
  readonly steps: readonly U32Step[];
  readonly ranges: readonly (readonly [lo: number, hi: number])[];
}

/** The hours, days and dates of xt_time, in UTC; both ends belong to a span. */
export interface Timetable {
  /** Seconds since midnight; a span that ends before it begins goes over midnight. */
  readonly hours: readonly [start: number, stop: number];
  /** Bit n is the weekday n, 1 for Monday. */
  readonly weekdays: number;
  /** Bit n is the day n of a month. */
  readonly monthdays: number;
  /** Seconds since 1970. */
  readonly dates: readonly [start: number, stop: number];
  /** The hours after midnight belong to the day before. */
  readonly contiguous: boolean;
}

/**
 * The predicate language that every match is lowered to. In an `all` the parts stand in the order in which the kernel
 * tries them. `text` is the part of the rule that spelled it, where there is one.
 */
export type Pred = (
  | { readonly kind: 'all' | 'any'; readonly of: readonly Pred[] }
  | { readonly kind: 'not'; readonly of: Pred }
  | { readonly kind: 'in'; readonly field: Field; readonly ranges: Ranges }
  | { readonly kind: 'masked'; readonly field: Field; readonly value: Word; readonly mask: Word }
  | ({ readonly kind: 'member' } & SetQuestion)
  /** `glob` ends in `+` for a prefix match, as iptables writes it. */
  | { readonly kind: 'name'; readonly field: 'iif' | 'oif' | 'physin' | 'physout'; readonly glob: string }
  /** The address type by the FIB (xt_addrtype): `types` are ADDR_TYPE bits; `limit` asks on that device only. */
  | { readonly kind: 'addrtype'; readonly side: 'src' | 'dst'; readonly types: number; readonly limit?: 'iif' | 'oif' }
  /** Reverse-path lookup (xt_rpfilter): true when the route back to the source leaves by the input device. */
  | { readonly kind: 'rpfilter'; readonly loose: boolean; readonly validMark: boolean; readonly acceptLocal: boolean }
  /** physdev --physdev-is-in/out/bridged. */
  | { readonly kind: 'bridged'; readonly port: 'in' | 'out' | 'both' }
  /** Whether IPVS sent the packet here, and whether it has a connection for it (xt_ipvs). */
  | { readonly kind: 'ipvs'; readonly of: 'packet' | 'connection' }
  /** Whether the IPv6 source address holds the link-layer source address (xt_eui64). */
  | { readonly kind: 'eui64' }
  /** Whether `pattern` stands in the bytes [from, to) of the packet, counted from its IP header. */
  | { readonly kind: 'search'; readonly pattern: readonly number[]; readonly from: number; readonly to: number; readonly ignoreCase: boolean }
  | ({ readonly kind: 'time' } & Timetable)
  /** All of the tests hold of the packet's bytes. */
  | { readonly kind: 'u32'; readonly tests: readonly U32Test[] }
  /** True with `probability` (0 to 1) independently for each packet that reaches it. */
  | { readonly kind: 'chance'; readonly probability: number; readonly as: string }
  /** Whether what is computed is one of the values. */
  | {
      readonly kind: 'value';
      readonly of: Operand;
      readonly among: readonly ValueRange[];
      /** None of them; without a value neither holds. */ readonly not?: true;
    }
  /** Whether a set has an element for the key: nft_lookup_eval(). */
  | { readonly kind: 'lookup'; readonly key: readonly Operand[]; readonly set: SetReference; readonly not?: true }
  /** Undecidable from packet and captures. Equal `key`s within one walk have equal answers (the same hidden state is asked). */
  | {
      readonly kind: 'opaque';
      readonly as: string;
      readonly why: string;
      readonly key?: string;
      /** What would have to be so for it to hold, where that can be said shorter than in its words. */
      readonly claim?: string;
    }
) & {
  readonly text?: string;
  /** Asking it changes hidden state: what was answered under keys with this in them may be answered otherwise from here on. */
  readonly changes?: string;
};

/** What `masquerade`, `snat`, `dnat`, `redirect` may choose from, both ends included. */
export interface NatRange {
  readonly addrs?: readonly [Addr, Addr];
  readonly ports?: readonly [number, number];
  /** The port that the first of `ports` stands for: others keep their distance (DNAT ADDR:A-B/BASE). */
  readonly base?: number;
  /** --random: port chosen by hash; --random-fully: by a random number. Undetermined either way. */
  readonly random?: 'random' | 'fully';
  readonly persistent?: boolean;
}

/** What a rule does when it matches, in order. `verdict`, `jump`, `goto`, `reject` and the NAT statements end the rule. */
export type Statement =
  | { readonly kind: 'verdict'; readonly verdict: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  | { readonly kind: 'reject'; readonly with: string }
  /** field = (field & ~clear) ^ xor, on 32 bits. */
  | { readonly kind: 'set'; readonly field: 'mark' | 'ctmark'; readonly clear: number; readonly xor: number }
  /** CONNMARK --save-mark / --restore-mark: to = (to & ~toMask) ^ (from & fromMask). */
  | { readonly kind: 'copy'; readonly from: 'mark' | 'ctmark'; readonly to: 'mark' | 'ctmark'; readonly fromMask: number; readonly toMask: number }
  | ({ readonly kind: 'dnat' | 'snat' | 'masquerade' | 'redirect' } & NatRange)
  | { readonly kind: 'netmap'; readonly to: Prefix }
  | { readonly kind: 'notrack' }
  | { readonly kind: 'ct'; readonly zone?: number; readonly helper?: string }
  | { readonly kind: 'setttl'; readonly op: 'set' | 'inc' | 'dec'; readonly value: number }
  | { readonly kind: 'settos'; readonly clear: number; readonly xor: number }
  /** TCP flags = (flags & ~clear) ^ xor. */
  | { readonly kind: 'setflags'; readonly clear: number; readonly xor: number }
  | { readonly kind: 'tcpmss'; readonly mss: number | 'clamp' }
  /** Changes a set that later rules of the same walk may ask about. */
  | {
      readonly kind: 'setmember';
      readonly op: 'add' | 'del';
      readonly set: string;
      readonly by: readonly SetKey[];
      /** --exist: an element that is there already begins anew. */
      readonly exist?: true;
      /** Seconds, where they are not the set's own. */
      readonly timeout?: number;
    }
  /** Gives the packet what the set's element has for it; `mark` when the mark is wanted, `rest` names what else is. */
  | { readonly kind: 'mapset'; readonly set: string; readonly by: readonly SetKey[]; readonly mark: boolean; readonly rest: readonly string[] }
  /** Drops the packet unless `claim` holds, which no capture tells: a program behind a queue accepts it, a socket takes it. */
  | { readonly kind: 'gate'; readonly as: string; readonly claim: string }
  /** Rewrites the prefix of a side's address without connection tracking, its checksum kept (NPTv6, RFC 6296). */
  | { readonly kind: 'npt'; readonly side: 'src' | 'dst'; readonly from: Prefix; readonly to: Prefix }
  /** LOG, NFLOG, TRACE, CHECKSUM, ...: no influence on the packet's fate. */
  | { readonly kind: 'note'; readonly as: string }
  /** A target that is not modelled: what it does, and whether the table goes on after it, is unknown. */
  | { readonly kind: 'opaque'; readonly as: string; readonly why: string }
  /** A condition behind something that has been done already: where it is false the rule ends. */
  | {
      readonly kind: 'if';
      readonly pred: Pred;
      /** Where it is false nothing more is done, though the rule counts as run: nft_nat_inet_eval(). */
      readonly idle?: true;
    }
  /** Does what a map has for the key; ends the rule where it has nothing: nft_lookup_eval() with a verdict. */
  | { readonly kind: 'vmap'; readonly key: readonly Operand[]; readonly map: SetReference; readonly text: string }
  /** Gives a field of the packet or its connection a computed value. */
  | { readonly kind: 'assign'; readonly to: AssignedField; readonly value: Operand; readonly text: string }
  /** A translation to what is computed; one that is written down is `dnat` or `snat`. */
  | {
      readonly kind: 'translate';
      readonly by: 'dnat' | 'snat' | 'redirect' | 'masquerade';
      readonly addr?: Operand;
      readonly port?: Operand;
      readonly range: NatRange;
      /** The address keeps its own bits behind the prefix. */
      readonly prefix?: true;
      readonly text: string;
    }
  /** Changes a set of nft for later rules of the walk: nft_dynset_eval(). */
  | {
      readonly kind: 'element';
      readonly op: 'add' | 'update' | 'delete';
      readonly set: string;
      readonly key: readonly Operand[];
      readonly data?: readonly Operand[];
      /** A statement of the element that may end the rule: `limit rate 5/second`. */
      readonly gate?: string;
      readonly text: string;
    }
  /** Sets the mark to a value that is not modelled; the next rule is tried. */
  | { readonly kind: 'anymark'; readonly as: string; readonly why: string };

/** What nft can write: a header field, the mark, or the connection's. */
export type AssignedField = 'mark' | 'ctmark' | 'ctzone' | 'ttl' | 'dscp' | 'ecn' | 'flags' | 'src' | 'dst' | 'sport' | 'dport' | 'pkttype';

export interface Counters {
  readonly packets: number;
  readonly bytes: number;
}

export interface Rule {
  /** From 1, within its chain, as `iptables -L --line-numbers` counts. */
  readonly number: number;
  readonly match: Pred;
  readonly then: readonly Statement[];
  /** The rule in canonical form, without counters: `-A FORWARD -i eth0 -j ACCEPT`. */
  readonly text: string;
  readonly at: Span;
  readonly counters?: Counters;
  /** The rule's --comment, where it has one. */
  readonly comment?: string;
  /** Of nft, where the listing shows it (`nft -a`). */
  readonly handle?: number;
}

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
  readonly at: Span;
  /** Set for a base chain: what it hangs on. */
  readonly base?: {
    readonly hook: Hook;
    readonly policy: 'accept' | 'drop';
    readonly priority?: number;
    /** Of a chain that nft names; iptables' own follows from its table. */
    readonly type?: ChainType;
    /** Of netdev: where it hangs. */
    readonly devices?: readonly string[];
  };
  readonly counters?: Counters;
  /** Why rules may be missing at its end. */
  readonly incomplete?: string;
}

/** route: the packet is routed again when the chain has changed what routing looks at. */
export type ChainType = 'filter' | 'nat' | 'route';

export type Backend = 'legacy' | 'nft' | 'unknown';

/** One table of one backend. `family` tells iptables (4) from ip6tables (6). */
export interface Table {
  readonly backend: Backend;
  readonly family: Family;
  readonly name: string;
  readonly chains: Readonly<Record<string, Chain>>;
  /** Of nft: its sets and maps. */
  readonly sets?: Readonly<Record<string, NftSet>>;
  /** Of a table that iptables does not know: how nft calls it, `inet firewalld`. An inet table is two of these, one of each family. */
  readonly nft?: string;
}

/** One value of a set element: an address block, a port with its protocol, a name... in the order of the set's type. */
export type SetPart =
  | {
      readonly kind: 'net';
      readonly ranges: Ranges;
      /** for longest-prefix types */
      readonly prefix?: Prefix;
      /** The bits that are compared, where the set's bitmask has holes; `ranges` is then wider than the element. */
      readonly masked?: Masked;
    }
  | { readonly kind: 'port'; /** undefined for bitmap:port */ readonly proto?: number; readonly lo: number; readonly hi: number }
  | { readonly kind: 'mac'; readonly mac: string }
  | { readonly kind: 'mark'; readonly mark: number }
  | { readonly kind: 'iface'; readonly name: string; readonly physdev: boolean; /** The name is a prefix of names. */ readonly wildcard?: true }
  | { readonly kind: 'set'; readonly name: string };

export interface SetMember {
  readonly parts: readonly SetPart[];
  /** As captured, options included: `192.168.0.0/16 nomatch`. */
  readonly text: string;
  readonly at: Span;
  readonly nomatch?: boolean;
  /** Seconds left; 0 means permanent in a set with a default timeout. */
  readonly timeout?: number;
  readonly packets?: number;
  readonly bytes?: number;
  /** `skbmark VALUE/MASK`. */
  readonly skbmark?: { readonly value: number; readonly mask: number };
}

export type SetDimension = 'ip' | 'net' | 'port' | 'mac' | 'iface' | 'mark' | 'set';

/** An ipset. `type` is the captured name (`hash:ip,port`); `dimensions` its parts in order. */
export interface IpSet {
  readonly name: string;
  readonly type: string;
  readonly dimensions: readonly SetDimension[];
  /** Undefined for bitmap:port, list:set and hash:mac, which have none. */
  readonly family?: Family;
  readonly members: readonly SetMember[];
  readonly at: Span;
  /** The bits of an address that its elements compare, where those are not all (netmask, bitmask). */
  readonly mask?: Addr;
  /** `timeout 300`, `netmask 24`, `maxelem 65536`, ... as captured. */
  readonly options: Readonly<Record<string, string>>;
  /** Set when members could not be read (a truncated or refused listing): membership is then unknown. */
  readonly incomplete?: string;
}
