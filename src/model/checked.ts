// The JSON that `netwhy check -o json` prints, as a schema: `netwhy schema check`.
import * as z from 'zod';

const Big = z.string().describe('a whole number, in decimal: there may be more packets than a JSON number holds');
const Ports = z.tuple([z.int(), z.int()]);

const PacketBox = z.strictObject({
  proto: z.int(),
  src: z.string().optional(),
  dst: z.string().optional(),
  sport: Ports.optional(),
  dport: Ports.optional(),
});

export const CheckAnswer = z
  .strictObject({
    holds: z.boolean().describe('every claim'),
    claims: z.array(
      z.strictObject({
        kind: z.enum(['question', 'property']),
        name: z.string(),
        status: z.enum(['holds', 'broken', 'unknown']),
        broken: z
          .array(z.strictObject({ claim: z.string(), wanted: z.string(), got: z.string() }))
          .optional()
          .describe('of a question'),
        by: z
          .union([
            z.strictObject({ kind: z.literal('exact'), packets: Big, classes: z.int() }),
            z.strictObject({ kind: z.literal('random'), packets: Big, runs: z.int(), seed: z.int() }),
          ])
          .optional()
          .describe('how a property was decided'),
        unproved: z.strictObject({ why: z.string(), packets: Big }).optional(),
        counterexample: z
          .strictObject({
            claim: z.string(),
            instead: z.string(),
            packet: z.string(),
            ask: z.string().describe('the command that traces it'),
            packets: Big,
            boxes: z.array(PacketBox).describe('all packets of the space that break it; of a random search none'),
          })
          .optional(),
      }),
    ),
  })
  .meta({ id: 'check', title: 'The answer of netwhy check' });

export type CheckAnswer = z.infer<typeof CheckAnswer>;
