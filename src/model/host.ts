// What one network namespace printed about itself. A node is its root namespace plus those of its containers.
import type { Addr, Family, Prefix } from '../net/addr.ts';
import type { LogEvidence } from './evidence.ts';
import type { Finding, Span } from './finding.ts';
import type { Ipvs } from './ipvs.ts';
import type { Tuple } from './packet.ts';
import type { Backend, IpSet, Table } from './ruleset.ts';
import type { Witness } from './witness.ts';

/** A VXLAN device. */
export interface Vxlan {
  /** VNI, 0 to 2^24-1. */
  readonly id: number;
  /** UDP port it sends to and listens on. */
  readonly port: number;
  readonly local?: Addr;
  /** Where frames go that the fdb does not know: a station, or a multicast group. */
  readonly remote?: Addr;
  /** Entries are learned from what arrives. */
  readonly learning: boolean;
}

/** What a bridge says of itself (`ip -d link`). */
export interface Bridge {
  readonly vlanFiltering: boolean;
  /** The bridge's own nf_call_iptables and nf_call_ip6tables. */
  readonly callIptables: boolean;
  readonly callIp6tables: boolean;
}

/** A device as a port of its bridge. */
export interface BridgePort {
  readonly forwarding: boolean;
  /** A frame may leave by the port it came in by. */
  readonly hairpin: boolean;
  /** Frames do not go from one isolated port to another. */
  readonly isolated: boolean;
  readonly learning: boolean;
  /** Frames for unknown unicast addresses leave by it. */
  readonly flood: boolean;
  readonly at: Span;
}

/** One line of `bridge fdb`. */
export interface FdbEntry {
  /** Lower-case; all zeros stands for every address that no other entry has. */
  readonly mac: string;
  readonly device: string;
  /** `master BRIDGE`: an entry of the bridge; without it, of the device itself (vxlan). */
  readonly bridge?: string;
  /** VXLAN: the other end of the tunnel. */
  readonly remote?: Addr;
  /** VXLAN: UDP port and VNI, where they are not the device's. */
  readonly port?: number;
  readonly id?: number;
  /** `permanent` on a bridge: the address of a port, for the host itself. */
  readonly permanent: boolean;
  readonly vlan?: number;
  readonly at: Span;
}

export interface Link {
  /** Interface index (ifindex), or 0 when it was not captured. */
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Lower-case `aa:bb:..`, absent for devices without one. */
  readonly mac?: string;
  /** veth, bridge, dummy, vxlan, ipip, ... from `ip -d link`; `loopback` for lo. */
  readonly kind?: string;
  /** The ifindex after `@if`, or of the device named after `@`: the veth peer or lower device. */
  readonly peerIndex?: number;
  readonly peerName?: string;
  /** link-netnsid: the peer lives in another namespace. */
  readonly peerNamespaceId?: number;
  /** `link-netns NAME`, where ip could name it. */
  readonly peerNamespace?: string;
  /** The bridge, bond or VRF this is enslaved to. */
  readonly master?: string;
  readonly noArp?: boolean;
  readonly vxlan?: Vxlan;
  /** ipip, gre, sit, ...: the ends of the tunnel, where they are fixed. */
  readonly tunnel?: { readonly local?: Addr; readonly remote?: Addr };
  /** 802.1Q id of a vlan device; its lower device is `peerName`. */
  readonly vlan?: number;
  readonly bridge?: Bridge;
  readonly port?: BridgePort;
  readonly promiscuous?: boolean;
  readonly at: Span;
}

export interface InterfaceAddress {
  readonly device: string;
  readonly addr: Addr;
  /** Prefix length of the subnet. */
  readonly length: number;
  /** The address at the other end of a point-to-point link. */
  readonly peer?: Addr;
  readonly broadcast?: Addr;
  readonly scope: 'global' | 'site' | 'link' | 'host';
  readonly secondary: boolean;
  readonly at: Span;
}

export type RouteType = 'unicast' | 'local' | 'broadcast' | 'anycast' | 'multicast' | 'blackhole' | 'unreachable' | 'prohibit' | 'throw' | 'nat';

export interface NextHop {
  readonly via?: Addr;
  readonly device?: string;
  /** 1 to 256, for multipath. */
  readonly weight: number;
  readonly onlink?: boolean;
  readonly dead?: boolean;
  readonly linkdown?: boolean;
}

export interface Route {
  readonly family: Family;
  readonly type: RouteType;
  readonly to: Prefix;
  /** IPv6: for packets from this prefix only. */
  readonly from?: Prefix;
  /** `local`, `main`, `default` or a number or name as captured. */
  readonly table: string;
  readonly nextHops: readonly NextHop[];
  /** Preferred source. */
  readonly src?: Addr;
  readonly scope?: string;
  readonly metric: number;
  readonly tos: number;
  readonly mtu?: number;
  readonly proto?: string;
  readonly text: string;
  readonly at: Span;
}

/** One line of `ip rule`. A selector that is absent selects everything. */
export interface RoutingRule {
  readonly family: Family;
  readonly priority: number;
  readonly not: boolean;
  readonly from?: Prefix;
  readonly to?: Prefix;
  readonly iif?: string;
  readonly oif?: string;
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly tos?: number;
  readonly proto?: number;
  readonly sport?: readonly [number, number];
  readonly dport?: readonly [number, number];
  readonly uid?: readonly [number, number];
  readonly l3mdev?: boolean;
  readonly action: 'lookup' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit';
  readonly table?: string;
  readonly gotoPriority?: number;
  readonly suppressPrefixLength?: number;
  /** A selector that is not modelled: the rule may or may not apply. */
  readonly opaque?: string;
  readonly text: string;
  readonly at: Span;
}

export type NeighbourState = 'PERMANENT' | 'NOARP' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'FAILED' | 'INCOMPLETE' | 'NONE';

export interface Neighbour {
  readonly addr: Addr;
  readonly device: string;
  readonly mac?: string;
  readonly state: NeighbourState;
  readonly proxy?: boolean;
  readonly at: Span;
}

export interface Sysctl {
  readonly value: string;
  readonly at: Span;
}

/** One line of `conntrack -L`. */
export interface ConntrackEntry {
  readonly orig: Tuple;
  readonly reply: Tuple;
  /** tcp: SYN_SENT, ESTABLISHED, ... */
  readonly state?: string;
  /** CT_STATUS bits that the listing shows: SEEN_REPLY unless [UNREPLIED], ASSURED. NAT follows from the tuples. */
  readonly status: number;
  readonly mark: number;
  readonly zone: number;
  /** Seconds left. */
  readonly timeout?: number;
  readonly text: string;
  readonly at: Span;
}

/** A socket that takes what begins a connection, or a datagram. */
export interface Listener {
  /** TCP or UDP. */
  readonly proto: number;
  /** Absent of one for any address. */
  readonly addr?: Addr;
  /** Absent of an IPv6 socket that takes IPv4, too. */
  readonly family?: Family;
  readonly port: number;
  /** The program, where the listing tells it. */
  readonly process?: string;
  readonly at: Span;
}

/**
 * A base chain of nft that is not followed: for something else than IP packets (bridged frames, ARP), or hanging where nobody understands;
 * or all of a listing that cannot be read.
 */
export interface ForeignChain {
  /** `bridge filter forward`; of a listing that cannot be read, `rules of FILE`, of a dump `iptables rules of FILE` */
  readonly name: string;
  /** Why it is not followed. */
  readonly why: string;
  readonly family: string;
  readonly hook: string;
  readonly at: Span;
}

/** A thing that a capture holds or lacks. */
export type CaptureKind =
  | 'rules4'
  | 'rules6'
  | 'sets'
  | 'links'
  | 'addresses'
  | 'routes4'
  | 'routes6'
  | 'rules'
  | 'neighbours'
  | 'fdb'
  | 'sysctls'
  | 'conntrack'
  | 'tcpListeners'
  | 'udpListeners'
  | 'ipvs'
  | 'ipvsConnections';

/** What one network namespace printed. Lists are empty both when nothing was captured and when there is nothing: `captured` tells. */
export interface Namespace {
  readonly node: string;
  /** '' for the node's root namespace. */
  readonly name: string;
  /** Which kinds of things were captured, and the files they came from. */
  readonly captured: Readonly<Partial<Record<CaptureKind, readonly string[]>>>;
  readonly tables: readonly Table[];
  readonly sets: Readonly<Record<string, IpSet>>;
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
  readonly rules: readonly RoutingRule[];
  readonly neighbours: readonly Neighbour[];
  /** `bridge fdb`: of bridges and of VXLAN devices. */
  readonly fdb: readonly FdbEntry[];
  /** Keys with dots: `net.ipv4.conf.eth0.100.rp_filter` is stored as the kernel prints it. */
  readonly sysctls: Readonly<Record<string, Sysctl>>;
  readonly conntrack: readonly ConntrackEntry[];
  /** Who listens; of a protocol that is not captured nobody knows. No walk depends on it. Absent where nothing about it was captured. */
  readonly listeners?: readonly Listener[];
  /** Virtual servers and their connections, where something about them was captured. */
  readonly ipvs?: Ipvs;
  readonly foreignChains?: readonly ForeignChain[];
  /** Where ipset says that it could not list its sets; absent where another file lists them. */
  readonly setsRefused?: Span;
  /** `uname -r`, where captured. */
  readonly kernel?: string;
  /** Which tables the node's plain `iptables` changes, where `iptables -V` was captured. */
  readonly iptables?: Backend;
  /** Made from a scenario's `addresses:` and `routes:` instead of captures: it forwards and filters nothing. */
  readonly stub?: boolean;
}

/** Packets that a wire does not carry: a cloud's security group, a switch's access list. What is absent denies every value. */
export interface Deny {
  readonly proto?: number;
  readonly from?: Prefix;
  readonly to?: Prefix;
  readonly sport?: readonly [number, number];
  readonly dport?: readonly [number, number];
  readonly text: string;
  readonly at: Span;
}

/** Interfaces that share one link-layer segment. */
export interface Wire {
  readonly name: string;
  readonly ends: readonly { readonly node: string; readonly namespace: string; readonly device: string }[];
  readonly deny?: readonly Deny[];
}

/** Everything the engine may look at: all namespaces of all nodes, and the wires between them. */
export interface World {
  readonly namespaces: readonly Namespace[];
  readonly wires: readonly Wire[];
  /** Of what has been read so far: rules are read when a walk first asks for them. */
  readonly findings: readonly Finding[];
  /** What the cluster's records say, where some were captured. */
  readonly witness?: Witness;
  /** What logs tell, where some were captured that tell anything. */
  readonly evidence?: readonly LogEvidence[];
}
