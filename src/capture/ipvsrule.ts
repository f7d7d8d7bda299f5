// The lines of `ipvsadm -S`: -A for a virtual server, -a for a real server, with the options that ipvsadm(8) has.
import { familyOf, isError, maskLength, parseV4, type Family } from '../net/addr.ts';
import { SCTP, TCP, UDP } from '../net/proto.ts';
import type { ServerTunnel } from '../model/ipvs.ts';
import type { Line } from './source.ts';
import { isComplaint, readEnd, type Complaint, type ListedServer, type ListedService, type Listing, type ServiceName } from './ipvslisting.ts';

const LONG = new Map<string, string>([
  ['--add-service', '-A'],
  ['--edit-service', '-E'],
  ['--delete-service', '-D'],
  ['--clear', '-C'],
  ['--restore', '-R'],
  ['--zero', '-Z'],
  ['--add-server', '-a'],
  ['--edit-server', '-e'],
  ['--delete-server', '-d'],
  ['--tcp-service', '-t'],
  ['--udp-service', '-u'],
  ['--fwmark-service', '-f'],
  ['--ipv6', '-6'],
  ['--scheduler', '-s'],
  ['--persistent', '-p'],
  ['--netmask', '-M'],
  ['--ops', '-o'],
  ['--sched-flags', '-b'],
  ['--real-server', '-r'],
  ['--gatewaying', '-g'],
  ['--ipip', '-i'],
  ['--masquerading', '-m'],
  ['--weight', '-w'],
  ['--u-threshold', '-x'],
  ['--l-threshold', '-y'],
]);
const VALUED = new Set(['-t', '-u', '--sctp-service', '-f', '-s', '-M', '--pe', '-r', '-w', '-x', '-y', '--tun-type', '--tun-port']);
const BARE = new Set(['-6', '-o', '-g', '-i', '-m', '--tun-nocsum', '--tun-csum', '--tun-remcsum']);
const PROTO: Readonly<Record<string, number>> = { '-t': TCP, '-u': UDP, '--sctp-service': SCTP };
const CHECKSUM = { '--tun-nocsum': 'none', '--tun-csum': 'checksum', '--tun-remcsum': 'remote' } as const;
/** ip_vs.h: IP_VS_SVC_F_SCHED1 to 3, and the names that sh and mh give the first two. */
const FLAGS = new Map<string, 1 | 2 | 3>([
  ['flag-1', 1],
  ['sh-fallback', 1],
  ['mh-fallback', 1],
  ['flag-2', 2],
  ['sh-port', 2],
  ['mh-port', 2],
  ['flag-3', 3],
]);

/** The short form of an option (`-t` for `--tcp-service`), where it has one. */
export function shortOption(word: string): string {
  const name = word.replace(/=.*$/s, '');
  return LONG.get(name) ?? name;
}

/** The long form without its dashes, as ipvsadm names an option that it complains of. */
export function optionName(short: string): string {
  return [...LONG].find(([, s]) => s === short)?.[0].slice(2) ?? short;
}

/** The scheduler flags of `-b` and of `-L`, without those that are not known. ipvsadm prints of sh and mh only their own two: nothing at all stands for flag-3. */
export function readSchedulerFlags(text: string, complain: (c: Complaint) => void): (1 | 2 | 3)[] {
  if (text === '') return [3];
  return text.split(',').flatMap((name) => {
    const flag = FLAGS.get(name);
    if (flag === undefined) complain({ code: 'unknown-flag', error: `'${name}' is not a scheduler flag that is known`, part: name });
    return flag ?? [];
  });
}

/** What a mask is that clients cannot be grouped by. */
export function badMask(text: string): Complaint {
  return { code: 'bad-mask', error: `'${text}' is not a mask of leading ones: the whole address is taken to tell clients apart`, part: text };
}

/** The prefix length of a persistence mask: dotted for IPv4, a number for IPv6. */
export function readMask(text: string, family: Family): number | Complaint {
  if (family === 6 && /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 128) return Number(text);
  const mask = family === 4 ? parseV4(text) : undefined;
  const length = mask === undefined || isError(mask) ? undefined : maskLength(mask);
  return length ?? badMask(text);
}

interface Options {
  readonly words: ReadonlyMap<string, string>;
  readonly unknown: readonly string[];
  /** The one that lacks its value: the line is cut off there. */
  readonly cut?: string;
}

function optionsOf(words: readonly string[]): Options {
  const read = new Map<string, string>();
  const unknown: string[] = [];
  let cut: string | undefined;
  const isValue = (word: string | undefined): word is string => word !== undefined && !/^-(?!\d)/.test(word);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const [, spelled = word, inline] = /^(--[\w-]+)=(.*)$/.exec(word) ?? [];
    const name = LONG.get(spelled) ?? spelled;
    const next = words[i + 1];
    if (BARE.has(name)) read.set(name, '');
    else if (inline !== undefined) read.set(name, inline);
    else if (VALUED.has(name) || name === '-b' || (name === '-p' && /^\d/.test(next ?? ''))) {
      if (isValue(next)) i++;
      else if (name !== '-b') cut = name;
      read.set(name, isValue(next) ? next : '');
    } else if (name === '-p') read.set(name, '');
    else {
      unknown.push(word);
      while (isValue(words[i + 1])) i++; // what it was given
    }
  }
  return { words: read, unknown, ...(cut !== undefined && { cut }) };
}

function nameOf(options: ReadonlyMap<string, string>): ServiceName | Complaint {
  const mark = options.get('-f');
  if (mark !== undefined) {
    // ipvsadm prints marks from 2^31 on as negative numbers
    if (!/^-?\d{1,10}$/.test(mark)) return { code: 'bad-mark', error: `'${mark}' is not a firewall mark`, part: mark };
    return { mark: Number(mark) >>> 0, family: options.has('-6') ? 6 : 4 };
  }
  for (const [option, proto] of Object.entries(PROTO)) {
    const text = options.get(option);
    if (text === undefined) continue;
    const end = readEnd(text);
    return isComplaint(end) ? end : { proto, addr: end.addr, port: end.port ?? 0, family: familyOf(end.addr) };
  }
  return { code: 'unknown-service', error: 'neither -t, -u, --sctp-service nor -f says for what it is', part: '', hint: 'capture `ipvsadm -Sn`' };
}

/** Reads one line of `ipvsadm -S` into the listing. `seen` are the services so far; the servers of one that was skipped do not complain too. */
export function readRule(line: Line, listing: Listing, seen: Map<string, ListedService | 'skipped'>): void {
  const complain = (c: Complaint): void => {
    listing.isWhole = false;
    listing.source.report('error', c.code, c.error, line, { part: c.part, ...(c.hint && { hint: c.hint }) });
  };
  const [command = '', ...words] = line.text.trim().split(/\s+/);
  const { words: options, unknown, cut } = optionsOf(words);
  const isService = (LONG.get(command) ?? command) === '-A';
  const name = nameOf(options);
  const said = words.slice(0, 2).join(' ');
  const key = isComplaint(name) ? said : keyOf(name);
  for (const word of unknown) {
    if (isComplaint(name) && word === words[0]) continue; // told as a service that is not known
    complain({
      code: 'unknown-option',
      error: `'${word}' is not an option of ipvsadm that is known`,
      part: word,
      hint: 'the rest of the line is used',
    });
  }
  if (isComplaint(name)) {
    if (seen.get(key) !== 'skipped') complain({ ...name, part: name.part || (words[0] ?? '') });
    seen.set(key, 'skipped');
  } else if (cut !== undefined) {
    complain({ code: 'truncated-rule', error: `the line is cut off after ${cut}`, part: cut, hint: 'capture all of `ipvsadm -Sn`' });
    if (isService) seen.set(key, 'skipped');
  } else if (isService) {
    const service = serviceOf(name, options, line, complain);
    listing.services.push(service);
    seen.set(key, service);
  } else {
    const service = seen.get(key);
    if (service === 'skipped') return;
    if (service) addServer(service, options, line, complain);
    else {
      const error = 'a real server of a virtual server that is not listed before it';
      complain({ code: 'no-such-service', error, part: said, hint: 'capture all of `ipvsadm -Sn`' });
    }
  }
}

function addServer(service: ListedService, options: ReadonlyMap<string, string>, line: Line, complain: (c: Complaint) => void): void {
  const server = serverOf(service, options, line);
  if (!isComplaint(server)) service.servers.push(server);
  else {
    service.isDamaged = true;
    complain(server);
  }
}

function keyOf({ family, proto, mark, addr, port }: ServiceName): string {
  return JSON.stringify([family, proto, mark, addr, port]);
}

function serviceOf(name: ServiceName, options: ReadonlyMap<string, string>, line: Line, complain: (c: Complaint) => void): ListedService {
  const service: ListedService = {
    ...name,
    scheduler: options.get('-s') || 'wlc', // DEF_SCHED
    schedulerFlags: [],
    onePacket: options.has('-o'),
    isPersistent: options.has('-p'),
    engine: options.get('--pe') ?? '',
    servers: [],
    line,
  };
  const flags = options.get('-b');
  if (flags !== undefined) service.schedulerFlags = readSchedulerFlags(flags, complain);
  if (!service.isPersistent) return service;
  service.seconds = Number(options.get('-p') || 360); // IPVS_SVC_PERSISTENT_TIMEOUT
  service.length = name.family === 6 ? 128 : 32;
  const mask = options.get('-M');
  if (mask !== undefined) {
    const length = readMask(mask, name.family ?? 4);
    if (typeof length === 'number') service.length = length;
    else complain(length);
  }
  return service;
}

function serverOf(service: ListedService, options: ReadonlyMap<string, string>, line: Line): ListedServer | Complaint {
  const end = readEnd(options.get('-r') ?? '');
  if (isComplaint(end)) return { ...end, part: end.part || '-r' };
  const numbers: Partial<Record<'-w' | '-x' | '-y' | '--tun-port', number>> = {};
  for (const option of ['-w', '-x', '-y', '--tun-port'] as const) {
    const text = options.get(option);
    if (text === undefined) continue;
    if (!/^\d{1,10}$/.test(text)) return { code: 'bad-number', error: `${option} needs a number`, part: option };
    numbers[option] = Number(text);
  }
  const forwarding = options.has('-m') ? 'masq' : options.has('-i') ? 'tunnel' : 'direct';
  const server: ListedServer = { addr: end.addr, port: end.port ?? service.port ?? 0, forwarding, weight: numbers['-w'] ?? 1, line };
  if (numbers['-x'] !== undefined) server.upper = numbers['-x'];
  if (numbers['-y'] !== undefined) server.lower = numbers['-y'];
  if (forwarding !== 'tunnel') return server;
  const type = options.get('--tun-type') ?? 'ipip';
  if (type !== 'ipip' && type !== 'gue' && type !== 'gre')
    return { code: 'unknown-tunnel', error: `'${type}' is not a tunnel that is known`, part: type };
  const checksum: ServerTunnel['checksum'] =
    (Object.keys(CHECKSUM) as (keyof typeof CHECKSUM)[]).filter((o) => options.has(o)).map((o) => CHECKSUM[o])[0] ?? 'none';
  server.tunnel = { type, checksum, ...(numbers['--tun-port'] !== undefined && { port: numbers['--tun-port'] }) };
  return server;
}
