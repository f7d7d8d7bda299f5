// Carrying out the targets that a table goes on after: marks, tracking, header fields. xt_MARK, xt_connmark, xt_CT, xt_HL, xt_DSCP, ...
import type { Packet } from '../model/packet.ts';
import { CT_STATE, CT_STATUS, type AssignedField, type Statement } from '../model/ruleset.ts';
import type { ConntrackSettings } from '../model/zone.ts';
import { formatAddr, type Addr, type Word } from '../net/addr.ts';
import { formatTcpFlags } from '../net/proto.ts';
import { newEntry, type Connection } from './conntrack.ts';
import type { NatStatement } from './nat.ts';
import { formatMark } from './field.ts';
import { DEFAULT_ZONE, sayZone, type AskedZone } from './zone.ts';

/** A statement after which the next rule is tried. */
export type Passing = Exclude<
  Statement,
  | { kind: 'verdict' | 'jump' | 'goto' | 'reject' | 'gate' | 'npt' | 'anymark' | 'opaque' | 'setmember' | 'mapset' }
  | { kind: 'if' | 'vmap' | 'assign' | 'translate' | 'element' }
  | NatStatement
>;

/** What a statement changed; `did` says it in words. */
export interface Effect {
  readonly packet?: Packet;
  readonly connection?: Connection;
  /** Where conntrack will look for its connection. */
  readonly zone?: AskedZone;
  /** The connection is a template, until conntrack looks. */
  readonly template?: true;
  readonly did?: string;
}

/** Carries out one statement on a packet and its connection; a connection's mark is changed in place. */
export function carryOut(statement: Passing, packet: Packet, connection: Connection | undefined): Effect {
  const entry = connection && 'entry' in connection ? connection.entry : undefined;
  const setMark = (field: 'mark' | 'ctmark', from: number, to: number): Effect => {
    const did = `${field} ${formatMark(from)} -> ${formatMark(to)}`;
    if (field === 'mark') return { packet: { ...packet, mark: to }, did };
    if (entry) entry.mark = to;
    return { did };
  };
  switch (statement.kind) {
    case 'set': {
      const old = statement.field === 'mark' ? packet.mark : entry?.mark;
      return old === undefined ? {} : setMark(statement.field, old, ((old & ~statement.clear) ^ statement.xor) >>> 0);
    }
    case 'copy': {
      const marks = { mark: packet.mark, ctmark: entry?.mark };
      const [from, old] = [marks[statement.from], marks[statement.to]];
      if (from === undefined || old === undefined) return {};
      return setMark(statement.to, old, ((old & ~statement.toMask) ^ (from & statement.fromMask)) >>> 0);
    }
    case 'notrack':
      if (connection) return { did: 'too late: conntrack has looked already' };
      return { connection: { state: CT_STATE.UNTRACKED, why: 'a rule said NOTRACK' }, did: 'not tracked' };
    case 'ct': {
      // xt_ct_target(), net/netfilter/xt_CT.c: the first one hangs a template on the packet, a NEW connection of nobody; later ones see it
      const { zone: id, side, byMark, late }: ConntrackSettings = statement;
      // nft_ct_set_zone_eval() looks for a connection only, and takes back what NOTRACK said
      if (connection && !(late && connection.state === CT_STATE.UNTRACKED))
        return { did: 'too late: the packet has its connection settings already' };
      const nobody: Addr = packet.family === 4 ? (0 as Addr) : ([0, 0, 0, 0] as const);
      const zone: AskedZone = { id: byMark ? 'mark' : (id ?? 0), ...(side && { side }) };
      const template = newEntry({ src: nobody, dst: nobody, proto: 0, sport: 0, dport: 0 }, DEFAULT_ZONE);
      template.status = CT_STATUS.CONFIRMED;
      return {
        connection: { state: CT_STATE.NEW, direction: 'original', entry: template },
        template: true,
        zone,
        did: id === undefined && !byMark ? 'conntrack settings' : `conntrack ${sayZone(zone)}`,
      };
    }
    case 'setttl': {
      const { op, value } = statement;
      const ttl = op === 'set' ? value : op === 'inc' ? Math.min(255, packet.ttl + value) : Math.max(0, packet.ttl - value);
      return { packet: { ...packet, ttl }, did: `ttl ${packet.ttl} -> ${ttl}` };
    }
    case 'settos': {
      const tos = ((packet.tos & ~statement.clear) ^ statement.xor) & 255;
      return { packet: { ...packet, tos }, did: `tos ${packet.tos} -> ${tos}` };
    }
    case 'setflags': {
      if (packet.flags === undefined) return {};
      const flags = ((packet.flags & ~statement.clear) ^ statement.xor) & 255;
      return { packet: { ...packet, flags }, did: `flags ${formatTcpFlags(packet.flags)} -> ${formatTcpFlags(flags)}` };
    }
    case 'tcpmss':
      return { did: statement.mss === 'clamp' ? 'clamps the TCP MSS to the path MTU' : `sets the TCP MSS to ${statement.mss}` };
    case 'note':
      return { did: statement.as };
  }
}

/** Gives a header field or a mark a value: nft_meta_set_eval(), nft_ct_set_eval(), nft_payload_set_eval(). */
export function assign(to: AssignedField, value: Word, packet: Packet, connection: Connection | undefined): Effect {
  const n = typeof value === 'number' ? value : 0;
  const told = (from: string, now: string): string => `${to} ${from} -> ${now}`;
  switch (to) {
    case 'mark': {
      const { undetermined, ...rest } = packet;
      const { mark: _mark, ...others } = undetermined ?? {};
      return {
        packet: { ...rest, ...(Object.keys(others).length > 0 && { undetermined: others }), mark: n },
        did: told(formatMark(packet.mark), formatMark(n)),
      };
    }
    case 'ctmark': {
      const entry = connection && 'entry' in connection ? connection.entry : undefined;
      if (!entry) return { did: 'nothing: the packet has no connection' };
      const did = told(formatMark(entry.mark), formatMark(n));
      entry.mark = n;
      return { did };
    }
    case 'ttl':
      return { packet: { ...packet, ttl: n & 255 }, did: told(String(packet.ttl), String(n & 255)) };
    case 'ecn':
      return { packet: { ...packet, tos: (packet.tos & ~3) | (n & 3) }, did: told(String(packet.tos & 3), String(n & 3)) };
    case 'flags':
      if (packet.flags === undefined) return {};
      return { packet: { ...packet, flags: n & 255 }, did: told(formatTcpFlags(packet.flags), formatTcpFlags(n & 255)) };
    case 'ctzone': {
      const settings: ConntrackSettings = { kind: 'ct', zone: n & 0xffff, late: true };
      return carryOut(settings, packet, connection);
    }
    case 'dscp':
      return { packet: { ...packet, tos: ((n & 63) << 2) | (packet.tos & 3) }, did: told(String(packet.tos >>> 2), String(n & 63)) };
    case 'src':
    case 'dst': {
      const { undetermined, ...rest } = packet;
      const { [to]: _addr, ...others } = undetermined ?? {};
      return {
        packet: { ...rest, [to]: value as Addr, ...(Object.keys(others).length > 0 && { undetermined: others }) },
        did: told(formatAddr(packet[to]), formatAddr(value)),
      };
    }
    case 'sport':
    case 'dport': {
      const { undetermined, ...rest } = packet;
      const { [to]: _port, ...others } = undetermined ?? {};
      return {
        packet: { ...rest, [to]: n & 0xffff, ...(Object.keys(others).length > 0 && { undetermined: others }) },
        did: told(String(packet[to]), String(n & 0xffff)),
      };
    }
    case 'pkttype':
      return { did: `pkttype -> ${n}` };
  }
}
