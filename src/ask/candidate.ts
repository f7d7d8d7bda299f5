// A command to try, and how the pieces of such commands are written.
import { formatAddr, type Family } from '../net/addr.ts';
import { formatProtocol, hasPorts } from '../net/proto.ts';
import type { Packet } from '../model/packet.ts';
import type { Backend } from '../model/ruleset.ts';
import type { Step } from '../model/trace.ts';

/** A command for a node, and how much it changes: 0 for one packet's kind, more for more. */
export interface Candidate {
  readonly edit: string;
  /** Commands that belong to it, one after the other. */
  readonly more?: readonly string[];
  readonly width: number;
  /** What it supposes that no node's command could bring about. */
  readonly supposes?: string;
}

export type RuleStep = Extract<Step, { step: 'rule' }>;
export type PolicyStep = Extract<Step, { step: 'policy' }>;

/** The commands of a candidate as one text. */
export function keyOf({ edit, more = [] }: Candidate): string {
  return [edit, ...more].join('\n');
}

/** `iptables`, by family and backend. */
export function toolOf(s: { readonly family: Family; readonly backend: Backend }): string {
  return `${s.family === 6 ? 'ip6' : 'ip'}tables${s.backend === 'unknown' ? '' : `-${s.backend}`}`;
}

/** A packet as conditions of a rule: `-s A -d B -p tcp --dport 80`; of an answer, by the port that it comes from: the other is any client's. */
export function specOf(p: Packet, isAnswer = false): string {
  return `-s ${formatAddr(p.src)} -d ${formatAddr(p.dst)} -p ${formatProtocol(p.proto)}${portOf(p, isAnswer, ' --dport', ' --sport')}`;
}

function portOf(p: Packet, isAnswer: boolean, dport: string, sport: string): string {
  const port = isAnswer ? p.sport : p.dport;
  return hasPorts(p.proto) && port !== undefined ? `${isAnswer ? sport : dport} ${port}` : '';
}

/** A packet as an expression of nft: `ip saddr A ip daddr B tcp dport 80`. */
export function nftSpecOf(p: Packet, isAnswer = false): string {
  const family = p.family === 6 ? 'ip6' : 'ip';
  const proto = formatProtocol(p.proto);
  const port = portOf(p, isAnswer, ` ${proto} dport`, ` ${proto} sport`) || ` meta l4proto ${p.proto}`;
  return `${family} saddr ${formatAddr(p.src)} ${family} daddr ${formatAddr(p.dst)}${port}`;
}
