// What the cluster's own records say: Kubernetes objects, Calico's pools, flannel's leases. Witnesses, not deciders: they
// name addresses and contradict captures, and no packet ever goes where they say.
import type { Addr, Prefix } from '../net/addr.ts';
import type { Span } from './finding.ts';

/** An address and the line where the record has it. */
export interface WitnessedAddr {
  readonly addr: Addr;
  readonly at: Span;
}

/** A block of addresses and the line where the record has it. */
export interface WitnessedPrefix {
  readonly prefix: Prefix;
  readonly at: Span;
}

/** A Kubernetes Node. */
export interface NodeRecord {
  readonly name: string;
  /** Its InternalIP addresses. */
  readonly addresses: readonly WitnessedAddr[];
  readonly podCidrs: readonly WitnessedPrefix[];
  readonly at: Span;
}

export interface PodRecord {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly WitnessedAddr[];
  /** spec.nodeName; absent while it waits for a node. */
  readonly node?: string;
  /** It has the node's network namespace, and the node's addresses. */
  readonly hostNetwork: boolean;
  /** Succeeded or Failed: its addresses are no longer its own. */
  readonly finished: boolean;
  readonly at: Span;
}

export interface ServicePort {
  readonly name?: string;
  readonly proto: number;
  readonly port: number;
  readonly nodePort?: number;
  /** A port, or the name of a port of the pod. */
  readonly targetPort?: number | string;
}

export interface ServiceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  /** Its own addresses; a headless service has none. */
  readonly clusterIps: readonly WitnessedAddr[];
  readonly externalIps: readonly WitnessedAddr[];
  readonly loadBalancerIps: readonly WitnessedAddr[];
  readonly ports: readonly ServicePort[];
  /** internalTrafficPolicy Local: each node sends to its own endpoints only. */
  readonly nodeLocal: boolean;
  readonly at: Span;
}

export interface EndpointRecord {
  readonly addr: Addr;
  /** kube-proxy sends new connections there: ready, or serving while it terminates and no other is ready. */
  readonly state: 'ready' | 'terminating' | 'not-ready';
  /** The pod behind it. */
  readonly pod?: string;
  readonly node?: string;
  readonly at: Span;
}

/** An EndpointSlice, or a subset of an Endpoints object: every address has every port. */
export interface EndpointsRecord {
  readonly kind: 'EndpointSlice' | 'Endpoints';
  readonly namespace: string;
  readonly service: string;
  readonly endpoints: readonly EndpointRecord[];
  readonly ports: readonly { readonly name?: string; readonly proto: number; readonly port?: number }[];
  /** Zones get endpoints of their own, or there were more than the object holds. */
  readonly partial: boolean;
  readonly at: Span;
}

/** A Calico IPPool. */
export interface PoolRecord {
  readonly name: string;
  readonly cidr: Prefix;
  readonly disabled: boolean;
  readonly natOutgoing: boolean;
  readonly ipipMode: string;
  readonly vxlanMode: string;
  readonly at: Span;
}

/** What flannel made known of a node: a lease in etcd, or the annotations of the Node object. */
export interface LeaseRecord {
  readonly from: 'etcd' | 'annotations';
  /** The node's subnet: the key of the lease, or the Node's podCIDR. */
  readonly subnet?: Prefix;
  readonly publicIp: Addr;
  /** vxlan, host-gw, udp, ... */
  readonly backend: string;
  /** Lower-case link-layer address of the node's vxlan device. */
  readonly vtepMac?: string;
  readonly vni?: number;
  /** The Node that carries the annotations. */
  readonly node?: string;
  readonly at: Span;
}

/** flannel's network configuration, wherever it was found. */
export interface FlannelNetwork {
  readonly network: Prefix;
  readonly subnetLength?: number;
  readonly backend?: string;
  readonly at: Span;
}

/** /run/flannel/subnet.env, or the options that were made of it for docker. */
export interface SubnetFile {
  /** The node in whose folder it stands. */
  readonly node?: string;
  readonly network?: WitnessedPrefix;
  /** FLANNEL_SUBNET: the bridge's address within the node's subnet. */
  readonly subnet?: WitnessedPrefix & { readonly gateway: Addr };
  /** The bridge's address that docker was given. */
  readonly bip?: WitnessedPrefix & { readonly gateway: Addr };
  readonly mtu?: number;
  readonly at: Span;
}

/** Everything the records of a cluster say. */
export interface Witness {
  readonly nodes: readonly NodeRecord[];
  readonly pods: readonly PodRecord[];
  readonly services: readonly ServiceRecord[];
  readonly endpoints: readonly EndpointsRecord[];
  readonly pools: readonly PoolRecord[];
  readonly leases: readonly LeaseRecord[];
  readonly networks: readonly FlannelNetwork[];
  readonly subnetFiles: readonly SubnetFile[];
}
