// What two worlds hold, thing by thing: what one has and the other has not. Names that differ from node to node, counters, handles and
// the order of set members are no differences; the order of rules is one.
import type { Change, Fact, FactKind, Structure, Uncaptured } from '../model/comparison.ts';
import type { CaptureKind, Link, Namespace, World } from '../model/host.ts';
import type { Span } from '../model/finding.ts';
import type { Chain, Table } from '../model/ruleset.ts';
import { formatAddr, formatEndpoint, formatPrefix, isLinkLocal, isMulticast } from '../net/addr.ts';
import { formatProtocol } from '../net/proto.ts';
import type { Naming } from './alike.ts';

/** What `a` and `b` have different, by node and namespace. */
export function compareStructure(a: World, b: World, naming: Naming): Structure {
  const changes: Change[] = [];
  const uncaptured: Uncaptured[] = [];
  const keyOf = (n: Namespace, name: (node: string) => string): string => `${name(n.node)}/${n.name}`;
  const ofB = new Map(b.namespaces.map((n) => [keyOf(n, (name) => naming.node(name)), n]));
  for (const before of a.namespaces) {
    const key = keyOf(before, (n) => n);
    const after = ofB.get(key);
    ofB.delete(key);
    if (!after) uncaptured.push(absent(before, b, 'b'));
    else if (before !== after) compareNamespaces(a, before, b, after, naming, changes, uncaptured);
  }
  for (const after of ofB.values()) uncaptured.push(absent(after, a, 'a'));
  return { changes, uncaptured };
}

function absent(ns: Namespace, other: World, missing: 'a' | 'b'): Uncaptured {
  const hasNode = other.namespaces.some((n) => n.node === ns.node);
  return { node: ns.node, namespace: ns.name, kind: hasNode ? 'namespace' : 'node', missing };
}

function compareNamespaces(wa: World, a: Namespace, wb: World, b: Namespace, naming: Naming, changes: Change[], uncaptured: Uncaptured[]): void {
  for (const { kind, of, by, read } of KINDS) {
    const captured = [a, b].map((n) => n.stub === true || by.some((k) => n.captured[k]));
    const [facts, others] = [read(wa, a, naming), read(wb, b, naming)];
    if (captured[0] !== captured[1]) {
      if (facts.length + others.length > 0) uncaptured.push({ node: a.node, namespace: a.name, kind, missing: captured[0] ? 'b' : 'a' });
    } else if (of(a) !== of(b)) changes.push(...compareFacts(facts, others));
  }
  changes.push(...reordered(a, b, naming));
}

/** What one list has more than the other; of a slot that has one value in both, the two values. */
function compareFacts(a: readonly Fact[], b: readonly Fact[]): Change[] {
  const bySlot = new Map<string, { a: Fact[]; b: Fact[] }>();
  const at = (f: Fact): { a: Fact[]; b: Fact[] } => {
    const key = `${f.kind} ${f.slot}`;
    const found = bySlot.get(key) ?? { a: [], b: [] };
    bySlot.set(key, found);
    return found;
  };
  for (const f of a) at(f).a.push(f);
  for (const f of b) at(f).b.push(f);
  return [...bySlot.values()].flatMap((slot): Change[] => {
    const [mine, theirs] = [without(slot.a, slot.b), without(slot.b, slot.a)];
    if (slot.a.length === 1 && slot.b.length === 1 && mine[0]) return [{ kind: mine[0].kind, a: mine[0], b: theirs[0]! }];
    return [
      ...mine.filter((f) => !f.passing).map((f): Change => ({ kind: f.kind, a: f })),
      ...theirs.filter((f) => !f.passing).map((f): Change => ({ kind: f.kind, b: f })),
    ];
  });
}

/** The facts of `a` that `b` does not have, as often as it does not have them. */
function without(a: readonly Fact[], b: readonly Fact[]): Fact[] {
  const left = new Map<string, number>();
  for (const f of b) left.set(f.value, (left.get(f.value) ?? 0) + 1);
  return a.filter((f) => {
    const n = left.get(f.value) ?? 0;
    left.set(f.value, n - 1);
    return n <= 0;
  });
}

/** Chains that have the same rules in another order. Those whose names are hashes cannot be told apart, and stand in any order. */
function reordered(a: Namespace, b: Namespace, naming: Naming): Change[] {
  return a.tables.flatMap((table) => {
    const other = sameTable(b, table, naming);
    if (!other || other === table) return [];
    return Object.values(table.chains).flatMap((chain): Change[] => {
      const theirs = other.chains[chain.name];
      if (!theirs || theirs === chain || theirs.rules.length !== chain.rules.length) return [];
      const [mine, others] = [chain, theirs].map((c) => c.rules.map((r) => naming.text(r.text)));
      const first = mine!.findIndex((t, i) => t !== others![i]);
      if (first < 0 || mine!.toSorted().join('\n') !== others!.toSorted().join('\n')) return [];
      return [{ kind: 'chain', a: ruleFact(a, table, chain, first, naming), b: ruleFact(b, other, theirs, first, naming), order: true }];
    });
  });
}

/** The table that stands for this one in another namespace, whatever its backend. */
export function sameTable(ns: Namespace, table: Pick<Table, 'family' | 'name' | 'nft' | 'backend'>, naming: Naming): Table | undefined {
  const alike = ns.tables.filter((t) => t.family === table.family && naming.text(t.nft ?? t.name) === naming.text(table.nft ?? table.name));
  return alike.find((t) => t.backend === table.backend) ?? alike[0];
}

/** The name of a table: `filter`, `ip6 filter`, `inet firewalld`. */
function tableName(t: Table): string {
  return t.nft ?? (t.family === 6 ? `ip6 ${t.name}` : t.name);
}

/** The facts of a namespace that a line holds. */
export function factsAt(world: World, ns: Namespace, at: Span, naming: Naming): Fact[] {
  return KINDS.flatMap(({ kind, read }) =>
    kind === 'rule' || kind === 'chain' ? [] : read(world, ns, naming).filter((f) => f.at.file === at.file && f.at.line === at.line),
  );
}

/** What a namespace has in the slot of another one's fact. */
export function factsLike(world: World, ns: Namespace, fact: Fact, naming: Naming): Fact[] {
  return KINDS.filter((k) => k.kind === fact.kind).flatMap((k) => k.read(world, ns, naming).filter((f) => f.slot === fact.slot));
}

interface Kind {
  readonly kind: FactKind;
  /** Any of these captures shows it. */
  readonly by: readonly CaptureKind[];
  /** The object that holds them: where two namespaces share it they share all of them. */
  readonly of: (ns: Namespace) => unknown;
  readonly read: (world: World, ns: Namespace, naming: Naming) => Fact[];
}

function facts<T extends { readonly at: Span }>(
  kind: FactKind,
  ns: Namespace,
  things: readonly T[],
  tell: (thing: T) => { slot: string; value?: string; text: string; passing?: boolean },
  naming: Naming,
): Fact[] {
  const { node, name: namespace } = ns;
  return things.map((thing) => {
    const { slot, value = '', text, passing = false } = tell(thing);
    return {
      kind,
      node,
      namespace,
      slot: naming.text(slot),
      value: naming.text(value),
      text,
      at: thing.at,
      ...(passing && { passing: true as const }),
    };
  });
}

const RULES: readonly CaptureKind[] = ['rules4', 'rules6'];

const KINDS: readonly Kind[] = [
  {
    kind: 'chain',
    by: RULES,
    of: (ns) => ns.tables,
    read: (_w, ns, naming) =>
      distinct(
        ns.tables.flatMap((t) =>
          facts(
            'chain',
            ns,
            Object.values(t.chains),
            (c) => {
              const policy = c.base ? `policy ${c.base.policy.toUpperCase()}` : '';
              return { slot: `${tableName(t)} ${c.name}`, value: policy, text: `${tableName(t)} ${c.name}${policy && ` ${policy}`}` };
            },
            naming,
          ),
        ),
      ),
  },
  {
    kind: 'rule',
    by: RULES,
    of: (ns) => ns.tables,
    read: (_w, ns, naming) =>
      ns.tables
        .filter((t, i) => t.nft === undefined || ns.tables.findIndex((o) => o.nft === t.nft) === i)
        .flatMap((t) => Object.values(t.chains).flatMap((c) => c.rules.map((_, i) => ruleFact(ns, t, c, i, naming)))),
  },
  {
    kind: 'set',
    by: ['sets'],
    of: (ns) => ns.sets,
    read: (_w, ns, naming) =>
      facts(
        'set',
        ns,
        Object.values(ns.sets),
        (s) => {
          // sizes of the hash and its seed are the kernel's own business
          const options = Object.entries(s.options)
            .filter(([key]) => !['hashsize', 'initval', 'bucketsize'].includes(key))
            .map(([key, value]) => `${key} ${value}`.trim())
            .toSorted();
          const value = [s.type, ...options].join(' ');
          return { slot: s.name, value, text: `${s.name} ${value}` };
        },
        naming,
      ),
  },
  {
    kind: 'set',
    by: RULES,
    of: (ns) => ns.tables,
    read: (_w, ns, naming) =>
      nftSets(ns).flatMap(({ table, set }) =>
        facts('set', ns, [set], () => ({ slot: `${table} ${set.name}`, text: `${table} ${set.name}` }), naming),
      ),
  },
  {
    kind: 'member',
    by: ['sets'],
    of: (ns) => ns.sets,
    read: (_w, ns, naming) =>
      Object.values(ns.sets).flatMap((s) =>
        facts(
          'member',
          ns,
          s.members,
          (m) => ({
            slot: `${s.name} ${m.text.replace(/ (?:timeout|packets|bytes) \d+/g, '').replace(/ nomatch\b/, '')}`,
            value: m.nomatch ? 'nomatch' : '',
            text: `${s.name} ${m.text}`,
          }),
          naming,
        ),
      ),
  },
  {
    kind: 'member',
    by: RULES,
    of: (ns) => ns.tables,
    read: (_w, ns, naming) =>
      nftSets(ns).flatMap(({ table, set }) =>
        facts(
          'member',
          ns,
          set.elements,
          (e) => {
            const text = e.text.replace(/ expires \S+/g, '').replace(/ counter packets \d+ bytes \d+/g, '');
            const [key, ...value] = text.split(/ : (?=[^:]*$)/);
            return { slot: `${table} ${set.name} ${key}`, value: value.join(), text: `${table} ${set.name} ${e.text}` };
          },
          naming,
        ),
      ),
  },
  {
    kind: 'route',
    by: ['routes4', 'routes6'],
    of: (ns) => ns.routes,
    read: (_w, ns, naming) =>
      facts(
        'route',
        ns,
        // what is local follows from the addresses
        ns.routes.filter((r) => r.table !== 'local' && !isLinkLocal(r.to.addr) && !isMulticast(r.to.addr)),
        (r) => {
          const table = r.table === 'main' ? '' : ` table ${r.table}`;
          const own = [r.type === 'unicast' ? '' : `${r.type} `, formatPrefix(r.to), r.from ? ` from ${formatPrefix(r.from)}` : '', table];
          return {
            slot: `${own.join('')}${r.metric ? ` metric ${r.metric}` : ''}${r.tos ? ` tos ${r.tos}` : ''}`,
            value: r.text.replace(/ expires \d+sec/, ''),
            text: r.text,
          };
        },
        naming,
      ),
  },
  {
    kind: 'routing rule',
    by: ['rules'],
    of: (ns) => ns.rules,
    read: (_w, ns, naming) => facts('routing rule', ns, ns.rules, (r) => ({ slot: `IPv${r.family} ${r.text}`, text: r.text }), naming),
  },
  {
    kind: 'address',
    by: ['addresses'],
    of: (ns) => ns.addresses,
    read: (_w, ns, naming) =>
      facts(
        'address',
        ns,
        ns.addresses.filter((a) => !isLinkLocal(a.addr)),
        (a) => {
          const text = `${formatAddr(a.addr)}/${a.length} dev ${a.device}`;
          return { slot: text, value: a.peer === undefined ? '' : `peer ${formatAddr(a.peer)}`, text };
        },
        naming,
      ),
  },
  {
    kind: 'link',
    by: ['links'],
    of: (ns) => ns.links,
    read: (_w, ns, naming) => [
      ...facts(
        'link',
        ns,
        ns.links,
        (l) => {
          const value = linkValue(l);
          return { slot: l.name, value, text: `${l.name} ${value}` };
        },
        naming,
      ),
      // bridge link tells of ports on lines of its own
      ...facts(
        'link',
        ns,
        ns.links.flatMap((l) => (l.port ? [{ ...l.port, name: l.name }] : [])),
        (p) => {
          const flags = (['hairpin', 'isolated', 'learning', 'flood'] as const).map((f) => `${f} ${p[f] ? 'on' : 'off'}`);
          const value = `${p.forwarding ? 'forwarding' : 'blocked'}, ${flags.join(', ')}`;
          return { slot: `port ${p.name}`, value, text: `port ${p.name}: ${value}` };
        },
        naming,
      ),
    ],
  },
  {
    kind: 'neighbour',
    by: ['neighbours'],
    of: (ns) => ns.neighbours,
    read: (w, ns, naming) =>
      facts(
        'neighbour',
        ns,
        ns.neighbours,
        (n) => {
          const isLasting = n.state === 'PERMANENT' || n.state === 'NOARP' || n.proxy === true;
          const isFound = n.mac !== undefined && n.state !== 'FAILED' && n.state !== 'INCOMPLETE';
          return {
            slot: `${n.proxy ? 'proxy ' : ''}${formatAddr(n.addr)} dev ${n.device}`,
            value: isLasting || isFound ? `is at ${n.mac === undefined ? 'no address' : ownerOf(w, n.mac, naming)}` : 'is not found',
            text: `${formatAddr(n.addr)} dev ${n.device}${n.mac === undefined ? '' : ` lladdr ${n.mac}`} ${n.proxy ? 'proxy' : n.state}`,
            passing: !isLasting,
          };
        },
        naming,
      ),
  },
  {
    kind: 'fdb entry',
    by: ['fdb'],
    of: (ns) => ns.fdb,
    read: (w, ns, naming) =>
      facts(
        'fdb entry',
        ns,
        // the others a bridge makes for its ports, or learns
        ns.fdb.filter((e) => e.remote !== undefined),
        (e) => {
          const to = `dst ${formatAddr(e.remote!)}`;
          return {
            slot: `${ownerOf(w, e.mac, naming)} dev ${e.device}${/^[0:]+$/.test(e.mac) ? ` ${to}` : ''}`,
            value: to,
            text: `${e.mac} dev ${e.device} ${to}`,
            passing: !e.permanent,
          };
        },
        naming,
      ),
  },
  {
    kind: 'sysctl',
    by: ['sysctls'],
    of: (ns) => ns.sysctls,
    read: (_w, ns, naming) =>
      facts(
        'sysctl',
        ns,
        Object.entries(ns.sysctls)
          // a count, a size by the memory of the machine, a secret
          .filter(([key]) => key.startsWith('net.') && !/(_count|_mem|\.stable_secret|\.boot_id)$/.test(key))
          .map(([key, s]) => ({ key, ...s })),
        (s) => ({ slot: s.key, value: s.value, text: `${s.key} = ${s.value}` }),
        naming,
      ),
  },
  {
    kind: 'virtual server',
    by: ['ipvs'],
    of: (ns) => ns.ipvs,
    read: (_w, ns, naming) =>
      facts(
        'virtual server',
        ns,
        ns.ipvs?.services ?? [],
        (s) => {
          const flags = s.schedulerFlags?.map((f) => `flag-${f}`).join(',');
          const persistence = s.persistence ? ` persistent ${s.persistence.seconds ?? '?'}/${s.persistence.length}` : '';
          const value = `${s.scheduler}${flags ? ` ${flags}` : ''}${persistence}${s.onePacket ? ' ops' : ''}`;
          return { slot: serviceName(s), value, text: `${serviceName(s)} ${value}` };
        },
        naming,
      ),
  },
  {
    kind: 'real server',
    by: ['ipvs'],
    of: (ns) => ns.ipvs,
    read: (_w, ns, naming) =>
      (ns.ipvs?.services ?? []).flatMap((s) =>
        facts(
          'real server',
          ns,
          s.servers,
          (r) => {
            const slot = `${serviceName(s)} -> ${formatEndpoint(r.addr, r.port)}`;
            const value = `${r.forwarding} weight ${r.weight}`;
            return { slot, value, text: `${slot} ${value}` };
          },
          naming,
        ),
      ),
  },
];

function ruleFact(ns: Namespace, table: Table, chain: Chain, index: number, naming: Naming): Fact {
  const rule = chain.rules[index]!;
  const text = `${tableName(table)} ${rule.text.startsWith('-A ') ? '' : `${chain.name}: `}${rule.text}`;
  const slot = naming.text(`${tableName(table)} ${chain.name} ${rule.text}`);
  return { kind: 'rule', node: ns.node, namespace: ns.name, slot, value: '', text, at: rule.at };
}

/** A table of nft for both families is two of the model, with the same lines. */
function distinct(all: readonly Fact[]): Fact[] {
  const seen = new Set<string>();
  return all.filter((f) => {
    const key = `${f.at.file}:${f.at.line} ${f.text}`;
    return !seen.has(key) && seen.add(key);
  });
}

function nftSets(ns: Namespace): { readonly table: string; readonly set: NonNullable<Table['sets']>[string] }[] {
  const seen = new Set<string>();
  return ns.tables.flatMap((t) => {
    const table = t.nft ?? `${t.family === 6 ? 'ip6' : 'ip'} ${t.name}`;
    if (seen.has(table)) return [];
    seen.add(table);
    return Object.values(t.sets ?? {}).map((set) => ({ table, set }));
  });
}

function serviceName(s: NonNullable<Namespace['ipvs']>['services'][number]): string {
  if (s.mark !== undefined) return `FWM IPv${s.family} ${s.mark}`;
  return `${s.proto === undefined ? '' : `${formatProtocol(s.proto).toUpperCase()} `}${s.addr === undefined ? '' : formatEndpoint(s.addr, s.port)}`;
}

function linkValue(l: Link): string {
  return [
    l.up ? 'up' : 'down',
    `mtu ${l.mtu}`,
    l.kind,
    l.master === undefined ? undefined : `master ${l.master}`,
    l.vlan === undefined ? undefined : `vlan ${l.vlan}`,
    l.vxlan && `vni ${l.vxlan.id} port ${l.vxlan.port}`,
    l.tunnel?.remote === undefined ? undefined : `remote ${formatAddr(l.tunnel.remote)}`,
    l.noArp ? 'noarp' : undefined,
  ]
    .filter((word) => word !== undefined)
    .join(' ');
}

const owners = new WeakMap<World, Map<string, string>>();

/** Whose a link-layer address is: the address itself is another one on every node. */
function ownerOf(world: World, mac: string, naming: Naming): string {
  if (/^[0:]+$/.test(mac)) return 'any';
  let known = owners.get(world);
  if (!known) {
    known = new Map(
      world.namespaces.flatMap((n) =>
        n.links.flatMap((l) =>
          l.mac === undefined ? [] : [[l.mac, `${naming.node(n.node)}${n.name && `/${n.name}`}/${naming.text(l.name)}`] as const],
        ),
      ),
    );
    owners.set(world, known);
  }
  return known.get(mac) ?? 'somebody who was not captured';
}
