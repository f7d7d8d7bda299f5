import { describe, expect, it } from 'vitest';
import { readBundle } from '../../src/capture/bundle.ts';
import { readNamespace, type CaptureFile } from '../../src/capture/namespace.ts';
import { bundleOf, captured, plain } from './captured.ts';

const file = (path: string, from = path): CaptureFile => ({ path, text: captured(`tools/${from}`) });
const serious = (findings: readonly { severity: string; code: string }[]): string[] =>
  findings.filter((f) => f.severity !== 'note').map((f) => f.code);

describe('the captures of a real kube-proxy node', () => {
  const { namespaces, findings, files } = readBundle(bundleOf('kube-proxy-1.26-ipvs'));
  const node = namespaces[0]!;

  it('are one node, named by uname', () => {
    expect(namespaces.map((n) => [n.node, n.name, n.kernel])).toEqual([['node1', '', '6.1.176']]);
  });

  it('say what was captured, and where it is', () => {
    expect(node.captured).toEqual({
      rules4: ['node1/iptables-legacy-save.txt'],
      sets: ['node1/ipset-save.txt', 'node1/ipset-list.txt'],
      links: ['node1/ip-addr.txt', 'node1/ip-link.txt', 'node1/ip-addr.json', 'node1/ip-link.json'],
      addresses: ['node1/ip-addr.txt', 'node1/ip-addr.json'],
      routes4: ['node1/ip-route.txt', 'node1/ip-route.json'],
      routes6: ['node1/ip-route.txt', 'node1/ip-route.json'],
      rules: ['node1/ip-rule.txt', 'node1/ip-rule.json'],
      neighbours: ['node1/ip-neigh.json'],
      fdb: ['node1/bridge-fdb.json'],
      sysctls: ['node1/sysctl.txt'],
      ipvs: ['node1/ipvsadm-list.txt', 'node1/ipvsadm-save.txt'],
      ipvsConnections: ['node1/ipvsadm-connections.txt'],
    });
    expect(node.routes[0]).toMatchObject({ text: 'default via 192.168.21.1 dev ens192', at: { file: 'node1/ip-route.txt', line: 1 } });
  });

  it('take the kind of a link from whichever listing tells it', () => {
    expect(node.links.map((l) => [l.name, l.kind, l.peerIndex, l.peerNamespace])).toEqual([
      ['lo', 'loopback', undefined, undefined],
      ['tunl0', 'ipip', undefined, undefined],
      ['ens192', 'veth', 3, 'world'],
      ['kube-ipvs0', 'dummy', undefined, undefined],
    ]);
    expect(node.links[2]!.at).toEqual({ file: 'node1/ip-addr.txt', line: 9 });
  });

  it('read tables, sets and settings without a complaint', () => {
    expect(serious(findings)).toEqual([]);
    expect(node.tables.map((t) => [t.backend, t.family, t.name]).toSorted((a, b) => a.join().localeCompare(b.join()))).toEqual(
      [
        ['legacy', 4, 'filter'],
        ['legacy', 4, 'mangle'],
        ['legacy', 4, 'nat'],
      ].filter(([, , name]) => node.tables.some((t) => t.name === name)),
    );
    expect(Object.keys(node.sets)).toContain('KUBE-CLUSTER-IP');
    expect(node.sysctls['net.ipv4.ip_forward']!.value).toBe('1');
  });

  it('name what is not read', () => {
    const unread = findings.filter((f) => f.code === 'not-read').map((f) => f.at.file);
    // a log is read, and this one tells nothing
    expect(unread).not.toContain('kube-proxy.log');
    expect(files.find((f) => f.path === 'kube-proxy.log')).toMatchObject({ kind: 'log', used: false });
    expect(files.find((f) => f.path === 'node1/iptables-legacy-save.txt')).toMatchObject({ kind: 'iptables-save', used: true });
  });
});

describe('folders', () => {
  const uname = (host: string): string => `Linux ${host} 6.1.0 #1 SMP x86_64 GNU/Linux\n`;
  const addr = '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536\n    link/loopback 00:00:00:00:00:00\n    inet 127.0.0.1/8 scope host lo\n';
  const names = (paths: readonly (readonly [string, string])[], options = {}): unknown =>
    readBundle(
      paths.map(([path, text]) => ({ path, text })),
      options,
    ).namespaces.map((n) => `${n.node}/${n.name}`);

  it('a folder of captures is a node, its subfolders are its namespaces', () => {
    expect(
      names([
        ['ip-addr.txt', addr],
        ['uname.txt', uname('w1')],
        ['pod-a/ip-addr.txt', addr],
        ['namespaces/pod-b/ip-addr.txt', addr],
      ]),
    ).toEqual(['w1/', 'w1/pod-b', 'w1/pod-a']);
  });

  it('a folder without captures of its own holds nodes', () => {
    expect(
      names([
        ['README.md', 'x'],
        ['kube-proxy.log', 'I0101 00:00:00.0 x'],
        ['m/ip-addr.txt', addr],
        ['w/ip-addr.txt', addr],
        ['w/namespaces/p/ip-addr.txt', addr],
      ]),
    ).toEqual(['m/', 'w/', 'w/p']);
  });

  it('a single file is a node by its name, or by the name given', () => {
    expect(names([['dump/iptables-save.txt', '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n']])).toEqual(['dump/']);
    expect(names([['node7.txt', '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n']])).toEqual(['node7/']);
    expect(names([['node7.txt', '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n']], { node: 'gw' })).toEqual(['gw/']);
    expect(
      names(
        [
          ['ip-addr.txt', addr],
          ['ip-rule.txt', '0:\tfrom all lookup local\n'],
        ],
        { folder: 'worker' },
      ),
    ).toEqual(['worker/']);
  });

  it('a leading ./ is no folder', () => {
    expect(
      names([
        ['./m/uname.txt', 'x'],
        ['./m/ip-addr.txt', addr],
      ]),
    ).toEqual(['m/']);
    expect(
      names([
        ['./uname.txt', uname('n')],
        ['./namespaces/p/ip-addr.txt', addr],
      ]),
    ).toEqual(['n/', 'n/p']);
  });

  it('two nodes of one name are told apart by their folders', () => {
    expect(
      names([
        ['before/uname.txt', uname('n')],
        ['after/uname.txt', uname('n')],
      ]),
    ).toEqual(['n/', 'before/']);
  });

  it('nothing that is a capture is an error that says what to do', () => {
    expect(readBundle([{ path: 'README.md', text: 'hello' }]).findings).toMatchObject([{ severity: 'error', code: 'no-captures' }]);
    expect(readBundle([]).findings).toHaveLength(1);
  });
});

describe('a namespace', () => {
  const read = (...files: CaptureFile[]): ReturnType<typeof readNamespace> => readNamespace(files, 'node1', '');

  it('from JSON alone is the same as from text alone', () => {
    const all = ['ip-d-addr', 'ip-d-link', 'ip-route', 'ip-rule', 'ip6-rule', 'ip-neigh'];
    const strip = (r: ReturnType<typeof readNamespace>): unknown => {
      const { captured: _files, links, ...rest } = r.namespace;
      return plain({ ...rest, links: links.map(({ peerNamespace: _name, peerNamespaceId: _id, ...link }) => link) });
    };
    expect(strip(read(...all.map((f) => file(`${f}.json`))))).toEqual(strip(read(...all.map((f) => file(`${f}.txt`)))));
  });

  it('quotes the text where both are there, and takes from JSON what the text lacks', () => {
    const { namespace } = read(file('ip-addr.txt'), file('ip-d-addr.json'));
    const calia = namespace.links.find((l) => l.name === 'calia');
    expect(calia).toMatchObject({ kind: 'veth', peerNamespace: 'pod-a', peerNamespaceId: 0, at: { file: 'ip-addr.txt' } });
    expect(namespace.addresses.length).toBe(read(file('ip-addr.txt')).namespace.addresses.length);
  });

  it('knows each route once, from as many listings as there are', () => {
    const once = read(file('ip-route.txt')).namespace.routes.length;
    const { namespace, findings } = read(
      file('ip-route.json'),
      file('ip-route.txt'),
      file('ip-route-main.txt'),
      file('ip6-route-main.txt'),
      file('ip-route-100.txt'),
    );
    expect(namespace.routes.length).toBe(once);
    expect(new Set(namespace.routes.map((r) => r.at.file))).toEqual(new Set(['ip-route.txt']));
    expect(serious(findings)).toEqual([]);
  });

  it('says when only the main table was captured', () => {
    const { namespace, findings } = read(file('ip-route-main.txt'), file('ip6-route-main.txt'));
    expect(findings.filter((f) => f.code === 'main-table-only').map((f) => f.hint)).toEqual([
      'capture `ip route show table all`',
      'capture `ip -6 route show table all`',
    ]);
    expect(Object.keys(namespace.captured)).toEqual(['routes4', 'routes6']);
  });

  it('warns when a table was captured twice and differs, and keeps the first', () => {
    const other = { path: 'z-ip-route.txt', text: 'default via 10.0.0.1 dev eth0\n' };
    const { namespace, findings } = read(file('ip-route.txt'), other);
    expect(serious(findings)).toEqual(['routes-twice']);
    expect(namespace.routes.some((r) => r.at.file === other.path)).toBe(false);
  });

  it('takes the table of a route from the name of the file', () => {
    expect(new Set(read(file('ip-route-100.txt')).namespace.routes.map((r) => r.table))).toEqual(new Set(['100']));
  });

  it('prefers ipset save, and takes what it lacks from ipset list', () => {
    const { namespace } = read(file('ipset-list.txt'), file('ipset-save.txt'));
    expect(new Set(Object.values(namespace.sets).map((s) => s.at.file))).toEqual(new Set(['ipset-save.txt']));
    const cut = { path: 'ipset-save.txt', text: captured('tools/ipset-save.txt').replace('192.168.0.0/16\n', '192.168.0.0/99\n') };
    expect(read(file('ipset-list.txt'), cut).namespace.sets['h-net']!.at.file).toBe('ipset-list.txt');
  });

  it('an ipset that refused was not captured', () => {
    const { namespace, findings } = read({ path: 'ipset-save.txt', text: 'ipset v7.1: Kernel error received: Operation not permitted\n' });
    expect(namespace.captured).toEqual({});
    expect(serious(findings)).toEqual(['ipset-refused']);
  });

  it('prefers iptables-save, and reads iptables -S for the tables it lacks', () => {
    const save = file('iptables-legacy-save.txt');
    const both = read(file('iptables-S.txt'), file('iptables-t-nat-S.txt'), save);
    expect(new Set(both.namespace.tables.flatMap((t) => Object.values(t.chains).map((c) => c.at.file)))).toEqual(new Set([save.path]));
    expect(serious(both.findings)).toEqual([]);
    const lists = read(file('iptables-S.txt'), file('iptables-t-nat-S.txt')).namespace;
    const rules = (n: typeof lists): unknown =>
      Object.fromEntries(n.tables.map((t) => [t.name, Object.values(t.chains).map((c) => [c.name, c.base?.policy, c.rules.map((r) => r.text)])]));
    expect(rules(lists)).toEqual(rules(both.namespace));
    expect(lists.captured).toEqual({ rules4: ['iptables-S.txt', 'iptables-t-nat-S.txt'] });
  });

  it('knows the backend from the dump, the name, or iptables -V', () => {
    const backend = (...files: CaptureFile[]): unknown => read(...files).namespace.tables.map((t) => t.backend);
    const text = '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n';
    expect(backend({ path: 'iptables-save.txt', text })).toEqual(['unknown']);
    expect(backend({ path: 'iptables-legacy-save.txt', text })).toEqual(['legacy']);
    expect(backend({ path: 'iptables-save.txt', text }, file('iptables-version.txt'))).toEqual(['nft']);
    expect(backend({ path: 'iptables-save.txt', text }, { path: 'iptables-version.txt', text: 'iptables v1.6.1\n' })).toEqual(['legacy']);
    expect(backend({ path: 'iptables-save.txt', text: `# Generated by iptables-save v1.8.9 (nf_tables) on x\n${text}` })).toEqual(['nft']);
  });

  it('a dump of both families and both backends in one file is all of them', () => {
    const dump = (by: string): string => `# Generated by ${by} on x\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n`;
    const text = ['iptables-nft-save v1.8.9 (nf_tables)', 'ip6tables-nft-save v1.8.9 (nf_tables)', 'iptables-legacy-save v1.8.9'].map(dump).join('');
    const { namespace } = read({ path: 'all.txt', text });
    expect(namespace.tables.map((t) => [t.backend, t.family])).toEqual([
      ['nft', 4],
      ['nft', 6],
      ['legacy', 4],
    ]);
    expect(namespace.captured).toEqual({ rules4: ['all.txt'], rules6: ['all.txt'] });
  });

  it('warns when a table was dumped twice and differs, not when it is the same', () => {
    const text = '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n';
    const twice = (b: string): string[] => {
      const { namespace, findings } = read({ path: 'a/iptables-save.txt', text }, { path: 'b/iptables-save.txt', text: b });
      expect(namespace.tables.length).toBe(1); // rules are read when they are asked for
      return serious(findings);
    };
    expect(twice(text.replace('0:0', '5:600'))).toEqual([]);
    expect(twice(text.replace('ACCEPT', 'DROP'))).toEqual(['table-twice']);
  });

  it('an empty file says that there is nothing, or that the capture failed', () => {
    const { namespace, findings } = read({ path: 'conntrack.txt', text: '' }, { path: 'ip6-route.txt', text: '' }, { path: 'ip-addr.txt', text: '' });
    expect(namespace.captured).toEqual({ routes6: ['ip6-route.txt'], conntrack: ['conntrack.txt'] });
    expect(findings.map((f) => [f.severity, f.code, f.at.file])).toEqual([
      ['note', 'empty-file', 'conntrack.txt'],
      ['note', 'empty-file', 'ip6-route.txt'],
      ['warning', 'empty-file', 'ip-addr.txt'],
    ]);
  });

  it('a binary file is an error, a list of what is missing are notes', () => {
    const { findings } = read({ path: 'ip-route.txt', text: 'a\0b' }, { path: 'tool-missing.txt', text: 'ipset-save.txt: ipset save: not found\n' });
    expect(findings.map((f) => [f.severity, f.code])).toEqual([
      ['error', 'binary-file'],
      ['note', 'not-captured'],
    ]);
  });

  it('what iptables -L prints is refused, with what to capture instead', () => {
    const { namespace, findings } = read({
      path: 'rules.txt',
      text: 'Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination\n',
    });
    expect(namespace.captured).toEqual({});
    expect(findings).toMatchObject([{ severity: 'error', code: 'lossy-listing', hint: 'capture iptables-save, or iptables -S' }]);
  });

  it('sets and links named like what every object has are kept apart from it', () => {
    const { namespace } = read({ path: 'ipset-save.txt', text: 'create __proto__ hash:ip family inet\nadd __proto__ 10.0.0.1\n' });
    expect(Object.keys(namespace.sets)).toEqual(['__proto__']);
  });
});
