// A test of one's own about a cluster: what has to hold of it, written with vitest, fast-check and netwhy/testing.
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { trace } from 'netwhy';
import { load } from 'netwhy/load';
import { expectProperty, matchers, packets } from 'netwhy/testing';
import { expect, test } from 'vitest';

const { world } = await load(fileURLToPath(new URL('.', import.meta.url)));

test('a pod reaches the API server by its service', () => {
  const { pass, message } = matchers.toDeliver(world, { from: 'node2/app', to: '10.233.0.1:443' });
  expect(pass, message()).toBe(true);
});

test('the service sends to its one endpoint: proved for every source port', () => {
  const proof = expectProperty(world, {
    for: { from: 'node2/app', to: '10.233.18.7', proto: 'tcp', dport: 80 },
    expect: { endpoints: ['10.233.92.8:8080'], 'reply-delivered': true },
  });
  expect(proof.by).toMatchObject({ kind: 'exact', packets: 65_536n });
});

test('whatever a pod sends, nobody outside of the cluster sees its address', () => {
  const sent = packets(world, { from: 'node2/app', to: { any: '0.0.0.0/0', except: ['10.233.0.0/17', '192.168.21.0/24'] } });
  fc.assert(
    fc.property(sent, (question) => {
      for (const { trace: t } of trace(world, { question }).courses) expect(t.outcome.kind === 'dropped' || t.translated.src !== undefined).toBe(true);
    }),
  );
});
