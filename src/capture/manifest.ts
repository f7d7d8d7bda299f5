// Kubernetes objects out of what kubectl printed, JSON or YAML. Lists are taken apart in the text, before anything is
// parsed: each object keeps its line, and one that is broken or cut off costs no other.
import type { Finding, Span } from '../model/finding.ts';
import { isJson } from './json.ts';
import { linesOf, Source } from './source.ts';

/** One object: as parsed, and its text, in which the lines of its values are found. */
export interface Manifest {
  readonly kind: string;
  readonly value: Readonly<Record<string, unknown>>;
  readonly at: Span;
  /** The text of the object's first line. */
  readonly line: string;
  /** Where a value stands: the first line of the object that holds this text. */
  readonly find: (text: string) => Span;
}

/** The objects of a dump, and what is wrong with those that are not among them. */
export interface Manifests {
  readonly objects: readonly Manifest[];
  /** Objects of kinds that nobody asked for, by kind. */
  readonly ignored: ReadonlyMap<string, number>;
  readonly findings: readonly Finding[];
}

/** Reads one YAML document: its value, or what is wrong with it and in which of its lines. */
export type ReadYaml = (text: string) => { readonly value: unknown } | { readonly fault: string; readonly line: number };

/** The text of one object, the line it begins on, and the kind that its list promises. */
interface Piece {
  readonly text: string;
  readonly number: number;
  readonly listed?: string;
}

/** Reads all objects of the `wanted` kinds; YAML only with a reader of it. */
export function readManifests(text: string, file: string, wanted: ReadonlySet<string>, readYaml?: ReadYaml): Manifests {
  const source = new Source(text, file);
  const json = isJson(text);
  if (!json && !readYaml) {
    const hint = 'save it with -o json, or hand readYaml to the reader';
    source.report('error', 'no-yaml', 'there is nothing here to read YAML with', { text: '', number: 1 }, { hint });
    return { objects: [], ignored: new Map(), findings: source.findings };
  }
  const objects: Manifest[] = [];
  const ignored = new Map<string, number>();
  for (const piece of json ? jsonPieces(text, source) : yamlPieces(text, source)) {
    // YAML is slow to read, and what is not wanted (a Secret, perhaps) is better not read at all
    const early = json ? undefined : kindOfYaml(piece.text);
    const skip = (kind: string): void => void ignored.set(kind, (ignored.get(kind) ?? 0) + 1);
    if (early !== undefined && !wanted.has(early)) {
      skip(early);
      continue;
    }
    const value = readYaml && !json ? parseYaml(piece, source, readYaml) : parseJson(piece, source);
    if (value === undefined) continue;
    const kind = typeof value['kind'] === 'string' ? value['kind'] : piece.listed;
    const line = { text: firstLine(piece.text), number: piece.number };
    if (kind === undefined || kind === '') source.report('note', 'no-kind', 'an object without a kind is not one of Kubernetes', line);
    else if (!wanted.has(kind)) skip(kind);
    else {
      const find = (part: string): Span => ({ file, line: piece.number + lineOf(piece.text, part) });
      objects.push({ kind, value, at: source.span(line), line: line.text, find });
    }
  }
  return { objects, ignored, findings: source.findings };
}

function firstLine(text: string): string {
  return text.slice(0, 400).split('\n', 8).join(' ').replace(/\s+/g, ' ').slice(0, 200);
}

/** How many lines into `text` the value `part` stands; 0 where it is not found. */
function lineOf(text: string, part: string): number {
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + 1)) {
    // 10.0.0.1 is not found in 10.0.0.10
    if (/[\w.:-]/.test(text[at - 1] ?? ' ') || /[\w.:-]/.test(text[at + part.length] ?? ' ')) continue;
    let n = 0;
    for (let i = text.indexOf('\n'); i >= 0 && i < at; i = text.indexOf('\n', i + 1)) n++;
    return n;
  }
  return 0;
}

function isObject(x: unknown): x is Record<string, unknown> {
  return typeof x === 'object' && x !== null && !Array.isArray(x);
}

function parseJson(piece: Piece, source: Source): Record<string, unknown> | undefined {
  const line = { text: firstLine(piece.text), number: piece.number };
  try {
    const value: unknown = JSON.parse(piece.text);
    if (isObject(value)) return value;
  } catch {
    // reported below
  }
  source.report('error', 'bad-json', 'this object is not JSON', line);
  return undefined;
}

function parseYaml(piece: Piece, source: Source, readYaml: ReadYaml): Record<string, unknown> | undefined {
  const read = readYaml(piece.text);
  const value = 'value' in read && Array.isArray(read.value) ? (read.value as unknown[])[0] : 'value' in read ? read.value : undefined;
  if (isObject(value)) return value;
  const [message, line] = 'fault' in read ? [`this object is not YAML: ${read.fault}`, read.line] : ['this is not an object of Kubernetes', 1];
  source.report('error', 'bad-yaml', message, { text: piece.text.split('\n')[line - 1] ?? '', number: piece.number + line - 1 });
  return undefined;
}

/** The kind that the object's own indentation gives it. */
function kindOfYaml(text: string): string | undefined {
  const indent = /^( *(?:- +)?)[\w"']/m.exec(text)?.[1]?.length ?? 0;
  return new RegExp(`^(?: {${indent}}| *- +)kind: *["']?(\\w+)`, 'm').exec(text)?.[1];
}

/** Objects of a stream of objects and lists; a list is an object with `items`. */
function* jsonPieces(text: string, source: Source): Generator<Piece> {
  const stack: { open: number; isItems: boolean }[] = [];
  let items: Piece[] = [];
  let number = 1;
  let key = '';
  let top = { start: 0, number: 1, listEnd: 0, listStart: -1 };
  let item = { start: 0, number: 1 };
  const isItem = (): boolean => stack.at(-1)?.isItems === true;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 10) number++;
    else if (c === 34) {
      const from = i + 1;
      for (i++; i < text.length && text.charCodeAt(i) !== 34; i++) {
        if (text.charCodeAt(i) === 92) i++;
        else if (text.charCodeAt(i) === 10) number++; // not JSON, but the lines stay right
      }
      if (depthIn(stack) === 1 && i - from === 5) key = text.slice(from, i);
      else if (depthIn(stack) === 1) key = '';
    } else if (c === 123) {
      if (depthIn(stack) === 0) top = { start: i, number, listEnd: 0, listStart: -1 };
      else if (isItem()) item = { start: i, number };
      stack.push({ open: c, isItems: false });
    } else if (c === 91) {
      const isItems = key === 'items' && depthIn(stack) === 1 && stack.at(-1)?.open === 123;
      if (isItems) top.listStart = i;
      stack.push({ open: c, isItems });
    } else if (c === 125 || c === 93) {
      // damage: a list that is not closed ends with its object, and what closes no list closes nothing
      if (c === 125 && stack.at(-1)?.open === 91 && !isItem() && stack.length > 1) stack.pop();
      else if (c === 93 && stack.at(-1)?.open === 123) continue;
      const closed = stack.pop();
      if (closed?.isItems) top.listEnd = i;
      else if (c === 125 && isItem()) items.push({ text: text.slice(item.start, i + 1), number: item.number });
      else if (c === 125 && closed !== undefined && depthIn(stack) === 0) {
        if (top.listStart < 0) yield { text: text.slice(top.start, i + 1), number: top.number };
        else yield* listedAs(items, text.slice(top.start, top.listStart) + text.slice(top.listEnd, i));
        items = [];
      }
    }
  }
  yield* listedAs(items, text.slice(top.start, Math.max(top.start, top.listStart)));
  if (stack.length === 0) return;
  const line = { text: firstLine(text.slice(isObjectOpen(stack) ? item.start : top.start)), number };
  source.report('error', 'truncated', 'the JSON ends in the middle', line, { hint: 'capture the whole output again' });
}

/** The items of a list; in a raw PodList only the list tells the kind, in what stands around its items. */
function listedAs(items: readonly Piece[], around: string): readonly Piece[] {
  const listed = /"kind"\s*:\s*"(\w+)List"/.exec(around)?.[1];
  return listed === undefined ? items : items.map((piece) => ({ ...piece, listed }));
}

/** How deep in objects and lists, a list around everything not counted. */
function depthIn(stack: readonly { readonly open: number }[]): number {
  return stack.length - (stack[0]?.open === 91 ? 1 : 0);
}

function isObjectOpen(stack: readonly { readonly isItems: boolean }[]): boolean {
  return stack.some((s) => s.isItems);
}

/** Objects of YAML documents; those of a List stand under `items:`, each behind a dash of the same indentation. */
function* yamlPieces(text: string, source: Source): Generator<Piece> {
  let document: { text: string; number: number }[] = [];
  for (const line of linesOf(text)) {
    if (/^(?:---|\.\.\.)(?:\s|$)/.test(line.text)) {
      yield* documentPieces(document, source);
      document = [];
    } else document.push(line);
  }
  yield* documentPieces(document, source);
}

function* documentPieces(lines: readonly { readonly text: string; readonly number: number }[], source: Source): Generator<Piece> {
  const join = (from: number, to: number): Piece => ({
    text: lines
      .slice(from, to)
      .map((l) => l.text)
      .join('\n'),
    number: lines[from]!.number,
  });
  const isBlank = (text: string): boolean => /^\s*(?:#.*)?$/.test(text);
  const first = lines.findIndex((l) => !isBlank(l.text));
  if (first < 0) return;
  const head = lines.findIndex((l) => /^items:\s*(?:\[\s*\])?\s*$/.test(l.text));
  if (head < 0) return yield join(first, lines.length);
  const dash = /^ *(?=- )/.exec(lines[head + 1]?.text ?? '')?.[0];
  let end = head + 1;
  const starts: number[] = [];
  for (; end < lines.length; end++) {
    const { text } = lines[end]!;
    if (dash !== undefined && text.startsWith(`${dash}- `)) starts.push(end);
    else if (!isBlank(text) && !text.startsWith(`${dash ?? ''} `)) break;
  }
  const around = [...lines.slice(0, head), ...lines.slice(end)].map((l) => l.text);
  const listed = around.map((l) => /^kind: *(\w*)List\s*$/.exec(l)?.[1]).find((kind) => kind !== undefined);
  for (const [i, start] of starts.entries()) {
    const piece = join(start, starts[i + 1] ?? end);
    yield listed === undefined || listed === '' ? piece : { ...piece, listed };
  }
  if (listed === undefined)
    source.report('warning', 'truncated', 'the list of objects has no end (kind: List)', lines.at(-1)!, { hint: 'capture the whole output again' });
}
