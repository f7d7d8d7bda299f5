// The committed captures, as texts.
import { readFileSync, readdirSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../captures');

/** The text of test/captures/PATH. */
export function captured(path: string): string {
  const bytes = readFileSync(join(folder, path));
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

/** Every file below test/captures/PATH, with paths relative to it. */
export function bundleOf(path: string): { path: string; text: string }[] {
  return readdirSync(join(folder, path), { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile())
    .map((f) => join(f.parentPath, f.name).slice(join(folder, path).length + 1))
    .toSorted()
    .map((file) => ({ path: file.replace(/\.gz$/, ''), text: captured(join(path, file)) }));
}

/** What is left of a model without the places and the words it came from. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value, (key, v: unknown) => (key === 'at' || key === 'text' ? undefined : v))) as T;
}

export function sorted<T>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => (JSON.stringify(plain(a)) < JSON.stringify(plain(b)) ? -1 : 1));
}
