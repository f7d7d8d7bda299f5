// IPVS connection entries, one a line: `ipvsadm -Lc`, and /proc/net/ip_vs_conn and ip_vs_conn_sync in hexadecimal.
import { familyOf } from '../net/addr.ts';
import { parseProtocol } from '../net/proto.ts';
import type { IpvsConnection, IpvsEnd } from '../model/ipvs.ts';
import type { Line, Source } from './source.ts';
import { isComplaint, readEnd, readHexAddr, type Complaint } from './ipvslisting.ts';

const HINT = 'capture all of `ipvsadm -Lnc`';

/** Reports whether a line is the head of such a listing. */
export function isConnectionHead(text: string): boolean {
  return /^IPVS connection entries|^pro expire state |^Pro FromIP /.test(text);
}

/** Reports whether a line looks like a connection entry: no head is needed to tell. */
export function isConnectionLine(text: string): boolean {
  return /^[A-Z][A-Z0-9_]+ +(?:\d+:\d\d +|[0-9A-F]{8} [0-9A-F]{1,4} |(?:[0-9a-f]{4}:){7}[0-9a-f]{4} [0-9A-F]{1,4} )/.test(text);
}

/** Reads one entry; what is wrong with it is reported. */
export function readConnectionLine(line: Line, source: Source): IpvsConnection | undefined {
  const words = line.text.trim().split(/\s+/);
  const read = /^\d+:\d\d$/.test(words[1] ?? '') ? fromIpvsadm(words) : fromProc(words);
  if (isComplaint(read)) {
    source.report('error', read.code, read.error, line, { part: read.part, hint: read.hint ?? HINT });
    return undefined;
  }
  const proto = protocolOf(words[0]!);
  if (proto === undefined) {
    source.report('error', 'unknown-protocol', `'${words[0]}' is not a protocol that is known`, line, { part: words[0]! });
    return undefined;
  }
  return { family: familyOf(read.client.addr), proto, ...read, text: words.join(' '), at: source.span(line) };
}

/** ip_vs_proto_name(), net/netfilter/ipvs/ip_vs_proto.c */
function protocolOf(name: string): number | undefined {
  return parseProtocol(/^IP_(\d+)$/.exec(name)?.[1] ?? name);
}

type Entry = Pick<IpvsConnection, 'client' | 'virtual' | 'server' | 'state' | 'template' | 'expires'>;

const TRUNCATED: Complaint = { code: 'truncated-connection', error: 'the entry is cut off', part: '' };

// TCP 14:59  ESTABLISHED 10.0.0.5:40000  10.96.0.1:443  10.1.0.1:6443, and with --persistent-conn the engine and its data
function fromIpvsadm(words: readonly string[]): Entry | Complaint {
  const [, expire = '', state = '', ...rest] = words;
  if (rest.length < 3) return TRUNCATED;
  const ends: IpvsEnd[] = [];
  for (const word of rest.slice(0, 3)) {
    const end = readEnd(word);
    if (isComplaint(end)) return end;
    if (end.port === undefined) return TRUNCATED;
    ends.push({ addr: end.addr, port: end.port });
  }
  const [minutes, seconds] = expire.split(':');
  return entryOf(ends, state, Number(minutes) * 60 + Number(seconds));
}

// TCP 0A000005 9C40 0A600001 01BB 0A010001 192B ESTABLISHED 899, in ip_vs_conn_sync with LOCAL or SYNC before the seconds
function fromProc(words: readonly string[]): Entry | Complaint {
  const ends: IpvsEnd[] = [];
  for (let i = 1; i < 7; i += 2) {
    const [host, service] = [words[i], words[i + 1]];
    if (host === undefined || service === undefined) return TRUNCATED;
    const addr = readHexAddr(host);
    if (addr === undefined) return { code: 'bad-address', error: `'${host}' is not an address in hexadecimal`, part: host };
    if (!/^[0-9A-F]{4}$/.test(service)) return { code: 'bad-address', error: `'${service}' is not a port in hexadecimal`, part: service };
    ends.push({ addr, port: Number.parseInt(service, 16) });
  }
  const [state, origin, after] = words.slice(7);
  const expires = origin === 'LOCAL' || origin === 'SYNC' ? after : origin;
  return state === undefined || !/^\d+$/.test(expires ?? '') ? TRUNCATED : entryOf(ends, state, Number(expires));
}

function entryOf(ends: readonly IpvsEnd[], state: string, expires: number): Entry {
  const [client, virtual, server] = ends as [IpvsEnd, IpvsEnd, IpvsEnd];
  return { client, virtual, server, state, template: isTemplate(client, state), expires };
}

// ip_vs_sched_persist() gives a template port 0; ip_vs_ftp waits for a connection of any port too, but in LISTEN
function isTemplate(client: IpvsEnd, state: string): boolean {
  return client.port === 0 && /^(?:NONE|ASSURED|UNKNOWN)$/.test(state);
}
