// What two captures hold that is not alike: thing by thing, each with its line.
import { describe, expect, it } from 'vitest';
import { namingOf, SAME_WORLD } from '../../src/ask/alike.ts';
import { compareStructure } from '../../src/ask/structure.ts';
import { readBundle, worldOf, type World } from '../../src/index.ts';
import { changeWord, structureText } from '../../src/say/compare.ts';

const SAVE = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [3:180]
:OUTPUT ACCEPT [0:0]
-A FORWARD -i eth0 -j ACCEPT
-A FORWARD -p tcp -j DROP
COMMIT
`;
const FILES: Readonly<Record<string, string>> = {
  'iptables-save.txt': SAVE,
  'ipset-save.txt': 'create blocked hash:ip family inet hashsize 1024 maxelem 65536\nadd blocked 10.0.0.1\nadd blocked 10.0.0.2\n',
  'ip-addr.txt':
    '2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n    inet 10.0.0.9/24 brd 10.0.0.255 scope global eth0\n',
  'ip-route.txt': 'default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.9\n',
  'ip-rule.txt': '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n',
  'ip-neigh.txt': '10.0.0.1 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE\n10.0.0.3 dev eth0 lladdr 02:00:00:00:00:03 PERMANENT\n',
  'sysctl.txt': 'net.ipv4.ip_forward = 1\nnet.netfilter.nf_conntrack_count = 12\n',
  'ipvsadm.txt': '-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.0.0.5:6443 -m -w 1\n',
};

function world(changes: Readonly<Record<string, string | undefined>> = {}, node = 'n'): World {
  const files = Object.entries({ ...FILES, ...changes }).flatMap(([path, text]) => (text === undefined ? [] : [{ path: `${node}/${path}`, text }]));
  return worldOf(readBundle(files));
}

/** What changed, in short: `removed rule: ...`. */
function told(b: World, a: World = world()): string[] {
  return compareStructure(a, b, namingOf(a, b)).changes.map(
    (c) => `${changeWord(c)} ${c.kind}: ${[c.a?.text, c.b?.text].filter((t) => t !== undefined).join(' => ')}`,
  );
}

/** A file with a part of it replaced. */
function edited(file: string, from: string, to: string): World {
  expect(FILES[file]).toContain(from);
  return world({ [file]: FILES[file]!.replace(from, to) });
}

it('what was captured twice is alike', () => {
  expect(told(world())).toEqual([]);
  expect(compareStructure(world(), world(), SAME_WORLD)).toEqual({ changes: [], uncaptured: [] });
});

describe('things are told with what became of them', () => {
  const cases: readonly (readonly [file: string, from: string, to: string, told: readonly string[]])[] = [
    ['iptables-save.txt', '-A FORWARD -i eth0 -j ACCEPT\n', '', ['removed rule: filter -A FORWARD -i eth0 -j ACCEPT']],
    ['iptables-save.txt', 'COMMIT', '-A OUTPUT -j DROP\nCOMMIT', ['added rule: filter -A OUTPUT -j DROP']],
    ['iptables-save.txt', 'FORWARD DROP', 'FORWARD ACCEPT', ['changed chain: filter FORWARD policy DROP => filter FORWARD policy ACCEPT']],
    ['iptables-save.txt', ':OUTPUT', ':MINE - [0:0]\n:OUTPUT', ['added chain: filter MINE']],
    [
      'iptables-save.txt',
      '-A FORWARD -i eth0 -j ACCEPT\n-A FORWARD -p tcp -j DROP',
      '-A FORWARD -p tcp -j DROP\n-A FORWARD -i eth0 -j ACCEPT',
      ['reordered chain: filter -A FORWARD -i eth0 -j ACCEPT => filter -A FORWARD -p tcp -j DROP'],
    ],
    ['ipset-save.txt', 'add blocked 10.0.0.2\n', '', ['removed member: blocked 10.0.0.2']],
    [
      'ipset-save.txt',
      'maxelem 65536',
      'maxelem 9',
      ['changed set: blocked hash:ip family inet maxelem 65536 => blocked hash:ip family inet maxelem 9'],
    ],
    ['ip-addr.txt', 'mtu 1500', 'mtu 1400', ['changed link: eth0 up mtu 1500 => eth0 up mtu 1400']],
    ['ip-addr.txt', '10.0.0.9/24', '10.0.0.8/24', ['removed address: 10.0.0.9/24 dev eth0', 'added address: 10.0.0.8/24 dev eth0']],
    ['ip-route.txt', 'via 10.0.0.1', 'via 10.0.0.2', ['changed route: default via 10.0.0.1 dev eth0 => default via 10.0.0.2 dev eth0']],
    ['ip-rule.txt', '32766', '100:\tfrom 10.0.0.7 lookup 7\n32766', ['added routing rule: 100: from 10.0.0.7 lookup 7']],
    ['sysctl.txt', 'ip_forward = 1', 'ip_forward = 0', ['changed sysctl: net.ipv4.ip_forward = 1 => net.ipv4.ip_forward = 0']],
    [
      'ip-neigh.txt',
      '10.0.0.3 dev eth0 lladdr 02:00:00:00:00:03 PERMANENT\n',
      '',
      ['removed neighbour: 10.0.0.3 dev eth0 lladdr 02:00:00:00:00:03 PERMANENT'],
    ],
    [
      'ip-neigh.txt',
      'lladdr 02:00:00:00:00:02 REACHABLE',
      'FAILED',
      ['changed neighbour: 10.0.0.1 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE => 10.0.0.1 dev eth0 FAILED'],
    ],
    ['ipvsadm.txt', '-s rr', '-s sh', ['changed virtual server: TCP 10.96.0.1:443 rr => TCP 10.96.0.1:443 sh']],
    [
      'ipvsadm.txt',
      '-w 1',
      '-w 0',
      ['changed real server: TCP 10.96.0.1:443 -> 10.0.0.5:6443 masq weight 1 => TCP 10.96.0.1:443 -> 10.0.0.5:6443 masq weight 0'],
    ],
  ];
  it.each(cases)('%s: %j becomes %j', (file, from, to, expected) => expect(told(edited(file, from, to))).toEqual(expected));
});

describe('what comes and goes by itself is no difference', () => {
  it.each([
    ['iptables-save.txt', '[3:180]', '[99:9999]'],
    ['ipset-save.txt', 'hashsize 1024', 'hashsize 4096'],
    ['ipset-save.txt', 'add blocked 10.0.0.1\nadd blocked 10.0.0.2', 'add blocked 10.0.0.2\nadd blocked 10.0.0.1'],
    ['ip-addr.txt', '02:00:00:00:00:01', '02:00:00:00:00:09'],
    ['ip-neigh.txt', 'REACHABLE', 'STALE'],
    ['ip-neigh.txt', '10.0.0.1 dev eth0 lladdr 02:00:00:00:00:02 REACHABLE\n', ''],
    ['sysctl.txt', 'count = 12', 'count = 13'],
  ])('%s: %j or %j', (file, from, to) => expect(told(edited(file, from, to))).toEqual([]));
});

it('what only one capture has printed is told as that, and not thing by thing', () => {
  const a = world();
  const b = world({ 'sysctl.txt': undefined });
  expect(compareStructure(a, b, namingOf(a, b))).toEqual({ changes: [], uncaptured: [{ node: 'n', namespace: '', kind: 'sysctl', missing: 'b' }] });
  expect(structureText(compareStructure(a, b, namingOf(a, b)), ['A', 'B'])).toBe('n: sysctls were not captured in B\n');
});

it('a node that is called otherwise in the other capture is the same where it is the only one', () => {
  expect(told(world({}, 'before'), world({}, 'after'))).toEqual([]);
});
