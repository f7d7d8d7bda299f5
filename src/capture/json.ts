// JSON as `ip -j` and its kin print it: one array of objects. The objects are taken out of the text one by one, so each
// keeps its line, and a capture that was cut off gives every object that is whole.
import type * as z from 'zod';
import type { Line, Source } from './source.ts';

/** One object of the array: as parsed, and the text it came from (on the line where it begins). */
export interface Item<T> {
  readonly value: T;
  readonly line: Line;
}

/** Reports whether a text is JSON rather than lines for people. */
export function isJson(text: string): boolean {
  // [root@node1 ~]# is how a terminal begins, [pod/kube-proxy-x/kube-proxy] a log
  return /^\ufeff?\s*(?:\{|\[\s*(?:[[{"\]]|$))/.test(text.slice(0, 4096));
}

/** The objects of a JSON array that fit `schema`; those that do not are findings. */
export function readItems<S extends z.ZodType>(text: string, source: Source, schema: S): Item<z.output<S>>[] {
  const items: Item<z.output<S>>[] = [];
  for (const piece of pieces(text, source)) {
    let raw: unknown;
    try {
      raw = JSON.parse(piece.text);
    } catch {
      source.report('error', 'bad-json', 'this object is not JSON', piece);
      continue;
    }
    if (typeof raw === 'object' && raw !== null && Object.keys(raw).length === 0) continue; // ip prints {} for a device without addresses of the asked family
    const read = schema.safeParse(raw);
    if (read.success) items.push({ value: read.data, line: piece });
    else {
      const issue = read.error.issues[0];
      const where = issue?.path.length ? ` at '${issue.path.join('.')}'` : '';
      source.report('error', 'unexpected-json', `this object is not what ip -j prints${where}: ${issue?.message ?? 'it does not fit'}`, piece);
    }
  }
  return items;
}

function* pieces(text: string, source: Source): Generator<Line> {
  let depth = 0;
  let inString = false;
  let number = 1;
  let start = -1;
  let startLine = 1;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 10) number++;
    if (inString) {
      if (c === 92) i++;
      else if (c === 34) inString = false;
    } else if (c === 34) inString = true;
    else if (c === 123) {
      if (depth++ === 0) [start, startLine] = [i, number];
    } else if (c === 125 && depth > 0 && --depth === 0) {
      yield { text: text.slice(start, i + 1).replace(/\s+/g, ' '), number: startLine };
    }
  }
  if (depth > 0) {
    const line = { text: text.slice(start, start + 1000).replace(/\s+/g, ' '), number: startLine };
    source.report('error', 'truncated', 'the JSON ends in the middle of an object', line, { hint: 'capture the whole output again' });
  } else if (!text.trimEnd().endsWith(']')) {
    source.report('error', 'truncated', 'the JSON array has no end', { text: '', number }, { hint: 'capture the whole output again' });
  }
}
