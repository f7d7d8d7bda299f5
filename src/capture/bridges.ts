// `bridge fdb` and `bridge -d link`: who is behind which port of a bridge or tunnel, and what each port does.
import * as z from 'zod';
import { isError, parseAddr } from '../net/addr.ts';
import type { Finding } from '../model/finding.ts';
import type { BridgePort, FdbEntry } from '../model/host.ts';
import { isJson, readItems } from './json.ts';
import { bridgePort, detailOf, detailOfJson } from './linkdetail.ts';
import { isPrompt, Source, type Line } from './source.ts';

/** What a listing of bridges holds: `bridge fdb` gives entries, `bridge link` gives ports. */
export interface BridgeListing {
  readonly fdb: FdbEntry[];
  readonly ports: { readonly device: string; readonly bridge: string; readonly port: BridgePort }[];
  readonly findings: Finding[];
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** Reads what `bridge fdb` or `bridge link` printed. */
export function readBridges(text: string, file: string): BridgeListing {
  const source = new Source(text, file);
  const out: BridgeListing = { fdb: [], ports: [], findings: source.findings };
  if (isJson(text)) fromJson(text, source, out);
  else fromText(source, out);
  return out;
}

function fromText(source: Source, out: BridgeListing): void {
  let head: { words: string[]; line: Line } | undefined;
  const close = (): void => {
    if (head) addPort(head.words, head.line, source, out);
    head = undefined;
  };
  for (const line of source.lines()) {
    const words = line.text.trim().split(/\s+/);
    if (words[0] === '' || isPrompt(line.text)) continue;
    if (MAC.test(words[0]!)) addEntry(words, line, source, out);
    else if (/^\d+:$/.test(words[0]!)) {
      close();
      head = { words, line };
    } else if (head && /^\s/.test(line.text)) head.words.push(...words);
    else source.report('error', 'unreadable-bridge', 'not a line that bridge fdb or bridge link prints', line);
  }
  close();
}

/** `MAC dev DEVICE [vlan N] [dst ADDR [port N] [vni N]] [self|master BRIDGE] [permanent|static|...]` */
function addEntry(words: readonly string[], line: Line, source: Source, out: BridgeListing): void {
  const value = detailOf(words);
  const device = value('dev');
  if (!device) return source.report('error', 'unreadable-bridge', 'an entry without a device', line);
  const dst = value('dst');
  const remote = dst === undefined ? undefined : parseAddr(dst);
  if (isError(remote)) return source.report('error', 'unreadable-bridge', remote.error, line, { part: dst! });
  const [bridge, port, id, vlan] = [value('master'), value('port'), value('vni'), value('vlan')];
  out.fdb.push({
    mac: words[0]!.toLowerCase(),
    device,
    ...(bridge && { bridge }),
    ...(remote !== undefined && { remote }),
    ...(port && { port: Number(port) }),
    ...(id && { id: Number(id) }),
    ...(vlan && { vlan: Number(vlan) }),
    permanent: words.includes('permanent') || words.includes('local'),
    at: source.span(line),
  });
}

function addPort(words: readonly string[], line: Line, source: Source, out: BridgeListing): void {
  const value = detailOf(words);
  const device = words[1]?.replace(/:$/, '').replace(/@.*/, '');
  const bridge = value('master');
  if (!device || !bridge) return source.report('error', 'unreadable-bridge', 'a port without its bridge', line);
  out.ports.push({ device, bridge, port: bridgePort(value, source.span(line)) });
}

const Json = z.looseObject({
  mac: z.string().optional(),
  ifname: z.string(),
  master: z.string().optional(),
  dst: z.string().optional(),
  port: z.number().optional(),
  vni: z.number().optional(),
  vlan: z.number().optional(),
  state: z.string().optional(),
});

function fromJson(text: string, source: Source, out: BridgeListing): void {
  for (const { value: v, line } of readItems(text, source, Json)) {
    if (v.mac === undefined) {
      if (v.master !== undefined) out.ports.push({ device: v.ifname, bridge: v.master, port: bridgePort(detailOfJson(v), source.span(line)) });
      continue;
    }
    const words = [v.mac, 'dev', v.ifname];
    for (const key of ['dst', 'port', 'vni', 'vlan', 'master'] as const) if (v[key] !== undefined) words.push(key, String(v[key]));
    if (v.state !== undefined) words.push(v.state);
    addEntry(words, line, source, out);
  }
}
