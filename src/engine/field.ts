// The numbers of a packet and its connection that a predicate looks at, and how they read.
import { equal, formatAddr, formatEndpoint, type Word } from '../net/addr.ts';
import { formatProtocol, formatTcpFlags, ICMP, ICMPV6, isExtended } from '../net/proto.ts';
import { ADDR_TYPE, CT_STATE, CT_STATUS, IPVS_METHOD, PKT_TYPE, type Field } from '../model/ruleset.ts';
import type { Say, Sight, Tracked } from './sight.ts';

/** Value of a field: `ABSENT` when the packet has no such thing (nothing is true of it), `HIDDEN` when unknown. */
export const ABSENT = Symbol('absent');
export const HIDDEN = Symbol('hidden');
export type FieldValue = Word | typeof ABSENT | typeof HIDDEN;

export const NO_IPVS = 'nothing about IPVS was captured';

export function ipvsSays(field: Field | undefined, ipvs: Sight['ipvs']): string {
  if (ipvs === 'unknown') return NO_IPVS;
  if (!ipvs) return 'IPVS did not send it here';
  if (!field) return 'IPVS sent it here';
  if (!ipvs.connection) return 'IPVS has no connection for it';
  const { addr, port, method, controlPort } = ipvs.connection;
  if (field === 'ipvsmethod') return `its forwarding method is ${method}`;
  if (field !== 'ipvsportctl') return `its virtual server is ${formatEndpoint(addr, port)}`;
  return controlPort === undefined ? 'no other connection controls it' : `the connection that controls it is one to port ${controlPort}`;
}

function readIpvs(field: Field, ipvs: Sight['ipvs']): FieldValue {
  if (ipvs === 'unknown') return HIDDEN;
  if (!ipvs?.connection) return ABSENT;
  const { addr, port, method, controlPort } = ipvs.connection;
  return field === 'ipvsaddr' ? addr : field === 'ipvsport' ? port : field === 'ipvsmethod' ? IPVS_METHOD[method] : (controlPort ?? ABSENT);
}

/** The ports that a field may show, where the kernel picks one: of the packet, or of the side of its connection that was translated. */
export function undetermined(field: Field, s: Sight): readonly [number, number] | undefined {
  const { entry } = s.tracked;
  switch (field) {
    case 'sport':
    case 'dport':
      return s.packet.undetermined?.[field];
    // both tuples of an ICMP connection have the identifier as their source port, and type and code as the other
    case 'ctorigsrcport':
      return isIcmp(entry) ? entry?.loose?.id : entry?.loose?.sport;
    case 'ctorigdstport':
      return entry?.loose?.dport;
    case 'ctrepldstport':
      return isIcmp(entry) ? undefined : (entry?.anyPort?.src ?? (entry?.reply.dport === entry?.orig.sport ? entry?.loose?.sport : undefined));
    case 'ctreplsrcport':
      if (isIcmp(entry)) return entry?.anyPort?.src ?? entry?.anyPort?.dst ?? entry?.loose?.id;
      return entry?.anyPort?.dst ?? (entry?.reply.sport === entry?.orig.dport ? entry?.loose?.dport : undefined);
    default:
      return undefined;
  }
}

function isIcmp(entry: Tracked['entry']): boolean {
  return entry?.orig.proto === ICMP || entry?.orig.proto === ICMPV6;
}

/** Reports whether a side of a connection has an address that was not captured. */
function isAddressHidden(field: Field, entry: NonNullable<Tracked['entry']>): boolean {
  const { anyAddr, loose, orig, reply } = entry;
  switch (field) {
    case 'ctorigsrc':
      return loose?.src !== undefined;
    case 'ctorigdst':
      return loose?.dst !== undefined;
    case 'ctrepldst':
      return anyAddr?.src !== undefined || (loose?.src !== undefined && equal(reply.dst, orig.src));
    case 'ctreplsrc':
      return anyAddr?.dst !== undefined || (loose?.dst !== undefined && equal(reply.src, orig.dst));
    default:
      return false;
  }
}

export function read(field: Field, s: Sight): FieldValue {
  const p = s.packet;
  switch (field) {
    case 'src':
    case 'dst':
      return p.undetermined?.[field] === undefined ? p[field] : HIDDEN;
    case 'nfproto':
      return p.family === 4 ? 2 : 10;
    case 'ethertype':
      return p.family === 4 ? 0x0800 : 0x86dd;
    case 'ctzone':
      return s.tracked.entry ? (s.tracked.entry.zone?.id ?? 0) : ABSENT;
    case 'proto':
      return isExtended(p) ? HIDDEN : p.proto;
    case 'nexthdr':
      return p.proto;
    case 'ttl':
    case 'length':
    case 'tos':
    case 'mark':
      return p[field];
    case 'sport':
    case 'dport':
    case 'flags':
      return p[field] ?? (isExtended(p) ? HIDDEN : ABSENT);
    case 'icmp':
      if (isExtended(p)) return HIDDEN;
      return p.icmp && (p.proto === ICMP || p.proto === ICMPV6) ? p.icmp.type * 256 + p.icmp.code : ABSENT;
    case 'fragment':
      return isExtended(p) ? HIDDEN : 0;
    case 'pkttype':
      return p.mac?.dst === 'ff:ff:ff:ff:ff:ff'
        ? PKT_TYPE.broadcast
        : p.mac && parseInt(p.mac.dst.slice(0, 2), 16) & 1
          ? PKT_TYPE.multicast
          : PKT_TYPE.unicast;
    case 'macsrc':
      return p.mac ? macWord(p.mac.src) : s.iif === '' ? ABSENT : HIDDEN;
    case 'socket':
      return s.iif === '' ? 1 : 0;
    case 'uid':
    case 'gid':
      // xt_owner: a packet without a socket (forwarded) has no owner
      return s.iif !== '' ? ABSENT : (p[field] ?? HIDDEN);
    case 'ctstate':
      return s.tracked.state;
    case 'ctdir':
      return s.tracked.direction === undefined ? ABSENT : s.tracked.direction === 'original' ? 0 : 1;
    case 'ctexpire':
      return s.tracked.entry ? HIDDEN : ABSENT;
    case 'ctstatus':
    case 'ctmark':
      return s.tracked.entry?.[field === 'ctstatus' ? 'status' : 'mark'] ?? ABSENT;
    case 'ctproto':
      return s.tracked.entry?.orig.proto ?? ABSENT;
    case 'ctorigsrc':
    case 'ctorigdst':
    case 'ctreplsrc':
    case 'ctrepldst':
    case 'ctorigsrcport':
    case 'ctorigdstport':
    case 'ctreplsrcport':
    case 'ctrepldstport':
      return !s.tracked.entry ? ABSENT : isAddressHidden(field, s.tracked.entry) ? HIDDEN : readTuple(field, s.tracked.entry);
    case 'ipvsaddr':
    case 'ipvsport':
    case 'ipvsmethod':
    case 'ipvsportctl':
      return readIpvs(field, s.ipvs);
  }
}

function readTuple(field: string, entry: NonNullable<Tracked['entry']>): Word {
  const tuple = field.startsWith('ctorig') ? entry.orig : entry.reply;
  if (field.endsWith('port')) return field.includes('src') ? tuple.sport : tuple.dport;
  return field.endsWith('src') ? tuple.src : tuple.dst;
}

export function macWord(mac: string): Word {
  const hex = mac.replaceAll(':', '');
  return [0, 0, parseInt(hex.slice(0, 4), 16), parseInt(hex.slice(4), 16)];
}

const STATE_NAMES = Object.fromEntries(Object.entries(CT_STATE).map(([name, n]) => [n, name]));

export function sayField(field: Field, value: FieldValue, s: Sight, say: Say): void {
  if (field.startsWith('ipvs')) return say(ipvsSays(field, s.ipvs));
  if (value === ABSENT) return say(`the packet has no ${field.replace(/^ct/, 'conntrack ')}`);
  if (value === HIDDEN) return say(`${field} is not known`);
  if (typeof value !== 'number') return say(formatAddr(value));
  switch (field) {
    case 'src':
    case 'dst':
    case 'ctorigsrc':
    case 'ctorigdst':
    case 'ctreplsrc':
    case 'ctrepldst':
      return say(formatAddr(value));
    case 'proto':
    case 'nexthdr':
    case 'ctproto':
      return say(formatProtocol(value));
    case 'nfproto':
    case 'ethertype':
      return say(value === 2 || value === 0x0800 ? 'an IPv4 packet' : 'an IPv6 packet');
    case 'mark':
    case 'ctmark':
      return say(formatMark(value));
    case 'flags':
      return say(formatTcpFlags(value));
    case 'icmp':
      return say(`type ${value >>> 8} code ${value & 255}`);
    case 'ctstate':
      return say(STATE_NAMES[value] ?? String(value));
    case 'ctstatus':
      return say(statusNames(value));
    case 'ctdir':
      return say(s.tracked.direction ?? 'none');
    case 'sport':
    case 'dport':
    case 'ctorigsrcport':
    case 'ctorigdstport':
    case 'ctreplsrcport':
    case 'ctrepldstport': {
      const range = undetermined(field, s);
      return say(range ? `${range[0]}-${range[1]}, picked by the kernel` : String(value));
    }
    default:
      return say(String(value));
  }
}

export function formatMark(mark: number): string {
  return mark === 0 ? '0' : `0x${mark.toString(16)}`;
}

function statusNames(bits: number): string {
  const names = Object.entries(CT_STATUS).filter(([, bit]) => bits & bit);
  return names.map(([name]) => name).join(',') || 'no status';
}

export function typeName(bits: number): string {
  return Object.entries(ADDR_TYPE)
    .filter(([, bit]) => bits & bit)
    .map(([name]) => name)
    .join(',');
}
