// One network namespace from the files that were captured in it. Text goes before JSON (its lines can be quoted), and what
// only the other form of the same listing holds is taken from there.
import { formatAddr, type Family } from '../net/addr.ts';
import type { Finding } from '../model/finding.ts';
import type { CaptureKind, ConntrackEntry, InterfaceAddress, Link, Namespace, Neighbour, Route, RoutingRule, Sysctl } from '../model/host.ts';
import type { Backend, IpSet } from '../model/ruleset.ts';
import { readConntrack } from './conntrack.ts';
import { readIpset } from './ipset.ts';
import { readLinks } from './links.ts';
import { readNeighbours } from './neighbours.ts';
import { recognise, type FileKind, type Recognised } from './recognise.ts';
import { readRoutes } from './routes.ts';
import { readRules } from './rules.ts';
import { linesOf } from './source.ts';
import { readSysctls } from './sysctl.ts';
import { readTables } from './tables.ts';
import { readUname } from './uname.ts';

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
  readonly findings: readonly Finding[];
  readonly files: readonly FileReport[];
  /** From `uname -a`. */
  readonly hostname?: string;
}

interface Read extends CaptureFile {
  readonly as: Recognised;
}

const NO_CAPTURE = new Set<FileKind>(['log', 'missing', 'netns', 'empty', 'binary', 'unknown']);

/** Reports whether a file is what some command printed about a namespace (also where it printed nothing). */
export function isCapture(as: Recognised): boolean {
  return !NO_CAPTURE.has(as.kind === 'empty' ? as.named : as.kind);
}

// An empty file of these kinds says that there is nothing; of all others that the capture failed.
const MAY_BE_EMPTY = new Set<FileKind>([
  'iptables-save',
  'nft',
  'ipset-save',
  'ipset-list',
  'ipvsadm',
  'route',
  'neigh',
  'bridge',
  'conntrack',
  'missing',
  'netns',
]);

class Reader {
  readonly findings: Finding[] = [];
  readonly used = new Set<string>();
  readonly captured = new Map<CaptureKind, string[]>();
  readonly links: Link[] = [];
  readonly addresses: InterfaceAddress[] = [];
  readonly routes: Route[] = [];
  readonly rules: RoutingRule[] = [];
  readonly neighbours: Neighbour[] = [];
  readonly sysctls = new Map<string, Sysctl>();
  readonly conntrack: ConntrackEntry[] = [];
  readonly sets = new Map<string, IpSet>();
  private readonly files: readonly Read[];

  constructor(files: readonly Read[]) {
    this.files = files;
  }

  /** The files of these kinds, text first, in the order of the kinds. */
  of(...kinds: FileKind[]): Read[] {
    const rank = (f: Read): number => (f.as.format === 'json' ? kinds.length : 0) + kinds.indexOf(kindOf(f));
    return this.files.filter((f) => kinds.includes(kindOf(f)) && !isFailed(f)).toSorted((a, b) => rank(a) - rank(b));
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
      const family = read.rules[0]?.family;
      if (family === undefined) continue;
      this.claim(file, 'rules');
      const first = seen.get(family);
      if (first === undefined) this.rules.push(...read.rules);
      else if (rulesOf(this.rules.filter((r) => r.family === family)) !== rulesOf(read.rules)) {
        this.note(file, 'warning', 'rules-twice', `the IPv${family} rules are in ${first} too, and differ; ${first} counts`);
      }
      if (first === undefined) seen.set(family, file.path);
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

  readSets(): void {
    for (const file of this.of('ipset-save', 'ipset-list')) {
      const read = readIpset(file.text, file.path);
      this.findings.push(...read.findings);
      if (read.incomplete === undefined) this.claim(file, 'sets');
      for (const set of read.sets) {
        const known = this.sets.get(set.name);
        if (known && (known.incomplete === undefined || set.incomplete !== undefined)) continue;
        this.sets.set(set.name, set);
        this.used.add(file.path);
      }
    }
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

  readConntrack(): void {
    const seen = new Set<string>();
    for (const file of this.of('conntrack')) {
      const read = readConntrack(file.text, file.path);
      this.findings.push(...read.findings);
      this.claim(file, 'conntrack');
      for (const entry of read.entries) {
        const { src, dst, proto, sport, dport } = entry.orig;
        const key = `${formatAddr(src)} ${formatAddr(dst)} ${proto} ${sport} ${dport} ${entry.zone}`;
        if (!seen.has(key)) this.conntrack.push(entry);
        seen.add(key);
      }
    }
  }

  /** What was captured, but is not read. */
  noteOthers(): void {
    for (const file of this.files) {
      switch (file.as.kind) {
        case 'empty':
          if (isFailed(file))
            this.note(file, 'warning', 'empty-file', 'the file is empty', 'capture it again as root, and look at what the command says');
          else if (file.as.named !== 'missing' && file.as.named !== 'netns')
            this.note(file, 'note', 'empty-file', `the file is empty: taken to say that ${NOTHING[file.as.named]}`);
          break;
        case 'iptables-table':
          this.note(
            file,
            'error',
            'lossy-listing',
            'iptables -L leaves out interfaces and more (and names what it can); rules cannot be read from it',
            'capture iptables-save, or iptables -S',
          );
          break;
        case 'binary':
          this.note(file, 'error', 'binary-file', 'this is not text', 'unpack archives and give the text that the command printed');
          break;
        case 'nft':
          if (/"(?:table|chain|rule)"|^table /m.test(file.text))
            this.note(file, 'note', 'not-read', 'nft rulesets are not read yet; the tables of iptables-nft are read from iptables-save');
          break;
        case 'ipvsadm':
          this.note(file, 'note', 'not-read', 'virtual servers (IPVS) are not read yet');
          break;
        case 'bridge':
          if (file.text.trim() !== '[]') this.note(file, 'note', 'not-read', 'bridge tables are not read yet');
          break;
        case 'log':
          this.note(file, 'note', 'not-read', 'logs are not read');
          break;
        case 'missing':
          this.used.add(file.path);
          for (const line of linesOf(file.text)) {
            const at = { file: file.path, line: line.number };
            if (line.text.trim())
              this.findings.push({ severity: 'note', code: 'not-captured', message: `could not be captured: ${line.text.slice(0, 200)}`, at });
          }
          break;
        case 'unknown':
          if (!/\.(?:md|ya?ml)$/i.test(file.path)) {
            this.note(
              file,
              'note',
              'not-recognised',
              'no command that is known printed this',
              'name the file after its command: iptables-save.txt, ip-route.txt',
            );
          }
          break;
      }
    }
  }
}

const NOTHING: Readonly<Record<FileKind, string>> = {
  'iptables-save': 'there are no rules',
  'iptables-list': 'there are no rules',
  'iptables-table': 'there are no rules',
  nft: 'there are no rules',
  'ipset-save': 'there are no sets',
  'ipset-list': 'there are no sets',
  ipvsadm: 'there are no virtual servers',
  addr: 'there are no addresses',
  link: 'there are no links',
  route: 'there are no routes',
  rule: 'there are no rules',
  neigh: 'there are no neighbours',
  bridge: 'there are no bridges',
  sysctl: 'there are no settings',
  conntrack: 'there are no connections',
  uname: 'nothing',
  version: 'nothing',
  log: 'nothing was logged',
  missing: 'nothing is missing',
  netns: 'there are no other namespaces',
  empty: 'nothing',
  binary: 'nothing',
  unknown: 'nothing',
};

function kindOf(f: Read): FileKind {
  return f.as.kind === 'empty' ? f.as.named : f.as.kind;
}

function isFailed(f: Read): boolean {
  return f.as.kind === 'empty' && !MAY_BE_EMPTY.has(f.as.named);
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

function countLines(text: string): number {
  let n = 0;
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) n++;
  return n + (text === '' || text.endsWith('\n') ? 0 : 1);
}

/** Reads the files of one namespace; '' is the name of a node's root namespace. */
export function readNamespace(files: readonly CaptureFile[], node: string, name: string): NamespaceReading {
  const all = files.map((f): Read => ({ path: f.path, text: f.text.replace(/^\ufeff/, ''), as: recognise(f.path, f.text) }));
  const r = new Reader(all);
  let hostname: string | undefined;
  let kernel: string | undefined;
  for (const file of r.of('uname')) {
    const uname = readUname(file.text);
    hostname ??= uname.hostname;
    kernel ??= uname.kernel;
    r.claim(file);
  }
  let usual: Backend = 'unknown';
  for (const file of r.of('version')) {
    const version = /^ip6?tables v\S+(?: \((\w+)\))?/m.exec(file.text);
    if (version) usual = version[1] === 'nf_tables' ? 'nft' : 'legacy'; // before 1.8 there was one backend, and nothing in brackets
    r.claim(file);
  }
  const rules = r.of('iptables-save', 'iptables-list');
  const tables = readTables(rules, usual);
  r.findings.push(...tables.findings);
  for (const file of rules) {
    const families = tables.used.get(file.path) ?? (file.as.kind === 'empty' ? [file.as.family ?? 4] : []);
    for (const family of families) r.claim(file, family === 6 ? 'rules6' : 'rules4');
  }
  r.readSets();
  r.readLinks();
  r.readRoutes();
  r.readRules();
  r.readNeighbours();
  r.readSysctls();
  r.readConntrack();
  r.noteOthers();
  const namespace: Namespace = {
    node,
    name,
    captured: Object.fromEntries(r.captured),
    tables: tables.tables,
    sets: Object.fromEntries(r.sets),
    links: r.links,
    addresses: r.addresses,
    routes: r.routes,
    rules: r.rules,
    neighbours: r.neighbours,
    sysctls: Object.fromEntries(r.sysctls),
    conntrack: r.conntrack,
    ...(kernel === undefined ? {} : { kernel }),
  };
  const reports = all.map((f): FileReport => ({ path: f.path, kind: f.as.kind, used: r.used.has(f.path), lines: countLines(f.text) }));
  return { namespace, findings: r.findings, files: reports, ...(hostname === undefined ? {} : { hostname }) };
}
