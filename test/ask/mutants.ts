// Healthy worlds with one fault each: what `why` has to find again. A mutant differs from its world by a single thing, which it names.
import type { Link, Namespace, World } from '../../src/model/host.ts';
import type { Chain, Rule, Statement, Table } from '../../src/model/ruleset.ts';
import { TableDraft } from '../../src/ask/editdraft.ts';
import { serverName } from '../../src/ask/thing.ts';
import { formatAddr, formatPrefix } from '../../src/net/addr.ts';

/** What was changed: the kinds the issue of `why` lists. */
export type Fault =
  'rule' | 'policy' | 'mark' | 'sysctl' | 'route' | 'set member' | 'neighbour' | 'fdb' | 'endpoint' | 'MAC' | 'MTU' | 'link' | 'hairpin';

export interface Mutant {
  readonly fault: Fault;
  readonly node: string;
  readonly namespace: string;
  /** The thing that was changed, in words: `nat KUBE-SERVICES 3 -s ...`. */
  readonly what: string;
  /** Its table and chain, its set, its key, its destination, its device, its address: what a cause has to name. */
  readonly named: readonly string[];
  readonly world: World;
}

/** Every mutant of a world; whether one changes any fate is for the asker to see. */
export function* mutantsOf(world: World): Generator<Mutant> {
  for (const ns of world.namespaces) {
    if (ns.stub) continue;
    const mutate = (fault: Fault, what: string, named: readonly string[], change: Partial<Namespace>): Mutant => {
      const namespaces = world.namespaces.map((n) => (n === ns ? { ...n, ...change } : n));
      return { fault, node: ns.node, namespace: ns.name, what, named, world: { ...world, namespaces } };
    };
    for (const table of ns.tables) {
      const replaced = (t: Table): Partial<Namespace> => ({ tables: ns.tables.map((x) => (x === table ? t : x)) });
      const withChain = (c: Chain): Partial<Namespace> => replaced({ ...table, chains: { ...table.chains, [c.name]: c } });
      const label = table.nft ?? table.name;
      for (const chain of Object.values(table.chains)) {
        const named = chainsAround(table, chain.name).map((c) => `${label} ${c}`);
        for (const [i, rule] of chain.rules.entries()) {
          const rules = chain.rules.toSpliced(i, 1).map((r, n): Rule => ({ ...r, number: n + 1 }));
          yield mutate('rule', `${label} ${rule.text}`, named, withChain({ ...chain, rules }));
          const marked = withOtherMark(rule);
          if (marked) yield mutate('mark', `${label} ${rule.text}`, named, withChain({ ...chain, rules: chain.rules.with(i, marked) }));
        }
        if (chain.base?.policy === 'accept' && chain.base.type !== 'nat' && table.name !== 'nat')
          yield mutate(
            'policy',
            `${label} ${chain.name}`,
            [`${label} ${chain.name}`],
            withChain({ ...chain, base: { ...chain.base, policy: 'drop' } }),
          );
      }
      for (const set of Object.values(table.sets ?? {}))
        for (const [i, e] of set.elements.entries()) {
          const sets = { ...table.sets, [set.name]: { ...set, elements: set.elements.toSpliced(i, 1) } };
          yield mutate('set member', `${label} @${set.name} ${e.text}`, [`${label} ${set.name}`], replaced({ ...table, sets }));
        }
    }
    for (const set of Object.values(ns.sets))
      for (const [i, m] of set.members.entries()) {
        const sets = { ...ns.sets, [set.name]: { ...set, members: set.members.toSpliced(i, 1) } };
        yield mutate('set member', `${set.name} ${m.text}`, [set.name], { sets });
      }
    for (const [key, { value, at }] of Object.entries(ns.sysctls)) {
      const other = otherSetting(key, value);
      if (other !== undefined)
        yield mutate('sysctl', `${key} ${value} -> ${other}`, [key], { sysctls: { ...ns.sysctls, [key]: { value: other, at } } });
    }
    for (const [i, r] of ns.routes.entries())
      if (r.table !== 'local') yield mutate('route', `table ${r.table}: ${r.text}`, [formatPrefix(r.to)], { routes: ns.routes.toSpliced(i, 1) });
    for (const [i, n] of ns.neighbours.entries()) {
      const what = `${formatAddr(n.addr)} ${n.device}`;
      const named = [formatAddr(n.addr)];
      if (n.mac !== undefined)
        yield mutate('neighbour', `${what} wrong`, named, { neighbours: ns.neighbours.with(i, { ...n, mac: '02:00:00:00:de:ad' }) });
      yield mutate('neighbour', `${what} gone`, named, { neighbours: ns.neighbours.toSpliced(i, 1) });
    }
    for (const [i, e] of ns.fdb.entries())
      if (e.remote !== undefined) yield mutate('fdb', `${e.mac} ${e.device} gone`, [e.mac], { fdb: ns.fdb.toSpliced(i, 1) });
    const { ipvs } = ns;
    for (const [i, service] of (ipvs?.services ?? []).entries()) {
      yield mutate('endpoint', `virtual server ${service.text}`, [serverName(service)], {
        ipvs: { ...ipvs!, services: ipvs!.services.toSpliced(i, 1) },
      });
      for (const [k, server] of service.servers.entries()) {
        const services = ipvs!.services.with(i, { ...service, servers: service.servers.toSpliced(k, 1) });
        yield mutate('endpoint', `real server ${server.text} of ${service.text}`, [serverName(service)], { ipvs: { ...ipvs!, services } });
      }
    }
    for (const [i, l] of ns.links.entries()) {
      const become = (x: Link): Partial<Namespace> => ({ links: ns.links.with(i, x) });
      const named = [l.name, ...ns.addresses.filter((a) => a.device === l.name).map((a) => formatAddr(a.addr))];
      if (l.mac !== undefined && l.kind !== 'loopback') yield mutate('MAC', `${l.name} ${l.mac}`, named, become({ ...l, mac: '02:00:00:00:be:ef' }));
      if (l.mtu > 600) yield mutate('MTU', `${l.name} ${l.mtu} -> 576`, named, become({ ...l, mtu: 576 }));
      if (l.up) yield mutate('link', `${l.name} down`, named, become({ ...l, up: false }));
      if (l.port?.hairpin) yield mutate('hairpin', l.name, named, become({ ...l, port: { ...l.port, hairpin: false } }));
    }
  }
}

/** A chain and those that lead to it, up to its hook's: what is missing in one of them is missing in all. */
function chainsAround(table: Table, name: string): string[] {
  const draft = new TableDraft(table, { file: '', line: 0 });
  const calls = (c: Chain): string[] => c.rules.flatMap((r) => draft.calls(r));
  const up = new Set([name]);
  for (const n of up) for (const c of Object.values(table.chains)) if (calls(c).includes(n)) up.add(c.name);
  return [...up];
}

function withOtherMark(rule: Rule): Rule | undefined {
  const i = rule.then.findIndex((s) => s.kind === 'set');
  const mark = rule.then[i];
  if (mark?.kind !== 'set') return undefined;
  const other: Statement = { ...mark, xor: mark.xor ^ 0x30000 };
  return { ...rule, then: rule.then.with(i, other) };
}

const SWITCHES =
  /^net\.(?:ipv4\.ip_forward|ipv6\.conf\.all\.forwarding|bridge\.bridge-nf-call-ip6?tables|ipv4\.vs\.conntrack|ipv4\.conf\..*\.route_localnet)$/;

function otherSetting(key: string, value: string): string | undefined {
  if (SWITCHES.test(key) && (value === '0' || value === '1')) return value === '0' ? '1' : '0';
  return /^net\.ipv4\.conf\..*\.rp_filter$/.test(key) && value !== '1' ? '1' : undefined;
}
