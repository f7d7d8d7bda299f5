// Members added to a set and deleted from it: mtype_add() and mtype_del(), net/netfilter/ipset/ip_set_hash_gen.h; list_set_uadd(),
// list_set_udel(), ip_set_list_set.c
import type { Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { IpSet, SetMember } from '../model/ruleset.ts';
import { readMember } from '../capture/ipset.ts';
import { isRefused, type Refusal } from './edit.ts';
import { elementsOf, isFull, isUnderWildcard, keyOf } from './setelements.ts';

/** What an addition or a deletion needs to know. */
export interface MemberEdit {
  readonly sets: Namespace['sets'];
  /** A set that is not among them is not there. */
  readonly areSetsKnown: boolean;
  readonly at: Span;
  readonly isLenient: boolean;
}

const WHOLE_SPACE = /^(?:0\.0\.0\.0-255\.255\.255\.255)(?:,|$)/;
const THERE: Refusal = { refused: "Element cannot be added to the set: it's already added" };
const NOT_THERE: Refusal = { refused: "Element cannot be deleted from the set: it's not added" };

/** The set with an element more, or with several. */
export function addTo(set: IpSet, element: string, extra: readonly string[], edit: MemberEdit): IpSet | Refusal {
  const [given, beside] = placing(set, extra);
  const why = whyNotWith(set, given);
  // bitmap_port_uadt() looks at the range before it looks at the rest
  const isKernels = why?.refused.includes('cannot be used') ?? false;
  if (why && !(isKernels && set.type === 'bitmap:port' && isOutside(read(set, element, [], edit)))) return why;
  const list = set.type === 'list:set' ? listEdit('add', set, element, beside, edit) : undefined;
  if (list && isRefused(list)) return list;
  const elements = read(set, element, given, edit);
  if (isRefused(elements)) return elements;
  const places = placesOf(set, elements);
  const members = [...set.members];
  for (const [i, wanted] of elements.entries()) {
    const place = places[i];
    const old = place === undefined ? undefined : members[place]!;
    // bitmap_ipmac_do_add(): an address that waits for its MAC takes it
    const isThere = old !== undefined && !hasRunOut(old) && !(old.parts.length < set.dimensions.length && wanted.parts.length > old.parts.length);
    if (isThere && !edit.isLenient) return THERE;
    if (old === undefined && isFull(set, members.length)) {
      if (set.options['forceadd'] !== undefined) return { refused: `${set.name} is full: which member makes room goes by a hash, and nobody knows` };
      return { refused: 'Hash is full, cannot add more elements' };
    }
    const member = withExtensions(set, wanted, isThere ? old : undefined);
    if (place === undefined) members.splice(list?.place ?? members.length, 0, member);
    else members[place] = member;
  }
  return { ...set, members };
}

function isOutside(x: object): boolean {
  return isRefused(x) && x.refused.startsWith('Element is out of');
}

/** The set with an element less, or with several. */
export function deleteFrom(set: IpSet, element: string, extra: readonly string[], edit: MemberEdit): IpSet | Refusal {
  const [[strange], beside] = placing(set, extra);
  if (strange !== undefined) return { refused: `Unknown argument: \`${strange}'` };
  const list = set.type === 'list:set' ? listEdit('del', set, element, beside, edit) : undefined;
  if (list && isRefused(list)) return list;
  const elements = read(set, element, [], edit);
  if (isRefused(elements)) return elements;
  const places = placesOf(set, elements);
  const gone = new Set<number>();
  for (const place of places) {
    const isThere = place !== undefined && !hasRunOut(set.members[place]!) && !gone.has(place);
    if (isThere) gone.add(place);
    else if (set.incomplete !== undefined) return { refused: `whether ${element} is in ${set.name} is not known: ${set.incomplete}` };
    else if (!edit.isLenient) return NOT_THERE;
  }
  return gone.size === 0 ? set : { ...set, members: set.members.filter((_, i) => !gone.has(i)) };
}

function read(set: IpSet, element: string, extra: readonly string[], edit: MemberEdit): readonly SetMember[] | Refusal {
  if (set.dimensions.length === 0)
    return { refused: `${set.name}: ${set.incomplete ?? 'its type is not known'}`, hint: 'capture the whole of `ipset save`' };
  if (WHOLE_SPACE.test(element) && set.dimensions[0] === 'net') return { refused: 'Invalid range, covers the whole address space' };
  const words = extra.map((w) => (/\s|^$/.test(w) ? `"${w}"` : w));
  const members = readMember(set, [element, ...words].join(' '), edit.at);
  return 'error' in members ? { refused: `Syntax error: ${members.error}` } : elementsOf(set, members);
}

/** Where in the set each of the elements stands: one look through the members, however many there are of both. */
function placesOf(set: IpSet, elements: readonly SetMember[]): readonly (number | undefined)[] {
  const wanted = new Map(elements.map((e, i) => [keyOf(set, e), i]));
  const places: (number | undefined)[] = elements.map(() => undefined);
  for (const [place, member] of set.members.entries()) {
    const i = wanted.get(keyOf(set, member));
    if (i !== undefined) places[i] = place;
    else if (set.type === 'hash:net,iface') for (const [k, e] of elements.entries()) if (isUnderWildcard(member, e)) places[k] ??= place;
  }
  return places;
}

const VALUED: Readonly<Record<string, readonly [option: string, why: string]>> = {
  timeout: ['timeout', 'Timeout cannot be used: set was created without timeout support'],
  comment: ['comment', 'Comment cannot be used: set was created without comment support'],
  packets: ['counters', 'Packet/byte counters cannot be used: set was created without counter support'],
  bytes: ['counters', 'Packet/byte counters cannot be used: set was created without counter support'],
  skbmark: ['skbinfo', 'Skbinfo mapping cannot be used: set was created without skbinfo support'],
  skbprio: ['skbinfo', 'Skbinfo mapping cannot be used: set was created without skbinfo support'],
  skbqueue: ['skbinfo', 'Skbinfo mapping cannot be used: set was created without skbinfo support'],
};

/** Why the words behind an element are none that this set takes. */
function whyNotWith(set: IpSet, words: readonly string[]): Refusal | undefined {
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const valued = Object.hasOwn(VALUED, word) ? VALUED[word] : undefined;
    if (valued) {
      const value = words[++i];
      if (value === undefined) return { refused: `Missing mandatory argument of option \`${word}'` };
      if (set.options[valued[0]] === undefined) return { refused: valued[1] };
      if (/^(?:timeout|packets|bytes)$/.test(word) && !/^\d+$/.test(value)) return { refused: `Syntax error: '${value}' is invalid as number` };
      if (word === 'timeout' && Number(value) > LONGEST) return { refused: `Syntax error: '${value}' is out of range 0-${LONGEST}` };
    } else if (!(word === 'nomatch' && set.dimensions.includes('net')) && !(word === 'wildcard' && set.dimensions.includes('iface')))
      return { refused: `Unknown argument: \`${word}'` };
  }
  return undefined;
}

/** IPSET_MAX_TIMEOUT */
const LONGEST = 2147483;

function hasRunOut({ timeout }: SetMember): boolean {
  return timeout !== undefined && (timeout < 0 || timeout > LONGEST);
}

/** What a member has that the command does not say: the set's own timeout; counters begin with 0, and stay what they are where it was there. */
function withExtensions(set: IpSet, member: SetMember, old: SetMember | undefined): SetMember {
  const { packets, bytes } = old ?? { packets: 0, bytes: 0 };
  return {
    ...(set.options['timeout'] !== undefined && { timeout: Number(set.options['timeout']) }),
    ...(set.options['counters'] !== undefined && { ...(packets !== undefined && { packets }), ...(bytes !== undefined && { bytes }) }),
    ...member,
    // a name under a wildcard that is there, and an address without the MAC that is there, change the rest only
    ...(old && (isUnderWildcard(old, member) || old.parts.length > member.parts.length) && { parts: old.parts, text: old.text }),
  };
}

/** `before NAME` and `after NAME` of a list apart from the other words. */
function placing(set: IpSet, words: readonly string[]): readonly [rest: readonly string[], beside: readonly string[]] {
  const i = set.type === 'list:set' ? words.findIndex((w) => w === 'before' || w === 'after') : -1;
  return i < 0 ? [words, []] : [words.toSpliced(i, 2), words.slice(i, i + 2)];
}

/** list_set_uadt(): what may be added to a list, and before which member it goes (the end, where that is not said). */
function listEdit(
  verb: 'add' | 'del',
  list: IpSet,
  name: string,
  [where, other = '']: readonly string[],
  { sets, areSetsKnown }: MemberEdit,
): { readonly place?: number } | Refusal {
  const isMissing = (n: string): boolean => areSetsKnown && !Object.hasOwn(sets, n);
  if (name.includes(',')) return { refused: 'you must specify elements as setname,[before|after],setname', hint: 'write NAME before OTHER' };
  if (isMissing(name)) return { refused: 'Set to be added/deleted/tested as element does not exist.' };
  if (sets[name]?.type === 'list:set') return { refused: 'Sets with list:set type cannot be added to the set.' };
  if (where === undefined) return {};
  if (isMissing(other)) return { refused: "The set to which you referred with 'before' or 'after' does not exist." };
  const names = list.members.map((m) => (m.parts[0]?.kind === 'set' ? m.parts[0].name : ''));
  const ref = other === name ? -1 : names.indexOf(other);
  const own = names.indexOf(name);
  const isBeside = verb === 'add' || ref === (where === 'before' ? own + 1 : own - 1);
  if (ref < 0 || !isBeside) return { refused: "The set to which you referred with 'before' or 'after' is not added to the set." };
  return { place: where === 'before' ? ref : ref + 1 };
}
