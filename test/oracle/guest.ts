// A guest kernel for what this machine's lacks: batches of probe.py's messages, answered inside User-Mode Linux.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'vitest';

/** What stands against starting the guest, or undefined when nothing does. */
function guestMissing(): string | undefined {
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

/** One boot of the guest, and its answers to all of the messages. */
export async function askGuest(messages: readonly object[]): Promise<readonly unknown[]> {
  const child = spawn(join(import.meta.dirname, 'uml.sh'), ['python3', '-B', join(import.meta.dirname, 'guest.py')]);
  let out = '';
  let complaint = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  child.stdin.on('error', () => {}); // told by 'close'
  child.stdin.end(messages.map((m) => `${JSON.stringify(m)}\n`).join(''));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const answers = out.split('\n').filter(Boolean);
  if (answers.length !== messages.length)
    throw new Error(`the guest ended with ${String(code)} after ${answers.length} of ${messages.length} answers: ${complaint.trim()}`);
  return answers.map((line, i) => {
    const { answer, error } = JSON.parse(line) as { readonly answer?: unknown; readonly error?: string };
    if (error !== undefined) throw new Error(`the guest could not ${JSON.stringify(messages[i]).slice(0, 800)}: ${error}`);
    return answer;
  });
}
