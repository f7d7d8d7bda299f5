// Names that differ from node to node though the things are the same: hashes in the names of devices and chains, MAC addresses, the
// node's own name where two captures call it otherwise. Comparing goes by what is left of them.
import type { World } from '../model/host.ts';

/** Calls things of two worlds by names that are alike where the things are. */
export interface Naming {
  text(text: string): string;
  /** What the first world calls a node of the second. */
  node(name: string): string;
}

/** One world before and after an edit: every name means the same thing. */
export const SAME_WORLD: Naming = { text: (t) => t, node: (n) => n };

const OWN_NAMES: readonly (readonly [RegExp, string])[] = [
  // kube-proxy: the first 16 letters of a SHA-256 in base32, of a service's port or of an endpoint
  [/\b(KUBE-(?:SVC|SVL|SEP|EXT|FW|XLB)-)[A-Z2-7]{16}\b/g, '$1*'],
  // kube-proxy's chains in nft: eight letters of it before the name
  [/\b((?:service|endpoint|external|firewall|no-endpoints)-)[A-Z2-7]{8}-/g, '$1*-'],
  // Calico: a pod's device, and the chains of it; the hash of a rule and all before it
  [/\bcali[0-9a-f]{11}\b/g, 'cali*'],
  [/\bcali:[\w-]{16}/g, 'cali:*'],
  [/\b(veth|lxc)[0-9a-f]{6,12}\b/g, '$1*'],
  [/\bbr-[0-9a-f]{12}\b/g, 'br-*'],
  [/(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])/gi, 'MAC'],
  // counters of nft's rules and elements
  [/\bcounter packets \d+ bytes \d+/g, 'counter'],
];

function alike(text: string): string {
  return OWN_NAMES.reduce((t, [pattern, by]) => t.replace(pattern, by), text);
}

/** How things of `b` are called to be compared with those of `a`; the one node of each that the other does not have is taken for the same. */
export function namingOf(a: World, b: World): Naming {
  const nodesOf = (w: World): string[] => [...new Set(w.namespaces.map((n) => n.node))];
  const [ofA, ofB] = [nodesOf(a), nodesOf(b)];
  const [onlyA, onlyB] = [ofA.filter((n) => !ofB.includes(n)), ofB.filter((n) => !ofA.includes(n))];
  const [mine, theirs] = [onlyA[0], onlyB[0]];
  const isPair = onlyA.length === 1 && onlyB.length === 1;
  return { text: alike, node: (n) => (isPair && n === theirs ? mine! : n) };
}
