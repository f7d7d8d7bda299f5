// Edits by `ip link`: do_setlink() and rtnl_dellink(), net/core/rtnetlink.c.
import { readLinks } from '../capture/links.ts';
import type { Span } from '../model/finding.ts';
import type { Link, Namespace } from '../model/host.ts';
import { altered } from './altered.ts';
import { withBridgeOfPorts, withMaster, withPortOptions } from './bridgeport.ts';
import { isRefused, type Refusal } from './edit.ts';
import { answers, garbage, replaced, uncaptured, type IpCommand } from './iproute.ts';
import { withDeviceState, withIpv6Of, withoutLink } from './kernelroutes.ts';

const MAC = /^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i;
const NEEDS_DEVICE: Refusal = { refused: 'Not enough information: "dev" argument is required.' };

export function editLink(ns: Namespace, command: IpCommand): Namespace | Refusal {
  const unknown = uncaptured(ns, 'links', 'devices', 'ip -d addr');
  if (unknown) return unknown;
  switch (command.verb) {
    case 'add':
      return add(ns, command);
    case 'delete':
      return remove(ns, command);
    default:
      return set(ns, command);
  }
}

function set(ns: Namespace, { words, at }: IpCommand): Namespace | Refusal {
  const start = words[0] === 'dev' ? 1 : 0;
  const name = words[start];
  if (name === undefined) return NEEDS_DEVICE;
  if (!ns.links.some((l) => l.name === name)) return { refused: `Cannot find device "${name}"` };
  let now: Namespace | Refusal = ns;
  for (let i = start + 1; i < words.length; i++) {
    const word = words[i]!;
    const link = now.links.find((l) => l.name === name)!;
    if (word === 'up' || word === 'down') now = setState(now, link, word === 'up', at);
    else if (word === 'nomaster') now = withMaster(now, name, undefined, at);
    else if (word === 'type') return setKind(now, link, words.slice(i + 1), at);
    else {
      const value = words[++i];
      if (value === undefined)
        return /^(?:master|mtu|address|promisc|arp)$/.test(word)
          ? { refused: 'Command line is not complete. Try option "help"' }
          : garbage(word, 'dev');
      now = setValue(now, link, word, value, at);
    }
    if (isRefused(now)) return now;
  }
  return now;
}

function setValue(ns: Namespace, link: Link, word: string, value: string, at: Span): Namespace | Refusal {
  switch (word) {
    case 'master':
      return enslave(ns, link, value, at);
    case 'mtu':
      return setMtu(ns, link, value, at);
    case 'address':
    case 'lladdr':
      return setAddress(ns, link, value);
    case 'promisc':
    case 'arp': {
      if (value !== 'on' && value !== 'off') return { refused: `Error: argument of "${word}" must be "on" or "off", not "${value}"` };
      const { promiscuous, noArp, ...rest } = link;
      const [isPromiscuous, hasNoArp] = word === 'promisc' ? [value === 'on', noArp] : [promiscuous, value === 'off'];
      return altered(ns, {
        links: replaced(ns.links, link, { ...rest, ...(isPromiscuous && { promiscuous: true }), ...(hasNoArp && { noArp: true }) }),
      });
    }
    case 'name':
    case 'netns':
    case 'alias':
    case 'group':
    case 'txqueuelen':
    case 'multicast':
    case 'allmulticast':
    case 'vrf':
      return {
        refused: `ip link set ${word} is not modelled`,
        hint: 'up, down, master, nomaster, mtu, address, promisc, arp and type bridge_slave are',
      };
    default:
      return garbage(word, 'dev');
  }
}

/** dev_change_flags(), and what the bridge of a port makes of it. */
function setState(ns: Namespace, link: Link, up: boolean, at: Span): Namespace {
  if (link.up === up) return ns;
  const now = withDeviceState(ns, link, up, at);
  // br_stp_disable_port(): what was learned behind the port is forgotten
  const kept =
    up || link.master === undefined
      ? now
      : altered(now, { fdb: now.fdb.filter((e) => e.device !== link.name || e.bridge === undefined || e.permanent) });
  return withBridgeOfPorts(ns, link.master === undefined ? kept : withBridgeOfPorts(ns, kept, link.master), link.name);
}

function enslave(ns: Namespace, link: Link, name: string, at: Span): Namespace | Refusal {
  const master = ns.links.find((l) => l.name === name);
  if (!master) return { refused: `Error: argument "${name}" is wrong: Device does not exist` };
  if (master.kind === 'vrf' || master.kind === 'bond' || master.kind === 'team')
    return { refused: `${name} is a ${master.kind}: what it does to its members is not modelled` };
  if (master.kind !== 'bridge') return answers('Operation not supported');
  if (link.kind === 'loopback' || link.name === 'lo') return answers('Invalid argument');
  if (link.kind === 'bridge') return { refused: 'Error: Can not enslave a bridge to a bridge.' };
  return withMaster(ns, link.name, name, at);
}

/** __dev_set_mtu(); below 1280 there is no IPv6. */
function setMtu(ns: Namespace, link: Link, value: string, at: Span): Namespace | Refusal {
  const mtu = Number(value);
  if (!/^\d+$/.test(value)) return { refused: `Error: argument "${value}" is wrong: Invalid "mtu" value` };
  if (mtu < 68 && link.name !== 'lo') return { refused: 'Error: mtu less than device minimum.' };
  if (mtu > 65535 && link.name !== 'lo') return { refused: 'Error: mtu greater than device maximum.' };
  const now = withIpv6Of(altered(ns, { links: replaced(ns.links, link, { ...link, mtu }) }), link, at);
  return link.master === undefined ? now : withBridgeOfPorts(ns, now, link.master);
}

/** dev_set_mac_address(); neigh_changeaddr() forgets who was reached from the old one. */
function setAddress(ns: Namespace, link: Link, value: string): Namespace | Refusal {
  if (!MAC.test(value)) {
    const parts = value.split(':');
    return /^[0-9a-f:]+$/i.test(value)
      ? { refused: `Invalid address length ${parts.length} - must be 6 bytes` }
      : { refused: `"${value}" is invalid lladdr.` };
  }
  const mac = value.toLowerCase().replace(/\b[0-9a-f]\b/g, '0$&');
  if ((Number.parseInt(mac, 16) & 1) === 1 || mac === '00:00:00:00:00:00') return answers('Cannot assign requested address');
  const fdb = ns.fdb.map((e) => (e.device === link.name && e.bridge !== undefined && e.permanent && e.mac === link.mac ? { ...e, mac } : e));
  const now = altered(ns, {
    links: replaced(ns.links, link, { ...link, mac }),
    neighbours: ns.neighbours.filter((n) => n.device !== link.name || n.proxy === true),
    fdb,
  });
  return link.master === undefined ? now : withBridgeOfPorts(ns, now, link.master);
}

/** `type bridge_slave hairpin on`, `type bridge nf_call_iptables 1`. */
function setKind(ns: Namespace, link: Link, [kind, ...options]: readonly string[], at: Span): Namespace | Refusal {
  if (kind === 'bridge_slave') return link.master === undefined ? answers('Operation not supported') : withPortOptions(ns, link, options, at);
  if (kind !== 'bridge' || link.kind !== 'bridge')
    return { refused: `ip link set type ${kind ?? ''} is not modelled`, hint: 'type bridge and type bridge_slave are' };
  const bridge = { vlanFiltering: false, callIptables: false, callIp6tables: false, ...link.bridge };
  for (let i = 0; i < options.length; i += 2) {
    const [name, value] = [options[i], options[i + 1] ?? ''];
    if (!/^[01]$/.test(value)) return { refused: `Error: argument "${value}" is wrong: invalid ${name}` };
    if (name === 'nf_call_iptables') bridge.callIptables = value === '1';
    else if (name === 'nf_call_ip6tables') bridge.callIp6tables = value === '1';
    else if (name === 'vlan_filtering') bridge.vlanFiltering = value === '1';
    else return { refused: `'${name}' of a bridge is not modelled`, hint: 'nf_call_iptables, nf_call_ip6tables and vlan_filtering are' };
  }
  return altered(ns, { links: replaced(ns.links, link, { ...link, bridge }) });
}

/** A dummy or a bridge, down and without an address, as the kernel makes it. */
function add(ns: Namespace, { words, at }: IpCommand): Namespace | Refusal {
  const type = words.indexOf('type');
  const kind = words[type + 1];
  const before = words.slice(0, type < 0 ? words.length : type);
  const value = (name: string): string | undefined => (before.includes(name) ? before[before.indexOf(name) + 1] : undefined);
  const name = value('name') ?? value('dev') ?? before[0];
  if (type < 0 || (kind !== 'dummy' && kind !== 'bridge') || words.length > type + 2)
    return { refused: `ip link add ${words.slice(Math.max(type, 0)).join(' ')} is not modelled`, hint: 'type dummy and type bridge are' };
  if (name === undefined) return NEEDS_DEVICE;
  if (ns.links.some((l) => l.name === name)) return answers('File exists');
  const index = Math.max(0, ...ns.links.map((l) => l.index)) + 1;
  const flags = kind === 'dummy' ? 'BROADCAST,NOARP' : 'BROADCAST,MULTICAST';
  const mac = value('address') ?? '';
  const { links } = readLinks(`${index}: ${name}: <${flags}> mtu ${value('mtu') ?? 1500}\n    link/ether ${mac}\n    ${kind}\n`, at.file);
  const [link] = links;
  return link ? altered(ns, { links: [...ns.links, { ...link, at }] }) : garbage(name, 'name');
}

function remove(ns: Namespace, { words }: IpCommand): Namespace | Refusal {
  const name = words[0] === 'dev' ? words[1] : words[0];
  if (name === undefined) return NEEDS_DEVICE;
  const link = ns.links.find((l) => l.name === name);
  if (!link) return { refused: `Cannot find device "${name}"` };
  if (link.kind === 'loopback' || name === 'lo') return answers('Operation not supported');
  const now = withoutLink(ns, link);
  const bridges = new Set(ns.links.flatMap((l) => (l.master !== undefined && !now.links.some((x) => x.name === l.name) ? [l.master] : [])));
  return [...bridges].reduce((n, bridge) => withBridgeOfPorts(ns, n, bridge), now);
}
