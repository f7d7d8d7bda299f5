// Zones of conntrack: of both directions, of one, and by the mark.
import { describeClaims, FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD } from './claim.ts';
import type { Shot } from './node.ts';

const filter = ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID'].map((state) => `-A FORWARD -m conntrack --ctstate ${state}`);
const BACK: Shot = { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', sport: 80, dport: 40000, flags: 'SYN,ACK', ack: 1001 };
const BY_ETH1: Shot = { ...FROM_OUTSIDE, iif: 'eth1' };
const error = (iif: string, src: string, dst: string, inner: Shot): Shot => ({ iif, src, dst, proto: 'icmp', type: 3, code: 1, inner });

describeClaims('zones', ({ both, both6 }) => {
  both(
    'connections of one zone are invisible to packets of another',
    { raw: ['-A PREROUTING -i eth0 -j CT --zone 5'], filter },
    [FROM_OUTSIDE, BACK, FROM_OUTSIDE, BY_ETH1, { ...BACK, flags: 'ACK' }, BY_ETH1],
    [/FORWARD 1 /, /FORWARD 4 /, /FORWARD 1 /, /FORWARD 1 /, /FORWARD [12] /, /FORWARD [12] /],
  );
  both(
    'after CT --zone-orig the answer is found without a zone',
    { raw: ['-A PREROUTING -i eth0 -j CT --zone-orig 5'], filter },
    [FROM_OUTSIDE, BACK, FROM_OUTSIDE, error('cali1', '10.1.0.1', '8.8.8.8', FROM_OUTSIDE)],
    [/FORWARD 1 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 3 /],
  );
  both(
    'two connections that differ in --zone-orig alone have the same answer: the second is dropped',
    { raw: ['-A PREROUTING -i eth0 -j CT --zone-orig 5', '-A PREROUTING -i eth1 -j CT --zone-orig 6'], filter },
    [FROM_OUTSIDE, BY_ETH1, { ...BY_ETH1, sport: 40001 }, { ...BACK, dport: 40001 }, { ...FROM_OUTSIDE, proto: 'udp' }, { ...BY_ETH1, proto: 'udp' }],
    [/FORWARD 1 -> out/, /FORWARD 1 -> gone/, /FORWARD 1 -> out/, /FORWARD 2 -> out/, /FORWARD 1 -> out/, /FORWARD 1 -> gone/],
  );
  both(
    'two connections that differ in --zone-orig alone get ports of their own from nat',
    {
      raw: ['-A PREROUTING -i eth0 -j CT --zone-orig 5', '-A PREROUTING -i eth1 -j CT --zone-orig 6'],
      nat: ['-A POSTROUTING -d 10.99.0.1 -j MASQUERADE'],
      filter,
    },
    [FROM_OUTSIDE, BY_ETH1],
    [/FORWARD 1 -> out cali1 8.8.8.8:40000 /, /FORWARD 1 -> out cali1 8.8.8.8:(?!40000)\d+ /],
  );
  both(
    'after CT --zone-reply packets of the first side need no zone, those of the other do',
    {
      raw: ['-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j CT --zone-reply 6', '-A PREROUTING -i cali1 -m mark --mark 0x0 -j CT --zone-reply 6'],
      filter,
    },
    [FROM_OUTSIDE, BY_ETH1, { ...BACK, iif: 'cali2' }, BACK, BY_ETH1, error('eth0', '8.8.8.8', '10.1.0.1', BACK)],
    [/FORWARD 1 /, /FORWARD 1 /, /FORWARD 4 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 3 /],
  );
  both(
    'an answer outside of the zone begins a connection whose own answer is taken: it is dropped, with nat or without',
    { raw: ['-A PREROUTING -i eth0 -j CT --zone-reply 2'], filter, nat: ['-A POSTROUTING -d 10.99.0.1 -j MASQUERADE'] },
    [
      { ...FROM_OUTSIDE, proto: 'udp' },
      { ...BACK, proto: 'udp' },
    ],
    [/FORWARD 1 -> out/, /FORWARD 1 -> gone/],
  );
  both(
    'of two connections that share a tuple the later one is found: that of the divided zone',
    { raw: ['-A PREROUTING -i cali1 -p tcp -j CT --zone-reply 2'], filter, nat: ['-A PREROUTING -d 10.96.0.2 -j DNAT --to-destination 10.1.0.1'] },
    [{ ...FROM_OUTSIDE, dst: '10.96.0.2' }, { ...BACK, flags: 'SYN' }, error('cali1', '10.1.0.1', '8.8.8.8', { ...FROM_OUTSIDE })],
    [/FORWARD 1 -> out/, /FORWARD 1 -> /, /FORWARD 3 -> out eth0 10.1.0.1 /],
  );
  both(
    'a connection that is its own answer is met from the original side in a divided zone',
    { raw: ['-A OUTPUT -j CT --zone-reply 2'], filter: ['-A OUTPUT -m conntrack --ctstate NEW', '-A OUTPUT -m conntrack --ctstate ESTABLISHED'] },
    [1, 2].map((): Shot => ({ local: true, dst: '10.9.0.20', proto: 'gre' })),
    [/filter OUTPUT 1 -> local/, /filter OUTPUT 1 -> local/],
  );
  both(
    'on lo conntrack looks again for what was invalid, in the zone of then; translated, it is a martian',
    { raw: ['-A PREROUTING -j CT --zone-reply 1'], nat: ['-A INPUT -j SNAT --to-source 192.168.21.20'], filter: ['-A INPUT'] },
    [
      { iif: 'eth1', src: '10.1.0.2', dst: '10.9.0.20', proto: 'udp', sport: 79, dport: 443 },
      {
        local: true,
        raw: true,
        src: '10.9.0.20',
        dst: '192.168.21.20',
        proto: 'icmp',
        type: 3,
        code: 1,
        inner: { iif: 'lo', src: '192.168.21.20', dst: '10.9.0.20', proto: 'udp', sport: 79, dport: 443 },
      },
    ],
    [/INPUT 1, filter INPUT 1 -> local|INPUT 1 -> local/, 'raw PREROUTING 1 -> gone'],
  );
  both(
    'CT --zone mark takes the mark that the packet has when conntrack looks, 16 bits of it',
    {
      raw: [
        '-A PREROUTING -j CT --zone mark',
        '-A PREROUTING -i eth0 -j MARK --set-mark 0x10007',
        '-A PREROUTING -i cali1 -j MARK --set-mark 0x7',
        '-A PREROUTING -i eth1 -j MARK --set-mark 0x8',
      ],
      filter,
    },
    [FROM_OUTSIDE, BY_ETH1, BACK, FROM_OUTSIDE, BY_ETH1],
    [/FORWARD 1 /, /FORWARD 1 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 1 /],
  );
  both(
    'CT --zone-orig mark and --zone-reply mark',
    {
      raw: [
        '-A PREROUTING -i eth0 -j MARK --set-mark 0x7',
        '-A PREROUTING -i eth0 -j CT --zone-orig mark',
        '-A PREROUTING -i cali2 -j MARK --set-mark 0x9',
        '-A PREROUTING -i cali2 -j CT --zone-reply mark',
        '-A PREROUTING -i eth1 -j CT --zone-orig 7',
      ],
      filter,
    },
    [FROM_OUTSIDE, BACK, BY_ETH1, { ...BACK, iif: 'cali2' }],
    [/FORWARD 1 /, /FORWARD 2 /, /FORWARD 2 /, /FORWARD 4 /],
  );
  both(
    'a range of addresses is picked from apart in each zone',
    {
      raw: ['-A PREROUTING -i cali1 -j CT --zone 1', '-A PREROUTING -i cali2 -j CT --zone-orig 2'],
      nat: ['-A POSTROUTING -p tcp -j SNAT --to-source 192.168.21.30-192.168.21.60'],
      filter,
    },
    ['cali1', 'cali2', 'eth1', 'cali1', 'cali2'].flatMap((iif, i) =>
      ['8.8.8.8', '8.8.8.7', '7.7.7.7'].map((dst): Shot => ({ ...FROM_POD, iif, dst, dport: 80 + i })),
    ),
    Array.from({ length: 15 }, () => /FORWARD 1, nat POSTROUTING 1 -> out eth0/),
  );
  both(
    'the template of CT is CONFIRMED and of the original direction',
    {
      raw: [
        '-A PREROUTING -j CT --zone-orig 3',
        '-A PREROUTING -m conntrack --ctstatus CONFIRMED',
        '-A PREROUTING -m conntrack --ctdir ORIGINAL',
        '-A PREROUTING -m conntrack --ctstatus NONE',
      ],
    },
    FROM_OUTSIDE,
    'raw PREROUTING 1, raw PREROUTING 2, raw PREROUTING 3 -> out cali1',
  );
  both(
    'a packet of the host itself has a zone, and on lo keeps its connection',
    {
      raw: ['-A OUTPUT -j CT --zone-orig 4', '-A PREROUTING -i lo -j CT --zone 9'],
      filter: ['-A OUTPUT -m conntrack --ctstate NEW', '-A INPUT -m conntrack --ctstate NEW', '-A INPUT -m conntrack --ctstate ESTABLISHED'],
    },
    [
      { local: true, dst: '192.168.21.20', proto: 'udp', dport: 53 },
      { local: true, dst: '8.8.8.8', proto: 'udp', dport: 53 },
      { iif: 'eth0', src: '8.8.8.8', dst: '192.168.21.20', proto: 'udp', sport: 53, dport: 40000 },
    ],
    [/filter OUTPUT 1, raw PREROUTING 1, filter INPUT 1 -> local/, /filter OUTPUT 1 -> out/, /INPUT 2 -> local/],
  );
  both6(
    'zones of one direction',
    {
      raw: ['-A PREROUTING -i eth0 -j CT --zone-orig 5', '-A PREROUTING -i eth1 -j CT --zone-reply 5'],
      filter,
    },
    [
      FROM_OUTSIDE6,
      { iif: 'cali1', src: 'fd00:1::1', dst: 'fd00:8::8', sport: 80, dport: 40000, flags: 'SYN,ACK' },
      { ...FROM_OUTSIDE6, iif: 'eth1' },
    ],
    [/FORWARD 1 /, /FORWARD 2 /, /FORWARD 1 /],
  );
});
