// What becomes of all packets of a space, who reaches which service, and what two worlds do otherwise.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { overlap, sizeOf, type Box } from '../../src/ask/box.ts';
import { applyEdits, isRefused, readEdit } from '../../src/ask/edit.ts';
import { differenceOf } from '../../src/ask/difference.ts';
import { fatesOf, matrixOf, reachOf, servicesOf } from '../../src/ask/reach.ts';
import { isSpaceError, readSpace, representative, type Space, type SpaceText } from '../../src/ask/space.ts';
import { trace } from '../../src/ask/trace.ts';
import { load } from '../../src/cli/load.ts';
import type { World } from '../../src/model/host.ts';
import { parseAddr, type Addr } from '../../src/net/addr.ts';
import { box as boxText, blocks, count } from '../../src/say/blocks.ts';

async function worldOf(name: string): Promise<World> {
  return (await load(join(import.meta.dirname, '../../scenarios', name))).world;
}

function spaceOf(world: World, text: SpaceText): Space {
  const space = readSpace(world, text);
  if (isSpaceError(space)) throw new Error(`${space.key}: ${space.error}`);
  return space;
}

const addr = (text: string): Addr => parseAddr(text) as Addr;

describe('reach', () => {
  it('tells every packet once, and each as the packet itself is told', async () => {
    const world = await worldOf('ippool-overlaps-host');
    const space = spaceOf(world, { from: 'worker1/pod-a', to: { any: '0.0.0.0/0' }, proto: ['tcp', 'udp'] });
    const { reached, left, packets } = reachOf(world, space);
    expect(left).toBe(0n);
    expect(reached.reduce((n, r) => n + r.packets, 0n)).toBe(packets);
    const boxes = reached.flatMap((r) => r.boxes);
    for (const [i, a] of boxes.entries()) for (const b of boxes.slice(i + 1)) expect(share(a, b)).toBe(false);
    for (const r of reached)
      for (const b of r.boxes.slice(0, 3)) {
        const fates = fatesOf(trace(world, { question: space.question(b, representative(b)) }));
        expect(fates.map(({ why: _why, ...f }) => f)).toEqual(r.fates.map(({ why: _why, ...f }) => f));
      }
  });

  it('stops at its bound, and says how much is left', async () => {
    const world = await worldOf('ippool-overlaps-host');
    const { left, classes } = reachOf(world, spaceOf(world, { from: 'worker1/pod-a', to: { any: '0.0.0.0/0' } }), { limit: 2 });
    expect(classes).toBe(2);
    expect(left).toBeGreaterThan(0n);
  });
});

function share(a: Box, b: Box): boolean {
  if (a.proto !== b.proto) return false;
  return (['src', 'dst', 'sport', 'dport'] as const).every((p) => !a[p] || !b[p] || overlap(a[p], b[p]) !== undefined);
}

describe('the matrix', () => {
  it('has every service that rules, virtual servers or records name', async () => {
    const names = (world: World): string[] => servicesOf(world).map((s) => s.to);
    expect(names(await worldOf('kube-proxy-iptables'))).toEqual(['10.0.1.175:80']);
    expect(names(await worldOf('ipvs-baseline'))).toContain('10.233.0.1:443');
  });

  it('says who reaches them', async () => {
    const { rows } = matrixOf(await worldOf('kube-proxy-absent'));
    expect(new Set(rows.flatMap((r) => r.cells.map((c) => c.verdict)))).toEqual(new Set(['yes', 'no']));
  });
});

describe('packets that fare otherwise in another world', () => {
  it('are those that the fault is about', async () => {
    const [a, b] = [await worldOf('docker-bridge'), await worldOf('docker-bridge')];
    const text: SpaceText = { from: 'host/app', to: { any: '0.0.0.0/0' }, proto: 'tcp' };
    const same = differenceOf({ world: a, space: spaceOf(a, text) }, { world: b, space: spaceOf(b, text) });
    expect(same).toMatchObject({ differing: [], open: { packets: 0n } });
    const edit = readEdit('host# sysctl -w net.ipv4.ip_forward=0', { file: '-e', line: 1 }, b);
    const off = isRefused(edit) ? edit : applyEdits(b, [edit]);
    if (isRefused(off)) throw new Error(off.refused);
    const found = differenceOf({ world: a, space: spaceOf(a, text) }, { world: off, space: spaceOf(off, text) });
    expect(found.differing.length).toBeGreaterThan(0);
    expect(new Set(found.differing.flatMap((d) => d.b.map((f) => f.kind)))).toEqual(new Set(['not-forwarding']));
    expect(found.differing.reduce((n, d) => n + d.boxes.reduce((m, x) => m + sizeOf(x), 0n), 0n)).toBe(
      found.differing.reduce((n, d) => n + d.packets, 0n),
    );
  });
});

describe('boxes in words', () => {
  it.each([
    ['192.168.0.0', '192.168.255.255', '192.168.0.0/16'],
    ['10.0.0.1', '10.0.0.1', '10.0.0.1'],
    ['10.0.0.0', '10.0.0.2', '10.0.0.0/31, 10.0.0.2'],
    ['10.0.0.1', '10.255.255.254', '10.0.0.1-10.255.255.254'],
    ['0.0.0.0', '255.255.255.255', '0.0.0.0/0'],
    ['2001:db8::', '2001:db8::ffff', '2001:db8::/112'],
  ])('%s to %s', (lo, hi, text) => {
    expect(blocks([addr(lo), addr(hi)])).toBe(text);
  });

  it('tell what is not open in full', () => {
    expect(boxText({ proto: 6, dst: [addr('10.0.0.0'), addr('10.0.0.255')], dport: [80, 80], sport: [0, 65535] })).toBe('tcp -> 10.0.0.0/24 port 80');
    expect(boxText({ proto: 17, src: [addr('10.0.0.1'), addr('10.0.0.1')], dst: [addr('10.0.0.2'), addr('10.0.0.2')], sport: [1, 1023] })).toBe(
      'udp 10.0.0.1 -> 10.0.0.2 from port 1-1023',
    );
  });

  it.each([
    [65_280n, '65,280'],
    [2n ** 71n, '2^71'],
    [3n * 2n ** 40n, 'about 2^41.6'],
  ])('%s packets', (n, text) => {
    expect(count(n)).toBe(text);
  });
});
