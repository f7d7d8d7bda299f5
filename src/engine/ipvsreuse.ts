// Whether a packet stays with the connection that IPVS already holds: what a client meets that uses a source port again, and what
// happens to the clients of a server that is gone. It changed from kernel to kernel. ip_vs_in_hook(), net/netfilter/ipvs/ip_vs_core.c
import { formatEndpoint } from '../net/addr.ts';
import { SCTP, TCP } from '../net/proto.ts';
import type { Packet } from '../model/packet.ts';
import type { Meeting } from './ipvs.ts';
import type { Balanced } from './ipvstable.ts';
import { runsSince } from './release.ts';
import { place } from './routing.ts';
import { setting } from './sysctl.ts';

/** It stays with its server; or a new one is picked; or it is dropped, which `why` tells whole, `brief` in a few words, and `cure` ends. */
export type Fate =
  | { readonly do: 'keep' | 'anew'; readonly why: string }
  | { readonly do: 'drop'; readonly brief: string; readonly why: string; readonly cure: string };

const SYN = 2;
/** SCTP chunk type. */
const INIT = 1;

/** Reports what becomes of a packet of a known connection. */
export function reuse(m: Meeting, known: Balanced): Fate {
  const { ns, packet } = m;
  const name = connectionName(known);
  if (!known.at) return { do: 'keep', why: 'its connection began with an earlier packet' };
  const given = startsConnection(packet) ? givenUp(m, known) : undefined;
  if (given !== undefined) {
    m.table.expire(known);
    const again = `the SYN uses the port of ${name} again: ${given}`;
    if (!isHeld(m, known)) return { do: 'anew', why: `${again}, so it is scheduled anew` };
    const keeps = known.real !== undefined && known.real.weight > 0;
    return {
      do: 'drop',
      brief: `dropped, the port is in use: ${given}`,
      why: `${again}, so IPVS gives the entry up, but conntrack still holds it: this SYN is dropped, and the client's next try, a second later, gets a new server${older(m, 5, 9)}`,
      cure: isOld(m, 5, 9)
        ? `run Linux 5.9 or later on ${place(ns)}${keeps ? ', or sysctl -w net.ipv4.vs.conn_reuse_mode=0 there: then the client keeps its old server' : ''}`
        : `let it be tried again; conntrack -D -s ${formatEndpoint(known.client.addr, undefined)} --sport ${known.client.port} on ${place(ns)} takes the old connection away`,
    };
  }
  if (known.real || known.method === 'bypass')
    return {
      do: 'keep',
      why: startsConnection(packet) ? `the SYN uses the port of ${name} again, and stays with its server` : `it belongs to ${name}`,
    };
  return ofLostServer(m, known, name);
}

/** Why a SYN is a reason to give the entry up; nothing where it is not. */
function givenUp(m: Meeting, known: Balanced): string | undefined {
  const { ns, router } = m;
  const nodest = given(m, EXPIRE_NODEST, 0);
  const hasMode = hasReuseMode(m);
  const mode = hasMode ? given(m, 'net.ipv4.vs.conn_reuse_mode', 1) : 0;
  // since 5.16 a server without weight loses its connections whatever the mode is; before 4.1 there was none
  if (nodest !== 0 && known.real?.weight === 0 && (!hasMode || mode !== 0 || runsSince(ns, 5, 16, router)))
    return `its server has weight 0 and ${EXPIRE_NODEST} is ${nodest}`;
  return mode !== 0 && expectsAnother(known, mode) ? `the entry is ${known.state} and net.ipv4.vs.conn_reuse_mode is ${mode}` : undefined;
}

/** IP_VS_DEST_F_AVAILABLE: the server, or the whole service, was taken out of the table. */
function ofLostServer(m: Meeting, known: Balanced, name: string): Fate {
  const { ns, router } = m;
  const lost = `it belongs to ${name}, whose server is no longer in the table`;
  const left = known.expires === undefined ? '' : ` (${known.expires} s from the capture)`;
  const brief = 'dropped: its server is no longer in the table';
  if (given(m, EXPIRE_NODEST, 0) === 0)
    return {
      do: 'drop',
      brief,
      why: `${lost}: IPVS drops it silently until the entry expires${left}`,
      cure: `try from another source port, or wait until the entry has expired${left}; sysctl -w ${EXPIRE_NODEST}=1 on ${place(ns)} makes IPVS give up entries of servers that are gone`,
    };
  m.table.expire(known);
  if (!runsSince(ns, 5, 9, router))
    return {
      do: 'drop',
      brief,
      why: `${lost}: IPVS drops it and gives the entry up; what the client sends next gets a new server${older(m, 5, 9)}`,
      cure: `let it be tried again; from Linux 5.9 on such entries go with their server`,
    };
  const gone = `${lost}, and ${EXPIRE_NODEST} is 1`;
  if (!isHeld(m, known)) return { do: 'anew', why: `${gone}: it is scheduled anew` };
  return {
    do: 'drop',
    brief,
    why: `${gone}: conntrack still holds the connection, so the packet is dropped; the next one gets a new server`,
    cure: `let it be tried again`,
  };
}

/** A setting that decides about an old entry; where it was not captured the answer says so. */
function given({ ns, choices }: Meeting, key: string, byDefault: number): number {
  const { value, at } = setting(ns, key, byDefault);
  if (!at) choices.assume(`${key} is ${byDefault}, the kernel's default: it was not captured`);
  return value;
}

const EXPIRE_NODEST = 'net.ipv4.vs.expire_nodest_conn';

/** Says which kernel it is, where a later one behaves otherwise. */
function older(m: Meeting, major: number, minor: number): string {
  return isOld(m, major, minor) ? ` (${m.ns.kernel === undefined ? '' : `Linux ${m.ns.kernel}; `}from ${major}.${minor} on it gets one at once)` : '';
}

function isOld({ ns, router }: Meeting, major: number, minor: number): boolean {
  return !runsSince(ns, major, minor, router);
}

/** is_new_conn(): only TCP and SCTP show that a connection begins. */
function startsConnection(p: Packet): boolean {
  if (p.proto === TCP) return ((p.flags ?? 0) & SYN) !== 0;
  return p.proto === SCTP && chunkOf(p) === INIT;
}

/** The first chunk of an SCTP packet; one without payload is taken to begin an association. */
export function chunkOf(p: Packet): number {
  return p.payload?.[0] ?? INIT;
}

/** is_new_conn_expected() */
function expectsAnother(c: Balanced, mode: number): boolean {
  if (c.controlled) return false;
  if (c.proto === SCTP) return c.state === 'CLOSED';
  if (c.proto !== TCP) return false;
  const oneSided = c.method !== undefined && c.method !== 'masq';
  return c.state === 'TIME_WAIT' || c.state === 'CLOSE' || ((mode & 2) !== 0 && c.state === 'FIN_WAIT' && oneSided);
}

/** conn_reuse_mode came with Linux 4.1, and Red Hat took it back to 3.10: where settings were captured, they tell. */
function hasReuseMode({ ns, router }: Meeting): boolean {
  if (ns.sysctls['net.ipv4.vs.conn_reuse_mode']) return true;
  const settings = Object.keys(ns.sysctls).some((key) => key.startsWith('net.ipv4.vs.'));
  return !settings && (runsSince(ns, 4, 1, router) || /^3\.10\.0-(?:9[5-9]\d|1\d{3})\..*el7/.test(ns.kernel ?? ''));
}

/** ip_vs_conn_uses_old_conntrack(), since 5.9; ip_vs_conn_uses_conntrack() before: then any entry, also a new one. */
function isHeld(m: Meeting, c: Balanced): boolean {
  const { ns, connection, router, choices } = m;
  if (!connection || !('entry' in connection) || !hasReuseMode(m)) return false;
  if (!ns.captured.conntrack && !connection.entry.confirmed)
    choices.assume(`conntrack of ${place(ns)} holds nothing of the old connection (conntrack -L was not captured)`);
  return runsSince(ns, 5, 9, router) ? connection.entry.confirmed : c.tracked;
}

function connectionName(c: Balanced): string {
  const end = (e: Balanced['client']): string => formatEndpoint(e.addr, e.port);
  return `the connection ${end(c.client)} -> ${end(c.virtual)} -> ${end(c.server)} (${c.state ?? 'new'})`;
}
