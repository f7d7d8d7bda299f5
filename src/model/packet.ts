// One synthetic packet, and the connection it belongs to.
import type { Addr, Family } from '../net/addr.ts';

/** ICMP and ICMPv6: for echo messages `id` is the identifier, which takes the place of ports. */
export interface Icmp {
  readonly type: number;
  readonly code: number;
  readonly id: number;
}

/** Link-layer addresses as lower-case `aa:bb:cc:dd:ee:ff`. */
export interface Mac {
  readonly src: string;
  readonly dst: string;
}

/** An address that was not captured, of a namespace that was: what it is in words, and whose (`node` or `node/namespace`). */
export interface UnknownAddress {
  readonly what: string;
  readonly owner: string;
}

/** Values that the packet does not really show: an address nobody captured, a port that the kernel picks from [lo, hi]. */
export interface Undetermined {
  readonly src?: UnknownAddress;
  readonly dst?: UnknownAddress;
  readonly sport?: readonly [number, number];
  readonly dport?: readonly [number, number];
  /** The mark, set in a way that is not modelled: by what. */
  readonly mark?: string;
  /** The ICMP echo identifier. */
  readonly id?: readonly [number, number];
}

/** An IP packet as the hooks see it. Ports are there only where the protocol has them. */
export interface Packet {
  readonly family: Family;
  readonly src: Addr;
  readonly dst: Addr;
  /** Protocol (IPv4) or next header (IPv6), 0 to 255. */
  readonly proto: number;
  readonly sport?: number;
  readonly dport?: number;
  /** TCP flag bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  readonly flags?: number;
  readonly icmp?: Icmp;
  /** The packet an ICMP error quotes. */
  readonly inner?: Packet;
  /** Time to live or hop limit. */
  readonly ttl: number;
  /** Layer-3 length in bytes, header included. */
  readonly length: number;
  /** Type of service / traffic class, 0 to 255. */
  readonly tos: number;
  /** skb mark (fwmark). It does not survive a wire. */
  readonly mark: number;
  readonly mac?: Mac;
  readonly undetermined?: Undetermined;
  /** User and group of the sending socket, where the question gives them. */
  readonly uid?: number;
  readonly gid?: number;
  /** The bytes behind the layer-4 header, where the question gives them. */
  readonly payload?: readonly number[];
  /** When it is there, where the question says: seconds since 1970, UTC. */
  readonly at?: number;
}

/** One direction of a connection, as conntrack keys it. For ICMP, ports hold the identifier and type/code. */
export interface Tuple {
  readonly src: Addr;
  readonly dst: Addr;
  readonly proto: number;
  readonly sport: number;
  readonly dport: number;
}
