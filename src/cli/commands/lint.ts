// `netwhy lint`: faults of rules and sets that no packet is needed to see.
import { lint } from '../../ask/lint.ts';
import { lintJson, lintText } from '../../say/lint.ts';
import { load } from '../load.ts';
import { EXIT, paletteFor, print, type ColourWhen } from '../terminal.ts';

export interface LintOptions {
  readonly all?: boolean;
  readonly output: 'text' | 'json';
  readonly json?: boolean;
  readonly color: ColourWhen;
}

/** Tells the faults of a capture; exit code 1 where there are warnings, 0 where there are notes at most. */
export async function runLint(path: string, options: LintOptions): Promise<number> {
  const { world } = await load(path);
  const faults = lint(world);
  if (options.json || options.output === 'json') await print(`${JSON.stringify(lintJson(faults), null, 2)}\n`);
  else await print(lintText(faults, { palette: paletteFor(options.color, process.stdout), all: options.all ?? false }));
  return faults.some((f) => f.severity === 'warning') ? EXIT.no : EXIT.yes;
}
