// `ip neigh`: the ARP and neighbour discovery tables, from text or from `ip -j`.
import * as z from 'zod';
import { isError, parseAddr } from '../net/addr.ts';
import type { Finding } from '../model/finding.ts';
import type { Neighbour, NeighbourState } from '../model/host.ts';
import { isJson, readItems } from './json.ts';
import { isPrompt, Source, type Line } from './source.ts';

const STATES: ReadonlySet<string> = new Set<NeighbourState>([
  'PERMANENT',
  'NOARP',
  'REACHABLE',
  'STALE',
  'DELAY',
  'PROBE',
  'FAILED',
  'INCOMPLETE',
  'NONE',
]);
const isState = (word: string): word is NeighbourState => STATES.has(word);

/** Reads what `ip neigh` or `ip -j neigh` printed. */
export function readNeighbours(text: string, file: string): { readonly neighbours: Neighbour[]; readonly findings: Finding[] } {
  const source = new Source(text, file);
  const neighbours: Neighbour[] = [];
  const lines = isJson(text) ? readItems(text, source, Json).map(({ value, line }) => lineOf(value, line)) : source.lines();
  for (const line of lines) {
    if (line.text.trim() === '' || isPrompt(line.text)) continue;
    const words = line.text.trim().split(/\s+/);
    const addr = parseAddr(words[0]!);
    if (isError(addr)) {
      source.report('error', 'unreadable-neighbour', addr.error, line, { part: words[0]! });
      continue;
    }
    const value = (name: string): string | undefined => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
    const device = value('dev');
    if (device === undefined) {
      source.report('error', 'unreadable-neighbour', 'a neighbour without a device', line, { hint: 'capture ip neigh, not ip neigh show dev NAME' });
      continue;
    }
    const mac = value('lladdr')?.toLowerCase();
    const state = words.find(isState) ?? 'NONE';
    neighbours.push({
      addr,
      device,
      ...(mac !== undefined && /^[0-9a-f]{2}(:[0-9a-f]{2})+$/.test(mac) ? { mac } : {}),
      state,
      ...(words.includes('proxy') ? { proxy: true } : {}),
      at: source.span(line),
    });
  }
  return { neighbours, findings: source.findings };
}

const Json = z.looseObject({
  dst: z.string(),
  dev: z.string().optional(),
  lladdr: z.string().optional(),
  proxy: z.null().optional(),
  state: z.array(z.string()).optional(),
});

function lineOf(n: z.output<typeof Json>, line: Line): Line {
  const words = [n.dst, n.dev && `dev ${n.dev}`, n.lladdr && `lladdr ${n.lladdr}`, n.proxy === null && 'proxy', ...(n.state ?? [])];
  return { text: words.filter(Boolean).join(' '), number: line.number };
}
