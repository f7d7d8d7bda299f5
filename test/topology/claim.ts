// Claims about small networks: what the kernel does with one packet, written down, and netwhy held to it.
import { expect } from 'vitest';
import { walkQuestion } from '../../src/engine/network.ts';
import type { OutcomeKind } from '../../src/model/trace.ts';
import { openGround, type Ground, type Place, type Plan, type Shot, type Veth } from './ground.ts';
import { judge, questionOf, worldOf } from './judge.ts';

/** What is said of a packet. */
export interface Claim {
  readonly plan: Plan;
  readonly shot: Partial<Shot> & Pick<Shot, 'ns' | 'src' | 'dst'>;
  /** What the kernel does: `delivered n1/b 10.50.0.11:40000 > 10.50.0.12:80 ttl 64`, `left n1 out ...` or `lost`. */
  readonly kernel: string;
  /** The end of the answer, where the packet arrived; delivered to who asked where it is left out. */
  readonly reply?: string;
  /** Rules that match on the way there: `n1 mangle FORWARD 1`. Not compared where left out. */
  readonly rules?: readonly string[];
  /** netwhy's word for it; one of them where it cannot know. */
  readonly outcome: OutcomeKind | readonly OutcomeKind[];
  /** Words of netwhy's reason. */
  readonly because?: string;
}

let ground: Ground | undefined;

/** Ends the namespaces that claims were about. */
export async function closeClaims(): Promise<void> {
  await ground?.close();
  ground = undefined;
}

export async function check(claim: Claim): Promise<void> {
  ground ??= openGround();
  const { plan } = claim;
  const shot: Shot = { proto: 'tcp', ttl: 64, tos: 0, mark: 0, ...(claim.shot.proto !== 'icmp' && { sport: 40000, dport: 80 }), ...claim.shot };
  const captures = await ground.build(plan);
  const [seen] = await ground.packets(plan, [shot]);
  const header = (w: NonNullable<typeof seen>['request']): string =>
    w.end.length === 0
      ? 'lost'
      : `${w.end.length === 1 ? 'delivered' : 'left'} ${w.end.join(' ')} ${w.final!.src}${w.final!.sport === undefined ? '' : `:${w.final!.sport}`} > ${w.final!.dst}${w.final!.dport === undefined ? '' : `:${w.final!.dport}`} ttl ${w.final!.ttl}`;
  if (process.env['SHOW']) console.log(JSON.stringify(seen), judge(worldOf(plan, captures), shot, seen!));
  expect(header(seen!.request), 'the kernel').toBe(claim.kernel);
  if (claim.reply !== undefined) expect(header(seen!.reply!), "the kernel's answer").toBe(claim.reply);
  if (claim.rules)
    expect(
      seen!.request.walks.flatMap((w) => w.rules.map(([table, chain, n]) => `${w.ns} ${table} ${chain} ${n}`)),
      'the rules',
    ).toEqual(claim.rules);
  const world = worldOf(plan, captures);
  expect(judge(world, shot, seen!), 'netwhy').toMatchObject({ agreed: 'yes' });
  const { traces } = walkQuestion(world, questionOf(shot));
  const wanted = typeof claim.outcome === 'string' ? [claim.outcome] : claim.outcome;
  expect(traces.map((t) => t.outcome.kind).toSorted()).toEqual([...wanted].toSorted());
  if (claim.because !== undefined) expect(traces.map((t) => t.outcome.why).join('\n')).toContain(claim.because);
}

/** A place and what is special about it. */
export type Special = Partial<Omit<Place, 'name' | 'ip'>> & { readonly ip?: readonly string[] };

function place(name: string, ip: readonly string[], special: Special = {}): Place {
  return { name, ...special, ip: ['link set lo up', ...ip, ...(special.ip ?? [])] };
}

/** n1 with the bridge brc (10.50.0.1) and the pods a (.11), b (.12) and c (.13) behind va, vb and vc; 198.51.100.1 on `out`. */
export function bridged(special: { readonly n1?: Special; readonly a?: Special; readonly b?: Special; readonly options?: string } = {}): Plan {
  const pods = ['a', 'b', 'c'];
  const veths = pods.map((p, i): Veth => [`n1/${p}`, 'eth0', 1001 + 2 * i, 'n1', `v${p}`, 1002 + 2 * i]);
  const n1 = place(
    'n1',
    [
      `link add brc index 2001 address 02:00:00:00:00:01 type bridge ${special.options ?? ''}`.trim(),
      'link set brc up',
      ...pods.flatMap((p) => [`link set v${p} address 02:00:00:00:01:0${p} up`, `link set v${p} master brc`]),
      'addr add 10.50.0.1/24 dev brc',
      'link set out address 02:00:00:00:00:02 arp off up',
      'addr add 198.51.100.1/24 dev out',
      'route add default via 198.51.100.254',
    ],
    { ...special.n1, sysctls: { 'net.ipv4.ip_forward': 1, 'net.bridge.bridge-nf-call-iptables': 1, ...special.n1?.sysctls } },
  );
  const pod = (p: string, i: number): Place =>
    place(
      `n1/${p}`,
      [`link set eth0 address 02:00:00:00:00:0${p} up`, `addr add 10.50.0.1${i + 1}/24 dev eth0`, 'route add default via 10.50.0.1'],
      p === 'a' ? special.a : p === 'b' ? special.b : {},
    );
  return { places: [n1, ...pods.map(pod)], veths, taps: [['n1', 'out', '02:00:00:00:00:02']] };
}

/** Two nodes on a wire, 10.0.0.1 and 10.0.0.2, and a pod a routed behind each: 10.244.1.11 and 10.244.2.11. */
export function paired(special: { readonly n1?: Special; readonly n2?: Special; readonly a?: Special } = {}): Plan {
  const veths: Veth[] = [
    ['n1', 'eth0', 1001, 'w', 'p1', 1002],
    ['n2', 'eth0', 1003, 'w', 'p2', 1004],
    ['n1/a', 'eth0', 1005, 'n1', 'va', 1006],
    ['n2/a', 'eth0', 1007, 'n2', 'va', 1008],
  ];
  const node = (n: 1 | 2, own: Special = {}): Place =>
    place(
      `n${n}`,
      [
        `link set eth0 address 02:00:00:00:0${n}:01 up`,
        `addr add 10.0.0.${n}/24 dev eth0`,
        `link set va address 02:00:00:00:0${n}:02 up`,
        `route add 10.244.${n}.11 dev va`,
        // for proxy_arp any route elsewhere will do
        'route add 169.254.1.1 dev eth0',
      ],
      { ...own, sysctls: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.va.proxy_arp': 1, ...own.sysctls } },
    );
  const pod = (n: 1 | 2, own: Special = {}): Place =>
    place(
      `n${n}/a`,
      [
        `link set eth0 address 02:00:00:00:0${n}:0a up`,
        `addr add 10.244.${n}.11/32 dev eth0`,
        'route add 169.254.1.1 dev eth0 scope link',
        'route add default via 169.254.1.1 dev eth0',
      ],
      own,
    );
  const wire: Place = {
    name: 'w',
    unseen: true,
    ip: ['link add brw type bridge', 'link set brw up', ...['p1', 'p2'].flatMap((p) => [`link set ${p} up`, `link set ${p} master brw`])],
  };
  return { places: [node(1, special.n1), node(2, special.n2), wire, pod(1, special.a), pod(2)], veths, taps: [] };
}

/** The lines of a node's VXLAN device towards the other, as flannel makes them; each may be another or be left out (''). */
export function vxlan(
  n: 1 | 2,
  change: { readonly link?: string; readonly up?: string; readonly neigh?: string; readonly fdb?: string; readonly route?: string } = {},
): Special {
  const m = n === 1 ? 2 : 1;
  const ip = [
    `link add vx1 index 200${n} address 02:00:00:00:0${n}:04 ${change.link ?? `mtu 1450 type vxlan id 1 local 10.0.0.${n} dev eth0 dstport 8472 nolearning`}`,
    change.up ?? 'link set vx1 up',
    `addr add 10.244.${n}.0/32 dev vx1`,
    change.route ?? `route add 10.244.${m}.0/24 via 10.244.${m}.0 dev vx1 onlink`,
    change.neigh ?? `neigh add 10.244.${m}.0 lladdr 02:00:00:00:0${m}:04 dev vx1 nud permanent`,
  ];
  const fdb = change.fdb ?? `fdb append 02:00:00:00:0${m}:04 dev vx1 dst 10.0.0.${m} self permanent`;
  return { ip: ip.filter((l) => l !== ''), bridge: fdb === '' ? [] : [fdb] };
}
