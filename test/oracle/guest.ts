// A guest kernel for what this machine's lacks: probe.py's node inside User-Mode Linux.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { nodeOf, type Node } from '../probes/node.ts';

/** What stands against starting the guest, or undefined when nothing does. */
export function guestMissing(): string | undefined {
  if (process.platform !== 'linux') return `it takes Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'it takes root';
  const absent = ['linux.uml', 'modprobe', 'python3', 'ipset', 'ipvsadm', 'iptables-legacy-restore'].filter(
    (tool) => spawnSync('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin; command -v "$1"', 'sh', tool]).status !== 0,
  );
  return absent.length > 0 ? `not installed: ${absent.join(', ')} (Debian: user-mode-linux, kmod, ipset, ipvsadm, iptables)` : undefined;
}

/** Tests that ask the guest's kernel: skipped with the reason where it cannot run, failing with it under NETWHY_KERNEL=required. */
export function describeGuest(claim: string, tests: () => void): void {
  const missing = guestMissing();
  if (missing === undefined) describe(claim, tests);
  else if (process.env['NETWHY_KERNEL'] === 'required') {
    it(`${claim}: the guest kernel can be asked`, () => {
      throw new Error(`NETWHY_KERNEL=required, but ${missing}`);
    });
  } else {
    console.warn(`skipped, the guest kernel cannot be asked (${missing}): ${claim}`);
    describe.skip(claim, tests);
  }
}

/** Boots a guest with a node in it. Messages are files of a folder that both machines see. */
export function openGuest(): Node {
  const box = mkdtempSync(join(tmpdir(), 'netwhy-guest-'));
  const command = ['python3', '-B', join(import.meta.dirname, 'guest.py'), box];
  const child = spawn(join(import.meta.dirname, 'uml.sh'), command, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, UML_LIMIT: '86400' },
  });
  const waiting = new Map<number, { resolve: (line: string) => void; reject: (problem: Error) => void }>();
  let asked = 0;
  let complaint = '';
  let ended: string | undefined;
  const keep = (data: Buffer): unknown => (complaint += data.toString());
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const look = (n: number): void => {
    const path = join(box, `answer.${n}`);
    const one = waiting.get(n);
    if (!one || !existsSync(path)) return;
    waiting.delete(n);
    const text = readFileSync(path, 'utf8');
    unlinkSync(path);
    unlinkSync(join(box, `ask.${n}`));
    one.resolve(text);
  };
  const watcher = watch(box, (_, name) => {
    const n = /^answer\.(\d+)$/.exec(name ?? '');
    if (n) look(Number(n[1]));
  });
  const gone = new Promise<void>((resolve) => {
    const end = (problem: string): void => {
      ended = `the guest ${problem}: ${complaint.trim().slice(-2000)}`;
      for (const w of waiting.values()) w.reject(new Error(ended));
      watcher.close();
      rmSync(box, { recursive: true, force: true });
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code) => end(`ended with ${String(code)}`));
  });
  const call = (message: object): Promise<string> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) {
        reject(new Error(ended));
        return;
      }
      const n = ++asked;
      waiting.set(n, { resolve, reject });
      writeFileSync(join(box, `ask.${n}.part`), JSON.stringify(message));
      renameSync(join(box, `ask.${n}.part`), join(box, `ask.${n}`));
    });
  return nodeOf(call, async () => {
    if (ended === undefined) call({ op: 'quit' }).catch(() => {});
    await gone;
  });
}
