// What `netwhy/testing` gives to tests of people's own.
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { load } from '../src/cli/load.ts';
import { readBundle, trace, worldOf, type World } from '../src/index.ts';
import { expectProperty, matchers, packets, rules, ruleSets } from '../src/testing/index.ts';

const scenario = async (name: string): Promise<World> => (await load(join(import.meta.dirname, '../scenarios', name))).world;

describe('random packets', () => {
  it('are of their space', async () => {
    const world = await scenario('calico-ipip');
    fc.assert(
      fc.property(packets(world, { from: 'node2/app', to: '10.233.92.0/24', proto: 'tcp', dport: '8000-8100' }), ({ packet }) => {
        expect(packet.proto).toBe(6);
        expect(packet.dport).toBeGreaterThanOrEqual(8000);
        expect(packet.dport).toBeLessThanOrEqual(8100);
        expect((packet.dst as number) >>> 8).toBe(0x0ae95c);
      }),
    );
  });

  it('come to the edges that the rules have: a service that one address in 65,536 has is met', async () => {
    const world = await scenario('kube-proxy-iptables');
    const met = fc.sample(packets(world, { from: 'node2/app', to: '10.0.0.0/16', proto: 'tcp' }), { numRuns: 300, seed: 1 });
    expect(met.some((question) => trace(world, { question }).courses.some((c) => c.trace.translated.dst !== undefined))).toBe(true);
  });

  it('of no space throw', async () => {
    const world = await scenario('calico-ipip');
    expect(() => packets(world, { from: 'nobody', to: '10.0.0.1' })).toThrow(RangeError);
  });
});

describe('random rules', () => {
  it('are read without a finding', () => {
    fc.assert(
      fc.property(ruleSets('FORWARD'), (text) => {
        const world = worldOf(readBundle([{ path: 'iptables-save.txt', text }], { folder: 'node' }));
        expect(world.namespaces[0]!.tables[0]!.chains['FORWARD']!.rules.every((r) => r.match.kind !== 'opaque')).toBe(true);
        expect(world.findings.filter((f) => f.severity === 'error')).toEqual([]);
      }),
    );
  });

  it('are for the chain that is asked for', () => {
    fc.assert(
      fc.property(rules('INPUT', { targets: ['DROP'] }), (line) => {
        expect(line).toMatch(/^-A INPUT .*-j DROP$/);
      }),
    );
  });
});

describe('expectations', () => {
  const broken = { for: { from: 'worker1/pod-a', to: '192.168.21.11', proto: 'tcp' }, expect: { masqueraded: true } } as const;

  it('give what was proved, or throw with the trace', async () => {
    const world = await scenario('ippool-overlaps-host');
    expect(expectProperty(world, { for: { from: 'worker1/pod-a', to: '223.5.5.5', proto: 'tcp' }, expect: { masqueraded: true } })).toMatchObject({
      status: 'holds',
    });
    expect(() => expectProperty(world, broken)).toThrow(/masqueraded does not hold[\s\S]*REPLY LOST at gateway/);
    expect(() => expectProperty(world, broken, { random: true })).toThrow(/masqueraded does not hold/);
    expect(() => expectProperty(world, { ...broken, for: { ...broken.for, to: 'x' } })).toThrow(RangeError);
  });

  it('matchers say yes, no, and why', async () => {
    const world = await scenario('ippool-overlaps-host');
    const [inside, outside] = [
      { from: 'worker1/pod-a', to: '192.168.21.11:6443' },
      { from: 'worker1/pod-a', to: '223.5.5.5:443' },
    ];
    expect(matchers.toDeliver(world, outside).pass).toBe(true);
    expect(matchers.toDeliver(world, inside).pass).toBe(false);
    expect(matchers.toDeliver(world, inside).message()).toContain('REPLY LOST at gateway');
    expect(matchers.toMasquerade(world, outside).pass).toBe(true);
    expect(matchers.toMasquerade(world, inside).pass).toBe(false);
    expect(matchers.toRefuse(world, inside).pass).toBe(false);
    expect(matchers.toHold(world, broken).pass).toBe(false);
    expect(matchers.toHold(world, broken).message()).toContain('nobody translated the source');
    expect(() => matchers.toDeliver(world, { from: 'nobody', to: '10.0.0.1:1' })).toThrow(RangeError);
  });
});
