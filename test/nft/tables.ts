// nft's own words for tables, written briefly: what `nft -f` loads.
import { BASE, BASE6 } from '../probes/claim.ts';
import type { Load } from '../probes/node.ts';

/** BASE and BASE6 in one node. */
export const DUAL: Load = {
  devs: BASE.devs.map((d, i) => ({ ...d, ...(d.addrs && { addrs: [...d.addrs, ...BASE6.devs[i]!.addrs!] }) })),
  ip: [...BASE.ip!, ...BASE6.ip!.map((l) => `-6 ${l}`)],
};

/** A table: `@filter forward -10 drop` before its rules makes a chain one of that type, hook, priority and policy; `things` are sets and maps. */
export function table(name: string, chains: Readonly<Record<string, readonly string[]>>, things: readonly string[] = []): string {
  const blocks = Object.entries(chains).map(([chain, lines]) => block(`chain ${chain}`, lines.map(baseOf)));
  return block(`table ${name}`, [...things, ...blocks]);
}

const BASE_CHAIN = /^@(filter|nat|route) (\w+)((?: device "[^"]*")?) (\S+)(?: (accept|drop))?$/;

function baseOf(line: string): string {
  const m = BASE_CHAIN.exec(line);
  if (!m) return line;
  const [, type, hook, device, priority, policy = 'accept'] = m;
  return `type ${type} hook ${hook}${device} priority ${priority}; policy ${policy};`;
}

function block(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((l) => `${l}\n`).join('')}}\n`;
}
