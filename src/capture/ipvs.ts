// IPVS of one network namespace: what its listings show, put together. Each form of listing leaves something out, so they
// complete each other: the flags are those of `ipvsadm -S`, the counts those of `-L`, the order that of /proc/net/ip_vs.
import { familyOf, formatEndpoint, type Family } from '../net/addr.ts';
import { formatProtocol } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { CaptureKind } from '../model/host.ts';
import type { Ipvs, IpvsConnection, RealServer, VirtualServer } from '../model/ipvs.ts';
import { readIpvsadm } from './ipvsadm.ts';
import { isUnsorted, type Form, type ListedServer, type ListedService, type Listing, type ServiceName } from './ipvslisting.ts';
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

const FLAGS = 'the scheduler flags';

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
    // of an empty file the name says what there is none of; a kernel without IPVS has neither
    const isNone = (what: IpvsFile['lists']): boolean => read.isAbsent || (text.trim() === '' && lists === what);
    const kinds: CaptureKind[] = [];
    listings.push(...read.listings);
    findings.push(read.findings);
    if (isNone('servers')) {
      const source = new Source(text, path);
      listings.push({ form: 'rules', isWhole: true, services: [], source });
      findings.push(source.findings);
    }
    if (isNone('servers') || read.listings.length > 0) kinds.push('ipvs');
    const entries = isNone('connections') ? [] : read.connections;
    if (entries) {
      kinds.push('ipvsConnections');
      connections = connections ? [...connections, ...unknownTo(connections, entries)] : [...entries];
    }
    shown.set(path, kinds);
  }
  const services = listings.length > 0 ? completed(listings) : undefined;
  const ipvs = services || connections ? { services: services ?? [], ...(connections && { connections }) } : undefined;
  // listings that are not enough to know the virtual servers have not shown them
  const used = [...shown].map(([path, kinds]) => [path, services ? kinds : kinds.filter((k) => k !== 'ipvs')] as const);
  return { ...(ipvs && { ipvs }), findings: findings.flat(), shown: new Map(used) };
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
  if (!listings.some((l) => ENOUGH.has(l.form) || (l.isWhole && l.services.length === 0))) {
    for (const { source, services } of listings.filter((l) => l.services.length > 0)) {
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
    // what sh and mh pick hangs on their flags
    const severity = [...hidden].some((h) => h.startsWith(FLAGS)) ? 'warning' : 'note';
    first.source.report(severity, 'partial-listing', `no listing shows ${[...hidden].join(', ')}`, first.services[0]!.line, {
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

// /proc/net/ip_vs does not tell of a firewall mark whether it is for IPv4 or IPv6. Servers that are not behind a tunnel have its
// family; else the other listings tell it, of two services of one mark the one that looks the same.
function familyOfMark({ as, listing }: Seen<ListedService>, alike: readonly Group[]): Family {
  const direct = as.servers.find((s) => s.forwarding !== 'tunnel');
  if (direct) return familyOf(direct.addr);
  const open = alike.filter((g) => g.seen.every((s) => s.listing !== listing));
  const found = open.length > 1 ? open.find((g) => g.seen.some((s) => looksOf(s.as) === looksOf(as))) : open[0];
  if (found) return found.name.family;
  const family = as.servers[0] ? familyOf(as.servers[0].addr) : 4;
  const message = `nothing shows whether this firewall mark is for IPv4 or for IPv6; it is taken to be for IPv${family}`;
  listing.source.report('warning', 'unknown-family', message, as.line, { hint: 'capture `ipvsadm -Sn` too' });
  return family;
}

function looksOf({ scheduler, onePacket, isPersistent, servers }: ListedService): string {
  return JSON.stringify([scheduler, onePacket, isPersistent, servers.map(keyOf).toSorted()]);
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
    if (other.as[field] === first.as[field] || JSON.stringify(other.as[field]) === value) continue;
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
  if (!schedulerFlags && /^[sm]h$/.test(scheduler)) hidden.add(`${FLAGS} of ${scheduler}`);
  if (isPersistent && seconds === undefined) hidden.add('the time of persistence in seconds');
  if (isPersistent && engine === undefined) hidden.add('the persistence engine');
  const { servers, inKernelOrder, isPartial } = serversOf(seen, ordered, hidden);
  return {
    ...name,
    scheduler,
    // of the others they say nothing
    ...((schedulerFlags || !/^[sm]h$/.test(scheduler)) && { schedulerFlags: schedulerFlags ?? [] }),
    onePacket: onePacket ?? false,
    ...(isPersistent && { persistence: { ...(seconds !== undefined && { seconds }), length } }),
    ...(engine && { engine }),
    servers,
    inKernelOrder,
    ...(isPartial && { isPartial }),
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
): Pick<VirtualServer, 'servers' | 'inKernelOrder' | 'isPartial'> {
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
  // one that could not be read stands nobody knows where
  if (seen.every((s) => s.as.isDamaged)) return { servers, inKernelOrder: false, isPartial: true };
  const places = seen.filter((s) => ordered.has(s.listing)).map((s) => new Map(s.as.servers.map((r, i) => [keyOf(r), i])));
  const place = places.find((p) => p.size === servers.length && servers.every((r) => p.has(keyOf(r))));
  if (!place) return { servers, inKernelOrder: servers.length < 2 };
  return { servers: servers.toSorted((x, y) => place.get(keyOf(x))! - place.get(keyOf(y))!), inKernelOrder: true };
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
