// The five observations of the report hold on the kernel that is built from the scenario's captures.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeKernel } from './kernel.ts';
import { openScenario, replay, type Replay, type StandingScenario } from './scenario.ts';

const folder = join(import.meta.dirname, '../../scenarios/ippool-overlaps-host');

describeKernel("Calico's IP pool overlaps the host network, replayed from its captures", () => {
  let standing: StandingScenario;
  beforeAll(async () => {
    standing = await openScenario(folder);
  });
  afterAll(() => standing.close());

  const ask = (from: string, to: string): Promise<Replay> => standing.replay({ name: `${from} to ${to}`, from, to });
  const matched = (r: Replay, namespace: string): string[] =>
    r.rules.filter((x) => x.namespace === namespace).flatMap((x) => x.rules.map((p) => `${p.chain} ${p.number ?? 'policy'}`));

  it('is built as captured, but for the tun device in the place of tunl0', () => {
    expect(standing.notes).toEqual([]);
  });

  it("the node reaches the API server's service: DNAT works", async () => {
    const r = await ask('worker1', '10.96.0.1:443');
    expect(r).toMatchObject({ fate: 'delivered', at: 'master', translated: { src: false, dst: true }, replied: true });
    expect(r.seen.dst).toBe('192.168.21.11:6443');
    expect(r.seen.src).toMatch(/^192\.168\.21\.20:/);
    expect(r.observation.socket).toBe('connected');
  });

  it('the node reaches the API server directly', async () => {
    expect(await ask('worker1', '192.168.21.11:6443')).toMatchObject({
      fate: 'delivered',
      at: 'master',
      translated: { src: false, dst: false },
      replied: true,
    });
  });

  it("the pod's SYN to the service is translated to the API server, arrives with the pod's address, and no answer comes back", async () => {
    const r = await ask('worker1/pod-a', '10.96.0.1:443');
    expect(r).toMatchObject({ fate: 'delivered', at: 'master', translated: { src: false, dst: true }, replied: false });
    expect(r.seen.src).toMatch(/^192\.168\.236\.10:/);
    expect(r.observation.socket).toBe('silence');
    expect(matched(r, 'worker1')).toEqual(expect.arrayContaining(['KUBE-SEP-KTQNKMDYYTGMC5HI 2', 'cali-POSTROUTING 2']));
    expect(matched(r, 'worker1')).not.toContain('cali-nat-outgoing 1');
  });

  it("the pod's SYN to the API server leaves ens192 with the pod's address; the master answers to its gateway, which has no route", async () => {
    const r = await ask('worker1/pod-a', '192.168.21.11:6443');
    expect(r).toMatchObject({ fate: 'delivered', at: 'master', translated: { src: false, dst: false }, replied: false });
    expect(r.observation.requests.find((p) => p.namespace === 'worker1')).toMatchObject({
      iif: 'calia9589d79281',
      oif: 'ens192',
      left: { src: '192.168.236.10' },
    });
    expect(r.observation.replies.map((p) => [p.namespace, p.end])).toEqual([
      ['master', 'left'],
      ['gateway', 'gone'],
    ]);
  });

  it('the pod reaches the internet, masqueraded by the node', async () => {
    const r = await ask('worker1/pod-a', '223.5.5.5:443');
    expect(r).toMatchObject({ fate: 'delivered', at: 'internet', translated: { src: true, dst: false }, replied: true });
    expect(matched(r, 'worker1')).toContain('cali-nat-outgoing 1');
    expect(r.observation.requests.find((p) => p.namespace === 'worker1')?.left?.src).toBe('192.168.21.20');
    expect(r.seen.src).toMatch(/^203\.0\.113\.1:/);
  });

  it("with the host network exempt from the pool's set, the pod reaches the API server: the cure is the cause", async () => {
    await standing.network.run('worker1', 'ipset', 'add', 'cali40all-ipam-pools', '192.168.21.0/24', 'nomatch');
    try {
      expect(await ask('worker1/pod-a', '192.168.21.11:6443')).toMatchObject({ fate: 'delivered', translated: { src: true }, replied: true });
    } finally {
      await standing.network.run('worker1', 'ipset', 'del', 'cali40all-ipam-pools', '192.168.21.0/24');
    }
  });

  it('stands several times at once without one network disturbing another', async () => {
    const all = await Promise.all(
      ['10.96.0.1:443', '192.168.21.11:6443', '223.5.5.5:443'].map((to) => replay(folder, { name: to, from: 'worker1/pod-a', to })),
    );
    expect(all.map((r) => r.replied)).toEqual([false, false, true]);
  });
});
