// Conntrack zones of packets and of connections. include/net/netfilter/nf_conntrack_zones.h
import type { ConntrackEntry } from '../model/host.ts';
import type { Zone } from '../model/zone.ts';

/** What CT asks for: the zone may yet follow from the packet's mark. */
export interface AskedZone {
  readonly id: number | 'mark';
  readonly side?: 'original' | 'reply';
}

export const DEFAULT_ZONE: Zone = { id: 0 };

/** nf_ct_zone_tmpl(): where conntrack looks; of a mark as much as a zone's number holds. */
export function zoneFor(asked: AskedZone, mark: number): Zone {
  return { ...asked, id: asked.id === 'mark' ? mark & 0xffff : asked.id };
}

/** nf_ct_zone_id(): the number under which tuples of one side are kept. */
export function zoneId(zone: Zone, side: 'original' | 'reply'): number {
  return zone.side === undefined || zone.side === side ? zone.id : 0;
}

/** The zone of a captured connection: ct_show_zone() and conntrack(8) name the side after its tuple. */
export function capturedZone(line: ConntrackEntry): Zone {
  if (line.zone !== 0 || !line.text.includes(' zone-')) return { id: line.zone };
  const [, side, id] = /\bzone-(orig|reply)=(\d+)/.exec(line.text) ?? [];
  return id === undefined ? DEFAULT_ZONE : { id: Number(id), side: side === 'orig' ? 'original' : 'reply' };
}

export function sayZone(zone: AskedZone): string {
  return `zone ${zone.id === 'mark' ? 'by the mark' : zone.id}${zone.side ? ` for the ${zone.side} direction` : ''}`;
}
