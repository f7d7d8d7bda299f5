// One listing of IPVS: what it shows, how it writes addresses, and how it is sorted. Each form shows only a part, so every field
// but the names may be absent; ipvs.ts puts the parts together.
import { isError, parseAddr, parseV6, type Addr, type Family } from '../net/addr.ts';
import { parsePort } from '../net/proto.ts';
import type { ForwardingMethod, ServerTunnel } from '../model/ipvs.ts';
import type { Line, Source } from './source.ts';

/**
 * rules: `ipvsadm -S`; list: `ipvsadm -L`; tunnels, thresholds, persistent, counters: `-L` with --tun-info, --thresholds,
 * --persistent-conn, and --stats or --rate; proc: /proc/net/ip_vs.
 */
export type Form = 'rules' | 'list' | 'tunnels' | 'thresholds' | 'persistent' | 'counters' | 'proc';

/** A real server as one listing shows it. */
export interface ListedServer {
  readonly addr: Addr;
  readonly port: number;
  forwarding?: ForwardingMethod;
  tunnel?: ServerTunnel;
  weight?: number;
  upper?: number;
  lower?: number;
  active?: number;
  inactive?: number;
  readonly line: Line;
}

/** What names a virtual server. */
export interface ServiceName {
  readonly proto?: number;
  readonly addr?: Addr;
  readonly port?: number;
  readonly mark?: number;
  /** Absent for a firewall mark of /proc/net/ip_vs, which does not show it. */
  readonly family?: Family;
}

/** A virtual server as one listing shows it. */
export interface ListedService extends ServiceName {
  family?: Family;
  scheduler?: string;
  schedulerFlags?: readonly (1 | 2 | 3)[];
  onePacket?: boolean;
  isPersistent?: boolean;
  seconds?: number;
  length?: number;
  /** '' for none. */
  engine?: string;
  readonly servers: ListedServer[];
  /** A server of it could not be read. */
  isDamaged?: boolean;
  readonly line: Line;
}

/** The virtual servers of one listing, in its order. */
export interface Listing {
  form: Form;
  /** It begins as a listing of all virtual servers does, and nothing of it was unreadable. */
  isWhole: boolean;
  readonly services: ListedService[];
  readonly source: Source;
}

/** Why a word is not what it should be, in the terms of Source.report(). */
export interface Complaint {
  readonly code: string;
  readonly error: string;
  readonly part: string;
  readonly hint?: string;
}

/** Reports whether reading gave a reason instead of a value. */
export function isComplaint(x: object): x is Complaint {
  return 'error' in x;
}

/** `10.1.0.1:443`, `[2001:db8::1]:https`; without a port where ipvsadm was not given one. */
export function readEnd(text: string): { readonly addr: Addr; readonly port?: number } | Complaint {
  const bracketed = text.startsWith('[');
  const m = bracketed ? /^\[([^\]]*)\](?::(.*))?$/.exec(text) : /^([^:]*)(?::([^:]*))?$/.exec(text);
  const hint = 'IPv6 addresses stand in brackets: [2001:db8::1]:443';
  if (!m) return { code: 'bad-address', error: `'${text}' is not an address and a port`, part: text, hint };
  const [, host = '', service] = m;
  const addr = bracketed ? parseV6(host) : parseAddr(host);
  if (isError(addr)) {
    if (!/[a-z]/i.test(host) || (bracketed && host.includes(':'))) return { code: 'bad-address', error: addr.error, part: text };
    return { code: 'host-name', error: `'${host}' is a name, not an address`, part: text, hint: 'capture with -n' };
  }
  if (service === undefined) return { addr };
  const port = parsePort(service);
  return port === undefined
    ? { code: 'unknown-port', error: `'${service}' is not a port that is known`, part: text, hint: 'capture with -n' }
    : { addr, port };
}

/** The ends of /proc/net/ip_vs: `0A010001:01BB`, `[2001:0db8:...]:01BB`. */
export function readHexEnd(text: string): { readonly addr: Addr; readonly port: number } | Complaint {
  const m = /^(?:([0-9A-F]{8})|\[([0-9a-f:]+)\]):([0-9A-F]{4})$/.exec(text);
  const addr = m && readHexAddr(m[1] ?? m[2]!);
  return m && addr
    ? { addr, port: Number.parseInt(m[3]!, 16) }
    : { code: 'bad-address', error: `'${text}' is not an address and a port in hexadecimal`, part: text };
}

/** `0A010001`, or all eight groups of an IPv6 address. */
export function readHexAddr(text: string): Addr | undefined {
  const addr = parseAddr(/^[0-9A-F]{8}$/i.test(text) ? text.replace(/../g, (pair) => `${Number.parseInt(pair, 16)}.`).slice(0, -1) : text);
  return isError(addr) ? undefined : addr;
}

/**
 * Reports whether a listing of `ipvsadm -L` stands in an order that its sorting does not give: it is then the kernel's (--nosort, or an
 * ipvsadm before 1.25). `-S` always sorts, and what looks like it in another order may have been written by hand.
 */
export function isUnsorted({ form, services }: Listing): boolean {
  return form !== 'rules' && (isDescending(services, compareServices) || services.some((s) => isDescending(s.servers, compareServers)));
}

function isDescending<T>(list: readonly T[], order: (a: T, b: T) => number): boolean {
  return list.some((b, i) => i > 0 && order(list[i - 1]!, b) > 0 && order(b, list[i - 1]!) < 0);
}

// ipvs_cmp_services() and ipvs_cmp_dests() of libipvs subtract into an int: 192.0.2.1 goes before 10.0.0.1.
function compareServices(a: ListedService, b: ListedService): number {
  const AF = { 4: 2, 6: 10 };
  return (
    ((a.mark ?? 0) - (b.mark ?? 0)) | 0 ||
    AF[a.family ?? 4] - AF[b.family ?? 4] ||
    (a.proto ?? 0) - (b.proto ?? 0) ||
    (a.addr === undefined || b.addr === undefined ? 0 : compareAddr(a.addr, b.addr)) ||
    (a.port ?? 0) - (b.port ?? 0)
  );
}

function compareServers(a: ListedServer, b: ListedServer): number {
  return compareAddr(a.addr, b.addr) || a.port - b.port;
}

function compareAddr(a: Addr, b: Addr): number {
  const [x, y] = [wordsOfAddr(a), wordsOfAddr(b)];
  for (let i = 0; i < (typeof a === 'number' ? 1 : 4); i++) if (x[i] !== y[i]) return (x[i]! - y[i]!) | 0;
  return 0;
}

function wordsOfAddr(addr: Addr): readonly number[] {
  return typeof addr === 'number' ? [addr, 0, 0, 0] : addr;
}
