// A scenario's nodes and wires, or a bundle's, as the world the engine walks in.
import { and, contains, familyOf, isError, maskOf, parseAddr } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { InterfaceAddress, Link, Namespace, NextHop, Route, Sysctl, Wire, World } from '../model/host.ts';
import type { Scenario } from '../model/scenario.ts';
import { contradictions } from './contradiction.ts';
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
      inside.filter((f) => !records.includes(f)),
      node,
      name,
    );
    namespaces.push(reading.namespace);
    findings.push(...reading.findings);
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
  for (const [name, ends] of Object.entries(scenario.wires ?? {})) {
    wires.push({ name, ends: ends.flatMap((end, i) => readEnd(end, namespaces, findings, locate(['wires', name, i]))) });
  }
  const nodes = Object.entries(scenario.nodes);
  const nodeOf = (path: string): string | undefined => nodes.find(([, about]) => 'capture' in about && isDirectlyIn(path, about.capture))?.[0];
  const cluster = readWitness(records, nodeOf, readYaml);
  findings.push(...cluster.findings, ...(cluster.witness ? contradictions(namespaces, cluster.witness) : []));
  reports.push(...cluster.files);
  return { world: { namespaces, wires, findings, ...(cluster.witness && { witness: cluster.witness }) }, files: reports };
}

function isDirectlyIn(path: string, folder: string): boolean {
  const base = folder.replace(/^\.\//, '').replace(/\/+$/, '');
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) === base;
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
    sysctls: { 'net.ipv4.ip_forward': on, 'net.ipv6.conf.all.forwarding': on },
    conntrack: [],
  };
  return { namespace, findings };
}

/** The device that a next hop is on, as the kernel finds it when a route is added without one. */
function withDevice(hop: NextHop, addresses: readonly InterfaceAddress[]): NextHop {
  if (hop.device !== undefined || hop.via === undefined) return hop;
  const { via } = hop;
  const near = addresses.find((a) => contains({ addr: and(a.addr, maskOf(familyOf(a.addr), a.length)), length: a.length }, via));
  return near ? { ...hop, device: near.device } : hop;
}
