import { describe, expect, it } from 'vitest';
import { readIpset } from '../../src/capture/ipset.ts';
import { equal, formatAddr, formatPrefix, type Prefix } from '../../src/net/addr.ts';
import type { IpSet, SetPart } from '../../src/model/ruleset.ts';
import { captured, plain, sorted } from './captured.ts';

const save = readIpset(captured('tools/ipset-save.txt'), 'ipset-save.txt');
const set = (name: string, from: readonly IpSet[] = save.sets): IpSet => {
  const found = from.find((s) => s.name === name);
  if (!found) throw new Error(`no set ${name}`);
  return found;
};

function show(part: SetPart): string {
  switch (part.kind) {
    case 'net':
      return part.prefix
        ? formatPrefix(part.prefix)
        : part.ranges.map(([lo, hi]) => (equal(lo, hi) ? formatAddr(lo) : `${formatAddr(lo)}-${formatAddr(hi)}`)).join();
    case 'port':
      return `${part.proto === undefined ? '' : `${part.proto}:`}${part.lo === part.hi ? part.lo : `${part.lo}-${part.hi}`}`;
    case 'mac':
      return part.mac;
    case 'mark':
      return String(part.mark);
    case 'iface':
      return `${part.physdev ? 'physdev ' : ''}${part.name}${part.wildcard ? '*' : ''}`;
    case 'set':
      return part.name;
  }
}
const members = (s: IpSet): string[] => s.members.map((m) => `${m.nomatch ? '!' : ''}${m.parts.map(show).join(' ')}`).toSorted();
const element = (type: string, text: string, options = ''): string[] => {
  const read = readIpset(`create s ${type} ${options}\nadd s ${text}\n`, 'f');
  return read.findings.length ? read.findings.map((f) => f.code) : members(read.sets[0]!);
};

describe('ipset save', () => {
  it('gives a set of every type its dimensions', () => {
    expect(Object.fromEntries(save.sets.map((s) => [s.type, s.dimensions.join()]))).toEqual({
      'hash:ip': 'ip',
      'hash:net': 'net',
      'hash:ip,port': 'ip,port',
      'hash:ip,port,ip': 'ip,port,ip',
      'hash:ip,port,net': 'ip,port,net',
      'hash:net,port': 'net,port',
      'hash:net,net': 'net,net',
      'hash:net,port,net': 'net,port,net',
      'hash:net,iface': 'net,iface',
      'hash:mac': 'mac',
      'hash:ip,mac': 'ip,mac',
      'hash:ip,mark': 'ip,mark',
      'bitmap:ip': 'ip',
      'bitmap:ip,mac': 'ip,mac',
      'bitmap:port': 'port',
      'list:set': 'set',
    });
    expect(save.findings).toEqual([]);
    expect(save.sets.filter((s) => s.incomplete)).toEqual([]);
  });

  it('has a family where the elements hold addresses, and only there', () => {
    expect(save.sets.filter((s) => s.family === undefined).map((s) => s.name)).toEqual(['h-mac', 'b-port', 'l-set']);
    expect(save.sets.filter((s) => s.family === 6).map((s) => s.name)).toEqual(['h-ip6', 'h-net6', 'h-ip-port6']);
  });

  it('reads the members of every type', () => {
    expect(members(set('h-net'))).toEqual(['!192.168.21.0/24', '10.0.0.10', '10.0.0.7', '10.0.0.8/31', '172.16.0.0/12', '192.168.0.0/16']);
    expect(members(set('h-net-all'))).toEqual(['0.0.0.0/1', '128.0.0.0/1']);
    expect(members(set('h-net6'))).toEqual(['!2001:db8:1::/48', '2001:db8::/32']);
    expect(members(set('h-ip-port'))).toEqual(
      ['6:443', '6:80', '1:2048', '1:772', '17:10', '17:11', '17:12', '132:9999', '136:7', '47:0', '89:0'].map((p) => `10.0.0.1 ${p}`).toSorted(),
    );
    expect(members(set('h-ip-port6'))).toEqual([`2001:db8::1 58:${128 * 256}`, '2001:db8::1 6:80']);
    expect(members(set('h-ip-port-net'))).toEqual(['!198.51.100.7 6:80 203.0.113.8/29', '198.51.100.7 6:80 203.0.113.0/24']);
    expect(members(set('h-ip-port-ip'))).toEqual(['10.0.0.1 6:80 10.0.0.1']);
    expect(members(set('h-net-port'))).toEqual(['10.0.0.0/8 17:53']);
    expect(members(set('h-net-net'))).toEqual(['10.0.0.0/8 192.168.0.0/16']);
    expect(members(set('h-net-port-net'))).toEqual(['10.0.0.0/8 6:22 192.168.0.0/16']);
    expect(members(set('h-net-iface'))).toEqual(['0.0.0.0/0 physdev calia', '10.0.0.0/8 eth0']);
    expect(members(set('h-mac'))).toEqual(['02:00:00:00:00:fe']);
    expect(members(set('h-ip-mac'))).toEqual(['10.0.0.1 02:00:00:00:00:fe']);
    expect(members(set('h-ip-mark'))).toEqual(['10.0.0.1 16']);
    expect(members(set('b-port'))).toEqual(['30000', '30001', '30002']);
    expect(members(set('l-set'))).toEqual(['h-ip', 'h-net']);
    expect(members(set('empty'))).toEqual([]);
  });

  it('an element of a set with a netmask covers the whole block', () => {
    expect(members(set('h-ip-mask'))).toEqual(['10.1.2.0-10.1.2.255']);
    expect(members(set('b-ip-mask'))).toEqual(['10.0.3.0-10.0.3.255']);
  });

  it('an address of bitmap:ip,mac may stand without its MAC', () => {
    expect(members(set('b-ip-mac'))).toEqual(['10.0.0.5 02:00:00:00:00:05', '10.0.0.6']);
  });

  it('keeps timeouts, counters and options, and each member at its line', () => {
    const six = set('h-ip6');
    expect(six.options['timeout']).toBe('600');
    expect(six.members.find((m) => m.timeout === 0)).toMatchObject({ text: '2001:db8::1 timeout 0', at: { file: 'ipset-save.txt' } });
    const at = six.members[0]!.at;
    expect(captured(`tools/${at.file}`).split('\n')[at.line - 1]).toBe(`add h-ip6 ${six.members[0]!.text}`);
    expect(set('h-ip').options).toMatchObject({ counters: '', comment: '', hashsize: '1024' });
    expect(set('h-ip').members.find((m) => m.text.includes('comment'))).toMatchObject({
      packets: 0,
      bytes: 0,
      text: '10.0.0.1 packets 0 bytes 0 comment "the first, of 2"',
    });
    expect(set('h-ip-mark').options['markmask']).toBe('0x000000ff');
  });
});

describe('ipset list', () => {
  it('gives the same sets as ipset save', () => {
    const list = readIpset(captured('tools/ipset-list.txt'), 'ipset-list.txt');
    expect(list.findings).toEqual([]);
    const bare = (sets: readonly IpSet[]): unknown =>
      sorted(sets.map((s) => ({ ...plain(s), members: sorted(s.members.map((m) => plain({ ...m, timeout: 0 }))) })));
    expect(bare(list.sets)).toEqual(bare(save.sets));
  });

  it('of a node in IPVS mode gives the same sets as ipset save there', () => {
    const folder = 'kube-proxy-1.26-ipvs/node1';
    const a = readIpset(captured(`${folder}/ipset-save.txt`), 'f');
    const b = readIpset(captured(`${folder}/ipset-list.txt`), 'f');
    expect([a.findings, b.findings]).toEqual([[], []]);
    expect(a.sets.length).toBeGreaterThan(10);
    expect(sorted(plain(b.sets))).toEqual(sorted(plain(a.sets)));
  });

  it('without members (-t) leaves membership unknown', () => {
    const terse = readIpset(captured('tools/ipset-list-terse.txt'), 'f');
    expect(terse.sets.filter((s) => s.incomplete === undefined).map((s) => s.name)).toEqual(['empty']);
  });

  it('copied by hand, with blanks and lost line ends, is still read', () => {
    const text = `$ ipset list cali40masq-ipam-pools
Name: cali40masq-ipam-pools
Type: hash: net
Revision: 7
Header: family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x793b8a70
size in memory: 504
References: 1
Number of entries: 1
Members:
192.168.0.0/16
$ ipset list cali40all-ipam-pools
Name: cali40all-ipam-pools
Type: hash:net
Revision:7
Header: family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0xaa98b84c
size in memory: 504
References: 1
Number of entries: 1Members:
192.168.0.0/16
`;
    const read = readIpset(text, 'paste.txt');
    expect(read.findings).toEqual([]);
    expect(read.sets.map((s) => [s.name, s.type, ...members(s), s.incomplete])).toEqual([
      ['cali40masq-ipam-pools', 'hash:net', '192.168.0.0/16', undefined],
      ['cali40all-ipam-pools', 'hash:net', '192.168.0.0/16', undefined],
    ]);
    expect(read.sets[1]!.members[0]!.at.line).toBe(19);
  });

  it('cut off in the middle of the members leaves membership unknown', () => {
    const whole = captured('tools/ipset-list.txt');
    const read = readIpset(whole.slice(0, whole.indexOf('10.0.1.2')), 'f');
    expect(read.sets[0]!.incomplete).toMatch(/ of 5 members/);
    expect(read.findings.map((f) => f.code)).toEqual(['truncated']);
  });
});

describe('an element', () => {
  it.each([
    ['hash:ip', '10.0.0.5/30', ['10.0.0.4-10.0.0.7']],
    ['hash:ip', '10.0.0.1-10.0.0.5', ['10.0.0.1-10.0.0.5']],
    ['hash:net', '10.0.0.5/8', ['10.0.0.0/8']],
    ['hash:net', '0.0.0.0/0', ['0.0.0.0/0']],
    ['hash:net', '10.0.0.1-10.0.0.4', ['10.0.0.1', '10.0.0.2/31', '10.0.0.4']],
    ['hash:net', '0.0.0.0-255.255.255.255', ['0.0.0.0/0']],
    ['hash:ip,port', '10.0.0.1,80', ['10.0.0.1 6:80']],
    ['hash:ip,port', '10.0.0.1,http', ['10.0.0.1 6:80']],
    ['hash:ip,port', '10.0.0.1,udp:10-20', ['10.0.0.1 17:10-20']],
    ['hash:ip,port', '10.0.0.1,icmp:8/0', ['10.0.0.1 1:2048']],
    ['hash:ip,port', '10.0.0.1,47:0', ['10.0.0.1 47:0']],
    ['iphash', '10.0.0.1', ['10.0.0.1']],
    ['hash:ip', '2001:db8::1', ['unreadable-member']],
    ['hash:ip', 'example.org', ['unreadable-member']],
    ['hash:ip,port', '10.0.0.1', ['unreadable-member']],
    ['hash:ip,port', '10.0.0.1,icmp:constructor', ['unreadable-member']],
    ['hash:net,iface', '10.0.0.0/8,eth wildcard', ['10.0.0.0/8 eth*']],
    ['hash:vm', '1', ['unknown-set-type']],
  ])('of %s: %s', (type, text, expected) => expect(element(type, text)).toEqual(expected));

  it('cuts a range into prefixes that cover it exactly', () => {
    const read = readIpset('create s hash:net\nadd s 10.0.0.3-10.0.1.200\n', 'f').sets[0]!;
    const prefixes = read.members.map((m) => (m.parts[0] as { prefix: Prefix }).prefix);
    const size = prefixes.reduce((n, p) => n + 2 ** (32 - p.length), 0);
    expect(size).toBe(256 + 200 - 3 + 1);
  });

  it('that cannot be read makes the set incomplete, and the others are kept', () => {
    const read = readIpset('create s hash:ip\nadd s 10.0.0.1\nadd s 10.0.0\nadd s 10.0.0.2\n', 'f');
    expect(members(read.sets[0]!)).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(read.sets[0]!.incomplete).toMatch(/line 3/);
  });
});

describe('ipset that refused', () => {
  it('is a finding, and says that sets may be missing', () => {
    const read = readIpset('ipset v7.1: kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.\n', 'f');
    expect(read.sets).toEqual([]);
    expect(read.incomplete).toMatch(/incompatible/);
    expect(read.findings[0]).toMatchObject({ severity: 'error', code: 'ipset-refused', at: { line: 1 } });
  });

  it('in the middle of a list makes that set incomplete', () => {
    const read = readIpset(
      'Name: a\nType: hash:ip\nHeader: family inet\nMembers:\n10.0.0.1\nipset v6.38: Kernel error received: Operation not permitted\n',
      'f',
    );
    expect(read.sets[0]!.incomplete).toMatch(/Operation not permitted/);
  });

  it('a member of a set that nothing creates leaves the set unknown', () => {
    const read = readIpset('add s 10.0.0.1\nadd s 10.0.0.2\n', 'f');
    expect(read.sets).toMatchObject([{ name: 's', incomplete: 'the line that creates it is missing' }]);
    expect(read.findings.map((f) => f.code)).toEqual(['no-such-set']);
  });
});
