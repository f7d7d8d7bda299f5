// Edits by `ip addr`: __inet_insert_ifa() and __inet_del_ifa(), net/ipv4/devinet.c; inet6_addr_add() and inet6_addr_del(), net/ipv6/addrconf.c.
import { and, bitsOf, equal, familyOf, formatAddr, isError, isLoopback, maskOf, not, or, parseAddr, type Addr } from '../net/addr.ts';
import { readLinks } from '../capture/links.ts';
import type { InterfaceAddress, Namespace } from '../model/host.ts';
import { setting } from '../engine/sysctl.ts';
import { isRefused, type Refusal } from './edit.ts';
import { answers, findLink, garbage, uncaptured, unread, type IpCommand } from './iproute.ts';
import { withAddresses } from './kernelroutes.ts';

/** Words with a value, and words without, that change nothing here. */
const VALUED = new Set(['label', 'valid_lft', 'preferred_lft']);
const FLAGS = new Set(['nodad', 'home', 'mngtmpaddr', 'optimistic']);

interface Asked {
  readonly local?: string;
  readonly device?: string;
  readonly peer?: string;
  readonly broadcast?: string;
  readonly scope?: string;
}

export function editAddress(ns: Namespace, { verb, words, at }: IpCommand): Namespace | Refusal {
  const asked = read(words);
  if (isRefused(asked)) return asked;
  const { device } = asked;
  if (device === undefined) return { refused: 'Not enough information: "dev" argument is required.' };
  const link = findLink(ns, device);
  if (link && isRefused(link)) return link;
  if (verb === 'flush')
    return withAddresses(
      ns,
      device,
      ns.addresses.filter((a) => a.device !== device),
      at,
    );
  if (asked.local === undefined) return answers('Operation not supported');
  const address = build(asked, asked.local, device, at.file);
  if (isRefused(address)) return address;
  const family = familyOf(address.addr);
  const own = ns.addresses.filter((a) => a.device === device && familyOf(a.addr) === family);
  if (verb === 'delete') {
    const isAny = family === 4 && !asked.local.includes('/') && asked.peer === undefined;
    const gone = own.find((a) => equal(a.addr, address.addr) && (isAny || (a.length === address.length && (family === 6 || sameNet(a, address)))));
    if (gone) return withAddresses(ns, device, without(ns, gone), at);
    return (
      uncaptured(ns, 'addresses', 'addresses', 'ip addr') ?? {
        refused: family === 4 ? 'Error: ipv4: Address not found.' : 'Error: ipv6: address not found.',
      }
    );
  }
  const twin = own.find((a) => equal(a.addr, address.addr) && (family === 6 || (a.length === address.length && sameNet(a, address))));
  if (twin && verb === 'add') return { refused: `Error: ${family === 4 ? 'ipv4: Address' : 'ipv6: address'} already assigned.` };
  if (twin) return ns; // replace, change: how long it lives
  if (verb === 'change') return { refused: family === 4 ? 'Error: ipv4: Address not found.' : 'Error: ipv6: address not found.' };
  const first = family === 4 ? own.find((a) => !a.secondary && a.length === address.length && sameNet(a, address)) : undefined;
  const now: InterfaceAddress = { ...address, secondary: first !== undefined, at };
  // IPv6 lists what is newest first, before those of a narrower scope
  const before = family === 6 ? ns.addresses.findIndex((a) => own.includes(a)) : ns.addresses.findLastIndex((a) => own.includes(a)) + 1 || -1;
  return withAddresses(ns, device, ns.addresses.toSpliced(before < 0 ? ns.addresses.length : before, 0, now), at);
}

function read(words: readonly string[]): Asked | Refusal {
  const asked: { -readonly [K in keyof Asked]: Asked[K] } = {};
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === 'dev') asked.device = words[++i] ?? '';
    else if (word === 'peer' || word === 'remote') asked.peer = words[++i] ?? '';
    else if (word === 'broadcast' || word === 'brd') asked.broadcast = words[++i] ?? '';
    else if (word === 'scope') asked.scope = words[++i] ?? '';
    else if (VALUED.has(word)) i++;
    else if (FLAGS.has(word)) continue;
    else if (/^(?:noprefixroute|autojoin|metric|priority|preference|proto|anycast)$/.test(word))
      return { refused: `'${word}' of an address is not modelled` };
    else if (word === 'local' && asked.local === undefined) asked.local = words[++i] ?? '';
    else if (asked.local === undefined) asked.local = word;
    else return garbage(word, 'local');
  }
  return asked;
}

/** The line that `ip -o addr` lists, read as such. */
function build(asked: Asked, local: string, device: string, file: string): InterfaceAddress | Refusal {
  const [text = '', slash] = local.split('/');
  const addr = parseAddr(text);
  const length = Number((asked.peer ?? '').split('/')[1] ?? slash ?? (isError(addr) ? 0 : bitsOf(familyOf(addr))));
  if (isError(addr) || !Number.isInteger(length) || length > bitsOf(familyOf(addr)))
    return { refused: `Error: any valid prefix is expected rather than "${local}".` };
  const words = [`${formatAddr(addr)}${asked.peer === undefined ? '' : ` peer ${asked.peer.split('/')[0]}`}/${length}`];
  const broadcast = broadcastOf(asked.broadcast, addr, length);
  if (broadcast !== undefined) words.push('brd', broadcast);
  // default_scope(), ip/ipaddress.c
  words.push('scope', asked.scope ?? (familyOf(addr) === 4 && isLoopback(addr) ? 'host' : scopeOf(addr)));
  const { addresses, findings } = readLinks(`1: ${device}    ${familyOf(addr) === 4 ? 'inet' : 'inet6'} ${words.join(' ')} ${device}`, file);
  return addresses[0] ?? unread(findings) ?? garbage(local, 'local');
}

/** `brd +` and `brd -`: the last and the first address of the subnet. */
function broadcastOf(word: string | undefined, addr: Addr, length: number): string | undefined {
  if (word !== '+' && word !== '-') return word;
  const mask = maskOf(familyOf(addr), length);
  return formatAddr(word === '+' ? or(addr, not(mask)) : and(addr, mask));
}

/** rt_scope() of ipv6_addr_type(): IPv6 decides by the address, whatever was said. */
function scopeOf(addr: Addr): InterfaceAddress['scope'] {
  return typeof addr !== 'number' && addr[0] >>> 22 === 0xfe80 >>> 6 ? 'link' : typeof addr !== 'number' && isLoopback(addr) ? 'host' : 'global';
}

/** inet_ifa_match() */
function sameNet(a: InterfaceAddress, b: InterfaceAddress): boolean {
  const mask = maskOf(familyOf(a.addr), a.length);
  return equal(and(a.peer ?? a.addr, mask), and(b.peer ?? b.addr, mask));
}

/** __inet_del_ifa(): with the first address of a subnet go the others, unless one of them is promoted. */
function without(ns: Namespace, gone: InterfaceAddress): readonly InterfaceAddress[] {
  const isHeir = (a: InterfaceAddress): boolean =>
    a.device === gone.device && a.secondary && a.length === gone.length && familyOf(a.addr) === 4 && sameNet(a, gone);
  if (gone.secondary || familyOf(gone.addr) === 6) return ns.addresses.filter((a) => a !== gone);
  const promotes = ['all', gone.device.replaceAll('.', '/')].some((name) => setting(ns, `net.ipv4.conf.${name}.promote_secondaries`, 0).value !== 0);
  const heir = promotes ? ns.addresses.find(isHeir) : undefined;
  return ns.addresses.flatMap((a) => (a === gone ? [] : a === heir ? [{ ...a, secondary: false }] : isHeir(a) && !promotes ? [] : [a]));
}
