// The house rules of CONTRIBUTING.md, held against the text of src/. Each rule is first shown to bite.
import { readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(...folders: string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((f) => f.endsWith('.ts') && posix.join(folder, f) !== 'test/house.test.ts')
      .map((f) => ({ path: posix.join(folder, f), text: readFileSync(join(root, folder, f), 'utf8') })),
  );
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
const packages = Object.keys(manifest.dependencies);
const contributing = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
const BARRELS = ['src/testing/index.ts', 'src/index.ts', 'src/iptables-parser/index.ts'];

interface Room {
  readonly rooms: readonly string[] | 'everything';
  /** Package name -> the only files of the room that may import it; none named means all of them. */
  readonly packages: ReadonlyMap<string, readonly string[]>;
}

/** The table of CONTRIBUTING.md: `model | net (zod in scenario.ts and answer.ts)`. A clause that names files is about those alone. */
function readRooms(markdown: string): ReadonlyMap<string, Room> {
  const rows = [...markdown.matchAll(/^\| *([a-z-]+) *\| *(.+?) *\|$/gm)]
    .filter(([, room]) => room !== 'room' && !room!.startsWith('--'))
    .map(([, room, cell]) => [room!, cell!] as const);
  const names = rows.map(([room]) => room);
  return new Map(
    rows.map(([room, cell]): [string, Room] => {
      const outside = cell.replace(/\(.*?\)/g, '').split(';')[0]!;
      const words = outside.split(/[^a-z-]+/);
      const allowed = new Map<string, readonly string[]>();
      for (const clause of cell.split(/[();]/)) {
        const files = clause.match(/[a-z-]+\.ts/g) ?? [];
        for (const p of packages) if (clause.split(/[^a-z-]+/).includes(p)) allowed.set(p, files);
      }
      return [room, { rooms: words.includes('everything') ? 'everything' : names.filter((n) => words.includes(n)), packages: allowed }];
    }),
  );
}

const rooms = readRooms(contributing);

function importsOf(source: Source): string[] {
  const pattern = /^\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  return [...source.text.matchAll(pattern)].map((m) => (m[1] ?? m[2] ?? m[3])!);
}

function roomOf(path: string): string {
  return path.split('/').length > 2 ? path.split('/')[1]! : '';
}

/** src/index.ts stands before all rooms: it may show anything but the cli. */
function wrongImports(source: Source): string[] {
  const own = roomOf(source.path);
  const room: Room | undefined = own === '' ? { rooms: [...rooms.keys()].filter((r) => r !== 'cli'), packages: new Map() } : rooms.get(own);
  if (!room) return [`${source.path}: '${own}' is not a room of CONTRIBUTING.md`];
  return importsOf(source).flatMap((name) => {
    const says = (why: string): string[] => [`${source.path} imports ${name}: ${why}`];
    if (name.startsWith('.')) {
      const target = posix.join(posix.dirname(source.path), name);
      if (!target.startsWith('src/')) return says('outside src');
      const other = roomOf(target);
      if (other === own) return [];
      if (other === '') return says('nobody inside imports the front door');
      return room.rooms === 'everything' || room.rooms.includes(other) ? [] : says(`${own || 'the front door'} may not import ${other}`);
    }
    if (isBuiltin(name)) return own === 'cli' ? [] : says('only src/cli may use Node');
    const only = room.packages.get(name);
    if (name === 'ip-num' || name === 'netmask') return source.path === 'src/net/edge.ts' ? [] : says('only src/net/edge.ts may');
    if (own === 'cli' && packages.includes(name)) return [];
    if (only === undefined) return says(`${own || 'the front door'} may not use this package`);
    return only.length === 0 || only.includes(basename(source.path)) ? [] : says(`only ${only.join(' and ')} may`);
  });
}

/** The text with comments and the insides of strings blanked, line for line. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, (s) =>
    s.startsWith('/') ? s.replace(/[^\n]/g, ' ') : `''`,
  );
}

function lines(source: Source, pattern: RegExp, text = source.text): string[] {
  return text.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${source.path}:${i + 1}: ${source.text.split('\n')[i]!.trim()}`] : []));
}

function defaultExports(source: Source): string[] {
  return lines(source, /^\s*export default\b|^\s*export \{[^}]*\bas default\b/);
}

function badNames({ path }: Source): string[] {
  const parts = path.replace(/\.ts$/, '').split('/');
  const vague = parts.some((p) => /^(utils?|helpers?|common|types?|managers?|misc)$/i.test(p));
  return vague || (basename(path) === 'index.ts' && !BARRELS.includes(path)) ? [path] : [];
}

function barrels(source: Source): string[] {
  return BARRELS.includes(source.path) ? [] : lines(source, /^\s*export\s+(?:type\s+)?(?:\*|\{[^}]*\}).*\bfrom\b/);
}

function impure(source: Source): string[] {
  const text = code(source.text);
  return roomOf(source.path) === 'cli'
    ? []
    : lines(source, /\bMath\.random\b|\bDate\.now\b|\bDate\(\s*\)|\bperformance\.|\bcrypto\.\w+\(|\bconsole\b|\bprocess\./, text);
}

// Names of match extensions that no other vocabulary of the project uses (`mark`, `set` and `tcp` are fields and kinds too).
const EXTENSIONS = 'multiport|iprange|statistic|hashlimit|connmark|connlimit|connbytes|physdev|dscp|socket|string|u32|bpf|cgroup|nfacct';

/** Somebody who asks for the name of an extension gives it a second meaning, far from where it is spelled. */
function knowsExtensions(source: Source): string[] {
  const pattern = new RegExp(
    `\\.(?:as|name|match|target|extension)\\s*[!=]==?\\s*['"](?:${EXTENSIONS})['"]|case ['"](?:multiport|iprange|hashlimit|connmark)['"]`,
  );
  return roomOf(source.path) === 'iptables-parser' ? [] : lines(source, pattern);
}

function tooLong({ path, text }: Source): string[] {
  const n = text.split('\n').length - 1;
  return n > 600 ? [`${path}: ${n} lines`] : [];
}

// Notes to oneself, checkers silenced without a reason (` -- because`), a lone test, and this checkout's own path.
const here = root.replace(/\/$/, '');
const UNWANTED = [
  /\b(?:TODO|FIXME|XXX|HACK)\b/,
  /@ts-(?:ignore|nocheck|expect-error)/,
  /\b(?:it|test|describe)\.only\b/,
  /(?:oxlint|eslint)-disable(?!.* -- \S)/,
];

function unwanted(source: Source): string[] {
  const path = here.split('/').length > 2 && source.text.includes(here) ? [`${source.path} names ${here}`] : [];
  return [...path, ...UNWANTED.flatMap((w) => lines(source, w))];
}

const file = (path: string, text: string): Source => ({ path, text });

describe('the table of rooms', () => {
  it('is read from CONTRIBUTING.md as a person reads it', () => {
    expect([...rooms.keys()]).toEqual(['net', 'model', 'iptables-parser', 'nft', 'capture', 'engine', 'ask', 'say', 'testing', 'cli']);
    expect(rooms.get('net')).toEqual({
      rooms: [],
      packages: new Map([
        ['ip-num', ['edge.ts']],
        ['netmask', ['edge.ts']],
      ]),
    });
    expect(rooms.get('model')).toEqual({
      rooms: ['net'],
      packages: new Map([
        ['zod', ['scenario.ts', 'property.ts', 'answer.ts', 'difference.ts', 'explanation.ts', 'checked.ts', 'reached.ts', 'lintreport.ts']],
      ]),
    });
    expect(rooms.get('capture')?.rooms).toEqual(['net', 'model', 'iptables-parser', 'nft']);
    expect(rooms.get('engine')?.rooms).toEqual(['net', 'model']);
    expect(rooms.get('cli')?.rooms).toBe('everything');
  });

  it('has a row for every folder of src', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((d) => d.isDirectory());
    expect(folders.map((d) => d.name).filter((name) => !rooms.has(name))).toEqual([]);
  });
});

type Rule = readonly [claim: string, check: (s: Source) => string[], folders: readonly string[], bites: readonly Source[], spares: readonly Source[]];

const rules: readonly Rule[] = [
  [
    'a room imports only the rooms and packages that its row allows',
    wrongImports,
    ['src'],
    [
      file('src/net/addr.ts', "import type { Rule } from '../model/ruleset.ts';"),
      file('src/engine/chain.ts', "import {\n  phrase,\n} from '../say/phrase.ts';"),
      file('src/engine/chain.ts', "import fs from 'fs';"),
      file('src/engine/chain.ts', "import { z } from 'zod';"),
      file('src/model/host.ts', "import { z } from 'zod';"),
      file('src/capture/ipset.ts', "const { readFile } = await import('node:fs/promises');"),
      file('src/capture/ipset.ts', "import { Netmask } from 'netmask';"),
      file('src/cli/main.ts', "import { IPv4 } from 'ip-num';"),
      file('src/cli/main.ts', "import ip from 'ipaddr.js';"),
      file('src/ask/trace.ts', "import { main } from '../cli/main.ts';"),
      file('src/engine/chain.ts', "import { trace } from '../index.ts';"),
      file('src/say/text.ts', "export { x } from '../../test/oracle/x.ts';"),
      file('src/plugins/x.ts', ''),
    ],
    [
      file('src/net/edge.ts', "const { Netmask } = await import('netmask');"),
      file('src/model/scenario.ts', "import { z } from 'zod';"),
      file('src/capture/kubernetes.ts', "import { z } from 'zod';\nimport { words } from '../iptables-parser/words.ts';"),
      file(
        'src/cli/load.ts',
        "import { readFile } from 'node:fs/promises';\nimport { parse } from 'yaml';\nimport { trace } from '../ask/trace.ts';",
      ),
      file('src/index.ts', "export { trace } from './ask/trace.ts';"),
    ],
  ],
  [
    'there is no default export',
    defaultExports,
    ['src', 'bench'],
    [file('src/net/addr.ts', 'export default function parse() {}'), file('src/net/addr.ts', 'export { parse as default };')],
    [file('src/net/addr.ts', 'export const x = 1; // no export default here')],
  ],
  [
    'a file has the name of a thing, not utils, helpers, common, types or manager',
    badNames,
    ['src', 'test', 'bench'],
    [file('src/net/utils.ts', ''), file('src/helpers/addr.ts', ''), file('src/model/types.ts', ''), file('src/engine/index.ts', '')],
    [file('src/index.ts', ''), file('src/iptables-parser/index.ts', ''), file('src/engine/fib.ts', '')],
  ],
  [
    'only the two front doors re-export',
    barrels,
    ['src'],
    [
      file('src/net/addr.ts', "export * from './lpm.ts';"),
      file('src/net/addr.ts', "export { Lpm } from './lpm.ts';"),
      file('src/net/x.ts', "export type { A } from './lpm.ts';"),
    ],
    [file('src/index.ts', "export { Lpm } from './net/lpm.ts';"), file('src/net/addr.ts', "import { Lpm } from './lpm.ts';")],
  ],
  [
    'the core has no clock, no chance and no console',
    impure,
    ['src'],
    [
      file('src/engine/nat.ts', 'const port = Math.random() * 65536;'),
      file('src/ask/trace.ts', 'const now = new Date();'),
      file('src/engine/clock.ts', 'const now = Date.now();'),
      file('src/say/text.ts', "console.log('x');"),
      file('src/capture/bundle.ts', "if (process.env['X']) {}"),
    ],
    [
      file('src/cli/main.ts', 'console.error(Date.now());'),
      file('src/net/time.ts', 'const day = new Date(at * 1000);'),
      file('src/engine/nat.ts', "// Math.random() would be wrong\nconst x = 'Date';"),
    ],
  ],
  [
    'nobody outside iptables-parser asks for the name of an extension',
    knowsExtensions,
    ['src'],
    [
      file('src/engine/pred.ts', "if (match.name === 'multiport') {"),
      file('src/say/phrase.ts', "      case 'hashlimit':"),
      file('src/ask/why.ts', "pred.as !== 'statistic'"),
    ],
    [file('src/iptables-parser/l4.ts', "if (match.name === 'multiport') {"), file('src/engine/pred.ts', "case 'addrtype':")],
  ],
  ['no file is longer than 600 lines', tooLong, ['src'], [file('src/net/addr.ts', 'x\n'.repeat(601))], [file('src/net/addr.ts', 'x\n'.repeat(600))]],
  [
    'nothing is left for later, silenced, or bound to one machine',
    unwanted,
    ['src', 'test', 'bench'],
    [
      file('src/x/a.ts', '// TODO: later'),
      file('src/x/a.ts', '// @ts-ignore'),
      file('test/a.test.ts', "it.only('x', () => {});"),
      file('src/x/a.ts', '// oxlint-disable-next-line no-console'),
    ],
    [file('src/x/a.ts', '// a hacksaw is no shortcut\n// oxlint-disable-next-line no-bitwise -- flags are bits')],
  ],
];

describe.each(rules)('%s', (_claim, check, folders, bites, spares) => {
  it.each(bites.map((s) => [s.path, s.text.slice(0, 80), s] as const))('%s is refused with %j', (_path, _text, source) => {
    expect(check(source)).not.toEqual([]);
  });

  it('and lawful code is spared', () => {
    expect(spares.flatMap(check)).toEqual([]);
  });

  it('holds in this repository', () => {
    const read = sources(...folders);
    expect(read.length).toBeGreaterThan(0);
    expect(read.flatMap(check)).toEqual([]);
  });
});
