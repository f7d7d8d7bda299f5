// The answer: what happened to one packet, step by step, as data. Text and JSON are readings of it.
import type { Finding, Span } from './finding.ts';
import type { ForwardingMethod } from './ipvs.ts';
import type { Packet } from './packet.ts';
import type { Backend, ChainType, Hook, Pred, Statement, Truth } from './ruleset.ts';
import type { Family } from '../net/addr.ts';

/** Why a Pred came out as it did. */
export interface Reason {
  readonly pred: Pred;
  readonly truth: Truth;
  /** The value seen, in words: `192.168.21.11 is in it: 192.168.0.0/16`. */
  readonly saw?: string;
  /** The captured line that settled it, other than the rule's own: a set member, a route, an address. */
  readonly at?: Span;
  readonly parts?: readonly Reason[];
}

interface AtHook {
  readonly hook: Hook;
}

interface InChain extends AtHook {
  readonly backend: Backend;
  readonly family: Family;
  /** `filter`; of tables that iptables does not know as nft calls them: `inet firewalld`. */
  readonly table: string;
  readonly type: ChainType;
  readonly chain: string;
}

/** Why a rule that did not match is counted where it is: the first thing about it that was false. */
export type MissKind = 'destination' | 'source' | 'port' | 'protocol' | 'interface' | 'mark' | 'state' | 'set' | 'address type' | 'chance' | 'other';

export type Step =
  /** The packet comes into a namespace: from a wire, or from a socket. */
  | { readonly step: 'enter'; readonly device?: string; readonly local: boolean; readonly packet: Packet }
  /** A rule that matched (truth true), may have matched (unknown, and the walk forked), or is worth telling because it just missed. */
  | (InChain & {
      readonly step: 'rule';
      readonly number: number;
      readonly text: string;
      readonly comment?: string;
      readonly at: Span;
      readonly truth: Truth;
      readonly reason: Reason;
      readonly then: readonly Statement[];
      /** A condition behind what it did that was false: the rule ended there, and the next one was tried. */
      readonly ended?: Reason;
      /** What it did, in words: `mark 0 -> 0x4000`, `jump KUBE-SEP-...`. */
      readonly did?: string;
      /** One single condition kept it from deciding, and that condition is worth telling. */
      readonly near?: true;
    })
  /** Rules `from`..`to` of a chain that did not match. */
  | (InChain & {
      readonly step: 'skipped';
      readonly from: number;
      readonly to: number;
      readonly count: number;
      readonly misses: Readonly<Partial<Record<MissKind, number>>>;
    })
  /** The end of a user chain, back in the caller. */
  | (InChain & { readonly step: 'return'; readonly at?: Span })
  | (InChain & { readonly step: 'policy'; readonly verdict: 'accept' | 'drop'; readonly at: Span })
  | (AtHook & {
      readonly step: 'conntrack';
      readonly state: string;
      readonly direction?: 'original' | 'reply';
      readonly why?: string;
      readonly at?: Span;
    })
  /** An address or port was rewritten, or it was decided that none is (`binding`). */
  | (AtHook & {
      readonly step: 'nat';
      readonly manip: 'src' | 'dst';
      readonly from: string;
      readonly to: string;
      /** What asked for it: a rule, an earlier packet of the connection, a clash of tuples. */
      readonly because: 'rule' | 'connection' | 'clash';
      readonly at?: Span;
      readonly why?: string;
    })
  /** What IPVS made of it: its virtual server or connection, how it goes on, and why. */
  | (AtHook & {
      readonly step: 'ipvs';
      readonly did: ForwardingMethod | 'refused' | 'passed';
      /** The virtual server as captured, or the connection entry that decided. */
      readonly text: string;
      readonly server?: string;
      readonly why: string;
      /** What to do about a packet that was refused. */
      readonly cure?: string;
      /** Where it rewrote one side of the packet. */
      readonly manip?: 'src' | 'dst';
      readonly from?: string;
      readonly to?: string;
      readonly at?: Span;
    })
  | {
      readonly step: 'route';
      /** input: who gets it; output: which way; reroute: again after OUTPUT changed it; source: the reverse-path check. */
      readonly purpose: 'input' | 'output' | 'reroute' | 'source';
      readonly result: string;
      readonly text: string;
      readonly at?: Span;
      /** The `ip rule` that led to the table, when it is not the usual main or local one. */
      readonly rule?: { readonly text: string; readonly at: Span };
    }
  | { readonly step: 'neighbour'; readonly addr: string; readonly device: string; readonly result: string; readonly at?: Span }
  /** A bridge passes a frame on, from port to port or between a port and its own host. */
  | { readonly step: 'bridge'; readonly bridge: string; readonly in?: string; readonly out?: string; readonly result: string; readonly at?: Span }
  /** The packet goes into another one, which the rest of this hop and the next ones are about. */
  | {
      readonly step: 'encapsulate';
      readonly device: string;
      readonly kind: string;
      readonly how: string;
      readonly packet: Packet;
      readonly at?: Span;
    }
  /** It comes out again, by this device. */
  | { readonly step: 'decapsulate'; readonly device: string; readonly packet: Packet }
  | { readonly step: 'leave'; readonly device: string; readonly to: string; readonly packet: Packet }
  /** A value that was not captured and had to be taken as something, or a limit that was reached. */
  | { readonly step: 'assume'; readonly what: string }
  | { readonly step: 'deliver'; readonly packet: Packet };

export interface Hop {
  readonly node: string;
  readonly namespace: string;
  readonly steps: readonly Step[];
  /** Its steps are about the packet that carries the traced one; the tunnel device that it went in by. */
  readonly tunnel?: string;
}

export const OUTCOMES = [
  'delivered',
  'left',
  'dropped',
  'rejected',
  'no-route',
  'blackhole',
  'prohibited',
  'no-neighbour',
  'not-for-us',
  'martian',
  'not-forwarding',
  'too-big',
  'ttl-exceeded',
  'loop',
  'no-server',
  'cannot-tell',
  'reply-lost',
] as const;
/** The closed list; README tells each one's condition. `reply-lost` is of round trips only. */
export type OutcomeKind = (typeof OUTCOMES)[number];

export interface Outcome {
  readonly kind: OutcomeKind;
  readonly node: string;
  readonly namespace: string;
  /** The captured line that decided, where there is one. */
  readonly at?: Span;
  /** A sentence. */
  readonly why: string;
  /** For `left`: out of which interface, towards which next hop. */
  readonly device?: string;
  readonly nextHop?: string;
}

/** A choice that the captures do not settle: what was supposed, and how likely it is where that is known. */
export interface Assumption {
  readonly what: string;
  /** 0 to 1. */
  readonly probability?: number;
  /** The walk forked here: another course supposes otherwise. Else it was merely taken for granted. */
  readonly forked: boolean;
  readonly at?: Span;
}

/** How one side of the packet was rewritten between its sender and its end. */
export interface Translation {
  readonly from: string;
  readonly to: string;
  /** Each rewriting on the way, in order: where, and by which rule or conntrack entry. */
  readonly steps: readonly {
    readonly node: string;
    readonly namespace: string;
    readonly from: string;
    readonly to: string;
    readonly at?: Span;
    readonly by?: string;
  }[];
}

/** One possible course of one packet, one way. */
export interface Trace {
  readonly packet: Packet;
  readonly hops: readonly Hop[];
  readonly outcome: Outcome;
  /** The packet as it ended: as the socket, or the world outside, sees it. */
  readonly final: Packet;
  readonly translated: { readonly src?: Translation; readonly dst?: Translation };
  readonly assumptions: readonly Assumption[];
  /** How likely it is, given what is supposed without a probability. */
  readonly probability: number;
  readonly reply?: Trace;
}

/** A rule that would have changed the packet's fate but for one condition. */
export type NearMiss = Extract<Step, { step: 'rule' }> & { readonly node: string; readonly namespace: string };

/** One possible round trip, with what nearly happened to it. */
export interface Course {
  readonly trace: Trace;
  readonly verdict: Verdict;
  readonly nearMisses: readonly NearMiss[];
}

/** yes: it arrives and so does the reply; no: it does not; cannot-tell: what is not modelled or captured decides. */
export type Verdict = 'yes' | 'no' | 'cannot-tell';

export interface Question {
  /** As asked: `worker1/pod-a`, `192.168.21.11:6443`. */
  readonly from: string;
  readonly to: string;
  readonly packet: Packet;
  readonly node: string;
  readonly namespace: string;
  /** It comes in from outside the captured world, by `device` (absent when nobody knows which); else a socket there sends it. */
  readonly arrives: boolean;
  readonly device?: string;
  /** The source address is settled: by the question, or by arriving. */
  readonly boundSource: boolean;
  /** How the question was completed where it left something open. */
  readonly notes: readonly string[];
}

/** All courses the packet may take; courses that end alike in every respect are one, their probabilities added. */
export interface Answer {
  readonly question: Question;
  readonly courses: readonly Course[];
  /** What the readers found on lines that this answer rests on. */
  readonly findings: readonly Finding[];
  /** Things that decided, or could have, and are not modelled or not captured. */
  readonly unknowns: readonly string[];
  /** There were more courses than the walk may follow: those beyond are missing here. */
  readonly bounded: boolean;
  readonly verdict: Verdict;
  /** What the records of the cluster call the addresses that packet and reply have on their way. */
  readonly names?: Readonly<Record<string, string>>;
}
