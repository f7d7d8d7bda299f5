// Targets that go on, targets that hand the packet to a program that is not there, and stateless prefix translation.
import { FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD6 } from './claim.ts';
import type { Shot } from './node.ts';
import { describeRules } from './ruling.ts';

const UDP6: Shot = { ...FROM_OUTSIDE6, proto: 'udp' };

describeRules('targets that go on', ({ whole }) => {
  for (const family of [4, 6] as const) {
    const from = family === 4 ? FROM_OUTSIDE : FROM_OUTSIDE6;
    const targets = [
      'LOG --log-prefix "seen "',
      'NFLOG --nflog-group 7',
      'AUDIT --type accept',
      `IDLETIMER --timeout 600 --label netwhy${family}`,
      'CLASSIFY --set-class 1:10',
      'CONNSECMARK --save',
      'CONNSECMARK --restore',
    ];
    whole(
      'LOG, NFLOG, AUDIT, IDLETIMER, CLASSIFY, CONNSECMARK',
      family,
      { mangle: [...targets.map((t) => `-A FORWARD -j ${t}`), '-A FORWARD -j DROP'] },
      [
        [from, `mangle FORWARD ${targets.length}, mangle FORWARD ${targets.length + 1} -> gone`],
        [{ ...from, proto: 'udp' }, `mangle FORWARD ${targets.length + 1} -> gone`],
      ],
    );
    whole(
      'TCPOPTSTRIP, CHECKSUM and RATEEST',
      family,
      {
        mangle: [
          '-A FORWARD -p tcp -j TCPOPTSTRIP --strip-options timestamp',
          '-A FORWARD -p udp -j CHECKSUM --checksum-fill',
          `-A FORWARD -j RATEEST --rateest-name r${family} --rateest-interval 250ms --rateest-ewma 500ms`,
          '-A FORWARD -j MARK --set-mark 3',
        ],
      },
      [
        [from, /FORWARD 1, mangle FORWARD 3, mangle FORWARD 4 -> out cali1 .* mark 0x3/],
        [{ ...from, proto: 'udp' }, /FORWARD 2, mangle FORWARD 3, mangle FORWARD 4 -> out cali1 .* mark 0x3/],
      ],
    );
    // the copy has no way to go: the probe could not tell it from the packet
    const gateway = family === 4 ? '7.7.7.7' : 'fd00:7::7';
    whole(
      'TEE: the packet itself goes on',
      family,
      { mangle: [`-A PREROUTING -j TEE --gateway ${gateway}`, '-A PREROUTING -j MARK --set-mark 3'] },
      [[from, /PREROUTING 1, mangle PREROUTING 2 -> out cali1 .* mark 0x3/]],
      { extra: { ip: [`route add unreachable ${gateway}`] } },
    );
    whole(
      'HMARK goes on',
      family,
      { mangle: ['-A FORWARD -j HMARK --hmark-tuple src,dst --hmark-mod 10 --hmark-rnd 5 --hmark-offset 7', '-A FORWARD -j DROP'] },
      [[from, 'mangle FORWARD 1, mangle FORWARD 2 -> gone']],
    );
    whole('TRACE', family, { raw: ['-A PREROUTING -j TRACE', '-A PREROUTING -j MARK --set-mark 1'] }, [
      [from, /PREROUTING 1, raw PREROUTING 2 -> out cali1 .* mark 0x1/],
    ]);
    for (const option of ['', ' --queue-num 5', ' --queue-balance 0:3', ' --queue-balance 0:3 --queue-cpu-fanout'])
      whole(`NFQUEUE${option} without a program drops`, family, { filter: [`-A FORWARD -p udp -j NFQUEUE${option}`] }, [
        [from, '-> out cali1'],
        [{ ...from, proto: 'udp' }, 'FORWARD 1 -> gone', 'open'],
      ]);
    whole(
      'NFQUEUE --queue-bypass without a program accepts: the rest of the table is passed, other tables go on',
      family,
      {
        mangle: ['-A FORWARD -p udp -j NFQUEUE --queue-num 9 --queue-bypass', '-A FORWARD -j MARK --set-mark 1'],
        filter: ['-A FORWARD -m mark --mark 0', '-A FORWARD -m mark --mark 1'],
      },
      [
        [{ ...from, proto: 'udp' }, /^mangle FORWARD 1, filter FORWARD 1 -> out cali1/, 'open'],
        [from, /^mangle FORWARD 2, filter FORWARD 2 -> out cali1/],
      ],
    );
    whole(
      'NFQUEUE --queue-bypass in a called chain accepts, it does not return',
      family,
      { filter: ['-A FORWARD -j U', '-A FORWARD -j DROP', '-A U -j NFQUEUE --queue-bypass', '-A U -j DROP'] },
      [[from, 'filter FORWARD 1, filter U 1 -> out cali1', 'open']],
    );
    whole(
      'QUEUE drops',
      family,
      { filter: ['-A FORWARD -p udp -j QUEUE'] },
      [
        [{ ...from, proto: 'udp' }, 'FORWARD 1 -> gone', 'open'],
        [from, '-> out'],
      ],
      {
        backends: ['legacy'],
      },
    );
    whole(
      'TPROXY without a socket drops, and the mark is not set',
      family,
      {
        mangle: [
          '-A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 3128 --tproxy-mark 0x1/0x1',
          '-A PREROUTING -p udp -j TPROXY --on-port 0',
          '-A PREROUTING -j MARK --set-mark 8',
        ],
      },
      [
        [from, 'PREROUTING 1 -> gone', 'open'],
        [{ ...from, dport: 81 }, 'PREROUTING 3 -> out cali1'],
        [{ ...from, proto: 'udp' }, 'PREROUTING 2 -> gone', 'open'],
      ],
    );
  }
  whole('NFQUEUE in OUTPUT', 4, { filter: ['-A OUTPUT -p udp -j NFQUEUE', '-A OUTPUT -p tcp -j NFQUEUE --queue-bypass'] }, [
    [{ local: true, proto: 'udp', dst: '8.8.8.8' }, /OUTPUT 1 -> gone/, 'open'],
    [{ local: true, dst: '8.8.8.8' }, /OUTPUT 2 -> out eth0/, 'open'],
  ]);
});

describeRules('NPT', ({ whole }) => {
  const out = (src: string): Shot => ({ ...FROM_POD6, proto: 'udp', src });
  const snpt = (from: string, to: string): { mangle: readonly string[] } => ({
    mangle: [`-A POSTROUTING -s ${from} -j SNPT --src-pfx ${from} --dst-pfx ${to}`],
  });
  const cases: readonly (readonly [string, string, readonly (readonly [string, RegExp | string])[]])[] = [
    [
      'fd00:1::/48',
      '2001:db8:7::/48',
      [
        ['fd00:1::1', '-> out eth0'],
        ['fd00:1:0:ffff::5', '-> out eth0'],
        ['fd00:1:0:9abc:1:2:3:4', '-> out eth0'],
        ['fd00:2::1', /^-> out eth0 fd00:2::1/],
      ],
    ],
    [
      'fd00:1:0:ff00::/56',
      '2001:db8:7:3300::/56',
      [
        ['fd00:1:0:ffab::1', '-> out eth0'],
        ['fd00:1:0:ff00:ffff::1', '-> out eth0'],
        ['fd00:1:0:ff01:ffff:ffff:ffff:0', '-> out eth0'],
      ],
    ],
    [
      'fd00:1::/64',
      '2001:db8:7:3::/64',
      [
        ['fd00:1::1', '-> out eth0'],
        ['fd00:1::ffff:0:0:1', '-> out eth0'],
        ['fd00:1::ffff:ffff:ffff:ffff', /POSTROUTING 1 -> gone \[4\/0 fd00:21::20 > 2001:db8:7:3:ffff:ffff:ffff:ffff by eth0\]/],
        ['fd00:1::ffff:ffff:ffff:1', '-> out eth0'],
      ],
    ],
    [
      'fd00::/16',
      '2001::/16',
      [
        ['fd00:1:2:3::4', '-> out eth0'],
        ['fd00:1::ffff:ffff:ffff:ffff', '-> out eth0'],
      ],
    ],
    ['fd00:1::/32', '2001:db8::/48', [['fd00:1:2:3::4', '-> out eth0']]],
    ['fd00:1::/48', '2001:db8:1:2::/64', [['fd00:1:0:7:1::4', '-> out eth0']]],
    ['fd00:1:0:8000::/49', '2001:db8:1:8000::/49', [['fd00:1:0:9abc:1::4', '-> out eth0']]],
    ['fd00:1::/60', '2001:db8::/60', [['fd00:1::f:1:2:3:4', '-> out eth0']]],
    ['fd00::/13', '2001:8::/29', [['fd00:1::f:1:2:3:4', '-> out eth0']]],
  ];
  for (const [from, to, told] of cases)
    whole(
      `SNPT ${from} to ${to}`,
      6,
      snpt(from, to),
      told.map(([src, what]) => [out(src), what]),
      {
        extra: {
          ip: ['route add fd00:1::/32 dev cali1', 'route add fd00:1:0:ff00::/56 dev cali1'],
        },
      },
    );
  whole(
    'SNPT of what a node sends, in a chain that POSTROUTING calls',
    6,
    { mangle: ['-A POSTROUTING -j U', '-A U -p udp -j SNPT --src-pfx fd00:21::/64 --dst-pfx 2001:db8:7:3::/64'] },
    [[{ local: true, proto: 'udp', dst: 'fd00:8::8' }, /U 1 -> out eth0 2001:db8:7:3:/]],
  );
  whole(
    'SNPT in INPUT',
    6,
    {
      mangle: ['-A INPUT -p udp -j SNPT --src-pfx fd00:8::/48 --dst-pfx fd00:99::/48'],
      filter: ['-A INPUT -s fd00:8::/48', '-A INPUT -s fd00:99::/48'],
    },
    [[{ ...UDP6, dst: 'fd00:21::20' }, /mangle INPUT 1, filter INPUT 2 -> local/]],
  );
  whole(
    'DNPT in PREROUTING decides the route',
    6,
    { mangle: ['-A PREROUTING -d 2001:db8:7::/48 -j DNPT --src-pfx 2001:db8:7::/48 --dst-pfx fd00:1::/48'] },
    [
      [{ ...UDP6, dst: '2001:db8:7:d4f6::1' }, /PREROUTING 1 -> out/],
      [{ ...UDP6, dst: '2001:db8:7::1' }, /PREROUTING 1 -> out/],
      [{ ...UDP6, dst: '2001:db8:8::1' }, /^-> out eth0/],
    ],
  );
  whole(
    'an address without a word to adjust is dropped, and its sender told of a parameter problem',
    6,
    { mangle: ['-A PREROUTING -d 2001:db8:7::/64 -j DNPT --src-pfx 2001:db8:7::/64 --dst-pfx fd00:1::/64'] },
    [
      [{ ...UDP6, dst: '2001:db8:7:0:ffff:ffff:ffff:fffe' }, /PREROUTING 1 -> out/],
      [{ ...UDP6, dst: '2001:db8:7:0:ffff:ffff:ffff:ffff' }, /PREROUTING 1 -> gone \[4\/0 fd00:21::20 > fd00:8::8 by eth0\]/],
    ],
  );
  whole('DNPT in OUTPUT', 6, { mangle: ['-A OUTPUT -d 2001:db8:7::/64 -j DNPT --src-pfx 2001:db8:7::/64 --dst-pfx fd00:1::/64'] }, [
    [{ local: true, proto: 'udp', dst: '2001:db8:7::1' }, /OUTPUT 1 -> out/],
    [{ local: true, proto: 'udp', dst: '2001:db8:7:0:ffff:ffff:ffff:ffff' }, /OUTPUT 1 -> gone/],
  ]);
  whole(
    'both ways, as RFC 6296 has it: what comes back finds the address that it had',
    6,
    {
      mangle: [
        '-A PREROUTING -i eth0 -d 2001:db8:7::/48 -j DNPT --src-pfx 2001:db8:7::/48 --dst-pfx fd00:1::/48',
        '-A POSTROUTING -o eth0 -s fd00:1::/48 -j SNPT --src-pfx fd00:1::/48 --dst-pfx 2001:db8:7::/48',
      ],
    },
    [
      [out('fd00:1::1'), /POSTROUTING 1 -> out eth0 2001:db8:7:[0-9a-f]+::1:/],
      [{ ...UDP6, dst: '2001:db8:7:cf41::1' }, /PREROUTING 1 -> out/],
    ],
  );
});
