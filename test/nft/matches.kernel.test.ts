// What nft's expressions say of a packet, and of one that has nothing of the kind: a load that fails ends the rule, whatever is asked.
import { FROM_OUTSIDE, FROM_OUTSIDE6 } from '../probes/claim.ts';
import type { Shot } from '../probes/node.ts';
import { describeNft } from './claim.ts';

const UDP: Shot = { ...FROM_OUTSIDE, proto: 'udp' };
const ECHO: Shot = { ...FROM_OUTSIDE, proto: 'icmp', id: 77 };
const ECHO6: Shot = { ...FROM_OUTSIDE6, proto: 'icmpv6', id: 77 };
const GRE: Shot = { ...FROM_OUTSIDE, proto: 'gre' };
const IN: Shot = { ...FROM_OUTSIDE, dst: '192.168.21.20' };
const LOCAL: Shot = { local: true, dst: '8.8.8.8' };
const LOCAL6: Shot = { local: true, dst: 'fd00:8::8' };

describeNft('headers', ({ runs }) => {
  runs(
    'a header that is not there fails, also for !=',
    [
      'tcp dport != 81',
      'th dport != 81',
      'udp sport != 1',
      'sctp dport != 5',
      'dccp dport != 5',
      'udplite dport != 5',
      'ah spi != 5',
      'esp spi != 5',
      'comp cpi != 5',
      'icmp type != destination-unreachable',
      'icmpv6 type != destination-unreachable',
      'ip saddr != 1.1.1.1',
      'ip6 saddr != ::1',
      'vlan id != 5',
      'ip saddr . tcp dport != { 8.8.8.9 . 80 }',
    ],
    [
      [FROM_OUTSIDE, [1, 2, 12, 15]],
      [UDP, [2, 3, 12]],
      [ECHO, [2, 10, 12]],
      [GRE, [2, 12]],
      [FROM_OUTSIDE6, [1, 2, 13]],
      [ECHO6, [2, 11, 13]],
    ],
  );
  runs(
    'the IP header',
    [
      'ip version 4',
      'ip hdrlength 5',
      'ip length 40',
      'ip length > 40',
      'ip ttl 63',
      'ip dscp cs0',
      'ip dscp != cs0',
      'ip dscp af11',
      'ip ecn 0',
      'ip ecn 1',
      'ip protocol tcp',
      'ip id 1',
      'ip frag-off & 0x4000 != 0',
      'ip saddr & 255.0.0.0 == 8.0.0.0',
      'ip saddr 8.8.8.7-8.8.8.9',
      'ip daddr != 10.1.0.0/24',
    ],
    [
      [FROM_OUTSIDE, [1, 2, 3, 5, 6, 9, 11, 12, 14, 15]],
      [{ ...FROM_OUTSIDE, tos: 0x29, ttl: 9 }, [1, 2, 3, 7, 8, 10, 11, 12, 14, 15]],
      [{ ...UDP, pad: 30 }, [1, 2, 4, 5, 6, 9, 12, 13, 14, 15]],
      [FROM_OUTSIDE6, []],
    ],
  );
  runs(
    'the IPv6 header',
    [
      'ip6 hoplimit 63',
      'ip6 length 20',
      'ip6 nexthdr tcp',
      'ip6 dscp 0',
      'ip6 dscp af11',
      'ip6 version 6',
      'ip6 flowlabel 0',
      'ip6 daddr fd00:1::/64',
      'ip6 saddr != { fd00:8::/32, ::1 }',
      'ip6 ecn 1',
    ],
    [
      [FROM_OUTSIDE6, [1, 2, 3, 4, 6, 7, 8]],
      [{ ...FROM_OUTSIDE6, tos: 0x29, ttl: 9 }, [2, 3, 5, 6, 7, 8, 10]],
      [ECHO6, [1, 4, 6, 7, 8]],
      [FROM_OUTSIDE, []],
    ],
  );
  runs(
    'ICMP: some fields bring their types along',
    [
      'icmp type echo-request',
      'icmp code 0',
      'icmp code != 5',
      'icmp id 77',
      'icmp sequence 1',
      'icmp mtu != 5',
      'icmp gateway != 1',
      'icmp type { echo-reply, echo-request } icmp id != 5',
      'icmpv6 type echo-request',
      'icmpv6 id 77',
      'icmpv6 mtu != 4',
      'icmp type vmap { echo-request : continue }',
      'icmp type . icmp code { echo-request . 0, destination-unreachable . 3 }',
    ],
    [
      [ECHO, [1, 2, 3, 4, 5, 8, 12, 13]],
      [ECHO6, [9, 10]],
      [{ ...ECHO, type: 0 }, [2, 3, 4, 5, 8]],
      [{ ...ECHO, type: 13 }, [2, 3]],
      [FROM_OUTSIDE, []],
    ],
  );
  runs(
    'TCP flags: bits, values and masks',
    [
      'tcp flags syn',
      'tcp flags == syn',
      'tcp flags syn,ack',
      'tcp flags { syn, ack }',
      'tcp flags & (syn|ack) == syn',
      'tcp flags != ack',
      'tcp flags != syn / syn,ack',
      'tcp flags ! syn',
      'tcp flags & ack == 0',
      'tcp flags & (syn|ack|fin) == { syn, ack }',
      'tcp flags & (fin|syn|rst|ack) != syn',
      'tcp flags syn / fin,syn,rst,ack',
      'tcp flags & 0x02 == 0x02',
      'tcp flags 0x0',
    ],
    [
      [FROM_OUTSIDE, [1, 2, 3, 4, 5, 6, 9, 10, 12, 13]],
      [{ ...FROM_OUTSIDE, flags: 'SYN,ACK' }, [1, 3, 6, 7, 11, 13]],
      [{ ...FROM_OUTSIDE, flags: 'ACK' }, [3, 4, 7, 8, 10, 11]],
      [{ ...FROM_OUTSIDE, flags: '' }, [6, 7, 8, 9, 11]],
      [{ ...FROM_OUTSIDE, flags: 'RST' }, [6, 7, 8, 9, 11]],
      [UDP, []],
    ],
  );
  runs(
    'bytes by their place, ranges and comparisons',
    [
      '@th,16,16 80',
      '@nh,96,32 0x08080808',
      '@th,160,32 != 5',
      '@ih,0,8 != 5',
      '@nh,0,4 4',
      'tcp dport >= 80',
      'tcp dport < 80',
      'tcp dport 79-81',
      'tcp dport != 1-79',
      'th dport & 0xf0 == 0x50',
      'tcp dport { 1-79, 81 }',
      'tcp dport != { 1-79, 81 }',
      'meta l4proto { tcp, udp } th dport 80',
      'tcp sequence 1000',
      'tcp doff 5',
      'udp length 15',
    ],
    [
      [FROM_OUTSIDE, [1, 2, 5, 6, 8, 9, 10, 12, 13, 14, 15]],
      [UDP, [1, 2, 4, 5, 10, 13, 16]],
      [{ ...FROM_OUTSIDE, dport: 81 }, [2, 5, 6, 8, 9, 10, 11, 14, 15]],
    ],
    { table: 'ip a' },
  );
  runs(
    'options: missing is true wherever there is none, of what is no TCP too',
    [
      'tcp option maxseg exists',
      'tcp option maxseg missing',
      'tcp option maxseg size != 5',
      'exthdr frag exists',
      'exthdr frag missing',
      'ip option lsrr missing',
      'ip option lsrr exists',
    ],
    [
      [FROM_OUTSIDE, [2, 6]],
      [UDP, [2, 6]],
      [ECHO, [2, 6]],
      [FROM_OUTSIDE6, [2, 5]],
    ],
  );
});

describeNft('meta', ({ runs }) => {
  runs(
    'what a forwarded packet has',
    [
      'meta protocol ip',
      'meta protocol ip6',
      'meta nfproto ipv4',
      'meta l4proto tcp',
      'meta l4proto { icmp, ipv6-icmp }',
      'meta length 40',
      'meta iif "eth0"',
      'meta iifname "eth*"',
      'meta oifname { "cali1", "cali3" }',
      'meta oifname { "eth*", "cali3" }',
      'meta iiftype ether',
      'meta mark 0',
      'meta mark & 0xf != 0',
      'meta pkttype host',
      'meta pkttype != broadcast',
      'meta skuid != 5',
      'iifname != "eth1"',
      'iifname . oifname { "eth0" . "cali1" }',
      'meta iifgroup 0',
      'meta priority 0',
      'meta day 0-6',
    ],
    [
      [FROM_OUTSIDE, [1, 3, 4, 6, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19, 20, 21]],
      [UDP, [1, 3, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19, 20, 21]],
      [ECHO6, [2, 5, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19, 20, 21]],
    ],
  );
  const EDGE = [
    'iifname != "x"',
    'oifname != "x"',
    'iif != "cali2"',
    'oif != "cali2"',
    'meta iiftype != 2',
    'meta oiftype != 2',
    'meta iifgroup != 2',
    'meta oifgroup != 2',
    'iifname "eth0"',
    'oifname "eth0"',
    'meta skuid 0',
    'meta skuid != 1000',
    'meta skgid != 1000',
  ];
  runs('without an output device: names are empty, types fail', EDGE, [[FROM_OUTSIDE, [1, 2, 3, 4, 5, 7, 9]]], { base: 'filter prerouting 0' });
  runs('in input likewise', EDGE, [[IN, [1, 2, 3, 4, 5, 7, 9]]], { base: 'filter input 0' });
  runs(
    'without an input device, and with a socket',
    EDGE,
    [
      [LOCAL, [1, 2, 3, 4, 6, 8, 10, 11, 12, 13]],
      [LOCAL6, [1, 2, 3, 4, 6, 8, 10, 11, 12, 13]],
      [{ ...LOCAL, uid: 1000 }, [1, 2, 3, 4, 6, 8, 10]],
    ],
    { base: 'filter output 0' },
  );
  // iiftype is that of the device where the packet is now: nft_meta_get_eval_ifname()
  runs(
    'both devices of a forwarded packet in postrouting',
    EDGE,
    [
      [FROM_OUTSIDE, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
      [LOCAL, [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13]],
    ],
    {
      base: 'filter postrouting 0',
    },
  );
  runs(
    'pkttype of broadcasts, multicasts and own packets',
    ['meta pkttype host', 'meta pkttype broadcast', 'meta pkttype multicast', 'meta pkttype { broadcast, multicast }', 'meta pkttype other'],
    [
      [IN, [1]],
      [{ ...UDP, dst: '192.168.21.255' }, [1]],
    ],
    { base: 'filter prerouting 0' },
  );
  runs(
    'extension headers: l4proto is the last, nexthdr the first',
    [
      'meta l4proto tcp',
      'ip6 nexthdr tcp',
      'ip6 nexthdr hopopt',
      'tcp dport 80',
      'exthdr hbh exists',
      'exthdr rt missing',
      'exthdr dst exists',
      'meta l4proto udp',
      'th dport 80',
    ],
    [
      [FROM_OUTSIDE6, [1, 2, 4, 6, 9]],
      // hop-by-hop options, then TCP from 40000 to 80
      [{ ...FROM_OUTSIDE6, proto: '0', body: '06000000000000009c400050000003e8000000005002ffff00000000' }, [1, 3, 4, 5, 6, 9]],
    ],
    { base: 'filter prerouting 0' },
  );
  runs(
    'marks: bits',
    [
      'meta mark set 0xf0',
      'meta mark & 0x0f == 0',
      'meta mark set meta mark & 0x30',
      'meta mark 0x30',
      'meta mark set meta mark | 0x1',
      'meta mark set mark and 0xffffffef or 0x100',
      'meta mark 0x121',
      'meta mark set meta mark ^ 0xff',
      'meta mark 0x1de',
      'meta mark 0x100-0x1ff',
      'meta mark != { 0x1de, 5 }',
      'meta mark and 0xff == { 0xde, 0xdf }',
    ],
    [[FROM_OUTSIDE, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]]],
  );
  runs(
    'marks from maps and fields',
    [
      'meta mark set tcp dport map { 80 : 0x50, 81 : 0x51 }',
      'meta mark 0x50',
      'meta mark set 7',
      'meta mark 0x7',
      'meta mark set 7 meta mark set tcp dport map { 81 : 1 }',
      'meta mark 7',
    ],
    [
      [{ ...FROM_OUTSIDE, tos: 0x28 }, [1, 2, 3, 4, 6]],
      [UDP, [3, 4, 6]],
    ],
  );
  runs(
    'numbers in turn, and those of chance',
    [
      'numgen inc mod 2 0',
      'numgen inc mod 2 offset 5 5',
      'numgen random mod 2 <= 1',
      'numgen inc mod 3 vmap { 0 : continue, 1 : continue }',
      'meta random <= 4294967295',
    ],
    [[FROM_OUTSIDE, [1, 2, 3, 4, 5]]],
  );
});
