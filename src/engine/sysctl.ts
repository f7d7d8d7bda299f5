// Settings of a namespace as the kernel combines them (include/linux/inetdevice.h: IN_DEV_MAXCONF, IN_DEV_ORCONF, ...).
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';

export interface Setting {
  readonly value: number;
  /** Where it was captured; absent when the kernel's default stands in. */
  readonly at?: Span;
  readonly key: string;
}

/** One sysctl as a number, or the kernel's default. */
export function setting(ns: Namespace, key: string, byDefault: number): Setting {
  const found = ns.sysctls[key];
  const value = found && Number.parseInt(found.value, 10);
  return found && value !== undefined && !Number.isNaN(value) ? { value, at: found.at, key } : { value: byDefault, key };
}

function device(ns: Namespace, family: 4 | 6, name: string, what: string, byDefault: number): Setting {
  // sysctl -a prints the dots of an interface name as slashes
  const key = `net.ipv${family}.conf.${name.replaceAll('.', '/')}.${what}`;
  const found = setting(ns, key, byDefault);
  return found.at || !name.includes('.') ? found : setting(ns, `net.ipv${family}.conf.${name}.${what}`, byDefault);
}

/** The larger of `all` and the device's value (rp_filter, arp_ignore). */
export function maxOf(ns: Namespace, name: string, what: string): Setting {
  const all = device(ns, 4, 'all', what, 0);
  const own = device(ns, 4, name, what, 0);
  return own.value > all.value || !all.at ? own : all.value > own.value || !own.at ? all : own;
}

/** On when `all` or the device has it on (accept_local, route_localnet, src_valid_mark, proxy_arp, send_redirects). */
export function eitherOf(ns: Namespace, name: string, what: string, byDefault = 0): Setting {
  const all = device(ns, 4, 'all', what, byDefault);
  return all.value ? all : device(ns, 4, name, what, byDefault);
}

/** Whether packets that come in by this device may be forwarded; undefined when nothing about it was captured. */
export function forwarding(ns: Namespace, family: 4 | 6, name: string | undefined): Setting | undefined {
  // IPv4 asks the input device, whose value ip_forward sets; IPv6 asks `all` (ip6_forward())
  const own = family === 4 && name !== undefined && name !== '' ? device(ns, 4, name, 'forwarding', 0) : undefined;
  if (own?.at) return own;
  const all = setting(ns, family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding', 0);
  if (all.at) return all;
  const also = device(ns, family, 'all', 'forwarding', 0);
  if (also.at) return also;
  return ns.captured.sysctls ? all : undefined;
}
