// What `netwhy lint` finds, and the JSON that it prints with -o json, as a schema: `netwhy schema lint`.
import * as z from 'zod';
import type { Span } from './finding.ts';

/** What may be wrong with rules and sets, whatever packet comes. */
export const FAULT_CODES = [
  'dead-nat',
  'dead-rule',
  'never-matches',
  'duplicate-rule',
  'unreached-chain',
  'pool-overlaps-network',
  'overlapping-subnets',
  'ippool-overlaps-host',
  'pod-cidr-overlaps-host',
  'pod-cidrs-overlap',
  'bridge-outside-subnet',
  'unused-set',
  'empty-set',
] as const;

export type FaultCode = (typeof FAULT_CODES)[number];

/** One thing that cannot do what it is there for. */
export interface Fault {
  /** warning: it hardly is what its author meant; note: worth knowing, and harmless. */
  readonly severity: 'warning' | 'note';
  readonly code: FaultCode;
  readonly node: string;
  readonly namespace: string;
  readonly message: string;
  readonly at: Span;
  /** The lines that make it so: the rules before it, the network that it meets. */
  readonly because: readonly Span[];
  /** The rule in its own words. */
  readonly rule?: string;
}

export const LintReport = z
  .strictObject({
    warnings: z.int(),
    notes: z.int(),
    faults: z.array(
      z.strictObject({
        severity: z.enum(['warning', 'note']).describe('warning: it hardly is what its author meant; note: worth knowing, and harmless'),
        code: z.enum(FAULT_CODES),
        node: z.string(),
        namespace: z.string().describe("'' for the node's root namespace"),
        message: z.string(),
        at: z.string().describe('FILE:LINE'),
        because: z.array(z.string()).describe('the lines that make it so: the rules before it, the network that it meets'),
        rule: z.string().optional().describe('the rule in its own words'),
      }),
    ),
  })
  .meta({ id: 'lint', title: 'The findings of netwhy lint' });

export type LintReport = z.infer<typeof LintReport>;
