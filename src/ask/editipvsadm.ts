// Edits by ipvsadm: virtual servers and their real servers. do_ip_vs_set_ctl(), net/netfilter/ipvs/ip_vs_ctl.c, and what ipvsadm and
// libipvs refuse before it is asked.
import { equal, familyOf, isLimitedBroadcast, isMulticast } from '../net/addr.ts';
import { UDP } from '../net/proto.ts';
import type { Namespace } from '../model/host.ts';
import type { RealServer, VirtualServer } from '../model/ipvs.ts';
import type { Span } from '../model/finding.ts';
import { readIpvs } from '../capture/ipvs.ts';
import { optionName, shortOption } from '../capture/ipvsrule.ts';
import { altered } from './altered.ts';
import { isRefused, type Refusal, type Tool } from './edit.ts';

type Services = readonly VirtualServer[];

const SERVICE = ['-t', '-u', '--sctp-service', '-f', '-6'];
const ABOUT_SERVICE = [...SERVICE, '-s', '-p', '-M', '-o', '-b', '--pe'];
const ABOUT_SERVER = [
  ...SERVICE,
  '-r',
  '-g',
  '-i',
  '-m',
  '-w',
  '-x',
  '-y',
  '--tun-type',
  '--tun-port',
  '--tun-nocsum',
  '--tun-csum',
  '--tun-remcsum',
];

/** A command, how ipvsadm calls it when it complains, and the options it takes. */
const COMMANDS = new Map<string, readonly [name: string, options: readonly string[], run: (c: Command) => Services | Refusal]>([
  ['-A', ['add-service', ABOUT_SERVICE, addService]],
  ['-E', ['edit-service', ABOUT_SERVICE, editService]],
  ['-D', ['delete-service', SERVICE, deleteService]],
  ['-a', ['add-server', ABOUT_SERVER, addServer]],
  ['-e', ['edit-server', ABOUT_SERVER, editServer]],
  ['-d', ['delete-server', [...SERVICE, '-r'], deleteServer]],
  ['-C', ['flush', [], () => []]],
  ['-Z', ['zero', SERVICE, zero]],
]);
/** Commands that are about a virtual server, and those about a real server too. */
const NEEDS_SERVICE = /^-[AEDaed]$/;
const NEEDS_SERVER = /^-[aed]$/;
const SCHEDULERS = new Set(['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'mh', 'sed', 'nq', 'fo', 'ovf', 'twos']);

interface Command {
  readonly services: Services;
  /** The virtual server as the command describes it, with the real server where it names one. */
  readonly service: VirtualServer;
  readonly has: (option: string) => boolean;
}

export const editIpvsadm: Tool = (ns, { words, text, at }) => {
  const [first = ''] = words;
  if (first !== '-R' && first !== '--restore') return withServices(ns, carryOut(words, ns.ipvs?.services ?? [], ns, at), at);
  let services: Services = ns.ipvs?.services ?? [];
  for (const line of text.split('\n').slice(1)) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    const next = carryOut(line.trim().split(/\s+/), services, ns, at);
    if (isRefused(next)) return { ...next, refused: `${next.refused} (${line.trim()})` };
    services = next;
  }
  return withServices(ns, services, at);
};

function withServices(ns: Namespace, services: Services | Refusal, at: Span): Namespace | Refusal {
  if (isRefused(services)) return services;
  if (services === ns.ipvs?.services) return ns;
  // what was not captured is known after -C
  return altered(ns, { ipvs: { ...ns.ipvs, services }, captured: { ...ns.captured, ipvs: ns.captured.ipvs ?? [at.file] } });
}

function complaintName(option: string): string {
  return /^-[gim]$/.test(option) ? 'forwarding-method' : SERVICE.includes(option) ? 'service-address' : optionName(option);
}

function carryOut(words: readonly string[], services: Services, ns: Namespace, at: Span): Services | Refusal {
  const [given = '', ...rest] = words;
  const command = shortOption(given);
  const known = COMMANDS.get(command);
  if (!known) {
    if (/^-[LlSh]$|^--(?:list|save|help|set|start-daemon|stop-daemon)$/.test(given)) return { refused: `ipvsadm ${given} changes no virtual server` };
    return { refused: `ipvsadm: '${given}' is no command that comes first`, hint: '-A -E -D -a -e -d -C -Z or -R' };
  }
  if (!ns.captured.ipvs && command !== '-C')
    return { refused: 'the virtual servers were not captured: nobody knows what is there', hint: 'capture `ipvsadm -Sn` and `ipvsadm -Lnc`' };
  const [name, options, run] = known;
  const used = rest.filter((w) => /^-(?!\d)/.test(w)).map((w) => shortOption(w));
  const has = (option: string): boolean => used.includes(option);
  const illegal = used.find((o) => !options.includes(o) && o !== '-n' && o !== '--numeric');
  if (illegal !== undefined) return { refused: `Illegal '${complaintName(illegal)}' option with the '${name}' command` };
  const isAbout = SERVICE.some((o) => o !== '-6' && has(o));
  if (!isAbout && NEEDS_SERVICE.test(command)) return { refused: `You need to supply the 'service-address' option for the '${name}' command` };
  if (!has('-r') && NEEDS_SERVER.test(command)) return { refused: `You need to supply the 'real-server' option for the '${name}' command` };
  if (['-g', '-i', '-m'].filter(has).length > 1) return { refused: "multiple 'forwarding-method' options specified" };
  if (!isAbout) return command === '-C' ? [] : services;
  const service = describe(rest, has, at);
  return isRefused(service) ? service : run({ services, service, has });
}

/** Reads what a command is about as if it stood in `ipvsadm -S`: a line for the virtual server, one for the real server. */
function describe(words: readonly string[], has: (option: string) => boolean, at: Span): VirtualServer | Refusal {
  const own: string[] = [];
  // the name of the service, for the line of its server
  for (const [i, w] of words.entries()) {
    const option = shortOption(w);
    if (option === '-6') own.push(w);
    else if (SERVICE.includes(option)) own.push(w, ...(w.includes('=') ? [] : [words[i + 1] ?? '']));
  }
  const text = has('-r') ? `-A ${own.join(' ')}\n-a ${words.join(' ')}` : `-A ${words.join(' ')}`;
  const { ipvs, findings } = readIpvs([{ path: at.file, text, lists: 'servers' }]);
  const [service] = ipvs?.services ?? [];
  const trouble = findings.find((f) => f.severity === 'error');
  if (trouble || !service) return { refused: trouble?.message ?? 'no virtual server', ...(trouble?.hint !== undefined && { hint: trouble.hint }) };
  return { ...service, text: `-A ${own.join(' ')}`, at, servers: service.servers.map((s) => ({ ...s, text: `-a ${words.join(' ')}`, at })) };
}

function isSame(a: VirtualServer, b: VirtualServer): boolean {
  if (a.family !== b.family || a.proto !== b.proto || a.mark !== b.mark || a.port !== b.port) return false;
  return a.addr === undefined || b.addr === undefined ? a.addr === b.addr : equal(a.addr, b.addr);
}

/** What ipvsadm and ip_vs_add_service() refuse of a virtual server by itself. */
function whyNot({ service: s, has }: Command): Refusal | undefined {
  if (s.mark === 0) return { refused: "invalid fwmark value `0' specified" };
  if (has('-o') && s.mark === undefined && s.proto !== UDP) return { refused: 'One-Packet Scheduling is only for UDP virtual services' };
  if (s.port === 0 && !s.persistence) return { refused: 'Zero port specified for non-persistent service' };
  return undefined;
}

/** A scheduler is asked for after everything else: no module has it. */
function whyNoScheduler({ scheduler }: VirtualServer): Refusal | undefined {
  return SCHEDULERS.has(scheduler) ? undefined : { refused: 'Scheduler or persistence engine not found', hint: [...SCHEDULERS].join(', ') };
}

function addService(c: Command): Services | Refusal {
  const { services, service } = c;
  const why = whyNot(c);
  if (why) return why;
  if (services.some((s) => isSame(s, service))) return { refused: 'Service already exists' };
  return whyNoScheduler(service) ?? [...services, { ...service, inKernelOrder: true }];
}

/** ip_vs_edit_service(): all of it anew, what is not said as ipvsadm says it; its real servers stay. */
function editService(c: Command): Services | Refusal {
  const why = whyNot(c);
  if (why) return why;
  return onService(c, (old) => {
    const { servers, inKernelOrder, isPartial } = old;
    return whyNoScheduler(c.service) ?? { ...c.service, servers, inKernelOrder, ...(isPartial && { isPartial }) };
  });
}

function deleteService({ services, service }: Command): Services | Refusal {
  const left = services.filter((s) => !isSame(s, service));
  return left.length === services.length ? { refused: 'No such service', hint: known(services) } : left;
}

function zero({ services, service }: Command): Services | Refusal {
  return services.some((s) => isSame(s, service)) ? services : { refused: 'No such service', hint: known(services) };
}

function known(services: Services): string {
  return services.length === 0
    ? 'there are no virtual servers'
    : `virtual servers: ${services
        .slice(0, 10)
        .map((s) => s.text)
        .join('; ')}`;
}

/** The services with one of them replaced. */
function onService(
  { services, service }: Command,
  change: (old: VirtualServer) => VirtualServer | Refusal,
  missing = 'No such service',
): Services | Refusal {
  const old = services.find((s) => isSame(s, service));
  const changed = old ? change(old) : { refused: missing, hint: known(services) };
  return isRefused(changed) ? changed : services.map((s) => (s === old ? changed : s));
}

interface Place {
  readonly old: VirtualServer;
  /** The real server that the command is about, and where it stands; -1 for nowhere. */
  readonly server: RealServer;
  readonly place: number;
}

/** The same for the commands about real servers, which have another word for what is not there. */
function onServer(c: Command, change: (p: Place) => VirtualServer | Refusal, isPortSaid = false): Services | Refusal {
  const [said] = c.service.servers;
  if (!said) return { refused: 'illegal real server address[:port] specified' };
  const isForeign = familyOf(said.addr) !== c.service.family;
  if (isForeign && said.forwarding !== 'tunnel' && !isPortSaid) return { refused: 'Different address family is allowed only for tunneling servers' };
  if (said.lower > said.upper) return { refused: 'Numerical result out of range', hint: 'the lower threshold is above the upper one' };
  // only -m translates the port
  const isTranslated = isPortSaid || c.service.mark !== undefined || said.forwarding === 'masq';
  const server = isTranslated ? said : { ...said, port: c.service.port ?? 0 };
  return onService(c, (old) => change({ old, server, place: old.servers.findIndex((s) => isSameServer(s, server)) }), 'Service not defined');
}

function isSameServer(a: RealServer, b: RealServer): boolean {
  return a.port === b.port && familyOf(a.addr) === familyOf(b.addr) && equal(a.addr, b.addr);
}

/** ip_vs_add_dest(): a new one goes to the head of the list. */
function addServer(c: Command): Services | Refusal {
  return onServer(c, ({ old, server, place }) => {
    if (place >= 0) return { refused: 'Destination already exists' };
    // ip_vs_new_dest() asks what kind of address that is
    if (isMulticast(server.addr) || isLimitedBroadcast(server.addr))
      return { refused: 'Invalid operation.  Possibly wrong module version, address not unicast, ...' };
    const isFirst = old.servers.length === 0 && !old.isPartial;
    return { ...old, servers: [{ ...server, active: 0, inactive: 0 }, ...old.servers], inKernelOrder: isFirst || old.inKernelOrder };
  });
}

function editServer(c: Command): Services | Refusal {
  return onServer(c, ({ old, server, place }) => {
    const { active, inactive } = old.servers[place] ?? {};
    const counted = { ...server, ...(active !== undefined && { active }), ...(inactive !== undefined && { inactive }) };
    return place < 0 ? missingServer(old) : { ...old, servers: old.servers.with(place, counted) };
  });
}

function deleteServer(c: Command): Services | Refusal {
  const remove = ({ old, place }: Place): VirtualServer | Refusal => {
    const servers = old.servers.toSpliced(place, 1);
    return place < 0 ? missingServer(old) : { ...old, servers, inKernelOrder: old.inKernelOrder || (servers.length < 2 && !old.isPartial) };
  };
  return onServer(c, remove, true);
}

function missingServer({ servers, isPartial, text }: VirtualServer): Refusal {
  if (isPartial) return { refused: `whether ${text} has that real server is not known: some of its lines could not be read` };
  return {
    refused: 'No such destination',
    hint:
      servers.length === 0
        ? 'it has none'
        : servers
            .slice(0, 10)
            .map((s) => s.text)
            .join('; '),
  };
}
