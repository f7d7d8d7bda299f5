// How a packet's visit to a namespace ends by a verdict, or by what the kernel would not have loaded.
import type { Span } from '../model/finding.ts';
import type { ChainVerdict } from './chain.ts';
import type { Cause } from './conntrack.ts';
import type { Refusal } from './routing.ts';

/** __nf_conntrack_confirm(): two connections cannot share a tuple. */
export function clashed(cause: Cause | undefined): Refusal {
  const why = 'another connection already has the tuple that this one was translated to, and no port is free: conntrack drops the packet';
  return { kind: 'refused', outcome: 'dropped', why, ...(cause?.at && { at: cause.at }) };
}

/** A NAT target where none may stand. */
export function misplaced(where: string, at: Span): Refusal {
  return { kind: 'refused', outcome: 'cannot-tell', why: `${where} holds a NAT target where the kernel would not load one`, at };
}

/** What a chain's verdict means for the packet's visit; undefined where it goes on. */
export function stopOf(verdict: ChainVerdict): Refusal | undefined {
  switch (verdict.kind) {
    case 'accept':
    case 'nat':
      return undefined;
    case 'drop':
      return { kind: 'refused', outcome: 'dropped', why: verdict.why, at: verdict.at };
    case 'reject':
      return { kind: 'refused', outcome: 'rejected', why: verdict.why, at: verdict.at };
    case 'cannot-tell':
      return { kind: 'refused', outcome: 'cannot-tell', why: verdict.why, at: verdict.at };
  }
}
