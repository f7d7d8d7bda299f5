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
import type { Chain, Hook, Pred, Statement, Table } from '../model/ruleset.ts';
import { NOT, type Choices } from './choice.ts';
import { meetForwarded, meetReply, meetRequest, type Handled, type Meeting } from './ipvs.ts';
import { isSince } from './kernel.ts';
import { isNat } from './nat.ts';

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

interface BaseChain {
  readonly table: Table;
  readonly chain: Chain;
}

export type Stage =
  | ({ readonly kind: 'table'; readonly priority: number } & BaseChain)
  /** One nat engine for all nat tables: the first to bind a connection wins. */
  | { readonly kind: 'nat'; readonly priority: number; readonly manip: 'src' | 'dst'; readonly chains: readonly BaseChain[] }
  | { readonly kind: 'conntrack' | 'confirm'; readonly priority: number }
  | { readonly kind: 'ipvs'; readonly priority: number; readonly meet: (m: Meeting) => Handled };

/** What runs at `hook`, first to last. */
export function stagesAt(ns: Namespace, hook: Hook, family: Family, conntrack: boolean, choices: Choices): Stage[] {
  const stages: Stage[] = [];
  const nat: BaseChain[] = [];
  for (const table of ns.tables) {
    const chain = Object.hasOwn(table.chains, hook) ? table.chains[hook] : undefined;
    if (table.family !== family || chain?.base?.hook !== hook) continue;
    if (table.name === 'nat') nat.push({ table, chain });
    else stages.push({ kind: 'table', priority: chain.base.priority ?? tablePriority(table), table, chain });
  }
  const manip = hook === 'PREROUTING' || hook === 'OUTPUT' ? 'dst' : 'src';
  if (conntrack) {
    if (manip === 'dst') stages.push({ kind: 'conntrack', priority: PRIORITY.conntrack });
    if (hook !== 'FORWARD')
      stages.push({ kind: 'nat', priority: manip === 'dst' ? PRIORITY.dstnat : PRIORITY.srcnat, manip, chains: inOrder(ns, nat, choices) });
    if (hook === 'INPUT' || hook === 'POSTROUTING') stages.push({ kind: 'confirm', priority: PRIORITY.confirm });
  }
  if (balances(ns, family)) for (const [priority, meet] of IPVS[hook] ?? []) stages.push({ kind: 'ipvs', priority, meet });
  return settleTies(
    ns,
    stages.toSorted((a, b) => a.priority - b.priority),
    choices,
  );
}

function tablePriority({ name, backend }: Table): number {
  // iptables-nft hangs its security table after nat, legacy before it (xtables_ipv4[], iptables/nft.c)
  if (name === 'security' && backend === 'nft') return 150;
  return name in PRIORITY ? PRIORITY[name as keyof typeof PRIORITY] : PRIORITY.filter;
}

/** At equal priority the table registered last runs first (nf_hook_entries_grow()), and no dump tells which that was. */
function settleTies(ns: Namespace, stages: Stage[], choices: Choices): Stage[] {
  for (let i = 0; i + 1 < stages.length; i++) {
    const [a, b] = [stages[i]!, stages[i + 1]!];
    if (a.kind !== 'table' || b.kind !== 'table' || a.priority !== b.priority) continue;
    const [first, second] = inOrder(ns, [a, b], choices);
    stages[i] = first!;
    stages[i + 1] = second!;
  }
  return stages;
}

function inOrder<C extends BaseChain>(ns: Namespace, chains: readonly C[], choices: Choices): readonly C[] {
  const [a, b] = chains.filter(hasSay);
  if (!a || !b) return chains;
  const what = `of both ${a.table.name} tables that of ${b.table.backend} was loaded first, so that of ${a.table.backend} runs first`;
  const swapped = choices.choose(`order:${ns.node}:${ns.name}:${a.table.family}:${a.table.name}`, [
    { value: false, what },
    { value: true, what: `${NOT}${what}` },
  ]);
  return swapped ? chains.toReversed() : chains;
}

function hasSay(c: BaseChain): boolean {
  return c.chain.rules.length > 0 || c.chain.base?.policy === 'drop';
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
  const isKnown = ns.captured[family === 4 ? 'rules4' : 'rules6'] !== undefined && !ns.foreignChains;
  return !isKnown || ns.tables.some((t) => t.name === 'nat' && t.family === family);
}

function needsConntrack(s: Statement): boolean {
  return isNat(s) || s.kind === 'copy' || s.kind === 'ct' || (s.kind === 'set' && s.field === 'ctmark');
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
    default:
      return false;
  }
}
