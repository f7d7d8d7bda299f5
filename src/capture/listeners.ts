// `ss -ltunp`, and `netstat -ltunp`: the sockets of a namespace that packets of new connections find.
import { familyOf, isError, parseAddr, type Addr, type Family, type V4 } from '../net/addr.ts';
import { parsePort, TCP, UDP } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { Listener } from '../model/host.ts';
import { isPrompt, Source, type Line } from './source.ts';

/** What a listing of sockets holds. */
export interface ListenersReading {
  readonly listeners: readonly Listener[];
  /** The protocols of which it lists all sockets: who is not there does not listen. */
  readonly whole: readonly number[];
  readonly findings: readonly Finding[];
}

/** A line of a socket, before its words are understood. */
interface Socket {
  readonly proto: number;
  readonly listens: boolean;
  readonly local: string;
  readonly rest: string;
}

const HEADER = /^(?:Netid\s+)?State\s+Recv-Q|^Proto\s+(?:Recv-Q|RefCnt)|^Active /;
// Sockets of other kinds, which `ss -l` and `netstat -l` list, too. Old versions of ss leave no blank behind the kind.
const OTHER = /^(?:u_(?:str|dgr|seq)|nl|p_raw|p_dgr|v_str|v_dgr|ti_\w+|xdp|raw6?|icmp6?|sctp|dccp|mptcp|udpl\w*|rds|unix|\?\?\?)/;
const SS = /^(?:(tcp|udp)\s+)?([A-Z]+(?:-[A-Z\d]+)*)\s+\d+\s+\d+\s+(\S+)\s+(\S+)(.*)$/;
const NETSTAT = /^(tcp|udp)6?\s+\d+\s+\d+\s+(\S+)\s+(\S+)(?:\s+([A-Z][A-Z_\d]*))?(?:\s+(\S.*))?$/;

/** Reads what `ss -l` or `netstat -l` printed, with or without header, numbers and processes. */
export function readListeners(text: string, file: string): ListenersReading {
  const source = new Source(text, file);
  const listeners: Listener[] = [];
  const seen = new Set<number>();
  const unread = new Set<number>();
  // The column of kinds is there where ss was asked for several; that these are TCP and UDP says the lack of any other.
  let [kinds, others, connected] = [false, false, false];
  // An ss that calls any IPv4 address 0.0.0.0 has `*` for both families and `[::]` for IPv6 alone; to an older one `[::]` is either.
  const isExact = /(?:^|\s)0\.0\.0\.0(?:%\S+)?:/m.test(text);
  for (const line of source.lines()) {
    const said = line.text.trim();
    if (said === '' || isPrompt(line.text)) continue;
    if (/^Netid\s|^(?:tcp|udp)\s+[A-Z]/.test(said)) kinds = true;
    if (HEADER.test(said)) continue;
    if (OTHER.test(said)) {
      others = true;
      continue;
    }
    // A terminal's ss breaks the line before the processes.
    if (said.startsWith('users:((')) {
      const last = listeners.pop();
      const process = processOf(said);
      if (last) listeners.push({ ...last, ...(process !== undefined && { process }) });
      continue;
    }
    const socket = readSocket(said);
    if (!socket && /^\s/.test(line.text)) continue; // -i and -m tell more of the socket above
    if (!socket) {
      source.report('error', 'unreadable-listener', 'this is no line of a socket as ss or netstat prints it', line);
      for (const proto of protocolsOf(said)) unread.add(proto);
      continue;
    }
    if (!socket.listens) {
      if (socket.proto === TCP) connected = true;
      continue;
    }
    seen.add(socket.proto);
    const listener = readListener(socket, source, line, isExact);
    if (listener) listeners.push(listener);
    else unread.add(socket.proto);
  }
  // Without -l ss lists connections, and a connection says nothing about who listens.
  if (kinds && !others && (!connected || seen.has(TCP))) for (const proto of [TCP, UDP]) seen.add(proto);
  return { listeners, whole: [...seen].filter((p) => !unread.has(p)).toSorted((a, b) => a - b), findings: source.findings };
}

/** Of which protocol an unreadable line may be. */
function protocolsOf(said: string): readonly number[] {
  return said.startsWith('tcp') ? [TCP] : said.startsWith('udp') ? [UDP] : [TCP, UDP];
}

function readSocket(said: string): Socket | undefined {
  const ss = SS.exec(said);
  if (ss) {
    const [, kind, state, local, , rest] = ss;
    // without the column of kinds the state tells: a socket of UDP does not listen, it is merely unconnected
    const proto = kind === undefined ? (state === 'UNCONN' ? UDP : TCP) : kind === 'udp' ? UDP : TCP;
    return { proto, listens: state === (proto === UDP ? 'UNCONN' : 'LISTEN'), local: local!, rest: rest! };
  }
  const [whole, kind, local, peer, state, rest] = NETSTAT.exec(said) ?? [];
  if (whole === undefined) return undefined;
  const proto = kind === 'udp' ? UDP : TCP;
  const listens = proto === TCP ? state === 'LISTEN' : state === undefined && peer!.endsWith(':*');
  return { proto, listens, local: local!, rest: rest ?? '' };
}

function readListener(socket: Socket, source: Source, line: Line, isExact: boolean): Listener | undefined {
  const colon = socket.local.lastIndexOf(':');
  const port = parsePort(socket.local.slice(colon + 1));
  const host = readHost(socket.local.slice(0, Math.max(colon, 0)), isExact);
  if (colon < 0 || port === undefined || host === undefined) {
    const message = `'${socket.local}' is no address and port`;
    source.report('error', 'unreadable-listener', message, line, { part: socket.local, hint: 'capture ss -ltunp: -n shows numbers' });
    return undefined;
  }
  const process = processOf(socket.rest);
  return { proto: socket.proto, ...host, port, ...(process !== undefined && { process }), at: source.span(line) };
}

/** The address in front of the port; that a socket is bound to a device, too (`%lo`), is left out: it would take fewer packets. */
function readHost(text: string, isExact: boolean): { addr?: Addr; family?: Family } | undefined {
  const bare = text.replace(/%[^\]]*$/, '').replace(/^\[(.*?)(?:%.*)?\]$/, '$1');
  if (bare === '*' || bare === '') return bare === '' ? undefined : {};
  const addr = parseAddr(bare);
  if (isError(addr)) return undefined;
  if (typeof addr === 'number') return addr === 0 ? { family: 4 } : { addr, family: 4 };
  if (addr.every((word) => word === 0)) return isExact && text.startsWith('[') ? { family: 6 } : {};
  // ::ffff:10.0.0.1: a socket of IPv6 that takes IPv4 alone
  if (addr[0] === 0 && addr[1] === 0 && addr[2] === 0xffff) return { addr: addr[3] as V4, family: 4 };
  return { addr, family: familyOf(addr) };
}

/** `users:(("sshd",pid=7,fd=3))` of ss, `7/sshd` of netstat. */
function processOf(rest: string): string | undefined {
  return /users:\(\("([^"]+)"/.exec(rest)?.[1] ?? /^\d+\/([^\s:]+)/.exec(rest.trim())?.[1];
}
