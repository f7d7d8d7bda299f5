// The JSON that `netwhy whatif -o json` and `netwhy diff -o json` print, as schemas. Tests hold what they print to them.
import * as z from 'zod';
import { Place, VerdictName } from './answer.ts';
import { OUTCOMES } from './trace.ts';

const Outcome = z
  .strictObject({
    kind: z.enum(OUTCOMES),
    node: z.string(),
    namespace: z.string(),
    why: z.string(),
    at: Place.optional(),
    device: z.string().optional(),
    nextHop: z.string().optional(),
  })
  .meta({ id: 'outcome' });

const Translated = z.strictObject({ from: z.string(), to: z.string() });

const Fares = z
  .union([
    z.strictObject({
      from: z.string(),
      to: z.string(),
      verdict: VerdictName,
      outcomes: z.array(
        z.strictObject({
          verdict: VerdictName,
          probability: z.number().describe('given what is supposed without a probability'),
          assumptions: z.array(z.string()).describe('what this course supposes and another one supposes otherwise'),
          outcome: Outcome,
          reply: Outcome.optional(),
          translated: z.strictObject({ src: Translated.optional(), dst: Translated.optional() }),
          summary: z.string(),
        }),
      ),
      bounded: z.boolean().describe('there were more courses than were followed'),
    }),
    z.strictObject({ error: z.string(), hint: z.string().optional() }).describe('the question could not be asked here'),
  ])
  .meta({ id: 'fares' });

const Side = z
  .strictObject({
    node: z.string(),
    namespace: z.string(),
    step: z.string().describe('the kind of the step, as in the answer of netwhy trace; end: of the walk'),
    text: z.string(),
    at: Place.optional(),
    because: z.array(z.strictObject({ text: z.string(), at: z.string() })).describe('captured lines that its conditions hold by'),
    instead: z
      .array(z.strictObject({ kind: z.string(), text: z.string(), at: Place.optional() }))
      .describe('what stands here in the place of what decided on the other side'),
  })
  .meta({ id: 'side' });

const back = z.boolean().describe('on the way of the reply');
const asked = {
  name: z.string().optional().describe('as the scenario calls it'),
  changed: z.boolean().optional().describe('it fares otherwise; absent where only one side understands it'),
};

export const WhatifAnswer = z
  .strictObject({
    edits: z.array(z.strictObject({ node: z.string(), namespace: z.string(), command: z.string(), at: Place.optional() })),
    verdict: VerdictName.describe('of all questions, after the edits'),
    questions: z.array(
      z.strictObject({ ...asked, before: Fares, after: Fares, parting: z.strictObject({ back, before: Side, after: Side }).optional() }),
    ),
  })
  .meta({
    id: 'whatif',
    title: 'The answer of netwhy whatif',
    description: 'How questions fare before and after edits, and where their walks part.',
  });

const Captured = z.strictObject({ text: z.string(), at: Place.optional() });
const node = { node: z.string(), namespace: z.string() };

export const DiffAnswer = z
  .strictObject({
    differs: z.union([z.boolean(), z.literal('cannot-tell')]),
    questions: z.array(z.strictObject({ ...asked, a: Fares, b: Fares, parting: z.strictObject({ back, a: Side, b: Side }).optional() })),
    changes: z.array(
      z.strictObject({
        kind: z.string(),
        change: z.enum(['added', 'removed', 'changed', 'reordered']),
        ...node,
        a: Captured.optional(),
        b: Captured.optional(),
      }),
    ),
    uncaptured: z.array(z.strictObject({ kind: z.string(), ...node, missing: z.enum(['a', 'b']) })).describe('what only one side captured'),
  })
  .meta({
    id: 'diff',
    title: 'The answer of netwhy diff',
    description: 'What fares otherwise in two captures, and what they hold that is not alike.',
  });
