// What `ip -d link` says of a device beyond its header: the lines that begin with its kind, or with the kind of its master.
import { isError, parseAddr, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Bridge, BridgePort, Link, Vxlan } from '../model/host.ts';

/** The details of a link: words of text, or keys of JSON, by name. */
export type Detail = (name: string) => string | undefined;

/** What a device of this kind says of itself. */
export function ofKind(kind: string, value: Detail): Partial<Pick<Link, 'vxlan' | 'tunnel' | 'vlan' | 'bridge'>> {
  switch (kind) {
    case 'vxlan':
      return vxlan(value);
    case 'vlan': {
      const id = numberOf(value('id'));
      return id === undefined ? {} : { vlan: id };
    }
    case 'bridge':
      return { bridge: bridge(value) };
    case 'ipip':
    case 'gre':
    case 'sit':
    case 'gretap':
    case 'ip6tnl':
    case 'ip6gre': {
      const [local, remote] = [address(value('local')), address(value('remote'))];
      return { tunnel: { ...(local !== undefined && { local }), ...(remote !== undefined && { remote }) } };
    }
    default:
      return {};
  }
}

function vxlan(value: Detail): { vxlan?: Vxlan } {
  const id = numberOf(value('id'));
  const remote = address(value('remote') ?? value('group') ?? value('remote6') ?? value('group6'));
  const local = address(value('local') ?? value('local6'));
  if (id === undefined) return {};
  return {
    vxlan: {
      id,
      port: numberOf(value('dstport') ?? value('port')) ?? 8472,
      learning: value('nolearning') === undefined && value('learning') !== 'false',
      ...(local !== undefined && { local }),
      ...(remote !== undefined && { remote }),
    },
  };
}

function bridge(value: Detail): Bridge {
  return {
    vlanFiltering: isOn(value('vlan_filtering')),
    callIptables: isOn(value('nf_call_iptables')),
    callIp6tables: isOn(value('nf_call_ip6tables')),
  };
}

/** The options of a bridge's port: `bridge_slave ...` of `ip -d link`, or a line of `bridge -d link`. */
export function bridgePort(value: Detail, at: Span): BridgePort {
  const state = value('state');
  return {
    forwarding: state === undefined || state === 'forwarding' || state === '3',
    hairpin: isOn(value('hairpin')),
    isolated: isOn(value('isolated')),
    learning: !isOff(value('learning')),
    flood: !isOff(value('flood')),
    at,
  };
}

function isOn(text: string | undefined): boolean {
  return text === 'on' || text === '1' || text === 'true';
}

function isOff(text: string | undefined): boolean {
  return text === 'off' || text === '0' || text === 'false';
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** `any`, and what is no address, is none. */
function address(text: string | undefined): Addr | undefined {
  const addr = text === undefined || text === 'any' || text === '0.0.0.0' || text === '::' ? undefined : parseAddr(text);
  return addr === undefined || isError(addr) ? undefined : addr;
}

/** The words of a line as details: what follows a name, or the empty text where nothing does. */
export function detailOf(words: readonly string[]): Detail {
  return (name) => {
    const i = words.indexOf(name);
    return i < 0 ? undefined : (words[i + 1] ?? '');
  };
}

/** The keys of `ip -d -j link` as details. */
export function detailOfJson(data: Readonly<Record<string, unknown>>): Detail {
  return (name) => {
    const v = data[name];
    return typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean' ? String(v) : undefined;
  };
}
