// A set without its index, and the packet that asks it: the yardstick for the index.
import { LiveSet } from '../../src/engine/liveset.ts';
import type { Sight } from '../../src/engine/sight.ts';
import type { Packet } from '../../src/model/packet.ts';
import { CT_STATE, type IpSet, type SetMember } from '../../src/model/ruleset.ts';

/** Every member is tried. */
export class LinearSet extends LiveSet {
  override candidates(): readonly SetMember[] {
    return [...this.members()];
  }
}

/** What a packet on its way from eth0 to eth1 shows of itself, in a world of these sets. */
export function sightOf(packet: Packet, sets: readonly IpSet[], make: (set: IpSet) => LiveSet): Sight {
  const live = new Map(sets.map((s) => [s.name, make(s)]));
  return {
    visit: '1',
    packet,
    hook: 'FORWARD',
    iif: 'eth0',
    oif: 'eth1',
    physin: '',
    physout: '',
    tracked: { state: CT_STATE.NEW, direction: 'original' },
    elements: () => undefined,
    fib: () => ({ kind: 'none' }),
    set: (name) => live.get(name),
    supposedNames: () => [],
    addressType: () => undefined,
    reversePath: () => ({ ok: true, saw: '' }),
    supposed: new Map(),
  };
}
