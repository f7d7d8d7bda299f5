// Address translation in nft's words: written down, from maps, with ranges, ports and prefixes.
import { FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD, FROM_POD6 } from '../probes/claim.ts';
import type { Shot } from '../probes/node.ts';
import { describeNft } from './claim.ts';
import { table } from './tables.ts';

const IN: Shot = { ...FROM_OUTSIDE, dst: '192.168.21.20' };
const UDP: Shot = { ...IN, proto: 'udp' };
const IN6: Shot = { ...FROM_OUTSIDE6, dst: 'fd00:21::20' };
const LOCAL: Shot = { local: true, dst: '8.8.8.8' };

describeNft('destinations', ({ claim }) => {
  const pre = (...rules: readonly string[]): string => table('inet a', { c: ['@nat prerouting dstnat', ...rules] });
  claim(
    'an address, a port, both, a port range',
    pre(
      'tcp dport 80 dnat ip to 10.1.0.1',
      'tcp dport 81 dnat ip to 10.1.0.2:8080',
      'tcp dport 82 dnat to :443',
      'tcp dport 83 dnat ip to 10.1.0.1:7000-7001',
      'udp dport 80 dnat ip to 10.1.0.1-10.1.0.2',
      'tcp dport 80 dnat ip6 to [fd00:1::2]:90',
    ),
    [
      [IN, /^inet a c 1 -> out cali1 .*> 10.1.0.1:80/],
      [{ ...IN, dport: 81 }, /^inet a c 2 -> out cali2 .*> 10.1.0.2:8080/],
      [{ ...IN, dport: 82 }, /^inet a c 3 -> local .*> 192.168.21.20:443/],
      [{ ...IN, dport: 83 }, /^inet a c 4 -> out cali1 .*> 10.1.0.1:700[01]/],
      [UDP, /^inet a c 5 -> out/],
      // nft_nat_inet_eval(): of the other family nothing is translated, and the next rule is tried
      [IN6, /^inet a c 1, inet a c 6 -> out cali2 .*> fd00:1::2:90/],
    ],
  );
  claim(
    'from maps, by address, port and number',
    table(
      'ip a',
      {
        c: [
          '@nat prerouting dstnat',
          'ip protocol tcp dnat to tcp dport map { 80 : 10.1.0.1, 81 : 10.1.0.2 }',
          'dnat to ip daddr . tcp dport map @services',
          'udp dport 80 dnat to numgen inc mod 1 map { 0 : 10.1.0.2 }',
          'ip protocol icmp dnat to ip saddr map { 8.8.8.0/24 : 10.1.0.1, 9.0.0.0/8 : 10.1.0.2 }',
          'meta l4proto udp dnat to udp dport map { 90 : 10.1.0.1 . 900 }',
        ],
      },
      ['map services { type ipv4_addr . inet_service : ipv4_addr . inet_service; elements = { 192.168.21.20 . 443 : 10.1.0.2 . 6443 }; }'],
    ),
    [
      [IN, /^a c 1 -> out cali1 .*> 10.1.0.1:80/],
      [{ ...IN, dport: 81 }, /^a c 1 -> out cali2 .*> 10.1.0.2:81/],
      [{ ...IN, dport: 443 }, /^a c 2 -> out cali2 .*> 10.1.0.2:6443/],
      [{ ...IN, dport: 444 }, /^-> local/],
      [UDP, /^a c 3 -> out cali2 .*> 10.1.0.2:80/],
      [{ ...IN, proto: 'icmp' }, /^a c 4 -> out cali1/],
      [{ ...UDP, dport: 90 }, /^a c 5 -> out cali1 .*> 10.1.0.1:900/],
      [{ ...UDP, dport: 91 }, /^-> local/],
    ],
  );
  claim(
    'by chance, as kube-proxy does it',
    table('ip a', {
      c: ['@nat prerouting dstnat', 'tcp dport 80 numgen random mod 2 vmap { 0 : goto x, 1 : goto y }'],
      x: ['ip protocol tcp dnat to 10.1.0.1:8080'],
      y: ['ip protocol tcp dnat to 10.1.0.2:8080'],
    }),
    [[IN, /^a c 1, a [xy] 1 -> out cali[12] .*> 10.1.0.[12]:8080/]],
  );
  claim(
    'a prefix keeps the rest of the address',
    table('ip a', {
      c: [
        '@nat prerouting dstnat',
        'ip daddr 192.168.21.0/24 dnat ip prefix to 10.1.0.0/24',
        'dnat ip prefix to ip daddr map { 7.7.7.0/24 : 10.1.0.0/24 }',
      ],
    }),
    [
      [{ ...IN, dst: '192.168.21.1' }, /^a c 1 -> out cali1 .*> 10.1.0.1:80/],
      [{ ...IN, dst: '7.7.7.2' }, /^a c 2 -> out cali2 .*> 10.1.0.2:80/],
    ],
  );
  claim(
    'redirect, to the address of the device or to lo',
    table('inet a', {
      c: ['@nat prerouting dstnat', 'tcp dport 80 redirect', 'tcp dport 81 redirect to :8080', 'udp dport 80 redirect to udp dport map { 80 : 53 }'],
      o: ['@nat output -100', 'tcp dport 80 redirect to :8080', 'udp dport 80 dnat ip to 10.1.0.2'],
    }),
    [
      [{ ...FROM_OUTSIDE }, /^inet a c 1 -> local .*> 192.168.21.20:80/],
      [{ ...FROM_OUTSIDE, dport: 81 }, /^inet a c 2 -> local .*> 192.168.21.20:8080/],
      [{ ...FROM_OUTSIDE, proto: 'udp' }, /^inet a c 3 -> local .*> 192.168.21.20:53/],
      [{ ...FROM_OUTSIDE6 }, /^inet a c 1 -> local .*> fd00:21::20:80/],
      [LOCAL, /^inet a o 1 -> local .*> 127.0.0.1:8080/],
      [{ ...LOCAL, proto: 'udp' }, /^inet a o 2 -> out cali2 .*> 10.1.0.2:80/],
      [{ ...LOCAL, dst: 'fd00:8::8' }, /^inet a o 1 -> local .*> ::1:8080/],
    ],
  );
  claim(
    'what a later statement of the rule sees is the translated packet',
    table('ip a', {
      c: ['@nat prerouting dstnat', 'tcp dport 80 dnat to 10.1.0.1:90'],
      d: [
        '@filter prerouting -99',
        'tcp dport 90 ct original proto-dst 80 counter',
        'ip daddr 10.1.0.1 ct original ip daddr 192.168.21.20 counter',
        'ct status dnat counter',
        'ct reply ip saddr 10.1.0.1 counter',
      ],
    }),
    [[IN, /^a c 1, a d 1, a d 2, a d 3, a d 4 -> out cali1/]],
  );
});

describeNft('sources', ({ claim }) => {
  claim(
    'masquerade, to ports, and what is no TCP',
    table('inet a', {
      c: [
        '@nat postrouting srcnat',
        'tcp dport 80 masquerade',
        'udp dport 80 masquerade to :2000-2001',
        'tcp dport 81 masquerade random',
        'ip protocol icmp masquerade persistent',
      ],
    }),
    [
      [FROM_POD, /^inet a c 1 -> out eth0 192.168.21.20:40000 >/],
      [{ ...FROM_POD, proto: 'udp' }, /^inet a c 2 -> out eth0 192.168.21.20:200[01] >/],
      [{ ...FROM_POD, dport: 81 }, /^inet a c 3 -> out eth0 192.168.21.20:\d+ >/],
      [{ ...FROM_POD, proto: 'icmp' }, /^inet a c 4 -> out eth0 192.168.21.20/],
      [FROM_POD6, /^inet a c 1 -> out eth0 fd00:21::20:40000 >/],
    ],
  );
  claim(
    'addresses, ports, ranges and maps',
    table(
      'ip a',
      {
        c: [
          '@nat postrouting srcnat',
          'tcp dport 80 snat to 7.7.7.7',
          'tcp dport 81 snat to 7.7.7.7:1000',
          'tcp dport 82 snat to 7.7.7.7-7.7.7.9 persistent',
          'udp dport 80 snat to ip saddr map @m',
          'udp dport 81 snat ip prefix to ip saddr map { 10.1.0.0/24 : 7.7.8.0/24 }',
          'oifname "eth0" udp dport 82 snat ip to iifname map { "cali1" : 7.7.7.1, "cali2" : 7.7.7.2 }',
          'udp dport 83 snat to 7.7.7.7:2000-2005 fully-random',
        ],
      },
      ['map m { type ipv4_addr : ipv4_addr; flags interval; elements = { 10.1.0.0/31 : 7.7.7.5 }; }'],
    ),
    [
      [FROM_POD, /^a c 1 -> out eth0 7.7.7.7:40000 >/],
      [{ ...FROM_POD, dport: 81 }, /^a c 2 -> out eth0 7.7.7.7:1000 >/],
      [{ ...FROM_POD, dport: 82 }, /^a c 3 -> out eth0 7.7.7.[789]:40000 >/],
      [{ ...FROM_POD, proto: 'udp' }, /^a c 4 -> out eth0 7.7.7.5:40000 >/],
      [{ ...FROM_POD, iif: 'cali2', src: '10.1.0.2', proto: 'udp' }, /^-> out eth0 10.1.0.2:40000 >/],
      [{ ...FROM_POD, proto: 'udp', dport: 81 }, /^a c 5 -> out eth0 7.7.8.1:40000 >/],
      [{ ...FROM_POD, proto: 'udp', dport: 82 }, /^a c 6 -> out eth0 7.7.7.1:40000 >/],
      [{ ...FROM_POD, proto: 'udp', dport: 83 }, /^a c 7 -> out eth0 7.7.7.7:200[0-5] >/],
    ],
  );
  claim(
    'the reply and the next packet of a connection meet no nat chain',
    table('ip a', {
      c: ['@nat postrouting srcnat', 'oifname "eth0" masquerade'],
      f: [
        '@filter forward 0',
        'ct direction reply counter',
        'ct state established counter',
        'ct state new counter',
        'ct status snat counter',
        'ct reply ip daddr 192.168.21.20 counter',
      ],
    }),
    [
      [FROM_POD, /^a f 3, a c 1 -> out eth0 192.168.21.20:40000/],
      [
        { iif: 'eth0', src: '8.8.8.8', dst: '192.168.21.20', sport: 80, dport: 40000, flags: 'SYN,ACK', ack: 1001 },
        /^a f 1, a f 2, a f 4, a f 5 -> out cali1 8.8.8.8:80 > 10.1.0.1:40000/,
      ],
      [{ ...FROM_POD, flags: 'ACK', seq: 1001, ack: 1001 }, /^a f 2, a f 4, a f 5 -> out eth0 192.168.21.20:40000/],
    ],
    { connected: true },
  );
  claim(
    'two tables that both translate the source: the one that is registered last, unless priorities differ',
    table('ip a', { c: ['@nat postrouting srcnat', 'snat to 7.7.7.1'] }) + table('ip b', { c: ['@nat postrouting srcnat', 'snat to 7.7.7.2'] }),
    [[FROM_POD, /^b c 1 -> out eth0 7.7.7.2:40000/]],
  );
  claim('snat in input', table('ip a', { c: ['@nat input 100', 'snat to 7.7.7.1'] }), [[IN, /^a c 1 -> local 7.7.7.1:40000/]]);
});

describeNft('without connections', ({ claim, runs }) => {
  claim(
    'header fields that are set: addresses, ports, ttl, dscp',
    table('ip a', {
      c: [
        '@filter prerouting -300',
        'tcp dport 80 ip daddr set 10.1.0.2',
        'tcp dport 81 tcp dport set 8080',
        'tcp dport 82 ip saddr set 7.7.7.7 tcp sport set 1',
        'tcp dport 83 ip ttl set 9',
        'tcp dport 84 ip dscp set af11',
        'udp dport 80 udp dport set 53 ip daddr set 10.1.0.2',
        'ip protocol icmp ip daddr set ip daddr map { 192.168.21.20 : 10.1.0.1 }',
        'ip ttl set 20 tcp dport 85',
      ],
    }),
    [
      [IN, /^a c 1 -> out cali2 8.8.8.8:40000 > 10.1.0.2:80 ttl 19/],
      [{ ...FROM_OUTSIDE, dport: 81 }, /^a c 2 -> out cali1 8.8.8.8:40000 > 10.1.0.1:8080/],
      [{ ...FROM_OUTSIDE, dport: 82 }, /^a c 3 -> out cali1 7.7.7.7:1 > 10.1.0.1:82/],
      [{ ...FROM_OUTSIDE, dport: 85 }, /^a c 8 -> out cali1 .* ttl 19/],
      [{ ...FROM_OUTSIDE, dport: 84 }, /^a c 5 -> out cali1/],
      [UDP, /^a c 6 -> out cali2 8.8.8.8:40000 > 10.1.0.2:53/],
      [{ ...IN, proto: 'icmp' }, /^a c 7 -> out cali1/],
    ],
  );
  claim(
    'IPv6 likewise',
    table('inet a', {
      c: [
        '@filter prerouting -300',
        'ip6 daddr fd00:21::20 ip6 daddr set fd00:1::2',
        'tcp dport 81 ip6 hoplimit set 9',
        'tcp dport 82 ip6 dscp set 0x2e',
      ],
    }),
    [
      [IN6, /^inet a c 1 -> out cali2 .*> fd00:1::2:80/],
      [{ ...FROM_OUTSIDE6, dport: 81 }, /^inet a c 2 -> out cali1 .* ttl 8/],
      [{ ...FROM_OUTSIDE6, dport: 82 }, /^inet a c 3 -> out cali1/],
    ],
  );
  runs(
    'rules behind see the new values, masks and flags too',
    [
      'ip dscp set af11',
      'ip dscp af11',
      'tcp dport set 90',
      'tcp dport 80',
      'tcp dport 90',
      'ip ecn set ce',
      'ip ecn ce',
      'ip dscp af11',
      'tcp flags set syn,ack',
      'tcp flags == 0x12',
      'ip id set 7',
      'ip id 7',
      'ip saddr set ip daddr',
      'ip saddr 10.1.0.1',
    ],
    [[FROM_OUTSIDE, [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]]],
  );
});
