// What one listing of IPVS shows. Each form of listing shows only a part, so every field but the names may be absent;
// ipvs.ts puts the parts together.
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
