// `netwhy diff`: which packets fare otherwise in another capture, and what else the two have different.
import { namingOf } from '../../ask/alike.ts';
import { compare, isUnasked } from '../../ask/compare.ts';
import { compareStructure } from '../../ask/structure.ts';
import type { Compared, Structure } from '../../model/comparison.ts';
import { comparedText, structureText } from '../../say/compare.ts';
import { diffJson } from '../../say/comparejson.ts';
import { askings, limitOf, misunderstood, type AskOptions } from '../asking.ts';
import { differenceJson, differenceText } from '../../say/reach.ts';
import type { World } from '../../model/host.ts';
import { differenceOf } from '../../ask/difference.ts';
import { load } from '../load.ts';
import { classLimit, spaceIn, spaceText } from '../spaceoption.ts';
import { EXIT, paletteFor, print, UsageError, type ColourWhen } from '../terminal.ts';

export interface DiffOptions extends AskOptions {
  readonly space?: string;
  readonly classes?: string;
  readonly output: 'text' | 'minimal' | 'json';
  readonly json?: boolean;
  readonly color: ColourWhen;
}

/** Compares two captures; exit 1 where packets fare otherwise, or, where none was asked about, where anything is different. */
export async function runDiff(pathA: string, pathB: string, options: DiffOptions): Promise<number> {
  const [a, b] = [await load(pathA), await load(pathB)];
  if (options.space !== undefined && (options.from !== undefined || options.to !== undefined))
    throw new UsageError('--from and --to ask one question, --space is about many packets: one of the two');
  if (options.space !== undefined) return diffSpace(a.world, b.world, options);
  const naming = namingOf(a.world, b.world);
  const compared = askings(a, b, options).map((asking) => compare(a.world, b.world, asking, naming, limitOf(options)));
  const [only] = compared;
  if (options.from !== undefined && only && isUnasked(only.a) && isUnasked(only.b)) throw misunderstood(only.a);
  const structure = compareStructure(a.world, b.world, naming);
  const differs = differ(compared, structure);
  const level = options.json ? 'json' : options.output;
  if (level === 'json') await print(`${JSON.stringify(diffJson(compared, structure, differs), null, 2)}\n`);
  else {
    const labels = ['A', 'B'] as const;
    const questions = compared.length === 0 ? '' : comparedText(compared, { level, labels, palette: paletteFor(options.color, process.stdout) });
    const things = level === 'minimal' ? '' : structureText(structure, labels);
    const head = level === 'minimal' ? '' : `A  ${pathA}\nB  ${pathB}\n`;
    const none = compared.length + things.length === 0 && level === 'text' ? 'No differences.\n' : '';
    await print([head, questions, things, none].filter((part) => part !== '').join(level === 'minimal' ? '' : '\n'));
  }
  return differs === 'cannot-tell' ? EXIT['cannot-tell'] : differs ? EXIT.no : EXIT.yes;
}

/** Compares all packets of a space; exit 1 where any fares otherwise, 3 where that is not sure. */
async function diffSpace(a: World, b: World, options: DiffOptions): Promise<number> {
  const text = await spaceText({ space: options.space! });
  const found = differenceOf({ world: a, space: spaceIn(a, text) }, { world: b, space: spaceIn(b, text) }, classLimit(options));
  const isJson = options.json === true || options.output === 'json';
  await print(isJson ? `${JSON.stringify(differenceJson(found), null, 2)}\n` : differenceText(found, paletteFor(options.color, process.stdout)));
  return found.differing.length > 0 ? EXIT.no : found.open.packets > 0n ? EXIT['cannot-tell'] : EXIT.yes;
}

function differ(compared: readonly Compared[], { changes, uncaptured }: Structure): boolean | 'cannot-tell' {
  if (compared.some((c) => c.changed === true)) return true;
  const isSame = changes.length + uncaptured.length === 0;
  if (compared.length === 0) return changes.length > 0 || (uncaptured.length > 0 && 'cannot-tell');
  // what is not known is the same in captures that are
  const isUnknown = compared.some((c) => isUnasked(c.a) || isUnasked(c.b) || c.b.verdict === 'cannot-tell');
  return !isSame && isUnknown && 'cannot-tell';
}
