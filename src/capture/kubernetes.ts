// `kubectl get ... -o json` and `-o yaml`: nodes, pods, services with their endpoints, and Calico's pools.
import * as z from 'zod';
import { isError, parseAddr, parsePrefix } from '../net/addr.ts';
import { parseProtocol, TCP } from '../net/proto.ts';
import type { Finding, Span } from '../model/finding.ts';
import type {
  EndpointRecord,
  EndpointsRecord,
  FlannelNetwork,
  LeaseRecord,
  NodeRecord,
  PodRecord,
  PoolRecord,
  ServiceRecord,
  Witness,
  WitnessedAddr,
  WitnessedPrefix,
} from '../model/witness.ts';
import { readLease, readNetworkConfig } from './flannel.ts';
import { readManifests, type Manifest, type ReadYaml } from './manifest.ts';

/** What a dump of Kubernetes objects says, and how many objects of other kinds it holds. */
export interface KubernetesReading extends Omit<Witness, 'subnetFiles'> {
  readonly findings: readonly Finding[];
}

const List = <T extends z.ZodType>(of: T) => z.array(of).nullish();
const Texts = z.record(z.string(), z.string()).nullish();
const Metadata = z.looseObject({ name: z.string(), namespace: z.string().nullish(), labels: Texts, annotations: Texts });
const Ip = z.looseObject({ ip: z.string().nullish() });
const PortName = { name: z.string().nullish(), protocol: z.string().nullish() };

const Node = z.looseObject({
  metadata: Metadata,
  spec: z.looseObject({ podCIDR: z.string().nullish(), podCIDRs: List(z.string()) }).nullish(),
  status: z.looseObject({ addresses: List(z.looseObject({ type: z.string(), address: z.string() })) }).nullish(),
});
const Pod = z.looseObject({
  metadata: Metadata,
  spec: z.looseObject({ nodeName: z.string().nullish(), hostNetwork: z.boolean().nullish() }).nullish(),
  status: z.looseObject({ phase: z.string().nullish(), podIP: z.string().nullish(), podIPs: List(Ip) }).nullish(),
});
const Service = z.looseObject({
  metadata: Metadata,
  spec: z.looseObject({
    type: z.string().nullish(),
    clusterIP: z.string().nullish(),
    clusterIPs: List(z.string()),
    externalIPs: List(z.string()),
    internalTrafficPolicy: z.string().nullish(),
    ports: List(z.looseObject({ ...PortName, port: z.int(), nodePort: z.int().nullish(), targetPort: z.union([z.int(), z.string()]).nullish() })),
  }),
  status: z.looseObject({ loadBalancer: z.looseObject({ ingress: List(Ip) }).nullish() }).nullish(),
});
const EndpointSlice = z.looseObject({
  metadata: Metadata,
  addressType: z.string().nullish(),
  endpoints: List(
    z.looseObject({
      addresses: List(z.string()),
      conditions: z.looseObject({ ready: z.boolean().nullish(), serving: z.boolean().nullish(), terminating: z.boolean().nullish() }).nullish(),
      hints: z.looseObject({ forZones: List(z.unknown()), forNodes: List(z.unknown()) }).nullish(),
      nodeName: z.string().nullish(),
      targetRef: z.looseObject({ kind: z.string().nullish(), name: z.string().nullish() }).nullish(),
    }),
  ),
  ports: List(z.looseObject({ ...PortName, port: z.int().nullish() })),
});
const SubsetAddress = z.looseObject({
  ip: z.string(),
  nodeName: z.string().nullish(),
  targetRef: z.looseObject({ kind: z.string().nullish(), name: z.string().nullish() }).nullish(),
});
const Endpoints = z.looseObject({
  metadata: Metadata,
  subsets: List(
    z.looseObject({
      addresses: List(SubsetAddress),
      notReadyAddresses: List(SubsetAddress),
      ports: List(z.looseObject({ ...PortName, port: z.int() })),
    }),
  ),
});
const IPPool = z.looseObject({
  metadata: Metadata,
  spec: z.looseObject({
    cidr: z.string(),
    disabled: z.boolean().nullish(),
    natOutgoing: z.boolean().nullish(),
    ipipMode: z.string().nullish(),
    vxlanMode: z.string().nullish(),
  }),
});
const ConfigMap = z.looseObject({ metadata: Metadata, data: Texts });

const SCHEMAS = { Node, Pod, Service, EndpointSlice, Endpoints, IPPool, ConfigMap };
const WANTED: ReadonlySet<string> = new Set(Object.keys(SCHEMAS));

/** Reads a dump of Kubernetes objects; one in YAML only with a reader of YAML. */
export function readKubernetes(text: string, file: string, readYaml?: ReadYaml): KubernetesReading {
  const table = /^(?:NAMESPACE +)?NAME +[A-Z]/m.exec(text.slice(0, 4096));
  if (table && !/^\s*(?:[[{]|(?:- )?apiVersion:|kind:)/m.test(text.slice(0, 4096))) {
    const at: Span = { file, line: text.slice(0, table.index).split('\n').length };
    const message = 'the tables of kubectl leave out most of an object; nothing is read from them';
    return {
      ...new Reader().out,
      findings: [{ severity: 'warning', code: 'lossy-listing', message, at, hint: 'capture it with -o json or -o yaml' }],
    };
  }
  const { objects, ignored, findings } = readManifests(text, file, WANTED, readYaml);
  const reader = new Reader();
  for (const object of objects) reader.take(object);
  const kinds = [...ignored].map(([kind, n]) => `${n} ${kind}`).join(', ');
  const note: Finding = { severity: 'note', code: 'ignored-kinds', message: `objects that say nothing here: ${kinds}`, at: { file, line: 1 } };
  return { ...reader.out, findings: [...findings, ...reader.findings, ...(ignored.size > 0 ? [note] : [])] };
}

class Reader {
  readonly out = {
    nodes: [] as NodeRecord[],
    pods: [] as PodRecord[],
    services: [] as ServiceRecord[],
    endpoints: [] as EndpointsRecord[],
    pools: [] as PoolRecord[],
    leases: [] as LeaseRecord[],
    networks: [] as FlannelNetwork[],
  };
  readonly findings: Finding[] = [];

  /** Takes an object in, or says what about it does not fit its kind. */
  take(m: Manifest): void {
    switch (m.kind as keyof typeof SCHEMAS) {
      case 'Node':
        return this.read(m, Node, (v) => this.node(v, m));
      case 'Pod':
        return this.read(m, Pod, (v) => this.pod(v, m));
      case 'Service':
        return this.read(m, Service, (v) => this.service(v, m));
      case 'EndpointSlice':
        return this.read(m, EndpointSlice, (v) => this.slice(v, m));
      case 'Endpoints':
        return this.read(m, Endpoints, (v) => this.subsets(v, m));
      case 'IPPool':
        return this.read(m, IPPool, (v) => this.pool(v, m));
      case 'ConfigMap':
        return this.read(m, ConfigMap, (v) => {
          const network = readNetworkConfig(v.data?.['net-conf.json'] ?? '', m.find('net-conf.json'));
          if (network) this.out.networks.push(network);
        });
    }
  }

  private read<T>(m: Manifest, schema: z.ZodType<T>, use: (value: T) => void): void {
    const read = schema.safeParse(m.value);
    if (read.success) return use(read.data);
    const issue = read.error.issues[0];
    const where = issue?.path.length ? ` at '${issue.path.join('.')}'` : '';
    this.report('unexpected-object', `this is not a ${m.kind}${where}: ${issue?.message ?? 'it does not fit'}`, m.at, m.line);
  }

  private report(code: string, message: string, at: Span, line?: string): void {
    this.findings.push({ severity: 'error', code, message, at, ...(line !== undefined && { line }) });
  }

  private addrs(m: Manifest, texts: readonly (string | null | undefined)[]): WitnessedAddr[] {
    return [...new Set(texts)].flatMap((text) => {
      if (!text || text === 'None') return [];
      const addr = parseAddr(text);
      const at = m.find(text);
      if (!isError(addr)) return [{ addr, at }];
      this.report('unreadable-address', addr.error, at);
      return [];
    });
  }

  private prefixes(m: Manifest, texts: readonly (string | null | undefined)[]): WitnessedPrefix[] {
    return [...new Set(texts)].flatMap((text) => {
      if (!text) return [];
      const prefix = parsePrefix(text);
      const at = m.find(text);
      if (!isError(prefix)) return [{ prefix, at }];
      this.report('unreadable-address', prefix.error, at);
      return [];
    });
  }

  private node(v: z.output<typeof Node>, m: Manifest): void {
    const internal = (v.status?.addresses ?? []).filter((a) => a.type === 'InternalIP').map((a) => a.address);
    const podCidrs = this.prefixes(m, [v.spec?.podCIDR, ...(v.spec?.podCIDRs ?? [])]);
    const { name } = v.metadata;
    this.out.nodes.push({ name, addresses: this.addrs(m, internal), podCidrs, at: m.at });
    const flannel = (key: string): string | undefined => v.metadata.annotations?.[`flannel.alpha.coreos.com/${key}`];
    const publicIp = flannel('public-ip');
    if (publicIp === undefined) return;
    const [cidr] = podCidrs.filter((p) => typeof p.prefix.addr === 'number');
    const data = flannel('backend-data');
    const at = m.find(/[0-9a-f]{2}(?::[0-9a-f]{2}){5}/i.exec(data ?? '')?.[0] ?? 'flannel.alpha.coreos.com/public-ip');
    let backendData: unknown;
    try {
      backendData = JSON.parse(data ?? 'null');
    } catch {
      this.report('unreadable-lease', 'flannel.alpha.coreos.com/backend-data is not JSON', m.find('flannel.alpha.coreos.com/backend-data'));
    }
    const lease = readLease({ PublicIP: publicIp, BackendType: flannel('backend-type'), BackendData: backendData }, 'annotations', at);
    if (typeof lease === 'string') this.report('unreadable-lease', lease, at);
    else this.out.leases.push({ ...lease, node: name, ...(cidr && { subnet: cidr.prefix }) });
  }

  private pod(v: z.output<typeof Pod>, m: Manifest): void {
    this.out.pods.push({
      ...nameOf(v.metadata),
      addresses: this.addrs(m, [v.status?.podIP, ...(v.status?.podIPs ?? []).map((p) => p.ip)]),
      ...(v.spec?.nodeName && { node: v.spec.nodeName }),
      hostNetwork: v.spec?.hostNetwork ?? false,
      finished: v.status?.phase === 'Succeeded' || v.status?.phase === 'Failed',
      at: m.at,
    });
  }

  private service(v: z.output<typeof Service>, m: Manifest): void {
    this.out.services.push({
      ...nameOf(v.metadata),
      type: v.spec.type ?? 'ClusterIP',
      clusterIps: this.addrs(m, [v.spec.clusterIP, ...(v.spec.clusterIPs ?? [])]),
      externalIps: this.addrs(m, v.spec.externalIPs ?? []),
      loadBalancerIps: this.addrs(
        m,
        (v.status?.loadBalancer?.ingress ?? []).map((i) => i.ip),
      ),
      ports: (v.spec.ports ?? []).map((p) => ({
        ...portOf(p),
        port: p.port,
        ...(p.nodePort && { nodePort: p.nodePort }),
        ...(p.targetPort !== null && p.targetPort !== undefined && { targetPort: p.targetPort }),
      })),
      nodeLocal: v.spec.internalTrafficPolicy === 'Local',
      at: m.at,
    });
  }

  private slice(v: z.output<typeof EndpointSlice>, m: Manifest): void {
    const service = v.metadata.labels?.['kubernetes.io/service-name'];
    if (service === undefined || v.addressType === 'FQDN') return;
    const endpoints = (v.endpoints ?? []).flatMap((e): EndpointRecord[] => {
      const { ready, serving, terminating } = e.conditions ?? {};
      const state = (ready ?? true) ? 'ready' : terminating === true && serving === true ? 'terminating' : 'not-ready';
      return this.addrs(m, e.addresses ?? []).map((a) => ({ ...a, state, ...behind(e) }));
    });
    this.out.endpoints.push({
      kind: 'EndpointSlice',
      namespace: v.metadata.namespace ?? 'default',
      service,
      endpoints,
      ports: (v.ports ?? []).map((p) => ({ ...portOf(p), ...(typeof p.port === 'number' && { port: p.port }) })),
      partial: (v.endpoints ?? []).some((e) => (e.hints?.forZones ?? e.hints?.forNodes ?? []).length > 0),
      at: m.at,
    });
  }

  private subsets(v: z.output<typeof Endpoints>, m: Manifest): void {
    const { namespace, name } = nameOf(v.metadata);
    const partial = v.metadata.annotations?.['endpoints.kubernetes.io/over-capacity'] !== undefined;
    for (const s of v.subsets ?? []) {
      const those = (list: typeof s.addresses, state: EndpointRecord['state']): EndpointRecord[] =>
        (list ?? []).flatMap((e) => this.addrs(m, [e.ip]).map((a) => ({ ...a, state, ...behind(e) })));
      this.out.endpoints.push({
        kind: 'Endpoints',
        namespace,
        service: name,
        endpoints: [...those(s.addresses, 'ready'), ...those(s.notReadyAddresses, 'not-ready')],
        ports: (s.ports ?? []).map((p) => ({ ...portOf(p), port: p.port })),
        partial,
        at: m.at,
      });
    }
  }

  private pool(v: z.output<typeof IPPool>, m: Manifest): void {
    const [cidr] = this.prefixes(m, [v.spec.cidr]);
    if (!cidr) return;
    this.out.pools.push({
      name: v.metadata.name,
      cidr: cidr.prefix,
      disabled: v.spec.disabled ?? false,
      natOutgoing: v.spec.natOutgoing ?? false,
      ipipMode: v.spec.ipipMode ?? 'Never',
      vxlanMode: v.spec.vxlanMode ?? 'Never',
      at: cidr.at,
    });
  }
}

function nameOf(metadata: z.output<typeof Metadata>): { namespace: string; name: string } {
  return { namespace: metadata.namespace ?? 'default', name: metadata.name };
}

function portOf(p: { readonly name?: string | null | undefined; readonly protocol?: string | null | undefined }): { name?: string; proto: number } {
  return { ...(p.name ? { name: p.name } : {}), proto: parseProtocol((p.protocol ?? 'TCP').toLowerCase()) ?? TCP };
}

function behind(e: {
  readonly nodeName?: string | null | undefined;
  readonly targetRef?: { readonly kind?: string | null | undefined; readonly name?: string | null | undefined } | null | undefined;
}): { pod?: string; node?: string } {
  const pod = e.targetRef?.kind === 'Pod' ? e.targetRef.name : undefined;
  return { ...(pod ? { pod } : {}), ...(e.nodeName ? { node: e.nodeName } : {}) };
}
