// The JSON that `netwhy reach -o json` prints, as a schema: `netwhy schema reach`.
import * as z from 'zod';

const Big = z.string().describe('a whole number, in decimal');

export const ReachAnswer = z
  .strictObject({
    classes: z.int(),
    packets: Big,
    left: Big.describe('packets that were not looked at'),
    reached: z.array(
      z.strictObject({
        fates: z
          .array(
            z.strictObject({
              verdict: z.enum(['yes', 'no', 'cannot-tell']),
              kind: z.string(),
              place: z.string(),
              at: z.string().optional().describe('FILE:LINE that decided'),
              why: z.string(),
              translated: z.boolean().describe('the source address'),
              to: z.string().optional().describe('what the destination became'),
            }),
          )
          .describe('more than one where chance decides, or what is not known'),
        packets: Big,
        inexact: z.string().optional(),
        boxes: z.array(z.string()),
      }),
    ),
  })
  .meta({ id: 'reach', title: 'The answer of netwhy reach' });

export type ReachAnswer = z.infer<typeof ReachAnswer>;
