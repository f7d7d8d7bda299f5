// IPVS as its tools list it. The captures of test/captures/tools are all of one kernel (make-ipvs.sh).
import { describe, expect, it } from 'vitest';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Finding } from '../../src/model/finding.ts';
import type { Ipvs, IpvsConnection, RealServer, VirtualServer } from '../../src/model/ipvs.ts';
import { formatEndpoint } from '../../src/net/addr.ts';
import { formatProtocol } from '../../src/net/proto.ts';
import { bundleOf, captured, plain } from './captured.ts';

interface Reading {
  readonly ipvs: Ipvs | undefined;
  readonly findings: readonly Finding[];
  readonly captured: Readonly<Record<string, readonly string[] | undefined>>;
}

function read(files: Readonly<Record<string, string>>): Reading {
  const { namespace, findings } = readNamespace(
    Object.entries(files).map(([path, text]) => ({ path, text })),
    'n',
    '',
  );
  return { ipvs: namespace.ipvs, findings, captured: namespace.captured };
}

function tools(...names: readonly string[]): Reading {
  return read(Object.fromEntries(names.map((n) => [`${n}.txt`, captured(`tools/${n}.txt`)])));
}

/** `tcp 10.96.0.1:443`, `fwmark 5` */
function nameOf(s: VirtualServer): string {
  return s.mark !== undefined ? `fwmark ${s.mark} IPv${s.family}` : `${formatProtocol(s.proto!)} ${formatEndpoint(s.addr!, s.port)}`;
}

function serverName(s: RealServer): string {
  return formatEndpoint(s.addr, s.port);
}

function service(ipvs: Ipvs | undefined, name: string): VirtualServer {
  const found = ipvs?.services.find((s) => nameOf(s) === name);
  if (!found) throw new Error(`no ${name} among ${ipvs?.services.map(nameOf).join(', ')}`);
  return found;
}

/** The services by name, with their servers by name: nothing of the order is left. */
function unordered(services: readonly VirtualServer[]): unknown {
  return Object.fromEntries(
    services.map((s) => [
      nameOf(s),
      { ...plain({ ...s, inKernelOrder: undefined }), servers: Object.fromEntries(s.servers.map((r) => [serverName(r), plain(r)])) },
    ]),
  );
}

const LISTINGS = [
  'Sn',
  'Ln',
  'Ln-nosort',
  'Ln-stats',
  'Ln-stats-exact',
  'Ln-rate',
  'Ln-thresholds',
  'Ln-persistent-conn',
  'Ln-tun-info',
  'Ln-timeout',
];
const whole = tools(
  ...LISTINGS.map((l) => `ipvsadm-${l}`),
  'proc-net-ip_vs',
  'proc-net-ip_vs_stats',
  'proc-net-ip_vs_stats_percpu',
  'proc-net-ip_vs_app',
);
const all = whole.ipvs!.services;

describe('all listings of one kernel', () => {
  it('agree, and nothing of them is left unread', () => {
    expect(whole.findings).toEqual([]);
    expect(all.map((s) => s.text)).toEqual(captured('tools/ipvsadm-Sn.txt').match(/^-A.*\S/gm));
    expect(whole.captured['ipvs']).toHaveLength(10); // timeouts, statistics and helpers show no virtual server
    expect(whole.captured['ipvsConnections']).toBeUndefined();
  });

  const noCounts = { active: undefined, inactive: undefined };
  const noThresholds = { upper: 0, lower: 0 };
  const without = (s: VirtualServer, of: Partial<Record<keyof RealServer, unknown>>): VirtualServer => ({
    ...s,
    servers: s.servers.map((r) => ({ ...r, ...of }) as RealServer),
  });

  it.each<[string, (s: VirtualServer) => VirtualServer]>([
    ['ipvsadm-Sn', (s) => without(s, { ...noCounts, ...noThresholds })],
    ['ipvsadm-Ln', (s) => without(s, { tunnel: undefined, ...noThresholds })],
    ['ipvsadm-Ln-nosort', (s) => without(s, { tunnel: undefined, ...noThresholds })],
    ['ipvsadm-Ln-tun-info', (s) => without(s, noThresholds)],
    [
      'proc-net-ip_vs',
      ({ engine: _engine, schedulerFlags: _flags, ...s }) => ({
        ...without(s, { tunnel: undefined, ...noThresholds }),
        ...(!/^[sm]h$/.test(s.scheduler) && { schedulerFlags: [] }),
        onePacket: s.onePacket && s.family === 4,
        ...(s.mark === 8 && { family: 4 as const }), // without a server and a mask nothing tells
        ...(s.persistence && { persistence: { length: s.persistence.length } }),
      }),
    ],
  ])('%s shows what they show together, as far as it goes', (file, shown) => {
    expect(unordered(tools(file).ipvs!.services)).toEqual(unordered(all.map(shown)));
  });

  it('complete each other: thresholds are shown by their own listing', () => {
    const { ipvs, findings } = tools('ipvsadm-Sn', 'ipvsadm-Ln-thresholds');
    expect(findings).toEqual([]);
    expect(unordered(ipvs!.services)).toEqual(unordered(all));
  });

  it('say what none of them shows', () => {
    const notes = (file: string): string[] => tools(file).findings.map((f) => `${f.severity} ${f.code} ${f.message}`);
    expect(notes('ipvsadm-Sn')).toEqual([]);
    expect(notes('ipvsadm-Ln-tun-info')).toEqual([]);
    expect(notes('ipvsadm-Ln')).toEqual(['note partial-listing no listing shows the type of tunnel']);
    expect(notes('proc-net-ip_vs')).toEqual([
      'warning unknown-family nothing shows whether this firewall mark is for IPv4 or for IPv6; it is taken to be for IPv4',
      expect.stringMatching(/^warning partial-listing no listing shows .*the time of persistence in seconds.*the scheduler flags of sh/),
    ]);
  });

  it.each(['ipvsadm-Ln-stats', 'ipvsadm-Ln-rate', 'ipvsadm-Ln-thresholds', 'ipvsadm-Ln-persistent-conn'])('%s alone is not enough', (file) => {
    const { ipvs, findings, captured: kinds } = tools(file);
    expect(ipvs).toBeUndefined();
    expect(kinds['ipvs']).toBeUndefined();
    expect(findings).toMatchObject([{ severity: 'error', code: 'partial-listing', hint: expect.stringContaining('ipvsadm -Sn') as string }]);
  });

  it('ipvsadm -Ln -t shows one virtual server and says that there may be others', () => {
    const { ipvs, findings } = tools('ipvsadm-Ln-t');
    expect(ipvs?.services.map(nameOf)).toEqual(['tcp 10.96.0.32:443']);
    expect(findings).toContainEqual(
      expect.objectContaining({ severity: 'note', code: 'partial-listing', at: { file: 'ipvsadm-Ln-t.txt', line: 1 } }),
    );
    expect(tools('ipvsadm-Sn', 'ipvsadm-Ln-t').findings.filter((f) => f.severity !== 'note')).toEqual([]);
  });
});

describe('the order of real servers', () => {
  // newest first: ip_vs_add_dest() puts them at the head
  const added = ['192.168.0.2:8080', '10.1.0.9:8080', '10.1.0.10:8080', '172.16.0.1:80', '10.1.0.10:80'].toReversed();
  const order = (r: Reading): (readonly [readonly string[], boolean])[] =>
    [4, 16].map((n) => service(r.ipvs, `tcp 10.96.0.${n}:80`)).map((s) => [s.servers.map(serverName), s.inKernelOrder]);

  it.each(['proc-net-ip_vs', 'ipvsadm-Ln-nosort'])("is the kernel's in %s", (file) => {
    expect(order(tools(file))).toEqual([
      [added, true],
      [added, true],
    ]);
    expect(tools(file).ipvs?.services.filter((s) => !s.inKernelOrder)).toEqual([]);
  });

  // libipvs compares by subtracting into an int
  it.each(['ipvsadm-Sn', 'ipvsadm-Ln', 'ipvsadm-Ln-tun-info'])('is sorted in %s, 192.168 before 10, and then nobody knows it', (file) => {
    const sorted = ['172.16.0.1:80', '192.168.0.2:8080', '10.1.0.9:8080', '10.1.0.10:80', '10.1.0.10:8080'];
    expect(order(tools(file))).toEqual([
      [sorted, false],
      [sorted, false],
    ]);
  });

  it('is taken from the listing that has it', () => {
    expect(order(whole)[0]).toEqual([added, true]);
    expect(order(tools('ipvsadm-Sn', 'proc-net-ip_vs'))[1]).toEqual([added, true]);
  });

  it('is known where there is one server or none', () => {
    const { ipvs } = tools('ipvsadm-Sn');
    expect(service(ipvs, 'tcp 10.96.0.1:21').inKernelOrder).toBe(true);
    expect(service(ipvs, 'tcp 10.96.0.30:1').inKernelOrder).toBe(true);
  });

  it('is not known where a server could not be read', () => {
    expect(service(tools('ipvsadm-S').ipvs, 'tcp 10.96.0.33:443')).toMatchObject({ inKernelOrder: false, servers: [{ port: 8080 }] });
    expect(service(tools('ipvsadm-S', 'proc-net-ip_vs').ipvs, 'tcp 10.96.0.33:443').inKernelOrder).toBe(true);
  });

  it('of -A and -a lines that no ipvsadm -S sorted may be anything: somebody wrote them', () => {
    const text = '-A -t 10.0.0.1:80 -s sh\n-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m\n';
    expect(read({ 'ipvsadm.txt': text }).ipvs?.services.map((s) => s.inKernelOrder)).toEqual([false]);
  });
});

describe('a virtual server', () => {
  const flags = (n: number): VirtualServer => service(whole.ipvs, `tcp 10.96.0.30:${n}`);

  it('has its scheduler and the flags of it', () => {
    const schedulers = all.filter((s) => s.port === 80).map((s) => s.scheduler);
    expect(schedulers).toEqual(['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'sed', 'nq', 'fo', 'ovf', 'mh']);
    expect([1, 2, 3, 4, 5, 6].map((n) => [flags(n).scheduler, flags(n).schedulerFlags])).toEqual([
      ['sh', [1]],
      ['sh', [2]],
      ['sh', [1, 2]],
      ['sh', [3]],
      ['mh', [1, 2]],
      ['rr', [1, 2, 3]],
    ]);
    expect(all.filter((s) => s.onePacket).map(nameOf)).toEqual(['fwmark 4294967295 IPv4', 'udp 10.96.0.30:7', 'udp [2001:db8::3]:7']);
  });

  it('has its persistence, mask and engine', () => {
    expect(all.filter((s) => s.persistence).map((s) => [nameOf(s), s.persistence, s.engine])).toEqual([
      ['tcp 10.96.0.2:81', { seconds: 600, length: 32 }, undefined],
      ['tcp 10.96.0.2:443', { seconds: 10800, length: 24 }, undefined],
      ['tcp 10.96.0.31:0', { seconds: 100, length: 32 }, undefined],
      ['tcp 10.96.0.31:1', { seconds: 360, length: 32 }, undefined],
      ['tcp 10.96.0.31:2', { seconds: 10800, length: 20 }, undefined],
      ['udp 10.96.0.31:5060', { seconds: 360, length: 32 }, 'sip'],
      ['tcp [2001:db8::1]:443', { seconds: 300, length: 128 }, undefined],
      ['tcp [2001:db8::3]:2', { seconds: 10800, length: 128 }, undefined],
      ['tcp [2001:db8::3]:3', { seconds: 10800, length: 56 }, undefined],
      ['fwmark 5 IPv4', { seconds: 300, length: 32 }, undefined],
      ['fwmark 5 IPv6', { seconds: 300, length: 64 }, undefined],
      ['fwmark 7 IPv4', { seconds: 300, length: 24 }, undefined],
      ['fwmark 7 IPv6', { seconds: 300, length: 64 }, undefined],
    ]);
  });

  it('has its servers with their forwarding methods, tunnels, weights and thresholds', () => {
    const { servers } = service(whole.ipvs, 'tcp 10.96.0.32:443');
    const shown = servers.map((s) => [serverName(s), s.forwarding, s.tunnel, s.weight, s.upper, s.lower]);
    expect(shown.toReversed()).toEqual([
      ['10.1.0.21:443', 'direct', undefined, 3, 0, 0],
      ['10.1.0.22:443', 'tunnel', { type: 'ipip', checksum: 'none' }, 0, 0, 0],
      ['10.1.0.23:443', 'tunnel', { type: 'gue', checksum: 'none', port: 6080 }, 1, 0, 0],
      ['10.1.0.24:443', 'tunnel', { type: 'gue', checksum: 'checksum', port: 6081 }, 1, 0, 0],
      ['10.1.0.25:443', 'tunnel', { type: 'gue', checksum: 'remote', port: 6082 }, 1, 0, 0],
      ['10.1.0.26:443', 'tunnel', { type: 'gre', checksum: 'none' }, 1, 0, 0],
      ['10.1.0.27:443', 'tunnel', { type: 'gre', checksum: 'checksum' }, 65535, 0, 0],
      ['10.96.0.1:8443', 'masq', undefined, 1, 500, 400],
      ['[2001:db8:b::9]:443', 'tunnel', { type: 'ipip', checksum: 'none' }, 1, 7, 0],
    ]);
    const used = service(whole.ipvs, 'tcp 10.96.0.1:443').servers;
    expect(used.map((s) => [s.active, s.inactive])).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  it('stands where its first listing has it', () => {
    const { ipvs } = tools('ipvsadm-Sn', 'ipvsadm-Ln', 'proc-net-ip_vs');
    const { text, at, servers } = service(ipvs, 'tcp 10.96.0.2:443');
    expect({ text, file: at.file }).toEqual({ text: '-A -t 10.96.0.2:443 -s rr -p 10800 -M 255.255.255.0', file: 'ipvsadm-Sn.txt' });
    expect(captured('tools/ipvsadm-Sn.txt').split('\n')[servers[0]!.at.line - 1]).toBe(servers[0]!.text);
  });
});

describe('connection entries', () => {
  const listed = tools('ipvsadm-Lnc');
  const shown = (list: readonly IpvsConnection[] | undefined): unknown => plain(list?.map((c) => ({ ...c, expires: undefined })));

  it.each(['ipvsadm-Lnc-persistent-conn', 'proc-net-ip_vs_conn', 'proc-net-ip_vs_conn_sync'])('are the same in %s', (file) => {
    const other = tools(file);
    expect(other.findings).toEqual([]);
    expect(shown(other.ipvs?.connections)).toEqual(shown(listed.ipvs?.connections));
    expect(other.captured).toEqual({ ipvsConnections: [`${file}.txt`] });
    for (const [i, c] of other.ipvs!.connections!.entries()) expect(Math.abs(c.expires! - listed.ipvs!.connections![i]!.expires!)).toBeLessThan(3);
  });

  it('in two listings are one', () => {
    const { ipvs, findings } = tools('ipvsadm-Lnc', 'proc-net-ip_vs_conn');
    expect(findings).toEqual([]);
    expect(ipvs?.connections).toHaveLength(25);
  });

  it('have their ends, state and time', () => {
    const of = (port: number): IpvsConnection => listed.ipvs!.connections!.find((c) => c.client.port === port)!;
    const end = ({ addr, port }: IpvsConnection['client']): string => formatEndpoint(addr, port);
    const told = (c: IpvsConnection): unknown[] => [formatProtocol(c.proto), c.state, c.template, end(c.client), end(c.virtual), end(c.server)];
    expect([40001, 40003, 40005, 40006, 40007, 40008, 40015, 40017].map(of).map(told)).toEqual([
      ['tcp', 'ESTABLISHED', false, '10.0.0.2:40001', '10.96.0.1:443', '10.1.0.1:6443'],
      ['tcp', 'ESTABLISHED', false, '[2001:db8:a::2]:40003', '[2001:db8::1]:443', '[2001:db8:b::1]:6443'],
      ['tcp', 'TIME_WAIT', false, '10.0.0.2:40005', '10.96.0.1:443', '10.1.0.2:6443'],
      ['tcp', 'CLOSE', false, '10.0.0.2:40006', '10.96.0.1:443', '10.1.0.1:6443'],
      ['tcp', 'FIN_WAIT', false, '10.0.0.2:40007', '10.96.0.1:443', '10.1.0.2:6443'],
      ['tcp', 'SYN_RECV', false, '10.0.0.2:40008', '10.96.0.1:81', '10.1.0.1:81'],
      ['sctp', 'ESTABLISHED', false, '10.0.0.2:40015', '10.96.0.1:9999', '10.1.0.1:9999'],
      ['udp', 'UDP', false, '[2001:db8:a::2]:40017', '[2001:db8::1]:53', '[2001:db8:b::2]:53'],
    ]);
    expect(of(40001).expires).toBeGreaterThan(880);
    expect(
      listed
        .ipvs!.connections!.filter((c) => c.client.port === 0)
        .map(told)
        .toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
    ).toEqual([
      ['ip', 'ASSURED', true, '10.0.0.2:0', '0.0.0.5:0', '10.1.0.1:0'],
      ['ip', 'ASSURED', true, '[2001:db8:a::]:0', '[0:5::]:0', '[2001:db8:b::1]:0'],
      ['tcp', 'ASSURED', true, '10.0.0.0:0', '10.96.0.2:443', '10.1.0.1:6443'],
      ['tcp', 'ASSURED', true, '[2001:db8:a::2]:0', '[2001:db8::1]:443', '[2001:db8:b::1]:6443'],
      ['tcp', 'LISTEN', false, '10.0.0.2:0', '10.96.0.1:51210', '10.1.0.1:51210'], // of FTP, whose client's port is not known yet
      ['tcp', 'NONE', true, '10.0.0.2:0', '10.96.0.2:81', '10.1.0.2:81'],
      ['udp', 'ASSURED', true, '10.0.0.2:0', '10.96.0.31:5060', '10.1.0.1:5060'],
    ]);
  });

  it('alone tell nothing of virtual servers', () => {
    expect(listed.captured).toEqual({ ipvsConnections: ['ipvsadm-Lnc.txt'] });
    expect(listed.ipvs?.services).toEqual([]);
  });
});

describe('names instead of numbers', () => {
  const { ipvs, findings } = tools('ipvsadm-S');

  it('of ports are resolved where they are known', () => {
    expect(service(ipvs, 'tcp 10.96.0.33:443').servers.map(serverName)).toEqual(['10.1.0.1:8080']);
    expect(findings.filter((f) => f.code === 'unknown-port').map((f) => f.message)).toContain("'sip' is not a port that is known");
  });

  it('of hosts are findings with their place; the server is left out, the rest stays', () => {
    const line = captured('tools/ipvsadm-S.txt')
      .split('\n')
      .findIndex((l) => l.includes('-t 10.96.0.33:https -r web3'));
    expect(findings).toContainEqual({
      severity: 'error',
      code: 'host-name',
      message: "'web3.example' is a name, not an address",
      at: { file: 'ipvsadm-S.txt', line: line + 1, column: 27, length: 'web3.example:http-alt'.length },
      line: '-a -t 10.96.0.33:https -r web3.example:http-alt -m -w 1',
      hint: 'capture with -n',
    });
    expect(findings.map((f) => f.code)).not.toContain('no-such-service');
  });

  it('are completed by a listing with numbers, without a contradiction', () => {
    for (const file of ['ipvsadm-S', 'ipvsadm-L']) {
      const both = tools('ipvsadm-Sn', file);
      expect(new Set(both.findings.map((f) => f.code))).toEqual(new Set(['host-name', 'unknown-port']));
      expect(unordered(both.ipvs!.services.map((s) => ({ ...s, servers: [] })))).toEqual(unordered(all.map((s) => ({ ...s, servers: [] }))));
    }
    expect(tools('ipvsadm-Lc').findings.map((f) => f.code)).toContain('unknown-port');
  });
});

describe('the node of a real kube-proxy in IPVS mode', () => {
  const { namespace, findings } = readNamespace(
    bundleOf('kube-proxy-1.26-ipvs').filter((f) => f.path.startsWith('node1/ipvsadm')),
    'node1',
    '',
  );

  it('has its services', () => {
    expect(findings).toEqual([]);
    expect(namespace.ipvs?.services).toHaveLength(16);
    expect(namespace.ipvs?.connections).toEqual([]);
    expect(service(namespace.ipvs, 'tcp 10.96.10.3:80').persistence).toEqual({ seconds: 10800, length: 32 });
    expect(service(namespace.ipvs, 'tcp 10.96.10.4:80').servers).toEqual([]);
    expect(service(namespace.ipvs, 'sctp 10.96.10.7:9999').servers.map(serverName)).toEqual(['10.244.1.9:9999']);
    expect(service(namespace.ipvs, 'tcp 10.96.10.1:80')).toMatchObject({ scheduler: 'rr', inKernelOrder: false, onePacket: false });
  });
});

describe('listings that contradict each other', () => {
  const messages = (files: Readonly<Record<string, string>>): string[] =>
    read(files).findings.map((f) => `${f.code} ${f.at.file}:${f.at.line} ${f.message}`);

  it('are findings, and the first one counts', () => {
    const files = {
      'ipvsadm-Sn.txt': '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n',
      'ipvsadm-Ln.txt':
        'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n' +
        '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\nTCP  10.0.0.1:80 sh (sh-port) persistent 60\n' +
        '  -> 10.1.0.1:80                  Masq    5      0          0         \n  -> 10.1.0.2:80                  Route   1      0          0         \n' +
        'TCP  10.0.0.2:80 rr\n',
    };
    expect(messages(files)).toEqual([
      'ipvs-twice ipvsadm-Sn.txt:1 tcp 10.0.0.2:80 is not here, but in ipvsadm-Ln.txt:7',
      'ipvs-twice ipvsadm-Sn.txt:1 the real server 10.1.0.2:80 is not here, but in ipvsadm-Ln.txt:6',
      'ipvs-twice ipvsadm-Ln.txt:4 the scheduler is "sh" here and "rr" in ipvsadm-Sn.txt:1, which counts',
      'ipvs-twice ipvsadm-Ln.txt:4 the list of scheduler flags is [2] here and [] in ipvsadm-Sn.txt:1, which counts',
      'ipvs-twice ipvsadm-Ln.txt:4 persistence is true here and false in ipvsadm-Sn.txt:1, which counts',
      'ipvs-twice ipvsadm-Ln.txt:5 the weight is 5 here and 1 in ipvsadm-Sn.txt:2, which counts',
    ]);
    const { ipvs } = read(files);
    expect(ipvs?.services.map((s) => [nameOf(s), s.scheduler, s.persistence, s.servers.map((r) => [serverName(r), r.weight])])).toEqual([
      [
        'tcp 10.0.0.1:80',
        'rr',
        undefined,
        [
          ['10.1.0.1:80', 1],
          ['10.1.0.2:80', 1],
        ],
      ],
      ['tcp 10.0.0.2:80', 'rr', undefined, []],
    ]);
  });

  it('are not those of a local server, which ipvsadm -S prints as -g', () => {
    const files = {
      'ipvsadm-Sn.txt': '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.1:80 -g -w 1\n',
      'ipvsadm-Ln.txt':
        'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\nTCP  10.0.0.1:80 rr\n  -> 10.0.0.1:80                  Local   1      0          0         \n',
    };
    expect(messages(files)).toEqual([]);
    expect(read(files).ipvs?.services[0]?.servers[0]?.forwarding).toBe('local');
  });

  it('an empty one says that there is none', () => {
    expect(messages({ 'ipvsadm-Sn.txt': '', 'ipvsadm-Ln.txt': captured('kube-proxy-1.26-ipvs/node1/ipvsadm-list.txt') })).toEqual([
      expect.stringMatching(/^ipvs-twice ipvsadm-Sn.txt:1 .* and 15 more are not here, but in ipvsadm-Ln.txt:4/),
      expect.stringMatching(/^empty-file/),
    ]);
  });
});

describe('no virtual servers', () => {
  it.each([
    ['ipvsadm-save.txt', '', { ipvs: ['ipvsadm-save.txt'] }],
    ['ipvsadm-list.txt', 'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n', { ipvs: ['ipvsadm-list.txt'] }],
    ['proc-net-ip_vs.txt', '', { ipvs: ['proc-net-ip_vs.txt'] }],
    ['ipvsadm-connections.txt', '', { ipvsConnections: ['ipvsadm-connections.txt'] }],
    [
      'proc-net-ip_vs_conn.txt',
      'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n',
      { ipvsConnections: ['proc-net-ip_vs_conn.txt'] },
    ],
    [
      'paste',
      "Can't initialize ipvs: Protocol not available\nAre you sure that IP Virtual Server is built in the kernel or as module?\n",
      { ipvs: ['paste'], ipvsConnections: ['paste'] },
    ],
    ['paste', 'cat: /proc/net/ip_vs: No such file or directory\n', { ipvs: ['paste'], ipvsConnections: ['paste'] }],
  ])('says %s: %j', (path, text, kinds) => {
    const { ipvs, findings, captured: shown } = read({ [path]: text });
    expect(ipvs?.services).toEqual([]);
    expect(shown).toEqual(kinds);
    expect(findings.filter((f) => f.severity !== 'note')).toEqual([]);
  });

  it('is not what a failure says', () => {
    const { ipvs, findings } = read({ 'ipvsadm-save.txt': "Can't initialize ipvs: Permission denied (you must be root)\n" });
    expect(ipvs).toBeUndefined();
    expect(findings).toMatchObject([{ severity: 'error', code: 'unreadable-ipvsadm', at: { line: 1 } }]);
  });
});

const LIST =
  'IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n';
const PROC = LIST.replace('Port           Forward', 'Port Forward');
const CONNECTIONS = 'IPVS connection entries\npro expire state       source             virtual            destination\n';

// [what, text, the finding as 'severity code line:column', what is left: services with the ports of their servers, or connections]
const BAD: readonly (readonly [string, string, readonly string[], string])[] = [
  [
    'a service of an unknown kind',
    '-A --dccp-service 10.0.0.1:80 -s rr\n-a --dccp-service 10.0.0.1:80 -r 10.1.0.1:1 -m\n-A -t 10.0.0.2:80 -s rr\n',
    ['error unknown-service 1:4'],
    '10.0.0.2:80',
  ],
  [
    'a service that ipvsadm itself does not know',
    `${LIST}?    10.0.0.1:80 rr\n  -> 10.1.0.1:1 Masq 1 0 0\nTCP  10.0.0.2:80 rr\n`,
    ['error unknown-service 4:1'],
    '10.0.0.2:80',
  ],
  [
    'a kind of service of tomorrow',
    `${LIST}QUIC 10.0.0.1:80 rr\n  -> 10.1.0.1:1 Masq 1 0 0\nTCP  10.0.0.2:80 rr\n`,
    ['error unknown-service 4:1'],
    '10.0.0.2:80',
  ],
  ['an unknown option and its value', '-A -t 10.0.0.1:80 --colour red -s sh\n', ['error unknown-option 1:19'], '10.0.0.1:80'],
  ['an unknown scheduler flag', '-A -t 10.0.0.1:80 -s sh -b sh-port,sh-colour\n', ['error unknown-flag 1:36'], '10.0.0.1:80'],
  ['an unknown flag in a list', `${LIST}TCP  10.0.0.1:80 sh (sh-port) blue persistent 60\n`, ['error unknown-flag 4:31'], '10.0.0.1:80'],
  [
    'an unknown forwarding method',
    `${LIST}TCP  10.0.0.1:80 rr\n  -> 10.1.0.1:1 Teleport 1 0 0\n  -> 10.1.0.2:2 Masq 1 0 0\n`,
    ['error unknown-forwarding 5:17'],
    '10.0.0.1:80 2',
  ],
  [
    'an unknown tunnel',
    '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -i --tun-type vxlan\n',
    ['error unknown-tunnel 2:48'],
    '10.0.0.1:80',
  ],
  ['a server line without its service', `${LIST}  -> 10.1.0.1:1 Masq 1 0 0\nTCP  10.0.0.1:80 rr\n`, ['error no-such-service 4:6'], '10.0.0.1:80'],
  [
    'a server of a service that is not there',
    '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.9:80 -r 10.1.0.1:80 -m\n',
    ['error no-such-service 2:4'],
    '10.0.0.1:80',
  ],
  [
    'a bracket that does not close',
    '-A -t [2001:db8::1:443 -s rr\n-a -t [2001:db8::1:443 -r [2001:db8::2]:443 -m\n-A -t 10.0.0.1:80 -s rr\n',
    ['error bad-address 1:7'],
    '10.0.0.1:80',
  ],
  ['an IPv6 address without brackets', `${LIST}TCP  2001:db8::1:443 rr\nTCP  [2001:db8::2]:443 rr\n`, ['error bad-address 4:6'], '[2001:db8::2]:443'],
  [
    'brackets around something else',
    `${LIST}TCP  [2001:db8::zz]:443 rr\nTCP  [10.0.0.1]:443 rr\nTCP  [2001:db8::2]:443 rr\n`,
    ['error bad-address 4:6', 'error bad-address 5:6'],
    '[2001:db8::2]:443',
  ],
  [
    'a host name',
    '-A -t web.example:80 -s rr\n-a -t web.example:80 -r 10.1.0.1:80 -m\n-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r db.example:80 -m\n-a -t 10.0.0.1:80 -r 10.1.0.2:2 -m\n',
    ['error host-name 1:7', 'error host-name 4:22'],
    '10.0.0.1:80 2',
  ],
  [
    'a host name whose end the column cut off',
    `${LIST}TCP  10.0.0.1:80 rr\n  -> a-very-long-name-of-a-server Masq    1      0          0         \n`,
    ['error host-name 5:6'],
    '10.0.0.1:80',
  ],
  ['a service without a scheduler', `${LIST}TCP  10.0.0.1:80\nTCP  10.0.0.2:80 rr\n`, ['error truncated-service 4:6'], '10.0.0.2:80'],
  ['a server line that is cut off', `${LIST}TCP  10.0.0.1:80 rr\n  -> 10.1.0.1:1 Masq    1`, ['error truncated-server 5:6'], '10.0.0.1:80'],
  ['a weight that is no number', '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:1 -m -w heavy\n', ['error bad-number 2:36'], '10.0.0.1:80'],
  ['a mark that is no number', '-A -f blue -s rr\n', ['error bad-mark 1:7'], ''],
  ['a rule that is cut off in its service', '-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.2:80 -s', ['error truncated-rule 2:19'], '10.0.0.1:80'],
  [
    'a rule that is cut off in its server',
    '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:1 -m -w',
    ['error truncated-rule 2:36'],
    '10.0.0.1:80',
  ],
  ['a mask with holes', '-A -t 10.0.0.1:80 -s rr -p 60 -M 255.0.255.0\n', ['error bad-mask 1:34'], '10.0.0.1:80'],
  ['decimal where /proc has hexadecimal', `${PROC}TCP  10.0.0.1:80 rr\nTCP  0A000002:0050 rr\n`, ['error bad-address 4:6'], '10.0.0.2:80'],
  [
    'commands that no listing has',
    '-C\n-A -t 10.0.0.1:80 -s rr\n-D -t 10.0.0.1:80\n',
    ['error unreadable-ipvsadm 1:', 'error unreadable-ipvsadm 3:'],
    '10.0.0.1:80',
  ],
  [
    'a connection that is cut off',
    `${CONNECTIONS}TCP 01:59  TIME_WAIT   10.0.0.2:40005     10.96.0.1:443\nTCP 01:59  TIME_WAIT   10.0.0.2:40006     10.96.0.1:443      10.1.0.2:6443\nTCP 01:5`,
    ['error truncated-connection 3:', 'error truncated-connection 5:'],
    '40006',
  ],
  [
    'a connection with broken brackets',
    `${CONNECTIONS}TCP 01:59  NONE [2001:db8::1:0 [2001:db8::2]:443 [2001:db8::3]:443\n`,
    ['error bad-address 3:17'],
    '',
  ],
  ['a connection of a name', `${CONNECTIONS}TCP 01:59  NONE client.example:0 10.0.0.1:https 10.1.0.1:https\n`, ['error host-name 3:17'], ''],
  [
    'a connection of an unknown protocol',
    `${CONNECTIONS}QUIC 01:59  NONE 10.0.0.2:1 10.0.0.1:https 10.1.0.1:https\n`,
    ['error unknown-protocol 3:1'],
    '',
  ],
  [
    'a connection of /proc that is cut off',
    'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\nTCP 0A000002 9C4D 0A600003 1F9',
    ['error bad-address 2:28'],
    '',
  ],
];

describe('what cannot be read is a finding with its place, and the rest is used', () => {
  it.each(BAD)('%s', (_what, text, found, left) => {
    const { ipvs, findings } = read({ 'ipvsadm.txt': text });
    expect(findings.map((f) => `${f.severity} ${f.code} ${f.at.line}:${f.at.column ?? ''}`)).toEqual(found);
    const services =
      ipvs?.services.map((s) => [s.addr === undefined ? s.mark : formatEndpoint(s.addr, s.port), ...s.servers.map((r) => r.port)].join(' ')) ?? [];
    expect([...services, ...(ipvs?.connections ?? []).map((c) => String(c.client.port))].join(', ')).toBe(left);
  });

  it('an unknown scheduler is its name', () => {
    expect(read({ x: '-A -t 10.0.0.1:80 -s twos\n' }).ipvs?.services[0]?.scheduler).toBe('twos');
  });
});

describe('a paste', () => {
  it('of several commands in one text is read as a whole', () => {
    const text = `[root@n ~]# ipvsadm -Ln\n${captured('tools/ipvsadm-Ln.txt')}\n[root@n ~]# ipvsadm -Lnc\n${captured('tools/ipvsadm-Lnc.txt')}`;
    const { ipvs, findings, captured: kinds } = read({ '1.txt': text });
    expect(findings.filter((f) => f.severity !== 'note')).toEqual([]);
    expect([ipvs?.services.length, ipvs?.connections?.length]).toEqual([all.length, 25]);
    expect(kinds).toEqual({ ipvs: ['1.txt'], ipvsConnections: ['1.txt'] });
  });

  it('of titles without the rest is a part', () => {
    const { findings } = read({ '1.txt': captured('tools/ipvsadm-Ln.txt').split('\n').slice(3).join('\n') });
    expect(findings.map((f) => `${f.severity} ${f.code} ${f.at.line}`)).toContain('note partial-listing 1');
  });

  it('without the titles is understood by its lines', () => {
    const list = captured('tools/ipvsadm-Ln.txt').split('\n').slice(3).join('\n');
    expect(unordered(read({ '1.txt': list }).ipvs!.services)).toEqual(unordered(tools('ipvsadm-Ln').ipvs!.services));
    const hex = 'TCP  0A000001:0050 rr  \n  -> 0A010001:0050      Masq    1      0          0         \nFWM  00000010 rr \n';
    expect(read({ '1.txt': hex }).ipvs?.services.map(nameOf)).toEqual(['tcp 10.0.0.1:80', 'fwmark 16 IPv4']);
    for (const [file, skip] of [['ipvsadm-Lnc', 2] as const, ['proc-net-ip_vs_conn', 1] as const]) {
      const lines = captured(`tools/${file}.txt`).split('\n').slice(skip).join('\n');
      expect(read({ '1.txt': lines }).ipvs?.connections).toHaveLength(25);
    }
  });
});
