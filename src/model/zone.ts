// Conntrack zones: connections of one zone are invisible to packets of another.
import type { Statement } from './ruleset.ts';

/** struct nf_conntrack_zone. With a `side`, only tuples of that side are in the zone; those of the other are in zone 0. */
export interface Zone {
  readonly id: number;
  readonly side?: 'original' | 'reply';
}

/** What CT gives a packet before conntrack looks. */
export type ConntrackSettings = Extract<Statement, { kind: 'ct' }> & {
  /** Of `--zone-orig` and `--zone-reply`. */
  readonly side?: 'original' | 'reply';
  /** `--zone mark`: the zone is the mark that the packet has when conntrack looks. */
  readonly byMark?: true;
  /** Of nft: it counts also for a packet that a rule said NOTRACK about. */
  readonly late?: true;
};
