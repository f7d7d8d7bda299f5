// `netwhy schema`: the formats, as JSON Schema.
import { print } from '../terminal.ts';

/** Prints the JSON Schema of a kind of file, or of the JSON that `trace -o json` prints. */
export async function runSchema(kind: 'scenario' | 'trace'): Promise<number> {
  const [{ toJSONSchema }, { Scenario }, { TraceAnswer }] = await Promise.all([
    import('zod'),
    import('../../model/scenario.ts'),
    import('../../model/answer.ts'),
  ]);
  await print(`${JSON.stringify(toJSONSchema(kind === 'scenario' ? Scenario : TraceAnswer), null, 2)}\n`);
  return 0;
}
