// Nothing that a file can hold makes a reader throw, and a Windows line end changes nothing.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConntrack } from '../../src/capture/conntrack.ts';
import { readIpset } from '../../src/capture/ipset.ts';
import { readIpvs, type IpvsReading } from '../../src/capture/ipvs.ts';
import { readListeners } from '../../src/capture/listeners.ts';
import { readLinks } from '../../src/capture/links.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import { readNeighbours } from '../../src/capture/neighbours.ts';
import { readRoutes } from '../../src/capture/routes.ts';
import { readRules } from '../../src/capture/rules.ts';
import { readSysctls } from '../../src/capture/sysctl.ts';
import type { Finding } from '../../src/model/finding.ts';
import { bundleOf, plain } from './captured.ts';

const tools = bundleOf('tools').filter((f) => !f.path.endsWith('.sh'));
const files = [...tools, ...bundleOf('kube-proxy-1.26-ipvs').filter((f) => f.text.length < 50_000)];

function readIpvsText(text: string, path: string): IpvsReading {
  return readIpvs([{ path, text, lists: 'servers' }]);
}

function readAll(text: string): readonly Finding[] {
  const readers = [readIpset, readLinks, readRoutes, readRules, readNeighbours, readSysctls, readConntrack, readIpvsText, readListeners];
  return readers.flatMap((read): readonly Finding[] => read(text, 'f').findings);
}

describe('any damage to a capture', () => {
  const aFile = fc.constantFrom(...files);

  it('truncation at any byte is read, and every finding has its place', () => {
    fc.assert(
      fc.property(aFile, fc.nat(), (file, n) => {
        const text = file.text.slice(0, n % (file.text.length + 1));
        const lines = text.split('\n').length;
        const { findings } = readNamespace([{ path: file.path, text }], 'n', '');
        for (const f of findings) expect(f.at.line).toSatisfy((l: number) => l >= 1 && l <= lines);
      }),
      { numRuns: 600 },
    );
  });

  it('changed bytes are read', () => {
    const flip = fc.tuple(fc.nat(), fc.oneof(fc.nat(127), fc.constantFrom(...' \t\n/,:=-"[]{}\\0123456789'.split('').map((c) => c.charCodeAt(0)))));
    fc.assert(
      fc.property(aFile, fc.array(flip, { minLength: 1, maxLength: 20 }), (file, flips) => {
        const chars = [...file.text];
        for (const [at, code] of flips) chars[at % chars.length] = String.fromCharCode(code);
        readNamespace([{ path: file.path, text: chars.join('') }], 'n', '');
      }),
      { numRuns: 600 },
    );
  });

  it('any text given to any reader is read', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'default',
        'via',
        'dev',
        'from',
        'lookup',
        'add',
        'create',
        'nexthop',
        'src=1.1.1.1',
        'TCP',
        'FWM',
        '->',
        '-A',
        '-a',
        '-t',
        '-f',
        '-6',
        '-b',
        '-r',
        '10.0.0.1:80',
        '0A000001:0050',
        '00:10',
        'Masq',
        'persistent',
        'IP Virtual Server version',
        'inet',
        '1:',
        '-',
        '/',
        '0x',
        '__proto__',
        'constructor',
        '{',
        '"',
        '[',
      ),
      fc.string({ maxLength: 6 }),
    );
    const text = fc
      .array(
        fc.array(word, { maxLength: 8 }).map((w) => w.join(' ')),
        { maxLength: 6 },
      )
      .map((l) => l.join('\n'));
    fc.assert(
      fc.property(text, (t) => void readAll(t)),
      { numRuns: 1500 },
    );
  });

  it('the text of one command given to the reader of another is read', () => {
    for (const { text } of files) for (const f of readAll(text)) expect(f.message).not.toBe('');
  });

  it('a hundred findings of a kind are enough', () => {
    expect(readSysctls('what\n'.repeat(5000), 'f').findings).toHaveLength(101);
  });
});

describe('line ends', () => {
  it.each(tools)('CRLF gives the same model: $path', ({ path, text }) => {
    const model = (t: string): unknown => plain(readNamespace([{ path, text: t }], 'n', '').namespace);
    expect(model(text.replaceAll('\n', '\r\n'))).toEqual(model(text));
    expect(model(`\ufeff${text}`)).toEqual(model(text));
  });
});
