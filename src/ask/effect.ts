// What a rule's actions mean for the rules behind it: whether a packet gets to them, and with what changed.
import type { Chain, Pred, Rule, Statement, Table } from '../model/ruleset.ts';
import { isNat } from '../engine/nat.ts';

const NOTHING: ReadonlySet<string> = new Set();
const ANYTHING: ReadonlySet<string> = new Set(['*']);

/** The actions of a table's rules; of its chains, what they do to a packet that comes back from them. */
export class Effects {
  readonly #table: Table;
  readonly #changes = new Map<string, ReadonlySet<string>>();
  readonly #ending = new Map<string, boolean>();
  readonly #settled = new Map<string, boolean>();

  constructor(table: Table) {
    this.#table = table;
  }

  chain(name: string): Chain | undefined {
    return Object.hasOwn(this.#table.chains, name) ? this.#table.chains[name] : undefined;
  }

  /** Reports whether no packet that meets the rule is seen by the next one. */
  ends({ then }: Rule): boolean {
    for (const s of then) {
      if (s.kind === 'verdict' || s.kind === 'reject' || isNat(s)) return true;
      if (s.kind === 'goto') return this.chain(s.chain) !== undefined;
      if (s.kind === 'jump') return this.#neverReturns(s.chain);
      // a rule may end here, and the next one be tried
      if (!isPlain(s)) return false;
    }
    return false;
  }

  /** What a packet that goes on to the next rule may have otherwise by then; `*` stands for anything. */
  changes({ then }: Rule): ReadonlySet<string> {
    const out = new Set<string>();
    for (const s of then) for (const field of this.#changesOf(s)) out.add(field);
    return out.size === 0 ? NOTHING : out;
  }

  /** Reports whether a packet that comes back from a chain would come back again, as it is. */
  isIdle(name: string): boolean {
    const known = this.#settled.get(name);
    if (known !== undefined) return known;
    // a circle, which no kernel loads
    this.#settled.set(name, false);
    const chain = this.chain(name);
    const is =
      chain !== undefined &&
      chain.incomplete === undefined &&
      chain.rules.every((r) => this.changes(r).size === 0 && isRepeatable(r.match) && r.then.every((s) => this.#isRepeatable(s)));
    this.#settled.set(name, is);
    return is;
  }

  #isRepeatable(s: Statement): boolean {
    if (s.kind === 'jump' || s.kind === 'goto') return this.isIdle(s.chain);
    return s.kind === 'verdict' || s.kind === 'reject' || isNat(s);
  }

  #neverReturns(name: string): boolean {
    const known = this.#ending.get(name);
    if (known !== undefined) return known;
    this.#ending.set(name, false);
    const is = this.#hasEnd(this.chain(name));
    this.#ending.set(name, is);
    return is;
  }

  #hasEnd(chain: Chain | undefined): boolean {
    for (const rule of chain?.rules ?? []) {
      const leads = rule.then.find((s): s is Statement & { kind: 'goto' } => s.kind === 'goto');
      const mayReturn =
        rule.then.some((s) => (s.kind === 'verdict' && s.verdict === 'return') || s.kind === 'vmap' || s.kind === 'opaque') ||
        (leads !== undefined && !this.#neverReturns(leads.chain));
      if (mayReturn) return false;
      if (isForAll(rule.match) && this.ends(rule)) return true;
    }
    return false;
  }

  #changesOf(s: Statement): ReadonlySet<string> {
    switch (s.kind) {
      case 'verdict':
      case 'goto':
      case 'reject':
      case 'dnat':
      case 'snat':
      case 'masquerade':
      case 'redirect':
      case 'netmap':
      case 'translate':
      case 'note':
      case 'if':
        return NOTHING;
      case 'jump':
        return this.#changesIn(s.chain);
      case 'set':
        return new Set([s.field]);
      case 'copy':
        return new Set([s.to]);
      case 'anymark':
        return new Set(['mark']);
      case 'mapset':
        return s.mark ? new Set(['mark']) : NOTHING;
      case 'setttl':
        return new Set(['ttl']);
      case 'settos':
        return new Set(['tos']);
      case 'setflags':
        return new Set(['flags']);
      case 'tcpmss':
        return new Set(['length']);
      case 'npt':
        return new Set([s.side]);
      case 'assign':
        return s.to === 'ctzone' ? ANYTHING : new Set([s.to === 'dscp' || s.to === 'ecn' ? 'tos' : s.to]);
      // what they change, rules do not ask in the same breath: sets that rules change are known not to be as captured
      case 'setmember':
      case 'element':
        return NOTHING;
      case 'vmap':
      case 'notrack':
      case 'ct':
      case 'gate':
      case 'opaque':
        return ANYTHING;
    }
  }

  #changesIn(name: string): ReadonlySet<string> {
    const known = this.#changes.get(name);
    if (known) return known;
    this.#changes.set(name, ANYTHING);
    const chain = this.chain(name);
    const out = new Set<string>();
    for (const rule of chain?.rules ?? []) {
      for (const field of this.changes(rule)) out.add(field);
      // a goto comes back from there to whoever jumped here
      for (const s of rule.then) if (s.kind === 'goto') for (const field of this.#changesIn(s.chain)) out.add(field);
    }
    const all = !chain || chain.incomplete !== undefined ? ANYTHING : out.size === 0 ? NOTHING : out;
    this.#changes.set(name, all);
    return all;
  }
}

/** Statements behind which the rule surely goes on. */
function isPlain(s: Statement): boolean {
  return (
    s.kind === 'set' ||
    s.kind === 'copy' ||
    s.kind === 'note' ||
    s.kind === 'setttl' ||
    s.kind === 'settos' ||
    s.kind === 'setflags' ||
    s.kind === 'tcpmss' ||
    s.kind === 'notrack' ||
    s.kind === 'ct' ||
    s.kind === 'setmember'
  );
}

/** Reports whether a condition asks nothing. */
export function isForAll(pred: Pred): boolean {
  return pred.kind === 'all' && pred.of.every(isForAll);
}

/** Reports whether a condition is as it was when it is asked of the same packet again. */
function isRepeatable(pred: Pred): boolean {
  switch (pred.kind) {
    case 'all':
    case 'any':
      return pred.of.every(isRepeatable);
    case 'not':
      return isRepeatable(pred.of);
    case 'in':
    case 'masked':
      return pred.field !== 'ctexpire';
    case 'name':
    case 'addrtype':
    case 'rpfilter':
    case 'bridged':
      return true;
    default:
      return false;
  }
}
