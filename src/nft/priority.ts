// The names of priorities: std_prios[] and bridge_std_prios[], src/rule.c of nftables; enum nf_ip_hook_priorities and
// nf_br_hook_priorities of the kernel.
import type { NftFamily } from './syntax.ts';

const IP: ReadonlyMap<string, number> = new Map([
  ['raw', -300],
  ['mangle', -150],
  ['dstnat', -100],
  ['filter', 0],
  ['security', 50],
  ['srcnat', 100],
]);

const BRIDGE: ReadonlyMap<string, number> = new Map([
  ['dstnat', -300],
  ['filter', -200],
  ['out', 100],
  ['srcnat', 300],
]);

/** What a name is worth in a family. */
export function hookPriority(name: string, family: NftFamily): number | undefined {
  return (family === 'bridge' ? BRIDGE : IP).get(name);
}
