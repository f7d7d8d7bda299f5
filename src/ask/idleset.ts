// Sets that no rule asks, and sets that rules ask and that have nothing in them.
import type { Fault } from '../model/lintreport.ts';
import type { Namespace } from '../model/host.ts';
import { originOfSet } from '../model/origin.ts';
import type { Rule } from '../model/ruleset.ts';
import { setsIn } from './unreached.ts';

/** What a namespace's sets do for nobody; notes all of them: a set waits for its members, and a program makes its sets before they are needed. */
export function idleSets(ns: Namespace): readonly Fault[] {
  return [...ipsets(ns), ...nftSets(ns)];
}

function ipsets(ns: Namespace): readonly Fault[] {
  const rules = ns.tables.flatMap((t) => (t.nft === undefined ? Object.values(t.chains).flatMap((c) => c.rules) : []));
  const uses = usesOf(rules);
  for (const set of Object.values(ns.sets))
    for (const { parts } of set.type === 'list:set' && uses.asked.has(set.name) ? set.members : [])
      for (const part of parts) if (part.kind === 'set') add(uses.asked, part.name);
  return Object.values(ns.sets).flatMap((set): Fault[] => {
    // rules that nobody captured may ask it
    if (!ns.captured[set.family === 6 ? 'rules6' : 'rules4'] || (set.family === undefined && !ns.captured.rules6)) return [];
    const asker = uses.asked.get(set.name);
    const maker = originOfSet(set)?.by;
    if (!uses.asked.has(set.name) && !uses.changed.has(set.name) && !rules.some((r) => isMentioned(r, set.name)))
      return [fault(ns, 'unused-set', `no captured rule asks the set ${set.name}${by(maker)}`, set.at, [])];
    if (set.members.length > 0 || set.incomplete !== undefined || uses.changed.has(set.name) || set.options['timeout'] !== undefined) return [];
    if (!uses.asked.has(set.name)) return [];
    return [
      fault(ns, 'empty-set', `the set ${set.name}${by(maker)} is empty: what a rule asks of it is so of no packet`, set.at, asker ? [asker.at] : []),
    ];
  });
}

function nftSets(ns: Namespace): readonly Fault[] {
  const told = new Set<string>();
  return ns.tables.flatMap((table) => {
    if (table.nft === undefined || told.has(table.nft)) return [];
    told.add(table.nft);
    const halves = ns.tables.filter((t) => t.nft === table.nft);
    const rules = halves.flatMap((t) => Object.values(t.chains).flatMap((c) => c.rules));
    const uses = usesOf(rules);
    return Object.values(table.sets ?? {}).flatMap((set): Fault[] => {
      if (set.name === '' || set.incomplete !== undefined || rules.some((r) => !uses.asked.has(set.name) && isMentioned(r, set.name))) return [];
      const asker = uses.asked.get(set.name);
      const name = `${table.nft} ${set.name}`;
      if (!asker && !uses.changed.has(set.name)) return [fault(ns, 'unused-set', `no rule asks the set ${name}`, set.at, [])];
      if (!asker || set.elements.length > 0 || set.dynamic || uses.changed.has(set.name)) return [];
      return [fault(ns, 'empty-set', `the set ${name} is empty: what a rule asks of it is so of no packet`, set.at, [asker.at])];
    });
  });
}

function usesOf(rules: readonly Rule[]): { readonly asked: Map<string, Rule | undefined>; readonly changed: Set<string> } {
  const asked = new Map<string, Rule | undefined>();
  const changed = new Set<string>();
  for (const rule of rules) {
    const sets = setsIn(rule);
    for (const name of sets.asked) if (!asked.has(name)) asked.set(name, rule);
    for (const name of sets.changed) changed.add(name);
  }
  return { asked, changed };
}

function add(asked: Map<string, Rule | undefined>, name: string): void {
  if (!asked.has(name)) asked.set(name, undefined);
}

/** What is not understood of a rule may ask the set all the same. */
function isMentioned(rule: Rule, name: string): boolean {
  return rule.text.includes(name);
}

function by(maker: string | undefined): string {
  return maker === undefined ? '' : ` (${maker})`;
}

function fault(ns: Namespace, code: Fault['code'], message: string, at: Fault['at'], because: Fault['because']): Fault {
  return { severity: 'note', code, node: ns.node, namespace: ns.name, message, at, because };
}
