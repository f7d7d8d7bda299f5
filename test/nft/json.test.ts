// `nft -j list ruleset`: what is read, where it stands, and what is said of that which cannot be.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readNftJson } from '../../src/nft/json.ts';
import type { RulesetSyntax, StatementSyntax } from '../../src/nft/syntax.ts';
import { readCorpus } from './corpus.ts';

const TABLE = { table: { family: 'inet', name: 't', handle: 1 } };
const CHAIN = { chain: { family: 'inet', table: 't', name: 'c', handle: 2, type: 'filter', hook: 'input', prio: 0, policy: 'drop' } };

function rule(...expr: unknown[]): object {
  return { rule: { family: 'inet', table: 't', chain: 'c', handle: 3, expr } };
}

function read(...items: unknown[]): RulesetSyntax {
  return readNftJson(JSON.stringify({ nftables: items }), 'nft.json');
}

/** The statements of one rule of table inet t, and the codes of what was found. */
function statements(...expr: unknown[]): readonly StatementSyntax[] {
  const { tables, findings } = read(TABLE, CHAIN, rule(...expr));
  expect(findings).toEqual([]);
  return tables[0]!.chains[0]!.rules[0]!.statements;
}

const one = (json: unknown): StatementSyntax => statements(json)[0]!;
const match = (left: unknown, right: unknown, op = '=='): StatementSyntax => one({ match: { op, left, right } });
const meta = (key: string): object => ({ meta: { key } });
const value = (v: number | string): object => ({ kind: 'value', value: v });

describe('items', () => {
  it('are tables, chains, rules with their names, numbers and comments', () => {
    const { tables, findings, version } = read(
      { metainfo: { version: '1.0.6', release_name: 'x', json_schema_version: 1 } },
      { table: { family: 'ip', name: 't', handle: 7, flags: ['dormant'], comment: 'of ours' } },
      { chain: { family: 'ip', table: 't', name: 'c', handle: 1, type: 'nat', hook: 'prerouting', prio: -100, policy: 'accept' } },
      { chain: { family: 'ip', table: 't', name: 'x', handle: 2, comment: 'aside' } },
      { rule: { family: 'ip', table: 't', chain: 'c', handle: 5, comment: 'why', expr: [{ jump: { target: 'x' } }] } },
    );
    expect(findings).toEqual([]);
    expect(version).toBe('1.0.6');
    expect(tables).toMatchObject([{ family: 'ip', name: 't', handle: 7, flags: ['dormant'], comment: 'of ours', sets: [], objects: [] }]);
    expect(tables[0]!.chains).toMatchObject([
      {
        name: 'c',
        handle: 1,
        base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
        rules: [{ handle: 5, comment: 'why', text: 'jump x', statements: [{ kind: 'verdict', verdict: 'jump', chain: 'x' }] }],
      },
      { name: 'x', handle: 2, comment: 'aside', rules: [] },
    ]);
    expect('base' in tables[0]!.chains[1]!).toBe(false);
  });

  it('are devices of a chain, one or more', () => {
    const chain = (dev: unknown): object => ({
      chain: { family: 'netdev', table: 't', name: 'c', handle: 1, dev, type: 'filter', hook: 'ingress', prio: 0, policy: 'accept' },
    });
    const devices = (dev: unknown): unknown => read(chain(dev)).tables[0]!.chains[0]!.base!.devices;
    expect(devices('eth0')).toEqual(['eth0']);
    expect(devices(['eth0', 'eth1'])).toEqual(['eth0', 'eth1']);
    expect(read(chain(undefined)).findings).toMatchObject([{ code: 'no-device', severity: 'warning' }]);
  });

  it('are sets and maps', () => {
    const { tables, findings } = read(
      TABLE,
      {
        set: {
          family: 'inet',
          name: 's',
          table: 't',
          type: ['ipv4_addr', 'inet_service'],
          handle: 4,
          flags: ['interval', 'timeout'],
          timeout: 60,
          'gc-interval': 5,
          size: 9,
          policy: 'memory',
          'auto-merge': true,
          comment: 'x',
          stmt: [{ counter: null }],
          elem: [
            { concat: [{ prefix: { addr: '10.0.0.0', len: 8 } }, { range: [1, 2] }] },
            { elem: { val: '*', timeout: 7, expires: 3, comment: 'y', counter: { packets: 1, bytes: 2 } } },
          ],
        },
      },
      {
        map: {
          family: 'inet',
          name: 'm',
          table: 't',
          type: { typeof: { meta: { key: 'iifname' } } },
          handle: 5,
          map: 'verdict',
          elem: [[{ elem: { val: 'eth0', comment: 'z' } }, { goto: { target: 'c' } }]],
        },
      },
    );
    expect(findings).toEqual([]);
    expect(tables[0]!.sets).toMatchObject([
      {
        kind: 'set',
        name: 's',
        key: { kind: 'type', names: ['ipv4_addr', 'inet_service'] },
        flags: ['interval', 'timeout'],
        timeout: 60,
        gcInterval: 5,
        size: 9,
        policy: 'memory',
        autoMerge: true,
        comment: 'x',
        then: [{ kind: 'counter' }],
        elements: [
          {
            key: {
              kind: 'concat',
              of: [
                { kind: 'prefix', addr: value('10.0.0.0'), length: 8 },
                { kind: 'range', from: value(1), to: value(2) },
              ],
            },
          },
          { key: { kind: 'any' }, timeout: 7, expires: 3, comment: 'y', then: [{ kind: 'counter', packets: 1, bytes: 2 }] },
        ],
      },
      {
        kind: 'map',
        name: 'm',
        key: { kind: 'typeof', of: { kind: 'meta', key: 'iifname' } },
        data: { kind: 'type', names: ['verdict'] },
        elements: [{ key: value('eth0'), comment: 'z', data: { kind: 'verdict', verdict: 'goto', chain: 'c' } }],
      },
    ]);
  });

  it('are elements of a set on their own', () => {
    const set = { set: { family: 'inet', name: 's', table: 't', type: 'inet_service', handle: 4, elem: [1] } };
    const element = { element: { family: 'inet', name: 's', table: 't', elem: { set: [2, 3] } } };
    expect(read(TABLE, set, element).tables[0]!.sets[0]!.elements.map((e) => e.key)).toEqual([value(1), value(2), value(3)]);
    expect(read(TABLE, element).findings).toMatchObject([{ code: 'no-such-set' }]);
  });

  it('are objects, with what text has between their braces', () => {
    const of = { family: 'inet', table: 't', handle: 1 };
    const bodies = read(
      { counter: { ...of, name: 'a', comment: 'x', packets: 1, bytes: 2 } },
      { quota: { ...of, name: 'b', bytes: 10485760, used: 1025, inv: true } },
      { limit: { ...of, name: 'c', rate: 10, per: 'minute', burst: 5 } },
      { limit: { ...of, name: 'd', rate: 5, per: 'second', rate_unit: 'mbytes', burst: 2, burst_unit: 'kbytes', inv: true } },
      { 'ct helper': { ...of, name: 'e', type: 'ftp', protocol: 'tcp', l3proto: 'ip' } },
      { 'ct timeout': { ...of, name: 'f', protocol: 'tcp', l3proto: 'ip', policy: { established: 100, close: 5 } } },
      { 'ct expectation': { ...of, name: 'g', protocol: 'udp', dport: 9876, timeout: 90_500, size: 12, l3proto: 'ip' } },
      { synproxy: { ...of, name: 'h', mss: 1460, wscale: 7, flags: ['timestamp', 'sack-perm'] } },
      { secmark: { ...of, name: 'i', context: 'a:b:c' } },
      { flowtable: { ...of, name: 'j', hook: 'ingress', prio: 0, dev: ['d0', 'd1'] } },
    ).tables[0]!.objects.map((o) => [o.kind, o.body]);
    expect(bodies).toEqual([
      ['counter', 'comment "x"; packets 1 bytes 2'],
      ['quota', 'over 10 mbytes used 1025 bytes'],
      ['limit', 'rate 10/minute'],
      ['limit', 'rate over 5 mbytes/second burst 2 kbytes'],
      ['ct helper', 'type "ftp" protocol tcp; l3proto ip'],
      ['ct timeout', 'protocol tcp; l3proto ip; policy = { established : 100, close : 5 }'],
      ['ct expectation', 'protocol udp; dport 9876; timeout 1m30s500ms; size 12; l3proto ip'],
      ['synproxy', 'mss 1460; wscale 7; timestamp sack-perm'],
      ['secmark', '"a:b:c"'],
      ['flowtable', 'hook ingress priority 0; devices = { d0, d1 }'],
    ]);
  });
});

describe('what JSON says otherwise than text', () => {
  it.each([
    [{ payload: { protocol: 'tcp', field: 'dport' } }, 22, '=='],
    [{ payload: { protocol: 'tcp', field: 'dport' } }, '@ports', 'in'],
    [{ payload: { protocol: 'tcp', field: 'dport' } }, { set: [1, 2] }, 'in'],
    [{ payload: { protocol: 'tcp', field: 'flags' } }, 'syn', '=='],
    [{ '&': [meta('mark'), 1] }, 0, '=='],
  ])('%j == %j is %s', (left, right, op) => {
    expect(match(left, right)).toMatchObject({ kind: 'match', op });
  });

  it('is `in` for flags, and stays', () => {
    expect(match({ ct: { key: 'state' } }, ['established', 'related'], 'in')).toEqual({
      kind: 'match',
      op: 'in',
      left: { kind: 'ct', key: 'state' },
      right: { kind: 'list', of: [value('established'), value('related')] },
    });
  });

  it('is true and false for what is there and what is not', () => {
    expect(match({ exthdr: { name: 'frag' } }, true)).toMatchObject({ left: { kind: 'exthdr', header: 'frag' }, right: value('exists') });
    expect(match({ 'tcp option': { base: 42, offset: 0, len: 8 } }, false)).toMatchObject({
      left: { kind: 'option', of: 'tcp', name: 42 },
      right: value('missing'),
    });
  });

  it('is interfaces and realms without a name', () => {
    expect(match(meta('iif'), '77')).toMatchObject({ right: value(77) });
    expect(match(meta('iif'), { set: ['lo', '5'] })).toMatchObject({ right: { elements: [{ key: value('lo') }, { key: value(5) }] } });
    expect(match({ rt: { key: 'classid' } }, { range: ['1', '5'] })).toMatchObject({ right: { kind: 'range', from: value(1), to: value(5) } });
    expect(match(meta('iifname'), '77')).toMatchObject({ right: value('77') });
  });

  it('is numbers that a double does not hold, and those above 2^63 with a sign', () => {
    expect(match({ ct: { key: 'bytes' } }, -1, '>')).toMatchObject({ right: value('0xffffffffffffffff') });
    const text = JSON.stringify({ nftables: [TABLE, CHAIN, rule({ match: { op: '==', left: meta('random'), right: 'N' } })] });
    const wide = readNftJson(text.replace('"N"', '16045690984503098046'), 'nft.json');
    expect(wide.tables[0]!.chains[0]!.rules[0]!.statements[0]).toMatchObject({ right: value('0xdeadbeefcafebabe') });
  });

  it('is the burst that a limit has anyway', () => {
    expect(one({ limit: { rate: 10, burst: 5, per: 'second' } })).toEqual({
      kind: 'limit',
      over: false,
      rate: 10,
      unit: 'packets',
      per: 'second',
    });
    expect(one({ limit: { rate: 10, burst: 7, per: 'second' } })).toMatchObject({ burst: 7, burstUnit: 'packets' });
    expect(one({ limit: { rate: 1, burst: 0, per: 'day', rate_unit: 'kbytes', burst_unit: 'bytes', inv: true } })).toEqual({
      kind: 'limit',
      over: true,
      rate: 1,
      unit: 'kbytes',
      per: 'day',
    });
  });

  it('is the default of reject', () => {
    expect(one({ reject: { type: 'icmpx', expr: 'port-unreachable' } })).toEqual({ kind: 'reject' });
    expect(one({ reject: { type: 'icmp', expr: 'port-unreachable' } })).toEqual({ kind: 'reject', type: 'icmp', code: value('port-unreachable') });
    expect(one({ reject: { type: 'tcp reset' } })).toEqual({ kind: 'reject', type: 'tcp reset' });
    expect(one({ reject: null })).toEqual({ kind: 'reject' });
  });

  it('is flags and forms of nat', () => {
    const dnat = { family: 'ip', addr: { prefix: { addr: '10.0.0.0', len: 24 } }, flags: ['netmap', 'persistent'], type_flags: 'prefix' };
    expect(one({ dnat })).toEqual({
      kind: 'nat',
      type: 'dnat',
      family: 'ip',
      addr: { kind: 'prefix', addr: value('10.0.0.0'), length: 24 },
      flags: ['persistent'],
      form: 'prefix',
    });
    expect(one({ redirect: { port: 80, flags: 'random' } })).toEqual({ kind: 'nat', type: 'redirect', port: value(80), flags: ['random'] });
    expect(one({ masquerade: null })).toEqual({ kind: 'nat', type: 'masquerade', flags: [] });
  });

  it('is a constant whose type nft lost', () => {
    expect(match({ ct: { key: 'proto-dst', dir: 'original' } }, { set: ['0x50 [invalid type]'] })).toMatchObject({
      right: { elements: [{ key: value(80) }] },
    });
  });

  it('is the tuple of ct, with or without its family', () => {
    expect(match({ ct: { key: 'ip saddr', dir: 'original' } }, '10.0.0.1')).toMatchObject({
      left: { kind: 'ct', key: 'saddr', direction: 'original', family: 'ip' },
    });
  });

  it('is a long chain of | in newer versions', () => {
    expect(match({ '|': ['a', 'b', 'c'] }, 1)).toMatchObject({
      left: { kind: 'binary', op: '|', left: { kind: 'binary', op: '|', left: value('a'), right: value('b') }, right: value('c') },
    });
  });
});

// This machine's kernel has no queue, flow offload, fwd of these forms, security marks, or nft that prints `last`.
describe('statements that the corpus cannot have', () => {
  it.each<readonly [unknown, StatementSyntax]>([
    [{ queue: null }, { kind: 'queue', flags: [] }],
    [
      { queue: { num: { range: [1, 3] }, flags: ['bypass', 'fanout'] } },
      { kind: 'queue', to: { kind: 'range', from: { kind: 'value', value: 1 }, to: { kind: 'value', value: 3 } }, flags: ['bypass', 'fanout'] },
    ],
    [{ queue: { num: 4, flags: 'bypass' } }, { kind: 'queue', to: { kind: 'value', value: 4 }, flags: ['bypass'] }],
    [{ flow: { op: 'add', flowtable: '@f' } }, { kind: 'flow', name: 'f' }],
    [{ secmark: 'x' }, { kind: 'object', of: 'secmark', name: { kind: 'value', value: 'x' } }],
    [{ xt: { type: 'match', name: 'comment' } }, { kind: 'xt', type: 'match', name: 'comment' }],
    [{ xt: { type: 'target', name: 'REJECT' } }, { kind: 'xt', type: 'target', name: 'REJECT' }],
    [{ last: null }, { kind: 'last', words: '' }],
    [
      { map: { op: 'update', elem: { elem: { val: meta('mark'), timeout: 9 } }, data: meta('cpu'), map: '@m' } },
      { kind: 'element', op: 'update', set: 'm', element: { key: { kind: 'meta', key: 'mark' }, timeout: 9, data: { kind: 'meta', key: 'cpu' } } },
    ],
    [
      { meter: { name: 'm', key: meta('mark'), stmt: { counter: null }, size: 16 } },
      { kind: 'element', op: 'add', set: 'm', element: { key: { kind: 'meta', key: 'mark' }, then: [{ kind: 'counter' }] }, meter: 16 },
    ],
  ])('%j', (json, tree) => {
    expect(one(json)).toEqual(tree);
  });
});

describe('places', () => {
  it('are the lines of JSON that has lines', () => {
    const { tables } = readNftJson(JSON.stringify({ nftables: [TABLE, CHAIN, rule({ accept: null })] }, null, 2), 'nft.json');
    expect(tables[0]!.at).toEqual({ file: 'nft.json', line: 3, column: 5 });
    expect(tables[0]!.chains[0]!.at.line).toBe(10);
    expect(tables[0]!.chains[0]!.rules[0]!.at.line).toBe(22);
  });

  it('are the columns of JSON that is one line', () => {
    const text = JSON.stringify({ nftables: [TABLE, CHAIN, rule({ accept: null })] });
    const { tables } = readNftJson(text, 'nft.json');
    const { line, column } = tables[0]!.chains[0]!.rules[0]!.at;
    expect(line).toBe(1);
    expect(text.slice(column! - 1)).toMatch(/^\{"rule"/);
  });
});

describe('what cannot be used', () => {
  const good = rule({ accept: null });
  const rulesOf = (r: RulesetSyntax): number => r.tables[0]?.chains[0]?.rules.length ?? 0;

  it('is an unknown statement: opaque, and the rest of the rule stays', () => {
    const read1 = read(TABLE, CHAIN, rule({ counter: null }, { teleport: { to: 'mars' } }, { accept: null }));
    expect(read1.findings).toMatchObject([{ severity: 'warning', code: 'unknown-statement', at: { file: 'nft.json', line: 1 } }]);
    expect(read1.findings[0]!.message).toContain("'teleport'");
    expect(read1.findings[0]!.hint).toBeDefined();
    expect(read1.tables[0]!.chains[0]!.rules[0]!.statements.map((s) => s.kind)).toEqual(['counter', 'opaque', 'verdict']);
    expect(read1.tables[0]!.chains[0]!.rules[0]!.statements[1]).toMatchObject({ words: '{"teleport":{"to":"mars"}}' });
  });

  it('stands at its line and column, one by one', () => {
    const unknown = { teleport: { to: 'mars' } };
    for (const indent of [0, 4]) {
      const text = JSON.stringify({ nftables: [TABLE, CHAIN, rule({ counter: null }, unknown, unknown, 'beam up "x"')] }, undefined, indent);
      const places = readNftJson(text, 'nft.json').findings.map(({ at }) => text.split('\n')[at.line - 1]!.slice(at.column! - 1));
      expect(places.map((p) => p.slice(0, 9))).toEqual(['"teleport', '"teleport', '"beam up ']);
      if (indent === 0) expect(places[0]!.length).toBeGreaterThan(places[1]!.length);
    }
  });

  it('is told a hundred times, and how many more there are', () => {
    const { findings } = read(TABLE, CHAIN, ...Array.from({ length: 2000 }, () => rule({ teleport: null })), rule({ match: 1 }));
    expect(findings).toHaveLength(101);
    expect(findings[100]!.message).toBe('1901 more findings of the kind unknown-statement are not listed');
  });

  it('is an unknown expression', () => {
    const { tables, findings } = read(TABLE, CHAIN, rule({ match: { op: '==', left: { tunnel: { key: 'id' } }, right: 7 } }));
    expect(findings).toMatchObject([{ code: 'unknown-expression' }]);
    expect(tables[0]!.chains[0]!.rules[0]!.statements[0]).toMatchObject({
      kind: 'match',
      left: { kind: 'opaque', words: '{"tunnel":{"key":"id"}}' },
    });
  });

  it.each([
    ['a match without a side', { match: { op: '==', left: 1 } }],
    ['a relation nobody knows', { match: { op: '~', left: 1, right: 2 } }],
    ['a limit without a rate', { limit: { per: 'second' } }],
    ['two statements in one', { accept: null, drop: null }],
    ['a number', 7],
    ['words of no statement', 'teleport @m { ip saddr : meta mark }'],
    ['words that go on', 'update @m { ip saddr : meta mark } accept'],
  ])('is %s', (_, json) => {
    const { tables, findings } = read(TABLE, CHAIN, rule(json));
    expect(findings).toMatchObject([{ code: 'unknown-statement' }]);
    expect(tables[0]!.chains[0]!.rules[0]!.statements[0]!.kind).toBe('opaque');
  });

  it('is a newer schema: said, and read on', () => {
    const later = read({ metainfo: { version: '9.9', json_schema_version: 2 } }, TABLE, CHAIN, good);
    expect(later.findings).toMatchObject([{ severity: 'warning', code: 'newer-schema' }]);
    expect(rulesOf(later)).toBe(1);
  });

  it('is an item that does not fit, or that nobody knows', () => {
    const odd = read(TABLE, CHAIN, { rule: { family: 'inet', table: 't' } }, { rule: { family: 'appletalk' } }, { teapot: {} }, {}, good);
    expect(odd.findings.map((f) => f.code)).toEqual(['unexpected-json', 'unexpected-json', 'unknown-item', 'unknown-item']);
    expect(odd.findings[0]!.message).toContain("'chain'");
    expect(rulesOf(odd)).toBe(1);
  });

  it('is a flag of a table that is none: nft 1.0.6 prints what lies about in memory', () => {
    expect(read({ table: { family: 'ip', name: 't', handle: 1, flags: 'Lester' } }).findings).toMatchObject([{ code: 'unknown-flag' }]);
  });

  it('is an item with a fault in it; the others are used', () => {
    const text = JSON.stringify({ nftables: [TABLE, CHAIN, rule({ drop: null }), good] }).replace('"drop":null', '"drop":nil');
    const r = readNftJson(text, 'nft.json');
    expect(r.findings).toMatchObject([{ severity: 'error', code: 'bad-json', at: { line: 1 } }]);
    expect(rulesOf(r)).toBe(1);
  });

  it('is a rule of a chain that is not there', () => {
    expect(read(TABLE, good).findings).toMatchObject([{ severity: 'error', code: 'no-such-chain' }]);
  });

  it('is the rest of what was cut off, wherever that was', () => {
    const text = JSON.stringify({ nftables: [TABLE, CHAIN, good, good] });
    for (let cut = 0; cut < text.length; cut++) {
      const r = readNftJson(text.slice(0, cut), 'nft.json');
      expect(r.findings.map((f) => f.code)).toHaveLength(1);
    }
    const before = text.lastIndexOf('{"rule"');
    expect(rulesOf(readNftJson(text.slice(0, before), 'nft.json'))).toBe(1);
    expect(readNftJson(text.slice(0, before + 9), 'nft.json').findings).toMatchObject([{ severity: 'error', code: 'truncated' }]);
  });

  it('is what nft 1.0.6 breaks off at a dormant table', () => {
    const text = '{"nftables": [{"table": {"family": "ip", "name": "x", "handle": 1, "flags": ';
    expect(readNftJson(text, 'nft.json').findings[0]!.hint).toContain('dormant');
  });

  it('is brackets without end', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const text = JSON.stringify({ nftables: [TABLE, CHAIN, rule('deep'), good] }).replace('"deep"', deep);
    expect(readNftJson(text, 'nft.json').findings).toMatchObject([{ code: 'bad-json' }]);
    expect(rulesOf(readNftJson(text, 'nft.json'))).toBe(1);
  });

  it('is anything at all: it never throws', () => {
    const sound = readCorpus().flatMap((c) => c.json ?? []);
    const change = fc.record({
      of: fc.constantFrom(...sound),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      out: fc.nat(30),
      by: fc.oneof(fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', '-1', 'null', 'true', '{}', '[]', '""', '"@x"', '"*"'), fc.string()),
    });
    fc.assert(
      fc.property(change, ({ of, at, out, by }) => {
        const from = Math.floor(at * of.length);
        readNftJson(of.slice(0, from) + by + of.slice(from + out), 'nft.json');
      }),
      { numRuns: 300 },
    );
  });

  it.each(['', '[]', '{}', '[{"addr": 1}]', 'null', '{"nftables": 7}', '{"nftables": [[[{}]]]}', '}}}}', '{"a": {"b": {'])(
    'never throws: %j',
    (text) => {
      expect(readNftJson(text, 'nft.json').tables).toEqual([]);
    },
  );
});
