// Corners that random nodes found: reverse paths with ports, connections that answer themselves, IPv6 source addresses.
import { BASE, BASE6, describeClaims, FROM_OUTSIDE, FROM_POD, load, save } from './claim.ts';
import type { Load } from './node.ts';

const OTHER = 'route add default via 10.9.0.1 dev eth1 table 100';
const node = (ip: readonly string[], sysctls: Load['sysctls'] = {}): Load =>
  load(BASE, { legacy: save({ mangle: ['-A PREROUTING', '-A FORWARD'] }) }, { ip, sysctls });

describeClaims('corners', ({ claim, both, both6 }) => {
  claim(
    'rp_filter looks back with the protocol and the ports turned round',
    node([OTHER, 'rule add ipproto udp dport 53 lookup 100'], { 'net.ipv4.conf.eth1.rp_filter': 1 }),
    [
      { ...FROM_POD, proto: 'udp', dport: 53 },
      { iif: 'eth1', src: '8.8.8.8', dst: '10.1.0.1', proto: 'udp', sport: 53, dport: 40000 },
      { iif: 'eth1', src: '8.8.8.8', dst: '10.1.0.1', proto: 'udp', sport: 40000, dport: 53 },
    ],
    ['out eth1', 'out cali1', 'gone'],
  );
  both(
    'a packet to oneself with equal ports is its own reply',
    { filter: ['-A INPUT -m conntrack --ctstate NEW', '-A INPUT -m conntrack --ctstate ESTABLISHED', '-A INPUT -m conntrack --ctdir REPLY'] },
    Array.from({ length: 2 }, () => ({ local: true as const, dst: '10.9.0.20', proto: 'udp', sport: 60, dport: 60 })),
    [/INPUT/, /INPUT/],
  );
  claim(
    'IPv6: an address does not match further than its own prefix, and the newest of equals is the source',
    load(
      BASE6,
      { legacy6: save({ mangle: ['-A OUTPUT'] }) },
      { ip: ['addr add fd00:21::30/120 dev eth0 nodad', 'addr add fd00:21::14/120 dev eth0 nodad', 'addr add fd00:21::1e/120 dev eth0 nodad'] },
    ),
    [
      { local: true, dst: 'fd00:21::13' },
      { local: true, dst: 'fd00:21::1f' },
      { local: true, dst: 'fd00:21::2:1' },
    ],
    ['out eth0 fd00:21::1e:', 'out eth0 fd00:21::1e:', /out eth0/],
  );
  both6(
    'MASQUERADE towards ::1 takes ::1',
    { nat: ['-A OUTPUT -j REDIRECT', '-A POSTROUTING -j MASQUERADE'] },
    { local: true, src: 'fd00:9::20', dst: 'fd00:8::8' },
    'nat OUTPUT 1, nat POSTROUTING 1 -> local ::1:40000 > ::1:80',
  );

  const states = { filter: ['INVALID', 'NEW', 'ESTABLISHED'].map((state) => `-A FORWARD -m conntrack --ctstate ${state}`) };
  const there = { iif: 'eth0', src: '8.8.8.8', dst: '10.1.0.1', sport: 4000, dport: 80 };
  const back = { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', sport: 80, dport: 4000 };
  both(
    'an ACK before the answer to a SYN is invalid, a second SYN is not',
    states,
    [
      { ...there, flags: 'SYN' },
      { ...there, flags: 'ACK' },
      { ...there, flags: 'SYN' },
    ],
    [/FORWARD 2/, /FORWARD 1/, /FORWARD 2/],
  );
  both(
    'a connection opens with SYN, SYN,ACK, ACK, and a SYN from the server in it is invalid',
    states,
    [
      { ...there, flags: 'SYN' },
      { ...back, flags: 'SYN,ACK', ack: 1001 },
      { ...there, flags: 'ACK', ack: 1001 },
      { ...back, flags: 'SYN' },
    ],
    [/FORWARD 2/, /FORWARD 3/, /FORWARD 3/, /FORWARD 1/],
  );
  both(
    'a FIN into a connection that is only half open is invalid',
    states,
    [
      { ...there, flags: 'SYN' },
      { ...there, flags: 'FIN,ACK', ack: 1 },
    ],
    [/FORWARD 2/, /FORWARD 1/],
  );

  both(
    'a rule with a limit that is met twice is asked twice, and the answers may differ',
    { filter: ['-A FORWARD -j U', '-A FORWARD -j U', '-A U -m limit --limit 1/hour --limit-burst 3'] },
    [FROM_OUTSIDE, FROM_OUTSIDE, FROM_OUTSIDE],
    [/FORWARD 1, filter U 1, filter FORWARD 2, filter U 1 -> /, /FORWARD 1, filter U 1, filter FORWARD 2 -> /, /FORWARD 1, filter FORWARD 2 -> /],
  );
});
