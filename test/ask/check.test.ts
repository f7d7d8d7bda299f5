// Claims about all packets of a space: what holds is proved, what does not is broken by a packet, and who cannot be proved is said so.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/ask/box.ts';
import { checkProperty, checkQuestion, type PropertyChecked } from '../../src/ask/check.ts';
import { brokenBy } from '../../src/ask/claim.ts';
import { isSpaceError, readSpace, type SpaceText } from '../../src/ask/space.ts';
import { trace } from '../../src/ask/trace.ts';
import { load } from '../../src/cli/load.ts';
import type { World } from '../../src/model/host.ts';
import type { Property } from '../../src/model/property.ts';
import { formatRange, type Addr } from '../../src/net/addr.ts';
import { searchProperty } from '../../src/testing/index.ts';

async function scenario(name: string): Promise<{ world: World; properties: readonly Property[] }> {
  const { world, scenario: read } = await load(join(import.meta.dirname, '../../scenarios', name));
  return { world, properties: read?.properties ?? [] };
}

function checked(world: World, property: Property): PropertyChecked {
  const found = checkProperty(world, property);
  if (isSpaceError(found)) throw new Error(`${found.key}: ${found.error}`);
  return found;
}

const property = (text: SpaceText, expectation: Property['expect']): Property => ({ name: 'x', for: text as Property['for'], expect: expectation });

describe('pods leave the cluster with the address of their node', () => {
  it('is proved where it holds', async () => {
    const { world, properties } = await scenario('calico-ipip');
    const found = checked(world, properties[0]!);
    expect(found).toMatchObject({ status: 'holds', by: { kind: 'exact' } });
    expect(found.unproved).toBeUndefined();
    expect(found.by.packets).toBeGreaterThan(2n ** 64n);
  });

  it('is broken where the pool overlaps the host network, for 192.168.0.0/16 without what is excepted, and nothing else', async () => {
    const { world, properties } = await scenario('ippool-overlaps-host');
    const { status, counterexample } = checked(world, properties[0]!);
    expect(status).toBe('broken');
    const told = counterexample!.boxes.map(
      (b) => `${b.proto} ${formatRange(b.dst![0] as Addr, b.dst![1] as Addr)} ${b.dport!.join('-')} ${b.sport!.join('-')}`,
    );
    // Calico drops UDP to 4789 from pods at once
    expect(told.toSorted()).toEqual([
      '17 192.168.0.0-192.168.235.255 0-4788 0-65535',
      '17 192.168.0.0-192.168.235.255 4790-65535 0-65535',
      '17 192.168.237.0-192.168.255.255 0-4788 0-65535',
      '17 192.168.237.0-192.168.255.255 4790-65535 0-65535',
      '6 192.168.0.0-192.168.235.255 0-65535 0-65535',
      '6 192.168.237.0-192.168.255.255 0-65535 0-65535',
    ]);
    expect(brokenBy(counterexample!.answer, properties[0]!.expect)).toMatchObject({ claim: 'masqueraded', truth: false });
    expect(brokenBy(trace(world, { question: counterexample!.question }), properties[0]!.expect)).toMatchObject({ truth: false });
  });

  it('is broken by random packets too, by the same ones for the same seed', async () => {
    const { world, properties } = await scenario('ippool-overlaps-host');
    const [one, two] = [searchProperty(world, properties[0]!, { seed: 5 }), searchProperty(world, properties[0]!, { seed: 5 })];
    expect(one).toMatchObject({ status: 'broken', by: { kind: 'random', seed: 5 } });
    expect('counterexample' in one && one.counterexample?.question.packet).toEqual('counterexample' in two && two.counterexample?.question.packet);
  });

  it('random packets do not break what is proved', async () => {
    const { world, properties } = await scenario('calico-ipip');
    for (const p of properties) expect(searchProperty(world, p, { runs: 300 }), p.name).toMatchObject({ status: 'holds' });
  });
});

describe('nobody outside reaches the database', () => {
  it('is proved for every source and every source port', async () => {
    const { world, properties } = await scenario('docker-nftables');
    expect(checked(world, properties[0]!)).toMatchObject({ status: 'holds', by: { kind: 'exact' } });
  });

  it('is broken as soon as the port is published', async () => {
    const { world } = await scenario('docker-nftables');
    const found = checked(
      world,
      property(
        { in: 'host/ens3', from: { any: '0.0.0.0/0', except: ['172.16.0.0/12'] }, to: '192.168.1.10', proto: 'tcp', dport: 8080 },
        { delivered: false },
      ),
    );
    expect(found.status).toBe('broken');
  });
});

describe('every claim', () => {
  it.each<[string, string, SpaceText, Property['expect'], PropertyChecked['status']]>([
    ['delivered', 'calico-ipip', { from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, { delivered: true }, 'holds'],
    ['reply-delivered', 'ippool-overlaps-host', { from: 'worker1/pod-a', to: '192.168.21.11', proto: 'tcp' }, { 'reply-delivered': true }, 'broken'],
    ['dropped', 'docker-forward-drop', { from: 'node/dns', to: '203.0.113.0/28', proto: 'tcp' }, { rejected: false }, 'holds'],
    ['rejected', 'service-no-endpoints', { from: 'node2/app', to: '10.0.1.175', dport: 80, proto: 'tcp' }, { rejected: true }, 'holds'],
    ['snat', 'calico-ipip', { from: 'node2/app', to: '223.5.5.5', proto: 'tcp' }, { snat: '192.168.21.12' }, 'holds'],
    ['snat to another', 'calico-ipip', { from: 'node2/app', to: '223.5.5.5', proto: 'tcp' }, { snat: '192.168.21.13' }, 'broken'],
    ['dnat', 'calico-ipip', { from: 'node2/app', to: '10.233.18.7', dport: 80, proto: 'tcp' }, { dnat: '10.233.92.8:8080' }, 'holds'],
    ['endpoints', 'kube-proxy-iptables', { from: 'node2/app', to: '10.0.1.175', dport: 80, proto: 'tcp' }, { endpoints: ['10.244.1.7'] }, 'broken'],
    ['own-endpoints', 'kube-proxy-iptables', { from: 'node2/app', to: '10.0.1.175', dport: 80, proto: 'tcp' }, { 'own-endpoints': true }, 'holds'],
    ['passes', 'calico-ipip', { from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, { passes: ['node3', 'cali-FORWARD'] }, 'holds'],
    ['avoids', 'calico-ipip', { from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, { avoids: 'node1' }, 'holds'],
    ['avoids what it passes', 'calico-ipip', { from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, { avoids: ['node3'] }, 'broken'],
    ['loop', 'calico-ipip', { from: 'node2/app', to: '10.233.92.0/24', proto: 'tcp' }, { loop: false }, 'holds'],
    ['certain', 'calico-ipip', { from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, { certain: true }, 'holds'],
    [
      'certain where a set is not known',
      'ipset-revision',
      { from: 'client', to: '192.168.21.12', dport: 30080, proto: 'tcp' },
      { certain: true },
      'broken',
    ],
  ])('%s (%s)', async (_claim, name, text, expectation, status) => {
    const { world } = await scenario(name);
    const found = checkProperty(world, property(text, expectation));
    expect(isSpaceError(found) ? found : found.status).toBe(status);
  });

  it('a claim of which nobody can tell is not said to hold', async () => {
    const { world } = await scenario('ipset-revision');
    const found = checked(world, property({ from: 'client', to: '192.168.21.12', dport: 30080, proto: 'tcp' }, { 'reply-delivered': true }));
    expect(found.status).not.toBe('holds');
  });

  it('same-as compares with every packet that is sent from elsewhere, or in another scenario', async () => {
    const { world } = await scenario('calico-ipip');
    const to = { to: '10.233.92.0/24', proto: 'tcp' };
    expect(checked(world, property({ from: 'node2/app', ...to }, { 'same-as': { from: 'node2/db' } }))).toMatchObject({
      status: 'holds',
      by: { kind: 'exact' },
    });
    const fromOutside = checked(world, property({ from: 'node2/app', ...to }, { 'same-as': { from: 'client' } }));
    expect(fromOutside).toMatchObject({ status: 'broken', counterexample: { broken: { claim: 'same-as' } } });
    const [on, off] = [await scenario('hairpin-on'), await scenario('hairpin-off')];
    const claim = (addr: string): Property => property({ from: 'node/app', to: addr, proto: 'tcp' }, { 'same-as': { scenario: '../hairpin-off' } });
    const others = new Map([['../hairpin-off', off.world]]);
    expect(checkProperty(on.world, claim('10.244.1.3'), { others })).toMatchObject({ status: 'holds' });
    expect(checkProperty(on.world, claim('10.96.0.80'), { others })).toMatchObject({ status: 'broken' });
    expect(checkProperty(on.world, claim('10.96.0.80'))).toMatchObject({ error: expect.stringMatching(/was not loaded/) });
    expect(searchProperty(on.world, claim('10.96.0.80'), { others })).toMatchObject({ status: 'broken' });
  });

  it('a proof that is too long says how much is left', async () => {
    const { world, properties } = await scenario('calico-ipip');
    const found = checkProperty(world, properties[0]!, { limit: 3 });
    if (isSpaceError(found)) throw new Error(found.error);
    expect(found).toMatchObject({ status: 'unknown', by: { classes: 3 } });
    expect(found.unproved!.packets).toBeGreaterThan(0n);
    expect(found.unproved!.why).toMatch(/more than 3 classes/);
  });
});

describe('a space', () => {
  it.each<[string, SpaceText, string, RegExp]>([
    ['an unknown namespace', { from: 'node2/nobody', to: '10.0.0.1' }, 'from', /neither an address nor a captured node/],
    ['an unknown block', { from: 'node2/app', to: '10.0.0.0/33' }, 'to', /'10\.0\.0\.0\/33'/],
    ['nothing left', { from: 'node2/app', to: { any: '10.0.0.0/24', except: '10.0.0.0/8' } }, 'to', /no address is left/],
    ['no protocol', { from: 'node2/app', to: '10.0.0.1', proto: 'tpc' }, 'proto', /'tpc' is not a protocol/],
    ['no port', { from: 'node2/app', to: '10.0.0.1', dport: '80-70' }, 'dport', /'80-70'/],
    ['both families', { from: 'node2/app', to: ['10.0.0.1', '2001:db8::1'] }, 'to', /IPv4 and IPv6/],
    ['senders from nowhere', { from: ['10.0.0.0/8'], to: '10.233.92.8' }, 'in', /send from nowhere/],
    ['an unknown interface', { from: ['10.0.0.0/8'], in: 'node2/eth9', to: '10.233.92.8' }, 'in', /no interface 'eth9'/],
  ])('refuses %s, and says at which key', async (_what, text, key, error) => {
    const { world } = await scenario('calico-ipip');
    const read = readSpace(world, text);
    expect(read).toMatchObject({ key });
    expect(isSpaceError(read) && read.error).toMatch(error);
  });

  it('`any` leaves out what no wire carries; a block that is named does not', async () => {
    const { world } = await scenario('calico-ipip');
    const size = (to: SpaceText['to']): bigint => {
      const read = readSpace(world, { from: 'node2/app', to, proto: 'icmp' });
      if (isSpaceError(read)) throw new Error(read.error);
      expect(read.boxes.reduce((n, b) => n + sizeOf(b), 0n)).toBe(read.size);
      return read.size;
    };
    expect(size('0.0.0.0/0')).toBe(2n ** 32n);
    expect(size({ any: '0.0.0.0/0' })).toBe(2n ** 32n - 2n * 2n ** 24n - 2n ** 29n);
    expect(size({ any: '10.0.0.0/8', except: ['10.0.0.0/9', '10.192.0.0/10'] })).toBe(2n ** 22n);
  });
});

describe('questions', () => {
  it('say what is otherwise than expected', async () => {
    const { world } = await scenario('calico-ipip');
    const question = { name: 'q', from: 'node2/app', to: '10.233.92.8:8080' };
    const check = (expectation: NonNullable<Parameters<typeof checkQuestion>[1]['expect']>) =>
      checkQuestion(world, { ...question, expect: expectation }, () => 'words');
    expect(
      check({ outcome: 'delivered', path: ['node2/app', 'node2', 'node3', 'node3/web'], rule: 'cali-from-wl-dispatch', because: 'words' }),
    ).toMatchObject({ status: 'holds' });
    expect(check({ outcome: 'dropped' })).toMatchObject({ status: 'broken', broken: [{ claim: 'outcome', wanted: 'dropped', got: 'delivered' }] });
    expect(check({ path: ['node2/app'], snat: '1.2.3.4', rule: 'nowhere', code: 'mtu', because: 'other' })).toMatchObject({
      broken: [{ claim: 'snat' }, { claim: 'path' }, { claim: 'rule' }, { claim: 'code' }, { claim: 'because' }],
    });
  });
});
