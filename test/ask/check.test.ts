// Claims about all packets of a space: what holds is proved, what does not is broken by a packet, and who cannot be proved is said so.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/ask/box.ts';
import { checkProperty, checkQuestion, type PropertyChecked } from '../../src/ask/check.ts';
import { brokenBy } from '../../src/ask/claim.ts';
import { applyEdits, isRefused, readEdit } from '../../src/ask/edit.ts';
import { isSpaceError, readSpace, representative, type SpaceText } from '../../src/ask/space.ts';
import { trace } from '../../src/ask/trace.ts';
import { load } from '../../src/cli/load.ts';
import { readScenarioWorld } from '../../src/index.ts';
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
    expect(checkProperty(on.world, claim('10.96.0.80'))).toMatchObject({ error: expect.stringMatching(/was not loaded/), key: 'same-as' });
    const block = { in: 'node3/ens192', from: ['192.168.21.0/24'], to: '10.233.92.8', proto: 'tcp' };
    const itself = property(block, { 'same-as': { scenario: '.' } });
    const own = new Map([['.', world]]);
    expect(checkProperty(world, itself, { others: own })).toMatchObject({ status: 'holds' });
    expect(searchProperty(world, itself, { others: own, runs: 200 })).toMatchObject({ status: 'holds' });
    expect(
      checkProperty(
        world,
        property({ from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, { 'same-as': { from: '192.168.21.0/24', in: 'node3/ens192' } }),
      ),
    ).toMatchObject({ key: 'same-as' });
    expect(searchProperty(on.world, claim('10.96.0.80'), { others })).toMatchObject({ status: 'broken' });
  });

  it('values that packets keep are each packet’s own, not those of the one that was walked', async () => {
    const { world } = await scenario('docker-bridge');
    const edit = readEdit(
      'host# iptables -t nat -I PREROUTING 1 -d 192.168.1.10 -p tcp -j DNAT --to-destination 172.17.0.2',
      { file: '-e', line: 1 },
      world,
    );
    const turned = isRefused(edit) ? edit : applyEdits(world, [edit]);
    if (isRefused(turned)) throw new Error(turned.refused);
    const to = { from: 'client', to: '192.168.1.10', proto: 'tcp' };
    for (const claim of [{ dnat: '172.17.0.2:80' }, { endpoints: ['172.17.0.2:80'] }]) {
      expect(checked(turned, property(to, claim)).status).toBe('broken');
      expect(checked(turned, property({ ...to, dport: 80 }, claim)).status).toBe('holds');
    }
    expect(checked(turned, property(to, { dnat: '172.17.0.2' })).status).toBe('holds');
    const { world: calico } = await scenario('calico-ipip');
    const outside = { in: 'node2/ens192', from: '192.168.21.100-192.168.21.120', to: '10.233.96.5', proto: 'udp' };
    expect(checked(calico, property(outside, { snat: '192.168.21.100' })).status).toBe('broken');
  });

  it.each<[string, Property['expect'], keyof Property['expect']]>([
    ['a place that is nowhere', { avoids: 'nod3' }, 'avoids'],
    ['a chain that is nowhere', { passes: ['node3', 'node3:filter:FORWRAD'] }, 'passes'],
    ['an address that is none', { dnat: 'nonsense' }, 'dnat'],
    ['a source that is none', { snat: '300.1.1.1' }, 'snat'],
  ])('a claim about %s is refused, and not held true of nothing', async (_what, expectation, key) => {
    const { world } = await scenario('calico-ipip');
    expect(checkProperty(world, property({ from: 'node2/app', to: '10.233.92.8', proto: 'tcp' }, expectation))).toMatchObject({ key });
  });

  it('what hangs on what nobody knows is neither held nor broken', async () => {
    const { world } = await scenario('docker-bridge');
    const edit = readEdit('host# iptables -I INPUT 1 -m recent --name x --rcheck -j DROP', { file: '-e', line: 1 }, world);
    const guarded = isRefused(edit) ? edit : applyEdits(world, [edit]);
    if (isRefused(guarded)) throw new Error(guarded.refused);
    for (const delivered of [true, false])
      expect(checked(guarded, property({ from: 'client', to: '192.168.1.10', proto: 'tcp', dport: 22 }, { delivered })).status).toBe('unknown');
  });

  it('a host answers for all that it has a local route for, and is another end there', () => {
    const scenarioText = {
      title: 'a host with a local network',
      nodes: {
        a: { addresses: ['10.0.0.1/8 dev eth0'] },
        b: { addresses: ['10.0.0.2/8 dev eth0'], routes: ['local 10.1.128.0/17 dev lo table local'] },
      },
      wires: { lan: ['a/eth0', 'b/eth0'] },
    };
    const { world } = readScenarioWorld(scenarioText, [], () => ({ file: 'scenario.yaml', line: 1 }));
    const found = checked(world, property({ from: 'a', to: '10.1.0.0/16', proto: 'udp', dport: 53 }, { delivered: false }));
    expect(found.status).toBe('broken');
    expect(found.counterexample!.boxes.map((b) => formatRange(b.dst![0] as Addr, b.dst![1] as Addr))).toEqual(['10.1.128.0/17']);
  });

  it('which address masquerade takes in IPv6 hangs on the destination, also where it is the packet’s own', () => {
    const files = Object.entries({
      'n/ip-addr.txt':
        '2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP\n    link/ether 52:54:00:a8:01:0a brd ff:ff:ff:ff:ff:ff\n' +
        ['2001:db8:1::1/128', '2001:db8:8000:8000::1/128'].map((a) => `    inet6 ${a} scope global\n`).join(''),
      'n/ip-6-route.txt':
        'default via fe80::99 dev eth0 metric 1024 pref medium\nlocal 2001:db8:1::1 dev eth0 table local proto kernel metric 0 pref medium\n',
      'n/ip6tables-save.txt':
        '*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n',
    }).map(([path, text]) => ({ path, text }));
    const { world } = readScenarioWorld({ title: 'one node', nodes: { n: { capture: 'n' } } }, files, () => ({ file: 'scenario.yaml', line: 1 }));
    const asked = property({ from: '2001:db8:1::1', to: '2001:db8:1::2-2001:db8:8000::5', proto: 'udp', dport: 53 }, { masqueraded: false });
    expect(checked(world, asked).status).toBe('broken');
    expect(checked(world, { ...asked, for: { ...asked.for, to: '2001:db8:1::2-2001:db8:1::ff' } }).status).toBe('holds');
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
    ['senders from nowhere', { from: ['10.0.0.0/8'], to: '10.233.92.8' }, 'in', /sent from nowhere/],
    ['an unknown interface', { from: ['10.0.0.0/8'], in: 'node2/eth9', to: '10.233.92.8' }, 'in', /no interface 'eth9'/],
    ['a port of three ends', { from: 'node2/app', to: '10.0.0.1', dport: '80-90-100' }, 'dport', /'80-90-100'/],
    ['a port of what has none', { from: 'node2/app', to: '10.0.0.1', proto: 'icmp', dport: 80 }, 'dport', /icmp has no ports/],
    ['packets to oneself', { in: 'node2/ens192', from: ['192.168.21.50'], to: '192.168.21.50' }, 'to', /to their own sender/],
    ['a block the wrong way round', { from: 'node2/app', to: '10.0.0.9-10.0.0.1' }, 'to', /ends before it begins/],
    ['a device that a stub has not', { in: 'client/eth9', from: ['192.168.21.50'], to: '10.233.92.8' }, 'in', /no interface 'eth9'/],
  ])('refuses %s, and says at which key', async (_what, text, key, error) => {
    const { world } = await scenario('calico-ipip');
    const read = readSpace(world, text);
    expect(read).toMatchObject({ key });
    expect(isSpaceError(read) && read.error).toMatch(error);
  });

  it('is of new connections, unless it says otherwise', async () => {
    const { world } = await scenario('calico-ipip');
    const packetOf = (text: SpaceText) => {
      const read = readSpace(world, text);
      if (isSpaceError(read)) throw new Error(read.error);
      return read.question(read.boxes[0]!, representative(read.boxes[0]!)).packet;
    };
    const to = { from: 'node2/app', to: '10.233.92.8' };
    expect(packetOf({ ...to, proto: 'tcp' }).flags).toBe(2);
    expect(packetOf({ ...to, proto: 'tcp', flags: 'ACK' }).flags).toBe(16);
    expect(packetOf({ ...to, proto: 'icmp' }).icmp).toMatchObject({ type: 8 });
    expect(packetOf({ ...to, proto: 'icmp', 'icmp-type': 13 }).icmp).toMatchObject({ type: 13 });
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
