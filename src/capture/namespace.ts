// One network namespace from the files that were captured in it. Text goes before JSON (its lines can be quoted), and what
// only the other form of the same listing holds is taken from there.
import { formatAddr, type Family } from '../net/addr.ts';
import { TCP } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type {
  CaptureKind,
  ConntrackEntry,
  FdbEntry,
  InterfaceAddress,
  Link,
  Listener,
  Namespace,
  Neighbour,
  Route,
  RoutingRule,
  Sysctl,
} from '../model/host.ts';
import type { Ipvs } from '../model/ipvs.ts';
import type { Backend, IpSet } from '../model/ruleset.ts';
import { backendSplits } from './backends.ts';
import { readBridges } from './bridges.ts';
import { readConntrack } from './conntrack.ts';
import { readIpset } from './ipset.ts';
import { readIpvs } from './ipvs.ts';
import { later } from './later.ts';
import { readLinks } from './links.ts';
import { readListeners } from './listeners.ts';
import { readNeighbours } from './neighbours.ts';
import { readNft } from './nft.ts';
import { recognise, type FileKind, type Recognised } from './recognise.ts';
import { readRoutes } from './routes.ts';
import { readRules } from './rules.ts';
import { readSysctls } from './sysctl.ts';
import { linesOf } from './source.ts';
import { lostSaves, readTables } from './tables.ts';
import { readUname } from './uname.ts';
import { hasFailed, unreadOf } from './unread.ts';

/** A file of a capture. `path` is relative to the capture's root and stands as given in every span. */
export interface CaptureFile {
  readonly path: string;
  readonly text: string;
}

/** What became of a file. */
export interface FileReport {
  readonly path: string;
  readonly kind: FileKind;
  /** Something of it is in the model, or it says that there is nothing. */
  readonly used: boolean;
  readonly lines: number;
}

/** A namespace with what its files gave besides it. */
export interface NamespaceReading {
  readonly namespace: Namespace;
  /** Grows while rules are read, which happens when they are asked for. */
  readonly findings: readonly Finding[];
  readonly files: readonly FileReport[];
}

interface Read extends CaptureFile {
  readonly as: Recognised;
}

const NO_CAPTURE = new Set<FileKind>(['kubernetes', 'flannel', 'log', 'missing', 'netns', 'empty', 'binary', 'unknown']);

/** Reports whether a file is what some command printed about a namespace (also where it printed nothing). */
export function isCapture(as: Recognised): boolean {
  return !NO_CAPTURE.has(as.kind === 'empty' ? as.named : as.kind);
}

class Reader {
  readonly findings: Finding[] = [];
  readonly used = new Set<string>();
  readonly captured = new Map<CaptureKind, string[]>();
  readonly links: Link[] = [];
  readonly addresses: InterfaceAddress[] = [];
  readonly routes: Route[] = [];
  readonly rules: RoutingRule[] = [];
  readonly neighbours: Neighbour[] = [];
  readonly fdb: FdbEntry[] = [];
  readonly sysctls = new Map<string, Sysctl>();
  readonly conntrack: ConntrackEntry[] = [];
  readonly listeners: Listener[] = [];
  readonly sets = new Map<string, IpSet>();
  ipvs: Ipvs | undefined;
  setsRefused: Namespace['setsRefused'];
  private readonly files: readonly Read[];

  constructor(files: readonly Read[]) {
    this.files = files;
  }

  /** The files of these kinds, text first, in the order of the kinds. */
  of(...kinds: FileKind[]): Read[] {
    const rank = (f: Read): number => (f.as.format === 'json' ? kinds.length : 0) + kinds.indexOf(kindOf(f));
    return this.files.filter((f) => kinds.includes(kindOf(f)) && !hasFailed(f.as)).toSorted((a, b) => rank(a) - rank(b));
  }

  claim(file: Read, ...kinds: CaptureKind[]): void {
    this.used.add(file.path);
    for (const kind of kinds) {
      const list = this.captured.get(kind);
      if (!list) this.captured.set(kind, [file.path]);
      else if (!list.includes(file.path)) list.push(file.path);
    }
  }

  note(file: CaptureFile, severity: Finding['severity'], code: string, message: string, hint?: string): void {
    this.findings.push({ severity, code, message, at: { file: file.path, line: 1 }, ...(hint ? { hint } : {}) });
  }

  readLinks(): void {
    let addressed = false;
    for (const file of this.of('addr', 'link')) {
      const read = readLinks(file.text, file.path);
      this.findings.push(...read.findings);
      if (read.links.length > 0) this.claim(file, 'links');
      for (const link of read.links) {
        const i = this.links.findIndex((l) => l.name === link.name);
        if (i < 0) this.links.push(link);
        else this.links[i] = { ...link, ...this.links[i]! }; // what the first listing lacks
      }
      if (file.as.kind !== 'addr' || (read.links.length === 0 && read.addresses.length === 0)) continue;
      this.claim(file, 'addresses');
      if (!addressed) this.addresses.push(...read.addresses);
      else for (const a of read.addresses) if (!this.addresses.some((b) => addressKey(a) === addressKey(b))) this.addresses.push(a);
      addressed = true;
    }
  }

  readRoutes(): void {
    const tables = new Map<string, { file: string; routes: Route[] }>();
    const whole = new Set<Family>();
    for (const file of this.of('route')) {
      const { family, table } = file.as;
      const read = readRoutes(file.text, file.path, { ...(family ? { family } : {}), ...(table && table !== 'all' ? { table } : {}) });
      this.findings.push(...read.findings);
      const families = new Set(read.routes.map((r) => r.family));
      if (family) families.add(family);
      if (families.size === 0 && read.findings.every((f) => f.severity !== 'error')) families.add(4);
      for (const f of families) this.claim(file, f === 4 ? 'routes4' : 'routes6');
      const groups = new Map<string, Route[]>();
      for (const r of read.routes) {
        const key = `${r.family} ${r.table}`;
        const group = groups.get(key);
        if (group) group.push(r);
        else groups.set(key, [r]);
        if (r.table !== 'main') whole.add(r.family);
      }
      if (table === 'all') for (const f of families) whole.add(f);
      for (const [key, routes] of groups) {
        const twin = tables.get(key);
        if (!twin) tables.set(key, { file: file.path, routes });
        else if (routesOf(twin.routes) !== routesOf(routes)) {
          const name = key.slice(2);
          this.note(file, 'warning', 'routes-twice', `IPv${key[0]} table ${name} is in ${twin.file} too, with other routes; ${twin.file} counts`);
        }
      }
    }
    for (const { routes } of tables.values()) this.routes.push(...routes);
    for (const [family, kind] of [[4, 'routes4'] as const, [6, 'routes6'] as const]) {
      const file = this.captured.get(kind)?.[0];
      if (file === undefined || whole.has(family) || !this.routes.some((r) => r.family === family)) continue;
      this.note(
        { path: file, text: '' },
        'note',
        'main-table-only',
        `only the main table of IPv${family} was captured; the local table is derived from the addresses`,
        `capture \`ip ${family === 6 ? '-6 ' : ''}route show table all\``,
      );
    }
  }

  readRules(): void {
    const seen = new Map<Family, string>();
    for (const file of this.of('rule')) {
      const read = readRules(file.text, file.path, file.as.family);
      this.findings.push(...read.findings);
      for (const family of new Set(read.rules.map((r) => r.family))) {
        this.claim(file, 'rules');
        const rules = read.rules.filter((r) => r.family === family);
        const first = seen.get(family);
        if (first === undefined) {
          this.rules.push(...rules);
          seen.set(family, file.path);
        } else if (rulesOf(this.rules.filter((r) => r.family === family)) !== rulesOf(rules)) {
          this.note(file, 'warning', 'rules-twice', `the IPv${family} rules are in ${first} too, and differ; ${first} counts`);
        }
      }
    }
  }

  readNeighbours(): void {
    const seen = new Set<string>();
    for (const file of this.of('neigh')) {
      const read = readNeighbours(file.text, file.path);
      this.findings.push(...read.findings);
      this.claim(file, 'neighbours');
      for (const n of read.neighbours) {
        const key = `${n.device} ${formatAddr(n.addr)} ${n.proxy === true}`;
        if (!seen.has(key)) this.neighbours.push(n);
        seen.add(key);
      }
    }
  }

  /** After the links: what `bridge link` says of a port completes what `ip -d link` said. */
  readBridges(): void {
    const seen = new Set<string>();
    for (const file of this.of('bridge')) {
      const read = readBridges(file.text, file.path);
      this.findings.push(...read.findings);
      // an empty listing is one of fdb or of ports by its name alone
      if (read.fdb.length > 0 || (read.ports.length === 0 && /fdb/.test(file.path))) this.claim(file, 'fdb');
      else this.claim(file);
      for (const e of read.fdb) {
        const key = `${e.device} ${e.mac} ${e.bridge ?? ''} ${e.vlan ?? ''} ${e.remote === undefined ? '' : formatAddr(e.remote)}`;
        if (!seen.has(key)) this.fdb.push(e);
        seen.add(key);
      }
      for (const { device, bridge, port } of read.ports) {
        const i = this.links.findIndex((l) => l.name === device);
        if (i >= 0) this.links[i] = { master: bridge, port, ...this.links[i]! };
      }
    }
  }

  readSets(): void {
    for (const file of this.of('ipset-save', 'ipset-list')) {
      const read = readIpset(file.text, file.path);
      this.findings.push(...read.findings);
      if (read.incomplete === undefined) this.claim(file, 'sets');
      else this.setsRefused ??= read.refusedAt;
      for (const set of read.sets) {
        const known = this.sets.get(set.name);
        if (known && (known.incomplete === undefined || set.incomplete !== undefined)) continue;
        this.sets.set(set.name, set);
        this.used.add(file.path);
      }
    }
    // the script of `netwhy capture` keeps what ipset said there
    for (const file of this.of('missing')) {
      for (const line of linesOf(file.text)) {
        if (/^ipset-(?:save|list)\.txt: .*\bipset v[\d.]+: /.test(line.text)) this.setsRefused ??= { file: file.path, line: line.number };
      }
    }
    if (this.captured.has('sets')) this.setsRefused = undefined;
  }

  readSysctls(): void {
    for (const file of this.of('sysctl')) {
      const read = readSysctls(file.text, file.path);
      this.findings.push(...read.findings);
      const entries = Object.entries(read.sysctls);
      if (entries.length > 0) this.claim(file, 'sysctls');
      for (const [key, value] of entries) if (!this.sysctls.has(key)) this.sysctls.set(key, value);
    }
  }

  readIpvs(): void {
    const files = this.of('ipvsadm', 'ipvs-connections');
    const read = readIpvs(files.map((f) => ({ path: f.path, text: f.text, lists: kindOf(f) === 'ipvsadm' ? 'servers' : 'connections' })));
    this.findings.push(...read.findings);
    for (const file of files) this.claim(file, ...(read.shown.get(file.path) ?? []));
    this.ipvs = read.ipvs;
  }

  readConntrack(): void {
    const seen = new Set<string>();
    for (const file of this.of('conntrack')) {
      const read = readConntrack(file.text, file.path);
      this.findings.push(...read.findings);
      this.claim(file, 'conntrack');
      for (const entry of read.entries) {
        const { src, dst, proto, sport, dport } = entry.orig;
        // connections in zones of their own may have the same addresses (zone=, zone-orig=, zone-reply=)
        const zones = entry.text.match(/\bzone\S*=\d+/g)?.join(' ') ?? '';
        const key = `${formatAddr(src)} ${formatAddr(dst)} ${proto} ${sport} ${dport} ${zones}`;
        if (!seen.has(key)) this.conntrack.push(entry);
        seen.add(key);
      }
    }
  }

  /** Of two listings of a protocol the first one counts. */
  readListeners(): void {
    for (const file of this.of('ss')) {
      const { listeners, whole, findings } = readListeners(file.text, file.path);
      this.findings.push(...findings);
      for (const proto of whole) {
        const kind = proto === TCP ? 'tcpListeners' : 'udpListeners';
        if (!this.captured.has(kind)) this.listeners.push(...listeners.filter((l) => l.proto === proto));
        this.claim(file, kind);
      }
    }
  }
}

function kindOf(f: Read): FileKind {
  return f.as.kind === 'empty' ? f.as.named : f.as.kind;
}

function addressKey(a: InterfaceAddress): string {
  return `${a.device} ${formatAddr(a.addr)}/${a.length}`;
}

function routesOf(routes: readonly Route[]): string {
  return JSON.stringify(routes.map(({ at: _at, text: _text, ...rest }) => JSON.stringify(rest)).toSorted());
}

function rulesOf(rules: readonly RoutingRule[]): string {
  return JSON.stringify(rules.map(({ at: _at, text: _text, ...rest }) => rest));
}

/** How many lines a file has. */
export function countLines(text: string): number {
  let n = 0;
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) n++;
  return n + (text === '' || text.endsWith('\n') ? 0 : 1);
}

/** The name that a node gives itself in `uname -a`. */
export function hostnameOf(files: readonly CaptureFile[]): string | undefined {
  for (const f of files) if (recognise(f.path, f.text).kind === 'uname') return readUname(f.text).hostname;
  return undefined;
}

/** Reads the files of one namespace; '' is the name of a node's root namespace. */
export function readNamespace(files: readonly CaptureFile[], node: string, name: string): NamespaceReading {
  const all = files.map((f): Read => ({ path: f.path, text: f.text.replace(/^\ufeff/, ''), as: recognise(f.path, f.text) }));
  const r = new Reader(all);
  let kernel: string | undefined;
  for (const file of r.of('uname')) {
    kernel ??= readUname(file.text).kernel;
    r.claim(file);
  }
  let usual: Backend = 'unknown';
  for (const file of r.of('version')) {
    const version = /^ip6?tables v\S+(?: \((\w+)\))?/m.exec(file.text);
    if (version) usual = version[1] === 'nf_tables' ? 'nft' : 'legacy'; // before 1.8 there was one backend, and nothing in brackets
    r.claim(file);
  }
  const rules = r.of('iptables-save', 'iptables-list');
  // Rules are by far the most of what a node prints, and a walk through a cluster meets few nodes: they are read when they are asked for.
  const listings = r.of('nft');
  const unreadable = all
    .filter((f) => f.as.named === 'nft' && (f.as.kind === 'binary' || f.as.kind === 'unknown'))
    .map((f) => ({ at: { file: f.path, line: 1 } }));
  const ruleset = later(() => {
    const read = readTables(rules, usual);
    r.findings.push(...read.findings);
    for (const file of rules) for (const family of read.used.get(file.path) ?? []) r.claim(file, family === 6 ? 'rules6' : 'rules4');
    const native = readNft(listings, read.tables, r.findings, unreadable);
    r.findings.push(...backendSplits(native.tables, usual));
    return { ...native, foreignChains: [...native.foreignChains, ...lostSaves(all, rules)] };
  });
  const isClear = rules.every((f) => f.as.family !== undefined);
  if (!isClear) ruleset();
  for (const file of rules) {
    if (isClear || file.as.kind === 'empty') r.claim(file, (file.as.family ?? 4) === 6 ? 'rules6' : 'rules4');
  }
  for (const file of listings) {
    // a listing without tables of a family tells nothing of what iptables-legacy may hold there, unless it is all there is
    const families = new Set([...file.text.matchAll(/^\s*table (ip6?|inet) |"table": *\{"family": *"(ip6?|inet)"/gm)].map((m) => m[1] ?? m[2]));
    const isAll = rules.length === 0;
    // a set by itself says nothing about rules
    if (families.size > 0 && !/\bchain\b/.test(file.text)) continue;
    if (families.has('ip') || families.has('inet') || isAll) r.claim(file, 'rules4');
    if (families.has('ip6') || families.has('inet') || isAll) r.claim(file, 'rules6');
  }
  r.readSets();
  r.readLinks();
  r.readRoutes();
  r.readRules();
  r.readNeighbours();
  r.readBridges();
  r.readSysctls();
  r.readConntrack();
  r.readListeners();
  r.readIpvs();
  for (const file of all) {
    r.findings.push(...unreadOf(file));
    if (file.as.kind === 'missing') r.used.add(file.path);
  }
  const namespace: Namespace = {
    node,
    name,
    captured: Object.fromEntries(r.captured),
    get tables() {
      return ruleset().tables;
    },
    get foreignChains() {
      return ruleset().foreignChains;
    },
    sets: Object.fromEntries(r.sets),
    links: r.links,
    addresses: r.addresses,
    routes: r.routes,
    rules: r.rules,
    neighbours: r.neighbours,
    fdb: r.fdb,
    sysctls: Object.fromEntries(r.sysctls),
    conntrack: r.conntrack,
    ...((r.captured.has('tcpListeners') || r.captured.has('udpListeners')) && { listeners: r.listeners }),
    ...(r.ipvs && { ipvs: r.ipvs }),
    ...(r.setsRefused && { setsRefused: r.setsRefused }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(usual !== 'unknown' && { iptables: usual }),
  };
  const reports = all.map((f): FileReport => ({ path: f.path, kind: f.as.kind, used: r.used.has(f.path), lines: countLines(f.text) }));
  return { namespace, findings: r.findings, files: reports };
}
