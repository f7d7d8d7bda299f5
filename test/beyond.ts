// What netwhy cannot answer yet: scenarios whose folders are there, whose packets the kernel is asked about, and whose
// questions the engine is not held to.

const BRIDGES = 'bridges with br_netfilter are not modelled';
const WIRES = 'wires that deny something are not modelled';
const IPIP = 'IPIP is not modelled';
const TUNNELS = 'bridges with br_netfilter and VXLAN are not modelled';

/** Scenarios beyond the engine, and why. */
export const BEYOND: Readonly<Record<string, string>> = {
  'bridge-nf-off': 'the answer is right but does not name the setting',
  'calico-ipip': IPIP,
  'docker-bridge': BRIDGES,
  'docker-forward-drop': BRIDGES,
  'flannel-docker0-outside-subnet': TUNNELS,
  'flannel-forward-drop': TUNNELS,
  'flannel-host-gw': BRIDGES,
  'flannel-ip-forward-off': TUNNELS,
  'flannel-route-missing': TUNNELS,
  'flannel-stale-vtep-mac': TUNNELS,
  'flannel-vxlan': TUNNELS,
  'foreign-rules': BRIDGES,
  'hairpin-off': BRIDGES,
  'hairpin-on': BRIDGES,
  'ip-forward-off': BRIDGES,
  'kube-proxy-absent': BRIDGES,
  'kube-proxy-iptables': BRIDGES,
  'kubenet-cloud-routes': BRIDGES,
  'pod-cidr-conflicts': BRIDGES,
  'route-lost': BRIDGES,
  'security-group-ipip': IPIP,
  'security-group-pods': WIRES,
  'security-group-vxlan': TUNNELS,
  'wrong-target-port': BRIDGES,
};
