// Whether this machine's kernel can be asked, and what tests do where it cannot.
import { spawnSync } from 'node:child_process';
import { describe, it } from 'vitest';

const TOOLS = [
  'python3',
  'ip',
  'bridge',
  'nft',
  'ipset',
  'iptables-nft-restore',
  'iptables-legacy-restore',
  'ip6tables-nft-restore',
  'ip6tables-legacy-restore',
  'xtables-legacy-multi',
  'sysctl',
];

let answer: { readonly missing: string | undefined } | undefined;

/** What stands against asking the kernel, or undefined when nothing does. */
export function kernelMissing(): string | undefined {
  answer ??= { missing: look() };
  return answer.missing;
}

function look(): string | undefined {
  if (process.platform !== 'linux') return `it takes Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'it takes root';
  const absent = TOOLS.filter((tool) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', tool]).status !== 0);
  if (absent.length > 0) return `not installed: ${absent.join(', ')}`;
  const probe = spawnSync('unshare', ['--net', 'nft', 'list', 'ruleset'], { encoding: 'utf8' });
  if (probe.status !== 0) return `no network namespace with nftables can be made: ${probe.stderr.trim()}`;
  return undefined;
}

/** Tests that ask the kernel: skipped with the reason where that is impossible, failing with it under NETWHY_KERNEL=required. */
export function describeKernel(claim: string, tests: () => void, missing = kernelMissing()): void {
  if (missing === undefined) describe(claim, tests);
  else if (process.env['NETWHY_KERNEL'] === 'required') {
    it(`${claim}: the kernel can be asked`, () => {
      throw new Error(`NETWHY_KERNEL=required, but ${missing}`);
    });
  } else {
    console.warn(`skipped, the kernel cannot be asked (${missing}): ${claim}`);
    describe.skip(claim, tests);
  }
}
