// What the kernel checks before it takes a table: where its chains lead, and where their rules may act.
import type { Chain, Hook, Rule } from '../model/ruleset.ts';
import type { TableDraft } from './editdraft.ts';

/** Hooks at which the kernel takes what a rule does; undefined for all. `backend` matters for reject: nft_reject_inet.c takes PREROUTING, ipt_REJECT.c does not. */
export function hooksOf(rule: Rule, backend: 'x_tables' | 'nft'): readonly Hook[] | undefined {
  for (const s of rule.then) {
    const kind = s.kind === 'translate' ? s.by : s.kind;
    if (kind === 'dnat' || kind === 'redirect') return ['PREROUTING', 'OUTPUT'];
    if (kind === 'masquerade') return ['POSTROUTING'];
    if (kind === 'snat') return ['POSTROUTING', 'INPUT'];
    if (kind === 'reject') return backend === 'nft' ? ['INGRESS', 'PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT'] : ['INPUT', 'FORWARD', 'OUTPUT'];
  }
  if (backend === 'nft') return undefined;
  if (/ -m owner /.test(rule.text)) return ['OUTPUT', 'POSTROUTING'];
  return / -m rpfilter /.test(rule.text) ? ['PREROUTING'] : undefined;
}

/** NFT_JUMP_STACK_SIZE, include/net/netfilter/nf_tables.h */
const STACK = 16;

/** `circle`: a packet could come back to a chain it is in, or jumps too often; `hook`: a rule would act where it cannot; `base`: a jump to a base chain. */
export type Wrong = 'circle' | 'hook' | 'base';

/** A rule that was just put into a chain. */
export interface Fresh {
  readonly chain: string;
  readonly rule: Rule;
}

/** Which rules of a chain the kernel follows. */
export type Sees = (rules: readonly Rule[]) => readonly Rule[];

/** Where the chains of a table lead; each is looked at once. */
export class Reach {
  readonly #draft: TableDraft;
  readonly #sees: Sees;
  readonly #from = new Map<string, ReadonlySet<string>>();
  readonly #isNft: boolean;
  readonly #depths = new Map<string, number>();
  readonly #circles = new Map<string, boolean>();
  #bases: readonly Chain[] | undefined;

  constructor(draft: TableDraft, sees?: Sees) {
    this.#draft = draft;
    this.#isNft = sees === undefined;
    this.#sees = sees ?? ((rules) => rules);
  }

  /** The chains a chain leads to, itself among them. */
  from(start: string): ReadonlySet<string> {
    const known = this.#from.get(start);
    if (known) return known;
    const met = new Set([start]);
    for (const name of met) for (const r of this.#sees(this.#draft.rules(name))) for (const c of this.#draft.calls(r)) met.add(c);
    this.#from.set(start, met);
    return met;
  }

  /** The base chains that lead to a chain. */
  basesOf(name: string): Chain[] {
    this.#bases ??= this.#draft.names().flatMap((n) => (this.#draft.chain(n)!.base ? [this.#draft.chain(n)!] : []));
    return this.#bases.filter((b) => this.from(b.name).has(name));
  }

  /** How many jumps a packet may have behind it below a chain; what goes beyond the kernel's stack is not followed. */
  #depth(name: string, level = 0): number {
    const known = this.#depths.get(name);
    if (known !== undefined) return known;
    let most = 0;
    if (level < STACK)
      for (const r of this.#draft.rules(name)) for (const c of this.#draft.calls(r)) most = Math.max(most, 1 + this.#depth(c, level + 1));
    this.#depths.set(name, most);
    return most;
  }

  /** Whether a packet could go round below a chain. */
  #isCircular(start: string): boolean {
    const known = this.#circles.get(start);
    if (known !== undefined) return known;
    // a chain without callers among them is in no circle; what is left when all such are taken away is
    const left = new Map([...this.from(start)].map((c) => [c, 0]));
    const callsOf = (c: string): string[] => this.#sees(this.#draft.rules(c)).flatMap((r) => this.#draft.calls(r));
    for (const c of left.keys()) for (const to of callsOf(c)) left.set(to, (left.get(to) ?? 0) + 1);
    const free = [...left].filter(([, n]) => n === 0).map(([c]) => c);
    for (let c = free.pop(); c !== undefined; c = free.pop()) {
      left.delete(c);
      for (const to of callsOf(c)) {
        const n = (left.get(to) ?? 0) - 1;
        left.set(to, n);
        if (n === 0) free.push(to);
      }
    }
    this.#circles.set(start, left.size > 0);
    return left.size > 0;
  }

  /**
   * Why the kernel refuses the table for a rule that is new in it. It follows rules from the base chains only.
   * mark_source_chains(), net/ipv4/netfilter/ip_tables.c; nft_chain_validate(), net/netfilter/nf_tables_api.c.
   */
  wrongWith({ chain, rule }: Fresh, backend: 'x_tables' | 'nft'): Wrong | undefined {
    const draft = this.#draft;
    const calls = draft.calls(rule);
    if (calls.some((c) => draft.chain(c)?.base)) return 'base';
    const reached = new Set(calls.flatMap((c) => [...this.from(c)]));
    if ((reached.has(chain) || calls.some((c) => this.#isCircular(c))) && this.basesOf(chain).length > 0) return 'circle';
    if (this.#isNft && calls.length > 0 && this.basesOf(chain).some((b) => this.#depth(b.name) >= STACK)) return 'circle';
    const acting = [rule, ...[...reached].flatMap((c) => draft.rules(c))].filter((r) => hooksOf(r, backend));
    if (acting.length === 0) return undefined;
    const isWrong = (b: Chain): boolean => acting.some((r) => !canAct(r, b, backend));
    return this.basesOf(chain).some(isWrong) ? 'hook' : undefined;
  }
}

function canAct(rule: Rule, base: Chain, backend: 'x_tables' | 'nft'): boolean {
  const type = base.base?.type;
  if (type !== undefined && type !== 'nat' && rule.then.some((s) => NAT.has(s.kind))) return false;
  return hooksOf(rule, backend)?.includes(base.base!.hook) ?? true;
}

const NAT: ReadonlySet<string> = new Set(['dnat', 'snat', 'masquerade', 'redirect', 'netmap', 'translate']);
