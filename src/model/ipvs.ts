// IPVS, the kernel's layer-4 load balancer, as `ipvsadm` and /proc/net/ip_vs* show it. Terms are those of ipvsadm(8).
import type { Addr, Family } from '../net/addr.ts';
import type { Span } from './finding.ts';

/** How a packet goes to its real server: rewritten (`-m`), as it is to the server's link-layer address (`-g`), or inside another packet (`-i`). `local` is a server on this host, `bypass` the destination itself. */
export type ForwardingMethod = 'masq' | 'direct' | 'tunnel' | 'local' | 'bypass';

/** What a tunnelled packet is put into: `--tun-type`. */
export interface ServerTunnel {
  readonly type: 'ipip' | 'gue' | 'gre';
  /** UDP port of `gue`. */
  readonly port?: number;
  readonly checksum: 'none' | 'checksum' | 'remote';
}

/** One `-r` line under a virtual server. */
export interface RealServer {
  readonly addr: Addr;
  /** 0: the port that the client asked (fwmark services, and port 0). */
  readonly port: number;
  readonly forwarding: ForwardingMethod;
  readonly tunnel?: ServerTunnel;
  /** 0 to 65535 and more; 0 takes no new connections. */
  readonly weight: number;
  /** Connections from which on it counts as overloaded, and below which it no longer does; 0 is none. Not shown by `-Ln` without `--thresholds`. */
  readonly upper: number;
  readonly lower: number;
  /** Connections as counted at the time of the capture, where it shows them. */
  readonly active?: number;
  readonly inactive?: number;
  readonly text: string;
  readonly at: Span;
}

/** One virtual service: an address and port, or a firewall mark. */
export interface VirtualServer {
  readonly family: Family;
  /** TCP, UDP or SCTP; absent for a firewall mark. */
  readonly proto?: number;
  readonly addr?: Addr;
  /** 0: every port that no other service has (persistent services only). */
  readonly port?: number;
  readonly mark?: number;
  /** rr, wrr, lc, wlc, lblc, lblcr, dh, sh, mh, sed, nq, fo, ovf, twos, or a name that is not known. */
  readonly scheduler: string;
  /** Scheduler flags: flag-1 (sh-fallback, mh-fallback), flag-2 (sh-port, mh-port), flag-3. Absent where no listing shows them. */
  readonly schedulerFlags?: readonly (1 | 2 | 3)[];
  /** `ops`: each UDP packet is scheduled anew. */
  readonly onePacket: boolean;
  /** `-p`: seconds that a client keeps its server (absent where only /proc/net/ip_vs shows it, in ticks), and the prefix length that makes clients the same one. */
  readonly persistence?: { readonly seconds?: number; readonly length: number };
  /** Persistence engine (`sip`). */
  readonly engine?: string;
  readonly servers: readonly RealServer[];
  /**
   * The servers stand as the kernel has them, newest first, as in /proc/net/ip_vs. ipvsadm sorts by address, and then nobody knows:
   * what sh, dh and mh pick depends on it.
   */
  readonly inKernelOrder: boolean;
  /** Lines of real servers could not be read: there are more than `servers`. */
  readonly isPartial?: true;
  readonly text: string;
  readonly at: Span;
}

/** One end of a connection entry. */
export interface IpvsEnd {
  readonly addr: Addr;
  readonly port: number;
}

/** One line of `ipvsadm -Lnc` or /proc/net/ip_vs_conn. */
export interface IpvsConnection {
  readonly family: Family;
  /** 0 (`IP`) for the template of a firewall mark, whose virtual end is the mark. */
  readonly proto: number;
  readonly client: IpvsEnd;
  readonly virtual: IpvsEnd;
  readonly server: IpvsEnd;
  /** NONE, ESTABLISHED, SYN_RECV, FIN_WAIT, TIME_WAIT, CLOSE, UDP, ...: ip_vs_state_name() of its protocol. */
  readonly state: string;
  /** A template of persistence: client port 0 (and state NONE, ASSURED or UNKNOWN). */
  readonly template: boolean;
  /** Seconds left. */
  readonly expires?: number;
  readonly text: string;
  readonly at: Span;
}

/** IPVS of one network namespace. Absent from a namespace of which nothing about it was captured. */
export interface Ipvs {
  readonly services: readonly VirtualServer[];
  /** Undefined where connection entries were not captured. */
  readonly connections?: readonly IpvsConnection[];
}
