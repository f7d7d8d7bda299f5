// From a path to a world: a scenario folder, a folder of captures, a tar (gzip or not) of either, a single dump, or stdin.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readBundle, worldOf } from '../capture/bundle.ts';
import type { ReadYaml } from '../capture/manifest.ts';
import type { CaptureFile, FileReport } from '../capture/namespace.ts';
import { isYaml } from '../capture/witness.ts';
import { readScenarioWorld } from '../capture/world.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { World } from '../model/host.ts';
import type { Scenario } from '../model/scenario.ts';
import { makeRoomFor, NeedsLargerHeap } from './memory.ts';
import { UsageError } from './terminal.ts';

export interface Loaded {
  readonly world: World;
  readonly files: readonly FileReport[];
  readonly scenario?: Scenario;
  /** Complains about a value of the scenario file: its line with a caret under it, and what to write instead. */
  readonly complain?: (path: readonly (string | number)[], message: string, hint?: string) => never;
  /** The scenario's edits with their lines. */
  readonly edits?: readonly { readonly text: string; readonly at: Span }[];
}

/** The most that is read of one file: a JavaScript string holds no more. */
const LARGEST = 500 * 1024 * 1024;

/** Reads a capture. Whatever is wrong inside it is a finding; only what cannot be read at all is an error. */
export async function load(path: string): Promise<Loaded> {
  const files = await filesAt(path);
  const scenario = files.find((f) => /(^|\/)scenario\.ya?ml$/.test(f.path));
  if (scenario) return loadScenario(scenario, files);
  const name = basename(resolve(path)).replace(/(\.(tar|tgz|txt|gz))+$/, '');
  // a dump named after the command that printed it says nothing about the node
  const folder = path === '-' || /^(ip6?tables|nft|ipset|ip6?-|sysctl|conntrack)/.test(name) ? 'node' : name;
  const bundle = readBundle(files, { folder, ...(await yamlReader(files)) });
  const world = worldOf(bundle);
  if (world.namespaces.length === 0) throw new UsageError(nothingIn(path, bundle.findings));
  return { world, files: bundle.files };
}

/** The reader of YAML, loaded only where a capture needs it. */
async function yamlReader(files: readonly CaptureFile[]): Promise<{ readYaml?: ReadYaml }> {
  return files.some(isYaml) ? { readYaml: (await import('../capture/yaml.ts')).readYaml } : {};
}

function nothingIn(path: string, findings: readonly Finding[]): string {
  const reasons = findings
    .filter((f) => f.code !== 'no-captures')
    .slice(0, 5)
    .map((f) => `  ${f.at.file}: ${f.message}`);
  return [
    `${path}: there is no capture in it`,
    ...reasons,
    '  Run the script of `netwhy capture` on the node, or save what iptables-save, ip addr and ip route print.',
  ].join('\n');
}

async function filesAt(path: string): Promise<CaptureFile[]> {
  if (path === '-') return unpack('stdin', readFileSync(0));
  let folder: boolean;
  try {
    folder = statSync(path).isDirectory();
  } catch (error) {
    throw new UsageError(`${path}: ${reason(error)}`);
  }
  if (!folder) {
    if (/(^|\/)scenario\.ya?ml$/.test(path)) return filesAt(join(path, '..'));
    return unpack(basename(path), readBytes(path));
  }
  const files: CaptureFile[] = [];
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() && !entry.isSymbolicLink()) continue;
    const full = join(entry.parentPath, entry.name);
    if (
      relative(path, full)
        .split(/[/\\]/)
        .some((part) => part.startsWith('.') || part === 'expected')
    )
      continue;
    if (/\.(md|tar|tgz)$/.test(entry.name) || !isReadableFile(full)) continue;
    const bytes = readBytes(full);
    files.push({ path: relative(path, full).replaceAll('\\', '/'), text: text(isGzip(bytes) ? gunzip(full, bytes) : bytes) });
  }
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function isReadableFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function readBytes(path: string): Buffer {
  try {
    const { size } = statSync(path);
    makeRoomFor(path, size);
    if (size > LARGEST) throw new UsageError(`${path}: ${Math.round(size / 1e6)} MB; at most ${Math.round(LARGEST / 1e6)} MB are read of one file`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof UsageError || error instanceof NeedsLargerHeap) throw error;
    throw new UsageError(`${path}: ${reason(error)}`);
  }
}

async function unpack(name: string, bytes: Buffer): Promise<CaptureFile[]> {
  if (bytes.subarray(0, 6).equals(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])))
    throw new UsageError(`${name}: xz is not read; unpack it first (xz -d ${name})`);
  if (bytes.readUInt32BE === undefined || bytes.length === 0) return [{ path: name, text: '' }];
  const plain = isGzip(bytes) ? gunzip(name, bytes) : bytes;
  if (plain.subarray(257, 262).toString('latin1') !== 'ustar') return [{ path: name.replace(/\.gz$/, ''), text: text(plain) }];
  const end = tarEnd(plain);
  if (end > plain.length) throw new UsageError(`${name}: not a whole tar: it should have at least ${end} bytes and has ${plain.length}`);
  const { unpackTar } = await import('modern-tar');
  try {
    const entries = await unpackTar(plain);
    return entries
      .filter((e) => e.header.type === 'file')
      .map((e) => ({ path: e.header.name.replace(/^\.\//, ''), text: text(e.data ?? new Uint8Array()) }));
  } catch (error) {
    throw new UsageError(`${name}: not a whole tar: ${reason(error)}`);
  }
}

/** Where the last entry of a tar ends, by the sizes in its headers: beyond the last byte when the file was cut. */
function tarEnd(bytes: Uint8Array): number {
  let at = 0;
  while (at + 512 <= bytes.length && bytes[at] !== 0) {
    const field = Buffer.from(bytes.subarray(at + 124, at + 136));
    const size = field[0]! & 0x80 ? Number(field.readBigUInt64BE(4)) : Number.parseInt(field.toString('latin1').replaceAll('\0', ''), 8) || 0;
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return at === bytes.length ? at + 1024 : at;
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function gunzip(name: string, bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: LARGEST });
  } catch (error) {
    throw new UsageError(`${name}: not a whole gzip file: ${reason(error)}`);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file or folder';
  if (code === 'EACCES') return 'it may not be read (permission denied)';
  return error instanceof Error ? error.message : String(error);
}

/** Reads scenario.yaml with the places of its values, so that every complaint has a line. */
async function loadScenario(file: CaptureFile, files: readonly CaptureFile[]): Promise<Loaded> {
  const [{ LineCounter, parseDocument, isNode }, { Scenario }] = await Promise.all([import('yaml'), import('../model/scenario.ts')]);
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines });
  const complain = (message: string, offset: number, hint?: string): never => {
    const { line, col } = lines.linePos(offset);
    const source = file.text.split('\n')[line - 1] ?? '';
    throw new UsageError(
      `${file.path}:${line}:${col}: ${message}\n    ${source}\n    ${' '.repeat(Math.max(0, col - 1))}^${hint === undefined ? '' : `\n  ${hint}`}`,
    );
  };
  const fault = document.errors[0];
  if (fault) complain(fault.message.split('\n')[0] ?? 'not YAML', fault.pos[0]);
  const offsetOf = (path: readonly (string | number)[]): number => {
    for (let n = path.length; n >= 0; n--) {
      const node = document.getIn(path.slice(0, n), true);
      if (isNode(node) && node.range) return node.range[0];
    }
    return 0;
  };
  const checked = Scenario.safeParse(document.toJS());
  if (!checked.success) {
    const issue = checked.error.issues[0]!;
    const where = issue.path.filter((p): p is string | number => typeof p !== 'symbol');
    return complain(`${where.join('.')}${where.length ? ': ' : ''}${issue.message} (netwhy schema scenario prints the format)`, offsetOf(where));
  }
  const base = file.path.slice(0, file.path.lastIndexOf('/') + 1);
  const inside = files.filter((f) => f !== file && f.path.startsWith(base)).map((f) => ({ ...f, path: f.path.slice(base.length) }));
  const locate = (path: readonly (string | number)[]): Span => {
    const { line, col } = lines.linePos(offsetOf(path));
    return { file: file.path.slice(base.length), line, column: col };
  };
  const { world, files: reports } = readScenarioWorld(checked.data, inside, locate, (await yamlReader(inside)).readYaml);
  const missing = world.findings.find(
    (f) => f.code === 'no-captures' || f.code === 'no-such-interface' || f.code === 'bad-address' || f.code === 'bad-denial',
  );
  if (missing)
    throw new UsageError(`${missing.at.file}:${missing.at.line}: ${missing.message}${missing.hint === undefined ? '' : `\n  ${missing.hint}`}`);
  const edits = checked.data.edits?.map((text, i) => ({ text, at: locate(['edits', i]) }));
  const complainAt = (path: readonly (string | number)[], message: string, hint?: string): never =>
    complain(`${path.join('.')}: ${message}`, offsetOf(path), hint);
  return { world, files: reports, scenario: checked.data, complain: complainAt, ...(edits && { edits }) };
}
