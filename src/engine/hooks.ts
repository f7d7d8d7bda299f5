// Where everything hangs. The order at a hook is one sorted list of priorities, whoever registered them:
//
//                 PREROUTING ---> routing ---> FORWARD ---> POSTROUTING ---> out
//   in --->  raw      -300          |       mangle  -150    mangle  -150
//            conntrack -200         v       filter     0    nat src  100
//            mangle   -150        INPUT     security  50    confirm  max
//            nat dst  -100   mangle  -150        ^
//                            filter     0        |
//   local socket  <---       security  50     routing <--- OUTPUT <--- local socket
//                            nat src  100                raw -300, conntrack -200, mangle -150 (then routed again),
//                            confirm  max                nat dst -100 (again), filter 0, security 50
//
// IPVS, where there are virtual servers: requests at INPUT 99 and OUTPUT -98, from where they go on at OUTPUT; replies at FORWARD 100, INPUT 98
// and OUTPUT -99.
//
// enum nf_ip_hook_priorities, include/uapi/linux/netfilter_ipv4.h
import { familyOf, type Family } from '../net/addr.ts';
import type { Namespace } from '../model/host.ts';
import type { Operand } from '../model/operand.ts';
import type { Chain, ChainType, Hook, Pred, Statement, Table } from '../model/ruleset.ts';
import { NOT, type Choices } from './choice.ts';
import { meetForwarded, meetReply, meetRequest, type Handled, type Meeting } from './ipvs.ts';
import { mayInterfere, mayInterfereWith, type BaseChain } from './interfere.ts';
import { isSince } from './kernel.ts';
import { isNat } from './nat.ts';
import { place } from './routing.ts';

const PRIORITY = { raw: -300, conntrack: -200, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100, confirm: 0x7fffffff } as const;

/** ip_vs_ops4[] and ip_vs_ops6[], net/netfilter/ipvs/ip_vs_core.c: the same since Linux 2.6.37. */
const IPVS: Readonly<Partial<Record<Hook, readonly (readonly [number, (m: Meeting) => Handled])[]>>> = {
  INPUT: [
    [PRIORITY.srcnat - 2, meetReply],
    [PRIORITY.srcnat - 1, meetRequest],
  ],
  OUTPUT: [
    [PRIORITY.dstnat + 1, meetReply],
    [PRIORITY.dstnat + 2, meetRequest],
  ],
  FORWARD: [
    [99, meetForwarded],
    [100, meetReply],
  ],
};

/** ip_vs_register_hooks(): since 5.9 only families that have services; a kernel that is not known is taken to be a newer one. */
function balances({ ipvs, kernel }: Namespace, family: Family): boolean {
  return ipvs !== undefined && (ipvs.services.some((s) => s.family === family) || isSince(kernel, 5, 9) === false);
}

export type Stage =
  | ({ readonly kind: 'table'; readonly priority: number } & BaseChain)
  /** One nat engine for all nat tables: the first to bind a connection wins. */
  | { readonly kind: 'nat'; readonly priority: number; readonly manip: 'src' | 'dst'; readonly chains: readonly BaseChain[] }
  | { readonly kind: 'conntrack' | 'confirm'; readonly priority: number }
  | { readonly kind: 'ipvs'; readonly priority: number; readonly meet: (m: Meeting) => Handled };

/** What runs at `hook`, first to last; of chains that hang on devices, those of `device`. */
export function stagesAt(ns: Namespace, hook: Hook, family: Family, conntrack: boolean, choices: Choices, device?: string): Stage[] {
  const stages: Stage[] = [];
  const nat: (BaseChain & { readonly priority: number })[] = [];
  for (const table of ns.tables) {
    if (table.family !== family) continue;
    for (const chain of basesOf(table, hook)) {
      const { priority } = chain.base!;
      if ((hook === 'INGRESS' || hook === 'EGRESS') && !hangsOn({ table, chain }, device, ns, choices)) continue;
      const stage = { kind: 'table' as const, priority: priority ?? tablePriority(table, hook), table, chain };
      if (chainType(table, chain) === 'nat') nat.push(stage);
      else stages.push(stage);
    }
  }
  if (hook === 'INGRESS' || hook === 'EGRESS') return inOrder(ns, stages, choices);
  const manip = hook === 'PREROUTING' || hook === 'OUTPUT' ? 'dst' : 'src';
  if (conntrack) {
    if (manip === 'dst') stages.push({ kind: 'conntrack', priority: PRIORITY.conntrack });
    if (hook !== 'FORWARD')
      stages.push({ kind: 'nat', priority: manip === 'dst' ? PRIORITY.dstnat : PRIORITY.srcnat, manip, chains: inOrder(ns, nat, choices) });
    if (hook === 'INPUT' || hook === 'POSTROUTING') stages.push({ kind: 'confirm', priority: PRIORITY.confirm });
  }
  if (balances(ns, family)) for (const [priority, meet] of IPVS[hook] ?? []) stages.push({ kind: 'ipvs', priority, meet });
  return inOrder(ns, stages, choices);
}

/** Whether a chain hangs on a device. Not every listing says on which, and then it may be this one. */
function hangsOn(base: BaseChain, device: string | undefined, ns: Namespace, choices: Choices): boolean {
  const { at, rules } = base.chain;
  const { devices, policy } = base.chain.base!;
  if (device === undefined) return false;
  if (devices) return devices.some((d) => (d.endsWith('*') ? device.startsWith(d.slice(0, -1)) : d === device));
  if (rules.length === 0 && policy !== 'drop') return false;
  const what = `the chain ${titleOf(base)} hangs on ${device} of ${place(ns)} (the JSON of nft 1.0.6 does not say its devices)`;
  return choices.choose(`device:${ns.node}:${ns.name}:${base.table.nft}/${base.chain.name}:${device}`, [
    { value: true, what, at },
    { value: false, what: `${NOT}${what}`, at },
  ]);
}

const bases = new WeakMap<Table, Map<Hook, Chain[]>>();

/** Base chains of a table at a hook: of one table the one made last runs first, and nft lists them as they were made. */
function basesOf(table: Table, hook: Hook): readonly Chain[] {
  let byHook = bases.get(table);
  if (!byHook) {
    bases.set(table, (byHook = new Map()));
    for (const chain of Object.values(table.chains).toReversed())
      if (chain.base) byHook.set(chain.base.hook, [...(byHook.get(chain.base.hook) ?? []), chain]);
  }
  return byHook.get(hook) ?? [];
}

/** What kind of chain it is: nft says it, of iptables it follows from the table. */
export function chainType(table: Table, chain: Chain): ChainType {
  if (chain.base?.type) return chain.base.type;
  return table.name === 'nat' ? 'nat' : table.name === 'mangle' && chain.base?.hook === 'OUTPUT' ? 'route' : 'filter';
}

function tablePriority({ name, backend }: Table, hook: Hook): number {
  // iptables-nft hangs its security table after nat, legacy before it (xtables_ipv4[], iptables/nft.c)
  if (name === 'security' && backend === 'nft') return 150;
  if (name === 'nat') return hook === 'PREROUTING' || hook === 'OUTPUT' ? PRIORITY.dstnat : PRIORITY.srcnat;
  return name in PRIORITY ? PRIORITY[name as keyof typeof PRIORITY] : PRIORITY.filter;
}

/**
 * By priority; at equal priority the one registered last runs first (nf_hook_entries_grow()), and no dump tells which of two tables
 * that was: both orders are followed where it may matter.
 */
function inOrder<S extends { readonly priority: number }>(ns: Namespace, stages: readonly S[], choices: Choices): S[] {
  const out: S[] = [];
  for (const stage of stages) {
    let at = out.length;
    while (
      at > 0 &&
      (out[at - 1]!.priority > stage.priority || (out[at - 1]!.priority === stage.priority && runsBefore(ns, stage, out[at - 1]!, choices)))
    )
      at--;
    out.splice(at, 0, stage);
  }
  return out;
}

/** Whether `b`, which stands later among the tables, runs before `a`. */
function runsBefore(ns: Namespace, b: object, a: object, choices: Choices): boolean {
  if (isChain(a) && 'kind' in b && (b.kind === 'conntrack' || b.kind === 'nat')) return engineFirst(ns, b.kind, a, choices);
  if (!isChain(a) || !isChain(b) || a.table === b.table) return false;
  // nft lists tables as they were made
  if (!mayInterfere(a, b)) return a.table.nft !== undefined && b.table.nft !== undefined;
  const alike = a.table.name === b.table.name && !a.table.nft && !b.table.nft;
  const what = alike
    ? `of both ${a.table.name} tables of ${place(ns)} that of ${b.table.backend} was loaded first, so that of ${a.table.backend} runs first`
    : `of the chains ${titleOf(a)} and ${titleOf(b)} of ${place(ns)}, which have the same priority, ${titleOf(a)} was made last, so it runs first`;
  const id = ({ table, chain }: BaseChain): string => `${table.backend}/${table.nft ?? table.name}${table.nft ? `/${chain.name}` : ''}`;
  return choices.choose(`order:${ns.node}:${ns.name}:${a.table.family}:${id(a)}|${id(b)}`, [
    { value: false, what, at: a.chain.at },
    { value: true, what: `${NOT}${what}`, at: a.chain.at },
  ]);
}

/** Conntrack and address translation hang at a hook since the first rule, or nat chain, that needed them. */
function engineFirst(ns: Namespace, engine: 'conntrack' | 'nat', a: BaseChain, choices: Choices): boolean {
  if (!mayInterfereWith(engine, a)) return false;
  if (engine === 'nat') {
    const tables = ns.tables.filter((t) => t.family === a.table.family && Object.values(t.chains).some((c) => c.base && chainType(t, c) === 'nat'));
    if (tables.length === 0) return false;
    if (tables.length === 1 && tables[0] === a.table && a.table.nft !== undefined) {
      // one table lists its chains as they were made
      const chains = Object.values(a.table.chains);
      return chains.findIndex((c) => c.base && chainType(a.table, c) === 'nat') > chains.indexOf(a.chain);
    }
  }
  const name = engine === 'nat' ? 'address translation' : 'connection tracking';
  const what = `of the chain ${titleOf(a)} and ${name} of ${place(ns)}, which have the same priority, the chain was made last, so it runs first`;
  return choices.choose(`order:${ns.node}:${ns.name}:${a.table.family}:${engine}|${titleOf(a)}`, [
    { value: false, what, at: a.chain.at },
    { value: true, what: `${NOT}${what}`, at: a.chain.at },
  ]);
}

function isChain(s: object): s is BaseChain {
  return 'chain' in s;
}

function titleOf({ table, chain }: BaseChain): string {
  return `${table.nft ?? `${table.backend} ${table.name}`} ${chain.name}`;
}

const conntrackUsers = new WeakMap<Namespace, Map<Family, boolean>>();

/** Without a user of conntrack in the namespace and family nothing is tracked, and nat chains are not walked at all (nf_ct_netns_get()). */
export function tracksConnections(ns: Namespace, family: Family): boolean {
  let byFamily = conntrackUsers.get(ns);
  if (!byFamily) conntrackUsers.set(ns, (byFamily = new Map()));
  let uses = byFamily.get(family);
  if (uses === undefined) {
    uses =
      ns.conntrack.some((e) => familyOf(e.orig.src) === family) ||
      ns.tables.some(
        (t) =>
          t.family === family && Object.values(t.chains).some((c) => c.rules.some((r) => mentionsConntrack(r.match) || r.then.some(needsConntrack))),
      );
    byFamily.set(family, uses);
  }
  return uses;
}

/** nf_nat_register_fn(): the first nat chain of a family switches address translation on at all its hooks. */
export function translatesAddresses(ns: Namespace, family: Family): boolean {
  const isKnown = ns.captured[family === 4 ? 'rules4' : 'rules6'] !== undefined;
  return (
    !isKnown || ns.tables.some((t) => t.family === family && (t.nft ? Object.values(t.chains).some((c) => c.base?.type === 'nat') : t.name === 'nat'))
  );
}

function needsConntrack(s: Statement): boolean {
  switch (s.kind) {
    case 'copy':
    case 'ct':
    case 'translate':
      return true;
    case 'set':
      return s.field === 'ctmark';
    case 'if':
      return mentionsConntrack(s.pred);
    case 'vmap':
      return s.key.some(readsConntrack);
    case 'assign':
      return s.to === 'ctmark' || readsConntrack(s.value);
    case 'element':
      return [...s.key, ...(s.data ?? [])].some(readsConntrack);
    default:
      return isNat(s);
  }
}

function readsConntrack(op: Operand): boolean {
  switch (op.kind) {
    case 'field':
      return op.field.startsWith('ct');
    case 'bits':
      return readsConntrack(op.of) || readsConntrack(op.by);
    case 'map':
      return op.key.some(readsConntrack);
    case 'hidden':
      return op.text.startsWith('ct ');
    default:
      return false;
  }
}

function isVdir(pred: Pred): boolean {
  const p = pred.kind === 'not' ? pred.of : pred;
  return p.kind === 'in' && p.field === 'ctdir';
}

function mentionsConntrack(pred: Pred): boolean {
  switch (pred.kind) {
    case 'all':
    case 'any':
      // ipvs_mt_check() asks for no conntrack: --vdir looks at what there is
      return pred.of.some((p) => mentionsConntrack(p) && !(isVdir(p) && pred.of.some((q) => q.kind === 'ipvs')));
    case 'not':
      return mentionsConntrack(pred.of);
    case 'in':
    case 'masked':
      return pred.field.startsWith('ct');
    case 'value':
      return readsConntrack(pred.of);
    case 'lookup':
      return pred.key.some(readsConntrack);
    case 'opaque':
      return pred.as.startsWith('ct ');
    default:
      return false;
  }
}
