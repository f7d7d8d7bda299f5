// The JSON that `netwhy why -o json` prints, as a schema: `netwhy schema why`.
import * as z from 'zod';

const Verdict = z.enum(['yes', 'no', 'cannot-tell']);

const Cure = z
  .strictObject({
    commands: z.array(z.string()).min(1).describe('NODE[/NAMESPACE]# COMMAND, to be done in order'),
    supposes: z
      .string()
      .optional()
      .describe('what it supposes that no command on a node can bring about; the commands stand for it in the model only'),
    outcome: z.string().describe('how the packet fares with them, in a sentence'),
    sideEffects: z
      .array(z.strictObject({ name: z.string(), before: Verdict, after: Verdict }))
      .describe("the scenario's other questions whose verdict changes"),
  })
  .meta({ id: 'cure' });

export const WhyAnswer = z
  .strictObject({
    expected: z.string(),
    met: z.boolean().describe('it is as expected already'),
    outcome: z.string(),
    cause: z.array(z.string()).describe('the lines it rests on, most telling first'),
    causes: z
      .array(
        z.strictObject({
          things: z.array(z.string()).describe('what would have to be otherwise: NODE[/NAMESPACE]: KIND NAME'),
          code: z.string().optional().describe('the pattern that it is'),
          cure: z.int().describe('place of the cure that proves it, from 0'),
        }),
      )
      .describe('most likely first'),
    patterns: z
      .array(
        z.strictObject({
          code: z.string(),
          message: z.string(),
          at: z.string(),
          proved: z.boolean().describe('a cure that undoes it gives what is expected'),
        }),
      )
      .describe('faults that have a name, `netwhy explain CODE`, most telling first'),
    cures: z.array(Cure).describe('each simulated: with it the packet fares as expected; best first'),
    nearest: Cure.optional().describe('where nothing cures it: what comes nearest'),
    tried: z.int().describe('simulations that were made'),
    budget: z.int().describe('the most that may be made'),
  })
  .meta({ id: 'why', title: 'The answer of netwhy why' });

export type WhyAnswer = z.infer<typeof WhyAnswer>;
