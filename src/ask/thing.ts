// What people change on a node: the chain, set, setting, route, neighbour, device that a captured line is about, or that a command changes.
import { formatAddr, formatEndpoint, formatPrefix, isError, parseAddr, parsePrefix } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { VirtualServer } from '../model/ipvs.ts';
import type { Edit } from './edit.ts';

/** One thing of one namespace. */
export interface Thing {
  readonly node: string;
  readonly namespace: string;
  readonly kind: 'chain' | 'set' | 'sysctl' | 'route' | 'neighbour' | 'fdb' | 'link' | 'address' | 'virtual server' | 'connection' | 'wire';
  /** `nat KUBE-SERVICES`, `cali40all-ipam-pools`, `net.ipv4.ip_forward`, `10.244.2.0/24`, `192.168.1.11`, `flannel.1`, ... */
  readonly name: string;
}

export function isSameThing(a: Thing, b: Thing): boolean {
  return a.node === b.node && a.namespace === b.namespace && a.kind === b.kind && a.name === b.name;
}

/** What a captured line is about; undefined for lines of logs, records and the like. */
export function thingAt(world: World, at: Span): Thing | undefined {
  const isHere = (x: { readonly at: Span }): boolean => x.at.file === at.file && x.at.line === at.line;
  if (at.file === '') return undefined;
  const wire = world.wires.find((w) => w.deny?.some(isHere));
  if (wire) return { node: `wire:${wire.name}`, namespace: '', kind: 'wire', name: wire.name };
  for (const ns of world.namespaces) {
    const found = inNamespace(ns, isHere);
    if (found) return { node: ns.node, namespace: ns.name, ...found };
  }
  return undefined;
}

type Named = Pick<Thing, 'kind' | 'name'>;

function inNamespace(ns: Namespace, isHere: (x: { readonly at: Span }) => boolean): Named | undefined {
  for (const t of ns.tables) {
    const label = t.nft ?? t.name;
    for (const c of Object.values(t.chains)) if (isHere(c) || c.rules.some(isHere)) return { kind: 'chain', name: `${label} ${c.name}` };
    for (const s of Object.values(t.sets ?? {})) if (isHere(s) || s.elements.some(isHere)) return { kind: 'set', name: `${label} ${s.name}` };
  }
  for (const s of Object.values(ns.sets)) if (isHere(s) || s.members.some(isHere)) return { kind: 'set', name: s.name };
  const setting = Object.entries(ns.sysctls).find(([, s]) => isHere(s));
  if (setting) return { kind: 'sysctl', name: setting[0] };
  const route = ns.routes.find(isHere);
  if (route) return { kind: 'route', name: formatPrefix(route.to) };
  const neighbour = ns.neighbours.find(isHere);
  if (neighbour) return { kind: 'neighbour', name: formatAddr(neighbour.addr) };
  const entry = ns.fdb.find(isHere);
  if (entry) return { kind: 'fdb', name: entry.mac };
  const link = ns.links.find((l) => isHere(l) || (l.port !== undefined && isHere(l.port)));
  if (link) return { kind: 'link', name: link.name };
  const address = ns.addresses.find(isHere);
  if (address) return { kind: 'address', name: formatAddr(address.addr) };
  const service = ns.ipvs?.services.find((s) => isHere(s) || s.servers.some(isHere));
  if (service) return { kind: 'virtual server', name: serverName(service) };
  const connection = ns.conntrack.find(isHere);
  return connection && { kind: 'connection', name: connection.text };
}

/** A virtual server as ipvsadm takes it: `10.96.0.1:443`, or its mark. */
export function serverName({ addr, port = 0, mark }: VirtualServer): string {
  return addr === undefined ? String(mark ?? '') : formatEndpoint(addr, port);
}

/** The words of a command that say what it changes. */
const CHANGED: readonly (readonly [RegExp, (m: RegExpExecArray) => Named])[] = [
  [/^ip6?tables\S*(?: -t (\S+))? -[AIDRP] (\S+)/, (m) => ({ kind: 'chain', name: `${m[1] ?? 'filter'} ${m[2]!}` })],
  [/^nft (?:add|insert|delete|replace) rule (\S+ \S+ \S+)/, (m) => ({ kind: 'chain', name: m[1]! })],
  [/^nft (?:add|delete) element (\S+ \S+ \S+)/, (m) => ({ kind: 'set', name: m[1]! })],
  [/^nft add chain (\S+ \S+ \S+)/, (m) => ({ kind: 'chain', name: m[1]! })],
  [/^ipset (?:add|del) (\S+)/, (m) => ({ kind: 'set', name: m[1]! })],
  [/^sysctl -w ([^=]+)=/, (m) => ({ kind: 'sysctl', name: m[1]! })],
  [/^ip (-6 )?route (?:add|del|replace) (\S+)/, (m) => ({ kind: 'route', name: prefixName(m[2]!, m[1] !== undefined) })],
  [/^ip (?:-6 )?neigh \S+ (\S+)/, (m) => ({ kind: 'neighbour', name: addrName(m[1]!) })],
  [/^bridge fdb \S+ (\S+)/, (m) => ({ kind: 'fdb', name: m[1]! })],
  [/^bridge link set dev (\S+)/, (m) => ({ kind: 'link', name: m[1]! })],
  [/^ip link set (?:dev )?(\S+)/, (m) => ({ kind: 'link', name: m[1]! })],
  [/^ip addr add ([^\s/]+)/, (m) => ({ kind: 'address', name: addrName(m[1]!) })],
  [/^ipvsadm -\w -[tuf] (\S+)/, (m) => ({ kind: 'virtual server', name: m[1]! })],
  [/^conntrack -D (.*)/, (m) => ({ kind: 'connection', name: m[1]! })],
  [/^del deny/, () => ({ kind: 'wire', name: '' })],
];

/** What a command changes; undefined for one that is none of those that `why` proposes. */
export function thingOf({ node, namespace, command }: Edit): Thing | undefined {
  for (const [sign, name] of CHANGED) {
    const m = sign.exec(command);
    if (m) {
      const named = name(m);
      return { node, namespace, ...named, ...(named.kind === 'wire' && { name: node.slice('wire:'.length) }) };
    }
  }
  return undefined;
}

function prefixName(text: string, isSix: boolean): string {
  if (text === 'default') return isSix ? '::/0' : '0.0.0.0/0';
  const prefix = parsePrefix(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
  return isError(prefix) ? text : formatPrefix(prefix);
}

function addrName(text: string): string {
  const addr = parseAddr(text);
  return isError(addr) ? text : formatAddr(addr);
}
