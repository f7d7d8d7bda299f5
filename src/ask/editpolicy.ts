// Edits by `ip rule`: fib_nl_newrule() and fib_nl_delrule(), net/core/fib_rules.c.
import type { Family } from '../net/addr.ts';
import { readRules } from '../capture/rules.ts';
import type { Namespace, RoutingRule } from '../model/host.ts';
import type { Refusal } from './edit.ts';
import { isRefused } from './edit.ts';
import { altered } from './altered.ts';
import { answers, uncaptured, unread, wordFor, type IpCommand } from './iproute.ts';

/** Words of iprule_modify() that may be cut short, as the listing spells them. */
const SPELLED: readonly (readonly [string, string])[] = [
  ['preference', 'pref'],
  ['order', 'pref'],
  ['priority', 'pref'],
  ['tos', 'tos'],
  ['dsfield', 'tos'],
  ['fwmark', 'fwmark'],
  ['realms', 'realms'],
  ['protocol', 'proto'],
  ['table', 'lookup'],
  ['lookup', 'lookup'],
  ['suppress_prefixlength', 'suppress_prefixlength'],
  ['suppress_ifgroup', 'suppress_ifgroup'],
];
const VALUED = new Set(
  'from to pref tos fwmark realms proto lookup suppress_prefixlength suppress_ifgroup iif oif uidrange ipproto sport dport goto tun_id'.split(' '),
);
const ACTIONS = new Set(['goto', 'nop', 'blackhole', 'unreachable', 'prohibit', 'lookup', 'l3mdev']);

/** Parts of a rule that are compared where they were given; `not` is none of them. */
const SELECTORS = ['from', 'to', 'iif', 'oif', 'mark', 'tos', 'proto', 'sport', 'dport', 'uid', 'l3mdev', 'suppressPrefixLength', 'opaque'] as const;

/** What the words ask for: a rule, and which of its parts were given. */
interface Wanted {
  readonly rule: RoutingRule;
  readonly given: ReadonlySet<string>;
}

export function editRule(ns: Namespace, { verb, words, family = 4, at }: IpCommand): Namespace | Refusal {
  const own = (r: RoutingRule): boolean => r.family === family;
  if (verb === 'flush') return altered(ns, { rules: [...standing(ns, 4), ...standing(ns, 6)].filter((r) => !own(r) || r.priority === 0) });
  if (words.length === 0) return { refused: `"ip rule ${verb === 'add' ? 'add' : 'del'}" requires arguments.` };
  const wanted = read(words, family, at.file);
  if (isRefused(wanted)) return wanted;
  const rules = standing(ns, family);
  const others = ns.rules.filter((r) => !own(r));
  const parts = (now: readonly RoutingRule[]): Namespace => altered(ns, { rules: family === 4 ? [...now, ...others] : [...others, ...now] });
  if (verb === 'delete') {
    const gone = rules.find((r) => isMeant(r, wanted));
    if (gone) return parts(rules.filter((r) => r !== gone));
    return uncaptured(ns, 'rules', 'policy rules', 'ip rule') ?? answers('No such file or directory');
  }
  // fib_default_rule_pref(): one before the second rule there is
  const priority = wanted.given.has('pref') ? wanted.rule.priority : Math.max(0, (rules[1]?.priority ?? 0) - 1);
  const rule: RoutingRule = { ...wanted.rule, priority, text: wanted.rule.text.replace(/^\d+:/, `${priority}:`), at };
  if (rule.action === 'goto' && rule.gotoPriority! <= priority) return { refused: 'Error: Backward goto not supported.' };
  if (rules.some((r) => sameRule(r, rule))) return answers('File exists');
  const after = rules.findIndex((r) => r.priority > priority);
  return parts(rules.toSpliced(after < 0 ? rules.length : after, 0, rule));
}

/** The rules of a family: those that every namespace begins with, where none were captured. */
function standing(ns: Namespace, family: Family): readonly RoutingRule[] {
  const rules = ns.rules.filter((r) => r.family === family).toSorted((a, b) => a.priority - b.priority);
  const tables =
    family === 4
      ? '0: from all lookup local\n32766: from all lookup main\n32767: from all lookup default'
      : '0: from all lookup local\n32766: from all lookup main';
  return rules.length > 0 ? rules : readRules(tables, '', family).rules.map((r) => ({ ...r, family, at: { file: '', line: 0 } }));
}

function read(words: readonly string[], family: Family, file: string): Wanted | Refusal {
  const line: string[] = [];
  const given = new Set<string>();
  let priority = '0';
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === 'unicast') continue;
    const long = wordFor(
      word,
      SPELLED.map(([name]) => name),
    );
    const name =
      word === 'dev'
        ? 'iif'
        : word === 'sup_pl'
          ? 'suppress_prefixlength'
          : VALUED.has(word) || ACTIONS.has(word) || word === 'not'
            ? word
            : SPELLED.find(([n]) => n === long)?.[1];
    if (name === undefined) return { refused: `Error: argument "${word}" is wrong: Failed to parse rule type` };
    const value = VALUED.has(name) ? words[++i] : undefined;
    if (VALUED.has(name) && value === undefined) return { refused: 'Command line is not complete. Try option "help"' };
    given.add(name);
    if (name === 'pref') priority = value!;
    else line.push(name, ...(value === undefined ? [] : [value]));
  }
  if (!given.has('from')) line.unshift('from', 'all');
  const acts = [...given].some((w) => ACTIONS.has(w));
  const text = line
    .join(' ')
    .replace(/^(.*?) ?\bnot\b/, 'not $1')
    .trim();
  const { rules, findings } = readRules(`${priority}: ${text}${acts ? '' : ' lookup main'}`, file, family);
  const [rule] = rules;
  if (!rule) return unread(findings) ?? { refused: `Error: argument "${priority}" is wrong: preference value is invalid` };
  if (rule.family !== family) return { refused: `Error: Invalid ${rule.from ? 'source' : 'destination'} address.` };
  return { rule, given };
}

/** rule_find(): each part that was given is compared, `not` is none of them. */
function isMeant(rule: RoutingRule, { rule: asked, given }: Wanted): boolean {
  const same = (key: keyof RoutingRule): boolean => JSON.stringify(rule[key]) === JSON.stringify(asked[key]);
  if (given.has('pref') && rule.priority !== asked.priority) return false;
  if (([...given].some((w) => w !== 'lookup' && ACTIONS.has(w)) && !same('action')) || (given.has('lookup') && !same('table'))) return false;
  return SELECTORS.every((key) => asked[key] === undefined || same(key));
}

/** rule_exists(): the same in all but `not`. */
function sameRule(a: RoutingRule, b: RoutingRule): boolean {
  return ([...SELECTORS, 'priority', 'action', 'table', 'gotoPriority'] as const).every((key) => JSON.stringify(a[key]) === JSON.stringify(b[key]));
}
