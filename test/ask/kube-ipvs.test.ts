// A real kube-proxy's virtual servers, sets and rules, asked about each service of the table in test/captures/README.md. What a
// kernel makes of the same node is the scenario kube-proxy-ipvs; here are the shares, the fields and the lines that the answers name.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/cli/load.ts';
import { ask, isMisunderstood, trace, type Answer, type Course, type Request, type Step, type World } from '../../src/index.ts';

const folder = join(import.meta.dirname, '../captures/kube-proxy-1.26-ipvs/node1');
const NODE = '192.168.21.20';
const POD = '10.244.1.20';
const REMOTE = '192.168.21.50';

let world: World;
beforeAll(async () => {
  ({ world } = await load(folder));
});

function answer(from: string, to: string, more: Partial<Request> = {}): Answer {
  const asked = ask(world, { from, to, ...more });
  if (isMisunderstood(asked)) throw new Error(`--${asked.option}: ${asked.error}`);
  return trace(world, asked);
}

function steps(c: Course): Step[] {
  return c.trace.hops.flatMap((h) => h.steps);
}

interface Fate {
  readonly to: string | undefined;
  readonly probability: number | undefined;
  readonly masqueraded: boolean;
}

function fates(a: Answer): Fate[] {
  return a.courses
    .map((c) => ({
      to: c.trace.translated.dst?.to,
      probability: c.trace.probability === undefined ? undefined : Math.round(c.trace.probability * 1e6) / 1e6,
      masqueraded: c.trace.translated.src?.to.startsWith(`${NODE}:`) ?? false,
    }))
    .toSorted((x, y) => ((x.to ?? '') < (y.to ?? '') ? -1 : 1));
}

/** Equal shares for each of the endpoints. */
function shared(masqueraded: boolean, ...endpoints: string[]): Fate[] {
  const probability = Math.round(1e6 / endpoints.length) / 1e6;
  return endpoints.map((to) => ({ to, probability, masqueraded }));
}

/** Where IPVS got hold of the packet. */
function ipvs(c: Course | undefined): Step | undefined {
  return c && steps(c).find((s) => s.step === 'ipvs');
}

const WEB = ['10.244.1.5:8080', '10.244.2.5:8080', '10.244.2.6:8080'];
const STICKY = ['10.244.1.7:8080', '10.244.2.8:8080'];
const DNS = ['10.244.0.2:53', '10.244.0.3:53'];

const services: [name: string, to: string, endpoints: string[], proto?: string][] = [
  ['kubernetes', '10.96.0.1:443', ['192.168.21.11:6443']],
  ['kube-dns over udp', '10.96.0.10:53', DNS, 'udp'],
  ['kube-dns over tcp', '10.96.0.10:53', DNS],
  ['web', '10.96.10.1:80', WEB],
  ['local', '10.96.10.2:80', ['10.244.1.6:8080', '10.244.2.7:8080']],
  ['local-remote', '10.96.10.6:80', ['10.244.2.9:8080']],
  ['sticky', '10.96.10.3:80', STICKY],
  ['ext', '10.96.10.5:8000', ['10.244.1.8:8080']],
  ['sctp', '10.96.10.7:9999', ['10.244.1.9:9999'], 'sctp'],
];

describe.each(services)('the cluster IP of %s', (_name, to, endpoints, proto) => {
  const more = proto === undefined ? {} : { proto };

  it('leads a pod to each endpoint with the same probability, and the pod keeps its address', () => {
    const a = answer(POD, to, more);
    expect(fates(a)).toEqual(shared(false, ...endpoints));
    expect(a.verdict).toBe('yes');
    expect(a.bounded).toBe(false);
  });

  it('leads the node there, which asks from the cluster IP itself, masqueraded', () => {
    const a = answer('node1', to, more);
    expect(fates(a)).toEqual(shared(true, ...endpoints));
    for (const c of a.courses) expect(`${c.trace.translated.src?.from.split(':')[0]}:${to.split(':')[1]}`).toBe(to);
    expect(a.verdict).toBe('yes');
  });

  it('leads a stranger on the LAN there too, masqueraded', () => {
    expect(fates(answer(REMOTE, to, more))).toEqual(shared(true, ...endpoints));
  });

  it('answers from the cluster IP, and goes by the virtual server that ipvsadm shows', () => {
    for (const from of [POD, 'node1', REMOTE]) {
      for (const c of answer(from, to, more).courses) {
        expect(c.trace.reply?.translated.src?.to).toBe(to);
        const { src, sport } = c.trace.packet;
        expect([c.trace.reply?.final.dst, c.trace.reply?.final.dport]).toEqual([src, sport]);
        expect(ipvs(c)).toMatchObject({ did: 'masq', server: c.trace.translated.dst?.to, at: { file: 'ipvsadm-save.txt' } });
      }
    }
  });

  it('masquerades an endpoint of this node that is led to itself, and only then', () => {
    for (const self of endpoints.filter((e) => e.startsWith('10.244.1.')))
      for (const c of answer(self.split(':')[0]!, to, more).courses) {
        const loops = c.trace.translated.dst?.to === self;
        expect(c.trace.translated.src !== undefined, self).toBe(loops);
        if (loops) expect(steps(c).some((s) => s.step === 'rule' && s.text.includes('KUBE-LOOP-BACK') && s.truth === true)).toBe(true);
      }
  });
});

describe('NodePorts', () => {
  it.each([
    ['a pod', POD],
    ['the node', 'node1'],
    ['a stranger', REMOTE],
    ['somebody on the internet', '8.8.8.8'],
  ])('30080 leads %s to every endpoint of web, masqueraded', (_who, from) => {
    const a = answer(from, `${NODE}:30080`);
    expect(fates(a)).toEqual(shared(true, ...WEB));
    expect(a.verdict).toBe('yes');
  });

  it.each([
    ['a pod', POD],
    ['a stranger', REMOTE],
  ])('with externalTrafficPolicy Local lead %s to endpoints as themselves', (_who, from) => {
    expect(fates(answer(from, `${NODE}:30081`))).toEqual(shared(false, '10.244.1.6:8080'));
    expect(fates(answer(from, `${NODE}:30082`))).toEqual(shared(false, '10.244.2.9:8080'));
  });

  it('are not on 127.0.0.1: kube-proxy in IPVS mode makes no virtual server there', () => {
    const a = answer('node1', '127.0.0.1:30080');
    expect(a.courses.map((c) => c.trace.translated)).toEqual([{}]);
    expect(ipvs(a.courses[0])).toBeUndefined();
  });

  it('of a health check is delivered to the node, accepted by the rule about it', () => {
    const [c, ...rest] = answer(REMOTE, `${NODE}:32000`).courses;
    expect(rest).toEqual([]);
    expect(c?.trace.outcome).toMatchObject({ kind: 'delivered', node: 'node1' });
    expect(c && steps(c).some((s) => s.step === 'rule' && s.truth === true && s.chain === 'KUBE-NODE-PORT' && s.table === 'filter')).toBe(true);
  });
});

describe('a service without endpoints', () => {
  it.each([
    ['a pod', POD],
    ['the node itself', 'node1'],
    ['a stranger', REMOTE],
  ])('is refused to %s by IPVS, at its cluster IP and its NodePort', (_who, from) => {
    for (const [to, line] of [
      ['10.96.10.4:80', 29],
      [`${NODE}:30083`, 11],
    ] as const) {
      const a = answer(from, to);
      expect(a.courses.map((c) => [c.trace.outcome.kind, c.trace.outcome.at?.file, c.trace.outcome.at?.line])).toEqual([
        ['no-server', 'ipvsadm-save.txt', line],
      ]);
      expect(a.courses[0]?.trace.outcome.why).toContain('port unreachable');
      expect(a.verdict).toBe('no');
    }
  });
});

describe('what a service does not have', () => {
  it.each([
    ['a port', '10.96.10.1:81', {}],
    ['a protocol', '10.96.10.1:80', { proto: 'udp' }],
    ['an answer to ping', '10.96.10.1', { proto: 'icmp' }],
  ])('%s is refused by KUBE-IPVS-FILTER', (_what, to, more) => {
    const a = answer(POD, to, more);
    expect(a.courses.map((c) => [c.trace.outcome.kind, c.trace.outcome.at?.line])).toEqual([['rejected', 21]]);
    expect(a.verdict).toBe('no');
  });
});

describe('a load balancer for 203.0.113.0/24 with local endpoints only', () => {
  it('leads a client of that range to the local endpoint, untranslated', () => {
    expect(fates(answer('203.0.113.9', '198.51.100.7:80'))).toEqual(shared(false, '10.244.1.6:8080'));
  });

  it.each([
    ['a client from elsewhere', '203.0.114.9'],
    ['a pod', POD],
    ['a stranger on the LAN', REMOTE],
  ])('drops %s at the firewall rule', (_who, from) => {
    const a = answer(from, '198.51.100.7:80');
    expect(a.courses.map((c) => [c.trace.outcome.kind, c.trace.outcome.at?.line])).toEqual([['dropped', 25]]);
    expect(a.courses[0]?.trace.translated).toEqual({});
    expect(a.verdict).toBe('no');
  });

  it('lets the node itself in: what it sends passes no INPUT', () => {
    const a = answer('node1', '198.51.100.7:80');
    // it asks from the load balancer's address, which other nodes have too: whose the answer is, this capture does not tell
    const [fate] = shared(false, '10.244.1.6:8080');
    expect(fates(a)).toEqual([fate, fate]);
    expect(a.courses.map((c) => c.trace.outcome.kind)).toEqual(['left', 'reply-lost']);
  });
});

it.each([
  ['a pod', POD],
  ['the node', 'node1'],
  ['a stranger', REMOTE],
])('an external address leads %s to its endpoint, masqueraded', (_who, from) => {
  expect(fates(answer(from, '192.0.2.50:8000'))).toEqual(shared(true, '10.244.1.8:8080'));
});
