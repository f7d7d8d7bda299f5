// The JSON that `netwhy reach -o json` prints, as a schema: `netwhy schema reach`.
import * as z from 'zod';

const Big = z.string().describe('a whole number, in decimal');

const Matrix = z.strictObject({
  services: z.array(z.strictObject({ name: z.string(), to: z.string(), proto: z.string() })),
  rows: z.array(
    z.strictObject({
      from: z.string(),
      cells: z.array(z.strictObject({ verdict: z.enum(['yes', 'no', 'cannot-tell']), how: z.string() })).describe('one for each service'),
    }),
  ),
});

const Fates = z.strictObject({
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
            as: z.string().optional().describe('what the source became; without a port where it kept its own'),
            to: z.string().optional().describe('what the destination became'),
          }),
        )
        .describe('more than one where chance decides, or what is not known'),
      packets: Big,
      inexact: z.string().optional(),
      boxes: z.array(z.string()),
    }),
  ),
});

/** The fates of a space; with --matrix, who reaches which service. */
export const ReachAnswer = z.union([Fates, Matrix]).meta({ id: 'reach', title: 'The answer of netwhy reach' });

export type FatesAnswer = z.infer<typeof Fates>;
