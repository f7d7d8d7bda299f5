// Very large captures: a heap that holds them, or a plain word that this machine has too little memory.
import { spawnSync } from 'node:child_process';
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { UsageError } from './terminal.ts';

/** Bytes of heap that one byte of a dump can come to, measured on rules as short as they get. */
const HEAP_PER_BYTE = 22;

/** Thrown where a capture needs a larger heap than this process was started with. */
export class NeedsLargerHeap extends Error {
  override readonly name = 'NeedsLargerHeap';
  readonly megabytes: number;

  constructor(megabytes: number) {
    super(`needs ${megabytes} MB`);
    this.megabytes = megabytes;
  }
}

/** Checks that `bytes` of captures fit; throws UsageError when they cannot fit on this machine at all. */
export function makeRoomFor(path: string, bytes: number): void {
  const need = bytes * HEAP_PER_BYTE;
  if (need < getHeapStatistics().heap_size_limit) return;
  const [gigabytes, has] = [need, totalmem()].map((n) => (n / 1e9).toFixed(1));
  if (need > totalmem() * 0.85)
    throw new UsageError(`${path}: ${Math.round(bytes / 1e6)} MB of captures need about ${gigabytes} GB of memory, and this machine has ${has} GB`);
  throw new NeedsLargerHeap(Math.ceil(need / 1e6));
}

/** Runs this same command again in a process with the heap it needs; returns its exit code. */
export function runAgainWith(error: NeedsLargerHeap): number {
  const run = spawnSync(process.execPath, [`--max-old-space-size=${error.megabytes}`, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
  });
  return run.status ?? 70;
}
