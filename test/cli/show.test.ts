// The verbs beside trace: what was read, what is understood, the formats, and the script that collects.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { netwhy, root } from './bin.ts';

const EMBLEM = 'scenarios/ippool-overlaps-host';
const KUBE = 'test/captures/kube-proxy-1.26-iptables/node1';

let tmp: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-show-'));
});
afterAll(() => {
  rmSync(tmp, { recursive: true, force: true });
});

interface Shown {
  readonly files: { path: string; kind: string; lines: number }[];
  readonly namespaces: {
    node: string;
    namespace: string;
    tables: { name: string; backend: string; family: number; chains: number; rules: number }[];
    sets: number;
    members: number;
    routes: number;
    addresses: number;
    missing: string[];
  }[];
  readonly unmodelled: { what: string; why: string; at: { file: string; line: number } }[];
  readonly findings: { severity: string; code: string; message: string; at: { file: string; line: number } }[];
}

function shown(path: string): Shown {
  const run = netwhy(['show', path, '-o', 'json']);
  expect(run.err).toBe('');
  return JSON.parse(run.out) as Shown;
}

/** Rules of a dump, counted by the first column. */
function count(file: string, pattern: RegExp): number {
  return readFileSync(join(root, file), 'utf8')
    .split('\n')
    .filter((l) => pattern.test(l)).length;
}

describe('netwhy show', () => {
  it('counts the tables of nft once, with their sets, and names the chains that are not followed', () => {
    const file = join(tmp, 'nft.txt');
    writeFileSync(
      file,
      `table bridge f {
	chain x {
		type filter hook forward priority filter; policy accept;
		drop
	}
}
table inet t {
	set s {
		type ipv4_addr
		elements = { 10.0.0.1, nobody.example }
	}
	chain c {
		type filter hook input priority filter; policy accept;
		ip saddr @s drop
		limit rate 1/second
	}
}
`,
    );
    expect(shown(file)).toMatchObject({
      namespaces: [
        {
          tables: [{ nft: 'inet t', chains: 1, rules: 2, sets: 1, elements: 1, incomplete: { s: '1 of 2 elements is not understood' } }],
          unfollowed: ['bridge f x'],
        },
      ],
      unmodelled: [{ what: 'limit rate 1/second' }],
      findings: [{ code: 'not-understood-nft', at: { line: 10 } }],
    });
    const { out } = netwhy(['show', file]);
    expect(out).toMatch(/nft inet t +2 rules in 1 chain, 1 element in 1 set or map\n +s may hold more: 1 of 2 elements is not understood/);
    expect(out).toContain('not followed: nft bridge f x');
  });

  it('counts the rules, chains, sets and members of every node and namespace', () => {
    const { namespaces } = shown(EMBLEM);
    expect(namespaces.map((n) => (n.namespace ? `${n.node}/${n.namespace}` : n.node)).toSorted()).toEqual([
      'gateway',
      'internet',
      'master',
      'worker1',
      'worker1/pod-a',
    ]);
    const worker = namespaces.find((n) => n.node === 'worker1' && n.namespace === '');
    const sum = (key: 'rules' | 'chains'): number => worker?.tables.reduce((n, t) => n + t[key], 0) ?? 0;
    expect(sum('rules')).toBe(count(`${EMBLEM}/worker1/iptables-save.txt`, /^(\[.*\] )?-A /));
    expect(sum('chains')).toBe(count(`${EMBLEM}/worker1/iptables-save.txt`, /^:/));
    expect(worker?.sets).toBe(count(`${EMBLEM}/worker1/ipset-save.txt`, /^create /));
    expect(worker?.members).toBe(count(`${EMBLEM}/worker1/ipset-save.txt`, /^add /));
    // `ip route show table all` prints the IPv6 routes too: they count once
    const lines = ['ip-route.txt', 'ip6-route.txt'].flatMap((f) => readFileSync(join(root, EMBLEM, 'worker1', f), 'utf8').split('\n'));
    expect(worker?.routes).toBe(new Set(lines.filter((l) => l.trim() !== '')).size);
  });

  it('lists every file that was read, with its kind', () => {
    const kinds = Object.fromEntries(shown(KUBE).files.map((f) => [f.path, f.kind]));
    expect(kinds['iptables-nft-save.txt']).toBe('iptables-save');
    expect(kinds['ip-route.txt']).toBe('route');
    expect(kinds['ip-addr.txt']).toBe('addr');
    expect(kinds['sysctl.txt']).toBe('sysctl');
  });

  it('names what was not captured, and how to capture it', () => {
    const alone = shown(`${KUBE}/iptables-nft-save.txt`).namespaces[0];
    expect(alone?.missing.join('; ')).toMatch(/ip route.*sysctl/);
    expect(alone?.missing.join('; ')).toContain('ip addr');
    expect(alone?.missing.join('; ')).not.toContain('iptables rules (iptables-save)');
    expect(netwhy(['show', `${KUBE}/iptables-nft-save.txt`]).out).toMatch(/not captured: .*ip route/);
  });

  it('names every construct that is not modelled, with its line', () => {
    const lines = readFileSync(join(root, KUBE, 'iptables-nft-save.txt'), 'utf8').split('\n');
    const recent = shown(KUBE).unmodelled.filter((u) => u.what.includes('recent'));
    expect(recent.map((u) => u.at.line).toSorted((a, b) => a - b)).toEqual(lines.flatMap((l, i) => (/-m recent --rcheck/.test(l) ? [i + 1] : [])));
  });

  it('exits 0 for a capture in order, 1 where the reading found an error, 2 where there is none', () => {
    expect(netwhy(['show', EMBLEM])).toMatchObject({ code: 0, err: '' });
    const odd = join(tmp, 'odd');
    mkdirSync(odd);
    writeFileSync(join(odd, 'iptables-save.txt'), '*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j NOWHERE\nCOMMIT\n');
    const run = netwhy(['show', odd]);
    expect(run.code).toBe(1);
    expect(run.out).toMatch(/iptables-save\.txt:3(:\d+)?: error: .*NOWHERE/);
    expect(netwhy(['show', join(tmp, 'nowhere')])).toMatchObject({ code: 2, out: '' });
  });

  it('says in text what it says in JSON', () => {
    const { out } = netwhy(['show', KUBE]);
    for (const { path } of shown(KUBE).files) expect(out).toContain(path);
    for (const u of shown(KUBE).unmodelled) expect(out).toContain(`${u.at.file}:${u.at.line}`);
    expect(out).not.toMatch(/undefined|NaN|\[object/);
  });

  it('has colour only when asked', () => {
    expect(netwhy(['show', EMBLEM]).out).not.toContain('\u001b[');
    expect(netwhy(['show', EMBLEM, '-j', '--color=always']).out).not.toContain('\u001b[');
  });
});

describe('netwhy matches', () => {
  interface Extension {
    readonly kind: string;
    readonly name: string;
    readonly aliases: string[];
    readonly status: string;
    readonly summary: string;
  }
  const list = (): Extension[] => JSON.parse(netwhy(['matches', '-o', 'json']).out) as Extension[];

  it('knows every match and target that kube-proxy, Calico, flannel, Docker and kubelet write', () => {
    const known = list();
    const names = (kind: string): string[] => known.filter((e) => e.kind === kind).flatMap((e) => [e.name, ...e.aliases]);
    const matches =
      'tcp udp sctp icmp icmp6 multiport comment conntrack state mark connmark addrtype set statistic physdev iprange limit rpfilter recent owner mac pkttype ttl length';
    expect(names('match')).toEqual(expect.arrayContaining(matches.split(' ')));
    const targets = 'ACCEPT DROP REJECT RETURN LOG NFLOG MARK CONNMARK DNAT SNAT MASQUERADE REDIRECT NETMAP CT NOTRACK TRACE TCPMSS CHECKSUM';
    expect(names('target')).toEqual(expect.arrayContaining(targets.split(' ')));
  });

  it('knows every match and target of the committed captures', () => {
    const known = new Set(list().flatMap((e) => [e.name, ...e.aliases]));
    for (const file of [`${EMBLEM}/worker1/iptables-save.txt`, `${KUBE}/iptables-nft-save.txt`]) {
      const text = readFileSync(join(root, file), 'utf8');
      const chains = new Set([...text.matchAll(/^:(\S+)/gm)].map((m) => m[1]));
      const used = [...text.replaceAll(/"[^"]*"/g, '').matchAll(/ -[mj] (\S+)/g)].map((m) => m[1]!);
      expect(used.length).toBeGreaterThan(100);
      expect([...new Set(used)].filter((u) => !known.has(u) && !chains.has(u))).toEqual([]);
    }
  });

  it('says of each whether it is evaluated, forks the walk, or is opaque', () => {
    for (const e of list()) {
      expect(['evaluated', 'forks', 'opaque'], e.name).toContain(e.status);
      expect(e.summary, e.name).not.toBe('');
    }
    expect(list().find((e) => e.name === 'statistic')?.status).toBe('forks');
    expect(list().find((e) => e.name === 'tcp')?.status).toBe('evaluated');
    expect(list().find((e) => e.name === 'bpf')?.status).not.toBe('evaluated');
  });

  it('prints a line for each, and a Markdown row for each', () => {
    const all = list();
    expect(netwhy(['matches']).out.trimEnd().split('\n')).toHaveLength(all.length + 1);
    const [iptables = [], nft = []] = netwhy(['matches', '-o', 'markdown'])
      .out.trimEnd()
      .split('\n\n')
      .map((table) => table.split('\n'));
    const ofNft = all.filter((e) => e.kind.startsWith('nft '));
    expect(iptables).toHaveLength(all.length - ofNft.length + 2);
    // of nft, what is treated alike has one row
    const named = nft.slice(2).flatMap((r) => [...r.split('|')[1]!.matchAll(/`([^`]+)`/g)].map((m) => m[1]));
    expect(named).toEqual(ofNft.map((e) => e.name));
    expect(new Set([...iptables, ...nft].map((r) => r.replaceAll(String.raw`\|`, '').split('|').length))).toEqual(new Set([6]));
  });
});

describe('netwhy schema', () => {
  interface Schema {
    readonly $schema?: string;
    readonly properties?: Record<string, unknown>;
    readonly $ref?: string;
    readonly $defs?: Record<string, { properties?: Record<string, unknown> }>;
  }
  const schema = (kind: string): string[] => {
    const run = netwhy(['schema', kind]);
    expect(run).toMatchObject({ code: 0, err: '' });
    const read = JSON.parse(run.out) as Schema;
    expect(read.$schema).toMatch(/json-schema\.org/);
    const root = read.properties ?? read.$defs?.[read.$ref?.split('/').at(-1) ?? '']?.properties;
    return Object.keys(root ?? {});
  };

  it('of a scenario has nodes, wires and questions', () => {
    expect(schema('scenario')).toEqual(expect.arrayContaining(['title', 'nodes', 'wires', 'questions']));
  });

  it('of a trace has the keys that trace -o json prints', () => {
    const keys = schema('trace');
    expect(keys).toEqual(expect.arrayContaining(['question', 'outcomes', 'findings', 'unknowns']));
    const { out } = netwhy(['trace', EMBLEM, '--from', 'worker1/pod-a', '--to', '223.5.5.5:443', '-o', 'json']);
    expect(Object.keys(JSON.parse(out) as object).filter((k) => !keys.includes(k))).toEqual([]);
  });

  it('of anything else does not exist', () => {
    const run = netwhy(['schema', 'poem']);
    expect(run).toMatchObject({ code: 2, out: '' });
    expect(run.err).toMatch(/scenario[\s\S]*trace/);
  });
});

describe('netwhy capture', () => {
  it('prints a script that sh reads without complaint', () => {
    const run = netwhy(['capture']);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^#!\/bin\/sh\n/);
    const read = spawnSync('sh', ['-n'], { input: run.out, encoding: 'utf8' });
    expect([read.status, read.stderr]).toEqual([0, '']);
  });

  it('collects what show knows to ask for', () => {
    const { out } = netwhy(['capture']);
    for (const command of ['tables-save', 'ipset', 'ip', 'sysctl', 'conntrack', 'nsenter', 'crictl', 'docker'])
      expect(out).toMatch(new RegExp(`(^|[^a-z])${command}\\b`, 'm'));
  });
});
