// `netwhy check`: the claims of a scenario, its questions and its properties.
import { basename, dirname, join, resolve } from 'node:path';
import { sizeOf } from '../../ask/box.ts';
import { checkProperty, checkQuestion, type PropertyChecked, type QuestionChecked } from '../../ask/check.ts';
import { isSpaceError, type SpaceError } from '../../ask/space.ts';
import type { World } from '../../model/host.ts';
import type { Answer, Question } from '../../model/trace.ts';
import { formatAddr, formatEndpoint } from '../../net/addr.ts';
import { formatProtocol } from '../../net/proto.ts';
import { checkedJson, checkedJunit, checkedTap, checkedText, type CheckedSaid } from '../../say/check.ts';
import { answerText } from '../../say/text.ts';
import { load, type Loaded } from '../load.ts';
import { paletteFor, print, UsageError, type ColourWhen } from '../terminal.ts';
import { progressOf } from '../progress.ts';

export interface CheckOptions {
  readonly only?: string;
  readonly exact?: boolean;
  readonly random?: boolean;
  readonly classes?: string;
  readonly runs?: string;
  readonly seed?: string;
  readonly output: 'text' | 'json' | 'junit' | 'tap';
  readonly json?: boolean;
  readonly color: ColourWhen;
}

/** Checks every claim; exit code 0 where all hold, 1 where one fails, 3 where of one nobody can tell. */
export async function runCheck(path: string, options: CheckOptions): Promise<number> {
  const loaded = await load(path);
  const { scenario } = loaded;
  if (!scenario) throw new UsageError(`${path}: there is no scenario.yaml in it, and claims stand there (netwhy schema scenario prints the format)`);
  const numbers = { classes: numberOf('classes', options.classes), runs: numberOf('runs', options.runs), seed: numberOf('seed', options.seed) };
  const isMeant = (name: string): boolean => options.only === undefined || name.includes(options.only);
  const said: CheckedSaid[] = [];
  for (const [i, q] of (scenario.questions ?? []).entries()) {
    if (!isMeant(q.name)) continue;
    const checked = checkQuestion(loaded.world, q, (a) => answerText(a, { level: 'summary' }));
    if ('error' in checked) return complain(loaded, ['questions', i], checked.error, checked.hint);
    said.push(questionSaid(checked));
  }
  const others = await otherWorlds(path, loaded);
  const progress = progressOf(process.stderr);
  for (const [i, p] of (scenario.properties ?? []).entries()) {
    if (!isMeant(p.name)) continue;
    const checked =
      options.random === true
        ? await atRandom(loaded, i, { ...numbers, others })
        : checkProperty(loaded.world, p, {
            others,
            ...(numbers.classes !== undefined && { limit: numbers.classes }),
            progress: (left) => progress.tell(`${p.name}: ${left.toString(2).length - 1} bits of packets left`),
          });
    progress.clear();
    if (isSpaceError(checked))
      return complain(loaded, ['properties', i, checked.key in p.expect ? 'expect' : 'for', checked.key], checked.error, checked.hint);
    // what is too much to be proved may still be broken
    const isOpen = checked.status === 'unknown' && options.exact !== true && options.random !== true;
    const tried = isOpen ? await atRandom(loaded, i, { ...numbers, others }) : undefined;
    said.push(propertySaid(path, tried && !isSpaceError(tried) && tried.status === 'broken' ? tried : checked));
  }
  if (said.length === 0)
    throw new UsageError(
      options.only === undefined ? `${path}: the scenario has no questions and no properties` : `--only: no claim's name has '${options.only}' in it`,
    );
  const form = options.json ? 'json' : options.output;
  await print(
    form === 'json'
      ? `${JSON.stringify(checkedJson(said), null, 2)}\n`
      : form === 'junit'
        ? checkedJunit(said, basename(resolve(path)))
        : form === 'tap'
          ? checkedTap(said)
          : checkedText(said, paletteFor(options.color, process.stdout)),
  );
  return said.some((c) => c.status === 'broken') ? 1 : said.some((c) => c.status === 'unknown') ? 3 : 0;
}

async function atRandom(
  loaded: Loaded,
  i: number,
  { runs, seed, others }: { runs: number | undefined; seed: number | undefined; others: ReadonlyMap<string, World> },
): Promise<PropertyChecked | SpaceError> {
  const { searchProperty } = await import('../../testing/search.ts');
  return searchProperty(loaded.world, loaded.scenario!.properties![i]!, {
    others,
    ...(runs !== undefined && { runs }),
    ...(seed !== undefined && { seed }),
  });
}

/** The scenarios that `same-as` names, by paths from this one's folder. */
async function otherWorlds(path: string, loaded: Loaded): Promise<ReadonlyMap<string, World>> {
  const worlds = new Map<string, World>();
  const folder = /\.ya?ml$/.test(path) ? dirname(path) : path;
  for (const [i, { expect }] of (loaded.scenario?.properties ?? []).entries()) {
    const name = expect['same-as']?.scenario;
    if (name === undefined || worlds.has(name)) continue;
    try {
      worlds.set(name, (await load(join(folder, name))).world);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      complain(loaded, ['properties', i, 'expect', 'same-as', 'scenario'], error.message, 'a path from the folder of this scenario');
    }
  }
  return worlds;
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text) || (option !== 'seed' && Number(text) < 1)) throw new UsageError(`--${option}: '${text}' is not a number`);
  return Number(text);
}

function complain(loaded: Loaded, path: readonly (string | number)[], message: string, hint: string | undefined): never {
  return loaded.complain!(path, message, hint);
}

function questionSaid({ kind, name, status, broken, answer }: QuestionChecked): CheckedSaid {
  return { kind, name, status, broken, answer };
}

function propertySaid(path: string, { kind, name, status, by, unproved, counterexample: x }: PropertyChecked): CheckedSaid {
  return {
    kind,
    name,
    status,
    by,
    ...(unproved && { unproved }),
    ...(x && {
      counterexample: {
        broken: x.broken,
        answer: x.answer,
        boxes: x.boxes,
        packets: x.boxes.reduce((n, b) => n + sizeOf(b), 0n),
        ask: askFor(path, x.question, x.answer),
      },
    }),
  };
}

/** The command that asks for one packet. */
function askFor(path: string, { packet, node, namespace, arrives, device, boundSource }: Question, answer: Answer): string {
  const from = boundSource ? formatAddr(packet.src) : namespace === '' ? node : `${node}/${namespace}`;
  const where = arrives && device !== undefined ? ` --in ${namespace === '' ? node : `${node}/${namespace}`}:${device}` : '';
  const sport = packet.sport === undefined || packet.sport === 40000 ? '' : ` --sport ${packet.sport}`;
  const to = formatEndpoint(packet.dst, answer.question.packet.dport);
  return `netwhy trace ${path} --from ${from} --to ${to} --proto ${formatProtocol(packet.proto)}${sport}${where}`;
}
