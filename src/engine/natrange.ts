// What a NAT target offers to choose from, for the packet at hand: nf_nat_masquerade_ipv4(), nf_nat_redirect_ipv4(), netmap.
import { familyOf, type Addr } from '../net/addr.ts';
import type { Namespace } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Hook, NatRange } from '../model/ruleset.ts';
import type { Entry, Manip } from './conntrack.ts';
import { masqueradeAddress } from './masquerade.ts';
import { loopbackOf, netmap, unspecified, type NatStatement } from './nat.ts';
import { place } from './routing.ts';

/** Where the target stands, and what it sees. */
export interface NatSight {
  readonly ns: Namespace;
  readonly packet: Packet;
  readonly hook: Hook;
  readonly iif: string | undefined;
  readonly oif: string | undefined;
  readonly via: Addr | undefined;
}

/** The range, or why the target drops the packet. Notes on the entry what stands for an address that was not captured. */
export function rangeOf(statement: NatStatement, entry: Entry, manip: Manip, s: NatSight): NatRange | { readonly refused: string } {
  switch (statement.kind) {
    case 'dnat':
    case 'snat':
      return statement;
    case 'netmap':
      return netmap(s.packet[manip], statement.to);
    case 'masquerade': {
      const addr = masqueradeAddress(s.ns, s.packet, s.oif, s.via);
      if (addr === undefined && s.ns.captured.addresses && s.oif !== undefined)
        return { refused: `MASQUERADE finds no address on ${s.oif} or elsewhere on ${place(s.ns)}, and drops the packet` };
      if (addr === undefined) entry.anyAddr.src = { what: `an address of ${s.oif ?? 'the output interface'}`, owner: place(s.ns) };
      return lending(statement, addr ?? unspecified(s.packet));
    }
    case 'redirect': {
      const addr = redirectAddress(s);
      if (addr === undefined && s.ns.captured.addresses && s.iif !== undefined)
        return { refused: `REDIRECT finds no address on ${s.iif}, and drops the packet` };
      if (addr === undefined) entry.anyAddr.dst = { what: `an address of ${s.iif ?? 'the input interface'}`, owner: place(s.ns) };
      return lending(statement, addr ?? unspecified(s.packet));
    }
  }
}

function lending(range: NatRange, addr: Addr): NatRange {
  return { ...range, addrs: [addr, addr] };
}

/** nf_nat_redirect_ipv4(): loopback for packets of this host, else the first address of the input device. */
function redirectAddress(s: NatSight): Addr | undefined {
  if (s.hook === 'OUTPUT') return loopbackOf(s.packet);
  return s.ns.addresses.find((a) => a.device === s.iif && familyOf(a.addr) === s.packet.family && !a.secondary)?.addr;
}
