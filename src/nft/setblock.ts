// A named set or map of nft's text, with its elements, which may go over many thousand lines.
import { type Reading, beginsBlock, lineAt, spanAt, truncated, unclosed } from './damage.ts';
import { readConcat, readElements } from './expression.ts';
import { readStatement } from './statement.ts';
import type { ElementSyntax, SetSyntax, StatementSyntax, TypeSyntax } from './syntax.ts';
import { asSeconds, readCount, readSeconds, timesOf } from './value.ts';
import type { Words } from './words.ts';

type Draft = { -readonly [K in keyof SetSyntax]: SetSyntax[K] };
type Head = Pick<SetSyntax, 'kind' | 'name' | 'handle' | 'at'>;

/** A set, behind its `{`. What is not understood in it is left out, with a finding. */
export function readSetBody(r: Reading, head: Head): SetSyntax {
  const { w } = r;
  const elements: ElementSyntax[] = [];
  const then: StatementSyntax[] = [];
  const set: Draft = { ...head, key: { kind: 'type', names: [] }, flags: [], then, elements };
  for (w.skipLines(); !w.take('}'); w.skipLines()) {
    if (w.kind === 'end') {
      truncated(r, `${head.kind} ${head.name}`);
      set.incomplete = CUT_OFF;
      break;
    }
    if (beginsBlock(w)) {
      unclosed(r, `${head.kind} ${head.name}`);
      set.incomplete = CUT_OFF;
      break;
    }
    const { start, line } = w;
    const isElements = w.at('elements');
    if (isElements) readBlock(r, elements);
    else readProperty(w, set, then);
    if (w.failure === undefined) continue;
    if (endsHere(w)) {
      truncated(r, `${head.kind} ${head.name}`);
      set.incomplete = CUT_OFF;
      w.failure = undefined;
      break;
    }
    if (isElements) set.incomplete = `its elements from line ${w.line} on are not understood`;
    r.report.tell({
      severity: 'warning',
      code: 'unknown-set-property',
      message: `${head.kind} ${head.name}: ${w.failure}`,
      at: spanAt(r, w.line, w.start, w.end),
      line: lineAt(w, w.start),
      hint: 'This part of the set is left out. If nft printed it, please report the line.',
    });
    w.failure = undefined;
    const end = endOfDamage(w, start);
    w.seek(end, line + w.text.slice(start, end).split('\n').length - 1);
  }
  // The type `time` is of dates too, and those stay.
  const isTime = set.key.kind === 'type' ? set.key.names.map((name) => name === 'time') : timesOf(set.key.of);
  return isTime.includes(true) ? { ...set, elements: elements.map((e) => ({ ...e, key: asSeconds(e.key, isTime) })) } : set;
}

/** Behind what was not understood: the end of its line, or of the block that opens on it. */
function endOfDamage({ text }: Words, from: number): number {
  let depth = 0;
  let i = from;
  for (; i < text.length && !(depth === 0 && text[i] === '\n'); i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth < 0) return i;
  }
  return i;
}

const CUT_OFF = 'its listing is cut off';

/** Whether nothing stands behind this place. */
function endsHere(w: Words): boolean {
  return w.kind === 'end' || w.end >= w.text.length;
}

function readProperty(w: Words, set: Draft, then: StatementSyntax[]): void {
  const { word } = w;
  switch (word) {
    case 'type':
    case 'typeof':
      w.step();
      return readTypes(w, set, word);
    case 'flags':
      w.step();
      set.flags = readWords(w, ',');
      return;
    case 'timeout':
      w.step();
      set.timeout = readSeconds(w);
      return;
    case 'gc-interval':
      w.step();
      set.gcInterval = readSeconds(w);
      return;
    case 'size':
      w.step();
      set.size = readCount(w);
      if (w.at('#')) w.seek(w.endOfLine());
      return;
    case 'policy':
      w.step();
      set.policy = w.next();
      return;
    case 'comment':
      w.step();
      set.comment = w.next();
      return;
    case 'auto-merge':
      w.step();
      set.autoMerge = true;
      return;
    case '#':
      return w.seek(w.endOfLine());
    default:
      while (!w.isDone && w.failure === undefined) then.push(readStatement(w));
      if (w.failure !== undefined) then.pop();
  }
}

function readWords(w: Words, separator: string): string[] {
  const words = [w.next()];
  while (w.take(separator)) words.push(w.next());
  return words;
}

/** `ipv4_addr . inet_service : verdict`, `ip saddr : meta mark` */
function readTypes(w: Words, set: Draft, kind: 'type' | 'typeof'): void {
  set.key = readType(w, kind);
  if (!w.take(':')) return;
  // The values of this map are ranges: they are seen to be.
  w.take('interval');
  set.data = readType(w, NAMES.has(w.word) ? 'type' : kind);
}

/** What has no expression to be the type of. */
const NAMES: ReadonlySet<string> = new Set(['verdict', 'counter', 'quota', 'limit', 'synproxy', 'secmark', 'queue']);

function readType(w: Words, kind: 'type' | 'typeof'): TypeSyntax {
  return kind === 'typeof' ? { kind, of: readConcat(w, 'field') } : { kind, names: readWords(w, '.') };
}

function readBlock(r: Reading, elements: ElementSyntax[]): void {
  const { w, file } = r;
  w.step();
  w.take('=');
  readElements(w, (element, line) => elements.push({ ...element, at: { file, line } }));
}
