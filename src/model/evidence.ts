// What the logs of those who write rules, sets and settings say about why some of these are missing or old. Evidence never
// decides where a packet goes: it explains what the captures show.
import type { Family } from '../net/addr.ts';
import type { Span } from './finding.ts';
import type { Backend } from './ruleset.ts';

/** Who wrote a log line. felix is the part of calico-node that writes rules. */
export type LogProgram = 'kube-proxy' | 'kubelet' | 'calico-node' | 'felix';

/** A log line, and how often it came. */
export interface LogLine {
  /** Absent where neither the line nor the file's name tells. */
  readonly program?: LogProgram;
  /** The node it was written on, where the file's folder, the line or the cluster's records tell. */
  readonly node?: string;
  /** How many lines of this file say the same. */
  readonly count: number;
  /** When the first and the last of them came, as printed. */
  readonly first?: string;
  readonly last?: string;
  /** The first of them (cut at 200 characters). */
  readonly line: string;
  readonly at: Span;
}

/** What a rule named that was not there. Without a chain of that name, iptables-legacy takes it for a target of an extension. */
export interface MissingName {
  readonly what: 'chain' | 'target' | 'match' | 'set';
  readonly name: string;
}

/** What one log line tells. */
export type LogFact =
  /** iptables-restore refused its input: nothing of that table was written. */
  | {
      readonly kind: 'restore-refused';
      readonly family: Family;
      readonly version?: string;
      readonly backend?: Exclude<Backend, 'unknown'>;
      readonly table?: string;
      /** The line of its input that it stopped at, and that line, where the log holds the input. */
      readonly inputLine?: number;
      readonly input?: string;
      readonly missing?: MissingName;
      /** The chain that the line is about. */
      readonly chain?: string;
      /** In iptables' words. */
      readonly why: string;
    }
  | {
      readonly kind: 'sysctl-refused';
      /** With dots: net.ipv4.vs.conn_reuse_mode. */
      readonly key: string;
      /** The kernel version that has it. */
      readonly needs?: string;
      readonly why: string;
    }
  /** The kernel has sets in a form that this ipset program is too old for. */
  | { readonly kind: 'set-revision'; readonly version?: string; readonly type?: string; readonly revision?: number; readonly set?: string }
  /** The API server refused to show or change something (RBAC). */
  | { readonly kind: 'not-authorised'; readonly who: string; readonly verb: string; readonly resource: string; readonly group?: string }
  /** A chain could not be made, or the jump to it (`from`). */
  | {
      readonly kind: 'chain-not-made';
      readonly table?: string;
      readonly chain: string;
      readonly from?: string;
      readonly family?: Family;
      readonly why?: string;
    }
  /** Another program held the lock on iptables for too long. */
  | { readonly kind: 'lock-held'; readonly why: string };

/** A fact with the line that tells it. */
export type LogEvidence = LogFact & LogLine;
