// The bin from the outside: what it exits with, what it prints where, what it refuses and what it reads.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TraceAnswer } from '../../src/index.ts';
import { netwhy, root, type Run } from './bin.ts';

const EMBLEM = 'scenarios/ippool-overlaps-host';
const QUESTION = ['--from', 'worker1/pod-a', '--to', '192.168.21.11:6443'];
const ESC = '\u001b[';

let tmp: string;
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), 'netwhy-trace-'));
});
afterAll(() => {
  rmSync(tmp, { recursive: true, force: true });
});

function trace(capture: string, ...args: string[]): Run {
  return netwhy(['trace', capture, ...(args.length > 0 ? args : QUESTION)]);
}

/** Refused: nothing on stdout, the reason on stderr, no stack trace. */
function expectRefused(run: Run, ...words: (string | RegExp)[]): void {
  expect(run.err).not.toMatch(/\n {4}at |bug in netwhy/);
  expect(run).toMatchObject({ code: 2, out: '' });
  for (const w of words) expect(run.err).toMatch(w);
}

describe('the emblem case', () => {
  it('exits 1 for a pod whose reply is lost, and says which member of which set did it', () => {
    const run = trace(EMBLEM);
    expect(run.code).toBe(1);
    expect(run.err).toBe('');
    expect(run.out).toMatch(/^REPLY LOST at gateway/m);
    expect(run.out).toMatch(/cali-nat-outgoing 1 MASQUERADE --random-fully did not match {2}\[Calico, IP pools\] +worker1\/iptables-save\.txt:205$/m);
    expect(run.out).toMatch(/yes +-m set --match-set cali40masq-ipam-pools src +192\.168\.236\.10 is in it: 192\.168\.0\.0\/16/);
    expect(run.out).toMatch(
      /NO +-m set ! --match-set cali40all-ipam-pools dst +192\.168\.21\.11 is in it: 192\.168\.0\.0\/16 +worker1\/ipset-save\.txt:2$/m,
    );
    expect(run.out).toMatch(/^Decisive: .*cali40all-ipam-pools.*192\.168\.0\.0\/16.*worker1\/ipset-save\.txt:2/m);
  });

  it('exits 0 for the internet: masqueraded by that rule, and the reply finds the pod', () => {
    const run = trace(EMBLEM, '--from', 'worker1/pod-a', '--to', '223.5.5.5:443');
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^DELIVERED to internet, and the reply arrives$/m);
    expect(run.out).toMatch(
      /^Translated: worker1: source 192\.168\.236\.10:40000 -> 192\.168\.21\.20:\S+ by .*cali-nat-outgoing 1 \(worker1\/iptables-save\.txt:205; Calico, IP pools\)$/m,
    );
  });

  it('exits 1 for the service of the API server: translated, then lost like the rest', () => {
    const run = trace(EMBLEM, '--from', 'worker1/pod-a', '--to', '10.96.0.1:443');
    expect(run.code).toBe(1);
    expect(run.out).toMatch(/^Translated: worker1: destination 10\.96\.0\.1:443 -> 192\.168\.21\.11:6443/m);
    expect(run.out).toMatch(/^REPLY LOST at gateway/m);
    expect(run.out).toMatch(/^Decisive: .*cali40all-ipam-pools/m);
  });

  it('exits 0 for that service from the worker itself', () => {
    const run = trace(EMBLEM, '--from', 'worker1', '--to', '10.96.0.1:443');
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatch(/^DELIVERED to master, and the reply arrives$/m);
  });

  it('is traced the same from its scenario.yaml', () => {
    expect(trace(`${EMBLEM}/scenario.yaml`)).toEqual(trace(EMBLEM));
  });

  it('says nothing of addresses that were not asked about', () => {
    expect(trace(EMBLEM).out).not.toMatch(/undefined|NaN|\[object|null/);
  });
});

describe('with the capture of worker1 alone', () => {
  let folder: string;
  beforeAll(() => {
    folder = join(tmp, 'worker1');
    cpSync(join(root, EMBLEM, 'worker1'), folder, { recursive: true });
  });

  it.each([
    ['by the name of its namespace', 'worker1/pod-a'],
    ['by its address', '192.168.236.10'],
  ])('the pod, %s, leaves ens192 as itself, and the reply arrives only if the network beyond routes it back', (_how, from) => {
    const { code, out, err } = trace(folder, '--from', from, '--to', '192.168.21.11:6443');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(
      /^LEFT worker1 by ens192 towards 192\.168\.21\.11 as 192\.168\.236\.10:40000 -> 192\.168\.21\.11:6443, source not translated$/m,
    );
    expect(out).toMatch(
      /^Not translated: cali-nat-outgoing 1 \(iptables-save\.txt:205; Calico, IP pools\).*cali40all-ipam-pools.*192\.168\.21\.11 is in it: 192\.168\.0\.0\/16 \(ipset-save\.txt:2\)/m,
    );
    expect(out).toMatch(/the network beyond ens192 routes 192\.168\.236\.10 back to worker1: the reply arrives only if it does/);
  });

  it('the pod reaches the internet masqueraded, and the reply comes to an address of the worker', () => {
    const { code, out } = trace(folder, '--from', 'worker1/pod-a', '--to', '223.5.5.5:443');
    expect(code).toBe(0);
    expect(out).toMatch(/^LEFT worker1 by ens192 towards 192\.168\.21\.1 as 192\.168\.21\.20:/m);
    expect(out).toMatch(/^Translated: worker1: source 192\.168\.236\.10:40000 -> 192\.168\.21\.20:/m);
  });

  it('local is the worker', () => {
    const { code, out } = trace(folder, '--from', 'local', '--to', '10.96.0.1:443', '-o', 'minimal');
    expect(code).toBe(0);
    expect(out).toMatch(/^tcp 192\.168\.21\.20:40000 -> 10\.96\.0\.1:443 SYN$/m);
    expect(out).toContain('10.96.0.1:443 -> 192.168.21.11:6443');
  });

  const packed: [string, string[]][] = [
    ['a tar of the folder', ['cf', '-C', 'PARENT', 'worker1']],
    ['a tar of what is in it', ['cf', '-C', 'FOLDER', '.']],
    ['a tar.gz of the folder', ['czf', '-C', 'PARENT', 'worker1']],
    ['a tar.gz of what is in it', ['czf', '-C', 'FOLDER', '.']],
  ];
  it.each(packed)('%s answers as the folder does', (name, [flags, ...rest]) => {
    const file = join(tmp, `${name.replaceAll(' ', '-')}.bin`);
    const made = spawnSync('tar', [flags!, file, ...rest.map((a) => a.replace('PARENT', tmp).replace('FOLDER', folder))]);
    expect(made.status).toBe(0);
    const minimal = [...QUESTION, '-o', 'minimal'];
    const plain = trace(folder, ...minimal);
    expect(trace(file, ...minimal)).toEqual(plain);
    expect(netwhy(['trace', '-', ...minimal], { input: readFileSync(file) })).toEqual(plain);
    expect(plain.out).toContain('worker1/pod-a > worker1: left');
  });
});

describe('a scenario in a tar', () => {
  it.each([
    ['tar', 'cf'],
    ['tar.gz', 'czf'],
  ])('%s answers as its folder does', (ending, flags) => {
    const file = join(tmp, `scenario.${ending}`);
    expect(spawnSync('tar', [flags, file, '-C', join(root, 'scenarios'), 'ippool-overlaps-host']).status).toBe(0);
    for (const form of ['minimal', 'text', 'json']) expect(trace(file, ...QUESTION, '-o', form)).toEqual(trace(EMBLEM, ...QUESTION, '-o', form));
  });
});

describe('a single dump', () => {
  const save = join(root, 'test/captures/kube-proxy-1.26-iptables/node1/iptables-nft-save.txt');
  const asked = ['--from', '10.244.1.20', '--to', '10.96.0.1:443'];

  it('is read from a file, from standard input, and gzipped', () => {
    const file = trace(save, ...asked);
    expect(file.code).toBe(0);
    expect(file.out).toContain('10.96.0.1:443 -> 192.168.21.11:6443');
    const zipped = join(tmp, 'iptables-nft-save.txt.gz');
    writeFileSync(zipped, gzipSync(readFileSync(save)));
    expect(trace(zipped, ...asked)).toEqual(file);
    const piped = netwhy(['trace', '-', ...asked], { input: readFileSync(save) });
    expect(piped.code).toBe(0);
    expect(piped.out.replaceAll(/ *stdin:/g, ' FILE:')).toBe(file.out.replaceAll(/ *iptables-nft-save\.txt:/g, ' FILE:'));
  });

  it('says what it had to take for granted', () => {
    const { out } = trace(save, ...asked);
    expect(out).toMatch(/routes of \S+ were not captured/);
    expect(out).toMatch(/net\.ipv4\.ip_forward was not captured/);
  });
});

describe('exit code 3', () => {
  it('is for what an uncaptured set decides, and names it', () => {
    const folder = join(tmp, 'no-sets');
    cpSync(join(root, EMBLEM), folder, { recursive: true });
    rmSync(join(folder, 'worker1/ipset-save.txt'));
    const run = trace(folder);
    expect(run).toMatchObject({ code: 3, err: '' });
    expect(run.out).toMatch(/^CANNOT TELL.*cali40all-ipam-pools/m);
  });

  it('is not for an uncaptured set that cannot matter', () => {
    const folder = join(tmp, 'no-sets-but-the-node-asks');
    cpSync(join(root, EMBLEM), folder, { recursive: true });
    rmSync(join(folder, 'worker1/ipset-save.txt'));
    expect(trace(folder, '--from', 'worker1', '--to', '192.168.21.11:6443').code).toBe(0);
  });
});

describe('what is captured but not modelled, or not captured at all, is no yes', () => {
  const kube = 'test/captures/kube-proxy-1.26-iptables/node1';
  const some = (name: string, from: string, files: readonly string[]): string => {
    const folder = join(tmp, name);
    mkdirSync(folder);
    for (const f of files) cpSync(join(root, from, f), join(folder, f));
    return folder;
  };
  const REST = ['ip-addr.txt', 'ip-route.txt', 'ip-rule.txt', 'sysctl.txt'];

  it('a service address whose virtual servers were not captured, and where they were it does not', () => {
    const ipvs = 'test/captures/kube-proxy-1.26-ipvs/node1';
    const without = trace(
      some('no-ipvs', ipvs, ['iptables-legacy-save.txt', 'ipset-save.txt', ...REST]),
      '--from',
      '10.244.1.20',
      '--to',
      '10.96.10.1:80',
    );
    expect(without.code).toBe(3);
    expect(without.out).toMatch(/CANNOT TELL[\s\S]*kube-ipvs0.*ipvsadm -Sn/);
    expect(trace(ipvs, '--from', '10.244.1.20', '--to', '10.96.10.1:80').out).toMatch(/1\/3 {2}to 10\.244\.1\.5:8080/);
  });

  it('rules in a ruleset of nft', () => {
    const run = trace(some('nft-only', kube, ['nft.txt', ...REST]), '--from', '10.244.1.20', '--to', '10.96.10.4:80');
    expect(run.code).toBe(3);
    expect(run.out).toMatch(/CANNOT TELL[\s\S]*capture iptables-nft-save/);
  });

  it('rules that nobody captured', () => {
    const run = trace(some('no-rules', kube, REST), '--from', '10.244.1.20', '--to', '192.168.21.11:80');
    expect(run.code).toBe(3);
    expect(run.out).toMatch(/CANNOT TELL.*rules/);
  });

  it('but an empty dump says that there are none', () => {
    const folder = some('empty-rules', kube, REST);
    writeFileSync(join(folder, 'iptables-save.txt'), '');
    expect(trace(folder, '--from', '10.244.1.20', '--to', '192.168.21.11:80').code).toBe(0);
  });
});

describe('JSON', () => {
  it('says who made a rule and a route, where their shape tells', () => {
    const { outcomes } = TraceAnswer.parse(JSON.parse(trace(EMBLEM, ...QUESTION, '-j').out));
    const told = outcomes[0]!.hops.flatMap((h) =>
      h.steps.flatMap((s) => (s.step === 'rule' || s.step === 'route' ? [[s.text.slice(0, 30), s.origin?.by, s.origin?.of]] : [])),
    );
    expect(outcomes[0]!.nearMisses[0]!.origin).toEqual({ by: 'Calico', of: 'IP pools' });
    expect(told).toContainEqual(['-A cali-pro-kns.calico-system ', 'Calico', 'profile kns.calico-system']);
    expect(told).toContainEqual(['192.168.21.0/24 dev ens192 pro', 'kernel', undefined]);
    expect(told).toContainEqual(['default via 169.254.1.1 dev et', undefined, undefined]);
  });

  it.each([['-o', 'json'], ['-j'], ['--output', 'json'], ['-o', 'json', '--all']])(
    '%s %s fits its schema and gives the exit code of the text',
    (...form) => {
      for (const question of [QUESTION, ['--from', 'worker1/pod-a', '--to', '223.5.5.5:443']]) {
        const json = trace(EMBLEM, ...question, ...form);
        const parsed = TraceAnswer.safeParse(JSON.parse(json.out));
        expect(parsed.error?.issues ?? []).toEqual([]);
        expect(json.err).toBe('');
        expect(json.code).toBe(trace(EMBLEM, ...question).code);
      }
    },
  );

  it('has the rules that did not match only with --all, and counts them without', () => {
    const read = (...args: string[]): { step: string; truth?: unknown; count?: number }[] => {
      const { outcomes } = JSON.parse(trace(EMBLEM, ...QUESTION, '-j', ...args).out) as { outcomes: { hops: { steps: { step: string }[] }[] }[] };
      return outcomes.flatMap((o) => o.hops.flatMap((h) => h.steps));
    };
    const few = read();
    const all = read('--all');
    const missed = all.filter((s) => s.step === 'rule' && s.truth === false).length;
    const counted = few.reduce((n, s) => n + (s.step === 'skipped' ? (s.count ?? 0) : s.step === 'rule' && s.truth === false ? 1 : 0), 0);
    expect(missed).toBeGreaterThan(10);
    expect(counted).toBe(missed);
    expect(few.filter((s) => s.step === 'rule' && s.truth === false).length).toBeLessThan(missed);
    expect(all.some((s) => s.step === 'skipped')).toBe(false);
  });

  it('spells the decisive rule as captured, with its place', () => {
    const { outcomes } = JSON.parse(trace(EMBLEM, ...QUESTION, '-j').out) as { outcomes: { nearMisses: object[] }[] };
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]?.nearMisses).toContainEqual(
      expect.objectContaining({
        table: 'nat',
        chain: 'cali-nat-outgoing',
        number: 1,
        at: { file: 'worker1/iptables-save.txt', line: 205 },
        text: expect.stringContaining('! --match-set cali40all-ipam-pools dst') as string,
      }),
    );
  });
});

describe('colour', () => {
  it('is not in what goes to a pipe', () => {
    expect(trace(EMBLEM).out).not.toContain(ESC);
    expect(trace(EMBLEM, ...QUESTION, '--color=never').out).not.toContain(ESC);
  });

  it('is in it with --color=always, and only colour is', () => {
    const coloured = trace(EMBLEM, ...QUESTION, '--color=always').out;
    expect(coloured).toContain(ESC);
    expect(coloured.replaceAll(/\u001b\[[0-9;]*m/g, '')).toBe(trace(EMBLEM).out);
  });

  it('NO_COLOR yields to --color=always, and --color=never to nothing', () => {
    const under = (args: string[], env: Record<string, string>): string => netwhy(['trace', EMBLEM, ...QUESTION, ...args], { env }).out;
    expect(under([], { NO_COLOR: '1' })).not.toContain(ESC);
    expect(under(['--color=always'], { NO_COLOR: '1' })).toContain(ESC);
    expect(under(['--color=never'], { FORCE_COLOR: '1' })).not.toContain(ESC);
  });

  it('is never in JSON', () => {
    expect(trace(EMBLEM, ...QUESTION, '-j', '--color=always').out).not.toContain(ESC);
  });
});

describe('levels', () => {
  it('are each shorter than the next: minimal, summary, text, wide', () => {
    const lengths = ['minimal', 'summary', 'text', 'wide'].map((form) => trace(EMBLEM, ...QUESTION, '-o', form).out.split('\n').length);
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    expect(new Set(lengths).size).toBe(4);
  });

  it('--all shows a rule that has nothing to do with the packet, and the default does not', () => {
    const unrelated = '-d 10.101.117.12/32';
    expect(readFileSync(join(root, EMBLEM, 'worker1/iptables-save.txt'), 'utf8')).toContain(unrelated);
    expect(trace(EMBLEM, ...QUESTION, '--all').out).toContain(unrelated);
    expect(trace(EMBLEM).out).not.toContain(unrelated);
  });
});

describe('bad usage', () => {
  it('an unknown verb, and none', () => {
    expectRefused(netwhy(['frobnicate']), /unknown command 'frobnicate'/);
    expectRefused(netwhy([]), /Usage: netwhy/);
  });

  it('help and version are no bad usage', () => {
    expect(netwhy(['--help'])).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringMatching(/trace[\s\S]*show[\s\S]*capture[\s\S]*matches[\s\S]*schema/) as string,
    });
    expect(netwhy(['trace', '--help'])).toMatchObject({ code: 0, err: '', out: expect.stringContaining('--from') as string });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(netwhy(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  it('no --from, no --to, no capture', () => {
    expectRefused(trace(EMBLEM, '--to', '1.2.3.4:80'), /--from/);
    expectRefused(trace(EMBLEM, '--from', 'worker1'), /--to/);
    expectRefused(netwhy(['trace', ...QUESTION]), /capture/);
  });

  const bad: [option: string, value: string, words: RegExp][] = [
    ['--to', '010.0.0.1', /leading zero.*10\.0\.0\.1/],
    ['--to', '010.0.0.1:80', /leading zero.*10\.0\.0\.1/],
    ['--to', '1.2.3', /'1\.2\.3' is not an IPv4 address/],
    ['--to', '1.2.3:80', /'1\.2\.3' is not an IPv4 address/],
    ['--to', '1.2.3.4.5', /'1\.2\.3\.4\.5' is not an IPv4 address/],
    ['--to', '256.1.1.1:80', /'256\.1\.1\.1' is not an IPv4 address/],
    ['--to', '10.0.0.0/-1', /10\.0\.0\.0\/-1/],
    ['--to', '10.0.0.0/33', /10\.0\.0\.0\/33/],
    ['--to', '1.2.3.4/08', /1\.2\.3\.4\/08/],
    ['--to', '1.2.3.4:65536', /'65536' is not a port/],
    ['--to', '1.2.3.4:-1', /'-1' is not a port/],
    ['--to', '1.2.3.4:', /'' is not a port/],
    ['--to', 'nobody:80', /'nobody'/],
    ['--to', '', /''/],
    ['--from', '010.0.0.1', /leading zero.*10\.0\.0\.1/],
    ['--from', '1.2.3', /'1\.2\.3' is not an IPv4 address/],
    ['--from', 'worker1/pod-b', /'worker1\/pod-b'[\s\S]*worker1\/pod-a/],
    ['--from', 'local', /one node/],
    ['--from', 'fd00::1', /IPv6/],
    ['--proto', 'bogus', /'bogus' is not a protocol/],
    ['--proto', '256', /'256' is not a protocol/],
    ['--sport', '70000', /70000/],
    ['--mark', 'zz', /zz/],
    ['--flags', 'XYZ', /XYZ/],
    ['--ct-state', 'FOO', /FOO[\s\S]*ESTABLISHED/],
    ['--ttl', '256', /256/],
    ['--limit', '0', /--limit/],
    ['--output', 'yaml', /yaml[\s\S]*json/],
    ['--color', 'sometimes', /sometimes[\s\S]*never/],
    ['--bogus', '1', /--bogus/],
  ];
  it.each(bad)('%s %j is refused with what is wrong about it', (option, value, words) => {
    const args = option === '--from' ? ['--to', '192.168.21.11:6443'] : option === '--to' ? ['--from', 'worker1/pod-a'] : QUESTION;
    expectRefused(trace(EMBLEM, ...args, option, value), words, option.slice(2));
  });

  it('an address of nobody, where it could come in anywhere: the option that tells', () => {
    expectRefused(trace(EMBLEM, '--from', '9.9.9.9', '--to', '192.168.21.11:6443'), /9\.9\.9\.9/, /--in NODE:IFACE/, /worker1/);
  });

  it('an arrival at an interface, a node, that is not there', () => {
    expectRefused(trace(EMBLEM, '--from', '9.9.9.9', '--in', 'worker1:eth7', '--to', '192.168.21.11:6443'), /eth7[\s\S]*ens192/);
    expectRefused(trace(EMBLEM, '--from', '9.9.9.9', '--in', 'worker7:eth0', '--to', '192.168.21.11:6443'), /worker7/);
  });
});

describe('input that cannot be read', () => {
  const put = (name: string, content: string | Uint8Array): string => {
    const file = join(tmp, name);
    writeFileSync(file, content);
    return file;
  };

  it('a path that is not there', () => {
    expectRefused(trace(join(tmp, 'nowhere')), /nowhere: there is no such file or folder/);
  });

  it('an empty folder, and a folder of other things', () => {
    const folder = join(tmp, 'empty-folder');
    mkdirSync(folder);
    expectRefused(trace(folder), /there is no capture in it/, /netwhy capture/);
    writeFileSync(join(folder, 'letter.txt'), 'Dear colleagues,\n\nplease look at this.\n');
    expectRefused(trace(folder), /there is no capture in it/);
  });

  it('an empty file, and empty standard input', () => {
    expectRefused(trace(put('empty.txt', '')), /empty/);
    expectRefused(netwhy(['trace', '-', ...QUESTION], { input: '' }), /empty/);
  });

  it('a binary file', () => {
    expectRefused(
      trace(
        put(
          'program.bin',
          Uint8Array.from({ length: 65536 }, (_, i) => (i * 7919 + (i >> 3)) & 255),
        ),
      ),
      /program\.bin/,
      /not text/,
    );
  });

  it('xz, which it says how to unpack', () => {
    expectRefused(trace(put('save.xz', Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4, 0xe6, 0xd6]))), /xz -d/);
  });

  it('a gzip file that breaks off, and one that is damaged', () => {
    const zipped = gzipSync(readFileSync(join(root, EMBLEM, 'worker1/iptables-save.txt')));
    expectRefused(trace(put('broken.gz', zipped.subarray(0, 500))), /broken\.gz.*gzip/);
    const damaged = Uint8Array.from(zipped);
    damaged.fill(0xff, 100, 200);
    expectRefused(trace(put('damaged.gz', damaged)), /damaged\.gz.*gzip/);
  });

  it.each([
    ['within a file', 20_000],
    ['within a header', 512 * 3 + 100],
  ])('a tar that breaks off %s is refused, or the answer says that it is not whole', (where, length) => {
    const file = join(tmp, 'whole.tar');
    expect(spawnSync('tar', ['cf', file, '-C', join(root, EMBLEM), 'worker1']).status).toBe(0);
    const broken = trace(
      put(`broken-${where.replaceAll(' ', '-')}.tar`, readFileSync(file).subarray(0, length)),
      '--from',
      'local',
      '--to',
      '192.168.21.11:6443',
    );
    expect(broken.code).toBe(2);
    expect(broken.err).toMatch(/not a whole tar/);
    expect(broken.out).toBe('');
  });

  it('a scenario.yaml with an error: line, column and a caret under it', () => {
    const folder = join(tmp, 'bad-scenario');
    cpSync(join(root, EMBLEM), folder, { recursive: true });
    const yaml = readFileSync(join(folder, 'scenario.yaml'), 'utf8');
    const check = (text: string, line: number, column: number, ...words: RegExp[]): void => {
      writeFileSync(join(folder, 'scenario.yaml'), text);
      const run = trace(folder);
      expectRefused(run, ...words);
      expect(run.err).toContain(`scenario.yaml:${line}:${column}: `);
      const lines = run.err.split('\n');
      const shown = lines.findIndex((l) => l.trim() === text.split('\n')[line - 1]?.trim());
      expect(shown).toBeGreaterThan(0);
      expect(lines[shown + 1]?.indexOf('^')).toBe(
        (lines[shown]?.indexOf(text.split('\n')[line - 1]!.trim()) ?? 0) + column - 1 - leading(text.split('\n')[line - 1]!),
      );
    };
    const at = (find: string): [line: number, column: number] => {
      const before = yaml.slice(0, yaml.indexOf(find));
      return [before.split('\n').length, before.length - before.lastIndexOf('\n')];
    };
    const [titleLine] = at('title:');
    expect(titleLine).toBe(1);
    // a word that is not of the closed list
    const [line, column] = at('reply-lost, dnat');
    check(yaml.replace('reply-lost, dnat', 'reply-losst, dnat'), line, column, /reply-lost/);
    // a type that is wrong
    const [wireLine, wireColumn] = at('[worker1/ens192');
    check(yaml.replace('[worker1/ens192, master/ens192, gateway/eth0]', 'worker1/ens192'), wireLine, wireColumn, /lan/);
    // no YAML
    const broken = yaml.replace('lan: [worker1/ens192, master/ens192, gateway/eth0]', 'lan: [worker1/ens192, master/ens192');
    writeFileSync(join(folder, 'scenario.yaml'), broken);
    expectRefused(trace(folder), /scenario\.yaml:\d+:\d+: /, /\^/);
  });

  it('a scenario.yaml with a key that is unknown: the key is named', () => {
    const folder = join(tmp, 'unknown-key');
    cpSync(join(root, EMBLEM), folder, { recursive: true });
    const yaml = readFileSync(join(folder, 'scenario.yaml'), 'utf8');
    writeFileSync(join(folder, 'scenario.yaml'), yaml.replace('masqueraded: true', 'masquerade: true'));
    const line = yaml.slice(0, yaml.indexOf('masqueraded: true')).split('\n').length;
    expectRefused(trace(folder), /masquerade/, new RegExp(`scenario\\.yaml:${line}:`), /\^/);
  });

  it('a scenario whose folder of captures is missing: the line that names it', () => {
    const folder = join(tmp, 'no-master');
    cpSync(join(root, EMBLEM), folder, { recursive: true });
    rmSync(join(folder, 'master'), { recursive: true });
    const run = trace(folder);
    expect([2, 3]).toContain(run.code);
    expect(run.out + run.err).toMatch(/scenario\.yaml:6(:\d+)?: .*master/);
  });
});

function leading(line: string): number {
  return line.length - line.trimStart().length;
}
