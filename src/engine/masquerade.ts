// MASQUERADE: the address that an interface lends, and which interface a connection is bound to. net/netfilter/nf_nat_masquerade.c
import { familyOf, formatAddr, type Addr } from '../net/addr.ts';
import type { Namespace } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import { CT_STATUS } from '../model/ruleset.ts';
import type { Entry } from './conntrack.ts';
import { Fib } from './fib.ts';

/** nf_nat_masquerade_ipv4(): an address of the output device, near the next hop; the route's preferred source plays no part. */
export function masqueradeAddress(ns: Namespace, packet: Packet, oif: string | undefined, via: Addr | undefined): Addr | undefined {
  if (oif === undefined) return undefined;
  const hop = via !== undefined && familyOf(via) === packet.family ? via : packet.dst;
  return Fib.of(ns, packet.family).selectAddress(oif, packet.family === 6 ? packet.dst : hop, 'global');
}

/** nf_nat_oif_changed(): what was masqueraded may leave by that interface alone; no listing tells which it was, but an address that is not `lent` here hints at another. */
export function mayBeBoundElsewhere(ns: Namespace, entry: Entry, lent: Addr | undefined): boolean {
  if (!entry.at || !(entry.status & CT_STATUS.SNAT) || lent === undefined) return false;
  const src = formatAddr(entry.reply.dst);
  if (formatAddr(lent) === src || !ns.addresses.some((a) => formatAddr(a.addr) === src)) return false;
  return ns.tables.some((t) => Object.values(t.chains).some((c) => c.rules.some((r) => r.then.some((s) => s.kind === 'masquerade'))));
}

/** Why such a packet is dropped. */
export const BOUND_ELSEWHERE = 'the connection was masqueraded when it left by another interface: NAT drops the packet and forgets the connection';
