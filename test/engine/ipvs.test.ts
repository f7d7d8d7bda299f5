// A client that uses a source port again for which IPVS still has an entry: what happens depends on the kernel. The guest kernel of
// test/ipvs is 6.1 and shows its own part; the others are read from the sources: ip_vs_in(), net/netfilter/ipvs/ip_vs_core.c, of
// - 3.10: an entry is used whatever its state; only expire_nodest_conn with weight 0 begins anew
// - 4.1 to 5.8: d752c3645717 (conn_reuse_mode), f719e3754ee2 (a SYN whose entry conntrack holds is dropped once)
// - 5.9: f0a5e4d7a594 (only if the conntrack entry is an old, confirmed one), 35dfb013149f (servers that are gone: scheduled anew)
// - 5.16: c95c07836fa4 (weight 0 counts also with conn_reuse_mode=0)
// Red Hat's 3.10.0-957 and later have conn_reuse_mode, as their sysctl -a shows.
import { describe, expect, it } from 'vitest';
import { ask, isMisunderstood, readBundle, trace, type Answer } from '../../src/index.ts';

const ADDR = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    inet 127.0.0.1/8 scope host lo
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    inet 192.0.2.1/24 scope global eth0
3: cali1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
4: kube-ipvs0: <BROADCAST,NOARP> mtu 1500 qdisc noop state DOWN group default
    inet 10.96.0.1/32 scope global kube-ipvs0
`;
const ROUTES = `default via 192.0.2.254 dev eth0
10.1.0.0/24 dev cali1 scope link
192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.1
local 10.96.0.1 dev kube-ipvs0 table local proto kernel scope host src 10.96.0.1
local 192.0.2.1 dev eth0 table local proto kernel scope host src 192.0.2.1
`;
const RULES = '*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.9.9.9/32 -j MASQUERADE\nCOMMIT\n';

interface Node {
  readonly kernel: string;
  /** IPVS settings; undefined where none were captured. */
  readonly vs?: Readonly<Record<string, number>>;
  /** Weight of the old entry's server; undefined where it was taken out. */
  readonly weight: number | undefined;
  readonly state: string;
  /** What conntrack has for the client: nothing, or its state. */
  readonly conntrack?: string;
}

function answer(n: Node): Answer {
  const old = n.weight === undefined ? '' : `-a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m -w ${n.weight}\n`;
  const texts: Record<string, string> = {
    'n/ip-addr.txt': ADDR,
    'n/ip-route.txt': ROUTES,
    'n/iptables-save.txt': RULES,
    'n/uname.txt': `Linux n ${n.kernel} #1 SMP x86_64 GNU/Linux\n`,
    'n/ipvsadm-save.txt': `-A -t 10.96.0.1:443 -s rr\n${old}-a -t 10.96.0.1:443 -r 10.1.0.2:6443 -m -w 1\n`,
    'n/ipvsadm-connections.txt': `IPVS connection entries\npro expire state       source             virtual            destination\nTCP 01:40  ${n.state}   198.51.100.9:7777  10.96.0.1:443      10.1.0.1:6443\n`,
    'n/sysctl.txt': ['net.ipv4.ip_forward = 1', ...Object.entries(n.vs ?? {}).map(([key, value]) => `net.ipv4.vs.${key} = ${value}`), ''].join('\n'),
    ...(n.conntrack !== undefined && {
      'n/conntrack.txt': `tcp      6 100 ${n.conntrack} src=198.51.100.9 dst=10.96.0.1 sport=7777 dport=443 src=10.1.0.1 dst=198.51.100.9 sport=6443 dport=7777 [ASSURED] mark=0 use=1\n`,
    }),
  };
  const { namespaces, findings } = readBundle(Object.entries(texts).map(([path, text]) => ({ path, text })));
  const world = { namespaces, wires: [], findings };
  const asked = ask(world, { from: '198.51.100.9', to: '10.96.0.1:443', sport: '7777', in: 'n:eth0' });
  if (isMisunderstood(asked)) throw new Error(asked.error);
  return trace(world, asked);
}

/** To which servers it goes, or how it ends. */
const fates = (a: Answer): string[] =>
  a.courses.map((c) => c.trace.translated.dst?.to.replace(':6443', '') ?? c.trace.outcome.kind).toSorted((x, y) => x.localeCompare(y));

const both = ['10.1.0.1', '10.1.0.2'];
const on = { conntrack: 1, conn_reuse_mode: 1, expire_nodest_conn: 0 };

describe('a SYN on the tuple of an old entry', () => {
  it.each<[string, Node, string[]]>([
    [
      '3.10 knows no reuse: the old server',
      { kernel: '3.10.108', vs: { conntrack: 1, expire_nodest_conn: 0 }, weight: 1, state: 'TIME_WAIT' },
      ['10.1.0.1'],
    ],
    ['3.10 of Red Hat does, and drops it once', { kernel: '3.10.0-1160.el7.x86_64', vs: on, weight: 1, state: 'TIME_WAIT' }, ['dropped']],
    [
      '... also where its settings were not captured; whether conntrack holds it is not known',
      { kernel: '3.10.0-1160.el7.x86_64', weight: 1, state: 'TIME_WAIT' },
      [...both, 'dropped'],
    ],
    ['4.19 drops it once', { kernel: '4.19.0-20-amd64', vs: on, weight: 1, state: 'TIME_WAIT' }, ['dropped']],
    ['4.19 without vs.conntrack schedules anew', { kernel: '4.19.0-20-amd64', vs: { ...on, conntrack: 0 }, weight: 1, state: 'TIME_WAIT' }, both],
    [
      '4.19 with conn_reuse_mode=0: the old server',
      { kernel: '4.19.0', vs: { ...on, conn_reuse_mode: 0 }, weight: 0, state: 'TIME_WAIT' },
      ['10.1.0.1'],
    ],
    ['6.1 schedules anew', { kernel: '6.1.0-9-amd64', vs: on, weight: 1, state: 'TIME_WAIT' }, both],
    ['6.1, and conntrack begins anew too', { kernel: '6.1.0', vs: on, weight: 1, state: 'TIME_WAIT', conntrack: 'TIME_WAIT' }, both],
    ['6.1, and conntrack holds it: dropped once', { kernel: '6.1.0', vs: on, weight: 1, state: 'TIME_WAIT', conntrack: 'ESTABLISHED' }, ['dropped']],
    ['6.1: an entry that is not at its end is used', { kernel: '6.1.0', vs: on, weight: 1, state: 'ESTABLISHED' }, ['10.1.0.1']],
    [
      '6.1 with conn_reuse_mode=0: the old server, without weight',
      { kernel: '6.1.0', vs: { ...on, conn_reuse_mode: 0 }, weight: 0, state: 'TIME_WAIT' },
      ['10.1.0.1'],
    ],
    [
      '6.1, expire_nodest_conn and no weight',
      { kernel: '6.1.0', vs: { ...on, conn_reuse_mode: 0, expire_nodest_conn: 1 }, weight: 0, state: 'ESTABLISHED' },
      ['10.1.0.2'],
    ],
    [
      '5.15: that takes conn_reuse_mode',
      { kernel: '5.15.0', vs: { ...on, conn_reuse_mode: 0, expire_nodest_conn: 1 }, weight: 0, state: 'ESTABLISHED' },
      ['10.1.0.1'],
    ],
    [
      '3.10, expire_nodest_conn and no weight',
      { kernel: '3.10.108', vs: { conntrack: 1, expire_nodest_conn: 1 }, weight: 0, state: 'ESTABLISHED' },
      ['10.1.0.2'],
    ],
    ['its server is gone', { kernel: '6.1.0', vs: { ...on, conn_reuse_mode: 0 }, weight: undefined, state: 'ESTABLISHED' }, ['dropped']],
    [
      'its server is gone, expire_nodest_conn',
      { kernel: '6.1.0', vs: { ...on, expire_nodest_conn: 1 }, weight: undefined, state: 'ESTABLISHED' },
      ['10.1.0.2'],
    ],
    [
      'its server is gone, expire_nodest_conn, 5.8',
      { kernel: '5.8.0', vs: { ...on, expire_nodest_conn: 1 }, weight: undefined, state: 'ESTABLISHED' },
      ['dropped'],
    ],
  ])('%s', (_claim, node, expected) => {
    expect(fates(answer(node))).toEqual(expected);
  });
});

it('another port has nothing to do with it', () => {
  const a = answer({ kernel: '3.10.0-1160.el7.x86_64', vs: on, weight: 1, state: 'TIME_WAIT' });
  expect(a.courses[0]!.trace.hops[0]!.steps.findLast((s) => s.step === 'ipvs')?.at).toMatchObject({ file: 'n/ipvsadm-connections.txt', line: 3 });
});
