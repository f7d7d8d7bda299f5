// `netwhy whatif`: how packets fare before and after commands on the nodes.
import { readFileSync } from 'node:fs';
import { SAME_WORLD } from '../../ask/alike.ts';
import { compare, isUnasked } from '../../ask/compare.ts';
import { applyEdits, isRefused, readEdit, type Edit, type Refusal } from '../../ask/edit.ts';
import type { Compared } from '../../model/comparison.ts';
import type { Span } from '../../model/finding.ts';
import type { Verdict } from '../../model/trace.ts';
import { comparedText, editsText } from '../../say/compare.ts';
import { whatifJson } from '../../say/comparejson.ts';
import { location } from '../../say/phrase.ts';
import { askings, limitOf, misunderstood, type AskOptions } from '../asking.ts';
import { load, type Loaded } from '../load.ts';
import { exitCode, paletteFor, print, UsageError, type ColourWhen } from '../terminal.ts';

export interface WhatifOptions extends AskOptions {
  readonly edit?: readonly string[];
  readonly edits?: string;
  readonly output: 'text' | 'minimal' | 'json';
  readonly json?: boolean;
  readonly color: ColourWhen;
}

/** Asks before and after the edits; the exit code is the verdict after them, of all that was asked. */
export async function runWhatif(path: string, options: WhatifOptions): Promise<number> {
  const loaded = await load(path);
  const edits = editsOf(loaded, options).map(({ text, at }): Edit => {
    const edit = readEdit(text, at, loaded.world);
    if (isRefused(edit)) throw refusal(at, text, edit);
    return edit;
  });
  const after = applyEdits(loaded.world, edits);
  if (isRefused(after))
    throw refusal(after.edit.at, `${after.edit.node}${after.edit.namespace && `/${after.edit.namespace}`}# ${after.edit.command}`, after);
  const asked = askings(loaded, loaded, options);
  if (asked.length === 0) throw new UsageError('--from and --to are missing, and there are no questions of a scenario to be asked');
  const compared = asked.map((asking) => compare(loaded.world, after, asking, SAME_WORLD, limitOf(options)));
  const [only] = compared;
  if (options.from !== undefined && only && isUnasked(only.a) && isUnasked(only.b)) throw misunderstood(only.a);
  const verdict = verdictOfAll(compared);
  const level = options.json ? 'json' : options.output;
  if (level === 'json') await print(`${JSON.stringify(whatifJson(edits, compared, verdict), null, 2)}\n`);
  else {
    const text = comparedText(compared, { level, labels: ['before', 'after'], palette: paletteFor(options.color, process.stdout) });
    await print(level === 'minimal' ? text : `${editsText(edits)}\n${text}`);
  }
  return exitCode(verdict);
}

interface Typed {
  readonly text: string;
  readonly at: Span;
}

/** Those of the file and then those of the command line; where neither is given, the scenario's. */
function editsOf(loaded: Loaded, options: WhatifOptions): readonly Typed[] {
  const given = [
    ...(options.edits === undefined ? [] : readEdits(options.edits)),
    ...(options.edit ?? []).map((text, i) => ({ text, at: { file: '-e', line: i + 1 } })),
  ];
  const edits = given.length > 0 ? given : (loaded.edits ?? []);
  if (edits.length > 0) return edits;
  throw new UsageError("there is no edit: write -e 'NODE# COMMAND', for example -e 'worker1# iptables -P FORWARD ACCEPT'");
}

/** One edit a line; indented lines under it are what its command reads from its input. */
function readEdits(path: string): Typed[] {
  let content: string;
  try {
    content = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(`--edits: ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const edits: Typed[] = [];
  for (const [i, line] of content.split('\n').entries()) {
    if (line.trim() === '') continue;
    const last = edits.at(-1);
    if (last && /^\s/.test(line)) edits[edits.length - 1] = { ...last, text: `${last.text}\n${line.trim()}` };
    else edits.push({ text: line, at: { file: path === '-' ? 'stdin' : path, line: i + 1 } });
  }
  return edits;
}

function refusal(at: Span, text: string, { refused, hint }: Refusal): UsageError {
  return new UsageError(`${location(at)}: ${text.split('\n', 1)[0]}\n  ${refused}${hint === undefined ? '' : `\n  ${hint}`}`);
}

/** One that does not work is enough for a no, one of which nobody knows for no yes. */
function verdictOfAll(compared: readonly Compared[]): Verdict {
  const verdicts = compared.map((c) => (isUnasked(c.b) ? 'cannot-tell' : c.b.verdict));
  return verdicts.find((v) => v === 'no') ?? verdicts.find((v) => v === 'cannot-tell') ?? 'yes';
}
