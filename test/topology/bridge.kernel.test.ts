// Bridges, br_netfilter and ARP: what the kernel does, and netwhy with it.
import { afterAll, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { bridged, check, closeClaims, paired, type Claim } from './claim.ts';

/** One rule without effect at every hook. */
const SEEN = {
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'POSTROUTING'].map((c) => `-A ${c}`),
  filter: [':CT -', '-A CT -m conntrack --ctstate NEW'],
};
const OFF = { 'net.bridge.bridge-nf-call-iptables': 0 };
const DNAT = { ...SEEN, nat: ['-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.50.0.12:8080'] };
/** Back to who asked. */
const HAIRPIN = (more: readonly string[] = []): Record<string, readonly string[]> => ({
  ...SEEN,
  nat: ['-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.50.0.11:8080', ...more],
});
const MASQUERADE = '-A POSTROUTING -s 10.50.0.0/24 -d 10.50.0.0/24 -j MASQUERADE';
const A = { ns: 'n1/a', src: '10.50.0.11' };

const CLAIMS: Readonly<Record<string, Claim>> = {
  'without br_netfilter no rule sees a frame': {
    plan: bridged({ n1: { rules: SEEN, sysctls: OFF } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    rules: [],
    outcome: 'delivered',
  },
  'with it PREROUTING, FORWARD and POSTROUTING do': {
    plan: bridged({ n1: { rules: SEEN } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    rules: ['n1 mangle PREROUTING 1', 'n1 mangle FORWARD 1', 'n1 mangle POSTROUTING 1'],
    outcome: 'delivered',
  },
  "a bridge's own nf_call_iptables is enough": {
    plan: bridged({ n1: { rules: SEEN, sysctls: OFF }, options: 'nf_call_iptables 1' }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    rules: ['n1 mangle PREROUTING 1', 'n1 mangle FORWARD 1', 'n1 mangle POSTROUTING 1'],
    outcome: 'delivered',
  },
  'the bridge is input and output device, its ports only physdev': {
    plan: bridged({
      n1: {
        rules: {
          filter: [
            '-A FORWARD -i va',
            '-A FORWARD -o vb',
            '-A FORWARD -i brc -o brc',
            '-A FORWARD -m physdev --physdev-in va --physdev-out vb',
            '-A FORWARD -m physdev --physdev-is-bridged',
            '-A FORWARD -m physdev --physdev-in vb',
          ],
        },
      },
    }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    rules: ['n1 filter FORWARD 3', 'n1 filter FORWARD 4', 'n1 filter FORWARD 5'],
    outcome: 'delivered',
  },
  'MASQUERADE of what stays on the bridge': {
    plan: bridged({ n1: { rules: { ...SEEN, nat: ['-A POSTROUTING -o brc -j MASQUERADE'] } } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.1:40000 > 10.50.0.12:80 ttl 64',
    // un-translated to a port of the bridge, the answer is bridged too
    reply: 'delivered n1/a 10.50.0.12:80 > 10.50.0.11:40000 ttl 64',
    outcome: 'delivered',
  },
  'no MASQUERADE of what no rule sees': {
    plan: bridged({ n1: { rules: { ...SEEN, nat: ['-A POSTROUTING -o brc -j MASQUERADE'] }, sysctls: OFF } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    outcome: 'delivered',
  },
  'DNAT to another port is bridged: the TTL stays': {
    plan: bridged({ n1: { rules: DNAT } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:8080 ttl 64',
    reply: 'delivered n1/a 10.96.0.1:80 > 10.50.0.11:40000 ttl 64',
    outcome: 'delivered',
  },
  'without br_netfilter it is routed, and the answer is not translated back': {
    plan: bridged({ n1: { rules: DNAT, sysctls: OFF } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:8080 ttl 63',
    reply: 'delivered n1/a 10.50.0.12:8080 > 10.50.0.11:40000 ttl 64',
    outcome: 'reply-lost',
    because: 'it is not the answer to anything',
  },
  'bridged DNAT does need ip_forward: ip_route_input() gives a route that refuses': {
    plan: bridged({ n1: { rules: DNAT, sysctls: { 'net.ipv4.ip_forward': 0 } } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'lost',
    rules: ['n1 mangle PREROUTING 1', 'n1 nat PREROUTING 1'],
    outcome: 'not-forwarding',
  },
  'what is not redirected does not need ip_forward': {
    plan: bridged({ n1: { rules: SEEN, sysctls: { 'net.ipv4.ip_forward': 0 } } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    outcome: 'delivered',
  },
  'DNAT back to the own port without hairpin': {
    plan: bridged({ n1: { rules: HAIRPIN([MASQUERADE]) } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'lost',
    rules: ['n1 mangle PREROUTING 1', 'n1 nat PREROUTING 1'],
    outcome: 'dropped',
    because: 'hairpin_mode of that port is off',
  },
  'with hairpin, masqueraded': {
    plan: bridged({ n1: { rules: HAIRPIN([MASQUERADE]), bridge: ['link set dev va hairpin on'] } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'delivered n1/a 10.50.0.1:40000 > 10.50.0.11:8080 ttl 64',
    reply: 'delivered n1/a 10.96.0.1:80 > 10.50.0.11:40000 ttl 64',
    outcome: 'delivered',
  },
  'with hairpin, from itself: a martian': {
    plan: bridged({ n1: { rules: HAIRPIN(), bridge: ['link set dev va hairpin on'] } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'lost',
    outcome: 'martian',
  },
  'a promiscuous bridge routes it back, but without its connection: no MASQUERADE': {
    plan: bridged({ n1: { rules: HAIRPIN([MASQUERADE]), ip: ['link set brc promisc on'] } }),
    shot: { ...A, dst: '10.96.0.1' },
    kernel: 'lost',
    rules: ['n1 mangle PREROUTING 1', 'n1 nat PREROUTING 1', 'n1 mangle FORWARD 1', 'n1 mangle POSTROUTING 1'],
    outcome: 'martian',
  },
  'isolated ports do not even hear ARP': {
    plan: bridged({ n1: { rules: SEEN, bridge: ['link set dev va isolated on', 'link set dev vb isolated on'] } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'lost',
    rules: [],
    outcome: 'no-neighbour',
    because: 'both isolated',
  },
  'between isolated ports a frame is dropped, after PREROUTING': {
    plan: bridged({
      n1: { rules: SEEN, bridge: ['link set dev va isolated on', 'link set dev vb isolated on'], ip: ['link set vc nomaster'] },
      a: { ip: ['neigh add 10.50.0.12 lladdr 02:00:00:00:00:0b dev eth0 nud permanent'] },
    }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'lost',
    rules: ['n1 mangle PREROUTING 1'],
    outcome: 'dropped',
    because: 'both isolated',
  },
  'one isolated port is not enough': {
    plan: bridged({ n1: { bridge: ['link set dev va isolated on'] } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    outcome: 'delivered',
  },
  'a frame for somebody else is not taken': {
    plan: bridged({ n1: { sysctls: OFF }, a: { ip: ['neigh add 10.50.0.12 lladdr 02:00:00:00:00:0c dev eth0 nud permanent'] } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'lost',
    outcome: 'not-forwarding',
  },
  'a frame for nobody is flooded, past FORWARD': {
    plan: bridged({
      n1: { rules: SEEN, ip: ['link set vc nomaster'] },
      a: { ip: ['neigh add 10.50.0.12 lladdr 02:00:00:00:00:99 dev eth0 nud permanent'] },
    }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'lost',
    outcome: 'not-for-us',
  },
  'flood off, and who was heard': {
    plan: bridged({ n1: { bridge: ['link set dev vb flood off'] } }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    outcome: 'delivered',
  },
  'flood off, and who was not': {
    plan: bridged({
      n1: { bridge: ['link set dev vb flood off'] },
      a: { ip: ['neigh add 10.50.0.12 lladdr 02:00:00:00:00:0b dev eth0 nud permanent'] },
    }),
    shot: { ...A, dst: '10.50.0.12' },
    kernel: 'lost',
    outcome: 'dropped',
    because: 'flood off',
  },
  'a port leaves room for a VLAN tag': {
    plan: bridged({ n1: { ip: ['link set vb mtu 1400'], sysctls: OFF } }),
    shot: { ...A, dst: '10.50.0.12', length: 1404 },
    kernel: 'delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64',
    // and so does the end that hears the answer
    reply: 'delivered n1/a 10.50.0.12:80 > 10.50.0.11:40000 ttl 64',
    outcome: 'delivered',
  },
  'and for no more': {
    plan: bridged({ n1: { ip: ['link set vb mtu 1400'], sysctls: OFF } }),
    shot: { ...A, dst: '10.50.0.12', length: 1405 },
    kernel: 'lost',
    outcome: 'too-big',
    because: 'the bridge port vb',
  },
  'br_netfilter leaves no room': {
    plan: bridged({ n1: { ip: ['link set vb mtu 1400'] } }),
    shot: { ...A, dst: '10.50.0.12', length: 1401 },
    kernel: 'lost',
    outcome: 'too-big',
    because: 'the bridge port vb',
  },
  'what a pair brings in has to fit this end': {
    plan: paired({ n1: { ip: ['link set va mtu 1400'] } }),
    shot: { ns: 'n1/a', src: '10.244.1.11', dst: '10.0.0.1', length: 1405 },
    kernel: 'lost',
    outcome: 'too-big',
    because: 'the other end of the pair',
  },
  'to the outside, by way of the bridge': {
    plan: bridged({ n1: { rules: { ...SEEN, nat: ['-A POSTROUTING -o out -j MASQUERADE'] } } }),
    shot: { ...A, dst: '203.0.113.9' },
    kernel: 'left n1 out 198.51.100.1:40000 > 203.0.113.9:80 ttl 63',
    rules: ['n1 mangle PREROUTING 1', 'n1 mangle FORWARD 1', 'n1 mangle POSTROUTING 1', 'n1 nat POSTROUTING 1'],
    outcome: 'left',
  },
  'proxy_arp answers for what is behind it': {
    plan: paired({ n1: { ip: ['route add 10.244.2.11 via 10.0.0.2'] }, n2: { ip: ['route add 10.244.1.11 via 10.0.0.1'] } }),
    shot: { ns: 'n1/a', src: '10.244.1.11', dst: '10.244.2.11' },
    kernel: 'delivered n2/a 10.244.1.11:40000 > 10.244.2.11:80 ttl 62',
    outcome: 'delivered',
  },
  'without it the gateway is nobody': {
    plan: paired({ n1: { sysctls: { 'net.ipv4.conf.va.proxy_arp': 0 }, ip: ['route add default via 10.0.0.2'] } }),
    shot: { ns: 'n1/a', src: '10.244.1.11', dst: '10.0.0.2' },
    kernel: 'lost',
    outcome: 'no-neighbour',
  },
  'ip neigh add proxy does for one address': {
    plan: paired({
      n1: { sysctls: { 'net.ipv4.conf.va.proxy_arp': 0 }, ip: ['route add default via 10.0.0.2', 'neigh add proxy 169.254.1.1 dev va'] },
      n2: { ip: ['route add 10.244.1.11 via 10.0.0.1'] },
    }),
    shot: { ns: 'n1/a', src: '10.244.1.11', dst: '10.0.0.2' },
    kernel: 'delivered n2 10.244.1.11:40000 > 10.0.0.2:80 ttl 63',
    outcome: 'delivered',
  },
  'proxy_arp says nothing about what it has no route to': {
    plan: paired({ n1: { ip: ['route del 169.254.1.1'] } }),
    shot: { ns: 'n1/a', src: '10.244.1.11', dst: '10.0.0.1' },
    kernel: 'lost',
    outcome: 'no-neighbour',
  },
  'arp_ignore 0: an address of another device is answered for': {
    plan: paired({ n1: { ip: ['route add 10.9.9.9 dev eth0'] }, n2: { ip: ['addr add 10.9.9.9/32 dev va'] } }),
    shot: { ns: 'n1', src: '10.0.0.1', dst: '10.9.9.9' },
    kernel: 'delivered n2 10.0.0.1:40000 > 10.9.9.9:80 ttl 64',
    outcome: 'delivered',
  },
  'arp_ignore 1: it is not': {
    plan: paired({
      n1: { ip: ['route add 10.9.9.9 dev eth0'] },
      n2: { ip: ['addr add 10.9.9.9/32 dev va'], sysctls: { 'net.ipv4.conf.eth0.arp_ignore': 1 } },
    }),
    shot: { ns: 'n1', src: '10.0.0.1', dst: '10.9.9.9' },
    kernel: 'lost',
    outcome: 'no-neighbour',
  },
  'rp_filter silences ARP': {
    plan: paired({ n1: { ip: ['addr add 10.9.9.9/32 dev lo'] }, n2: { sysctls: { 'net.ipv4.conf.eth0.rp_filter': 1 } } }),
    shot: { ns: 'n1', src: '10.9.9.9', dst: '10.0.0.2' },
    kernel: 'lost',
    rules: [],
    outcome: 'no-neighbour',
  },
  'arp_announce 2 asks with an address that is believed, and the packet is dropped later': {
    plan: paired({
      n1: { ip: ['addr add 10.9.9.9/32 dev lo'], sysctls: { 'net.ipv4.conf.eth0.arp_announce': 2 } },
      n2: { sysctls: { 'net.ipv4.conf.eth0.rp_filter': 1 }, rules: SEEN },
    }),
    shot: { ns: 'n1', src: '10.9.9.9', dst: '10.0.0.2' },
    kernel: 'lost',
    rules: ['n2 mangle PREROUTING 1'],
    outcome: 'martian',
  },
  'two owners of one address: one of them gets it': {
    plan: bridged({ n1: { sysctls: OFF }, b: { ip: ['addr add 10.50.0.13/24 dev eth0'] } }),
    shot: { ns: 'n1/a', src: '10.50.0.11', dst: '10.50.0.13' },
    kernel: 'delivered n1/c 10.50.0.11:40000 > 10.50.0.13:80 ttl 64',
    outcome: ['delivered', 'delivered'],
  },
};

describeKernel('bridges and neighbours', () => {
  afterAll(closeClaims);
  it.each(Object.keys(CLAIMS))('%s', (name) => check(CLAIMS[name]!));
});
