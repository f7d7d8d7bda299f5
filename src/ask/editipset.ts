// Edits by ipset: what ip_set_core.c and the set types do to the sets of a namespace, and what they refuse.
import type { Namespace } from '../model/host.ts';
import type { Chain, IpSet, Pred, Rule, SetMember, Table } from '../model/ruleset.ts';
import type { Span } from '../model/finding.ts';
import { formatAddr, type Word } from '../net/addr.ts';
import { readIpset } from '../capture/ipset.ts';
import { altered } from './altered.ts';
import { isRefused, type Refusal, type Tool } from './edit.ts';
import { rangeOf } from './setelements.ts';
import { addTo, deleteFrom } from './setmembers.ts';

type Sets = Namespace['sets'];

/** What a command of ipset works with. */
interface Context {
  readonly ns: Namespace;
  readonly sets: Sets;
  readonly at: Span;
  /** `-exist`: what is already so is no error. */
  readonly isLenient: boolean;
}

type Verb = (args: readonly string[], c: Context) => Sets | Refusal;

const NAMES: readonly (readonly [names: string, verb: Verb])[] = [
  ['create n new -N --create', create],
  ['add a -A --add', (args, c) => change(args, c, 'add')],
  ['del d -D --del --delete', (args, c) => change(args, c, 'del')],
  ['flush f -F --flush', flush],
  ['destroy x -X --destroy', destroy],
  ['swap w -W --swap', swap],
  ['rename e -E --rename', rename],
];
const VERBS = new Map(NAMES.flatMap(([names, verb]) => names.split(' ').map((name) => [name, verb] as const)));

export const editIpset: Tool = (ns, { words, text, at }) => {
  const { args, isLenient } = withoutFlags(words);
  if (args[0] !== 'restore' && args[0] !== '-R') return withSets(ns, carryOut(args, { ns, sets: ns.sets, at, isLenient }));
  let { sets } = ns;
  for (const [i, line] of text.split('\n').slice(1).entries()) {
    const own = withoutFlags(line.match(/"[^"]*"|\S+/g) ?? []);
    if (own.args.length === 0 || own.args[0] === 'COMMIT' || own.args[0]!.startsWith('#')) continue;
    const next = carryOut(own.args, { ns, sets, at, isLenient: isLenient || own.isLenient });
    if (isRefusedSets(next)) return { ...next, refused: `Error in line ${i + 1}: ${next.refused}` };
    sets = next;
  }
  return withSets(ns, sets);
};

/** A set may have any name, `refused` too. */
function isRefusedSets(x: Sets | Refusal): x is Refusal {
  return isRefused(x) && typeof x.refused === 'string';
}

function withSets(ns: Namespace, sets: Sets | Refusal): Namespace | Refusal {
  if (isRefusedSets(sets)) return sets;
  return sets === ns.sets ? ns : altered(ns, { sets });
}

function withoutFlags(words: readonly string[]): { readonly args: readonly string[]; readonly isLenient: boolean } {
  const isExist = (w: string): boolean => /^(?:--?exist|-!)$/.test(w);
  return { args: words.filter((w) => !isExist(w) && !/^(?:-q|--?quiet)$/.test(w)), isLenient: words.some(isExist) };
}

function carryOut(args: readonly string[], c: Context): Sets | Refusal {
  const [verb = '', ...rest] = args;
  const run = VERBS.get(verb);
  if (run) return run(rest, c);
  if (/^(?:test|list|save|version|help|-[TLSVH])$/.test(verb)) return { refused: `ipset ${verb} changes nothing` };
  return { refused: `No command specified: unknown argument ${verb}`, hint: 'create, add, del, flush, destroy, swap, rename or restore' };
}

/** The set that a command names, or why there is none. */
function find(name: string, { ns, sets }: Context): IpSet | Refusal {
  if (Object.hasOwn(sets, name)) return sets[name]!;
  if (!ns.captured.sets) return { refused: `whether there is a set ${name} is not known: the sets were not captured`, hint: 'capture `ipset save`' };
  const known = Object.keys(sets);
  return {
    refused: 'The set with the given name does not exist',
    hint: known.length > 0 ? `sets: ${known.slice(0, 20).join(', ')}` : 'there are no sets',
  };
}

function mandatory(command: string, which = ''): Refusal {
  return { refused: `Missing ${which}mandatory argument to command ${command}` };
}

function unknownArgument(word: string): Refusal {
  return { refused: `Unknown argument: \`${word}'` };
}

const TYPES = new Set(
  'bitmap:ip bitmap:ip,mac bitmap:port hash:ip hash:mac hash:ip,mac hash:net hash:net,net hash:ip,port hash:net,port hash:ip,port,ip hash:ip,port,net hash:ip,mark hash:net,port,net hash:net,iface list:set'.split(
    ' ',
  ),
);
const OPTIONS = new Set(
  'family hashsize maxelem bucketsize initval timeout netmask bitmask markmask range from to size probes resize gc counters comment skbinfo forceadd'.split(
    ' ',
  ),
);

function create(args: readonly string[], c: Context): Sets | Refusal {
  const [name, type] = args;
  if (name === undefined) return mandatory('create');
  if (type === undefined) return mandatory('create', 'second ');
  if (name.length > 31) return { refused: `Syntax error: setname '${name}' is longer than 31 characters` };
  const [set] = readIpset(`create ${args.join(' ')}`, c.at.file).sets;
  if (!set || !TYPES.has(set.type)) return { refused: `Syntax error: typename '${type}' is unknown` };
  const { options } = set;
  const unknown = Object.keys(options).find((o) => !OPTIONS.has(o));
  if (unknown !== undefined) return unknownArgument(unknown);
  const family = options['family'];
  if (family !== undefined && family !== 'inet' && family !== 'inet6') return { refused: `Syntax error: unknown inet family ${family}` };
  if (Number(options['timeout'] ?? 0) > 2147483) return { refused: `Syntax error: '${options['timeout']}' is out of range 0-2147483` };
  const bare = { ...set, options: withDefaults(set), at: c.at };
  if (set.type.startsWith('bitmap:')) {
    const range = rangeOf(bare.options['range'] ?? '');
    if (!range) return { refused: "Mandatory option `range' is missing" };
    if (sizeOf(range) > 65536 && set.mask === undefined) return { refused: 'The range you specified exceeds the size limit of the set type' };
  }
  if (Object.hasOwn(c.sets, name)) {
    const isSame = c.isLenient && likeness(c.sets[name]!) === likeness(bare);
    return isSame ? c.sets : { refused: 'Set cannot be created: set with the same name already exists' };
  }
  return { ...c.sets, [name]: bare };
}

/** What `ipset save` prints of a set that was made without saying. */
function withDefaults({ type, options, family }: IpSet): IpSet['options'] {
  if (type === 'list:set') return { ...options, size: String(Math.max(4, Number(options['size'] ?? 8))) }; // IP_SET_LIST_MIN_SIZE
  if (type.startsWith('hash:')) {
    const mark = options['markmask'] ?? 0xffffffff;
    const markmask = type === 'hash:ip,mark' && { markmask: `0x${Number(mark).toString(16).padStart(8, '0')}` };
    return { ...(family !== undefined && { family: family === 6 ? 'inet6' : 'inet' }), hashsize: '1024', maxelem: '65536', ...options, ...markmask };
  }
  const { from, to, ...rest } = options;
  const text = options['range'] ?? (from !== undefined && to !== undefined ? `${from}-${to}` : undefined);
  const range = text === undefined ? undefined : rangeOf(text);
  const write = (end: Word): string => (type === 'bitmap:port' ? String(end) : formatAddr(end));
  return { ...rest, ...(range && { range: range.map(write).join('-') }) };
}

function sizeOf([lo, hi]: readonly [Word, Word]): number {
  return typeof lo === 'number' && typeof hi === 'number' ? hi - lo + 1 : Number.POSITIVE_INFINITY;
}

/** What -exist compares: the type and what its same_set() looks at, which the family is not. */
function likeness(set: IpSet): string {
  const words = ['maxelem', 'range', 'size', 'timeout', 'netmask', 'bitmask', 'markmask', 'counters', 'comment', 'skbinfo'];
  return [set.type, ...words.map((w) => set.options[w] ?? '-')].join(' ');
}

function change(args: readonly string[], c: Context, verb: 'add' | 'del'): Sets | Refusal {
  const [name, element, ...extra] = args;
  if (name === undefined) return mandatory(verb);
  const set = find(name, c);
  if (isRefused(set)) return set;
  if (element === undefined) return mandatory(verb, 'second ');
  const edit = { sets: c.sets, areSetsKnown: c.ns.captured.sets !== undefined, at: c.at, isLenient: c.isLenient };
  const edited = verb === 'add' ? addTo(set, element, extra, edit) : deleteFrom(set, element, extra, edit);
  return isRefused(edited) ? edited : edited === set ? c.sets : { ...c.sets, [name]: edited };
}

function flush([name, extra]: readonly string[], c: Context): Sets | Refusal {
  if (extra !== undefined) return { refused: `Unknown argument ${extra}` };
  if (name === undefined) return mapSets(c.sets, emptied);
  const set = find(name, c);
  return isRefused(set) ? set : { ...c.sets, [name]: emptied(set) };
}

function emptied({ incomplete: _incomplete, ...set }: IpSet): IpSet {
  return { ...set, members: [] };
}

function mapSets(sets: Sets, f: (set: IpSet) => IpSet): Sets {
  return Object.fromEntries(Object.values<IpSet>(sets).map((s) => [s.name, f(s)]));
}

const IN_USE: Refusal = { refused: 'Set cannot be destroyed: it is in use by a kernel component' };

/** ip_set_destroy(): all sets, or none of them. */
function destroy([name, extra]: readonly string[], c: Context): Sets | Refusal {
  if (extra !== undefined) return { refused: `Unknown argument ${extra}` };
  const users = usersOf(c);
  if (name === undefined) {
    const used = Object.keys(c.sets).find((n) => users.has(n));
    return used === undefined ? {} : { ...IN_USE, hint: `${used} is used by ${users.get(used)!}` };
  }
  if (c.isLenient && c.ns.captured.sets && !Object.hasOwn(c.sets, name)) return c.sets;
  const set = find(name, c);
  if (isRefused(set)) return set;
  if (users.has(name)) return { ...IN_USE, hint: `${name} is used by ${users.get(name)!}` };
  const { [name]: _gone, ...rest } = c.sets;
  return rest;
}

/** ip_set_swap(): what holds a set by its name finds the other one's members from now on. */
function swap([from, to, extra]: readonly string[], c: Context): Sets | Refusal {
  if (from === undefined) return mandatory('swap');
  if (to === undefined) return mandatory('swap', 'second ');
  if (extra !== undefined) return unknownArgument(extra);
  const [a, b] = [find(from, c), find(to, c)];
  if (isRefused(a)) return a;
  if (isRefused(b)) return c.ns.captured.sets ? { ...b, refused: 'Sets cannot be swapped: the second set does not exist' } : b;
  if (featuresOf(a) !== featuresOf(b) || a.family !== b.family) return { refused: 'The sets cannot be swapped: their type does not match' };
  return { ...c.sets, [from]: { ...b, name: from }, [to]: { ...a, name: to } };
}

/** `features` of struct ip_set_type: hash:ip and bitmap:ip have the same, hash:net has IPSET_TYPE_NOMATCH besides. */
function featuresOf({ dimensions }: IpSet): string {
  return [...dimensions.map((d) => (d === 'net' ? 'ip' : d)).toSorted(), dimensions.includes('net')].join(' ');
}

function rename([from, to, extra]: readonly string[], c: Context): Sets | Refusal {
  if (from === undefined) return mandatory('rename');
  if (to === undefined) return mandatory('rename', 'second ');
  if (extra !== undefined) return unknownArgument(extra);
  const set = find(from, c);
  if (isRefused(set)) return set;
  const user = usersOf(c).get(from);
  if (user !== undefined) return { refused: 'Set cannot be renamed: it is in use by another system', hint: `${from} is used by ${user}` };
  if (Object.hasOwn(c.sets, to)) return { refused: 'Set cannot be renamed: a set with the new name already exists' };
  const { [from]: _old, ...rest } = c.sets;
  return { ...rest, [to]: { ...set, name: to } };
}

/** Who holds each set: lists that it is a member of, rules that ask it or change it. */
function usersOf({ ns, sets }: Context): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const list of Object.values<IpSet>(sets)) {
    if (list.type !== 'list:set') continue;
    for (const name of list.members.map(nameIn)) if (name !== undefined) users.set(name, `the list ${list.name}`);
  }
  for (const table of ns.tables) {
    for (const chain of Object.values<Chain>(table.chains)) {
      for (const rule of chain.rules) for (const name of setsOf(rule)) if (!users.has(name)) users.set(name, placeOf(rule, chain, table));
    }
  }
  return users;
}

function nameIn({ parts: [part] }: SetMember): string | undefined {
  return part?.kind === 'set' ? part.name : undefined;
}

function placeOf(rule: Rule, chain: Chain, table: Table): string {
  return `the rule '${rule.text}' of ${chain.name} in ${table.nft ?? table.name} (${rule.at.file}:${rule.at.line})`;
}

function setsOf(rule: Rule): readonly string[] {
  const changed = rule.then.flatMap((s) => (s.kind === 'setmember' || s.kind === 'mapset' ? [s.set] : []));
  return changed.length > 0 || /\bset\b/.test(rule.text) ? [...changed, ...setsIn(rule.match)] : changed;
}

function setsIn(pred: Pred): readonly string[] {
  switch (pred.kind) {
    case 'all':
    case 'any':
      return pred.of.flatMap(setsIn);
    case 'not':
      return setsIn(pred.of);
    case 'member':
      return [pred.set];
    default:
      return [];
  }
}
