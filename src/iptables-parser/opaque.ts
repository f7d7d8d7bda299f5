// Extensions that are known by name and not modelled: their words are kept, their answer is unknown, the reason is told.
import { match, target, type MatchExtension, type TargetExtension } from './extension.ts';

const MATCHES: readonly (readonly [name: string, summary: string, why: string])[] = [
  ['ah', 'The SPI of an AH header.', 'IPsec headers are not part of the packet'],
  ['bpf', 'A BPF program.', 'the program is not run'],
  ['cgroup', 'The control group of the sending socket.', 'control groups are not captured'],
  ['cluster', 'Which node of a cluster is responsible for the packet.', 'the hash over the source is not modelled'],
  ['connbytes', 'How much a connection has transferred.', 'depends on the packets that came before'],
  ['connlabel', 'The labels of a connection.', 'labels are not captured'],
  ['connlimit', 'How many connections a client has open.', 'depends on the other connections of the host'],
  ['cpu', 'The CPU that handles the packet.', 'any CPU may handle it'],
  ['devgroup', 'The group of a device.', 'device groups are not modelled'],
  ['dst', 'IPv6 destination options.', 'IPv6 extension headers are not part of the packet'],
  ['ecn', 'The ECN bits of the IP and TCP headers.', 'ECN bits are not part of the packet'],
  ['esp', 'The SPI of an ESP header.', 'IPsec headers are not part of the packet'],
  ['eui64', 'Whether an IPv6 address follows from the link-layer address.', 'the comparison is not modelled'],
  ['frag', 'IPv6 fragment headers.', 'IPv6 extension headers are not part of the packet'],
  ['hashlimit', 'True until a rate per client is exceeded.', 'depends on how many packets came before'],
  ['hbh', 'IPv6 hop-by-hop options.', 'IPv6 extension headers are not part of the packet'],
  ['helper', 'The conntrack helper of a connection.', 'which connections belong to a helper is not captured'],
  ['ipcomp', 'The SPI of an IPComp header.', 'IPsec headers are not part of the packet'],
  ['ipv6header', 'Which IPv6 extension headers there are.', 'IPv6 extension headers are not part of the packet'],
  ['ipvs', 'What IPVS knows of the packet.', 'properties of IPVS connections are not modelled'],
  ['mh', 'The type of a mobility header.', 'IPv6 extension headers are not part of the packet'],
  ['nfacct', 'Counts packets under a name; matches every packet.', 'not modelled'],
  ['osf', 'The operating system of the sender, guessed.', 'the guess needs more of the packet than is given'],
  ['policy', 'The IPsec policy of the packet.', 'IPsec policies are not captured'],
  ['quota', 'True until so many bytes have passed.', 'depends on the packets that came before'],
  ['rateest', 'A measured rate.', 'depends on the packets that came before'],
  ['realm', 'The realm of the route.', 'route realms are not modelled'],
  ['rt', 'The IPv6 routing header.', 'IPv6 extension headers are not part of the packet'],
  ['socket', 'Whether a socket of this host is open for the packet.', 'sockets are not captured'],
  ['srh', 'The IPv6 segment routing header.', 'IPv6 extension headers are not part of the packet'],
  ['string', 'A text in the packet.', 'searching the payload is not modelled'],
  ['tcpmss', 'The maximum segment size of a SYN.', 'TCP options are not part of the packet'],
  ['time', 'The time of day, the day, the date.', 'the time of the packet is not given'],
  ['u32', 'Any bits of the packet.', 'raw bytes of the packet are not modelled'],
];

const TARGETS: readonly (readonly [name: string, summary: string, why: string])[] = [
  ['CLUSTERIP', 'Shares one address among nodes.', 'the hash over the source is not modelled'],
  ['CONNSECMARK', 'Copies the security mark from or to the connection.', 'security marks are not modelled'],
  ['DNPT', 'Translates an IPv6 destination prefix statelessly.', 'stateless prefix translation is not modelled'],
  ['ECN', 'Clears ECN bits.', 'ECN bits are not part of the packet'],
  ['HMARK', 'Sets the mark from a hash.', 'the hash is not modelled'],
  ['IDLETIMER', 'Restarts a timer.', 'timers are not modelled'],
  ['LED', 'Lights a LED.', 'LEDs are not modelled'],
  ['NFQUEUE', 'Passes the packet to a program, which decides.', 'the program that decides is not captured'],
  ['QUEUE', 'Passes the packet to a program, which decides.', 'the program that decides is not captured'],
  ['RATEEST', 'Measures a rate.', 'rates are not modelled'],
  ['SECMARK', 'Sets the security mark.', 'security marks are not modelled'],
  ['SNPT', 'Translates an IPv6 source prefix statelessly.', 'stateless prefix translation is not modelled'],
  ['SYNPROXY', 'Answers SYNs in the place of the server.', 'the proxy is not modelled'],
  ['TCPOPTSTRIP', 'Blanks TCP options.', 'TCP options are not part of the packet'],
  ['TEE', 'Sends a copy of the packet elsewhere.', 'the copy is not followed'],
  ['TPROXY', 'Hands the packet to a local socket unchanged.', 'transparent proxying is not modelled'],
  ['ULOG', 'Passes the packet to a logging program.', 'an interface that kernels have no more'],
];

/** The matches whose words are kept and whose answer is unknown. */
export const OPAQUE_MATCHES: readonly MatchExtension[] = MATCHES.map(([name, summary, why]) =>
  match({ name, summary, why, status: 'opaque', greedy: true, lower: () => [{ kind: 'opaque', as: name, why }] }),
);

/** The targets whose words are kept and whose effect is unknown. */
export const OPAQUE_TARGETS: readonly TargetExtension[] = TARGETS.map(([name, summary, why]) =>
  target({ name, summary, why, status: 'opaque', greedy: true, lower: () => [{ kind: 'opaque', as: name, why }] }),
);
