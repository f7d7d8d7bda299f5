// A real kube-proxy's rules, asked about each service of the table in test/captures/README.md. Expectations are written from that table.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/cli/load.ts';
import { answerJson, ask, isMisunderstood, trace, type Answer, type Course, type Request, type Step, type World } from '../../src/index.ts';

const folder = join(import.meta.dirname, '../captures/kube-proxy-1.26-iptables/node1');
const NODE = '192.168.21.20';
const POD = '10.244.1.20';
const REMOTE = '192.168.21.50';

let whole: World;
let alone: World;
beforeAll(async () => {
  whole = (await load(folder)).world;
  alone = (await load(join(folder, 'iptables-nft-save.txt'))).world;
});

function answer(world: World, from: string, to: string, more: Partial<Request> = {}): Answer {
  const asked = ask(world, { from, to, ...more });
  if (isMisunderstood(asked)) throw new Error(`--${asked.option}: ${asked.error}`);
  return trace(world, asked);
}

function steps(c: Course): Step[] {
  return c.trace.hops.flatMap((h) => h.steps);
}

/** Whether KUBE-MARK-MASQ set 0x4000. */
function isMarked(c: Course): boolean {
  return steps(c).some((s) => s.step === 'rule' && s.truth !== false && s.chain === 'KUBE-MARK-MASQ' && s.did === 'mark 0 -> 0x4000');
}

/** The endpoints that courses lead to, each once. */
function endpointsOf(a: Answer): string[] {
  return [...new Set(a.courses.map((c) => c.trace.translated.dst?.to ?? 'untranslated'))].toSorted((x, y) => (x < y ? -1 : 1));
}

/** Where the source became the node's own address. */
function isMasqueraded(c: Course): boolean {
  return c.trace.translated.src?.to.startsWith(`${NODE}:`) ?? false;
}

interface Fate {
  readonly to: string | undefined;
  readonly probability: number | undefined;
  readonly masqueraded: boolean;
}

function fates(a: Answer): Fate[] {
  for (const c of a.courses) expect(isMarked(c), 'marked 0x4000, and so masqueraded').toBe(isMasqueraded(c));
  return a.courses
    .map((c) => ({
      to: c.trace.translated.dst?.to,
      probability: c.trace.probability === undefined ? undefined : Math.round(c.trace.probability * 1e6) / 1e6,
      masqueraded: isMasqueraded(c),
    }))
    .toSorted((x, y) => ((x.to ?? '') < (y.to ?? '') ? -1 : 1));
}

/** Equal shares for each of the endpoints. */
function shared(masqueraded: boolean, ...endpoints: string[]): Fate[] {
  const probability = Math.round(1e6 / endpoints.length) / 1e6;
  return endpoints.map((to) => ({ to, probability, masqueraded }));
}

const WEB = ['10.244.1.5:8080', '10.244.2.5:8080', '10.244.2.6:8080'];
const LOCAL = ['10.244.1.6:8080', '10.244.2.7:8080'];
const DNS = ['10.244.0.2:53', '10.244.0.3:53'];

/** Services that have endpoints and choose among them at random (sticky is told apart, empty has none). */
const services: [name: string, to: string, endpoints: string[], proto?: string][] = [
  ['kubernetes', '10.96.0.1:443', ['192.168.21.11:6443']],
  ['kube-dns over udp', '10.96.0.10:53', DNS, 'udp'],
  ['kube-dns over tcp', '10.96.0.10:53', DNS],
  ['web', '10.96.10.1:80', WEB],
  ['local', '10.96.10.2:80', LOCAL],
  ['local-remote', '10.96.10.6:80', ['10.244.2.9:8080']],
  ['ext', '10.96.10.5:8000', ['10.244.1.8:8080']],
  ['sctp', '10.96.10.7:9999', ['10.244.1.9:9999'], 'sctp'],
];

function proto(name: string | undefined): Partial<Request> {
  return name === undefined ? {} : { proto: name };
}

describe.each(services)('the cluster IP of %s', (_name, to, endpoints, p) => {
  it('leads a pod to each endpoint with the same probability, and the pod keeps its address', () => {
    const a = answer(whole, POD, to, proto(p));
    expect(fates(a)).toEqual(shared(false, ...endpoints));
    expect(a.courses.map((c) => c.trace.outcome.kind)).toEqual(endpoints.map(() => 'left'));
    expect(a.verdict).toBe('yes');
    expect(a.bounded).toBe(false);
  });

  it('leads the node itself to each endpoint, as a source that is no pod: masqueraded', () => {
    const a = answer(whole, 'node1', to, proto(p));
    expect(fates(a)).toEqual(shared(true, ...endpoints));
    expect(a.verdict).toBe('yes');
  });

  it('leads a stranger on the LAN there too, masqueraded', () => {
    expect(fates(answer(whole, REMOTE, to, proto(p)))).toEqual(shared(true, ...endpoints));
  });

  it('answers from the cluster IP', () => {
    for (const from of [POD, 'node1', REMOTE]) {
      for (const c of answer(whole, from, to, proto(p)).courses) {
        expect(c.trace.outcome.kind).toBe('left');
        expect(c.trace.reply?.outcome.kind).toBe(from === 'node1' ? 'delivered' : 'left');
        expect(c.trace.reply?.translated.src?.to).toBe(to);
        const { src, sport } = c.trace.packet;
        expect([c.trace.reply?.final.dst, c.trace.reply?.final.dport]).toEqual([src, sport]);
      }
    }
  });

  it('has the same endpoints when there is nothing but the iptables-save text', () => {
    const a = answer(alone, POD, to, proto(p));
    expect([...new Set(fates(a).map((f) => f.to))]).toEqual(endpoints);
    expect(a.courses.some((c) => isMarked(c) || c.trace.translated.src)).toBe(false);
    expect(a.verdict).toBe('yes');
    // whatever is supposed of what was not captured, the endpoints' shares are the same
    const probabilities = a.courses.map((c) => [c.trace.translated.dst?.to, Math.round((c.trace.probability ?? 0) * 1e6) / 1e6]);
    expect(new Set(probabilities.map((x) => x.join(' ')))).toEqual(new Set(shared(false, ...endpoints).map((f) => `${f.to} ${f.probability}`)));
  });

  it('leads the node to the same endpoints when there is nothing but the iptables-save text, masqueraded unless its address is in the pod network', () => {
    const a = answer(alone, 'local', to, proto(p));
    expect(endpointsOf(a)).toEqual(endpoints);
    for (const c of a.courses) {
      // which address the node sends from was not captured: that it is outside 10.244.0.0/16 can only be supposed
      if (!isMarked(c)) expect(c.trace.assumptions.filter((x) => x.forked && x.what.includes('10.244.')).map((x) => x.what)).not.toEqual([]);
      // whichever it is, it is the node's
      expect(c.trace.reply?.outcome.kind).toBe('delivered');
    }
    expect(a.courses.some(isMarked)).toBe(true);
    expect(a.verdict).toBe('yes');
  });

  it('has shares that add up to 1', () => {
    for (const from of [POD, 'node1', REMOTE, ...endpoints.map((e) => e.split(':')[0]!).filter((e) => e.startsWith('10.'))]) {
      const sum = answer(whole, from, to, proto(p)).courses.reduce((x, c) => x + (c.trace.probability ?? Number.NaN), 0);
      expect(sum, from).toBeCloseTo(1, 9);
    }
  });
});

describe('web with three endpoints', () => {
  it.each(WEB)('masquerades %s when it is led back to itself, and only then', (self) => {
    const a = answer(whole, self.split(':')[0]!, '10.96.10.1:80');
    expect(fates(a)).toEqual(WEB.map((to) => ({ to, probability: 0.333333, masqueraded: to === self })));
  });

  it('has its shares from the statistic rules: 1/3, then 1/2 of the rest', () => {
    const a = answer(whole, POD, '10.96.10.1:80');
    const byEndpoint = new Map(a.courses.map((c) => [c.trace.translated.dst?.to, c.trace]));
    expect(byEndpoint.get('10.244.1.5:8080')?.probability).toBeCloseTo(0.333333333488, 11);
    expect(byEndpoint.get('10.244.2.5:8080')?.probability).toBeCloseTo(0.333333333256, 11);
    expect(
      byEndpoint
        .get('10.244.2.6:8080')
        ?.assumptions.filter((x) => x.forked)
        .map((x) => x.what),
    ).toEqual([
      expect.stringContaining('KUBE-SVC-CDGGSHYLG3RE2FKL 2 did not match'),
      expect.stringContaining('KUBE-SVC-CDGGSHYLG3RE2FKL 3 did not match'),
    ]);
  });

  it.each([
    ['a pod', POD],
    ['the node', 'node1'],
    ['a stranger', REMOTE],
    ['somebody on the internet', '8.8.8.8'],
  ])('has NodePort 30080 open to %s, masqueraded', (_who, from) => {
    const a = answer(whole, from, `${NODE}:30080`);
    expect(fates(a)).toEqual(shared(true, ...WEB));
    expect(a.verdict).toBe('yes');
  });

  it('has its NodePort on 127.0.0.1 too, for route_localnet is 1', () => {
    const a = answer(whole, 'node1', '127.0.0.1:30080');
    expect(fates(a)).toEqual(shared(true, ...WEB));
    expect(a.verdict).toBe('yes');
  });

  it('translates no other port of its cluster IP: the packet goes to the default gateway', () => {
    const [c, ...rest] = answer(whole, POD, '10.96.10.1:81').courses;
    expect(rest).toEqual([]);
    expect(c?.trace.translated).toEqual({});
    expect(c?.trace.outcome).toMatchObject({ kind: 'left', device: 'ens192', nextHop: '192.168.21.1' });
  });

  it('names the rule that missed by its port alone', () => {
    const a = answer(whole, POD, '10.96.10.1:81');
    expect(a.courses[0]?.nearMisses.map((m) => [m.chain, m.number])).toContainEqual(['KUBE-SERVICES', 5]);
  });
});

describe('a service that sticks to an endpoint for a client', () => {
  const STICKY = ['10.244.1.7:8080', '10.244.2.8:8080'];

  it.each([
    ['the whole folder', () => whole],
    ['the iptables-save text alone', () => alone],
  ])('leads to either endpoint, depending on whom the client was with before (%s)', (_what, world) => {
    const a = answer(world(), POD, '10.96.10.3:80');
    expect(endpointsOf(a)).toEqual(STICKY);
    expect(a.courses.every((c) => !isMarked(c))).toBe(true);
    expect(a.unknowns.some((u) => u.includes('recent'))).toBe(true);
    expect(a.verdict).toBe('yes');
  });

  it('is a coin toss for a client that is new to it', () => {
    const json = JSON.stringify(answerJson(answer(whole, POD, '10.96.10.3:80')));
    expect(json).toMatch(/"probability":0\.5\b/);
  });

  it('masquerades an endpoint that is led to itself', () => {
    const a = answer(whole, '10.244.1.7', '10.96.10.3:80');
    for (const c of a.courses) expect(isMasqueraded(c)).toBe(c.trace.translated.dst?.to === STICKY[0]);
    expect(a.courses.length).toBeGreaterThan(1);
  });
});

describe('a service without endpoints', () => {
  it.each([
    ['a pod', POD],
    ['the node itself', 'node1'],
    ['a stranger', REMOTE],
  ])('is refused at its cluster IP to %s, at the rule that says so', (_who, from) => {
    const a = answer(whole, from, '10.96.10.4:80');
    expect(a.courses.map((c) => c.trace.outcome.kind)).toEqual(['rejected']);
    expect(a.courses[0]?.trace.outcome.at).toMatchObject({ file: 'iptables-nft-save.txt', line: 38 });
    expect(a.courses[0]?.trace.outcome.why).toContain('icmp-port-unreachable');
    expect(a.verdict).toBe('no');
  });

  it.each([
    ['a pod', POD],
    ['the node itself', 'node1'],
    ['a stranger', REMOTE],
  ])('is refused at its NodePort to %s', (_who, from) => {
    const a = answer(whole, from, `${NODE}:30083`);
    expect(a.courses.map((c) => c.trace.outcome.kind)).toEqual(['rejected']);
    expect(a.courses[0]?.trace.outcome.at).toMatchObject({ line: 32 });
  });

  it('is refused by the iptables-save text alone, if its cluster IP is not an address of the node', () => {
    const a = answer(alone, POD, '10.96.10.4:80');
    const refused = a.courses.filter((c) => c.trace.outcome.kind === 'rejected');
    expect(refused.map((c) => c.trace.outcome.at?.line)).toEqual([38]);
    // nothing else may be open than whether 10.96.10.4 is local
    for (const c of a.courses) for (const x of c.trace.assumptions.filter((y) => y.forked)) expect(x.what).toContain('10.96.10.4');
    expect(['no', 'cannot-tell']).toContain(a.verdict);
  });

  it('is not refused to packets of a connection that stands', () => {
    const a = answer(whole, POD, '10.96.10.4:80', { ctState: 'ESTABLISHED', flags: 'ACK' });
    expect(a.courses.map((c) => c.trace.outcome.kind)).toEqual(['left']);
  });
});

describe('a load balancer for 203.0.113.0/24 with local endpoints only', () => {
  it('leads a client of that range to the local endpoint, untranslated', () => {
    expect(fates(answer(whole, '203.0.113.9', '198.51.100.7:80'))).toEqual(shared(false, '10.244.1.6:8080'));
  });

  it.each([
    ['a client from elsewhere', '203.0.114.9'],
    ['a pod', POD],
    ['the node itself', 'node1'],
    ['a stranger on the LAN', REMOTE],
  ])('drops %s at the firewall rule', (_who, from) => {
    const a = answer(whole, from, '198.51.100.7:80');
    expect(a.courses.map((c) => [c.trace.outcome.kind, c.trace.outcome.at?.line])).toEqual([['dropped', 37]]);
    expect(a.courses[0]?.trace.translated).toEqual({});
    expect(a.verdict).toBe('no');
  });

  it('does the same by the iptables-save text alone', () => {
    const inside = answer(alone, '203.0.113.9', '198.51.100.7:80');
    expect([...new Set(inside.courses.map((c) => c.trace.translated.dst?.to))]).toEqual(['10.244.1.6:8080']);
    expect(inside.verdict).toBe('yes');
    const outside = answer(alone, '203.0.114.9', '198.51.100.7:80');
    expect([...new Set(outside.courses.map((c) => c.trace.outcome.kind))]).toEqual(['dropped']);
    expect(outside.verdict).toBe('no');
  });

  it('has NodePort 30081 lead a stranger to the local endpoint, untranslated', () => {
    expect(fates(answer(whole, REMOTE, `${NODE}:30081`))).toEqual(shared(false, '10.244.1.6:8080'));
  });

  it('has NodePort 30081 lead a pod to all endpoints, untranslated', () => {
    expect(fates(answer(whole, POD, `${NODE}:30081`))).toEqual(shared(false, ...LOCAL));
  });

  it('has NodePort 30081 lead the node to all endpoints, masqueraded', () => {
    expect(fates(answer(whole, 'node1', `${NODE}:30081`))).toEqual(shared(true, ...LOCAL));
  });

  it('has its health check on port 32000 delivered to the node, and no other port of the service', () => {
    const [c, ...rest] = answer(whole, REMOTE, `${NODE}:32000`).courses;
    expect(rest).toEqual([]);
    expect(c?.trace.outcome).toMatchObject({ kind: 'delivered', node: 'node1' });
    expect(c && steps(c).some((s) => s.step === 'rule' && s.truth === true && s.table === 'filter' && s.chain === 'KUBE-NODEPORTS')).toBe(true);
    expect(c?.trace.translated).toEqual({});
  });
});

describe('a service with local endpoints only, and none here', () => {
  it.each([
    ['a stranger', REMOTE],
    ['somebody on the internet', '8.8.8.8'],
  ])('drops %s at NodePort 30082', (_who, from) => {
    const a = answer(whole, from, `${NODE}:30082`);
    expect(a.courses.map((c) => [c.trace.outcome.kind, c.trace.outcome.at?.line])).toEqual([['dropped', 31]]);
    expect(a.verdict).toBe('no');
  });

  it('leads a pod from NodePort 30082 to the endpoint on the other node', () => {
    expect(fates(answer(whole, POD, `${NODE}:30082`))).toEqual(shared(false, '10.244.2.9:8080'));
  });

  it('leads the node from its own NodePort 30082 there, masqueraded', () => {
    expect(fates(answer(whole, 'node1', `${NODE}:30082`))).toEqual(shared(true, '10.244.2.9:8080'));
  });
});

describe('an external IP', () => {
  it.each([
    ['a pod', POD],
    ['the node', 'node1'],
    ['somebody on the internet', '8.8.8.8'],
  ])('leads %s to the endpoint, masqueraded', (_who, from) => {
    expect(fates(answer(whole, from, '192.0.2.50:8000'))).toEqual(shared(true, '10.244.1.8:8080'));
  });

  it('is masqueraded by the rule that kube-proxy wrote for it', () => {
    const src = answer(whole, '8.8.8.8', '192.0.2.50:8000').courses[0]?.trace.translated.src;
    expect(src?.steps.map((s) => s.at?.line)).toEqual([103]);
    expect(src?.to).toBe(`${NODE}:1024-65535`);
  });

  it('is reached by its own service port only', () => {
    expect(answer(whole, '8.8.8.8', '192.0.2.50:80').courses.map((c) => c.trace.translated)).toEqual([{}]);
  });
});

it('a packet to the node that is of no service is delivered there untouched', () => {
  const [c, ...rest] = answer(whole, REMOTE, `${NODE}:22`).courses;
  expect(rest).toEqual([]);
  expect(c?.trace.outcome.kind).toBe('delivered');
  expect(c?.trace.translated).toEqual({});
});

it('a packet that conntrack calls INVALID is dropped before it is forwarded', () => {
  const a = answer(whole, POD, '10.244.2.5:8080', { ctState: 'INVALID', flags: 'ACK' });
  expect(a.courses.map((c) => [c.trace.outcome.kind, c.trace.outcome.at?.line])).toEqual([['dropped', 33]]);
});

it('half a node answers like a whole one where the rules alone decide', () => {
  for (const [, to, , p] of services) {
    expect(endpointsOf(answer(alone, POD, to, proto(p)))).toEqual(endpointsOf(answer(whole, POD, to, proto(p))));
  }
});
