// Sets that change on the way: the SET target, counters, what a set gives a packet, and what runs out.
import { BASE, BASE6, describeClaims, FROM_OUTSIDE, FROM_OUTSIDE6, load, save, type Tables } from './claim.ts';
import type { Load, Shot } from './node.ts';

const sets = (lines: string, tables: Tables, family: '' | '6' = ''): Load =>
  load(family ? BASE6 : BASE, { ipset: `${lines}\n`, [`legacy${family}`]: save(tables) });

describeClaims('the SET target', ({ same }) => {
  // a packet changes what the next one finds: one packet a claim
  const each = (title: string, node: Load, shots: readonly Shot[]): void => {
    for (const [i, shot] of shots.entries()) same(`${title} (${i + 1})`, node, [shot]);
  };
  const after = (type: string, by: string, target: string, ...elements: string[]): Load =>
    sets([`create s ${type}`, ...elements.map((e) => `add s ${e}`)].join('\n'), {
      raw: [`-A PREROUTING -j SET ${target}`],
      filter: [`-A FORWARD -m set --match-set s ${by}`, `-A FORWARD -m set ! --match-set s ${by}`],
    });
  const near = ['8.8.8.8', '8.8.9.9', '9.9.9.9'].map((src) => ({ ...FROM_OUTSIDE, src }));

  each('adds an address that later rules find', after('hash:ip', 'src', '--add-set s src', '8.8.9.9'), near);
  each('adds the other address, which is another', after('hash:ip', 'src', '--add-set s dst'), near.slice(0, 1));
  each('deletes an address', after('hash:ip', 'src', '--del-set s src', '8.8.8.8', '9.9.9.9'), near);
  each('deletes after adding', after('hash:ip', 'src', '--add-set s src --del-set s src', '8.8.8.8'), near.slice(0, 2));
  each('adds a port with its protocol', after('hash:ip,port', 'src,dst', '--add-set s src,dst', '8.8.8.8,tcp:81'), [
    FROM_OUTSIDE,
    { ...FROM_OUTSIDE, dport: 81 },
    { ...FROM_OUTSIDE, proto: 'icmp' },
  ]);
  each('with too few directions does nothing', after('hash:ip,port', 'src,dst', '--add-set s src'), near.slice(0, 1));
  each('adds a network as long as the longest there', after('hash:net', 'dst', '--add-set s src', '8.8.0.0/16', '9.0.0.0/8'), near);
  each('adds with the longest length', after('hash:net', 'src', '--add-set s src', '10.0.0.0/24', '9.0.0.0/8 nomatch'), near);
  each(
    'deletes only what has the longest length',
    after('hash:net', 'src', '--del-set s src', '8.8.0.0/16', '9.0.0.0/8', '9.9.9.0/24', '8.8.9.0/24'),
    near,
  );
  each('an element that is there stays as it is', after('hash:net', 'src', '--add-set s src', '8.8.8.0/24 nomatch'), near.slice(0, 1));
  each('with --exist it begins anew', after('hash:net', 'src', '--add-set s src --exist', '8.8.8.0/24 nomatch'), near.slice(0, 1));
  each('a full set takes no more', after('hash:ip maxelem 1', 'src', '--add-set s src', '8.8.8.8'), near);
  each('a bitmap takes what is in its range', after('bitmap:ip range 8.8.8.0/24', 'src', '--add-set s src'), near);
  each('a bitmap of ports', after('bitmap:port range 1-100', 'dst', '--add-set s dst'), [FROM_OUTSIDE, { ...FROM_OUTSIDE, dport: 101 }]);
  each('a netmask adds networks', after('hash:ip netmask 16', 'dst', '--add-set s dst'), [FROM_OUTSIDE]);
  each('a bitmap of MAC addresses', after('bitmap:ip,mac range 8.8.8.0/23', 'src,src', '--add-set s src,src', '8.8.9.9,02:00:00:00:00:07'), near);
  each('interfaces', after('hash:net,iface', 'src,src', '--add-set s src,src', '8.0.0.0/8,eth1'), near);
  each(
    'the longest length there may be 0, and then everything is the same element',
    after('hash:net,iface', 'src,src', '--add-set s src,src', '0.0.0.0/0,eth0 nomatch'),
    near,
  );
  each('with --exist that element begins anew', after('hash:net,iface', 'src,src', '--add-set s src,src --exist', '0.0.0.0/0,eth0 nomatch'), near);
  each('or it is deleted', after('hash:net,iface', 'src,src', '--del-set s src,src', '0.0.0.0/0,eth0', '0.0.0.0/0,eth1'), near);
  each('a network of all addresses by another interface', after('hash:net,iface', 'dst,src', '--add-set s src,src', '0.0.0.0/0,eth1'), near);
  each('a timeout of its own', after('hash:ip timeout 100', 'src', '--add-set s src --exist --timeout 5', '8.8.8.8'), near);
  each(
    'an address without its MAC takes the first that comes',
    after('bitmap:ip,mac range 8.8.8.0/24', 'src,src', '--add-set s src,src', '8.8.8.8'),
    near,
  );
  each(
    'a list gives it to the first set that takes it',
    sets(
      'create six hash:ip family inet6\ncreate full hash:ip maxelem 1\nadd full 1.2.3.4\ncreate a hash:ip\ncreate b hash:ip\ncreate l list:set\nadd l six\nadd l full\nadd l a\nadd l b',
      {
        raw: ['-A PREROUTING -j SET --add-set l src'],
        filter: ['full', 'a', 'b', 'l'].map((n) => `-A FORWARD -m set --match-set ${n} src`),
      },
    ),
    near,
  );
  each(
    'in IPv6',
    sets(
      'create s hash:net family inet6\nadd s fd00:9::/32\nadd s fd00:8:1::/48',
      {
        raw: ['-A PREROUTING -j SET --add-set s src'],
        filter: ['-A FORWARD -m set --match-set s src', '-A FORWARD -m set ! --match-set s src', '-A FORWARD -m set --match-set s dst'],
      },
      '6',
    ),
    ['fd00:8::8', 'fd00:8:1::8', 'fd00:9::9'].map((src) => ({ ...FROM_OUTSIDE6, src })),
  );
});

describeClaims('counters, marks and times of elements', ({ same }) => {
  const counted = (elements: string, ...matches: string[]): Load => sets(elements, { filter: matches.map((m) => `-A FORWARD -m set ${m}`) });
  const OPS = ['eq', 'lt', 'gt'].flatMap((op) =>
    ['4', '5', '6'].flatMap((n) => [`--packets-${op} ${n}`, `! --update-counters --packets-${op} ${n}`]),
  );
  for (const [i, op] of [...OPS, '! --packets-eq 5', '--bytes-gt 100', '--bytes-lt 100 --packets-eq 5', '! --bytes-eq 100'].entries())
    same(
      `--match-set with ${op} (${i})`,
      counted(
        'create s hash:ip counters\nadd s 8.8.8.8 packets 5 bytes 100\ncreate n hash:ip\nadd n 8.8.8.8',
        `--match-set s src ${op}`,
        `! --match-set s src ${op}`,
        `--match-set n src ${op}`,
        `--match-set s dst ${op}`,
      ),
      [FROM_OUTSIDE],
    );
  same(
    'questions count, and later questions see it',
    counted(
      'create s hash:ip counters\nadd s 8.8.8.8 packets 5 bytes 100',
      '--match-set s src --packets-eq 5',
      '--match-set s src --packets-eq 5',
      '--match-set s src ! --update-counters --packets-eq 6',
      '--match-set s src ! --update-counters --packets-eq 6',
      '! --match-set s src',
      '--match-set s src --packets-eq 7 --bytes-eq 180',
      '--match-set s src --packets-gt 7',
    ),
    [FROM_OUTSIDE],
  );
  same(
    'a network whose counters fail leaves the shorter ones a chance',
    counted(
      'create s hash:net counters\nadd s 8.0.0.0/8 packets 5 bytes 100\nadd s 8.8.8.0/24 nomatch packets 1 bytes 1',
      '--match-set s src ! --update-counters --packets-eq 5',
      '--match-set s src ! --update-counters --packets-eq 1',
      '! --match-set s src ! --update-counters --packets-eq 1',
      '--match-set s src ! --update-counters --packets-eq 5 --return-nomatch',
      '--match-set s src ! --update-counters --packets-eq 1 --return-nomatch',
    ),
    [FROM_OUTSIDE],
  );
  same(
    'a list has counters of its own, and its sets are not asked for theirs',
    counted(
      'create s hash:ip counters\nadd s 8.8.8.8 packets 5 bytes 100\ncreate l list:set counters\nadd l s packets 7 bytes 200\ncreate k list:set\nadd k s',
      '--match-set l src ! --update-counters --packets-eq 7',
      '--match-set l src ! --update-counters --packets-eq 5',
      '--match-set k src ! --update-counters --packets-eq 99',
      '--match-set l src ! --update-subcounters',
      '--match-set s src --packets-gt 5',
      '--match-set l src',
      '--match-set s src --packets-gt 6',
    ),
    [FROM_OUTSIDE],
  );
  for (const [by, src] of [
    ['src', '8.8.8.8'],
    ['src', '8.8.8.9'],
    ['src', '9.9.9.9'],
    ['dst', '8.8.8.8'],
  ] as const)
    same(
      `--map-set gives the mark of the element (${by} ${src})`,
      sets(
        'create s hash:ip skbinfo\nadd s 8.8.8.8 skbmark 0x12/0xff skbprio 1:10 skbqueue 2\nadd s 8.8.8.9\ncreate l list:set skbinfo\nadd l s skbmark 0x300/0xf00\ncreate plain hash:ip\nadd plain 8.8.8.8',
        {
          mangle: [
            '-A PREROUTING -j MARK --set-mark 0xf0f0',
            `-A FORWARD -j SET --map-set plain ${by} --map-mark`,
            `-A FORWARD -j SET --map-set s ${by} --map-mark --map-prio --map-queue`,
            '-A FORWARD -m mark --mark 0x12/0xff',
            `-A FORWARD -j SET --map-set l ${by} --map-mark`,
            `-A FORWARD -j SET --map-set s ${by} --map-prio`,
          ],
        },
      ),
      [{ ...FROM_OUTSIDE, src }],
    );
  same(
    'a set may have a name of 31 characters',
    counted(
      'create abcdefghijklmnopqrstuvwxyz01234 hash:ip\nadd abcdefghijklmnopqrstuvwxyz01234 8.8.8.8',
      '--match-set abcdefghijklmnopqrstuvwxyz01234 src',
    ),
    [FROM_OUTSIDE],
  );
  same(
    'of elements with a time left, for good, and with forceadd and comments',
    counted(
      'create t hash:net timeout 300 forceadd comment counters skbinfo\nadd t 8.8.8.0/24 timeout 2 comment "soon gone"\nadd t 8.0.0.0/8 timeout 0\nadd t 9.0.0.0/8 nomatch',
      '--match-set t src',
      '! --match-set t src',
    ),
    ['8.8.8.8', '8.9.9.9', '9.9.9.9', '10.9.9.9'].map((src) => ({ ...FROM_OUTSIDE, src })),
  );
});
