// `netwhy schema`: the formats, as JSON Schema.
import { print } from '../terminal.ts';

export const SCHEMAS = ['scenario', 'trace', 'whatif', 'diff', 'why', 'check', 'reach', 'lint'] as const;

/** Prints the JSON Schema of a kind of file, or of the JSON that a verb prints with -o json. */
export async function runSchema(kind: (typeof SCHEMAS)[number]): Promise<number> {
  const [
    { toJSONSchema },
    { Scenario },
    { TraceAnswer },
    { WhatifAnswer, DiffAnswer },
    { WhyAnswer },
    { CheckAnswer },
    { ReachAnswer },
    { LintReport },
  ] = await Promise.all([
    import('zod'),
    import('../../model/scenario.ts'),
    import('../../model/answer.ts'),
    import('../../model/difference.ts'),
    import('../../model/explanation.ts'),
    import('../../model/checked.ts'),
    import('../../model/reached.ts'),
    import('../../model/lintreport.ts'),
  ]);
  const schemas = {
    scenario: Scenario,
    trace: TraceAnswer,
    whatif: WhatifAnswer,
    diff: DiffAnswer,
    why: WhyAnswer,
    check: CheckAnswer,
    reach: ReachAnswer,
    lint: LintReport,
  };
  await print(`${JSON.stringify(toJSONSchema(schemas[kind]), null, 2)}\n`);
  return 0;
}
