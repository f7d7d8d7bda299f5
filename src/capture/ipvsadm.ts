// What ipvsadm prints (-S, -L and its variants, -Lc) and /proc/net/ip_vs*: the listings of virtual servers as they stand, and
// connection entries. Several listings may follow each other in one text.
import { familyOf, maskLength } from '../net/addr.ts';
import { SCTP, TCP, UDP } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { ForwardingMethod, IpvsConnection, ServerTunnel } from '../model/ipvs.ts';
import { isConnectionHead, isConnectionLine, readConnectionLine } from './ipvsconn.ts';
import {
  isComplaint,
  readEnd,
  readHexAddr,
  readHexEnd,
  type Complaint,
  type Form,
  type ListedServer,
  type ListedService,
  type Listing,
} from './ipvslisting.ts';
import { badMask, readMask, readRule, readSchedulerFlags } from './ipvsrule.ts';
import { isPrompt, Source, type Line } from './source.ts';

/** What a text of ipvsadm or of /proc/net/ip_vs* holds. */
export interface IpvsadmReading {
  readonly listings: readonly Listing[];
  /** Absent where no listing of connections begins. */
  readonly connections?: readonly IpvsConnection[];
  /** The kernel has no IPVS, says the text. */
  readonly isAbsent: boolean;
  /** Grows when ipvs.ts finds that listings contradict each other. */
  readonly findings: readonly Finding[];
}

const SERVICE = /^([A-Z][A-Z0-9_]*|\?)\s+(\S+)(.*)$/;
const PROTO: Readonly<Record<string, number>> = { TCP, UDP, SCTP };
const FORWARDING = new Map<string, ForwardingMethod>([
  ['Masq', 'masq'],
  ['Route', 'direct'],
  ['Tunnel', 'tunnel'],
  ['Local', 'local'],
  ['Bypass', 'bypass'],
]);
const CHECKSUM = new Map<string, ServerTunnel['checksum']>([
  ['-c', 'none'],
  ['+c', 'checksum'],
  ['r+c', 'remote'],
]);

type Column = 'forwarding' | 'tunnel' | 'weight' | 'upper' | 'lower' | 'active' | 'inactive' | 'other';
const COLUMNS: Readonly<Record<Exclude<Form, 'rules'>, readonly Column[]>> = {
  list: ['forwarding', 'weight', 'active', 'inactive'],
  proc: ['forwarding', 'weight', 'active', 'inactive'],
  tunnels: ['forwarding', 'tunnel', 'weight', 'active', 'inactive'],
  thresholds: ['upper', 'lower', 'active', 'inactive'],
  persistent: ['weight', 'other', 'active', 'inactive'],
  counters: ['other', 'other', 'other', 'other', 'other'],
};

/** Reads such a text. */
export function readIpvsadm(text: string, file: string): IpvsadmReading {
  const reader = new Reader(new Source(text, file));
  for (const line of reader.source.lines()) if (line.text.trim() !== '' && !isPrompt(line.text)) reader.read(line);
  const { listings, connections, isAbsent, source } = reader;
  return { listings, ...(connections && { connections }), isAbsent, findings: source.findings };
}

class Reader {
  readonly source: Source;
  readonly listings: Listing[] = [];
  connections: IpvsConnection[] | undefined;
  isAbsent = false;
  private listing: Listing | undefined;
  private service: ListedService | 'skipped' | undefined;
  private seen = new Map<string, ListedService | 'skipped'>();
  private section: 'servers' | 'connections' | 'other' | undefined;

  constructor(source: Source) {
    this.source = source;
  }

  read(line: Line): void {
    const t = line.text;
    if (t.startsWith('IP Virtual Server version')) this.begin('list', true);
    else if (t.startsWith('Prot LocalAddress:Port')) this.readTitle(line);
    else if (/^\s+-> RemoteAddress:Port/.test(t)) this.readSecondTitle(line);
    else if (isConnectionHead(t)) this.beginConnections();
    else if (isOtherHead(t)) this.section = 'other';
    else if (/^-|^--add-ser/.test(t)) this.readRule(line);
    else if (/^\s*->/.test(t)) this.readServer(line);
    else if (this.section === 'connections' ? SERVICE.test(t) : isConnectionLine(t)) this.readConnection(line);
    else if (this.section === 'servers' ? SERVICE.test(t) : /^(?:TCP|UDP|SCTP|FWM) +\S+ +[a-z]/.test(t)) this.readService(line);
    else if (this.section !== 'other' || !isOtherLine(t)) this.readMessage(line);
  }

  private begin(form: Form, isWhole: boolean): Listing {
    this.service = undefined;
    this.seen = new Map();
    this.section = 'servers';
    this.listing = { form, isWhole, services: [], source: this.source };
    this.listings.push(this.listing);
    return this.listing;
  }

  /** A listing without its first line: `ipvsadm -Ln -t 10.96.0.1:443`, or a part of a larger one. */
  private beginPart(line: Line, form: Form = 'list'): Listing {
    const message = 'not a listing of all virtual servers: there may be others';
    this.source.report('note', 'partial-listing', message, line, { hint: 'capture `ipvsadm -Sn`' });
    return this.begin(form, false);
  }

  private readTitle(line: Line): void {
    const t = line.text;
    const isFresh = this.listing?.form === 'list' && this.listing.services.length === 0;
    const listing = this.listing && isFresh ? this.listing : this.beginPart(line);
    if (/Uthreshold/.test(t)) listing.form = 'thresholds';
    else if (/PersistConn/.test(t)) listing.form = 'persistent';
    else if (/\b(?:Conns|CPS)\b/.test(t)) listing.form = 'counters';
  }

  private readSecondTitle(line: Line): void {
    const t = line.text;
    const listing = this.listing ?? this.beginPart(line);
    if (/TunnelInfo/.test(t)) listing.form = 'tunnels';
    else if (/Port Forward Weight/.test(t)) listing.form = 'proc';
  }

  private beginConnections(): void {
    this.connections ??= [];
    this.listing = undefined;
    this.section = 'connections';
  }

  private readConnection(line: Line): void {
    this.connections ??= [];
    const entry = readConnectionLine(line, this.source);
    if (entry) this.connections.push(entry);
  }

  private readRule(line: Line): void {
    if (!/^(?:-[Aa]|--add-service|--add-server)\s/.test(line.text)) return this.readMessage(line);
    readRule(line, this.listing?.form === 'rules' ? this.listing : this.begin('rules', true), this.seen);
  }

  private complain(line: Line, c: Complaint): void {
    if (this.listing) this.listing.isWhole = false;
    this.source.report('error', c.code, c.error, line, { part: c.part, ...(c.hint && { hint: c.hint }) });
  }

  private readService(line: Line): void {
    const isHex = /^(?:TCP|UDP|SCTP) +[0-9A-F]{8}:[0-9A-F]{4} |^FWM +[0-9A-F]{8} /.test(line.text);
    const listing = this.listing ?? this.beginPart(line, isHex ? 'proc' : 'list');
    const service = this.serviceOf(line, listing);
    this.service = service ?? 'skipped';
    if (service) listing.services.push(service);
  }

  private serviceOf(line: Line, listing: Listing): ListedService | undefined {
    const [, kind = '', where = '', rest = ''] = SERVICE.exec(line.text) ?? [];
    const words = rest.trim() === '' ? [] : rest.trim().split(/\s+/);
    const isHex = listing.form === 'proc';
    const service: ListedService = { servers: [], line, ...this.nameOf(kind, where, words, isHex, line) };
    if (service.mark === undefined && service.addr === undefined) return undefined;
    if (listing.form === 'counters') return service;
    const scheduler = words.shift();
    if (scheduler === undefined) {
      this.complain(line, {
        code: 'truncated-service',
        error: 'the line is cut off: it names no scheduler',
        part: where,
        hint: 'capture `ipvsadm -Sn`',
      });
      return undefined;
    }
    service.scheduler = scheduler;
    service.isPersistent = false;
    if (!isHex) service.schedulerFlags = [];
    if (!isHex || service.family !== 6) service.onePacket = false; // ip_vs_info_seq_show() leaves it out of IPv6
    while (words.length > 0) this.readServiceFlag(words, service, isHex, line);
    // print_service_entry() of ipvsadm names the engine of persistent services only
    if (!isHex && service.isPersistent) service.engine ??= '';
    return service;
  }

  private nameOf(
    kind: string,
    where: string,
    words: string[],
    isHex: boolean,
    line: Line,
  ): Pick<ListedService, 'proto' | 'addr' | 'port' | 'mark' | 'family'> {
    if (kind === 'FWM') {
      if (isHex && /^[0-9A-F]{8}$/.test(where)) return { mark: Number.parseInt(where, 16) };
      const isSix = words[0] === 'IPv6';
      if (isSix) words.shift();
      // %d: marks from 2^31 on are negative
      if (!isHex && /^-?\d{1,10}$/.test(where)) return { mark: Number(where) >>> 0, family: isSix ? 6 : 4 };
      this.complain(line, { code: 'bad-mark', error: `'${where}' is not a firewall mark`, part: where });
      return {};
    }
    const proto = PROTO[kind];
    if (proto === undefined) {
      this.complain(line, { code: 'unknown-service', error: `'${kind}' is not a kind of virtual server that is known`, part: kind });
      return {};
    }
    const end = isHex ? readHexEnd(where) : readEnd(where);
    if (isComplaint(end)) {
      this.complain(line, end);
      return {};
    }
    if (end.port === undefined) {
      this.complain(line, { code: 'truncated-service', error: `'${where}' has no port`, part: where, hint: 'capture with -n' });
      return {};
    }
    return { proto, addr: end.addr, port: end.port, family: familyOf(end.addr) };
  }

  /** Takes the next words of a service: `(sh-port)`, `persistent 300`, `mask 255.255.255.0`, `pe sip`, `ops`. */
  private readServiceFlag(words: string[], service: ListedService, isHex: boolean, line: Line): void {
    const word = words.shift()!;
    const flags = /^\((.*)\)$/.exec(word);
    if (flags) service.schedulerFlags = readSchedulerFlags(flags[1]!, (c) => this.complain(line, c));
    else if (word === 'ops') service.onePacket = true;
    else if (word === 'pe' && words.length > 0) service.engine = words.shift()!;
    else if (word === 'persistent' && /^\d+$/.test(words[0] ?? '')) {
      service.isPersistent = true;
      const time = Number(words.shift());
      if (isHex) this.readHexMask(words.shift() ?? '', service, line);
      else {
        service.seconds = time;
        service.length = service.family === 6 ? 128 : 32;
      }
    } else if (word === 'mask' && words.length > 0) {
      const length = readMask(words.shift()!, service.family ?? 4);
      if (typeof length === 'number') service.length = length;
      else this.complain(line, length);
    } else this.complain(line, { code: 'unknown-flag', error: `'${word}' is not a flag of a virtual server that is known`, part: word });
  }

  // The mask of IPv6 is a number from 1 to 128 that the kernel prints as if it were an address: 40000000 is /64 (on a big-endian one, 00000040).
  private readHexMask(text: string, service: ListedService, line: Line): void {
    const six = /^(?:([0-9A-F]{2})0{6}|0{6}([0-9A-F]{2}))$/.exec(text);
    const length6 = six ? Number.parseInt(six[1] ?? six[2]!, 16) : 0;
    const isSix = length6 >= 1 && length6 <= 128;
    service.family ??= isSix ? 6 : 4;
    const mask = service.family === 4 ? readHexAddr(text) : undefined;
    const length = service.family === 6 ? (isSix ? length6 : undefined) : mask !== undefined ? maskLength(mask) : undefined;
    if (length === undefined) this.complain(line, badMask(text));
    else service.length = length;
  }

  private readServer(line: Line): void {
    const listing = this.listing ?? this.beginPart(line);
    if (this.service === 'skipped') return;
    const service = this.service;
    const words = line.text.replace('->', '').trim().split(/\s+/);
    if (!service || listing.form === 'rules') {
      this.complain(line, {
        code: 'no-such-service',
        error: 'a real server without the virtual server that it belongs to',
        part: words[0]!,
        hint: 'capture `ipvsadm -Sn`',
      });
      return;
    }
    const server = serverOf(words, listing.form, line);
    if (!isComplaint(server)) service.servers.push(server);
    else {
      service.isDamaged = true;
      this.complain(line, server);
    }
  }

  /** What ipvsadm or cat say instead of a listing. */
  private readMessage(line: Line): void {
    const t = line.text;
    // ENOPROTOOPT: the module is not there, and could not be loaded
    if (/^Can't initialize ipvs: Protocol not available|\/proc\/net\/ip_vs\w*'?: No such file/.test(t)) this.isAbsent = true;
    else if (!/^Are you sure that IP Virtual Server is built|^modprobe: /.test(t)) {
      this.complain(line, {
        code: 'unreadable-ipvsadm',
        error: 'not a line that ipvsadm prints',
        part: '',
        hint: 'capture `ipvsadm -Sn` and `ipvsadm -Lnc`, as root',
      });
    }
  }
}

/** Heads of listings that tell nothing of virtual servers: timeouts, the synchronisation daemon, statistics, application helpers. */
function isOtherHead(t: string): boolean {
  return /^Timeout \(tcp tcpfin udp\)|^(?:master|backup) sync daemon|^\s+(?:Total )?Total Incoming Outgoing|^\s*Conns\/s +Pkts\/s|^prot port +usecnt/.test(
    t,
  );
}

function isOtherLine(t: string): boolean {
  return /^[\s\d~]|^CPU |^[A-Z]+ +\d+ +\d+ /.test(t);
}

function serverOf(words: readonly string[], form: Exclude<Form, 'rules'>, line: Line): ListedServer | Complaint {
  const [where = '', ...values] = words;
  const columns = COLUMNS[form];
  const end = form === 'proc' ? readHexEnd(where) : readEnd(where);
  if (isComplaint(end)) return end;
  if (end.port === undefined || values.length < columns.length)
    return { code: 'truncated-server', error: 'the line is cut off', part: where, hint: 'capture `ipvsadm -Sn`' };
  const server: ListedServer = { addr: end.addr, port: end.port, line };
  for (const [i, column] of columns.entries()) {
    const word = values[i]!;
    if (column === 'other') continue;
    if (column === 'forwarding') {
      const forwarding = FORWARDING.get(word);
      if (!forwarding) return { code: 'unknown-forwarding', error: `'${word}' is not a forwarding method that is known`, part: word };
      server.forwarding = forwarding;
    } else if (column === 'tunnel') {
      const tunnel = word === 'n/a' ? undefined : tunnelOf(word);
      if (tunnel && isComplaint(tunnel)) return tunnel;
      if (tunnel) server.tunnel = tunnel;
    } else if (/^\d+$/.test(word)) server[column] = Number(word);
    else return { code: 'bad-number', error: `'${word}' is not a number`, part: word };
  }
  return server;
}

// fwd_tun_info() of ipvsadm: ipip, gue:6080:+c, gre:-c
function tunnelOf(text: string): ServerTunnel | Complaint {
  const [type = '', ...rest] = text.split(':');
  const checksum = type === 'ipip' ? 'none' : CHECKSUM.get(rest.at(-1) ?? '');
  if ((type !== 'ipip' && type !== 'gue' && type !== 'gre') || !checksum)
    return { code: 'unknown-tunnel', error: `'${text}' is not a tunnel that is known`, part: text };
  return { type, checksum, ...(type === 'gue' && /^\d+$/.test(rest[0] ?? '') && { port: Number(rest[0]) }) };
}
