// Questions to one host whose rules are nft's: what decides, in which order, and what is said of rules that nobody understands.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { load } from '../../src/cli/load.ts';
import { answerText, ask, isMisunderstood, readBundle, trace, worldOf, type Answer, type World } from '../../src/index.ts';
import { formatAddr } from '../../src/net/addr.ts';

const HOST = {
  'ip-addr.txt':
    '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n' +
    '2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc fq state UP\n    inet 192.0.2.1/24 scope global eth0\n' +
    '3: pod0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc fq state UP\n    inet 10.0.0.1/24 scope global pod0\n',
  'ip-route.txt':
    'default via 192.0.2.254 dev eth0\n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.1\n10.0.0.0/24 dev pod0 proto kernel scope link src 10.0.0.1\n',
  'ip-rule.txt': '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n',
  'ip-neigh.txt': '192.0.2.254 dev eth0 lladdr 02:00:00:00:00:fe REACHABLE\n10.0.0.9 dev pod0 lladdr 02:00:00:00:00:09 REACHABLE\n',
  'sysctl.txt': 'net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.rp_filter = 0\n',
};

/** An answer of the host with these rules; with `all`, every rule is told. */
function answer(rules: Readonly<Record<string, string>>, from: string, to: string, all = false): Answer {
  const files = Object.entries({ ...HOST, ...rules }).map(([path, text]) => ({ path: `host/${path}`, text }));
  const world = worldOf(readBundle(files));
  const asked = ask(world, { from, to });
  if (isMisunderstood(asked)) throw new Error(asked.error);
  return trace(world, asked, { all });
}

const fates = (a: Answer): string[] => a.courses.map((c) => `${c.trace.outcome.kind} as ${c.trace.translated.src?.to ?? 'itself'}`);

const natTable = (name: string, does: string): string =>
  `table ip ${name} {\n\tchain post {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t\toifname "eth0" ${does}\n\t}\n}\n`;

describe('two tables of one priority', () => {
  it('that both translate the source: both outcomes, with the reason', () => {
    const a = answer({ 'nft.txt': natTable('a', 'snat to 192.0.2.7') + natTable('b', 'snat to 192.0.2.8') }, '10.0.0.9', '198.51.100.1:80');
    expect(fates(a).toSorted((x, y) => (x < y ? -1 : 1))).toEqual(['left as 192.0.2.7:40000', 'left as 192.0.2.8:40000']);
    expect(a.unknowns.join('\n')).toMatch(/ip b post.*same priority.*made last, so it runs first/);
  });

  it('that agree: one outcome, and nothing supposed', () => {
    const a = answer({ 'nft.txt': natTable('a', 'snat to 192.0.2.7') + natTable('b', 'snat to 192.0.2.7') }, '10.0.0.9', '198.51.100.1:80');
    expect(fates(a)).toEqual(['left as 192.0.2.7:40000']);
    expect(a.unknowns.filter((u) => u.includes('priority'))).toEqual([]);
  });

  it('of legacy iptables and of nft: both outcomes', () => {
    const legacy =
      '*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j SNAT --to-source 192.0.2.7\nCOMMIT\n';
    const a = answer({ 'iptables-legacy-save.txt': legacy, 'nft.txt': natTable('b', 'snat to 192.0.2.8') }, '10.0.0.9', '198.51.100.1:80');
    expect(fates(a).toSorted((x, y) => (x < y ? -1 : 1))).toEqual(['left as 192.0.2.7:40000', 'left as 192.0.2.8:40000']);
  });

  it('at other priorities run in their order, whatever the order of the listing', () => {
    const later = natTable('a', 'snat to 192.0.2.7').replace('srcnat', 'srcnat + 10');
    expect(fates(answer({ 'nft.txt': later + natTable('b', 'snat to 192.0.2.8') }, '10.0.0.9', '198.51.100.1:80'))).toEqual([
      'left as 192.0.2.8:40000',
    ]);
  });

  it('of which one marks what the other asks for: both orders; one that only drops what the other accepts: one', () => {
    const filter = (name: string, ...rules: string[]): string =>
      `table inet ${name} {\n\tchain f {\n\t\ttype filter hook forward priority filter; policy accept;\n${rules.map((r) => `\t\t${r}\n`).join('')}\t}\n}\n`;
    const marks = answer({ 'nft.txt': filter('a', 'meta mark set 0x1') + filter('b', 'meta mark 0x1 drop') }, '10.0.0.9', '198.51.100.1:80');
    expect(
      fates(marks)
        .map((f) => f.split(' ')[0]!)
        .toSorted((x, y) => (x < y ? -1 : 1)),
    ).toEqual(['dropped', 'left']);
    const drops = answer({ 'nft.txt': filter('a', 'tcp dport 80 drop') + filter('b', 'ip saddr 10.0.0.0/24 accept') }, '10.0.0.9', '198.51.100.1:80');
    expect(fates(drops).map((f) => f.split(' ')[0])).toEqual(['dropped']);
    expect(drops.unknowns.filter((u) => u.includes('priority'))).toEqual([]);
  });
});

describe('rules that nobody understands', () => {
  const chain = (...rules: string[]): string =>
    `table ip t {\n\tchain f {\n\t\ttype filter hook forward priority filter; policy accept;\n${rules.map((r) => `\t\t${r}\n`).join('')}\t}\n}\n`;

  it('leave the others as they are, and show where they could decide', () => {
    const a = answer({ 'nft.txt': chain('frobnicate the packet drop', 'tcp dport 80 accept') }, '10.0.0.9', '198.51.100.1:80');
    expect(a.verdict).toBe('cannot-tell');
    expect(answerText(a)).toContain('host/nft.txt:4');
    expect(a.findings.map((f) => [f.at.file, f.at.line])).toContainEqual(['host/nft.txt', 4]);
  });

  it('are no matter where the packet does not come by', () => {
    const a = answer({ 'nft.txt': chain('tcp dport 80 accept', 'tcp sport 80 accept', 'frobnicate the packet drop') }, '10.0.0.9', '198.51.100.1:80');
    expect(a.verdict).toBe('yes');
    const b = answer({ 'nft.txt': chain('ip daddr 203.0.113.0/24 frobnicate the packet drop', 'tcp dport 80 drop') }, '10.0.0.9', '198.51.100.1:80');
    expect(fates(b)).toEqual(['dropped as itself']);
  });

  it('of JSON likewise: a statement, an expression, a newer schema, an end in the middle', () => {
    const item = (rule: string): string =>
      `{"nftables": [{"metainfo": {"version": "9.9", "json_schema_version": 7}}, {"table": {"family": "ip", "name": "t", "handle": 1}}, {"chain": {"family": "ip", "table": "t", "name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}}, ${rule}`;
    const rule = (...expr: string[]): string => `{"rule": {"family": "ip", "table": "t", "chain": "f", "handle": 2, "expr": [${expr.join(', ')}]}}`;
    const ask1 = (text: string): Answer => answer({ 'nft.json': text }, '10.0.0.9', '198.51.100.1:80');
    const statement = ask1(`${item(rule('{"frobnicate": {"x": 1}}', '{"drop": null}'))}]}`);
    expect(statement.verdict).toBe('cannot-tell');
    const expression = ask1(`${item(rule('{"match": {"op": "==", "left": {"nonsense": {"a": 1}}, "right": 1}}', '{"drop": null}'))}]}`);
    expect(expression.verdict).toBe('cannot-tell');
    const cut = ask1(item(`${rule('{"drop": null}')}, {"rule": {"family": "ip", "ta`));
    expect(fates(cut)).toEqual(['dropped as itself']);
    for (const a of [statement, expression, cut]) expect(a.findings.map((f) => f.at.file)).toContain('host/nft.json');
  });
});

describe('why a rule of nft did or did not decide', () => {
  it('names the element of the map, or how near the key came to one', () => {
    const map = `table ip t {\n\tmap m {\n\t\ttype ipv4_addr . inet_service : verdict\n\t\telements = { 198.51.100.1 . 80 : drop,\n\t\t\t     198.51.100.2 . 80 : accept }\n\t}\n\n\tchain f {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tip daddr . tcp dport vmap @m\n\t}\n}\n`;
    const hit = answer({ 'nft.txt': map }, '10.0.0.9', '198.51.100.1:80');
    expect(fates(hit)).toEqual(['dropped as itself']);
    const steps = hit.courses[0]!.trace.hops.flatMap((h) => h.steps);
    const rule = steps.find((s) => s.step === 'rule');
    expect(rule?.reason.parts?.at(-1)).toMatchObject({ truth: true, at: { line: 4 } });
    const miss = answer({ 'nft.txt': map }, '10.0.0.9', '198.51.100.1:81', true);
    expect(JSON.stringify(miss.courses[0]!.trace.hops)).toContain('nearest: 198.51.100.1 . 80 : drop');
  });
});

describe('what a listing leaves out', () => {
  const allowed = (elements: string, end = '\n\t}\n'): string =>
    `table ip t {\n\tchain f {\n\t\ttype filter hook forward priority filter; policy drop;\n\t\tct state established accept\n\t\tip daddr @allowed accept\n\t}\n\n\tset allowed {\n\t\ttype ipv4_addr\n\t\telements = { ${elements}${end}`;
  const first = (a: Answer): string[] => fates(a).map((f) => f.split(' ')[0]!);

  it.each([
    ['an element that is not understood', allowed('203.0.113.1, nobody.example }')],
    ['elements behind a place that is not understood', allowed('203.0.113.1, { what } }')],
    ['the rest of a set', allowed('203.0.113.1,\n\t\t\t     203.0.113.2,', '\n')],
  ])('%s: what the set does not have may be there, what it has is', (_, listing) => {
    const missed = answer({ 'nft.txt': listing }, '10.0.0.9', '198.51.100.1:80');
    expect(first(missed).toSorted()).toEqual(['dropped', 'left']);
    expect(missed.findings.map((f) => f.at.file)).toContain('host/nft.txt');
    expect(first(answer({ 'nft.txt': listing }, '10.0.0.9', '203.0.113.1:80'))).toEqual(['left']);
  });

  it('an element, which cannot be in the set for one rule and out of it for the next', () => {
    const both = allowed('203.0.113.1, nobody.example }').replace('@allowed accept', '@allowed accept\n\t\tip daddr != @allowed accept');
    expect(first(answer({ 'nft.txt': both }, '10.0.0.9', '198.51.100.1:80'))).toEqual(['left']);
  });

  it.each([
    ['not text', '\u0000\u0001\u0002\u0000\uFFFD'],
    ['cut within its first table', '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"tab'],
    ['the complaint of nft', 'Operation not permitted (you must be root)\n'],
  ])('everything, because it is %s: any rule may have been there, unless another listing can be read', (_, listing) => {
    const a = answer({ 'nft.txt': listing }, '10.0.0.9', '198.51.100.1:80');
    expect(a.verdict).toBe('cannot-tell');
    expect(a.unknowns.join('\n')).toContain('nft rules of host/nft.txt');
    expect(fates(answer({ 'nft.txt': listing, 'nft.json': ingress() }, '10.0.0.9', '198.51.100.1:80'))).toEqual(['left as itself']);
  });

  it('everything of iptables-save, because it is not text, though nft lists nothing: any rule may have been there', () => {
    const damaged = { 'iptables-save.txt': '\u0000\u0001\u0002\u0000\uFFFD', 'nft-ruleset.txt': '' };
    const a = answer(damaged, '10.0.0.9', '198.51.100.1:80');
    expect(a.verdict).toBe('cannot-tell');
    expect(a.unknowns.join('\n')).toContain('the iptables rules of host/iptables-save.txt');
    const whole = {
      ...damaged,
      'iptables-legacy-save.txt': '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n',
    };
    expect(fates(answer(whole, '10.0.0.9', '198.51.100.1:80'))).toEqual(['left as itself']);
  });

  it('the end of iptables-save: what its last chain let pass, a rule behind it may not', () => {
    const text = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -d 203.0.113.1/32 -j DROP\n';
    expect(answer({ 'iptables-save.txt': text }, '10.0.0.9', '198.51.100.1:80').verdict).toBe('cannot-tell');
    expect(first(answer({ 'iptables-save.txt': text }, '10.0.0.9', '203.0.113.1:80'))).toEqual(['dropped']);
    expect(answer({ 'iptables-save.txt': `${text}COMMIT\n` }, '10.0.0.9', '198.51.100.1:80').verdict).toBe('yes');
  });

  const ingress = (dev?: string, ...expr: object[]): string =>
    JSON.stringify({
      nftables: [
        { metainfo: { version: '1.0.6', json_schema_version: 1 } },
        { table: { family: 'netdev', name: 'a', handle: 1 } },
        { chain: { family: 'netdev', table: 'a', name: 'c', type: 'filter', hook: 'ingress', prio: 0, policy: 'accept', ...(dev && { dev }) } },
        ...(expr.length > 0 ? [{ rule: { family: 'netdev', table: 'a', chain: 'c', expr } }] : []),
      ],
    });

  it('the devices of an ingress chain: it may hang on each', () => {
    const a = answer({ 'nft.json': ingress(undefined, { drop: null }) }, '10.0.0.9', '198.51.100.1:80');
    expect(first(a).toSorted()).toEqual(['dropped', 'left', 'reply-lost']);
    expect(a.unknowns.join('\n')).toMatch(/netdev a c hangs on pod0 of host \(the JSON of nft 1\.0\.6 does not say its devices\)/);
    expect(first(answer({ 'nft.json': ingress('pod0', { drop: null }) }, '10.0.0.9', '198.51.100.1:80'))).toEqual(['dropped']);
    expect(first(answer({ 'nft.json': ingress('eth0', { drop: null }) }, '10.0.0.9', '198.51.100.1:80'))).toEqual(['reply-lost']);
  });

  it('which matters only where the chain has rules', () => {
    const a = answer({ 'nft.json': ingress() }, '10.0.0.9', '198.51.100.1:80');
    expect(a.unknowns.filter((u) => u.includes('hangs on'))).toEqual([]);
  });
});

describe('a map of which not all is understood', () => {
  const table = (elements: string, rule: string): string =>
    `table ip t {\n\tmap m {\n\t\ttype ipv4_addr : verdict\n\t\telements = { ${elements} }\n\t}\n\n\tchain f {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\t${rule}\n\t}\n}\n`;
  const verdict = (elements: string): string => answer({ 'nft.txt': table(elements, 'ip daddr vmap @m') }, '10.0.0.9', '198.51.100.1:80').verdict;

  it('decides where the element that was read is met, and nobody can tell where it is missed', () => {
    expect(verdict('198.51.100.1 : drop, nobody.example : accept')).toBe('no');
    expect(verdict('203.0.113.1 : accept, nobody.example : drop')).toBe('cannot-tell');
    expect(verdict('* : accept, nobody.example : drop')).toBe('cannot-tell');
    expect(verdict('203.0.113.1 : drop')).toBe('yes');
  });
});

describe('what people give for a listing', () => {
  const PACKET = ['10.0.0.9', '198.51.100.1:80'] as const;
  const begin = 'table inet f {\n\tchain f {\n\t\ttype filter hook forward priority filter; policy drop;\n';

  it('may be a file for nft -f: its definitions are put in, and it is said that it is no listing', () => {
    const script = `#!/usr/sbin/nft -f\nflush ruleset\ndefine PODS = 10.0.0.0/24\ndefine PORTS = { 80,\n  443 }\n${begin}\t\tip saddr $PODS tcp dport $PORTS accept\n\t\ttcp sport { $PORTS, 8080 } accept\n\t}\n}\n`;
    const a = answer({ 'nftables.conf': script }, ...PACKET);
    expect(a.verdict).toBe('yes');
    const other = answer({ 'nftables.conf': script }, '10.0.0.9', '198.51.100.1:81');
    expect(fates(other)).toEqual(['dropped as itself']);
    expect(readBundle([{ path: 'host/nftables.conf', text: script }])).toBeDefined();
  });

  it('may end in the middle of a chain: what would have come there nobody can tell', () => {
    const cut = `${begin}\t\ttcp dport 22 accept\n\t\ttcp dport`;
    const a = answer({ 'nft.txt': cut }, ...PACKET);
    expect(a.verdict).toBe('cannot-tell');
    expect(a.unknowns.join()).toContain('the chain f has no further rules for the packet');
  });

  it('may be a set alone, which says nothing about rules', () => {
    const a = answer({ 'nft.txt': 'table inet f {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n}\n' }, ...PACKET);
    expect(a.verdict).toBe('cannot-tell');
  });

  it('may have many rules that only log at a rate: nothing hangs on them', () => {
    const logs = Array.from({ length: 30 }, (_, i) => `\t\tlimit rate 5/minute log prefix "${i}"\n`).join('');
    const a = answer({ 'nft.txt': `${begin}${logs}\t\taccept\n\t}\n}\n` }, ...PACKET);
    expect(a.courses).toHaveLength(1);
    expect([a.verdict, a.bounded]).toEqual(['yes', false]);
  });
});

describe('a chain beside an engine of its own priority', () => {
  const filter = '\tchain f {\n\t\ttype filter hook prerouting priority dstnat; policy accept;\n\t\tip daddr 10.0.0.9 tcp dport 80 drop\n\t}\n';
  const nat = '\tchain n {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t\ttcp dport 8080 dnat to 10.0.0.9:80\n\t}\n';
  const outcomes = (rules: string): string[] =>
    answer({ 'nft.txt': rules }, '198.51.100.7', '192.0.2.1:8080')
      .courses.map((c) => c.trace.outcome.kind)
      .toSorted((x, y) => (x < y ? -1 : 1));

  it('runs before it where its table lists it later, behind it where earlier; of two tables both ways are followed', () => {
    expect(outcomes(`table ip t {\n${filter}${nat}}\n`)).toEqual(['dropped']);
    expect(outcomes(`table ip t {\n${nat}${filter}}\n`)).not.toContain('dropped');
    expect(outcomes(`table ip t {\n${filter}}\ntable ip u {\n${nat}}\n`)).toContain('dropped');
    expect(outcomes(`table ip t {\n${filter}}\ntable ip u {\n${nat}}\n`).length).toBe(2);
  });
});

describe('damage in a listing', () => {
  const chain = '\tchain f {\n\t\ttype filter hook forward priority filter; policy drop;\n\t\ttcp dport 22 accept\n\t}\n';
  const verdict = (text: string): string => answer({ 'nft.txt': text }, '10.0.0.9', '198.51.100.1:80').verdict;

  it('within a set costs no chain behind it', () => {
    expect(verdict(`table inet t {\n\tset s {\n\t\ttype ipv4_addr\n\t\tnewprop x {\n\t\t\ty\n\t\t}\n\t}\n${chain}}\n`)).toBe('no');
    expect(verdict(`table inet t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 1.2.3.4, # one {\n\t\t\t5.6.7.8 }\n\t}\n${chain}}\n`)).toBe('no');
  });

  it('of the line that says where a chain hangs: nobody can tell', () => {
    expect(verdict(`table inet t {\n${chain.replace('priority filter', 'priority newname')}}\n`)).toBe('cannot-tell');
    expect(verdict(`table inet t {\n${chain.replace('hook forward priority filter', 'hook input priority newname')}}\n`)).toBe('yes');
  });
});

describe('a device that nobody knows', () => {
  it('is one device in a map and in a match', () => {
    const rules = `table ip f {\n\tchain f {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tiifname vmap { "eth0" : continue, "pod0" : drop }\n\t\tiifname "pod0" meta mark set 0x1\n\t\tmeta mark 0x1 drop\n\t}\n}\n`;
    const world = worldOf(readBundle([{ path: 'host/nft.txt', text: rules }]));
    const asked = ask(world, { from: '10.0.0.9', to: '198.51.100.1:80' });
    if (isMisunderstood(asked)) throw new Error(asked.error);
    const marked = trace(world, asked).courses.filter((c) => c.trace.outcome.at?.line === 6);
    expect(marked).toEqual([]);
  });
});

describe('chains that are not followed', () => {
  it('of the bridge family show in answers about frames that a bridge passes on, and in no others', async () => {
    const { world } = await load(join(import.meta.dirname, '../../scenarios/bridge-nf-off'));
    const chains = [{ name: 'bridge filter forward', why: 'not followed', family: 'bridge', hook: 'forward', at: { file: 'nft.txt', line: 3 } }];
    const bridged = { ...world, namespaces: world.namespaces.map((n) => (n.name === '' ? { ...n, tables: n.tables, foreignChains: chains } : n)) };
    const verdict = (w: World, from: string, to: string): string => {
      const asked = ask(w, { from, to });
      if (isMisunderstood(asked)) throw new Error(asked.error);
      const a = trace(w, asked);
      return `${a.verdict} ${a.courses.map((c) => c.trace.outcome.why).join()}`;
    };
    const [one, other] = world.namespaces.filter((n) => n.name !== '');
    const to = `${formatAddr(other!.addresses.find((x) => x.device !== 'lo')!.addr)}:80`;
    expect(verdict(world, `${one!.node}/${one!.name}`, to)).toMatch(/^(?:yes|no)/);
    expect(verdict(bridged, `${one!.node}/${one!.name}`, to)).toMatch(/^cannot-tell .*nft bridge filter forward/);
  });
});
