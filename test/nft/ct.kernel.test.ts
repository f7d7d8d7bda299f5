// What nft asks of a connection and changes about it, before there is one and without one too.
import { FROM_OUTSIDE, FROM_OUTSIDE6 } from '../probes/claim.ts';
import type { Shot } from '../probes/node.ts';
import { describeNft } from './claim.ts';
import { table } from './tables.ts';

const UDP: Shot = { ...FROM_OUTSIDE, proto: 'udp' };
const RST: Shot = { ...FROM_OUTSIDE, flags: 'RST' };
const ANSWER: Shot = { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', sport: 80, dport: 40000, flags: 'SYN,ACK', ack: 1001 };

const ASKS = [
  'ct state invalid',
  'ct state new',
  'ct state untracked',
  'ct state != new',
  'ct state != untracked',
  'ct state { new, invalid }',
  'ct state new,invalid',
  'ct state & (new|invalid) != 0',
  'ct state vmap { new : continue, invalid : continue }',
  'ct mark != 5',
  'ct mark 0',
  'ct direction original',
  'ct direction != original',
  'ct status & snat == 0',
  'ct status snat',
  'ct status != snat',
  'ct zone 0',
  'ct zone != 5',
  'ct l3proto ipv4',
  'ct protocol tcp',
  'ct original ip saddr 8.8.8.8',
  'ct original ip saddr != 8.8.8.8',
  'ct reply ip daddr 8.8.8.8',
  'ct original ip6 saddr != ::1',
  'meta l4proto tcp ct original proto-dst 80',
  'meta l4proto tcp ct reply proto-dst != 80',
  'ct status confirmed',
];

describeNft('connections', ({ runs, claim }) => {
  const TRACKED = [2, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 17, 18];
  runs('before conntrack there is none: state is invalid, all else fails', ASKS, [[FROM_OUTSIDE, [1, 4, 5, 6, 7, 8, 9]]], {
    base: 'filter prerouting -300',
  });
  runs(
    'behind it',
    ASKS,
    [
      [FROM_OUTSIDE, [...TRACKED, 19, 20, 21, 23, 25, 26]],
      [UDP, [...TRACKED, 19, 21, 23]],
      [FROM_OUTSIDE6, [...TRACKED, 20, 24, 25, 26]],
      [RST, [1, 4, 5, 6, 7, 8, 9]],
    ],
    { base: 'filter prerouting -199' },
  );
  runs('notrack: untracked, all else fails', ['tcp dport 80 notrack', ...ASKS], [[FROM_OUTSIDE, [1, 4, 5]]], { base: 'filter prerouting -300' });
  claim(
    'notrack stays, and nat is not walked',
    table('ip a', {
      r: ['@filter prerouting -300', 'tcp dport 80 notrack'],
      n: ['@nat prerouting -100', 'counter'],
      f: [
        '@filter forward 0',
        'ct state untracked counter',
        'ct state new counter',
        'ct state invalid counter',
        'ct mark set 5 counter',
        'ct mark 5 counter',
      ],
    }),
    [
      [FROM_OUTSIDE, /^a r 1, a f 1, a f 4 -> out/],
      [UDP, /^a n 1, a f 2, a f 4, a f 5 -> out/],
      [RST, /^a r 1, a f 1, a f 4 -> out/],
    ],
  );
  claim(
    'marks of the connection come back with its packets, whichever way',
    table('ip a', {
      r: [
        '@filter prerouting -150',
        'ct state new ct mark set meta l4proto map { tcp : 0x10, udp : 0x20 }',
        'meta mark set ct mark',
        'ct mark 0x10 ct mark set ct mark | 0x1',
        'meta mark 0x11 counter',
      ],
      f: ['@filter forward 0', 'ct direction reply counter', 'ct state established counter', 'meta l4proto tcp ct original proto-dst 80 counter'],
    }),
    [
      [FROM_OUTSIDE, /^a r 1, a r 2, a r 3, a f 3 -> out .* mark 0x10$/],
      [ANSWER, /^a r 2, a r 4, a f 1, a f 2, a f 3 -> out eth0 .* mark 0x11$/],
    ],
    { connected: true },
  );
  claim(
    'a zone is set before conntrack, and a template is no connection',
    table('ip a', {
      r: [
        '@filter prerouting -300',
        'ct zone set 3',
        'ct state new counter',
        'ct state invalid counter',
        'ct zone 3 counter',
        'ct mark 0 counter',
        'notrack',
        'ct zone set 4',
        'ct state untracked counter',
      ],
      f: ['@filter forward 0', 'ct zone 3 counter', 'ct original zone 3 counter', 'ct reply zone 3 counter', 'ct zone set 9', 'ct zone 3 counter'],
    }),
    [[FROM_OUTSIDE, /^a r 1, a r 2, a r 6, a r 7, a f 1, a f 2, a f 3, a f 4, a f 5 -> out/]],
  );
  claim(
    'zones of one direction',
    table('ip a', {
      r: ['@filter prerouting -300', 'iifname "eth0" ct original zone set 3', 'iifname "cali2" ct reply zone set 3'],
      f: [
        '@filter forward 0',
        'ct zone 3 counter',
        'ct original zone 3 counter',
        'ct reply zone 3 counter',
        'ct reply zone 0 counter',
        'ct state established counter',
      ],
    }),
    [
      [FROM_OUTSIDE, /^a r 1, a f 1, a f 2, a f 4 -> out/],
      [{ ...ANSWER, iif: 'cali2' }, /^a r 2 -> out/],
      [ANSWER, /^a f 1, a f 2, a f 4, a f 5 -> out/],
    ],
    { connected: true },
  );
  claim(
    'zones by device keep connections apart',
    table('ip a', {
      r: ['@filter prerouting -300', 'ct zone set iifname map { "eth0" : 1, "eth1" : 2 }'],
      f: ['@filter forward 0', 'ct state new counter', 'ct state established counter', 'ct zone 0 counter'],
    }),
    [
      [FROM_OUTSIDE, /^a r 1, a f 1 -> out/],
      [{ ...FROM_OUTSIDE, iif: 'eth1' }, /^a r 1, a f 1 -> out/],
      [ANSWER, /-> out/],
    ],
    { connected: true },
  );
  claim(
    'established and related, answers to what nobody asked',
    table('inet a', {
      c: [
        '@filter forward 0 drop',
        'ct state vmap { established : accept, related : accept, invalid : drop }',
        'iifname "eth0" tcp dport 80 ct state new accept',
      ],
    }),
    [
      [ANSWER, /^inet a c 1 -> gone/],
      [FROM_OUTSIDE, /^inet a c 2 -> out cali1/],
      [ANSWER, /^inet a c 1 -> out eth0/],
      [{ ...UDP }, /^-> gone/],
    ],
    { connected: true },
  );
  runs(
    'how many connections: one, this one',
    ['ct count over 1 counter', 'ct count 1 counter', 'add @s { ip saddr ct count over 1 } counter', 'ct count over 2 counter'],
    [[FROM_OUTSIDE, [2]]],
    {
      things: ['set s { type ipv4_addr; flags dynamic; size 9; }'],
    },
  );
});
