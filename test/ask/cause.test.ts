// Causes: what is proved by a cure, what only shows, what other nodes have, and what can only be supposed.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { causesOf, type Causes } from '../../src/ask/cause.ts';
import { applyEdit, applyEdits, isRefused, readEdit } from '../../src/ask/edit.ts';
import { readExpectation, wrongExpectation } from '../../src/ask/expectation.ts';
import { patternsOf } from '../../src/ask/pattern.ts';
import { isMisunderstood, type Request } from '../../src/ask/question.ts';
import { thingAt, thingOf } from '../../src/ask/thing.ts';
import { why, type Explanation } from '../../src/ask/why.ts';
import { load } from '../../src/cli/load.ts';
import type { World } from '../../src/model/host.ts';

const AT = { file: '-e', line: 1 };

async function worldOf(name: string): Promise<World> {
  return (await load(join(import.meta.dirname, '../../scenarios', name))).world;
}

function edited(world: World, ...texts: readonly string[]): World {
  const edits = texts.map((text) => {
    const edit = readEdit(text, AT, world);
    if (isRefused(edit)) throw new Error(edit.refused);
    return edit;
  });
  const after = applyEdits(world, edits);
  if (isRefused(after)) throw new Error(after.refused);
  return after;
}

function explained(world: World, request: Request): Explanation & Causes {
  const found = why(world, request, { kind: 'reply-delivered' });
  if (isMisunderstood(found)) throw new Error(found.error);
  return { ...found, ...causesOf(world, found, patternsOf(world, found.answer)) };
}

const typed = (e: { readonly node: string; readonly command: string }): string => `${e.node}# ${e.command}`;

describe('a named fault', () => {
  it('is a cause where a cure undoes it, and both name the same thing', async () => {
    const { causes } = explained(await worldOf('ippool-overlaps-host'), { from: 'worker1/pod-a', to: '192.168.21.11:6443' });
    expect(causes[0]).toMatchObject({ code: 'nat-skipped-by-set-overlap' });
    expect(causes[0]!.things).toContainEqual({ node: 'worker1', namespace: '', kind: 'set', name: 'cali40all-ipam-pools' });
  });

  it('is a note where no cure touches what it is about', async () => {
    const world = await worldOf('ippool-overlaps-host');
    const found = why(world, { from: 'worker1/pod-a', to: '192.168.21.11:6443' }, { kind: 'reply-delivered' });
    if (isMisunderstood(found)) throw new Error(found.error);
    const hits = patternsOf(world, found.answer);
    expect(hits.length).toBeGreaterThan(0);
    expect(causesOf(world, { ...found, cures: [] }, hits)).toEqual({ causes: [], notes: hits });
  });
});

describe('what other nodes have', () => {
  it('a rule that one node lacks is put where they have it', async () => {
    const world = edited(await worldOf('flannel-vxlan'), 'a# iptables-legacy -t nat -D KUBE-SERVICES 2');
    const { causes } = explained(world, { from: 'a/web', to: '10.254.32.17:80' });
    expect(causes.map((c) => c.proof.edits.map(typed))[0]?.[0]).toMatch(/^a# iptables-legacy -t nat -I KUBE-SERVICES 2 -d 10\.254\./);
  });

  it('does not switch off what is off elsewhere', async () => {
    const world = edited(await worldOf('flannel-vxlan'), 'b# sysctl -w net.ipv4.ip_forward=0', 'd# iptables-legacy -t filter -P FORWARD DROP');
    const { cures } = explained(world, { from: 'a/web', to: '10.100.41.2:8080' });
    expect(cures.length).toBeGreaterThan(0);
    expect(cures.flatMap((c) => c.edits.map((e) => e.command)).filter((c) => /ip_forward=0/.test(c))).toEqual([]);
  });
});

describe('what no command on a node brings about', () => {
  it('is supposed: that a wire carries what it denies', async () => {
    const { cures, causes } = explained(await worldOf('security-group-vxlan'), { from: 'a/web', to: '10.100.62.2:8080' });
    expect(cures[0]?.supposes).toMatch(/^the wire lan carried it/);
    expect(causes[0]).toMatchObject({ code: 'wire-denies' });
  });

  it('is supposed: that a service has an endpoint, told once', async () => {
    const { cures, causes } = explained(await worldOf('service-no-endpoints'), { from: 'node2/app', to: '10.0.1.175:80' });
    expect(cures.filter((c) => c.supposes !== undefined).map((c) => c.supposes)).toEqual(['10.0.1.175:80 had an endpoint']);
    expect(causes[0]).toMatchObject({ code: 'no-endpoints' });
  });
});

describe('edits of what a scenario says', () => {
  it('a wire loses a denial, and no other', async () => {
    const world = await worldOf('security-group-vxlan');
    const after = edited(world, 'wire:lan# del deny proto udp, dport 8472');
    expect(after.wires.find((w) => w.name === 'lan')?.deny).toEqual([]);
    expect(applyEdit(world, { node: 'wire:lan', namespace: '', command: 'del deny proto tcp', at: AT })).toMatchObject({
      refused: "the wire lan has no 'deny proto tcp'",
      hint: 'del deny proto udp, dport 8472',
    });
    expect(readEdit('wire:wan2# del deny x', AT, world)).toMatchObject({ refused: 'there is no wire wan2 in the scenario' });
  });

  it('a node that is not captured has addresses and routes, and nothing else', async () => {
    const world = await worldOf('route-lost');
    const routed = edited(world, 'router# ip route add 198.51.100.0/24 via 10.240.0.4 dev eth1');
    expect(routed.namespaces.find((n) => n.node === 'router')?.routes.some((r) => r.text.startsWith('198.51.100.0/24'))).toBe(true);
    expect(applyEdit(world, { node: 'router', namespace: '', command: 'iptables -P FORWARD DROP', at: AT })).toMatchObject({
      refused: 'router is not captured: the scenario says which addresses and routes it has',
    });
  });
});

describe('things', () => {
  it('a captured line and the command that changes it are about the same thing', async () => {
    const world = await worldOf('ippool-overlaps-host');
    const set = world.namespaces.find((n) => n.node === 'worker1' && n.name === '')!.sets['cali40all-ipam-pools']!;
    const edit = readEdit('worker1# ipset add cali40all-ipam-pools 192.168.21.11 nomatch', AT, world);
    expect(thingAt(world, set.members[0]!.at)).toEqual(isRefused(edit) ? edit : thingOf(edit));
  });

  it.each([
    ['iptables-nft -t nat -I POSTROUTING 1 -j ACCEPT', 'chain', 'nat POSTROUTING'],
    ['ip6tables -P FORWARD ACCEPT', 'chain', 'filter FORWARD'],
    ['nft add element inet host admins { 10.0.0.1 }', 'set', 'inet host admins'],
    ['sysctl -w net.ipv4.ip_forward=1', 'sysctl', 'net.ipv4.ip_forward'],
    ['ip route add default via 10.0.0.1', 'route', '0.0.0.0/0'],
    ['ip -6 route add default via fe80::1', 'route', '::/0'],
    ['ip route add 10.0.0.9 via 10.0.0.1', 'route', '10.0.0.9'],
    ['ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:01 dev eth0', 'neighbour', '10.0.0.9'],
    ['ip link set eth0 mtu 1500', 'link', 'eth0'],
    ['ipvsadm -a -t 10.96.0.1:443 -r 10.0.0.1:6443 -m', 'virtual server', '10.96.0.1:443'],
  ])('%s changes a %s', (command, kind, name) => {
    expect(thingOf({ node: 'n', namespace: '', command, at: AT })).toMatchObject({ kind, name });
  });
});

describe('what a cure is not', () => {
  it('letting a packet through to a service that nobody is behind', async () => {
    const { cures, causes } = explained(await worldOf('kube-proxy-nftables'), { from: 'office', to: '192.168.50.11:30090' });
    expect(cures.map((c) => c.supposes)).toEqual(['192.168.50.11:30090 had an endpoint']);
    expect(causes[0]).toMatchObject({ code: 'no-endpoints' });
  });

  it('an exception for the port that a client happened to have', async () => {
    const { cures } = explained(await worldOf('agent-not-authorised'), { from: 'node2', to: '10.233.96.9:8080' });
    expect(cures.flatMap((c) => c.edits.map((e) => e.command)).filter((c) => c.includes('40000'))).toEqual([]);
    expect(cures[0]!.edits[0]!.command).toContain('--sport 8080');
  });
});

describe('what is expected', () => {
  it.each([
    ['via nosuch', /there is no 'nosuch' in the capture/],
    ['dnat-to foo', /'foo' is no address/],
  ])('%s is refused', async (text, words) => {
    expect(wrongExpectation(await worldOf('calico-ipip'), readExpectation(text)!)).toMatch(words);
  });

  it('an IPv6 endpoint is met in any spelling', async () => {
    const found = why(
      await worldOf('kube-proxy-nftables-ipv6'),
      { from: 'node1/app', to: '[fd00:10:96::2006]:80' },
      { kind: 'dnat-to', to: 'fd00:10:244:2:0::7' },
    );
    expect(isMisunderstood(found) ? found : found.met).toBe(true);
  });
});
