// The virtual servers of one network namespace and their connections, as one walk changes them. net/netfilter/ipvs/ip_vs_conn.c, ip_vs_ctl.c
import { and, equal, familyOf, formatAddr, formatEndpoint, isZeronet, prefixMask, type Addr, type Family } from '../net/addr.ts';
import { TCP } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { ForwardingMethod, IpvsConnection, IpvsEnd, RealServer, VirtualServer } from '../model/ipvs.ts';
import { NOT, type Choices, type Option } from './choice.ts';
import { place } from './routing.ts';

/** Protocol 0 stands for a firewall mark in a template. */
const IP = 0;
const FTP = 21;

/** Both ends of a packet, and its protocol. */
export interface Ends {
  readonly proto: number;
  readonly client: IpvsEnd;
  readonly virtual: IpvsEnd;
}

/** struct ip_vs_conn. */
export interface Balanced extends Ends {
  /** Address and port that its packets go to. */
  readonly server: IpvsEnd;
  /** How they go there; undefined when the server is no longer in the table and the listing does not tell. */
  readonly method: ForwardingMethod | undefined;
  /** The virtual server's own entry for it; undefined when it was taken out of the table. */
  readonly real?: RealServer;
  readonly service?: VirtualServer;
  /** It belongs to a template of persistence. */
  readonly controlled: boolean;
  /** conntrack keeps it, as net.ipv4.vs.conntrack was when it began (IP_VS_CONN_F_NFCT). */
  readonly tracked: boolean;
  /** Of a UDP service with `ops`: it is no entry at all, and no reply finds it. */
  readonly onePacket: boolean;
  /** As captured: ESTABLISHED, TIME_WAIT, ... */
  readonly state?: string;
  readonly expires?: number;
  readonly text?: string;
  readonly at?: Span;
}

/** Services and connections: the captured ones, and those that the walk has begun. */
export class IpvsTable {
  private readonly ns: Namespace;
  private readonly choices: Choices;
  private readonly begun: Balanced[] = [];
  private readonly gone = new Set<IpvsConnection>();
  private readonly index: Index;

  constructor(ns: Namespace, choices: Choices) {
    this.ns = ns;
    this.choices = choices;
    this.index = indexOf(ns);
  }

  /** ip_vs_service_find(): by mark, then by address and port, then for the data of FTP, then every port. */
  service(family: Family, mark: number, proto: number, to: IpvsEnd): VirtualServer | undefined {
    const marked = mark === 0 ? undefined : this.index.byMark.get(`${family} ${mark}`);
    if (marked) return marked;
    const at = (port: number): VirtualServer | undefined => this.index.byEnd.get(endKey(proto, { addr: to.addr, port }));
    const isData = proto === TCP && (to.port === FTP - 1 || to.port >= 1024);
    return at(to.port) ?? (isData ? at(FTP) : undefined) ?? at(0);
  }

  /** All services of an address. */
  servicesOf(addr: Addr): VirtualServer[] {
    return (this.ns.ipvs?.services ?? []).filter((s) => s.addr !== undefined && equal(s.addr, addr));
  }

  /** ip_vs_conn_in_get(): the connection of a packet from a client; `isOpen` where the client's end is not known, so that no captured one can be told. */
  of(ends: Ends, isOpen = false): Balanced | undefined {
    const mine = this.begun.find((c) => sameEnds(c, ends));
    if (mine || isOpen) return mine;
    const line = this.index.byEnds.get(endsKey(ends))?.find((c) => !this.gone.has(c));
    return line && this.open(line);
  }

  /** Reports whether a client has captured connections. */
  hasClient(addr: Addr): boolean {
    return this.ns.ipvs?.connections?.some((c) => !c.template && equal(c.client.addr, addr)) ?? false;
  }

  /** ip_vs_conn_out_get(): the connection of a packet from a real server to a client. */
  answering(proto: number, from: IpvsEnd, to: IpvsEnd): Balanced | undefined {
    const answers = (c: Balanced): boolean =>
      c.proto === proto &&
      sameEnd(c.client, to) &&
      // of a server that is gone nobody knows the method: one of the two is the packet's
      (c.method === undefined ? sameEnd(c.server, from) || sameEnd(c.virtual, from) : sameEnd(c.method === 'masq' ? c.server : c.virtual, from));
    const mine = this.begun.find(answers);
    if (mine) return mine;
    for (const line of this.index.byClient.get(endKey(proto, to)) ?? []) {
      const found = this.gone.has(line) ? undefined : this.open(line);
      if (found && answers(found)) return found;
    }
    return undefined;
  }

  /** ip_vs_ct_in_get(): what keeps a client with its server. */
  template(service: VirtualServer, proto: number, client: Addr, to: IpvsEnd): IpvsConnection | undefined {
    const key = templateKey(service, proto, client, to);
    return this.index.templates.get(key);
  }

  /** ip_vs_has_real_service(): whether an end is that of a real server which gets rewritten packets. */
  isServer(proto: number, end: IpvsEnd): boolean {
    return (this.ns.ipvs?.services ?? []).some(
      (s) => (s.mark !== undefined || s.proto === proto) && s.servers.some((r) => r.forwarding === 'masq' && sameEnd(r, end)),
    );
  }

  /** net.ipv4.vs.conntrack, off by default; kube-proxy turns it on, so that where no setting of IPVS was captured nobody knows. */
  isTracked(): boolean {
    const { sysctls } = this.ns;
    const found = sysctls['net.ipv4.vs.conntrack'];
    if (found || Object.keys(sysctls).some((key) => key.startsWith('net.ipv4.vs.'))) return Number(found?.value ?? 0) !== 0;
    const what = `net.ipv4.vs.conntrack is on in ${place(this.ns)} (it was not captured; kube-proxy turns it on)`;
    return this.choices.choose(`vs.conntrack:${place(this.ns)}`, [
      { value: true, what },
      { value: false, what: `${NOT}${what}` },
    ]);
  }

  begin(connection: Balanced): void {
    // ops entries are not hashed: ip_vs_conn_hash()
    if (!connection.onePacket) this.begun.push(connection);
  }

  /** ip_vs_conn_expire_now() */
  expire(connection: Balanced): void {
    const line = this.index.lines.get(connection.at === undefined ? '' : `${connection.at.file}:${connection.at.line}`);
    if (line) this.gone.add(line);
  }

  /** The server of a service that the entry at `at` names: ip_vs_lookup_dest(). A persistent service of every port, or of a mark, keeps the client's port: any server of the address may be it. */
  serverOf(service: VirtualServer | undefined, end: IpvsEnd, at: Span): RealServer | undefined {
    const here = service?.servers.filter((r) => equal(r.addr, end.addr)) ?? [];
    const exact = here.find((r) => r.port === end.port);
    const keepsPort = service?.persistence !== undefined && (service.mark !== undefined || service.port === 0);
    if (!keepsPort) return exact ?? here.find((r) => r.port === 0);
    if (here.length < 2) return here[0];
    const options = here.map((r) => ({ value: r, what: `the entry is of real server ${formatEndpoint(r.addr, r.port)}`, at: r.at }));
    return this.choices.choose(`ipvs:${at.file}:${at.line}`, options);
  }

  /** Of a service that is gone nobody knows the mask of its templates: one that fits under some mask tells. */
  private isControlled({ proto, client, virtual }: IpvsConnection): boolean {
    const lengths = Array.from({ length: familyOf(client.addr) === 4 ? 33 : 129 }, (_, n) => n);
    return [...this.index.templates.values()].some(
      (t) => t.proto === proto && equal(t.virtual.addr, virtual.addr) && lengths.some((n) => equal(masked(client.addr, n), t.client.addr)),
    );
  }

  /** Of which service a connection is no listing shows: where those that have its server treat it alike, it does not matter. */
  private oneOf(services: readonly VirtualServer[], server: IpvsEnd, at: Span): VirtualServer | undefined {
    const [first, ...more] = services;
    const manner = (s: VirtualServer): string => {
      const real = this.serverOf(s, server, at);
      return `${real?.forwarding} ${real?.weight === 0} ${s.persistence !== undefined}`;
    };
    const others = first && more.filter((s, i) => manner(s) !== manner(first) && more.findIndex((o) => manner(o) === manner(s)) === i);
    if (!first || !others || others.length === 0) return first;
    const option = (s: VirtualServer): Option<VirtualServer> => ({ value: s, what: `the connection is of the virtual server '${s.text}'`, at: s.at });
    return this.choices.choose(`ipvs-of:${at.file}:${at.line}`, [first, ...others].map(option));
  }

  private open(line: IpvsConnection): Balanced {
    const { proto, client, virtual, server, state, expires, text, at } = line;
    // the mark of the connection is not shown: where its own service has not that server, one of a mark may
    const services = [
      this.service(line.family, 0, proto, virtual),
      ...(this.ns.ipvs?.services ?? []).filter((s) => s.mark !== undefined && s.family === line.family),
    ].filter((s) => s !== undefined);
    const holding = services.filter((s) => this.serverOf(s, server, at));
    const service = this.oneOf(holding, server, at) ?? services.find((s) => s.mark === undefined);
    const real = this.serverOf(service, server, at);
    return {
      proto,
      client,
      virtual,
      server,
      method: real ? real.forwarding : isNobody(server) ? 'bypass' : undefined,
      ...(real && { real }),
      ...(service && { service }),
      controlled: service
        ? service.persistence !== undefined && this.template(service, proto, client.addr, virtual) !== undefined
        : this.isControlled(line),
      tracked: this.isTracked(),
      onePacket: false,
      state,
      ...(expires !== undefined && { expires }),
      text,
      at,
    };
  }
}

/** What net.ipv4.vs.cache_bypass let pass has no server. */
function isNobody(end: IpvsEnd): boolean {
  return end.port === 0 && isZeronet(end.addr);
}

/** The key of a client's template: ip_vs_sched_persist(). */
function templateKey(service: VirtualServer, proto: number, client: Addr, to: IpvsEnd): string {
  const net = masked(client, service.persistence?.length ?? 128);
  const own = service.mark === undefined && to.port === service.port;
  if (service.mark !== undefined) return `${IP} ${formatAddr(net)} mark ${service.mark}`;
  return `${proto} ${formatAddr(net)} ${formatAddr(to.addr)} ${own && service.port !== FTP ? to.port : 0}`;
}

function masked(addr: Addr, length: number): Addr {
  return and(addr, prefixMask({ addr, length: Math.min(length, familyOf(addr) === 4 ? 32 : 128) }));
}

interface Index {
  readonly byMark: ReadonlyMap<string, VirtualServer>;
  readonly byEnd: ReadonlyMap<string, VirtualServer>;
  readonly byEnds: ReadonlyMap<string, readonly IpvsConnection[]>;
  readonly byClient: ReadonlyMap<string, readonly IpvsConnection[]>;
  readonly templates: ReadonlyMap<string, IpvsConnection>;
  /** By where they stand. */
  readonly lines: ReadonlyMap<string, IpvsConnection>;
}

const indexes = new WeakMap<Namespace, Index>();

/** Built once for all walks: a busy balancer has hundreds of thousands of connections. */
function indexOf(ns: Namespace): Index {
  let index = indexes.get(ns);
  if (!index) {
    const byMark = new Map<string, VirtualServer>();
    const byEnd = new Map<string, VirtualServer>();
    const byEnds = new Map<string, IpvsConnection[]>();
    const byClient = new Map<string, IpvsConnection[]>();
    const templates = new Map<string, IpvsConnection>();
    const lines = new Map<string, IpvsConnection>();
    for (const s of ns.ipvs?.services ?? []) {
      if (s.mark !== undefined) byMark.set(`${s.family} ${s.mark}`, s);
      else if (s.addr !== undefined) byEnd.set(endKey(s.proto ?? 0, { addr: s.addr, port: s.port ?? 0 }), s);
    }
    for (const c of ns.ipvs?.connections ?? []) {
      lines.set(`${c.at.file}:${c.at.line}`, c);
      if (c.template) {
        const [client, addr] = [formatAddr(c.client.addr), formatAddr(c.virtual.addr)];
        // the address of a mark's template is the mark
        const mark = typeof c.virtual.addr === 'number' ? c.virtual.addr : c.virtual.addr[0];
        templates.set(c.proto === IP ? `${IP} ${client} mark ${mark}` : `${c.proto} ${client} ${addr} ${c.virtual.port}`, c);
        continue;
      }
      push(byEnds, endsKey(c), c);
      push(byClient, endKey(c.proto, c.client), c);
    }
    indexes.set(ns, (index = { byMark, byEnd, byEnds, byClient, templates, lines }));
  }
  return index;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function endKey(proto: number, end: IpvsEnd): string {
  return `${proto} ${formatAddr(end.addr)} ${end.port}`;
}

function endsKey(e: Ends): string {
  return `${endKey(e.proto, e.client)} ${endKey(e.proto, e.virtual)}`;
}

function sameEnd(a: IpvsEnd, b: IpvsEnd): boolean {
  return a.port === b.port && equal(a.addr, b.addr);
}

function sameEnds(a: Ends, b: Ends): boolean {
  return a.proto === b.proto && sameEnd(a.client, b.client) && sameEnd(a.virtual, b.virtual);
}
