// A space of packets from the command line: by options, or as `for:` of a property has it.
import { isSpaceError, readSpace, type Space, type SpaceText } from '../ask/space.ts';
import type { World } from '../model/host.ts';
import { UsageError } from './terminal.ts';

export interface SpaceOptions {
  readonly space?: string;
  readonly from?: string;
  readonly to?: string;
  readonly except?: string;
  readonly in?: string;
  readonly proto?: string;
  readonly sport?: string;
  readonly dport?: string;
}

/** Reads `--space '{ from: ..., to: ... }'`, or the options that say the same. Throws UsageError. */
export async function spaceText(options: SpaceOptions): Promise<SpaceText> {
  if (options.space !== undefined) {
    const beside = (['from', 'to', 'except', 'in', 'proto', 'sport', 'dport'] as const).find((o) => options[o] !== undefined);
    if (beside !== undefined) throw new UsageError(`--${beside} and --space: one of the two says which packets`);
    return fromYaml(options.space);
  }
  const { from, to, except, proto, sport, dport } = options;
  if (to === undefined) throw new UsageError("--to is missing: ADDR, ADDR/LENGTH, ADDR-ADDR, a list of them with commas, or 'any'");
  const some = to === 'any' ? (from?.includes(':') === true ? ['::/0'] : ['0.0.0.0/0']) : listOf(to);
  return {
    ...(from !== undefined && { from: /[/-]\d|,/.test(from) && /^[\d.:a-f/,-]+$/i.test(from) ? listOf(from) : from }),
    ...(options.in !== undefined && { in: options.in }),
    to: to === 'any' || except !== undefined ? { any: some, except: except === undefined ? [] : listOf(except) } : some,
    ...(proto !== undefined && { proto: listOf(proto) }),
    ...(sport !== undefined && { sport: listOf(sport) }),
    ...(dport !== undefined && { dport: listOf(dport) }),
  };
}

function listOf(text: string): string[] {
  return text.split(',').map((x) => x.trim());
}

async function fromYaml(text: string): Promise<SpaceText> {
  const [{ parseDocument }, { PropertySpace }] = await Promise.all([import('yaml'), import('../model/property.ts')]);
  const document = parseDocument(text);
  const fault = document.errors[0];
  if (fault) throw new UsageError(`--space: ${fault.message.split('\n')[0] ?? 'not YAML'}\n  ${EXAMPLE}`);
  const read = PropertySpace.safeParse(document.toJS());
  if (read.success) return read.data;
  const issue = read.error.issues[0]!;
  throw new UsageError(`--space: ${issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''}${issue.message}\n  ${EXAMPLE}`);
}

const EXAMPLE = "for example --space '{ from: worker1/pod-a, to: { any: 0.0.0.0/0, except: 10.0.0.0/8 }, proto: tcp, dport: 443 }'";

/** The space against a world. Throws UsageError that names the option. */
export function spaceIn(world: World, text: SpaceText): Space {
  const space = readSpace(world, text);
  if (isSpaceError(space)) throw new UsageError(`--${space.key}: ${space.error}${space.hint === undefined ? '' : `\n  ${space.hint}`}`);
  return space;
}

/** `--classes`. Throws UsageError. */
export function classLimit({ classes }: { readonly classes?: string }): { readonly limit?: number } {
  if (classes === undefined) return {};
  if (!/^[1-9]\d*$/.test(classes)) throw new UsageError(`--classes: '${classes}' is not a number of classes`);
  return { limit: Number(classes) };
}
