// Where IPVS stands in a packet's way, claim by claim: the guest's kernel shows it, and netwhy says the same.
import { describeGuest, openGuest } from '../oracle/guest.ts';
import { describeClaims, save, type Claims, type Tables } from '../probes/claim.ts';
import type { Load, Shot } from '../probes/node.ts';

/** A node with two pods, and a service whose address is on kube-ipvs0, which is down as kube-proxy leaves it. */
const NODE: Load = {
  devs: [
    { name: 'eth0', addrs: ['192.168.21.20/24'] },
    { name: 'cali1' },
    { name: 'cali2' },
    { name: 'kube-ipvs0', kind: 'dummy', addrs: ['10.96.0.1/32'], up: false },
  ],
  ip: ['route add 10.1.0.1/32 dev cali1', 'route add 10.1.0.2/32 dev cali2', 'route add default via 192.168.21.1'],
};
const VS = '-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 1\n';

const CLIENT: Shot = { iif: 'eth0', src: '8.8.8.8', dst: '10.96.0.1', dport: 443 };
const REPLY: Shot = { iif: 'cali2', src: '10.1.0.2', dst: '8.8.8.8', sport: 6443, dport: 40000, flags: 'SYN,ACK', ack: 1001 };
const LOCAL: Shot = { local: true, dst: '10.96.0.1', dport: 443 };

/** One rule in each chain, so that the path is that of the hooks; conntrack is on. */
const EVERY: Tables = {
  raw: ['PREROUTING', 'OUTPUT'].map((c) => `-A ${c}`),
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].map((c) => `-A ${c} -m conntrack ! --ctstatus SNAT`),
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map((c) => `-A ${c}`),
  filter: ['INPUT', 'FORWARD', 'OUTPUT'].map((c) => `-A ${c}`),
};

function node(tables: Tables, settings: Readonly<Record<string, number>> = {}, ipvs = VS): Load {
  const sysctls = Object.fromEntries(Object.entries(settings).map(([key, value]) => [`net.ipv4.vs.${key}`, value]));
  return { ...NODE, legacy: save(tables), ipvs, sysctls };
}

function claims(title: string, tests: (c: Claims) => void): void {
  describeClaims(title, tests, { describe: describeGuest, open: openGuest });
}

const IN = 'raw PREROUTING 1, mangle PREROUTING 1, ';

claims('IPVS in the hooks', ({ claim }) => {
  claim(
    'a request passes INPUT with the virtual address, then OUTPUT and POSTROUTING with the server’s; the reply passes FORWARD before its source is changed',
    node(EVERY, { conntrack: 1 }),
    [CLIENT, REPLY, { ...CLIENT, flags: 'ACK', seq: 1001, ack: 1001 }],
    ['', '', ''],
  );
  claim(
    'without vs.conntrack what IPVS sends is untracked: nat POSTROUTING is not walked',
    node(EVERY, { conntrack: 0 }),
    [CLIENT, REPLY, { ...CLIENT, flags: 'ACK', seq: 1001, ack: 1001 }],
    ['', '', ''],
  );
  claim('local', node(EVERY, { conntrack: 1 }), [LOCAL], ['']);
  void IN;
});
