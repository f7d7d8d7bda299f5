// A scenario's nodes and wires, or a bundle's, as the world the engine walks in.
import { contains, formatAddr, isError, maskLength, networkOf, parseAddr, parseMasked, type Prefix } from '../net/addr.ts';
import { parseProtocol } from '../net/proto.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { Deny, InterfaceAddress, Link, Namespace, NextHop, Route, Sysctl, Wire, World } from '../model/host.ts';
import type { Denial, Scenario } from '../model/scenario.ts';
import { contradictions } from './contradiction.ts';
import { isLog, readLogs } from './logs.ts';
import type { ReadYaml } from './manifest.ts';
import { readNamespace, type CaptureFile, type FileReport } from './namespace.ts';
import { readRoutes } from './routes.ts';
import { isWitness, readWitness } from './witness.ts';

/** A world with what became of each file it was read from. */
export interface WorldReading {
  readonly world: World;
  readonly files: readonly FileReport[];
}

/** Where a value of the scenario file stands: line and column from 1. */
export type Locate = (path: readonly (string | number)[]) => Span;

/** Builds the world of a scenario from the files of its folder, paths relative to it. */
export function readScenarioWorld(scenario: Scenario, files: readonly CaptureFile[], locate: Locate, readYaml?: ReadYaml): WorldReading {
  const namespaces: Namespace[] = [];
  const findings: Finding[] = [];
  const readings: (readonly Finding[])[] = [findings];
  const reports: FileReport[] = [];
  const records = files.filter(isWitness);
  const add = (folder: string, node: string, name: string, at: Span): void => {
    const inside = files.filter((f) => isDirectlyIn(f.path, folder));
    if (inside.length === 0) {
      findings.push({
        severity: 'error',
        code: 'no-captures',
        message: `the folder ${folder} of ${name ? `${node}/${name}` : node} holds no file`,
        at,
      });
    }
    const reading = readNamespace(
      inside.filter((f) => !records.includes(f) && !isLog(f)),
      node,
      name,
    );
    namespaces.push(reading.namespace);
    readings.push(reading.findings);
    reports.push(...reading.files);
  };
  for (const [node, about] of Object.entries(scenario.nodes)) {
    if ('capture' in about) {
      add(about.capture, node, '', locate(['nodes', node, 'capture']));
      for (const [name, folder] of Object.entries(about.namespaces ?? {})) add(folder, node, name, locate(['nodes', node, 'namespaces', name]));
    } else {
      const stub = readStub(node, about, locate);
      namespaces.push(stub.namespace);
      findings.push(...stub.findings);
    }
  }
  const wires: Wire[] = [];
  for (const [name, about] of Object.entries(scenario.wires ?? {})) {
    const [links, path] = Array.isArray(about) ? [about, []] : [about.links, ['links']];
    const ends = links.flatMap((end, i) => readEnd(end, namespaces, findings, locate(['wires', name, ...path, i])));
    const denials = Array.isArray(about) ? [] : (about.deny ?? []);
    const deny = denials.flatMap((d, i) => readDenial(d, findings, locate(['wires', name, 'deny', i])));
    wires.push({ name, ends, ...(deny.length > 0 && { deny }) });
  }
  const nodes = Object.entries(scenario.nodes);
  const nodeOf = (path: string): string | undefined => nodes.find(([, about]) => 'capture' in about && isDirectlyIn(path, about.capture))?.[0];
  const cluster = readWitness(records, nodeOf, readYaml);
  findings.push(...cluster.findings, ...(cluster.witness ? contradictions(namespaces, cluster.witness) : []));
  // a log may lie deeper in its node's folder
  const folders = nodes.flatMap(([node, about]) => ('capture' in about ? [{ node, folder: `${tidy(about.capture)}/` }] : []));
  const logs = readLogs(files, {
    nodeOf: (path) => nodeOf(path) ?? folders.find(({ folder }) => folder !== '/' && path.startsWith(folder))?.node,
    namespaces,
    witness: cluster.witness,
  });
  findings.push(...logs.findings);
  reports.push(...cluster.files, ...logs.files);
  findings.push(...sharedAddresses(namespaces, wires));
  const world: World = {
    namespaces,
    wires,
    ...(cluster.witness && { witness: cluster.witness }),
    ...(logs.evidence.length > 0 && { evidence: logs.evidence }),
    get findings() {
      return readings.flat();
    },
  };
  return { world, files: reports };
}

/** Addresses that two hosts on one wire both have. */
function sharedAddresses(namespaces: readonly Namespace[], wires: readonly Wire[]): Finding[] {
  const out: Finding[] = [];
  for (const wire of wires) {
    const seen = new Map<string, { readonly host: Namespace; readonly address: InterfaceAddress }>();
    for (const end of wire.ends) {
      const host = namespaces.find((n) => n.node === end.node && n.name === end.namespace);
      const master = host?.links.find((l) => l.name === end.device)?.master;
      for (const address of host?.addresses ?? []) {
        if (address.scope !== 'global' || (address.device !== end.device && address.device !== master)) continue;
        const text = formatAddr(address.addr);
        const first = seen.get(text);
        if (!first) seen.set(text, { host: host!, address });
        else if (first.host !== host) {
          const other = `${first.address.at.file}:${first.address.at.line}`;
          out.push({
            severity: 'warning',
            code: 'shared-address',
            message: `${text} is an address of ${end.node} (${address.device}) and of ${first.host.node} (${first.address.device}, ${other}), both on the wire ${wire.name}`,
            at: address.at,
            hint: 'one of the two must give it up: who answers ARP first gets the packets',
          });
        }
      }
    }
  }
  return out;
}

function isDirectlyIn(path: string, folder: string): boolean {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) === tidy(folder);
}

function tidy(folder: string): string {
  return folder.replace(/^\.\//, '').replace(/\/+$/, '');
}

function readEnd(text: string, namespaces: readonly Namespace[], findings: Finding[], at: Span): Wire['ends'][number][] {
  const [node = '', ...rest] = text.split('/');
  const device = rest.pop() ?? '';
  const namespace = rest.join('/');
  const found = namespaces.find((n) => n.node === node && n.name === namespace);
  if (found?.links.some((l) => l.name === device)) return [{ node, namespace, device }];
  const message = found
    ? `${node}${namespace && `/${namespace}`} has no interface ${device}`
    : `there is no ${node}${namespace && `/${namespace}`} among the nodes`;
  findings.push({
    severity: 'error',
    code: 'no-such-interface',
    message: `wire end '${text}': ${message}`,
    at,
    hint: 'write NODE/IFACE or NODE/NAMESPACE/IFACE',
  });
  return [];
}

/** What a wire does not carry; one that cannot be read denies nothing, and says so. */
function readDenial(d: Denial, findings: Finding[], at: Span): Deny[] {
  const bad = (message: string, hint: string): Deny[] => {
    findings.push({ severity: 'error', code: 'bad-denial', message, at, hint });
    return [];
  };
  // who filters tunnels says ipip and means protocol 4, which /etc/protocols calls ipencap
  const proto = d.proto === undefined ? undefined : d.proto === 'ipip' ? 4 : typeof d.proto === 'number' ? d.proto : parseProtocol(d.proto);
  if (d.proto !== undefined && proto === undefined) return bad(`'${d.proto}' is not a protocol`, 'tcp, udp, ipip, icmp, ... or a number');
  const read = { from: readNetwork(d.from), to: readNetwork(d.to), sport: readPorts(d.sport), dport: readPorts(d.dport) };
  if (read.from === null || read.to === null) return bad(`'${String(read.from === null ? d.from : d.to)}' is not a network`, 'ADDR or ADDR/LENGTH');
  if (read.sport === null || read.dport === null)
    return bad(`'${String(read.sport === null ? d.sport : d.dport)}' are not ports`, 'PORT or PORT-PORT');
  const { from, to, sport, dport } = read;
  const text = `deny ${Object.entries(d)
    .map(([k, v]) => `${k} ${v}`)
    .join(', ')}`;
  return [
    { text, at, ...(proto !== undefined && { proto }), ...(from && { from }), ...(to && { to }), ...(sport && { sport }), ...(dport && { dport }) },
  ];
}

function readNetwork(text: string | undefined): Prefix | undefined | null {
  if (text === undefined) return undefined;
  const m = parseMasked(text);
  const length = isError(m) ? undefined : maskLength(m.mask);
  return isError(m) || length === undefined ? null : { addr: m.addr, length };
}

function readPorts(text: string | number | undefined): readonly [number, number] | undefined | null {
  if (text === undefined) return undefined;
  const m = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(text));
  const [lo, hi] = m ? [Number(m[1]), Number(m[2] ?? m[1])] : [1, 0];
  return lo <= hi && hi <= 65535 ? [lo, hi] : null;
}

/** A host of which only addresses and routes are told: it forwards, filters nothing and translates nothing. */
function readStub(
  node: string,
  about: { readonly addresses: readonly string[]; readonly routes?: readonly string[] | undefined },
  locate: Locate,
): { namespace: Namespace; findings: Finding[] } {
  const findings: Finding[] = [];
  const addresses: InterfaceAddress[] = [];
  const routes: Route[] = [];
  for (const [i, text] of about.addresses.entries()) {
    const at = locate(['nodes', node, 'addresses', i]);
    const match = /^(\S+?)\/(\d+)(?:\s+dev\s+(\S+))?$/.exec(text.trim());
    const addr = match && parseAddr(match[1]!);
    if (!match || addr === null || isError(addr)) {
      findings.push({
        severity: 'error',
        code: 'bad-address',
        message: `'${text}' is not ADDR/LENGTH [dev NAME]`,
        at,
        hint: 'write for example 192.168.21.1/24 dev eth0',
      });
      continue;
    }
    addresses.push({ device: match[3] ?? 'eth0', addr, length: Number(match[2]), scope: 'global', secondary: false, at });
  }
  for (const [i, text] of (about.routes ?? []).entries()) {
    const at = locate(['nodes', node, 'routes', i]);
    const read = readRoutes(text, at.file);
    findings.push(...read.findings.map((f) => ({ ...f, at })));
    for (const r of read.routes) {
      const nextHops = r.nextHops.map((h) => withDevice(h, addresses));
      if (nextHops.some((h) => h.device === undefined) && r.type === 'unicast')
        findings.push({
          severity: 'error',
          code: 'bad-address',
          message: `'${text}': no address of ${node} is in the network of its next hop`,
          at,
          hint: 'add dev NAME, or an address',
        });
      routes.push({ ...r, nextHops, at });
    }
  }
  const devices = [...new Set(['lo', ...addresses.map((a) => a.device)])];
  const links = devices.map((name, i): Link => ({ index: i + 1, name, up: true, mtu: name === 'lo' ? 65536 : 1500, at: locate(['nodes', node]) }));
  const on: Sysctl = { value: '1', at: locate(['nodes', node]) };
  const namespace: Namespace = {
    node,
    name: '',
    stub: true,
    captured: { addresses: [locate(['nodes', node]).file] },
    tables: [],
    sets: {},
    links,
    addresses,
    routes,
    rules: [],
    neighbours: [],
    fdb: [],
    sysctls: { 'net.ipv4.ip_forward': on, 'net.ipv6.conf.all.forwarding': on },
    conntrack: [],
  };
  return { namespace, findings };
}

/** The device that a next hop is on, as the kernel finds it when a route is added without one. */
function withDevice(hop: NextHop, addresses: readonly InterfaceAddress[]): NextHop {
  if (hop.device !== undefined || hop.via === undefined) return hop;
  const { via } = hop;
  const near = addresses.find((a) => contains(networkOf(a), via));
  return near ? { ...hop, device: near.device } : hop;
}
