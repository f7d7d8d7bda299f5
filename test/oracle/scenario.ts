// A scenario folder on the real kernel: what netwhy read of the captures is built as namespaces, and a question's packet sent.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ask, isMisunderstood, requestOf } from '../../src/ask/question.ts';
import { recognise } from '../../src/capture/recognise.ts';
import type { CaptureFile } from '../../src/capture/namespace.ts';
import { readScenarioWorld } from '../../src/capture/world.ts';
import type { InterfaceAddress, Link, Namespace, Route, RoutingRule, World } from '../../src/model/host.ts';
import { Scenario, type ScenarioQuestion } from '../../src/model/scenario.ts';
import type { OutcomeKind, Question } from '../../src/model/trace.ts';
import { formatAddr, formatPrefix } from '../../src/net/addr.ts';
import { ICMP, ICMPV6, SCTP, TCP, UDP } from '../../src/net/proto.ts';
import { openGuestNetwork, takesGuest } from './guest-scenario.ts';
import {
  openNetwork,
  type End,
  type NamespacePlan,
  type Network,
  type NetworkPlan,
  type Observation,
  type Pass,
  type Place,
  type Shot,
} from './network.ts';

/** A scenario as read: the world for the engine, the texts for the kernel. */
export interface LoadedScenario {
  readonly folder: string;
  readonly scenario: Scenario;
  readonly world: World;
  readonly files: readonly CaptureFile[];
}

/** Reads a scenario folder from disk. */
export function loadScenario(folder: string): LoadedScenario {
  const scenario = Scenario.parse(parse(readFileSync(join(folder, 'scenario.yaml'), 'utf8')));
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath !== folder)
    .map((entry): CaptureFile => {
      const path = join(entry.parentPath, entry.name);
      return { path: path.slice(join(folder, '/').length), text: readFileSync(path, 'utf8') };
    });
  const { world } = readScenarioWorld(scenario, files, () => ({ file: 'scenario.yaml', line: 1 }));
  return { folder, scenario, world, files };
}

/** The name that a namespace has on the kernel's side. */
export function placeName(at: { readonly node: string; readonly namespace: string }): string {
  return at.namespace === '' ? at.node : `${at.node}/${at.namespace}`;
}

/** The network to build: structure from the model netwhy read, rules and sets from the captured texts themselves. */
export function planOf({ world, scenario, files }: LoadedScenario): NetworkPlan {
  const wires = world.wires.map((w) => ({ name: w.name, ends: w.ends.map((e): End => ({ namespace: placeName(e), device: e.device })) }));
  const wired = new Set(wires.flatMap((w) => w.ends.map((e) => `${e.namespace} ${e.device}`)));
  return {
    namespaces: world.namespaces.map((ns) => planNamespace(ns, filesOf(scenario, files, ns))),
    veths: veths(world).filter((pair) => !pair.some((e) => wired.has(`${e.namespace} ${e.device}`))),
    wires,
  };
}

function filesOf(scenario: Scenario, files: readonly CaptureFile[], ns: Namespace): CaptureFile[] {
  const node = scenario.nodes[ns.node];
  if (!node || !('capture' in node)) return [];
  const folder = (ns.name === '' ? node.capture : (node.namespaces?.[ns.name] ?? '')).replace(/^\.\//, '').replace(/\/+$/, '');
  return files.filter((f) => f.path.slice(0, Math.max(0, f.path.lastIndexOf('/'))) === folder);
}

/** Pairs whose captures name each other. */
function veths(world: World): [End, End][] {
  const pairs: [End, End][] = [];
  const all = world.namespaces.flatMap((ns) => ns.links.filter((l) => l.kind === 'veth').map((link) => ({ ns, link })));
  const end = (x: { ns: Namespace; link: Link }): End => ({ namespace: placeName({ node: x.ns.node, namespace: x.ns.name }), device: x.link.name });
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) {
      const mutual = a.link.peerIndex === b.link.index && b.link.peerIndex === a.link.index;
      const named = (from: Link, to: Namespace): boolean => from.peerNamespace === undefined || from.peerNamespace === to.name;
      if (a.ns.node === b.ns.node && mutual && named(a.link, b.ns) && named(b.link, a.ns)) pairs.push([end(a), end(b)]);
    }
  }
  return pairs;
}

function planNamespace(ns: Namespace, files: readonly CaptureFile[]): NamespacePlan {
  return {
    name: placeName({ node: ns.node, namespace: ns.name }),
    links: ns.links.map((l) => ({
      name: l.name,
      up: l.up,
      mtu: l.mtu,
      ...(l.kind !== undefined && { kind: l.kind }),
      ...(l.mac !== undefined && { mac: l.mac }),
      ...(l.master !== undefined && { master: l.master }),
    })),
    addresses: ns.addresses.map(planAddress),
    routes: ns.routes.filter((r) => r.table !== 'local' && r.proto !== 'kernel' && r.type !== 'multicast').map(planRoute),
    rules: planRules(ns.rules.filter((r) => r.family === 4)),
    rules6: planRules(ns.rules.filter((r) => r.family === 6)),
    neighbours: ns.neighbours
      .filter((n) => n.state === 'PERMANENT' && n.mac !== undefined)
      .map((n) => `${formatAddr(n.addr)} lladdr ${n.mac ?? ''} dev ${n.device} nud permanent`),
    sysctls: planSysctls(ns),
    ...planRulesets(files),
  };
}

function planAddress(a: InterfaceAddress): NonNullable<NamespacePlan['addresses']>[number] {
  return {
    device: a.device,
    address: a.peer === undefined ? `${formatAddr(a.addr)}/${a.length}` : formatAddr(a.addr),
    scope: a.scope,
    ...(a.peer !== undefined && { peer: `${formatAddr(a.peer)}/${a.length}` }),
    ...(a.broadcast !== undefined && { broadcast: formatAddr(a.broadcast) }),
  };
}

function planRoute(r: Route): string {
  const words = [...(r.family === 6 ? ['-6'] : []), ...(r.type === 'unicast' ? [] : [r.type])];
  words.push(r.to.length === 0 ? 'default' : formatPrefix(r.to));
  const hops = r.nextHops.map((h) => [
    ...(h.via === undefined ? [] : ['via', ...(r.family === 4 && typeof h.via !== 'number' ? ['inet6'] : []), formatAddr(h.via)]),
    ...(h.device === undefined ? [] : ['dev', h.device]),
    ...(h.onlink ? ['onlink'] : []),
  ]);
  if (r.tos !== 0) words.push('tos', String(r.tos));
  if (r.metric !== 0) words.push('metric', String(r.metric));
  words.push('table', r.table);
  if (r.scope !== undefined && r.family === 4) words.push('scope', r.scope);
  if (r.src !== undefined) words.push('src', formatAddr(r.src));
  if (r.mtu !== undefined) words.push('mtu', String(r.mtu));
  if (hops.length === 1) words.push(...(hops[0] ?? []));
  else for (const [i, hop] of hops.entries()) words.push('nexthop', ...hop, 'weight', String(r.nextHops[i]?.weight ?? 1));
  return words.join(' ');
}

/** Nothing where only the kernel's own rules are there. */
function planRules(rules: readonly RoutingRule[]): string[] {
  const usual = rules.every((r) => [0, 32766, 32767].includes(r.priority) && r.action === 'lookup' && !r.from && !r.to && !r.mark && !r.iif);
  if (usual) return [];
  return rules.filter((r) => !(r.priority === 0 && r.table === 'local')).map((r) => `priority ${r.text.replace(/^(\d+):\s*/, '$1 ')}`);
}

const DECISIVE =
  /^net\.(ipv4\.(ip_forward|ip_nonlocal_bind|ip_default_ttl|fwmark_reflect|icmp_echo_ignore_all|fib_multipath_hash_policy|conf\.(.+)\.(forwarding|rp_filter|accept_local|route_localnet|proxy_arp|proxy_arp_pvlan|arp_ignore|arp_announce|arp_filter|src_valid_mark|send_redirects)|neigh\.(.+)\.proxy_delay)|ipv6\.conf\.(.+)\.(forwarding|disable_ipv6|proxy_ndp)|bridge\.bridge-nf-call-\w+|netfilter\.nf_conntrack_tcp_(loose|be_liberal))$/;

/** The settings that decide about packets, those of all devices first: writing them changes the others. */
function planSysctls(ns: Namespace): [string, string][] {
  const rank = (key: string): number => (key.endsWith('ip_forward') ? 0 : key.includes('.all.') ? 1 : key.includes('.default.') ? 2 : 3);
  const devices = new Set([...ns.links.map((l) => l.name), 'all', 'default']);
  return Object.entries(ns.sysctls)
    .flatMap(([key, { value }]): { key: string; path: string; value: string }[] => {
      // `net.ipv4.conf.eth0/100.rp_filter` is of eth0.100; the reader also keeps it with dots alone, which has no path.
      const found = DECISIVE.exec(key);
      const device = found?.[3] ?? found?.[5] ?? found?.[6];
      if (!found || (device !== undefined && !devices.has(device.replaceAll('/', '.')))) return [];
      if (device?.includes('.')) return [];
      return [{ key, path: key.replace(/[./]/g, (c) => (c === '.' ? '/' : '.')), value }];
    })
    .toSorted((a, b) => rank(a.key) - rank(b.key))
    .map(({ path, value }) => [path, value]);
}

function planRulesets(files: readonly CaptureFile[]): Pick<NamespacePlan, 'legacy' | 'legacy6' | 'nft' | 'nft6' | 'ipset' | 'nftables'> {
  const texts: Record<string, string> = {};
  const usesNft = files.some((f) => recognise(f.path, f.text).kind === 'version' && f.text.includes('nf_tables'));
  for (const f of files) {
    const as = recognise(f.path, f.text);
    if (as.kind === 'ipset-save') texts['ipset'] = f.text;
    if (as.kind === 'iptables-save' && as.format === 'text') {
      const key = `${as.backend ?? (usesNft ? 'nft' : 'legacy')}${as.family === 6 ? '6' : ''}`;
      texts[key] = f.text;
    }
  }
  // `nft list ruleset` shows the tables of iptables-nft once more; only where they were not captured otherwise is it all there is.
  const nft = files.find((f) => recognise(f.path, f.text).kind === 'nft' && recognise(f.path, f.text).format === 'text');
  if (nft && texts['nft'] === undefined && texts['nft6'] === undefined) texts['nftables'] = nft.text;
  return texts;
}

/** What the kernel did with a question's packet. */
export interface Replay {
  /** delivered and left are told apart by whether a captured namespace got it. */
  readonly fate: Pass['end'] | 'not sent';
  /** The last namespace that saw it. */
  readonly at: string;
  /** The rule or policy that dropped it. */
  readonly by?: Place;
  /** `ADDR:PORT` as the last namespace saw or sent it. */
  readonly seen: { readonly src: string; readonly dst: string };
  /** Whether source or destination were rewritten on the way. What the kernel drops after the last rule it asked may have been rewritten unseen. */
  readonly translated: { readonly src: boolean; readonly dst: boolean };
  /** The rules that matched, namespace after namespace. */
  readonly rules: readonly { readonly namespace: string; readonly rules: readonly Place[] }[];
  /** Whether an answer of the receiver came back to the sender, from where the packet was sent to. */
  readonly replied: boolean;
  /** What netwhy may call the end of the packet; several where the kernel says nothing about why. */
  readonly outcome: readonly OutcomeKind[];
  /** The same of the answer, where there was one. */
  readonly reply?: readonly OutcomeKind[];
  readonly observation: Observation;
}

/** A scenario that stands on the kernel and can be asked. */
export interface StandingScenario extends LoadedScenario {
  readonly network: Network;
  /** What could not be built as captured. */
  readonly notes: readonly string[];
  /** The question as netwhy understands it. */
  understand(question: ScenarioQuestion): Question;
  replay(question: ScenarioQuestion): Promise<Replay>;
  close(): Promise<void>;
}

/** Builds a scenario's network: with its own build.sh where it has one, else from its captures. The caller closes it. */
export async function openScenario(folder: string): Promise<StandingScenario> {
  const loaded = loadScenario(folder);
  const script = join(folder, 'build.sh');
  const plan = planOf(loaded);
  const ports = listeningPorts(plan, loaded.world);
  const understand = (question: ScenarioQuestion): Question => {
    const asked = ask(loaded.world, requestOf(question));
    if (isMisunderstood(asked)) throw new Error(`${question.name}: ${asked.error}`);
    return asked.question;
  };
  const inGuest = takesGuest(folder);
  const shots = (loaded.scenario.questions ?? []).map((question) => shotOf(understand(question), ports));
  const network = inGuest ? await openGuestNetwork(script, shots) : openNetwork();
  try {
    const notes: readonly string[] = inGuest ? [] : existsSync(script) ? (await network.adopt(script), []) : (await network.build(plan)).notes;
    const replay = async (question: ScenarioQuestion): Promise<Replay> => {
      const shot = shotOf(understand(question), ports);
      return judge(shot, await network.send(shot));
    };
    return { ...loaded, network, notes, understand, replay, close: () => network.close() };
  } catch (error) {
    await network.close();
    throw error;
  }
}

/** One question of one scenario, from nothing to nothing. */
export async function replay(folder: string, question: ScenarioQuestion): Promise<Replay> {
  const standing = await openScenario(folder);
  try {
    return await standing.replay(question);
  } finally {
    await standing.close();
  }
}

/** Every port that a rule or a virtual server may send to is answered on, so that a translated packet finds somebody. */
function listeningPorts(plan: NetworkPlan, world: World): number[] {
  const texts = plan.namespaces.flatMap((n) => [n.legacy, n.legacy6, n.nft, n.nft6, n.nftables]).join('\n');
  const found = [...texts.matchAll(/(?:--to-destination \S*?:|--to-ports |dnat to \S+?:)(\d+)\b/g)].map((m) => Number(m[1]));
  const served = world.namespaces.flatMap((ns) => ns.ipvs?.services.flatMap((s) => s.servers.map((r) => r.port)) ?? []);
  return [...new Set([...found, ...served])];
}

function shotOf(q: Question, ports: readonly number[]): Shot {
  const p = q.packet;
  if (q.arrives && q.device === undefined) throw new Error('the packet arrives on a device that is not known');
  const listen = [...new Set([...ports, ...(p.dport === undefined ? [] : [p.dport])])];
  return {
    namespace: placeName(q),
    dst: formatAddr(p.dst),
    proto: p.proto,
    ...(q.boundSource && { src: formatAddr(p.src) }),
    ...(q.arrives && { device: q.device ?? '' }),
    ...(p.dport !== undefined && { dport: p.dport }),
    ...(p.mark !== 0 && { mark: p.mark }),
    ...(p.uid !== undefined && { uid: p.uid }),
    ...(p.flags !== undefined && p.flags !== 2 && { flags: p.flags }),
    ...((p.proto === ICMP || p.proto === ICMPV6) && p.icmp && { type: p.icmp.type, code: p.icmp.code }),
    listen: { ...(p.proto === TCP && { tcp: listen }), ...(p.proto === UDP && { udp: listen }), ...(p.proto === SCTP && { sctp: listen }) },
  };
}

function judge(shot: Shot, observation: Observation): Replay {
  const requests = observation.requests.filter((p) => !p.outer);
  const replies = observation.replies.filter((p) => !p.outer);
  const first = requests[0];
  const last = requests.at(-1);
  const rules = observation.requests.map(({ namespace, rules: matched }) => ({ namespace, rules: matched }));
  if (!first || !last) {
    const nowhere = { src: '', dst: '' };
    const translated = { src: false, dst: false };
    return { fate: 'not sent', at: shot.namespace, seen: nowhere, translated, rules, replied: false, outcome: unsent(observation), observation };
  }
  const end = last.arrived ?? last.left ?? last.seen;
  const port = (addr: string, n: number | undefined): string => (n === undefined ? addr : addr.includes(':') ? `[${addr}]:${n}` : `${addr}:${n}`);
  const seen = { src: port(end.src, end.sport), dst: port(end.dst, end.dport) };
  const answers = (p: Pass): boolean => p.arrived?.src === first.entered.dst && p.arrived.sport === first.entered.dport;
  const replied =
    replies.some((p) => p.end === 'delivered' && p.namespace === shot.namespace && answers(p)) ||
    (shot.device !== undefined && replies.some((p) => p.oif === shot.device));
  const way = endOfWay(observation.requests, observation);
  return {
    fate: last.end,
    at: last.namespace,
    ...(last.by && { by: last.by }),
    seen,
    translated: { src: seen.src !== port(first.entered.src, first.entered.sport), dst: seen.dst !== port(first.entered.dst, first.entered.dport) },
    rules,
    replied,
    outcome: last.end === 'delivered' && !replied ? ['reply-lost'] : way,
    ...(replies.length > 0 && {
      reply: replies.at(-1)?.end === 'delivered' && !replied ? ['reply-lost'] : endOfWay(observation.replies, observation),
    }),
    observation,
  };
}

/** What a socket's error tells of a packet that no hook saw. */
function unsent({ socket }: Observation): readonly OutcomeKind[] {
  if (socket === 'ENETUNREACH' || socket === 'EHOSTUNREACH') return ['no-route'];
  if (socket === 'EACCES') return ['prohibited'];
  return socket === 'EINVAL' ? ['blackhole', 'no-route', 'martian'] : [];
}

/** The names that the end of a packet's last walk may have. */
function endOfWay(passes: readonly Pass[], { requests, replies, errors, counters, socket }: Observation): readonly OutcomeKind[] {
  const last = passes.findLast((p) => !p.outer);
  if (!last) return [];
  const complained = errors.find((p) => p.local && p.namespace === last.namespace)?.entered;
  const counted = (at: string, counter: RegExp): boolean => Object.entries(counters?.[at] ?? {}).some(([name, n]) => counter.test(name) && n > 0);
  switch (last.end) {
    case 'delivered':
      return ['delivered'];
    case 'dropped': {
      const reset = replies.some((p) => p.local && p.namespace === last.namespace) && !requests.some((p) => p.end === 'delivered');
      return complained !== undefined || reset ? ['rejected'] : ['dropped'];
    }
    case 'left': {
      // Behind a tunnel only its other end can have seen the frame, on a wire everybody.
      const seers = passes.at(-1)?.outer ? [passes.at(-1)?.namespace ?? ''] : Object.keys(counters ?? {});
      if (seers.some((at) => at !== last.namespace && counted(at, /^otherhost /))) return ['not-for-us'];
      // Dropped: by the wire, if it denies something.
      return complained !== undefined || socket === 'EHOSTUNREACH' ? ['no-neighbour'] : ['left', 'no-neighbour', 'not-for-us', 'dropped'];
    }
    case 'gone':
      if (counted(last.namespace, /^InAddrErrors$/)) return ['not-forwarding'];
      if (counted(last.namespace, /NoRoutes$/)) return ['no-route'];
      if (counted(last.namespace, /^IPReversePathFilter$/)) return ['martian'];
      if (complained?.type === 11) return ['ttl-exceeded'];
      if (complained?.type === 3 && complained.code === 3) return ['no-server'];
      if (complained?.type === 3) return complained.code === 4 ? ['too-big'] : complained.code === 13 ? ['prohibited'] : ['no-route'];
      return ['martian', 'blackhole', 'dropped', 'not-for-us', 'loop'];
  }
}
