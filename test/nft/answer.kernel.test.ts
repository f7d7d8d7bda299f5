// What a sender is told: reject in all its kinds. And where a packet would go: fib.
import { FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD, FROM_POD6 } from '../probes/claim.ts';
import type { Shot } from '../probes/node.ts';
import { describeNft } from './claim.ts';
import { table } from './tables.ts';

const UDP: Shot = { ...FROM_OUTSIDE, proto: 'udp' };
const UDP6: Shot = { ...FROM_OUTSIDE6, proto: 'udp' };
const LOCAL: Shot = { local: true, dst: '8.8.8.8' };
const IN: Shot = { ...FROM_OUTSIDE, dst: '192.168.21.20' };
const IN6: Shot = { ...FROM_OUTSIDE6, dst: 'fd00:21::20' };

describeNft('reject', ({ claim }) => {
  claim(
    'of IPv4',
    table('ip a', {
      c: [
        '@filter forward 0',
        'tcp dport 80 reject',
        'tcp dport 81 reject with tcp reset',
        'udp dport 80 reject with icmp type host-unreachable',
        'udp dport 81 reject with icmp type net-prohibited',
        'udp dport 82 reject with icmp type admin-prohibited',
        'udp dport 83 reject with icmp type prot-unreachable',
        'udp dport 84 reject with icmp type net-unreachable',
        'udp dport 85 reject with icmp type host-prohibited',
        'ip protocol icmp reject',
      ],
    }),
    [
      [FROM_OUTSIDE, /^a c 1 -> gone .*3\/3/],
      [{ ...FROM_OUTSIDE, dport: 81 }, /^a c 2 -> gone .*reset/],
      [UDP, /^a c 3 -> gone .*3\/1/],
      [{ ...UDP, dport: 81 }, /^a c 4 -> gone .*3\/9/],
      [{ ...UDP, dport: 82 }, /^a c 5 -> gone .*3\/13/],
      [{ ...UDP, dport: 83 }, /^a c 6 -> gone .*3\/2/],
      [{ ...UDP, dport: 84 }, /^a c 7 -> gone .*3\/0/],
      [{ ...UDP, dport: 85 }, /^a c 8 -> gone .*3\/10/],
      [{ ...FROM_OUTSIDE, proto: 'icmp' }, /^a c 9 -> gone .*3\/3/],
      [{ ...FROM_OUTSIDE, dport: 81, flags: 'RST' }, /^a c 2 -> gone$/],
    ],
  );
  claim(
    'of both families',
    table('inet a', {
      c: [
        '@filter forward 0',
        'tcp dport 80 reject',
        'tcp dport 81 reject with tcp reset',
        'udp dport 80 reject with icmpx type host-unreachable',
        'udp dport 81 reject with icmpx type admin-prohibited',
        'udp dport 82 reject with icmpx type no-route',
        'udp dport 83 reject with icmpx type port-unreachable',
        'udp dport 84 reject with icmpv6 type policy-fail',
        'udp dport 84 reject with icmp type net-unreachable',
        'udp dport 85 reject with icmpv6 type reject-route',
      ],
    }),
    [
      [FROM_OUTSIDE, /^inet a c 1 -> gone .*3\/3/],
      [FROM_OUTSIDE6, /^inet a c 1 -> gone .*1\/4/],
      [{ ...FROM_OUTSIDE6, dport: 81 }, /^inet a c 2 -> gone .*reset/],
      [UDP, /^inet a c 3 -> gone .*3\/1/],
      [UDP6, /^inet a c 3 -> gone .*1\/3/],
      [{ ...UDP, dport: 81 }, /^inet a c 4 -> gone .*3\/13/],
      [{ ...UDP6, dport: 81 }, /^inet a c 4 -> gone .*1\/1/],
      [{ ...UDP, dport: 82 }, /^inet a c 5 -> gone .*3\/0/],
      [{ ...UDP6, dport: 82 }, /^inet a c 5 -> gone .*1\/0/],
      [{ ...UDP6, dport: 83 }, /^inet a c 6 -> gone .*1\/4/],
      [{ ...UDP6, dport: 84 }, /^inet a c 7 -> gone .*1\/5/],
      [{ ...UDP, dport: 84 }, /^inet a c 8 -> gone .*3\/0/],
      [{ ...UDP6, dport: 85 }, /^inet a c 9 -> gone .*1\/6/],
    ],
  );
  claim(
    'of local packets, in output',
    table('inet a', { c: ['@filter output 0', 'tcp dport 80 reject with tcp reset', 'udp dport 80 reject', 'tcp dport 81 drop'] }),
    [
      [LOCAL, /^inet a c 1 -> gone/],
      [{ ...LOCAL, proto: 'udp' }, /^inet a c 2 -> gone/],
      [{ ...LOCAL, dport: 81 }, /^inet a c 3 -> gone/],
    ],
  );
  claim(
    'in prerouting, before routing',
    table('inet a', { c: ['@filter prerouting -150', 'tcp dport 80 reject with tcp reset', 'udp dport 80 reject'] }),
    [
      [FROM_OUTSIDE, /^inet a c 1 -> gone .*reset/],
      [UDP, /^inet a c 2 -> gone .*3\/3/],
      [UDP6, /^inet a c 2 -> gone .*1\/4/],
    ],
  );
});

describeNft('fib', ({ runs }) => {
  const ROUTES = {
    ip: [
      'route add blackhole 10.96.0.0/13',
      'route add unreachable 7.7.128.0/17',
      'route add prohibit 7.8.0.0/16',
      '-6 route add unreachable fd00:77::/64',
      '-6 route add blackhole fd00:78::/64',
      'route add default dev cali2 table 100',
      'rule add fwmark 1 lookup 100',
    ],
  };
  const TYPES = ['local', 'unicast', 'broadcast', 'multicast', 'unreachable', 'blackhole', 'prohibit'];
  const types = (side: string): string[] => TYPES.map((t) => `fib ${side} type ${t}`);
  runs(
    'the type of a destination; routes that refuse are types of IPv6 only',
    [
      ...types('daddr'),
      'fib daddr type != local',
      'fib daddr type { local, broadcast }',
      'fib daddr type vmap { local : continue, multicast : continue }',
    ],
    [
      [FROM_OUTSIDE, [2, 8]],
      [IN, [1, 9, 10]],
      [{ ...UDP, dst: '192.168.21.255' }, [3, 8, 9]],
      [{ ...UDP, dst: '255.255.255.255' }, [3, 8, 9]],
      [{ ...UDP, dst: '224.0.0.5' }, [4, 8, 10]],
      [{ ...UDP, dst: '127.0.0.1' }, [1, 9, 10]],
      [{ ...UDP, dst: '7.7.128.1' }, [2, 8]],
      [{ ...UDP, dst: '10.96.0.1' }, [2, 8]],
      [FROM_OUTSIDE6, [2, 8]],
      [IN6, [1, 9, 10]],
      [{ ...UDP6, dst: 'ff05::1' }, [4, 8, 10]],
      [{ ...UDP6, dst: 'fd00:77::1' }, [5, 8]],
      [{ ...UDP6, dst: 'fd00:78::1' }, [6, 8]],
    ],
    { base: 'filter prerouting 0', extra: ROUTES },
  );
  runs(
    'the type of a source',
    types('saddr'),
    [
      [FROM_OUTSIDE, [2]],
      [{ ...FROM_OUTSIDE, src: '192.168.21.20' }, [1]],
      [{ ...FROM_OUTSIDE, src: '127.0.0.1' }, [1]],
      [{ ...FROM_OUTSIDE, src: '7.7.128.1' }, [2]],
      [{ ...UDP, src: '0.0.0.0', dst: '255.255.255.255' }, [3]],
      [{ ...FROM_OUTSIDE6, src: 'fd00:77::1' }, [5]],
      [{ ...FROM_OUTSIDE6, src: 'fd00:21::20' }, [1]],
    ],
    { base: 'filter prerouting 0', extra: ROUTES },
  );
  runs(
    'the type as seen from a device',
    ['fib daddr . iif type local', 'fib daddr . iif type unicast', 'fib daddr . iif type broadcast', 'fib daddr . iif type != local'],
    [
      [IN, [1]],
      [{ ...IN, dst: '10.9.0.20' }, [2, 4]],
      [IN6, [1]],
      [{ ...IN6, dst: 'fd00:9::20' }, [2, 4]],
      [{ ...UDP, dst: '192.168.21.255' }, [3, 4]],
      [{ ...UDP, dst: '10.9.0.255' }, [2, 4]],
    ],
    { base: 'filter prerouting 0' },
  );
  runs(
    'the way back: rp_filter in nft',
    [
      'fib saddr . iif oif missing',
      'fib saddr . iif oif exists',
      'fib saddr oif missing',
      'fib saddr oifname "eth0"',
      'fib saddr . iif oifname != "eth1"',
      'fib saddr . iif oif eth0',
      'fib saddr . mark . iif oif missing',
      'meta mark set 1',
      'fib saddr . mark . iif oif missing',
      'fib saddr . iif oif missing',
    ],
    [
      [FROM_OUTSIDE, [2, 4, 5, 6, 8, 9]],
      [{ ...FROM_OUTSIDE, src: '10.9.0.7' }, [1, 5, 7, 8, 9, 10]],
      [{ ...FROM_OUTSIDE, iif: 'eth1', src: '10.9.0.7' }, [2, 8, 9]],
      [{ ...FROM_OUTSIDE, src: '192.168.21.20' }, [1, 3, 5, 7, 8, 9, 10]],
      [{ ...FROM_OUTSIDE, src: '7.7.128.1' }, [1, 3, 5, 7, 8, 9, 10]],
      [{ ...UDP, src: '0.0.0.0', dst: '255.255.255.255' }, [2, 4, 5, 6, 8]],
      [FROM_POD, [2, 5, 8, 9]],
      [FROM_OUTSIDE6, [2, 4, 5, 6, 8]],
      [FROM_POD6, [2, 5, 8]],
      [{ ...FROM_OUTSIDE6, src: 'fd00:9::7' }, [1, 5, 7, 8, 9, 10]],
      [{ ...FROM_OUTSIDE6, src: 'fd00:77::1' }, [1, 3, 5, 7, 8, 9, 10]],
    ],
    { base: 'filter prerouting 0', extra: ROUTES },
  );
  runs(
    'the way back of a forwarded packet begins at the device that it leaves by',
    ['fib saddr . iif oif missing', 'fib saddr oif missing', 'fib saddr oifname "eth0"'],
    [
      [{ ...FROM_OUTSIDE, src: '7.7.7.7' }, [1, 3]],
      [FROM_OUTSIDE, [3]],
    ],
    {
      extra: {
        ip: [
          'rule add iif lo lookup 102',
          'route add 7.0.0.0/8 dev eth0 table 102',
          'route del default',
          'route add 8.0.0.0/8 dev eth0',
          'route add 7.7.7.7/32 dev eth1',
        ],
      },
    },
  );
  runs(
    'the way on',
    [
      'fib daddr oifname "cali1"',
      'fib daddr oif missing',
      'fib daddr oif exists',
      'fib daddr oif lo',
      'fib daddr . mark oifname "cali2"',
      'meta mark set 1',
      'fib daddr . mark oifname "cali2"',
    ],
    [
      [FROM_OUTSIDE, [1, 3, 6, 7]],
      [IN, [2, 6]],
      [{ ...FROM_OUTSIDE, dst: '7.7.7.7' }, [3, 6, 7]],
      [{ ...UDP, dst: '224.0.0.5' }, [3, 6, 7]],
      [{ ...UDP, dst: '192.168.21.255' }, [3, 6]],
      [{ ...FROM_OUTSIDE, dst: '7.8.0.1' }, [2, 6, 7]],
      [FROM_OUTSIDE6, [1, 3, 6]],
      [{ ...FROM_OUTSIDE6, dst: 'fd00:78::1' }, [2, 6]],
      [{ ...UDP6, dst: 'ff05::1' }, [3, 6]],
    ],
    { base: 'filter prerouting 0', extra: ROUTES },
  );
  runs(
    'in output: of the device that it leaves by',
    [...types('daddr'), 'fib daddr . oif type local', 'fib daddr . oif type unicast', 'fib saddr type local'],
    [
      [LOCAL, [2, 9, 10]],
      [{ ...LOCAL, dst: '192.168.21.20' }, [1, 9, 10]],
      [{ local: true, dst: 'fd00:8::8' }, [2, 9, 10]],
      [{ local: true, dst: '10.9.0.7' }, [2, 9, 10]],
    ],
    { base: 'filter output 0' },
  );
});
