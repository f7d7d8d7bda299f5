// Ports of a bridge: which device is one, what its options are, and what of the bridge follows its ports.
// net/bridge/br_if.c, br_fdb.c, br_stp_if.c.
import { bridgePort, detailOf, type Detail } from '../capture/linkdetail.ts';
import type { Span } from '../model/finding.ts';
import type { BridgePort, FdbEntry, Link, Namespace } from '../model/host.ts';
import { altered } from './altered.ts';
import type { Refusal } from './edit.ts';
import { replaced } from './iproute.ts';

const ON_OFF = new Set(['hairpin', 'isolated', 'learning', 'flood']);
const STATES = ['disabled', 'listening', 'learning', 'forwarding', 'blocking'];

/** br_setport(): `hairpin on isolated off`, as `bridge link set` and `ip link set type bridge_slave` take them. */
export function withPortOptions(ns: Namespace, link: Link, options: readonly string[], at: Span): Namespace | Refusal {
  const words = [...describe(link)];
  for (let i = 0; i < options.length; i += 2) {
    const [name, value = ''] = [options[i]!, options[i + 1]];
    if (name === 'state' && (STATES.includes(value) || /^[0-4]$/.test(value))) words.unshift('state', STATES[Number(value)] ?? value);
    else if (!ON_OFF.has(name))
      return { refused: `'${name}' of a bridge's port is not modelled`, hint: 'hairpin, isolated, learning, flood and state are' };
    else if (!/^(?:on|off|0|1)$/.test(value)) return { refused: `Error: argument of "${name}" must be "on" or "off", not "${value}"` };
    else words.unshift(name, value);
  }
  return altered(ns, { links: replaced(ns.links, link, { ...link, port: bridgePort(detailOf(words), at) }) });
}

/** A port's options as `bridge -d link` words them. */
function describe({ port }: Link): string[] {
  if (!port) return [];
  const onOff = (name: string, on: boolean): string[] => [name, on ? 'on' : 'off'];
  return [
    'state',
    port.forwarding ? 'forwarding' : 'disabled',
    ...onOff('hairpin', port.hairpin),
    ...onOff('isolated', port.isolated),
    ...onOff('learning', port.learning),
    ...onOff('flood', port.flood),
  ];
}

const USUAL: Detail = () => undefined;

/** br_add_if(), br_del_if(): the device as a port of `master`, or of none. */
export function withMaster(ns: Namespace, name: string, master: string | undefined, at: Span): Namespace {
  const link = ns.links.find((l) => l.name === name)!;
  if (link.master === master) return ns;
  const { master: old, port: _port, ...free } = link;
  const now: Link = master === undefined ? free : { ...free, master, port: bridgePort(USUAL, at) };
  const fdb = ns.fdb.filter((e) => e.device !== name || e.bridge === undefined);
  const own: FdbEntry[] =
    master !== undefined && link.mac !== undefined && ns.captured.fdb ? [{ mac: link.mac, device: name, bridge: master, permanent: true, at }] : [];
  const next = altered(ns, { links: replaced(ns.links, link, now), fdb: [...fdb, ...own] });
  return [old, master].reduce((n, bridge) => (bridge === undefined ? n : withBridgeOfPorts(ns, n, bridge)), next);
}

/**
 * br_stp_recalculate_bridge_id(), br_mtu_auto_adjust(), br_stp_enable_bridge(): a bridge has the least address and MTU of its ports
 * unless it was given others (it has others now), and its ports forward while both are up.
 */
export function withBridgeOfPorts(before: Namespace, now: Namespace, name: string): Namespace {
  const was = before.links.find((l) => l.name === name);
  const bridge = now.links.find((l) => l.name === name);
  if (!was || !bridge || bridge.kind !== 'bridge') return now;
  const ports = (ns: Namespace): Link[] => ns.links.filter((l) => l.master === name);
  const [old, own] = [ports(before), ports(now)];
  const follows = <T>(value: T, least: T | undefined): boolean => old.length === 0 || value === least;
  const leastMac = (links: readonly Link[]): string | undefined => links.flatMap((l) => l.mac ?? []).toSorted()[0];
  const leastMtu = (links: readonly Link[]): number => (links.length === 0 ? 1500 : Math.min(...links.map((l) => l.mtu)));
  const isSame = old.length === own.length && leastMac(old) === leastMac(own);
  const mac = !isSame && follows(was.mac, leastMac(old)) ? (leastMac(own) ?? '00:00:00:00:00:00') : bridge.mac;
  const mtu = leastMtu(old) !== leastMtu(own) && follows(was.mtu, leastMtu(old)) ? leastMtu(own) : bridge.mtu;
  const forwards = (port: Link): BridgePort | undefined => port.port && { ...port.port, forwarding: bridge.up && port.up };
  const changed = (l: Link): boolean => {
    const prior = before.links.find((x) => x.name === l.name);
    return prior?.master !== name || prior.up !== l.up || was.up !== bridge.up;
  };
  const links = now.links.map((l) => {
    if (l === bridge) return { ...l, mtu, ...(mac !== undefined && { mac }) };
    const port = l.master === name && changed(l) ? forwards(l) : undefined;
    return port ? { ...l, port } : l;
  });
  // br_fdb_change_mac_address()
  const portMacs = new Set(own.map((l) => l.mac));
  const fdb = now.fdb.flatMap((e) =>
    e.device !== name || e.bridge !== name || e.mac !== was.mac || mac === was.mac
      ? [e]
      : portMacs.has(mac) || mac === undefined
        ? []
        : [{ ...e, mac }],
  );
  return altered(now, { links, fdb });
}
