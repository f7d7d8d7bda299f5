// `conntrack -L` (also -o extended) and /proc/net/nf_conntrack.
import { isError, parseAddr, type Addr } from '../net/addr.ts';
import { ICMP, ICMPV6, parseProtocol } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { ConntrackEntry } from '../model/host.ts';
import type { Tuple } from '../model/packet.ts';
import { CT_STATUS } from '../model/ruleset.ts';
import { isPrompt, Source, type Line } from './source.ts';

interface Draft {
  src?: Addr;
  dst?: Addr;
  sport?: number;
  dport?: number;
  type?: number;
  code?: number;
  id?: number;
}

/** Reads connections. In both tuples of an ICMP entry `sport` is the identifier and `dport` is type * 256 + code of that direction's message. */
export function readConntrack(text: string, file: string): { readonly entries: ConntrackEntry[]; readonly findings: Finding[] } {
  const source = new Source(text, file);
  const entries: ConntrackEntry[] = [];
  let announced: { count: number; line: Line } | undefined; // first or last: it comes from stderr
  for (const line of source.lines()) {
    const t = line.text;
    if (t.trim() === '' || isPrompt(t)) continue;
    const total = /^conntrack v\S+.*: (\d+) flow entries/.exec(t);
    if (total) {
      announced = { count: Number(total[1]), line };
      continue;
    }
    const entry = readEntry(t);
    if (typeof entry === 'string')
      source.report('error', 'unreadable-connection', entry, line, { hint: 'capture conntrack -L as it is printed, not -o xml or -E' });
    else entries.push({ ...entry, text: t.trim().replace(/\s+/g, ' '), at: source.span(line) });
  }
  if (announced && announced.count > entries.length) {
    source.report('warning', 'truncated', `conntrack listed ${announced.count} entries; ${entries.length} were read`, announced.line);
  }
  return { entries, findings: source.findings };
}

function readEntry(text: string): Omit<ConntrackEntry, 'text' | 'at'> | string {
  const words = text.trim().split(/\s+/);
  let i = words[0] === 'ipv4' || words[0] === 'ipv6' ? 2 : 0; // -o extended and /proc: the layer-3 protocol first
  const name = words[i] ?? '';
  const proto = /^\d+$/.test(words[i + 1] ?? '') ? parseProtocol(words[i + 1]!) : undefined;
  if (proto === undefined) return `'${name}' is not followed by a protocol's number`;
  i += 2;
  const timeout = /^\d+$/.test(words[i] ?? '') ? Number(words[i++]) : undefined;
  const state = /^[A-Z][A-Z0-9_]+$/.test(words[i] ?? '') ? words[i++] : undefined;
  const tuples: [Draft, Draft] = [{}, {}];
  let side: 0 | 1 = 0;
  let status: number = CT_STATUS.SEEN_REPLY;
  let mark = 0;
  let zone = 0;
  let attributes = false;
  for (; i < words.length; i++) {
    const word = words[i]!;
    if (word === '[UNREPLIED]') status &= ~CT_STATUS.SEEN_REPLY;
    else if (word === '[ASSURED]') status |= CT_STATUS.ASSURED;
    const eq = word.indexOf('=');
    if (eq < 0) continue;
    const key = word.slice(0, eq);
    const value = word.slice(eq + 1);
    if (key === 'src') {
      if (tuples[0].src !== undefined) side = 1;
      if (tuples[side].src !== undefined) return 'more than two directions';
    }
    const tuple = tuples[side];
    switch (key) {
      case 'src':
      case 'dst': {
        const addr = parseAddr(value);
        if (isError(addr)) return addr.error;
        tuple[key] = addr;
        break;
      }
      case 'sport':
      case 'dport':
      case 'type':
      case 'code':
      case 'id':
        if (key === 'id' && attributes) break; // -o id: the entry's own number stands last
        if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) return `'${word}' is not a number up to 65535`;
        tuple[key] = Number(value);
        break;
      case 'srckey':
      case 'dstkey': {
        const n = Number(value); // GRE call identifiers
        if (!Number.isInteger(n)) return `'${word}' is not a number`;
        tuple[key === 'srckey' ? 'sport' : 'dport'] = n;
        break;
      }
      case 'mark':
      case 'zone':
      case 'use':
        attributes = true;
        if (!/^\d{1,10}$/.test(value)) return `'${word}' is not a number`;
        if (key === 'mark') mark = Number(value);
        else if (key === 'zone') zone = Number(value);
        break;
      default: // words of other kernels and options
        break;
    }
  }
  const orig = build(tuples[0], proto);
  const reply = build(tuples[1], proto);
  if (!orig || !reply) return `the ${orig ? 'reply' : 'original'} direction is not whole`;
  return { orig, reply, ...(state === undefined ? {} : { state }), status, mark, zone, ...(timeout === undefined ? {} : { timeout }) };
}

function build(d: Draft, proto: number): Tuple | undefined {
  const { src, dst } = d;
  if (src === undefined || dst === undefined || typeof src !== typeof dst) return undefined;
  if (proto === ICMP || proto === ICMPV6) {
    if (d.type === undefined || d.code === undefined) return undefined;
    return { src, dst, proto, sport: d.id ?? 0, dport: d.type * 256 + d.code };
  }
  return { src, dst, proto, sport: d.sport ?? 0, dport: d.dport ?? 0 };
}
