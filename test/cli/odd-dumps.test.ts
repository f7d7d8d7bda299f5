// Dumps that are odd, broken, huge or damaged: each oddity is told with its line, and the rest is used.
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerJson, answerText, ask, isMisunderstood, readBundle, trace, TraceAnswer, type Answer, type CaptureFile } from '../../src/index.ts';
import { netwhy, root } from './bin.ts';

let tmp: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-odd-'));
});
afterAll(() => {
  rmSync(tmp, { recursive: true, force: true });
});

// A router between 10.0.0.0/24 and 10.0.1.0/24, of which everything but the rules is captured and plain.
const ROUTER: Readonly<Record<string, string>> = {
  'ip-addr.txt': `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:00:00:01 brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.254/24 scope global eth0
3: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:00:00:02 brd ff:ff:ff:ff:ff:ff
    inet 10.0.1.254/24 scope global eth1
`,
  'ip-route.txt': `10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.254
10.0.1.0/24 dev eth1 proto kernel scope link src 10.0.1.254
local 10.0.0.254 dev eth0 table local proto kernel scope host src 10.0.0.254
local 10.0.1.254 dev eth1 table local proto kernel scope host src 10.0.1.254
local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1
`,
  'ip-rule.txt': '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n',
  'ipset-save.txt': '',
  'sysctl.txt': `net.ipv4.ip_forward = 1
net.ipv4.conf.all.forwarding = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.eth0.forwarding = 1
net.ipv4.conf.eth0.rp_filter = 0
net.ipv4.conf.eth1.forwarding = 1
net.ipv4.conf.eth1.rp_filter = 0
`,
};

let folders = 0;
/** The router with these rules, as a folder. */
function router(rules: string | Uint8Array): string {
  const folder = join(tmp, String(folders++), 'router');
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(ROUTER)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'iptables-save.txt'), rules);
  return folder;
}

interface Told {
  readonly line: number | undefined;
  readonly words: string;
}

/** Everything that `netwhy show -o json` has to say about places in iptables-save.txt. */
function told(folder: string): Told[] {
  const { out } = netwhy(['show', folder, '-o', 'json']);
  const { findings, unmodelled } = JSON.parse(out) as Record<'findings' | 'unmodelled', { at: { file: string; line: number } }[]>;
  return [...findings, ...unmodelled].filter((f) => f.at.file === 'iptables-save.txt').map((f) => ({ line: f.at.line, words: JSON.stringify(f) }));
}

interface Asked {
  readonly code: number | null;
  readonly answer: TraceAnswer;
}
type TraceAnswer = ReturnType<typeof TraceAnswer.parse>;

function forwarded(folder: string, dport: number, ...more: string[]): Asked {
  const run = netwhy(['trace', folder, '--from', '10.0.0.1', '--to', `10.0.1.1:${dport}`, '-j', ...more]);
  expect(run.err).toBe('');
  return { code: run.code, answer: TraceAnswer.parse(JSON.parse(run.out)) };
}

function kinds(a: Asked): string[] {
  return a.answer.outcomes.map((o) => o.outcome.kind).toSorted();
}

const ODD = [
  /*  1 */ '*filter',
  /*  2 */ ':INPUT ACCEPT [0:0]',
  /*  3 */ ':FORWARD ACCEPT [0:0]',
  /*  4 */ ':OUTPUT ACCEPT [0:0]',
  /*  5 */ ':GOOD - [0:0]',
  /*  6 */ '-A FORWARD -p udp -m foo --bar -j DROP',
  /*  7 */ '-A FORWARD -p tcp -m tcp --dport 81 -m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0" -j DROP',
  /*  8 */ '-A FORWARD -p tcp -m tcp --dport 82 -m foo --bar baz -j DROP',
  /*  9 */ '-A FORWARD -p tcp -m tcp --dport 83 -j FROBNICATE --to 7',
  /* 10 */ '-A FORWARD -p tcp -m tcp --dport 84 -j NOCHAIN',
  /* 11 */ '-A FORWARD -p tcp -m tcp --dport 85',
  /* 12 */ '-A FORWARD -p tcp -m tcp --dport 86 -j GOOD',
  /* 13 */ '-A FORWARD -p tcp -m tcp --dport 87 -j DROP',
  /* 14 */ '-A FORWARD -p tcp -m tcp --dport 90 -m foo ! --bar -j ACCEPT',
  /* 15 */ '-A FORWARD -p tcp -m tcp --dport 90 -j ACCEPT',
  /* 16 */ '-A GOOD -p tcp -j REJECT --reject-with tcp-reset',
  /* 17 */ '-A FORWARD -p tcp -m tcp --dport 88 -j DR',
];

describe.each([
  ['with line feeds', ODD.join('\n')],
  ['with CRLF', ODD.join('\r\n')],
])('a dump of odd rules %s that breaks off in its last one', (_how, text) => {
  let folder: string;
  let places: Told[];
  beforeAll(() => {
    folder = router(text);
    places = told(folder);
  });

  it.each([
    [6, '-m foo', 'foo'],
    [7, '-m bpf', 'bpf'],
    [8, '-m foo with a value', 'foo'],
    [9, 'an unknown target', 'FROBNICATE'],
    [10, 'a jump to a chain that is not there', 'NOCHAIN'],
    [11, 'a rule without -j', ''],
    [14, 'a negated -m foo', 'foo'],
    [17, 'the last line', ''],
  ])('line %i, %s, is told', (line, _what, word) => {
    const here = places.filter((p) => p.line === line);
    expect(here).not.toEqual([]);
    expect(here.some((p) => p.words.includes(word))).toBe(true);
  });

  it('nothing is told of the lines that are in order', () => {
    expect(places.filter((p) => [1, 2, 3, 4, 5, 12, 13, 15, 16].includes(p.line ?? 0))).toEqual([]);
  });

  it('the rest is used: a plain rule drops, a chain rejects', () => {
    const dropped = forwarded(folder, 87);
    expect([dropped.code, kinds(dropped)]).toEqual([1, ['dropped']]);
    expect(dropped.answer.outcomes[0]?.outcome.at).toEqual({ file: 'iptables-save.txt', line: 13 });
    const rejected = forwarded(folder, 86);
    expect([rejected.code, kinds(rejected)]).toEqual([1, ['rejected']]);
    expect(rejected.answer.outcomes[0]?.outcome.at).toEqual({ file: 'iptables-save.txt', line: 16 });
  });

  it('a packet that no odd rule is for is decided without them', () => {
    const passed = forwarded(folder, 80);
    expect([passed.code, kinds(passed)]).toEqual([0, ['left']]);
    expect(passed.answer.outcomes[0]?.assumptions.filter((x) => x.forked)).toEqual([]);
  });

  it('-p udp -m foo has no influence on a tcp packet, and decides for a udp one', () => {
    expect(kinds(forwarded(folder, 80))).toEqual(['left']);
    const udp = forwarded(folder, 80, '--proto', 'udp');
    expect(udp.code).toBe(3);
    // the reply is udp too, and what foo says of it is another question
    expect(kinds(udp).filter((k) => k !== 'reply-lost')).toEqual(['dropped', 'left']);
    expect(JSON.stringify(udp.answer.unknowns)).toContain('foo');
  });

  it.each([
    [81, 7, 'bpf'],
    [82, 8, 'foo'],
  ])('where it is for the packet (port %i), an unknown match forks the walk: dropped, or not', (port, line, word) => {
    const asked = forwarded(folder, port);
    expect([asked.code, kinds(asked), asked.answer.verdict]).toEqual([3, ['dropped', 'left'], 'cannot-tell']);
    expect(asked.answer.outcomes.find((o) => o.outcome.kind === 'dropped')?.outcome.at?.line).toBe(line);
    expect(JSON.stringify(asked.answer.unknowns)).toContain(word);
  });

  it.each([
    [83, 9, 'FROBNICATE'],
    [84, 10, 'NOCHAIN'],
  ])('what an unknown target or chain does (port %i) cannot be told, and it is named with its line', (port, line, word) => {
    const asked = forwarded(folder, port);
    expect([asked.code, asked.answer.verdict]).toEqual([3, 'cannot-tell']);
    const { unknowns, outcomes, findings } = asked.answer;
    expect(JSON.stringify([unknowns, outcomes.map((o) => o.outcome)])).toContain(word);
    const lines = [...findings.map((f) => f.at?.line), ...outcomes.flatMap((o) => [o.outcome.at?.line, ...o.assumptions.map((x) => x.at?.line)])];
    expect(lines).toContain(line);
  });

  it('a rule without -j lets the packet go on', () => {
    expect([forwarded(folder, 85).code, kinds(forwarded(folder, 85))]).toEqual([0, ['left']]);
  });

  it('an unknown match whose rule only repeats what happens anyway changes nothing', () => {
    expect([forwarded(folder, 90).code, kinds(forwarded(folder, 90))]).toEqual([0, ['left']]);
  });

  it('what may follow where the dump breaks off is told with every answer', () => {
    expect(forwarded(folder, 80).answer.findings.map((f) => f.at?.line)).toContain(17);
    expect(netwhy(['trace', folder, '--from', '10.0.0.1', '--to', '10.0.1.1:80']).out).toMatch(/iptables-save\.txt:17: .*/);
  });
});

describe('text that is hardly a dump', () => {
  const whole = ODD.slice(0, 5).concat('-A FORWARD -p tcp -m tcp --dport 87 -j DROP', 'COMMIT', '').join('\n');

  it.each([
    ['NUL bytes in a comment', whole.replace('-j DROP', '-m comment --comment "a\0b" -j DROP')],
    ['a line of 100,000 characters', whole.replace('-j DROP', `-m comment --comment "${'x'.repeat(100_000)}" -j DROP`)],
    ['blank lines and comments in between', whole.replaceAll('\n', '\n\n# a comment\n')],
    ['a byte-order mark', `\ufeff${whole}`],
    ['spaces and tabs at the ends', whole.replaceAll('\n', ' \t\n')],
    ['counters in front', whole.replace('-A FORWARD', '[12:3456] -A FORWARD')],
    ['a shell prompt and the command above it', `root@router:~# iptables-save\n${whole}`],
    ['a letter around it', `Hello, this is what I see:\n\n${whole}\nThanks!\n`],
  ])('%s: the rule is found and drops', (_what, text) => {
    const folder = router(text);
    const asked = forwarded(folder, 87);
    expect([asked.code, kinds(asked)]).toEqual([1, ['dropped']]);
    expect(kinds(forwarded(folder, 80))).toEqual(['left']);
  });

  it('a rule with an unclosed quote is told with its line, and the next line is read', () => {
    const folder = router(whole.replace('-A FORWARD', '-A FORWARD -p tcp -m comment --comment "never closed -j DROP\n-A FORWARD'));
    expect(told(folder).map((t) => t.line)).toContain(6);
    expect(kinds(forwarded(folder, 87))).toContain('dropped');
  });

  it('chains that jump in a circle decide nothing that can be told; the jump back is named', () => {
    const lines = ['*filter', ':FORWARD ACCEPT [0:0]', ':A - [0:0]', ':B - [0:0]', '-A FORWARD -j A', '-A A -j B', '-A B -j A', 'COMMIT', ''];
    const asked = forwarded(router(lines.join('\n')), 80);
    expect([asked.code, kinds(asked)]).toEqual([3, ['cannot-tell']]);
    expect([6, 7]).toContain(asked.answer.outcomes[0]?.outcome.at?.line);
  });

  it.each([
    ['to itself', ['-A FORWARD -j A', '-A A -g A']],
    ['to itself, if an unknown match holds', ['-A FORWARD -j A', '-A A -m foo --bar -g A']],
    ['between two chains', ['-A FORWARD -j A', '-A A -g B', '-A B -g A']],
    ['behind a jump', ['-A FORWARD -j A', '-A A -j B', '-A B -g A']],
  ])('gotos in a circle, %s, end too: nothing can be told', (_how, rules) => {
    const folder = router(['*filter', ':FORWARD ACCEPT [0:0]', ':A - [0:0]', ':B - [0:0]', ...rules, 'COMMIT', ''].join('\n'));
    const run = netwhy(['trace', folder, '--from', '10.0.0.1', '--to', '10.0.1.1:80', '-o', 'minimal'], { timeout: 10_000 });
    expect([run.code, run.err]).toEqual([3, '']);
    expect(run.out).toMatch(/cannot-tell\n$/);
  });

  it('a set that is a list of itself decides nothing that can be told', () => {
    const folder = router(['*filter', ':FORWARD ACCEPT [0:0]', '-A FORWARD -m set --match-set L src -j DROP', 'COMMIT', ''].join('\n'));
    writeFileSync(join(folder, 'ipset-save.txt'), 'create L list:set size 8\ncreate M list:set size 8\nadd L M\nadd M L\n');
    const asked = forwarded(folder, 80);
    // nothing is in it, or nobody knows: but no answer rests on a crash
    expect([0, 3]).toContain(asked.code);
    expect(kinds(asked)).toContain('left');
  });

  it('a table that is there twice counts once, as iptables-restore has it: the later one, and the answer says so', () => {
    const twice = whole.replace('COMMIT\n', 'COMMIT\n*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --dport 89 -j DROP\nCOMMIT\n');
    const folder = router(twice);
    expect(kinds(forwarded(folder, 89))).toEqual(['dropped']);
    const asked = forwarded(folder, 87);
    expect(kinds(asked)).toEqual(['left']);
    expect(asked.answer.findings.map((f) => [f.at?.file, f.at?.line])).toContainEqual(['iptables-save.txt', 8]);
  });
});

describe('a dump of 200 MB', () => {
  it('is read, and answered from', { timeout: 120_000 }, () => {
    const file = join(tmp, 'huge.txt');
    const fd = openSync(file, 'w');
    writeSync(fd, '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n');
    // few different rules, long ones: as an iptables-save of somebody who pads his comments
    const padding = 'do not remove this rule, ask the network team first; '.repeat(4);
    const sort = [
      (n: number) =>
        `-A FORWARD -s 172.16.${(n >> 8) & 255}.${n & 255}/32 -p tcp -m tcp --dport ${1 + (n % 60000)} -m comment --comment "${padding}" -j DROP`,
      (n: number) => `-A FORWARD -d 172.17.${(n >> 8) & 255}.${n & 255}/32 -m comment --comment "${padding}" -j ACCEPT`,
      (n: number) => `-A INPUT -i eth${n % 7} -p udp -m udp --dport ${1 + (n % 60000)} -m comment --comment "${padding}" -j ACCEPT`,
    ];
    let size = 0;
    for (let n = 0; size < 200 * 1024 * 1024;) {
      const lines: string[] = [];
      for (let i = 0; i < 4000; i++, n++) lines.push(sort[n % sort.length]!(n));
      size += writeSync(fd, `${lines.join('\n')}\n`);
    }
    writeSync(fd, '-A FORWARD -s 10.0.0.1/32 -p tcp -m tcp --dport 443 -j DROP\nCOMMIT\n');
    closeSync(fd);
    const run = netwhy(['trace', file, '--from', '10.0.0.1', '--to', '10.0.1.1:443', '--in', 'local:eth0', '-o', 'minimal'], {
      env: { NODE_OPTIONS: '--max-old-space-size=4096' },
      timeout: 100_000,
    });
    expect(run.err).toBe('');
    expect(run.code === 1 || run.code === 3).toBe(true);
    expect(run.out).toMatch(/^huge: dropped/m);
    rmSync(file);
  });
});

describe('a damaged dump', () => {
  const worker = join(root, 'scenarios/ippool-overlaps-host/worker1');
  const read = (name: string): CaptureFile => ({ path: name, text: readFileSync(join(worker, name), 'utf8') });
  const others = ['ip-addr.txt', 'ip-link.txt', 'ip-route.txt', 'ip-rule.txt', 'ip-neigh.txt', 'ipset-save.txt', 'sysctl.txt'].map(read);
  const bytes = readFileSync(join(worker, 'iptables-save.txt'));

  function answers(text: string): Answer[] {
    const { namespaces, findings } = readBundle([...others, { path: 'iptables-save.txt', text }], { folder: 'worker1' });
    const world = { namespaces, wires: [], findings };
    return [
      { from: '192.168.236.10', to: '192.168.21.11:6443', in: 'worker1:calia9589d79281' },
      { from: 'worker1', to: '10.96.0.1:443' },
    ].map((request) => {
      const asked = ask(world, request);
      if (isMisunderstood(asked)) throw new Error(asked.error);
      return trace(world, asked);
    });
  }

  const flip = fc.record({ kind: fc.constant('flip' as const), at: fc.nat(bytes.length - 1), xor: fc.integer({ min: 1, max: 255 }) });
  const cut = fc.record({ kind: fc.constant('cut' as const), at: fc.nat(bytes.length - 1), length: fc.integer({ min: 1, max: 400 }) });
  const twice = fc.record({ kind: fc.constant('twice' as const), at: fc.nat(bytes.length - 1), length: fc.integer({ min: 1, max: 400 }) });
  const end = fc.record({ kind: fc.constant('end' as const), at: fc.nat(bytes.length - 1) });
  const damage = fc.array(fc.oneof({ weight: 6, arbitrary: flip }, cut, twice, end), { minLength: 1, maxLength: 12 });

  it('is answered from without a throw, in text and in JSON that fits the schema', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(damage, (hits) => {
        let broken = Buffer.from(bytes);
        for (const h of hits) {
          const at = Math.min(h.at, broken.length);
          if (h.kind === 'flip' && at < broken.length) broken[at]! ^= h.xor;
          if (h.kind === 'cut') broken = Buffer.concat([broken.subarray(0, at), broken.subarray(at + h.length)]);
          if (h.kind === 'twice') broken = Buffer.concat([broken.subarray(0, at + h.length), broken.subarray(at)]);
          if (h.kind === 'end') broken = broken.subarray(0, Math.max(1, at));
        }
        for (const a of answers(new TextDecoder().decode(broken))) {
          expect(TraceAnswer.safeParse(JSON.parse(JSON.stringify(answerJson(a)))).error?.issues ?? []).toEqual([]);
          expect(answerText(a)).toMatch(/\S/);
          expect(answerText(a, { level: 'minimal' }).split('\n').at(-2)).toMatch(/^(yes|no|cannot-tell)$/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('undamaged, it is the emblem case', () => {
    const [pod, node] = answers(bytes.toString('utf8'));
    expect(pod?.courses[0]?.nearMisses.map((m) => m.chain)).toContain('cali-nat-outgoing');
    expect(node?.courses[0]?.trace.translated.dst?.to).toBe('192.168.21.11:6443');
  });
});
