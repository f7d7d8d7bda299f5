// Sets, maps and verdict maps of nft: what is an element of them, and what rules change in them for the rules behind.
import { FROM_OUTSIDE, FROM_OUTSIDE6 } from '../probes/claim.ts';
import type { Shot } from '../probes/node.ts';
import { describeNft } from './claim.ts';
import { table } from './tables.ts';

const UDP: Shot = { ...FROM_OUTSIDE, proto: 'udp' };

describeNft('sets', ({ runs, claim }) => {
  runs(
    'elements, intervals with holes, prefixes',
    [
      'ip saddr @plain',
      'ip saddr != @plain',
      'ip saddr @wide',
      'ip saddr != @wide',
      'tcp dport @ports',
      'ip saddr { 8.8.8.0/31, 8.8.8.4-8.8.8.7 }',
      'ip saddr @empty',
      'ip saddr != @empty',
      'tcp dport != @ports',
    ],
    [
      [FROM_OUTSIDE, [1, 3, 5, 8]],
      [{ ...FROM_OUTSIDE, src: '8.8.8.7', dport: 443 }, [2, 3, 6, 8, 9]],
      [{ ...FROM_OUTSIDE, src: '8.9.8.7', dport: 79 }, [2, 4, 5, 8]],
      [{ ...FROM_OUTSIDE, src: '8.8.8.1', dport: 90 }, [2, 3, 5, 6, 8]],
      [UDP, [1, 3, 8]],
      [FROM_OUTSIDE6, [5]],
    ],
    {
      things: [
        'set plain { type ipv4_addr; elements = { 8.8.8.8, 9.9.9.9 }; }',
        'set wide { type ipv4_addr; flags interval; elements = { 8.8.0.0/16, 9.0.0.0-9.0.0.9, 255.255.255.255 }; }',
        'set ports { type inet_service; flags interval; auto-merge; elements = { 70-80, 75-90, 65535 }; }',
        'set empty { type ipv4_addr; }',
      ],
    },
  );
  runs(
    'concatenations, with intervals in each part',
    [
      'ip saddr . tcp dport @pair',
      'ip saddr . tcp dport != @pair',
      'ip saddr . ip daddr . meta l4proto . th dport @four',
      'iifname . ip saddr @named',
      'ip saddr . tcp dport { 8.8.8.0/24 . 80-90, 9.9.9.9 . 1 }',
      'meta l4proto . th dport { tcp . 80, udp . 80-81 }',
      'meta mark . ip dscp . tcp flags { 0 . 0 . syn, 1 . 0 . ack }',
    ],
    [
      [FROM_OUTSIDE, [1, 3, 4, 5, 6, 7]],
      [{ ...FROM_OUTSIDE, dport: 90 }, [2, 4, 5, 7]],
      [{ ...UDP, dport: 81 }, [3, 4, 6]],
      [{ ...FROM_OUTSIDE, iif: 'eth1', src: '10.9.0.7', flags: 'ACK' }, [2, 6]],
      [FROM_OUTSIDE6, [6]],
    ],
    {
      things: [
        'set pair { type ipv4_addr . inet_service; elements = { 8.8.8.8 . 80, 8.8.8.7 . 90 }; }',
        'set four { typeof ip saddr . ip daddr . meta l4proto . th dport; flags interval; elements = { 8.0.0.0/8 . 10.1.0.0-10.1.0.9 . tcp . 80, 8.8.8.8 . 10.1.0.1 . udp . 80-90 }; }',
        'set named { type ifname . ipv4_addr; flags interval; elements = { "eth0" . 8.8.8.0/24, "eth1" . 8.8.8.0/24 }; }',
      ],
    },
  );
  runs(
    'names with wildcards, marks, protocols, addresses of hardware',
    [
      'iifname @names',
      'iifname { "eth*", "lo" }',
      'oifname { "eth*", "lo" }',
      'meta l4proto @protos',
      'ether saddr @macs',
      'meta mark @marks',
      'iifname != { "eth*", "lo" }',
      'ip6 saddr @six',
      'ip saddr . ether saddr @both',
    ],
    [
      [FROM_OUTSIDE, [1, 2, 4, 5, 6, 9]],
      [{ ...UDP, iif: 'cali2', mac: '06:00:00:00:00:02' }, [6, 7]],
      [FROM_OUTSIDE6, [1, 2, 4, 5, 6, 8]],
    ],
    {
      things: [
        'set names { type ifname; elements = { "eth0", "eth" }; }',
        'set protos { type inet_proto; elements = { tcp, icmp }; }',
        'set macs { type ether_addr; elements = { 06:00:00:00:00:01 }; }',
        'set marks { type mark; flags interval; elements = { 0-5, 9 }; }',
        'set six { type ipv6_addr; flags interval; elements = { fd00:8::/32, ::1 }; }',
        'set both { type ipv4_addr . ether_addr; elements = { 8.8.8.8 . 06:00:00:00:00:01 }; }',
      ],
    },
  );
  runs(
    'wildcard elements cover what no other does',
    [
      'ip saddr vmap { 8.8.8.8 : continue, * : continue } counter',
      'meta mark set ip saddr map @m',
      'meta mark 1',
      'meta mark 9',
      'tcp dport vmap { 80 : continue, * : return }',
      'counter',
    ],
    [
      [FROM_OUTSIDE, [1, 2, 3, 5, 6]],
      [{ ...FROM_OUTSIDE, src: '8.8.8.9', dport: 81 }, [1, 2, 4, 5]],
    ],
    { things: ['map m { type ipv4_addr : mark; elements = { 8.8.8.8 : 1, * : 9 }; }'] },
  );
  runs(
    'a map without the key ends the rule, and what was behind it',
    [
      'meta mark set tcp dport map { 80 : 1, 81-90 : 2 }',
      'meta mark 0',
      'meta mark 1',
      'meta mark 2',
      'meta mark set ip saddr . tcp dport map @m',
      'meta mark 0xff',
      'ct mark set tcp dport map { 80 : 5 } counter',
      'ct mark 5',
    ],
    [
      [FROM_OUTSIDE, [1, 3, 5, 6, 7, 8]],
      [{ ...FROM_OUTSIDE, dport: 85 }, [1, 4]],
      [{ ...FROM_OUTSIDE, dport: 91 }, [2]],
      [UDP, [2]],
    ],
    { things: ['map m { type ipv4_addr . inet_service : mark; flags interval; elements = { 8.8.8.0/24 . 79-80 : 0xff }; }'] },
  );
  claim(
    'verdict maps with intervals and concatenations',
    table(
      'inet a',
      {
        c: [
          '@filter forward 0 drop',
          'ip saddr . tcp dport vmap @v',
          'meta l4proto vmap { udp : goto u, icmp : accept }',
          'ip6 saddr vmap { fd00:8::/32 : jump u }',
          'tcp dport 100 accept',
        ],
        u: ['th dport 80 accept', 'th dport 81 return', 'drop'],
      },
      [
        'map v { type ipv4_addr . inet_service : verdict; flags interval; elements = { 8.0.0.0/8 . 80-89 : accept, 8.8.8.8 . 90 : drop, 8.8.8.8 . 91 : jump u, 8.8.8.8 . 100-101 : continue }; }',
      ],
    ),
    [
      [FROM_OUTSIDE, /^inet a c 1 -> out/],
      [{ ...FROM_OUTSIDE, dport: 90 }, /^inet a c 1 -> gone/],
      [{ ...FROM_OUTSIDE, dport: 91 }, /^inet a c 1, inet a u 3 -> gone/],
      [{ ...FROM_OUTSIDE, dport: 100 }, /^inet a c 1, inet a c 4 -> out/],
      [{ ...FROM_OUTSIDE, dport: 101 }, /^inet a c 1 -> gone/],
      [UDP, /^inet a c 2, inet a u 1 -> out/],
      [{ ...UDP, dport: 81 }, /^inet a c 2, inet a u 2 -> gone/],
      [FROM_OUTSIDE6, /^inet a c 3, inet a u 1 -> out/],
      [{ ...FROM_OUTSIDE6, dport: 81 }, /^inet a c 3, inet a u 2 -> gone/],
      [{ ...FROM_OUTSIDE, proto: 'icmp' }, /^inet a c 2 -> out/],
    ],
  );
});

describeNft('sets that rules change', ({ runs, claim }) => {
  const DYNAMIC = ['set s { type ipv4_addr; flags dynamic,timeout; size 100; elements = { 9.9.9.9 }; }'];
  runs(
    'an element is there for the rules behind, until it is deleted',
    [
      'ip saddr @s',
      'add @s { ip saddr }',
      'ip saddr @s',
      'delete @s { ip saddr }',
      'ip saddr @s',
      'update @s { ip saddr timeout 10s }',
      'ip saddr @s',
      'update @s { ip saddr }',
      'ip daddr @s',
    ],
    [
      [FROM_OUTSIDE, [2, 3, 4, 6, 7, 8]],
      [FROM_OUTSIDE6, []],
    ],
    { things: DYNAMIC },
  );
  runs(
    'deleting what is not there, and adding what is',
    ['delete @s { ip saddr } counter', 'add @s { ip saddr } counter', 'add @s { ip saddr } counter', 'ip saddr @s'],
    [[FROM_OUTSIDE, [1, 2, 3, 4]]],
    { things: DYNAMIC },
  );
  runs(
    'a full set takes no more: the rule ends',
    ['add @s { ip saddr } counter', 'add @s { ip daddr } counter', 'ip saddr @s', 'ip daddr @s'],
    [[FROM_OUTSIDE, [1, 3]]],
    { things: ['set s { type ipv4_addr; flags dynamic; size 1; }'] },
  );
  runs(
    'a map that learns',
    [
      'add @m { ip saddr : tcp dport }',
      'meta mark set 1',
      'update @n { ip saddr . tcp dport : 0x7 }',
      'meta mark set ip saddr . tcp dport map @n',
      'meta mark 0x7',
    ],
    [[FROM_OUTSIDE, [1, 2, 3, 4, 5]]],
    {
      words: true,
      things: [
        'map m { type ipv4_addr : inet_service; flags dynamic; size 9; }',
        'map n { type ipv4_addr . inet_service : mark; flags dynamic; size 9; }',
      ],
    },
  );
  claim(
    'what one packet added the next one meets',
    table('ip a', { c: ['@filter forward 0', 'ip saddr @s drop', 'tcp dport 81 add @s { ip saddr }'] }, [
      'set s { type ipv4_addr; flags dynamic; size 100; }',
    ]),
    [[{ ...FROM_OUTSIDE, dport: 81 }, /^a c 2 -> out/]],
  );
  runs(
    // nft_set_elem_update_expr()
    'a limit within an element ends the rule once it is used up, one that only looks it up too',
    [
      'add @s { ip saddr limit rate 1/hour burst 1 packets } counter',
      'update @s { ip saddr limit rate 1/hour burst 1 packets } counter',
      'ip saddr @s',
    ],
    [[FROM_OUTSIDE, [1]]],
    { things: ['set s { type ipv4_addr; flags dynamic; size 9; }'] },
  );
});
