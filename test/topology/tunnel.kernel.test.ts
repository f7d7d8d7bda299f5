// VXLAN: what the kernel does, and netwhy with it.
import { afterAll, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { check, closeClaims, paired, vxlan, type Claim } from './claim.ts';

const CT = [':CT -', '-A CT -m conntrack --ctstate NEW'];
const SHOT = { ns: 'n1/a', src: '10.244.1.11', dst: '10.244.2.11' };
const DELIVERED = 'delivered n2/a 10.244.1.11:40000 > 10.244.2.11:80 ttl 62';
const link = (n: 1 | 2, more: string): string => `mtu 1450 type vxlan id 1 local 10.0.0.${n} dev eth0 dstport 8472 ${more}`;

const CLAIMS: Readonly<Record<string, Claim>> = {
  'the packet goes in, and comes out': {
    plan: paired({ n1: vxlan(1), n2: vxlan(2) }),
    shot: SHOT,
    kernel: DELIVERED,
    reply: 'delivered n1/a 10.244.2.11:80 > 10.244.1.11:40000 ttl 62',
    outcome: 'delivered',
  },
  'the outer packet meets OUTPUT and POSTROUTING with the mark of the inner one': {
    plan: paired({
      n1: {
        ...vxlan(1),
        rules: {
          mangle: [
            '-A FORWARD -s 10.244.1.11/32 -j MARK --set-xmark 0x4000/0x4000',
            '-A OUTPUT -p udp -m udp --dport 8472 -m mark --mark 0x4000/0x4000',
            '-A POSTROUTING -m mark --mark 0x4000/0x4000',
          ],
          filter: CT,
        },
      },
      n2: {
        ...vxlan(2),
        rules: { mangle: ['-A INPUT -p udp -m udp --dport 8472', '-A PREROUTING -m mark --mark 0x4000/0x4000', '-A FORWARD -i vx1'], filter: CT },
      },
    }),
    shot: SHOT,
    kernel: DELIVERED,
    rules: [
      'n1 mangle FORWARD 1',
      'n1 mangle POSTROUTING 1',
      'n1 mangle OUTPUT 1',
      'n1 mangle POSTROUTING 1',
      'n2 mangle INPUT 1',
      'n2 mangle FORWARD 1',
    ],
    outcome: 'delivered',
  },
  'a firewall that drops the outer packet': {
    plan: paired({ n1: vxlan(1), n2: { ...vxlan(2), rules: { filter: ['-A INPUT -p udp -m udp --dport 8472 -j DROP', ...CT] } } }),
    shot: SHOT,
    kernel: 'lost',
    rules: ['n2 filter INPUT 1'],
    outcome: 'dropped',
    because: 'the packet that carries it through vx1 of n1 does not arrive',
  },
  'no fdb entry': {
    plan: paired({ n1: vxlan(1, { fdb: '' }), n2: vxlan(2) }),
    shot: SHOT,
    kernel: 'lost',
    outcome: 'dropped',
    because: 'no fdb entry',
  },
  'no neighbour': {
    plan: paired({ n1: vxlan(1, { neigh: '' }), n2: vxlan(2) }),
    shot: SHOT,
    kernel: 'lost',
    outcome: 'no-neighbour',
  },
  'the wrong link-layer address inside': {
    plan: paired({
      n1: vxlan(1, {
        neigh: 'neigh add 10.244.2.0 lladdr 02:00:00:00:99:99 dev vx1 nud permanent',
        fdb: 'fdb append 02:00:00:00:99:99 dev vx1 dst 10.0.0.2 self permanent',
      }),
      n2: { ...vxlan(2), rules: { mangle: ['-A PREROUTING'] } },
    }),
    shot: SHOT,
    kernel: 'lost',
    rules: ['n2 mangle PREROUTING 1'],
    outcome: 'not-for-us',
  },
  'another VNI': {
    plan: paired({ n1: vxlan(1), n2: vxlan(2, { link: 'type vxlan id 2 local 10.0.0.2 dev eth0 dstport 8472 nolearning' }) }),
    shot: SHOT,
    kernel: 'lost',
    outcome: 'dropped',
    because: 'no device for VXLAN 1',
  },
  'another port': {
    plan: paired({ n1: vxlan(1), n2: vxlan(2, { link: 'type vxlan id 1 local 10.0.0.2 dev eth0 dstport 4789 nolearning' }) }),
    shot: SHOT,
    kernel: 'lost',
    outcome: 'dropped',
    because: 'no device for VXLAN 1',
  },
  'the far device is down': {
    plan: paired({ n1: vxlan(1), n2: vxlan(2, { up: '' }) }),
    shot: SHOT,
    kernel: 'lost',
    outcome: 'dropped',
    because: 'vx1 of n2 is down',
  },
  'the near device is down: its routes are gone': {
    plan: paired({ n1: vxlan(1, { up: '' }), n2: vxlan(2) }),
    shot: SHOT,
    kernel: 'lost',
    outcome: 'no-route',
  },
  'rp_filter on the tunnel device': {
    plan: paired({
      n1: vxlan(1),
      n2: {
        ...vxlan(2, { route: 'route add 10.244.1.0/24 via 10.0.0.1' }),
        sysctls: { 'net.ipv4.conf.vx1.rp_filter': 1 },
        rules: { mangle: ['-A PREROUTING -i vx1'] },
      },
    }),
    shot: SHOT,
    kernel: 'lost',
    rules: ['n2 mangle PREROUTING 1'],
    outcome: 'martian',
  },
  'rp_filter 2 on it': {
    plan: paired({
      n1: { ...vxlan(1), ip: [...vxlan(1).ip!, 'route add 10.244.2.11 via 10.0.0.2'] },
      n2: { ...vxlan(2), sysctls: { 'net.ipv4.conf.eth0.rp_filter': 2 } },
    }),
    shot: SHOT,
    kernel: DELIVERED,
    outcome: 'delivered',
  },
  'as much as the MTU of the tunnel': {
    plan: paired({ n1: vxlan(1), n2: vxlan(2) }),
    shot: { ...SHOT, length: 1450 },
    kernel: DELIVERED,
    outcome: 'delivered',
  },
  'more than that': {
    plan: paired({ n1: vxlan(1), n2: vxlan(2) }),
    shot: { ...SHOT, length: 1451 },
    kernel: 'lost',
    outcome: 'too-big',
    because: 'MTU 1450 of vx1',
  },
  'a tunnel with an MTU that its packets do not fit: they are cut': {
    plan: paired({
      n1: vxlan(1, { link: 'mtu 1500 type vxlan id 1 local 10.0.0.1 dstport 8472 nolearning' }),
      n2: vxlan(2, { link: 'mtu 1500 type vxlan id 1 local 10.0.0.2 dstport 8472 nolearning' }),
    }),
    shot: { ...SHOT, length: 1500 },
    kernel: DELIVERED,
    outcome: 'delivered',
  },
  'ARP through a tunnel that floods, and both ends learn': {
    plan: paired({
      n1: vxlan(1, { link: link(1, 'remote 10.0.0.2'), neigh: '', fdb: '' }),
      n2: vxlan(2, { link: link(2, 'learning'), neigh: '', fdb: '' }),
    }),
    shot: SHOT,
    kernel: DELIVERED,
    // n2 knows the way back from what it heard
    reply: 'delivered n1/a 10.244.2.11:80 > 10.244.1.11:40000 ttl 62',
    outcome: 'delivered',
  },
  'an end that does not learn does not find back': {
    plan: paired({
      n1: vxlan(1, { link: link(1, 'remote 10.0.0.2') }),
      n2: vxlan(2, { link: link(2, 'nolearning'), fdb: '' }),
    }),
    shot: SHOT,
    kernel: DELIVERED,
    reply: 'lost',
    outcome: 'reply-lost',
  },
  'an end that learns drops what comes from where its fdb does not have it': {
    plan: paired({
      n1: vxlan(1),
      n2: {
        ...vxlan(2, { link: link(2, 'learning'), fdb: 'fdb append 02:00:00:00:01:04 dev vx1 dst 10.0.0.7 self permanent' }),
        rules: { mangle: ['-A PREROUTING'] },
      },
    }),
    shot: SHOT,
    kernel: 'lost',
    rules: ['n2 mangle PREROUTING 1'],
    outcome: 'dropped',
    because: 'has it behind 10.0.0.7',
  },
  'a remote end that is the host itself: the packet comes straight back until its TTL is gone': {
    plan: paired({ n1: vxlan(1, { fdb: 'fdb append 02:00:00:00:02:04 dev vx1 dst 10.0.0.1 self permanent' }), n2: vxlan(2) }),
    shot: { ...SHOT, ttl: 4 },
    kernel: 'lost',
    outcome: 'ttl-exceeded',
  },
};

describeKernel('tunnels', () => {
  afterAll(closeClaims);
  it.each(Object.keys(CLAIMS))('%s', (name) => check(CLAIMS[name]!));
});
