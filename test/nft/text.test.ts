import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { printRule, printRuleset } from '../../src/nft/print.ts';
import type { ExprSyntax, RulesetSyntax, StatementSyntax } from '../../src/nft/syntax.ts';
import { readNftText } from '../../src/nft/text.ts';

function capture(name: string, file: string): string {
  return readFileSync(fileURLToPath(new URL(`../captures/${name}/node1/${file}`, import.meta.url)), 'utf8');
}

const CAPTURES = ['kube-proxy-1.26-iptables', 'kube-proxy-1.13-nft-restore-failed'];

function inChain(...rules: readonly string[]): string {
  return `table inet t {\n\tchain c {\n${rules.map((r) => `\t\t${r}\n`).join('')}\t}\n}\n`;
}

function read(rule: string): readonly StatementSyntax[] {
  const { tables, findings } = readNftText(inChain(rule), 'nft.txt');
  expect(findings).toEqual([]);
  expect(tables[0]?.chains[0]?.rules).toHaveLength(1);
  return tables[0]!.chains[0]!.rules[0]!.statements;
}

/** Without the places, and what is only there for people to read. */
function bare(r: RulesetSyntax): unknown {
  return JSON.parse(JSON.stringify(r.tables, (key, value: unknown) => (key === 'at' || key === 'text' || key === 'handle' ? undefined : value)));
}

interface JsonRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr: readonly Readonly<Record<string, { readonly type?: string }>>[];
}

describe.each(CAPTURES)('%s', (name) => {
  const r = readNftText(capture(name, 'nft.txt'), 'nft.txt');

  it('is read without findings', () => expect(r.findings).toEqual([]));

  it('has statements that print as nothing just where JSON has expressions of iptables', () => {
    const json = JSON.parse(capture(name, 'nft.json')) as { nftables: readonly { readonly rule?: JsonRule }[] };
    for (const { family, name: table, chains } of r.tables)
      for (const chain of chains) {
        const said = json.nftables.flatMap(({ rule }) =>
          rule?.family === family && rule.table === table && rule.chain === chain.name ? [rule] : [],
        );
        expect(chain.rules).toHaveLength(said.length);
        chain.rules.forEach(({ statements }, i) => {
          expect(statements).toHaveLength(said[i]!.expr.length);
          statements.forEach((s, k) => s.kind === 'xt' && expect(said[i]!.expr[k]!['xt']?.type).toBe(s.type));
        });
      }
  });

  it('is printed to what reads as the same rules', () => {
    for (const rule of r.tables.flatMap((t) => t.chains.flatMap((c) => c.rules))) expect(read(printRule(rule))).toEqual(rule.statements);
  });

  it('cut anywhere gives what stands before, and says so', () => {
    const text = capture(name, 'nft.txt');
    const rules = (x: RulesetSyntax): readonly string[] => x.tables.flatMap((t) => t.chains.flatMap((c) => c.rules.map((rule) => rule.text)));
    const all = rules(r);
    const lines = text.split('\n').length;
    for (let at = 1; at < text.length - 1; at += 97) {
      const cut = readNftText(text.slice(0, at), 'nft.txt');
      expect(rules(cut)).toEqual(all.slice(0, rules(cut).length));
      for (const f of cut.findings) expect(f.at.line).toBeLessThanOrEqual(lines);
      const isBetweenTables = /(?:^|\n)\}\n?$/.test(text.slice(0, at));
      if (!isBetweenTables) expect(cut.findings, `cut at ${at}`).not.toEqual([]);
    }
  });

  it('with a piece torn out is still read, and every place is within it', () => {
    const text = capture(name, 'nft.txt');
    const lines = text.split('\n').length;
    for (let at = 0; at < text.length; at += 131) {
      const torn = readNftText(text.slice(0, at) + text.slice(at + 61), 'nft.txt');
      for (const f of torn.findings) expect(f.at.line).toBeLessThanOrEqual(lines);
    }
  });
});

const tcpFlags: ExprSyntax = { kind: 'payload', protocol: 'tcp', field: 'flags' };
const dport: ExprSyntax = { kind: 'payload', protocol: 'tcp', field: 'dport' };
const saddr: ExprSyntax = { kind: 'payload', protocol: 'ip', field: 'saddr' };
const mark: ExprSyntax = { kind: 'meta', key: 'mark' };
const value = (v: number | string): ExprSyntax => ({ kind: 'value', value: v });
const list = (...of: readonly string[]): ExprSyntax => ({ kind: 'list', of: of.map(value) });
const and = (left: ExprSyntax, right: ExprSyntax): ExprSyntax => ({ kind: 'binary', op: '&', left, right });
const xt = (type: 'match' | 'target', name?: string): StatementSyntax => ({ kind: 'xt', type, ...(name !== undefined && { name }) });
const counter: StatementSyntax = { kind: 'counter', packets: 0, bytes: 0 };

describe('one line', () => {
  const lines: readonly (readonly [line: string, ...statements: readonly StatementSyntax[]])[] = [
    // What no operator means.
    ['tcp flags syn', { kind: 'match', op: 'in', left: tcpFlags, right: value('syn') }],
    ['tcp flags == syn', { kind: 'match', op: '==', left: tcpFlags, right: value('syn') }],
    ['tcp flags syn,ack', { kind: 'match', op: 'in', left: tcpFlags, right: list('syn', 'ack') }],
    ['tcp flags ! syn', { kind: 'match', op: '!', left: tcpFlags, right: value('syn') }],
    ['tcp flags syn / syn,ack', { kind: 'match', op: '==', left: and(tcpFlags, list('syn', 'ack')), right: value('syn') }],
    ['tcp flags != syn / syn,ack', { kind: 'match', op: '!=', left: and(tcpFlags, list('syn', 'ack')), right: value('syn') }],
    ['tcp dport 80', { kind: 'match', op: '==', left: dport, right: value(80) }],
    ['ip saddr @s', { kind: 'match', op: 'in', left: saddr, right: { kind: 'reference', name: 's' } }],
    ['ip saddr != @s', { kind: 'match', op: '!=', left: saddr, right: { kind: 'reference', name: 's' } }],
    [
      'meta mark & 0x000000ff == { 0x00000001 }',
      { kind: 'match', op: 'in', left: and(mark, value(255)), right: { kind: 'set', elements: [{ key: value(1) }] } },
    ],
    // The old words for | & ^, and mark for meta mark.
    ['meta mark set mark or 0x4000', { kind: 'assign', to: mark, value: { kind: 'binary', op: '|', left: mark, right: value(0x4000) } }],
    ['meta mark set mark xor 0x4000', { kind: 'assign', to: mark, value: { kind: 'binary', op: '^', left: mark, right: value(0x4000) } }],
    [
      'meta random & 2147483647 < 1073741824',
      { kind: 'match', op: '<', left: and({ kind: 'meta', key: 'random' }, value(2147483647)), right: value(1073741824) },
    ],
    // A word that could be a field is a constant where one must stand.
    [
      'meta l4proto tcp tcp dport 53',
      { kind: 'match', op: '==', left: { kind: 'meta', key: 'l4proto' }, right: value('tcp') },
      { kind: 'match', op: '==', left: dport, right: value(53) },
    ],
    [
      'ip6 saddr ::1-::ff',
      {
        kind: 'match',
        op: '==',
        left: { kind: 'payload', protocol: 'ip6', field: 'saddr' },
        right: { kind: 'range', from: value('::1'), to: value('::ff') },
      },
    ],
    ['icmp type echo-request', { kind: 'match', op: '==', left: { kind: 'payload', protocol: 'icmp', field: 'type' }, right: value('echo-request') }],
    ['iifname "1-2"', { kind: 'match', op: '==', left: { kind: 'meta', key: 'iifname' }, right: value('1-2') }],
    [
      'meta hour "10:00"-"12:00"',
      { kind: 'match', op: '==', left: { kind: 'meta', key: 'hour' }, right: { kind: 'range', from: value('10:00'), to: value('12:00') } },
    ],
    ['ct expiration > 1h1m', { kind: 'match', op: '>', left: { kind: 'ct', key: 'expiration' }, right: value(3660) }],
    ['@nh,96,32 0xa000001', { kind: 'match', op: '==', left: { kind: 'raw', base: 'nh', offset: 96, length: 32 }, right: value(0x0a000001) }],
    [
      'ct original ip saddr 10.0.0.1',
      { kind: 'match', op: '==', left: { kind: 'ct', key: 'saddr', direction: 'original', family: 'ip' }, right: value('10.0.0.1') },
    ],
    // What is translated to.
    ['dnat ip to 10.0.0.1:80', { kind: 'nat', type: 'dnat', family: 'ip', addr: value('10.0.0.1'), port: value(80), flags: [] }],
    ['dnat to :80', { kind: 'nat', type: 'dnat', port: value(80), flags: [] }],
    ['snat to ::1', { kind: 'nat', type: 'snat', addr: value('::1'), flags: [] }],
    [
      'snat to [fd00::1]:80 random,persistent',
      { kind: 'nat', type: 'snat', addr: value('fd00::1'), port: value(80), flags: ['random', 'persistent'] },
    ],
    [
      'dnat to 10.0.0.1:tcp dport map @m',
      { kind: 'nat', type: 'dnat', addr: value('10.0.0.1'), port: { kind: 'map', key: dport, data: { kind: 'reference', name: 'm' } }, flags: [] },
    ],
    [
      'dnat to ip saddr map @m:80',
      { kind: 'nat', type: 'dnat', addr: { kind: 'map', key: saddr, data: { kind: 'reference', name: 'm' } }, port: value(80), flags: [] },
    ],
    // Sets that rules change.
    [
      'add @s { ip saddr timeout 10s limit rate 5/second burst 7 packets }',
      {
        kind: 'element',
        op: 'add',
        set: 's',
        element: {
          key: saddr,
          timeout: 10,
          then: [{ kind: 'limit', over: false, rate: 5, unit: 'packets', per: 'second', burst: 7, burstUnit: 'packets' }],
        },
      },
    ],
    ['set update ip saddr @s', { kind: 'element', op: 'update', set: 's', element: { key: saddr } }],
    ['queue num 1-3 bypass,fanout', { kind: 'queue', to: { kind: 'range', from: value(1), to: value(3) }, flags: ['bypass', 'fanout'] }],
    ['queue flags bypass to 5', { kind: 'queue', to: value(5), flags: ['bypass'] }],
    ['reject with icmp type host-unreachable', { kind: 'reject', type: 'icmp', code: value('host-unreachable') }],
    ['log prefix "{ # " level debug drop', { kind: 'log', words: 'prefix "{ # " level debug' }, { kind: 'verdict', verdict: 'drop' }],
    // iptables-nft: a blank for each that prints as nothing.
    [' counter packets 0 bytes 0 ', xt('match'), counter, xt('target')],
    [
      'ip saddr 10.0.0.1   counter packets 0 bytes 0 accept',
      { kind: 'match', op: '==', left: saddr, right: value('10.0.0.1') },
      xt('match'),
      xt('match'),
      counter,
      { kind: 'verdict', verdict: 'accept' },
    ],
    ['counter packets 0 bytes 0  # handle 7', counter, xt('target')],
    ['xt match "comment" counter packets 0 bytes 0 xt target "DNAT"', xt('match', 'comment'), counter, xt('target', 'DNAT')],
    ['counter packets 0 bytes 0 # xt_DNAT', counter, xt('target', 'DNAT')],
  ];
  for (const [line, ...statements] of lines) it(line, () => expect(read(line)).toEqual(statements));

  it('has its comment and handle, which are not of its text', () => {
    const rule = readNftText(inChain('accept comment "a # b" # handle 12'), 'nft.txt').tables[0]!.chains[0]!.rules[0]!;
    expect(rule).toEqual({
      statements: [{ kind: 'verdict', verdict: 'accept' }],
      comment: 'a # b',
      handle: 12,
      text: 'accept',
      at: { file: 'nft.txt', line: 3 },
    });
  });

  it('whose tabs have become blanks has no statements that print as nothing', () => {
    const text = inChain('accept', ' counter packets 0 bytes 0 drop').replaceAll('\t', '    ');
    expect(readNftText(text, 'nft.txt').tables[0]!.chains[0]!.rules.map((r) => r.statements.map((s) => s.kind))).toEqual([
      ['verdict'],
      ['xt', 'counter', 'verdict'],
    ]);
  });
});

describe('what is not understood', () => {
  it('is opaque up to what surely is, and costs no other rule', () => {
    const { tables, findings } = readNftText(inChain('ip saddr 10.0.0.1 frobnicate 7 { a } counter packets 1 bytes 2 drop', 'accept'), 'nft.txt');
    expect(tables[0]!.chains[0]!.rules.map((r) => r.statements.map((s) => s.kind))).toEqual([['match', 'opaque', 'counter', 'verdict'], ['verdict']]);
    expect(tables[0]!.chains[0]!.rules[0]!.statements[1]).toMatchObject({ words: 'frobnicate 7 { a }' });
    expect(findings).toMatchObject([{ code: 'unknown-statement', at: { file: 'nft.txt', line: 3 } }]);
    const { at, line } = findings[0]!;
    expect(line!.slice(at.column! - 1, at.column! - 1 + at.length!)).toMatch(/^frobnicate 7 \{ a \}/);
  });

  it('is told a hundred times, and how many more there are', () => {
    const { findings } = readNftText(inChain(...Array.from({ length: 2000 }, () => 'teleport 7 drop'), 'ct frobs 1'), 'nft.txt');
    expect(findings).toHaveLength(102);
    expect(findings[100]!.message).toBe('1900 more findings of the kind unknown-statement are not listed');
  });

  it('of a known field is an unknown expression', () => {
    expect(readNftText(inChain('ct frobs 7 drop'), 'nft.txt').findings).toMatchObject([{ code: 'unknown-expression', at: { line: 3 } }]);
  });

  it('as a block is left out', () => {
    const { tables, findings } = readNftText('table ip t {\n\tnewthing x {\n\t\ta { b }\n\t}\n\tchain c {\n\t\taccept\n\t}\n}\nwhat\n', 'nft.txt');
    expect(tables[0]!.chains[0]!.rules).toHaveLength(1);
    expect(findings.map((f) => [f.code, f.at.line])).toEqual([
      ['unknown-block', 2],
      ['unknown-block', 9],
    ]);
  });

  it('is not what nft says besides: complaints are findings, warnings are remarks', () => {
    const text =
      '# Warning: table ip nat is managed by iptables-nft, do not touch!\nnetlink: Error: cache initialization failed: Operation not permitted\n';
    expect(readNftText(text, 'nft.txt')).toMatchObject({ tables: [], findings: [{ code: 'nft-error', at: { line: 2 } }] });
  });

  it('a { that is not closed costs its rule alone', () => {
    const { tables, findings } = readNftText(inChain('ip saddr { 10.0.0.1, 10.0.0.2 drop', 'tcp dport 22 accept'), 'nft.txt');
    expect(tables[0]!.chains[0]!.rules.map((r) => r.text)).toEqual(['ip saddr { 10.0.0.1, 10.0.0.2 drop', 'tcp dport 22 accept']);
    expect(findings).toMatchObject([{ code: 'unknown-expression', at: { line: 3 } }]);
  });

  it('an anonymous chain goes to its }', () => {
    const { tables } = readNftText(inChain('tcp dport 22 jump {', '\tip saddr 10.0.0.1 accept', '}', 'drop'), 'nft.txt');
    expect(tables[0]!.chains[0]!.rules.map((r) => r.statements.map((s) => s.kind))).toEqual([['match', 'opaque'], ['verdict']]);
  });

  it('a set without its } ends where the next begins', () => {
    const text =
      'table ip t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1,\n\t\t\t     10.0.0.2\n\t}\n\n\tchain c {\n\t\tdrop\n\t}\n}\n';
    const { tables, findings } = readNftText(text, 'nft.txt');
    expect(tables[0]).toMatchObject({ sets: [{ elements: [{}, {}] }], chains: [{ rules: [{ text: 'drop' }] }] });
    expect(findings).toMatchObject([{ code: 'unclosed-block', at: { line: 8 } }]);
  });

  it('a chain without its } ends where the next begins', () => {
    const { tables, findings } = readNftText('table ip t {\n\tchain a {\n\t\taccept\n\tchain b {\n\t\tdrop\n\t}\n}\n', 'nft.txt');
    expect(tables[0]!.chains.map((c) => [c.name, c.rules.length])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    expect(findings).toMatchObject([{ code: 'unclosed-block', at: { line: 4 } }]);
  });
});

const SETS = `table inet t { # handle 3
	flags dormant
	comment "of a test"
	ct helper ftp {
		type "ftp" protocol tcp
		l3proto inet
	}
	set s { # handle 4
		type ipv4_addr . inet_service
		size 65535
		flags dynamic,interval,timeout
		counter
		timeout 1d
		elements = { 10.0.0.1 . 80 counter packets 1 bytes 60 timeout 10s expires 9s500ms comment "x",
			     10.0.0.0/8 . 1-5 counter packets 0 bytes 0 }
	}

	map m {
		typeof iifname : verdict
		elements = { "eth*" : jump c,
			     * : drop }
	}

	chain c {
		comment "base"
		type filter hook prerouting priority dstnat + 5; policy drop;
	}

	chain d {
		type filter hook ingress devices = { eth0, eth1 } priority -500; policy accept;
	}
}
`;

describe('tables', () => {
  const r = readNftText(SETS, 'nft.txt');
  const [table] = r.tables;

  it('have sets whose elements know their lines', () => {
    expect(r.findings).toEqual([]);
    expect(table).toMatchObject({ family: 'inet', name: 't', handle: 3, flags: ['dormant'], comment: 'of a test' });
    expect(table!.sets[0]).toMatchObject({
      handle: 4,
      key: { kind: 'type', names: ['ipv4_addr', 'inet_service'] },
      size: 65535,
      timeout: 86400,
      flags: ['dynamic', 'interval', 'timeout'],
      then: [{ kind: 'counter' }],
    });
    expect(table!.sets[0]!.elements).toMatchObject([
      { timeout: 10, expires: 9.5, comment: 'x', at: { line: 14 } },
      { key: { kind: 'concat' }, at: { line: 15 } },
    ]);
  });

  it('have maps, objects and chains', () => {
    expect(table!.sets[1]).toMatchObject({ kind: 'map', key: { kind: 'typeof' }, data: { kind: 'type', names: ['verdict'] } });
    expect(table!.sets[1]!.elements).toMatchObject([
      { key: value('eth*'), data: { verdict: 'jump', chain: 'c' } },
      { key: { kind: 'any' }, data: { verdict: 'drop' } },
    ]);
    expect(table!.objects).toMatchObject([{ kind: 'ct helper', name: 'ftp', body: 'type "ftp" protocol tcp; l3proto inet' }]);
    expect(table!.chains).toMatchObject([
      { name: 'c', comment: 'base', base: { hook: 'prerouting', priority: -95, policy: 'drop' } },
      { name: 'd', base: { hook: 'ingress', priority: -500, devices: ['eth0', 'eth1'] } },
    ]);
  });

  it('are printed to what reads the same', () => expect(bare(readNftText(printRuleset(r), 'nft.txt'))).toEqual(bare(r)));

  it('cut within their elements give the whole ones', () => {
    for (let at = 1; at < SETS.length - 2; at++) {
      const cut = readNftText(SETS.slice(0, at), 'nft.txt');
      expect(cut.findings, `cut at ${at}`).not.toEqual([]);
      const elements = cut.tables.flatMap((t) => t.sets.flatMap((s) => s.elements));
      expect(elements).toEqual(r.tables[0]!.sets.flatMap((s) => s.elements).slice(0, elements.length));
    }
  });
});
