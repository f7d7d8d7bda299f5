// A table while commands change it: chains are copied when they are first touched, and all others stay the table's own.
import type { Span } from '../model/finding.ts';
import type { NftSet } from '../model/operand.ts';
import type { Chain, Rule, Statement, Table } from '../model/ruleset.ts';

/** The chains of one table, and of nft its sets, under a command that has not been carried out to its end. */
export class TableDraft {
  /** What the command came from: the place of all that it makes. */
  readonly at: Span;
  readonly #chains: Record<string, Chain>;
  readonly #rules = new Map<string, Rule[]>();
  #sets: Readonly<Record<string, NftSet>> | undefined;

  constructor(table: Pick<Table, 'chains' | 'sets'>, at: Span) {
    this.at = at;
    this.#chains = Object.assign(Object.create(null) as Record<string, Chain>, table.chains);
    this.#sets = table.sets;
  }

  chain(name: string): Chain | undefined {
    return this.#chains[name];
  }

  names(): string[] {
    return Object.keys(this.#chains);
  }

  rules(name: string): readonly Rule[] {
    return this.#rules.get(name) ?? this.#chains[name]?.rules ?? [];
  }

  /** Takes `count` rules out at a place (from 0) and puts others there. */
  splice(name: string, place: number, count: number, rules: readonly Rule[]): void {
    const own = this.#rules.get(name) ?? [...this.rules(name)];
    own.splice(place, count, ...rules);
    this.#rules.set(name, own);
  }

  /** Adds a chain, or puts another in the place of one; its rules come with it. */
  put(chain: Chain): void {
    this.#rules.delete(chain.name);
    this.#chains[chain.name] = chain;
  }

  /** Gives a chain another policy. */
  setPolicy(chain: Chain, policy: 'accept' | 'drop'): void {
    if (chain.base) this.#chains[chain.name] = { ...chain, at: this.at, base: { ...chain.base, policy } };
  }

  remove(name: string): void {
    this.#rules.delete(name);
    delete this.#chains[name];
  }

  /** Renames a chain, and the jumps to it. */
  rename(from: string, to: string): void {
    const chain = this.#chains[from]!;
    const rules = this.rules(from);
    this.remove(from);
    this.#chains[to] = { ...chain, name: to, rules, at: this.at };
    this.#rules.set(
      to,
      rules.map((r) => withChain(r, from, to)),
    );
    for (const name of this.names()) {
      for (const [i, r] of this.rules(name).entries()) if (leadsTo(r, from)) this.splice(name, i, 1, [renamed(r, from, to)]);
    }
  }

  sets(): Readonly<Record<string, NftSet>> {
    return this.#sets ?? {};
  }

  putSet(set: NftSet): void {
    this.#sets = Object.assign(Object.create(null) as Record<string, NftSet>, this.#sets, { [set.name]: set });
  }

  removeSet(name: string): void {
    this.#sets = Object.assign(
      Object.create(null) as Record<string, NftSet>,
      Object.fromEntries(Object.entries(this.sets()).filter(([n]) => n !== name)),
    );
  }

  /** The table after the command, its rules counted anew. */
  finish(): Pick<Table, 'chains' | 'sets'> {
    for (const [name, rules] of this.#rules) {
      this.#chains[name] = { ...this.#chains[name]!, rules: rules.map((r, i) => (r.number === i + 1 ? r : { ...r, number: i + 1 })) };
    }
    return { chains: this.#chains, ...(this.#sets && { sets: this.#sets }) };
  }

  /** Chains that a rule may send a packet to. */
  calls(rule: Rule): string[] {
    return rule.then.flatMap((s) => this.#callsOf(s));
  }

  #callsOf(s: Statement): string[] {
    if (s.kind === 'jump' || s.kind === 'goto') return [s.chain];
    if (s.kind !== 'vmap') return [];
    const map = typeof s.map === 'string' ? this.sets()[s.map] : s.map;
    return (map?.elements ?? []).flatMap(({ verdict: v }) => (v && 'chain' in v ? [v.chain] : []));
  }

  /** Whether a rule or a map of the table leads to a chain. */
  isCalled(name: string): boolean {
    return (
      this.names().some((n) => this.rules(n).some((r) => this.calls(r).includes(name))) ||
      Object.values(this.sets()).some((s) => s.elements.some(({ verdict: v }) => v && 'chain' in v && v.chain === name))
    );
  }
}

function leadsTo(rule: Rule, chain: string): boolean {
  return rule.then.some((s) => (s.kind === 'jump' || s.kind === 'goto') && s.chain === chain);
}

/** A rule of a chain that has another name now: iptables names the chain in the rule's text. */
function withChain(rule: Rule, from: string, to: string): Rule {
  const head = `-A ${from} `;
  const own = rule.text === head.trimEnd() ? `-A ${to}` : rule.text.startsWith(head) ? `-A ${to} ${rule.text.slice(head.length)}` : rule.text;
  return leadsTo(rule, from) ? renamed({ ...rule, text: own }, from, to) : { ...rule, text: own };
}

/** A rule that jumps to a chain that has another name now; such a rule ends with its jump, or its comment stands behind it. */
function renamed(rule: Rule, from: string, to: string): Rule {
  const at = Math.max(...['-j', '-g', 'jump', 'goto'].map((word) => rule.text.lastIndexOf(` ${word} ${from}`)));
  const text = at < 0 ? rule.text.replace(from, to) : rule.text.slice(0, at) + rule.text.slice(at).replace(from, to);
  return { ...rule, text, then: rule.then.map((s) => ((s.kind === 'jump' || s.kind === 'goto') && s.chain === from ? { ...s, chain: to } : s)) };
}
