// The probes of the kernel's semantics that need no bridge, tunnel or nft ruleset.
import { BASE, describeClaims, FROM_OUTSIDE, FROM_POD, load, save, type Claims } from './claim.ts';
import type { Shot } from './node.ts';

const UDP: Shot = { ...FROM_OUTSIDE, proto: 'udp', dport: 53 };

describeClaims('walking chains', ({ both, claim }: Claims) => {
  both(
    '-g to an empty chain from a base chain ends at the policy',
    { filter: [':A -', '-A FORWARD -g A', '-A FORWARD -j DROP'] },
    FROM_OUTSIDE,
    /^filter FORWARD 1 -> out cali1/,
  );
  both(
    'an empty chain returns to the rule after the jump',
    { filter: [':B -', '-A FORWARD -j A', '-A A -j B', '-A A -j DROP'] },
    FROM_OUTSIDE,
    'filter FORWARD 1, filter A 1, filter A 2 -> gone',
  );
  both(
    'MARK goes on to the next rule',
    { mangle: ['-A PREROUTING -j MARK --set-mark 7', '-A PREROUTING -m mark --mark 7 -j DROP'] },
    FROM_OUTSIDE,
    'mangle PREROUTING 1, mangle PREROUTING 2 -> gone',
  );
  both(
    'a RETURN in a base chain is its policy',
    { filter: [':FORWARD DROP', '-A FORWARD -p udp -j RETURN', '-A FORWARD -j ACCEPT'] },
    [UDP, FROM_OUTSIDE],
    ['FORWARD 1 -> gone', 'FORWARD 2 -> out cali1'],
  );
  both(
    'a RETURN in a user chain goes on after the jump, and -g returns to the caller of the caller',
    {
      filter: [
        ':FORWARD DROP',
        ':U2 -',
        '-A FORWARD -j U',
        '-A FORWARD -p udp -j RETURN',
        '-A FORWARD -j ACCEPT',
        '-A U -p tcp --dport 1 -j RETURN',
        '-A U -p tcp --dport 2 -g U2',
        '-A U -p icmp -j ACCEPT',
      ],
    },
    [{ ...FROM_OUTSIDE, dport: 1 }, { ...FROM_OUTSIDE, dport: 2 }, { ...FROM_OUTSIDE, dport: 3 }, UDP, { ...FROM_OUTSIDE, proto: 'icmp' }],
    [
      'filter FORWARD 1, filter U 1, filter FORWARD 3 -> out',
      'filter FORWARD 1, filter U 2, filter FORWARD 3 -> out',
      'filter FORWARD 1, filter FORWARD 3 -> out',
      'FORWARD 2 -> gone',
      'FORWARD 1, filter U 3 -> out',
    ],
  );
  both(
    '-g inside a chain that was jumped to twice returns to the last jump',
    {
      filter: [
        '-A FORWARD -j A',
        '-A FORWARD -p tcp',
        '-A A -j B',
        '-A A -p tcp',
        '-A B -g C',
        '-A B -j DROP',
        '-A C -p tcp -j D',
        '-A C -p tcp',
        '-A D -g E',
        '-A E -p tcp',
      ],
    },
    FROM_OUTSIDE,
    'filter FORWARD 1, filter A 1, filter B 1, filter C 1, filter D 1, filter E 1, filter C 2, filter A 2, filter FORWARD 2 -> out cali1',
  );
  both(
    'a rule without a target counts and goes on',
    { filter: ['-A FORWARD', '-A FORWARD -p tcp', '-A FORWARD -p udp'] },
    FROM_OUTSIDE,
    'filter FORWARD 1, filter FORWARD 2 -> out',
  );
  both(
    'LOG and NFLOG go on',
    { filter: ['-A FORWARD -j LOG --log-prefix x', '-A FORWARD -j NFLOG --nflog-group 9', '-A FORWARD -j DROP'] },
    FROM_OUTSIDE,
    'FORWARD 1, filter FORWARD 2, filter FORWARD 3 -> gone',
  );
  both(
    'ACCEPT ends its table only',
    { mangle: ['-A FORWARD -j ACCEPT', '-A FORWARD -j DROP'], filter: ['-A FORWARD -j ACCEPT'], security: ['-A FORWARD -j DROP'] },
    FROM_OUTSIDE,
    'mangle FORWARD 1, filter FORWARD 1, security FORWARD 1 -> gone',
  );
  claim(
    'security comes before nat at INPUT in legacy',
    load(BASE, { legacy: save({ nat: ['-A INPUT -p tcp -j SNAT --to-source 1.2.3.4'], security: ['-A INPUT -s 8.8.8.8', '-A INPUT -s 1.2.3.4'] }) }),
    { ...FROM_OUTSIDE, dst: '192.168.21.20' },
    'security INPUT 1, nat INPUT 1 -> local 1.2.3.4',
  );
  claim(
    'security comes after nat at INPUT in nft',
    load(BASE, { nft: save({ nat: ['-A INPUT -p tcp -j SNAT --to-source 1.2.3.4'], security: ['-A INPUT -s 8.8.8.8', '-A INPUT -s 1.2.3.4'] }) }),
    { ...FROM_OUTSIDE, dst: '192.168.21.20' },
    'nat INPUT 1, security INPUT 2 -> local 1.2.3.4',
  );
  both('a DROP in raw is final', { raw: ['-A PREROUTING -j DROP'], mangle: ['-A PREROUTING'] }, FROM_OUTSIDE, 'raw PREROUTING 1 -> gone');
  claim(
    'a DROP of one backend is final whatever the other accepts',
    load(BASE, {
      legacy: save({ filter: ['-A FORWARD -p tcp -j ACCEPT', '-A FORWARD -p udp -j DROP'] }),
      nft: save({ filter: ['-A FORWARD -p tcp -j DROP', '-A FORWARD -p udp -j ACCEPT'] }),
    }),
    [FROM_OUTSIDE, UDP],
    ['-> gone', '-> gone'],
  );
  for (const first of ['legacy', 'nft'] as const) {
    claim(
      `of two backends the one loaded last runs first (${first} is first)`,
      load(BASE, { legacy: save({ filter: ['-A FORWARD'] }), nft: save({ filter: ['-A FORWARD'] }), first }),
      FROM_OUTSIDE,
      /^filter FORWARD 1, filter FORWARD 1 -> out/,
    );
    claim(
      `of two backends that translate the one loaded last wins (${first} is first)`,
      load(BASE, {
        legacy: save({ nat: ['-A POSTROUTING -o eth0 -j SNAT --to-source 192.168.21.50'] }),
        nft: save({ nat: ['-A POSTROUTING -o eth0 -j SNAT --to-source 192.168.21.51'] }),
        first,
      }),
      FROM_POD,
      `out eth0 192.168.21.${first === 'legacy' ? 51 : 50}:40000`,
    );
    claim(
      `tables of two backends interleave by priority (${first} is first)`,
      load(BASE, {
        legacy: save({ raw: ['-A PREROUTING'], filter: ['-A FORWARD'] }),
        nft: save({ mangle: ['-A PREROUTING', '-A FORWARD'], security: ['-A FORWARD'] }),
        first,
      }),
      FROM_OUTSIDE,
      'raw PREROUTING 1, mangle PREROUTING 1, mangle FORWARD 1, filter FORWARD 1, security FORWARD 1',
    );
  }
});

describeClaims('connections', ({ both, claim }) => {
  const dnat = '-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.1.0.1:8080';
  const visit: Shot = { ...FROM_OUTSIDE, dst: '192.168.21.20', dport: 80 };
  both(
    'nat sees only the first packet of a connection, and the reply is translated back without a rule',
    { nat: [dnat, '-A POSTROUTING -o cali1 -j MASQUERADE'] },
    [visit, visit, { iif: 'cali1', src: '10.1.0.1', dst: '192.168.21.20', sport: 8080, dport: 40000, flags: 'SYN,ACK' }, { ...visit, flags: 'ACK' }],
    [
      'nat PREROUTING 1, nat POSTROUTING 1 -> out cali1',
      /^-> out cali1 .* > 10.1.0.1:8080/,
      /^-> out eth0 192.168.21.20:80 > 8.8.8.8:40000/,
      /^-> out cali1/,
    ],
  );
  both(
    'a dropped packet leaves no connection',
    { nat: [dnat], filter: ['-A FORWARD -d 10.1.0.1 -j DROP'] },
    [visit, visit],
    ['nat PREROUTING 1, filter FORWARD 1 -> gone', 'nat PREROUTING 1, filter FORWARD 1 -> gone'],
  );
  both(
    'without a user of conntrack nat chains are not walked',
    { nat: ['-A PREROUTING -p tcp -j MARK --set-mark 1', '-A POSTROUTING -p tcp'] },
    FROM_OUTSIDE,
    /^-> out cali1 8.8.8.8:40000 > 10.1.0.1:80 ttl 63$/,
  );
  both(
    'one -m conntrack anywhere makes nat chains run',
    { nat: ['-A PREROUTING -p tcp -j MARK --set-mark 1', '-A POSTROUTING -p tcp'], raw: ['-A OUTPUT -m conntrack --ctstate NEW'] },
    FROM_OUTSIDE,
    'nat PREROUTING 1, nat POSTROUTING 1 -> out cali1 8.8.8.8:40000 > 10.1.0.1:80 ttl 63 mark 0x1',
  );
  both(
    'NOTRACK alone is no user of conntrack',
    { nat: ['-A PREROUTING -p tcp'], raw: ['-A OUTPUT -p gre -j CT --notrack'] },
    FROM_OUTSIDE,
    /^-> out/,
  );
  both(
    'CONNMARK makes nat chains run',
    { nat: ['-A PREROUTING -p tcp'], mangle: ['-A OUTPUT -p gre -j CONNMARK --save-mark'] },
    FROM_OUTSIDE,
    'nat PREROUTING 1 -> out',
  );
  both(
    'an untracked packet meets no nat rule',
    {
      raw: ['-A PREROUTING -j CT --notrack'],
      nat: ['-A POSTROUTING -j MASQUERADE'],
      filter: ['-A FORWARD -m conntrack --ctstate UNTRACKED', '-A FORWARD -m conntrack --ctstate INVALID'],
    },
    FROM_POD,
    'raw PREROUTING 1, filter FORWARD 1 -> out eth0 10.1.0.1:40000',
  );
  both(
    'ACCEPT in nat is a decision for the whole connection',
    { nat: ['-A PREROUTING -d 10.1.0.1 -j ACCEPT', '-A PREROUTING -d 10.1.0.1 -j DNAT --to-destination 10.1.0.2'] },
    [FROM_OUTSIDE, FROM_OUTSIDE],
    ['nat PREROUTING 1 -> out cali1', /^-> out cali1/],
  );
  both(
    'a reply still has the node as destination in PREROUTING and the client in FORWARD',
    {
      nat: ['-A POSTROUTING -o eth0 -j SNAT --to-source 192.168.21.20'],
      mangle: ['-A PREROUTING -d 192.168.21.20', '-A PREROUTING -d 10.1.0.1', '-A FORWARD -d 192.168.21.20', '-A FORWARD -d 10.1.0.1'],
    },
    [FROM_POD, { iif: 'eth0', src: '8.8.8.8', dst: '192.168.21.20', sport: 80, dport: 40000, flags: 'SYN,ACK' }],
    ['nat POSTROUTING 1', /^mangle PREROUTING 1, mangle FORWARD 2 -> out cali1 8.8.8.8:80 > 10.1.0.1:40000/],
  );
  both(
    'FORWARD sees the translated destination; only conntrack still knows the first',
    {
      nat: ['-A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination 10.1.0.1:6443'],
      filter: [
        '-A FORWARD -d 10.96.0.1',
        '-A FORWARD -p tcp --dport 443',
        '-A FORWARD -d 10.1.0.1 -p tcp --dport 6443',
        '-A FORWARD -m conntrack --ctorigdst 10.96.0.1 --ctorigdstport 443',
        '-A FORWARD -m conntrack --ctstate DNAT',
        '-A FORWARD -m conntrack --ctstate NEW',
        '-A FORWARD -m conntrack --ctstate SNAT',
        '-A FORWARD -m conntrack --ctrepldst 8.8.8.8',
        '-A FORWARD -m conntrack --ctreplsrc 10.1.0.1 --ctreplsrcport 6443',
        '-A FORWARD -m conntrack --ctorigsrc 8.8.8.0/24',
      ],
    },
    { ...FROM_OUTSIDE, dst: '10.96.0.1', dport: 443 },
    'nat PREROUTING 1, filter FORWARD 3, filter FORWARD 4, filter FORWARD 5, filter FORWARD 6, filter FORWARD 8, filter FORWARD 9, filter FORWARD 10 -> out cali1',
  );
  const states = ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED', 'SNAT', 'DNAT'].map((s) => `-A FORWARD -m conntrack --ctstate ${s}`);
  both(
    'SYN, ACK and PSH,ACK are NEW and are translated; what cannot begin a connection is INVALID and meets no nat rule',
    { nat: ['-A PREROUTING -j DNAT --to-destination 10.1.0.1'], filter: states },
    [
      ...[
        'SYN',
        'ACK',
        'PSH,ACK',
        'SYN,ACK',
        'RST',
        'FIN',
        'FIN,ACK',
        'RST,ACK',
        'SYN,FIN',
        'FIN,PSH,URG',
        '',
        'SYN,URG',
        'ACK,URG',
        'SYN,PSH',
        'SYN,RST',
      ].map((flags, i): Shot => ({ ...FROM_OUTSIDE, dst: '10.1.0.2', flags, sport: 3000 + i })),
      { ...FROM_OUTSIDE, dst: '10.1.0.2', proto: 'icmp', type: 0 },
    ],
    [
      ...[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0].map((isNew) =>
        isNew ? 'nat PREROUTING 1, filter FORWARD 1, filter FORWARD 7 -> out cali1' : /^filter FORWARD 4 -> out cali2/,
      ),
      /^filter FORWARD 4 -> out cali2/,
    ],
  );
  both('with nf_conntrack_tcp_loose=0 an ACK begins nothing', { filter: states }, { ...FROM_OUTSIDE, flags: 'ACK' }, /^filter FORWARD 4 -> out/, {
    sysctls: { 'net.netfilter.nf_conntrack_tcp_loose': 0 },
  });
  both(
    'in raw, --ctstate INVALID matches everything',
    {
      raw: ['-A PREROUTING -m conntrack --ctstate INVALID', '-A PREROUTING -m conntrack --ctstate NEW', '-A PREROUTING -m conntrack ! --ctstate NEW'],
    },
    FROM_OUTSIDE,
    'raw PREROUTING 1, raw PREROUTING 3 -> out',
  );
  both(
    'SNAT is not yet a state of the first packet in FORWARD, and is of the next and of replies',
    {
      nat: ['-A POSTROUTING -o cali1 -j SNAT --to-source 10.9.0.20'],
      filter: [
        ...states,
        '-A FORWARD -m conntrack --ctdir REPLY',
        '-A FORWARD -m conntrack --ctstatus SEEN_REPLY',
        '-A FORWARD -m conntrack --ctstatus CONFIRMED',
        '-A FORWARD -m conntrack --ctstatus NONE',
      ],
    },
    [{ ...UDP }, { ...UDP }, { iif: 'cali1', src: '10.1.0.1', dst: '10.9.0.20', proto: 'udp', sport: 53, dport: 40000 }, { ...UDP }],
    [
      /^filter FORWARD 1, nat/,
      /^filter FORWARD 1, filter FORWARD 6, filter FORWARD 10 ->/,
      /^filter FORWARD 2, filter FORWARD 6, filter FORWARD 8, filter FORWARD 9, filter FORWARD 10 -> out eth0 10.1.0.1:53 > 8.8.8.8:40000/,
      /^filter FORWARD 2, /,
    ],
  );
  claim(
    'an ICMP error about a connection is RELATED, meets no nat rule and is translated',
    load(BASE, { legacy: save({ nat: ['-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.1.0.1', '-A PREROUTING -p icmp'], filter: states }) }),
    [
      { ...FROM_OUTSIDE, dst: '10.96.0.1', sport: 3000 },
      { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', proto: 'icmp', type: 3, code: 3, inner: { src: '8.8.8.8', dst: '10.1.0.1', sport: 3000 } },
      { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8', proto: 'icmp', type: 3, code: 3, inner: { src: '8.8.8.8', dst: '10.1.0.1', sport: 3001 } },
    ],
    ['nat PREROUTING 1', /^filter FORWARD 3, filter FORWARD 7 -> out eth0 10.96.0.1 > 8.8.8.8/, /^filter FORWARD 4 -> out eth0 10.1.0.1 >/],
  );
});
