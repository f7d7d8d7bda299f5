// Names for addresses, from the records of the cluster and from the capture: what an address is called, and what a name
// in a question stands for.
import { familyOf, formatAddr, formatEndpoint, type Addr, type Family } from '../net/addr.ts';
import { formatProtocol, parseProtocol } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { PodRecord, ServicePort, ServiceRecord, WitnessedAddr } from '../model/witness.ts';

/** A namespace as questions and answers call it: `worker1/pod-a`, or `worker1` for the node itself. */
export function nameOf(ns: Namespace): string {
  return ns.name ? `${ns.node}/${ns.name}` : ns.node;
}

function has(list: readonly WitnessedAddr[], addr: Addr): boolean {
  const text = formatAddr(addr);
  return list.some((a) => formatAddr(a.addr) === text);
}

/** `pod default/web-7d4, on worker1`, `svc default/kubernetes:https`, `node worker1`: what the records call an address; the port chooses among a service's. */
export function nameOfAddress(world: World, addr: Addr, port?: number, proto?: number): string | undefined {
  const { witness } = world;
  if (!witness) return undefined;
  const pods = witness.pods.filter((p) => !p.finished && !p.hostNetwork && has(p.addresses, addr));
  if (pods.length > 0) {
    const named = pods.slice(0, 2).map((p) => `pod ${p.namespace}/${p.name}${p.node === undefined ? '' : `, on ${p.node}`}`);
    return `${named.join('; and ')}${pods.length > 2 ? `; and ${pods.length - 2} more` : ''}`;
  }
  const services = witness.services.filter((s) => has([...s.clusterIps, ...s.externalIps, ...s.loadBalancerIps], addr));
  const fits = (p: ServicePort): boolean => p.port === port && (proto === undefined || p.proto === proto);
  const service = services.find((s) => s.ports.some(fits)) ?? services[0];
  const node = witness.nodes.find((n) => has(n.addresses, addr));
  const at = service?.ports.find(fits);
  // a node may lend its address to a service; without one of the service's ports it is the node's
  if (service && (at || !node)) return `svc ${service.namespace}/${service.name}${at?.name === undefined ? '' : `:${at.name}`}`;
  return node && `node ${node.name}`;
}

/** What a name stands for. */
export interface Named {
  /** Its addresses, the first one first. */
  readonly addrs: readonly Addr[];
  readonly port?: number;
  readonly proto?: number;
  /** The captured namespace that it is. */
  readonly namespace?: Namespace;
  /** The captured node that it is on. */
  readonly host?: Namespace;
  /** Where the record stands, and what else is worth telling of it. */
  readonly told: string;
}

/** Why a name stands for nothing, and what to write instead. */
export interface Unnamed {
  readonly error: string;
  readonly hint?: string;
}

/** What `pod/NAMESPACE/NAME`, `svc/NAMESPACE/NAME` or `node/NAME` stands for, each with `:PORT` where it is sent to; undefined for a text of another shape. */
export function readName(world: World, text: string, role: 'from' | 'to', proto?: string): Named | Unnamed | undefined {
  const [, kind, rest = ''] = /^(pod|svc|service|node)\/(.*)$/.exec(text) ?? [];
  const colon = rest.indexOf(':');
  const [path, port] = colon < 0 ? [rest, undefined] : [rest.slice(0, colon), rest.slice(colon + 1)];
  if (kind === undefined || world.namespaces.some((n) => nameOf(n) === `${kind}/${path}`)) return undefined;
  if (port !== undefined && role === 'from') return { error: `'${text}' has a port; --sport says which one it sends from` };
  if (kind === 'node') return readNode(world, path, port);
  const parts = path.split('/');
  const [namespace, name] = parts;
  if (!world.witness)
    return {
      error: 'the capture holds no Kubernetes objects',
      hint: 'save `kubectl get nodes,pods,services,endpointslices -A -o json` beside the nodes',
    };
  const { pods, services } = world.witness;
  const short = kind === 'pod' ? 'pod' : 'svc';
  const list: readonly { readonly namespace: string; readonly name: string }[] = kind === 'pod' ? pods : services;
  if (parts.length !== 2 || !namespace || !name)
    return { error: `'${text}' is not ${short}/NAMESPACE/NAME`, ...suggestion(short, parts.at(-1) ?? '', list) };
  const fits = (x: { readonly namespace: string; readonly name: string }): boolean => x.namespace === namespace && x.name === name;
  const pod = kind === 'pod' ? pods.find(fits) : undefined;
  const service = kind === 'pod' ? undefined : services.find(fits);
  if (pod) return readPod(world, pod, port);
  if (service) return role === 'from' ? { error: 'a service sends nothing: name one of its pods' } : readService(service, port, proto);
  return { error: `the capture knows no ${kind === 'pod' ? 'pod' : 'service'} ${namespace}/${name}`, ...suggestion(short, path, list) };
}

function readPort(text: string | undefined): { port?: number } | Unnamed {
  if (text === undefined) return {};
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  return port <= 65535 ? { port } : { error: `'${text}' is not a port (0 to 65535)` };
}

function readPod(world: World, pod: PodRecord, text: string | undefined): Named | Unnamed {
  const port = readPort(text);
  const said = `${pod.namespace}/${pod.name}`;
  if ('error' in port) return port;
  if (pod.finished) return { error: `the pod ${said} has finished: its address may be another pod's by now (${where(pod.at)})` };
  if (pod.addresses.length === 0) return { error: `the pod ${said} has no address (${where(pod.at)})` };
  const host = pod.node === undefined ? undefined : rootOf(world, pod.node);
  const owners = world.namespaces.filter(
    (ns) => (ns.name === '') === pod.hostNetwork && ns.stub !== true && ns.addresses.some((a) => has(pod.addresses, a.addr)),
  );
  // as `netwhy capture` names the namespaces of pods, for those whose addresses were not captured
  const named = world.namespaces.filter((ns) => ns.name === `${pod.namespace}_${pod.name}` && ns.addresses.length === 0);
  const own = owners.find((ns) => ns.node === host?.node) ?? owners[0] ?? named[0];
  const told = `${where(pod.at)}${pod.node === undefined ? '' : `, on ${pod.node}`}${pod.hostNetwork ? ', in the network of the host' : ''}`;
  return { addrs: pod.addresses.map((a) => a.addr), ...port, ...(own && { namespace: own }), ...(host && { host }), told };
}

/** The captured node that a Node object is about: by its name, else by its address. */
function rootOf(world: World, name: string): Namespace | undefined {
  const roots = world.namespaces.filter((ns) => ns.name === '');
  const record = world.witness?.nodes.find((n) => n.name === name);
  return (
    roots.find((ns) => ns.node === name) ??
    roots.find((ns) => record !== undefined && ns.stub !== true && ns.addresses.some((a) => has(record.addresses, a.addr)))
  );
}

function readNode(world: World, name: string, text: string | undefined): Named | Unnamed {
  const port = readPort(text);
  if ('error' in port) return port;
  const record = world.witness?.nodes.find((n) => n.name === name);
  const own = rootOf(world, name);
  if (!record && !own) {
    const names = [...(world.witness?.nodes ?? []).map((n) => n.name), ...world.namespaces.map((ns) => ns.node)];
    return { error: `the capture knows no node ${name}`, hint: `nodes: ${[...new Set(names)].slice(0, 12).join(', ')}` };
  }
  const global = (own?.addresses ?? []).filter((a) => a.scope === 'global').map((a) => a.addr);
  const addrs = record && record.addresses.length > 0 ? record.addresses.map((a) => a.addr) : global;
  if (addrs.length === 0) return { error: `the node ${name} has no captured address` };
  return { addrs, ...port, ...(own && { namespace: own }), told: record ? where(record.at) : 'captured' };
}

function readService(service: ServiceRecord, text: string | undefined, proto: string | undefined): Named | Unnamed {
  const said = `${service.namespace}/${service.name}`;
  const { clusterIps } = service;
  if (clusterIps.length === 0) {
    const none = service.type === 'ExternalName' ? 'is another name for a name' : 'is headless: its name stands for its pods';
    return { error: `the service ${said} ${none} (${where(service.at)})`, hint: 'name a pod: pod/NAMESPACE/NAME:PORT' };
  }
  const wanted = proto === undefined ? undefined : parseProtocol(proto);
  const ofProto = service.ports.filter((p) => wanted === undefined || p.proto === wanted);
  const named = clusterIps.map((a) => a.addr);
  const ports = service.ports.map(
    (p) => `${p.name === undefined ? '' : `${p.name} (`}${p.port}/${formatProtocol(p.proto)}${p.name === undefined ? '' : ')'}`,
  );
  const hint = `its ports: ${ports.join(', ')}`;
  if (text === undefined) {
    // a protocol without ports asks about the address
    if (wanted !== undefined && service.ports.every((p) => p.proto !== wanted)) return { addrs: named, told: where(service.at) };
    const [only, ...more] = ofProto;
    if (!only || more.length > 0) return { error: `the service ${said} has several ports: say which`, hint };
    return { addrs: named, port: only.port, proto: only.proto, told: where(service.at) };
  }
  const byName = ofProto.filter((p) => p.name === text);
  const fitting = byName.length > 0 ? byName : ofProto.filter((p) => String(p.port) === text);
  const [port] = fitting;
  if (port) return { addrs: named, port: port.port, proto: port.proto, told: where(service.at) };
  const nodePort = service.ports.find((p) => String(p.nodePort) === text);
  if (nodePort)
    return {
      error: `${text} is a NodePort of the service ${said}: it is open at the nodes, not at the service's address`,
      hint: `ask for NODE:${text}, or ${hint}`,
    };
  const other = service.ports.find((p) => p.name === text || String(p.port) === text);
  return { error: `the service ${said} has no ${other ? `${proto} ` : ''}port ${text} (${where(service.at)})`, hint };
}

/** The address of a name in a family, where one is wanted. */
export function addressOf(named: Named, family: Family | undefined): Addr | undefined {
  return named.addrs.find((a) => family === undefined || familyOf(a) === family);
}

/** `svc/default/kubernetes:https is 10.96.0.1:443 (services.json:3)` */
export function nameNote(text: string, named: Named, addr: Addr): string {
  return `${text} is ${formatEndpoint(addr, named.port)} (${named.told})`;
}

function where(at: Span): string {
  return `${at.file}:${at.line}`;
}

function suggestion(kind: string, text: string, list: readonly { readonly namespace: string; readonly name: string }[]): { hint: string } {
  const name = text.slice(text.indexOf('/') + 1);
  const ranked = list
    .map((x) => {
      const full = `${x.namespace}/${x.name}`;
      // what somebody types of a pod is often its Deployment's name
      const rank = x.name === name ? 0 : name.length > 1 && x.name.startsWith(name) ? 1 : 1 + distance(text.includes('/') ? full : x.name, text);
      return { full, rank, most: Math.max(2, text.length / 3) };
    })
    .filter((x) => x.rank <= x.most)
    .toSorted((a, b) => a.rank - b.rank || (a.full < b.full ? -1 : 1))
    .slice(0, 4)
    .map((x) => `${kind}/${x.full}`);
  if (ranked.length > 0) return { hint: `perhaps ${ranked.join(', ')}` };
  const some = list.slice(0, 6).map((x) => `${kind}/${x.namespace}/${x.name}`);
  return {
    hint: list.length === 0 ? 'none was captured' : `there are ${some.join(', ')}${list.length > some.length ? `, ... (${list.length})` : ''}`,
  };
}

/** How many letters have to be changed, added or taken away to make one text of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
