// What logs tell: the lines of field reports, those of a real kube-proxy, and the same in every form in which logs are passed on.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBundle } from '../../src/capture/bundle.ts';
import { factIn } from '../../src/capture/logfact.ts';
import { readLogs } from '../../src/capture/logs.ts';
import { recognise } from '../../src/capture/recognise.ts';
import { readScenarioWorld } from '../../src/capture/world.ts';
import type { LogEvidence } from '../../src/model/evidence.ts';
import { bundleOf, captured } from './captured.ts';

function evidenceIn(text: string, path = 'paste.log'): readonly LogEvidence[] {
  return readLogs([{ path, text }], { nodeOf: () => undefined, namespaces: [] }).evidence;
}

const reported = bundleOf('logs').filter((f) => f.path.endsWith('.log'));
const REFUSED = captured('kube-proxy-1.13-legacy-restore-failed/kube-proxy.log');
const REFUSED_NFT = captured('kube-proxy-1.13-nft-restore-failed/kube-proxy.log');

describe('the lines of field reports', () => {
  const read = (name: string): readonly LogEvidence[] => evidenceIn(captured(`logs/${name}`), `logs/${name}`);

  it('are logs by what they say', () => {
    for (const f of reported) expect(recognise(f.path, f.text).kind).toBe('log');
    for (const name of ['kube-proxy-sysctl.log', 'calico-node-updated.log'])
      expect(recognise('paste.txt', captured(`logs/${name}`)).kind).toBe('log');
  });

  it('a setting that the kernel does not have', () => {
    expect(read('kube-proxy-sysctl.log')).toEqual([
      {
        kind: 'sysctl-refused',
        key: 'net.ipv4.vs.conn_reuse_mode',
        needs: '4.1',
        why: 'kernel version must be at least 4.1',
        program: 'kube-proxy',
        count: 1,
        line: 'can’t set sysctl net/ipv4/vs/conn_reuse_mode, kernel version must be at least 4.1',
        at: { file: 'logs/kube-proxy-sysctl.log', line: 1 },
      },
    ]);
  });

  it('sets that are too new for an image', () => {
    expect(read('calico-node-3.20.0.log')).toMatchObject([
      { kind: 'set-revision', version: '7.1', type: 'hash:ip,port', revision: 6, program: 'calico-node', count: 1 },
    ]);
  });

  it('a ClusterRole without a right', () => {
    expect(read('calico-node-updated.log')).toMatchObject([
      {
        kind: 'not-authorised',
        who: 'system:serviceaccount:kube-system:calico-node',
        verb: 'list',
        resource: 'caliconodestatuses',
        group: 'crd.projectcalico.org',
        program: 'calico-node',
      },
    ]);
  });

  it('that have nothing to do with rules are nothing', () => {
    expect(read('calico-kube-controllers.log')).toEqual([]);
    expect(evidenceIn(captured('kube-proxy-1.26-ipvs/kube-proxy.log'))).toEqual([]);
  });
});

describe('a restore that was refused', () => {
  it('by iptables-legacy: the log of a real kube-proxy', () => {
    expect(evidenceIn(REFUSED)).toEqual([
      {
        kind: 'restore-refused',
        family: 4,
        version: '1.8.9',
        backend: 'legacy',
        inputLine: 68,
        missing: { what: 'target', name: 'KUBE-MARK-DROP' },
        why: "Couldn't load target `KUBE-MARK-DROP':No such file or directory",
        program: 'kube-proxy',
        count: 1,
        first: '1121 03:00:58.197390',
        last: '1121 03:00:58.197390',
        line: REFUSED.split('\n')[1]!.slice(0, 200),
        at: { file: 'paste.log', line: 2 },
      },
    ]);
  });

  it('by iptables-nft: the log of a real kube-proxy', () => {
    expect(evidenceIn(REFUSED_NFT)).toMatchObject([
      { kind: 'restore-refused', backend: 'nft', inputLine: 132, missing: { what: 'chain', name: 'KUBE-MARK-DROP' }, program: 'kube-proxy' },
    ]);
  });

  // what iptables-restore 1.8.9 of either backend prints for such an input
  const said: readonly [string, string, object][] = [
    [
      'a set',
      "iptables-restore v1.8.9 (legacy): Set NOSET doesn't exist.\n\nError occurred at line: 3\n",
      { backend: 'legacy', inputLine: 3, missing: { what: 'set', name: 'NOSET' } },
    ],
    [
      'a match',
      "iptables-nft-restore v1.8.9 (nf_tables): Couldn't load match `foo':No such file or directory\n\nError occurred at line: 2\n",
      { backend: 'nft', inputLine: 2, missing: { what: 'match', name: 'foo' } },
    ],
    ['a line', 'iptables-restore: line 51 failed\n', { inputLine: 51, why: 'line 51 failed' }],
    [
      'a line, with the reason',
      'ip6tables-nft-restore: line 2 failed: No chain/target/match by that name.\n',
      { family: 6, inputLine: 2, why: 'line 2 failed: No chain/target/match by that name' },
    ],
    [
      'what the kernel refuses',
      'iptables-nft-restore v1.8.9 (nf_tables): \nline 5: CHAIN_DEL failed (Device or resource busy): chain KUBE-B\n',
      { inputLine: 5, chain: 'KUBE-B', why: 'line 5: CHAIN_DEL failed (Device or resource busy): chain KUBE-B' },
    ],
    [
      'a rule that the kernel refuses',
      'iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n',
      { inputLine: 2, chain: 'INPUT' },
    ],
    [
      'an argument',
      "Bad argument `extra'\nError occurred at line: 2\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
      { inputLine: 2, why: "Bad argument `extra'" },
    ],
    [
      'an option',
      'iptables-restore v1.8.9 (legacy): unknown option "--xor-mark"\nError occurred at line: 11\n',
      { why: 'unknown option "--xor-mark"', inputLine: 11 },
    ],
    [
      'an old version',
      "iptables-restore v1.4.21: Set cali40x doesn't exist.\n\nError occurred at line: 9\n",
      { version: '1.4.21', missing: { what: 'set', name: 'cali40x' } },
    ],
  ];
  const wrapped: readonly [string, (said: string) => string][] = [
    ['klog', (s) => `E1121 03:00:58.1       1 proxier.go:1507] Failed to execute iptables-restore: exit status 2 (${s})\n`],
    [
      'klog with values',
      (s) => `E1121 03:00:58.1       1 proxier.go:1484] "Failed to execute iptables-restore" err=${JSON.stringify(`exit status 1 (${s})`)}\n`,
    ],
    [
      'klog over lines',
      (s) =>
        `E1121 03:00:58.1       1 proxier.go:1432] "Failed to execute iptables-restore" err=<\n${s.replace(/^(?=.)/gm, '\t').replace('\t', '\texit status 2: ')} >\n`,
    ],
    [
      'felix',
      (s) =>
        `2023-05-10 09:12:33.123 [WARNING][53] felix/table.go 978: Failed to execute ip(6)tables-restore command error=exit status 2 errorOutput=${JSON.stringify(s)} input="" output=""\n`,
    ],
  ];
  describe.each(wrapped)('in %s', (_form, wrap) => {
    it.each(said)('names %s', (_what, message, expected) => {
      const found = evidenceIn(wrap(message));
      expect(found).toMatchObject([{ kind: 'restore-refused', ...expected }]);
    });
  });

  it('with its input, as felix has it: the table and the rule', () => {
    const input = '*filter\n:cali-A - -\n-A cali-A -m set --match-set cali40x src -j ACCEPT\nCOMMIT\n';
    const error = "iptables-legacy-restore v1.8.4 (legacy): Set cali40x doesn't exist.\n\nError occurred at line: 3\n";
    const line = `2023-05-10 09:12:33.123 [WARNING][53] felix/table.go 978: Failed to execute ip(6)tables-restore command error=exit status 2 errorOutput=${JSON.stringify(error)} input=${JSON.stringify(input)} ipVersion=0x4 output="" table="filter"\n`;
    expect(evidenceIn(line)).toMatchObject([
      {
        program: 'felix',
        first: '2023-05-10 09:12:33.123',
        table: 'filter',
        inputLine: 3,
        input: '-A cali-A -m set --match-set cali40x src -j ACCEPT',
      },
    ]);
  });

  it('is not one that runs', () => {
    expect(evidenceIn('I1121 03:00:58.1 1 iptables.go:1] running iptables-restore [-w 5 --noflush --counters]\n')).toEqual([]);
  });
});

describe('a log that was passed on', () => {
  const lines = REFUSED_NFT.trimEnd().split('\n');
  const forms: readonly [string, (line: string, i: number) => string, object][] = [
    ['kubectl logs --prefix', (l) => `[pod/kube-proxy-x7k2p/kube-proxy] ${l}`, { program: 'kube-proxy', node: 'worker1' }],
    ['kubectl logs --timestamps', (l, i) => `2026-11-21T03:01:0${i}.100000000Z ${l}`, { first: '2026-11-21T03:01:01.100000000Z' }],
    ['the container runtime (CRI)', (l, i) => `2026-11-21T03:01:0${i}.1+08:00 stderr F ${l}`, { first: '2026-11-21T03:01:01.1+08:00' }],
    ['Docker', (l) => JSON.stringify({ log: `${l}\n`, stream: 'stderr', time: '2026-11-21T03:01:07.1Z' }), { first: '2026-11-21T03:01:07.1Z' }],
    ['journald', (l) => `Nov 21 03:01:07 worker1 kube-proxy[778]: ${l}`, { node: 'worker1', first: 'Nov 21 03:01:07' }],
    ['journald -o short-iso', (l) => `2026-11-21T03:01:07+0000 worker1 kube-proxy[778]: ${l}`, { node: 'worker1' }],
    ['Windows line ends', (l) => `${l}\r`, {}],
  ];
  const witness = {
    nodes: [],
    pods: [
      {
        namespace: 'kube-system',
        name: 'kube-proxy-x7k2p',
        addresses: [],
        node: 'worker1',
        hostNetwork: true,
        finished: false,
        at: { file: 'p', line: 1 },
      },
    ],
    services: [],
    endpoints: [],
    pools: [],
    leases: [],
    networks: [],
    subnetFiles: [],
  };

  it.each(forms)('by %s says the same', (_by, wrap, expected) => {
    const text = `${lines.map((l, i) => wrap(l, i)).join('\n')}\n`;
    expect(recognise('paste.txt', text).kind).toBe('log');
    const { evidence, files } = readLogs([{ path: 'paste.log', text }], { nodeOf: () => undefined, namespaces: [], witness });
    expect(evidence).toMatchObject([
      { kind: 'restore-refused', inputLine: 132, missing: { name: 'KUBE-MARK-DROP' }, program: 'kube-proxy', at: { line: 2 }, ...expected },
    ]);
    expect(files).toEqual([{ path: 'paste.log', kind: 'log', used: true, lines: lines.length }]);
  });

  it('together with that of others is taken apart', () => {
    const one = lines.map((l) => `Nov 21 03:01:07 worker1 kube-proxy[778]: ${l}`);
    const two = REFUSED.trimEnd()
      .split('\n')
      .map((l) => `Nov 21 03:01:07 worker2 kube-proxy[9]: ${l}`);
    const mixed = one.flatMap((l, i) => [l, ...(two[i] === undefined ? [] : [two[i]])]);
    expect(evidenceIn(mixed.join('\n'))).toMatchObject([
      { node: 'worker1', backend: 'nft', inputLine: 132, count: 1, at: { line: 3 } },
      { node: 'worker2', backend: 'legacy', inputLine: 68, count: 1, at: { line: 4 } },
    ]);
  });

  it('says the same again and again: told once, with its count and times', () => {
    const again = Array.from({ length: 50 }, (_, i) =>
      REFUSED_NFT.replaceAll('03:01:', `03:${10 + i}:`).replace('line: 132', `line: ${132 + i}`),
    ).join('');
    expect(evidenceIn(again)).toMatchObject([{ count: 50, inputLine: 132, first: '1121 03:10:07.307074', last: '1121 03:59:07.307074' }]);
  });

  it('large is searched fast', () => {
    const dull = 'I1121 03:00:58.197424   10070 proxier.go:1510] "Syncing iptables rules" ipFamily="IPv4" numServices=1200\n'.repeat(1000);
    const text = (dull + REFUSED).repeat(500); // 50 MB
    const begin = performance.now();
    expect(evidenceIn(text)).toMatchObject([{ count: 500, at: { line: 1002 } }]);
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});

describe('a message', () => {
  it.each<[string, object]>([
    [
      'E1 1 proxier.go:377] "Can\'t set sysctl, kernel version doesn\'t satisfy minimum version requirements" sysctl="net/ipv4/vs/conn_reuse_mode" minimumKernelVersion="4.1"',
      { kind: 'sysctl-refused', key: 'net.ipv4.vs.conn_reuse_mode', needs: '4.1' },
    ],
    [
      "W1 1 cni.go:1] can't set sysctl net/bridge/bridge-nf-call-iptables: open /proc/sys/net/bridge/bridge-nf-call-iptables: no such file or directory",
      { kind: 'sysctl-refused', key: 'net.bridge.bridge-nf-call-iptables', why: expect.stringContaining('no such file') },
    ],
    [
      'felix/ipsets.go 671: Bad return code from \'ipset list cali40this-host\'. error=exit status 1 family="inet" stderr="ipset v7.11: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.\\n"',
      { kind: 'set-revision', version: '7.11', type: 'hash:ip', revision: 6, set: 'cali40this-host' },
    ],
    [
      'ipset v6.20.1: Kernel and userspace incompatible: settype by userspace. with revision 379475280 not supported',
      { kind: 'set-revision', version: '6.20.1' },
    ],
    [
      'ipset v6.38: Kernel-library incompatibility: set KUBE-LOOP-BACK in kernel has got settype hash:ip,port,ip with family inet and revision 6 while ipset library does not support the settype with that family and revision.',
      { kind: 'set-revision', type: 'hash:ip,port,ip', revision: 6, set: 'KUBE-LOOP-BACK' },
    ],
    [
      'Failed to list *v1.Service: services is forbidden: User \\"system:node:worker2\\" cannot list resource \\"services\\" in API group \\"\\" at the cluster scope',
      { kind: 'not-authorised', who: 'system:node:worker2', verb: 'list', resource: 'services', group: '' },
    ],
    [
      'endpoints is forbidden: User "system:serviceaccount:kube-system:kube-proxy" cannot watch endpoints at the cluster scope',
      { kind: 'not-authorised', verb: 'watch', resource: 'endpoints' },
    ],
    [
      'Failed to ensure that nat chain KUBE-MARK-DROP exists: error creating chain "KUBE-MARK-DROP": exit status 3: iptables v1.8.4 (legacy): can\'t initialize iptables table `nat\': Permission denied',
      { kind: 'chain-not-made', table: 'nat', chain: 'KUBE-MARK-DROP', family: 4, why: expect.stringContaining('Permission denied') },
    ],
    [
      'Failed to ensure that filter chain INPUT jumps to KUBE-EXTERNAL-SERVICES: error checking rule: exit status 4: Another app is currently holding the xtables lock. Stopped waiting after 5s.',
      {
        kind: 'chain-not-made',
        table: 'filter',
        chain: 'KUBE-EXTERNAL-SERVICES',
        from: 'INPUT',
        why: 'Another app is currently holding the xtables lock. Stopped waiting after 5s',
      },
    ],
    [
      '"Failed to ensure chain exists" err="error creating chain \\"KUBE-EXTERNAL-SERVICES\\": exit status 3: modprobe: ERROR: could not insert \'ip_tables\': Exec format error\\niptables v1.8.7 (legacy): can\'t initialize\\n" table=filter chain=KUBE-EXTERNAL-SERVICES',
      {
        kind: 'chain-not-made',
        table: 'filter',
        chain: 'KUBE-EXTERNAL-SERVICES',
        why: "modprobe: ERROR: could not insert 'ip_tables': Exec format error",
      },
    ],
    [
      "\"Failed to ensure chain jumps\" err=<\n\terror checking rule: exit status 2: ip6tables v1.8.6 (nf_tables): Couldn't find match `conntrack'\n\t\n\tTry `ip6tables -h' or 'ip6tables --help' for more information.\n > table=filter srcChain=INPUT dstChain=KUBE-EXTERNAL-SERVICES",
      { kind: 'chain-not-made', table: 'filter', from: 'INPUT', chain: 'KUBE-EXTERNAL-SERVICES', family: 6 },
    ],
    [
      'Failed to execute iptables-restore: exit status 4 (Another app is currently holding the xtables lock. Perhaps you want to use the -w option?\n)',
      { kind: 'lock-held', why: 'Another app is currently holding the xtables lock. Perhaps you want to use the -w option?' },
    ],
    ["Fatal: can't open lock file /run/xtables.lock: Permission denied", { kind: 'lock-held' }],
  ])('%s', (message, fact) => {
    expect(factIn(message)).toMatchObject(fact);
  });

  it.each([
    'Another app is currently holding the xtables lock; still 4s 910000us time ahead to have a chance to grab the lock...',
    'MountVolume.SetUp succeeded for volume "xtables-lock" (path /run/xtables.lock)',
    'User "jane" cannot be found in API group "x"',
    'ipset v7.1, protocol version: 7',
    'failed to ensure that the project owner exists',
  ])('that tells nothing: %s', (message) => {
    expect(factIn(message)).toBeUndefined();
  });
});

describe('the node of a line', () => {
  const uname = (host: string): string => `Linux ${host} 6.1.0 #1 SMP x86_64 GNU/Linux\n`;
  const nodes = [
    { path: 'w1/uname.txt', text: uname('worker1') },
    { path: 'w2/uname.txt', text: uname('worker2') },
  ];
  const read = (...logs: { path: string; text: string }[]): readonly (string | undefined)[] | undefined =>
    readBundle([...nodes, ...logs]).evidence?.map((e) => e.node);

  it('is that of its folder, or of one below', () => {
    expect(read({ path: 'w2/kube-proxy.log', text: REFUSED }, { path: 'w1/logs/kube-proxy.log', text: REFUSED })?.toSorted()).toEqual([
      'worker1',
      'worker2',
    ]);
  });

  it('is open beside the nodes, unless the line tells', () => {
    expect(read({ path: 'kube-proxy.log', text: REFUSED })).toEqual([undefined]);
    const user = 'E1 services is forbidden: User "system:node:worker2" cannot list resource "services" in API group "" at the cluster scope\n';
    expect(read({ path: 'kubelet.log', text: user })).toEqual(['worker2']);
    expect(read({ path: 'journal.log', text: `Nov 21 03:01:07 elsewhere kubelet[1]: ${user}` })).toEqual(['elsewhere']);
    expect(read({ path: 'journal.log', text: `Nov 21 03:01:07 worker1.example.org kubelet[1]: ${user}` })).toEqual(['worker1']);
  });

  it('is told in a scenario, too', () => {
    const scenario = { title: 't', nodes: { a: { capture: 'w1' }, b: { capture: './w2/' } } };
    const files = [...nodes, { path: 'w2/pods/kube-proxy.log', text: REFUSED }, { path: 'w1/kube-proxy.log', text: REFUSED_NFT }];
    const { world, files: reports } = readScenarioWorld(scenario, files, () => ({ file: 's', line: 1 }));
    expect(world.evidence?.map((e) => [e.node, e.kind === 'restore-refused' && e.backend])).toEqual([
      ['b', 'legacy'],
      ['a', 'nft'],
    ]);
    expect(reports.filter((r) => r.kind === 'log').map((r) => r.used)).toEqual([true, true]);
    expect(world.findings.map((f) => f.code)).not.toContain('not-read');
  });
});

describe('ipset that refused to list', () => {
  const ERROR = captured('logs/calico-node-3.20.0.log');
  const node = (path: string, text: string): ReturnType<typeof readBundle> =>
    readBundle(
      [
        { path: 'ip-addr.txt', text: '' },
        { path, text },
      ],
      { node: 'n' },
    );

  it('is recognised by what it printed, whatever the file is called', () => {
    expect(recognise('paste', ERROR).kind).toBe('ipset-list');
    expect(recognise('ipset-save.txt', `# ipset save\n${ERROR}`).kind).toBe('ipset-list');
    expect(recognise('calico-node.log', ERROR).kind).toBe('log');
  });

  it.each([
    ['ipset-list.txt', ERROR, 1],
    ['ipset-save.txt', `[root@node1 ~]# ipset save\n${ERROR}command terminated with exit code 1\n`, 2],
    [
      'ipset.txt',
      'ipset v6.20.1: Kernel support protocol versions 6-7 while userspace supports protocol versions 6-6\nKernel and userspace incompatible: settype by userspace. with revision 1578235808 not supported\n',
      1,
    ],
    ['ipset.txt', 'ipset v6.38: Kernel error received: Operation not permitted\n', 1],
  ])('%s: the sets are not captured, and it says where', (path, text, line) => {
    const { namespaces, findings } = node(path, text);
    expect(namespaces[0]!.captured.sets).toBeUndefined();
    expect(namespaces[0]!.setsRefused).toEqual({ file: path, line });
    expect(findings.filter((f) => f.code === 'ipset-refused')[0]).toMatchObject({
      severity: 'error',
      at: { line },
      hint: expect.any(String) as string,
    });
  });

  it('in a capture of our own script, which keeps what went wrong', () => {
    const { namespaces, evidence } = node(
      'tool-missing.txt',
      `conntrack.txt: conntrack -L: not found\nipset-save.txt: ipset save: exit code 1: ${ERROR}`,
    );
    expect(namespaces[0]!.setsRefused).toEqual({ file: 'tool-missing.txt', line: 2 });
    expect(evidence).toMatchObject([{ kind: 'set-revision', type: 'hash:ip,port', node: 'n', at: { file: 'tool-missing.txt', line: 2 } }]);
  });

  it('does not matter where another file lists the sets', () => {
    const files = [
      { path: 'ipset-save.txt', text: ERROR },
      { path: 'ipset-list.txt', text: captured('tools/ipset-list.txt') },
    ];
    const [ns] = readBundle(files, { node: 'n' }).namespaces;
    expect(ns!.captured.sets).toEqual(['ipset-list.txt']);
    expect(ns!.setsRefused).toBeUndefined();
  });
});

describe('any log', () => {
  const texts = [...reported.map((f) => f.text), REFUSED, REFUSED_NFT];
  const prefixes = ['', '[pod/kube-proxy-a/kube-proxy] ', 'Nov 21 03:01:07 h kubelet[1]: ', '2026-11-21T03:01:07Z stderr F ', '{"log":"', '\t'];
  const piece = fc.tuple(fc.constantFrom(...texts), fc.nat(), fc.nat(), fc.constantFrom(...prefixes)).map(([text, from, length, prefix]) => {
    const start = from % (text.length + 1);
    return text
      .slice(start, start + (length % 400))
      .split('\n')
      .map((l) => prefix + l)
      .join('\n');
  });

  it('is read, and each piece of evidence has its line', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 60 }), fc.constant('\n')), { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        const lines = text.split('\n');
        for (const e of evidenceIn(text)) {
          expect(e.count).toBeGreaterThan(0);
          expect(lines[e.at.line - 1]!.startsWith(e.line)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('tells the same when unrelated lines of the same program stand around it', () => {
    const dull = fc.constantFrom(
      'I1121 03:00:58.1       1 config.go:1] "Calling handler.OnServiceUpdate"\n',
      'W1121 03:00:58.1       1 server.go:1] iptables version 1.8.9 (legacy)\n',
    );
    const around = fc.array(dull, { maxLength: 5 }).map((l) => l.join(''));
    fc.assert(
      fc.property(around, around, fc.constantFrom(REFUSED, REFUSED_NFT), (before, after, text) => {
        const shift = before.split('\n').length - 1;
        const [alone] = evidenceIn(text);
        expect(evidenceIn(before + text + after)).toEqual([{ ...alone, at: { ...alone!.at, line: alone!.at.line + shift } }]);
      }),
    );
  });
});
