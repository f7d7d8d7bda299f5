// Why a packet fails, and what cures it: on the scenarios, where the fault is known.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyEdits, isRefused } from '../../src/ask/edit.ts';
import { meets, readExpectation, type Expectation } from '../../src/ask/expectation.ts';
import { ask, isMisunderstood, requestOf, type Request } from '../../src/ask/question.ts';
import { trace } from '../../src/ask/trace.ts';
import { why, type Explanation, type WhyOptions } from '../../src/ask/why.ts';
import { load } from '../../src/cli/load.ts';
import type { World } from '../../src/model/host.ts';

const REPLY: Expectation = { kind: 'reply-delivered' };

async function scenario(name: string): Promise<{ world: World; requests: { name: string; request: Request }[] }> {
  const { world, scenario: read } = await load(join(import.meta.dirname, '../../scenarios', name));
  return { world, requests: (read?.questions ?? []).map((q) => ({ name: q.name, request: requestOf(q) })) };
}

function explained(world: World, request: Request, wanted: Expectation, options: WhyOptions = {}): Explanation {
  const found = why(world, request, wanted, options);
  if (isMisunderstood(found)) throw new Error(found.error);
  return found;
}

const commands = (e: Explanation): string[] => e.cures.map((c) => c.edits.map((x) => `${x.node}# ${x.command}`).join('; '));

describe('the pool that overlaps the host network', () => {
  const question = { from: 'worker1/pod-a', to: '192.168.21.11:6443' };

  it('is cured by taking the network out of the set, or the address alone', async () => {
    const { world } = await scenario('ippool-overlaps-host');
    const found = explained(world, question, REPLY);
    expect(found.met).toBe(false);
    expect(commands(found)).toContain('worker1# ipset add cali40all-ipam-pools 192.168.21.0/24 nomatch');
    expect(commands(found)[0]).toBe('worker1# ipset add cali40all-ipam-pools 192.168.21.11 nomatch');
  });

  it('every cure gives what was expected when it is simulated anew, and changes nothing that worked', async () => {
    const { world, requests } = await scenario('ippool-overlaps-host');
    const found = explained(world, question, REPLY, { others: requests });
    expect(found.cures.length).toBeGreaterThan(2);
    for (const cure of found.cures) {
      const after = applyEdits(world, cure.edits);
      if (isRefused(after)) throw new Error(after.refused);
      const asked = ask(after, question);
      if (isMisunderstood(asked)) throw new Error(asked.error);
      expect(meets(trace(after, asked), REPLY)).toBe(true);
      for (const s of cure.sideEffects) expect([s.name, s.before, s.after]).toEqual([s.name, 'no', 'yes']);
    }
  });

  it('an expectation that nothing can meet says so, with the nearest outcome, within its budget', async () => {
    const { world } = await scenario('ippool-overlaps-host');
    const found = explained(world, question, { kind: 'via', to: 'nowhere' }, { budget: 20 });
    expect(found.cures).toEqual([]);
    expect(found.tried).toBeGreaterThan(0);
    expect(found.tried).toBeLessThanOrEqual(20);
    expect(found.nearest).toBeDefined();
  });

  it('a question that is as expected needs no cure', async () => {
    const { world } = await scenario('ippool-overlaps-host');
    expect(explained(world, { from: 'worker1/pod-a', to: '223.5.5.5:443' }, REPLY)).toMatchObject({ met: true, cures: [], tried: 0 });
  });
});

describe('the first cure', () => {
  it.each([
    ['ip-forward-off', /^node# sysctl -w net\.ipv4\.ip_forward=1$/],
    ['flannel-ip-forward-off', /^d# sysctl -w net\.ipv4\.ip_forward=1$/],
    ['flannel-forward-drop', /^d# iptables-legacy -t filter -A FORWARD .* -j ACCEPT$/],
    ['docker-forward-drop', /^node# iptables-legacy -t filter -A FORWARD .* -j ACCEPT$/],
    ['foreign-rules', /^node3# iptables-legacy -t filter -I FORWARD 5 .* -j ACCEPT$/],
    ['apiserver-firewall', /^master# iptables-legacy -t filter -I INPUT 9 .* -j ACCEPT$/],
    ['backend-split-forward-drop', /^worker# iptables-nft -t filter -P FORWARD ACCEPT$/],
  ])('of %s is where the fault is', async (name, wanted) => {
    const { world, requests } = await scenario(name);
    const failing = requests.map(({ request }) => explained(world, request, REPLY)).find((e) => !e.met && e.cures.length > 0);
    expect(commands(failing!)[0]).toMatch(wanted);
  });
});

describe('healthy networks', () => {
  it.each(['calico-ipip', 'flannel-vxlan', 'ipvs-baseline'])('%s: nothing is wrong', async (name) => {
    const { world, requests } = await scenario(name);
    for (const { name: question, request } of requests) expect([question, explained(world, request, REPLY).met]).toEqual([question, true]);
  });
});

describe('what may be expected', () => {
  it('is read as it is written, or not at all', () => {
    expect(readExpectation('reply-delivered')).toEqual({ kind: 'reply-delivered' });
    expect(readExpectation('dnat-to 10.0.0.1:80')).toEqual({ kind: 'dnat-to', to: '10.0.0.1:80' });
    expect(readExpectation('via worker1')).toEqual({ kind: 'via', to: 'worker1' });
    for (const odd of ['', 'delivered twice', 'via', 'nonsense', 'dnat-to a b']) expect(readExpectation(odd)).toBeUndefined();
  });
});
