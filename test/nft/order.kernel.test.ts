// Which chain of nft comes when, what ends it, and what comes of a rule that stops half-way.
import { FROM_OUTSIDE, FROM_OUTSIDE6 } from '../probes/claim.ts';
import type { Shot } from '../probes/node.ts';
import { describeNft } from './claim.ts';
import { table } from './tables.ts';

const UDP: Shot = { ...FROM_OUTSIDE, proto: 'udp', dport: 53 };
const IN: Shot = { ...FROM_OUTSIDE, dst: '192.168.21.20' };
const LOCAL: Shot = { local: true, dst: '8.8.8.8' };
const COUNT = ['meta l4proto tcp counter'];
/** A second way out, for what carries mark 1 or goes to a pod. */
const OTHER = {
  extra: { ip: ['rule add fwmark 1 lookup 100', 'rule add tos 0x10 lookup 100', 'route add default via 10.9.0.1 dev eth1 table 100'] },
};

describeNft('the order of base chains', ({ claim }) => {
  claim(
    'priorities decide across tables and families, whatever the order of loading',
    table('inet a', { c: ['@filter forward 10', 'counter accept'] }) +
      table('ip b', { c: ['@filter forward -10', 'counter'], d: ['@filter forward 20', 'counter'] }) +
      table('ip6 b', { c: ['@filter forward -20', 'counter'] }),
    [
      [FROM_OUTSIDE, /^b c 1, inet a c 1, b d 1 -> out cali1/],
      [FROM_OUTSIDE6, /^b c 1, inet a c 1 -> out cali1/],
    ],
  );
  claim(
    'native chains stand between those of iptables, legacy and nft',
    table('inet a', { c: ['@filter forward -1', ...COUNT], d: ['@filter forward 1', ...COUNT], e: ['@filter forward -149', ...COUNT] }),
    [[FROM_OUTSIDE, /^mangle FORWARD 1, inet a e 1, inet a c 1, filter FORWARD 1, inet a d 1 -> out/]],
    {
      extra: {
        legacy: '*mangle\n:FORWARD ACCEPT\n-A FORWARD -p tcp\nCOMMIT\n',
        nft: '*filter\n:FORWARD ACCEPT\n-A FORWARD -p tcp\nCOMMIT\n',
      },
    },
  );
  claim(
    'at equal priority the kernel runs what was registered last: one of several courses',
    table('ip a', { c: ['@filter forward 0', 'meta mark set 1'] }) + table('ip b', { c: ['@filter forward 0', 'meta mark set 2'] }),
    [[FROM_OUTSIDE, 'b c 1, a c 1 -> out cali1 8.8.8.8:40000 > 10.1.0.1:80 ttl 63 mark 0x1']],
  );
  claim(
    'accept ends its base chain only, drop is final',
    table('ip a', { c: ['@filter forward 0', 'tcp dport 80 accept', 'drop'], d: ['@filter forward 1', 'tcp sport 41000 drop'] }),
    [
      [FROM_OUTSIDE, /^a c 1 -> out/],
      [{ ...FROM_OUTSIDE, sport: 41000 }, /^a c 1, a d 1 -> gone/],
      [UDP, /^a c 2 -> gone/],
    ],
  );
  claim(
    'the policy ends a base chain as accept or drop; a return is the policy',
    table('ip a', {
      c: [
        '@filter forward 0 drop',
        'tcp dport 80 return',
        'tcp dport 81 accept',
        'udp dport 53 jump u',
        'udp dport 54 goto u',
        'ip protocol udp accept',
      ],
      u: ['udp sport 1 return', 'udp sport 2 accept'],
    }),
    [
      [FROM_OUTSIDE, /^a c 1 -> gone/],
      [{ ...FROM_OUTSIDE, dport: 81 }, /^a c 2 -> out/],
      [{ ...UDP, sport: 1 }, /^a c 3, a u 1, a c 5 -> out/],
      [{ ...UDP, sport: 2 }, /^a c 3, a u 2 -> out/],
      [{ ...UDP, sport: 3 }, /^a c 3, a c 5 -> out/],
      [{ ...UDP, dport: 54, sport: 1 }, /^a c 4, a u 1 -> gone/],
      [{ ...UDP, dport: 54, sport: 3 }, /^a c 4 -> gone/],
    ],
  );
  claim(
    'goto within a chain that was jumped to returns to the jump',
    table('ip a', { c: ['@filter forward 0', 'jump u', 'counter drop'], u: ['goto v', 'accept'], v: ['counter'] }),
    [[FROM_OUTSIDE, /^a c 1, a u 1, a v 1, a c 2 -> gone/]],
  );
  claim(
    'a dormant table hangs on no hook',
    table('ip a', { c: ['@filter forward 0', 'drop'] }, ['flags dormant;']) + table('ip b', { c: ['@filter forward 0', 'counter'] }),
    [[FROM_OUTSIDE, /^b c 1 -> out/]],
    { words: true },
  );
  claim(
    'a device hands a packet to its ingress chains before all else',
    table('netdev a', { c: ['@filter ingress device "eth0" 0', 'ip saddr 8.8.8.8 tcp dport 80 counter', 'udp dport 53 drop', 'meta mark set 5'] }) +
      table('ip b', { c: ['@filter prerouting -300', 'meta mark 5 counter'] }),
    [
      [FROM_OUTSIDE, /^netdev a c 1, netdev a c 3, b c 1 -> out cali1/],
      [UDP, /^netdev a c 2 -> gone/],
      [{ ...FROM_OUTSIDE, iif: 'eth1' }, /^-> out cali1/],
    ],
    { words: true },
  );
});

describeNft('nat and route chains', ({ claim }) => {
  claim(
    'nat chains of any priority run together where NAT does, in their own order',
    table('ip a', {
      pre: ['@nat prerouting -150', 'ip protocol tcp counter'],
      g: ['@filter prerouting -110', 'ip protocol tcp counter'],
      h: ['@filter prerouting -90', 'ip protocol tcp counter'],
      q: ['@nat prerouting 300', 'tcp dport 80 dnat to 10.1.0.1'],
      w: ['@nat prerouting 301', 'counter'],
    }),
    [[IN, /^a g 1, a pre 1, a q 1, a h 1 -> out cali1/]],
  );
  claim(
    'accept in a nat chain ends that chain only; drop is final',
    table('inet a', { c: ['@nat prerouting -150', 'accept'] }) +
      table('ip b', { c: ['@nat prerouting 300', 'tcp dport 80 dnat to 10.1.0.1', 'udp dport 53 drop'] }),
    [
      [IN, /^inet a c 1, b c 1 -> out cali1/],
      [{ ...UDP, dst: '192.168.21.20' }, /^inet a c 1, b c 2 -> gone/],
    ],
  );
  claim(
    'nat chains of native tables and of iptables are one list',
    table('ip b', {
      c: ['@nat prerouting -101', 'tcp dport 80 counter'],
      d: ['@nat prerouting -99', 'tcp dport 80 counter', 'udp dport 53 dnat to 10.1.0.1'],
    }),
    [
      [IN, /^b c 1, nat PREROUTING 1, b d 1 -> local/],
      [{ ...UDP, dst: '192.168.21.20' }, /^nat PREROUTING 2 -> out cali2/],
      [{ ...FROM_OUTSIDE, dst: '192.168.21.20', proto: 'udp', dport: 54 }, /^-> local/],
    ],
    { extra: { legacy: '*nat\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp\n-A PREROUTING -p udp --dport 53 -j DNAT --to 10.1.0.2\nCOMMIT\n' } },
  );
  claim(
    'no nat chain is walked where nothing uses connections',
    table('ip a', { c: ['@nat prerouting -100', 'counter'], r: ['@filter prerouting -300', 'notrack'] }),
    [[IN, /^a r 1 -> local/]],
  );
  claim(
    'a ct expression in a chain that nobody calls is a user; of its family only',
    table('ip a', { c: ['@nat prerouting -100', 'counter'] }) + table('ip6 a', { c: ['@nat prerouting -100', 'counter'], u: ['ct state new'] }),
    [
      [IN, /^-> local/],
      [FROM_OUTSIDE6, /^a c 1 -> out/],
    ],
  );
  claim('so is a ct key of a map', table('ip a', { c: ['@nat prerouting -100', 'counter'], u: ['meta l4proto . ct mark vmap { tcp . 5 : drop }'] }), [
    [IN, /^a c 1 -> local/],
  ]);
  claim(
    'masquerade in a chain without packets is a user of both families in an inet table',
    table('inet a', { c: ['@nat postrouting 100', 'iifname "nowhere" masquerade', 'counter'] }),
    [
      [FROM_OUTSIDE, /^inet a c 2 -> out/],
      [FROM_OUTSIDE6, /^inet a c 2 -> out/],
    ],
  );
  claim(
    'type route routes again by the new mark; later chains of OUTPUT see the old device',
    table('ip a', {
      o: ['@route output -150', 'meta mark set 1'],
      p: ['@filter output 0', 'oifname "eth0" counter', 'oifname "eth1" counter', 'rt ip nexthop 10.9.0.1 counter'],
      q: ['@filter postrouting 0', 'oifname "eth1" counter'],
    }),
    [[LOCAL, /^a o 1, a p 1, a p 3, a q 1 -> out eth1/]],
    OTHER,
  );
  claim('type filter does not', table('ip a', { o: ['@filter output -150', 'meta mark set 1'] }), [[LOCAL, /^a o 1 -> out eth0/]], OTHER);
  claim('type route at any priority', table('ip a', { o: ['@route output 50', 'meta mark set 1'] }), [[LOCAL, /^a o 1 -> out eth1/]], OTHER);
  claim('type route by tos', table('inet a', { o: ['@route output -150', 'ip dscp set 4'] }), [[LOCAL, /^inet a o 1 -> out eth1/]], OTHER);
  claim('type route by destination', table('ip a', { o: ['@route output -150', 'ip daddr set 10.1.0.2'] }), [
    [LOCAL, /^a o 1 -> out cali2 .*> 10.1.0.2:80/],
  ]);
  claim('type filter and a new destination', table('ip a', { o: ['@filter output -150', 'ip daddr set 10.1.0.2'] }), [
    [LOCAL, /^a o 1 -> out eth0 .*> 10.1.0.2:80/],
  ]);
  claim(
    'dnat in output leaves the old device to later chains',
    table('ip a', { o: ['@nat output -100', 'dnat to 10.1.0.2'], p: ['@filter output 0', 'oifname "cali2" counter', 'oifname "eth0" counter'] }),
    [[LOCAL, /^a o 1, a p 2 -> out cali2/]],
  );
});

describeNft('half of a rule', ({ runs, claim }) => {
  runs(
    'statements before a failing match have worked',
    [
      'meta mark set 1 tcp dport 81 counter',
      'meta mark set meta mark or 2 tcp dport 80 meta mark set meta mark or 4',
      'meta mark 1 counter',
      'meta mark 7 counter',
    ],
    [[FROM_OUTSIDE, [2, 4]]],
  );
  runs(
    'an element was added, though the rule went no further',
    [
      'add @s { ip saddr } tcp dport 81 counter',
      'ip saddr @s counter',
      'delete @s { ip saddr } tcp dport 81',
      'ip saddr @s counter',
      'ip saddr != @s counter',
    ],
    [[FROM_OUTSIDE, [2, 5]]],
    { things: ['set s { type ipv4_addr; flags dynamic; size 100; }'] },
  );
  runs(
    'a rule with a continue runs to its end',
    ['tcp dport 80 continue', 'tcp dport vmap { 80 : continue }', 'counter', 'tcp dport vmap { 81 : accept }', 'counter'],
    [[FROM_OUTSIDE, [1, 2, 3, 5]]],
  );
  claim(
    'a verdict map without the key, with it, and a jump by it',
    table('ip a', {
      c: ['@filter forward 0 drop', 'tcp dport vmap { 80 : jump u, 81 : accept, 82-90 : drop }', 'udp dport 53 accept', 'accept'],
      u: ['tcp sport 1 accept'],
    }),
    [
      [FROM_OUTSIDE, /^a c 1, a c 3 -> out/],
      [{ ...FROM_OUTSIDE, sport: 1 }, /^a c 1, a u 1 -> out/],
      [{ ...FROM_OUTSIDE, dport: 81 }, /^a c 1 -> out/],
      [{ ...FROM_OUTSIDE, dport: 85 }, /^a c 1 -> gone/],
      [{ ...FROM_OUTSIDE, dport: 91 }, /^a c 3 -> out/],
      [UDP, /^a c 2 -> out/],
    ],
  );
});
