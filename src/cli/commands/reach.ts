// `netwhy reach`: what becomes of all packets of a space; or who reaches which service.
import { matrixOf, reachOf } from '../../ask/reach.ts';
import { matrixText, reachJson, reachText } from '../../say/reach.ts';
import { load } from '../load.ts';
import { classLimit, spaceIn, spaceText, type SpaceOptions } from '../spaceoption.ts';
import { paletteFor, print, UsageError, type ColourWhen } from '../terminal.ts';

export interface ReachOptions extends SpaceOptions {
  readonly matrix?: boolean;
  readonly classes?: string;
  readonly output: 'text' | 'json';
  readonly json?: boolean;
  readonly color: ColourWhen;
}

/** Tells the fates; exit code 0, or 3 where not all packets were looked at. */
export async function runReach(path: string, options: ReachOptions): Promise<number> {
  const { world } = await load(path);
  const palette = paletteFor(options.color, process.stdout);
  const isJson = options.json === true || options.output === 'json';
  if (options.matrix === true) {
    const beside = (['space', 'from', 'to', 'except', 'in', 'proto', 'sport', 'dport'] as const).find((o) => options[o] !== undefined);
    if (beside !== undefined) throw new UsageError(`--${beside} and --matrix: the matrix asks every service from every namespace`);
    const matrix = matrixOf(world);
    await print(isJson ? `${JSON.stringify(matrix, null, 2)}\n` : matrixText(matrix, palette));
    return 0;
  }
  const reach = reachOf(world, spaceIn(world, await spaceText(options)), classLimit(options));
  await print(isJson ? `${JSON.stringify(reachJson(reach), null, 2)}\n` : reachText(reach, palette));
  return reach.left > 0n ? 3 : 0;
}
