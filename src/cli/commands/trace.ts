// `netwhy trace`: what happens to this packet and to its reply, and why.
import { ask, isMisunderstood, type Request } from '../../ask/question.ts';
import { trace } from '../../ask/trace.ts';
import { answerJson } from '../../say/json.ts';
import { answerText } from '../../say/text.ts';
import { load } from '../load.ts';
import { exitCode, paletteFor, print, UsageError, type ColourWhen } from '../terminal.ts';

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
  if (isMisunderstood(asked)) throw new UsageError(`--${kebab(asked.option)}: ${asked.error}${asked.hint === undefined ? '' : `\n  ${asked.hint}`}`);
  const limit = options.limit === undefined ? {} : { limit: readLimit(options.limit) };
  const answer = trace(world, asked, { ...(options.all !== undefined && { all: options.all }), ...limit });
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

function readLimit(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new UsageError(`--limit: '${text}' is not a number of courses (1 or more)`);
  return n;
}

function kebab(option: string): string {
  return option.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
}
