// Every capture of this repository: read, printed and read again it says the same, and no damage to it makes a reader throw or hang.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBundle } from '../../src/capture/bundle.ts';
import { readIpset } from '../../src/capture/ipset.ts';
import { readIpvs } from '../../src/capture/ipvs.ts';
import { parseSave, printSave, readSave } from '../../src/iptables-parser/index.ts';
import type { ServerTunnel, VirtualServer } from '../../src/model/ipvs.ts';
import type { IpSet } from '../../src/model/ruleset.ts';
import { formatAddr, formatEndpoint, maskOf, type Addr } from '../../src/net/addr.ts';
import { TCP, UDP } from '../../src/net/proto.ts';
import { plain } from './captured.ts';

interface Text {
  readonly path: string;
  readonly bytes: Buffer;
}

const repository = join(import.meta.dirname, '../..');
const texts: Text[] = ['test/captures', 'scenarios']
  .flatMap((folder) => readdirSync(join(repository, folder), { recursive: true, withFileTypes: true }))
  .filter((f) => f.isFile() && !f.parentPath.includes('expected'))
  .map((f) => join(f.parentPath, f.name))
  .toSorted()
  .map((file) => {
    const bytes = readFileSync(file);
    return { path: file.slice(repository.length + 1).replace(/\.gz$/, ''), bytes: file.endsWith('.gz') ? gunzipSync(bytes) : bytes };
  });
const saves = texts.filter((t) => /^\*(filter|nat|raw|mangle|security)$/m.test(t.bytes.toString()) && !t.path.endsWith('.sh'));
// those that tell whole virtual servers
const ipvs = texts.filter(
  (t) => /ipvsadm-(Sn|Ln|Ln-nosort|Ln-tun-info|Ln-t|list|save)\.txt$/.test(t.path) && /^(?:-A|TCP|UDP|SCTP|FWM) /m.test(t.bytes.toString()),
);
const IPIP: ServerTunnel = { type: 'ipip', checksum: 'none' };
const ipsets = texts.filter((t) => /ipset-(save|list)/.test(t.path));

function read({ path, bytes }: Text): unknown {
  return readBundle([{ path, text: bytes.toString('utf8') }], { node: 'n' });
}

/** As `ipset save` would print what was read. */
function printSets(sets: readonly IpSet[]): string {
  const words = (s: IpSet): string[] => Object.entries(s.options).map(([key, value]) => (value === '' ? key : `${key} ${value}`));
  return sets
    .flatMap((s) => [`create ${[s.name, s.type, ...words(s)].join(' ')}`, ...new Set(s.members.map((m) => `add ${s.name} ${m.text}`))])
    .map((line) => `${line}\n`)
    .join('');
}

/** As `ipvsadm -Sn` would print what was read, and with the thresholds that it leaves out. */
function printIpvs(services: readonly VirtualServer[]): string {
  const end = (at: { readonly addr: Addr; readonly port: number }): string => formatEndpoint(at.addr, at.port);
  const flags = ['flag-1', 'flag-2', 'flag-3'];
  const tunnel = ({ type, port, checksum }: ServerTunnel): string[] => [
    `--tun-type ${type}`,
    ...(port === undefined ? [] : [`--tun-port ${port}`]),
    ...(type === 'ipip' ? [] : [{ none: '--tun-nocsum', checksum: '--tun-csum', remote: '--tun-remcsum' }[checksum]]),
  ];
  const method = { masq: '-m', direct: '-g', tunnel: '-i', local: '-g', bypass: '-g' };
  return services
    .flatMap((s) => {
      const kind = s.proto === TCP ? '-t' : s.proto === UDP ? '-u' : '--sctp-service';
      const name = s.mark !== undefined ? `-f ${s.mark}${s.family === 6 ? ' -6' : ''}` : `${kind} ${end({ addr: s.addr!, port: s.port! })}`;
      const mask = s.family === 6 ? String(s.persistence?.length) : formatAddr(maskOf(4, s.persistence?.length ?? 32));
      const words = [
        ...(s.persistence ? [`-p ${s.persistence.seconds} -M ${mask}`] : []),
        ...(s.engine ? [`--pe ${s.engine}`] : []),
        ...(s.onePacket ? ['-o'] : []),
        ...(s.schedulerFlags!.length > 0 ? [`-b ${s.schedulerFlags!.map((n) => flags[n - 1]).join(',')}`] : []),
      ];
      const servers = s.servers.map((r) =>
        [`-a ${name} -r ${end(r)} ${method[r.forwarding]} -w ${r.weight} -x ${r.upper} -y ${r.lower}`, ...(r.tunnel ? tunnel(r.tunnel) : [])].join(
          ' ',
        ),
      );
      return [[`-A ${name} -s ${s.scheduler}`, ...words].join(' '), ...servers];
    })
    .map((line) => `${line}\n`)
    .join('');
}

describe('every capture', () => {
  it('is there', () => {
    expect(texts.length).toBeGreaterThan(100);
    expect(saves.length).toBeGreaterThan(8);
    expect(ipsets.length).toBeGreaterThan(5);
    expect(ipvs.length).toBeGreaterThan(6);
  });

  it.each(saves.map((t) => [t.path, t] as const))('%s: rules read, printed and read again are the same', (path, { bytes }) => {
    const once = parseSave(bytes.toString(), path);
    const options = { file: path };
    const printed = printSave(once);
    const model = readSave(printed, options).tables;
    expect(plain(model)).toEqual(plain(readSave(bytes.toString(), options).tables));
    expect(printSave(parseSave(printed, path))).toBe(printed);
  });

  it.each(ipsets.map((t) => [t.path, t] as const))('%s: sets read, printed and read again are the same', (path, { bytes }) => {
    const { sets } = readIpset(bytes.toString(), path);
    const whole = sets.filter((s) => s.incomplete === undefined);
    const again = readIpset(printSets(whole), path);
    expect(again.findings.filter((f) => f.severity === 'error')).toEqual([]);
    expect(plain(again.sets)).toEqual(plain(whole));
  });

  it.each(ipvs.map((t) => [t.path, t] as const))('%s: virtual servers read, printed and read again are the same', (path, { bytes }) => {
    const once = readIpvs([{ path, text: bytes.toString(), lists: 'servers' }]).ipvs?.services ?? [];
    const again = readIpvs([{ path, text: printIpvs(once), lists: 'servers' }]);
    const shown = once.map((s) => ({
      ...plain(s),
      inKernelOrder: s.servers.length < 2,
      servers: s.servers.map((r) => ({ tunnel: r.forwarding === 'tunnel' ? IPIP : undefined, ...plain(r), active: undefined, inactive: undefined })),
    }));
    expect(once.length).toBeGreaterThan(0);
    expect(again.findings).toEqual([]);
    expect(plain(again.ipvs?.services)).toEqual(plain(shown));
  });

  it('read twice is the same', () => {
    for (const t of texts) expect(plain(read(t))).toEqual(plain(read(t)));
  });
});

describe('any damage to any capture', () => {
  const WINDOW = 700;
  const RUNS = 100_000;
  // Pieces of a few lines each, so that a hundred thousand of them take seconds; the first line goes with them, because it often says what follows.
  const pieces = texts.map((t) => {
    const starts = [0];
    for (let at = t.bytes.indexOf(10); at >= 0; at = t.bytes.indexOf(10, at + 1)) if (at + 1 - starts.at(-1)! >= WINDOW / 3) starts.push(at + 1);
    const head = t.bytes.subarray(0, Math.min(t.bytes.indexOf(10) + 1, WINDOW));
    return { path: t.path, of: starts.map((s) => Buffer.concat([s === 0 ? Buffer.alloc(0) : head, t.bytes.subarray(s, s + WINDOW)])) };
  });
  const damaged = fc
    .record({ file: fc.nat(), piece: fc.nat(), at: fc.nat(), bits: fc.integer({ min: 0, max: 255 }) })
    .map(({ file, piece, at, bits }): Text => {
      const { path, of } = pieces[file % pieces.length]!;
      const bytes = Buffer.from(of[piece % of.length]!);
      const place = at % Math.max(bytes.length, 1);
      if (bits < 96 || bytes.length === 0) return { path, bytes: bytes.subarray(0, place) }; // cut off
      bytes[place]! ^= bits - 95;
      return { path, bytes };
    });

  it(`is read: ${RUNS} pieces cut off, or with a byte flipped`, { timeout: 300_000 }, () => {
    let inputs = 0;
    let read = 0;
    fc.assert(
      fc.property(damaged, ({ path, bytes }) => {
        inputs++;
        const { namespaces } = readBundle([{ path, text: bytes.toString('utf8') }], { node: 'n' });
        read += namespaces.length;
      }),
      { numRuns: RUNS },
    );
    expect(inputs).toBe(RUNS);
    // most of them are still taken for what they were
    expect(read).toBeGreaterThan(RUNS / 2);
  });
});
