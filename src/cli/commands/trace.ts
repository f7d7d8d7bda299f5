// `netwhy trace`: what happens to this packet and to its reply, and why.
import { ask, isMisunderstood, type Request } from '../../ask/question.ts';
import { trace } from '../../ask/trace.ts';
import { answerJson } from '../../say/json.ts';
import { answerText } from '../../say/text.ts';
import { load } from '../load.ts';
import { limitOf, misunderstood } from '../asking.ts';
import { exitCode, paletteFor, print, type ColourWhen } from '../terminal.ts';

export const TRACE_OUTPUTS = ['text', 'wide', 'summary', 'minimal', 'json'] as const;

export interface TraceOptions extends Request {
  readonly output: (typeof TRACE_OUTPUTS)[number];
  readonly json?: boolean;
  readonly all?: boolean;
  readonly limit?: string;
  readonly color: ColourWhen;
}

/** Answers one question about a capture; returns the exit code. */
export async function runTrace(path: string, options: TraceOptions): Promise<number> {
  const { world } = await load(path);
  const asked = ask(world, options);
  if (isMisunderstood(asked)) throw misunderstood(asked);
  const answer = trace(world, asked, { ...(options.all !== undefined && { all: options.all }), ...limitOf(options) });
  const output = options.json ? 'json' : options.output;
  const palette = paletteFor(options.color, process.stdout);
  if (output === 'json') await print(`${JSON.stringify(answerJson(answer, { all: options.all ?? false }), null, 2)}\n`);
  else
    await print(
      answerText(answer, {
        level: output === 'text' || output === 'wide' ? 'detailed' : output,
        wide: output === 'wide' || (options.all ?? false),
        palette,
      }),
    );
  return exitCode(answer.verdict);
}
