// Where the captured rules of kube-proxy send a service, against the endpoints that the cluster records for it.
import { asPrefix, familyOf, formatAddr, formatEndpoint, type Addr } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { Pred, Rule, Table } from '../model/ruleset.ts';
import type { EndpointRecord, EndpointsRecord, ServicePort, ServiceRecord } from '../model/witness.ts';
import { contradiction, where, type Cluster } from './cluster.ts';

/** Endpoints of one port of a service, by `ADDR:PORT`. */
type Targets = ReadonlyMap<string, { readonly state: EndpointRecord['state']; readonly at: Span }>;

/** What KUBE-SERVICES does about one address and port: its first rule, and everything that follows from it. */
interface Programmed {
  readonly rule: Rule;
  readonly targets: Map<string, Span>;
}

const MOST = 3;

/** Services that a node's rules send elsewhere than to their endpoints, or not at all. */
export function programmedEndpoints(cluster: Cluster): Finding[] {
  const { services, endpoints } = cluster.witness;
  if (services.length === 0 || endpoints.length === 0) return [];
  const recorded = new Map<string, EndpointsRecord[]>();
  for (const e of endpoints) {
    const key = `${e.namespace}/${e.service}`;
    recorded.set(key, [...(recorded.get(key) ?? []), e]);
  }
  return cluster.roots.flatMap((ns) =>
    ns.tables.flatMap((table) => {
      // in IPVS mode KUBE-SERVICES translates nothing
      const isIptablesMode =
        table.name === 'nat' && table.chains['KUBE-SERVICES'] && Object.keys(table.chains).some((c) => c.startsWith('KUBE-SVC-'));
      if (!isIptablesMode) return [];
      const programmed = programmedIn(table);
      return services.flatMap((service) => {
        const records = recorded.get(`${service.namespace}/${service.name}`) ?? [];
        const slices = records.filter((r) => r.kind === 'EndpointSlice');
        const counted = slices.length > 0 ? slices : records;
        if (counted.length === 0) return [];
        return service.clusterIps
          .filter((ip) => familyOf(ip.addr) === table.family)
          .flatMap((ip) => service.ports.flatMap((port) => compare(ns.node, table, programmed, service, port, ip.addr, counted)));
      });
    }),
  );
}

function compare(
  node: string,
  table: Table,
  programmed: ReadonlyMap<string, Programmed>,
  service: ServiceRecord,
  port: ServicePort,
  addr: Addr,
  records: readonly EndpointsRecord[],
): Finding[] {
  const targets = targetsOf(records, port, table.family);
  const ready = [...targets].filter(([, t]) => t.state === 'ready');
  const done = programmed.get(`${formatAddr(addr)} ${port.proto} ${port.port}`);
  const name = `svc ${service.namespace}/${service.name}${port.name === undefined ? '' : `:${port.name}`} (${formatEndpoint(addr, port.port)})`;
  const about = [asPrefix(addr)];
  const hint = `see whether kube-proxy on ${node} runs, and what its log says`;
  if (!done || done.targets.size === 0) {
    if (ready.length === 0 || service.nodeLocal) return [];
    const at = done?.rule.at ?? table.chains['KUBE-SERVICES']!.at;
    const message = `no rule of ${node} sends ${name} anywhere, and it has ${ready.length === 1 ? 'an endpoint' : `${ready.length} endpoints`}: ${list(ready.map(([key, t]) => `${key} (${where(t.at)})`))}`;
    return [contradiction('service-not-programmed', message, at, { hint, about })];
  }
  const found: Finding[] = [];
  // what terminates may get new connections while no other endpoint is ready, and the two dumps were not made in one moment
  const stale = [...done.targets].filter(([key]) => (targets.get(key)?.state ?? 'not-ready') === 'not-ready');
  if (stale.length > 0) {
    const [[key, at]] = stale as [[string, Span]];
    const known = targets.get(key);
    const why = known ? `not ready (${where(known.at)})` : `none of its endpoints (${where(records[0]!.at)})`;
    const message = `the rules of ${node} send ${name} to ${list(stale.map(([k]) => k))}: ${stale.length === 1 ? `that is ${why}` : `the first is ${why}`}`;
    found.push(contradiction('endpoints-differ', message, at, { hint, about }));
  }
  const partial = service.nodeLocal || records.some((r) => r.partial);
  const missing = partial ? [] : ready.filter(([key]) => !done.targets.has(key));
  if (missing.length > 0) {
    const message = `the rules of ${node} never send ${name} to ${list(missing.map(([key, t]) => `${key} (${where(t.at)})`))}, ready though ${missing.length === 1 ? 'it is' : 'they are'}`;
    found.push(contradiction('endpoints-differ', message, done.rule.at, { hint, about }));
  }
  return found;
}

function list(names: readonly string[]): string {
  return names.length <= MOST ? names.join(', ') : `${names.slice(0, MOST).join(', ')} and ${names.length - MOST} more`;
}

function targetsOf(records: readonly EndpointsRecord[], port: ServicePort, family: Table['family']): Targets {
  const out = new Map<string, { state: EndpointRecord['state']; at: Span }>();
  for (const r of records)
    for (const p of r.ports)
      if (p.name === port.name && p.proto === port.proto)
        for (const e of r.endpoints) {
          const key = formatEndpoint(e.addr, p.port);
          // one that terminates may be told twice while its pod is replaced
          if (familyOf(e.addr) === family && out.get(key)?.state !== 'ready') out.set(key, { state: e.state, at: e.at });
        }
  return out;
}

/** Everything that KUBE-SERVICES translates, by `ADDR PROTO PORT`. */
function programmedIn(table: Table): Map<string, Programmed> {
  const out = new Map<string, Programmed>();
  for (const rule of table.chains['KUBE-SERVICES']?.rules ?? []) {
    const key = destinationOf(rule.match);
    if (key === undefined) continue;
    const done = out.get(key) ?? { rule, targets: new Map<string, Span>() };
    follow(table, rule, done.targets, new Set());
    out.set(key, done);
  }
  return out;
}

function follow(table: Table, rule: Rule, targets: Map<string, Span>, seen: Set<string>): void {
  for (const s of rule.then) {
    if (s.kind === 'dnat' && s.addrs) targets.set(formatEndpoint(s.addrs[0], s.ports?.[0]), rule.at);
    if ((s.kind !== 'jump' && s.kind !== 'goto') || seen.has(s.chain)) continue;
    seen.add(s.chain);
    for (const next of table.chains[s.chain]?.rules ?? []) follow(table, next, targets, seen);
  }
}

/** `ADDR PROTO PORT` of a rule for one destination. */
function destinationOf(match: Pred): string | undefined {
  const parts = match.kind === 'all' ? match.of : [match];
  const value = (field: string): Addr | undefined => {
    for (const p of parts) if (p.kind === 'in' && p.field === field && p.ranges.length === 1) return p.ranges[0]![0] as Addr;
    return undefined;
  };
  const isHost = parts.some(
    (p) => p.kind === 'in' && p.field === 'dst' && p.ranges.length === 1 && String(p.ranges[0]![0]) === String(p.ranges[0]![1]),
  );
  const [dst, proto, port] = [value('dst'), value('proto'), value('dport')];
  return isHost && dst !== undefined && proto !== undefined && port !== undefined ? `${formatAddr(dst)} ${Number(proto)} ${Number(port)}` : undefined;
}
