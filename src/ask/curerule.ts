// Rules that might have a packet fare otherwise: exceptions, members of sets, jumps that are missing.
import { contains, familyOf, formatAddr, formatPrefix, networkOf, type Addr } from '../net/addr.ts';
import { formatProtocol } from '../net/proto.ts';
import type { World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Chain, IpSet, Pred, SetKey, Table } from '../model/ruleset.ts';
import type { NearMiss, Trace } from '../model/trace.ts';
import { nftSpecOf, specOf, toolOf, type Candidate, type PolicyStep, type RuleStep } from './candidate.ts';
import { TableDraft } from './editdraft.ts';
import { namespaceAt, placeName } from './failure.ts';

/** A rule that refuses: an exception before it, or without it. */
export function againstRule(at: string, s: RuleStep, p: Packet, isAnswer: boolean): Candidate[] {
  const tool = `${at}# ${toolOf(s)} -t ${s.table}`;
  return [
    { edit: `${tool} -I ${s.chain} ${s.number} ${specOf(p, isAnswer)} -j ${s.type === 'nat' ? 'RETURN' : 'ACCEPT'}`, width: 0 },
    { edit: `${tool} -D ${s.chain} ${s.number}`, width: 2 },
  ];
}

export function againstPolicy(at: string, s: PolicyStep, p: Packet, isAnswer: boolean): Candidate[] {
  const tool = `${at}# ${toolOf(s)} -t ${s.table}`;
  return [
    { edit: `${tool} -A ${s.chain} ${specOf(p, isAnswer)} -j ACCEPT`, width: 0 },
    { edit: `${tool} -P ${s.chain} ACCEPT`, width: 3 },
  ];
}

export function againstNft(at: string, s: RuleStep | PolicyStep, p: Packet, isAnswer: boolean): Candidate[] {
  return [{ edit: `${at}# nft insert rule ${s.table} ${s.chain} ${nftSpecOf(p, isAnswer)} accept`, width: 0 }];
}

/** A rule that just missed: let its set have, or not have, the address; or do the same for this packet in a rule before it. */
export function forNearMiss(world: World, m: NearMiss, t: Trace): Candidate[] {
  const at = placeName(m);
  const out: Candidate[] = [];
  const parts = m.reason.pred.kind === 'all' ? (m.reason.parts ?? []) : [m.reason];
  const missed = parts.find((p) => p.truth === false)?.pred;
  const inner = missed?.kind === 'not' ? missed.of : missed;
  const packet = packetAt(t, m) ?? t.packet;
  if (inner?.kind === 'member') out.push(...forSet(world, m, inner, missed?.kind === 'not', packet));
  const target = / -j (.*)$/.exec(m.text)?.[0];
  if (target !== undefined && !m.table.includes(' '))
    out.push({ edit: `${at}# ${toolOf(m)} -t ${m.table} -I ${m.chain} ${m.number} ${specOf(packet)}${target}`, width: 0.5 });
  return out;
}

function forSet(
  world: World,
  m: { readonly node: string; readonly namespace: string },
  asked: Pred & { kind: 'member' },
  isNegated: boolean,
  p: Packet,
): Candidate[] {
  const set = namespaceAt(world, m)?.sets[asked.set];
  if (set && set.dimensions.length !== asked.by.length) return [];
  const on = `${placeName(m)}# ipset add ${asked.set}`;
  if (asked.by.length > 1 || set?.dimensions[0] === 'port') {
    const element = set && elementOf(set, asked.by, p);
    if (element === undefined) return [];
    return [{ edit: isNegated ? `${placeName(m)}# ipset del ${asked.set} ${element}` : `${on} ${element}`, width: isNegated ? 1 : 0.2 }];
  }
  const addr = p[asked.by[0]!];
  if (!isNegated) return [{ edit: `${on} ${formatAddr(addr)}`, width: 0.2 }];
  if (set && !set.dimensions.includes('net')) return [{ edit: `${placeName(m)}# ipset del ${asked.set} ${formatAddr(addr)}`, width: 1 }];
  const network = connectedTo(world, addr);
  return [
    ...(network === undefined ? [] : [{ edit: `${on} ${network} nomatch`, width: 0.3 }]),
    { edit: `${on} ${formatAddr(addr)} nomatch`, width: 0.2 },
  ];
}

/** A packet as an element of a set of several parts: `10.96.0.1,tcp:443`. */
function elementOf(set: IpSet, by: readonly SetKey[], p: Packet): string | undefined {
  const parts = set.dimensions.map((dimension, i) => {
    const port = by[i] === 'src' ? p.sport : p.dport;
    if (dimension === 'ip' || dimension === 'net') return formatAddr(p[by[i]!]);
    if (dimension !== 'port' || port === undefined) return undefined;
    return set.type === 'bitmap:port' ? String(port) : `${formatProtocol(p.proto)}:${port}`;
  });
  return parts.includes(undefined) ? undefined : parts.join(',');
}

/** The network of some captured interface that an address is of: what it is a neighbour in. */
function connectedTo(world: World, addr: Addr): string | undefined {
  for (const { addresses } of world.namespaces)
    for (const a of addresses) {
      if (familyOf(a.addr) !== familyOf(addr) || a.scope !== 'global' || a.length >= (familyOf(addr) === 4 ? 31 : 127)) continue;
      const network = networkOf(a);
      if (contains(network, addr)) return formatPrefix(network);
    }
  return undefined;
}

/** The packet as it came to a hop's rules. */
function packetAt(t: Trace, m: NearMiss): Packet | undefined {
  for (const way of [t, ...(t.reply ? [t.reply] : [])]) {
    const i = way.hops.findIndex((h) => h.node === m.node && h.namespace === m.namespace && h.steps.some((s) => s.step === 'rule' && s.at === m.at));
    if (i < 0) continue;
    const left = way.hops[i]!.steps.find((s) => s.step === 'leave');
    return left?.packet ?? way.hops[i]!.steps.find((s) => s.step === 'enter')?.packet;
  }
  return undefined;
}

/** Sets that rules before the refusing one ask, in its chain: with the packet in one of them it would not have come so far. */
export function forgottenMembers(world: World, way: Trace): Candidate[] {
  const hop = way.hops.at(-1);
  const end = hop?.steps.at(-1);
  if (!hop || end?.step !== 'rule' || (way.outcome.kind !== 'dropped' && way.outcome.kind !== 'rejected')) return [];
  const table = namespaceAt(world, hop)?.tables.find((t) => t.family === end.family && (t.nft ?? t.name) === end.table && t.backend === end.backend);
  const rules = table && Object.hasOwn(table.chains, end.chain) ? table.chains[end.chain]!.rules.slice(0, end.number - 1) : [];
  const asked = rules.filter((r) => r.then.some((s) => s.kind === 'verdict' && s.verdict !== 'drop')).flatMap((r) => setsAsked(r.match));
  return asked.flatMap((pred) => forSet(world, hop, pred, false, way.final));
}

function setsAsked(p: Pred): (Pred & { kind: 'member' })[] {
  if (p.kind === 'member') return [p];
  return p.kind === 'all' ? p.of.flatMap((x) => setsAsked(x)) : [];
}

/** Jumps that are missing: to chains that another hook of the table has, or that nobody leads to. */
export function forgottenJumps(world: World, way: Trace): Candidate[] {
  return way.hops.flatMap((hop) => {
    const ns = namespaceAt(world, hop);
    const walked = hop.steps.filter((s): s is RuleStep => 'chain' in s && s.chain !== '');
    return (ns?.tables ?? []).flatMap((table) => {
      const label = table.nft ?? table.name;
      const bases = Object.values(table.chains).filter(
        (c) => c.base && walked.some((s) => s.hook === c.base!.hook && s.table === label && s.family === table.family),
      );
      if (bases.length === 0) return [];
      return forgottenBy(table).flatMap(({ target, knownTo }) =>
        bases
          .filter(
            (b) =>
              !knownTo.has(b.name) &&
              // another hook's filter is no jump that was forgotten, but a policy of its own
              (knownTo.size === 0 ? target.startsWith(b.name) : isNatBase(table, b) && [...knownTo].every((k) => isNatBase(table, table.chains[k]!))),
          )
          .map((b) => {
            const command =
              table.nft === undefined
                ? `${toolOf(table)} -t ${table.name} -I ${b.name} 1 -j ${target}`
                : `nft insert rule ${table.nft} ${b.name} jump ${target}`;
            return { edit: `${placeName(hop)}# ${command}`, width: 1.3 };
          }),
      );
    });
  });
}

function isNatBase(table: Table, { base }: Chain): boolean {
  return (base?.type ?? (table.name === 'nat' ? 'nat' : 'filter')) === 'nat';
}

/** Chains of a table that a base chain leads to at once, or nobody; most tables have few. */
function forgottenBy(table: Table): { readonly target: string; readonly knownTo: ReadonlySet<string> }[] {
  const callers = new Map<string, Set<string>>();
  const call = (to: string, from: string): unknown => callers.get(to)?.add(from) ?? callers.set(to, new Set([from]));
  const draft = new TableDraft(table, { file: '', line: 0 });
  for (const c of Object.values(table.chains)) for (const r of c.rules) for (const to of draft.calls(r)) call(to, c.base ? c.name : '');
  const found = Object.values(table.chains).flatMap((c) => {
    const from = callers.get(c.name) ?? new Set<string>();
    return c.base || c.rules.length === 0 || from.has('') ? [] : [{ target: c.name, knownTo: from }];
  });
  return found.length > MOST_JUMPS ? [] : found;
}

/** Chains beyond which a table is no longer what somebody wrote by hand, or forgot one jump of. */
const MOST_JUMPS = 16;

/** kube-proxy's chain that marks what is to be masqueraded, without the rule that does. */
export function forgottenMark(world: World, way: Trace): Candidate[] {
  return way.hops.flatMap((hop) => {
    const tables = namespaceAt(world, hop)?.tables.filter((t) => t.nft === undefined && Object.hasOwn(t.chains, 'KUBE-MARK-MASQ')) ?? [];
    return tables.flatMap((t) => {
      const isEmpty = t.chains['KUBE-MARK-MASQ']!.rules.length === 0;
      return isEmpty
        ? [{ edit: `${placeName(hop)}# ${toolOf(t)} -t ${t.name} -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000`, width: 0.1 }]
        : [];
    });
  });
}
