// IPVS of one network namespace: what its listings show, put together. Each form of listing leaves something out, so they
// complete each other: the flags are those of `ipvsadm -S`, the counts those of `-L`, the order that of /proc/net/ip_vs.
import { familyOf, formatEndpoint, type Addr, type Family } from '../net/addr.ts';
import { formatProtocol } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { CaptureKind } from '../model/host.ts';
import type { Ipvs, IpvsConnection, RealServer, VirtualServer } from '../model/ipvs.ts';
import { readIpvsadm } from './ipvsadm.ts';
import type { Form, ListedServer, ListedService, Listing, ServiceName } from './ipvslisting.ts';
import { Source, type Line } from './source.ts';

/** A file about IPVS. What an empty one lists depends on its name. */
export interface IpvsFile {
  readonly path: string;
  readonly text: string;
  readonly lists: 'servers' | 'connections';
}

/** IPVS as a namespace's files show it, and which file showed what. */
export interface IpvsReading {
  readonly ipvs?: Ipvs;
  readonly findings: readonly Finding[];
  readonly shown: ReadonlyMap<string, readonly CaptureKind[]>;
}

const FORMS: readonly Form[] = ['rules', 'tunnels', 'list', 'proc', 'thresholds', 'persistent', 'counters'];
/** The forms that tell enough to know a virtual server; the others only complete them. */
const ENOUGH: ReadonlySet<Form> = new Set<Form>(['rules', 'tunnels', 'list', 'proc']);

interface Seen<T> {
  readonly as: T;
  readonly listing: Listing;
}

interface Group {
  readonly name: ServiceName & { readonly family: Family };
  readonly seen: Seen<ListedService>[];
}

/** Reads the files about IPVS of one namespace. */
export function readIpvs(files: readonly IpvsFile[]): IpvsReading {
  const shown = new Map<string, CaptureKind[]>();
  const listings: Listing[] = [];
  const findings: (readonly Finding[])[] = [];
  let connections: IpvsConnection[] | undefined;
  for (const { path, text, lists } of files) {
    const read = readIpvsadm(text, path);
    const isEmpty = text.trim() === '';
    const kinds: CaptureKind[] = [];
    listings.push(...read.listings);
    findings.push(read.findings);
    if (read.isAbsent || (isEmpty && lists === 'servers')) {
      const source = new Source(text, path);
      listings.push({ form: 'rules', isWhole: true, services: [], source });
      findings.push(source.findings);
    }
    if (read.isAbsent || isEmpty ? lists === 'servers' : read.listings.length > 0) kinds.push('ipvs');
    const entries = read.connections ?? ((isEmpty || read.isAbsent) && lists === 'connections' ? [] : undefined);
    if (entries) {
      kinds.push('ipvsConnections');
      connections = connections ? [...connections, ...unknownTo(connections, entries)] : [...entries];
    }
    shown.set(path, kinds);
  }
  const services = listings.length > 0 ? completed(listings) : undefined;
  if (!services)
    for (const [path, kinds] of shown)
      shown.set(
        path,
        kinds.filter((k) => k !== 'ipvs'),
      );
  const ipvs = services || connections ? { services: services ?? [], ...(connections && { connections }) } : undefined;
  return { ...(ipvs && { ipvs }), findings: findings.flat(), shown };
}

function unknownTo(known: readonly IpvsConnection[], entries: readonly IpvsConnection[]): IpvsConnection[] {
  const key = ({ proto, client, virtual }: IpvsConnection): string =>
    `${proto} ${formatEndpoint(client.addr, client.port)} ${formatEndpoint(virtual.addr, virtual.port)}`;
  const keys = new Set(known.map(key));
  return entries.filter((e) => !keys.has(key(e)));
}

/** The virtual servers that these listings show. What one of them shows differently than another is reported. */
function completed(unsorted: readonly Listing[]): VirtualServer[] | undefined {
  const listings = unsorted.toSorted((a, b) => FORMS.indexOf(a.form) - FORMS.indexOf(b.form));
  if (!listings.some((l) => ENOUGH.has(l.form) || l.services.length === 0)) {
    for (const { source, services } of listings) {
      source.report(
        'error',
        'partial-listing',
        'schedulers or forwarding methods are not shown: the virtual servers cannot be used',
        services[0]!.line,
        { hint: 'capture `ipvsadm -Sn`' },
      );
    }
    return undefined;
  }
  const groups = groupsOf(listings);
  for (const listing of listings) reportMissing(listing, groups);
  const hidden = new Set<string>();
  const ordered = new Set(listings.filter((l) => l.form === 'proc' || isUnsorted(l)));
  const services = groups.flatMap((g) => serviceOf(g, ordered, hidden) ?? []);
  if (hidden.size > 0) {
    const first = listings.find((l) => l.services.length > 0)!;
    first.source.report('note', 'partial-listing', `no listing shows ${[...hidden].join(', ')}`, first.services[0]!.line, {
      hint: 'capture `ipvsadm -Sn` too',
    });
  }
  return services;
}

function groupsOf(listings: readonly Listing[]): readonly Group[] {
  const groups = new Map<string, Group>();
  const add = (name: Group['name'], seen: Seen<ListedService>): void => {
    const key = `${name.family} ${nameOf(name)}`;
    const group = groups.get(key);
    if (group) group.seen.push(seen);
    else groups.set(key, { name, seen: [seen] });
  };
  const nameless: Seen<ListedService>[] = [];
  for (const listing of listings) {
    for (const as of listing.services) {
      const { family, ...name } = pick(as);
      if (family === undefined) nameless.push({ as, listing });
      else add({ ...name, family }, { as, listing });
    }
  }
  for (const seen of nameless) {
    const alike = [...groups.values()].filter((g) => g.name.mark === seen.as.mark);
    add({ ...pick(seen.as), family: familyOfMark(seen, alike) }, seen);
  }
  return [...groups.values()];
}

function pick({ proto, addr, port, mark, family }: ServiceName): ServiceName {
  return {
    ...(proto !== undefined && { proto }),
    ...(addr !== undefined && { addr }),
    ...(port !== undefined && { port }),
    ...(mark !== undefined && { mark }),
    ...(family !== undefined && { family }),
  };
}

// /proc/net/ip_vs does not tell of a firewall mark whether it is for IPv4 or IPv6; servers that are not behind a tunnel have its family.
function familyOfMark({ as, listing }: Seen<ListedService>, alike: readonly Group[]): Family {
  const server = as.servers.find((s) => s.forwarding !== 'tunnel') ?? (alike.length === 1 ? undefined : as.servers[0]);
  const family = server ? familyOf(server.addr) : alike.length === 1 ? alike[0]!.name.family : undefined;
  if (family === undefined) {
    const message = 'nothing shows whether this firewall mark is for IPv4 or for IPv6; it is taken to be for IPv4';
    listing.source.report('warning', 'unknown-family', message, as.line, { hint: 'capture `ipvsadm -Sn` too' });
  }
  return family ?? 4;
}

function nameOf({ proto, addr, port, mark }: ServiceName): string {
  return mark !== undefined ? `fwmark ${mark}` : `${formatProtocol(proto ?? 0)} ${formatEndpoint(addr!, port)}`;
}

function reportMissing(listing: Listing, groups: readonly Group[]): void {
  if (!listing.isWhole) return;
  const missing = groups.filter((g) => g.seen.every((s) => s.listing !== listing));
  const [first] = missing;
  if (first) {
    const line = listing.services[0]?.line ?? { text: '', number: 1 };
    report(listing, line, `${nameOf(first.name)} ${more(missing.length)}not here, but in ${fileOf(first.seen[0]!)}`);
  }
}

function more(count: number): string {
  return count === 1 ? 'is ' : `and ${count - 1} more are `;
}

function report(listing: Listing, line: Line, message: string): void {
  listing.source.report('warning', 'ipvs-twice', message, line, { hint: 'capture all listings of IPVS at the same time' });
}

function fileOf<T extends { readonly line: Line }>({ as, listing }: Seen<T>): string {
  return `${listing.source.span(as.line).file}:${as.line.number}`;
}

/** What the first listing shows that shows it; others that show something else are reported. */
function agreed<T extends { readonly line: Line }, K extends keyof T>(seen: readonly Seen<T>[], field: K, what: string): T[K] | undefined {
  const [first, ...others] = seen.filter((s) => s.as[field] !== undefined);
  if (!first) return undefined;
  const value = JSON.stringify(first.as[field]);
  for (const other of others) {
    if (JSON.stringify(other.as[field]) === value) continue;
    report(other.listing, other.as.line, `${what} is ${JSON.stringify(other.as[field])} here and ${value} in ${fileOf(first)}, which counts`);
  }
  return first.as[field];
}

function serviceOf({ name, seen }: Group, ordered: ReadonlySet<Listing>, hidden: Set<string>): VirtualServer | undefined {
  const [first] = seen;
  const scheduler = agreed(seen, 'scheduler', 'the scheduler');
  if (!first || scheduler === undefined) {
    first?.listing.source.report('error', 'partial-listing', 'no listing shows its scheduler: the virtual server cannot be used', first.as.line, {
      hint: 'capture `ipvsadm -Sn`',
    });
    return undefined;
  }
  const schedulerFlags = agreed(seen, 'schedulerFlags', 'the list of scheduler flags');
  const onePacket = agreed(seen, 'onePacket', 'one-packet scheduling');
  const isPersistent = agreed(seen, 'isPersistent', 'persistence');
  const seconds = agreed(seen, 'seconds', 'the time of persistence');
  const length = agreed(seen, 'length', 'the mask of persistence') ?? (name.family === 6 ? 128 : 32);
  const engine = agreed(seen, 'engine', 'the persistence engine');
  if (!schedulerFlags && /^[sm]h$/.test(scheduler)) hidden.add(`the scheduler flags of ${scheduler}`);
  if (isPersistent && seconds === undefined) hidden.add('the time of persistence in seconds');
  if (isPersistent && engine === undefined) hidden.add('the persistence engine');
  const { servers, inKernelOrder } = serversOf(seen, ordered, hidden);
  return {
    ...name,
    scheduler,
    schedulerFlags: schedulerFlags ?? [],
    onePacket: onePacket ?? false,
    ...(isPersistent && { persistence: { ...(seconds !== undefined && { seconds }), length } }),
    ...(engine && { engine }),
    servers,
    inKernelOrder,
    text: wordsOf(first.as),
    at: first.listing.source.span(first.as.line),
  };
}

function wordsOf({ line }: { readonly line: Line }): string {
  return line.text.trim().replace(/\s+/g, ' ');
}

function keyOf({ addr, port }: ListedServer | RealServer): string {
  return formatEndpoint(addr, port);
}

function serversOf(
  seen: readonly Seen<ListedService>[],
  ordered: ReadonlySet<Listing>,
  hidden: Set<string>,
): Pick<VirtualServer, 'servers' | 'inKernelOrder'> {
  const groups = new Map<string, Seen<ListedServer>[]>();
  for (const { as, listing } of seen) {
    for (const server of as.servers) {
      const group = groups.get(keyOf(server));
      if (group) group.push({ as: server, listing });
      else groups.set(keyOf(server), [{ as: server, listing }]);
    }
  }
  for (const { as, listing } of seen) {
    const missing = as.isDamaged ? [] : [...groups].filter(([, g]) => g.every((s) => s.listing !== listing));
    if (missing.length > 0)
      report(listing, as.line, `the real server ${missing[0]![0]} ${more(missing.length)}not here, but in ${fileOf(missing[0]![1][0]!)}`);
  }
  const servers = [...groups.values()].flatMap((g) => serverOf(g, hidden) ?? []);
  const order = seen.find((s) => ordered.has(s.listing) && s.as.servers.length === servers.length && s.as.servers.every((x) => groups.has(keyOf(x))));
  if (!order) return { servers, inKernelOrder: servers.length < 2 };
  const place = new Map(order.as.servers.map((s, i) => [keyOf(s), i]));
  return { servers: servers.toSorted((a, b) => place.get(keyOf(a))! - place.get(keyOf(b))!), inKernelOrder: true };
}

function serverOf(seen: readonly Seen<ListedServer>[], hidden: Set<string>): RealServer | undefined {
  const first = seen[0]!;
  const forwarding = forwardingOf(seen);
  const weight = agreed(seen, 'weight', 'the weight');
  if (forwarding === undefined || weight === undefined) {
    first.listing.source.report(
      'error',
      'partial-listing',
      'no listing shows its forwarding method and weight: the real server is left out',
      first.as.line,
      { hint: 'capture `ipvsadm -Sn`' },
    );
    return undefined;
  }
  const tunnel = agreed(seen, 'tunnel', 'the tunnel');
  if (forwarding === 'tunnel' && !tunnel) hidden.add('the type of tunnel');
  const active = seen.find((s) => s.as.active !== undefined)?.as.active;
  const inactive = seen.find((s) => s.as.inactive !== undefined)?.as.inactive;
  return {
    addr: first.as.addr,
    port: first.as.port,
    forwarding,
    ...(tunnel && { tunnel }),
    weight,
    upper: agreed(seen, 'upper', 'the upper threshold') ?? 0,
    lower: agreed(seen, 'lower', 'the lower threshold') ?? 0,
    ...(active !== undefined && { active }),
    ...(inactive !== undefined && { inactive }),
    text: wordsOf(first.as),
    at: first.listing.source.span(first.as.line),
  };
}

// fwd_switch() of ipvsadm: -S prints -g for a local server
function forwardingOf(seen: readonly Seen<ListedServer>[]): RealServer['forwarding'] | undefined {
  const isLocal = seen.some((s) => s.as.forwarding === 'local');
  const shown = isLocal ? seen.filter((s) => s.listing.form !== 'rules' || s.as.forwarding !== 'direct') : seen;
  return agreed(shown, 'forwarding', 'the forwarding method');
}

/**
 * Reports whether a listing of `ipvsadm -L` stands in an order that its sorting does not give: it is then the kernel's (--nosort, or an
 * ipvsadm before 1.25). `-S` always sorts, and what looks like it in another order may have been written by hand.
 */
function isUnsorted({ form, services }: Listing): boolean {
  return form !== 'rules' && (isDescending(services, compareServices) || services.some((s) => isDescending(s.servers, compareServers)));
}

function isDescending<T>(list: readonly T[], order: (a: T, b: T) => number): boolean {
  return list.some((b, i) => i > 0 && order(list[i - 1]!, b) > 0 && order(b, list[i - 1]!) < 0);
}

// ipvs_cmp_services() and ipvs_cmp_dests() of libipvs subtract into an int: 192.0.2.1 goes before 10.0.0.1.
function compareServices(a: ListedService, b: ListedService): number {
  const AF = { 4: 2, 6: 10 };
  return (
    ((a.mark ?? 0) - (b.mark ?? 0)) | 0 ||
    AF[a.family ?? 4] - AF[b.family ?? 4] ||
    (a.proto ?? 0) - (b.proto ?? 0) ||
    (a.addr === undefined || b.addr === undefined ? 0 : compareAddr(a.addr, b.addr)) ||
    (a.port ?? 0) - (b.port ?? 0)
  );
}

function compareServers(a: ListedServer, b: ListedServer): number {
  return compareAddr(a.addr, b.addr) || a.port - b.port;
}

function compareAddr(a: Addr, b: Addr): number {
  const [x, y] = [wordsOfAddr(a), wordsOfAddr(b)];
  for (let i = 0; i < (typeof a === 'number' ? 1 : 4); i++) if (x[i] !== y[i]) return (x[i]! - y[i]!) | 0;
  return 0;
}

function wordsOfAddr(addr: Addr): readonly number[] {
  return typeof addr === 'number' ? [addr, 0, 0, 0] : addr;
}
