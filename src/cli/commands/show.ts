// `netwhy show`: what was read of a capture, and what was not.
import { testimony } from '../../ask/testimony.ts';
import { describeBlock } from '../../net/edge.ts';
import type { Finding } from '../../model/finding.ts';
import type { Palette } from '../../say/palette.ts';
import { coverage, coverageText, tally, unmodelled } from '../../say/coverage.ts';
import { findingText } from '../../say/finding.ts';
import { load, type Loaded } from '../load.ts';
import { EXIT, paletteFor, print, type ColourWhen } from '../terminal.ts';

/** Shows what was read; exit 1 when the reading found an error. */
export async function runShow(
  path: string,
  options: { readonly output: 'text' | 'json'; readonly json?: boolean; readonly color: ColourWhen },
): Promise<number> {
  const loaded = await load(path);
  const { world, files } = loaded;
  if (options.json || options.output === 'json') {
    const report = {
      files,
      namespaces: world.namespaces.map(coverage),
      wires: world.wires,
      subnets: await subnets(loaded),
      unmodelled: unmodelled(world),
      witness: world.witness && tally(world.witness),
      evidence: world.evidence,
      findings: world.findings.map(({ about: _about, ...finding }) => finding),
    };
    await print(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    const palette = paletteFor(options.color, process.stdout);
    const out = [coverageText(world)];
    const blocks = await subnets(loaded);
    if (blocks.length > 0) out.push('', 'subnets:', ...blocks.map((b) => `  ${b.subnet}  ${b.on}  ${b.first} - ${b.last}, ${b.size} addresses`));
    const width = Math.max(...files.map((f) => f.path.length), 4);
    out.push(
      '',
      'files:',
      ...files.map((f) => `  ${f.path.padEnd(width)}  ${f.kind.padEnd(13)}  ${String(f.lines).padStart(7)} lines${f.used ? '' : '  (not used)'}`),
    );
    const findings = [...world.findings, ...(world.evidence ?? []).map((e) => testimony([e]))];
    if (findings.length > 0) out.push('', `findings (${findings.length}):`, ...findingsText(findings, palette));
    await print(`${out.join('\n').replace(/\n\n\n/g, '\n\n')}\n`);
  }
  return world.findings.some((f) => f.severity === 'error') ? EXIT.no : EXIT.yes;
}

/** Findings one by one, but notes of one kind, which are many and all alike, as one line. */
function findingsText(findings: readonly Finding[], palette: Palette): string[] {
  const out: string[] = [];
  const notes = new Map<string, Finding[]>();
  for (const f of findings) {
    if (f.severity === 'note') notes.set(f.code, [...(notes.get(f.code) ?? []), f]);
    else out.push(findingText(f, palette));
  }
  const shown = out.slice(0, 100);
  if (out.length > shown.length) shown.push(`... and ${out.length - shown.length} more (-o json lists them all)`);
  for (const [first, ...more] of notes.values())
    shown.push(
      more.length < 2
        ? [first!, ...more].map((f) => findingText(f, palette)).join('\n')
        : `${findingText(first!, palette)}\n    and ${more.length} more notes of this kind (-o json lists them all)`,
    );
  return shown;
}

/** The IP networks that the nodes' interfaces are in. */
async function subnets({ world }: Loaded): Promise<{ subnet: string; on: string; first: string; last: string; size: string }[]> {
  const found = new Map<string, { prefix: Parameters<typeof describeBlock>[0]; on: string[] }>();
  const { formatPrefix, and, maskOf, familyOf, isLoopback, isLinkLocal, bitsOf } = await import('../../net/addr.ts');
  for (const ns of world.namespaces) {
    for (const a of ns.addresses) {
      const family = familyOf(a.addr);
      if (isLoopback(a.addr) || isLinkLocal(a.addr) || a.length === bitsOf(family)) continue;
      const prefix = { addr: and(a.addr, maskOf(family, a.length)), length: a.length };
      const entry = found.get(formatPrefix(prefix)) ?? { prefix, on: [] };
      entry.on.push(`${ns.name ? `${ns.node}/${ns.name}` : ns.node}/${a.device}`);
      found.set(formatPrefix(prefix), entry);
    }
  }
  return Promise.all(
    [...found].map(async ([subnet, { prefix, on }]) => {
      const { first, last, size } = await describeBlock(prefix);
      return { subnet, on: on.join(', '), first, last, size: String(size) };
    }),
  );
}
