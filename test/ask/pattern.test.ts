// Named patterns: which one comes first for the questions of the scenarios, and none where nothing is wrong.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load, type Loaded } from '../../src/cli/load.ts';
import { PATTERN_CODES, PATTERNS, patternsOf, type PatternCode, type PatternHit } from '../../src/ask/pattern.ts';
import {
  ask,
  isMisunderstood,
  readBundle,
  requestOf,
  trace,
  worldOf,
  type Answer,
  type Namespace,
  type Request,
  type Scenario,
  type World,
} from '../../src/index.ts';
import { parsePrefix, isError, type Prefix } from '../../src/net/addr.ts';
import type { Chain, Rule, Table } from '../../src/model/ruleset.ts';

const folder = join(import.meta.dirname, '../../scenarios');
const names = readdirSync(folder, { withFileTypes: true })
  .filter((f) => f.isDirectory())
  .map((f) => f.name);

/** What comes first for every question of a scenario that does not work: of all of them (`*`), or by name. */
const FIRST: Readonly<Record<string, Readonly<Record<string, PatternCode>>>> = {
  'agent-not-authorised': { '*': 'agent-not-authorised' },
  'apiserver-down': { '*': 'wrong-target-port' },
  'apiserver-firewall': { '*': 'foreign-reject' },
  'backend-split': { '*': 'restore-refused', 'a pod of the new node to a service without endpoints': 'no-endpoints' },
  'backend-split-forward-drop': { '*': 'backend-split', 'a pod of the new node to a service without endpoints': 'no-endpoints' },
  'bridge-nf-off': { '*': 'bridge-nf-off' },
  'docker-forward-drop': { '*': 'forward-policy-drop' },
  'flannel-docker0-outside-subnet': { '*': 'bridge-outside-subnet' },
  'flannel-forward-drop': { '*': 'forward-policy-drop' },
  'flannel-ip-forward-off': { '*': 'forwarding-off' },
  'flannel-route-missing': { '*': 'route-missing' },
  'flannel-stale-vtep-mac': { '*': 'stale-neighbour' },
  'foreign-rules': { '*': 'foreign-reject' },
  'hairpin-off': { '*': 'hairpin-off' },
  'ip-forward-off': { '*': 'forwarding-off' },
  'ippool-overlaps-host': { '*': 'nat-skipped-by-set-overlap' },
  'ipset-revision': { '*': 'ipset-revision' },
  'ipvs-conn-reuse': { '*': 'ipvs-conn-reuse' },
  'ipvs-mark-drop-martian': { '*': 'restore-refused' },
  'ipvs-mark-drop-missing': { '*': 'restore-refused' },
  'kube-proxy-absent': { '*': 'kube-proxy-absent' },
  'kube-proxy-iptables': { '*': 'no-endpoints' },
  'pod-cidr-conflicts': { '*': 'overlapping-subnets' },
  'route-lost': { '*': 'route-missing' },
  'security-group-ipip': { '*': 'wire-denies' },
  'security-group-pods': { '*': 'wire-denies' },
  'security-group-vxlan': { '*': 'wire-denies' },
  'service-no-endpoints': { '*': 'no-endpoints' },
  'vip-on-no-node': { '*': 'vip-unowned' },
  'vip-on-two-nodes': { '*': 'vip-split' },
  'wrong-target-port': { 'a pod to the service': 'wrong-target-port', 'a node to the service': 'wrong-target-port' },
};

/** Networks where some things are refused on purpose: only what is named here shows a pattern first. */
const GUARDED: Readonly<Record<string, Readonly<Record<string, PatternCode | undefined>>>> = {
  'calico-nftables': {},
  firewalld: {},
  'docker-nftables': {
    'from the LAN to the port published on localhost': 'foreign-reject',
    'from the internet to ssh on the host': 'foreign-reject',
    'a container to ssh on its host': 'foreign-reject',
  },
  'kube-proxy-ipvs': {
    'a pod to the ClusterIP of a service without endpoints': 'no-endpoints',
    'a pod to the NodePort of a service without endpoints': 'no-endpoints',
    'the node to the ClusterIP of a service without endpoints': 'no-endpoints',
    'the node to the NodePort of a service without endpoints': 'no-endpoints',
    'a client outside to the ClusterIP of a service without endpoints': 'no-endpoints',
    'a client outside to the NodePort of a service without endpoints': 'no-endpoints',
    'a client outside to a NodePort with externalTrafficPolicy Local and no pod here': 'etp-local-no-endpoint',
    'a pod to a port that the service does not have': 'no-endpoints',
    'a pod by UDP to a service of TCP': 'no-endpoints',
    'a ping to a ClusterIP': 'no-endpoints',
  },
  'kube-proxy-nftables': {
    'from outside to the node port of a node without a local pod': 'etp-local-no-endpoint',
    'from outside to the node port without endpoints': 'no-endpoints',
    'a pod to the service without endpoints': 'no-endpoints',
    'a node to the service without endpoints': 'no-endpoints',
    'a pod to a port that the service does not have': 'no-endpoints',
  },
  'kube-proxy-nftables-ipv6': {
    'from outside to the node port without endpoints': 'foreign-reject',
    'a pod to the service without endpoints': 'no-endpoints',
    'a pod to a port that the service does not have': 'no-endpoints',
    'from the gateway to ssh on a node': 'foreign-reject',
  },
};

type Question = NonNullable<Scenario['questions']>[number];

function answerIn(world: World, request: Request): Answer {
  const asked = ask(world, request);
  if (isMisunderstood(asked)) throw new Error(`--${asked.option}: ${asked.error}`);
  return trace(world, asked);
}

describe.each(names)('%s', (name) => {
  let loaded: Loaded;
  const told: { q: Question; answer: Answer; hits: readonly PatternHit[] }[] = [];
  beforeAll(async () => {
    loaded = await load(join(folder, name));
    for (const q of loaded.scenario?.questions ?? []) {
      const answer = answerIn(loaded.world, requestOf(q));
      told.push({ q, answer, hits: patternsOf(loaded.world, answer) });
    }
  });

  it('what does not work shows its pattern first, and what works shows none', () => {
    expect(told.length).toBeGreaterThan(0);
    for (const { q, answer, hits } of told) {
      const guarded = GUARDED[name];
      const first = guarded ? guarded[q.name] : (FIRST[name]?.[q.name] ?? FIRST[name]?.['*']);
      // two machines with one address are a fault where packets happen to arrive, too, and so is a port that nobody listens on
      const isQuiet = answer.verdict === 'yes' && hits.every((h) => h.code !== 'vip-split' && h.code !== 'wrong-target-port');
      expect(hits[0]?.code, q.name).toBe(isQuiet ? undefined : first);
    }
  });

  it('every hit names a captured line, ends its sentences, and says what to change for good', () => {
    for (const { q, hits } of told)
      for (const h of hits) {
        expect(h.at.line, `${q.name}: ${h.code}`).toBeGreaterThan(0);
        expect(h.message, q.name).toMatch(/[^.]\.$/);
        expect(h.durable, `${q.name}: ${h.code}`).toBeDefined();
      }
  });
});

it('every scenario with a fault that captures can show is in the table', () => {
  const healthy = names.filter((n) => FIRST[n] === undefined && GUARDED[n] === undefined);
  expect(healthy).toEqual([
    'calico-ipip',
    'docker-bridge',
    'flannel-host-gw',
    'flannel-vxlan',
    'hairpin-on',
    'ipvs-baseline',
    'ipvs-conn-reuse-6.1',
    'ipvs-mark-drop-present',
    'kubenet-cloud-routes',
  ]);
});

it('every code is in the catalogue, in order', () => {
  expect(PATTERNS.map((p) => p.code)).toEqual([...PATTERN_CODES]);
});

/** The scenario's world with another namespace for one of its own. */
function changed(world: World, node: string, name: string, change: (ns: Namespace) => Partial<Namespace>): World {
  const namespaces = world.namespaces.map((n) => (n.node === node && n.name === name ? { ...n, ...change(n) } : n));
  return {
    ...world,
    namespaces,
    get findings() {
      return world.findings;
    },
  };
}

/** The scenario's world with something else about each of its namespaces. */
function everywhere(world: World, change: (ns: Namespace) => Partial<Namespace>): World {
  return world.namespaces.reduce((w, { node, name }) => changed(w, node, name, change), world);
}

function withChain(ns: Namespace, table: string, chain: string, change: (rules: readonly Rule[]) => readonly Rule[]): Partial<Namespace> {
  const edit = (t: Table): Table => {
    const old: Chain | undefined = t.name === table && t.family === 4 ? t.chains[chain] : undefined;
    return old ? { ...t, chains: { ...t.chains, [chain]: { ...old, rules: change(old.rules).map((r, i) => ({ ...r, number: i + 1 })) } } } : t;
  };
  return { tables: ns.tables.map(edit) };
}

function prefix(text: string): Prefix {
  const p = parsePrefix(text);
  if (isError(p)) throw new Error(p.error);
  return p;
}

async function scenario(name: string): Promise<{ world: World; request: (question: string) => Request }> {
  const { world, scenario: s } = await load(join(folder, name));
  return {
    world,
    request: (question) => {
      const q = s?.questions?.find((x) => x.name === question);
      if (!q) throw new Error(`${name} has no question '${question}'`);
      return requestOf(q);
    },
  };
}

function codes(world: World, request: Request): readonly string[] {
  return patternsOf(world, answerIn(world, request)).map((h) => h.code);
}

describe('a fault put into a network', () => {
  it('an IPPool that was captured is called by its name', async () => {
    const { world, request } = await scenario('ippool-overlaps-host');
    const at = { file: 'ippools.yaml', line: 7 };
    const pool = {
      name: 'default-ipv4-ippool',
      cidr: prefix('192.168.0.0/16'),
      disabled: false,
      natOutgoing: true,
      ipipMode: 'Always',
      vxlanMode: 'Never',
      at,
    };
    const witness = { nodes: [], pods: [], services: [], endpoints: [], leases: [], networks: [], subnetFiles: [], pools: [pool] };
    const hits = patternsOf({ ...world, witness }, answerIn({ ...world, witness }, request('the pod to the API server')));
    expect(hits.map((h) => h.code).slice(0, 2)).toEqual(['nat-skipped-by-set-overlap', 'pool-overlaps-network']);
    expect(hits[1]).toMatchObject({
      at,
      message: 'IPPool default-ipv4-ippool: its CIDR 192.168.0.0/16 contains 192.168.21.0/24, the network of ens192 of worker1.',
    });
    expect(hits[0]!.durable).toContain('IPPool default-ipv4-ippool');
  });

  it('a KUBE-SERVICES that was emptied is a chain without rules, not a node without kube-proxy', async () => {
    const { world, request } = await scenario('kubenet-cloud-routes');
    const emptied = changed(world, 'node3', '', (ns) => withChain(ns, 'nat', 'KUBE-SERVICES', () => []));
    expect(codes(emptied, request("a pod to the API server's service"))[0]).toBe('chain-missing');
  });

  it("what the forwarding table sends to another machine is its fault, not the neighbour table's", async () => {
    const { world, request } = await scenario('flannel-vxlan');
    const c = world.namespaces.find((n) => n.node === 'c' && n.name === '')!.addresses.find((a) => a.device === 'ens3')!.addr;
    const d = world.namespaces.find((n) => n.node === 'd' && n.name === '')!.links.find((l) => l.name === 'flannel.1')!.mac;
    const moved = changed(world, 'a', '', (ns) => ({ fdb: ns.fdb.map((e) => (e.mac === d && e.remote !== undefined ? { ...e, remote: c } : e)) }));
    expect(codes(moved, request('a pod of a to a pod of d'))[0]).toBe('stale-fdb');
  });

  it('two machines that have one address in the network itself are no virtual address', async () => {
    const { world, request } = await scenario('vip-on-two-nodes');
    const plain = changed(world, 'm1', '', (ns) => ({
      addresses: ns.addresses.map((a) => ({ ...a, length: Math.min(a.length, 24), secondary: false })),
    }));
    expect(codes(plain, request("the worker to the API servers' address"))).toEqual(['duplicate-address']);
  });

  it('a connection that the endpoint has reset shows that nobody listens there, unless its sockets say otherwise', async () => {
    const { world, request } = await scenario('wrong-target-port');
    const q = request('a pod to the service');
    const { final } = answerIn(world, q).courses[0]!.trace;
    const tuple = { src: final.src, dst: final.dst, proto: 6, sport: 41000, dport: final.dport! };
    const back = { src: final.dst, dst: final.src, proto: 6, sport: final.dport!, dport: 41000 };
    const at = { file: 'node2/conntrack.txt', line: 3 };
    const entry = { orig: tuple, reply: back, state: 'CLOSE', status: 2, mark: 0, zone: 0, text: '', at };
    const reset = changed(world, 'node2', '', (ns) => ({ conntrack: [...ns.conntrack, entry] }));
    const unheard = everywhere(reset, (ns) => ({ captured: { ...ns.captured, tcpListeners: [] } }));
    expect(patternsOf(unheard, answerIn(unheard, q))).toMatchObject([
      { code: 'wrong-target-port', message: expect.stringContaining('was reset'), evidence: [at] },
    ]);
    const open = everywhere(reset, () => ({ listeners: [{ proto: 6, port: final.dport!, at }] }));
    expect(codes(open, q)).toEqual([]);
  });

  it('a port that nobody listens on is told with the rule that leads there, and with what does listen', async () => {
    const { world, request } = await scenario('wrong-target-port');
    const [hit] = patternsOf(world, answerIn(world, request('a pod to the service')));
    expect(hit).toMatchObject({
      message:
        'Nobody listens on tcp port 8080 of node1/web, so 10.244.1.7:8080 refuses whoever asks; what does listen there is on port 9376 (serve_hostname).',
      at: { file: 'node2/iptables-save.txt' },
      evidence: [{ file: 'node1/namespaces/web/ss.txt', line: 1 }, { line: 2 }],
    });
    expect(hit!.durable).toContain('targetPort');
  });

  it("what the API server's service leads to is to be started, not the Service to be changed", async () => {
    const { world, request } = await scenario('apiserver-down');
    for (const [question, file] of [
      ["a pod to the API server's service", 'worker/iptables-save.txt'],
      ['a pod to the API server', 'master/ss.txt'],
    ] as const) {
      const [hit] = patternsOf(world, answerIn(world, request(question)));
      expect(hit).toMatchObject({ at: { file } });
      expect(hit!.durable).toContain('kube-apiserver: on master');
    }
  });

  it.each([
    ['another port of the pod', { from: 'node2/app', to: '10.244.3.6:81' }, 'start what should listen on port 81 of node3/web'],
    ['what listens on 127.0.0.1 alone', { from: 'node2/app', to: '10.240.0.4:10248' }, 'have kubelet listen on 10.240.0.4'],
    ['UDP, where it is TCP that listens', { from: 'node2/app', to: '10.244.1.2:9153', proto: 'udp' }, 'port 9153 of node1/dns'],
    ['the DNS service', { from: 'node2/app', to: '10.0.0.10:53', proto: 'udp' }, undefined],
    ['the API server', { from: 'node2/app', to: '10.0.0.1:443' }, undefined],
    ['a ping', { from: 'node2/app', to: '10.244.3.6' }, undefined],
    ['a segment of no new connection', { from: 'node2/app', to: '10.244.3.6:81', flags: 'SYN,ACK' }, undefined],
  ])('who listens is asked about what begins there: %s', async (_, q, durable) => {
    const { world } = await scenario('wrong-target-port');
    const hits = patternsOf(world, answerIn(world, q)).filter((h) => h.code === 'wrong-target-port');
    expect(hits.map((h) => h.durable)).toEqual(durable === undefined ? [] : [expect.stringContaining(durable)]);
  });

  it('without a rule for what comes from outside of the cluster CIDR the answer goes past the node', async () => {
    const { world, request } = await scenario('kube-proxy-ipvs');
    const q = request('a client outside to the ClusterIP of web');
    const bare = changed(world, 'node1', '', (ns) =>
      withChain(ns, 'nat', 'KUBE-SERVICES', (rules) => rules.filter((r) => !r.then.some((s) => 'chain' in s && s.chain === 'KUBE-MARK-MASQ'))),
    );
    expect(codes(bare, q).slice(0, 2)).toEqual(['no-cluster-cidr', 'asymmetric-reply']);
  });

  it('an ACCEPT before KUBE-POSTROUTING ends address translation', async () => {
    const { world, request } = await scenario('kube-proxy-ipvs');
    const q = request('a client outside to the ClusterIP of web');
    const accept: Rule = {
      number: 1,
      match: { kind: 'all', of: [] },
      then: [{ kind: 'verdict', verdict: 'accept' }],
      text: '-A POSTROUTING -j ACCEPT',
      at: { file: 'x', line: 1 },
    };
    const ended = changed(world, 'node1', '', (ns) => withChain(ns, 'nat', 'POSTROUTING', (rules) => [accept, ...rules]));
    expect(codes(ended, q)[0]).toBe('nat-ended-early');
  });

  it('a packet that a tunnel has no room for', async () => {
    const { world, request } = await scenario('flannel-vxlan');
    expect(codes(world, { ...request('a pod of a to a pod of d'), length: '1500' })[0]).toBe('mtu');
  });

  it('a strict rp_filter where the route back leaves by another interface', async () => {
    const { world, request } = await scenario('flannel-route-missing');
    const strict = { value: '1', at: { file: 'd/sysctl.txt', line: 9 } };
    const filtered = changed(world, 'd', '', (ns) => ({ sysctls: { ...ns.sysctls, 'net.ipv4.conf.flannel/1.rp_filter': strict } }));
    expect(codes(filtered, request('a pod of a to a pod of d'))).toEqual(['rp-filter-drop']);
  });

  it('an answer that a notrack rule keeps from connection tracking is not translated back', async () => {
    const { world, request } = await scenario('kube-proxy-iptables');
    const at = { file: 'node2/iptables-save.txt', line: 2 };
    const notrack: Rule = {
      number: 1,
      match: { kind: 'in', field: 'sport', ranges: [[9376, 9376]] },
      then: [{ kind: 'notrack' }],
      text: '-A PREROUTING --sport 9376 -j NOTRACK',
      at,
    };
    const chain: Chain = { name: 'PREROUTING', base: { hook: 'PREROUTING', policy: 'accept' }, rules: [notrack], at };
    const backend = world.namespaces.find((n) => n.node === 'node2' && n.name === '')!.tables[0]!.backend;
    const raw: Table = { backend, family: 4, name: 'raw', chains: { PREROUTING: chain } };
    const untracked = changed(world, 'node2', '', (ns) => ({ tables: [raw, ...ns.tables] }));
    expect(codes(untracked, request('a pod without a part in it to the service'))[0]).toBe('reply-not-translated');
  });

  it('a mark that stays on has the packet of the tunnel masqueraded as well', async () => {
    const { world, request } = await scenario('flannel-vxlan');
    const q = request('a node to the service');
    // its KUBE-POSTROUTING is that of old versions: it leaves the mark on
    const random = (r: Rule): Rule => ({ ...r, then: r.then.map((s) => (s.kind === 'masquerade' ? { ...s, random: 'fully' } : s)) });
    const keeping = changed(world, 'a', '', (ns) => withChain(ns, 'nat', 'KUBE-POSTROUTING', (rules) => rules.map((r) => random(r))));
    expect(codes(world, q)).toEqual([]);
    expect(codes(keeping, q)).toEqual(['double-masquerade']);
  });

  it('where one order of two chains lets it through and the other does not, that comes first', () => {
    const files = [
      { path: 'n/ip-addr.txt', text: '2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500\n    inet 10.0.0.1/24 scope global eth0\n' },
      { path: 'n/ip-route.txt', text: '10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1\n' },
      {
        path: 'n/nft-ruleset.txt',
        text: 'table ip a {\n\tchain o {\n\t\ttype filter hook output priority filter; policy accept;\n\t\tmeta mark set 0x1\n\t}\n}\ntable ip b {\n\tchain o {\n\t\ttype filter hook output priority filter; policy accept;\n\t\tmeta mark 0x1 drop\n\t}\n}\n',
      },
    ];
    const world = worldOf(readBundle(files, { folder: 'n' }));
    expect(codes(world, { from: 'n', to: '10.0.0.2:80' })).toEqual(['order-ambiguous']);
  });
});
