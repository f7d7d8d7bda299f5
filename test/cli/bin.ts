// The built bin, run as a person runs it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Milliseconds after which it is killed, and its code is null. */
  readonly timeout?: number;
}

/** Runs dist/netwhy.js; paths are relative to the repository. */
export function netwhy(args: readonly string[], options: RunOptions = {}): Run {
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env;
  const done = spawnSync(process.execPath, [join(root, 'dist/netwhy.js'), ...args], {
    cwd: options.cwd ?? root,
    encoding: 'utf8',
    env: { ...env, ...options.env },
    maxBuffer: 256 * 1024 * 1024,
    ...(options.input !== undefined && { input: options.input }),
    ...(options.timeout !== undefined && { timeout: options.timeout }),
  });
  return { code: done.status, out: done.stdout, err: done.stderr };
}
